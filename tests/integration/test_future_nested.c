/* SPDX-License-Identifier: MIT
 *
 * Integration tests of callbacks that use the pool they came from: submit, map, wait,
 * close, terminate, again and again.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

struct nest {
	pm_pool *pool;
	pm_future *outer, *inner;
	unsigned depth, calls;
	int err;
	size_t delivered;
};

static void submit_another(pm_future *f, void *ctx)
{
	struct nest *n = ctx;
	cr_assert_eq(pm_future_result(f)->error, 0);
	if (++n->calls < 100) {
		pm_future *next = submit(n->pool, DO_ECHO, n->calls, 0);
		cr_assert_eq(pm_future_on_done(next, submit_another, n), 0);
		pm_future_free(&next);
	}
}

static bool hundred_calls(void *ctx)
{
	return ((struct nest *)ctx)->calls == 100;
}

Test(nested, a_callback_submits, .timeout = LIMIT)
{
	struct nest n = {.pool = rig_pool(2, 4)};
	pm_future *f = submit(n.pool, DO_ECHO, 0, 0);
	cr_assert_eq(pm_future_on_done(f, submit_another, &n), 0);
	run_until(n.pool, hundred_calls, &n);
	for (uint32_t i = 0; i < 100; i++) {
		cr_assert_eq(atomic_load(&board->runs[i]), 1);
	}
	pm_future_free(&f);
	pm_pool_close(&n.pool);
}

static void map_inside(pm_future *f, void *ctx)
{
	struct nest *n = ctx;
	(void)f;
	n->calls++;
	rig_check_works(n->pool);
	cr_assert_eq(n->calls, 1);
}

Test(nested, a_callback_maps, .timeout = LIMIT)
{
	struct nest n = {.pool = rig_pool(2, 4)};
	pm_future *f = submit(n.pool, DO_ECHO, 0, 0);
	cr_assert_eq(pm_future_on_done(f, map_inside, &n), 0);
	rig_check_works(n.pool);
	cr_assert_eq(end_of(&f), 0);
	cr_assert_eq(n.calls, 1);
	pm_pool_close(&n.pool);
}

/* Waits in waits in waits: each ends before the one it came from. */
static void wait_deeper(pm_future *f, void *ctx)
{
	struct nest *n = ctx;
	unsigned depth = ++n->depth;
	cr_assert_eq(pm_future_result(f)->error, 0);
	if (depth < 20) {
		pm_future *next = submit(n->pool, DO_ECHO, depth, 0);
		cr_assert_eq(pm_future_on_done(next, wait_deeper, n), 0);
		cr_assert_eq(pm_wait(&next, 1, PM_ALL, 20000, NULL), 0);
		pm_future_free(&next);
	}
	n->calls++;
}

static bool twenty_calls(void *ctx)
{
	return ((struct nest *)ctx)->calls == 20;
}

Test(nested, waits_nest, .timeout = LIMIT)
{
	struct nest n = {.pool = rig_pool(1, 2)};
	pm_future *f = submit(n.pool, DO_ECHO, 0, 0);
	cr_assert_eq(pm_future_on_done(f, wait_deeper, &n), 0);
	run_until(n.pool, twenty_calls, &n);
	cr_assert_eq(n.depth, 20);
	cr_assert_eq(end_of(&f), 0);
	pm_pool_close(&n.pool);
}

/* A wait inside times out, and the outer one goes on. */
static void wait_in_vain(pm_future *f, void *ctx)
{
	struct nest *n = ctx;
	(void)f;
	n->err = pm_wait(&n->inner, 1, PM_ALL, 20, NULL);
	gate_open();
}

Test(nested, a_wait_inside_times_out, .timeout = LIMIT)
{
	struct nest n = {.pool = rig_pool(1, 4)};
	n.inner = submit(n.pool, DO_WAIT, 0, 0);
	n.outer = submit(n.pool, DO_ECHO, 1, 0);
	cr_assert_eq(pm_future_on_done(n.outer, wait_in_vain, &n), 0);
	cr_assert_eq(end_of(&n.outer), 0);
	cr_assert_eq(end_of(&n.inner), 0);
	check_error(n.err, PM_ETIMEDOUT, "inside");
	pm_pool_close(&n.pool);
}

/* ------------------------------------------------------------ the pool's end */

static void close_pool(pm_future *f, void *ctx)
{
	struct nest *n = ctx;
	pm_pool *pool = n->pool;
	(void)f;
	pm_pool_close(&n->pool);
	cr_assert_null(n->pool);
	struct errand e = {0};
	struct pm_job job = PM_JOB(e);
	n->err = pm_submit(pool, task_errand, &job, NULL);
	n->calls++;
}

static void terminate_pool(pm_future *f, void *ctx)
{
	struct nest *n = ctx;
	(void)f;
	pm_pool_terminate(&n->pool);
	cr_assert_null(n->pool);
	n->calls++;
}

/* Jobs that were taken before run to their ends, as with any drain. */
Test(nested, a_callback_closes_the_pool, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 2);
	struct nest n = {.pool = rig_open(&o)};
	pm_future *f[20];
	for (uint32_t i = 0; i < 20; i++) {
		f[i] = submit(n.pool, DO_NAP, i, 5);
	}
	cr_assert_eq(pm_future_on_done(f[3], close_pool, &n), 0);
	cr_assert_eq(pm_wait(f, 4, PM_ALL, 20000, NULL), 0);
	check_error(n.err, PM_ECLOSED, "submit after the close");
	rig_check_nothing_left(o.runtime_dir);
	for (uint32_t i = 0; i < 20; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).number, i);
		pm_future_free(&f[i]);
	}
}

Test(nested, a_callback_terminates_the_pool, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 4);
	struct nest n = {.pool = rig_open(&o)};
	pm_future *f[20];
	for (uint32_t i = 0; i < 20; i++) {
		f[i] = submit(n.pool, i == 0 ? DO_ECHO : DO_NAP, i, 60000);
	}
	cr_assert_eq(pm_future_on_done(f[0], terminate_pool, &n), 0);
	cr_assert_eq(pm_wait(f, 20, PM_ALL, 20000, NULL), 0);
	rig_check_nothing_left(o.runtime_dir);
	for (uint32_t i = 0; i < 20; i++) {
		check_error(pm_future_result(f[i])->error, i ? PM_ECANCELLED : 0, "it");
		pm_future_free(&f[i]);
	}
}

/* It waits for more after it has closed the pool; the outer call still returns. */
static void close_and_wait(pm_future *f, void *ctx)
{
	struct nest *n = ctx;
	(void)f;
	pm_pool_close(&n->pool);
	n->err = pm_wait(&n->inner, 1, PM_ALL, 20000, NULL);
	n->calls++;
}

Test(nested, a_callback_closes_the_pool_and_waits, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 2);
	struct nest n = {.pool = rig_open(&o)};
	n.outer = submit(n.pool, DO_ECHO, 0, 0);
	n.inner = submit(n.pool, DO_NAP, 1, 50);
	cr_assert_eq(pm_future_on_done(n.outer, close_and_wait, &n), 0);
	cr_assert_eq(pm_wait(&n.outer, 1, PM_ALL, 20000, NULL), 0);
	if (!n.calls) { /* the wait was over before the callback came */
		cr_assert_eq(pm_wait(&n.inner, 1, PM_ALL, 20000, NULL), 0);
	}
	cr_assert_eq(n.calls, 1);
	cr_assert_eq(n.err, 0);
	rig_check_nothing_left(o.runtime_dir);
	cr_assert_eq(report_of(pm_future_result(n.inner)).number, 1);
	pm_future_free(&n.outer);
	pm_future_free(&n.inner);
}

/* The close in a callback comes while pm_pool_join(), then pm_pool_close(), run the
 * loop: freed once. */
Test(nested, a_callback_closes_a_pool_that_is_being_joined, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 2);
	struct nest n = {.pool = rig_open(&o)};
	n.outer = submit(n.pool, DO_NAP, 0, 20);
	cr_assert_eq(pm_future_on_done(n.outer, close_pool, &n), 0);
	pm_pool *pool = n.pool;
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	cr_assert_eq(n.calls, 1);
	rig_check_nothing_left(o.runtime_dir);
	pm_future_free(&n.outer);
}

Test(nested, a_callback_terminates_a_pool_that_is_being_closed, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 4);
	struct nest n = {.pool = rig_open(&o)};
	pm_pool *pool = n.pool;
	n.outer = submit(pool, DO_NAP, 0, 20);
	n.inner = submit(pool, DO_NAP, 1, 60000);
	cr_assert_eq(pm_future_on_done(n.outer, terminate_pool, &n), 0);
	pm_pool_close(&pool);
	cr_assert_eq(n.calls, 1);
	rig_check_nothing_left(o.runtime_dir);
	cr_assert_eq(pm_future_result(n.inner)->error, PM_ECANCELLED);
	pm_future_free(&n.outer);
	pm_future_free(&n.inner);
}

/* -------------------------------------------------------------------- sinks */

static int nest_source(void *ctx, struct pm_job *job)
{
	static struct errand e;
	struct nest *n = ctx;
	if (n->depth == 10) {
		return PM_SOURCE_END;
	}
	e = (struct errand){.number = n->depth++, .what = DO_ECHO};
	*job = PM_JOB(e);
	return PM_SOURCE_JOB;
}

static int apply_in_sink(void *ctx, const struct pm_result *r)
{
	struct nest *n = ctx;
	struct pm_result inner;
	struct errand e = {.number = 500};
	cr_assert_eq(report_of(r).number, n->delivered++);
	cr_assert_eq(pm_apply(n->pool, task_errand, &e, sizeof(e), &inner), 0);
	cr_assert_eq(report_of(&inner).number, 500);
	pm_results_clear(&inner, 1);
	return PM_SINK_TAKEN;
}

Test(nested, a_sink_applies, .timeout = LIMIT)
{
	struct nest n = {.pool = rig_pool(2, 4)};
	struct pm_stream s = {.task = task_errand,
		.source = nest_source,
		.sink = apply_in_sink,
		.ctx = &n};
	cr_assert_eq(pm_map_stream(n.pool, &s), 0);
	cr_assert_eq(n.delivered, 10);
	cr_assert_eq(atomic_load(&board->runs[500]), 10);
	pm_pool_close(&n.pool);
}

static int apply_in_source(void *ctx, struct pm_job *job)
{
	struct nest *n = ctx;
	rig_check_works(n->pool);
	return nest_source(ctx, job);
}

Test(nested, a_source_maps, .timeout = LIMIT)
{
	struct nest n = {.pool = rig_pool(2, 4)};
	struct pm_stream s = {.task = task_errand,
		.source = apply_in_source,
		.sink = apply_in_sink,
		.ctx = &n};
	cr_assert_eq(pm_map_stream(n.pool, &s), 0);
	cr_assert_eq(n.delivered, 10);
	pm_pool_close(&n.pool);
}

static int join_in_sink(void *ctx, const struct pm_result *r)
{
	struct nest *n = ctx;
	(void)r;
	cr_assert_eq(pm_pool_shutdown(n->pool, PM_DRAIN, PM_FOREVER), 0);
	n->err = pm_pool_join(n->pool, 20000);
	n->delivered++;
	return PM_SINK_TAKEN;
}

/* What waits for this very call cannot be waited for in it. */
Test(nested, a_sink_joins_the_pool, .timeout = LIMIT)
{
	struct nest n = {.pool = rig_pool(1, 2)};
	struct pm_stream s = {.task = task_errand,
		.source = nest_source,
		.sink = join_in_sink,
		.ctx = &n};
	cr_assert_eq(pm_map_async(n.pool, &s, &n.outer), 0);
	uint64_t began = clock_now_ms();
	int err = pm_wait(&n.outer, 1, PM_ALL, 30000, NULL);
	cr_assert_eq(err, 0, "%s", pm_error_name(err));
	cr_assert_eq(n.err, 0, "%s", pm_error_name(n.err));
	cr_assert_lt(clock_now_ms() - began, 15000);
	cr_assert_geq(n.delivered, 1);
	pm_future_free(&n.outer);
	pm_pool_close(&n.pool);
}
