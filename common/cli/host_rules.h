/* SPDX-License-Identifier: MIT
 *
 * host_rules - which limits a host has: --per-host, --host-rate, --polite, and the
 * `host` sections of the configuration.
 *
 * Runs in: the master of the command; called when a lane is new.  Pure.
 *
 * A pattern is one of
 *     example.com       this host, whatever its scheme and port
 *     *.example.com     every host below it, not itself
 *     *                 every host
 * optionally with ":8080" behind it, and then it is for that port only (80 and 443
 * are the ports of lanes that name none), or with "https://" in front.  IPv6 addresses
 * stand in brackets.  Letters are compared without regard to case.  The first section
 * whose pattern matches counts, and it goes before the options: it was made for this
 * host.  What it leaves out comes from the options.
 */
#ifndef COMMON_CLI_HOST_RULES_H
#define COMMON_CLI_HOST_RULES_H

#include <stdbool.h>

#include "common/cli/settings.h"
#include "common/poolmap.h"

/* The limits of --polite: it makes an option that allows more stricter, and leaves one
 * that allows less as it is. */
enum { POLITE_PER_HOST = 1 };
#define POLITE_HOST_RATE 1.0 /* requests in a second */

/* Does the pattern match this lane, named as in host.h? */
bool host_rule_matches(const char *pattern, const char *lane);

/* The limits of a lane; hold is false. */
void host_limits(
	struct pm_lane_limits *limits, const struct settings *s, const char *lane);

/* Make the rate no higher than one request in `ms`; 0 changes nothing. */
void host_limits_space(struct pm_lane_limits *limits, unsigned ms);

/* Has this run limits of hosts at all?  Without, no lane is needed but for fairness. */
bool host_limits_any(const struct settings *s);

#endif
