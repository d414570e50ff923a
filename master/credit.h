/* SPDX-License-Identifier: MIT
 *
 * credit - how many jobs one worker may hold: those that run, and a prefetch
 * that hides the way to the master and back.
 *
 * Runs in: the master; one per slot.  Pure, the time is a parameter.
 *
 * A prefetched job waits behind those that run, even when another worker has
 * nothing to do.  So the prefetch is what the worker finishes in
 * CREDIT_PREFETCH_MS at its present rate: many for jobs of microseconds, none for jobs
 * of seconds, and a job never waits much longer than that for its slot.
 */
#ifndef MASTER_CREDIT_H
#define MASTER_CREDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CREDIT_PREFETCH_MS = 10,
	CREDIT_PREFETCH_MAX = 8192,
	CREDIT_SAMPLE_US = 4000,  /* shortest time that a rate is taken over */
	CREDIT_STALE_US = 100000, /* a rate older than this is not believed */
};

struct credit {
	unsigned concurrency;
	uint64_t sample_from_us;
	unsigned sample_ct; /* jobs settled since */
	unsigned prefetch;
	bool topping_up; /* it has got less than it may, see credit_has_room() */
};

void credit_init(struct credit *c, unsigned concurrency, uint64_t now_us);

/* A job of this worker was settled. */
void credit_settled(struct credit *c, uint64_t now_us);

/* Jobs it may hold now. */
unsigned credit_window(struct credit *c, uint64_t now_us);

/* May it get one more, when it holds `held`?  The prefetch is topped up when a quarter
 * of it is used, and then as a whole: jobs of microseconds travel in few large
 * frames, each of which costs the same as a small one. */
bool credit_has_room(struct credit *c, size_t held, uint64_t now_us);

#endif
