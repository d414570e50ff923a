/* SPDX-License-Identifier: MIT
 *
 * fetch - the fetches of tasks: pm_await_fetch() and what belongs to it.
 *
 * Runs in: the worker.  The engine is opened by the first fetch of the process.
 */
#ifndef WORKER_FETCH_H
#define WORKER_FETCH_H

#include "common/poolmap.h"

/* The task has ended: free every response that it still owns. */
void fetch_task_end(struct pm_task *task);

/* Close the engine, if there is one, and free the sessions.  No task may be in a fetch:
 * call it when all tasks have ended, never from a callback. */
void fetch_fini(void);

#endif
