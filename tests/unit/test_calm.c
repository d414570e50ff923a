/* SPDX-License-Identifier: MIT
 *
 * How many requests at once a host gets after it has refused some.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "master/cli/calm.h"

enum { MOST = 64 };

static struct calm c;
static char gone[PM_LANE_MAX + 1];

static void stop(void)
{
	calm_fini(&c);
}

TestSuite(calm, .fini = stop);

/* So many answers; returns the limit behind them. */
static unsigned answers(const char *lane, unsigned ct, uint64_t now_ms)
{
	unsigned limit = 0;
	for (unsigned i = 0; i < ct; i++) {
		limit = calm_answered(&c, lane, MOST, now_ms);
	}
	return limit;
}

Test(calm, knows_nobody_at_first, .timeout = 10)
{
	cr_assert_eq(calm_limit(&c, "http://a"), 0);
	cr_assert_eq(calm_answered(&c, "http://a", MOST, 5), 0);
	cr_assert_null(c.hosts);
}

Test(calm, begins_with_one_and_grows, .timeout = 10)
{
	cr_assert_eq(calm_refused(&c, "http://a", MOST, 100, 1100, gone), 1);
	cr_assert_str_eq(gone, "");
	cr_assert_eq(calm_limit(&c, "http://a"), 1);
	cr_assert_eq(calm_limit(&c, "http://b"), 0);
	cr_assert_eq(answers("http://a", 10, 1099), 1, "the gate is closed");
	cr_assert_eq(answers("http://a", 31, 1100), 32, "one for each answer");
	cr_assert_eq(answers("http://a", 31, 1100), 32, "one for each round");
	cr_assert_eq(answers("http://a", 1, 1100), 33);
}

Test(calm, is_halved_once_for_each_gate, .timeout = 10)
{
	calm_refused(&c, "http://a", MOST, 0, 1000, gone);
	calm_refused(&c, "http://a", MOST, 10, 1500, gone);
	calm_refused(&c, "http://a", MOST, 20, 900, gone);
	cr_assert_eq(answers("http://a", 5, 1499), 1, "the last gate counts");
	cr_assert_eq(answers("http://a", 15, 1500), 16);
	calm_refused(&c, "http://a", MOST, 2000, 3000, gone);
	cr_assert_eq(answers("http://a", 7, 3000), 8);
	cr_assert_eq(answers("http://a", 7, 3000), 8, "half of what was too many");
	cr_assert_eq(answers("http://a", 1, 3000), 9);
}

Test(calm, forgets_who_may_have_all_again, .timeout = 10)
{
	unsigned limit = calm_refused(&c, "http://a", 3, 0, 10, gone);
	for (int i = 0; i < 100 && limit; i++) {
		limit = calm_answered(&c, "http://a", 3, 10);
	}
	cr_assert_eq(limit, 0);
	cr_assert_eq(calm_limit(&c, "http://a"), 0);
	cr_assert_eq(c.ct, 0);
}

/* One at a time is as calm as can be. */
Test(calm, has_a_least, .timeout = 10)
{
	for (uint64_t i = 0; i < 10; i++) {
		cr_assert_eq(
			calm_refused(&c, "http://a", 1, i * 10, i * 10 + 5, gone), 1);
	}
	cr_assert_eq(calm_answered(&c, "http://a", 1, 1000), 0);
}

/* There are places for so many; nobody is lost silently. */
Test(calm, tells_whom_it_lets_go, .timeout = 10)
{
	enum { HOSTS = 4 * CALM_HOSTS };
	unsigned let_go = 0, kept = 0;
	char lane[PM_LANE_MAX + 1];
	for (unsigned i = 0; i < HOSTS; i++) {
		snprintf(lane, sizeof lane, "http://host%u", i);
		cr_assert_eq(calm_refused(&c, lane, MOST, 0, 10, gone), 1);
		let_go += *gone != '\0';
		cr_assert(!*gone || calm_limit(&c, gone) == 0);
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		snprintf(lane, sizeof lane, "http://host%u", i);
		kept += calm_limit(&c, lane) == 1;
	}
	cr_assert_eq(kept, c.ct);
	cr_assert_eq(kept + let_go, HOSTS);
	cr_assert_leq(kept, CALM_HOSTS);
}
