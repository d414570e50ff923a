/* SPDX-License-Identifier: MIT
 *
 * rate - jobs per second over a sliding window, see rate.h.
 */
#include "master/cli/rate.h"

#include <stdio.h>
#include <string.h>

#include "master/cli/tally.h"

/* Beyond it a rate is nonsense; before it, it fits an integer. */
#define RATE_MAX 1e15

void rate_start(struct rate *r, uint64_t now_us)
{
	memset(r, 0, sizeof(*r));
	r->start_us = now_us;
}

/* Time since the start, and never before the newest interval. */
static uint64_t elapsed_at(const struct rate *r, uint64_t now_us)
{
	uint64_t elapsed = now_us > r->start_us ? now_us - r->start_us : 0;
	uint64_t newest = r->interval * RATE_INTERVAL_US;
	return elapsed > newest ? elapsed : newest;
}

/* Make the interval of this moment the newest; those that were skipped on the
 * way had no jobs. */
static void advance(struct rate *r, uint64_t elapsed)
{
	uint64_t now = elapsed / RATE_INTERVAL_US;
	if (now - r->interval >= RATE_INTERVALS) {
		memset(r->counts, 0, sizeof(r->counts));
		r->interval = now;
	}
	while (r->interval < now) {
		r->interval++;
		r->counts[r->interval % RATE_INTERVALS] = 0;
	}
}

void rate_add(struct rate *r, uint64_t now_us, uint64_t ct)
{
	advance(r, elapsed_at(r, now_us));
	r->counts[r->interval % RATE_INTERVALS] += ct;
}

double rate_per_second(struct rate *r, uint64_t now_us)
{
	uint64_t elapsed = elapsed_at(r, now_us);
	advance(r, elapsed);
	uint64_t sum = 0;
	for (unsigned i = 0; i < RATE_INTERVALS; i++) {
		sum += r->counts[i];
	}
	uint64_t oldest = 0;
	if (r->interval >= RATE_INTERVALS) {
		oldest = r->interval - RATE_INTERVALS + 1;
	}
	uint64_t span = elapsed - oldest * RATE_INTERVAL_US;
	if (span < RATE_INTERVAL_US) {
		span = RATE_INTERVAL_US;
	}
	return (double)sum * 1e6 / (double)span;
}

static uint64_t in_hundredths(double per_second)
{
	if (!(per_second > 0)) { /* also what is no number */
		return 0;
	}
	return (uint64_t)((per_second < RATE_MAX ? per_second : RATE_MAX) * 100 + 0.5);
}

/* The digits are cut by hand, because printf's %f follows the locale. */
const char *rate_text(char room[RATE_TEXT_BYTES], double per_second)
{
	char count[TALLY_COUNT_BYTES];
	uint64_t hundredths = in_hundredths(per_second);
	if (hundredths == 0 || hundredths >= 995) {
		const char *whole = tally_count_text(count, (hundredths + 50) / 100);
		snprintf(room, RATE_TEXT_BYTES, "%s/s", whole);
	} else if (hundredths < 100) {
		snprintf(room, RATE_TEXT_BYTES, "0.%02u/s", (unsigned)hundredths);
	} else {
		unsigned tenths = (unsigned)(hundredths + 5) / 10;
		snprintf(room, RATE_TEXT_BYTES, "%u.%u/s", tenths / 10, tenths % 10);
	}
	return room;
}
