/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/credit: how far ahead a worker may be given jobs.
 */
#include <criterion/criterion.h>

#include "master/credit.h"

enum { START_US = 1000000, CONCURRENCY = 10 };

static struct credit c;

static void make(void)
{
	credit_init(&c, CONCURRENCY, START_US);
}

TestSuite(credit, .init = make);

/* `ct` jobs, the last of them at `at_us` after the start, the others at once. */
static void settle(unsigned ct, uint64_t at_us)
{
	for (unsigned i = 1; i < ct; i++) {
		credit_settled(&c, c.sample_from_us);
	}
	credit_settled(&c, START_US + at_us);
}

static unsigned window(uint64_t at_us)
{
	return credit_window(&c, START_US + at_us);
}

Test(credit, begins_without_a_prefetch, .timeout = 10)
{
	cr_assert_eq(window(0), CONCURRENCY);
	cr_assert_eq(window(CREDIT_SAMPLE_US), CONCURRENCY);
}

Test(credit, waits_for_a_whole_sample, .timeout = 10)
{
	settle(1000, CREDIT_SAMPLE_US - 1);
	cr_assert_eq(window(CREDIT_SAMPLE_US - 1), CONCURRENCY);
	settle(1, CREDIT_SAMPLE_US);
	cr_assert_eq(window(CREDIT_SAMPLE_US), CONCURRENCY + 2502, "%u",
		window(CREDIT_SAMPLE_US));
}

Test(credit, fetches_ahead_what_is_done_in_the_prefetch_time, .timeout = 10)
{
	static const struct {
		unsigned ct;
		uint64_t elapsed_us;
		unsigned prefetch;
	} cases[] = {
		{1, 4000, 2}, /* 2.5, rounded down */
		{1, 10000, 1},
		{1, 10001, 0}, /* slower than one in the time */
		{1, 99999, 0},
		{4, 4000, 10},
		{10, 10000, 10},
		{400, 4000, 1000},
		{3276, 4000, 8190},
		{3277, 4000, CREDIT_PREFETCH_MAX},
		{4000, 4000, CREDIT_PREFETCH_MAX},
		{100000, 4000, CREDIT_PREFETCH_MAX},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		make();
		settle(cases[i].ct, cases[i].elapsed_us);
		cr_assert_eq(window(cases[i].elapsed_us),
			CONCURRENCY + cases[i].prefetch, "case %zu: %u", i,
			window(cases[i].elapsed_us));
	}
}

Test(credit, takes_each_sample_for_itself, .timeout = 10)
{
	settle(400, 4000);
	cr_assert_eq(window(4000), CONCURRENCY + 1000);
	settle(40, 8000);
	cr_assert_eq(window(8000), CONCURRENCY + 100);
	settle(1, 20000);
	cr_assert_eq(window(20000), CONCURRENCY);
	settle(400, 24000);
	cr_assert_eq(window(24000), CONCURRENCY + 1000);
}

Test(credit, keeps_a_rate_until_it_is_stale, .timeout = 10)
{
	settle(400, 4000);
	cr_assert_eq(window(4000 + CREDIT_STALE_US - 1), CONCURRENCY + 1000);
	cr_assert_eq(window(4000 + CREDIT_STALE_US), CONCURRENCY);
	cr_assert_eq(window(4000 + CREDIT_STALE_US + 1), CONCURRENCY);
}

Test(credit, believes_no_old_rate_after_a_pause, .timeout = 10)
{
	settle(400, 4000);
	credit_settled(&c, START_US + 60000000); /* the first for a minute */
	cr_assert_eq(window(60000000), CONCURRENCY);
	settle(400, 60004000);
	cr_assert_eq(
		window(60004000), CONCURRENCY + 1000, "and soon knows the new one");
}

Test(credit, follows_a_steady_rate, .timeout = 30)
{
	static const unsigned periods_us[] = {2, 7, 100, 999, 3000, 9999};
	for (size_t i = 0; i < sizeof periods_us / sizeof *periods_us; i++) {
		unsigned want = CREDIT_PREFETCH_MS * 1000 / periods_us[i];
		make();
		for (uint64_t at = 0; at < 300000; at += periods_us[i]) {
			settle(1, at);
			unsigned got = window(at) - CONCURRENCY;
			cr_assert(at < 20000 || (got >= want && got <= want + 3),
				"every %u us, at %ju: %u for %u", periods_us[i],
				(uintmax_t)at, got, want);
		}
	}
}

Test(credit, gives_a_worker_its_concurrency_whatever_it_is, .timeout = 10)
{
	static const unsigned concurrencies[] = {1, 2, 512, 100000};
	for (size_t i = 0; i < sizeof concurrencies / sizeof *concurrencies; i++) {
		credit_init(&c, concurrencies[i], START_US);
		cr_assert_eq(window(0), concurrencies[i]);
		settle(100000, 4000);
		cr_assert_eq(window(4000), concurrencies[i] + CREDIT_PREFETCH_MAX);
		cr_assert_eq(window(3600000000u), concurrencies[i]);
	}
}

Test(credit, survives_a_time_that_stands_still, .timeout = 10)
{
	for (int i = 0; i < 100000; i++) {
		credit_settled(&c, START_US);
		cr_assert_eq(window(0), CONCURRENCY);
	}
}

/* ---------------------------------------------------------------- topping up */

static struct credit with_prefetch(unsigned prefetch)
{
	struct credit made;
	credit_init(&made, 10, 0);
	made.prefetch = prefetch;
	return made;
}

Test(credit, is_topped_up_as_a_whole_when_a_quarter_is_used, .timeout = 10)
{
	struct credit mine = with_prefetch(100);
	cr_assert(credit_has_room(&mine, 0, 1), "it is empty");
	cr_assert(credit_has_room(&mine, 109, 1), "topping up goes on to the end");
	cr_assert_not(credit_has_room(&mine, 110, 1), "it is full");
	cr_assert_not(credit_has_room(&mine, 109, 1));
	cr_assert_not(credit_has_room(&mine, 85, 1), "a quarter is not used yet");
	cr_assert(credit_has_room(&mine, 84, 1));
	cr_assert(credit_has_room(&mine, 109, 1));
}

Test(credit, without_prefetch_each_place_is_filled_at_once, .timeout = 10)
{
	struct credit mine = with_prefetch(0);
	cr_assert_not(credit_has_room(&mine, 10, 1));
	cr_assert(credit_has_room(&mine, 9, 1));
	cr_assert_not(credit_has_room(&mine, 10, 1));
	cr_assert(credit_has_room(&mine, 9, 1));
}
