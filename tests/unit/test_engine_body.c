/* SPDX-License-Identifier: MIT
 *
 * The engine and the bodies of answers that are decompressed, or go to a
 * function of the task's own as they come.
 */
#include "tests/unit/engine_rig.h"

TestSuite(engine_body, .init = set_up, .fini = tear_down, .timeout = 60);

/* ----------------------------------------------------------------- compression */

#define HELLO "hello hello hello hello"

Test(engine_body, compression_is_offered_when_asked_for, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r =
		fetch_ok(&o, REQUEST(.compressed = true), "/gzip-hello");
	expect_seen("\r\nAccept-Encoding: ");
	expect_seen("gzip");
	cr_assert_str_eq((const char *)r->body, HELLO);
	cr_assert_eq(r->body_len, strlen(HELLO));
	cr_assert_eq(r->size_download, 28, "%zu", (size_t)r->size_download);
	forget(&o);
	r = fetch_ok(&o, NO_REQUEST, "/gzip-hello");
	expect_unseen("Accept-Encoding");
	cr_assert_eq(r->body_len, 28);
	cr_assert_eq(memcmp(r->body, "\037\213", 2), 0);
	forget(&o);
	r = fetch_ok(&o, REQUEST(.compressed = true), "/ok");
	cr_assert_str_eq((const char *)r->body, "hello");
	forget(&o);
}

Test(engine_body, a_list_of_encodings_of_ones_own_is_kept, .timeout = 60)
{
	static const struct pm_header own = {"Accept-Encoding", "gzip;q=1"};
	struct outcome o;
	open_engine(1);
	const struct pm_response *r = fetch_ok(&o,
		REQUEST(.compressed = true, .headers = &own, .header_ct = 1),
		"/gzip-hello");
	expect_seen("\r\nAccept-Encoding: gzip;q=1\r\n");
	cr_assert_str_eq((const char *)r->body, HELLO);
	forget(&o);
}

/* Not the 21 bytes that one byte became, nor the 161 of 128 KiB. */
Test(engine_body, the_limit_is_of_what_was_decompressed, .timeout = 60)
{
	struct outcome o;
	open_engine(1);
	const struct pm_response *r =
		fetch_ok(&o, REQUEST(.compressed = true, .max_body = 1), "/gzip-x");
	cr_assert_str_eq((const char *)r->body, "x");
	forget(&o);
	expect_error(REQUEST(.compressed = true, .max_body = 131071), "/gzip-bomb",
		PM_EBODYSIZE);
	expect_error(REQUEST(.compressed = true, .max_body = PM_NO_BODY), "/gzip-x",
		PM_EBODYSIZE);
	expect_error(REQUEST(.compressed = true, .max_body = 100, .discard_body = true),
		"/gzip-bomb", PM_EBODYSIZE);
	r = fetch_ok(&o, REQUEST(.compressed = true, .max_body = 131072), "/gzip-bomb");
	cr_assert_eq(r->body_len, 131072);
	forget(&o);
	expect_error(REQUEST(.compressed = true, .max_body = 4), "/ok", PM_EBODYSIZE);
}

/* Which of its codings libcurl has is a matter of how it was built. */
static bool is_offered(const char *coding)
{
	fetch_and_forget(REQUEST(.compressed = true), "/ok");
	const char *list = strstr(last_seen(), "\r\nAccept-Encoding: ");
	cr_assert_not_null(list, "%s", last_seen());
	const char *at = strstr(list, coding), *end = strstr(list + 2, "\r\n");
	return at && at < end;
}

static void expect_decoded(const char *hello, const char *bomb)
{
	struct outcome o;
	const struct pm_response *r =
		fetch_ok(&o, REQUEST(.compressed = true, .max_body = 5), hello);
	cr_assert_str_eq((const char *)r->body, "hello", "%s", hello);
	forget(&o);
	expect_error(REQUEST(.compressed = true, .max_body = 2000), bomb, PM_EBODYSIZE);
}

static void expect_refused(const char *hello, const char *bomb)
{
	expect_error(REQUEST(.compressed = true), hello, PM_EBADRESPONSE);
	expect_error(REQUEST(.compressed = true), bomb, PM_EBADRESPONSE);
}

static void expect_raw(const char *path)
{
	struct outcome o;
	const struct pm_response *r = fetch_ok(&o, NO_REQUEST, path);
	cr_assert_eq(r->body_len, strtoul(header(r, "content-length"), NULL, 10));
	forget(&o);
}

Test(engine_body, a_coding_is_decoded_and_bounded_or_refused, .timeout = 60)
{
	static const struct {
		const char *coding, *hello, *bomb;
	} codings[] = {
		{"deflate", "/hello-deflate", "/bomb-deflate"},
		{"gzip", "/hello-gzip", "/bomb-gzip"},
		{"br", "/hello-br", "/bomb-br"},
		{"zstd", "/hello-zstd", "/bomb-zstd"},
	};
	open_engine(1);
	for (size_t i = 0; i < 4; i++) {
		bool offered = is_offered(codings[i].coding);
		cr_log_info("%s: %s", codings[i].coding, offered ? "yes" : "no");
		cr_assert(offered || i > 1, "%s is always there", codings[i].coding);
		(offered ? expect_decoded : expect_refused)(
			codings[i].hello, codings[i].bomb);
		expect_raw(codings[i].hello);
		expect_raw(codings[i].bomb);
	}
	expect_refused("/hello-evil", "/hello-evil");
}

Test(engine_body, broken_compression_is_a_bad_response, .timeout = 60)
{
	open_engine(1);
	expect_error(REQUEST(.compressed = true), "/gzip", PM_EBADRESPONSE);
}

/* --------------------------------------------------------------------- on_body */

/* A reader of bodies, and what it got. */
struct reader {
	struct buf got;
	unsigned calls;
	int answer; /* what it returns, from call `answer_at` on */
	unsigned answer_at;
	struct transfer **cancel; /* what it cancels, or NULL */
};

static int read_body(void *ctx, const void *bytes, size_t len)
{
	struct reader *r = ctx;
	cr_assert_gt(len, 0);
	cr_assert_eq(buf_put(&r->got, bytes, len), 0);
	r->calls++;
	if (r->cancel && *r->cancel) {
		engine_cancel(*r->cancel);
		*r->cancel = NULL;
	}
	return r->calls >= r->answer_at ? r->answer : 0;
}

static void expect_got(struct reader *r, const char *text)
{
	cr_assert_eq(r->got.len, strlen(text), "%zu bytes", r->got.len);
	cr_assert_eq(memcmp(r->got.data, text, r->got.len), 0);
	buf_fini(&r->got);
	*r = (struct reader){0};
}

#define READ_BY(r) .on_body = read_body, .on_body_ctx = (r)

Test(engine_body, a_reader_gets_the_body_and_nothing_is_kept, .timeout = 60)
{
	struct outcome o;
	struct reader r = {0};
	open_engine(1);
	const struct pm_response *p = fetch_ok(&o, REQUEST(READ_BY(&r)), "/two-parts");
	cr_assert_eq(p->status, 200);
	cr_assert_eq(p->body_len, 8);
	cr_assert_str_eq((const char *)p->body, "");
	forget(&o);
	expect_got(&r, "onethree");
	fetch_and_forget(REQUEST(READ_BY(&r), .discard_body = true), "/ok");
	expect_got(&r, "hello");
	p = fetch_ok(&o, NO_REQUEST, "/ok");
	cr_assert_str_eq((const char *)p->body, "hello");
	cr_assert_eq(r.calls, 0, "called for another request");
	forget(&o);
}

Test(engine_body, a_reader_is_not_called_without_a_body, .timeout = 60)
{
	struct reader r = {0};
	open_engine(1);
	fetch_and_forget(REQUEST(READ_BY(&r)), "/empty");
	fetch_and_forget(REQUEST(READ_BY(&r), .method = "HEAD"), "/head");
	cr_assert_eq(r.calls, 0);
}

Test(engine_body, a_reader_hears_of_the_last_response_only, .timeout = 60)
{
	struct reader r = {0};
	open_engine(1);
	fetch_and_forget(REQUEST(READ_BY(&r)), "/to-ok");
	expect_got(&r, "hello");
	fetch_and_forget(REQUEST(READ_BY(&r), .no_follow = true), "/to-ok");
	expect_got(&r, "skip");
	fetch_and_forget(REQUEST(READ_BY(&r), .user = "jo", .password = "x"), "/401");
	expect_got(&r, "who?");
}

Test(engine_body, a_reader_gets_what_was_decompressed, .timeout = 60)
{
	struct reader r = {0};
	open_engine(1);
	fetch_and_forget(REQUEST(READ_BY(&r), .compressed = true), "/gzip-hello");
	expect_got(&r, HELLO);
	expect_error(REQUEST(READ_BY(&r), .compressed = true, .max_body = 50000),
		"/gzip-bomb", PM_EBODYSIZE);
	cr_assert_leq(r.got.len, 50000, "it got %zu bytes", r.got.len);
	buf_fini(&r.got);
}

static void expect_ended(struct reader *r, int answer, int error)
{
	struct outcome o;
	r->answer = answer;
	fetch(&o, REQUEST(READ_BY(r)), "/two-parts");
	cr_assert_eq(o.result.failure.error, error, "%d", o.result.failure.error);
	cr_assert_eq(o.result.failure.domain, PM_DOMAIN_NONE);
	cr_assert(o.result.failure.message[0]);
	cr_assert_eq(o.result.response->status, 200);
	cr_assert_eq(o.result.response->body_len, 0);
	forget(&o);
}

Test(engine_body, a_reader_can_end_the_fetch, .timeout = 60)
{
	struct reader r = {0};
	open_engine(1);
	expect_ended(&r, PM_EFAILED, PM_EFAILED);
	cr_assert_eq(r.calls, 1);
	expect_ended(&r, PM_EBODYSIZE, PM_EBODYSIZE);
	expect_ended(&r, 5, PM_EINVAL);
	buf_fini(&r.got);
	r = (struct reader){.answer_at = 2};
	expect_ended(&r, PM_ECANCELLED, PM_ECANCELLED);
	expect_got(&r, "onethree");
	fetch_and_forget(NO_REQUEST, "/ok");
}

/* libcurl takes no handle back inside its own callback. */
Test(engine_body, a_reader_can_cancel_another_fetch, .timeout = 60)
{
	struct outcome other = {0};
	struct reader r = {0};
	open_engine(4);
	start(&other, NO_REQUEST, "/hang");
	wait_for(&server.seen_ct, 1);
	r.cancel = &other.transfer;
	fetch_and_forget(REQUEST(READ_BY(&r)), "/two-parts");
	expect_got(&r, "onethree");
	cr_assert_eq(other.calls, 0);
	cr_assert_eq(engine->slots[0]->running.ct, 0);
	fetch_and_forget(NO_REQUEST, "/ok");
}

/* Two streams in one shard: the one that is cancelled may have its bytes, or its
 * end, in the same turn of the loop. */
Test(engine_body, what_a_reader_cancelled_is_never_called_back, .timeout = 60)
{
	open_engine(4);
	for (int i = 0; i < 20; i++) {
		struct outcome a = {.stop_loop = true}, b = {.stop_loop = true};
		struct reader of_a = {.cancel = &b.transfer};
		struct reader of_b = {.cancel = &a.transfer};
		start(&a, REQUEST(READ_BY(&of_a)), "/two-parts");
		start(&b, REQUEST(READ_BY(&of_b)), "/two-parts");
		event_base_dispatch(base);
		cr_assert_eq(a.calls + b.calls, 1, "%u and %u", a.calls, b.calls);
		cr_assert_eq(of_a.calls > 0, a.calls == 1);
		cr_assert_eq(of_b.calls > 0, b.calls == 1);
		cr_assert_eq(engine->slots[0]->running.ct, 0);
		forget(&a);
		forget(&b);
		buf_fini(&of_a.got);
		buf_fini(&of_b.got);
	}
}

Test(engine_body, a_reader_can_cancel_its_own_fetch, .timeout = 60)
{
	struct outcome o = {0};
	struct reader r = {.cancel = &o.transfer};
	open_engine(1);
	start(&o, REQUEST(READ_BY(&r)), "/two-parts");
	wait_for(&r.calls, 1);
	cr_assert_eq(engine->slots[0]->running.ct, 0);
	fetch_and_forget(NO_REQUEST, "/ok");
	cr_assert_eq(o.calls, 0);
	cr_assert_eq(r.calls, 1);
	buf_fini(&r.got);
}
