/* SPDX-License-Identifier: MIT
 *
 * merge - results of an earlier run that stay, --retry-failed RESULTS: lines of
 * jobs that were ok are copied to the output as they are, the other jobs run
 * again.  In an ordered run they are copied between the new ones, so that the
 * output is as if all jobs had run; in an unordered one they come first.
 *
 * Owns the earlier file, which it locks against a run that would write it, and
 * never changes.  Runs in the master of the command; called by deliver.
 * Must never: hold up the event loop for the whole of a large file.  A call
 * copies MERGE_PART_BYTES at most, and says when it has to be called again.
 *
 * Errors are printed where they are found and returned as exit codes.
 */
#ifndef MASTER_CLI_MERGE_H
#define MASTER_CLI_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cli/settings.h"
#include "master/cli/csv.h"
#include "master/cli/input.h"
#include "master/cli/output.h"
#include "master/cli/resume.h"

enum { MERGE_PART_BYTES = 4 << 20 };

struct merge;

/* Open want->retry_failed and read what is ok in it.  Its jobs must be those of
 * the job files, and its format that of the output.  Leaves the input at its
 * start.  Returns 0, EXIT_USAGE: it cannot be read at all, or the jobs cannot
 * be read twice; EXIT_MISMATCH: it does not belong to these jobs, or a run is
 * writing it; EXIT_INPUT, EXIT_OUTPUT, EXIT_WORKERS. */
int merge_open(struct merge **out, const struct settings *want, struct input *in,
	const struct csv *csv);
void merge_close(struct merge *m); /* NULL is fine */

/* Is the result of this job copied? */
bool merge_has(const struct merge *m, uint64_t index);

/* Copy what stands before the result of job `index`, except for what
 * `done` has: the output had it before this run.  Returns 0; 1: there is more,
 * call again; or an exit code. */
enum { MERGE_MORE = 1 };
int merge_before(
	struct merge *m, struct output *o, const struct resume *done, uint64_t index);

/* The same at the end: up to the next job that is not ok in it, which has no
 * result if the run was stopped. */
int merge_rest(struct merge *m, struct output *o, const struct resume *done);

/* How many lines were copied. */
uint64_t merge_copied_ct(const struct merge *m);

#endif
