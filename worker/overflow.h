/* SPDX-License-Identifier: MIT
 *
 * overflow - tells the master of a task that ran over the end of its stack.
 *
 * Runs in: the worker; called by worker.c once, and by the kernel.
 */
#ifndef WORKER_OVERFLOW_H
#define WORKER_OVERFLOW_H

struct blackbox;

/* From now on: note in this black box a fault in the guard of the running fiber.  The
 * process dies of it as it would without. */
void overflow_watch(struct blackbox *blackbox);

#endif
