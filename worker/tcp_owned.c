/* SPDX-License-Identifier: MIT
 *
 * tcp_owned - what a task owns of TCP, see tcp_owned.h.
 *
 * Runs in: the worker.  Called by the TCP modules, and by the runner at the end of a
 * task.
 */
#include "worker/tcp_owned.h"

#include <stddef.h>

#include "worker/runner.h"

void tcp_own(struct pm_task *task, struct tcp_owned *owned)
{
	owned->owner = task;
	owned->prev = NULL;
	owned->next = task->tcp;
	if (owned->next) {
		owned->next->prev = owned;
	}
	task->tcp = owned;
}

void tcp_disown(struct tcp_owned *owned)
{
	if (!owned->owner) {
		return;
	}
	if (owned->next) {
		owned->next->prev = owned->prev;
	}
	if (owned->prev) {
		owned->prev->next = owned->next;
	} else {
		owned->owner->tcp = owned->next;
	}
	owned->owner = NULL;
}

void tcp_task_end(struct pm_task *task)
{
	while (task->tcp) {
		task->tcp->close(task->tcp);
	}
}
