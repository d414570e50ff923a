/* SPDX-License-Identifier: MIT
 *
 * histogram - latencies in log-linear buckets, see histogram.h.
 *
 * Buckets 0..127 hold one value each.  From there on, a latency whose highest
 * bit is 2^(6+s) is shifted right by s, which leaves a number in 64..127, and
 * its bucket is that number plus 64 s: the buckets of one power of two follow
 * those of the one before without a gap.
 */
#include "master/cli/histogram.h"

enum { STEPS_BITS = 6, STEPS = 1 << STEPS_BITS, FINE_CT = 2 * STEPS };

/* The last bucket is the one of the end of the range: 30 is its shift. */
_Static_assert(INT64_C(30) * STEPS + (HISTOGRAM_US_MAX >> 30) + 1 == HISTOGRAM_BUCKETS,
	"one bucket for each step of the range");
_Static_assert(HISTOGRAM_US_MAX >> 30 >= STEPS && HISTOGRAM_US_MAX >> 30 < FINE_CT,
	"30 is the shift of the end of the range");

static unsigned bucket_of(uint64_t us)
{
	if (us < FINE_CT) {
		return (unsigned)us;
	}
	unsigned high_bit = 63u - (unsigned)__builtin_clzll(us);
	unsigned shift = high_bit - STEPS_BITS;
	return shift * STEPS + (unsigned)(us >> shift);
}

static unsigned shift_of(unsigned bucket)
{
	return bucket < FINE_CT ? 0 : bucket / STEPS - 1;
}

uint64_t histogram_bucket_us(unsigned bucket)
{
	unsigned shift = shift_of(bucket);
	return (uint64_t)(bucket - shift * STEPS) << shift;
}

static uint64_t middle_of(unsigned bucket)
{
	uint64_t width = UINT64_C(1) << shift_of(bucket);
	return histogram_bucket_us(bucket) + (width - 1) / 2;
}

static uint64_t into_range(struct histogram *h, uint64_t us)
{
	if (us < HISTOGRAM_US_MIN) {
		h->below_ct++;
		return HISTOGRAM_US_MIN;
	}
	if (us > HISTOGRAM_US_MAX) {
		h->above_ct++;
		return HISTOGRAM_US_MAX;
	}
	return us;
}

void histogram_add(struct histogram *h, uint64_t us)
{
	us = into_range(h, us);
	if (!h->ct || us < h->min_us) {
		h->min_us = us;
	}
	if (us > h->max_us) {
		h->max_us = us;
	}
	h->ct++;
	/* Room for 200 million jobs of a day each. */
	h->sum_us += us;
	h->buckets[bucket_of(us)]++;
}

void histogram_join(struct histogram *h, const struct histogram *other)
{
	if (!other->ct) {
		return;
	}
	h->min_us = h->ct && h->min_us < other->min_us ? h->min_us : other->min_us;
	h->max_us = h->max_us > other->max_us ? h->max_us : other->max_us;
	h->ct += other->ct;
	h->below_ct += other->below_ct;
	h->above_ct += other->above_ct;
	h->sum_us += other->sum_us;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		h->buckets[i] += other->buckets[i];
	}
}

/* ct * permille / 1000, rounded up; split so that no count overflows it. */
static uint64_t rank_of(uint64_t ct, unsigned permille)
{
	return ct / 1000 * permille + (ct % 1000 * permille + 999) / 1000;
}

static uint64_t value_at(const struct histogram *h, uint64_t rank)
{
	uint64_t seen = 0;
	unsigned bucket = 0;
	for (; bucket < HISTOGRAM_BUCKETS; bucket++) {
		seen += h->buckets[bucket];
		if (seen >= rank) {
			break;
		}
	}
	uint64_t us = middle_of(bucket);
	if (us < h->min_us) {
		return h->min_us;
	}
	return us > h->max_us ? h->max_us : us;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned permille)
{
	uint64_t rank = permille < 1000 ? rank_of(h->ct, permille) : h->ct;
	if (rank <= 1) {
		return h->min_us;
	}
	return rank == h->ct ? h->max_us : value_at(h, rank);
}

uint64_t histogram_min(const struct histogram *h)
{
	return h->min_us;
}

uint64_t histogram_max(const struct histogram *h)
{
	return h->max_us;
}

uint64_t histogram_mean(const struct histogram *h)
{
	return h->ct ? h->sum_us / h->ct : 0;
}
