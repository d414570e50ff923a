/* SPDX-License-Identifier: MIT
 *
 * Which connections are worth keeping.
 */
#include <criterion/criterion.h>

#include "worker/engine_habit.h"

TestSuite(engine_habit, .timeout = 10);

static uint32_t nth(uint32_t n)
{
	return n * 2654435761u + 1;
}

Test(engine_habit, a_few_hosts_are_kept_from_the_first, .timeout = 10)
{
	struct habit h = {0};
	for (uint32_t i = 0; i < 100000; i++) {
		cr_assert(habit_wants(&h, nth(i % 300)), "%u", i);
	}
}

Test(engine_habit, of_ever_new_hosts_none_is_kept_after_a_while, .timeout = 10)
{
	struct habit h = {0};
	unsigned kept = 0;
	for (uint32_t i = 0; i < 20000; i++) {
		kept += habit_wants(&h, nth(i));
	}
	cr_assert_geq(kept, 256);
	cr_assert_leq(kept, 1000, "%u", kept);
}

Test(engine_habit, a_host_that_comes_back_is_kept_among_new_ones, .timeout = 10)
{
	struct habit h = {0};
	for (uint32_t i = 0; i < 20000; i++) {
		(void)habit_wants(&h, nth(i));
	}
	(void)habit_wants(&h, 5);
	cr_assert(habit_wants(&h, 5));
}

Test(engine_habit, hosts_in_pairs_are_kept, .timeout = 10)
{
	struct habit h = {0};
	for (uint32_t i = 0; i < 20000; i++) {
		cr_assert(habit_wants(&h, nth(i / 2)), "%u", i);
	}
}

Test(engine_habit, it_comes_back_when_the_hosts_do, .timeout = 10)
{
	struct habit h = {0};
	for (uint32_t i = 0; i < 20000; i++) {
		(void)habit_wants(&h, nth(i));
	}
	for (uint32_t i = 0; i < 1000; i++) {
		(void)habit_wants(&h, nth(i % 10));
	}
	cr_assert(habit_wants(&h, 77));
}
