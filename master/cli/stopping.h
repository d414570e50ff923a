/* SPDX-License-Identifier: MIT
 *
 * stopping - why a run ends before its jobs do, and how: signals, --max-time, and
 * failed jobs that are too many.
 *
 * Owns the handlers of SIGINT and SIGTERM while it is open.  Runs in the master of
 * the command; run opens it, flow tells it which jobs have ended and asks whether
 * to take more.  The struct is the caller's, and a zeroed one can be closed.
 * Must never: know of input or output; that something went wrong is flow's error.
 */
#ifndef MASTER_CLI_STOPPING_H
#define MASTER_CLI_STOPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cli/outcome.h"
#include "common/poolmap.h"
#include "master/cli/halt.h"

struct event;
struct event_base;

/* Why no more jobs are taken, though nothing went wrong. */
enum stop { STOP_NONE, STOP_SIGNAL, STOP_HALT, STOP_TIME };

struct stopping {
	pm_pool *pool;
	struct halt halt;
	enum stop why; /* the first reason */
	int signal;    /* the first one that came; 0: none */
	bool at_once;  /* what runs is dropped */
	struct event *sigint, *sigterm, *deadline, *halted;
};

/* Watch, on the pool's loop.  --max-time counts from start_us, when the command
 * started.  Returns 0 or an exit code. */
int stopping_open(
	struct stopping *s, struct event_base *base, pm_pool *pool, uint64_t start_us);

/* A job has ended for good.  It may have been one too many. */
void stopping_count(struct stopping *s, const struct pm_result *result,
	const struct outcome *outcome);

/* The jobs have ended, and only the pool is left to close: now it is signals alone
 * that matter. */
void stopping_over(struct stopping *s);
void stopping_close(struct stopping *s);

#endif
