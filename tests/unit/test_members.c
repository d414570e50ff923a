/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/members: walking over the fields of a result line.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "master/cli/members.h"

/* key=value;key=value; of what is there, in memory that ends with the line. */
static const char *walk(const char *line)
{
	static struct buf seen;
	struct member m;
	size_t len = strlen(line), at = 0;
	char *exact = malloc(len ? len : 1);
	cr_assert(exact);
	memcpy(exact, line, len);
	buf_clear(&seen);
	while (member_next(exact, len, &at, &m)) {
		buf_put(&seen, m.key, m.key_len);
		buf_puts(&seen, "=");
		buf_put(&seen, m.value, m.value_len);
		buf_puts(&seen, ";");
	}
	free(exact);
	return buf_text(&seen);
}

Test(members, gives_each_field_as_it_stands, .timeout = 60)
{
	cr_assert_str_eq(
		walk("{\"index\":7,\"id\":\"a\",\"ok\":true,\"error\":null}\n"),
		"index=7;id=\"a\";ok=true;error=null;");
	cr_assert_str_eq(
		walk("{\"m\":{\"a\":[1,{\"b\":\"}\"}]},\"n\":[],\"o\":-1.5e3}"),
		"m={\"a\":[1,{\"b\":\"}\"}]};n=[];o=-1.5e3;");
	cr_assert_str_eq(walk("{}"), "");
}

Test(members, is_not_misled_by_what_is_in_a_text, .timeout = 60)
{
	cr_assert_str_eq(
		walk("{\"a\":\"\\\",\\\"ok\\\":false\",\"b\":\"\\\\\",\"c\":\"{[,:\"}"),
		"a=\"\\\",\\\"ok\\\":false\";b=\"\\\\\";c=\"{[,:\";");
}

/* Each prefix of a line, too: no byte outside of it is read (sanitizers). */
Test(members, takes_any_line_for_what_it_is, .timeout = 60)
{
	static const char whole[] =
		"{\"a\":\"x\\\"y\\\\\",\"b\":{\"c\":[\"]\"]},\"d\":12,\"e\":\"\\";
	char part[sizeof whole];
	for (size_t len = 0; len < sizeof whole; len++) {
		memcpy(part, whole, len);
		part[len] = '\0';
		walk(part);
	}
	static const char *const odd[] = {"", "{", "[1]", "{\"a\"}", "{\"a\":", "x",
		"{a:1}", "{\"a\":}}", "{\"a\":]", "{\"a\":[}", "{\"a\":\"\\"};
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		walk(odd[i]);
	}
}

/* A body of many escapes is read once, not once for each of them. */
Test(members, takes_time_that_grows_with_the_line, .timeout = 60)
{
	enum { PAIRS = 4 << 20 };
	struct buf line = {0};
	struct member m;
	size_t at = 0;
	cr_assert_eq(buf_puts(&line, "{\"body\":\""), 0);
	cr_assert_eq(buf_reserve(&line, 2 * PAIRS), 0);
	for (size_t i = 0; i < PAIRS; i++) {
		memcpy(line.data + line.len, "\\n", 2);
		line.len += 2;
	}
	cr_assert_eq(buf_puts(&line, "\"}\n"), 0);
	uint64_t begin_ms = clock_now_ms();
	cr_assert(member_next(line.data, line.len, &at, &m));
	cr_assert_eq(m.value_len, 2 * PAIRS + 2);
	cr_assert_lt(clock_now_ms() - begin_ms, 5000);
	buf_fini(&line);
}

static const char *text(const char *value)
{
	static struct buf out;
	buf_clear(&out);
	cr_assert_eq(member_text(&out, value, strlen(value)), 0);
	return buf_text(&out);
}

Test(members, takes_the_escapes_off_a_text, .timeout = 60)
{
	cr_assert_str_eq(text("\"\""), "");
	cr_assert_str_eq(text("\"plain\""), "plain");
	cr_assert_str_eq(
		text("\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\te\""), "a\"b\\c/d\b\f\n\r\te");
	cr_assert_str_eq(text("\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\""),
		"A\xc3\xa4"
		"\xe2\x82\xac\xf0\x9f\x98\x80");
}

Test(members, makes_the_best_of_escapes_that_are_none, .timeout = 60)
{
	cr_assert_str_eq(text("\"\\ud83dx\""), "\xef\xbf\xbdx");
	cr_assert_str_eq(text("\"\\ude00\""), "\xef\xbf\xbd");
	cr_assert_str_eq(text("\"\\u12\""), "\\u12");
	cr_assert_str_eq(text("\"\\uzzzz\""), "\\uzzzz");
	cr_assert_str_eq(text("\"\\q\""), "q");
}
