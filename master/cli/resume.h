/* SPDX-License-Identifier: MIT
 *
 * resume - what an existing results file says is done already.
 *
 * Reads the results file once, as a stream, then the job files up to the last
 * done job, and makes sure that the ones belong to the others: the part of
 * every line that is made of the job alone (line_prefix()) must be what the
 * job file gives.  Only then is a torn last line cut off.
 *
 * The results may be rows of CSV, and packed; then it is the cells of a row
 * that must be those of the job, see scan.h.
 *
 * Owns a bitmap of done indexes, and one of those that failed: one bit per job
 * up to the highest.
 * One damaged line cannot make it huge: a run gets no further than
 * PM_WINDOW_MAX ahead of its oldest open job, so the index of a line is below
 * the number of lines before it plus that.  And it is below SCAN_INDEX_MAX,
 * which makes 1 GiB the most for each.
 * Runs in the master of the command, once, before the pool is opened.
 * Must never: change a file that it does not take for the results of these
 * jobs, or hold a whole line of results, which may be gigabytes, in memory.
 *
 * Errors are printed here (message.h) and returned as exit codes.
 */
#ifndef MASTER_CLI_RESUME_H
#define MASTER_CLI_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "master/cli/input.h"
#include "master/cli/output.h"
#include "master/cli/scan.h"

struct resume;

/* Scan the output, check it against the job files, rewind them, and leave the
 * output ready to go on behind its last complete line.  `unordered` is whether
 * the run that goes on is: an ordered one needs the lines 0, 1, ... n-1 in
 * this order.  An output that is empty, or was not opened for resume, is a
 * fresh start with nothing done.
 *
 * Returns 0, or
 *   EXIT_INPUT     a job file cannot be read
 *   EXIT_OUTPUT    the results cannot be read or cut
 *   EXIT_WORKERS   no memory
 *   EXIT_MISMATCH  not a results file, damaged, of other jobs, or unordered
 * and then leaves the output as it was, to be discarded. */
int resume_scan(struct resume **out, struct output *o, struct input *in,
	const struct csv *csv, bool unordered);

/* The same for results that stay as they are: those of an earlier run of the
 * same jobs.  Every line must say whether its job is ok. */
int resume_read(struct resume **out, const struct scan_file *file, struct input *in,
	bool unordered);

/* Why rows with these columns could not be read again; NULL: they can, as lines of
 * JSON can, for which csv is NULL. */
const char *resume_unfit(const struct csv *csv, bool unordered);

/* NULL is fine. */
void resume_free(struct resume *r);

/* Is there a result of this job?  Never, when `r` is NULL. */
bool resume_done(const struct resume *r, uint64_t index);

/* Is there one, and it is ok; and it is not?  A row without the field `ok` is
 * neither, and then resume_knows_ok() is false. */
bool resume_ok(const struct resume *r, uint64_t index);
bool resume_failed(const struct resume *r, uint64_t index);
bool resume_knows_ok(const struct resume *r);
uint64_t resume_failed_ct(const struct resume *r);

/* Are the results those of the jobs 0, 1, ... in this order? */
bool resume_in_order(const struct resume *r);

/* How many are done; and how many bytes of a torn last line were cut off. */
uint64_t resume_done_ct(const struct resume *r);
uint64_t resume_torn_bytes(const struct resume *r);

#endif
