/* SPDX-License-Identifier: MIT
 *
 * histogram - how long jobs took: counts of latencies in buckets that grow
 * with the latency, so that quantiles of any number of jobs cost fixed memory.
 *
 * Runs in: the master of the command; called by tally, summary and report.  The struct
 * is the caller's; a zeroed one is an empty histogram.  Pure: reads no clock,
 * allocates nothing.
 *
 * Every power of two is cut into 64 buckets of equal width, and a quantile is
 * the middle of its bucket: at most 1/128, that is 0.8 %, off the true value.
 * Up to 127 us, and for the least and the greatest latency, it is exact.  The
 * price is 16 KB.
 */
#ifndef MASTER_CLI_HISTOGRAM_H
#define MASTER_CLI_HISTOGRAM_H

#include <stdint.h>

/* The range.  What lies outside counts as the nearer end of it. */
#define HISTOGRAM_US_MIN UINT64_C(1)
#define HISTOGRAM_US_MAX UINT64_C(86400000000) /* one day */

enum { HISTOGRAM_BUCKETS = 2001 };

struct histogram {
	uint64_t ct;
	uint64_t below_ct; /* of those: under the range */
	uint64_t above_ct; /* of those: over the range */
	uint64_t sum_us;
	uint64_t min_us;
	uint64_t max_us;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t us);

/* Add all that are in `other`. */
void histogram_join(struct histogram *h, const struct histogram *other);

/* The least latency that `permille` of 1000 latencies do not exceed (nearest
 * rank): 500 is the median, 0 the minimum, 1000 and more the maximum.  0 when
 * the histogram is empty, as for the three below. */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);

/* Where a bucket begins, and the one before it ends, for whom draws them. */
uint64_t histogram_bucket_us(unsigned bucket);

uint64_t histogram_min(const struct histogram *h);
uint64_t histogram_max(const struct histogram *h);
uint64_t histogram_mean(const struct histogram *h);

#endif
