/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/cli/histogram.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "master/cli/histogram.h"

enum { RANDOM_CT = 20000 };

static struct histogram h;

/* Any seed does; a fixed one makes a failure come back. */
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* As many of 10 us as of 10 hours, as latencies are. */
static uint64_t random_latency(void)
{
	uint64_t us = next_random() >> (28 + next_random() % 36);
	us = us ? us : 1;
	return us > HISTOGRAM_US_MAX ? HISTOGRAM_US_MAX : us;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

Test(histogram, is_all_zero_when_empty, .timeout = 10)
{
	cr_assert_eq(histogram_quantile(&h, 0), 0);
	cr_assert_eq(histogram_quantile(&h, 500), 0);
	cr_assert_eq(histogram_quantile(&h, 1000), 0);
	cr_assert_eq(histogram_min(&h), 0);
	cr_assert_eq(histogram_max(&h), 0);
	cr_assert_eq(histogram_mean(&h), 0);
}

Test(histogram, gives_a_single_latency_back_exactly, .timeout = 10)
{
	histogram_add(&h, 123456789);
	for (unsigned permille = 0; permille <= 1000; permille++) {
		cr_assert_eq(
			histogram_quantile(&h, permille), 123456789, "at %u", permille);
	}
	cr_assert_eq(histogram_mean(&h), 123456789);
}

Test(histogram, agrees_with_a_sorted_array_to_one_part_in_128, .timeout = 20)
{
	static uint64_t sorted[RANDOM_CT];
	for (size_t i = 0; i < RANDOM_CT; i++) {
		sorted[i] = random_latency();
		histogram_add(&h, sorted[i]);
	}
	qsort(sorted, RANDOM_CT, sizeof(sorted[0]), by_value);
	for (unsigned permille = 0; permille <= 1000; permille++) {
		size_t rank = ((size_t)RANDOM_CT * permille + 999) / 1000;
		uint64_t truth = sorted[rank ? rank - 1 : 0];
		uint64_t got = histogram_quantile(&h, permille);
		cr_assert_leq(distance(got, truth) * 128, truth,
			"permille %u: %" PRIu64 ", true %" PRIu64, permille, got,
			truth);
	}
	cr_assert_eq(histogram_min(&h), sorted[0]);
	cr_assert_eq(histogram_max(&h), sorted[RANDOM_CT - 1]);
}

Test(histogram, is_exact_up_to_127_microseconds, .timeout = 10)
{
	for (uint64_t us = 1; us <= 127; us++) {
		histogram_add(&h, us);
	}
	for (unsigned permille = 1; permille <= 1000; permille++) {
		cr_assert_eq(histogram_quantile(&h, permille),
			(127 * permille + 999) / 1000, "at %u", permille);
	}
}

/* 1 and the end of the range stand around the value, so that the clamp to
 * minimum and maximum cannot hide a wrong bucket. */
static void assert_median_near(uint64_t us)
{
	h = (struct histogram){0};
	histogram_add(&h, HISTOGRAM_US_MIN);
	histogram_add(&h, us);
	histogram_add(&h, HISTOGRAM_US_MAX);
	uint64_t got = histogram_quantile(&h, 500);
	cr_assert_leq(distance(got, us) * 128, us, "%" PRIu64 " for %" PRIu64, got, us);
}

Test(histogram, keeps_its_precision_around_every_power_of_two, .timeout = 10)
{
	for (unsigned bit = 1; bit <= 36; bit++) {
		uint64_t power = UINT64_C(1) << bit;
		assert_median_near(power - 1);
		assert_median_near(power);
		assert_median_near(power + 1);
	}
	assert_median_near(HISTOGRAM_US_MAX - 1);
}

Test(histogram, saturates_and_counts_what_is_out_of_range, .timeout = 10)
{
	histogram_add(&h, 0);
	histogram_add(&h, HISTOGRAM_US_MAX);
	histogram_add(&h, HISTOGRAM_US_MAX + 1);
	histogram_add(&h, UINT64_MAX);
	cr_assert_eq(h.ct, 4);
	cr_assert_eq(h.below_ct, 1);
	cr_assert_eq(h.above_ct, 2);
	cr_assert_eq(histogram_min(&h), HISTOGRAM_US_MIN);
	cr_assert_eq(histogram_max(&h), HISTOGRAM_US_MAX);
	cr_assert_eq(histogram_mean(&h), (1 + 3 * HISTOGRAM_US_MAX) / 4);
}

Test(histogram, has_the_mean_of_the_true_values, .timeout = 10)
{
	histogram_add(&h, 1000001);
	histogram_add(&h, 3000003);
	cr_assert_eq(histogram_mean(&h), 2000002);
}

Test(histogram, takes_more_than_1000_permille_for_the_maximum, .timeout = 10)
{
	histogram_add(&h, 5);
	histogram_add(&h, 9);
	cr_assert_eq(histogram_quantile(&h, 1001), 9);
	cr_assert_eq(histogram_quantile(&h, 4000000000u), 9);
}

Test(histogram, finds_ranks_that_would_overflow_a_product, .timeout = 10)
{
	h.ct = UINT64_MAX;
	h.buckets[3] = UINT64_MAX / 2;
	h.buckets[7] = UINT64_MAX - UINT64_MAX / 2;
	h.min_us = 2;
	h.max_us = 8;
	cr_assert_eq(histogram_quantile(&h, 499), 3);
	cr_assert_eq(histogram_quantile(&h, 501), 7);
	cr_assert_eq(histogram_quantile(&h, 999), 7);
}

/* As if all had been added to one; also to and from an empty one. */
Test(histogram, joins_another, .timeout = 10)
{
	static struct histogram parts[3], all;
	for (unsigned i = 0; i < RANDOM_CT; i++) {
		uint64_t us = i % 100 ? random_latency() : 2 * HISTOGRAM_US_MAX;
		histogram_add(&parts[i % 2], us);
		histogram_add(&all, us);
	}
	histogram_join(&h, &parts[2]);
	cr_assert_eq(memcmp(&h, &parts[2], sizeof h), 0);
	histogram_join(&h, &parts[0]);
	histogram_join(&h, &parts[2]);
	histogram_join(&h, &parts[1]);
	cr_assert_eq(memcmp(&h, &all, sizeof h), 0);
}

/* Each begins where the one before ends, and what it begins with is in it. */
Test(histogram, has_buckets_that_follow_each_other, .timeout = 10)
{
	for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) {
		static struct histogram one;
		uint64_t us = histogram_bucket_us(i);
		cr_assert_gt(us, histogram_bucket_us(i - 1));
		one = (struct histogram){0};
		histogram_add(&one, us);
		histogram_add(&one, us - 1 ? us - 1 : 1);
		cr_assert(one.buckets[i], "bucket %u", i);
		cr_assert(i == 1 || one.buckets[i - 1], "bucket %u", i);
	}
}
