/* SPDX-License-Identifier: MIT
 *
 * deliver - what becomes of a result: its line goes to the output, its job to
 * the list of failed ones if it is one, and it is counted.
 *
 * Owns the outputs and all that belongs to them: what earlier runs have left,
 * the counts, the rate.  Runs in the master of the command; run opens and discards
 * it and calls it from the tick, flow from the sink and at the end.  The struct is
 * the caller's, and a zeroed one can be discarded.
 * Must never: know of the pool or of events; flow translates.
 *
 * Errors are printed where they are found and returned as exit codes.
 */
#ifndef MASTER_CLI_DELIVER_H
#define MASTER_CLI_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/poolmap.h"
#include "master/cli/csv.h"
#include "master/cli/input.h"
#include "master/cli/merge.h"
#include "master/cli/output.h"
#include "master/cli/rate.h"
#include "master/cli/resume.h"
#include "master/cli/state.h"
#include "master/cli/tally.h"

struct deliver {
	struct output *output;
	struct resume *resume;
	struct state state; /* which job files the output is of */
	struct csv *csv;    /* NULL: lines of JSON */
	bool unordered;
	struct output *failed; /* --failed; NULL: not wanted */
	struct merge *merge;   /* --retry-failed; NULL: not wanted */
	uint64_t copied_ct;    /* of merge, and counted as skipped */
	struct tally tally;
	struct rate rate;
	struct buf line; /* of a job that no worker could finish */
	struct buf row;  /* of CSV */
};

/* After input_open(): opens the outputs, and reads what is in them when the run
 * goes on with them.  What is named by mistake is found before a file is
 * touched, as far as that can be.  Returns 0 or an exit code, as output_open(),
 * state_open(), resume_scan(), failed_open(), merge_open(). */
int deliver_open(struct deliver *d, const struct settings *want, struct input *in);

/* Why --resume will not be able to go on with these results; NULL: it will. */
const char *deliver_unfit(const struct deliver *d);

/* Does this job need none of us: it has a result, or gets that of an earlier
 * run? */
bool deliver_has(const struct deliver *d, uint64_t index);

/* The outcome of a result: what its worker said, or what follows from the
 * error of a job that no worker could finish. */
struct outcome deliver_outcome(const struct pm_result *result);

/* Is it none, because a body cannot be written?  Then deliver_put() ends the run. */
bool deliver_disk_failed(const struct pm_result *result);

/* There is no room now: ask again after deliver_flush(). */
bool deliver_blocked(const struct deliver *d);

/* Take one result.  Returns 0; DELIVER_AGAIN: it was not taken, call again soon
 * with the same (lines of an earlier run stand before it, and are many); or an
 * exit code. */
enum { DELIVER_AGAIN = -1 };
int deliver_put(struct deliver *d, const struct pm_result *result);

/* As output_flush(), output_tick() and output_fd(). */
int deliver_flush(struct deliver *d);
int deliver_tick(struct deliver *d);
int deliver_fd(const struct deliver *d);

/* After the last result, before deliver_close(): copy what is left of an
 * earlier run.  Returns 0, DELIVER_AGAIN, or an exit code. */
int deliver_rest(struct deliver *d);

/* Write the rest and close.  `complete`: every job has its result, and a later run
 * need not be told which job files these are of.  Returns 0 or an exit code.
 * deliver_discard() still has to follow, as it may come alone: it gives up what is
 * open. */
int deliver_close(struct deliver *d, bool complete);
void deliver_discard(struct deliver *d);

#endif
