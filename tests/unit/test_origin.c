/* SPDX-License-Identifier: MIT
 *
 * The origin server of the tests does what its paths say, byte for byte.  Every
 * other test that fetches something stands on this.
 */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/support/harness.h"

/* ----------------------------------------------------------------- fixtures */

static struct origin *origin;

static void setup(void)
{
	origin = origin_start();
}

static void teardown(void)
{
	origin_stop(origin);
}

TestSuite(origin, .init = setup, .fini = teardown, .timeout = 60);

static void ask(struct talk *w, const char *method, const char *path)
{
	talk_puts(w, keep_printf("%s %s HTTP/1.1\r\nHost: o\r\n\r\n", method, path));
}

/* One GET on a connection of its own, which must be answered completely. */
static struct reply get(const char *path)
{
	struct talk w;
	struct reply reply;
	talk_open(&w, origin_port(origin));
	ask(&w, "GET", path);
	cr_assert(talk_reply(&w, &reply, false), "%s: no answer", path);
	cr_assert(reply.complete, "%s: not complete", path);
	talk_close(&w);
	return reply;
}

static void expect(const char *path, int status, const char *body)
{
	struct reply reply = get(path);
	cr_assert_eq(reply.status, status, "%s: status %d", path, reply.status);
	if (body) {
		cr_assert_str_eq(
			reply.body.data, body, "%s: body %s", path, reply.body.data);
	}
	reply_fini(&reply);
}

static bool head_has(const struct reply *reply, const char *line)
{
	return strstr(reply->head.data, keep_printf("\r\n%s\r\n", line)) != NULL;
}

struct count_is {
	const char *key;
	json_int_t n;
};

static bool count_is(void *ctx)
{
	const struct count_is *is = ctx;
	return origin_count(origin, is->key) == is->n;
}

static void wait_count(const char *key, json_int_t n)
{
	struct count_is is = {key, n};
	cr_assert(wait_for(count_is, &is, 30000), "%s is %lld, not %lld", key,
		(long long)origin_count(origin, key), (long long)n);
}

/* ------------------------------------------------------------ plain answers */

Test(origin, answers_ok_at_the_root_and_404_elsewhere, .timeout = 60)
{
	static const char *const missing[] = {"/nosuch", "/rootx", "/delay", "/delay/",
		"/delay/x", "/delay/-1", "/delay/3600001", "/size/1/2", "/status/199",
		"/status/1000", "/status/+200", "/loop/1", "/count/", "/count/a/b",
		"/unstable/a", "/truncate/0", "/reset/1048576", "/drip/1",
		"/redirect-to", "//"};
	expect("/", 200, "ok\n");
	expect("/?query=is&ignored", 200, "ok\n");
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		expect(missing[i], 404, NULL);
	}
}

Test(origin, answers_with_any_status, .timeout = 60)
{
	static const int statuses[] = {
		200, 204, 206, 304, 404, 429, 500, 503, 599, 999};
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		int status = statuses[i];
		bool bodiless = status == 204 || status == 304;
		expect(keep_printf("/status/%d", status), status,
			bodiless ? "" : keep_printf("status %d\n", status));
	}
}

Test(origin, never_answers_a_delay_early, .timeout = 60)
{
	for (unsigned ms = 0; ms <= 60; ms += 15) {
		uint64_t start = clock_now_us();
		expect(keep_printf("/delay/%u", ms), 200, "ok\n");
		uint64_t took = clock_now_us() - start;
		cr_assert_geq(took, ms * 1000u, "/delay/%u took %llu us", ms,
			(unsigned long long)took);
	}
}

static unsigned char text_byte(size_t i)
{
	return i % 64 == 63 ? '\n' : (unsigned char)('a' + (i / 64 + i % 64) % 26);
}

static unsigned char any_byte(size_t i)
{
	return (unsigned char)(255 - (i + i / 256) % 256);
}

static void check_pattern(const char *path, size_t size, unsigned char (*byte)(size_t))
{
	struct reply reply = get(path);
	cr_assert_eq(reply.status, 200);
	cr_assert_eq(reply.body.len, size, "%s: %zu bytes", path, reply.body.len);
	for (size_t i = 0; i < size; i++) {
		cr_assert_eq((unsigned char)reply.body.data[i], byte(i), "%s: byte %zu",
			path, i);
	}
	reply_fini(&reply);
}

Test(origin, computes_bodies_of_any_size, .timeout = 60)
{
	static const size_t sizes[] = {
		0, 1, 63, 64, 65, 9999, 10000, 10001, 65535, 65536, 65537, 300000};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];
		check_pattern(keep_printf("/size/%zu", n), n, text_byte);
		check_pattern(keep_printf("/size/%zu?chunked", n), n, text_byte);
		check_pattern(keep_printf("/bytes/%zu", n), n, any_byte);
		check_pattern(keep_printf("/bytes/%zu?chunked", n), n, any_byte);
	}
}

Test(origin, says_how_long_a_body_is_unless_it_is_chunked, .timeout = 60)
{
	struct reply sized = get("/size/70"), chunked = get("/size/70?chunked");
	cr_assert(head_has(&sized, "Content-Length: 70"));
	cr_assert(head_has(&chunked, "Transfer-Encoding: chunked"));
	cr_assert_not(strstr(chunked.head.data, "Content-Length"));
	reply_fini(&sized);
	reply_fini(&chunked);
}

static void expect_location(const char *path, const char *location)
{
	struct reply reply = get(path);
	cr_assert_eq(reply.status, 302, "%s: status %d", path, reply.status);
	cr_assert(head_has(&reply, keep_printf("Location: %s", location)), "%s: %s",
		path, reply.head.data);
	reply_fini(&reply);
}

Test(origin, redirects, .timeout = 60)
{
	expect_location("/redirect/3", "/redirect/2");
	expect_location("/redirect/1", "/redirect/0");
	expect("/redirect/0", 200, "ok\n");
	expect_location("/loop", "/loop");
	expect_location(
		"/redirect-to?url=http%3A%2f%2fx%2Fa%3Fb%26c&d", "http://x/a?b&c");
	expect_location("/redirect-to?url=/echo?a=b", "/echo?a=b");
	expect("/redirect-to?url=%0d%0aX:y", 400, NULL);
	expect("/redirect-to?url=%4", 400, NULL);
	expect("/redirect-to?url=", 400, NULL);
}

Test(origin, sends_many_and_large_headers, .timeout = 60)
{
	struct reply many = get("/headers/500"), big = get("/bigheader/100000");
	cr_assert(head_has(&many, "X-Extra-1: value 1"));
	cr_assert(head_has(&many, "X-Extra-500: value 500"));
	cr_assert_not(strstr(many.head.data, "X-Extra-501"));
	const char *value = strstr(big.head.data, "\r\nX-Big: ");
	cr_assert(value);
	cr_assert_eq(strcspn(value + 9, "\r"), 100000);
	reply_fini(&many);
	reply_fini(&big);
}

/* --------------------------------------------------------------------- site */

Test(origin, links_pages_to_their_parent_and_children, .timeout = 60)
{
	expect("/links/1", 200,
		"<h1>Page 1</h1>\n<a href=\"/links/2\">2</a>\n"
		"<a href=\"/links/3\">3</a>\n");
	expect("/links/6", 200,
		"<h1>Page 6</h1>\n<a href=\"/links/3\">3</a>\n"
		"<a href=\"/links/12\">12</a>\n<a href=\"/links/13\">13</a>\n");
	expect("/links/0", 404, NULL);
	expect("/links", 404, NULL);
}

Test(origin, gives_topics_to_those_who_accept_json, .timeout = 60)
{
	struct talk w;
	struct reply reply;
	expect("/topics?pageSize=2", 406, NULL);
	expect("/topics", 404, NULL);
	talk_open(&w, origin_port(origin));
	talk_puts(&w, "GET /topics?pageSize=2 HTTP/1.1\r\nHost: o\r\n"
		      "Accept: application/json\r\n\r\n");
	cr_assert(talk_reply(&w, &reply, false));
	cr_assert_eq(reply.status, 200);
	json_t *json = json_loads(reply.body.data, 0, NULL);
	cr_assert_eq(json_array_size(json_object_get(json, "data")), 2, "%s",
		reply.body.data);
	json_decref(json);
	reply_fini(&reply);
	talk_close(&w);
}

Test(origin, sets_a_cookie, .timeout = 60)
{
	struct reply reply = get("/set-cookie/a=1%20;x=y");
	cr_assert(head_has(&reply, "Set-Cookie: a=1%20;x=y; Path=/"), "%s",
		reply.head.data);
	reply_fini(&reply);
	expect("/set-cookie", 404, NULL);
	expect("/set-cookie/", 404, NULL);
}

/* --------------------------------------------------------------------- echo */

static json_t *echoed(struct talk *w)
{
	struct reply reply;
	cr_assert(talk_reply(w, &reply, false), "no echo");
	cr_assert_eq(reply.status, 200, "echo: %s", reply.head.data);
	cr_assert(head_has(&reply, "Content-Type: application/json"));
	json_t *json = json_loadb(reply.body.data, reply.body.len,
		JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	cr_assert(json, "not JSON: %.300s", reply.body.data);
	reply_fini(&reply);
	return json;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "(none)";
}

Test(origin, echoes_what_arrived, .timeout = 60)
{
	struct talk w;
	talk_open(&w, origin_port(origin));
	talk_puts(&w, "PATCH /echo?a=%20&b HTTP/1.1\r\nHost: o\r\nX-Two:  1 \r\n"
		      "X-Quote: \"\\\"\r\nx-two: 2\r\nContent-Length: 5\r\n\r\nhello");
	json_t *echo = echoed(&w);
	const json_t *headers = json_object_get(echo, "headers");
	cr_assert_str_eq(text_of(echo, "method"), "PATCH");
	cr_assert_str_eq(text_of(echo, "path"), "/echo?a=%20&b");
	cr_assert_str_eq(text_of(echo, "body"), "hello");
	cr_assert_eq(json_object_size(headers), 4);
	cr_assert_str_eq(text_of(headers, "x-two"), "1, 2");
	cr_assert_str_eq(text_of(headers, "x-quote"), "\"\\\"");
	json_decref(echo);
	talk_close(&w);
}

Test(origin, echoes_each_byte_as_its_code_point, .timeout = 60)
{
	struct talk w;
	unsigned char bytes[256], utf8[512];
	size_t len = 0;
	for (unsigned i = 0; i < 256; i++) {
		bytes[i] = (unsigned char)i;
		utf8[len++] = (unsigned char)(i < 128 ? i : 0xc0 | i >> 6);
		if (i >= 128) {
			utf8[len++] = (unsigned char)(0x80 | (i & 0x3f));
		}
	}
	talk_open(&w, origin_port(origin));
	talk_puts(&w, "POST /echo HTTP/1.1\r\nHost: o\r\nContent-Length: 256\r\n\r\n");
	talk_send(&w, bytes, sizeof(bytes));
	json_t *echo = echoed(&w);
	const json_t *body = json_object_get(echo, "body");
	cr_assert_eq(json_string_length(body), len);
	cr_assert_arr_eq(json_string_value(body), utf8, len);
	json_decref(echo);
	talk_close(&w);
}

Test(origin, takes_chunked_requests_however_they_are_cut, .timeout = 60)
{
	static const char request[] =
		"\r\nPOST /echo HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: "
		"Chunked\r\n\r\n"
		"5;ext=\"1\"\r\nhello\r\n0006 \r\n world\r\n0\r\nX-Trailer: t\r\n\r\n"
		"GET / HTTP/1.1\r\nHost: o\r\n\r\n";
	struct talk w;
	struct reply next;
	talk_open(&w, origin_port(origin));
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		talk_send(&w, request + i, 1);
	}
	json_t *echo = echoed(&w);
	cr_assert_str_eq(text_of(echo, "body"), "hello world");
	cr_assert(talk_reply(&w, &next, false), "the request behind it was lost");
	cr_assert_eq(next.status, 200);
	reply_fini(&next);
	json_decref(echo);
	talk_close(&w);
}

Test(origin, takes_large_bodies_and_says_continue, .timeout = 60)
{
	struct talk w;
	struct reply interim;
	size_t size = 3000000;
	char *body = malloc(size);
	cr_assert(body);
	memset(body, 'x', size);
	talk_open(&w, origin_port(origin));
	talk_puts(&w, "PUT /echo HTTP/1.1\r\nHost: o\r\nExpect: 100-continue\r\n"
		      "Content-Length: 3000000\r\n\r\n");
	cr_assert(talk_reply(&w, &interim, false));
	cr_assert_eq(interim.status, 100);
	talk_send(&w, body, size);
	json_t *echo = echoed(&w);
	cr_assert_eq(json_string_length(json_object_get(echo, "body")), size);
	reply_fini(&interim);
	json_decref(echo);
	free(body);
	talk_close(&w);
}

/* ------------------------------------------------------------------- faults */

static void open_ask(struct talk *w, const char *path)
{
	talk_open(w, origin_port(origin));
	ask(w, "GET", path);
}

Test(origin, resets_at_once_or_after_so_many_bytes, .timeout = 60)
{
	static const size_t sizes[] = {0, 1, 1000, 1048575};
	struct talk w;
	struct reply reply;
	open_ask(&w, "/reset");
	cr_assert_not(talk_reply(&w, &reply, false));
	cr_assert(w.reset && w.in.len == 0);
	talk_close(&w);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		open_ask(&w, keep_printf("/reset/%zu", sizes[i]));
		cr_assert(talk_reply(&w, &reply, false));
		cr_assert(head_has(&reply, "Content-Length: 1048576"));
		cr_assert(!reply.complete && w.reset, "/reset/%zu: no RST", sizes[i]);
		cr_assert_eq(reply.body.len, sizes[i], "/reset/%zu: %zu", sizes[i],
			reply.body.len);
		reply_fini(&reply);
		talk_close(&w);
	}
}

Test(origin, closes_without_a_byte_and_truncates, .timeout = 60)
{
	struct talk w;
	struct reply reply;
	open_ask(&w, "/close");
	cr_assert_not(talk_reply(&w, &reply, false));
	cr_assert(w.fin && w.in.len == 0);
	talk_close(&w);
	open_ask(&w, "/truncate/500000");
	ask(&w, "GET", "/"); /* unread input must not turn the FIN into a RST */
	cr_assert(talk_reply(&w, &reply, false));
	cr_assert(head_has(&reply, "Content-Length: 1000000"));
	cr_assert(!reply.complete && w.fin);
	cr_assert_eq(reply.body.len, 500000);
	reply_fini(&reply);
	talk_close(&w);
}

Test(origin, sends_the_head_of_a_drip_at_once, .timeout = 60)
{
	struct talk w;
	open_ask(&w, "/drip/1/3600000");
	while (!strstr(w.in.data, "\r\n\r\n")) {
		cr_assert(talk_more(&w));
	}
	cr_assert_str_eq(strstr(w.in.data, "\r\n\r\n"), "\r\n\r\n");
	talk_close(&w);
}

Test(origin, drips_byte_by_byte, .timeout = 60)
{
	uint64_t start = clock_now_us();
	expect("/drip/4/20", 200, "dddd");
	cr_assert_geq(clock_now_us() - start, 80000);
}

Test(origin, hangs_until_the_peer_is_gone, .timeout = 60)
{
	struct talk w;
	open_ask(&w, "/hang");
	wait_count("open_now", 1);
	cr_assert_eq(w.in.len, 0);
	talk_close(&w);
	wait_count("open_now", 0);
}

Test(origin, talks_garbage, .timeout = 60)
{
	struct talk w;
	open_ask(&w, "/garbage");
	while (talk_more(&w)) {
	}
	cr_assert(w.fin && w.in.len > 20);
	cr_assert_neq(strncmp(w.in.data, "HTTP/", 5), 0);
	talk_close(&w);
}

Test(origin, serves_others_while_an_endless_body_is_not_read, .timeout = 60)
{
	struct talk endless;
	open_ask(&endless, "/endless");
	for (int i = 0; i < 100; i++) {
		expect("/", 200, "ok\n");
	}
	cr_assert_eq(origin_count(origin, "open_now"), 1);
	while (endless.in.len < 20000000) {
		cr_assert(talk_more(&endless), "an endless body ended");
	}
	cr_assert(strstr(endless.in.data, "\r\n\r\n2710\r\nabcdef"));
	talk_close(&endless);
	wait_count("open_now", 0);
}

/* ------------------------------------------------------------------- memory */

Test(origin, counts_names_paths_requests_and_connections, .timeout = 60)
{
	expect("/count/a", 200, "1\n");
	expect("/count/b", 200, "1\n");
	expect("/count/a", 200, "2\n");
	expect("/once/x/1?q", 200, "ok\n");
	expect("/once/x/1", 200, "ok\n");
	expect("/once/x/2", 200, "ok\n");
	json_t *want = json_pack(
		"{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:{s:i, s:i}, s:{s:i, s:i}}",
		"requests", 6, "connections", 6, "tls", 0, "tls_resumed", 0, "open_now",
		0, "max_open", 1, "held", 0, "counters", "a", 2, "b", 1, "paths",
		"/once/x/1", 2, "/once/x/2", 1);
	json_t *counts = origin_counts(origin);
	char *text = json_dumps(counts, 0);
	cr_assert(json_equal(counts, want), "%s", text);
	free(text);
	json_decref(counts);
	json_decref(want);
	expect("/reset-counts", 200, "ok\n");
	cr_assert_eq(origin_count(origin, "requests"), 0);
	expect("/count/a", 200, "1\n");
}

Test(origin, is_unstable_for_so_many_requests, .timeout = 60)
{
	expect("/unstable/u/2", 503, NULL);
	expect("/unstable/u/2", 503, NULL);
	expect("/unstable/other/1", 503, NULL);
	expect("/unstable/u/2", 200, "ok\n");
	expect("/unstable/u/2", 200, "ok\n");
}

Test(origin, holds_a_thousand_until_released, .timeout = 60)
{
	enum { N = 1000 };
	static struct talk wires[N];
	struct talk other;
	for (int i = 0; i < N; i++) {
		open_ask(&wires[i], "/hold/gate");
	}
	open_ask(&other, "/hold/other");
	wait_count("held", N + 1);
	cr_assert_eq(origin_count(origin, "max_open"), N + 1);
	expect("/release/gate", 200, "ok\n");
	for (int i = 0; i < N; i++) {
		struct reply reply;
		cr_assert(talk_reply(&wires[i], &reply, false), "number %d", i);
		cr_assert_str_eq(reply.body.data, "released\n");
		reply_fini(&reply);
		talk_close(&wires[i]);
	}
	expect("/hold/gate", 200, "released\n");
	wait_count("held", 1);
	cr_assert_eq(other.in.len, 0);
	talk_close(&other);
	wait_count("held", 0);
}

/* --------------------------------------------------------------- connections */

Test(origin, keeps_connections_alive, .timeout = 60)
{
	struct talk w;
	talk_open(&w, origin_port(origin));
	for (int i = 0; i < 100; i++) {
		struct reply reply;
		ask(&w, "GET", "/size/100");
		cr_assert(talk_reply(&w, &reply, false) && reply.complete, "number %d",
			i);
		reply_fini(&reply);
	}
	talk_close(&w);
	cr_assert_eq(origin_count(origin, "requests"), 100);
	cr_assert_eq(origin_count(origin, "connections"), 1);
}

/* Also when nothing is read before all is written: 40 MB of answers. */
Test(origin, answers_pipelined_requests_in_order, .timeout = 60)
{
	struct talk w;
	struct reply reply;
	enum { N = 400 };
	talk_open(&w, origin_port(origin));
	for (int i = 1; i <= N; i++) {
		ask(&w, "GET", keep_printf("/redirect/%d", i));
		ask(&w, "GET", i % 50 ? "/size/100000?chunked" : "/delay/1");
	}
	for (int i = 1; i <= N; i++) {
		cr_assert(talk_reply(&w, &reply, false), "redirect %d", i);
		cr_assert(
			head_has(&reply, keep_printf("Location: /redirect/%d", i - 1)),
			"redirect %d: %s", i, reply.head.data);
		reply_fini(&reply);
		cr_assert(
			talk_reply(&w, &reply, false) && reply.complete, "body %d", i);
		cr_assert_eq(reply.body.len, i % 50 ? 100000 : 3, "body %d", i);
		reply_fini(&reply);
	}
	talk_close(&w);
}

Test(origin, answers_a_thousand_delays_at_once, .timeout = 60)
{
	enum { N = 1000 };
	static struct talk wires[N];
	uint64_t asked[N];
	for (int i = 0; i < N; i++) {
		talk_open(&wires[i], origin_port(origin));
	}
	for (int i = 0; i < N; i++) {
		asked[i] = clock_now_us();
		ask(&wires[i], "GET", "/delay/200");
	}
	for (int i = 0; i < N; i++) {
		struct reply reply;
		cr_assert(talk_reply(&wires[i], &reply, false), "number %d", i);
		cr_assert_eq(reply.status, 200);
		cr_assert_geq(clock_now_us() - asked[i], 200000, "number %d", i);
		reply_fini(&reply);
		talk_close(&wires[i]);
	}
	/* one after the other would be 200 s */
	cr_assert_leq(clock_now_us() - asked[0], 20000000);
	cr_assert_eq(origin_count(origin, "connections"), N);
}

Test(origin, answers_head_without_a_body, .timeout = 60)
{
	static const char *const paths[] = {"/", "/size/100", "/size/9?chunked",
		"/echo", "/headers/3", "/bigheader/9", "/set-cookie/a=b", "/drip/9/9",
		"/endless", "/status/503", "/nosuch"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct talk w;
		struct reply reply;
		talk_open(&w, origin_port(origin));
		talk_puts(&w, keep_printf("HEAD %s HTTP/1.1\r\nHost: o\r\n"
					  "Connection: x, Close\r\n\r\n",
				      paths[i]));
		cr_assert(talk_reply(&w, &reply, true), "%s", paths[i]);
		cr_assert(head_has(&reply, "Connection: close"), "%s", paths[i]);
		while (talk_more(&w)) {
		}
		cr_assert(w.fin, "%s", paths[i]);
		cr_assert_eq(w.at, w.in.len, "%s: %s", paths[i], w.in.data + w.at);
		reply_fini(&reply);
		talk_close(&w);
	}
}

Test(origin, closes_behind_an_http_1_0_answer, .timeout = 60)
{
	struct talk w;
	struct reply reply;
	talk_open(&w, origin_port(origin));
	talk_puts(&w, "GET /size/70?chunked HTTP/1.0\r\n\r\n");
	cr_assert(talk_reply(&w, &reply, false) && reply.complete);
	cr_assert(head_has(&reply, "Content-Length: 70"));
	cr_assert_not(talk_more(&w));
	cr_assert(w.fin);
	reply_fini(&reply);
	talk_close(&w);
}

/* ---------------------------------------------------------------- refusals */

#define H "Host: o\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static void expect_refusal(const char *request, size_t len, int status)
{
	struct talk w;
	struct reply reply;
	talk_open(&w, origin_port(origin));
	talk_send(&w, request, len);
	cr_assert(talk_reply(&w, &reply, false), "%.80s: no answer", request);
	cr_assert_eq(reply.status, status, "%.80s: %d", request, reply.status);
	while (talk_more(&w)) {
	}
	cr_assert(w.fin, "%.80s: not closed", request);
	reply_fini(&reply);
	talk_close(&w);
}

Test(origin, refuses_malformed_requests, .timeout = 60)
{
	static const char *const requests[] = {
		"GET /\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/2.0\r\n" H "\r\n",
		"GET  / HTTP/1.1\r\n" H "\r\n",
		"GET / HTTP/1.1 \r\n" H "\r\n",
		"GET x HTTP/1.1\r\n" H "\r\n",
		"GET http://o/ HTTP/1.1\r\n" H "\r\n",
		"G(T / HTTP/1.1\r\n" H "\r\n",
		"GET /\t HTTP/1.1\r\n" H "\r\n",
		"GET / HTTP/1.1\n" H "\r\n",
		"GET / HTTP/1.1\n\n",
		"GET / HTTP/1.1\r\n" H H "\r\n",
		"GET / HTTP/1.1\r\n" H "Folded: 1\r\n 2\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "Space : 1\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "Colonless\r\n\r\n",
		"GET / HTTP/1.1\r\n" H ": nameless\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "Control: a\001b\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "Expect: a miracle\r\n\r\n",
		"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n",
		"POST / HTTP/1.1\r\n" H
		"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n",
		"POST / HTTP/1.1\r\n" H
		"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n",
		"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n",
		CHUNKED "x\r\n",
		CHUNKED "-1\r\n",
		CHUNKED "\r\n",
		CHUNKED "1\n",
		CHUNKED "1\r\nab\r\n",
	};
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		expect_refusal(requests[i], strlen(requests[i]), 400);
	}
	static const char nul[] = "GET / HTTP/1.1\r\n" H "Nul: \0\r\n\r\n";
	expect_refusal(nul, sizeof(nul) - 1, 400);
}

Test(origin, refuses_what_is_too_large, .timeout = 60)
{
	struct bytes head = {0};
	char *filler = malloc(1 << 20);
	cr_assert(filler);
	memset(filler, 'a', 1 << 20);
	bytes_add(&head, "GET /", 5);
	bytes_add(&head, filler, 1 << 20);
	expect_refusal(head.data, head.len, 431);
	static const char announced[] =
		"POST / HTTP/1.1\r\n" H "Content-Length: 67108865\r\n\r\n";
	static const char chunk[] = CHUNKED "4000001\r\n";
	expect_refusal(announced, sizeof(announced) - 1, 413);
	expect_refusal(chunk, sizeof(chunk) - 1, 413);
	bytes_fini(&head);
	free(filler);
}

/* ---------------------------------------------------------------- program */

Test(origin_program, ends_with_its_standard_input, .timeout = 60)
{
	struct talk w;
	origin = origin_start();
	open_ask(&w, "/hang");
	wait_count("open_now", 1);
	origin_stop(origin); /* fails unless it ends by itself with 0 */
	cr_assert_not(talk_more(&w));
	talk_close(&w);
}

Test(origin_program, ends_by_sigterm_when_it_lingers, .timeout = 60)
{
	struct child c;
	const char *argv[] = {program("tests/support/origin"), "--linger", NULL};
	child_start(&c, argv, CHILD_NO_STDIN);
	child_wait_output(&c, 1, "listening 127.0.0.1:");
	child_signal(&c, SIGTERM);
	cr_assert_eq(child_wait(&c, HARNESS_DEADLINE_MS), 0);
	child_fini(&c);
}

Test(origin_program, explains_itself_and_refuses_bad_options, .timeout = 60)
{
	const char *path = program("tests/support/origin");
	static const char *const bad[] = {
		"--nosuch", "--port=x", "--port=65536", "extra"};
	struct run_result r;
	run_command(&r, NULL, path, "--help", NULL);
	cr_assert_eq(r.status, 0);
	cr_assert(strstr(r.out, "/unstable/NAME/K"), "%s", r.out);
	run_result_fini(&r);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		run_command(&r, NULL, path, bad[i], NULL);
		cr_assert_eq(r.status, 2, "%s: %d", bad[i], r.status);
		cr_assert_str_empty(r.out, "%s", bad[i]);
		run_result_fini(&r);
	}
}

Test(origin_program, says_when_a_port_is_taken, .timeout = 60)
{
	struct run_result r;
	origin = origin_start();
	const char *port = keep_printf("%u", origin_port(origin));
	run_command(&r, "", program("tests/support/origin"), "--port", port, NULL);
	cr_assert_eq(r.status, 1);
	cr_assert(strstr(r.err, "Address already in use"), "%s", r.err);
	run_result_fini(&r);
	origin_stop(origin);
}
