/* SPDX-License-Identifier: MIT
 *
 * The worker's core in real workers: the host's own functions in it, children,
 * deadlines, cancellation, added jobs, and what it tells of a task that overran its
 * stack.
 */
#include "tests/support/pool_rig.h"

#include <sys/resource.h>

/* ------------------------------------------------------------ the host's functions */

static int init_well(const void *arg, size_t len)
{
	static char data[64];
	if (len >= sizeof data || !pm_worker_base()) {
		return pm_worker_fail("the initializer has no base");
	}
	memcpy(data, arg, len);
	pm_worker_set_data(data);
	atomic_fetch_add(&board->seen, 1);
	return 0;
}

static void count_fini(void)
{
	atomic_fetch_add(&board->inside, 1);
}

static int task_return_data(pm_task *task, const void *arg, size_t len)
{
	const char *data = pm_worker_data();
	(void)arg;
	(void)len;
	return pm_return(task, data, strlen(data));
}

static bool all_have_ended(void *unused)
{
	(void)unused;
	return atomic_load(&board->inside) == 3;
}

static bool all_are_ready(void *pool)
{
	return pm_pool_step(pool) == 0 && rig_stats(pool).workers_ready == 3;
}

Test(worker, runs_the_hosts_functions_at_both_ends, .timeout = 60)
{
	struct pm_pool_options o = rig_options(3, 3);
	struct pm_result results[30];
	struct pm_job jobs[30] = {{0}};
	o.init = init_well;
	o.init_arg = "from the host";
	o.init_len = 14;
	o.fini = count_fini;
	pm_pool *pool = rig_open(&o);
	cr_assert(wait_for(all_are_ready, pool, 10000));
	cr_assert_eq(pm_map(pool, task_return_data, jobs, 30, results), 0);
	for (int i = 0; i < 30; i++) {
		cr_assert_eq(results[i].error, 0, "%s", results[i].message);
		cr_assert_str_eq(results[i].bytes, "from the host");
	}
	pm_results_clear(results, 30);
	pm_pool_close(&pool);
	cr_assert(wait_for(all_have_ended, NULL, 5000), "%d began, %d ended",
		atomic_load(&board->seen), atomic_load(&board->inside));
	cr_assert_eq(atomic_load(&board->seen), 3);
	cr_assert_null(pm_worker_base(), "not in the host");
	cr_assert_null(pm_worker_data());
}

static int init_badly(const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_worker_fail("no database here");
}

Test(worker, says_why_it_cannot_start, .timeout = 60)
{
	struct pm_pool_options o = rig_options(1, 1);
	pm_pool *pool = NULL;
	o.init = init_badly;
	o.fini = count_fini;
	cr_assert_eq(pm_pool_open(&pool, &o), PM_EWORKERS);
	cr_assert_null(pool);
	cr_assert_not_null(
		strstr(pm_last_error(), "no database here"), "%s", pm_last_error());
	cr_assert_eq(atomic_load(&board->inside), 0);
}

static void note_error(pm_task *task, const struct pm_failure *failure)
{
	(void)task;
	atomic_fetch_add(&board->seen, failure->code);
}

static int task_fail_by_number(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	return task_number(arg) % 2 ? pm_fail(task, (int)task_number(arg), "odd") : 0;
}

Test(worker, tells_the_host_of_failed_jobs, .timeout = 60)
{
	struct pm_pool_options o = rig_options(2, 8);
	struct batch b = batch_new(10);
	o.on_job_error = note_error;
	pm_pool *pool = rig_open(&o);
	batch_map(pool, task_fail_by_number, &b);
	cr_assert_eq(atomic_load(&board->seen), 1 + 3 + 5 + 7 + 9);
	batch_free(&b);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------ children */

static int child_sleep(pm_task *task, const void *arg, size_t len)
{
	board_enter();
	int err = pm_sleep(task, task_number(arg));
	board_leave();
	return err ? err : pm_return(task, arg, len);
}

enum { CHILDREN = 10000 };

static int task_have_children(pm_task *task, const void *arg, size_t len)
{
	static struct pm_task *children[CHILDREN];
	uint32_t ms = task_number(arg);
	for (uint32_t i = 0; i < CHILDREN; i++) {
		int err = pm_spawn(task, child_sleep, arg, len, &children[i]);
		if (err) {
			return err;
		}
	}
	int err = pm_gather(task, children, CHILDREN);
	if (err) {
		return err;
	}
	for (uint32_t i = 0; i < CHILDREN; i++) {
		const struct pm_result *r = pm_child_result(children[i]);
		if (r->error || memcmp(r->bytes, &ms, sizeof ms) != 0) {
			return pm_fail(task, (int)i, "child %u: %s", i,
				pm_error_name(r->error));
		}
	}
	return pm_return(task, &ms, sizeof ms);
}

Test(worker, has_room_for_ten_thousand_children, .timeout = 120)
{
	uint32_t ms = 100;
	struct pm_job job = PM_JOB(ms);
	struct pm_result result;
	pm_pool *pool = rig_pool(1, 1);
	cr_assert_eq(pm_map(pool, task_have_children, &job, 1, &result), 0);
	cr_assert_eq(result.error, 0, "%s", result.message);
	cr_assert_eq(atomic_load(&board->most), CHILDREN);
	pm_results_clear(&result, 1);
	pm_pool_close(&pool);
}

Test(worker, ends_a_job_with_its_children_in_time, .timeout = 120)
{
	uint32_t ms = 600000;
	struct pm_job job = PM_JOB(ms);
	struct pm_result result;
	pm_pool *pool = rig_pool(1, 1);
	job.timeout_ms = 300;
	cr_assert_eq(pm_map(pool, task_have_children, &job, 1, &result), 0);
	cr_assert_eq(result.error, PM_ETIMEDOUT, "%s", result.message);
	cr_assert_str_eq(result.message, "ran for more than 300 ms");
	cr_assert_eq(atomic_load(&board->inside), 0, "none is left");
	pm_results_clear(&result, 1);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------ cancellation */

static int task_sleep_long(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	board_enter();
	int err = pm_sleep(task, 600000);
	board_leave();
	return err;
}

/* Thousands sleep in one worker: each is found and told, and the pool goes on. */
Test(worker, cancels_ten_thousand_sleepers, .timeout = 120)
{
	enum { CT = 10000 };
	struct pm_pool_options o = rig_options(1, CT);
	struct batch b = batch_new(CT);
	struct pm_map_options map = {.timeout_ms = 500};
	pm_pool *pool = rig_open(&o);
	uint64_t from = clock_now_ms();
	cr_assert_eq(
		pm_map_with(pool, task_sleep_long, b.jobs, CT, &map, b.results), 0);
	uint64_t took = clock_now_ms() - from;
	for (size_t i = 0; i < CT; i++) {
		cr_assert_eq(b.results[i].error, PM_ETIMEDOUT);
	}
	cr_assert_lt(took, RIG_SANITIZED ? 60000 : 10000, "%ju ms", (uintmax_t)took);
	cr_assert(wait_for(board_is_quiet, NULL, 10000));
	batch_free(&b);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------ added jobs */

/* A tree of jobs: each adds two, down to the leaves. */
static int task_add_two(pm_task *task, const void *arg, size_t len)
{
	uint32_t depth = task_number(arg);
	uint32_t next = depth - 1;
	struct pm_job job = PM_JOB(next);
	for (int i = 0; i < 2 && depth > 0; i++) {
		int err = pm_emit(task, task_add_two, &job);
		if (err) {
			return err;
		}
	}
	return pm_return(task, arg, len);
}

struct tree {
	struct pm_array roots; /* first: it is the source */
	size_t at_depth[8];
};

static int count_depth(void *ctx, const struct pm_result *result)
{
	struct tree *tree = ctx;
	cr_assert_eq(result->error, 0, "%s", result->message);
	tree->at_depth[task_number(result->bytes)]++;
	return PM_SINK_TAKEN;
}

Test(worker, adds_jobs_to_a_map, .timeout = 60)
{
	uint32_t depth = 7;
	struct pm_job job = PM_JOB(depth);
	struct tree tree = {.roots = {.jobs = &job, .ct = 1}};
	struct pm_stream stream = {.task = task_add_two,
		.source = pm_array_next,
		.sink = count_depth,
		.ctx = &tree};
	pm_pool *pool = rig_pool(2, 8);
	cr_assert_eq(pm_map_stream(pool, &stream), 0, "%s", pm_last_error());
	for (size_t i = 0; i < 8; i++) {
		cr_assert_eq(tree.at_depth[i], (size_t)1 << (7 - i), "depth %zu: %zu",
			i, tree.at_depth[i]);
	}
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------ descriptors */

static int task_open_and_forget(pm_task *task, const void *arg, size_t len)
{
	int fd = task_number(arg) % 3 ? 0 : open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? PM_ESYSTEM : pm_return(task, arg, len);
}

Test(worker, finds_descriptors_that_are_left_open, .timeout = 60)
{
	struct pm_pool_options o = rig_options(2, 2);
	struct batch b = batch_new(30);
	o.check_descriptors = true;
	pm_pool *pool = rig_open(&o);
	batch_map(pool, task_open_and_forget, &b);
	for (size_t i = 0; i < b.ct; i++) {
		int want = i % 3 ? 0 : PM_ELEAK;
		cr_assert_eq(
			b.results[i].error, want, "%zu: %s", i, b.results[i].message);
		cr_assert(!want || strstr(b.results[i].message, "/etc/passwd"));
	}
	batch_free(&b);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------ overflow */

#pragma GCC diagnostic push
#if __GNUC__ >= 12
#pragma GCC diagnostic ignored "-Winfinite-recursion"
#endif
static int recur(volatile int depth)
{
	volatile char frame[200];
	frame[0] = (char)depth;
	return recur(depth + 1) + frame[0];
}
#pragma GCC diagnostic pop

static int child_recur(pm_task *task, const void *arg, size_t len)
{
	struct rlimit none = {0};
	(void)task;
	(void)arg;
	(void)len;
	setrlimit(RLIMIT_CORE, &none);
	return recur(0);
}

static int task_have_one_recur(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	int err = pm_spawn(task, child_recur, arg, len, &child);
	return err ? err : pm_await_child(task, child, PM_FOREVER);
}

Test(worker, says_that_a_stack_overflowed, .timeout = 60)
{
	struct pm_job job = {.once = true};
	struct pm_result result;
	pm_pool *pool = rig_pool(1, 1);
	cr_assert_eq(pm_map(pool, task_have_one_recur, &job, 1, &result), 0);
	cr_assert_eq(result.error, PM_EWORKERLOST);
	cr_assert_eq(result.code, SIGSEGV);
	cr_assert(
		RIG_SANITIZED || strstr(result.message, "stack"), "%s", result.message);
	pm_results_clear(&result, 1);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------ processes */

Test(worker, dies_of_sigterm_when_it_is_a_process, .timeout = 60)
{
	pm_process *process = NULL;
	int code = 0;
	cr_assert_eq(
		pm_process_start(&process, task_sleep_long, NULL, 0, "sleeper"), 0);
	while (board_is_quiet(NULL)) {
		cr_assert(pm_process_alive(process));
	}
	cr_assert_eq(pm_process_terminate(process), 0);
	cr_assert_eq(pm_process_join(process, 10000), 0);
	cr_assert_eq(pm_process_exit_code(process, &code), 0);
	cr_assert_eq(code, -SIGTERM);
	cr_assert_eq(pm_process_close(&process), 0);
}

/* -------------------------------------------------------------------- results */

static int task_tell_the_time(pm_task *task, const void *arg, size_t len)
{
	uint64_t pause_ms = len ? 5 : 60000; /* the sleeper has no argument */
	(void)arg;
	int err = pm_sleep(task, pause_ms);
	uint64_t now_us = clock_now_us();
	return err ? err : pm_return(task, &now_us, sizeof now_us);
}

/* The best of many, as a machine has other things to do; a frame that stayed open for
 * company would come 2 ms late each time. */
Test(worker, sends_a_result_after_a_pause_at_once, .timeout = 60)
{
	pm_pool *pool = rig_pool(1, 2);
	pm_future *sleeper = NULL;
	const struct pm_job job = {0};
	uint64_t best_us = UINT64_MAX;
	cr_assert_eq(pm_submit(pool, task_tell_the_time, &job, &sleeper), 0);
	for (int i = 0; i < 100 && best_us >= 1500; i++) {
		struct pm_result result;
		uint64_t ended_us;
		cr_assert_eq(pm_apply(pool, task_tell_the_time, "x", 1, &result), 0);
		uint64_t came_us = clock_now_us();
		memcpy(&ended_us, result.bytes, sizeof ended_us);
		best_us = came_us - ended_us < best_us ? came_us - ended_us : best_us;
		pm_results_clear(&result, 1);
	}
	cr_assert_lt(best_us, RIG_SANITIZED ? 20000 : 1500, "%llu us",
		(unsigned long long)best_us);
	pm_future_free(&sleeper);
	pm_pool_terminate(&pool);
}
