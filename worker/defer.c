/* SPDX-License-Identifier: MIT
 *
 * defer - tasks that end by a callback: pm_defer(), pm_finish().
 *
 * Runs in: the worker.  Called by tasks, by callbacks of the host's code on the
 * worker's base, and by the task's end.  A deferred task waits on its stack like any
 * other, so that it ends like any other.
 */
#include <stdlib.h>

#include "worker/life.h"

struct deferral {
	void (*on_cancel)(pm_task *task, void *ctx);
	void *ctx;
	bool waits;    /* parked until pm_finish() */
	bool finished; /* pm_finish() was called */
	int error;     /* with this */
};

int pm_defer(pm_task *task, void (*on_cancel)(pm_task *task, void *ctx), void *ctx)
{
	if (!task->deferral) {
		task->deferral = calloc(1, sizeof *task->deferral);
	}
	if (!task->deferral) {
		return task_fail(task, PM_ENOMEM);
	}
	task->deferral->on_cancel = on_cancel;
	task->deferral->ctx = ctx;
	return PM_DEFERRED;
}

/* A second call comes too late to change anything. */
void pm_finish(pm_task *task, int error)
{
	struct deferral *d = task->deferral;
	if (!d || d->finished) {
		return;
	}
	d->finished = true;
	d->error = error;
	if (d->waits) {
		d->waits = false;
		task_wake(task);
	}
}

/* The host's code: what it breaks, the task has broken. */
static void stop_work(void *ctx)
{
	struct pm_task *task = ctx;
	const struct deferral *d = task->deferral;
	if (d->on_cancel && !d->finished) {
		uint64_t before = runner_blame(task);
		d->on_cancel(task, d->ctx);
		runner_blame_back(before);
	}
}

int deferral_wait(struct pm_task *task, int error)
{
	struct deferral *d = task->deferral;
	if (error != PM_DEFERRED) {
		return error;
	}
	if (task->cancelled) {
		stop_work(task);
	}
	if (!d->finished) {
		d->waits = true;
		task_stay(task, stop_work, task);
	}
	return d->error;
}

void deferral_free(struct pm_task *task)
{
	free(task->deferral);
	task->deferral = NULL;
}
