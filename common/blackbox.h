/* SPDX-License-Identifier: MIT
 *
 * blackbox - a few words of shared memory between the master and one worker: how
 * far the worker has got, readable when it is dead.
 *
 * Runs in: the master, which makes one per worker and generation and reads it
 * after the worker's end; and the worker, which writes.  A worker that crashes
 * cannot say what it was doing; what it wrote here before stays.
 *
 * The other way it carries the argument of the host's initializer, which has no
 * bound that a packet could keep.
 *
 * With it the master knows of each job of a dead worker whether it had begun
 * (one that must not run twice may run if it had not), and which one was on the
 * CPU, and so is the one to blame.
 */
#ifndef COMMON_BLACKBOX_H
#define COMMON_BLACKBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLACKBOX_WORDS_BYTES = 256 };

struct blackbox {
	/* Who has the jobs that have not begun: the epoch in the upper half, the
	 * lower half of `begun` in the lower.  The worker begins a job of this epoch
	 * only, and the master takes back those that have not begun by a new epoch: one
	 * word, so both always agree about each of them. */
	_Atomic uint64_t turnstile;
	_Atomic uint64_t begun;    /* jobs of this worker that have begun: the first
				      so many of those that were sent to it */
	_Atomic uint64_t current;  /* id of the job whose task is on the CPU; 0: none */
	_Atomic uint32_t overflow; /* 1: a task ran over the end of its stack */
	char words[BLACKBOX_WORDS_BYTES]; /* the last ones of a worker that could not
					     start, with a NUL; empty: none */

	/* from the master to the worker: for the host's initializer */
	size_t init_len;
	_Alignas(max_align_t) unsigned char init_arg[]; /* followed by a NUL */
};

/* Make one: shared memory without a name, with a copy of the initializer's
 * argument.  *fd is for the worker; the caller closes it.  0, PM_ESYSTEM or
 * PM_ENOMEM. */
int blackbox_new(
	struct blackbox **blackbox, int *fd, const void *init_arg, size_t init_len);

/* The worker's view of it.  Closes `fd`.  NULL: it cannot be mapped. */
struct blackbox *blackbox_attach(int fd);

/* The worker: may this job begin, the one after `before` others?  False: the master
 * has taken it back. */
bool blackbox_begin(struct blackbox *blackbox, uint32_t epoch, uint64_t before);

/* The epoch of the jobs that may begin. */
uint32_t blackbox_epoch(const struct blackbox *blackbox);

/* The master: take back every job that has not begun.  Returns how many have, of
 * `sent` that were sent. */
uint64_t blackbox_recall(struct blackbox *blackbox, uint64_t sent);

/* Unmap; NULL is fine. */
void blackbox_free(struct blackbox *blackbox);

#endif
