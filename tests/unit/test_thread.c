/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/thread and worker/await_thread: blocking functions, in tasks
 * that run on the real runner.
 */
#include "tests/unit/io_rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* What a blocking function is told, and tells. */
struct gate {
	int enter[2]; /* pipes: it writes a byte when it begins */
	int leave[2]; /* and waits for one */
	atomic_uint begun, inside, most;
};
static struct gate gate;

static void open_gate(void)
{
	io_open();
	cr_assert_eq(pipe(gate.enter), 0);
	cr_assert_eq(pipe(gate.leave), 0);
}

static void close_gate(void)
{
	io_close();
	for (int i = 0; i < 2; i++) {
		close(gate.enter[i]);
		close(gate.leave[i]);
	}
}

TestSuite(thread, .init = open_gate, .fini = close_gate);

static void raise_to(atomic_uint *most, unsigned ct)
{
	unsigned known = atomic_load(most);
	while (known < ct && !atomic_compare_exchange_weak(most, &known, ct)) {
	}
}

/* Blocks until the test lets it go. */
static void pass_gate(void *arg)
{
	char byte = 'g';
	(void)arg;
	atomic_fetch_add(&gate.begun, 1);
	raise_to(&gate.most, atomic_fetch_add(&gate.inside, 1) + 1);
	(void)!write(gate.enter[1], &byte, 1);
	(void)!read(gate.leave[0], &byte, 1);
	atomic_fetch_sub(&gate.inside, 1);
}

static void wait_entered(unsigned ct)
{
	char byte;
	for (; ct > 0; ct--) {
		cr_assert_eq(read(gate.enter[0], &byte, 1), 1);
	}
}

static void let_go(unsigned ct)
{
	for (; ct > 0; ct--) {
		cr_assert_eq(write(gate.leave[1], "g", 1), 1);
	}
}

static int task_pass_gate(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_await_thread(task, pass_gate, NULL);
}

/* The library's promise. */
static unsigned limit(void)
{
	unsigned ct = pm_cpus() + 4;
	return ct < PM_THREADS_MAX ? ct : PM_THREADS_MAX;
}

/* ------------------------------------------------------------------ one call */

struct note {
	pthread_t thread;
	sigset_t blocked;
	unsigned number;
};

static void take_note(void *arg)
{
	struct note *note = arg;
	note->thread = pthread_self();
	pthread_sigmask(SIG_SETMASK, NULL, &note->blocked);
	note->number++;
}

static int task_take_note(pm_task *task, const void *arg, size_t len)
{
	struct note note = {.number = 41}; /* on the stack of the task */
	(void)arg;
	(void)len;
	REQUIRE(task, pm_await_thread(task, take_note, &note) == 0);
	REQUIRE(task, note.number == 42);
	REQUIRE(task, !pthread_equal(note.thread, pthread_self()));
	REQUIRE(task, sigismember(&note.blocked, SIGTERM));
	REQUIRE(task, sigismember(&note.blocked, SIGPROF));
	REQUIRE(task, !sigismember(&note.blocked, SIGSEGV));
	return 0;
}

Test(thread, runs_a_function_elsewhere, .timeout = 20)
{
	sigset_t before, after;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	run_one(task_take_note, NULL, 0);
	expect_success(0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	cr_assert_eq(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
	cr_assert_eq(sigismember(&before, SIGPROF), sigismember(&after, SIGPROF));
}

static int task_without_function(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	return pm_await_thread(task, NULL, (void *)(uintptr_t)arg);
}

Test(thread, wants_a_function, .timeout = 20)
{
	run_one(task_without_function, NULL, 0);
	cr_assert_eq(ended[0].failure.error, PM_EINVAL);
}

static int task_nothing(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	return 0;
}

Test(thread, lets_others_work_meanwhile, .timeout = 20)
{
	queue(1, task_pass_gate, NULL, 0);
	turn();
	wait_entered(1);
	queue(2, task_nothing, NULL, 0);
	turn();
	cr_assert_eq(ended_ct, 1);
	cr_assert_eq(ended[0].id, 2);
	let_go(1);
	run_until(2);
	expect_all_succeed();
}

static void count(void *arg)
{
	++*(unsigned *)arg;
}

static int task_count_often(pm_task *task, const void *arg, size_t len)
{
	unsigned ct = 0;
	(void)arg;
	(void)len;
	for (unsigned i = 0; i < 100; i++) {
		REQUIRE(task, pm_await_thread(task, count, &ct) == 0);
		REQUIRE(task, ct == i + 1);
	}
	return 0;
}

Test(thread, runs_one_after_the_other_for_each_task, .timeout = 20)
{
	for (uint64_t i = 0; i < 50; i++) {
		queue(i, task_count_often, NULL, 0);
	}
	run_until(50);
	expect_all_succeed();
}

/* ---------------------------------------------------------------- several at once */

Test(thread, runs_as_many_as_there_are_threads, .timeout = 20)
{
	const unsigned ct = 3 * limit();
	for (uint64_t i = 0; i < ct; i++) {
		queue(i, task_pass_gate, NULL, 0);
	}
	turn();
	wait_entered(limit());
	turn();
	cr_assert_eq(ended_ct, 0);
	cr_assert_eq(atomic_load(&gate.begun), limit());
	let_go(ct);
	run_until(ct);
	expect_all_succeed();
	cr_assert_eq(atomic_load(&gate.begun), ct);
	cr_assert_eq(atomic_load(&gate.most), limit());
}

/* ---------------------------------------------------------------- cancellation */

Test(thread, is_cancelled_when_the_function_has_returned, .timeout = 20)
{
	for (unsigned times = 1; times <= 3; times++) {
		ended_ct = 0;
		queue(1, task_pass_gate, NULL, 0);
		turn();
		wait_entered(1);
		for (unsigned i = 0; i < times; i++) {
			cr_assert(runner_cancel(1));
			turn();
			turn();
			cr_assert_eq(ended_ct, 0, "the function still runs");
		}
		let_go(1);
		run_until(1);
		cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
		cr_assert_eq(atomic_load(&gate.inside), 0);
	}
}

static int task_goes_on(pm_task *task, const void *arg, size_t len)
{
	unsigned ct = 0;
	(void)arg;
	(void)len;
	REQUIRE(task, pm_await_thread(task, pass_gate, NULL) == PM_ECANCELLED);
	REQUIRE(task, pm_task_failure(task)->error == PM_ECANCELLED);
	REQUIRE(task, pm_await_thread(task, count, &ct) == PM_ECANCELLED);
	REQUIRE(task, ct == 0);
	REQUIRE(task, pm_sleep(task, 3600000) == PM_ECANCELLED);
	return 0;
}

Test(thread, stays_cancelled, .timeout = 20)
{
	queue(1, task_goes_on, NULL, 0);
	turn();
	wait_entered(1);
	cr_assert(runner_cancel(1));
	turn();
	let_go(1);
	run_until(1);
	expect_success(0);
}

/* It has ended, and the loop does not know yet. */
Test(thread, may_end_at_the_moment_of_a_cancellation, .timeout = 20)
{
	for (int i = 0; i < 200; i++) {
		ended_ct = 0;
		queue(1, task_pass_gate, NULL, 0);
		turn();
		wait_entered(1);
		let_go(1);
		if (i % 2) {
			while (atomic_load(&gate.inside)) {
			}
		}
		cr_assert(runner_cancel(1));
		run_until(1);
		cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
	}
}

Test(thread, takes_a_cancelled_call_out_of_the_queue, .timeout = 20)
{
	for (uint64_t i = 0; i < limit() + 2; i++) {
		queue(i, task_pass_gate, NULL, 0);
	}
	turn();
	wait_entered(limit());
	cr_assert(runner_cancel(limit()));
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1, "it waited for the others");
	cr_assert_eq(ended[0].id, limit());
	cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
	let_go(limit() + 1);
	run_until(limit() + 2);
	cr_assert_eq(atomic_load(&gate.begun), limit() + 1);
	for (size_t i = 1; i < ended_ct; i++) {
		expect_success(i);
	}
}

/* ------------------------------------------------------------------------- end */

static bool told;

static void tell(struct thread_call *call)
{
	(void)call;
	told = true;
}

Test(thread, ends_and_begins_again, .timeout = 20)
{
	unsigned before = count_descriptors();
	thread_fini();
	for (int i = 0; i < 3; i++) {
		run_one(task_take_note, NULL, 0);
		expect_success(0);
		cr_assert_geq(thread_descriptor(), 0);
		thread_fini();
		cr_assert_eq(thread_descriptor(), -1);
		cr_assert_eq(count_descriptors(), before);
	}
}

Test(thread, tells_of_what_is_done_at_the_end, .timeout = 20)
{
	static struct thread_call call = {.fn = pass_gate, .done = tell};
	cr_assert_eq(thread_start(&call), 0);
	wait_entered(1);
	let_go(1);
	while (atomic_load(&gate.inside)) {
	}
	thread_fini();
	/* it may still have been on its way back from the function */
	cr_assert(told || thread_descriptor() >= 0);
}

Test(thread, leaves_a_call_that_still_runs, .timeout = 20)
{
	static struct thread_call call = {.fn = pass_gate, .done = tell};
	cr_assert_eq(thread_start(&call), 0);
	wait_entered(1);
	cr_assert_not(thread_withdraw(&call));
	thread_fini();
	cr_assert_geq(thread_descriptor(), 0, "it may still ring");
	let_go(1);
	while (atomic_load(&gate.inside)) {
	}
	cr_assert_not(told);
}
