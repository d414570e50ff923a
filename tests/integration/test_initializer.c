/* SPDX-License-Identifier: MIT
 *
 * The host's initializer and finalizer in workers that come later, and initializers
 * that fail or hang: who waits for such a worker is told.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* What the initializers count, in places of the board that no job has. */
enum { BEGUN = BOARD_JOBS - 2, ENDED = BOARD_JOBS - 3, BROKEN = BOARD_JOBS - 4 };

static bool is_broken(void)
{
	return atomic_load(&board->runs[BROKEN]);
}

static int init_counted(const void *arg, size_t len)
{
	static int32_t pid;
	(void)arg;
	(void)len;
	if (is_broken()) {
		return pm_worker_fail("no database any more");
	}
	pid = (int32_t)getpid();
	pm_worker_set_data(&pid);
	atomic_fetch_add(&board->runs[BEGUN], 1);
	return 0;
}

static void fini_counted(void)
{
	atomic_fetch_add(&board->runs[ENDED], 1);
}

/* A task: the pid that its worker's initializer has seen. */
static int task_initialized_in(pm_task *task, const void *arg, size_t len)
{
	const int32_t *pid = pm_worker_data();
	(void)arg;
	(void)len;
	if (!pid || *pid != (int32_t)getpid()) {
		return pm_fail(task, 1, "this worker was not initialized");
	}
	return pm_return(task, pid, sizeof(*pid));
}

static struct pm_pool_options counted_options(void)
{
	struct pm_pool_options o = rig_options(1, 1);
	o.init = init_counted;
	o.fini = fini_counted;
	return o;
}

static int32_t initialized_in(pm_pool *pool)
{
	struct pm_result r;
	int32_t pid;
	cr_assert_eq(pm_apply(pool, task_initialized_in, NULL, 0, &r), 0);
	cr_assert_eq(r.error, 0, "%s", r.message);
	memcpy(&pid, r.bytes, sizeof(pid));
	pm_results_clear(&r, 1);
	return pid;
}

static void kill_worker(pm_pool *pool)
{
	struct pm_worker_info info;
	cr_assert_eq(pm_worker_info(pool, 0, &info), 0);
	cr_assert_eq(kill((pid_t)info.pid, SIGKILL), 0);
}

static bool has_lost(void *pool)
{
	return rig_stats(pool).workers_lost > 0;
}

/* ------------------------------------------------------------------ successors */

Test(initializer, runs_in_each_recycled_worker_and_so_does_the_finalizer,
	.timeout = LIMIT)
{
	struct pm_pool_options o = counted_options();
	o.max_jobs_per_worker = 2;
	pm_pool *pool = rig_open(&o);
	int32_t last = 0;
	for (int i = 0; i < 8; i++) {
		int32_t pid = initialized_in(pool);
		cr_assert_eq(pid == last, i % 2 == 1, "job %d", i);
		last = pid;
	}
	pm_pool_close(&pool);
	cr_assert_geq(atomic_load(&board->runs[BEGUN]), 4);
	cr_assert_eq(
		atomic_load(&board->runs[BEGUN]), atomic_load(&board->runs[ENDED]));
}

/* The finalizer does not run in one that is killed. */
Test(initializer, runs_in_the_successor_of_a_worker_that_died, .timeout = LIMIT)
{
	struct pm_pool_options o = counted_options();
	pm_pool *pool = rig_open(&o);
	int32_t first = initialized_in(pool);
	kill_worker(pool);
	run_until(pool, has_lost, pool);
	cr_assert_neq(initialized_in(pool), first);
	pm_pool_close(&pool);
	cr_assert_eq(atomic_load(&board->runs[BEGUN]), 2);
	cr_assert_eq(atomic_load(&board->runs[ENDED]), 1);
}

/* ------------------------------------------------------------------ failures */

/* No worker can be had any more: whatever waits is told why, and nothing hangs. */
Test(initializer, that_fails_later_fails_all_that_waits, .timeout = LIMIT)
{
	struct pm_pool_options o = counted_options();
	pm_pool *pool = rig_open(&o);
	pm_future *f[4];
	for (uint32_t i = 0; i < 4; i++) {
		f[i] = submit(pool, DO_NAP, i, 60000);
	}
	run_until_inside(pool, 1);
	atomic_store(&board->runs[BROKEN], 1);
	kill_worker(pool);
	cr_assert_eq(pm_wait(f, 4, PM_ALL, 40000, NULL), 0);
	for (int i = 0; i < 4; i++) {
		const struct pm_result *r = pm_future_result(f[i]);
		check_error(r->error, PM_EWORKERS, "it waited for a worker");
		cr_assert(strstr(r->message, "no database any more"), "%s", r->message);
		pm_future_free(&f[i]);
	}
	struct pm_result r;
	check_error(pm_apply(pool, task_echo, "x", 1, &r), PM_EWORKERS, "the next job");
	cr_assert(
		strstr(pm_last_error(), "no database any more"), "%s", pm_last_error());
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

static int init_for_ever(const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	for (;;) {
		pause();
	}
	return 0;
}

Test(initializer, that_hangs_is_given_up_in_time, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 1);
	pm_pool *pool = NULL;
	o.init = init_for_ever;
	o.start_timeout_ms = 300;
	uint64_t began = clock_now_ms();
	check_error(pm_pool_open(&pool, &o), PM_EWORKERS, "open");
	uint64_t took = clock_now_ms() - began;
	cr_assert_null(pool);
	cr_assert(strstr(pm_last_error(), "not ready within 300 ms"), "%s",
		pm_last_error());
	cr_assert_lt(took, 10000, "%ju ms", (uintmax_t)took);
	rig_check_nothing_left(o.runtime_dir);
}

/* ------------------------------------------------------------------ processes */

/* The forkserver, and workers: no process that the host has not asked for. */
Test(initializer, runs_in_no_process_but_the_workers, .timeout = LIMIT)
{
	struct pm_pool_options o = counted_options();
	o.workers = o.concurrency = 3;
	pid_t pids[16];
	pm_pool *pool = rig_full_pool(&o);
	cr_assert_eq(process_children(getpid(), pids, 16), 1);
	cr_assert_eq(pids[0], forkserver_of(getpid()));
	cr_assert_eq(rig_workers(pids, 16), 3);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(process_children(pids[i], NULL, 0), 0);
	}
	cr_assert_eq(atomic_load(&board->runs[BEGUN]), 3);
	pm_pool_close(&pool);
}
