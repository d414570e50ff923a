/* SPDX-License-Identifier: MIT
 *
 * values: what is read, and what is refused.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "master/cli/values.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

typedef int reader(const char *, uint64_t, uint64_t, uint64_t *, struct value_error *);

struct good {
	const char *text;
	uint64_t value;
};

static void expect_good(
	reader *read, uint64_t min, uint64_t max, const struct good *cases, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		struct value_error why = {""};
		uint64_t got = 424242;
		int err = read(cases[i].text, min, max, &got, &why);
		cr_assert_eq(err, 0, "\"%s\" is refused: %s", cases[i].text, why.text);
		cr_assert_eq(got, cases[i].value, "\"%s\" is read as %ju",
			cases[i].text, (uintmax_t)got);
	}
}

/* Refused with a reason that contains `part`, and *out untouched. */
static void expect_bad(reader *read, uint64_t min, uint64_t max, const char *part,
	const char *const *texts, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		struct value_error why = {""};
		uint64_t got = 424242;
		int err = read(texts[i], min, max, &got, &why);
		cr_assert_eq(err, PM_EINVAL, "\"%s\" is taken, as %ju", texts[i],
			(uintmax_t)got);
		cr_assert_eq(got, 424242, "\"%s\" is refused but stored", texts[i]);
		cr_assert(strstr(why.text, part), "\"%s\": the reason is \"%s\"",
			texts[i], why.text);
	}
}

Test(values, reads_numbers_within_their_range, .timeout = 10)
{
	const struct good cases[] = {{"1", 1}, {"500", 500}, {"007", 7}, {"42", 42}};
	expect_good(values_number, 1, 500, cases, LENGTH(cases));
	const struct good zero[] = {{"0", 0}, {"000", 0}};
	expect_good(values_number, 0, 100, zero, LENGTH(zero));
}

Test(values, refuses_what_is_no_number, .timeout = 10)
{
	const char *const texts[] = {"", " 5", "5 ", "10x", "-1", "+5", "1e9", "0x10",
		"1.0", "five", "5K", "\t5", "5\n", "-", "auto"};
	expect_bad(values_number, 1, 500, "not a whole number; 1 to 500", texts,
		LENGTH(texts));
}

Test(values, refuses_numbers_out_of_range_and_names_the_range, .timeout = 10)
{
	const char *const texts[] = {"0", "501", "9223372036854775807",
		"9223372036854775808", "18446744073709551616",
		"99999999999999999999999999999999999999"};
	expect_bad(
		values_number, 1, 500, "out of range, 1 to 500", texts, LENGTH(texts));
}

Test(values, never_takes_the_largest_number_for_one_that_overflows, .timeout = 10)
{
	const char *const texts[] = {"9223372036854775808", "99999999999999999999"};
	expect_bad(values_number, 0, UINT64_MAX, "out of range", texts, LENGTH(texts));
}

Test(values, reads_workers_as_a_number_or_auto, .timeout = 10)
{
	const struct good cases[] = {{"auto", 0}, {"1", 1}, {"500", 500}};
	expect_good(values_workers, 1, 500, cases, LENGTH(cases));
	const char *const range[] = {"0", "501"};
	expect_bad(values_workers, 1, 500, "out of range, 1 to 500 or \"auto\"", range,
		LENGTH(range));
	const char *const texts[] = {"", "Auto", "auto ", "-1", "2x"};
	expect_bad(values_workers, 1, 500, "nor \"auto\"", texts, LENGTH(texts));
}

Test(values, reads_sizes_with_units_of_1024, .timeout = 10)
{
	const struct good cases[] = {{"0", 0}, {"1", 1}, {"1K", 1024}, {"3M", 3 << 20},
		{"1G", 1 << 30}, {"1024", 1024}, {"64G", (uint64_t)64 << 30}};
	expect_good(values_size, 0, (uint64_t)64 << 30, cases, LENGTH(cases));
}

Test(values, refuses_what_is_no_size, .timeout = 10)
{
	const char *const texts[] = {"", "K", "1k", "1KB", "1 K", " 1K", "1.5M", "-1M",
		"1T", "1KK", "1e6", "+1"};
	expect_bad(
		values_size, 0, (uint64_t)1 << 40, "not a size", texts, LENGTH(texts));
}

Test(values, refuses_sizes_out_of_range_also_those_that_overflow, .timeout = 10)
{
	const char *const texts[] = {"1023K", "0", "1", "65G", "68719476737",
		"17179869185G", "9223372036854775807G", "99999999999999999999",
		"99999999999999999999K", "18014398509481984K"};
	expect_bad(values_size, (uint64_t)1 << 20, (uint64_t)64 << 30,
		"out of range, 1M to 64G", texts, LENGTH(texts));
}

Test(values, names_the_limits_of_a_size_in_round_units, .timeout = 10)
{
	const char *const text[] = {"257M"};
	expect_bad(values_size, 0, 256 << 20, "0 to 256M", text, 1);
	const char *const odd[] = {"9G"};
	expect_bad(values_size, 1000, 1536 << 10, "1000 to 1536K", odd, 1);
}

Test(values, reads_seconds_as_milliseconds, .timeout = 10)
{
	const struct good cases[] = {{"60", 60000}, {"2.5", 2500}, {"0.001", 1},
		{"0.25", 250}, {"1.050", 1050}, {"86400", 86400000},
		{"86400.000", 86400000}};
	expect_good(values_seconds, 1, 86400000, cases, LENGTH(cases));
}

Test(values, refuses_what_is_no_number_of_seconds, .timeout = 10)
{
	const char *const texts[] = {"", ".", ".5", "5.", "1.2.3", "1,5", " 1", "1 ",
		"1s", "1e3", "inf", "nan", "-1", "0x1p3", "0.0001", "1.0000"};
	expect_bad(values_seconds, 1, 86400000, "not a number of seconds", texts,
		LENGTH(texts));
}

Test(values, refuses_seconds_out_of_range, .timeout = 10)
{
	const char *const texts[] = {"0", "0.000", "86400.001", "86401",
		"99999999999999999999", "18446744073709552"};
	expect_bad(values_seconds, 1, 86400000, "out of range, 0.001 to 86400 seconds",
		texts, LENGTH(texts));
}

Test(values, reads_decimals_the_same_in_every_locale, .timeout = 10)
{
	/* The machine may lack the locale; then this is the test above again. */
	setlocale(LC_ALL, "de_DE.UTF-8");
	const struct good cases[] = {{"2.5", 2500}};
	expect_good(values_seconds, 1, 86400000, cases, 1);
	const char *const texts[] = {"2,5"};
	expect_bad(values_seconds, 1, 86400000, "not a number of seconds", texts, 1);
}

Test(values, knows_eight_words_for_a_switch, .timeout = 10)
{
	const struct {
		const char *text;
		bool is;
	} cases[] = {{"yes", true}, {"true", true}, {"on", true}, {"1", true},
		{"no", false}, {"false", false}, {"off", false}, {"0", false}};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct value_error why;
		bool got = !cases[i].is;
		cr_assert_eq(values_switch(cases[i].text, &got, &why), 0,
			"\"%s\" is refused", cases[i].text);
		cr_assert_eq(got, cases[i].is, "\"%s\" is read wrongly", cases[i].text);
	}
	const char *const bad[] = {"", "Yes", "y", "2", "yes ", "ja"};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		struct value_error why;
		bool got;
		cr_assert_eq(values_switch(bad[i], &got, &why), PM_EINVAL,
			"\"%s\" is taken", bad[i]);
	}
}

Test(values, knows_where_bodies_can_go, .timeout = 10)
{
	struct value_error why;
	enum body_mode got = BODY_NONE;
	cr_assert_eq(values_body("inline", &got, &why), 0);
	cr_assert_eq(got, BODY_INLINE);
	cr_assert_eq(values_body("none", &got, &why), 0);
	cr_assert_eq(got, BODY_NONE);
	cr_assert_eq(values_body("dir:x", &got, &why), PM_EINVAL);
	cr_assert_eq(values_body("", &got, &why), PM_EINVAL);
}

static size_t count(const struct status_set *set)
{
	size_t ct = 0;
	for (int status = 0; status < 1000; status++) {
		ct += status_set_has(set, status);
	}
	return ct;
}

Test(values, reads_lists_of_statuses, .timeout = 10)
{
	const struct {
		const char *text;
		size_t ct;
		int in, out;
	} cases[] = {{"200..399", 200, 399, 400}, {"200", 1, 200, 201},
		{"200..299,304", 101, 304, 303}, {"304,200..299,250", 101, 250, 300},
		{"100..999", 900, 999, 99}, {"404..404", 1, 404, 405}};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct status_set set;
		struct value_error why = {""};
		memset(&set, 0xff, sizeof(set));
		int err = values_statuses(cases[i].text, 100, 999, &set, &why);
		cr_assert_eq(err, 0, "\"%s\": %s", cases[i].text, why.text);
		cr_assert_eq(count(&set), cases[i].ct, "\"%s\" has %zu statuses",
			cases[i].text, count(&set));
		cr_assert(status_set_has(&set, cases[i].in), "\"%s\" lacks %d",
			cases[i].text, cases[i].in);
		cr_assert_not(status_set_has(&set, cases[i].out), "\"%s\" has %d",
			cases[i].text, cases[i].out);
	}
}

Test(values, refuses_bad_lists_of_statuses, .timeout = 10)
{
	const char *const texts[] = {"", ",", "200,", ",200", "200,,201", "200 ,201",
		"200-299", "200...299", "200..", "..299", "2xx", "20", "2000", "0200",
		"399..200", "099", "000..999", "-200", "200..299x"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct status_set set = {{7}};
		struct value_error why = {""};
		cr_assert_eq(values_statuses(texts[i], 100, 999, &set, &why), PM_EINVAL,
			"\"%s\" is taken", texts[i]);
		cr_assert_eq(set.bits[0], 7, "\"%s\" is refused but stored", texts[i]);
		cr_assert(why.text[0], "\"%s\" is refused without a reason", texts[i]);
	}
}

Test(values, takes_any_token_as_a_method, .timeout = 10)
{
	const char *const good[] = {"GET", "patch", "M-SEARCH", "X_Y.Z~1",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"};
	struct value_error why;
	for (size_t i = 0; i < LENGTH(good); i++) {
		cr_assert_eq(values_method(good[i], &why), 0, "%s is refused", good[i]);
	}
	const char *const bad[] = {"", " ", "G T", "GET ", "GET\r\n", "G\xc3\x89T",
		"G/T", "G:T", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456"};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		cr_assert_eq(
			values_method(bad[i], &why), PM_EINVAL, "%s is taken", bad[i]);
	}
}

Test(values, splits_headers_into_name_and_value, .timeout = 10)
{
	const struct {
		const char *text, *name, *value;
	} cases[] = {{"Accept: text/html", "Accept", "text/html"}, {"A:b", "A", "b"},
		{"A:   b c  ", "A", "b c"}, {"X-Empty:", "X-Empty", ""},
		{"A:  ", "A", ""}, {"A: b: c", "A", "b: c"},
		{"A: \xc3\xa9", "A", "\xc3\xa9"}};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct header_parts parts = {0};
		struct value_error why = {""};
		const char *text = cases[i].text;
		cr_assert_eq(values_header(text, &parts, &why), 0, "\"%s\": %s", text,
			why.text);
		cr_assert_eq(parts.name_len, strlen(cases[i].name), "\"%s\"", text);
		cr_assert_eq(strncmp(text, cases[i].name, parts.name_len), 0, "\"%s\"",
			text);
		cr_assert_eq(parts.value_len, strlen(cases[i].value), "\"%s\": %zu",
			text, parts.value_len);
		cr_assert_eq(
			strncmp(text + parts.value_at, cases[i].value, parts.value_len),
			0, "\"%s\"", text);
	}
}

Test(values, refuses_headers_that_would_break_a_request, .timeout = 10)
{
	const char *const texts[] = {"", ":", ": b", "A", "A b: c", "A : b", " A: b",
		"A: b\r\nC: d", "A: b\n", "A: b\rc", "A: \x01", "A: \x7f", "A:\tb",
		"\xc3\xa9: b", "Content-Length: 3", "content-length:3",
		"TRANSFER-ENCODING: chunked"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct header_parts parts;
		struct value_error why = {""};
		cr_assert_eq(values_header(texts[i], &parts, &why), PM_EINVAL,
			"\"%s\" is taken", texts[i]);
		cr_assert(why.text[0], "\"%s\" is refused without a reason", texts[i]);
	}
}

Test(values, never_quotes_the_value_of_a_header, .timeout = 10)
{
	const char *const texts[] = {"Authorization hunter2",
		"Authorization: hunter2\n", "Content-Length: hunter2", "hunter2"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct header_parts parts;
		struct value_error why = {""};
		cr_assert_eq(values_header(texts[i], &parts, &why), PM_EINVAL);
		cr_assert_not(strstr(why.text, "hunter2"), "%s", why.text);
	}
}

Test(values, limits_the_length_of_a_header, .timeout = 10)
{
	char text[VALUES_HEADER_MAX + 2];
	struct header_parts parts;
	struct value_error why = {""};
	memset(text, 'x', sizeof(text));
	text[1] = ':';
	text[VALUES_HEADER_MAX] = '\0';
	cr_assert_eq(values_header(text, &parts, &why), 0, "%s", why.text);
	text[VALUES_HEADER_MAX] = 'x';
	text[VALUES_HEADER_MAX + 1] = '\0';
	cr_assert_eq(values_header(text, &parts, &why), PM_EINVAL);
	cr_assert(strstr(why.text, "8192"), "%s", why.text);
}

Test(values, tells_files_that_can_be_read, .timeout = 10)
{
	char path[] = "/tmp/poolmap-values-XXXXXX";
	struct value_error why = {""};
	int fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(values_readable_file(path, &why), 0, "%s", why.text);
	close(fd);
	unlink(path);
	cr_assert_eq(values_readable_file(path, &why), PM_EINVAL);
	cr_assert(strstr(why.text, "No such file"), "%s", why.text);
	cr_assert_eq(values_readable_file("/tmp", &why), PM_EINVAL);
	cr_assert(strstr(why.text, "not a regular file"), "%s", why.text);
}

Test(values, finds_the_name_that_was_meant, .timeout = 10)
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
	for (size_t i = 0; i < LENGTH(cases); i++) {
		unsigned distance = values_distance(cases[i].typed, cases[i].name);
		cr_assert_eq(distance < VALUES_FAR, cases[i].is_near, "%s, %s: %u",
			cases[i].typed, cases[i].name, distance);
	}
}

Test(values, measures_distance_in_edits, .timeout = 10)
{
	cr_assert_eq(values_distance("workers", "workers"), 0);
	cr_assert_eq(values_distance("wrokers", "workers"), 1, "a swap is one edit");
	cr_assert_eq(values_distance("workrs", "workers"), 1);
	cr_assert_eq(values_distance("workerss", "workers"), 1);
	cr_assert_eq(values_distance("wxxkers", "workers"), 2);
	char endless[4096];
	memset(endless, 'x', sizeof(endless));
	endless[sizeof(endless) - 1] = '\0';
	cr_assert_eq(values_distance(endless, "workers"), VALUES_FAR);
}
