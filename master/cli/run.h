/* SPDX-License-Identifier: MIT
 *
 * run - `poolmap run`: the job files go through the pool into the results.
 *
 * Runs in: the master of the command, an ordinary client of poolmap.h.
 */
#ifndef MASTER_CLI_RUN_H
#define MASTER_CLI_RUN_H

/* Do what the global `settings` say.  argc and argv are the command as it was
 * given, for the advice on how to go on.  Prints all there is to say; returns
 * the exit code. */
int run_command(int argc, char **argv);

#endif
