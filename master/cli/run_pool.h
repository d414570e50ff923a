/* SPDX-License-Identifier: MIT
 *
 * run_pool - the pool of a run: its workers, and what each of them may hold.
 *
 * Runs in: the master of the command; called by run.  Reads the settings.
 */
#ifndef MASTER_CLI_RUN_POOL_H
#define MASTER_CLI_RUN_POOL_H

#include "common/poolmap.h"

struct event_base;

/* Open it, on this loop.  Returns 0 or an exit code. */
int run_pool_open(pm_pool **pool, struct event_base *base);

#endif
