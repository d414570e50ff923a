/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/runner, with fibers but without a loop: the test wakes
 * and cancels, and calls the turns.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/blackbox.h"
#include "tests/unit/dice.h"
#include "worker/fetch.h"
#include "worker/runner.h"

enum { STACK_BYTES = 64 * 1024, LOG_MAX = 20000 };

/* ------------------------------------------------------------ what is noted */

/* Ended tasks, in the order of their end. */
static struct {
	uint64_t id;
	struct pm_failure failure;
	char result[32];
} ended[LOG_MAX];
static size_t ended_ct;

/* Started tasks, in the order of their start, and where their stacks are. */
static struct {
	uint64_t id;
	const char *stack_at;
} begun[LOG_MAX];
static size_t begun_ct;

static unsigned fetch_end_ct;

/* In place of the module that has the fetches. */
void fetch_task_end(struct pm_task *task)
{
	cr_assert_not_null(task);
	fetch_end_ct++;
}

/* In place of the process, which these tests do without. */
struct event_base *worker_base(void)
{
	return NULL;
}

unsigned worker_slot(void)
{
	return 0;
}

unsigned worker_concurrency(void)
{
	return 1;
}

size_t worker_max_bytes(void)
{
	return 1000;
}

static void note_end(struct pm_task *task)
{
	cr_assert_lt(ended_ct, LOG_MAX);
	ended[ended_ct].id = task->id;
	ended[ended_ct].failure = task->failure;
	const char *text = buf_text(&task->result);
	snprintf(ended[ended_ct].result, sizeof ended[ended_ct].result, "%s", text);
	ended_ct++;
}

static void note_begin(const struct pm_task *task)
{
	char here = 0;
	cr_assert_lt(begun_ct, LOG_MAX);
	begun[begun_ct].id = task->id;
	begun[begun_ct].stack_at = (const char *)(uintptr_t)&here;
	begun_ct++;
}

static void end_runner(void)
{
	runner_fini();
}

TestSuite(runner, .fini = end_runner);

static void begin_runner(unsigned concurrency)
{
	runner_init(concurrency, STACK_BYTES, note_end);
}

/* ------------------------------------------------------------ tasks */

/* Tasks that wait, by id; NULL: not waiting. */
static struct pm_task *waiting[LOG_MAX];
static int last_park[LOG_MAX];      /* what task_park() said */
static unsigned cancel_ct[LOG_MAX]; /* calls of cancel_wait */

static void stop_waiting(void *ctx)
{
	const struct pm_task *task = ctx;
	waiting[task->id] = NULL;
	cancel_ct[task->id]++;
}

static int park(struct pm_task *task)
{
	waiting[task->id] = task;
	last_park[task->id] = task_park(task, stop_waiting, task);
	return last_park[task->id];
}

static void wake(uint64_t id)
{
	struct pm_task *task = waiting[id];
	cr_assert_not_null(task, "%ju does not wait", (uintmax_t)id);
	waiting[id] = NULL;
	task_wake(task);
}

static int say_arg(pm_task *task, const void *arg, size_t len)
{
	note_begin(task);
	return buf_put(&task->result, arg, len);
}

static int wait_once(pm_task *task, const void *arg, size_t len)
{
	note_begin(task);
	int err = park(task);
	return err ? err : buf_put(&task->result, arg, len);
}

static int wait_thrice(pm_task *task, const void *arg, size_t len)
{
	note_begin(task);
	for (int i = 0; i < 3; i++) {
		int err = park(task);
		if (err) {
			return err;
		}
	}
	return buf_put(&task->result, arg, len);
}

static void queue_in_epoch(uint64_t id, pm_task_fn *fn, const char *arg, uint32_t epoch)
{
	size_t len = strlen(arg);
	struct pm_task *task = runner_new_task(len);
	cr_assert_not_null(task);
	task->id = id;
	task->attempt = 1;
	task->epoch = epoch;
	task->fn = fn;
	memcpy(task->arg, arg, len);
	runner_queue(task);
}

static void queue(uint64_t id, pm_task_fn *fn, const char *arg)
{
	queue_in_epoch(id, fn, arg, 0);
}

static void expect_end(size_t at, uint64_t id, int error, const char *result)
{
	cr_assert_lt(at, ended_ct, "%zu have ended", ended_ct);
	cr_assert_eq(ended[at].id, id, "place %zu: %ju", at, (uintmax_t)ended[at].id);
	cr_assert_eq(ended[at].failure.error, error, "%s: %s",
		pm_error_name(ended[at].failure.error), ended[at].failure.message);
	if (!error) {
		cr_assert_str_eq(ended[at].result, result);
		cr_assert_str_empty(ended[at].failure.message);
	}
}

/* ------------------------------------------------------------ starting */

Test(runner, has_nothing_to_do_at_first, .timeout = 10)
{
	begin_runner(2);
	cr_assert_not(runner_has_work(true));
	cr_assert_not(runner_turn(true));
	cr_assert_eq(runner_started_ct(), 0);
	cr_assert_eq(runner_held_ct(), 0);
	cr_assert_not(runner_cancel(0));
}

Test(runner, makes_a_task_with_room_for_its_argument, .timeout = 10)
{
	for (size_t len = 0; len < 100; len++) {
		struct pm_task *task = runner_new_task(len);
		cr_assert_eq(task->arg_len, len);
		cr_assert_eq((uintptr_t)task->arg % _Alignof(max_align_t), 0);
		memset(task->arg, 'x', len);
		cr_assert_eq(task->arg[len], '\0');
		cr_assert_eq(task->failure.error, 0);
		cr_assert_not(task->cancelled);
		free(task);
	}
}

Test(runner, has_no_memory_for_a_length_that_overflows, .timeout = 10)
{
	cr_assert_null(runner_new_task(SIZE_MAX));
}

Test(runner, runs_a_task_and_says_that_it_has_ended, .timeout = 10)
{
	begin_runner(1);
	queue(5, say_arg, "hello");
	cr_assert_eq(runner_held_ct(), 1);
	cr_assert(runner_has_work(true));
	cr_assert(runner_turn(true));
	cr_assert_eq(ended_ct, 1);
	expect_end(0, 5, 0, "hello");
	cr_assert_eq(runner_held_ct(), 0);
	cr_assert_not(runner_has_work(true));
	cr_assert_eq(fetch_end_ct, 1);
	cr_assert_not(runner_cancel(5), "it is gone");
}

Test(runner, starts_tasks_in_the_order_they_came, .timeout = 30)
{
	begin_runner(3);
	for (uint64_t i = 0; i < 1000; i++) {
		queue(i, i % 7 == 0 ? wait_once : say_arg, "x");
	}
	while (begun_ct < 1000) {
		cr_assert(runner_turn(true));
		for (uint64_t id = 0; id < 1000; id++) {
			if (waiting[id]) {
				wake(id);
			}
		}
	}
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1000);
	for (uint64_t i = 0; i < 1000; i++) {
		cr_assert_eq(begun[i].id, i);
	}
}

Test(runner, keeps_to_its_concurrency, .timeout = 10)
{
	begin_runner(3);
	for (uint64_t i = 0; i < 10; i++) {
		queue(i, wait_once, "x");
	}
	(void)runner_turn(true);
	cr_assert_eq(runner_started_ct(), 3);
	cr_assert_eq(runner_held_ct(), 10);
	cr_assert_not(runner_has_work(true), "all that may run do");
	cr_assert_not(runner_turn(true));
	for (uint64_t i = 0; i < 10; i++) {
		cr_assert_eq(begun_ct, i + 3 < 10 ? i + 3 : 10);
		wake(i);
		cr_assert(runner_has_work(true));
		(void)runner_turn(true);
		cr_assert_leq(runner_started_ct(), 3);
		cr_assert_eq(runner_held_ct(), 10 - i - 1);
	}
	cr_assert_eq(ended_ct, 10);
}

Test(runner, starts_nothing_while_it_must_not, .timeout = 10)
{
	begin_runner(3);
	queue(1, wait_once, "one");
	(void)runner_turn(true);
	queue(2, say_arg, "two");
	cr_assert_not(runner_has_work(false));
	cr_assert_not(runner_turn(false));
	wake(1);
	cr_assert(runner_has_work(false), "what has begun goes on");
	cr_assert(runner_turn(false));
	cr_assert_eq(ended_ct, 1);
	expect_end(0, 1, 0, "one");
	cr_assert_eq(begun_ct, 1);
	(void)runner_turn(true);
	expect_end(1, 2, 0, "two");
}

static int queue_another(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	note_begin(task);
	queue(task->id + 1, say_arg, "queued by a task");
	return 0;
}

Test(runner, takes_tasks_while_one_is_running, .timeout = 10)
{
	begin_runner(1);
	queue(1, queue_another, "");
	cr_assert(runner_turn(true));
	cr_assert_eq(ended_ct, 2);
	expect_end(1, 2, 0, "queued by a task");
}

/* ------------------------------------------------------------ stacks */

/* Tasks begin near the top of their stacks, and the stacks lie apart. */
static bool on_one_stack(const char *a, const char *b)
{
	uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
	return (x > y ? x - y : y - x) < STACK_BYTES / 2;
}

/* How many different stacks the tasks from `from` on had. */
static size_t stacks_since(size_t from)
{
	size_t ct = 0;
	for (size_t i = from; i < begun_ct; i++) {
		size_t j = from;
		while (!on_one_stack(begun[j].stack_at, begun[i].stack_at)) {
			j++;
		}
		ct += j == i;
	}
	return ct;
}

Test(runner, runs_tasks_that_never_wait_on_one_stack, .timeout = 10)
{
	begin_runner(100);
	for (uint64_t i = 0; i < 1000; i++) {
		queue(i, say_arg, "x");
	}
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1000);
	cr_assert_eq(stacks_since(0), 1, "%zu stacks", stacks_since(0));
	for (uint64_t i = 0; i < 1000; i++) {
		queue(i, say_arg, "x");
		(void)runner_turn(true);
	}
	cr_assert_eq(stacks_since(0), 1, "%zu stacks", stacks_since(0));
}

Test(runner, needs_a_stack_for_each_task_that_waits, .timeout = 10)
{
	begin_runner(100);
	for (uint64_t i = 0; i < 20; i++) {
		queue(i, wait_once, "x");
	}
	(void)runner_turn(true);
	cr_assert_eq(begun_ct, 20);
	cr_assert_eq(stacks_since(0), 20);
	for (uint64_t i = 0; i < 1000; i++) {
		queue(100 + i, say_arg, "x");
	}
	(void)runner_turn(true);
	cr_assert_eq(stacks_since(20), 1, "one more for all that do not wait");
	cr_assert_eq(stacks_since(0), 21);
	for (uint64_t i = 0; i < 20; i++) {
		wake(i);
	}
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1020);
}

Test(runner, uses_its_stacks_again, .timeout = 10)
{
	begin_runner(10);
	for (int wave = 0; wave < 20; wave++) {
		for (uint64_t i = 0; i < 10; i++) {
			queue(i, wait_once, "x");
		}
		(void)runner_turn(true);
		for (uint64_t i = 0; i < 10; i++) {
			wake(i);
		}
		(void)runner_turn(true);
	}
	cr_assert_eq(ended_ct, 200);
	cr_assert_eq(stacks_since(0), 10, "%zu stacks", stacks_since(0));
}

Test(runner, goes_on_with_the_queue_on_the_stack_of_one_that_ended, .timeout = 10)
{
	begin_runner(1);
	queue(1, wait_once, "one");
	queue(2, wait_once, "two");
	queue(3, say_arg, "three");
	(void)runner_turn(true);
	wake(1);
	(void)runner_turn(true);
	wake(2);
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 3);
	cr_assert_eq(stacks_since(0), 1);
}

/* There is no task that could leave it a stack: waiting would be for ever. */
Test(runner, fails_a_task_when_there_is_no_memory_for_any_stack, .timeout = 10)
{
	runner_init(2, (size_t)1 << 50, note_end);
	queue(1, say_arg, "x");
	queue(2, say_arg, "y");
	(void)runner_turn(true);
	(void)runner_turn(true);
	cr_assert_eq(begun_ct, 0);
	cr_assert_eq(runner_held_ct(), 0);
	expect_end(0, 1, PM_ENOMEM, NULL);
	expect_end(1, 2, PM_ENOMEM, NULL);
	cr_assert_not(runner_has_work(true));
}

static int use_the_stack(pm_task *task, const void *arg, size_t len)
{
	volatile char most[STACK_BYTES - 16 * 1024];
	(void)arg;
	(void)len;
	note_begin(task);
	memset((char *)(uintptr_t)most, (int)task->id, sizeof most);
	int err = park(task);
	for (size_t i = 0; i < sizeof most && !err; i++) {
		err = most[i] == (char)task->id ? 0 : PM_EFAILED;
	}
	return err;
}

Test(runner, keeps_the_stacks_of_tasks_apart, .timeout = 30)
{
	begin_runner(50);
	for (uint64_t i = 0; i < 50; i++) {
		queue(i, use_the_stack, "");
	}
	(void)runner_turn(true);
	for (uint64_t i = 50; i-- > 0;) {
		wake(i);
		(void)runner_turn(true);
		expect_end(49 - i, i, 0, "");
	}
}

/* ------------------------------------------------------------ waiting */

Test(runner, goes_on_with_a_task_that_was_woken, .timeout = 10)
{
	begin_runner(5);
	queue(1, wait_once, "one");
	queue(2, wait_once, "two");
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 0);
	cr_assert_eq(runner_started_ct(), 2);
	wake(2);
	cr_assert_eq(ended_ct, 0, "not before the turn");
	cr_assert(runner_turn(true));
	cr_assert_eq(ended_ct, 1);
	expect_end(0, 2, 0, "two");
	cr_assert_eq(last_park[2], 0);
	cr_assert_eq(cancel_ct[2], 0);
	wake(1);
	(void)runner_turn(true);
	expect_end(1, 1, 0, "one");
}

Test(runner, lets_a_task_wait_again_and_again, .timeout = 10)
{
	begin_runner(1);
	queue(1, wait_thrice, "done");
	(void)runner_turn(true);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(ended_ct, 0);
		wake(1);
		(void)runner_turn(true);
	}
	expect_end(0, 1, 0, "done");
}

Test(runner, goes_on_in_the_order_of_the_wake_ups, .timeout = 10)
{
	static const uint64_t order[] = {3, 0, 4, 1, 2};
	begin_runner(5);
	for (uint64_t i = 0; i < 5; i++) {
		queue(i, wait_once, "x");
	}
	(void)runner_turn(true);
	for (size_t i = 0; i < 5; i++) {
		wake(order[i]);
	}
	(void)runner_turn(true);
	for (size_t i = 0; i < 5; i++) {
		expect_end(i, order[i], 0, "x");
	}
}

/* Wakes task 1, which parks again at once, and is gone on with too early if
 * the turn takes what became ready meanwhile. */
static int wake_another(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	note_begin(task);
	int err = park(task);
	if (!err && waiting[1]) {
		wake(1);
	}
	return err;
}

Test(runner, goes_on_once_per_turn_with_each_task, .timeout = 10)
{
	begin_runner(5);
	queue(1, wait_thrice, "x");
	queue(2, wake_another, "");
	(void)runner_turn(true);
	wake(1);
	wake(2);
	cr_assert(runner_turn(true));
	cr_assert_null(waiting[1], "woken in the turn");
	cr_assert_eq(ended_ct, 1);
	cr_assert(runner_has_work(true), "and goes on in the next one");
	(void)runner_turn(true);
	cr_assert_not_null(waiting[1]);
	wake(1);
	(void)runner_turn(true);
	expect_end(1, 1, 0, "x");
}

Test(runner, aborts_when_a_task_is_woken_twice, .timeout = 10, .signal = SIGABRT)
{
	begin_runner(1);
	queue(1, wait_once, "x");
	(void)runner_turn(true);
	struct pm_task *task = waiting[1];
	task_wake(task);
	task_wake(task);
}

Test(runner, aborts_when_a_task_is_woken_that_does_not_wait, .timeout = 10,
	.signal = SIGABRT)
{
	begin_runner(1);
	struct pm_task *task = runner_new_task(0);
	task->fn = wait_once;
	runner_queue(task);
	task_wake(task);
}

Test(runner, aborts_when_somebody_else_parks_a_task, .timeout = 10, .signal = SIGABRT)
{
	begin_runner(1);
	struct pm_task *task = runner_new_task(0);
	task->fn = wait_once;
	runner_queue(task);
	cr_assert_eq(task_park(task, stop_waiting, task), 0, "not reached");
}

/* ------------------------------------------------------------ cancelling */

Test(runner, ends_a_queued_task_that_is_cancelled, .timeout = 10)
{
	begin_runner(1);
	queue(1, say_arg, "one");
	queue(2, say_arg, "two");
	queue(3, say_arg, "three");
	cr_assert(runner_cancel(2));
	cr_assert_eq(ended_ct, 1, "at once");
	expect_end(0, 2, PM_ECANCELLED, NULL);
	cr_assert_str_not_empty(ended[0].failure.message);
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_NONE);
	cr_assert_eq(fetch_end_ct, 1);
	cr_assert_not(runner_cancel(2), "once");
	(void)runner_turn(true);
	cr_assert_eq(begun_ct, 2, "it never began");
	expect_end(1, 1, 0, "one");
	expect_end(2, 3, 0, "three");
}

Test(runner, wakes_a_waiting_task_that_is_cancelled, .timeout = 10)
{
	begin_runner(2);
	queue(1, wait_once, "one");
	queue(2, wait_once, "two");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	cr_assert_eq(cancel_ct[1], 1, "its wait is stopped");
	cr_assert_eq(ended_ct, 0);
	cr_assert(runner_has_work(false));
	(void)runner_turn(true);
	cr_assert_eq(last_park[1], PM_ECANCELLED);
	cr_assert_eq(cancel_ct[1], 1, "once");
	cr_assert_eq(ended_ct, 1);
	expect_end(0, 1, PM_ECANCELLED, NULL);
	cr_assert_eq(runner_started_ct(), 1, "the other one waits on");
	cr_assert_eq(cancel_ct[2], 0);
	wake(2);
	(void)runner_turn(true);
	expect_end(1, 2, 0, "two");
}

Test(runner, cancels_a_waiting_task_once, .timeout = 10)
{
	begin_runner(1);
	queue(1, wait_once, "one");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	cr_assert(runner_cancel(1), "it is still there");
	cr_assert_eq(cancel_ct[1], 1);
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1);
	cr_assert_eq(cancel_ct[1], 1);
	cr_assert_not(runner_cancel(1));
}

/* Does not take the hint: waits on, and says in the end how often it had to. */
static int ignore_cancel(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	note_begin(task);
	for (int i = 0; i < 5; i++) {
		int err = park(task);
		(void)buf_puts(&task->result, err ? "c" : "w");
	}
	return 0;
}

Test(runner, lets_no_cancelled_task_wait_again, .timeout = 10)
{
	begin_runner(1);
	queue(1, ignore_cancel, "");
	(void)runner_turn(true);
	wake(1);
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1, "all waits ended at once");
	expect_end(0, 1, 0, "wcccc");
	cr_assert_eq(cancel_ct[1], 4, "each of them was stopped");
}

Test(runner, tells_a_task_that_is_ready_at_its_next_wait, .timeout = 10)
{
	begin_runner(1);
	queue(1, ignore_cancel, "");
	(void)runner_turn(true);
	wake(1);
	cr_assert(runner_cancel(1));
	cr_assert_eq(cancel_ct[1], 0, "that wait is over");
	(void)runner_turn(true);
	expect_end(0, 1, 0, "wcccc");
}

Test(runner, keeps_the_result_of_a_task_that_ended_well_though_cancelled, .timeout = 10)
{
	begin_runner(1);
	queue(1, wait_once, "in time");
	(void)runner_turn(true);
	wake(1);
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	expect_end(0, 1, 0, "in time");
}

Test(runner, cancels_nothing_that_is_not_there, .timeout = 10)
{
	begin_runner(1);
	queue(1, wait_once, "one");
	queue(2, say_arg, "two");
	(void)runner_turn(true);
	cr_assert_not(runner_cancel(3));
	cr_assert_not(runner_cancel(0));
	cr_assert_not(runner_cancel(UINT64_MAX));
	cr_assert_eq(ended_ct, 0);
}

Test(runner, cancels_many_at_once, .timeout = 10)
{
	uint64_t ids[] = {UINT64_MAX, 99, 8, 7, 7, 5, 3, 3, 1};
	begin_runner(4);
	for (uint64_t i = 0; i < 10; i++) {
		queue(i, wait_once, "x");
	}
	(void)runner_turn(true); /* 0 to 3 wait */
	wake(1);
	runner_cancel_all(ids, sizeof ids / sizeof *ids);
	cr_assert_eq(ended_ct, 3, "the queued ones");
	expect_end(0, 5, PM_ECANCELLED, NULL);
	expect_end(1, 7, PM_ECANCELLED, NULL);
	expect_end(2, 8, PM_ECANCELLED, NULL);
	cr_assert_eq(cancel_ct[3], 1);
	cr_assert_eq(cancel_ct[1], 0, "its wait is over");
	(void)runner_turn(true);
	expect_end(3, 1, 0, "x");
	expect_end(4, 3, PM_ECANCELLED, NULL);
	uint64_t rest[] = {0, 2, 4, 6, 9};
	runner_cancel_all(rest, 0);
	cr_assert_eq(ended_ct, 5);
	runner_cancel_all(rest, 1);
	runner_cancel_all(rest + 1, 4);
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 10);
	cr_assert_eq(runner_held_ct(), 0);
}

/* What was taken back may come again: then the id is in the queue twice, and the first
 * is nobody's. */
Test(runner, cancels_what_came_again, .timeout = 10)
{
	static struct blackbox box;
	uint64_t ids[] = {1, 2};
	begin_runner(1);
	runner_use_blackbox(&box);
	queue(9, wait_once, "x");
	(void)runner_turn(true);
	queue(1, say_arg, "old");
	queue(2, say_arg, "old");
	(void)blackbox_recall(&box, 3);
	queue_in_epoch(1, say_arg, "new", 1);
	queue_in_epoch(2, say_arg, "new", 1);
	queue_in_epoch(3, say_arg, "new", 1);
	runner_cancel_all(ids, 2);
	cr_assert_eq(ended_ct, 2);
	cr_assert(runner_cancel(3));
	cr_assert_not(runner_cancel(3));
	wake(9);
	(void)runner_turn(true);
	cr_assert_eq(begun_ct, 1, "a cancelled task began");
	cr_assert_eq(ended_ct, 4);
	cr_assert_eq(runner_held_ct(), 0);
}

/* Without memory for a stack. */
Test(runner, fails_no_task_that_was_taken_back, .timeout = 10)
{
	static struct blackbox box;
	runner_init(1, SIZE_MAX / 4, note_end);
	runner_use_blackbox(&box);
	queue(1, say_arg, "old");
	(void)blackbox_recall(&box, 1);
	queue_in_epoch(1, say_arg, "new", 1);
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1);
	expect_end(0, 1, PM_ENOMEM, NULL);
	cr_assert_eq(blackbox_recall(&box, 2), 2, "the new one had its turn");
}

static unsigned stay_cancel_ct;

static void note_cancel(void *ctx)
{
	cr_assert_not_null(ctx);
	stay_cancel_ct++;
}

static int stay(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	waiting[task->id] = task;
	task_stay(task, note_cancel, task);
	return park(task);
}

Test(runner, lets_a_task_stay_though_it_is_cancelled, .timeout = 10)
{
	begin_runner(1);
	queue(1, stay, "");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	cr_assert(runner_cancel(1));
	cr_assert_eq(stay_cancel_ct, 1, "it is told once");
	cr_assert_not(runner_turn(true), "and stays");
	cr_assert_eq(ended_ct, 0);
	wake(1);
	(void)runner_turn(true);
	cr_assert_eq(cancel_ct[1], 1, "its next wait is none");
	expect_end(0, 1, PM_ECANCELLED, NULL);
}

static int stay_as_it_is_cancelled(pm_task *task, const void *arg, size_t len)
{
	(void)park(task);
	return stay(task, arg, len);
}

Test(runner, lets_a_cancelled_task_stay, .timeout = 10)
{
	begin_runner(1);
	queue(1, stay_as_it_is_cancelled, "");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 0);
	cr_assert(runner_cancel(1));
	cr_assert_eq(stay_cancel_ct, 0, "it knows that already");
	wake(1);
	(void)runner_turn(true);
	expect_end(0, 1, PM_ECANCELLED, NULL);
}

/* ------------------------------------------------------------ failures */

static int return_number(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)len;
	return atoi(arg);
}

static void expect_failure(const char *arg, pm_task_fn *fn, int error, int domain,
	int code, const char *message)
{
	ended_ct = 0;
	queue(1, fn, arg);
	(void)runner_turn(true);
	expect_end(0, 1, error, "");
	cr_assert_eq(ended[0].failure.domain, domain, "%s: %d", arg,
		ended[0].failure.domain);
	cr_assert_eq(ended[0].failure.code, code, "%s: %d", arg, ended[0].failure.code);
	cr_assert_str_eq(ended[0].failure.message, message);
}

Test(runner, gives_a_bare_error_the_sentence_of_the_table, .timeout = 10)
{
	static const int errors[] = {
		PM_EINVAL, PM_ENOMEM, PM_ETIMEDOUT, PM_EFAILED, PM_ECANCELLED, -1000};
	begin_runner(1);
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		char arg[16];
		snprintf(arg, sizeof arg, "%d", errors[i]);
		expect_failure(arg, return_number, errors[i], PM_DOMAIN_NONE, 0,
			pm_error_text(errors[i]));
	}
}

/* Notes a failed await, and returns what its argument says. */
static int fail_and_return(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	(void)task_set_failure(task, PM_ETIMEDOUT, PM_DOMAIN_CURL, 28, "too slow");
	return atoi(arg);
}

Test(runner, keeps_the_details_of_an_error_that_is_passed_on, .timeout = 10)
{
	begin_runner(1);
	expect_failure(
		"-45", fail_and_return, PM_ETIMEDOUT, PM_DOMAIN_CURL, 28, "too slow");
}

Test(runner, gives_another_error_no_foreign_details, .timeout = 10)
{
	begin_runner(1);
	expect_failure("-43", fail_and_return, PM_ECONNECT, PM_DOMAIN_NONE, 0,
		pm_error_text(PM_ECONNECT));
}

Test(runner, forgets_a_failure_that_the_task_got_over, .timeout = 10)
{
	begin_runner(1);
	expect_failure("0", fail_and_return, 0, PM_DOMAIN_NONE, 0, "");
}

static int fail_at_length(pm_task *task, const void *arg, size_t len)
{
	char text[2000];
	(void)arg;
	(void)len;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	return task_set_failure(task, PM_EDNS, PM_DOMAIN_ERRNO, -1, text);
}

Test(runner, cuts_a_message_that_is_too_long, .timeout = 10)
{
	begin_runner(1);
	queue(1, fail_at_length, "");
	(void)runner_turn(true);
	expect_end(0, 1, PM_EDNS, NULL);
	cr_assert_eq(ended[0].failure.code, -1);
	size_t len = strlen(ended[0].failure.message);
	cr_assert_geq(len, sizeof ended[0].failure.message - 4, "%zu", len);
	cr_assert_eq(strspn(ended[0].failure.message, "x"), len);
}

/* ------------------------------------------------------------ the end */

Test(runner, frees_what_was_never_started, .timeout = 10)
{
	begin_runner(1);
	queue(1, say_arg, "one");
	queue(2, say_arg, "two");
	runner_fini(); /* a leak is found by the sanitizer */
	cr_assert_eq(ended_ct, 0);
	cr_assert_eq(runner_held_ct(), 0);
}

/* ------------------------------------------------------------ all together */

static int wait_as_told(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	note_begin(task);
	for (int left = atoi(arg); left > 0; left--) {
		int err = park(task);
		if (err) {
			return err;
		}
	}
	return buf_put(&task->result, arg, strlen(arg));
}

static void act(uint64_t *seed, uint64_t ct)
{
	uint64_t id = dice_below(seed, ct);
	if (dice_below(seed, 20) == 0) {
		(void)runner_cancel(id);
	} else if (waiting[id]) {
		wake(id);
	}
}

Test(runner, ends_every_task_once_whatever_happens, .timeout = 120)
{
	enum { CT = 5000, CONCURRENCY = 64 };
	static unsigned ends[CT];
	uint64_t seed = 17, queued = 0;
	unsigned cancelled = 0;
	begin_runner(CONCURRENCY);
	while (ended_ct < CT) {
		for (size_t n = dice_below(&seed, 20); n > 0 && queued < CT; n--) {
			char arg[8];
			snprintf(arg, sizeof arg, "%zu", dice_below(&seed, 4));
			queue(queued++, wait_as_told, arg);
		}
		for (size_t n = dice_below(&seed, 2000); n > 0; n--) {
			act(&seed, CT);
		}
		(void)runner_turn(dice_below(&seed, 5) > 0);
		cr_assert_leq(runner_started_ct(), CONCURRENCY);
		cr_assert_eq(runner_held_ct(), queued - ended_ct);
	}
	for (size_t i = 0; i < ended_ct; i++) {
		ends[ended[i].id]++;
		cancelled += ended[i].failure.error == PM_ECANCELLED;
	}
	for (size_t i = 0; i < CT; i++) {
		cr_assert_eq(ends[i], 1, "task %zu ended %u times", i, ends[i]);
	}
	cr_assert(cancelled > 100 && cancelled < CT - 100, "%u", cancelled);
	cr_assert_eq(fetch_end_ct, CT);
	cr_assert_leq(stacks_since(0), CONCURRENCY + 1);
}
