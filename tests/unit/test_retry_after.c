/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/retry_after: the formats, the calendar against that of the C
 * library, what is neither, and damaged values.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cli/retry_after.h"
#include "tests/unit/dice.h"

/* Sun, 06 Nov 1994 08:49:37 GMT, the date of the RFC. */
#define RFC_DATE INT64_C(784111777)

/* Parse a heap copy of exact size, so that a sanitizer sees a byte too much. */
static bool parse(struct retry_after *wait, int64_t now, const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	bool good = retry_after_parse(wait, now, copy, len);
	free(copy);
	return good;
}

static void expect_ms(const char *value, int64_t now, uint32_t ms, bool too_long)
{
	struct retry_after wait = {0};
	cr_assert(parse(&wait, now, value, strlen(value)), "\"%s\"", value);
	cr_assert_eq(wait.ms, ms, "\"%s\": %u ms", value, wait.ms);
	cr_assert_eq(wait.too_long, too_long, "\"%s\"", value);
}

static void expect_none(const char *value)
{
	struct retry_after wait = {.ms = 7, .too_long = true};
	cr_assert_not(parse(&wait, RFC_DATE, value, strlen(value)), "\"%s\"", value);
	cr_assert(wait.ms == 7 && wait.too_long, "left alone");
}

static void expect_date(const char *text, int64_t now, int64_t date)
{
	int64_t found = -1;
	cr_assert(http_date_parse(&found, now, text, strlen(text)), "\"%s\"", text);
	cr_assert_eq(found, date, "\"%s\": %lld", text, (long long)found);
}

Test(retry_after, reads_seconds, .timeout = 30)
{
	expect_ms("0", 0, 0, false);
	expect_ms("1", 0, 1000, false);
	expect_ms(" 007\t", 0, 7000, false);
	expect_ms("60", 0, 60000, false);
	expect_ms("61", 0, 60000, true);
	expect_ms("4294967297", 0, 60000, true);
	expect_ms("99999999999999999999999999999999999999999", 0, 60000, true);
}

Test(retry_after, reads_the_three_formats_of_a_date, .timeout = 30)
{
	static const char *const dates[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		" sun, 06 nov 1994 08:49:37 gmt "};
	for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
		expect_date(dates[i], RFC_DATE, RFC_DATE);
		expect_ms(dates[i], RFC_DATE - 59, 59000, false);
		expect_ms(dates[i], RFC_DATE - 60, 60000, false);
		expect_ms(dates[i], RFC_DATE - 61, 60000, true);
		expect_ms(dates[i], RFC_DATE, 0, false);
		expect_ms(dates[i], RFC_DATE + 1, 0, false);
	}
	expect_ms("Sun, 06 Nov 1994 08:49:37 GMT", INT64_C(4102444800), 0, false);
	expect_ms("Fri, 31 Dec 9999 23:59:59 GMT", RFC_DATE, 60000, true);
	expect_date("Sun Nov 16 08:49:37 1994", RFC_DATE, RFC_DATE + 10 * 86400);
	expect_date("Sat, 31 Dec 2016 23:59:60 GMT", RFC_DATE, 1483228800);
}

Test(retry_after, finds_the_century_of_two_digits, .timeout = 30)
{
	int64_t in_2026 = 1795000000;
	expect_date("Monday, 01-Jan-70 00:00:00 GMT", in_2026, INT64_C(3155760000));
	expect_date("Friday, 01-Jan-77 00:00:00 GMT", in_2026, 220924800);
	expect_date("Thursday, 01-Jan-26 00:00:00 GMT", in_2026, 1767225600);
	expect_date("Friday, 01-Jan-99 00:00:00 GMT", in_2026, 915148800);
	int64_t in_2080 = INT64_C(3471292800);
	expect_date("Sunday, 01-Jan-30 00:00:00 GMT", in_2080, INT64_C(5049129600));
	expect_date("Wednesday, 01-Jan-31 00:00:00 GMT", in_2080, 1924992000);
	expect_date("Friday, 01-Jan-00 00:00:00 GMT", INT64_C(4070908800),
		INT64_C(4102444800));
}

/* Every day of 120 years against timegm(). */
Test(retry_after, has_the_calendar_of_the_c_library, .timeout = 30)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	for (int64_t at = 43200; at < INT64_C(120) * 366 * 86400; at += 86400) {
		time_t when = at;
		struct tm tm;
		gmtime_r(&when, &tm);
		char text[64];
		snprintf(text, sizeof text, "Mon, %02d %s %04d 12:00:00 GMT",
			tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900);
		expect_date(text, 0, at);
	}
	expect_date("Mon, 01 Jan 1900 00:00:00 GMT", 0, INT64_C(-2208988800));
	expect_date("Mon, 01 Jan 0001 00:00:00 GMT", 0, INT64_C(-62135596800));
}

Test(retry_after, takes_nonsense_for_none, .timeout = 30)
{
	static const char *const values[] = {"", " ", "-1", "+1", "1.5", "1s", "1 2",
		"0x10", "soon", "1e3", "\xd9\xa1", "Sun", "Sun, ", "Sunday, 06",
		"Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
		"Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 GMT+1",
		"Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT", "Wed, 29 Feb 1995 08:49:37 GMT",
		"Thu, 29 Feb 1900 08:49:37 GMT", "Sun, 06 Nov 0000 08:49:37 GMT",
		"Sunday, 29-Feb-99 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT",
		"Son, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
		"Sun Nov 06 08:49:37 94", "Sun Nov 6 08:49:37 1994",
		"Sunday Nov  6 08:49:37 1994", "06 Nov 1994 08:49:37 GMT",
		"1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov -994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT\n"};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		expect_none(values[i]);
	}
	struct retry_after wait;
	cr_assert_not(parse(&wait, RFC_DATE, "1\0", 2), "a NUL is no digit");
}

/* What is read after all has lost no more than its punctuation: the answer stays in
 * its range. */
Test(retry_after, survives_damaged_values, .timeout = 30)
{
	static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "120"};
	uint64_t state = 1;
	size_t taken = 0;
	for (int round = 0; round < 50000; round++) {
		char text[64];
		size_t len = strlen(good[round % 4]);
		memcpy(text, good[round % 4], len);
		for (size_t i = dice_below(&state, 3); i < 3; i++) {
			text[dice_below(&state, len)] =
				(char)(dice_below(&state, 2)
						? dice(&state)
						: '0' + dice_below(&state, 10));
		}
		len = dice_below(&state, 4) ? len : dice_below(&state, len + 1);
		struct retry_after wait = {.ms = UINT32_MAX};
		int64_t now = (int64_t)(dice(&state) >> (dice_below(&state, 30) + 28));
		if (parse(&wait, now, text, len)) {
			cr_assert_leq(wait.ms, RETRY_AFTER_MAX_MS);
			taken++;
		} else {
			cr_assert_eq(wait.ms, UINT32_MAX);
		}
	}
	cr_assert_gt(taken, 1000, "%zu: hardly any got far", taken);
}
