/* SPDX-License-Identifier: MIT
 *
 * life - the parts of a task's life that are not scheduling, in the order in which
 * the runner calls them.
 *
 * Runs in: the worker.  Each part is a file; a task that does not use a part has a
 * NULL pointer there, and pays a comparison.
 */
#ifndef WORKER_LIFE_H
#define WORKER_LIFE_H

#include "worker/child.h"
#include "worker/runner.h"

/* -------------------------------------------------------------- ending.c */

/* On the task's stack, when its function has returned `error`: all that is left to
 * do before its result can go out.  May wait.  The outcome is in the task then. */
void ending_run(struct pm_task *task, int error);

/* The outcome of a task that never began. */
void ending_unbegun(struct pm_task *task, int error);

/* ------------------------------------------------------------ deadline.c
 * A task that never waits could not be stopped, so the clock is started by the
 * first wait, and shows the time since the task began. */

void deadline_start(struct pm_task *task);
void deadline_stop(struct pm_task *task);

/* --------------------------------------------------------------- defer.c */

/* The function of a task with a deferral has returned `error`: wait for pm_finish() if
 * it said PM_DEFERRED. Returns the error that counts. */
int deferral_wait(struct pm_task *task, int error);
void deferral_free(struct pm_task *task);

#endif
