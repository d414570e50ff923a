/* SPDX-License-Identifier: MIT
 *
 * help - what the command prints about itself: help, versions, and the
 * effective configuration.  Made from the options table.
 *
 * Runs in: the master of the command, called by main().  Prints on standard
 * output; returns 0, or EXIT_OUTPUT with a message on standard error
 * when that cannot be written.
 */
#ifndef MASTER_CLI_HELP_H
#define MASTER_CLI_HELP_H

#include "master/cli/options.h"

/* --help: of the command `about`; COMMAND_HELP: the list of commands. */
int options_print_help(enum options_command about);

/* --version: pm_version_text(). */
int options_print_version(void);

/* `poolmap config`: a configuration file that says what *options does, with
 * the source of each value in a comment.  What may only stand on the command
 * line is a comment as a whole; so is a header whose value is a secret, with
 * the value left out. */
int options_print_config(const struct options *options);

#endif
