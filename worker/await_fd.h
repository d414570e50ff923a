/* SPDX-License-Identifier: MIT
 *
 * await_fd - waits of tasks for descriptors: pm_await_fd() and what belongs to it.
 *
 * Runs in: the worker.  The set of descriptors is opened by the first wait.
 */
#ifndef WORKER_AWAIT_FD_H
#define WORKER_AWAIT_FD_H

/* The worker's own descriptor behind all waits; -1 before the first one. */
int await_fd_descriptor(void);

/* Close the set, if there is one.  No task may be in a wait. */
void await_fd_fini(void);

#endif
