/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/retry_policy: what runs again, how often, how late, and what the
 * whole lane waits for.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "master/cli/retry_policy.h"
#include "tests/unit/dice.h"

static const unsigned statuses[] = {408, 429, 500, 502, 503, 504, 522, 524};
enum { STATUS_CT = sizeof statuses / sizeof statuses[0] };

/* As the options have them. */
static struct settings defaults(void)
{
	struct settings s = {
		.retry_classes = 1u << OUTCOME_DNS | 1u << OUTCOME_CONNECT |
				 1u << OUTCOME_TIMEOUT | 1u << OUTCOME_STALLED |
				 1u << OUTCOME_RESET | 1u << OUTCOME_TRUNCATED};
	for (size_t i = 0; i < STATUS_CT; i++) {
		s.retry_statuses.bits[statuses[i] / 64] |= UINT64_C(1)
							   << statuses[i] % 64;
	}
	return s;
}

static struct outcome failed(enum outcome_class class, unsigned http_code)
{
	return (struct outcome){.class = class,
		.http_code = http_code,
		.retries = 2,
		.idempotent = true};
}

static bool decide(const struct outcome *outcome, unsigned attempts,
	const struct settings *s, struct pm_retry *how)
{
	*how = (struct pm_retry){.delay_ms = 1234567, .lane_delay_ms = 7654321};
	return retry_decide(how, outcome, attempts, s, 0x80000000u);
}

static bool again(enum outcome_class class, unsigned http_code)
{
	struct settings s = defaults();
	struct outcome o = failed(class, http_code);
	struct pm_retry how;
	return decide(&o, 1, &s, &how);
}

Test(retry_policy, repeats_by_default_what_may_pass, .timeout = 30)
{
	for (unsigned class = 0; class < OUTCOME_CLASS_CT; class ++) {
		bool expected = class == OUTCOME_DNS || class == OUTCOME_CONNECT ||
				class == OUTCOME_TIMEOUT || class == OUTCOME_STALLED ||
				class == OUTCOME_RESET || class == OUTCOME_TRUNCATED;
		cr_assert_eq(
			again(class, 0), expected, "%s", outcome_class_name(class));
	}
}

Test(retry_policy, repeats_by_default_eight_statuses, .timeout = 30)
{
	for (unsigned code = 0; code < 1100; code++) {
		bool expected = false;
		for (size_t i = 0; i < STATUS_CT; i++) {
			expected |= code == statuses[i];
		}
		cr_assert_eq(again(OUTCOME_HTTP_STATUS, code), expected, "%u", code);
		cr_assert_not(again(OUTCOME_OK, code), "an accepted %u", code);
		cr_assert_not(
			again(OUTCOME_BODY_TOO_LARGE, code), "too large, %u", code);
	}
	cr_assert_not(again(OUTCOME_HTTP_STATUS, UINT32_MAX));
}

Test(retry_policy, repeats_what_it_is_told_to, .timeout = 30)
{
	struct settings s = {.retry_classes = 1u << OUTCOME_TLS};
	struct pm_retry how;
	struct outcome tls = failed(OUTCOME_TLS, 0), dns = failed(OUTCOME_DNS, 0);
	struct outcome status = failed(OUTCOME_HTTP_STATUS, 404);
	cr_assert(decide(&tls, 1, &s, &how));
	cr_assert_not(decide(&dns, 1, &s, &how));
	cr_assert_not(decide(&status, 1, &s, &how));
	s.retry_statuses.bits[404 / 64] = UINT64_C(1) << 404 % 64;
	cr_assert(decide(&status, 1, &s, &how));
	s.retry_statuses = (struct status_set){0};
	s.retry_classes = 1u << OUTCOME_HTTP_STATUS;
	cr_assert(decide(&status, 1, &s, &how), "any status");
}

Test(retry_policy, never_repeats_what_cannot_get_better, .timeout = 30)
{
	static const unsigned never[] = {OUTCOME_OK, OUTCOME_BAD_JOB, OUTCOME_BAD_URL,
		OUTCOME_SCHEME, OUTCOME_ROBOTS, OUTCOME_WORKER_LOST, OUTCOME_CANCELLED,
		OUTCOME_CLASS_CT, 31, 32, 64, UINT32_MAX};
	struct settings s = {.retry_classes = UINT32_MAX, .retry_unsafe = true};
	memset(&s.retry_statuses, 0xff, sizeof s.retry_statuses);
	struct pm_retry how;
	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
		struct outcome o = failed(never[i], 503);
		cr_assert_not(decide(&o, 1, &s, &how), "%u", never[i]);
		cr_assert_eq(how.delay_ms, 0);
	}
	struct outcome o = failed(OUTCOME_INTERNAL, 0);
	cr_assert(decide(&o, 1, &s, &how), "internal, if told");
}

Test(retry_policy, stops_after_the_attempts_that_the_job_has, .timeout = 30)
{
	struct settings s = defaults();
	struct pm_retry how;
	for (unsigned retries = 0; retries < 5; retries++) {
		struct outcome o = failed(OUTCOME_RESET, 0);
		o.retries = (uint16_t)retries;
		for (unsigned attempts = 1; attempts < 8; attempts++) {
			cr_assert_eq(
				decide(&o, attempts, &s, &how), attempts <= retries);
		}
		cr_assert_not(decide(&o, UINT32_MAX, &s, &how));
	}
}

Test(retry_policy, sends_twice_only_what_may_be, .timeout = 30)
{
	struct settings s = defaults();
	struct outcome o = failed(OUTCOME_HTTP_STATUS, 503);
	struct pm_retry how;
	o.idempotent = false;
	o.retry_after_ms = 5000;
	cr_assert_not(decide(&o, 1, &s, &how));
	cr_assert_eq(how.lane_delay_ms, 5000, "the others wait all the same");
	s.retry_unsafe = true;
	cr_assert(decide(&o, 1, &s, &how));
}

/* --------------------------------------------------------------------- delays */

static unsigned delay(unsigned attempts, uint32_t random)
{
	struct settings s = defaults();
	struct outcome o = failed(OUTCOME_CONNECT, 0);
	o.retries = UINT16_MAX;
	struct pm_retry how;
	cr_assert(retry_decide(&how, &o, attempts, &s, random));
	cr_assert_eq(how.lane_delay_ms, 0, "one failure is no sign of the host's");
	return how.delay_ms;
}

Test(retry_policy, doubles_the_limit_up_to_half_a_minute, .timeout = 30)
{
	static const unsigned limits[] = {
		500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
	for (unsigned i = 0; i < 9; i++) {
		cr_assert_eq(delay(i + 1, 0), 0);
		cr_assert_eq(delay(i + 1, UINT32_MAX), limits[i], "attempt %u", i + 1);
	}
	cr_assert_eq(delay(32, UINT32_MAX), 30000);
	cr_assert_eq(delay(65, UINT32_MAX), 30000);
	cr_assert_eq(delay(65535, UINT32_MAX), 30000);
	cr_assert_eq(delay(0, UINT32_MAX), 500);
}

Test(retry_policy, makes_each_delay_as_likely, .timeout = 30)
{
	uint64_t state = 1;
	unsigned tenths[10] = {0};
	for (int i = 0; i < 20000; i++) {
		unsigned ms = delay(3, (uint32_t)dice(&state));
		cr_assert_leq(ms, 2000);
		tenths[ms < 2000 ? ms / 200 : 9]++;
	}
	for (int i = 0; i < 10; i++) {
		cr_assert(tenths[i] > 1850 && tenths[i] < 2150, "%u", tenths[i]);
	}
}

Test(retry_policy, waits_as_long_as_the_server_says, .timeout = 30)
{
	struct settings s = defaults();
	struct outcome o = failed(OUTCOME_HTTP_STATUS, 429);
	struct pm_retry how;
	o.retry_after_ms = 3000;
	cr_assert(retry_decide(&how, &o, 1, &s, 0));
	cr_assert(how.delay_ms == 3000 && how.lane_delay_ms == 3000);
	cr_assert(retry_decide(&how, &o, 1, &s, UINT32_MAX));
	cr_assert(how.delay_ms == 3000 && how.lane_delay_ms == 3000);
	o.retry_after_ms = UINT32_MAX;
	cr_assert(retry_decide(&how, &o, 1, &s, 0));
	cr_assert(how.delay_ms == 60000 && how.lane_delay_ms == 60000);
	cr_assert_not(retry_decide(&how, &o, 3, &s, 0));
	cr_assert(how.delay_ms == 0 && how.lane_delay_ms == 60000, "also at the end");
}

Test(retry_policy, holds_the_lane_for_answers_that_ask_for_it, .timeout = 30)
{
	struct settings s = defaults();
	struct pm_retry how;
	struct outcome o = failed(OUTCOME_OK, 503);
	o.retry_after_ms = 2000;
	cr_assert_not(decide(&o, 1, &s, &how));
	cr_assert_eq(how.lane_delay_ms, 2000, "whether --accept has it or not");
	o.http_code = 404;
	cr_assert_not(decide(&o, 1, &s, &how));
	cr_assert_eq(how.lane_delay_ms, 0);
	o.class = OUTCOME_HTTP_STATUS;
	cr_assert_not(decide(&o, 1, &s, &how));
	cr_assert_eq(how.lane_delay_ms, 0, "a 404 speaks for itself alone");
	o = failed(OUTCOME_RESET, 0);
	o.retry_after_ms = 2000;
	cr_assert(decide(&o, 1, &s, &how));
	cr_assert(how.lane_delay_ms == 0 && how.delay_ms == 250);
	o = failed(OUTCOME_HTTP_STATUS, 500);
	o.retry_after_ms = 2000;
	cr_assert(decide(&o, 1, &s, &how));
	cr_assert_eq(how.lane_delay_ms, 2000);
	o = failed(OUTCOME_HTTP_STATUS, 429);
	cr_assert(decide(&o, 1, &s, &how));
	cr_assert_eq(how.delay_ms, 250);
	cr_assert_eq(how.lane_delay_ms, 250, "it does not say how long");
	o = failed(OUTCOME_HTTP_STATUS, 503);
	cr_assert(decide(&o, 1, &s, &how));
	cr_assert_eq(how.lane_delay_ms, 0, "a 503 without a wish may be this URL's");
}

Test(retry_policy, gives_up_when_the_wait_would_be_too_long, .timeout = 30)
{
	struct settings s = defaults();
	struct outcome o = failed(OUTCOME_RATE_LIMITED, 429);
	o.retry_after_ms = 60000;
	struct pm_retry how;
	cr_assert_not(decide(&o, 1, &s, &how));
	cr_assert_eq(how.lane_delay_ms, 60000);
	s.retry_classes |= 1u << OUTCOME_RATE_LIMITED;
	cr_assert(retry_decide(&how, &o, 1, &s, 0));
	cr_assert(how.delay_ms == 60000 && how.lane_delay_ms == 60000);
}

/* An outcome comes from another process, which may have gone mad. */
Test(retry_policy, keeps_within_its_limits_whatever_it_is_told, .timeout = 30)
{
	uint64_t state = 3;
	size_t yes = 0;
	for (int i = 0; i < 50000; i++) {
		uint64_t r = dice(&state);
		struct settings s = defaults();
		s.retry_classes = (uint32_t)dice(&state);
		s.retry_unsafe = r & 1;
		struct outcome o = {
			.class = (uint32_t)(r & 2 ? dice(&state) : r >> 8 & 31),
			.http_code = (uint32_t)(r & 4 ? dice(&state) : r >> 16 & 1023),
			.retry_after_ms = (uint32_t)(r & 8 ? dice(&state) : 0),
			.retries = (uint16_t)(r >> 32),
			.idempotent = r & 16};
		unsigned attempts = (unsigned)(dice(&state) >> dice_below(&state, 64));
		struct pm_retry how;
		bool again =
			retry_decide(&how, &o, attempts, &s, (uint32_t)dice(&state));
		cr_assert_leq(how.delay_ms, 90000);
		cr_assert_leq(how.lane_delay_ms, 60000);
		cr_assert(!again || attempts <= o.retries);
		cr_assert(again || how.delay_ms == 0);
		yes += again;
	}
	cr_assert_gt(yes, 1000, "%zu", yes);
}

/* A name that does not exist, unlike one that could not be asked for. */
Test(retry_policy, what_is_final_is_not_tried_again, .timeout = 30)
{
	struct settings s = defaults();
	struct outcome o = failed(OUTCOME_DNS, 0);
	struct pm_retry how;
	cr_assert(decide(&o, 1, &s, &how));
	o.final = true;
	cr_assert_not(decide(&o, 1, &s, &how));
}
