/* SPDX-License-Identifier: MIT
 *
 * Integration tests of max_jobs_per_worker: workers are replaced after exactly that
 * many jobs, and nobody notices but by the pids.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* How many jobs each process did. */
struct census {
	struct {
		int32_t pid;
		unsigned jobs;
	} of[512];
	size_t ct;
};

static void census_add(struct census *c, int32_t pid)
{
	size_t i = 0;
	while (i < c->ct && c->of[i].pid != pid) {
		i++;
	}
	if (i == c->ct) {
		cr_assert_lt(c->ct, 512);
		c->of[c->ct++].pid = pid;
	}
	c->of[i].jobs++;
}

static void census_take(struct census *c, const struct errands *e)
{
	for (size_t i = 0; i < e->ct; i++) {
		census_add(c, report_of(&e->results[i]).pid);
	}
}

static pm_pool *recycling_pool(unsigned workers, unsigned concurrency, unsigned max)
{
	struct pm_pool_options o = rig_options(workers, concurrency);
	o.max_jobs_per_worker = max;
	return rig_open(&o);
}

static void map(pm_pool *pool, struct errands *e)
{
	int err = pm_map(pool, task_errand, e->jobs, e->ct, e->results);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
}

static unsigned census_most(const struct census *c)
{
	unsigned most = 0;
	for (size_t i = 0; i < c->ct; i++) {
		most = c->of[i].jobs > most ? c->of[i].jobs : most;
	}
	return most;
}

/* ------------------------------------------------------------------- exactly */

/* One after the other: A, A, A, B, B, B, C ... */
Test(recycle, after_exactly_that_many_jobs, .timeout = LIMIT)
{
	enum { MAX = 3, JOBS = 14 };
	pm_pool *pool = recycling_pool(1, 4, MAX);
	int32_t pids[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		struct errand e = {.number = i};
		struct pm_result r;
		cr_assert_eq(pm_apply(pool, task_errand, &e, sizeof(e), &r), 0);
		pids[i] = report_of(&r).pid;
		pm_results_clear(&r, 1);
		bool same = i % MAX != 0;
		cr_assert(i == 0 || (pids[i] == pids[i - 1]) == same, "job %u", i);
	}
	cr_assert_geq(rig_stats(pool).workers_recycled, JOBS / MAX - 1);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
}

Test(recycle, under_load_no_process_does_more, .timeout = LIMIT)
{
	static struct census c;
	pm_pool *pool = recycling_pool(3, 12, 10);
	struct errands e = errands_new(100, DO_ECHO, 0);
	map(pool, &e);
	errands_check(&e);
	census_take(&c, &e);
	cr_assert_leq(census_most(&c), 10, "%u jobs in one", census_most(&c));
	cr_assert_geq(c.ct, 10);
	cr_assert_gt(rig_stats(pool).workers_recycled, 0);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	cr_assert_eq(rig_stats(pool).jobs_rerun, 0);
	errands_free(&e);
	pm_pool_close(&pool);
}

/* Prefetch, batches of jobs in one frame: they count as jobs. */
Test(recycle, thousands_of_quick_jobs, .timeout = LIMIT)
{
	enum { MAX = 100 };
	static struct census c;
	pm_pool *pool = recycling_pool(2, 32, MAX);
	struct errands e = errands_new(3000, DO_ECHO, 0);
	map(pool, &e);
	errands_check(&e);
	census_take(&c, &e);
	cr_assert_leq(census_most(&c), MAX);
	cr_assert_geq(c.ct, 3000 / MAX);
	for (uint32_t i = 0; i < e.ct; i++) {
		cr_assert_eq(atomic_load(&board->runs[i]), 1);
	}
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(recycle, after_each_job, .timeout = LIMIT)
{
	static struct census c;
	pm_pool *pool = recycling_pool(2, 8, 1);
	struct errands e = errands_new(30, DO_ECHO, 0);
	map(pool, &e);
	census_take(&c, &e);
	cr_assert_eq(c.ct, 30);
	cr_assert_eq(census_most(&c), 1);
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(recycle, never_by_default, .timeout = LIMIT)
{
	static struct census c;
	pm_pool *pool = rig_pool(2, 8);
	struct errands e = errands_new(1000, DO_ECHO, 0);
	map(pool, &e);
	census_take(&c, &e);
	cr_assert_leq(c.ct, 2);
	cr_assert_eq(rig_stats(pool).workers_recycled, 0);
	errands_free(&e);
	pm_pool_close(&pool);
}

/* Failures are jobs like any other. */
Test(recycle, counts_jobs_that_failed, .timeout = LIMIT)
{
	pm_pool *pool = recycling_pool(1, 1, 2);
	struct errands e = errands_new(8, DO_FAIL, 0);
	map(pool, &e);
	struct errands probe = errands_new(1, DO_ECHO, 0);
	map(pool, &probe);
	cr_assert_geq(rig_stats(pool).workers_recycled, 3);
	errands_free(&e);
	errands_free(&probe);
	pm_pool_close(&pool);
}

/* ----------------------------------------------------------- while others sleep */

static bool recycled_one(void *ctx)
{
	return rig_stats(ctx).workers_recycled > 0;
}

/* The worker that has had its share waits for the sleeper; its successor does not. */
Test(recycle, waits_for_a_job_that_sleeps, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 4);
	o.max_jobs_per_worker = 2;
	pm_pool *pool = rig_full_pool(&o);
	pm_future *sleeper = submit(pool, DO_WAIT, 0, 0);
	run_until_inside(pool, 1);
	pm_future *quick = submit(pool, DO_ECHO, 1, 0); /* its second, and last */
	pm_future *late = submit(pool, DO_ECHO, 2, 0);
	cr_assert_eq(pm_wait(&late, 1, PM_ALL, 20000, NULL), 0, "nobody took over");
	cr_assert_neq(pm_future_state(sleeper), PM_DONE);
	cr_assert_eq(rig_stats(pool).workers_recycled, 0, "it still has a job");
	gate_open();
	cr_assert_eq(pm_wait(&sleeper, 1, PM_ALL, 20000, NULL), 0);
	int32_t first = report_of(pm_future_result(sleeper)).pid;
	cr_assert_eq(report_of(pm_future_result(quick)).pid, first);
	cr_assert_neq(report_of(pm_future_result(late)).pid, first);
	run_until(pool, recycled_one, pool);
	pm_future_free(&sleeper);
	pm_future_free(&quick);
	pm_future_free(&late);
	pm_pool_close(&pool);
}

/* Successors, too, count for the concurrency of the pool: what sleeps in those that
 * finish still runs. */
Test(recycle, keeps_to_the_concurrency, .timeout = LIMIT)
{
	enum { CONCURRENCY = 4 };
	pm_pool *pool = recycling_pool(2, CONCURRENCY, 2);
	struct errands e = errands_new(40, DO_NAP, 30);
	map(pool, &e);
	errands_check(&e);
	cr_assert_leq(atomic_load(&board->most), CONCURRENCY,
		"%d tasks ran at once, where %d may", atomic_load(&board->most),
		CONCURRENCY);
	errands_free(&e);
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------------- with deaths */

/* Deaths on the way: every job still has its one result, and no process does more
 * than its share. */
Test(recycle, with_deaths_at_the_same_time, .timeout = LIMIT)
{
	enum { MAX = 7, JOBS = 200 };
	static struct census c;
	pm_pool *pool = recycling_pool(3, 9, MAX);
	struct errands e = errands_new(JOBS, DO_ECHO, 0);
	for (size_t i = 10; i < JOBS; i += 60) {
		e.list[i].what = DO_KILL;
		e.list[i].value = SIGKILL;
	}
	map(pool, &e);
	for (size_t i = 0; i < JOBS; i++) {
		if (e.list[i].what == DO_KILL) {
			check_error(e.results[i].error, PM_EWORKERLOST, "the guilty");
		} else {
			census_add(&c, report_of(&e.results[i]).pid);
		}
	}
	cr_assert_leq(census_most(&c), MAX);
	cr_assert_gt(rig_stats(pool).workers_lost, 0);
	errands_free(&e);
	pm_pool_close(&pool);
}

/* A worker, and the spare slot for its successor; and no more. */
Test(recycle, tells_of_each_worker, .timeout = LIMIT)
{
	pm_pool *pool = recycling_pool(1, 1, 2);
	struct pm_worker_info info;
	cr_assert_eq(pm_worker_info(pool, 0, &info), 0);
	cr_assert(!info.ended);
	cr_assert_eq(info.starts, 1);
	cr_assert_eq(pm_worker_info(pool, 1, &info), 0);
	cr_assert_eq(info.pid, 0);
	struct errands e = errands_new(5, DO_ECHO, 0);
	map(pool, &e);
	unsigned starts = 0, ends = 0;
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(pm_worker_info(pool, i, &info), 0);
		starts += info.starts;
		ends += info.ended;
		cr_assert_eq(info.exit_code, 0);
		cr_assert_leq(info.taken, 2);
	}
	cr_assert_geq(starts, 3);
	cr_assert_geq(ends, 1);
	check_error(pm_worker_info(pool, 2, &info), PM_EINVAL, "no such slot");
	errands_free(&e);
	pm_pool_close(&pool);
}
