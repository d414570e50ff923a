/* SPDX-License-Identifier: MIT
 *
 * values_http: methods, headers, proxies, addresses of hosts, places of bodies.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/outcome.h"
#include "common/poolmap.h"
#include "master/cli/values.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

Test(values_http, takes_any_token_as_a_method, .timeout = 10)
{
	const char *const good[] = {"GET", "patch", "M-SEARCH", "X_Y.Z~1",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"};
	struct value_error why;
	for (size_t i = 0; i < LENGTH(good); i++) {
		cr_assert_eq(values_method(good[i], &why), 0, "%s is refused", good[i]);
	}
	const char *const bad[] = {"", " ", "G T", "GET ", "GET\r\n", "G\xc3\x89T",
		"G/T", "G:T", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", "CONNECT"};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		cr_assert_eq(
			values_method(bad[i], &why), PM_EINVAL, "%s is taken", bad[i]);
	}
}

Test(values_http, splits_headers_into_name_and_value, .timeout = 10)
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

Test(values_http, refuses_headers_that_would_break_a_request, .timeout = 10)
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

Test(values_http, never_quotes_the_value_of_a_header, .timeout = 10)
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

Test(values_http, limits_the_length_of_a_header, .timeout = 10)
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

Test(values_http, knows_where_bodies_can_go, .timeout = 10)
{
	const struct {
		const char *text;
		enum body_mode mode;
		const char *path;
	} cases[] = {{"inline", BODY_INLINE, NULL}, {"none", BODY_NONE, NULL},
		{"dir:x", BODY_DIR, "x"}, {"dir:/a b/dir:c", BODY_DIR, "/a b/dir:c"},
		{"warc:archive", BODY_WARC, "archive"}};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct value_error why = {""};
		struct value_body got = {BODY_NONE, "?"};
		cr_assert_eq(values_body(cases[i].text, &got, &why), 0, "%s: %s",
			cases[i].text, why.text);
		cr_assert_eq(got.mode, cases[i].mode, "%s", cases[i].text);
		cr_assert(cases[i].path ? got.path && !strcmp(got.path, cases[i].path)
					: !got.path,
			"%s: %s", cases[i].text, got.path);
	}
	const struct {
		const char *text, *part;
	} bad[] = {{"", "none of inline"}, {"dir", "none of inline"},
		{"dir:", "names no directory"}, {"warc:", "names no files"},
		{"inline:x", "none of inline"}, {"nonesuch", "none of inline"},
		{"Dir:x", "none of inline"}};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		struct value_error why = {""};
		struct value_body got = {BODY_NONE, "?"};
		cr_assert_eq(values_body(bad[i].text, &got, &why), PM_EINVAL, "%s",
			bad[i].text);
		cr_assert_str_eq(
			got.path, "?", "%s is refused but stored", bad[i].text);
		cr_assert(
			strstr(why.text, bad[i].part), "%s: %s", bad[i].text, why.text);
	}
}

typedef int checker(const char *, struct value_error *);

static void expect_taken(checker *check, const char *const *texts, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		struct value_error why = {""};
		cr_assert_eq(
			check(texts[i], &why), 0, "\"%s\": %s", texts[i], why.text);
	}
}

static void expect_refused(checker *check, const char *const *texts, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		struct value_error why = {""};
		cr_assert_eq(
			check(texts[i], &why), PM_EINVAL, "\"%s\" is taken", texts[i]);
		cr_assert(why.text[0], "\"%s\" is refused without a reason", texts[i]);
	}
}

Test(values_http, reads_proxies, .timeout = 10)
{
	const char *const good[] = {"http://proxy.example:8080", "proxy.example:8080",
		"proxy.example", "HTTP://proxy.example", "me:word@proxy.example:1",
		"socks5://127.0.0.1:1080", "socks5h://user:word@[::1]:1080/", "[::1]"};
	const char *const bad[] = {"", "ftp://p", "file:///x", "http://", "://p",
		"http:///x", "http://@", "http://:80", "http://p q", "http://p\r\n",
		"http://p\x7f", "http://p\"", "http://p\\x", "https://p", "socks4://p",
		"socks4a://p", "socks://p", "p:99999", "p:x", "http://p:1/path",
		"http://p/?x", "http://[::1", "http://[p]:1", "http://[::1]x", "::1"};
	expect_taken(values_proxy, good, LENGTH(good));
	expect_refused(values_proxy, bad, LENGTH(bad));
}

Test(values_http, never_quotes_a_proxy, .timeout = 10)
{
	const char *const texts[] = {"ftp://me:hunter2@p", "http://me:hunter2@p q"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct value_error why = {""};
		cr_assert_eq(values_proxy(texts[i], &why), PM_EINVAL);
		cr_assert_not(strstr(why.text, "hunter2"), "%s", why.text);
	}
}

Test(values_http, reads_addresses_of_hosts, .timeout = 10)
{
	const char *const good[] = {"example.com:443:127.0.0.1", "a_b-c:1:::1",
		"a:65535:[2001:db8::1]", "localhost:80:0.0.0.0"};
	const char *const bad[] = {"", ":", "::", "a", "a:1", "a:1:", "a::127.0.0.1",
		":1:127.0.0.1", "a:0:127.0.0.1", "a:65536:127.0.0.1", "a:x:127.0.0.1",
		"a:1:127.0.0", "a:1:localhost", "a:1:127.0.0.1,127.0.0.2",
		"a b:1:127.0.0.1", "*:1:127.0.0.1", "a:1:[127.0.0.1]",
		"-a:1:127.0.0.1 ", "a:1:[::1"};
	expect_taken(values_resolve, good, LENGTH(good));
	expect_refused(values_resolve, bad, LENGTH(bad));
}

Test(values_http, reads_patterns_of_hosts, .timeout = 10)
{
	const char *const good[] = {"*", "*.example.com", "example.com", "Example.COM",
		"localhost", "127.0.0.1", "[::1]"};
	const char *const bad[] = {"", "*.", "a*", "*a", "**", "a.*", "http://a",
		"a:80", "a/b", "a b", "::1", "[::1", "[a]"};
	expect_taken(values_host_pattern, good, LENGTH(good));
	expect_refused(values_host_pattern, bad, LENGTH(bad));
}
