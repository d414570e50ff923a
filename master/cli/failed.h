/* SPDX-License-Identifier: MIT
 *
 * failed - the list of jobs that failed, --failed FILE: a job file to run again.
 *
 * Each line is the job as it was given.  Lines come as the results are
 * delivered; a run that goes on with an earlier one first writes the list anew
 * from what the results say, so that it never tells more or less than they do.
 *
 * Owns nothing but the output it writes to.  Runs in the master of the command;
 * called by deliver.
 * Must never: touch a file that does not hold lines of these job files, without
 * --force.
 *
 * Errors are printed where they are found and returned as exit codes.
 */
#ifndef MASTER_CLI_FAILED_H
#define MASTER_CLI_FAILED_H

#include <stddef.h>
#include <stdint.h>

#include "common/cli/settings.h"
#include "common/poolmap.h"
#include "master/cli/input.h"
#include "master/cli/output.h"
#include "master/cli/resume.h"

/* Open want->failed, by the rules of output_open().  `r`: the results that the
 * run goes on with.  What the file held is checked, and written anew.  Leaves
 * the input at its start.  Returns 0, as output_open(), or EXIT_MISMATCH: it is
 * another list, or the results do not say which jobs failed. */
int failed_open(struct output **out, const struct settings *want, struct input *in,
	const struct resume *r);

/* Add the job of a result.  Returns 0 or an exit code. */
int failed_put(struct output *list, const struct pm_result *result);

#endif
