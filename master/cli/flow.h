/* SPDX-License-Identifier: MIT
 *
 * flow - the jobs of the input go through the pool, and their results to the output.
 *
 * It is the stream of the library, struct pm_stream, with the parts of the command
 * behind its callbacks: input has the jobs, pace says when each begins and whether it
 * runs again, deliver takes the results, stopping ends it early.
 *
 *	input -> source -> [ lane_new, admit -> workers -> retry ] -> sink -> deliver
 *
 * Whoever cannot go on now says so, and the pool is woken when it can: by an event
 * on the pipe that jobs come from or results go to, or behind those that wait now.
 * Owns these events and the pace.  Runs in the master of the command; called by run.
 * Must never: block, but in flow_run().
 */
#ifndef MASTER_CLI_FLOW_H
#define MASTER_CLI_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/deliver.h"
#include "master/cli/input.h"
#include "master/cli/pace.h"
#include "master/cli/stopping.h"

struct event;
struct event_base;

struct flow {
	/* set by the caller, who owns them; the rest is zero then */
	struct event_base *base;
	pm_pool *pool;
	struct input *input;
	struct deliver *deliver;
	struct stopping *stopping;

	struct pace pace;
	struct event *again, *readable, *writable;
	struct buf arg;   /* of the job that is handed to the pool */
	uint64_t seen_ct; /* jobs read, those that have results already, too */
	uint64_t total;   /* of those; 0: not known yet */
	uint64_t delivered_ct;
	bool cut;  /* in order, the first job without a result has come */
	int error; /* exit code of what failed; 0: nothing */
};

/* Returns 0 or an exit code; flow_close() in both cases, after the pool is closed. */
int flow_open(struct flow *flow);
void flow_close(struct flow *flow);

/* Returns when every job has its result in the output, or the run was stopped, or
 * flow->error says what failed.  Runs the loop meanwhile, and closes the output. */
void flow_run(struct flow *flow);

/* Nothing more can be done.  The cause was printed. */
void flow_fail(struct flow *flow, int error);

#endif
