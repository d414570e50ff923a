/* SPDX-License-Identifier: MIT
 *
 * retry_policy - see retry_policy.h.
 */
#include "master/cli/retry_policy.h"

#include "common/cli/retry_after.h"

/* For these another attempt is nonsense or not ours to make, whatever --retry-on says:
 * the job would be as bad again, the pool has tried, somebody said stop. */
static const uint32_t never = 1u << OUTCOME_OK | 1u << OUTCOME_BAD_JOB |
			      1u << OUTCOME_BAD_URL | 1u << OUTCOME_SCHEME |
			      1u << OUTCOME_ROBOTS | 1u << OUTCOME_WORKER_LOST |
			      1u << OUTCOME_CANCELLED;
_Static_assert(OUTCOME_CLASS_CT <= 32, "a bit for each class");

/* Does what went wrong deserve another attempt? */
static bool is_worth_it(const struct outcome *outcome, const struct settings *s)
{
	if (outcome->final || outcome->class >= OUTCOME_CLASS_CT ||
		never >> outcome->class & 1u) {
		return false;
	}
	if (s->retry_classes >> outcome->class & 1u) {
		return true;
	}
	return outcome->class == OUTCOME_HTTP_STATUS &&
	       status_set_has(&s->retry_statuses, (int)outcome->http_code);
}

static bool may_again(
	const struct outcome *outcome, unsigned attempts, const struct settings *s)
{
	return attempts <= outcome->retries &&
	       (outcome->idempotent || s->retry_unsafe) && is_worth_it(outcome, s);
}

/* 0 ... the limit of this attempt, each as likely. */
static unsigned jitter_ms(unsigned attempts, uint32_t random)
{
	uint64_t limit = RETRY_LONGEST_MS;
	unsigned doublings = attempts ? attempts - 1 : 0;
	if (doublings < 6 && (uint64_t)RETRY_FIRST_MS << doublings < limit) {
		limit = (uint64_t)RETRY_FIRST_MS << doublings;
	}
	return (unsigned)((limit + 1) * random >> 32);
}

/* Is it an answer that asks the client to slow down? */
static bool asks_to_wait(const struct outcome *outcome, const struct settings *s)
{
	return outcome->http_code == 429 || outcome->http_code == 503 ||
	       (outcome->class == OUTCOME_HTTP_STATUS && is_worth_it(outcome, s));
}

static unsigned clamped(uint32_t retry_after_ms)
{
	return retry_after_ms < RETRY_AFTER_MAX_MS ? retry_after_ms
						   : RETRY_AFTER_MAX_MS;
}

bool retry_decide(struct pm_retry *how, const struct outcome *outcome,
	unsigned attempts, const struct settings *s, uint32_t random)
{
	bool again = may_again(outcome, attempts, s);
	unsigned wait_ms =
		asks_to_wait(outcome, s) ? clamped(outcome->retry_after_ms) : 0;
	unsigned own_ms = jitter_ms(attempts, random);
	unsigned delay_ms = wait_ms ? wait_ms : own_ms;
	how->delay_ms = again ? delay_ms : 0;
	how->lane_delay_ms = outcome->http_code == 429 ? delay_ms : wait_ms;
	return again;
}
