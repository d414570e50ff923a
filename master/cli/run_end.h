/* SPDX-License-Identifier: MIT
 *
 * run_end - what is left of a run: its exit code, its summary, its --stats.
 *
 * Runs in: the master of the command; called by run when all is delivered, or
 * cannot be.  Reads the settings.
 */
#ifndef MASTER_CLI_RUN_END_H
#define MASTER_CLI_RUN_END_H

#include <stdint.h>

#include "common/poolmap.h"
#include "master/cli/input.h"
#include "master/cli/stopping.h"
#include "master/cli/tally.h"

struct run_end {
	const struct stopping *stopping;
	int error; /* exit code of what went wrong; 0: nothing */
	const struct tally *tally;
	uint64_t elapsed_us;
	struct pm_pool_stats pool;
	const struct input *input;
	const char *unfit; /* why the results cannot be read again; NULL: they can */
	int argc;          /* the command */
	char **argv;
};

/* Write --stats, print the summary unless -q; return the exit code. */
int run_end(struct run_end *end);

#endif
