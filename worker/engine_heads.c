/* SPDX-License-Identifier: MIT
 *
 * engine_heads - the heads of requests and responses as they go over the wire, for
 * on_exchange.
 *
 * Runs in: the worker.  The callbacks are called by libcurl, deep inside
 * socket_action: they only store, or stop the transfer.  What was sent is seen by
 * the debug function alone, which cannot stop anything, and is kept until its
 * response is there.  Transfers without an on_exchange pay nothing for it.
 */
#include "worker/engine_parts.h"

#include <string.h>

/* libcurl's own lines, such as those to a proxy, are no request of ours. */
static bool is_tunnel(const char *bytes, size_t len)
{
	return len > 8 && memcmp(bytes, "CONNECT ", 8) == 0;
}

static bool is_complete(const struct buf *head)
{
	return head->len >= 4 && memcmp(head->data + head->len - 4, "\r\n\r\n", 4) == 0;
}

/* A head may be sent in parts, and again on another connection. */
static int on_debug(CURL *easy, curl_infotype type, char *bytes, size_t len, void *ctx)
{
	struct transfer *t = ctx;
	(void)easy;
	if (type != CURLINFO_HEADER_OUT || is_tunnel(bytes, len)) {
		return 0;
	}
	if (is_complete(&t->sent_head)) {
		buf_clear(&t->sent_head);
	}
	t->heads_lost = buf_put(&t->sent_head, bytes, len) || t->heads_lost;
	return 0;
}

CURLcode heads_set_options(struct transfer *t)
{
	if (t->now.watch_heads == (t->on_exchange != NULL)) {
		return CURLE_OK;
	}
	t->now.watch_heads = t->on_exchange != NULL;
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_DEBUGFUNCTION, t->now.watch_heads ? on_debug : NULL);
	SET(CURLOPT_DEBUGDATA, t->now.watch_heads ? t : NULL);
	SET(CURLOPT_VERBOSE, (long)t->now.watch_heads);
	return bad;
}

void heads_begin(struct transfer *t, const struct pm_request *request)
{
	t->on_exchange = request->on_exchange;
	t->on_exchange_ctx = request->on_exchange_ctx;
	t->heads_lost = false;
	buf_clear(&t->sent_head);
	buf_clear(&t->got_head);
}

void heads_release(struct transfer *t)
{
	if (t->sent_head.cap > KEEP_BYTES_MAX) {
		buf_fini(&t->sent_head);
	}
	if (t->got_head.cap > KEEP_BYTES_MAX) {
		buf_fini(&t->got_head);
	}
}

void heads_fini(struct transfer *t)
{
	buf_fini(&t->sent_head);
	buf_fini(&t->got_head);
}

static const char *text_of(struct transfer *t, CURLINFO what)
{
	char *text = NULL;
	curl_easy_getinfo(t->easy, what, &text);
	return text ? text : "";
}

/* The task's own function.  As with on_body it may cancel transfers. */
static int give(struct transfer *t)
{
	struct pm_exchange exchange = {
		.url = text_of(t, CURLINFO_EFFECTIVE_URL),
		.remote_ip = text_of(t, CURLINFO_PRIMARY_IP),
		.request = t->sent_head.data,
		.request_len = t->sent_head.len,
		.response = t->got_head.data,
		.response_len = t->got_head.len,
	};
	struct shard *s = t->shard;
	s->calling = true;
	int err = t->on_exchange(t->on_exchange_ctx, &exchange);
	s->calling = false;
	if (!err && t->cancelled) {
		err = PM_ECANCELLED;
	}
	t->stopped_by_reader = err != 0;
	return err > 0 ? PM_EINVAL : err;
}

/* "HTTP/1.1 1": more will follow on the same request. */
static bool is_interim(const struct buf *head)
{
	const char *blank = memchr(head->data, ' ', head->len);
	return blank && blank + 1 < head->data + head->len && blank[1] == '1';
}

int heads_take_line(struct transfer *t, const char *bytes, size_t len)
{
	if (!t->on_exchange) {
		return 0;
	}
	if (t->head_state != HEAD_IN_FIELDS) {
		if (len < 5 || memcmp(bytes, "HTTP/", 5) != 0) {
			return 0; /* a trailer */
		}
		buf_clear(&t->got_head);
	}
	if (buf_put(&t->got_head, bytes, len) || t->heads_lost) {
		return PM_ENOMEM;
	}
	bool last = bytes[0] == '\r' || bytes[0] == '\n';
	return last && !is_interim(&t->got_head) ? give(t) : 0;
}
