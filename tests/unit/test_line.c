/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/line: lines byte for byte, escapes against a plain
 * reference, jansson as the judge of what is JSON, and 20,000 mutated jobs.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/base64.h"
#include "common/cli/line.h"
#include "common/cli/line_headers.h"

static const struct pm_response response = {
	.status = 200,
	.http_version = 11,
	.url_effective = "http://x/y",
	.content_type = "text/plain",
	.remote_ip = "::1",
	.body = "hi",
	.body_len = 2,
	.redirect_ct = 1,
	.size_download = 2,
	.size_upload = 3,
	.time_namelookup_us = 1,
	.time_connect_us = 20,
	.time_appconnect_us = 0,
	.time_starttransfer_us = 999999,
	.time_total_us = 1000000,
};

static const struct line_facts good = {
	.index = 7,
	.class = OUTCOME_OK,
	.method = "GET",
	.response = &response,
	.time_queue_us = 123456789,
	.attempts = 2,
	.worker = 3,
	.body = BODY_INLINE,
};

/* Render what `line` asks for; the result has a NUL behind it. */
static const char *render(struct buf *out, const char *line, const struct line_facts *f)
{
	struct job job;
	cr_assert_eq(job_parse(&job, line, strlen(line)), 0);
	cr_assert_eq(line_render(out, &job, f), 0);
	job_fini(&job);
	return buf_text(out);
}

static void expect_line(const char *line, const struct line_facts *f, const char *want)
{
	struct buf out = {0};
	cr_assert_str_eq(render(&out, line, f), want);
	buf_fini(&out);
}

/* --------------------------------------------------------------------- fields */

Test(line, has_all_fields_in_their_order, .timeout = 10)
{
	expect_line("{\"url\":\"http://x/\",\"id\":\"a\",\"meta\":{\"k\": 1}}", &good,
		"{\"index\":7,\"id\":\"a\",\"url\":\"http://x/"
		"\",\"ok\":true,\"error\":null,"
		"\"method\":\"GET\",\"http_code\":200,\"http_version\":\"1.1\","
		"\"content_type\":\"text/plain\",\"url_effective\":\"http://x/y\","
		"\"num_redirects\":1,\"remote_ip\":\"::1\",\"size_download\":2,"
		"\"size_upload\":3,\"time_queue\":123.456789,"
		"\"time_namelookup\":0.000001,\"time_connect\":0.000020,"
		"\"time_appconnect\":0.000000,\"time_starttransfer\":0.999999,"
		"\"time_total\":1.000000,\"attempts\":2,\"worker\":3,"
		"\"meta\":{\"k\":1},\"body\":\"hi\"}\n");
}

Test(line, leaves_out_what_does_not_apply_to_a_bad_job, .timeout = 10)
{
	struct line_facts f = {.class = OUTCOME_BAD_JOB,
		.errormsg = "say \"why\"",
		.time_queue_us = UINT64_MAX,
		.worker = -1};
	expect_line("{\"id\":1.50}", &f,
		"{\"index\":0,\"id\":1.50,\"ok\":false,\"error\":\"bad_job\","
		"\"errormsg\":\"say \\\"why\\\"\",\"attempts\":0}\n");
}

Test(line, tells_of_a_transfer_that_got_no_response, .timeout = 10)
{
	struct pm_response none = {.url_effective = "http://x/",
		.content_type = "",
		.remote_ip = "10.0.0.1",
		.time_total_us = 5};
	struct line_facts f = {.class = OUTCOME_RESET,
		.errormsg = "m",
		.curl_code = 56,
		.method = "GET",
		.response = &none,
		.attempts = 1,
		.worker = 0};
	expect_line("http://x/", &f,
		"{\"index\":0,\"url\":\"http://x/\",\"ok\":false,\"error\":\"reset\","
		"\"errormsg\":\"m\",\"exitcode\":56,\"method\":\"GET\","
		"\"remote_ip\":\"10.0.0.1\",\"size_download\":0,\"size_upload\":0,"
		"\"time_queue\":0.000000,\"time_namelookup\":0.000000,"
		"\"time_connect\":0.000000,\"time_appconnect\":0.000000,"
		"\"time_starttransfer\":0.000000,\"time_total\":0.000005,"
		"\"attempts\":1,\"worker\":0}\n");
}

/* Does the line have `part` in it? */
static bool line_has(const struct line_facts *f, const char *part)
{
	struct buf out = {0};
	bool has = strstr(render(&out, "http://x/", f), part) != NULL;
	buf_fini(&out);
	return has;
}

Test(line, keeps_the_body_of_a_status_that_is_not_accepted, .timeout = 10)
{
	struct line_facts f = good;
	f.class = OUTCOME_HTTP_STATUS;
	f.errormsg = "status 200 is not in --accept";
	cr_assert(line_has(&f, "\"error\":\"http_status\",\"errormsg\":\"status 200"));
	cr_assert(line_has(&f, "\"body\":\"hi\""));
}

Test(line, has_no_body_when_the_transfer_broke_or_none_is_wanted, .timeout = 10)
{
	struct line_facts f = good;
	f.class = OUTCOME_TRUNCATED;
	cr_assert(line_has(&f, "\"http_code\":200"));
	cr_assert(!line_has(&f, "\"body"));
	f = good;
	f.body = BODY_NONE;
	cr_assert(!line_has(&f, "\"body"));
}

Test(line, writes_an_empty_body, .timeout = 10)
{
	struct pm_response r = response;
	r.body = "";
	r.body_len = 0;
	struct line_facts f = good;
	f.response = &r;
	cr_assert(line_has(&f, ",\"body\":\"\"}\n"));
}

Test(line, writes_http_versions_as_curl_does, .timeout = 10)
{
	static const struct {
		int number;
		const char *text;
	} versions[] = {{10, "\"http_version\":\"1.0\""},
		{11, "\"http_version\":\"1.1\""}, {20, "\"http_version\":\"2\""},
		{30, "\"http_version\":\"3\""}};
	struct pm_response r = response;
	struct line_facts f = good;
	f.response = &r;
	for (size_t i = 0; i < 4; i++) {
		r.http_version = versions[i].number;
		cr_assert(line_has(&f, versions[i].text), "%d", versions[i].number);
	}
	r.http_version = 0;
	cr_assert(!line_has(&f, "http_version"));
}

Test(line, writes_the_largest_numbers, .timeout = 10)
{
	struct pm_response r = response;
	struct line_facts f = good;
	f.response = &r;
	f.index = UINT64_MAX;
	r.size_download = UINT64_MAX;
	r.time_namelookup_us = r.time_connect_us = r.time_appconnect_us =
		r.time_starttransfer_us = r.time_total_us = UINT64_MAX;
	f.time_queue_us = UINT64_MAX - 1;
	f.attempts = UINT32_MAX;
	cr_assert(line_has(&f, "{\"index\":18446744073709551615,"));
	cr_assert(line_has(&f, "\"size_download\":18446744073709551615,"));
	cr_assert(line_has(&f, "\"time_queue\":18446744073709.551614,"));
	cr_assert(line_has(&f, "\"time_total\":18446744073709.551615,"));
	cr_assert(line_has(&f, "\"attempts\":4294967295,"));
}

Test(line, writes_numbers_of_every_length, .timeout = 10)
{
	struct line_facts f = good;
	uint64_t n = 0;
	for (int digits = 1; digits <= 20; digits++) {
		n = n * 10 + (uint64_t)(digits % 10);
		char want[64];
		snprintf(want, sizeof want, "{\"index\":%llu,", (unsigned long long)n);
		f.index = n;
		cr_assert(line_has(&f, want), "%s", want);
	}
}

/* ------------------------------------------------------------------- prefixes */

Test(line, starts_with_its_prefix_byte_for_byte, .timeout = 10)
{
	static const char *const lines[] = {"http://x/", "http://x/\xff\"\\\x01", "",
		"{\"url\":\"http://x/\",\"id\":\"\\u00e9 \"}", "{\"id\":1e5}", "{",
		"{\"url\":\"http://x/\",\"bad\":1}"};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct job job;
		struct buf prefix = {0}, line = {0};
		cr_assert_eq(job_parse(&job, lines[i], strlen(lines[i])), 0);
		cr_assert_eq(line_prefix(&prefix, 7, &job), 0);
		cr_assert_eq(line_render(&line, &job, &good), 0);
		cr_assert_lt(prefix.len, line.len);
		cr_assert_eq(
			memcmp(prefix.data, line.data, prefix.len), 0, "%s", lines[i]);
		cr_assert_eq(memcmp(line.data + prefix.len, ",\"ok\":", 6), 0, "%s",
			lines[i]);
		job_fini(&job);
		buf_fini(&prefix);
		buf_fini(&line);
	}
}

Test(line, appends_to_what_is_there, .timeout = 10)
{
	struct buf out = {0};
	buf_puts(&out, "before");
	const char *text = render(&out, "http://x/", &good);
	cr_assert_eq(strncmp(text, "before{\"index\":7,", 16), 0, "%s", text);
	buf_fini(&out);
}

Test(line, leaves_the_buffer_as_it_was_when_there_is_no_memory, .timeout = 10)
{
	struct buf out = {0};
	buf_puts(&out, "before");
	/* a length that no buffer can have: the reservation fails before it is read */
	struct job job = {.meta_json = "1", .meta_json_len = SIZE_MAX / 2};
	cr_assert_eq(line_render(&out, &job, &good), PM_ENOMEM);
	cr_assert_str_eq(buf_text(&out), "before");
	job = (struct job){.id_json = "1", .id_json_len = SIZE_MAX / 2};
	cr_assert_eq(line_prefix(&out, 7, &job), PM_ENOMEM);
	cr_assert_str_eq(buf_text(&out), "before");
	buf_fini(&out);
}

/* -------------------------------------------------------------------- strings */

static void expect_string(const char *text, size_t len, const char *want)
{
	struct buf out = {0};
	cr_assert_eq(line_string(&out, text, len), 0);
	cr_assert_str_eq(buf_text(&out), want);
	buf_fini(&out);
}
#define EXPECT_STRING(literal, want) expect_string(literal, sizeof(literal) - 1, want)

Test(line, escapes_what_json_cannot_have_and_nothing_else, .timeout = 10)
{
	EXPECT_STRING("", "\"\"");
	EXPECT_STRING("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	EXPECT_STRING("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
	EXPECT_STRING("\0\x01\x1f\x7f", "\"\\u0000\\u0001\\u001f\x7f\"");
	EXPECT_STRING("\xC3\xA9\xE2\x80\xA8", "\"\xC3\xA9\xE2\x80\xA8\"");
}

Test(line, replaces_each_byte_that_is_no_utf8, .timeout = 10)
{
	EXPECT_STRING("a\xff"
		      "b",
		"\"a\xEF\xBF\xBD"
		"b\"");
	EXPECT_STRING("\xE2\x82", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
	EXPECT_STRING("\xC0\x80\"", "\"\xEF\xBF\xBD\xEF\xBF\xBD\\\"\"");
}

/* The plain way, to compare with. */
static void escape_plainly(struct buf *out, const unsigned char *text, size_t len)
{
	buf_puts(out, "\"");
	for (size_t i = 0; i < len; i++) {
		static const char names[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
		const char *name = text[i] ? strchr(names, text[i]) : NULL;
		if (name) {
			buf_printf(out, "\\%c", letters[name - names]);
		} else if (text[i] < 0x20) {
			buf_printf(out, "\\u%04x", text[i]);
		} else {
			buf_put(out, text + i, 1);
		}
	}
	buf_puts(out, "\"");
}

static void expect_as_plain(const unsigned char *text, size_t len)
{
	struct buf want = {0}, got = {0};
	escape_plainly(&want, text, len);
	cr_assert_eq(line_string(&got, (const char *)text, len), 0);
	cr_assert_eq(got.len, want.len, "%zu bytes", len);
	cr_assert_eq(memcmp(got.data, want.data, want.len), 0, "%zu bytes", len);
	buf_fini(&want);
	buf_fini(&got);
}

Test(line, escapes_every_ascii_byte_at_every_place_of_a_word, .timeout = 10)
{
	unsigned char text[24];
	for (unsigned byte = 0; byte < 0x80; byte++) {
		for (size_t at = 0; at < sizeof text; at++) {
			memset(text, ' ', sizeof text);
			text[at] = (unsigned char)byte;
			expect_as_plain(text, sizeof text);
			text[(at + 1) % sizeof text] = '"';
			expect_as_plain(text, sizeof text);
		}
	}
}

Test(line, escapes_texts_of_many_lengths, .timeout = 10)
{
	unsigned seed = 1;
	for (size_t len = 0; len < 1400; len += 1 + len / 40) {
		unsigned char *text = malloc(len + 1);
		for (size_t i = 0; i < len; i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = (unsigned char)(seed >> 16 & 0x7f);
		}
		text = realloc(text, len ? len : 1);
		expect_as_plain(text, len);
		memset(text, 0, len);
		expect_as_plain(text, len);
		free(text);
	}
}

/* --------------------------------------------------------------------- bodies */

/* The line as jansson reads it. */
static json_t *load(const struct buf *line)
{
	json_error_t why;
	json_t *root = json_loadb(
		line->data, line->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	cr_assert_not_null(
		root, "%s\n%.*s", why.text, (int)line->len % 10000, line->data);
	return root;
}

static void expect_body(const char *body, size_t len, const char *key, const char *want,
	size_t want_len)
{
	struct pm_response r = response;
	r.body = body;
	r.body_len = len;
	struct line_facts f = good;
	f.response = &r;
	struct buf out = {0};
	render(&out, "http://x/", &f);
	json_t *root = load(&out);
	const json_t *value = json_object_get(root, key);
	cr_assert(json_is_string(value), "no %s", key);
	cr_assert_eq(json_string_length(value), want_len);
	cr_assert_eq(memcmp(json_string_value(value), want, want_len), 0);
	json_decref(root);
	buf_fini(&out);
}

Test(line, writes_text_as_text_and_the_rest_in_base64, .timeout = 10)
{
	expect_body("\xC3\xA9\0\n", 4, "body", "\xC3\xA9\0\n", 4);
	expect_body("\xff", 1, "body_base64", "/w==", 4);
	expect_body("ab\xE2\x82", 4, "body_base64", "YWLigg==", 8);
}

Test(line, carries_bodies_of_every_size, .timeout = 30)
{
	enum { MOST = 300000 };
	char *text = malloc(MOST), *coded = malloc(base64_size(MOST));
	for (size_t len = 1; len < MOST; len = len * 3 + 1) {
		for (size_t i = 0; i < len; i++) {
			text[i] = "{\"k\":\"v\n\\\"}\x01x\x7f\t"[i % 16];
		}
		expect_body(text, len, "body", text, len);
		text[len / 2] = (char)0x80;
		base64_encode(coded, text, len);
		expect_body(text, len, "body_base64", coded, base64_size(len));
	}
	free(text);
	free(coded);
}

/* ------------------------------------------------------------------ mutations */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Change, drop, double or insert a few bytes. */
static size_t mutate(char *line, size_t len, size_t cap, uint64_t *state)
{
	static const char spice[] = "{}[]\",:\\u0d8\n\r\t \xff\xc3\xa9\0-1e9";
	for (uint64_t times = next_random(state) % 4; times > 0; times--) {
		size_t at = next_random(state) % (len + 1);
		char c = spice[next_random(state) % sizeof spice];
		switch (next_random(state) % 4) {
		case 0:
			line[at < len ? at : 0] = c;
			break;
		case 1:
			line[at < len ? at : 0] = (char)next_random(state);
			break;
		case 2:
			len = at > 0 ? at : 1;
			break;
		default:
			if (len < cap) {
				memmove(line + at + 1, line + at, len - at);
				line[at] = c;
				len++;
			}
		}
	}
	return len;
}

/* Whatever the line was: one line of JSON with the index and the right verdict. */
static bool survive(const char *bytes, size_t len, uint64_t index)
{
	char *line = malloc(len);
	memcpy(line, bytes, len);
	struct job job;
	cr_assert_eq(job_parse(&job, line, len), 0);
	struct line_facts f = good;
	f.index = index;
	f.class = job.error ? OUTCOME_BAD_JOB : OUTCOME_OK;
	f.errormsg = job.error;
	struct buf out = {0};
	cr_assert_eq(line_render(&out, &job, &f), 0);
	const char *lf = memchr(out.data, '\n', out.len);
	cr_assert_eq(lf, out.data + out.len - 1, "LF in %.*s", (int)out.len, out.data);
	cr_assert_null(memchr(out.data, '\r', out.len));
	json_t *root = load(&out);
	cr_assert_eq(
		json_integer_value(json_object_get(root, "index")), (json_int_t)index);
	cr_assert_eq(json_is_true(json_object_get(root, "ok")), !job.error);
	cr_assert_eq(json_is_string(json_object_get(root, "url")), job.url != NULL);
	bool bad = job.error != NULL;
	json_decref(root);
	buf_fini(&out);
	job_fini(&job);
	free(line);
	return bad;
}

Test(line, survives_twenty_thousand_mutated_jobs, .timeout = 60)
{
	static const char *const seeds[] = {"http://example.org/a?b=c",
		"{\"url\":\"http://x/\",\"id\":\"a\\u00e9\",\"timeout\":1.5}",
		"{\"id\":12,\"url\":\"u\",\"headers\":{\"A\":[\"b\",\"c\"],\"D\":\"e\"}"
		"}",
		"{\"url\":\"u\",\"meta\":{\"a\":[1, "
		"2.50,{\"b\":null}]},\"body\":\"x\\ny\"}",
		"{\"meta\":\"m\",\"body_base64\":\"AAEC\",\"method\":\"PUT\",\"url\":"
		"\"u\"}"};
	uint64_t state = 20240607;
	unsigned bad = 0;
	for (uint64_t i = 0; i < 20000; i++) {
		char line[160];
		size_t len = strlen(seeds[i % 5]);
		memcpy(line, seeds[i % 5], len);
		len = mutate(line, len, sizeof line, &state);
		bad += survive(line, len, i);
	}
	/* both ways were really taken */
	cr_assert_gt(bad, 4000, "%u bad jobs", bad);
	cr_assert_lt(bad, 16000, "%u bad jobs", bad);
}

/* ------------------------------------------------------------------- headers */

static void expect_headers(
	const struct pm_header *headers, size_t ct, const char *expected)
{
	struct pm_response r = response;
	r.headers = headers;
	r.header_ct = ct;
	struct line_facts f = good;
	f.response = &r;
	f.headers = true;
	struct buf part = {0};
	cr_assert_eq(buf_printf(&part, ",\"headers\":%s,\"body\":", expected), 0);
	cr_assert(line_has(&f, buf_text(&part)), "%s", expected);
	buf_fini(&part);
}

Test(line, groups_headers_by_their_name, .timeout = 10)
{
	static const struct pm_header headers[] = {{"server", "a"}, {"set-cookie", "1"},
		{"date", ""}, {"set-cookie", "2"}, {"server", "b"},
		{"set-cookie", "1"}};
	expect_headers(headers, 6,
		"{\"server\":[\"a\",\"b\"],\"set-cookie\":[\"1\",\"2\",\"1\"],"
		"\"date\":[\"\"]}");
	expect_headers(headers, 1, "{\"server\":[\"a\"]}");
	expect_headers(headers, 0, "{}");
}

Test(line, survives_what_a_server_calls_a_header, .timeout = 10)
{
	static const struct pm_header headers[] = {{"\xff", "x"}, {"a b", "x"},
		{"\xfe", "y"}, {"", "z"}, {"q\"", "z"}, {"\xc3\xa4", "u"},
		{"ok", "\x01\"\\\xff\xc3\xa4\t"}};
	expect_headers(
		headers, 7, "{\"ok\":[\"\\u0001\\\"\\\\\xEF\xBF\xBD\xc3\xa4\\t\"]}");
	expect_headers(headers, 6, "{}");
}

Test(line, takes_no_quadratic_time_for_many_headers, .timeout = 10)
{
	enum { MANY = 60000 };
	static char names[MANY][16];
	static struct pm_header headers[MANY];
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof names[i], "n%d", i / 2);
		headers[i] = (struct pm_header){names[i], "v"};
	}
	struct buf out = {0};
	cr_assert_eq(line_headers(&out, headers, MANY), 0);
	json_t *object = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_eq(json_object_size(object), MANY / 2);
	json_decref(object);
	buf_fini(&out);
}

Test(line, has_no_headers_where_there_is_no_response, .timeout = 10)
{
	struct pm_response r = response;
	r.status = 0;
	struct line_facts f = good;
	f.response = &r;
	f.headers = true;
	cr_assert_not(line_has(&f, "\"headers\""));
	f.response = NULL;
	cr_assert_not(line_has(&f, "\"headers\""));
	cr_assert_not(line_has(&good, "\"headers\""), "nobody asked");
}

/* --------------------------------------------------------------- body in a file */

Test(line, names_the_file_of_the_body, .timeout = 10)
{
	struct line_facts f = good;
	f.body = BODY_NONE;
	f.body_file = "d\"r/ab/abc";
	f.body_sha256 = "abc";
	cr_assert(line_has(&f, ",\"worker\":3,\"body_file\":\"d\\\"r/ab/abc\","
			       "\"body_sha256\":\"abc\"}\n"));
	cr_assert_not(line_has(&f, "body_offset"));
	f.body_length = 17;
	cr_assert(line_has(
		&f, "\"body_sha256\":\"abc\",\"body_offset\":0,\"body_length\":17}\n"));
	f.body_offset = UINT64_C(1) << 40;
	cr_assert(line_has(&f, "\"body_offset\":1099511627776,"));
}
