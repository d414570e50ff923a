/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/cli/tally.
 */
#include <criterion/criterion.h>

#include "master/cli/tally.h"

static struct tally t;

static void add(unsigned class, unsigned status, uint64_t us, uint64_t bytes)
{
	struct outcome outcome = {
		.class = class,
		.http_code = status,
		.time_total_us = us,
		.size_download = bytes,
	};
	tally_add(&t, &outcome);
}

Test(tally, is_zero_before_the_run, .timeout = 10)
{
	cr_assert_eq(t.done, 0);
	cr_assert_eq(tally_ok(&t), 0);
	cr_assert_eq(tally_failed(&t), 0);
}

Test(tally, counts_by_class_and_by_status, .timeout = 10)
{
	add(OUTCOME_OK, 200, 10, 1);
	add(OUTCOME_OK, 204, 10, 0);
	add(OUTCOME_HTTP_STATUS, 404, 10, 7);
	add(OUTCOME_TIMEOUT, 0, 10, 0);
	add(OUTCOME_TRUNCATED, 200, 10, 100);
	cr_assert_eq(t.done, 5);
	cr_assert_eq(tally_ok(&t), 2);
	cr_assert_eq(tally_failed(&t), 3);
	cr_assert_eq(t.by_class[OUTCOME_HTTP_STATUS], 1);
	cr_assert_eq(t.by_class[OUTCOME_TIMEOUT], 1);
	cr_assert_eq(t.by_class[OUTCOME_TRUNCATED], 1);
	cr_assert_eq(t.by_status[0], 1);
	cr_assert_eq(t.by_status[200], 2);
	cr_assert_eq(t.by_status[204], 1);
	cr_assert_eq(t.by_status[404], 1);
	cr_assert_eq(t.bytes, 108);
}

Test(tally, takes_the_latency_of_jobs_that_were_sent_only, .timeout = 10)
{
	add(OUTCOME_BAD_JOB, 0, 0, 0);
	add(OUTCOME_OK, 200, 5000, 0);
	add(OUTCOME_CONNECT, 0, 100, 0);
	cr_assert_eq(t.done, 3);
	cr_assert_eq(t.latency.ct, 2);
	cr_assert_eq(t.latency.below_ct, 0);
	cr_assert_eq(histogram_min(&t.latency), 100);
	cr_assert_eq(histogram_max(&t.latency), 5000);
}

Test(tally, counts_a_class_that_is_none_as_internal, .timeout = 10)
{
	add(OUTCOME_CLASS_CT, 0, 1, 0);
	add(UINT32_MAX, 0, 1, 0);
	cr_assert_eq(t.by_class[OUTCOME_INTERNAL], 2);
	cr_assert_eq(tally_failed(&t), 2);
}

Test(tally, counts_a_status_that_is_none_as_no_response, .timeout = 10)
{
	add(OUTCOME_OK, 999, 1, 0);
	add(OUTCOME_BAD_RESPONSE, 1000, 1, 0);
	add(OUTCOME_BAD_RESPONSE, UINT32_MAX, 1, 0);
	cr_assert_eq(t.by_status[999], 1);
	cr_assert_eq(t.by_status[0], 2);
}

Test(tally, keeps_skipped_jobs_apart, .timeout = 10)
{
	tally_skip(&t, 40, 0);
	tally_skip(&t, 2, 0);
	add(OUTCOME_OK, 200, 1, 0);
	cr_assert(tally_all_ok(&t));
	cr_assert_eq(t.skipped, 42);
	cr_assert_eq(t.done, 1);
}

Test(tally, knows_of_failures_of_earlier_runs, .timeout = 10)
{
	tally_skip(&t, 40, 1);
	add(OUTCOME_OK, 200, 1, 0);
	cr_assert_eq(tally_failed(&t), 0);
	cr_assert_not(tally_all_ok(&t));
}

Test(tally, writes_counts_with_commas, .timeout = 10)
{
	static const struct {
		uint64_t ct;
		const char *text;
	} cases[] = {
		{0, "0"},
		{7, "7"},
		{999, "999"},
		{1000, "1,000"},
		{12345, "12,345"},
		{999999, "999,999"},
		{1000000, "1,000,000"},
		{1001001001, "1,001,001,001"},
		{UINT64_MAX, "18,446,744,073,709,551,615"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char room[TALLY_COUNT_BYTES];
		cr_assert_str_eq(tally_count_text(room, cases[i].ct), cases[i].text);
	}
}
