/* SPDX-License-Identifier: MIT
 *
 * pace - how fast jobs begin, for which host, and which of them run again.
 *
 * Runs in: the master of the command.  The library keeps to the limits, across all
 * workers: a stream has lanes, and here each host is one.  This file says what a
 * job's lane is, what its limits are, and decides about another attempt.
 */
#ifndef MASTER_CLI_PACE_H
#define MASTER_CLI_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/poolmap.h"

struct pace {
	const struct settings *settings;
	uint64_t random; /* state of the generator, never 0 */
	char lane[PM_LANE_MAX + 1];
};

void pace_init(struct pace *p, const struct settings *s);

/* The lane of a job line, for job->lane; it lives until the next call. */
void pace_lane(struct pace *p, const char *line, size_t len, struct pm_job *job);

/* As `lane_new` and `retry` of struct pm_stream. */
void pace_limits(const struct pace *p, const char *lane, struct pm_lane_limits *limits);
bool pace_retry(struct pace *p, const struct outcome *outcome, unsigned attempts,
	struct pm_retry *how);

#endif
