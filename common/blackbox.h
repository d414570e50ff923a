/* SPDX-License-Identifier: MIT
 *
 * blackbox - a few words of shared memory between the master and one worker: how
 * far the worker has got, readable when it is dead.
 *
 * Runs in: the master, which makes one per worker and generation and reads it
 * after the worker's end; and the worker, which writes.  A worker that crashes
 * cannot say what it was doing; what it wrote here before stays.
 *
 * With it the master knows of each job of a dead worker whether it had begun
 * (one that must not run twice may run if it had not), and which one was on the
 * CPU, and so is the one to blame.
 */
#ifndef COMMON_BLACKBOX_H
#define COMMON_BLACKBOX_H

#include <stdatomic.h>
#include <stdint.h>

struct blackbox {
	_Atomic uint64_t begun;   /* jobs of this worker that have begun: the first
				     so many of those that were sent to it */
	_Atomic uint64_t current; /* id of the job whose task is on the CPU; 0: none */
};

/* Make one: shared memory without a name.  *fd is for the worker; the caller
 * closes it.  0, PM_ESYSTEM or PM_ENOMEM. */
int blackbox_new(struct blackbox **blackbox, int *fd);

/* The worker's view of it.  Closes `fd`.  NULL: it cannot be mapped. */
struct blackbox *blackbox_attach(int fd);

/* Unmap; NULL is fine. */
void blackbox_free(struct blackbox *blackbox);

#endif
