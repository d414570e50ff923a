/* SPDX-License-Identifier: MIT
 *
 * calm - how many requests at once for hosts that have said "too many".
 *
 * Runs in: the master of the command; called by pace.c for each attempt that has
 * ended.  Plain data: it sets no limit, it says which; the time is a parameter.
 *
 * A host that refuses requests until some time is asked by one job then, and not by
 * all that have gathered, of which it would refuse most again until their attempts are
 * used up.  With each answer there may be one more, up to half of what was too many,
 * and from there one more with each round of answers, as TCP does it.  When there may
 * be as many as without all this, the host is forgotten.
 *
 * Hosts have places by a hash of their names, CALM_HOSTS in all; of two that meet
 * there, the first one is let go.
 */
#ifndef MASTER_CLI_CALM_H
#define MASTER_CLI_CALM_H

#include <stdint.h>

#include "common/poolmap.h"

enum { CALM_HOSTS = 1024 };

struct calm_host {
	unsigned limit; /* at once; 0: the place is free */
	unsigned half;  /* up to here it grows fast */
	unsigned ended; /* of this round */
	uint64_t gate_ms;
	char lane[PM_LANE_MAX + 1];
};

struct calm {
	struct calm_host *hosts; /* NULL until the first one refuses */
	unsigned ct;
};

void calm_fini(struct calm *c);

/* Requests at once for this host; 0: as many as otherwise. */
unsigned calm_limit(const struct calm *c, const char *lane);

/* It refuses, and wants nothing before `gate_ms`.  `most` is what it may get
 * otherwise.  When another host has to go for it, its lane is copied to `gone`, which
 * is empty otherwise.  Returns the new limit; without memory 0: none. */
unsigned calm_refused(struct calm *c, const char *lane, unsigned most, uint64_t now_ms,
	uint64_t gate_ms, char gone[PM_LANE_MAX + 1]);

/* It has answered otherwise.  Returns the limit from now on, or 0 as above. */
unsigned calm_answered(
	struct calm *c, const char *lane, unsigned most, uint64_t now_ms);

#endif
