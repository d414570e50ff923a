/* SPDX-License-Identifier: MIT
 *
 * The forkserver: what it knows of its host, what it keeps of it, and hosts that
 * have threads, children, or odd signals and descriptors.
 *
 * What the host does before its pool is the matter here, so most hosts are
 * programs of their own: tests/fault/prog_host.c.
 */
#include "tests/support/pool_rig.h"

#include <sys/wait.h>

#include <dlfcn.h>

/* Not linked into anything here, and in every glibc. */
static const char late_library[] = "libBrokenLocale.so.1";
static const char late_function[] = "__ctype_get_mb_cur_max";

/* ------------------------------------------------------------------- itself */

static size_t entries_of_process(pid_t pid, const char *what)
{
	return entries_of(keep_printf("/proc/%d/%s", (int)pid, what));
}

Test(forkserver, is_one_thread_with_few_descriptors, .timeout = 30)
{
	pid_t pid = forkserver_of(getpid());
	cr_assert_gt(pid, 0);
	cr_assert_eq(entries_of_process(pid, "task"), 1);
	size_t fds = entries_of_process(pid, "fd");
	struct pm_pool_options o = rig_options(2, 4);
	for (int i = 0; i < 3; i++) {
		pm_pool *pool = rig_open(&o);
		rig_check_works(pool);
		pm_pool_close(&pool);
	}
	cr_assert_eq(forkserver_of(getpid()), pid, "another forkserver");
	cr_assert_eq(entries_of_process(pid, "task"), 1);
	cr_assert_leq(entries_of_process(pid, "fd"), fds + 1, "descriptors stay open");
}

Test(forkserver, can_be_started_again_without_effect, .timeout = 30)
{
	pid_t pid = forkserver_of(getpid());
	/* also now, with Criterion's socket of nanomsg live in this process */
	cr_assert_eq(pm_forkserver_start(), 0, "%s", pm_last_error());
	cr_assert_eq(forkserver_of(getpid()), pid);
	cr_assert_eq(process_children(getpid(), NULL, 0), 1);
}

static bool has_no_zombies(void *ctx)
{
	pid_t parent = *(pid_t *)ctx;
	struct run_result r;
	run_command(&r, NULL, "ps", "-o", "stat=", "--ppid",
		keep_printf("%d", (int)parent), NULL);
	bool none = !strchr(r.out, 'Z');
	run_result_fini(&r);
	return none;
}

/* A host may wait for them as if there were no pool. */
Test(forkserver, leaves_the_children_of_the_host_to_it, .timeout = 30)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		_exit(7);
	}
	pm_pool *pool = rig_pool(2, 2);
	rig_check_works(pool);
	pm_pool_close(&pool);
	cr_assert_eq(waitpid(pid, &status, 0), pid, "it was reaped by another");
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 7);
}

Test(forkserver, buries_its_workers, .timeout = 30)
{
	pid_t pid = forkserver_of(getpid());
	pm_pool *pool = rig_pool(4, 4);
	rig_check_works(pool);
	pm_pool_terminate(&pool);
	cr_assert(wait_for(has_no_zombies, &pid, 5000), "zombies are left");
}

/* ------------------------------------------------------------ late functions */

static pm_task_fn *function_of(void *library)
{
	void *at = library ? dlsym(library, late_function) : NULL;
	pm_task_fn *fn = NULL;
	memcpy(&fn, &at, sizeof(fn));
	return fn;
}

Test(forkserver, does_not_know_functions_loaded_after_it, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_result untouched = {.index = 77};
	struct pm_job job = {.arg = "", .len = 0};
	cr_assert_null(
		dlopen(late_library, RTLD_NOW | RTLD_NOLOAD), "is loaded already");
	void *library = dlopen(late_library, RTLD_NOW);
	if (!library) {
		cr_skip_test("there is no %s here", late_library);
	}
	cr_assert(function_of(library));
	int err = pm_map(pool, function_of(library), &job, 1, &untouched);
	cr_assert_eq(err, PM_ETASK, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert(strstr(pm_last_error(), "pm_forkserver_start()"), "%s",
		pm_last_error());
	cr_assert_eq(untouched.index, 77);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	rig_check_works(pool);
	pm_pool_close(&pool);
	dlclose(library);
}

/* Data is no function, though it was mapped; nor is nonsense. */
Test(forkserver, knows_data_from_functions, .timeout = 30)
{
	static char data[64];
	char on_stack;
	const void *addresses[] = {data, &on_stack, (void *)0x10, (void *)UINTPTR_MAX};
	pm_pool *pool = rig_pool(1, 1);
	struct pm_result r;
	struct pm_job job = {.arg = "", .len = 0};
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		pm_task_fn *fn;
		memcpy(&fn, &addresses[i], sizeof(fn));
		int err = pm_map(pool, fn, &job, 1, &r);
		cr_assert_eq(err, PM_ETASK, "address %zu: %s", i, pm_error_name(err));
	}
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------------- hosts */

/* The host ends well; its processes and files are gone when it is. */
static void check_host(const char *mode)
{
	const char *dir = temp_dir();
	struct run_result r;
	run_command(&r, NULL, program("tests/fault/prog_host"), mode, dir, NULL);
	cr_assert_eq(r.status, 0, "%s: status %d, %s", mode, r.status, r.err);
	cr_assert_eq(r.out_len + r.err_len, 0, "%s: the library prints: %s%s", mode,
		r.out, r.err);
	run_result_fini(&r);
	uint64_t deadline = clock_now_ms() + 2000;
	while (pids_of_program(dir, NULL, 0) + entries_of(dir) > 0) {
		cr_assert_lt(clock_now_ms(), deadline,
			"%s: %zu processes and %zu files left", mode,
			pids_of_program(dir, NULL, 0), entries_of(dir));
	}
}

Test(forkserver, serves_a_plain_host, .timeout = 60)
{
	check_host("plain");
	check_host("twice");
}

Test(forkserver, is_started_anew_by_a_child_of_its_host, .timeout = 60)
{
	check_host("fork-then-open");
}

Test(forkserver, is_refused_to_a_child_with_a_live_nanomsg, .timeout = 60)
{
	check_host("fork-with-pool");
}

Test(forkserver, can_be_started_while_threads_run, .timeout = 60)
{
	if (RIG_SANITIZED) {
		cr_skip_test("the sanitizers' allocators do not survive such a fork");
	}
	check_host("threads");
}

Test(forkserver, serves_pools_in_several_threads, .timeout = 60)
{
	check_host("pools-in-threads");
	check_host("futures-in-threads");
}

Test(forkserver, pools_belong_to_their_threads, .timeout = 60)
{
	check_host("foreign-thread");
}

Test(forkserver, pools_belong_to_their_processes, .timeout = 60)
{
	check_host("foreign-process");
}

Test(forkserver, serves_a_host_without_standard_descriptors, .timeout = 60)
{
	check_host("closed-stdio");
}

Test(forkserver, serves_a_host_that_ignores_or_blocks_signals, .timeout = 60)
{
	check_host("chld-ignored");
	check_host("signals-blocked");
}

Test(forkserver, ends_with_a_host_that_leaves_its_pool_open, .timeout = 60)
{
	check_host("left-open");
	check_host("left-by-exit");
}
