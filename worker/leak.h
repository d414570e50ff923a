/* SPDX-License-Identifier: MIT
 *
 * leak - looks for descriptors that a task left open: check_descriptors.
 *
 * Runs in: the worker.  Called by worker.c, by the start and the end of each job, and
 * by the modules that open descriptors for longer than a task.
 *
 * The rule: a job is blamed for a descriptor that is open at its end and was not at its
 * beginning, if no other job had begun before its end.  Not blamed are
 *   - descriptors that this library opened for the worker's life, see leak_keep();
 *   - sockets, in a worker that has fetched: libcurl keeps connections, and closes some
 *     without a word;
 *   - any, in a worker that has fetched and has more threads than at first: libcurl
 *     leaves a look-up of a name to its thread when the fetch is over before;
 *   - any, while a thread of ours works on for a job that is over.
 * A descriptor that a task closed and opened anew under the old number is not seen.
 */
#ifndef WORKER_LEAK_H
#define WORKER_LEAK_H

#include <stdbool.h>

struct pm_task;

/* Look from now on; without it the others do nothing. */
void leak_watch(void);

/* This descriptor is the worker's own, now and later. */
void leak_keep(int fd);

/* A thread works on for a job that is over (true), or has come to its end (false):
 * until then nobody is blamed. */
void leak_stray(bool works_on);

/* A job has begun. */
void leak_begin(const struct pm_task *task);

/* The function of a job, or of a child, has returned. */
void leak_note(const struct pm_task *task);

/* A job has let go of all it had: close what is left, and fail the job for it. */
void leak_end(struct pm_task *task);

void leak_fini(void);

#endif
