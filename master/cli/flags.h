/* SPDX-License-Identifier: MIT
 *
 * flags - the words of the command line: the command, its flags, job files.
 *
 * Knows what is a flag and what is its value, not what a value means: that is
 * master/cli/options.c, which calls this.  The only file that uses getopt.
 *
 * Runs in: the master of the command.  Prints the error it finds.
 */
#ifndef MASTER_CLI_FLAGS_H
#define MASTER_CLI_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "master/cli/options.h"

/* A flag as it was given; text points into argv, NULL: without a value. */
struct flag {
	enum option_id id;
	const char *text;
};

struct flags {
	enum options_command command;
	enum options_command help_on; /* COMMAND_HELP: on which; itself: overview */
	struct flag *list;            /* in the order of the command line */
	size_t ct;
	char **inputs; /* the words that are no flags, in argv */
	size_t input_ct;
};

/* Read argv, and permute it.  Stops at --help and --version, which are commands
 * of their own.  Fills a zeroed *flags and returns 0 or, with the reason
 * printed, the exit code to end with.  flags_fini() in any case. */
int flags_read(struct flags *flags, int argc, char **argv);
void flags_fini(struct flags *flags);

/* The last text given for an option, "yes" for one without a value; NULL: it was
 * not given. */
const char *flags_text(const struct flags *flags, enum option_id id);

#endif
