/* SPDX-License-Identifier: MIT
 *
 * thread - the threads of a worker, for what blocks.
 *
 * Runs in: the worker.  Used by pm_await_thread() and by the look-up of names.
 * Threads are started when calls come, at most min(PM_THREADS_MAX, CPUs + 4), and
 * stay: an idle one costs an address range, a new one some 50 us each time.
 * They see none of the worker's state but the calls that are handed to them.
 */
#ifndef WORKER_THREAD_H
#define WORKER_THREAD_H

#include "common/list.h"
#include "common/poolmap.h"

enum thread_call_state {
	THREAD_CALL_QUEUED,
	THREAD_CALL_RUNNING,
	THREAD_CALL_DONE, /* the loop has not been told yet */
};

/* One call; the memory is the caller's, until `done` or thread_withdraw(). */
struct thread_call {
	pm_blocking_fn *fn; /* on a thread */
	void *arg;
	void (*done)(struct thread_call *call); /* then, from the loop */

	/* thread.c's own, under its lock */
	struct list_node link;
	enum thread_call_state state;
};

/* Run it when a thread is free.  Returns 0, or an errno when there is no thread at
 * all and none can be had. */
int thread_start(struct thread_call *call) PM_MUSTCHECK;

/* Forget a call: true, and `done` will not be called; false when it is running, and
 * `done` will. */
bool thread_withdraw(struct thread_call *call);

/* The worker's own descriptor behind all this; -1 before the first call. */
int thread_descriptor(void);

/* End the threads.  A call that still runs cannot be stopped: then they are left to
 * the end of the process. */
void thread_fini(void);

#endif
