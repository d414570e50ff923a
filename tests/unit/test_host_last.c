/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/host_last: whatever line came before, the lane is that of
 * host_lane().
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/host.h"
#include "common/cli/host_last.h"
#include "tests/unit/dice.h"

TestSuite(host_last, .timeout = 60);

/* A heap copy of exact size, so that a sanitizer sees a byte too much. */
static void expect_same(struct host_last *last, const char *line, size_t len)
{
	char lane[PM_LANE_MAX + 1];
	char *copy = malloc(len ? len : 1);
	memcpy(copy, line, len);
	size_t lane_len = host_lane(lane, copy, len);
	cr_assert_eq(host_last_lane(last, copy, len), lane_len, "%.*s", (int)len, line);
	cr_assert_str_eq(last->lane, lane, "%.*s", (int)len, line);
	cr_assert_eq(last->lane_len, lane_len);
	free(copy);
}

static const char *const lines[] = {"http://a/", "http://a/b", "http://a", "http://a?b",
	"http://a?/", "http://a?/b", "http://a#/", "https://a/", "http://a:81/",
	"http://a:80/x", "http://ab/", "http://u@a/", "http://a/@b/", "http://A/",
	"HTTP://a/", "http:/", "http://", "http:///", "http:///a", "h://a/b", "h//",
	"h", "", " http://a/", "http://a/ ", "http:// a/", "http://a /", "http://a\\/b",
	"http://[::1]/x", "http://[::1%25lo]/", "http://127.1/", "http://127.0.0.1/",
	"{\"url\":\"http://a/\"}", "{\"x\":\"h//a/\",\"url\":\"http://b/\"}",
	"{\"x\":\"h//a/\",\"url\":\"http://c/\"}"};
enum { LINE_CT = sizeof lines / sizeof lines[0] };

Test(host_last, is_the_lane_of_the_line_whatever_came_before, .timeout = 60)
{
	for (size_t i = 0; i < LINE_CT; i++) {
		for (size_t j = 0; j < LINE_CT; j++) {
			struct host_last last = {0};
			expect_same(&last, lines[i], strlen(lines[i]));
			expect_same(&last, lines[j], strlen(lines[j]));
			expect_same(&last, lines[i], strlen(lines[i]));
		}
	}
}

/* Begins that agree for long, and cut ends. */
Test(host_last, holds_for_lines_that_are_nearly_alike, .timeout = 60)
{
	static const char bytes[] = "/:@?#[]%.h0a {\"\\";
	uint64_t state = 20261120;
	struct host_last last = {0};
	for (int i = 0; i < 200000; i++) {
		char line[] = "https://host/path/more";
		size_t at = dice_below(&state, sizeof line - 1);
		line[at] = bytes[dice_below(&state, sizeof bytes - 1)];
		expect_same(&last, line, dice_below(&state, sizeof line));
	}
}

Test(host_last, remembers_what_a_url_begins_with, .timeout = 60)
{
	static char line[HOST_LAST_MAX + 100] = "http://example.com/path";
	struct host_last last = {0};
	expect_same(&last, line, strlen(line));
	cr_assert_eq(last.begin_len, strlen("http://example.com/"));
	memset(line + 7, 'x', sizeof line - 8);
	line[HOST_LAST_MAX - 1] = '/';
	expect_same(&last, line, sizeof line - 1);
	cr_assert_eq(last.begin_len, HOST_LAST_MAX);
	line[HOST_LAST_MAX - 1] = 'x';
	line[HOST_LAST_MAX] = '/';
	expect_same(&last, line, sizeof line - 1);
	cr_assert_eq(last.begin_len, 0);
}
