/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/halt: when failed jobs end a run.
 */
#include <criterion/criterion.h>

#include "master/cli/halt.h"

static uint64_t hit_at(const struct settings *want, const char *jobs)
{
	struct halt h = {0};
	uint64_t hit = 0;
	for (uint64_t i = 1; *jobs; i++, jobs++) {
		if (halt_count(&h, want, *jobs == '.')) {
			cr_assert_eq(hit, 0, "it is said once");
			hit = i;
		}
	}
	return hit;
}

Test(halt, never_comes_unless_wanted, .timeout = 60)
{
	struct settings want = {.halt = HALT_NEVER};
	cr_assert_eq(hit_at(&want, "xxxxxxxxxx"), 0);
}

Test(halt, comes_with_the_last_failure_that_is_allowed, .timeout = 60)
{
	struct settings one = {.halt = HALT_NOW, .halt_fail_ct = 1};
	struct settings three = {.halt = HALT_SOON, .halt_fail_ct = 3};
	cr_assert_eq(hit_at(&one, "...x.x"), 4);
	cr_assert_eq(hit_at(&three, "x.x..x.x"), 6);
	cr_assert_eq(hit_at(&three, "x.x......"), 0);
}

Test(halt, looks_at_a_share_from_three_failures_on, .timeout = 60)
{
	struct settings half = {.halt = HALT_SOON, .halt_fail_percent = 50};
	cr_assert_eq(hit_at(&half, "xx.........."), 0);
	cr_assert_eq(hit_at(&half, "xxx"), 3);
	cr_assert_eq(hit_at(&half, "......xxxxx"), 0);
	cr_assert_eq(hit_at(&half, "......xxxxxx"), 12);
	struct settings all = {.halt = HALT_SOON, .halt_fail_percent = 100};
	cr_assert_eq(hit_at(&all, ".xxxxxxxxx"), 0);
}
