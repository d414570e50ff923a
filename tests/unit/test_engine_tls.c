/* SPDX-License-Identifier: MIT
 *
 * The engine and TLS: whom it trusts, what it shows of itself, what connections
 * and requests share; and HTTP/2, which is spoken over TLS only.
 */
#define wait_for harness_wait_for /* the rig has one of its own */
#include "tests/support/harness.h"
#undef wait_for
#include "tests/unit/engine_rig.h"

#include <sys/resource.h>

static struct origin *origin;
static const char *ca;

static void set_up_tls(void)
{
	set_up();
	origin = origin_start_tls();
	ca = origin_tls_file(origin, "ca.pem");
	open_engine(1);
}

static void tear_down_tls(void)
{
	tear_down();
	origin_stop(origin);
}

TestSuite(engine_tls, .init = set_up_tls, .fini = tear_down_tls, .timeout = 60);

static const char *at(const char *port)
{
	return origin_tls_url(origin, port, "/status/200");
}

/* Each of them on a connection of its own. */
static const struct pm_header close_after = {"Connection", "close"};
#define ALONE .headers = &close_after, .header_ct = 1

static void expect_refused(struct pm_request r, const char *url, const char *words)
{
	struct outcome o;
	fetch(&o, r, url);
	const struct pm_failure *f = &o.result.failure;
	cr_assert_eq(f->error, PM_ETLS, "%s: %d (curl %d '%s')", url, f->error, f->code,
		f->message);
	cr_assert(strstr(f->message, words), "%s: no '%s' in '%s'", url, words,
		f->message);
	cr_assert_eq(o.result.response->status, 0);
	forget(&o);
}

/* ---------------------------------------------------------------------- trust */

Test(engine_tls, a_certificate_of_a_known_authority_is_good, .timeout = 60)
{
	struct outcome o;
	const struct pm_response *r = fetch_ok(&o, REQUEST(.ca_file = ca), at("good"));
	cr_assert_eq(r->status, 200);
	cr_assert_eq(r->http_version, 11);
	cr_assert_gt(r->time_appconnect_us, 0);
	forget(&o);
	fetch_and_forget(REQUEST(.ca_file = ca), at("good"));
	cr_assert_eq(origin_count(origin, "tls"), 1);
}

struct bad {
	const char *port, *words;
};

static const struct bad bads[] = {
	{"wrong-host", "no alternative certificate subject name matches"},
	{"expired", "certificate has expired"},
	{"self-signed", "self-signed certificate"},
	{"unknown-ca", "unable to get local issuer certificate"},
};

Test(engine_tls, a_bad_certificate_fails_with_the_reason, .timeout = 60)
{
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		expect_refused(REQUEST(.ca_file = ca), at(bads[i].port), bads[i].words);
		fetch_and_forget(REQUEST(.ca_file = ca), at("good"));
	}
	expect_refused(NO_REQUEST, at("good"), "unable to get local issuer");
	expect_refused(
		REQUEST(.ca_file = "/no/such/file"), at("good"), "/no/such/file");
	cr_assert_eq(origin_count(origin, "requests"), 4, "a request was sent");
}

/* Nor does its connection, its session or its authority serve one that is not. */
Test(engine_tls, an_insecure_request_accepts_all_for_itself_only, .timeout = 60)
{
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		const char *url = at(bads[i].port);
		fetch_and_forget(REQUEST(.insecure = true), url);
		expect_refused(REQUEST(.ca_file = ca), url, "");
		fetch_and_forget(REQUEST(.insecure = true, ALONE), url);
		expect_refused(REQUEST(.ca_file = ca, ALONE), url, "");
	}
}

Test(engine_tls, what_one_authority_has_vouched_for_is_not_anothers, .timeout = 60)
{
	for (int i = 0; i < 2; i++) {
		fetch_and_forget(REQUEST(.ca_file = ca), at("good"));
		expect_refused(NO_REQUEST, at("good"), "local issuer");
		fetch_and_forget(REQUEST(.ca_file = ca, ALONE), at("good"));
		expect_refused(REQUEST(ALONE), at("good"), "local issuer");
	}
}

/* ----------------------------------------------------------- what is done once */

/* Reading it again costs more than all the rest of a handshake. */
Test(engine_tls, the_authorities_are_read_once, .timeout = 60)
{
	size_t len;
	char *text = read_file(ca, &len);
	const char *copy = temp_file("ca.pem", text, len);
	free(text);
	fetch_and_forget(REQUEST(.ca_file = copy, ALONE), at("good"));
	cr_assert_eq(unlink(copy), 0);
	fetch_and_forget(REQUEST(.ca_file = copy, ALONE), at("good"));
	cr_assert_eq(origin_count(origin, "tls"), 2);
}

Test(engine_tls, sessions_are_resumed, .timeout = 60)
{
	for (int i = 0; i < 10; i++) {
		fetch_and_forget(REQUEST(.ca_file = ca, ALONE), at("good"));
	}
	fetch_and_forget(REQUEST(.ca_file = ca, ALONE), at("no-sessions"));
	fetch_and_forget(REQUEST(.ca_file = ca, ALONE), at("no-sessions"));
	cr_assert_eq(origin_count(origin, "tls"), 12);
	cr_assert_eq(origin_count(origin, "tls_resumed"), 9);
}

/* The first handle is at work when the second one begins. */
Test(engine_tls, sessions_are_resumed_by_other_handles, .timeout = 60)
{
	struct outcome hanging = {0};
	engine_close(engine);
	open_engine(4);
	fetch_and_forget(REQUEST(.ca_file = ca, ALONE), at("good"));
	start(&hanging, NO_REQUEST, "/hang");
	fetch_and_forget(REQUEST(.ca_file = ca, ALONE), at("good"));
	cr_assert_eq(origin_count(origin, "tls"), 2);
	cr_assert_eq(origin_count(origin, "tls_resumed"), 1);
}

/* -------------------------------------------------------- a client's certificate */

#define CLIENT_FILE(name) origin_tls_file(origin, name)

Test(engine_tls, a_client_shows_its_certificate, .timeout = 60)
{
	const char *cert = CLIENT_FILE("client.pem"), *key = CLIENT_FILE("client.key");
	const char *both = CLIENT_FILE("client-both.pem");
	expect_refused(REQUEST(.ca_file = ca), at("client"), "certificate required");
	fetch_and_forget(
		REQUEST(.ca_file = ca, .cert = cert, .key = key), at("client"));
	fetch_and_forget(REQUEST(.ca_file = ca, .cert = both), at("client"));
	expect_refused(REQUEST(.ca_file = ca, .cert = CLIENT_FILE("stranger.pem")),
		at("client"), "alert");
	fetch_and_forget(
		REQUEST(.ca_file = ca, .cert = cert, .key = key, ALONE), at("client"));
	expect_refused(
		REQUEST(.ca_file = ca, ALONE), at("client"), "certificate required");
}

/* The terminal is not asked for a password: the whole worker would wait. */
Test(engine_tls, a_certificate_that_cannot_be_used_is_a_tls_error, .timeout = 60)
{
	const char *cert = CLIENT_FILE("client.pem");
	const char *locked = CLIENT_FILE("client-locked.key");
	expect_refused(REQUEST(.ca_file = ca, .cert = cert, .key = locked),
		at("client"), "key");
	expect_refused(REQUEST(.ca_file = ca, .cert = cert, .key = "/no/key"),
		at("client"), "/no/key");
	expect_refused(
		REQUEST(.ca_file = ca, .cert = "/no/cert"), at("client"), "/no/cert");
	expect_refused(REQUEST(.ca_file = ca, .cert = cert), at("client"), "key");
	fetch_and_forget(REQUEST(.ca_file = ca), at("good"));
}

/* ------------------------------------------------------------------ redirects */

Test(engine_tls, a_redirect_to_plain_http_takes_no_secrets_along, .timeout = 60)
{
	static const struct pm_header secrets[] = {
		{"Cookie", "secret=1"}, {"X-Harmless", "yes"}};
	struct outcome o;
	const char *to = keep_printf(
		"/redirect-to?url=http%%3A//127.0.0.1%%3A%u/echo", origin_port(origin));
	const struct pm_response *r = fetch_ok(&o,
		REQUEST(.ca_file = ca, .user = "jo", .password = "secret",
			.headers = secrets, .header_ct = 2),
		origin_tls_url(origin, "good", to));
	const char *echo = r->body;
	cr_assert_eq(r->redirect_ct, 1);
	cr_assert(strstr(echo, "x-harmless"), "%s", echo);
	cr_assert_null(strstr(echo, "authorization"), "%s", echo);
	cr_assert_null(strstr(echo, "secret"), "%s", echo);
	forget(&o);
}

/* --------------------------------------------------------------------- HTTP/2 */

#define H2 .ca_file = ca, .http2 = true

Test(engine_tls, http2_is_spoken_by_those_who_ask_for_it, .timeout = 60)
{
	struct outcome o;
	for (int i = 0; i < 2; i++) {
		const struct pm_response *r = fetch_ok(&o, REQUEST(H2), at("h2"));
		cr_assert_eq(r->http_version, 20);
		cr_assert_str_eq((const char *)r->body, "http2\n");
		forget(&o);
		cr_assert_eq(fetch_ok(&o, REQUEST(H2), at("good"))->http_version, 11);
		forget(&o);
		cr_assert_eq(fetch_ok(&o, REQUEST(H2), "/ok")->http_version, 11);
		forget(&o);
		cr_assert_eq(
			fetch_ok(&o, REQUEST(.ca_file = ca), at("good"))->http_version,
			11);
		forget(&o);
	}
}

/* The engine is told nothing of HTTP/2 and must not take it. */
Test(engine_tls, a_server_of_http2_hears_http1_from_all_others, .timeout = 60)
{
	struct outcome o;
	fetch(&o, REQUEST(.ca_file = ca), at("h2"));
	cr_assert_eq(o.result.response->http_version, 11);
	forget(&o);
}

Test(engine_tls, streams_share_one_connection, .timeout = 60)
{
	enum { N = 20 };
	struct outcome o[N] = {0};
	engine_close(engine);
	open_engine(N);
	for (int i = 0; i < N; i++) {
		start(&o[i], REQUEST(H2), at("h2"));
	}
	for (int i = 0; i < N; i++) {
		wait_for(&o[i].calls, 1);
		cr_assert_eq(o[i].result.failure.error, 0, "%d: %s", i,
			o[i].result.failure.message);
		cr_assert_eq(o[i].result.response->body_len, 6);
		forget(&o[i]);
	}
	cr_assert_eq(origin_count(origin, "requests"), N);
	cr_assert_eq(origin_count(origin, "tls"), 1);
}

/* It was refused unseen: then even what may do harm is sent again. */
Test(engine_tls, a_refused_stream_is_sent_again_whatever_its_method, .timeout = 60)
{
	struct outcome o;
	const struct pm_response *r = fetch_ok(&o,
		REQUEST(H2, .method = "POST", .body = "data", .body_len = 4,
			.no_resend = true),
		at("h2-refuse"));
	cr_assert_eq(r->resend_ct, 1);
	cr_assert_eq(origin_count(origin, "requests"), 2, "it was not sent again");
	forget(&o);
}

Test(engine_tls, a_stream_that_fails_has_a_class, .timeout = 60)
{
	fetch_and_forget(REQUEST(H2), at("h2-refuse"));
	cr_assert_eq(origin_count(origin, "requests"), 2, "it was not sent again");
	expect_error(REQUEST(H2), at("h2-reset"), PM_ERESET);
	expect_error(REQUEST(H2), at("h2-cut"), PM_ETRUNCATED);
	fetch_and_forget(REQUEST(H2), at("h2"));
}

/* libcurl does not look how far the server got. */
Test(engine_tls, what_a_server_leaves_behind_is_a_reset, .timeout = 60)
{
	expect_error(REQUEST(H2), at("h2-away"), PM_ERESET);
	fetch_and_forget(REQUEST(H2), at("h2-away"));
	cr_assert_eq(origin_count(origin, "requests"), 2);
	cr_assert_eq(origin_count(origin, "tls"), 2);
}

static long peak_kib(void)
{
	struct rusage use;
	cr_assert_eq(getrusage(RUSAGE_SELF, &use), 0);
	return use.ru_maxrss;
}

/* 16 KiB would be 48 MB. */
Test(engine_tls, a_head_is_bounded_when_decompressed, .timeout = 60)
{
	fetch_and_forget(REQUEST(H2), at("h2"));
	long before = peak_kib();
	expect_error(REQUEST(H2), at("h2-bomb"), PM_EHEADERSIZE);
	cr_assert_lt(
		peak_kib() - before, 24 << 10, "%ld KiB more", peak_kib() - before);
	fetch_and_forget(REQUEST(H2), at("h2"));
}
