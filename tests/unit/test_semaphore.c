/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/semaphore, in tasks on the real runner.
 */
#include <stdlib.h>

#include "tests/unit/task_rig.h"

static pm_semaphore *semaphore;

static void open_with_two(void)
{
	rig_open();
	semaphore = pm_semaphore_new(2);
	cr_assert_not_null(semaphore);
}

static void close_with_it(void)
{
	pm_semaphore_free(semaphore);
	rig_close();
}

TestSuite(semaphore, .init = open_with_two, .fini = close_with_it);

static unsigned inside_ct, inside_max, order_ct;
static uint64_t order[64];

/* Inside for the milliseconds of the argument. */
static int pass(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	int err = pm_semaphore_acquire(task, semaphore);
	if (err) {
		return err;
	}
	order[order_ct++] = task->id;
	inside_ct++;
	inside_max = inside_ct > inside_max ? inside_ct : inside_max;
	err = pm_sleep(task, (unsigned)atoi(arg));
	inside_ct--;
	pm_semaphore_release(semaphore);
	return err;
}

Test(semaphore, lets_so_many_in, .timeout = 30)
{
	for (uint64_t i = 0; i < 20; i++) {
		(void)rig_queue(i, pass, "1");
	}
	rig_run_until(20);
	cr_assert_eq(inside_max, 2);
	cr_assert_eq(order_ct, 20);
	for (uint64_t i = 0; i < 20; i++) {
		cr_assert_eq(order[i], i, "first come, first served");
	}
}

/* It asks again at once, and must wait behind the one that waits already. */
static int ask_again(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	for (int i = 0; i < 2; i++) {
		EXPECT(task, pm_semaphore_acquire(task, semaphore) == 0);
		order[order_ct++] = task->id;
		EXPECT(task, pm_sleep(task, 1) == 0);
		pm_semaphore_release(semaphore);
	}
	return 0;
}

Test(semaphore, gives_a_permit_to_who_waits, .timeout = 30)
{
	pm_semaphore_free(semaphore);
	semaphore = pm_semaphore_new(1);
	(void)rig_queue(1, ask_again, "");
	(void)rig_queue(2, ask_again, "");
	rig_run_until(2);
	static const uint64_t turns[] = {1, 2, 1, 2};
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(order[i], turns[i], "%zu", i);
		rig_expect(&ended[i / 2], 0, "");
	}
}

static int release(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	pm_semaphore_release(semaphore);
	return 0;
}

Test(semaphore, may_have_no_permit_at_first, .timeout = 30)
{
	pm_semaphore_free(semaphore);
	semaphore = pm_semaphore_new(0);
	(void)rig_queue(1, pass, "0");
	(void)runner_turn(true);
	cr_assert_eq(order_ct, 0);
	(void)rig_queue(2, release, "");
	rig_run_until(2);
	cr_assert_eq(order_ct, 1);
}

static void queue_three(void)
{
	(void)rig_queue(1, pass, "2");
	(void)rig_queue(2, pass, "2");
	(void)rig_queue(3, pass, "2");
	(void)runner_turn(true);
	cr_assert_eq(inside_ct, 2);
}

Test(semaphore, is_not_waited_for_after_a_cancellation, .timeout = 30)
{
	queue_three();
	(void)rig_queue(4, pass, "2");
	(void)runner_turn(true);
	cr_assert(runner_cancel(3));
	rig_run_until(4);
	cr_assert_eq(order_ct, 3);
	cr_assert_eq(order[2], 4);
	rig_expect(&ended[0], PM_ECANCELLED, "cancelled");
	cr_assert_eq(ended[0].id, 3);
}

/* Its permit has come, it goes on with it and gives it back. */
Test(semaphore, keeps_no_permit_of_a_task_cancelled_on_its_way, .timeout = 30)
{
	pm_semaphore_free(semaphore);
	semaphore = pm_semaphore_new(0);
	(void)rig_queue(1, pass, "60000");
	(void)runner_turn(true);
	pm_semaphore_release(semaphore);
	cr_assert(runner_cancel(1));
	rig_run_until(1);
	rig_expect(&ended[0], PM_ECANCELLED, "cancelled");
	(void)rig_queue(2, pass, "0");
	rig_run_until(2);
	rig_expect(&ended[1], 0, "");
}

static int ask_though_cancelled(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	EXPECT(task, pm_sleep(task, 60000) == PM_ECANCELLED);
	EXPECT(task, pm_semaphore_acquire(task, semaphore) == PM_ECANCELLED);
	return 0;
}

Test(semaphore, is_not_had_after_a_cancellation, .timeout = 30)
{
	(void)rig_queue(1, ask_though_cancelled, "");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	rig_run_until(1);
	rig_expect(&ended[0], 0, "");
}

static int ask_in_vain(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	int err = pm_semaphore_acquire(task, semaphore);
	EXPECT(task, pm_task_failure(task)->error == err);
	return err;
}

Test(semaphore, fails_those_that_wait_when_it_is_freed, .timeout = 30)
{
	pm_semaphore_free(semaphore);
	semaphore = pm_semaphore_new(0);
	for (uint64_t i = 0; i < 3; i++) {
		(void)rig_queue(i, ask_in_vain, "");
	}
	(void)runner_turn(true);
	pm_semaphore_free(semaphore);
	semaphore = NULL;
	rig_run_until(3);
	for (size_t i = 0; i < 3; i++) {
		rig_expect(&ended[i], PM_ECANCELLED, "the semaphore was freed");
	}
}

Test(semaphore, may_be_none_to_free, .timeout = 30)
{
	pm_semaphore_free(NULL);
}

static int pass_as_child(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[5];
	for (int i = 0; i < 5; i++) {
		EXPECT(task, pm_spawn(task, pass, arg, len, &children[i]) == 0);
	}
	return pm_gather(task, children, 5);
}

Test(semaphore, is_for_the_children_of_several_jobs, .timeout = 30)
{
	(void)rig_queue(1, pass_as_child, "1");
	(void)rig_queue(2, pass_as_child, "1");
	rig_run_until(2);
	cr_assert_eq(order_ct, 10);
	cr_assert_eq(inside_max, 2);
}
