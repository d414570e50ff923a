/* SPDX-License-Identifier: MIT
 *
 * pace - how fast jobs begin, for which host; see pace.h.
 */
#include "master/cli/pace.h"

#include <sys/random.h>

#include "common/cli/host.h"
#include "common/clock.h"
#include "master/cli/retry_policy.h"

void pace_init(struct pace *p, const struct settings *s)
{
	*p = (struct pace){.settings = s};
	if (getrandom(&p->random, sizeof p->random, GRND_NONBLOCK) < 0) {
		p->random = clock_now_us();
	}
	p->random |= 1;
}

/* xorshift64* (Vigna 2016): good enough to keep retries apart. */
static uint32_t next_random(struct pace *p)
{
	uint64_t x = p->random;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	p->random = x;
	return (uint32_t)(x * 2685821657736338717u >> 32);
}

void pace_lane(struct pace *p, const char *line, size_t len, struct pm_job *job)
{
	job->lane_len = host_lane(p->lane, line, len);
	job->lane = p->lane;
}

void pace_limits(const struct pace *p, const char *lane, struct pm_lane_limits *limits)
{
	(void)lane;
	limits->concurrency = p->settings->per_host;
	limits->rate = p->settings->host_rate;
}

bool pace_retry(struct pace *p, const struct outcome *outcome, unsigned attempts,
	struct pm_retry *how)
{
	return retry_decide(how, outcome, attempts, p->settings, next_random(p));
}
