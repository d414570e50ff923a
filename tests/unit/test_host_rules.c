/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/host_rules: patterns, and which limit wins.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/host_rules.h"
#include "tests/unit/dice.h"

static void expect(const char *pattern, const char *lane, bool matches)
{
	char *p = strdup(pattern), *l = strdup(lane);
	cr_assert_eq(
		host_rule_matches(p, l), matches, "\"%s\" on \"%s\"", pattern, lane);
	free(p);
	free(l);
}

Test(host_rules, match_a_host_on_any_port, .timeout = 30)
{
	expect("example.com", "http://example.com", true);
	expect("Example.COM.", "https://example.com:8443", true);
	expect("example.com", "http://www.example.com", false);
	expect("example.com", "http://example.com.evil.net", false);
	expect("example.com", "http://notexample.com", false);
	expect("example.com", "http://example.co", false);
	expect("127.0.0.1", "http://127.0.0.1:8080", true);
	expect("[::1]", "http://[::1]:8080", true);
	expect("[::1]", "http://[::2]:8080", false);
	expect("", "http://x", false);
	expect(".", "http://x", false);
}

Test(host_rules, match_what_is_below_a_domain, .timeout = 30)
{
	expect("*.example.com", "http://a.example.com", true);
	expect("*.example.com", "http://a.b.EXAMPLE.com:81", true);
	expect("*.example.com", "http://example.com", false);
	expect("*.example.com", "http://.example.com", false);
	expect("*.example.com", "http://notexample.com", false);
	expect("*.com", "http://example.com", true);
	expect("*", "http://example.com:81", true);
	expect("*", "https://[::1]", true);
	expect("*:81", "http://a:81", true);
}

Test(host_rules, match_port_and_scheme_when_they_are_named, .timeout = 30)
{
	expect("a:81", "http://a:81", true);
	expect("a:81", "http://a:8", false);
	expect("a:81", "http://a", false);
	expect("a:80", "http://a", true);
	expect("a:80", "https://a", false);
	expect("a:443", "https://a", true);
	expect("a:443", "http://a:443", true);
	expect("[::1]:81", "http://[::1]:81", true);
	expect("[::1]:81", "http://[::1]:82", false);
	expect("https://a", "https://a:444", true);
	expect("https://a", "http://a", false);
	expect("HTTP://*.a:81", "http://b.a:81", true);
}

/* --------------------------------------------------------------------- limits */

static const struct host_rule rules[] = {
	{.pattern = "slow.example.com", .per_host = 1},
	{.pattern = "*.example.com", .per_host = 7, .host_rate = 50},
	{.pattern = "fast.org", .host_rate = 0.25},
};

static struct settings with_rules(void)
{
	struct settings s = {.per_host = 4, .host_rate = 10};
	s.host_rules = malloc(sizeof rules);
	memcpy(s.host_rules, rules, sizeof rules);
	s.host_rule_ct = 3;
	return s;
}

static void expect_limits(
	const struct settings *s, const char *lane, unsigned concurrency, double rate)
{
	struct pm_lane_limits limits = {.hold = true};
	host_limits(&limits, s, lane);
	cr_assert_eq(
		limits.concurrency, concurrency, "%s: %u", lane, limits.concurrency);
	cr_assert_float_eq(limits.rate, rate, 1e-9, "%s: %f", lane, limits.rate);
	cr_assert_not(limits.hold);
}

Test(host_rules, take_the_first_that_matches_and_then_the_options, .timeout = 30)
{
	struct settings s = with_rules();
	expect_limits(&s, "http://slow.example.com", 1, 10);
	expect_limits(&s, "http://www.example.com", 7, 50);
	expect_limits(&s, "http://fast.org", 4, 0.25);
	expect_limits(&s, "http://other.net", 4, 10);
	s.per_host = 0;
	s.host_rate = 0;
	expect_limits(&s, "http://other.net", 0, 0);
	free(s.host_rules);
}

Test(host_rules, are_stricter_when_polite_but_for_a_section, .timeout = 30)
{
	struct settings s = with_rules();
	s.polite = true;
	expect_limits(&s, "http://other.net", 1, 1);
	expect_limits(&s, "http://www.example.com", 7, 50);
	expect_limits(&s, "http://slow.example.com", 1, 1);
	s.host_rate = 0.1;
	expect_limits(&s, "http://other.net", 1, 0.1);
	s.per_host = 0;
	s.host_rate = 0;
	expect_limits(&s, "http://other.net", 1, 1);
	free(s.host_rules);
}

Test(host_rules, keep_the_distance_that_a_host_asks_for, .timeout = 30)
{
	struct pm_lane_limits limits = {.rate = 1};
	host_limits_space(&limits, 0);
	cr_assert_float_eq(limits.rate, 1, 1e-9);
	host_limits_space(&limits, 500);
	cr_assert_float_eq(limits.rate, 1, 1e-9);
	host_limits_space(&limits, 10000);
	cr_assert_float_eq(limits.rate, 0.1, 1e-9);
	limits.rate = 0;
	host_limits_space(&limits, 10000);
	cr_assert_float_eq(limits.rate, 0.1, 1e-9);
}

Test(host_rules, know_whether_there_are_any, .timeout = 30)
{
	struct settings s = {0};
	cr_assert_not(host_limits_any(&s));
	s.polite = true;
	cr_assert(host_limits_any(&s));
	s = (struct settings){.host_rate = 0.1};
	cr_assert(host_limits_any(&s));
	s = (struct settings){.per_host = 1};
	cr_assert(host_limits_any(&s));
	s = (struct settings){.host_rule_ct = 1};
	cr_assert(host_limits_any(&s));
}

Test(host_rules, survive_damaged_patterns, .timeout = 30)
{
	static const char *const seeds[] = {"*.example.com", "https://[::1]:81",
		"http://a.example.com:8080", "example.com", "*"};
	static const char bytes[] = "*.:/[]aeX1\xff";
	uint64_t state = 9;
	size_t matched = 0;
	for (int round = 0; round < 50000; round++) {
		char text[2][40];
		for (int side = 0; side < 2; side++) {
			snprintf(text[side], sizeof text[side], "%s",
				seeds[dice_below(&state, 5)]);
			size_t len = strlen(text[side]);
			for (size_t n = dice_below(&state, 3); n; n--) {
				text[side][dice_below(&state, len)] =
					bytes[dice_below(&state, sizeof bytes)];
			}
		}
		char *p = strdup(text[0]), *l = strdup(text[1]);
		matched += host_rule_matches(p, l);
		free(p);
		free(l);
	}
	cr_assert(matched > 1000 && matched < 49000, "%zu", matched);
}
