/* SPDX-License-Identifier: MIT
 *
 * deadline - the time that one attempt of a job may take; see life.h.
 *
 * Runs in: the worker.  Called by the runner, when a task waits for the first time
 * and when its function has returned.
 */
#include <event2/event.h>

#include "common/clock.h"
#include "worker/life.h"

static void over_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_task *task = ctx;
	(void)fd;
	(void)what;
	if (!task->cancelled) {
		task->timed_out = true;
		task_cancel(task);
	}
}

/* Without memory for a timer there is no deadline: the job itself is fine. */
void deadline_start(struct pm_task *task)
{
	struct timeval tv =
		clock_until(task->started_at_us + (uint64_t)task->timeout_ms * 1000);
	task->deadline = evtimer_new(worker_base(), over_cb, task);
	if (task->deadline && evtimer_add(task->deadline, &tv) < 0) {
		deadline_stop(task);
	}
}

void deadline_stop(struct pm_task *task)
{
	if (task->deadline) {
		event_free(task->deadline);
		task->deadline = NULL;
	}
}
