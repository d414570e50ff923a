/* SPDX-License-Identifier: MIT
 *
 * halt - when failed jobs end a run: --halt and --fail-fast.
 *
 * Runs in: the master of the command.  Pure counting; called by stopping.
 * It counts jobs as they end, not as their results are delivered: in an ordered
 * run a failure may have to wait for the result of a slow job before it, and
 * the halt must not.
 */
#ifndef MASTER_CLI_HALT_H
#define MASTER_CLI_HALT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cli/settings.h"

/* A share of the jobs is looked at from so many failures on: the first job of
 * a run would be 100 %. */
enum { HALT_SHARE_MIN_CT = 3 };

struct halt {
	uint64_t done, failed;
	bool hit;
};

/* A job has ended for good.  True once: when this one is too many. */
bool halt_count(struct halt *h, const struct settings *want, bool ok);

#endif
