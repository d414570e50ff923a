/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/json_text: depth, members and compaction, also of texts
 * that are no JSON.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/json_text.h"

static bool deeper(const char *text, unsigned max)
{
	return json_text_deeper_than(text, strlen(text), max);
}

Test(json_text, counts_levels_outside_strings, .timeout = 10)
{
	cr_assert(!deeper("{}", 1));
	cr_assert(deeper("{}", 0));
	cr_assert(deeper("{\"a\":[{}]}", 2));
	cr_assert(!deeper("{\"a\":[{}]}", 3));
	cr_assert(!deeper("{\"a\":[],\"b\":[],\"c\":{}}", 2));
	cr_assert(!deeper("{\"a\":\"[[[[{{{{\"}", 1));
	cr_assert(!deeper("{\"a\":\"\\\"[[[[\"}", 1), "a quote that is escaped");
	cr_assert(deeper("{\"a\":\"\\\\\",\"b\":[[]]}", 2), "an escaped backslash");
}

Test(json_text, counts_no_further_than_a_parser_reads, .timeout = 10)
{
	cr_assert(!deeper("{}[[[[[", 1), "what follows the value is garbage");
	cr_assert(!deeper("{]]]]][[[[", 1));
	cr_assert(deeper("{[[[[", 3), "never closed");
}

static void expect_values(const char *text, const char *const *want, size_t ct)
{
	struct json_walk walk;
	struct json_span value;
	json_walk_init(&walk, text, strlen(text));
	for (size_t i = 0; i < ct; i++) {
		cr_assert(json_walk_next(&walk, &value), "%s: value %zu", text, i);
		cr_assert_eq(value.len, strlen(want[i]), "%s: value %zu is %.*s", text,
			i, (int)value.len, value.text);
		cr_assert_eq(memcmp(value.text, want[i], value.len), 0, "%s: value %zu",
			text, i);
	}
	cr_assert(!json_walk_next(&walk, &value), "%s: too many", text);
	cr_assert(!json_walk_next(&walk, &value), "%s: after the end", text);
}

Test(json_text, finds_the_bytes_of_each_value, .timeout = 10)
{
	static const char *const values[] = {"1.50", "\"x,}\\\"\"",
		"[1, {\"b\":\"]\"}]", "{\"a\":{}}", "null", "-0e5"};
	expect_values("{\"a\":1.50,\"b\":\"x,}\\\"\",\"c\":[1, {\"b\":\"]\"}],"
		      "\"d\":{\"a\":{}},\"\\\"\":null,\"f\":-0e5}",
		values, 6);
	expect_values(" {  \"a\" :\t1.50 , \"b\":\r\n\"x,}\\\"\"\n,"
		      "\"c\": [1, {\"b\":\"]\"}] }  ",
		values, 3);
	expect_values("{}", values, 0);
	expect_values("{ }", values, 0);
}

static void expect_compact(const char *text, const char *want)
{
	struct json_span span = {text, strlen(text)};
	char *out = malloc(span.len + 1);
	size_t len = json_text_compact(out, &span);
	cr_assert_eq(len, strlen(want), "%s became %.*s", text, (int)len, out);
	cr_assert_eq(memcmp(out, want, len), 0, "%s became %.*s", text, (int)len, out);
	free(out);
}

Test(json_text, drops_blanks_between_tokens_and_keeps_those_in_strings, .timeout = 10)
{
	expect_compact("{ \"a b\" :\t[ 1 ,\n2 ]\r}", "{\"a b\":[1,2]}");
	expect_compact("\" \\\" \"", "\" \\\" \"");
	expect_compact("  true  ", "true");
	expect_compact("", "");
}

Test(json_text, stays_inside_of_any_bytes, .timeout = 10)
{
	static const char alphabet[] = "{}[]\",:\\ a1";
	unsigned long seed = 12345;
	for (int round = 0; round < 20000; round++) {
		/* on the heap and of exact size, for the sanitizer's sake */
		size_t len = (size_t)round % 24;
		char *text = malloc(len + 1), *out = malloc(len + 1);
		for (size_t i = 0; i < len; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[i] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
		}
		text = realloc(text, len ? len : 1);
		struct json_walk walk;
		struct json_span value, all = {text, len};
		json_walk_init(&walk, text, len);
		size_t ct = 0;
		while (json_walk_next(&walk, &value)) {
			cr_assert(value.text >= text && value.text <= text + len);
			cr_assert_leq(value.len, (size_t)(text + len - value.text));
			ct++;
		}
		cr_assert_leq(ct, len);
		cr_assert_leq(json_text_compact(out, &all), len);
		json_text_deeper_than(text, len, 3);
		free(text);
		free(out);
	}
}
