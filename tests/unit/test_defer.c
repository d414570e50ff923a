/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/defer and worker/deadline: tasks that a callback ends, and
 * tasks that the clock ends.
 */
#include <stdlib.h>

#include "tests/unit/task_rig.h"

TestSuite(defer, .init = rig_open, .fini = rig_close);

static struct pm_task *the_task;
static unsigned on_cancel_ct, over_ct;
static int finish_with;
static struct event *timer;

static void note_cancel(pm_task *task, void *ctx)
{
	cr_assert_eq(task, the_task);
	cr_assert_eq(ctx, &on_cancel_ct);
	on_cancel_ct++;
}

static void finish_at_cancel(pm_task *task, void *ctx)
{
	note_cancel(task, ctx);
	event_free(timer);
	pm_finish(task, PM_ECANCELLED);
}

static void finish_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_task *task = ctx;
	(void)fd;
	(void)what;
	event_free(timer);
	cr_assert_eq(pm_return(task, task->arg, task->arg_len), 0);
	if (finish_with == PM_EFAILED) {
		(void)pm_fail(task, 5, "the callback says so");
	}
	pm_finish(task, finish_with);
}

static void finish_after(struct pm_task *task, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	timer = evtimer_new(rig_base, finish_cb, task);
	cr_assert_eq(evtimer_add(timer, &tv), 0);
	the_task = task;
}

/* Ends after the milliseconds of its argument. */
static int defer(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	finish_after(task, (unsigned)atoi(arg));
	return pm_defer(task, finish_at_cancel, &on_cancel_ct);
}

Test(defer, ends_a_task_later, .timeout = 30)
{
	rig_expect(rig_run(defer, "1"), 0, "1");
	cr_assert_eq(on_cancel_ct, 0);
}

Test(defer, ends_a_task_with_its_failure, .timeout = 30)
{
	finish_with = PM_EFAILED;
	rig_expect(rig_run(defer, "1"), PM_EFAILED, "the callback says so");
	cr_assert_eq(ended[0].failure.code, 5);
}

Test(defer, ends_a_task_with_a_bare_error, .timeout = 30)
{
	finish_with = PM_EDNS;
	rig_expect(rig_run(defer, "1"), PM_EDNS, pm_error_text(PM_EDNS));
}

static int do_nothing(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	over_ct++;
	return 0;
}

Test(defer, counts_as_a_job_that_runs, .timeout = 30)
{
	rig_close();
	rig_open_for(1);
	(void)rig_queue(1, defer, "1");
	(void)rig_queue(2, do_nothing, "");
	(void)runner_turn(true);
	cr_assert_eq(runner_started_ct(), 1);
	cr_assert_eq(over_ct, 0);
	rig_run_until(2);
	cr_assert_eq(ended[0].id, 1);
}

static int finish_first(pm_task *task, const void *arg, size_t len)
{
	int deferred = pm_defer(task, note_cancel, NULL);
	EXPECT(task, deferred == PM_DEFERRED);
	(void)pm_return(task, arg, len);
	pm_finish(task, 0);
	pm_finish(task, PM_EFAILED);
	return deferred;
}

Test(defer, may_be_over_before_the_function_is, .timeout = 30)
{
	rig_expect(rig_run(finish_first, "at once"), 0, "at once");
}

static int change_its_mind(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	(void)pm_defer(task, note_cancel, NULL);
	return pm_fail(task, 1, "not deferred after all");
}

Test(defer, is_what_the_function_returns, .timeout = 30)
{
	rig_expect(rig_run(change_its_mind, ""), PM_EFAILED, "not deferred after all");
}

static int finish_what_is_not_deferred(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	pm_finish(task, PM_EFAILED);
	return 0;
}

Test(defer, is_needed_to_finish, .timeout = 30)
{
	rig_expect_fine(finish_what_is_not_deferred);
}

static int defer_as_it_is_cancelled(pm_task *task, const void *arg, size_t len)
{
	EXPECT(task, pm_sleep(task, 60000) == PM_ECANCELLED);
	EXPECT(task, on_cancel_ct == 0);
	return defer(task, arg, len);
}

Test(defer, stops_the_work_when_it_is_cancelled, .timeout = 30)
{
	(void)rig_queue(1, defer, "60000");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	cr_assert_eq(on_cancel_ct, 1);
	cr_assert_eq(ended_ct, 0, "not in there");
	cr_assert(runner_cancel(1));
	rig_run_until(1);
	rig_expect(&ended[0], PM_ECANCELLED, pm_error_text(PM_ECANCELLED));
	cr_assert_eq(on_cancel_ct, 1, "once");
}

Test(defer, stops_the_work_of_a_task_that_was_cancelled_before, .timeout = 30)
{
	(void)rig_queue(1, defer_as_it_is_cancelled, "60000");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	rig_run_until(1);
	rig_expect(&ended[0], PM_ECANCELLED, pm_error_text(PM_ECANCELLED));
	cr_assert_eq(on_cancel_ct, 1);
}

static int defer_and_note(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	finish_after(task, (unsigned)atoi(arg));
	return pm_defer(task, note_cancel, &on_cancel_ct);
}

static int defer_without(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	finish_after(task, (unsigned)atoi(arg));
	return pm_defer(task, NULL, NULL);
}

static int defer_and_note_as_it_is_cancelled(pm_task *task, const void *arg, size_t len)
{
	EXPECT(task, pm_sleep(task, 60000) == PM_ECANCELLED);
	return defer_and_note(task, arg, len);
}

Test(defer, tells_of_a_cancellation_once, .timeout = 30)
{
	(void)rig_queue(1, defer_and_note_as_it_is_cancelled, "5");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	cr_assert_eq(on_cancel_ct, 1);
	cr_assert(runner_cancel(1));
	rig_run_until(1);
	cr_assert_eq(on_cancel_ct, 1);
	rig_expect(&ended[0], 0, "5");
}

Test(defer, goes_on_when_nobody_stops_it, .timeout = 30)
{
	(void)rig_queue(1, defer_and_note, "5");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	rig_run_until(1);
	rig_expect(&ended[0], 0, "5");
	cr_assert_eq(on_cancel_ct, 1);
	(void)rig_queue(2, defer_without, "5");
	(void)runner_turn(true);
	cr_assert(runner_cancel(2));
	rig_run_until(2);
	rig_expect(&ended[1], 0, "5");
}

static int nap(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	int err = pm_sleep(task, (unsigned)atoi(arg));
	over_ct++;
	return err ? err : pm_return(task, arg, strlen(arg));
}

static int defer_with_a_child(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, nap, "1", 1, &child) == 0);
	EXPECT(task, pm_spawn(task, nap, "60000", 5, &child) == 0);
	return defer(task, arg, len);
}

Test(defer, lets_children_go_on_until_the_end, .timeout = 30)
{
	(void)rig_queue(1, defer_with_a_child, "60000");
	(void)runner_turn(true);
	while (over_ct < 1) {
		rig_turn();
	}
	cr_assert_eq(ended_ct, 0);
	cr_assert_eq(over_ct, 1);
	event_active(timer, EV_TIMEOUT, 0);
	rig_run_until(1);
	rig_expect(&ended[0], 0, "60000");
	cr_assert_eq(over_ct, 2);
}

static int defer_in_a_child(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, defer, arg, len, &child) == 0);
	EXPECT(task, pm_await_child(task, child, 2) == PM_ETIMEDOUT);
	EXPECT(task, on_cancel_ct == 1);
	EXPECT(task, pm_spawn(task, defer, "1", 1, &child) == 0);
	return pm_await_child(task, child, PM_FOREVER);
}

Test(defer, is_for_children_too, .timeout = 30)
{
	rig_expect(rig_run(defer_in_a_child, "60000"), 0, "");
}

/* ------------------------------------------------------------ deadlines */

TestSuite(deadline, .init = rig_open, .fini = rig_close);

static const struct ended *run_within(unsigned ms, pm_task_fn *fn, const char *arg)
{
	rig_queue(1, fn, arg)->timeout_ms = ms;
	rig_run_until(1);
	return &ended[0];
}

Test(deadline, ends_a_task_that_waits, .timeout = 30)
{
	rig_expect(run_within(5, nap, "60000"), PM_ETIMEDOUT, "ran for more than 5 ms");
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_NONE);
}

Test(deadline, ends_no_other_task, .timeout = 30)
{
	rig_queue(1, nap, "60000")->timeout_ms = 5;
	(void)rig_queue(2, nap, "20");
	rig_queue(3, nap, "20")->timeout_ms = 60000;
	rig_run_until(3);
	cr_assert_eq(ended[0].id, 1);
	rig_expect(&ended[1], 0, "20");
	rig_expect(&ended[2], 0, "20");
}

static int ignore_it(pm_task *task, const void *arg, size_t len)
{
	(void)pm_sleep(task, 60000);
	EXPECT(task, pm_sleep(task, 60000) == PM_ECANCELLED);
	return pm_return(task, arg, len);
}

Test(deadline, keeps_a_success, .timeout = 30)
{
	rig_expect(run_within(1, ignore_it, "after all"), 0, "after all");
}

static int fail_otherwise(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_sleep(task, 60000) ? pm_fail(task, 3, "late") : 0;
}

Test(deadline, keeps_another_failure, .timeout = 30)
{
	rig_expect(run_within(1, fail_otherwise, ""), PM_EFAILED, "late");
}

static int wait_often(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	for (;;) {
		int err = pm_sleep(task, 1);
		if (err) {
			return err;
		}
	}
}

Test(deadline, counts_from_the_start_and_not_from_the_wait, .timeout = 30)
{
	rig_expect(
		run_within(5, wait_often, ""), PM_ETIMEDOUT, "ran for more than 5 ms");
}

/* As if it had begun a minute ago. */
static int begin_early(pm_task *task, const void *arg, size_t len)
{
	task->started_at_us -= 59999 * 1000;
	return nap(task, arg, len);
}

Test(deadline, counts_what_was_before_the_first_wait, .timeout = 30)
{
	rig_expect(run_within(60000, begin_early, "60000"), PM_ETIMEDOUT,
		"ran for more than 60000 ms");
}

static int compute_and_wait(pm_task *task, const void *arg, size_t len)
{
	uint64_t from = clock_now_us();
	while (clock_now_us() - from < 3000) {
	}
	return nap(task, arg, len);
}

Test(deadline, may_be_over_at_the_first_wait, .timeout = 30)
{
	rig_expect(run_within(1, compute_and_wait, "60000"), PM_ETIMEDOUT,
		"ran for more than 1 ms");
}

Test(deadline, is_not_a_cancellation_by_others, .timeout = 30)
{
	rig_queue(1, nap, "60000")->timeout_ms = 1000;
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	rig_run_until(1);
	rig_expect(&ended[0], PM_ECANCELLED, "cancelled");
}

/* Takes its time to end when it is cancelled, until somebody wakes it. */
static int linger(pm_task *task, const void *arg, size_t len)
{
	int err = pm_sleep(task, 60000);
	(void)arg;
	(void)len;
	the_task = task;
	if (timer) {
		event_active(timer, EV_TIMEOUT, 0);
	}
	task_stay(task, NULL, NULL);
	return err;
}

Test(deadline, does_not_matter_to_a_task_that_was_cancelled, .timeout = 30)
{
	struct pm_task *task = rig_queue(1, linger, "");
	task->timeout_ms = 60000;
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	cr_assert_eq(the_task, task);
	event_active(task->deadline, EV_TIMEOUT, 0);
	cr_assert_geq(event_base_loop(rig_base, EVLOOP_NONBLOCK), 0);
	task_wake(task);
	rig_run_until(1);
	rig_expect(&ended[0], PM_ECANCELLED, "cancelled");
}

static int gather_a_nap(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, nap, arg, len, &child) == 0);
	return pm_gather(task, &child, 1);
}

Test(deadline, is_for_a_task_with_its_children, .timeout = 30)
{
	rig_expect(run_within(2, gather_a_nap, "60000"), PM_ETIMEDOUT,
		"ran for more than 2 ms");
	cr_assert_eq(over_ct, 1);
}

Test(deadline, stops_deferred_work, .timeout = 30)
{
	rig_expect(
		run_within(2, defer, "60000"), PM_ETIMEDOUT, "ran for more than 2 ms");
	cr_assert_eq(on_cancel_ct, 1);
}

/* The function is over in time, its child takes longer. */
static int leave_one_that_lingers(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	(void)arg;
	(void)len;
	EXPECT(task, pm_spawn(task, linger, "", 0, &child) == 0);
	EXPECT(task, pm_sleep(task, 0) == 0);
	return PM_ECANCELLED;
}

static void wake_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	cr_assert_null(the_task->child->parent->deadline);
	task_wake(the_task);
}

Test(deadline, is_for_the_function_alone, .timeout = 30)
{
	timer = evtimer_new(rig_base, wake_cb, NULL);
	rig_expect(run_within(60000, leave_one_that_lingers, ""), PM_ECANCELLED,
		pm_error_text(PM_ECANCELLED));
	event_free(timer);
}
