/* SPDX-License-Identifier: MIT
 *
 * The engine and the heads of what it sends and gets, as they are on the wire.
 */
#include "tests/unit/engine_rig.h"

TestSuite(engine_heads, .init = set_up, .fini = tear_down, .timeout = 60);

/* A reader of exchanges, and what it got. */
struct reader {
	struct buf requests, responses, urls;
	unsigned calls;
	size_t body_ct; /* bytes of bodies that came before the last call */
	int answer;
};

static int read_exchange(void *ctx, const struct pm_exchange *x)
{
	struct reader *r = ctx;
	r->calls++;
	cr_assert_str_eq(x->remote_ip, "127.0.0.1");
	cr_assert_eq(buf_put(&r->requests, x->request, x->request_len), 0);
	cr_assert_eq(buf_put(&r->responses, x->response, x->response_len), 0);
	const char *path = strrchr(x->url, '/');
	cr_assert_eq(buf_puts(&r->urls, path), 0);
	return r->answer;
}

static int count_body(void *ctx, const void *bytes, size_t len)
{
	struct reader *r = ctx;
	(void)bytes;
	cr_assert_gt(r->calls, 0, "the body came before the head");
	r->body_ct += len;
	return 0;
}

static void expect_text(struct buf *got, const char *text)
{
	cr_assert_str_eq(buf_text(got), text);
}

static void reader_fini(struct reader *r)
{
	buf_fini(&r->requests);
	buf_fini(&r->responses);
	buf_fini(&r->urls);
	*r = (struct reader){0};
}

#define READ_BY(r) .on_exchange = read_exchange, .on_exchange_ctx = (r)

Test(engine_heads, both_are_as_on_the_wire, .timeout = 60)
{
	struct reader r = {0};
	struct outcome o;
	open_engine(1);
	(void)fetch_ok(&o,
		REQUEST(READ_BY(&r), .on_body = count_body, .on_body_ctx = &r,
			.no_headers = true),
		"/ok");
	expect_text(&r.requests, last_seen());
	expect_text(&r.responses,
		OK_HEAD "Content-Type: text/plain\r\nX-One: 1\r\nContent-Length: "
			"5\r\n\r\n");
	cr_assert_eq(r.calls, 1);
	cr_assert_eq(r.body_ct, 5);
	reader_fini(&r);
	forget(&o);
}

Test(engine_heads, of_a_request_without_its_body, .timeout = 60)
{
	struct reader r = {0};
	struct outcome o;
	open_engine(1);
	(void)fetch_ok(
		&o, REQUEST(READ_BY(&r), .body = "a=b\r\n\r\nc", .body_len = 8), "/ok");
	const char *end = strstr(last_seen(), "\r\n\r\na=b");
	cr_assert_not_null(end);
	cr_assert_eq(r.requests.len, (size_t)(end - last_seen()) + 4);
	reader_fini(&r);
	forget(&o);
}

Test(engine_heads, neither_interim_responses_nor_trailers, .timeout = 60)
{
	struct reader r = {0};
	struct outcome o;
	open_engine(1);
	(void)fetch_ok(&o, REQUEST(READ_BY(&r)), "/headers");
	cr_assert_eq(r.calls, 1);
	expect_text(&r.responses,
		OK_HEAD "SET-Cookie: a=1\r\nSet-Cookie:b=2\r\nX-Empty:\r\n"
			"X-Fold: one\r\n  two\r\nContent-Length: 0\r\n\r\n");
	cr_assert_str_eq(header(o.result.response, "x-fold"), "one two");
	reader_fini(&r);
	forget(&o);
	(void)fetch_ok(&o, REQUEST(READ_BY(&r)), "/chunked");
	expect_text(
		&r.responses, OK_HEAD "Transfer-Encoding: chunked\r\nX-A: b\r\n\r\n");
	cr_assert_str_eq((const char *)o.result.response->body, "abcde");
	reader_fini(&r);
	forget(&o);
}

Test(engine_heads, each_hop_is_an_exchange, .timeout = 60)
{
	struct reader r = {0};
	struct outcome o;
	open_engine(1);
	(void)fetch_ok(&o, REQUEST(READ_BY(&r)), "/two-hops");
	cr_assert_eq(r.calls, 3);
	expect_text(&r.urls, "/two-hops/302/ok");
	cr_assert(
		strncmp(buf_text(&r.requests), "GET /two-hops HTTP/1.1\r\n", 24) == 0);
	cr_assert_not_null(strstr(buf_text(&r.requests), "\r\n\r\nGET /ok HTTP/1.1"));
	reader_fini(&r);
	forget(&o);
}

Test(engine_heads, a_reader_can_end_the_fetch, .timeout = 60)
{
	struct reader r = {.answer = PM_EFULL};
	struct outcome o;
	open_engine(1);
	fetch(&o, REQUEST(READ_BY(&r)), "/ok");
	cr_assert_eq(o.result.failure.error, PM_EFULL);
	cr_assert_eq(o.result.failure.domain, PM_DOMAIN_NONE);
	reader_fini(&r);
	forget(&o);
}

Test(engine_heads, the_next_request_of_a_handle_has_no_reader, .timeout = 60)
{
	struct reader r = {0};
	struct outcome o;
	open_engine(1);
	(void)fetch_ok(&o, REQUEST(READ_BY(&r)), "/ok");
	forget(&o);
	(void)fetch_ok(&o, NO_REQUEST, "/404");
	forget(&o);
	cr_assert_eq(r.calls, 1);
	reader_fini(&r);
}

/* No response, no exchange. */
Test(engine_heads, none_when_nothing_comes_back, .timeout = 60)
{
	struct reader r = {0};
	open_engine(1);
	expect_error(REQUEST(READ_BY(&r)), "/reset-at-once", PM_ERESET);
	expect_error(REQUEST(READ_BY(&r)), "/many-100", PM_EHEADERSIZE);
	cr_assert_eq(r.calls, 0);
}
