/* SPDX-License-Identifier: MIT
 *
 * summary - what `poolmap run` says at its end: what came of the jobs, where
 * the results are, and what to do next.  `poolmap report` says the first of it, too.
 *
 * Runs in: the master of the command.  Pure: renders into a buffer, which a run
 * writes to standard error after progress_clear().  Why a run could not
 * go on (which file, which error) is the caller's own message, before it.
 */
#ifndef MASTER_CLI_SUMMARY_H
#define MASTER_CLI_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "master/cli/tally.h"

/* Why the run ended. */
enum summary_end {
	SUMMARY_FINISHED,       /* every job has its result */
	SUMMARY_DRAINED,        /* by a signal; what was running was completed */
	SUMMARY_STOPPED,        /* by a signal, at once */
	SUMMARY_HALTED,         /* by --halt or --fail-fast */
	SUMMARY_TIME_OVER,      /* by --max-time */
	SUMMARY_OUTPUT_FAILED,  /* the results cannot be written */
	SUMMARY_INPUT_FAILED,   /* the job file cannot be read any more */
	SUMMARY_WORKERS_FAILED, /* workers cannot run */
};

/* What results that are read again do not say.  It is left out, and is no zero. */
enum summary_unknown {
	SUMMARY_NO_RUN = 1, /* how long it took, its workers, what it skipped */
	SUMMARY_NO_CLASSES = 2,
	SUMMARY_NO_STATUSES = 4,
	SUMMARY_NO_TIMES = 8,
	SUMMARY_NO_BYTES = 16,
	SUMMARY_NO_ATTEMPTS = 32,
};

struct summary_facts {
	const struct tally *tally;
	uint64_t elapsed_us;
	unsigned unknown; /* enum summary_unknown; of a run nothing is */
	enum summary_end end;
	int signal;         /* that ended it, with DRAINED and STOPPED */
	const char *output; /* path, or "-" */
	bool passed_on;     /* to a pipe or a device: nothing is left in `output` */
	bool csv, packed;   /* what stands there */
	bool dropped;       /* with HALTED: what was running was not completed */
	unsigned workers;
	uint64_t workers_lost;
	uint64_t jobs_rerun;
	const char *again; /* the command that goes on, ready for a shell;
			    * NULL: the run cannot be resumed */
	const char *retry; /* the command that runs again what failed; NULL: not
			    * known */
	const char *never; /* why not, when `again` is NULL, as the end of a
			    * sentence without its full stop; NULL: the
			    * summary finds a reason */
};

/* Append the summary: lines of at most 80 columns, as long as no path or
 * command is longer and no count reaches 10,000,000,000.  Returns 0; or PM_ENOMEM, and
 * then `out` is as it was. */
int summary_render(struct buf *out, const struct summary_facts *facts);

/* The same of results that are read again: what came of the jobs, and nothing of the
 * run.  `output` is where they were read. */
int summary_render_results(struct buf *out, const struct summary_facts *facts);

/* Only "3 of 10 jobs failed." and a LF. */
int summary_render_outcome(struct buf *out, const struct tally *tally);

/* "nothing came for too long", for a class of failures. */
const char *summary_class_note(unsigned class);

/* Mark the most frequent statuses, SUMMARY_STATUS_ROWS of them; return how many jobs
 * have another. */
enum { SUMMARY_STATUS_ROWS = 10 };
uint64_t summary_mark_statuses(const struct tally *t, bool marked[TALLY_STATUS_CT]);

#endif
