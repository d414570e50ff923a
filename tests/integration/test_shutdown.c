/* SPDX-License-Identifier: MIT
 *
 * Integration tests of the end of a pool: what still runs, what is cancelled, what is
 * refused, how long it takes, and that every job has its result.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

static void free_all(pm_future **f, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		pm_future_free(&f[i]);
	}
}

/* -------------------------------------------------------------------- drain */

Test(shutdown, drain_runs_what_was_taken, .timeout = LIMIT)
{
	enum { JOBS = 50 };
	struct pm_pool_options o = rig_options(2, 4);
	pm_pool *pool = rig_open(&o);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_NAP, i, 10);
	}
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	cr_assert_eq(pm_future_state(f[0]), PM_QUEUED, "shutdown does not block");
	cr_assert_eq(pm_pool_join(pool, PM_FOREVER), 0);
	for (uint32_t i = 0; i < JOBS; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).number, i);
	}
	cr_assert(wait_for(has_no_workers, NULL, 5000));
	cr_assert_eq(rig_stats(pool).workers_ready, 0);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	free_all(f, JOBS);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

static int never_source(void *ctx, struct pm_job *job)
{
	(void)ctx;
	(void)job;
	return PM_SOURCE_WAIT;
}

static int taking_sink(void *ctx, const struct pm_result *r)
{
	(void)r;
	++*(size_t *)ctx;
	return PM_SINK_TAKEN;
}

/* Whatever could hand in a job says PM_ECLOSED, before the join and after it. */
static void check_all_closed(pm_pool *pool)
{
	struct errand e = {0};
	struct pm_job job = PM_JOB(e);
	struct pm_result r;
	pm_future *f = NULL;
	pm_iter *it = NULL;
	const char *const strings[] = {"a"};
	size_t ct = 0;
	struct pm_stream s = {.task = task_errand,
		.source = never_source,
		.sink = taking_sink,
		.ctx = &ct};
	check_error(pm_submit(pool, task_errand, &job, &f), PM_ECLOSED, "submit");
	check_error(pm_map(pool, task_errand, &job, 1, &r), PM_ECLOSED, "map");
	check_error(pm_map(pool, task_errand, NULL, 0, NULL), PM_ECLOSED, "empty map");
	check_error(
		pm_starmap(pool, task_errand, &e, sizeof(e), 1, &r), PM_ECLOSED, "s");
	check_error(
		pm_map_strings(pool, task_errand, strings, 1, &r), PM_ECLOSED, "ms");
	check_error(
		pm_apply(pool, task_errand, &e, sizeof(e), &r), PM_ECLOSED, "apply");
	check_error(pm_map_stream(pool, &s), PM_ECLOSED, "stream");
	check_error(pm_map_async(pool, &s, &f), PM_ECLOSED, "async");
	s.sink = NULL;
	check_error(pm_imap(pool, &s, &it), PM_ECLOSED, "imap");
	cr_assert_null(f);
	cr_assert_null(it);
	cr_assert_eq(ct, 0);
}

Test(shutdown, nothing_is_taken_any_more, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	pm_future *f = submit(pool, DO_WAIT, 0, 0);
	run_until_inside(pool, 1);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	check_all_closed(pool);
	gate_open();
	cr_assert_eq(pm_pool_join(pool, PM_FOREVER), 0);
	check_all_closed(pool);
	cr_assert_eq(end_of(&f), 0);
	pm_pool_close(&pool);
}

/* --------------------------------------------------------------------- join */

Test(shutdown, an_open_pool_cannot_be_joined, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	check_error(pm_pool_join(pool, PM_FOREVER), PM_ESTATE, "open");
	check_error(pm_pool_join(NULL, PM_FOREVER), PM_EINVAL, "NULL");
	check_error(pm_pool_shutdown(NULL, PM_DRAIN, 0), PM_EINVAL, "NULL");
	check_error(pm_pool_shutdown(pool, (enum pm_shutdown)4, 0), PM_EINVAL, "3");
	rig_check_works(pool);
	pm_pool_close(&pool);
	pm_pool_close(&pool);
	pm_pool_terminate(&pool);
	pm_pool_close(NULL);
}

Test(shutdown, a_join_that_timed_out_can_be_tried_again, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	pm_future *f = submit(pool, DO_WAIT, 0, 0);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	run_until_inside(pool, 1);
	check_error(pm_pool_join(pool, 0), PM_ETIMEDOUT, "a look");
	check_error(pm_pool_join(pool, 30), PM_ETIMEDOUT, "30 ms");
	gate_open();
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	cr_assert_eq(pm_pool_join(pool, 0), 0);
	cr_assert_eq(end_of(&f), 0);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------- cancel */

Test(shutdown, cancels_what_is_queued, .timeout = LIMIT)
{
	enum { JOBS = 20, RUN = 2 };
	pm_pool *pool = rig_pool(RUN, RUN);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_WAIT, i, 0);
	}
	run_until_inside(pool, RUN);
	cr_assert_eq(pm_pool_shutdown(pool, PM_CANCEL_QUEUED, PM_FOREVER), 0);
	check_error(pm_pool_join(pool, 50), PM_ETIMEDOUT, "two run");
	gate_open();
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	size_t done = 0;
	for (uint32_t i = 0; i < JOBS; i++) {
		const struct pm_result *r = pm_future_result(f[i]);
		unsigned runs = atomic_load(&board->runs[i]);
		cr_assert_eq(r->error, runs ? 0 : PM_ECANCELLED, "job %u", i);
		done += r->error == 0;
	}
	cr_assert_eq(done, RUN);
	free_all(f, JOBS);
	pm_pool_close(&pool);
}

/* Those that wait in a worker's inbox have not begun, either. */
Test(shutdown, cancels_what_is_next_in_line, .timeout = LIMIT)
{
	enum { JOBS = 10 };
	pm_pool *pool = rig_pool(1, 1);
	struct errands warm = errands_new(3000, DO_ECHO, 0);
	cr_assert_eq(pm_map(pool, task_errand, warm.jobs, warm.ct, warm.results), 0);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_WAIT, 5000 + i, 0);
	}
	run_until_inside(pool, 1);
	cr_assert_eq(pm_future_state(f[1]), PM_SENT);
	cr_assert_eq(pm_pool_shutdown(pool, PM_CANCEL_QUEUED, PM_FOREVER), 0);
	check_error(pm_pool_join(pool, 50), PM_ETIMEDOUT, "one runs");
	gate_open();
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	for (uint32_t i = 0; i < JOBS; i++) {
		check_error(pm_future_result(f[i])->error, i ? PM_ECANCELLED : 0, "it");
		cr_assert_eq(atomic_load(&board->runs[5000 + i]), i ? 0 : 1);
	}
	free_all(f, JOBS);
	errands_free(&warm);
	pm_pool_close(&pool);
}

Test(shutdown, cancels_what_runs, .timeout = LIMIT)
{
	enum { JOBS = 20 };
	pm_pool *pool = rig_pool(2, 4);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_NAP, i, 60000);
	}
	run_until_inside(pool, 4);
	cr_assert_eq(pm_pool_shutdown(pool, PM_CANCEL_ALL, PM_FOREVER), 0);
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	for (uint32_t i = 0; i < JOBS; i++) {
		check_error(pm_future_result(f[i])->error, PM_ECANCELLED, "it");
	}
	cr_assert_eq(atomic_load(&board->inside), 0, "tasks were not told");
	cr_assert_eq(rig_stats(pool).workers_lost, 0, "workers were killed");
	free_all(f, JOBS);
	pm_pool_close(&pool);
}

/* A task that does not listen. */
static int task_deaf(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	board_enter();
	while (pm_sleep(task, 5) == 0 || !atomic_load(&board->runs[77])) {
	}
	board_leave();
	return 0;
}

Test(shutdown, kills_what_does_not_listen_after_the_grace, .timeout = LIMIT)
{
	struct pm_job job = {0};
	struct pm_pool_options o = rig_options(1, 2);
	pm_pool *pool = rig_open(&o);
	pm_future *f = NULL;
	cr_assert_eq(pm_submit(pool, task_deaf, &job, &f), 0);
	run_until_inside(pool, 1);
	uint64_t began = clock_now_ms();
	cr_assert_eq(pm_pool_shutdown(pool, PM_CANCEL_ALL, 200), 0);
	check_error(pm_pool_join(pool, 50), PM_ETIMEDOUT, "it has its grace");
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	cr_assert_geq(clock_now_ms() - began, 190);
	cr_assert_lt(clock_now_ms() - began, 5000);
	check_error(pm_future_result(f)->error, PM_ECANCELLED, "it");
	cr_assert_eq(rig_stats(pool).workers_lost, 0, "it was asked for");
	pm_future_free(&f);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

/* ------------------------------------------------------------------- harder */

Test(shutdown, a_second_one_makes_it_harder, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	pm_future *runs = submit(pool, DO_NAP, 0, 60000);
	pm_future *waits = submit(pool, DO_NAP, 1, 60000);
	run_until_inside(pool, 1);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	check_error(pm_pool_join(pool, 30), PM_ETIMEDOUT, "drain");
	cr_assert_eq(pm_pool_shutdown(pool, PM_CANCEL_QUEUED, PM_FOREVER), 0);
	check_error(pm_pool_join(pool, 30), PM_ETIMEDOUT, "cancel queued");
	cr_assert_eq(pm_future_state(waits), PM_DONE);
	cr_assert_neq(pm_future_state(runs), PM_DONE);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	cr_assert_eq(pm_pool_shutdown(pool, PM_CANCEL_ALL, PM_FOREVER), 0);
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	cr_assert_eq(end_of(&runs), PM_ECANCELLED);
	cr_assert_eq(end_of(&waits), PM_ECANCELLED);
	pm_pool_close(&pool);
}

Test(shutdown, a_second_one_cannot_put_off_the_end, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	pm_future *f = submit(pool, DO_NAP, 0, 60000);
	run_until_inside(pool, 1);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, 100), 0);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, 50000), 0);
	cr_assert_eq(pm_pool_shutdown(pool, PM_CANCEL_QUEUED, PM_FOREVER), 0);
	uint64_t began = clock_now_ms();
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	cr_assert_lt(clock_now_ms() - began, 10000);
	cr_assert_eq(end_of(&f), PM_ECANCELLED);
	pm_pool_close(&pool);
}

Test(shutdown, a_second_one_with_less_grace_counts, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	pm_future *f = submit(pool, DO_NAP, 0, 60000);
	run_until_inside(pool, 1);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, 50000), 0);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, 100), 0);
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	cr_assert_eq(end_of(&f), PM_ECANCELLED);
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------------- terminate */

Test(shutdown, ten_thousand_sleepers_are_terminated_quickly, .timeout = LIMIT)
{
	enum { JOBS = 10000 };
	static pm_future *f[JOBS];
	struct pm_pool_options o = rig_options(2, 16);
	pm_pool *pool = rig_open(&o);
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_NAP, i, 60000);
	}
	run_until_inside(pool, 16);
	uint64_t began = clock_now_ms();
	pm_pool_terminate(&pool);
	cr_assert_lt(clock_now_ms() - began, RIG_SANITIZED ? 15000 : 3000);
	rig_check_nothing_left(o.runtime_dir);
	for (uint32_t i = 0; i < JOBS; i++) {
		check_error(pm_future_result(f[i])->error, PM_ECANCELLED, "it");
	}
	free_all(f, JOBS);
}

/* --------------------------------------------------------- while others die */

Test(shutdown, goes_on_while_a_worker_dies, .timeout = LIMIT)
{
	enum { JOBS = 40 };
	struct pm_pool_options o = rig_options(2, 4);
	pm_pool *pool = rig_open(&o);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_NAP, i, 20);
	}
	run_until_inside(pool, 4);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	struct pm_worker_info info;
	cr_assert_eq(pm_worker_info(pool, 0, &info), 0);
	kill((pid_t)info.pid, SIGKILL);
	cr_assert_eq(pm_worker_info(pool, 1, &info), 0);
	kill((pid_t)info.pid, SIGKILL);
	cr_assert_eq(pm_pool_join(pool, 30000), 0);
	for (uint32_t i = 0; i < JOBS; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).number, i);
	}
	free_all(f, JOBS);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

/* Submitted and cancelled just before the end. */
Test(shutdown, submit_and_cancel_just_before_it, .timeout = LIMIT)
{
	for (int round = 0; round < 20; round++) {
		pm_pool *pool = rig_pool(1, 2);
		pm_future *f[10];
		for (uint32_t i = 0; i < 10; i++) {
			f[i] = submit(pool, DO_NAP, i, 1);
		}
		for (int i = 0; i < round % 4; i++) {
			cr_assert_eq(pm_pool_step(pool), 0);
		}
		for (int i = round % 3; i < 10; i += 2) {
			(void)pm_future_cancel(f[i]);
		}
		pm_pool_close(&pool);
		for (int i = 0; i < 10; i++) {
			cr_assert_eq(pm_future_state(f[i]), PM_DONE);
		}
		free_all(f, 10);
	}
}

/* ------------------------------------------------------ with max_jobs_per_worker */

static void close_with_max(unsigned max, unsigned workers, uint32_t ct)
{
	struct pm_pool_options o = rig_options(workers, workers);
	pm_future *f[16];
	o.max_jobs_per_worker = max;
	pm_pool *pool = rig_open(&o);
	for (uint32_t i = 0; i < ct; i++) {
		f[i] = submit(pool, DO_NAP, i, 5);
	}
	pm_pool_close(&pool);
	for (uint32_t i = 0; i < ct; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).number, i,
			"max %u, workers %u, job %u", max, workers, i);
	}
	free_all(f, ct);
	rig_check_nothing_left(o.runtime_dir);
}

Test(shutdown, with_recycled_workers_answers_all, .timeout = LIMIT)
{
	close_with_max(1, 3, 6);
	close_with_max(1, 2, 6);
	close_with_max(2, 2, 8);
	close_with_max(1, 1, 4);
}

/* Just as the last worker reaches its limit. */
Test(shutdown, terminates_while_workers_are_recycled, .timeout = LIMIT)
{
	for (int round = 0; round < 10; round++) {
		struct pm_pool_options o = rig_options(2, 2);
		pm_future *f[8];
		o.max_jobs_per_worker = 1;
		pm_pool *pool = rig_open(&o);
		for (uint32_t i = 0; i < 8; i++) {
			f[i] = submit(pool, DO_ECHO, i, 0);
		}
		cr_assert_eq(pm_wait(f, 8, PM_ANY, 20000, NULL), 0);
		for (int i = 0; i < round; i++) {
			cr_assert_eq(pm_pool_step(pool), 0);
		}
		pm_pool_terminate(&pool);
		for (int i = 0; i < 8; i++) {
			int error = pm_future_result(f[i])->error;
			cr_assert(error == 0 || error == PM_ECANCELLED);
		}
		free_all(f, 8);
		rig_check_nothing_left(o.runtime_dir);
	}
}
