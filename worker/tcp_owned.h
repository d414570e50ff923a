/* SPDX-License-Identifier: MIT
 *
 * tcp_owned - what a task owns of TCP, and loses at its end.
 *
 * Runs in: the worker.  Knows nothing of sockets, so that the runner need not.
 */
#ifndef WORKER_TCP_OWNED_H
#define WORKER_TCP_OWNED_H

struct pm_task;

/* The first member of whatever is owned. */
struct tcp_owned {
	struct pm_task *owner; /* or NULL */
	struct tcp_owned *prev, *next;
	void (*close)(struct tcp_owned *owned); /* its owner ends; it disowns it */
};

void tcp_own(struct pm_task *task, struct tcp_owned *owned);
void tcp_disown(struct tcp_owned *owned);

/* The task has ended: close all that it still owns. */
void tcp_task_end(struct pm_task *task);

#endif
