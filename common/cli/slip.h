/* SPDX-License-Identifier: MIT
 *
 * slip - how far what was typed is from a name that exists: "did you mean ...?"
 *
 * Runs in: the master of the command, for commands, options and variables; and in
 * the workers, for the keys of a job.  Pure.
 */
#ifndef COMMON_CLI_SLIP_H
#define COMMON_CLI_SLIP_H

/* How many slips of the finger lie between what was typed and a name that
 * exists: letters too many, missing, wrong or swapped.  A beginning of the name
 * counts as one.  SLIP_FAR: too many to suggest it. */
enum { SLIP_FAR = 1000 };
unsigned slip_ct(const char *typed, const char *name);

#endif
