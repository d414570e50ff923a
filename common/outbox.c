/* SPDX-License-Identifier: MIT
 *
 * outbox - the sending end of a pipeline; see outbox.h.
 */
#include "common/outbox.h"

#include <stdlib.h>

#include "common/poolmap.h"

struct waiting_frame {
	struct list_node link;
	size_t len;
	char bytes[];
};

void outbox_init(struct outbox *o, struct wire *wire, enum proto_type type,
	const struct proto_route *route)
{
	*o = (struct outbox){.wire = wire, .type = type, .route = *route};
	list_init(&o->waiting);
}

void outbox_fini(struct outbox *o)
{
	struct list_node *n;
	while ((n = list_pop_front(&o->waiting))) {
		free(list_entry(n, struct waiting_frame, link));
	}
	o->waiting_bytes = 0;
	buf_fini(&o->open);
}

int outbox_send(struct outbox *o)
{
	struct list_node *n;
	while ((n = list_first(&o->waiting))) {
		struct waiting_frame *f = list_entry(n, struct waiting_frame, link);
		int err = wire_send(o->wire, f->bytes, f->len);
		if (err) {
			return err;
		}
		list_remove(&o->waiting, n);
		o->waiting_bytes -= f->len;
		free(f);
	}
	return 0;
}

static int keep_waiting(struct outbox *o, const struct buf *frame)
{
	struct waiting_frame *f = malloc(sizeof *f + frame->len);
	if (!f) {
		return PM_ENOMEM;
	}
	f->len = frame->len;
	memcpy(f->bytes, frame->data, frame->len);
	list_push_back(&o->waiting, &f->link);
	o->waiting_bytes += f->len;
	return 0;
}

/* Finish the open frame and send it, behind those that wait. */
static int close_frame(struct outbox *o)
{
	if (!o->open_ct) {
		return 0;
	}
	proto_frame_end(&o->open, o->open_ct);
	int err = outbox_send(o);
	if (!err) {
		err = wire_send(o->wire, o->open.data, o->open.len);
	}
	if (err == WIRE_AGAIN) {
		err = keep_waiting(o, &o->open);
		err = err ? err : WIRE_AGAIN;
	}
	buf_clear(&o->open);
	o->open_ct = 0;
	return err;
}

static int put_record(struct outbox *o, const struct proto_record *record)
{
	int err = 0;
	if (!o->open_ct) {
		err = proto_frame_begin(&o->open, o->type, &o->route, o->sequence + 1);
		o->sequence += err ? 0 : 1;
	}
	if (!err) {
		err = proto_record_put(&o->open, record);
	}
	o->open_ct += err ? 0 : 1;
	if (!err && (o->open_ct >= PROTO_BATCH_RECORDS ||
			    o->open.len >= PROTO_BATCH_BYTES)) {
		err = close_frame(o);
	}
	return err;
}

int outbox_put(struct outbox *o, uint64_t id, uint32_t attempt, const void *payload,
	size_t len)
{
	struct proto_record record = {
		.id = id, .attempt = attempt, .total = (uint32_t)len};
	int err;
	do {
		size_t left = len - record.offset;
		record.length =
			left < PROTO_PIECE_BYTES ? (uint32_t)left : PROTO_PIECE_BYTES;
		record.bytes = (const uint8_t *)payload + record.offset;
		err = put_record(o, &record);
		record.offset += record.length;
	} while (err >= 0 && record.offset < len);
	return err >= 0 && !list_empty(&o->waiting) ? WIRE_AGAIN : err;
}

int outbox_flush(struct outbox *o)
{
	int err = close_frame(o);
	return err ? err : outbox_send(o);
}
