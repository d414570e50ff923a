/* SPDX-License-Identifier: MIT
 *
 * fetch_task - the task of `poolmap run`: parse a job line, fetch it, render
 * the result line.
 *
 * Runs in: the workers, against the public task API alone; the code is in
 * worker/cli/fetch_task.c.  Declared here because the master has to name it.
 */
#ifndef COMMON_CLI_FETCH_TASK_H
#define COMMON_CLI_FETCH_TASK_H

#include "common/poolmap.h"

/* Argument and result: see common/cli/outcome.h.  Reads `settings`. */
int fetch_task(pm_task *task, const void *arg, size_t len);

/* The initializer of the workers: a pm_init_fn without an argument.  Its code is in
 * worker/cli/fetch_init.c. */
int fetch_init(const void *arg, size_t len);

#endif
