/* SPDX-License-Identifier: MIT
 *
 * retry_policy - does a job that has ended run again, and when?
 *
 * Runs in: the master of the command; called by the stream's retry function for each
 * outcome that a worker sent.  Pure: random numbers are a parameter.
 *
 * The delay is a random one, from 0 to a limit that starts at RETRY_FIRST_MS and
 * doubles with each attempt up to RETRY_LONGEST_MS (full jitter): what failed
 * together does not come back together.  A Retry-After is waited for instead, and not
 * by this job alone: the whole lane, which is the host, begins nothing meanwhile.  Nor
 * does it, for as long as the job waits, after a 429 that does not say how long.  There
 * is no chance in that: calm.h spreads out what has gathered, and who was refused is
 * the first when the host may be asked again.  Later it would meet the next refusal,
 * until its attempts are used up.
 *
 * OUTCOME_RATE_LIMITED is an answer 429 or 503 that asked for more than
 * RETRY_AFTER_MAX_MS: no attempt that we could make in time would be welcome, so by
 * default there is none, and the lane pauses for that maximum.  --retry-on
 * rate_limited tries again after it.  Any other refused answer is
 * OUTCOME_HTTP_STATUS, also when the attempts are used up.
 */
#ifndef MASTER_CLI_RETRY_POLICY_H
#define MASTER_CLI_RETRY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/poolmap.h"

enum { RETRY_FIRST_MS = 500, RETRY_LONGEST_MS = 30000 };

/* `attempts` have been made so far (1, 2 ...); `random` is any 32 bits.  Always fills
 * *how: how->lane_delay_ms also counts when the answer is no.  Reads the retry_*
 * fields of `s`; how often is in the outcome, as a job may have its own number.
 */
bool retry_decide(struct pm_retry *how, const struct outcome *outcome,
	unsigned attempts, const struct settings *s, uint32_t random);

#endif
