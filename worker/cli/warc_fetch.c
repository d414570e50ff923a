/* SPDX-License-Identifier: MIT
 *
 * warc_fetch - see warc_fetch.h.
 *
 * Bodies of redirects that are followed are not received: their records hold the
 * head alone and say so.
 */
#include "worker/cli/warc_fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of all heads of a fetch, requests and responses. */
enum { HEADS_MAX = 2 << 20 };

/* One request and its response.  The ids and digests are filled in at the end. */
struct warc_hop {
	char *url;
	char ip[64];
	char date[WARC_DATE_ROOM];
	struct buf request, response; /* heads */
	bool http2;
	char response_id[WARC_ID_ROOM], request_id[WARC_ID_ROOM];
	char response_block[DIGEST_HEX_LEN + 1], response_payload[DIGEST_HEX_LEN + 1];
	char request_block[DIGEST_HEX_LEN + 1], request_payload[DIGEST_HEX_LEN + 1];
};

int warc_fetch_begin(struct warc_fetch *w, const char *prefix)
{
	*w = (struct warc_fetch){0};
	int dir = warc_file_dir(prefix);
	spool_init(&w->body, dir);
	return dir < 0 ? PM_ESYSTEM : 0;
}

static void hop_fini(struct warc_hop *hop)
{
	free(hop->url);
	buf_fini(&hop->request);
	buf_fini(&hop->response);
}

void warc_fetch_fini(struct warc_fetch *w)
{
	for (size_t i = 0; i < w->hop_ct; i++) {
		hop_fini(&w->hops[i]);
	}
	free(w->hops);
	spool_fini(&w->body);
	digest_fini(&w->block);
	digest_fini(&w->payload);
	*w = (struct warc_fetch){0};
	spool_init(&w->body, -1);
}

bool warc_fetch_any(const struct warc_fetch *w)
{
	return w->hop_ct > 0;
}

bool warc_fetch_redirects(const struct warc_fetch *w)
{
	const struct buf *head = &w->hops[w->hop_ct - 1].response;
	const char *blank = memchr(head->data, ' ', head->len);
	size_t len;
	return blank && blank + 1 < head->data + head->len && blank[1] == '3' &&
	       warc_record_field(head->data, head->len, "Location", &len);
}

/* ------------------------------------------------------------------ collecting */

static struct warc_hop *add_hop(struct warc_fetch *w)
{
	if (w->hop_ct == w->hop_cap) {
		size_t cap = w->hop_cap ? w->hop_cap * 2 : 1;
		struct warc_hop *more = reallocarray(w->hops, cap, sizeof *more);
		if (!more) {
			return NULL;
		}
		w->hops = more;
		w->hop_cap = cap;
	}
	struct warc_hop *hop = &w->hops[w->hop_ct++];
	*hop = (struct warc_hop){0};
	return hop;
}

static uint64_t now_unix_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int fill_hop(struct warc_hop *hop, const struct pm_exchange *x)
{
	bool request_is_new;
	hop->url = strdup(x->url);
	snprintf(hop->ip, sizeof hop->ip, "%s", x->remote_ip);
	warc_record_date(hop->date, now_unix_ms());
	return !hop->url ||
			       warc_record_http(&hop->request, x->request,
				       x->request_len, &request_is_new) ||
			       warc_record_http(&hop->response, x->response,
				       x->response_len, &hop->http2)
		       ? PM_ENOMEM
		       : 0;
}

int warc_fetch_exchange(void *ctx, const struct pm_exchange *x)
{
	struct warc_fetch *w = ctx;
	w->head_bytes += x->request_len + x->response_len;
	if (w->head_bytes > HEADS_MAX) {
		return PM_EHEADERSIZE;
	}
	struct warc_hop *hop = add_hop(w);
	if (!hop || fill_hop(hop, x) || digest_start(&w->block) ||
		digest_start(&w->payload)) {
		return PM_ENOMEM;
	}
	digest_add(&w->block, hop->response.data, hop->response.len);
	return 0;
}

int warc_fetch_body(void *ctx, const void *bytes, size_t len)
{
	struct warc_fetch *w = ctx;
	int err = w->hop_ct ? spool_add(&w->body, bytes, len) : PM_EINTERNAL;
	if (!err) {
		digest_add(&w->block, bytes, len);
		digest_add(&w->payload, bytes, len);
	}
	return err;
}

/* --------------------------------------------------------------------- writing */

static int digest_parts(char hex[DIGEST_HEX_LEN + 1], const void *one, size_t one_len,
	const void *other, size_t other_len)
{
	struct digest d = {0};
	int err = digest_start(&d);
	if (!err) {
		digest_add(&d, one, one_len);
		digest_add(&d, other, other_len);
		digest_end(&d, hex);
	}
	digest_fini(&d);
	return err;
}

/* Did this request have the body?  A redirect may have dropped it. */
static bool sent_body(const struct warc_hop *hop, size_t len)
{
	char text[24];
	size_t value_len;
	const char *value = warc_record_field(
		hop->request.data, hop->request.len, "Content-Length", &value_len);
	int text_len = snprintf(text, sizeof text, "%zu", len);
	return len > 0 && value && value_len == (size_t)text_len &&
	       memcmp(value, text, value_len) == 0;
}

/* Has this response a body, of which nothing was received? */
static bool announces_body(const struct warc_hop *hop)
{
	const struct buf *head = &hop->response;
	size_t len;
	if (hop->request.len > 5 && memcmp(hop->request.data, "HEAD ", 5) == 0) {
		return false;
	}
	if (warc_record_field(
		    head->data, head->len, "X-Orig-Transfer-Encoding", &len)) {
		return true;
	}
	const char *value =
		warc_record_field(head->data, head->len, "Content-Length", &len);
	return value && !(len == 1 && *value == '0');
}

static const char *protocol_of(const struct warc_hop *hop)
{
	return hop->http2 ? "h2" : NULL;
}

/* Of a hop whose body went nowhere; `body` is that of the last one. */
static int response_entry(struct warc_entry *e, struct warc_hop *hop,
	const struct spool *body, const char *truncated)
{
	if (!body && announces_body(hop)) {
		truncated = "unspecified";
	}
	if (!body && digest_parts(hop->response_block, hop->response.data,
			     hop->response.len, "", 0)) {
		return PM_ENOMEM;
	}
	e->record = (struct warc_record){.type = "response",
		.id = hop->response_id,
		.date = hop->date,
		.target = hop->url,
		.ip = hop->ip,
		.protocol = protocol_of(hop),
		.block_digest = hop->response_block,
		.payload_digest = hop->response_payload,
		.truncated = truncated,
		.content_type = "application/http; msgtype=response"};
	e->head = hop->response.data;
	e->head_len = hop->response.len;
	e->body = body;
	return warc_record_id(hop->response_id);
}

static int request_entry(
	struct warc_entry *e, struct warc_hop *hop, const struct warc_kept *kept)
{
	bool body = sent_body(hop, kept->request_len);
	const void *bytes = body ? kept->request_body : "";
	size_t len = body ? kept->request_len : 0;
	if (digest_parts(hop->request_block, hop->request.data, hop->request.len, bytes,
		    len) ||
		digest_parts(hop->request_payload, bytes, len, "", 0)) {
		return PM_ENOMEM;
	}
	e->record = (struct warc_record){.type = "request",
		.id = hop->request_id,
		.date = hop->date,
		.concurrent_to = hop->response_id,
		.target = hop->url,
		.ip = hop->ip,
		.protocol = protocol_of(hop),
		.block_digest = hop->request_block,
		.payload_digest = hop->request_payload,
		.content_type = "application/http; msgtype=request"};
	e->head = hop->request.data;
	e->head_len = hop->request.len;
	e->bytes = bytes;
	e->byte_ct = len;
	return warc_record_id(hop->request_id);
}

static int make_entries(
	struct warc_fetch *w, struct warc_entry *entries, struct warc_kept *kept)
{
	struct warc_hop *last = &w->hops[w->hop_ct - 1];
	if (!kept->no_body) {
		digest_end(&w->block, last->response_block);
		digest_end(&w->payload, last->response_payload);
		memcpy(kept->sha256, last->response_payload, sizeof kept->sha256);
	}
	int err = 0;
	for (size_t i = 0; !err && i < w->hop_ct; i++) {
		struct warc_hop *hop = &w->hops[i];
		bool whole = hop == last && !kept->no_body;
		err = response_entry(&entries[2 * i], hop, whole ? &w->body : NULL,
			whole ? kept->truncated : NULL);
		err = err ? err : request_entry(&entries[2 * i + 1], hop, kept);
	}
	return err;
}

int warc_fetch_keep(
	struct warc_fetch *w, const struct warc_place *place, struct warc_kept *kept)
{
	size_t ct = w->hop_ct * 2;
	struct warc_entry *entries = calloc(ct, sizeof *entries);
	if (!entries) {
		return PM_ENOMEM;
	}
	int err = make_entries(w, entries, kept);
	err = err ? err : warc_file_append(place, entries, ct, &kept->path);
	if (!err) {
		kept->offset = entries[ct - 2].offset;
		kept->length = entries[ct - 2].length;
	}
	int why = errno;
	free(entries);
	errno = why;
	return err;
}
