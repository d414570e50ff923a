/* SPDX-License-Identifier: MIT
 *
 * Integration tests of maps that run while the host does something else: their ends,
 * and what their callbacks may do to them and to the pool.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

struct flow {
	pm_pool *pool;
	pm_future *future, *other;
	struct errand now;
	size_t ct, given, taken, turns;
	size_t at; /* the callback acts at this one */
	int (*act)(struct flow *flow);
	bool hold; /* the sink says "wait" */
	int err;
};

static int flow_source(void *ctx, struct pm_job *job)
{
	struct flow *x = ctx;
	if (x->given == x->ct) {
		return PM_SOURCE_END;
	}
	x->now = (struct errand){.number = (uint32_t)(x->given++ % 1000)};
	*job = PM_JOB(x->now);
	return PM_SOURCE_JOB;
}

/* The same, and it acts. */
static int acting_source(void *ctx, struct pm_job *job)
{
	struct flow *x = ctx;
	int step = flow_source(ctx, job);
	return x->given == x->at && x->act ? x->act(x) : step;
}

static int flow_sink(void *ctx, const struct pm_result *r)
{
	struct flow *x = ctx;
	if (x->hold) {
		return PM_SINK_WAIT;
	}
	cr_assert_eq(r->index, x->taken);
	return ++x->taken == x->at && x->act ? x->act(x) : PM_SINK_TAKEN;
}

static int plain_sink(void *ctx, const struct pm_result *r)
{
	struct flow *x = ctx;
	(void)r;
	x->taken++;
	return PM_SINK_TAKEN;
}

static void flow_turn(void *ctx)
{
	struct flow *x = ctx;
	x->turns++;
}

static void start(struct flow *x)
{
	struct pm_stream s = {.task = task_errand,
		.source = flow_source,
		.sink = flow_sink,
		.turn = flow_turn,
		.ctx = x};
	cr_assert_eq(pm_map_async(x->pool, &s, &x->future), 0);
	cr_assert_eq(pm_future_state(x->future), PM_RUNNING);
	cr_assert_null(pm_future_result(x->future));
}

static void check_ends(struct flow *x, int error)
{
	int err = pm_wait(&x->future, 1, PM_ALL, 20000, NULL);
	cr_assert_eq(err, 0, "%s", pm_error_name(err));
	check_error(pm_future_result(x->future)->error, error, "the map");
	cr_assert_eq(pm_future_result(x->future)->index, x->taken);
	cr_assert_eq(error != 0, pm_future_result(x->future)->message != NULL);
	pm_future_free(&x->future);
}

/* --------------------------------------------------------------------- ends */

Test(map_async, delivers_all, .timeout = LIMIT)
{
	struct flow x = {.pool = rig_pool(2, 8), .ct = 3000};
	start(&x);
	cr_assert_eq(x.given, 0, "nothing happens before the loop runs");
	check_ends(&x, 0);
	cr_assert_eq(x.taken, 3000);
	cr_assert_gt(x.turns, 0);
	pm_pool_close(&x.pool);
}

Test(map_async, runs_without_a_handle, .timeout = LIMIT)
{
	struct flow x = {.pool = rig_pool(2, 8), .ct = 300};
	struct pm_stream s = {.task = task_errand,
		.source = flow_source,
		.sink = flow_sink,
		.ctx = &x};
	cr_assert_eq(pm_map_async(x.pool, &s, NULL), 0);
	pm_pool_close(&x.pool); /* a stream that was not begun: closed, not lost */
	cr_assert_eq(x.taken, x.given);
}

static int say_denied(struct flow *x)
{
	(void)x;
	return PM_EDENIED;
}

Test(map_async, ends_with_the_error_of_its_sink, .timeout = LIMIT)
{
	struct flow x = {
		.pool = rig_pool(2, 8), .ct = 100000, .at = 50, .act = say_denied};
	start(&x);
	x.taken = 0;
	cr_assert_eq(pm_wait(&x.future, 1, PM_ALL, 20000, NULL), 0);
	check_error(pm_future_result(x.future)->error, PM_EDENIED, "the map");
	cr_assert_lt(x.given, 100000);
	cr_assert_eq(x.taken, 50);
	pm_future_free(&x.future);
	rig_check_works(x.pool);
	pm_pool_close(&x.pool);
}

Test(map_async, waits_for_its_sink, .timeout = LIMIT)
{
	struct flow x = {.pool = rig_pool(2, 8), .ct = 100, .hold = true};
	start(&x);
	check_error(pm_wait(&x.future, 1, PM_ALL, 50, NULL), PM_ETIMEDOUT, "held");
	rig_check_works(x.pool);
	x.hold = false;
	check_error(pm_wait(&x.future, 1, PM_ALL, 50, NULL), PM_ETIMEDOUT, "asleep");
	cr_assert_eq(x.taken, 0);
	pm_pool_wake(x.pool);
	check_ends(&x, 0);
	pm_pool_close(&x.pool);
}

/* A sink that never takes it: the pool can be terminated, and cancelled. */
Test(map_async, held_for_ever_is_cancelled, .timeout = LIMIT)
{
	struct flow x = {.pool = rig_pool(2, 8), .ct = 100, .hold = true};
	start(&x);
	check_error(pm_wait(&x.future, 1, PM_ALL, 50, NULL), PM_ETIMEDOUT, "held");
	cr_assert_eq(pm_future_cancel(x.future), 0);
	check_ends(&x, PM_ECANCELLED);
	pm_pool_close(&x.pool);
}

Test(map_async, a_thousand_of_them, .timeout = LIMIT)
{
	enum { MAPS = 1000 };
	static struct flow x[MAPS];
	pm_pool *pool = rig_pool(2, 16);
	for (size_t i = 0; i < MAPS; i++) {
		x[i] = (struct flow){.pool = pool, .ct = i % 10};
		start(&x[i]);
	}
	for (size_t i = 0; i < MAPS; i++) {
		check_ends(&x[i], 0);
		cr_assert_eq(x[i].taken, i % 10);
	}
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------- in its callbacks */

static int cancel_self(struct flow *x)
{
	x->err = pm_future_cancel(x->future);
	return PM_SINK_TAKEN;
}

/* The map has ended when the sink returns. */
static int cancel_self_and_wait(struct flow *x)
{
	struct errand e = {0};
	struct pm_result r;
	x->err = pm_future_cancel(x->future);
	cr_assert_eq(pm_apply(x->pool, task_errand, &e, sizeof(e), &r), 0);
	pm_results_clear(&r, 1);
	return PM_SINK_TAKEN;
}

Test(map_async, that_ends_in_its_sink_counts_what_that_took, .timeout = LIMIT)
{
	struct flow x = {.pool = rig_pool(2, 8),
		.ct = 100000,
		.at = 50,
		.act = cancel_self_and_wait};
	start(&x);
	check_ends(&x, PM_ECANCELLED);
	cr_assert_eq(x.err, 0);
	cr_assert_eq(x.taken, 50, "delivered after the cancellation");
	pm_pool_close(&x.pool);
}

Test(map_async, cancelled_in_its_sink, .timeout = LIMIT)
{
	struct flow x = {
		.pool = rig_pool(2, 8), .ct = 100000, .at = 50, .act = cancel_self};
	start(&x);
	check_ends(&x, PM_ECANCELLED);
	cr_assert_eq(x.err, 0);
	cr_assert_eq(x.taken, 50, "delivered after the cancellation");
	rig_check_works(x.pool);
	pm_pool_close(&x.pool);
}

static int start_other(struct flow *x)
{
	struct pm_job job = PM_JOB(x->now);
	cr_assert_eq(pm_submit(x->pool, task_errand, &job, &x->other), 0);
	rig_check_works(x->pool);
	cr_assert_eq(pm_wait(&x->other, 1, PM_ALL, 20000, NULL), 0);
	return PM_SINK_TAKEN;
}

Test(map_async, its_sink_uses_the_pool, .timeout = LIMIT)
{
	struct flow x = {
		.pool = rig_pool(2, 8), .ct = 500, .at = 100, .act = start_other};
	start(&x);
	check_ends(&x, 0);
	cr_assert_eq(pm_future_state(x.other), PM_DONE);
	pm_future_free(&x.other);
	pm_pool_close(&x.pool);
}

static int close_in_sink(struct flow *x)
{
	pm_pool_close(&x->pool);
	return PM_SINK_TAKEN;
}

static int close_in_source(struct flow *x)
{
	pm_pool_close(&x->pool);
	return PM_SOURCE_END;
}

static int terminate_in_source(struct flow *x)
{
	pm_pool_terminate(&x->pool);
	return PM_SOURCE_JOB;
}

static int terminate_in_sink(struct flow *x)
{
	pm_pool_terminate(&x->pool);
	return PM_SINK_TAKEN;
}

/* With pm_map_stream(), too, which is the call that the callback came from. */
static void check_closing(
	pm_source_fn *source, pm_sink_fn *sink, int (*act)(struct flow *), int error)
{
	struct pm_pool_options o = rig_options(2, 8);
	struct flow x = {.pool = rig_open(&o), .ct = 100000, .at = 70, .act = act};
	struct pm_stream s = {
		.task = task_errand, .source = source, .sink = sink, .ctx = &x};
	check_error(pm_map_stream(x.pool, &s), error, "stream");
	cr_assert_null(x.pool);
	rig_check_nothing_left(o.runtime_dir);
	x = (struct flow){.pool = rig_open(&o), .ct = 100000, .at = 70, .act = act};
	cr_assert_eq(pm_map_async(x.pool, &s, &x.future), 0);
	check_ends(&x, error);
	cr_assert_null(x.pool);
	rig_check_nothing_left(o.runtime_dir);
}

Test(map_async, pool_closed_in_the_sink, .timeout = LIMIT)
{
	check_closing(flow_source, flow_sink, close_in_sink, PM_ECLOSED);
}

Test(map_async, pool_closed_in_the_source, .timeout = LIMIT)
{
	check_closing(acting_source, plain_sink, close_in_source, PM_ECLOSED);
}

Test(map_async, pool_terminated_in_the_sink, .timeout = LIMIT)
{
	check_closing(flow_source, flow_sink, terminate_in_sink, PM_ECANCELLED);
}

Test(map_async, pool_terminated_in_the_source, .timeout = LIMIT)
{
	check_closing(acting_source, plain_sink, terminate_in_source, PM_ECANCELLED);
}

static void terminating_turn(void *ctx)
{
	struct flow *x = ctx;
	if (x->pool && x->taken > 30) {
		pm_pool_terminate(&x->pool);
	}
}

Test(map_async, pool_terminated_in_the_turn, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 8);
	struct flow x = {.pool = rig_open(&o), .ct = 100000};
	struct pm_stream s = {.task = task_errand,
		.source = flow_source,
		.sink = plain_sink,
		.turn = terminating_turn,
		.ctx = &x};
	check_error(pm_map_stream(x.pool, &s), PM_ECANCELLED, "stream");
	rig_check_nothing_left(o.runtime_dir);
}

/* ----------------------------------------------------------------- by steps */

static void end_by_steps(pm_future *f, void *ctx)
{
	struct flow *x = ctx;
	(void)f;
	pm_pool_terminate(&x->pool);
	x->turns++;
}

/* The step in which it happens is the last one: the pool is gone when it returns. */
Test(map_async, pool_terminated_in_a_callback_of_a_step, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 4);
	struct flow x = {.pool = rig_open(&o)};
	pm_pool *pool = x.pool;
	pm_future *f = submit(pool, DO_ECHO, 0, 0),
		  *nap = submit(pool, DO_NAP, 1, 60000);
	cr_assert_eq(pm_future_on_done(f, end_by_steps, &x), 0);
	while (x.pool) {
		cr_assert_eq(pm_pool_step(pool), 0);
	}
	cr_assert_eq(x.turns, 1);
	rig_check_nothing_left(o.runtime_dir);
	cr_assert_eq(end_of(&nap), PM_ECANCELLED);
	pm_future_free(&f);
}

static void count_call(pm_future *f, void *ctx)
{
	(void)f;
	++*(unsigned *)ctx;
}

/* A callback that is added when all is over is still called, by the close. */
Test(map_async, callback_added_after_the_join, .timeout = LIMIT)
{
	unsigned calls = 0;
	struct flow x = {.pool = rig_pool(1, 4), .ct = 5};
	start(&x);
	cr_assert_eq(pm_wait(&x.future, 1, PM_ALL, 20000, NULL), 0);
	cr_assert_eq(pm_pool_shutdown(x.pool, PM_DRAIN, PM_FOREVER), 0);
	cr_assert_eq(pm_pool_join(x.pool, 20000), 0);
	cr_assert_eq(pm_future_on_done(x.future, count_call, &calls), 0);
	cr_assert_eq(calls, 0);
	pm_pool_close(&x.pool);
	cr_assert_eq(calls, 1);
	pm_future_free(&x.future);
}
