/* SPDX-License-Identifier: MIT
 *
 * Integration tests of the end of a pool with maps and iterators under way.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* ------------------------------------------------------------------ streams */

struct endless {
	struct errand e;
	pm_pool *pool;
	size_t given, taken, good;
};

static int endless_source(void *ctx, struct pm_job *job)
{
	struct endless *x = ctx;
	x->e = (struct errand){
		.number = (uint32_t)(x->given++ % 1000), .what = DO_ECHO};
	*job = PM_JOB(x->e);
	return PM_SOURCE_JOB;
}

static int ending_sink(void *ctx, const struct pm_result *r)
{
	struct endless *x = ctx;
	cr_assert_eq(r->index, x->taken);
	x->good += r->error == 0;
	if (++x->taken == 100) {
		cr_assert_eq(pm_pool_shutdown(x->pool, PM_DRAIN, PM_FOREVER), 0);
	}
	return PM_SINK_TAKEN;
}

Test(shutdown_maps, streams_end_as_closed, .timeout = LIMIT)
{
	struct endless x = {.pool = rig_pool(2, 8)};
	struct pm_stream s = {.task = task_errand,
		.source = endless_source,
		.sink = ending_sink,
		.ctx = &x};
	check_error(pm_map_stream(x.pool, &s), PM_ECLOSED, "stream");
	cr_assert_eq(x.taken, x.given, "what was taken has its result");
	cr_assert_eq(x.good, x.given);
	cr_assert_eq(pm_pool_join(x.pool, 20000), 0);
	pm_pool_close(&x.pool);
}

Test(shutdown_maps, iterators_and_async_maps_end_as_closed, .timeout = LIMIT)
{
	struct endless a = {0}, b = {.pool = rig_pool(2, 8)};
	struct pm_stream s = {
		.task = task_errand, .source = endless_source, .ctx = &a, .window = 50};
	pm_iter *it = NULL;
	pm_future *f = NULL;
	const struct pm_result *r;
	cr_assert_eq(pm_imap(b.pool, &s, &it), 0);
	s.ctx = &b;
	s.sink = ending_sink;
	cr_assert_eq(pm_map_async(b.pool, &s, &f), 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 20000, NULL), 0);
	check_error(pm_future_result(f)->error, PM_ECLOSED, "async");
	cr_assert_eq(pm_future_result(f)->index, b.given);
	int err;
	while ((err = pm_next(it, 20000, &r)) == 1) {
		cr_assert_eq(r->error, 0);
		a.taken++;
	}
	check_error(err, PM_ECLOSED, "iterator");
	cr_assert_eq(a.taken, a.given);
	pm_iter_close(&it);
	pm_future_free(&f);
	pm_pool_close(&b.pool);
}

/* An array was taken as a whole. */
static void shut_on_result(void *ctx, const struct pm_result *r)
{
	struct endless *x = ctx;
	(void)r;
	if (++x->taken == 10) {
		cr_assert_eq(pm_pool_shutdown(x->pool, PM_DRAIN, PM_FOREVER), 0);
	}
}

Test(shutdown_maps, drain_runs_the_whole_array, .timeout = LIMIT)
{
	struct endless x = {.pool = rig_pool(2, 4)};
	struct errands e = errands_new(500, DO_ECHO, 0);
	struct pm_map_options o = {.on_result = shut_on_result, .ctx = &x};
	cr_assert_eq(pm_map_with(x.pool, task_errand, e.jobs, e.ct, &o, e.results), 0);
	errands_check(&e);
	cr_assert_eq(x.taken, e.ct);
	errands_free(&e);
	pm_pool_close(&x.pool);
}

static void cancel_on_result(void *ctx, const struct pm_result *r)
{
	struct endless *x = ctx;
	x->good += r->error == 0;
	if (++x->taken == 10) {
		cr_assert_eq(pm_pool_shutdown(x->pool, PM_CANCEL_ALL, PM_FOREVER), 0);
	}
}

/* Every job of it has a result, and each is told, also those that no worker saw. */
Test(shutdown_maps, an_array_that_is_cancelled_is_still_full, .timeout = LIMIT)
{
	struct endless x = {.pool = rig_pool(2, 4)};
	struct errands e = errands_new(2000, DO_ECHO, 0);
	struct pm_map_options o = {.on_result = cancel_on_result, .ctx = &x};
	cr_assert_eq(pm_map_with(x.pool, task_errand, e.jobs, e.ct, &o, e.results), 0);
	size_t good = 0;
	for (size_t i = 0; i < e.ct; i++) {
		int error = e.results[i].error;
		cr_assert(error == 0 || error == PM_ECANCELLED);
		cr_assert_eq(e.results[i].index, i);
		cr_assert_eq(e.results[i].tag, 1000 + i, "job %zu", i);
		cr_assert_eq(error == 0, e.results[i].message == NULL);
		good += error == 0;
	}
	cr_assert_lt(good, e.ct);
	cr_assert_eq(x.taken, e.ct, "on_result was told %zu of them", x.taken);
	cr_assert_eq(x.good, good);
	errands_free(&e);
	pm_pool_close(&x.pool);
}
