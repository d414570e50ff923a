/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/job: URLs, objects, every reason to refuse a line, and
 * hostile input.
 */
#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/job.h"
#include "common/cli/outcome.h"

/* Parse `len` bytes of a heap copy of exact size, so that a sanitizer sees a
 * byte too much. */
struct parsed {
	struct job job;
	char *line;
};

static void parse_bytes(struct parsed *p, const char *bytes, size_t len)
{
	p->line = malloc(len ? len : 1);
	memcpy(p->line, bytes, len);
	cr_assert_eq(job_parse(&p->job, p->line, len), 0);
}

static void parse(struct parsed *p, const char *line)
{
	parse_bytes(p, line, strlen(line));
}

static void drop(struct parsed *p)
{
	job_fini(&p->job);
	free(p->line);
}

/* Of what has a default elsewhere. */
static void expect_nothing_given(const struct job *job)
{
	cr_assert(job->connect_timeout_ms == 0 && job->retries == -1);
	cr_assert(job->max_body == UINT64_MAX && job->follow == -1);
	cr_assert(!job->user && !job->password && !job->bearer);
}

static void expect_url(const char *line, const char *url)
{
	struct parsed p;
	parse(&p, line);
	cr_assert_null(p.job.error, "%s: %s", line, p.job.error);
	cr_assert_str_eq(p.job.url, url);
	cr_assert_eq(p.job.url_len, strlen(url));
	cr_assert(!p.job.method && !p.job.id_json && !p.job.meta_json &&
		  !p.job.has_body && p.job.header_ct == 0 && p.job.timeout_ms == 0);
	expect_nothing_given(&p.job);
	drop(&p);
}

static void expect_bad(const char *line, const char *reason)
{
	struct parsed p;
	parse(&p, line);
	cr_assert_not_null(p.job.error, "%s was taken", line);
	cr_assert_not_null(strstr(p.job.error, reason), "%s: \"%s\" lacks \"%s\"", line,
		p.job.error, reason);
	drop(&p);
}

/* ------------------------------------------------------------------------ URLs */

Test(job, takes_a_line_for_a_url, .timeout = 10)
{
	expect_url("http://x/", "http://x/");
	expect_url(" \t http://x/ \t", "http://x/");
	expect_url("https://x/a?b=c#d", "https://x/a?b=c#d");
}

Test(job, leaves_it_to_the_fetch_to_judge_a_url, .timeout = 10)
{
	expect_url("ftp://x/", "ftp://x/");
	expect_url("http://x/a b", "http://x/a b");
	expect_url("nonsense", "nonsense");
	expect_url("http://x/\x01\x7f", "http://x/\x01\x7f");
	expect_url("http://x/\xff\xfe", "http://x/\xff\xfe");
	expect_url("[1,2]", "[1,2]");
	expect_url("\"http://x/\"", "\"http://x/\"");
	expect_url("   ", "");
	expect_url("", "");
}

Test(job, refuses_a_nul_byte, .timeout = 10)
{
	static const char lines[][12] = {"http://x/\0a", "\0", "{\"url\":\0\"x\""};
	for (size_t i = 0; i < 3; i++) {
		struct parsed p;
		parse_bytes(&p, lines[i], 11);
		cr_assert_str_eq(p.job.error, "contains a NUL byte", "line %zu", i);
		cr_assert_null(p.job.url);
		drop(&p);
	}
}

/* --------------------------------------------------------------------- objects */

Test(job, reads_every_key, .timeout = 10)
{
	struct parsed p;
	parse(&p, "  {\"url\":\"http://x/\", \"id\": \"a\\u0062\", \"method\":\"PUT\","
		  "\"headers\":{\"A\":\"1\",\"B\":[\"2\",\"3\"],\"C\":[]},"
		  "\"body\":\"x\\u0000y\",\"timeout\":1.5,"
		  "\"meta\": { \"k\": [ 1, \"a b\" ] } }\t");
	struct job *job = &p.job;
	cr_assert_null(job->error, "%s", job->error);
	cr_assert_str_eq(job->url, "http://x/");
	cr_assert_eq(job->url_len, 9);
	cr_assert_str_eq(job->method, "PUT");
	cr_assert_eq(job->id_json_len, 9);
	cr_assert_eq(memcmp(job->id_json, "\"a\\u0062\"", 9), 0);
	cr_assert_eq(job->header_ct, 3);
	cr_assert_str_eq(job->headers[0].name, "A");
	cr_assert_str_eq(job->headers[1].name, "B");
	cr_assert_str_eq(job->headers[1].value, "2");
	cr_assert_str_eq(job->headers[2].name, "B");
	cr_assert_str_eq(job->headers[2].value, "3");
	cr_assert(job->has_body && job->body_len == 3);
	cr_assert_eq(memcmp(job->body, "x\0y", 3), 0);
	cr_assert_eq(job->timeout_ms, 1500);
	cr_assert_eq(job->meta_json_len, strlen("{\"k\":[1,\"a b\"]}"));
	cr_assert_eq(
		memcmp(job->meta_json, "{\"k\":[1,\"a b\"]}", job->meta_json_len), 0);
	drop(&p);
}

Test(job, decodes_a_body_in_base64, .timeout = 10)
{
	struct parsed p;
	parse(&p, "{\"url\":\"x\",\"body_base64\":\"AAECAw==\"}");
	cr_assert_null(p.job.error, "%s", p.job.error);
	cr_assert(p.job.has_body && p.job.body_len == 4);
	cr_assert_eq(memcmp(p.job.body, "\0\1\2\3", 4), 0);
	drop(&p);
}

Test(job, tells_an_empty_body_from_none, .timeout = 10)
{
	static const char *const lines[] = {"{\"url\":\"x\",\"body\":\"\"}",
		"{\"url\":\"x\",\"body_base64\":\"\"}"};
	for (size_t i = 0; i < 2; i++) {
		struct parsed p;
		parse(&p, lines[i]);
		cr_assert(p.job.has_body && p.job.body_len == 0, "%s", lines[i]);
		cr_assert_not_null(p.job.body);
		drop(&p);
	}
}

static void expect_echo(const char *value)
{
	char line[256];
	snprintf(line, sizeof line, "{\"id\": %s ,\"meta\":%s,\"url\":\"x\"}", value,
		value);
	struct parsed p;
	parse(&p, line);
	cr_assert_null(p.job.error, "%s: %s", value, p.job.error);
	cr_assert_eq(p.job.id_json_len, strlen(value), "%s", value);
	cr_assert_eq(memcmp(p.job.id_json, value, strlen(value)), 0, "%s", value);
	cr_assert_eq(p.job.meta_json_len, strlen(value), "%s", value);
	cr_assert_eq(memcmp(p.job.meta_json, value, strlen(value)), 0, "%s", value);
	drop(&p);
}

Test(job, echoes_numbers_and_strings_letter_for_letter, .timeout = 10)
{
	expect_echo("0.10");
	expect_echo("1E5");
	expect_echo("-0");
	expect_echo("9223372036854775807");
	expect_echo("-9223372036854775808");
	expect_echo("3.14159265358979323846264338327950288");
	expect_echo("\"\"");
	expect_echo("\"}\\\",{\\u0000\xC3\xA9\"");
}

/* They are numbers of JSON, and hashes have them. */
Test(job, echoes_integers_of_any_size, .timeout = 10)
{
	expect_echo("9223372036854775808");
	expect_echo("-9223372036854775809");
	expect_echo("18446744073709551615");
	expect_echo("123456789012345678901234567890");
}

Test(job, reads_its_own_numbers_beside_large_ones, .timeout = 10)
{
	struct parsed p;
	parse(&p, "{\"url\":\"x\",\"retries\":3,\"max_body\":7.0,\"timeout\":2,"
		  "\"meta\":[1,18446744073709551615]}");
	cr_assert_null(p.job.error, "%s", p.job.error);
	cr_assert_eq(p.job.retries, 3);
	cr_assert_eq(p.job.max_body, 7);
	cr_assert_eq(p.job.timeout_ms, 2000);
	drop(&p);
	expect_bad("{\"url\":\"x\",\"retries\":18446744073709551615}", "retries");
}

Test(job, refuses_numbers_that_no_double_holds, .timeout = 10)
{
	expect_bad("{\"url\":\"x\",\"id\":1e400}", "is too large");
	expect_bad("{\"url\":\"x\",\"meta\":[-1e400]}", "write it as a string");
}

Test(job, finds_the_id_among_many_members_and_escaped_keys, .timeout = 10)
{
	struct buf line = {0};
	buf_puts(&line, "{");
	for (int i = 0; i < 200; i++) {
		buf_printf(&line, "\"k%d\":[%d,{\"id\":1}],", i * 37 % 200, i);
	}
	buf_puts(&line, "\"\\u0069d\":\"me\",\"u\\u0072l\":\"http://x/\"}");
	struct parsed p;
	parse_bytes(&p, line.data, line.len);
	cr_assert_not_null(
		strstr(p.job.error, "unknown key \"k0\""), "%s", p.job.error);
	cr_assert_str_eq(p.job.url, "http://x/");
	cr_assert_eq(p.job.id_json_len, 4);
	cr_assert_eq(memcmp(p.job.id_json, "\"me\"", 4), 0);
	drop(&p);
	buf_fini(&line);
}

static void expect_timeout(const char *seconds, unsigned ms)
{
	char line[128];
	snprintf(line, sizeof line, "{\"url\":\"x\",\"timeout\":%s}", seconds);
	struct parsed p;
	parse(&p, line);
	cr_assert_null(p.job.error, "%s: %s", seconds, p.job.error);
	cr_assert_eq(p.job.timeout_ms, ms, "%s s: %u ms", seconds, p.job.timeout_ms);
	drop(&p);
}

Test(job, converts_timeouts_and_never_to_none, .timeout = 10)
{
	expect_timeout("1", 1000);
	expect_timeout("0.1", 100);
	expect_timeout("1.1", 1100);
	expect_timeout("1e-9", 1);
	expect_timeout("86400", 86400000);
	static const char *const bad[] = {"0", "-1", "0.0", "-0", "86400.001", "86401",
		"1e300", "\"1\"", "true", "null"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char line[128];
		snprintf(line, sizeof line, "{\"url\":\"x\",\"timeout\":%s}", bad[i]);
		expect_bad(line,
			"\"timeout\" must be a number of seconds, above 0 and at "
			"most 86400");
	}
}

Test(job, reads_how_a_job_is_to_be_fetched, .timeout = 10)
{
	struct parsed p;
	parse(&p, "{\"url\":\"x\",\"connect_timeout\":0.25,\"retries\":0,"
		  "\"max_body\":0,\"follow\":false,\"user\":\"u\\u00e9 1\","
		  "\"password\":\"p:\"}");
	cr_assert_null(p.job.error, "%s", p.job.error);
	cr_assert_eq(p.job.connect_timeout_ms, 250);
	cr_assert_eq(p.job.retries, 0);
	cr_assert_eq(p.job.max_body, 0);
	cr_assert_eq(p.job.follow, 0);
	cr_assert_str_eq(p.job.user, "u\xC3\xA9 1");
	cr_assert_str_eq(p.job.password, "p:");
	cr_assert_null(p.job.bearer);
	drop(&p);
	parse(&p, "{\"url\":\"x\",\"retries\":100,\"max_body\":1073741824,"
		  "\"follow\":true,\"bearer\":\"a.b-c_d~e+f/g==\"}");
	cr_assert_null(p.job.error, "%s", p.job.error);
	cr_assert_eq(p.job.retries, 100);
	cr_assert_eq(p.job.max_body, 1073741824);
	cr_assert_eq(p.job.follow, 1);
	cr_assert_str_eq(p.job.bearer, "a.b-c_d~e+f/g==");
	cr_assert(!p.job.user && !p.job.password);
	drop(&p);
	parse(&p, "{\"url\":\"x\"}");
	expect_nothing_given(&p.job);
	drop(&p);
}

/* `value` in place of the value of `key`. */
static void expect_bad_value(const char *key, const char *value, const char *reason)
{
	char line[256];
	snprintf(line, sizeof line, "{\"url\":\"x\",\"%s\":%s}", key, value);
	expect_bad(line, reason);
}

Test(job, refuses_a_number_that_is_none_or_out_of_range, .timeout = 10)
{
	static const char *const bad[] = {
		"-1", "1.01", "1e-1", "\"1\"", "null", "true", "[]", "1073741825"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		expect_bad_value("retries", bad[i],
			"\"retries\" must be a whole number from 0 to 100");
		expect_bad_value("max_body", bad[i],
			"\"max_body\" must be a whole number from 0 to 1073741824");
	}
	expect_bad_value("retries", "101", "from 0 to 100");
	expect_bad_value("connect_timeout", "0",
		"\"connect_timeout\" must be a number of seconds, above 0 and at most "
		"86400");
	static const char *const no_bool[] = {"1", "0", "\"true\"", "null"};
	for (size_t i = 0; i < 4; i++) {
		expect_bad_value("follow", no_bool[i], "must be true or false");
	}
}

Test(job, refuses_credentials_that_do_not_fit_a_header, .timeout = 10)
{
	static const char *const keys[] = {"user", "password", "bearer"};
	for (size_t i = 0; i < 3; i++) {
		expect_bad_value(keys[i], "1", "must be a string");
		expect_bad_value(keys[i], "\"a\\u0000\"", "contains a NUL byte");
		expect_bad_value(
			keys[i], "\"a\\r\\nX: y\"", "contains a control character");
		expect_bad_value(keys[i], "\"\\u007f\"", "a control character");
	}
	expect_bad_value("user", "\"a:b\"", "\"user\" contains a colon");
	expect_bad_value("bearer", "\"\"", "must be one word");
	expect_bad_value("bearer", "\"a b\"", "must be one word");
	expect_bad_value("bearer", "\"\\u00e9\"", "must be one word");
	expect_bad_value("password", "\"p\"", "\"password\" is given without \"user\"");
	expect_bad("{\"url\":\"x\",\"bearer\":\"t\",\"user\":\"u\"}",
		"\"user\" and \"bearer\" exclude each other");
}

Test(job, refuses_a_credential_that_is_too_long_and_does_not_repeat_it, .timeout = 10)
{
	for (size_t len = JOB_CREDENTIAL_MAX; len <= JOB_CREDENTIAL_MAX + 1; len++) {
		struct buf line = {0};
		buf_puts(&line, "{\"url\":\"x\",\"bearer\":\"");
		for (size_t i = 0; i < len; i++) {
			buf_puts(&line, "s");
		}
		buf_puts(&line, "\"}");
		struct parsed p;
		parse_bytes(&p, line.data, line.len);
		cr_assert_eq(p.job.error == NULL, len <= JOB_CREDENTIAL_MAX);
		cr_assert(!p.job.error || !strstr(p.job.error, "sss"));
		drop(&p);
		buf_fini(&line);
	}
}

/* ---------------------------------------------------------------- bad objects */

Test(job, names_the_key_and_the_type_it_wants, .timeout = 10)
{
	expect_bad("{\"url\":1}", "\"url\" must be a string");
	expect_bad("{\"url\":null}", "\"url\" must be a string");
	expect_bad(
		"{\"url\":\"x\",\"id\":null}", "\"id\" must be a string or a number");
	expect_bad("{\"url\":\"x\",\"id\":[1]}", "\"id\" must be a string or a number");
	expect_bad("{\"url\":\"x\",\"method\":1}", "\"method\" must be a string");
	expect_bad("{\"url\":\"x\",\"headers\":[]}", "\"headers\" must be an object");
	expect_bad("{\"url\":\"x\",\"headers\":{\"A\":1}}",
		"header \"A\" must be a string");
	expect_bad("{\"url\":\"x\",\"headers\":{\"A\":[\"b\",null]}}",
		"header \"A\" must be a string or an array of strings");
	expect_bad("{\"url\":\"x\",\"body\":{}}", "\"body\" must be a string");
	expect_bad("{\"url\":\"x\",\"body_base64\":7}",
		"\"body_base64\" must be a string");
}

Test(job, names_an_unknown_key_and_what_was_probably_meant, .timeout = 10)
{
	expect_bad("{\"url\":\"x\",\"metod\":\"GET\"}",
		"unknown key \"metod\": did you mean \"method\"?");
	expect_bad(
		"{\"url\":\"x\",\"URL\":\"y\"}", "unknown key \"URL\": there are url");
	expect_bad("{\"uri\":\"x\"}", "unknown key \"uri\": did you mean \"url\"?");
	expect_bad("{\"url\":\"x\",\"header\":{}}", "did you mean \"headers\"?");
	expect_bad("{\"url\":\"x\",\"body_base46\":\"\"}",
		"did you mean \"body_base64\"?");
	expect_bad("{\"url\":\"x\",\"timeuot\":1}", "did you mean \"timeout\"?");
	expect_bad("{\"url\":\"x\",\"colour\":1}",
		"unknown key \"colour\": there are url, id, method, headers, body, "
		"body_base64, timeout, connect_timeout, retries, max_body, follow, "
		"user, "
		"password, bearer and meta");
	expect_bad("{\"url\":\"x\",\"\":1}", "unknown key \"\"");
	expect_bad("{\"url\":\"x\",\"a_key_that_is_longer_than_any_other_key_here\":1}",
		"unknown key \"a_key_that_is_longer_than_any_other_key_\"");
}

Test(job, refuses_contradictions_and_omissions, .timeout = 10)
{
	expect_bad("{}", "\"url\" is missing");
	expect_bad("{\"id\":1}", "\"url\" is missing");
	expect_bad("{\"url\":\"x\",\"url\":\"y\"}", "a key is given twice");
	expect_bad(
		"{\"url\":\"x\",\"meta\":{\"a\":1,\"a\":2}}", "a key is given twice");
	expect_bad("{\"url\":\"x\",\"body\":\"\",\"body_base64\":\"\"}",
		"\"body\" and \"body_base64\" exclude each other");
	expect_bad("{\"url\":\"x\",\"body_base64\":\"Zg\"}",
		"\"body_base64\" is not base64");
}

Test(job, says_where_the_json_breaks, .timeout = 10)
{
	expect_bad("{\"url\":\"x\"} x", "end of file expected near 'x', byte 13");
	expect_bad("  {\"url\":\"x\"} x", "byte 15");
	expect_bad("{\"url\":\"x\"}{}", "end of file expected");
	expect_bad("{\"url\":\"x\"", "not a JSON object");
	expect_bad("{\"url\":'x'}", "not a JSON object");
	expect_bad("{\"url\":\"x\",}", "not a JSON object");
	expect_bad("{", "not a JSON object");
	expect_bad("{\"url\":\"\xff\"}", "not a JSON object");
	expect_bad("{\"url\":\"\\ud800\"}", "not a JSON object");
	expect_bad("{\"url\":\"a\tb\"}", "not a JSON object");
}

Test(job, refuses_nul_in_what_becomes_a_c_string, .timeout = 10)
{
	expect_bad("{\"url\":\"x\\u0000y\"}", "\"url\" contains a NUL byte");
	expect_bad("{\"url\":\"x\",\"method\":\"G\\u0000\"}",
		"\"method\" contains a NUL byte");
	expect_bad("{\"url\":\"x\",\"headers\":{\"A\":\"\\u0000\"}}",
		"header \"A\" contains a NUL byte");
	expect_bad("{\"url\":\"x\",\"headers\":{\"A\":[\"b\",\"c\\u0000\"]}}",
		"header \"A\" contains a NUL byte");
	expect_bad("{\"url\":\"x\",\"headers\":{\"A\\u0000\":\"b\"}}", "NUL byte");
}

Test(job, keeps_url_and_id_of_a_bad_job, .timeout = 10)
{
	struct parsed p;
	parse(&p, "{\"timeout\":0,\"nonsense\":1,\"id\":7,\"url\":\"http://x/\"}");
	cr_assert_not_null(strstr(p.job.error, "timeout"), "the first reason stands");
	cr_assert_str_eq(p.job.url, "http://x/");
	cr_assert_eq(p.job.id_json_len, 1);
	cr_assert_eq(*p.job.id_json, '7');
	drop(&p);
}

/* -------------------------------------------------------------------- hostile */

/* A job whose `meta` makes it `levels` deep. */
static void nested(struct buf *line, int levels, const char *open, const char *close)
{
	buf_puts(line, "{\"url\":\"x\",\"meta\":");
	for (int i = 1; i < levels; i++) {
		buf_puts(line, open);
	}
	buf_puts(line, "0");
	for (int i = 1; i < levels; i++) {
		buf_puts(line, close);
	}
	buf_puts(line, "}");
}

Test(job, takes_64_levels_and_refuses_more, .timeout = 10)
{
	static const char *const kinds[][2] = {{"[", "]"}, {"{\"a\":", "}"}};
	for (int kind = 0; kind < 2; kind++) {
		static const int levels[] = {63, 64, 65, 1000, 100000};
		for (size_t i = 0; i < 5; i++) {
			struct buf line = {0};
			nested(&line, levels[i], kinds[kind][0], kinds[kind][1]);
			struct parsed p;
			parse_bytes(&p, line.data, line.len);
			if (levels[i] <= JOB_DEPTH_MAX) {
				cr_assert_null(
					p.job.error, "%d: %s", levels[i], p.job.error);
			} else {
				cr_assert_str_eq(p.job.error,
					"nested deeper than 64 levels", "%d levels",
					levels[i]);
			}
			drop(&p);
			buf_fini(&line);
		}
	}
}

/* A line may blow up a hundredfold while it is parsed, but not as long as its
 * fetch takes: many of them wait at once.  (Says nothing where the allocator is
 * not glibc's, as under a sanitizer.) */
Test(job, holds_little_more_than_its_line, .timeout = 10)
{
	struct buf line = {0};
	buf_puts(&line, "{\"url\":\"x\",\"meta\":[[]");
	while (line.len < JOB_LINE_MAX - 10) {
		buf_puts(&line, ",[]");
	}
	buf_puts(&line, "]}");
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	struct job job;
	cr_assert_eq(job_parse(&job, line.data, line.len), 0);
	cr_assert_null(job.error, "%s", job.error);
	size_t held = mallinfo2().uordblks + mallinfo2().hblkhd - before;
	cr_assert_lt(held, (size_t)2 * JOB_LINE_MAX, "%zu bytes", held);
	job_fini(&job);
	buf_fini(&line);
}

Test(job, refuses_more_headers_than_it_may, .timeout = 10)
{
	for (int ct = JOB_HEADERS_MAX; ct <= JOB_HEADERS_MAX + 1; ct++) {
		struct buf line = {0};
		buf_puts(&line, "{\"url\":\"x\",\"headers\":{\"A\":[\"\"");
		for (int i = 1; i < ct; i++) {
			buf_puts(&line, ",\"\"");
		}
		buf_puts(&line, "]}}");
		struct parsed p;
		parse_bytes(&p, line.data, line.len);
		if (ct <= JOB_HEADERS_MAX) {
			cr_assert_null(p.job.error, "%d: %s", ct, p.job.error);
			cr_assert_eq(p.job.header_ct, (size_t)ct);
		} else {
			cr_assert_str_eq(
				p.job.error, "\"headers\" has more than 1000 headers");
		}
		drop(&p);
		buf_fini(&line);
	}
}

Test(job, keeps_a_reason_within_its_room, .timeout = 10)
{
	struct buf line = {0};
	buf_puts(&line, "{\"url\":\"x\",\"");
	for (int i = 0; i < 5000; i++) {
		buf_puts(&line, "\xC3\xA9");
	}
	buf_puts(&line, "\":1}");
	struct parsed p;
	parse_bytes(&p, line.data, line.len);
	cr_assert_not_null(p.job.error);
	cr_assert_lt(strlen(p.job.error), sizeof p.job.error_text);
	drop(&p);
	buf_fini(&line);
}

Test(job, can_be_finished_twice, .timeout = 10)
{
	struct parsed p;
	parse(&p, "{\"url\":\"x\",\"meta\":1}");
	job_fini(&p.job);
	drop(&p);
}

/* ------------------------------------------------------------------ arguments */

Test(job, reads_an_argument, .timeout = 10)
{
	struct job_head head = {.index = UINT64_MAX - 1};
	struct buf arg = {0};
	buf_put(&arg, &head, sizeof head);
	buf_puts(&arg, "http://x/");
	struct job job;
	uint64_t index = 0;
	cr_assert_eq(job_read(&job, &index, arg.data, arg.len), 0);
	cr_assert_eq(index, UINT64_MAX - 1);
	cr_assert_str_eq(job.url, "http://x/");
	job_fini(&job);
	buf_fini(&arg);
}

Test(job, makes_a_bad_job_of_a_line_that_was_too_long, .timeout = 10)
{
	struct job_head head = {.index = 3, .bad = 1};
	struct job job;
	uint64_t index = 0;
	cr_assert_eq(job_read(&job, &index, &head, sizeof head), 0);
	cr_assert_eq(index, 3);
	cr_assert_str_eq(job.error, "line is longer than 1 MiB");
	cr_assert_null(job.url);
	job_fini(&job);
}

Test(job, takes_over_why_a_row_is_no_job, .timeout = 10)
{
	static const char why[] = "line 7: no URL in column url";
	struct job_head head = {.index = 3, .bad = 1};
	char arg[sizeof head + 1000];
	struct job job;
	uint64_t index = 0;
	memset(arg, 'x', sizeof arg);
	memcpy(arg, &head, sizeof head);
	memcpy(arg + sizeof head, why, sizeof why - 1);
	cr_assert_eq(job_read(&job, &index, arg, sizeof head + sizeof why - 1), 0);
	cr_assert_str_eq(job.error, why);
	cr_assert_null(job.url);
	job_fini(&job);
	cr_assert_eq(job_read(&job, &index, arg, sizeof arg), 0);
	cr_assert_eq(strlen(job.error), sizeof job.error_text - 1);
	job_fini(&job);
}

Test(job, refuses_an_argument_without_a_head, .timeout = 10)
{
	struct job job;
	uint64_t index = 5;
	cr_assert_eq(job_read(&job, &index, "1234567", 7), PM_EINTERNAL);
	cr_assert_eq(index, 5);
	job_fini(&job);
}
