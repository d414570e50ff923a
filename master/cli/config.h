/* SPDX-License-Identifier: MIT
 *
 * config - the configuration file, poolmap.conf: which one, and what it says.
 *
 * Keys are those rows of the options table that may stand in a file, and the
 * sections of hosts; values stay text here, master/cli/options.c reads them.  The only
 * file that knows libconfuse.
 *
 * Runs in: the master of the command.  Not for two threads at once, for
 * libconfuse's scanner is not.  Prints the error it
 * finds.
 */
#ifndef MASTER_CLI_CONFIG_H
#define MASTER_CLI_CONFIG_H

#include <stddef.h>

#include "master/cli/options_table.h"

/* A larger file is no configuration. */
enum { CONFIG_BYTES_MAX = 1 << 20 };

/* `name = text`, or one element of a list. */
struct config_entry {
	enum option_id id;
	unsigned line;
	char *text;
};

struct config_text {
	unsigned line;
	char *text; /* NULL: not said */
};

/* host "pattern" { concurrency = 2  rate = "5/s" } */
struct config_host {
	char *pattern;
	struct config_text concurrency, rate; /* one of them is there */
};

/* In the order of the file. */
struct config {
	char *path;
	struct config_entry *entries;
	size_t entry_ct;
	struct config_host *hosts;
	size_t host_ct;
};

/* Which file to read when nobody names one: *path is its name, to be freed, or
 * NULL when there is none.  The first that exists of
 *
 *   $XDG_CONFIG_HOME/poolmap/poolmap.conf   (default: ~/.config/poolmap/...)
 *   /etc/poolmap/poolmap.conf
 *
 * Never the current directory: whoever can write where a run is started, the
 * author of an unpacked archive for one, would choose its headers and
 * certificates; and the same command would do different things in different
 * places.  For the same reason variables that are not absolute are ignored.
 *
 * Returns 0 or PM_ENOMEM. */
int config_find(char **path);

/* Read a file into a zeroed *config.  Returns 0 or, with the reason printed, the
 * exit code to end with.  config_fini() in any case. */
int config_read(struct config *config, const char *path);
void config_fini(struct config *config);

#endif
