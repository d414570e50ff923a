/* SPDX-License-Identifier: MIT
 *
 * inbox - the receiving end of a pipeline; see inbox.h.
 */
#include "common/inbox.h"

#include "common/poolmap.h"

void inbox_init(struct inbox *i, enum proto_type type, const struct proto_route *route,
	size_t max_bytes)
{
	*i = (struct inbox){.type = type, .route = *route, .max_bytes = max_bytes};
}

void inbox_fini(struct inbox *i)
{
	buf_fini(&i->partial);
}

static bool same_route(const struct proto_route *a, const struct proto_route *b)
{
	return a->slot == b->slot && a->generation == b->generation &&
	       memcmp(a->nonce, b->nonce, PROTO_NONCE_BYTES) == 0;
}

/* Is this piece the next of the payload under construction, or a first one? */
static bool fits(const struct inbox *i, const struct proto_record *r)
{
	if (!i->partial_total) {
		return r->offset == 0;
	}
	return r->id == i->partial_id && r->attempt == i->partial_attempt &&
	       r->total == i->partial_total && r->offset == i->partial.len &&
	       r->length > 0;
}

static enum inbox_verdict take_piece(struct inbox *i, const struct proto_record *r,
	inbox_payload_fn *payload, void *ctx)
{
	if (r->length == 0) {
		return INBOX_BROKEN; /* only an empty payload has an empty piece */
	}
	if (buf_put(&i->partial, r->bytes, r->length)) {
		return INBOX_NOMEM;
	}
	i->partial_id = r->id;
	i->partial_attempt = r->attempt;
	i->partial_total = r->total;
	if (i->partial.len < r->total) {
		return INBOX_TAKEN;
	}
	i->partial_total = 0;
	enum inbox_verdict verdict = payload(ctx, r->id, r->attempt,
		(const uint8_t *)i->partial.data, i->partial.len);
	buf_fini(&i->partial); /* pieces are rare and large: keep no memory for them */
	return verdict;
}

static enum inbox_verdict take_record(struct inbox *i, const struct proto_record *r,
	inbox_payload_fn *payload, void *ctx)
{
	if (r->total > i->max_bytes || !fits(i, r)) {
		return INBOX_BROKEN;
	}
	if (r->length == r->total) {
		return payload(ctx, r->id, r->attempt, r->bytes, r->length);
	}
	return take_piece(i, r, payload, ctx);
}

/* All records of a frame that is next in line. */
static enum inbox_verdict take_frame(struct inbox *i, const struct proto_head *head,
	const void *frame, size_t len, inbox_payload_fn *payload, void *ctx)
{
	size_t at = 0;
	for (uint32_t n = 0; n < head->count; n++) {
		struct proto_record record;
		if (proto_record_get(&record, frame, len, &at)) {
			return INBOX_BROKEN;
		}
		enum inbox_verdict verdict = take_record(i, &record, payload, ctx);
		if (verdict != INBOX_TAKEN) {
			return verdict;
		}
	}
	return (at ? at : PROTO_HEAD_BYTES) == len ? INBOX_TAKEN : INBOX_BROKEN;
}

enum inbox_verdict inbox_take(struct inbox *i, const void *frame, size_t len,
	inbox_payload_fn *payload, void *ctx)
{
	struct proto_head head;
	if (proto_head_get(&head, frame, len) || head.type != i->type ||
		!same_route(&head.route, &i->route)) {
		return INBOX_FOREIGN;
	}
	if (i->broken || head.sequence != i->sequence + 1) {
		i->broken = true;
		return INBOX_BROKEN;
	}
	i->sequence++;
	enum inbox_verdict verdict = take_frame(i, &head, frame, len, payload, ctx);
	i->broken = verdict != INBOX_TAKEN;
	return verdict;
}
