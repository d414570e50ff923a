/* SPDX-License-Identifier: MIT
 *
 * retry - what is tried again unless the user says otherwise, and which methods may
 * be sent twice.
 *
 * Runs in: the master (defaults of the options) and the workers (the method of a
 * job) of the command.  Pure.  When and how often is master/cli/retry_policy.h.
 */
#ifndef COMMON_CLI_RETRY_H
#define COMMON_CLI_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cli/settings.h"

/* 408 429 500 502 503 504 522 524, as curl and Scrapy have it. */
extern const struct status_set retry_default_statuses;

/* dns connect timeout stalled reset truncated, one bit 1u << OUTCOME_x each. */
extern const uint32_t retry_default_classes;

/* Classes for which another attempt is nonsense or not ours to make, whatever
 * --retry-on says: the job would be as bad again, the pool has tried, somebody said
 * stop. */
extern const uint32_t retry_never_classes;

/* May a request of this method be sent twice (RFC 9110, 9.2.2)?  Methods are case
 * sensitive, and an unknown one may not. */
bool retry_is_idempotent(const char *method);

#endif
