/* SPDX-License-Identifier: MIT
 *
 * Integration tests of many futures: waiting for several, how much may be handed in,
 * and what is left of them.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* --------------------------------------------------------------------- wait */

static void count_one(pm_future *f, void *ctx)
{
	(void)f;
	++*(unsigned *)ctx;
}

static int no_job(void *ctx, struct pm_job *job)
{
	(void)ctx;
	(void)job;
	return PM_SOURCE_END;
}

static int take(void *ctx, const struct pm_result *result)
{
	(void)ctx;
	(void)result;
	return PM_SINK_TAKEN;
}

/* What a callback uses may go when the wait is over: also when there was nothing to
 * wait for, and for a map, which ends late in a turn. */
Test(future_wait, returns_behind_the_callbacks, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 8);
	struct pm_stream stream = {.task = task_errand, .source = no_job, .sink = take};
	unsigned called = 0;
	pm_future *f[] = {submit(pool, DO_ECHO, 0, 0), NULL};
	cr_assert_eq(pm_map_async(pool, &stream, &f[1]), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(pm_future_on_done(f[i], count_one, &called), 0);
	}
	cr_assert_eq(pm_wait(f, 2, PM_ALL, PM_FOREVER, NULL), 0);
	cr_assert_eq(called, 2);
	cr_assert_eq(pm_future_on_done(f[0], count_one, &called), 0);
	cr_assert_eq(called, 2);
	cr_assert_eq(pm_wait_count(f, 2, 1, 0), 0);
	cr_assert_eq(called, 3);
	pm_future_free(&f[0]);
	pm_future_free(&f[1]);
	pm_pool_close(&pool);
}

Test(future_wait, wait_for_all_any_and_the_first_error, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 8);
	size_t which = 99;
	pm_future *f[] = {submit(pool, DO_WAIT, 0, 0), submit(pool, DO_WAIT, 1, 0),
		submit(pool, DO_ECHO, 2, 0)};
	cr_assert_eq(pm_wait(f, 3, PM_ANY, PM_FOREVER, &which), 0);
	cr_assert_eq(which, 2);
	check_error(pm_wait(f, 3, PM_ALL, 0, &which), PM_ETIMEDOUT, "a look");
	check_error(pm_wait(f, 3, PM_ALL, 20, &which), PM_ETIMEDOUT, "20 ms");
	check_error(pm_wait(f, 2, PM_ANY, 20, &which), PM_ETIMEDOUT, "any");
	cr_assert_eq(which, 2, "a time-out has changed it");
	pm_future *bad = submit(pool, DO_FAIL, 3, 1);
	pm_future *with_bad[] = {f[0], bad, f[1], f[2]};
	cr_assert_eq(pm_wait(with_bad, 4, PM_FIRST_ERROR, PM_FOREVER, &which), 0);
	cr_assert_eq(which, 1);
	gate_open();
	cr_assert_eq(pm_wait(f, 3, PM_FIRST_ERROR, PM_FOREVER, &which), 0);
	cr_assert_lt(which, 3);
	cr_assert_eq(pm_wait(f, 3, PM_ALL, PM_FOREVER, NULL), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(end_of(&f[i]), 0);
	}
	cr_assert_eq(end_of(&bad), PM_EFAILED);
	pm_pool_close(&pool);
}

Test(future_wait, wait_for_the_same_one_twice, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 8);
	size_t which = 99;
	pm_future *f = submit(pool, DO_ECHO, 0, 0);
	pm_future *twice[] = {f, f, f};
	cr_assert_eq(pm_wait(twice, 3, PM_ALL, PM_FOREVER, &which), 0);
	cr_assert_lt(which, 3);
	cr_assert_eq(pm_wait(twice, 3, PM_ANY, 0, &which), 0);
	cr_assert_eq(pm_wait(twice, 3, PM_FIRST_ERROR, 0, &which), 0);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

Test(future_wait, wait_for_none, .timeout = LIMIT)
{
	size_t which = 99;
	cr_assert_eq(pm_wait(NULL, 0, PM_ALL, PM_FOREVER, &which), 0);
	cr_assert_eq(which, 0);
	which = 99;
	cr_assert_eq(pm_wait(NULL, 0, PM_FIRST_ERROR, PM_FOREVER, &which), 0);
	cr_assert_eq(which, 0);
	check_error(pm_wait(NULL, 0, PM_ANY, 0, &which), PM_EINVAL, "any of none");
	check_error(pm_wait(NULL, 1, PM_ALL, 0, &which), PM_EINVAL, "no array");
	pm_future *null = NULL;
	check_error(pm_wait(&null, 1, PM_ALL, 0, &which), PM_EINVAL, "NULL in it");
	check_error(pm_wait(NULL, 0, (enum pm_wait_for)3, 0, &which), PM_EINVAL, "3");
}

static size_t done_ct(pm_future *const *f, size_t ct)
{
	size_t done = 0;
	for (size_t i = 0; i < ct; i++) {
		done += pm_future_state(f[i]) == PM_DONE;
	}
	return done;
}

Test(future_wait, wait_for_so_many_of_them, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 8);
	pm_future *f[6];
	for (uint32_t i = 0; i < 6; i++) {
		f[i] = submit(pool, i % 2 ? DO_WAIT : i == 2 ? DO_FAIL : DO_ECHO, i, 1);
	}
	cr_assert_eq(pm_wait_count(f, 6, 0, PM_FOREVER), 0);
	cr_assert_eq(done_ct(f, 6), 0, "the pool has run");
	cr_assert_eq(pm_wait_count(f, 6, 1, PM_FOREVER), 0);
	cr_assert_geq(done_ct(f, 6), 1);
	cr_assert_eq(pm_wait_count(f, 6, 3, PM_FOREVER), 0);
	cr_assert_eq(done_ct(f, 6), 3);
	cr_assert_eq(pm_wait_count(f, 6, 3, 0), 0, "they are done already");
	check_error(pm_wait_count(f, 6, 4, 20), PM_ETIMEDOUT, "a fourth");
	check_error(pm_wait_count(f, 6, 6, 0), PM_ETIMEDOUT, "all");
	check_error(pm_wait_count(f, 6, 7, 0), PM_EINVAL, "too many");
	check_error(pm_wait_count(NULL, 6, 1, 0), PM_EINVAL, "no array");
	pm_future *twice[] = {f[1], f[0], f[0]};
	cr_assert_eq(pm_wait_count(twice, 3, 2, 0), 0);
	gate_open();
	cr_assert_eq(pm_wait_count(f, 6, 5, PM_FOREVER), 0);
	cr_assert_eq(pm_wait_count(f, 6, 6, PM_FOREVER), 0);
	cr_assert_eq(done_ct(f, 6), 6);
	cr_assert_eq(pm_wait_count(NULL, 0, 0, PM_FOREVER), 0);
	for (int i = 0; i < 6; i++) {
		pm_future_free(&f[i]);
	}
	pm_pool_close(&pool);
}

/* Others that are waited for, and that end later. */
enum { OTHERS = 1000000, NAPS = 1000 };

static unsigned cpu_ms(void)
{
	struct timespec ts;
	cr_assert_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
	return (unsigned)(ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* Jobs that end one by one, behind so many that do not; the last one fails. */
static unsigned wait_behind(
	pm_pool *pool, pm_future *other, size_t other_ct, enum pm_wait_for what)
{
	static pm_future *f[OTHERS + NAPS];
	size_t which = 0;
	for (size_t i = 0; i < other_ct; i++) {
		f[i] = other;
	}
	for (uint32_t i = 0; i < NAPS; i++) {
		enum errand_what errand = i == NAPS - 1 ? DO_FAIL : DO_NAP;
		f[other_ct + i] = submit(pool, errand, i, 1);
	}
	unsigned before = cpu_ms();
	if (what == PM_FIRST_ERROR) {
		cr_assert_eq(pm_wait(f, other_ct + NAPS, what, 30000, &which), 0);
		cr_assert_eq(which, other_ct + NAPS - 1);
	} else {
		cr_assert_eq(pm_wait_count(f, other_ct + NAPS, NAPS, 30000), 0);
	}
	unsigned took = cpu_ms() - before;
	for (uint32_t i = 0; i < NAPS; i++) {
		pm_future_free(&f[other_ct + i]);
	}
	return took;
}

Test(future_wait, an_end_costs_the_same_however_many_are_waited_for, .timeout = LIMIT)
{
	if (RIG_SANITIZED) {
		return;
	}
	static const enum pm_wait_for ways[] = {PM_ALL, PM_FIRST_ERROR};
	pm_pool *pool = rig_pool(1, 4);
	pm_future *other = submit(pool, DO_WAIT, NAPS, 0);
	run_until_inside(pool, 1);
	for (int i = 0; i < 2; i++) {
		unsigned alone = wait_behind(pool, other, 0, ways[i]);
		unsigned behind = wait_behind(pool, other, OTHERS, ways[i]);
		cr_assert_lt(behind, alone + 200, "%u ms, and %u ms behind %d others",
			alone, behind, OTHERS);
	}
	gate_open();
	cr_assert_eq(end_of(&other), 0);
	pm_pool_close(&pool);
}

Test(future_wait, wait_for_two_pools_is_refused, .timeout = LIMIT)
{
	pm_pool *a = rig_pool(1, 1), *b = rig_pool(1, 1);
	pm_future *f[] = {submit(a, DO_ECHO, 0, 0), submit(b, DO_ECHO, 1, 0)};
	check_error(pm_wait(f, 2, PM_ALL, PM_FOREVER, NULL), PM_EINVAL, "two pools");
	cr_assert_eq(end_of(&f[0]), 0);
	cr_assert_eq(end_of(&f[1]), 0);
	pm_pool_close(&a);
	pm_pool_close(&b);
}

/* ----------------------------------------------------------------- how much */

Test(future_wait, queue_max_bounds_what_is_open, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 2);
	o.queue_max = 5;
	pm_pool *pool = rig_open(&o);
	pm_future *f[6] = {0};
	struct errand e = {.what = DO_WAIT};
	struct pm_job job = PM_JOB(e);
	cr_assert_eq(pm_pool_wait_room(pool, 0), 0);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(pm_submit(pool, task_errand, &job, &f[i]), 0);
	}
	check_error(pm_submit(pool, task_errand, &job, &f[5]), PM_EFULL, "the 6th");
	check_error(pm_submit(pool, task_errand, &job, NULL), PM_EFULL, "the 7th");
	cr_assert_null(f[5]);
	check_error(pm_pool_wait_room(pool, 0), PM_ETIMEDOUT, "a look");
	check_error(pm_pool_wait_room(pool, 30), PM_ETIMEDOUT, "30 ms");
	struct batch b = batch_new(20); /* maps have bounds of their own */
	cr_assert_eq(pm_future_cancel(f[4]), 0);
	cr_assert_eq(pm_pool_wait_room(pool, 0), 0);
	gate_open();
	batch_map(pool, task_echo, &b);
	batch_check(&b);
	cr_assert_eq(pm_submit(pool, task_errand, &job, &f[5]), 0);
	for (int i = 0; i < 6; i++) {
		cr_assert_eq(end_of(&f[i]), i == 4 ? PM_ECANCELLED : 0);
	}
	batch_free(&b);
	pm_pool_close(&pool);
}

Test(future_wait, is_not_needed_for_a_job_to_run, .timeout = LIMIT)
{
	enum { JOBS = 500 };
	pm_pool *pool = rig_pool(2, 16);
	for (uint32_t i = 0; i < JOBS; i++) {
		struct errand e = {.number = i, .what = i % 5 ? DO_ECHO : DO_FAIL};
		struct pm_job job = PM_JOB(e);
		cr_assert_eq(pm_submit(pool, task_errand, &job, NULL), 0);
	}
	pm_pool_close(&pool);
	for (uint32_t i = 0; i < JOBS; i++) {
		cr_assert_eq(atomic_load(&board->runs[i]), 1, "job %u", i);
	}
}

static void never(pm_future *f, void *ctx)
{
	(void)f;
	(void)ctx;
	cr_assert_fail("called back after the pool's end");
}

Test(future_wait, stays_readable_after_its_pool, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	pm_future *good = submit(pool, DO_ECHO, 1, 0);
	pm_future *bad = submit(pool, DO_FAIL, 2, 7);
	pm_future *cut = submit(pool, DO_NAP, 3, 60000);
	pm_future *both[] = {good, bad};
	cr_assert_eq(pm_wait(both, 2, PM_ALL, PM_FOREVER, NULL), 0);
	pm_pool_terminate(&pool);
	cr_assert_null(pool);
	cr_assert_eq(report_of(pm_future_result(good)).number, 1);
	cr_assert_eq(pm_future_result(bad)->code, 7);
	cr_assert_eq(pm_future_result(cut)->error, PM_ECANCELLED);
	cr_assert_eq(pm_future_state(cut), PM_DONE);
	check_error(pm_future_cancel(cut), PM_ESTATE, "done");
	pm_future *all[] = {good, bad, cut};
	cr_assert_eq(pm_wait(all, 3, PM_ALL, PM_FOREVER, NULL), 0);
	check_error(pm_future_on_done(good, never, NULL), PM_ESTATE, "no loop");
	pm_future_free(&good);
	pm_future_free(&bad);
	pm_future_free(&cut);
}

static void count_done(pm_future *f, void *ctx)
{
	cr_assert_eq(pm_future_result(f)->error, 0);
	++*(size_t *)ctx;
}

Test(future_wait, ten_thousand_of_them, .timeout = LIMIT)
{
	enum { JOBS = 10000 };
	static pm_future *f[JOBS];
	size_t called = 0, which = 0;
	pm_pool *pool = rig_pool(2, 64);
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_ECHO, i, 0);
		cr_assert_eq(pm_future_on_done(f[i], count_done, &called), 0);
	}
	cr_assert_eq(pm_wait(f, JOBS, PM_ANY, PM_FOREVER, &which), 0);
	cr_assert_eq(pm_future_state(f[which]), PM_DONE);
	cr_assert_eq(pm_wait(f, JOBS, PM_FIRST_ERROR, PM_FOREVER, NULL), 0);
	cr_assert_eq(pm_wait(f, JOBS, PM_ALL, PM_FOREVER, NULL), 0);
	for (uint32_t i = 0; i < JOBS; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).number, i);
		pm_future_free(&f[i]);
	}
	pm_pool_close(&pool);
	cr_assert_eq(called, JOBS);
}

/* Fifteen jobs for each worker, none of which ends: no more processes for that. */
Test(future_wait, waiting_jobs_make_no_processes, .timeout = LIMIT)
{
	enum { WORKERS = 3, JOBS = 15 * WORKERS };
	pm_pool *pool = rig_pool(WORKERS, WORKERS);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_WAIT, i, 0);
	}
	run_until_inside(pool, WORKERS);
	cr_assert_eq(rig_workers(NULL, 0), WORKERS);
	gate_open();
	cr_assert_eq(pm_wait(f, JOBS, PM_ALL, PM_FOREVER, NULL), 0);
	cr_assert_eq(rig_workers(NULL, 0), WORKERS);
	cr_assert_eq(atomic_load(&board->most), WORKERS);
	for (int i = 0; i < JOBS; i++) {
		pm_future_free(&f[i]);
	}
	pm_pool_close(&pool);
}

/* First come, first served. */
Test(future_wait, jobs_begin_in_the_order_of_their_coming, .timeout = LIMIT)
{
	enum { JOBS = 200 };
	pm_pool *pool = rig_pool(1, 1);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_TURN, i, 0);
	}
	cr_assert_eq(pm_wait(f, JOBS, PM_ALL, PM_FOREVER, NULL), 0);
	for (uint32_t i = 0; i < JOBS; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).turn, i);
		pm_future_free(&f[i]);
	}
	pm_pool_close(&pool);
}

static int task_too_big(pm_task *task, const void *arg, size_t len)
{
	static char bytes[2000];
	(void)arg;
	(void)len;
	return pm_return(task, bytes, sizeof(bytes));
}

/* Twenty in a row: an error of the job, or of the call; the worker is none the worse.
 */
Test(future_wait, what_is_too_big_fails_alone, .timeout = LIMIT)
{
	static const char bytes[2000];
	struct pm_pool_options o = rig_options(1, 2);
	o.max_bytes = 1000;
	pm_pool *pool = rig_open(&o);
	for (int i = 0; i < 20; i++) {
		struct pm_job small = {0}, big = {.arg = bytes, .len = sizeof(bytes)};
		pm_future *f = NULL;
		check_error(pm_submit(pool, task_echo, &big, &f), PM_ETOOBIG, "arg");
		cr_assert_null(f);
		cr_assert_eq(pm_submit(pool, task_too_big, &small, &f), 0);
		check_error(end_of(&f), PM_ETOOBIG, "result");
	}
	rig_check_works(pool);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	cr_assert_eq(rig_stats(pool).queued, 0);
	pm_pool_close(&pool);
}

/* Time limits of single jobs: only the one that is late ends. */
Test(future_wait, a_job_that_takes_too_long_ends, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 4);
	o.job_timeout_ms = 30000;
	pm_pool *pool = rig_open(&o);
	struct errand e = {.what = DO_NAP, .value = 60000};
	struct pm_job job = PM_JOB(e);
	pm_future *late = NULL, *good = submit(pool, DO_NAP, 1, 200);
	job.timeout_ms = 50;
	cr_assert_eq(pm_submit(pool, task_errand, &job, &late), 0);
	cr_assert_eq(pm_wait(&late, 1, PM_ALL, 20000, NULL), 0);
	cr_assert_neq(pm_future_state(good), PM_DONE);
	cr_assert_eq(end_of(&late), PM_ETIMEDOUT);
	cr_assert_eq(end_of(&good), 0);
	pm_pool_close(&pool);
}

Test(future_wait, stats_add_up, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	pm_future *f[10];
	for (uint32_t i = 0; i < 10; i++) {
		f[i] = submit(pool, DO_WAIT, i, 0);
	}
	cr_assert_eq(rig_stats(pool).jobs, 10);
	cr_assert_eq(rig_stats(pool).queued, 10);
	run_until_inside(pool, 2);
	cr_assert_eq(rig_stats(pool).held, 2);
	cr_assert_eq(rig_stats(pool).queued, 8);
	cr_assert_eq(pm_future_cancel(f[9]), 0);
	cr_assert_eq(rig_stats(pool).queued, 7);
	cr_assert_eq(rig_stats(pool).results, 1);
	gate_open();
	cr_assert_eq(pm_wait(f, 10, PM_ALL, PM_FOREVER, NULL), 0);
	cr_assert_eq(rig_stats(pool).results, 10);
	cr_assert_eq(rig_stats(pool).held + rig_stats(pool).queued, 0);
	for (int i = 0; i < 10; i++) {
		pm_future_free(&f[i]);
	}
	pm_pool_close(&pool);
}
