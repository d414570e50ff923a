/* SPDX-License-Identifier: MIT
 *
 * The engine, and who asks which way: credentials and where they must not go,
 * proxies, cookies.
 */
#include "tests/unit/engine_rig.h"

TestSuite(engine_access, .init = set_up, .fini = tear_down, .timeout = 60);

/* ----------------------------------------------------------------- credentials */

#define AS_JO .user = "jo", .password = "secret"
#define JO_SECRET "\r\nAuthorization: Basic am86c2VjcmV0\r\n"

Test(engine_access, credentials_are_sent_at_once_and_do_not_stay, .timeout = 60)
{
	open_engine(1);
	fetch_and_forget(REQUEST(AS_JO), "/ok");
	expect_seen(JO_SECRET);
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_unseen("Authorization");
	fetch_and_forget(REQUEST(.user = "jo"), "/ok");
	expect_seen("\r\nAuthorization: Basic am86\r\n");
	fetch_and_forget(REQUEST(.user = "", .password = "x"), "/ok");
	expect_seen("\r\nAuthorization: Basic Ong=\r\n");
	cr_assert_eq(server.connections, 1);
}

Test(engine_access, a_user_goes_before_that_of_the_url, .timeout = 60)
{
	char url[128];
	open_engine(1);
	snprintf(url, sizeof(url), "http://other:pass@127.0.0.1:%u/ok", server.port);
	fetch_and_forget(REQUEST(AS_JO), url);
	expect_seen(JO_SECRET);
	fetch_and_forget(REQUEST(.user = "jo"), url);
	expect_seen("\r\nAuthorization: Basic am86\r\n");
}

Test(engine_access, refused_credentials_are_a_response, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r = fetch_ok(&o, REQUEST(AS_JO), "/401");
	cr_assert_eq(r->status, 401);
	cr_assert_str_eq((const char *)r->body, "who?");
	cr_assert_eq(server.seen_ct, 1, "%u requests", server.seen_ct);
	forget(&o);
}

static const struct pm_header secrets[] = {
	{"Authorization", "Bearer secret"}, {"Cookie", "secret=1"}, {"X-Plain", "p"}};

struct there {
	const char *host;
	bool second; /* of the two ports */
	bool same;   /* the same origin */
};

/* What a header of the caller's says is kept back just like credentials. */
Test(engine_access, secrets_do_not_follow_a_redirect_to_another_origin, .timeout = 60)
{
	static const struct there cases[] = {
		{"127.0.0.1", false, true},
		{"127.0.0.1", true, false},
		{"localhost", false, false},
		{"localhost", true, false},
	};
	open_engine(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct there *c = &cases[i];
		lead_there(302, c->host, c->second ? server.second_port : server.port);
		fetch_and_forget(REQUEST(AS_JO), "/to-there");
		cr_assert_eq(strstr(last_seen(), JO_SECRET) != NULL, c->same,
			"case %zu: %s", i, last_seen());
		fetch_and_forget(
			REQUEST(.headers = secrets, .header_ct = 3), "/to-there");
		expect_seen("X-Plain");
		cr_assert_eq(strstr(last_seen(), "Bearer secret") != NULL, c->same,
			"case %zu: %s", i, last_seen());
		cr_assert_eq(strstr(last_seen(), "secret=1") != NULL, c->same,
			"case %zu: %s", i, last_seen());
	}
}

Test(engine_access, credentials_of_a_url_do_not_follow_either, .timeout = 60)
{
	char url[128];
	open_engine(1);
	lead_there(307, "127.0.0.1", server.second_port);
	snprintf(url, sizeof(url), "http://jo:secret@127.0.0.1:%u/to-there",
		server.port);
	fetch_and_forget(NO_REQUEST, url);
	expect_unseen("Authorization");
	cr_assert(strstr(server.seen[0], JO_SECRET), "%s", server.seen[0]);
}

/* --------------------------------------------------------------------- proxies */

static const char *proxy_url(const char *before)
{
	static char url[128];
	snprintf(url, sizeof(url), "%s127.0.0.1:%u", before, server.port);
	return url;
}

Test(engine_access, a_proxy_gets_the_whole_url, .timeout = 60)
{
	open_engine(1);
	fetch_and_forget(REQUEST(.proxy = proxy_url("http://")), "http://no.test/ok?x");
	expect_seen("GET http://no.test/ok?x HTTP/1.1\r\n");
	expect_seen("\r\nHost: no.test\r\n");
	expect_unseen("Proxy-Authorization");
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_seen("GET /ok HTTP/1.1\r\n");
}

Test(engine_access, a_proxy_gets_its_own_credentials_and_keeps_them_to_itself,
	.timeout = 60)
{
	open_engine(1);
	fetch_and_forget(REQUEST(AS_JO, .proxy = proxy_url("http://me:p%40ss@")),
		"http://no.test/ok");
	expect_seen("\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n");
	expect_seen(JO_SECRET);
	fetch_and_forget(REQUEST(.proxy = proxy_url("http://")), "http://no.test/ok");
	expect_unseen("Authorization");
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_unseen("Authorization");
}

/* no_proxy is not for proxies that a request names. */
Test(engine_access, the_environment_does_not_undo_a_proxy, .timeout = 60)
{
	setenv("no_proxy", "*", 1);
	setenv("NO_PROXY", "no.test", 1);
	open_engine(1);
	fetch_and_forget(REQUEST(.proxy = proxy_url("http://")), "http://no.test/ok");
	expect_seen("GET http://no.test/ok HTTP/1.1\r\n");
}

/* Asked for, it counts; and no longer than it is asked for. */
Test(engine_access, the_environments_proxy_is_for_those_who_ask, .timeout = 60)
{
	setenv("http_proxy", proxy_url("http://"), 1);
	setenv("no_proxy", "127.0.0.1", 1);
	open_engine(1);
	for (int i = 0; i < 2; i++) {
		fetch_and_forget(REQUEST(.proxy = "env"), "http://no.test/ok");
		expect_seen("GET http://no.test/ok HTTP/1.1\r\n");
		fetch_and_forget(REQUEST(.proxy = "env"), "/ok");
		expect_seen("GET /ok HTTP/1.1\r\n");
		setenv("no_proxy", "*", 1);
		fetch_and_forget(
			REQUEST(.proxy = proxy_url("http://")), "http://no.test/ok");
		expect_seen("GET http://no.test/ok HTTP/1.1\r\n");
		unsetenv("no_proxy");
		fetch_and_forget(NO_REQUEST, "/ok");
		expect_seen("GET /ok HTTP/1.1\r\n");
		setenv("no_proxy", "127.0.0.1", 1);
	}
}

Test(engine_access, secrets_do_not_follow_a_redirect_behind_a_proxy, .timeout = 60)
{
	open_engine(1);
	lead_there(302, "other.test", 80);
	fetch_and_forget(REQUEST(AS_JO, .proxy = proxy_url("http://")),
		"http://no.test/to-there");
	expect_seen("GET http://other.test/ok HTTP/1.1\r\n");
	expect_unseen("Authorization");
	lead_there(302, "no.test", 8080);
	fetch_and_forget(REQUEST(AS_JO, .proxy = proxy_url("http://")),
		"http://no.test/to-there");
	expect_seen("GET http://no.test:8080/ok HTTP/1.1\r\n");
	expect_unseen("Authorization");
}

static unsigned watched(void)
{
	unsigned ct = 0;
	for (size_t i = 0; i < engine->watch_cap; i++) {
		ct += engine->watch_at[i] != NULL;
	}
	return ct;
}

/* A socket that libcurl has closed must not stay in the loop: its number will
 * be another one's soon. */
static void expect_unwatched(void)
{
	cr_assert_eq(watched(), 0, "%u sockets are still watched", watched());
}

static void expect_failure(struct pm_request r, const char *url, int error)
{
	struct outcome o;
	fetch(&o, r, url);
	cr_assert_eq(o.result.failure.error, error, "%s: %d %s", url,
		o.result.failure.error, o.result.failure.message);
	cr_assert_null(strstr(o.result.failure.message, "secret"), "%s",
		o.result.failure.message);
	cr_assert_eq(o.result.response->status, 0, "%d", o.result.response->status);
	cr_assert_eq(o.result.response->header_ct, 0);
	forget(&o);
}

Test(engine_access, https_goes_through_a_tunnel_or_not_at_all, .timeout = 60)
{
	const char *proxy = proxy_url("http://me:secret@");
	open_engine(1);
	expect_failure(
		REQUEST(AS_JO, .proxy = proxy), "https://closed.test/", PM_ECONNECT);
	expect_seen("CONNECT closed.test:443 HTTP/1.1\r\n");
	expect_seen("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n");
	expect_unseen("\r\nAuthorization");
	expect_unwatched();
	expect_failure(REQUEST(.proxy = proxy, .headers = secrets, .header_ct = 3),
		"https://tunnel.test/", PM_ETLS);
	expect_seen("CONNECT tunnel.test:443 HTTP/1.1\r\n");
	expect_unseen("X-Plain");
	expect_unwatched();
}

Test(engine_access, a_failed_handshake_leaves_nothing_in_the_loop, .timeout = 60)
{
	char url[64];
	open_engine(1);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", server.port);
	expect_failure(NO_REQUEST, url, PM_ETLS);
	expect_unwatched();
	fetch_and_forget(NO_REQUEST, "/ok");
	cr_assert_eq(watched(), 1, "a kept connection is watched");
}

Test(engine_access, a_proxy_that_cannot_be_reached_says_so, .timeout = 60)
{
	open_engine(1);
	expect_failure(REQUEST(.proxy = "http://me:secret@127.0.0.1:1/"),
		"http://no.test/", PM_ECONNECT);
	expect_failure(REQUEST(.proxy = "socks5h://me:secret@proxy.invalid:1/"),
		"http://no.test/", PM_EDNS);
	expect_unwatched();
}

Test(engine_access, socks_resolves_names_there_or_here, .timeout = 60)
{
	char url[64];
	open_engine(1);
	fetch_and_forget(
		REQUEST(.proxy = proxy_url("socks5h://")), "http://no.test/ok");
	cr_assert_str_eq(server.socks.host, "no.test");
	expect_seen("GET /ok HTTP/1.1\r\n");
	snprintf(url, sizeof(url), "http://localhost:%u/ok", server.port);
	server.socks.host[0] = 'x';
	fetch_and_forget(REQUEST(.proxy = proxy_url("socks5://")), url);
	cr_assert_eq(server.socks.requests, 2);
	cr_assert_str_eq(server.socks.host, "");
	fetch_and_forget(NO_REQUEST, "/ok");
	cr_assert_eq(server.socks.requests, 2, "a direct request goes to the proxy");
}

Test(engine_access, socks_takes_a_login, .timeout = 60)
{
	open_engine(1);
	fetch_and_forget(REQUEST(.proxy = proxy_url("socks5h://me:p%40ss@")),
		"http://no.test/ok");
	cr_assert_str_eq(server.socks.login, "me:p@ss");
	/* A connection that was made for one user is not for another one. */
	fetch_and_forget(
		REQUEST(.proxy = proxy_url("socks5h://you:p@")), "http://no.test/ok");
	cr_assert_str_eq(server.socks.login, "you:p");
}

Test(engine_access, socks_may_refuse, .timeout = 60)
{
	open_engine(1);
	server.socks.answer = 5;
	expect_failure(REQUEST(.proxy = proxy_url("socks5h://me:secret@")),
		"http://no.test/", PM_ECONNECT);
	expect_unwatched();
	server.socks.answer = 0;
	fetch_and_forget(
		REQUEST(.proxy = proxy_url("socks5h://")), "http://no.test/ok");
}

Test(engine_access, a_handshake_that_does_not_end_leaves_nothing_in_the_loop,
	.timeout = 60)
{
	struct outcome o = {0};
	open_engine(1);
	server.socks.silent = true;
	expect_failure(REQUEST(.proxy = proxy_url("socks5h://"), .timeout_ms = 100),
		"http://no.test/", PM_ETIMEDOUT);
	expect_unwatched();
	expect_failure(REQUEST(.proxy = proxy_url("http://"), .timeout_ms = 100),
		"https://hang.test/", PM_ETIMEDOUT);
	expect_unwatched();
	server.socks.requests = 0;
	start(&o, REQUEST(.proxy = proxy_url("socks5h://")), "http://no.test/");
	wait_for(&server.socks.requests, 1);
	engine_cancel(o.transfer);
	expect_unwatched();
	forget_seen();
	start(&o, REQUEST(.proxy = proxy_url("http://")), "https://hang.test/");
	wait_for(&server.seen_ct, 1);
	engine_cancel(o.transfer);
	expect_unwatched();
	fetch_and_forget(NO_REQUEST, "/ok");
}

/* --------------------------------------------------------------------- cookies */

static pm_session *session_with_cookies(void)
{
	pm_session *s = NULL;
	struct pm_session_options options = {.cookies = true};
	cr_assert_eq(pm_session_new(&s, &options), 0);
	return s;
}

Test(engine_access, a_session_sends_the_cookies_that_it_got, .timeout = 60)
{
	open_engine(1);
	pm_session *s = session_with_cookies();
	struct pm_request r = {.session = s};
	fetch_and_forget(r, "/ok");
	expect_unseen("Cookie");
	fetch_and_forget(r, "/cookie");
	fetch_and_forget(r, "/ok");
	expect_seen("\r\nCookie: a=1\r\n");
	fetch_and_forget(r, "/cookie");
	expect_seen("deep=2");
	fetch_and_forget(r, "/cookie-hop");
	expect_seen("GET /ok ");
	expect_seen("a=1");
	expect_seen("hop=3");
	fetch_and_forget(r, "/cookie-end");
	fetch_and_forget(r, "/ok");
	expect_unseen("a=1");
	expect_seen("\r\nCookie: hop=3\r\n");
	pm_session_free(s);
}

Test(engine_access, cookies_are_seen_by_their_session_only, .timeout = 60)
{
	open_engine(1);
	pm_session *one = session_with_cookies(), *two = session_with_cookies();
	for (int i = 0; i < 2; i++) {
		fetch_and_forget(REQUEST(.session = one), "/cookie");
		fetch_and_forget(NO_REQUEST, "/ok");
		expect_unseen("Cookie");
		fetch_and_forget(REQUEST(.session = two), "/ok");
		expect_unseen("Cookie");
	}
	fetch_and_forget(NO_REQUEST, "/cookie");
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_unseen("Cookie");
	pm_session_free(one);
	fetch_and_forget(NO_REQUEST, "/ok");
	expect_unseen("Cookie");
	fetch_and_forget(REQUEST(.session = two), "/cookie");
	fetch_and_forget(REQUEST(.session = two), "/ok");
	expect_seen("a=1");
	pm_session_free(two);
}

Test(engine_access, cookies_do_not_follow_to_another_host, .timeout = 60)
{
	open_engine(1);
	pm_session *s = session_with_cookies();
	fetch_and_forget(REQUEST(.session = s), "/cookie");
	lead_there(302, "localhost", server.port);
	fetch_and_forget(REQUEST(.session = s), "/to-there");
	expect_unseen("Cookie");
	pm_session_free(s);
}

Test(engine_access, a_cookie_header_stands_alone, .timeout = 60)
{
	static const struct pm_header own = {"cookie", "mine=1"};
	open_engine(1);
	pm_session *s = session_with_cookies();
	fetch_and_forget(REQUEST(.session = s), "/cookie");
	fetch_and_forget(REQUEST(.session = s, .headers = &own, .header_ct = 1), "/ok");
	expect_seen("\r\ncookie: mine=1\r\n");
	expect_unseen("a=1");
	fetch_and_forget(REQUEST(.session = s), "/ok");
	expect_seen("\r\nCookie: a=1\r\n");
	pm_session_free(s);
}

/* Handles that ran for it are idle, closed with the engine, or still at it. */
Test(engine_access, a_jar_outlives_the_engine, .timeout = 60)
{
	struct outcome hanging = {0};
	open_engine(4);
	pm_session *s = session_with_cookies();
	fetch_and_forget(REQUEST(.session = s), "/cookie");
	start(&hanging, REQUEST(.session = s), "/hang");
	wait_for(&server.seen_ct, 2);
	engine_close(engine);
	open_engine(1);
	fetch_and_forget(REQUEST(.session = s), "/ok");
	expect_seen("a=1");
	pm_session_free(s);
	fetch_and_forget(NO_REQUEST, "/ok");
}
