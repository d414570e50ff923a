/* SPDX-License-Identifier: MIT
 *
 * A request in full: its URL, body and headers, and what its session adds.  No
 * network.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "worker/compose.h"
#include "worker/engine_check.h"

#define CT(array) (sizeof(array) / sizeof((array)[0]))

static struct composed done;

static const struct pm_request *compose_ok(struct pm_request r)
{
	struct pm_failure f;
	int err = compose(&done, &r, &f);
	cr_assert_eq(err, 0, "%s", f.message);
	return &done.request;
}

static void expect_refused(struct pm_request r, int error, const char *why)
{
	struct pm_failure f = {0};
	r.url = r.url ? r.url : "http://a/";
	cr_assert_eq(compose(&done, &r, &f), error, "%d", f.error);
	cr_assert_eq(f.error, error);
	cr_assert(strstr(f.message, why), "'%s' is not in: %s", why, f.message);
	compose_fini(&done);
}

#define REQUEST(...) ((struct pm_request){__VA_ARGS__})
#define PARAMS(array) .params = (array), .param_ct = CT(array)
#define FORM(array) .form = (array), .form_ct = CT(array)
#define HEADERS(array) .headers = (array), .header_ct = CT(array)

static const struct pm_param plain[] = {{"a", "1"}, {"b", "2"}};

/* ------------------------------------------------------------------------ URL */

struct url_case {
	const char *url, *want;
};

Test(compose, params_join_the_query_before_the_fragment, .timeout = 10)
{
	static const struct url_case cases[] = {
		{"http://h", "http://h?a=1&b=2"},
		{"http://h/p", "http://h/p?a=1&b=2"},
		{"http://h/p?", "http://h/p?a=1&b=2"},
		{"http://h/p?x", "http://h/p?x&a=1&b=2"},
		{"http://h/p?x=y&", "http://h/p?x=y&a=1&b=2"},
		{"http://h/p#f", "http://h/p?a=1&b=2#f"},
		{"http://h/p?x#f?y", "http://h/p?x&a=1&b=2#f?y"},
		{"http://h/p#f?x", "http://h/p?a=1&b=2#f?x"},
		{"", "?a=1&b=2"},
	};
	for (size_t i = 0; i < CT(cases); i++) {
		const struct pm_request *r =
			compose_ok(REQUEST(.url = cases[i].url, PARAMS(plain)));
		cr_assert_str_eq(r->url, cases[i].want);
		compose_fini(&done);
	}
}

Test(compose, params_are_escaped_byte_by_byte, .timeout = 10)
{
	static const struct pm_param odd[] = {
		{"AZaz09-._~", "AZaz09-._~"},
		{"&=?#/", "+%;:@!$'()*,[]"},
		{"a b", "\r\n\t\x01\x7f"},
		{"\xc3\xbc", "\xff"},
		{"", ""},
	};
	const struct pm_request *r =
		compose_ok(REQUEST(.url = "http://h/", PARAMS(odd)));
	cr_assert_str_eq(r->url,
		"http://h/?AZaz09-._~=AZaz09-._~"
		"&%26%3D%3F%23%2F=%2B%25%3B%3A%40%21%24%27%28%29%2A%2C%5B%5D"
		"&a%20b=%0D%0A%09%01%7F"
		"&%C3%BC=%FF"
		"&=");
	compose_fini(&done);
}

/* Every byte comes out as itself or as %XX, and the URL passes the check. */
Test(compose, no_byte_gets_through_that_a_url_does_not_allow, .timeout = 10)
{
	for (int c = 1; c < 256; c++) {
		const char text[] = {(char)c, '\0'};
		const struct pm_param p[] = {{text, text}};
		struct pm_failure f;
		uint32_t hash;
		const struct pm_request *r =
			compose_ok(REQUEST(.url = "http://h/", PARAMS(p)));
		cr_assert_eq(
			url_check(r->url, &hash, &f), 0, "byte %d: %s", c, f.message);
		size_t len = strlen(r->url);
		cr_assert(len == 13 || len == 17, "byte %d: %s", c, r->url);
		compose_fini(&done);
	}
}

Test(compose, long_params_end_as_a_long_url, .timeout = 10)
{
	enum { LONG = 40000 };
	char *text = malloc(LONG + 1);
	memset(text, ' ', LONG);
	text[LONG] = '\0';
	const struct pm_param p[] = {{text, text}, {text, text}, {text, text}};
	struct pm_failure f;
	uint32_t hash;
	const struct pm_request *r = compose_ok(REQUEST(.url = "http://h/", PARAMS(p)));
	cr_assert_eq(url_check(r->url, &hash, &f), PM_EBADURL);
	cr_assert_leq(done.url.len, 300000, "all of %zu bytes", done.url.len);
	compose_fini(&done);
	free(text);
}

/* ----------------------------------------------------------------------- body */

static const char *header_of(const struct pm_request *r, const char *name)
{
	const char *value = NULL;
	for (size_t i = 0; i < r->header_ct; i++) {
		if (strcasecmp(r->headers[i].name, name) == 0) {
			cr_assert_null(value, "%s is there twice", name);
			value = r->headers[i].value;
		}
	}
	return value;
}

Test(compose, json_is_a_body_with_its_type, .timeout = 10)
{
	static const struct pm_header own[] = {
		{"X-A", "1"}, {"content-type", "application/ld+json"}};
	const struct pm_request *r = compose_ok(REQUEST(.json = "{\"a\":\r\n1}"));
	cr_assert_str_eq((const char *)r->body, "{\"a\":\r\n1}");
	cr_assert_eq(r->body_len, 9);
	cr_assert_eq(r->header_ct, 1);
	cr_assert_str_eq(header_of(r, "Content-Type"), "application/json");
	cr_assert_str_eq(request_method(r), "POST");
	compose_fini(&done);
	r = compose_ok(REQUEST(.json = "1", .method = "PUT", HEADERS(own)));
	cr_assert_eq(r->header_ct, 2);
	cr_assert_str_eq(header_of(r, "Content-Type"), "application/ld+json");
	cr_assert_str_eq(request_method(r), "PUT");
	compose_fini(&done);
}

Test(compose, a_form_is_a_body_with_its_type, .timeout = 10)
{
	static const struct pm_param form[] = {
		{"name", "Jo & Co"}, {"text", "a\r\nb+c"}, {"\xc3\xbc", ""}};
	const struct pm_request *r = compose_ok(REQUEST(FORM(form)));
	static const char want[] = "name=Jo+%26+Co&text=a%0D%0Ab%2Bc&%C3%BC=";
	cr_assert_eq(r->body_len, sizeof(want) - 1);
	cr_assert_eq(memcmp(r->body, want, r->body_len), 0);
	cr_assert_str_eq(
		header_of(r, "Content-Type"), "application/x-www-form-urlencoded");
	cr_assert_str_eq(request_method(r), "POST");
	compose_fini(&done);
	r = compose_ok(REQUEST(.form = form));
	cr_assert_eq(r->body_len, 0);
	cr_assert_str_eq(request_method(r), "POST");
	compose_fini(&done);
}

Test(compose, there_is_one_body_at_most, .timeout = 10)
{
	static const char why[] = "more than one";
	expect_refused(REQUEST(.json = "1", .body = "1"), PM_EINVAL, why);
	expect_refused(REQUEST(.json = "1", .body_len = 1), PM_EINVAL, why);
	expect_refused(REQUEST(.json = "1", FORM(plain)), PM_EINVAL, why);
	expect_refused(REQUEST(.body = "", FORM(plain)), PM_EINVAL, why);
	expect_refused(REQUEST(.body = "", .json = "", FORM(plain)), PM_EINVAL, why);
}

Test(compose, what_is_missing_is_noticed, .timeout = 10)
{
	static const struct pm_param no_name[] = {{"a", "1"}, {NULL, "2"}};
	static const struct pm_param no_value[] = {{"a", NULL}};
	static const struct pm_header no_header[] = {{NULL, NULL}};
	expect_refused(REQUEST(PARAMS(no_name)), PM_EINVAL, "params");
	expect_refused(REQUEST(PARAMS(no_value)), PM_EINVAL, "params");
	expect_refused(REQUEST(FORM(no_value)), PM_EINVAL, "form");
	expect_refused(REQUEST(.param_ct = 1), PM_EINVAL, "params is NULL");
	expect_refused(REQUEST(.form_ct = 1), PM_EINVAL, "form is NULL");
	expect_refused(
		REQUEST(.json = "1", .header_ct = 1), PM_EINVAL, "headers is NULL");
	expect_refused(REQUEST(.json = "1", HEADERS(no_header)), PM_EINVAL, "NULL");
}

/* The engine says it. */
Test(compose, a_url_that_is_missing_is_left_to_the_engine, .timeout = 10)
{
	cr_assert_null(compose_ok(REQUEST(PARAMS(plain)))->url);
	compose_fini(&done);
}

Test(compose, only_what_needs_it_is_composed, .timeout = 10)
{
	cr_assert_not(compose_wanted(&REQUEST(.url = "http://a/", .body = "x",
		.body_len = 1, .user = "u", .proxy = "http://p/", .compressed = true)));
	cr_assert(compose_wanted(&REQUEST(PARAMS(plain))));
	cr_assert(compose_wanted(&REQUEST(.param_ct = 1)));
	cr_assert(compose_wanted(&REQUEST(.json = "")));
	cr_assert(compose_wanted(&REQUEST(FORM(plain))));
	cr_assert(compose_wanted(&REQUEST(.form_ct = 1)));
}

/* -------------------------------------------------------------------- sessions */

static pm_session *session(struct pm_session_options options)
{
	pm_session *s = NULL;
	int err = pm_session_new(&s, &options);
	cr_assert_eq(err, 0, "%s", pm_last_error());
	return s;
}

#define SESSION(...) session((struct pm_session_options){__VA_ARGS__})

Test(compose, a_base_url_stands_before_paths_only, .timeout = 10)
{
	static const struct url_case cases[] = {
		{"/", "http://u:p@h:81/api/"},
		{"/x?y#z", "http://u:p@h:81/api/x?y#z"},
		{"//other/x", "http://u:p@h:81/api//other/x"},
		{"http://other/x", "http://other/x"},
		{"x", "x"},
		{"", ""},
	};
	pm_session *s = SESSION(.base_url = "http://u:p@h:81/api/");
	for (size_t i = 0; i < CT(cases); i++) {
		const struct pm_request *r =
			compose_ok(REQUEST(.url = cases[i].url, .session = s));
		cr_assert_str_eq(r->url, cases[i].want);
		compose_fini(&done);
	}
	const struct pm_request *r =
		compose_ok(REQUEST(.url = "/x?y#z", .session = s, PARAMS(plain)));
	cr_assert_str_eq(r->url, "http://u:p@h:81/api/x?y&a=1&b=2#z");
	compose_fini(&done);
	cr_assert_null(compose_ok(REQUEST(.session = s))->url);
	compose_fini(&done);
	pm_session_free(s);
}

Test(compose, headers_of_the_request_go_before, .timeout = 10)
{
	static const struct pm_header common[] = {{"X-A", "session"},
		{"X-B", "session"}, {"Content-Type", "text/plain"}, {"x-a", "again"}};
	static const struct pm_header own[] = {{"x-A", "mine"}, {"X-C", "mine"}};
	pm_session *s = SESSION(HEADERS(common));
	const struct pm_request *r = compose_ok(REQUEST(.session = s, HEADERS(own)));
	cr_assert_eq(r->header_ct, 4);
	cr_assert_str_eq(header_of(r, "X-A"), "mine");
	cr_assert_str_eq(header_of(r, "X-B"), "session");
	cr_assert_str_eq(header_of(r, "X-C"), "mine");
	compose_fini(&done);
	r = compose_ok(REQUEST(.session = s));
	cr_assert_eq(r->header_ct, 4);
	cr_assert_str_eq(header_of(r, "Content-Type"), "text/plain");
	compose_fini(&done);
	r = compose_ok(REQUEST(.session = s, .json = "1"));
	cr_assert_eq(r->header_ct, 4);
	cr_assert_str_eq(header_of(r, "Content-Type"), "application/json");
	compose_fini(&done);
	pm_session_free(s);
}

Test(compose, the_session_says_what_the_request_does_not, .timeout = 10)
{
	pm_session *s = SESSION(.user = "su", .password = "sp", .ca_file = "sc",
		.cert = "sx", .key = "sk", .proxy = "http://s:1", .timeout_ms = 7,
		.local_address = "::1", .compressed = true, .http2 = true);
	const struct pm_request *r = compose_ok(REQUEST(.session = s));
	cr_assert_str_eq(r->user, "su");
	cr_assert_str_eq(r->password, "sp");
	cr_assert_str_eq(r->proxy, "http://s:1");
	cr_assert_str_eq(r->ca_file, "sc");
	cr_assert_str_eq(r->local_address, "::1");
	cr_assert_eq(r->timeout_ms, 7);
	cr_assert_str_eq(r->cert, "sx");
	cr_assert_str_eq(r->key, "sk");
	cr_assert(r->compressed && r->http2);
	compose_fini(&done);
	r = compose_ok(REQUEST(.session = s, .user = "u", .proxy = "http://r:1",
		.ca_file = "rc", .cert = "rx", .timeout_ms = 8, .local_address = "lo"));
	cr_assert_str_eq(r->cert, "rx");
	cr_assert_null(r->key, "the key of another certificate");
	cr_assert_str_eq(r->user, "u");
	cr_assert_null(r->password, "the password of another user");
	cr_assert_str_eq(r->proxy, "http://r:1");
	cr_assert_str_eq(r->ca_file, "rc");
	cr_assert_str_eq(r->local_address, "lo");
	cr_assert_eq(r->timeout_ms, 8);
	compose_fini(&done);
	pm_session_free(s);
}

Test(compose, who_asks_is_said_in_one_way_only, .timeout = 10)
{
	static const struct pm_header token[] = {{"authorization", "Bearer s"}};
	pm_session *s = SESSION(HEADERS(token));
	const struct pm_request *r = compose_ok(REQUEST(.session = s));
	cr_assert_str_eq(header_of(r, "Authorization"), "Bearer s");
	compose_fini(&done);
	r = compose_ok(REQUEST(.session = s, .user = "u"));
	cr_assert_null(header_of(r, "Authorization"));
	compose_fini(&done);
	r = compose_ok(REQUEST(.session = s, .url = "http://u:p@h/"));
	cr_assert_null(header_of(r, "Authorization"));
	compose_fini(&done);
	r = compose_ok(REQUEST(.session = s, .url = "http://h/@?@#@"));
	cr_assert_str_eq(header_of(r, "Authorization"), "Bearer s");
	compose_fini(&done);
	pm_session_free(s);

	s = SESSION(.user = "su", .password = "sp");
	r = compose_ok(REQUEST(.session = s, .url = "http://u:p@h/"));
	cr_assert_null(r->user);
	cr_assert_null(r->password);
	compose_fini(&done);
	pm_session_free(s);
}
