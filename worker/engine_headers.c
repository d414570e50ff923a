/* SPDX-License-Identifier: MIT
 *
 * engine_headers - the heads of responses, line by line: which headers are kept, what
 * a redirect does to the method, and whether the body's length is beyond doubt.
 *
 * Runs in: the worker.  transfer_on_header() is called by libcurl, deep inside
 * socket_action: it only stores, or stops the transfer.  It is called for every
 * response, also when nobody wants its headers.
 */
#include "worker/engine_parts.h"

#include <string.h>
#include <strings.h>

/* All heads of a fetch: of interim responses and redirects too, and trailers.  Less
 * than the 300 KiB after which libcurl 7.88 gives up, with an error that it has for
 * broken connections as well; other versions count otherwise, and none the trailers. */
enum { HEADS_BYTES_MAX = 256 * 1024 };

/* Folded lines of a head.  libcurl copies all of a header for each: 300 KiB of them
 * cost a second. */
enum { HEAD_FOLDS_MAX = 100 };

struct line {
	const char *at;
	size_t len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct line trimmed(const char *at, size_t len)
{
	while (len && is_blank(at[0])) {
		at++;
		len--;
	}
	while (len && is_blank(at[len - 1])) {
		len--;
	}
	return (struct line){at, len};
}

/* 303 asks for a GET.  libcurl makes it one, but keeps a name of the method
 * that it was told to use. */
static void obey_see_other(struct transfer *t, long status)
{
	if (status == 303 && t->now.follow && t->now.method[0]) {
		curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, NULL);
		t->now.method[0] = '\0';
	}
}

static int put_string(struct buf *b, struct line s)
{
	int err = buf_put(b, s.at, s.len);
	return err ? err : buf_put(b, "", 1);
}

static void lower(char *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (at[i] >= 'A' && at[i] <= 'Z') {
			at[i] = (char)(at[i] + ('a' - 'A'));
		}
	}
}

static int put_field(struct transfer *t, const char *bytes, size_t len)
{
	const char *colon = memchr(bytes, ':', len);
	t->head_open = false;
	if (!colon || colon == bytes) {
		return 0; /* not a header; libcurl let it pass, so do we */
	}
	struct line name = trimmed(bytes, (size_t)(colon - bytes));
	struct line value = trimmed(colon + 1, len - (size_t)(colon + 1 - bytes));
	size_t before = t->head.len;
	if (put_string(&t->head, name)) {
		return PM_ENOMEM;
	}
	lower(t->head.data + before, name.len);
	if (put_string(&t->head, value)) {
		return PM_ENOMEM;
	}
	t->head_ct++;
	t->head_open = true;
	return 0;
}

/* An obsolete folded line goes on with the value before it. */
static int put_continuation(struct transfer *t, const char *bytes, size_t len)
{
	struct line more = trimmed(bytes, len);
	if (!t->head_open || !more.len) {
		return 0;
	}
	t->head.data[t->head.len - 1] = ' '; /* was the NUL */
	return put_string(&t->head, more);
}

static bool begins(const char *bytes, size_t len, const char *name)
{
	size_t name_len = strlen(name);
	return len >= name_len && strncasecmp(bytes, name, name_len) == 0;
}

/* What is kept for those who want no headers: whoever fetches again needs to know
 * when, and by which clock. */
static bool is_about_time(const char *bytes, size_t len)
{
	return begins(bytes, len, "Retry-After:") || begins(bytes, len, "Date:");
}

static int put_header(struct transfer *t, const char *bytes, size_t len)
{
	if (bytes[0] == ' ' || bytes[0] == '\t') {
		if (++t->head_folds > HEAD_FOLDS_MAX) {
			t->stop_reason = "a head of more than 100 folded lines";
			return PM_EHEADERSIZE;
		}
		return put_continuation(t, bytes, len);
	}
	if (t->keep_headers || is_about_time(bytes, len)) {
		return put_field(t, bytes, len);
	}
	t->head_open = false;
	return 0;
}

/* --------------------------------------------------------------------- lines */

static void begin_response(struct transfer *t)
{
	t->head_state = HEAD_IN_FIELDS;
	t->head_open = false;
	t->head_ct = 0;
	t->head_folds = 0;
	t->framing = (struct framing){0};
	buf_clear(&t->head);
}

/* A response that has no body by its nature may announce any length. */
static bool has_body(const struct transfer *t, long status)
{
	return t->now.verb != VERB_HEAD && status >= 200 && status != 204 &&
	       status != 304;
}

static int end_head(struct transfer *t)
{
	long status = 0;
	t->head_state = HEAD_DONE;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	obey_see_other(t, status);
	t->stop_reason = has_body(t, status) ? framing_doubt(&t->framing) : NULL;
	return t->stop_reason ? PM_EBADRESPONSE : 0;
}

/* Another response follows a redirect or a 1xx.  What else comes after a head are
 * trailers: not headers.  One that looks like a status line only makes the response
 * a broken one, which it is: its head has no end then. */
static bool is_status_line(const char *bytes, size_t len)
{
	return len >= 5 && memcmp(bytes, "HTTP/", 5) == 0;
}

static int put_line(struct transfer *t, const char *bytes, size_t len)
{
	t->heads_bytes += len;
	if (t->heads_bytes > HEADS_BYTES_MAX) {
		t->stop_reason = "heads of more than 256 KiB";
		return PM_EHEADERSIZE;
	}
	if (t->head_state == HEAD_DONE && !is_status_line(bytes, len)) {
		return 0;
	}
	if (t->head_state != HEAD_IN_FIELDS) {
		begin_response(t);
		return 0;
	}
	if (bytes[0] == '\r' || bytes[0] == '\n') {
		return end_head(t);
	}
	framing_note(&t->framing, bytes, len);
	return put_header(t, bytes, len);
}

bool transfer_head_is_cut(const struct transfer *t)
{
	return t->head_state == HEAD_IN_FIELDS;
}

/* One line of a head, or a trailer. */
size_t transfer_on_header(char *bytes, size_t size, size_t ct, void *ctx)
{
	struct transfer *t = ctx;
	size_t n = size * ct; /* libcurl: size is 1, ct at most 100 KiB */
	t->unanswered = false;
	enum route_step step = n ? route_on_header(t, bytes, n) : STEP_GO;
	if (step != STEP_GO) { /* held, the line comes again; or t->stopped is set */
		return step == STEP_WAIT ? CURL_WRITEFUNC_PAUSE : CURL_WRITEFUNC_ERROR;
	}
	int err = n ? heads_take_line(t, bytes, n) : 0;
	if (!err && n) {
		err = put_line(t, bytes, n);
	}
	return err ? transfer_stop(t, err, t->stop_reason) : n;
}

void transfer_begin_head(struct transfer *t)
{
	begin_response(t);
	t->heads_bytes = 0;
	t->head_state = HEAD_EXPECTS_STATUS;
}
