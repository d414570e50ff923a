/* SPDX-License-Identifier: MIT
 *
 * Integration tests of single processes: one task each, their names, ends, exit codes
 * and results, and that nothing of them is left.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* Sockets of processes go where those of pools go by default: here. */
static const char *tmp(void)
{
	const char *dir = temp_dir();
	unsetenv("XDG_RUNTIME_DIR");
	setenv("TMPDIR", dir, 1);
	return dir;
}

static pm_process *start(enum errand_what what, uint32_t number, uint32_t value)
{
	struct errand e = {.number = number, .what = what, .value = value};
	pm_process *p = NULL;
	int err = pm_process_start(&p, task_errand, &e, sizeof(e), "worker bee");
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert(p);
	return p;
}

static int exit_code(pm_process *p)
{
	int code = 12345;
	int err = pm_process_exit_code(p, &code);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	return code;
}

static void join(pm_process *p)
{
	int err = pm_process_join(p, 20000);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
}

static void close_process(pm_process **p)
{
	cr_assert_eq(pm_process_close(p), 0);
	cr_assert_null(*p);
}

/* A task is at work: the process's loop must run for it to begin. */
static bool is_inside(void *ctx)
{
	return pm_process_alive(ctx) && atomic_load(&board->inside) > 0;
}

static void wait_inside(pm_process *p)
{
	cr_assert(wait_for(is_inside, p, 20000));
}

static bool is_over(void *ctx)
{
	return !pm_process_alive(ctx);
}

/* -------------------------------------------------------------------- life */

Test(process, runs_a_task_and_ends, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_WAIT, 5, 0);
	int code = 12345;
	cr_assert_str_eq(pm_process_name(p), "worker bee");
	cr_assert(pm_process_alive(p));
	cr_assert_null(pm_process_result(p), "a result before the end");
	check_error(pm_process_exit_code(p, &code), PM_ESTATE, "alive");
	cr_assert_eq(code, 12345);
	check_error(pm_process_close(&p), PM_ESTATE, "alive");
	cr_assert(p);
	long pid = pm_process_pid(p);
	cr_assert_gt(pid, 0);
	cr_assert_neq(pid, (long)getpid());
	gate_open();
	join(p);
	cr_assert(!pm_process_alive(p));
	cr_assert_eq(exit_code(p), 0);
	cr_assert_eq(report_of(pm_process_result(p)).number, 5);
	cr_assert_eq(report_of(pm_process_result(p)).pid, pid);
	cr_assert_eq(pm_process_pid(p), pid, "also when it is over");
	cr_assert(is_gone(pid));
	close_process(&p);
	close_process(&p);
}

Test(process, end_is_seen_by_looking, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_ECHO, 1, 0);
	cr_assert(wait_for(is_over, p, 20000));
	cr_assert_eq(exit_code(p), 0);
	cr_assert_eq(report_of(pm_process_result(p)).number, 1);
	cr_assert_eq(pm_process_join(p, 0), 0);
	close_process(&p);
}

Test(process, join_times_out_and_can_be_tried_again, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_WAIT, 1, 0);
	check_error(pm_process_join(p, 0), PM_ETIMEDOUT, "a look");
	check_error(pm_process_join(p, 30), PM_ETIMEDOUT, "30 ms");
	cr_assert(pm_process_alive(p), "a time-out has ended it");
	gate_open();
	cr_assert_eq(pm_process_join(p, PM_FOREVER), 0);
	cr_assert_eq(pm_process_join(p, PM_FOREVER), 0);
	close_process(&p);
}

Test(process, arguments_are_checked, .timeout = LIMIT)
{
	tmp();
	pm_process *p = NULL;
	check_error(pm_process_start(NULL, task_errand, NULL, 0, "x"), PM_EINVAL, "1");
	check_error(pm_process_start(&p, NULL, NULL, 0, "x"), PM_EINVAL, "2");
	check_error(pm_process_start(&p, task_echo, NULL, 9, "x"), PM_EINVAL, "3");
	cr_assert_null(p);
	cr_assert_eq(pm_process_close(NULL), 0);
	cr_assert_eq(pm_process_start(&p, task_echo, "abc", 3, NULL), 0);
	cr_assert_str_eq(pm_process_name(p), "");
	join(p);
	cr_assert_str_eq(pm_process_result(p)->bytes, "abc");
	close_process(&p);
}

/* ------------------------------------------------------------------ signals */

Test(process, terminate_is_quick, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_NAP, 1, 60000);
	wait_inside(p);
	uint64_t began = clock_now_ms();
	cr_assert_eq(pm_process_terminate(p), 0);
	join(p);
	cr_assert_lt(clock_now_ms() - began, RIG_SANITIZED ? 10000 : 1000);
	cr_assert_eq(exit_code(p), -SIGTERM);
	check_error(pm_process_result(p)->error, PM_EWORKERLOST, "its result");
	cr_assert_eq(pm_process_result(p)->code, SIGTERM);
	cr_assert_eq(pm_process_result(p)->domain, PM_DOMAIN_SIGNAL);
	cr_assert_eq(atomic_load(&board->runs[1]), 1, "it never runs twice");
	close_process(&p);
}

Test(process, kill_is_quick, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_NAP, 1, 60000);
	wait_inside(p);
	cr_assert_eq(pm_process_kill(p), 0);
	join(p);
	cr_assert_eq(exit_code(p), -SIGKILL);
	check_error(pm_process_result(p)->error, PM_EWORKERLOST, "its result");
	close_process(&p);
}

/* Before its task has begun: nothing has run the loop. */
Test(process, is_terminated_at_birth, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_NAP, 1, 60000);
	cr_assert_eq(pm_process_terminate(p), 0);
	join(p);
	cr_assert_eq(exit_code(p), -SIGTERM);
	cr_assert_lt(pm_process_result(p)->error, 0);
	close_process(&p);
}

Test(process, that_is_over_stays_so, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_ECHO, 1, 0);
	join(p);
	cr_assert_eq(pm_process_terminate(p), 0);
	cr_assert_eq(pm_process_kill(p), 0);
	join(p);
	cr_assert_eq(exit_code(p), 0);
	cr_assert_eq(report_of(pm_process_result(p)).number, 1);
	close_process(&p);
}

Test(process, dies_of_signals_from_elsewhere, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_NAP, 1, 60000);
	wait_inside(p);
	cr_assert_eq(kill((pid_t)pm_process_pid(p), SIGABRT), 0);
	join(p);
	cr_assert_eq(exit_code(p), -SIGABRT);
	cr_assert_eq(pm_process_result(p)->code, SIGABRT);
	close_process(&p);
}

/* -------------------------------------------------------------------- ends */

Test(process, with_a_task_that_fails, .timeout = LIMIT)
{
	tmp();
	pm_process *p = start(DO_FAIL, 3, 42);
	join(p);
	cr_assert_eq(exit_code(p), 0, "the process is well");
	const struct pm_result *r = pm_process_result(p);
	check_error(r->error, PM_EFAILED, "its task");
	cr_assert_eq(r->domain, PM_DOMAIN_TASK);
	cr_assert_eq(r->code, 42);
	cr_assert_str_eq(r->message, "errand 3");
	close_process(&p);
}

Test(process, with_an_exit_code, .timeout = LIMIT)
{
	static const int codes[] = {7, 1, 99, 255, 0};
	tmp();
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		pm_process *p = start(DO_EXIT, (uint32_t)i, (uint32_t)codes[i]);
		join(p);
		cr_assert_eq(exit_code(p), codes[i]);
		const struct pm_result *r = pm_process_result(p);
		check_error(r->error, PM_EWORKERLOST, "its task");
		cr_assert_eq(r->domain, PM_DOMAIN_EXIT);
		cr_assert_eq(r->code, codes[i]);
		cr_assert(strstr(r->message, keep_printf("%d", codes[i])), "%s",
			r->message);
		cr_assert_eq(atomic_load(&board->runs[i]), 1, "it ran again");
		close_process(&p);
	}
}

static int task_big(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	size_t size = 5 << 20;
	char *bytes = malloc(size);
	memset(bytes, 'b', size);
	int err = pm_return(task, bytes, size);
	free(bytes);
	return err;
}

Test(process, with_a_large_result, .timeout = LIMIT)
{
	tmp();
	pm_process *p = NULL;
	cr_assert_eq(pm_process_start(&p, task_big, NULL, 0, "big"), 0);
	join(p);
	const struct pm_result *r = pm_process_result(p);
	cr_assert_eq(r->error, 0);
	cr_assert_eq(r->len, 5 << 20);
	cr_assert_eq(((char *)r->bytes)[r->len - 1], 'b');
	close_process(&p);
}

/* -------------------------------------------------------------------- several */

Test(process, two_at_once, .timeout = LIMIT)
{
	tmp();
	pm_process *a = start(DO_WAIT, 1, 0), *b = start(DO_WAIT, 2, 0);
	cr_assert_neq(pm_process_pid(a), pm_process_pid(b));
	gate_open();
	join(b);
	cr_assert_eq(report_of(pm_process_result(b)).number, 2);
	join(a);
	cr_assert_eq(report_of(pm_process_result(a)).number, 1);
	close_process(&a);
	close_process(&b);
}

struct beside {
	pm_process *p;
	bool called;
};

static void join_inside(pm_future *f, void *ctx)
{
	struct beside *b = ctx;
	(void)f;
	join(b->p);
	b->called = true;
}

/* Beside a pool, and joined in a callback of it. */
Test(process, beside_a_pool, .timeout = LIMIT)
{
	tmp();
	pm_pool *pool = rig_pool(2, 4);
	struct beside b = {.p = start(DO_NAP, 1, 20)};
	rig_check_works(pool);
	pm_future *f = submit(pool, DO_ECHO, 2, 0);
	cr_assert_eq(pm_future_on_done(f, join_inside, &b), 0);
	rig_check_works(pool);
	cr_assert(b.called);
	cr_assert_eq(exit_code(b.p), 0);
	cr_assert_eq(end_of(&f), 0);
	close_process(&b.p);
	pm_pool_close(&pool);
}

/* Well or ill, many in a row leave nothing. */
Test(process, many_leave_nothing, .timeout = LIMIT)
{
	static const enum errand_what what[] = {DO_ECHO, DO_FAIL, DO_EXIT, DO_NAP};
	const char *dir = tmp();
	size_t fds = 0;
	for (uint32_t i = 0; i < 24; i++) {
		pm_process *p = start(what[i % 4], i, 3);
		if (i % 8 == 7) {
			cr_assert_eq(pm_process_kill(p), 0);
		}
		join(p);
		close_process(&p);
		if (i == 3) {
			fds = open_fds(); /* the libraries have what they keep */
		}
	}
	cr_assert_eq(open_fds(), fds, "%zu descriptors, %zu before", open_fds(), fds);
	rig_check_nothing_left(dir);
}
