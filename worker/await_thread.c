/* SPDX-License-Identifier: MIT
 *
 * await_thread - waits of tasks for blocking functions: pm_await_thread().
 *
 * Runs in: the worker.  Called by tasks, and by the loop.  The function gets what
 * belongs to the task, which therefore never leaves before the function has.
 */
#include <errno.h>
#include <string.h>

#include "worker/runner.h"
#include "worker/thread.h"

/* One wait, on the stack of its task. */
struct wait {
	struct thread_call call;
	struct pm_task *task;
	bool parked;
	bool over; /* fn has returned, or never will run */
};

static void on_done(struct thread_call *call)
{
	struct wait *w = list_entry(call, struct wait, call);
	w->over = true;
	if (w->parked) { /* else a cancellation has woken it already */
		w->parked = false;
		task_wake(w->task);
	}
}

static void stop_waiting(void *ctx)
{
	struct wait *w = ctx;
	w->parked = false;
	w->over = w->over || thread_withdraw(&w->call);
}

/* It works on what belongs to the task, and cannot be stopped. */
static void wait_out(struct wait *w)
{
	if (!w->over) {
		w->parked = true;
		task_stay(w->task, NULL, NULL);
	}
}

static int fail_to_start(struct pm_task *task, int code)
{
	int err = code == ENOMEM ? PM_ENOMEM : PM_ELIMIT;
	return task_set_failure(task, err, PM_DOMAIN_ERRNO, code, strerror(code));
}

int pm_await_thread(pm_task *task, pm_blocking_fn *fn, void *arg)
{
	struct wait w = {.call = {.fn = fn, .arg = arg, .done = on_done}, .task = task};
	if (!fn) {
		return task_set_failure(task, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"pm_await_thread() needs a function");
	}
	if (task->cancelled) {
		return task_set_failure(task, PM_ECANCELLED, PM_DOMAIN_NONE, 0,
			"cancelled before a blocking function began");
	}
	int code = thread_start(&w.call);
	if (code) {
		return fail_to_start(task, code);
	}
	w.parked = true;
	int err = task_park(task, stop_waiting, &w);
	if (err) {
		wait_out(&w);
	}
	return err;
}
