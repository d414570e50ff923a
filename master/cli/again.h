/* SPDX-License-Identifier: MIT
 *
 * again - the command that goes on with a run, ready for a shell.
 *
 * Secrets of --header, --data and --proxy are replaced by <hidden>, which those refuse.
 *
 * Runs in: the master of the command.  Pure.
 */
#ifndef MASTER_CLI_AGAIN_H
#define MASTER_CLI_AGAIN_H

#include "common/buf.h"

/* The command as it was given, without --force and with --resume, quoted where
 * a shell needs it.  Points into `out`; NULL when memory is short. */
const char *again_command(struct buf *out, int argc, char **argv);

/* The command that runs again what failed: without --force, --resume, --failed and
 * the output, with --retry-failed `results` and an output of another name, which
 * ends like that of the results.  NULL when memory is short, or when the command
 * is written in a way that is not understood here (-qo FILE). */
const char *again_retry(struct buf *out, int argc, char **argv, const char *results);

#endif
