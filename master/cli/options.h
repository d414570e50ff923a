/* SPDX-License-Identifier: MIT
 *
 * options - what the user asked for: the command, and every option from the
 * command line, the environment, the configuration file or its default, in
 * this order of precedence.
 *
 * Runs in: the master of the command, called by main() before anything else.
 * Prints errors, one line each, on standard error; never exits.
 */
#ifndef MASTER_CLI_OPTIONS_H
#define MASTER_CLI_OPTIONS_H

#include <stddef.h>

#include "common/cli/settings.h"
#include "master/cli/config.h"
#include "master/cli/options_table.h"

/* More headers than any server takes; addresses that were given by hand; and how
 * long a body may be that all requests have. */
enum {
	OPTIONS_HEADERS_MAX = 100,
	OPTIONS_RESOLVE_MAX = 1000,
	OPTIONS_DATA_MAX = 16 << 20,
};

enum options_command {
	COMMAND_RUN,
	COMMAND_REPORT,
	COMMAND_CONFIG,
	COMMAND_HELP,
	COMMAND_VERSION,
};

enum option_source {
	SOURCE_DEFAULT,
	SOURCE_FILE,
	SOURCE_ENV,
	SOURCE_FLAG,
};

/* Where the value of a row comes from, and its text as the user wrote it.
 * Repeatable options have any number of texts, all from one source; all others
 * have exactly one. */
struct option_value {
	enum option_source source;
	unsigned line; /* SOURCE_FILE: in config.path */
	const char **texts;
	size_t text_ct;
};

/* Text that lives as long as the options. */
struct options_text {
	struct options_text *next;
	char text[];
};

struct options {
	enum options_command command;
	enum options_command help_on; /* COMMAND_HELP: on which; itself: overview */
	struct settings settings;     /* filled for COMMAND_RUN and COMMAND_CONFIG */
	struct option_value values[OPTION_CT];
	struct config config; /* path NULL: no file was read */

	/* What settings and values point to. */
	struct options_text *texts;
	const char **inputs;
	const char **resolve;
	char *data;
	struct host_rule *host_rules;
};

/* Read everything.  argv is permuted, as getopt does, so that options may
 * stand behind job files.  Returns 0; or, with the reason printed and nothing
 * to free, the exit code to end with.
 *
 * On 0 the caller looks at `command`: COMMAND_HELP and COMMAND_VERSION are
 * answered by options_print_help() and options_print_version(), COMMAND_CONFIG
 * by options_print_config(), all in master/cli/help.h.  For COMMAND_RUN it
 * copies `settings` to the global one, and keeps *options until the end, for
 * settings points into it.  For COMMAND_REPORT only flags are
 * read; `settings.inputs` is the one results file.
 *
 * `settings.inputs` is { "-" } when no job file is given.  That job files can
 * be read, and are regular files for --resume, is checked where they are
 * opened. */
int options_load(struct options *options, int argc, char **argv);
void options_fini(struct options *options);

/* The text of an option that is no list, NULL: it has none. */
const char *options_text(const struct options *options, enum option_id id);

/* The row of a name, or NULL. */
const struct option_row *options_named(const char *name);

/* The row that is nearest to a mistyped name, among those of a scope; NULL: none
 * is near. */
const struct option_row *options_nearest(const char *typed, unsigned scope);

/* POOLMAP_WINDOW_BYTES for "window-bytes". */
enum { OPTIONS_ENV_NAME_MAX = 48 };
void options_env_name(char out[OPTIONS_ENV_NAME_MAX], const char *name);

#endif
