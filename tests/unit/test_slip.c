/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/cli/slip: which name was meant.
 */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

#include "common/cli/slip.h"

Test(slip, finds_the_name_that_was_meant, .timeout = 10)
{
	const struct {
		const char *typed, *name;
		bool is_near;
	} cases[] = {{"concurency", "concurrency", true},
		{"cocnurrency", "concurrency", true}, {"work", "workers", true},
		{"wrokers", "workers", true}, {"time-out", "timeout", true},
		{"windowbytes", "window-bytes", true}, {"rnu", "run", true},
		{"retries", "resume", false}, {"proxy", "body", false},
		{"a", "accept", false}, {"", "run", false}, {"report", "run", false}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned slips = slip_ct(cases[i].typed, cases[i].name);
		cr_assert_eq(slips < SLIP_FAR, cases[i].is_near, "%s, %s: %u",
			cases[i].typed, cases[i].name, slips);
	}
}

Test(slip, counts_edits, .timeout = 10)
{
	cr_assert_eq(slip_ct("workers", "workers"), 0);
	cr_assert_eq(slip_ct("wrokers", "workers"), 1, "a swap is one edit");
	cr_assert_eq(slip_ct("workrs", "workers"), 1);
	cr_assert_eq(slip_ct("workerss", "workers"), 1);
	cr_assert_eq(slip_ct("wxxkers", "workers"), 2);
	char endless[4096];
	memset(endless, 'x', sizeof(endless));
	endless[sizeof(endless) - 1] = '\0';
	cr_assert_eq(slip_ct(endless, "workers"), SLIP_FAR);
}
