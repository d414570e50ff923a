/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/cli/rate.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "master/cli/rate.h"

#define SECOND UINT64_C(1000000)

/* Monotonic clocks start anywhere. */
#define BEGIN (UINT64_C(1234567) * SECOND + 891011)

static struct rate r;
static uint64_t now;

static void begin(void)
{
	now = BEGIN;
	rate_start(&r, now);
}

/* One job at a time, `per_ms` of them each millisecond. */
static void work(uint64_t us, unsigned per_ms)
{
	for (uint64_t end = now + us; now < end;) {
		now += 1000;
		rate_add(&r, now, per_ms);
	}
}

static void assert_rate(double expected)
{
	double got = rate_per_second(&r, now);
	cr_assert(fabs(got - expected) <= expected * 0.005,
		"%.2f/s instead of %.2f/s, %.3f s after the start", got, expected,
		(double)(now - BEGIN) / 1e6);
}

Test(rate, is_zero_before_anything_is_done, .timeout = 10, .init = begin)
{
	cr_assert_eq(rate_per_second(&r, now), 0);
	now += 1;
	cr_assert_eq(rate_per_second(&r, now), 0);
	now += 100 * SECOND;
	cr_assert_eq(rate_per_second(&r, now), 0);
}

Test(rate, is_right_from_the_first_second_on, .timeout = 10, .init = begin)
{
	work(SECOND / 2, 2);
	assert_rate(2000);
	work(SECOND / 2, 2);
	assert_rate(2000);
	for (unsigned i = 0; i < 200; i++) {
		work(SECOND / 10 + 3000, 2);
		assert_rate(2000);
	}
}

Test(rate, forgets_what_was_more_than_five_seconds_ago, .timeout = 10, .init = begin)
{
	work(60 * SECOND, 1);
	work(5 * SECOND, 7);
	assert_rate(7000);
	work(5 * SECOND, 1);
	assert_rate(1000);
}

Test(rate, falls_to_zero_in_a_pause, .timeout = 10, .init = begin)
{
	work(20 * SECOND, 10);
	assert_rate(10000);
	/* At a whole number of intervals the window is 4.75 s. */
	now += 19 * SECOND / 8;
	double halfway = rate_per_second(&r, now);
	cr_assert(halfway > 4900 && halfway < 5300, "%.1f", halfway);
	now += 21 * SECOND / 8;
	cr_assert_eq(rate_per_second(&r, now), 0);
}

Test(rate, counts_a_pause_as_time_and_then_forgets_it, .timeout = 10, .init = begin)
{
	work(20 * SECOND, 10);
	now += 3600 * SECOND;
	work(SECOND, 10);
	/* One second of work in a window of 4.75 s to 5 s. */
	double after = rate_per_second(&r, now);
	cr_assert(after >= 10000 / 5.0 && after <= 10100 / 4.75, "%.1f", after);
	work(4 * SECOND, 10);
	assert_rate(10000);
}

Test(rate, says_nothing_wild_about_the_first_moment, .timeout = 10, .init = begin)
{
	rate_add(&r, now, 100);
	cr_assert_eq(rate_per_second(&r, now), 400);
	now += 1;
	cr_assert_eq(rate_per_second(&r, now), 400);
}

Test(rate, sees_less_than_one_job_per_second, .timeout = 10, .init = begin)
{
	now += 4 * SECOND;
	rate_add(&r, now, 1);
	assert_rate(0.25);
}

Test(rate, stands_still_when_the_clock_goes_back, .timeout = 10, .init = begin)
{
	work(10 * SECOND, 1);
	double before = rate_per_second(&r, now);
	rate_add(&r, now - 7 * SECOND, 0);
	double back = rate_per_second(&r, BEGIN - SECOND);
	cr_assert(back >= before && back <= before * 1.06, "%.1f, %.1f", before, back);
	assert_rate(1000);
}

Test(rate, is_written_with_the_digits_that_matter, .timeout = 10)
{
	static const struct {
		double per_second;
		const char *text;
	} cases[] = {
		{0, "0/s"},
		{0.004, "0/s"},
		{0.006, "0.01/s"},
		{0.25, "0.25/s"},
		{0.994, "0.99/s"},
		{0.996, "1.0/s"},
		{8.14, "8.1/s"},
		{9.94, "9.9/s"},
		{9.96, "10/s"},
		{812.4, "812/s"},
		{999.6, "1,000/s"},
		{12345, "12,345/s"},
		{1e300, "1,000,000,000,000,000/s"},
		{(double)INFINITY, "1,000,000,000,000,000/s"},
		{(double)NAN, "0/s"},
		{-3, "0/s"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char room[RATE_TEXT_BYTES];
		cr_assert_str_eq(rate_text(room, cases[i].per_second), cases[i].text,
			"%g is %s", cases[i].per_second, room);
	}
}
