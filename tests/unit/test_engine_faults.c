/* SPDX-License-Identifier: MIT
 *
 * The engine and everything that goes wrong: hostile servers, dead ones, bad
 * requests, cancellation and closing.
 */
#include "common/clock.h"
#include "tests/unit/engine_rig.h"

#include <sys/resource.h>

TestSuite(engine_faults, .init = set_up, .fini = tear_down, .timeout = 60);

/* --------------------------------------------------------------- hostile answers */

struct hostile {
	const char *path;
	int error;
};

Test(engine_faults, hostile_answers_have_one_class_each, .timeout = 60)
{
	static const struct hostile cases[] = {
		{"/nothing", PM_ERESET},
		{"/nothing-but-100", PM_ETRUNCATED},
		{"/cut-status-line", PM_ERESET},
		{"/to-nothing", PM_ERESET},
		{"/garbage", PM_EBADRESPONSE},
		{"/version", PM_EBADRESPONSE},
		{"/code", PM_EBADRESPONSE},
		{"/half-head", PM_ETRUNCATED},
		{"/half-line", PM_ETRUNCATED},
		{"/many-folds", PM_EHEADERSIZE},
		{"/bad-trailer", PM_EBADRESPONSE},
		{"/trailer-as-head", PM_ETRUNCATED},
		{"/many-trailers", PM_EHEADERSIZE},
		{"/many-trailers-as-head", PM_EHEADERSIZE},
		{"/short", PM_ETRUNCATED},
		{"/short-chunk", PM_ETRUNCATED},
		{"/reset", PM_ERESET},
		{"/reset-at-once", PM_ERESET},
		{"/bad-chunk", PM_EBADRESPONSE},
		{"/huge-chunk", PM_EBADRESPONSE},
		{"/negative", PM_EBADRESPONSE},
		{"/nul-header", PM_EBADRESPONSE},
		{"/two-lengths", PM_EBADRESPONSE},
		{"/length-and-chunks", PM_EBADRESPONSE},
		{"/chunks-and-length", PM_EBADRESPONSE},
		{"/huge-length", PM_EBADRESPONSE},
		{"/two-lengths-hop", PM_EBADRESPONSE},
		{"/many-headers", PM_EHEADERSIZE},
		{"/long-header", PM_EHEADERSIZE},
		{"/many-100", PM_EHEADERSIZE},
		{"/long-trailer", PM_EHEADERSIZE},
		{"/endless", PM_EBODYSIZE},
		{"/announced", PM_EBODYSIZE},
		{"/to-file", PM_ESCHEME},
		{"/to-ftp", PM_ESCHEME},
	};
	open_engine(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect_error(
			REQUEST(.max_body = 100000), cases[i].path, cases[i].error);
		fetch_and_forget(NO_REQUEST, "/ok");
	}
}

/* libcurl would say in its own words that the kept connection broke. */
Test(engine_faults, a_connection_that_broke_before_changes_no_class, .timeout = 60)
{
	static const struct hostile cases[] = {
		{"/bad-chunk", PM_EBADRESPONSE},
		{"/garbage", PM_EBADRESPONSE},
		{"/many-headers", PM_EHEADERSIZE},
		{"/long-header", PM_EHEADERSIZE},
		{"/nothing", PM_ERESET},
		{"/short", PM_ETRUNCATED},
		{"/ok", 0},
	};
	open_engine(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o;
		fetch_and_forget(NO_REQUEST, "/ok");
		server.resets = 1;
		fetch(&o, NO_REQUEST, cases[i].path);
		cr_assert_eq(server.resets, 0, "%s: no kept connection", cases[i].path);
		cr_assert_eq(o.result.failure.error, cases[i].error, "%s: %s",
			cases[i].path, o.result.failure.message);
		cr_assert_null(strstr(o.result.failure.message, "Recv failure"));
		forget(&o);
		fetch_and_forget(NO_REQUEST, "/close");
	}
}

/* Each of these heads is well below what libcurl takes. */
Test(engine_faults, heads_are_counted_through_all_redirects, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	fetch(&o, REQUEST(.max_redirects = 20), "/large-hop");
	cr_assert_eq(
		o.result.failure.error, PM_EHEADERSIZE, "%s", o.result.failure.message);
	cr_assert_str_eq(o.result.failure.message,
		"the response has heads of more than 256 KiB");
	forget(&o);
	fetch(&o, REQUEST(.max_redirects = 10), "/large-hop");
	cr_assert_eq(o.result.failure.error, PM_EREDIRECTS);
	forget(&o);
	fetch_and_forget(NO_REQUEST, "/ok");
}

/* The connection ends with it: nobody knows where the next response would begin. */
Test(engine_faults, a_length_in_doubt_is_said_and_ends_the_connection, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	for (int no_headers = 0; no_headers < 2; no_headers++) {
		unsigned ended = server.ended;
		fetch(&o, REQUEST(.no_headers = no_headers), "/two-lengths");
		cr_assert_eq(o.result.failure.error, PM_EBADRESPONSE);
		cr_assert_str_eq(o.result.failure.message,
			"the response has several Content-Lengths that differ");
		cr_assert_eq(o.result.response->status, 200);
		forget(&o);
		wait_for(&server.ended, ended + 1);
	}
}

Test(engine_faults, a_length_that_nobody_needs_may_be_in_doubt, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	cr_assert_eq(fetch_ok(&o, NO_REQUEST, "/same-lengths")->body_len, 5);
	forget(&o);
	fetch_and_forget(NO_REQUEST, "/two-lengths-no-body");
	cr_assert_eq(server.connections, 1);
}

Test(engine_faults, a_stall_ends_a_fetch, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	expect_error(REQUEST(.stall_timeout_ms = 700), "/hang-in-body", PM_ESTALLED);
	expect_error(REQUEST(.stall_timeout_ms = 1), "/hang", PM_ESTALLED);
	fetch(&o, REQUEST(.timeout_ms = 2500), "/hang-in-body");
	cr_assert_eq(o.result.failure.error, PM_ETIMEDOUT, "a stall is remembered: %s",
		o.result.failure.message);
	forget(&o);
	fetch_and_forget(REQUEST(.stall_timeout_ms = 700), "/later");
}

/* Above all no answer to the next request. */
Test(engine_faults, a_response_that_nobody_asked_for_ends_the_connection, .timeout = 60)
{
	static const char *const paths[] = {"/twice", "/twice-later"};
	struct outcome o;
	open_engine(1);
	for (unsigned i = 0; i < 2; i++) {
		unsigned ended = server.ended;
		cr_assert_str_eq(
			(const char *)fetch_ok(&o, NO_REQUEST, paths[i])->body, "one");
		forget(&o);
		wait_for(&server.ended, ended + 1);
		cr_assert_str_eq((const char *)fetch_ok(&o, NO_REQUEST, "/ok")->body,
			"hello", "after %s", paths[i]);
		forget(&o);
		fetch_and_forget(NO_REQUEST, "/close");
	}
}

Test(engine_faults, a_failed_fetch_tells_how_far_it_got, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	fetch(&o, NO_REQUEST, "/short");
	const struct pm_response *r = o.result.response;
	cr_assert_eq(o.result.failure.code, 18);
	cr_assert_eq(r->status, 200);
	cr_assert_str_eq(r->url_effective, url_of("/short"));
	cr_assert_str_eq(header(r, "content-length"), "100");
	cr_assert_str_eq((const char *)r->body, "");
	forget(&o);
	fetch(&o, NO_REQUEST, "/nothing");
	cr_assert_eq(o.result.response->status, 0);
	cr_assert_eq(o.result.response->http_version, 0);
	cr_assert_str_eq(o.result.response->url_effective, url_of("/nothing"));
	forget(&o);
}

Test(engine_faults, a_body_may_be_as_large_as_the_limit, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	fetch_and_forget(REQUEST(.max_body = 5), "/ok");
	expect_error(REQUEST(.max_body = 4), "/ok", PM_EBODYSIZE);
	expect_error(REQUEST(.max_body = 4), "/chunked", PM_EBODYSIZE);
	cr_assert_eq(fetch_ok(&o, REQUEST(.max_body = 5), "/chunked")->body_len, 5);
	forget(&o);
	fetch_and_forget(NO_REQUEST, "/ok");
}

Test(engine_faults, a_timeout_ends_a_fetch_and_is_not_kept, .timeout = 60)
{
	open_engine(1);
	expect_error(REQUEST(.timeout_ms = 30), "/hang", PM_ETIMEDOUT);
	expect_error(REQUEST(.timeout_ms = 30), "/hang-in-body", PM_ETIMEDOUT);
	fetch_and_forget(NO_REQUEST, "/later");
}

/* A queue of one connection that nobody accepts: what comes after those that
 * fill it gets no answer. */
Test(engine_faults, a_connection_has_a_timeout_of_its_own, .timeout = 60)
{
	char url[64];
	int fillers[3];
	struct outcome o;
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(fd, 0), 0);
	a.sin_port = htons((uint16_t)port_of(fd));
	for (int i = 0; i < 3; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (struct sockaddr *)&a, sizeof(a));
	}
	open_engine(1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port_of(fd));
	uint64_t from_us =
		clock_now_us(); /* libcurl's own times begin a little later */
	fetch(&o, REQUEST(.connect_timeout_ms = 50, .timeout_ms = 30000), url);
	uint64_t took_us = clock_now_us() - from_us;
	cr_assert_eq(o.result.failure.error, PM_ETIMEDOUT);
	cr_assert(took_us >= 49000 && took_us < 10000000, "%ju us", (uintmax_t)took_us);
	forget(&o);
	for (int i = 0; i < 3; i++) {
		close(fillers[i]);
	}
	close(fd);
	fetch_and_forget(REQUEST(.connect_timeout_ms = 1000), "/later");
}

/* A port that is taken but not listened on. */
Test(engine_faults, a_refused_connection_is_a_connect_error, .timeout = 60)
{
	char url[64];
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	open_engine(1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port_of(fd));
	expect_error(NO_REQUEST, url, PM_ECONNECT);
	close(fd);
}

/* What is not there for the one is there for the next. */
Test(engine_faults, a_fetch_without_a_descriptor_says_so, .timeout = 60)
{
	struct outcome o;
	struct rlimit was, none;
	open_engine(1);
	fetch_and_forget(NO_REQUEST, "/close");
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	int spare = dup(0);
	none.rlim_cur = (rlim_t)spare; /* all below it are in use */
	close(spare);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	fetch(&o, NO_REQUEST, "/ok");
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	cr_assert_eq(
		o.result.failure.error, PM_ECONNECT, "%s", o.result.failure.message);
	cr_assert_str_eq(
		o.result.failure.message, "cannot make a socket: Too many open files");
	forget(&o);
	fetch_and_forget(NO_REQUEST, "/ok");
}

/* It has a name, as HSTS is not for addresses. */
Test(engine_faults, what_a_server_wants_for_later_is_ignored, .timeout = 60)
{
	char entry[64], url[64];
	const char *const entries[] = {entry};
	open_engine(1);
	snprintf(entry, sizeof(entry), "wants.test:%u:127.0.0.1", server.port);
	snprintf(url, sizeof(url), "http://wants.test:%u/wants-all", server.port);
	for (int i = 0; i < 2; i++) {
		struct outcome o;
		fetch(&o, REQUEST(.resolve = entries, .resolve_ct = 1), url);
		cr_assert_eq(o.result.failure.error, 0, "%s", o.result.failure.message);
		cr_assert_str_eq(o.result.response->url_effective, url);
		expect_unseen("Cookie");
		expect_unseen("Alt-Used");
		forget(&o);
	}
	cr_assert_eq(server.connections, 1);
}

Test(engine_faults, plain_http_behind_https_is_a_tls_error, .timeout = 60)
{
	char url[64];
	open_engine(1);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/ok", server.port);
	expect_error(NO_REQUEST, url, PM_ETLS);
	expect_error(REQUEST(.insecure = true), url, PM_ETLS);
	fetch_and_forget(NO_REQUEST, "/ok");
}

/* The first error comes from the file, the next from the server again: the
 * handle went back to the system's certificates. */
Test(engine_faults, a_ca_file_is_used_for_its_request_only, .timeout = 60)
{
	struct outcome o;
	char url[64];
	open_engine(1);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/ok", server.port);
	for (int i = 0; i < 3; i++) {
		fetch(&o, REQUEST(.ca_file = i == 1 ? "/nonexistent" : NULL), url);
		cr_assert_eq(o.result.failure.error, PM_ETLS, "round %d", i);
		cr_assert_eq(o.result.failure.code, i == 1 ? 77 : 35, "round %d: %d %s",
			i, o.result.failure.code, o.result.failure.message);
		forget(&o);
	}
}

/* A label of 64 bytes: no resolver asks the network about it. */
Test(engine_faults, a_name_that_cannot_be_is_a_dns_error, .timeout = 60)
{
	char url[128];
	open_engine(1);
	snprintf(url, sizeof(url), "http://%064d.test/", 0);
	expect_error(NO_REQUEST, url, PM_EDNS);
}

Test(engine_faults, a_bad_request_fails_at_once_without_callback, .timeout = 60)
{
	static const struct pm_header bad = {"Content-Length", "3"};
	struct outcome o = {0};
	struct pm_failure f;
	struct pm_request r = {.url = "file:///etc/passwd"};
	open_engine(1);
	cr_assert_eq(
		engine_start(engine, &r, on_done, &o, &o.transfer, &f), PM_ESCHEME);
	cr_assert_eq(f.error, PM_ESCHEME);
	r.url = "http://127.0.0.1:70000/";
	cr_assert_eq(
		engine_start(engine, &r, on_done, &o, &o.transfer, &f), PM_EBADURL);
	r.url = url_of("/ok");
	r.headers = &bad;
	r.header_ct = 1;
	cr_assert_eq(engine_start(engine, &r, on_done, &o, &o.transfer, &f), PM_EINVAL);
	cr_assert_null(o.transfer);
	fetch_and_forget(NO_REQUEST, "/ok");
	cr_assert_eq(o.calls, 0);
}

/* ------------------------------------------------------- cancelling and closing */

Test(engine_faults, a_cancelled_fetch_closes_its_connection_in_silence, .timeout = 60)
{
	static const char *const paths[] = {"/hang", "/hang-in-body"};
	open_engine(1);
	for (unsigned i = 0; i < 2; i++) {
		struct outcome o = {0};
		start(&o, NO_REQUEST, paths[i]);
		wait_for(&server.seen_ct, 2 * i + 1);
		engine_cancel(o.transfer);
		wait_for(&server.ended, i + 1);
		cr_assert_eq(o.calls, 0);
		fetch_and_forget(NO_REQUEST, "/close");
	}
}

Test(engine_faults, a_fetch_may_be_cancelled_before_it_began, .timeout = 60)
{
	struct outcome o = {0};
	open_engine(1);
	start(&o, NO_REQUEST, "/ok");
	engine_cancel(o.transfer);
	fetch_and_forget(NO_REQUEST, "/close");
	cr_assert_eq(o.calls, 0);
	cr_assert_eq(server.connections, 1);
}

static struct outcome others[8];

static void cancel_others(struct outcome *o)
{
	(void)o;
	for (int i = 0; i < 8; i++) {
		if (!others[i].calls && others[i].transfer && &others[i] != o) {
			engine_cancel(others[i].transfer);
			others[i].transfer = NULL;
		}
	}
}

/* All time out at once: the first callback cancels the others, whose end
 * libcurl has reported already. */
Test(engine_faults, a_callback_may_cancel_the_other_fetches, .timeout = 60)
{
	unsigned calls = 0;
	open_engine(9);
	for (int i = 0; i < 8; i++) {
		others[i].then = cancel_others;
		start(&others[i], REQUEST(.timeout_ms = 50), "/hang");
	}
	fetch_and_forget(NO_REQUEST, "/later"); /* answers after them */
	for (int i = 0; i < 8; i++) {
		calls += others[i].calls;
		forget(&others[i]);
	}
	cr_assert_eq(calls, 1, "%u calls", calls);
	fetch_and_forget(NO_REQUEST, "/ok");
}

static unsigned chain_left;

static void start_again(struct outcome *o)
{
	forget(o);
	if (chain_left && chain_left--) {
		o->then = start_again;
		start(o, NO_REQUEST, "/ok");
	} else {
		event_base_loopbreak(base);
	}
}

Test(engine_faults, a_callback_may_start_the_next_fetch, .timeout = 60)
{
	struct outcome o = {.then = start_again};
	open_engine(1);
	chain_left = 20;
	start(&o, NO_REQUEST, "/ok");
	event_base_dispatch(base);
	cr_assert_eq(chain_left, 0);
	cr_assert_eq(server.seen_ct, 21);
	cr_assert_eq(server.connections, 1);
}

Test(engine_faults, closing_drops_what_runs_without_a_callback, .timeout = 60)
{
	struct outcome o[4] = {{0}};
	open_engine(4);
	for (int i = 0; i < 4; i++) {
		start(&o[i], REQUEST(.body = "x", .body_len = 1), "/hang");
	}
	wait_for(&server.seen_ct, 4);
	engine_close(engine);
	engine = NULL;
	wait_for(&server.ended, 4);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(o[i].calls, 0);
	}
}

Test(engine_faults, an_engine_for_nothing_is_refused, .timeout = 60)
{
	cr_assert_eq(engine_open(&engine, base, 0), PM_EINVAL);
	cr_assert_null(engine);
	engine_close(NULL);
}

/* ---------------------------------------------------------------- sent twice */

/* How often the server got it that closes the kept connection without an answer. */
static unsigned times_sent(struct pm_request request, const char *path, int error)
{
	struct outcome o;
	fetch_and_forget(NO_REQUEST, "/ok"); /* its connection is kept */
	unsigned before = server.seen_ct;
	fetch(&o, request, path);
	cr_assert_eq(o.result.failure.error, error, "%s %s: %s", request.method, path,
		o.result.failure.message);
	unsigned times = server.seen_ct - before;
	if (request.no_resend) {
		cr_assert_str_eq(o.result.failure.message,
			"the server closed the kept connection, and this request is "
			"not to be sent twice");
	}
	cr_assert_eq(o.result.response->resend_ct, times - 1);
	forget(&o);
	return times;
}

static struct pm_request with_body(const char *method, bool body)
{
	return (struct pm_request){.method = method,
		.body = body ? "data" : NULL,
		.body_len = body ? 4 : 0};
}

/* Many times with one handle: each time is the first one. */
Test(engine_faults, what_does_no_harm_is_sent_again_once, .timeout = 60)
{
	static const char *const methods[] = {
		"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "GET", "GET", "GET"};
	open_engine(1);
	for (int i = 0; i < 8; i++) {
		bool body = strcmp(methods[i], "PUT") == 0;
		struct pm_request r = with_body(methods[i], body);
		cr_assert_eq(times_sent(r, "/nothing", PM_ERESET), 2, "%s, %d",
			methods[i], i);
		cr_assert_eq(times_sent(r, "/reset-at-once", PM_ERESET), 2, "%s, %d",
			methods[i], i);
	}
}

/* In between with those that may be: what one forbids does not stay. */
Test(engine_faults, what_is_not_to_be_sent_again_never_is, .timeout = 60)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "POST"};
	open_engine(1);
	for (int i = 0; i < 8; i++) {
		bool body = i % 4 > 1;
		struct pm_request r = with_body(methods[i % 4], body);
		r.no_resend = true;
		cr_assert_eq(times_sent(r, "/nothing", PM_ERESET), 1, "%s", r.method);
		cr_assert_eq(
			times_sent(r, "/reset-at-once", PM_ERESET), 1, "%s", r.method);
		r = with_body("GET", false);
		cr_assert_eq(times_sent(r, "/nothing", PM_ERESET), 2);
	}
}

Test(engine_faults, what_may_do_harm_is_never_sent_twice, .timeout = 60)
{
	static const char *const methods[] = {"POST", "PATCH", "LOCK"};
	open_engine(1);
	for (int i = 0; i < 9; i++) {
		struct pm_request r = with_body(methods[i % 3], true);
		cr_assert_eq(times_sent(r, "/nothing", PM_ERESET), 1, "%s", r.method);
		cr_assert_eq(
			times_sent(r, "/reset-at-once", PM_ERESET), 1, "%s", r.method);
	}
	/* A redirect that keeps the method is a request of its own. */
	fetch_and_forget(REQUEST(.method = "POST", .body = "d", .body_len = 1), "/307");
}
