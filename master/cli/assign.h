/* SPDX-License-Identifier: MIT
 *
 * assign - gives an option a value: text from some source is checked, stored in
 * the settings, and remembered with its source.
 *
 * How, not when: the order of the sources is the business of
 * master/cli/options.c, which calls this; what a text means is said by
 * master/cli/values.c.
 *
 * Runs in: the master of the command.  Prints the error it finds.
 */
#ifndef MASTER_CLI_ASSIGN_H
#define MASTER_CLI_ASSIGN_H

#include "master/cli/options.h"

/* Set the option, or add to it when it is a list and has its values from this
 * source already.  A stronger source that comes later replaces lists as a
 * whole.  `line` counts for SOURCE_FILE.  Returns 0 or, with the reason printed,
 * the exit code to end with. */
int assign_text(struct options *o, enum option_id id, enum option_source source,
	unsigned line, const char *text);

/* The host sections of the file; the same. */
int assign_hosts(struct options *o);

/* The option has its value from this source from now on: a list is empty. */
void assign_begin(
	struct options *o, enum option_id id, enum option_source source, unsigned line);

/* A copy that lives as long as the options; NULL: no memory. */
char *assign_keep(struct options *o, const char *text);

/* Print why an option cannot be `text`, naming the place where it was set. */
void assign_complain(const struct options *o, enum option_id id,
	enum option_source source, unsigned line, const char *text, const char *why);

/* Prints, and returns the exit code to end with. */
int assign_out_of_memory(void);

#endif
