/* SPDX-License-Identifier: MIT
 *
 * ending - from the return of a task's function to its outcome; see life.h.
 *
 * Runs in: the worker, on the task's stack.  Called by the runner.
 *
 * The order: who works for the task has stopped before its clock does, its children
 * are gone before what they may still use, and the outcome is complete before the
 * host's code is told of a failure.
 */
#include <stdio.h>

#include "worker/hooks.h"
#include "worker/leak.h"
#include "worker/life.h"
#include "worker/tcp_owned.h"

/* Not by a whole struct: the message is long, and mostly unused. */
static void clear_failure(struct pm_task *task)
{
	task->failure.error = 0;
	task->failure.domain = PM_DOMAIN_NONE;
	task->failure.code = 0;
	task->failure.message[0] = '\0';
}

/* Cancelled, that is: by its deadline. */
static int fail_late(struct pm_task *task)
{
	char text[64];
	snprintf(text, sizeof text, "ran for more than %u ms", task->timeout_ms);
	return task_set_failure(task, PM_ETIMEDOUT, PM_DOMAIN_NONE, 0, text);
}

/* What the task returned, and what it did not say itself. */
static void conclude(struct pm_task *task, int error)
{
	if (error >= 0) {
		clear_failure(task);
	} else if (error == PM_ECANCELLED && task->timed_out) {
		(void)fail_late(task);
	} else if (task->failure.error != error) {
		(void)task_fail(task, error);
	}
}

static void tell(struct pm_task *task)
{
	if (task->failure.error) {
		hooks_job_failed(task);
	}
}

void ending_run(struct pm_task *task, int error)
{
	if (task->deferral) {
		error = deferral_wait(task, error);
	}
	task->ending = true;
	if (task->deadline) {
		deadline_stop(task);
	}
	if (task->family) {
		family_end(task);
	}
	if (task->tcp) {
		tcp_task_end(task);
	}
	leak_note(task);
	conclude(task, error);
	if (!task->child) {
		leak_end(task);
		tell(task);
	}
}

void ending_unbegun(struct pm_task *task, int error)
{
	conclude(task, error);
}
