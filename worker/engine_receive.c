/* SPDX-License-Identifier: MIT
 *
 * engine_receive - collects what a server sends, and makes the result of it.
 *
 * Runs in: the worker.  The callbacks are called by libcurl, deep inside
 * socket_action: they only store, or stop the transfer.  Never trusts a length
 * that a server announces: the bytes that really came are counted.
 */
#include "worker/engine_parts.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BODY = 10 * 1024 * 1024 };

/* ---------------------------------------------------------------------- body */

size_t transfer_stop(struct transfer *t, int error, const char *why)
{
	t->stopped = error;
	t->stop_reason = why;
	return CURL_WRITEFUNC_ERROR;
}

/* Before the first byte: what is announced, as far as it is credible.  Of a
 * compressed body it says little.  Returns 0 or a pm_error. */
static int expect_body(struct transfer *t)
{
	curl_off_t announced = -1;
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
	if (announced < 0 || t->now.compressed) {
		return 0;
	}
	if ((uint64_t)announced > t->max_body) {
		return PM_EBODYSIZE;
	}
	if (t->discard_body || announced > BODY_RESERVE_MAX) {
		return 0;
	}
	return buf_reserve(&t->body, (size_t)announced + 1);
}

/* The task's own function.  It may cancel transfers, this one too. */
static int give_body(struct transfer *t, const char *bytes, size_t len)
{
	struct shard *s = t->shard;
	s->calling = true;
	int err = t->on_body(t->on_body_ctx, bytes, len);
	s->calling = false;
	if (!err && t->cancelled) {
		err = PM_ECANCELLED;
	}
	t->stopped_by_reader = err != 0;
	return err > 0 ? PM_EINVAL : err;
}

static int take_body(struct transfer *t, const char *bytes, size_t len)
{
	if (t->on_body) {
		return give_body(t, bytes, len);
	}
	return t->discard_body ? 0 : buf_put(&t->body, bytes, len);
}

size_t transfer_on_body(char *bytes, size_t size, size_t ct, void *ctx)
{
	struct transfer *t = ctx;
	size_t n = size * ct; /* libcurl: size is 1, ct at most 16 KiB */
	if (t->cancelled) {
		return CURL_WRITEFUNC_ERROR;
	}
	int err = t->body_len ? 0 : expect_body(t);
	if (err || n > t->max_body - t->body_len) {
		return transfer_stop(t, err ? err : PM_EBODYSIZE, NULL);
	}
	t->body_len += n;
	err = n ? take_body(t, bytes, n) : 0;
	return err ? transfer_stop(t, err, NULL) : n;
}

/* -------------------------------------------------------------------- result */

void transfer_begin_answer(struct transfer *t, const struct pm_request *request)
{
	t->max_body = request->max_body == PM_NO_BODY ? 0
		      : request->max_body             ? request->max_body
						      : MAX_BODY;
	t->on_body = request->on_body;
	t->on_body_ctx = request->on_body_ctx;
	t->discard_body = request->discard_body || request->on_body;
	heads_begin(t, request);
	buf_clear(&t->body);
	t->body_len = 0;
	transfer_begin_head(t);
	t->stopped = 0;
	t->stop_reason = NULL;
	t->stopped_by_reader = t->cancelled = false;
	t->socket_errno = 0;
	t->address_failed = false;
	twice_begin(t, request);
	t->error_text[0] = '\0';
}

void transfer_release_answer(struct transfer *t)
{
	if (t->body.cap > KEEP_BYTES_MAX) {
		buf_fini(&t->body);
	}
	if (t->head.cap > KEEP_BYTES_MAX) {
		buf_fini(&t->head);
	}
	heads_release(t);
}

struct text {
	const char *at;
	size_t len;
};

static int version_number(long curl_version)
{
	switch (curl_version) {
	case CURL_HTTP_VERSION_1_0:
		return 10;
	case CURL_HTTP_VERSION_1_1:
		return 11;
	case CURL_HTTP_VERSION_2_0:
		return 20;
	case CURL_HTTP_VERSION_3:
		return 30;
	default:
		return 0;
	}
}

static long info_long(struct transfer *t, CURLINFO what)
{
	long value = 0;
	curl_easy_getinfo(t->easy, what, &value);
	return value;
}

static uint64_t info_count(struct transfer *t, CURLINFO what)
{
	curl_off_t value = 0;
	curl_easy_getinfo(t->easy, what, &value);
	return value > 0 ? (uint64_t)value : 0;
}

static struct text info_text(struct transfer *t, CURLINFO what)
{
	char *value = NULL;
	curl_easy_getinfo(t->easy, what, &value);
	return value ? (struct text){value, strlen(value)} : (struct text){"", 0};
}

static void fill_numbers(struct transfer *t, struct pm_response *pm)
{
	pm->status = (int)info_long(t, CURLINFO_RESPONSE_CODE);
	pm->http_version = version_number(info_long(t, CURLINFO_HTTP_VERSION));
	pm->redirect_ct = (unsigned)info_long(t, CURLINFO_REDIRECT_COUNT);
	pm->resend_ct = t->resend_ct;
	pm->size_download = info_count(t, CURLINFO_SIZE_DOWNLOAD_T);
	pm->size_upload = info_count(t, CURLINFO_SIZE_UPLOAD_T);
	pm->time_namelookup_us = info_count(t, CURLINFO_NAMELOOKUP_TIME_T);
	pm->time_connect_us = info_count(t, CURLINFO_CONNECT_TIME_T);
	pm->time_appconnect_us = info_count(t, CURLINFO_APPCONNECT_TIME_T);
	pm->time_starttransfer_us = info_count(t, CURLINFO_STARTTRANSFER_TIME_T);
	pm->time_total_us = info_count(t, CURLINFO_TOTAL_TIME_T);
}

static void fill_headers(struct transfer *t, struct response *r)
{
	struct pm_header *table = (struct pm_header *)(void *)r->store;
	const char *from = t->head.data;
	for (size_t i = 0; i < t->head_ct; i++) {
		for (int part = 0; part < 2; part++) {
			size_t len = strlen(from);
			const char *text = response_text(r, from, len);
			*(part ? &table[i].value : &table[i].name) = text;
			from += len + 1;
		}
	}
	r->pm.header_ct = t->head_ct;
}

/* A large body changes hands with its buffer, a small one is copied, so that
 * its buffer stays with the handle. */
static bool body_moves(const struct transfer *t)
{
	return t->body.len > KEEP_BYTES_MAX;
}

static int fill_body(struct transfer *t, struct response *r)
{
	r->pm.body_len = t->body_len;
	if (!body_moves(t)) {
		r->pm.body = response_text(r, t->body.data, t->body.len);
		return 0;
	}
	if (!buf_text(&t->body)) {
		return PM_ENOMEM;
	}
	char *fitting = realloc(t->body.data, t->body.len + 1);
	r->body_memory = fitting ? fitting : t->body.data;
	r->pm.body = r->body_memory;
	t->body = (struct buf){0};
	return 0; /* cppcheck-suppress memleak ; the response has it */
}

/* NULL: no memory. */
static struct response *build_response(struct transfer *t, bool with_body)
{
	struct text url = info_text(t, CURLINFO_EFFECTIVE_URL);
	struct text type = info_text(t, CURLINFO_CONTENT_TYPE);
	struct text ip = info_text(t, CURLINFO_PRIMARY_IP);
	size_t body = with_body && !body_moves(t) ? t->body.len : 0;
	/* libcurl bounds the first three, we the others: megabytes at most. */
	struct response *r = response_new(
		t->head_ct, t->head.len + url.len + type.len + ip.len + body + 4);
	if (!r) {
		return NULL;
	}
	fill_numbers(t, &r->pm);
	r->pm.url_effective = response_text(r, url.at, url.len);
	r->pm.content_type = response_text(r, type.at, type.len);
	r->pm.remote_ip = response_text(r, ip.at, ip.len);
	fill_headers(t, r);
	if (with_body && fill_body(t, r)) {
		response_free(r);
		return NULL;
	}
	return r;
}

/* libcurl takes a connection that ends within the head for the end of a response
 * without a body. */
static CURLcode doubt_success(struct transfer *t, CURLcode code)
{
	static const char why[] = "the response ends within its head";
	if (code || !transfer_head_is_cut(t)) {
		return code;
	}
	memcpy(t->error_text, why, sizeof(why));
	return CURLE_PARTIAL_FILE;
}

void transfer_build_result(
	struct transfer *t, CURLcode code, struct engine_result *result)
{
	/* Not all of it: a message of 256 bytes is not worth clearing. */
	result->failure.error = result->failure.domain = result->failure.code = 0;
	result->failure.message[0] = '\0';
	code = doubt_success(t, code);
	if (code) {
		engine_classify(
			&(struct engine_evidence){
				.code = (int)code,
				.message = t->error_text,
				.stopped = t->stopped,
				.stop_reason = t->stop_reason,
				.stopped_by_reader = t->stopped_by_reader,
				.socket_errno = t->socket_errno,
				.status = (int)info_long(t, CURLINFO_RESPONSE_CODE),
				.answered = info_count(t,
						    CURLINFO_STARTTRANSFER_TIME_T) > 0,
				.has_head = !t->unanswered,
			},
			&result->failure);
	}
	struct response *r = build_response(t, code == CURLE_OK);
	if (!r) {
		r = t->reserve;
		t->reserve = NULL;
		engine_failure(&result->failure, PM_ENOMEM, PM_DOMAIN_NONE, 0,
			"no memory for the response");
	}
	result->response = &r->pm;
}
