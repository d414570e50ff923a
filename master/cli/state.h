/* SPDX-License-Identifier: MIT
 *
 * state - which job files the results in a file are of, as long as they are not
 * complete: FILE.state beside them, see state_text.h.
 *
 * It is there before the first result can be, and goes when every job has one.  A
 * run that goes on with the results compares it with the job files of today, their
 * lengths and the first gigabyte of their bytes, so that an edit is noticed wherever
 * it is: the results alone tell only of the ids and URLs of jobs that are done. Without
 * it they are all there is.
 *
 * Owns that file; its name is beside the results' real place, so that a symlink to
 * them leads to it, too.  Only who has locked the results writes it.  Runs in the
 * master of the command; called by deliver.  Must never: overwrite or remove a
 * file that is none of these.
 *
 * Errors are printed here (message.h) and returned as exit codes.
 */
#ifndef MASTER_CLI_STATE_H
#define MASTER_CLI_STATE_H

#include <stdbool.h>

#include "common/cli/settings.h"
#include "master/cli/input.h"
#include "master/cli/output.h"

/* Zeroed: there is none. */
struct state {
	char *results, *path; /* NULL: the run cannot go on anyway, and has none */
	bool kept;            /* the one that is there is right */
	bool written;         /* by us, this time */
};

/* Before output_open(), as it takes its time: a gigabyte of the job files is read
 * (input_pin()), if they and the output are of the kind that has a state.  Returns 0,
 * EXIT_INPUT or EXIT_WORKERS. */
int state_prepare(const struct settings *want, struct input *in);

/* After output_open(): when there are results to go on with, compare the state they
 * have, if any, with the job files.  Returns
 *   EXIT_MISMATCH  they are others, or what has the name of a state is none
 *   EXIT_USAGE     another file of the run has that name
 *   EXIT_INPUT, EXIT_OUTPUT, EXIT_WORKERS
 * or 0, and does nothing, for an output or job files that cannot be read twice. */
int state_open(struct state *s, const struct settings *want, struct input *in,
	const struct output *o);

/* The same for results that only are read: those of --retry-failed. */
int state_compare(const char *results, struct input *in);

/* Write it, unless the one that is there is right.  Before the first result.  Where
 * there may be no such file, for want of permission or of room for its name, that is
 * said, and the run goes on without.  Returns 0, EXIT_OUTPUT or EXIT_WORKERS. */
int state_write(struct state *s, const struct input *in, enum sync_mode sync);

/* Every job has its result: remove it.  Returns 0 or EXIT_OUTPUT. */
int state_complete(struct state *s);

/* Forget it; and remove what this run has written, if it has no results beside it. */
void state_close(struct state *s);

#endif
