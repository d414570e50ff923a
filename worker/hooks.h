/* SPDX-License-Identifier: MIT
 *
 * hooks - the host's own functions in a worker: initializer, finalizer, and the one
 * that learns of failed jobs.
 *
 * Runs in: the worker.  Called by worker.c at both ends of its life, and by the end of
 * each task.
 */
#ifndef WORKER_HOOKS_H
#define WORKER_HOOKS_H

#include "worker/runner.h"

struct boot;
struct blackbox;

/* Before the first job.  0, or the initializer's error: then blackbox->words says
 * why. */
int hooks_init(const struct boot *boot, struct blackbox *blackbox);

/* After the last job, in an orderly end. */
void hooks_fini(void);

/* This job has failed, on its stack. */
void hooks_job_failed(struct pm_task *task);

#endif
