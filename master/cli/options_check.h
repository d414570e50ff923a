/* SPDX-License-Identifier: MIT
 *
 * options_check - do the options fit together, and are the files there that they
 * name?
 *
 * The last step of options_load(): values of one option alone are checked where
 * they are set.  What follows from them is filled in here: the bytes of --data,
 * and the --halt that --fail-fast stands for.
 *
 * Runs in: the master of the command.  Prints the error it finds.
 */
#ifndef MASTER_CLI_OPTIONS_CHECK_H
#define MASTER_CLI_OPTIONS_CHECK_H

#include "master/cli/options.h"

/* Returns 0 or, with the reason printed, the exit code to end with. */
int options_check(struct options *o);

/* The same for poolmap report. */
int options_check_report(const struct options *o);

#endif
