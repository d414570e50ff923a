/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/report_hosts: counts of hosts in bounded memory.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "master/cli/report_hosts.h"

static struct report_hosts h;

static void begin(void)
{
	cr_assert_eq(report_hosts_init(&h), 0);
}

static void end(void)
{
	report_hosts_fini(&h);
}

TestSuite(report_hosts, .init = begin, .fini = end);

static void add(const char *name, bool ok, uint64_t us)
{
	cr_assert_eq(report_hosts_add(&h, name, strlen(name), ok, us), 0);
}

static void add_numbered(unsigned number)
{
	char name[32];
	snprintf(name, sizeof name, "h%u", number);
	add(name, true, 1000);
}

static uint64_t jobs_of(const char *name)
{
	for (size_t i = 0; i < h.ct; i++) {
		if (strcmp(h.list[i].name, name) == 0) {
			return h.list[i].jobs;
		}
	}
	return 0;
}

Test(report_hosts, are_counted_and_sorted, .timeout = 10)
{
	add("b", true, 10);
	add("a", false, 0);
	add("c", true, 20);
	add("c", false, 30);
	add("", true, 0);
	cr_assert_eq(report_hosts_add(&h, "cc", 1, true, 40), 0);
	report_hosts_sort(&h);
	static const char *const names[] = {"c", "", "a", "b"};
	cr_assert_eq(h.ct, 4);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_str_eq(h.list[i].name, names[i]);
	}
	cr_assert_eq(h.list[0].jobs, 3);
	cr_assert_eq(h.list[0].ok, 2);
}

/* However many there are, and so when they change over to a histogram. */
Test(report_hosts, have_the_quantiles_of_a_histogram, .timeout = 10)
{
	static struct histogram all;
	for (uint64_t i = 1; i <= 1000; i++) {
		static struct report_sum sum;
		sum = (struct report_sum){0};
		add("h", true, i * 997);
		histogram_add(&all, i * 997);
		report_host_sum(&sum, &h.list[0]);
		cr_assert_eq(sum.jobs, i);
		for (unsigned permille = 0; permille <= 1000; permille += 10) {
			cr_assert_eq(histogram_quantile(&sum.latency, permille),
				histogram_quantile(&all, permille));
		}
	}
}

/* Two large hosts, one from the start, one from late on, among very many. */
Test(report_hosts, keep_the_large_ones_and_every_job, .timeout = 60)
{
	enum { SMALL = 5 * REPORT_HOSTS_MAX };
	static struct report_sum sum;
	uint64_t jobs = 0;
	for (unsigned i = 0; i < SMALL; i++) {
		add_numbered(i);
		add("early", true, 1000);
		jobs += 2;
		if (i > SMALL / 2) {
			add("late", false, 1000);
			jobs++;
		}
	}
	cr_assert_leq(h.ct, REPORT_HOSTS_MAX);
	cr_assert_gt(h.passed_ct, 0);
	cr_assert_eq(jobs_of("early"), SMALL);
	cr_assert_eq(jobs_of("late"), SMALL / 2 - 1);
	report_hosts_sort(&h);
	report_hosts_rest(&sum, &h, 0);
	cr_assert_eq(sum.jobs, jobs);
	cr_assert_eq(sum.jobs - sum.ok, SMALL / 2 - 1);
	cr_assert_eq(sum.latency.ct, jobs);
	cr_assert_str_eq(h.list[0].name, "early");
	cr_assert_str_eq(h.list[1].name, "late");
}
