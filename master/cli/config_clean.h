/* SPDX-License-Identifier: MIT
 *
 * config_clean - makes the text of a configuration file safe for libconfuse.
 *
 * What its scanner would pass over in silence is refused (a comment or string
 * without end, a stray * or +, a variable that is not set), and comments are
 * blanked out, for it counts their lines wrongly (libconfuse 3.3).
 *
 * Runs in: the master of the command, called by master/cli/config.c.  Pure but
 * for the environment, which it asks, and the error that it prints.
 */
#ifndef MASTER_CLI_CONFIG_CLEAN_H
#define MASTER_CLI_CONFIG_CLEAN_H

#include "common/buf.h"

/* In place; lines stay where they are.  `text` ends in a NUL that is not part
 * of it.  Returns 0 or, with the reason printed, the exit code to end with. */
int config_clean(struct buf *text, const char *path);

#endif
