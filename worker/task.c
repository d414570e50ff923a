/* SPDX-License-Identifier: MIT
 *
 * task - what a task can say and ask: the public task API but for the fetch.
 *
 * Runs in: the worker, on the stack of the task that calls.
 */
#include <event2/event.h>
#include <stdio.h>

#include "worker/runner.h"

int pm_return(pm_task *task, const void *bytes, size_t len)
{
	if (len > worker_max_bytes()) {
		char text[96];
		snprintf(text, sizeof text, "result of %zu bytes is over max_bytes %zu",
			len, worker_max_bytes());
		return task_set_failure(task, PM_ETOOBIG, PM_DOMAIN_NONE, 0, text);
	}
	buf_clear(&task->result);
	int err = buf_put(&task->result, bytes, len);
	return err ? task_fail(task, err) : 0;
}

int pm_fail(pm_task *task, int code, const char *fmt, ...)
{
	char text[PM_MESSAGE_MAX + 1]; /* the arguments may be the failure before */
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return task_set_failure(task, PM_EFAILED, PM_DOMAIN_TASK, code, text);
}

unsigned pm_task_worker(const pm_task *task)
{
	(void)task;
	return worker_slot();
}

unsigned pm_task_attempt(const pm_task *task)
{
	return task->attempt;
}

uint64_t pm_task_queued_us(const pm_task *task)
{
	return task->started_at_us - task->queued_at_us;
}

const struct pm_failure *pm_task_failure(const pm_task *task)
{
	return &task->failure;
}

/* ------------------------------------------------------------------- sleep */

static void sleep_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	task_wake(ctx);
}

static void stop_sleep(void *ctx)
{
	evtimer_del(ctx);
}

int pm_sleep(pm_task *task, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};
	struct event *timer = evtimer_new(worker_base(), sleep_cb, task);
	if (!timer || evtimer_add(timer, &tv) < 0) {
		if (timer) {
			event_free(timer);
		}
		return task_fail(task, PM_ENOMEM);
	}
	int err = task_park(task, stop_sleep, timer);
	event_free(timer);
	return err;
}
