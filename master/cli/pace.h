/* SPDX-License-Identifier: MIT
 *
 * pace - how fast jobs begin, for which host, and which of them run again.
 *
 * Runs in: the master of the command.  The library keeps to the limits, across all
 * workers: a stream has lanes, and here each host is one.  This file says what a
 * job's lane is, what its limits are, and decides about another attempt.  With
 * --polite it has robots.txt fetched, and asks polite.c; without, it is calm.c that
 * says how hosts are treated that refuse.
 */
#ifndef MASTER_CLI_PACE_H
#define MASTER_CLI_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cli/host_last.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/list.h"
#include "common/poolmap.h"
#include "master/cli/calm.h"
#include "master/cli/polite.h"

struct pace {
	const struct settings *settings;
	pm_pool *pool;
	struct polite *polite; /* NULL: not --polite */
	struct list inquiries; /* robots.txt that are being fetched */
	struct calm calm;
	uint64_t random; /* state of the generator, never 0 */
	struct host_last last;
	struct buf target; /* scratch */
};

/* 0 or PM_ENOMEM; fini in both cases. */
int pace_init(struct pace *p, const struct settings *s, pm_pool *pool);
void pace_fini(struct pace *p);

/* No job will begin any more: what is being fetched for them is given up. */
void pace_stop(struct pace *p);

/* A job was read: its lane, for job->lane; it lives until the next call.  0 or
 * PM_ENOMEM.  Its result was delivered, or will never be. */
int pace_take(struct pace *p, const char *line, size_t len, struct pm_job *job);
void pace_drop(struct pace *p, const char *line, size_t len);

/* As `lane_new`, `admit` and `retry` of struct pm_stream. */
void pace_limits(struct pace *p, const char *lane, struct pm_lane_limits *limits);
int pace_admit(struct pace *p, const struct pm_job *job, const char *line, size_t len,
	const char **why);
bool pace_retry(struct pace *p, const struct outcome *outcome, unsigned attempts,
	struct pm_retry *how);

/* The attempt of the job with this line has ended, with this decision: how many of its
 * host's may run at once from now on? */
void pace_ended(
	struct pace *p, const char *line, size_t len, const struct pm_retry *how);

#endif
