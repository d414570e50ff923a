/* SPDX-License-Identifier: MIT
 *
 * Integration tests of orders of events that a pool once got wrong: each would
 * hang, or take far too long, if it did again.
 */
#include "tests/support/pool_rig.h"

static int nap(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_sleep(task, 60000);
}

static int nothing(pm_task *task, const void *arg, size_t len)
{
	return pm_return(task, arg, len);
}

static pm_pool *open_pool(unsigned workers, unsigned concurrency, unsigned start_ms)
{
	struct pm_pool_options o;
	pm_pool *pool = NULL;
	pm_pool_options_init(&o);
	o.workers = workers;
	o.concurrency = concurrency;
	o.start_timeout_ms = start_ms;
	cr_assert_eq(pm_pool_open(&pool, &o), 0, "%s", pm_last_error());
	return pool;
}

/* ------------------------------------------------- wake inside the callback */

struct ends {
	pm_pool *pool;
	unsigned given, taken, source_waits, sink_waits;
};

static int waking_source(void *ctx, struct pm_job *job)
{
	struct ends *e = ctx;
	if (e->given == 10) {
		return PM_SOURCE_END;
	}
	if (e->source_waits++ % 2 == 0) {
		pm_pool_wake(e->pool); /* what it waits for is there already */
		return PM_SOURCE_WAIT;
	}
	job->arg = "x";
	job->len = 1;
	e->given++;
	return PM_SOURCE_JOB;
}

static int waking_sink(void *ctx, const struct pm_result *result)
{
	struct ends *e = ctx;
	cr_assert_eq(result->error, 0);
	if (e->sink_waits++ % 2 == 0) {
		pm_pool_wake(e->pool);
		return PM_SINK_WAIT;
	}
	e->taken++;
	return PM_SINK_TAKEN;
}

Test(races, a_wake_up_before_the_callback_returns_is_not_lost, .timeout = 30)
{
	struct ends e = {.pool = open_pool(1, 2, 10000)};
	struct pm_stream stream = {.task = nothing,
		.source = waking_source,
		.sink = waking_sink,
		.ctx = &e};
	cr_assert_eq(pm_map_stream(e.pool, &stream), 0);
	cr_assert_eq(e.taken, 10);
	pm_pool_close(&e.pool);
}

/* ------------------------------------------------------ cancel in the source */

static int cancelling_source(void *ctx, struct pm_job *job)
{
	struct ends *e = ctx;
	job->arg = "x";
	job->len = 1;
	if (e->given++ == 3) {
		pm_pool_cancel(e->pool);
	}
	return PM_SOURCE_JOB;
}

static int no_sink(void *ctx, const struct pm_result *result)
{
	(void)ctx;
	(void)result;
	return PM_SINK_TAKEN;
}

/* The lifeline is faster than the pipeline: CANCEL must not overtake its jobs,
 * or they would sleep for a minute where the next map needs the worker. */
Test(races, cancel_reaches_jobs_that_were_sent_in_the_same_turn, .timeout = 30)
{
	struct ends e = {.pool = open_pool(1, 4, 10000)};
	struct pm_job job = {.arg = "y", .len = 1};
	for (int i = 0; i < 50; i++) {
		struct pm_result r;
		struct pm_stream stream = {.task = nap,
			.source = cancelling_source,
			.sink = no_sink,
			.ctx = &e};
		e.given = 0;
		cr_assert_eq(pm_map_stream(e.pool, &stream), PM_ECANCELLED);
		cr_assert_eq(pm_map(e.pool, nothing, &job, 1, &r), 0);
		cr_assert_eq(r.error, 0);
		pm_results_clear(&r, 1);
	}
	pm_pool_close(&e.pool);
}

/* -------------------------------------------------------------- many workers */

/* More than the forkserver's socket takes at once. */
Test(races, two_hundred_workers_start, .timeout = 60)
{
	pm_pool *pool = open_pool(200, 200, 10000);
	struct pm_job jobs[400];
	struct pm_result results[400];
	struct pm_pool_stats stats;
	for (int i = 0; i < 400; i++) {
		jobs[i] = (struct pm_job){.arg = "z", .len = 1};
	}
	do {
		cr_assert_eq(pm_map(pool, nothing, jobs, 400, results), 0);
		pm_results_clear(results, 400);
		pm_pool_stats(pool, &stats);
	} while (stats.workers_ready < 200);
	cr_assert_eq(stats.workers_lost, 0);
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------------- busy hosts */

/* The host does something else for longer than a worker may take to start: their
 * HELLOs lie unread meanwhile, and nobody is to blame. */
Test(races, workers_are_not_killed_for_the_time_their_master_was_busy, .timeout = 30)
{
	pm_pool *pool = open_pool(8, 8, 300);
	struct pm_job job = {.arg = "w", .len = 1};
	struct pm_result r;
	struct pm_pool_stats stats;
	uint64_t until = clock_now_ms() + 500;
	while (clock_now_ms() < until) {
	}
	do {
		cr_assert_eq(pm_map(pool, nothing, &job, 1, &r), 0);
		pm_results_clear(&r, 1);
		pm_pool_stats(pool, &stats);
	} while (stats.workers_ready < 8);
	cr_assert_eq(stats.workers_lost, 0, "%ju", (uintmax_t)stats.workers_lost);
	pm_pool_close(&pool);
}
