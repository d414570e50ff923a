/* SPDX-License-Identifier: MIT
 *
 * credit - how many jobs one worker may hold; see credit.h.
 */
#include "master/credit.h"

void credit_init(struct credit *c, unsigned concurrency, uint64_t now_us)
{
	*c = (struct credit){.concurrency = concurrency, .sample_from_us = now_us};
}

static void take_sample(struct credit *c, uint64_t now_us, uint64_t elapsed_us)
{
	uint64_t prefetch =
		(uint64_t)c->sample_ct * CREDIT_PREFETCH_MS * 1000 / elapsed_us;
	c->prefetch = prefetch < CREDIT_PREFETCH_MAX ? (unsigned)prefetch
						     : CREDIT_PREFETCH_MAX;
	c->sample_ct = 0;
	c->sample_from_us = now_us;
}

void credit_settled(struct credit *c, uint64_t now_us)
{
	c->sample_ct++;
	uint64_t elapsed_us = now_us - c->sample_from_us;
	if (elapsed_us >= CREDIT_SAMPLE_US) {
		take_sample(c, now_us, elapsed_us);
	}
}

unsigned credit_window(struct credit *c, uint64_t now_us)
{
	uint64_t elapsed_us = now_us - c->sample_from_us;
	if (elapsed_us >= CREDIT_STALE_US) {
		take_sample(c, now_us, elapsed_us);
	}
	return c->concurrency + c->prefetch;
}

bool credit_has_room(struct credit *c, size_t held, uint64_t now_us)
{
	if (held >= credit_window(c, now_us)) {
		c->topping_up = false;
	} else if (held < c->concurrency + c->prefetch - c->prefetch / 4) {
		c->topping_up = true;
	}
	return c->topping_up;
}
