/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/cpus.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <sched.h>

#include "common/poolmap.h"
#include "master/cpus.h"

static void expect(const char *text, unsigned cpus)
{
	cr_assert_eq(
		cpus_of_quota(text), cpus, "\"%s\": %u", text, cpus_of_quota(text));
}

Test(cpus, rounds_a_quota_up, .timeout = 10)
{
	expect("100000 100000", 1);
	expect("100001 100000", 2);
	expect("150000 100000", 2);
	expect("200000 100000", 2);
	expect("200001 100000", 3);
	expect("1000 100000", 1);
	expect("1 100000", 1);
	expect("1 1", 1);
	expect("3 2", 2);
	expect("6400000 100000", 64);
	expect("50000 25000", 2);
}

Test(cpus, has_no_limit_without_a_quota, .timeout = 10)
{
	expect("max 100000", UINT_MAX);
	expect("max", UINT_MAX);
}

Test(cpus, has_no_limit_when_the_text_is_none, .timeout = 10)
{
	static const char *const texts[] = {"", " ", "0", "100000", "100000 ",
		"0 100000", "100000 0", "100000 x", "x 100000", "abc", "100000,100000",
		"1.5 1", "100000\t100000", "ma", "0 0"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		expect(texts[i], UINT_MAX);
	}
}

Test(cpus, finds_at_least_one_in_huge_numbers, .timeout = 10)
{
	static const char *const texts[] = {"4294967294 1", "4294967295 1",
		"4294967296 1", "18446744073709551615 1", "18446744073709551615 2",
		"1 18446744073709551615", "2 18446744073709551615",
		"18446744073709551615 18446744073709551615",
		"99999999999999999999999 1",
		"99999999999999999999999 99999999999999999999999", "-1 100000",
		"100000 -1", "-1 -1", "-100000 100000"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		cr_assert_geq(cpus_of_quota(texts[i]), 1, "\"%s\"", texts[i]);
	}
	expect("4294967294 1", UINT_MAX - 1);
	expect("18446744073709551615 1", UINT_MAX);
	expect("2 18446744073709551615", 1);
	expect("18446744073709551615 18446744073709551615", 1);
}

Test(cpus, are_at_least_one_and_no_more_than_the_affinity, .timeout = 10)
{
	cpu_set_t set;
	cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
	cr_assert_geq(pm_cpus(), 1);
	cr_assert_leq(pm_cpus(), (unsigned)CPU_COUNT(&set));
}

Test(cpus, follow_the_affinity, .timeout = 10)
{
	cpu_set_t all, one;
	cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &all)) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
			cr_assert_eq(pm_cpus(), 1, "CPU %d", cpu);
		}
	}
}

Test(cpus, give_the_same_answer_again, .timeout = 10)
{
	unsigned first = pm_cpus();
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(pm_cpus(), first);
	}
}
