/* SPDX-License-Identifier: MIT
 *
 * polite - the hosts of a --polite run, and what their robots.txt say.
 *
 * Runs in: the master of the command; called from the functions of the run's stream.
 * Plain data: it fetches nothing and has no clock.  What is to be fetched, and which
 * lane may begin, it says through two hooks; the time, in milliseconds of any clock
 * that does not go back, is a parameter.
 *
 * For each host, named as in common/cli/host.h:
 *
 *   source    read a line         polite_take()    kept while it has jobs
 *   lane_new  the lane is there   polite_lane()    held, unless the rules are known;
 *                                                  hooks.fetch: get the robots.txt
 *   ...       it has been got     polite_answer()  hooks.limits: pm_lane_set()
 *   admit     a job would begin   polite_admit()   allowed, or why not
 *   sink      its result is there polite_drop()
 *
 * So a host's robots.txt is fetched once, before anything else of it.  What is known
 * is kept for POLITE_FRESH_MS, also for hosts that have no jobs at the moment, of
 * which POLITE_HOSTS_MAX are remembered.  A host whose robots.txt cannot be reached is
 * forbidden as a whole, as RFC 9309 has it, and asked again after POLITE_AGAIN_MS when
 * it still has jobs; one whose rules were known keeps them meanwhile.
 *
 * Memory: some 100 bytes and the name for each host, and POLITE_BYTES_MAX for all
 * rules; a host for whose rules there is no room counts as not to be reached.
 */
#ifndef MASTER_CLI_POLITE_H
#define MASTER_CLI_POLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cli/settings.h"
#include "common/poolmap.h"

enum {
	POLITE_HOSTS_MAX = 10000,           /* remembered without jobs */
	POLITE_BYTES_MAX = 128 << 20,       /* of rules */
	POLITE_FRESH_MS = 24 * 3600 * 1000, /* then they are fetched again */
	POLITE_AGAIN_MS = 5 * 60 * 1000,    /* after a failure */
};

struct polite;

/* `lane` and `url` are valid during the call. */
struct polite_hooks {
	/* Get this URL, and call polite_answer() once, however it ends; also at once,
	 * from inside. */
	void (*fetch)(void *ctx, const char *lane, const char *url);

	/* The lane's limits have changed: it is held no longer, most of all. */
	void (*limits)(
		void *ctx, const char *lane, const struct pm_lane_limits *limits);
	void *ctx;
};

struct polite_options {
	const struct settings *settings; /* of them the limits of hosts */
	struct polite_hooks hooks;
	size_t hosts_max, bytes_max; /* 0: as above */
};

/* Options are copied.  Returns 0 or PM_ENOMEM. */
int polite_open(struct polite **polite, const struct polite_options *options);
void polite_close(struct polite *polite); /* NULL is fine */

/* A job of this lane has been read; its result has been delivered.  As many of the
 * one as of the other.  polite_take() returns 0 or PM_ENOMEM, and then there must be
 * no polite_drop().  The empty lane, of lines that no worker takes, is fine. */
int polite_take(struct polite *polite, const char *lane);
void polite_drop(struct polite *polite, const char *lane);

/* The limits of a lane that has its first job, and what has to be fetched for it. */
void polite_lane(struct polite *polite, const char *lane, uint64_t now_ms,
	struct pm_lane_limits *limits);

/* A body that was cut off at ROBOTS_TEXT_MAX is fine. */
struct polite_reply {
	unsigned http_code; /* 0: no response arrived */
	int error;          /* then why; a pm_error */
	const char *body;
	size_t len;
};

/* The request for a robots.txt has ended. */
void polite_answer(struct polite *polite, const char *lane, uint64_t now_ms,
	const struct polite_reply *reply);

/* May a job of this lane fetch this path and query (host_target())?  NULL: it may.
 * Otherwise why not, for people; valid until the next call. */
const char *polite_admit(struct polite *polite, const char *lane, const char *target,
	size_t len, uint64_t now_ms);

/* Hosts in memory, and bytes of rules. */
size_t polite_host_ct(const struct polite *polite);
size_t polite_rule_bytes(const struct polite *polite);

#endif
