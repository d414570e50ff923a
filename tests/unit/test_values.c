/* SPDX-License-Identifier: MIT
 *
 * values, values_file: what is read, and what is refused.
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

Test(values, reads_limits_as_a_number_or_none, .timeout = 10)
{
	const struct good cases[] = {{"none", 0}, {"1", 1}, {"100000", 100000}};
	expect_good(values_limit, 1, 100000, cases, LENGTH(cases));
	const char *const range[] = {"0", "100001"};
	expect_bad(values_limit, 1, 100000, "out of range, 1 to 100000 or \"none\"",
		range, LENGTH(range));
	const char *const texts[] = {"", "None", "auto", "-1", "2x"};
	expect_bad(values_limit, 1, 100000, "nor \"none\"", texts, LENGTH(texts));
}

Test(values, finds_the_place_of_a_word, .timeout = 10)
{
	static const char words[] = "auto|bar|log|json|none";
	const char *const all[] = {"auto", "bar", "log", "json", "none"};
	struct value_error why = {""};
	for (unsigned i = 0; i < LENGTH(all); i++) {
		unsigned got = 99;
		cr_assert_eq(values_choice(all[i], words, &got, &why), 0, "%s", all[i]);
		cr_assert_eq(got, i, "%s: %u", all[i], got);
	}
	const char *const bad[] = {
		"", "a", "autox", "ba", "bar|log", "|", "auto|", "Auto", "none "};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		unsigned got = 99;
		cr_assert_eq(values_choice(bad[i], words, &got, &why), PM_EINVAL, "%s",
			bad[i]);
		cr_assert_eq(got, 99, "\"%s\" is refused but stored", bad[i]);
		cr_assert(strstr(why.text, words), "%s", why.text);
	}
}

static void expect_rate(const char *text, double low, double high)
{
	struct value_error why = {""};
	double got = -1;
	cr_assert_eq(values_rate(text, &got, &why), 0, "%s: %s", text, why.text);
	cr_assert(got >= low && got <= high, "%s is read as %f", text, got);
}

static void expect_no_rate(const char *text, const char *part)
{
	struct value_error why = {""};
	double got = -1;
	cr_assert_eq(values_rate(text, &got, &why), PM_EINVAL, "%s is taken", text);
	cr_assert(got < 0, "%s is refused but stored", text);
	cr_assert(strstr(why.text, part), "%s: %s", text, why.text);
}

Test(values, reads_rates_per_second, .timeout = 10)
{
	expect_rate("none", 0, 0);
	expect_rate("10/s", 10, 10);
	expect_rate("30/m", 0.5, 0.5);
	expect_rate("3600/h", 1, 1);
	expect_rate("0.5/s", 0.5, 0.5);
	expect_rate("2.125/s", 2.125, 2.125);
	expect_rate("1/h", 0.00027, 0.00028);
	expect_rate("1000000/s", 1e6, 1e6);
}

Test(values, refuses_what_is_no_rate, .timeout = 10)
{
	const char *const texts[] = {"", "10", "/s", "10/", "10/d", "10/sec", "10 /s",
		"10/ s", "10/5s", "-1/s", "+1/s", "1e3/s", ".5/s", "5./s", "0.0001/s",
		"0x10/s", "inf/s", "nan", "None", "10/s ", "10/S"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		expect_no_rate(texts[i], "neither a rate such as 10/s");
	}
	const char *const range[] = {"0/s", "0.000/s", "0.999/h", "1000001/s",
		"1000000.001/s", "99999999999999999999/s", "9223372036854775807/h"};
	for (size_t i = 0; i < LENGTH(range); i++) {
		expect_no_rate(range[i], "out of range, 1/h to 1000000/s");
	}
}

static void expect_halt(
	const char *text, enum halt_when when, uint64_t ct, double percent)
{
	struct value_error why = {""};
	struct value_halt got = {HALT_NEVER, 77, 77};
	cr_assert_eq(values_halt(text, &got, &why), 0, "%s: %s", text, why.text);
	cr_assert_eq(got.when, when, "%s", text);
	cr_assert_eq(got.fail_ct, ct, "%s: %ju", text, (uintmax_t)got.fail_ct);
	cr_assert_float_eq(
		got.fail_percent, percent, 1e-9, "%s: %f", text, got.fail_percent);
}

static void expect_no_halt(const char *text, const char *part)
{
	struct value_error why = {""};
	struct value_halt got = {HALT_SOON, 77, 77};
	cr_assert_eq(values_halt(text, &got, &why), PM_EINVAL, "%s is taken", text);
	cr_assert(got.when == HALT_SOON && got.fail_ct == 77,
		"%s is refused but stored", text);
	cr_assert(strstr(why.text, part), "%s: %s", text, why.text);
}

Test(values, reads_when_to_halt, .timeout = 10)
{
	expect_halt("never", HALT_NEVER, 0, 0);
	expect_halt("soon,fail=1", HALT_SOON, 1, 0);
	expect_halt("now,fail=10", HALT_NOW, 10, 0);
	expect_halt("now,fail=5%", HALT_NOW, 0, 5);
	expect_halt("soon,fail=0.5%", HALT_SOON, 0, 0.5);
	expect_halt("soon,fail=100%", HALT_SOON, 0, 100);
}

Test(values, refuses_other_halts, .timeout = 10)
{
	const char *const texts[] = {"", "now", "soon,", "now,fail",
		"now,fail=", "now,fail=%", "now,fail=x", "now,fail=1%%", "now,fail=1.5",
		"now,fail=1.", "now,fail=-1", "now,success=1", "now, fail=1",
		"later,fail=1", "nowfail=1", "fail=1", "now,fail=1,", "Never",
		"now,fail=1 %", "now,fail=1.5555%"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		expect_no_halt(texts[i], "such as soon,fail=10 or now,fail=5%");
	}
	const char *const range[] = {"now,fail=0", "soon,fail=0%", "now,fail=0.000%",
		"now,fail=101%", "soon,fail=100.001%", "now,fail=99999999999999999999",
		"now,fail=99999999999999999999%"};
	for (size_t i = 0; i < LENGTH(range); i++) {
		expect_no_halt(range[i], "out of range");
	}
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
