/* SPDX-License-Identifier: MIT
 *
 * The engine and servers that mean well: what it sends, what it makes of the
 * answers, and what a handle must not remember from one request to the next.
 */
#include "tests/unit/engine_rig.h"

TestSuite(engine, .init = set_up, .fini = tear_down, .timeout = 60);

/* ----------------------------------------------------------------- good answers */

Test(engine, delivers_a_response_with_its_facts, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r = fetch_ok(&o, NO_REQUEST, "/ok?x=1");
	cr_assert_eq(r->status, 200);
	cr_assert_eq(r->http_version, 11);
	cr_assert_str_eq(r->url_effective, url_of("/ok?x=1"));
	cr_assert_str_eq(r->content_type, "text/plain");
	cr_assert_str_eq(r->remote_ip, "127.0.0.1");
	cr_assert_eq(r->body_len, 5);
	cr_assert_str_eq((const char *)r->body, "hello");
	cr_assert_eq(r->size_download, 5);
	cr_assert_eq(r->redirect_ct, 0);
	cr_assert_str_eq(header(r, "x-one"), "1");
	cr_assert_eq(r->header_ct, 3);
	cr_assert_leq(r->time_starttransfer_us, r->time_total_us);
	cr_assert_gt(r->time_total_us, 0);
	forget(&o);
}

Test(engine, any_status_is_a_success, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	cr_assert_eq(fetch_ok(&o, NO_REQUEST, "/404")->status, 404);
	cr_assert_str_eq((const char *)o.result.response->body, "no");
	forget(&o);
	const struct pm_response *r = fetch_ok(&o, NO_REQUEST, "/empty");
	cr_assert_eq(r->status, 204);
	cr_assert_eq(r->body_len, 0);
	cr_assert_str_eq((const char *)r->body, "");
	cr_assert_str_eq(r->content_type, "");
	forget(&o);
}

Test(engine, old_http_and_odd_bodies_arrive, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r = fetch_ok(&o, NO_REQUEST, "/ok0");
	cr_assert_eq(r->http_version, 10);
	cr_assert_str_eq((const char *)r->body, "old");
	forget(&o);
	r = fetch_ok(&o, NO_REQUEST, "/nul");
	cr_assert_eq(r->body_len, 3);
	cr_assert_eq(memcmp(r->body, "a\0b", 4), 0);
	forget(&o);
	cr_assert_str_eq((const char *)fetch_ok(&o, NO_REQUEST, "/gzip")->body, "raw");
	expect_unseen("Accept-Encoding");
	forget(&o);
}

Test(engine, trailers_are_no_headers, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r = fetch_ok(&o, NO_REQUEST, "/chunked");
	cr_assert_str_eq((const char *)r->body, "abcde");
	cr_assert_str_eq(header(r, "x-a"), "b");
	cr_assert_null(header(r, "x-trailer"));
	forget(&o);
}

Test(engine, headers_keep_their_order_and_repetitions, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r = fetch_ok(&o, NO_REQUEST, "/headers");
	cr_assert_eq(r->header_ct, 5, "%zu", r->header_ct);
	cr_assert_str_eq(r->headers[0].name, "set-cookie");
	cr_assert_str_eq(r->headers[0].value, "a=1");
	cr_assert_str_eq(r->headers[1].value, "b=2");
	cr_assert_str_eq(header(r, "x-empty"), "");
	cr_assert_str_eq(header(r, "x-fold"), "one two");
	cr_assert_null(header(r, "x-early"));
	forget(&o);
}

Test(engine, headers_are_left_out_on_request, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	for (int i = 0; i < 4; i++) {
		bool none = i % 2;
		const struct pm_response *r =
			fetch_ok(&o, REQUEST(.no_headers = none), "/ok");
		cr_assert_eq(r->header_ct, none ? 0 : 3, "round %d", i);
		cr_assert_str_eq((const char *)r->body, "hello", "round %d", i);
		forget(&o);
	}
}

Test(engine, a_discarded_body_is_counted, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r =
		fetch_ok(&o, REQUEST(.discard_body = true), "/ok");
	cr_assert_eq(r->size_download, 5);
	cr_assert_str_eq((const char *)r->body, "");
	forget(&o);
	expect_error(REQUEST(.discard_body = true, .max_body = 4), "/ok", PM_EBODYSIZE);
	cr_assert_str_eq((const char *)fetch_ok(&o, NO_REQUEST, "/ok")->body, "hello");
	forget(&o);
}

Test(engine, a_connection_serves_one_fetch_after_the_other, .timeout = 60)
{
	open_engine(4);
	for (int i = 0; i < 5; i++) {
		fetch_and_forget(NO_REQUEST, "/ok");
	}
	cr_assert_eq(server.connections, 1, "%u connections", server.connections);
}

/* -------------------------------------------------------------- what is sent */

Test(engine, names_itself_unless_the_request_does, .timeout = 60)
{
	static const struct pm_header own[] = {{"user-agent", "mine"}};
	open_engine(1);
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_seen("User-Agent: poolmap/" PM_VERSION "\r\n");
	expect_seen("GET /ok HTTP/1.1\r\n");
	fetch_and_forget(REQUEST(.headers = own, .header_ct = 1), "/ok");
	expect_seen("user-agent: mine\r\n");
	expect_unseen("poolmap");
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_seen("User-Agent: poolmap/" PM_VERSION "\r\n");
	expect_unseen("mine");
}

Test(engine, headers_arrive_as_given_also_empty_ones, .timeout = 60)
{
	static const struct pm_header given[] = {{"X-A", "  b\tc "}, {"X-Empty", ""},
		{"X-Blank", " \t"}, {"Accept", ""}, {"Authorization", "secret"}};
	open_engine(1);
	fetch_and_forget(REQUEST(.headers = given, .header_ct = 5), "/ok");
	expect_seen("\r\nX-A: b\tc\r\n");
	expect_seen("\r\nX-Empty:\r\n");
	expect_seen("\r\nX-Blank:\r\n");
	expect_seen("\r\nAccept:\r\n");
	expect_seen("\r\nAuthorization: secret\r\n");
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_unseen("X-A");
	expect_unseen("secret");
	expect_seen("\r\nAccept: */*\r\n");
}

Test(engine, a_body_makes_a_post_and_leaves_nothing_behind, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r =
		fetch_ok(&o, REQUEST(.body = "a=b", .body_len = 3), "/ok");
	cr_assert_eq(r->size_upload, 3);
	forget(&o);
	expect_seen("POST /ok HTTP/1.1\r\n");
	expect_seen("\r\nContent-Length: 3\r\n");
	expect_seen("\r\n\r\na=b");
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_seen("GET /ok HTTP/1.1\r\n");
	expect_unseen("Content-");
	cr_assert_str_eq(strstr(last_seen(), "\r\n\r\n"), "\r\n\r\n");
}

Test(engine, the_caller_may_free_the_request_at_once, .timeout = 60)
{
	struct outcome o = {.stop_loop = true};
	open_engine(1);
	char *body = strdup("gone"), *name = strdup("X-Gone"), *value = strdup("v");
	struct pm_header h = {name, value};
	start(&o, REQUEST(.body = body, .body_len = 4, .headers = &h, .header_ct = 1),
		"/ok");
	memset(body, '#', 4);
	free(body);
	free(name);
	free(value);
	event_base_dispatch(base);
	cr_assert_eq(o.result.failure.error, 0, "%s", o.result.failure.message);
	expect_seen("\r\nX-Gone: v\r\n");
	expect_seen("\r\n\r\ngone");
	forget(&o);
}

Test(engine, a_body_may_be_large_and_is_sent_without_waiting, .timeout = 60)
{
	enum { LARGE = 3 << 20 };
	struct outcome o;
	open_engine(1);
	char *body = malloc(LARGE);
	memset(body, 'x', LARGE);
	const struct pm_response *r =
		fetch_ok(&o, REQUEST(.body = body, .body_len = LARGE), "/ok");
	cr_assert_eq(r->size_upload, LARGE);
	expect_unseen("Expect:");
	cr_assert_eq(strlen(strstr(last_seen(), "\r\n\r\n")), LARGE + 4);
	forget(&o);
	free(body);
}

Test(engine, an_empty_post_says_so, .timeout = 60)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH"};
	open_engine(1);
	for (int i = 0; i < 3; i++) {
		fetch_and_forget(REQUEST(.method = methods[i]), "/ok");
		cr_assert_eq(strncmp(last_seen(), methods[i], strlen(methods[i])), 0,
			"%s: %s", methods[i], last_seen());
		expect_seen("\r\nContent-Length: 0\r\n");
		expect_unseen("Content-Type");
	}
	fetch_and_forget(REQUEST(.body = "", .body_len = 0), "/ok");
	expect_seen("POST /ok HTTP/1.1\r\n");
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_seen("GET /ok HTTP/1.1\r\n");
	expect_unseen("Content-Length");
}

struct step {
	const char *method, *path, *body;
};

/* Every order of verbs on one handle. */
Test(engine, no_method_leaks_into_the_next_request, .timeout = 60)
{
	static const struct step steps[] = {
		{"GET", "/ok", NULL},
		{"HEAD", "/head", NULL},
		{"HEAD", "/head", ""},
		{"POST", "/ok", "post"},
		{"PUT", "/ok", "put"},
		{"DELETE", "/ok", NULL},
		{"GET", "/ok", "get"},
		{"OPTIONS", "/ok", "options"},
		{"get", "/ok", NULL},
	};
	enum { N = sizeof(steps) / sizeof(steps[0]) };
	open_engine(1);
	for (int i = 0; i < N * N; i++) {
		const struct step *pair[] = {&steps[i / N], &steps[i % N]};
		for (int k = 0; k < 2; k++) {
			const struct step *s = pair[k];
			char line[64];
			struct outcome o;
			size_t body_len = s->body ? strlen(s->body) : 0;
			const struct pm_response *r = fetch_ok(&o,
				REQUEST(.method = s->method, .body = s->body,
					.body_len = body_len),
				s->path);
			snprintf(line, sizeof(line), "%s %s HTTP/1.1\r\n", s->method,
				s->path);
			cr_assert_eq(strncmp(last_seen(), line, strlen(line)), 0,
				"pair %d, part %d: %s", i, k, last_seen());
			cr_assert_str_eq(strstr(last_seen(), "\r\n\r\n") + 4,
				s->body ? s->body : "", "pair %d, part %d", i, k);
			cr_assert_eq(r->body_len, s->path[1] == 'h' ? 0 : 5,
				"pair %d, part %d: %zu", i, k, r->body_len);
			forget(&o);
			forget_seen();
		}
	}
	cr_assert_eq(server.connections, 1, "%u connections", server.connections);
}

Test(engine, credentials_of_a_url_do_not_stay, .timeout = 60)
{
	char url[128];
	open_engine(1);
	snprintf(url, sizeof(url), "http://user:pass@127.0.0.1:%u/ok", server.port);
	fetch_and_forget(NO_REQUEST, url);
	expect_seen("Authorization: Basic dXNlcjpwYXNz");
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_unseen("Authorization");
}

Test(engine, a_proxy_of_the_environment_is_not_used, .timeout = 60)
{
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	open_engine(1);
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_seen("GET /ok HTTP/1.1\r\n");
}

/* --------------------------------------------------------------------- redirects */

Test(engine, a_redirect_is_followed_unless_it_is_the_response, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r = fetch_ok(&o, NO_REQUEST, "/to-ok");
	cr_assert_eq(r->status, 200);
	cr_assert_eq(r->redirect_ct, 1);
	cr_assert_str_eq(r->url_effective, url_of("/ok"));
	cr_assert_null(header(r, "x-hop"));
	cr_assert_str_eq((const char *)r->body, "hello");
	forget(&o);
	r = fetch_ok(&o, REQUEST(.no_follow = true), "/to-ok");
	cr_assert_eq(r->status, 302);
	cr_assert_str_eq((const char *)r->body, "skip");
	cr_assert_str_eq(header(r, "location"), "/ok");
	forget(&o);
	cr_assert_eq(fetch_ok(&o, NO_REQUEST, "/to-ok")->status, 200);
	forget(&o);
}

Test(engine, redirects_are_counted_against_the_limit, .timeout = 60)
{
	open_engine(1);
	expect_error(REQUEST(.max_redirects = 1), "/two-hops", PM_EREDIRECTS);
	expect_error(
		REQUEST(.max_redirects = PM_NO_REDIRECTS), "/two-hops", PM_EREDIRECTS);
	fetch_and_forget(NO_REQUEST, "/two-hops");
	expect_error(NO_REQUEST, "/loop", PM_EREDIRECTS);
	cr_assert_eq(server.seen_ct, 2 + 1 + 3 + 11, "%u requests", server.seen_ct);
}

struct redirect {
	const char *method, *path, *then;
	bool body_again;
};

Test(engine, a_redirect_changes_the_method_as_http_says, .timeout = 60)
{
	static const struct redirect cases[] = {
		{"POST", "/301", "GET", false},
		{"POST", "/302", "GET", false},
		{"POST", "/303", "GET", false},
		{"POST", "/307", "POST", true},
		{"PUT", "/301", "PUT", true},
		{"PUT", "/302", "PUT", true},
		{"PUT", "/303", "GET", false},
		{"PUT", "/307", "PUT", true},
	};
	open_engine(1);
	for (int i = 0; i < 16; i++) {
		/* The second round without response headers. */
		const struct redirect *c = &cases[i % 8];
		char line[64];
		fetch_and_forget(REQUEST(.method = c->method, .body = "data",
					 .body_len = 4, .no_headers = i >= 8),
			c->path);
		snprintf(line, sizeof(line), "%s /ok HTTP/1.1\r\n", c->then);
		cr_assert_eq(strncmp(last_seen(), line, strlen(line)), 0, "%s %s: %s",
			c->method, c->path, last_seen());
		cr_assert_str_eq(strstr(last_seen(), "\r\n\r\n") + 4,
			c->body_again ? "data" : "", "%s %s", c->method, c->path);
	}
	fetch_and_forget(REQUEST(.method = "DELETE"), "/303");
	expect_seen("GET /ok ");
	fetch_and_forget(REQUEST(.method = "DELETE"), "/302");
	expect_seen("DELETE /ok ");
	fetch_and_forget(REQUEST(.method = "HEAD"), "/303");
	expect_seen("HEAD /ok ");
}

Test(engine, retry_after_is_kept_in_any_case, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r =
		fetch_ok(&o, REQUEST(.no_headers = true), "/retry");
	cr_assert_eq(r->header_ct, 1);
	cr_assert_str_eq(header(r, "retry-after"), "7");
	forget(&o);
	r = fetch_ok(&o, NO_REQUEST, "/retry");
	cr_assert_eq(r->header_ct, 4);
	cr_assert_str_eq(header(r, "retry-after"), "7");
	cr_assert_str_eq(header(r, "x-two"), "2 2b");
	forget(&o);
	r = fetch_ok(&o, REQUEST(.no_headers = true), "/retry-hop");
	cr_assert_eq(r->header_ct, 0, "that of a redirect is none of its target");
	forget(&o);
}
