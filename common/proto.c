/* SPDX-License-Identifier: MIT
 *
 * proto - encoders and decoders of everything on the wires; see proto.h.
 *
 * Pure functions of bytes.  A decoder copies out, checks each length before it
 * uses it, and believes nothing.
 */
#include "common/proto.h"

#include "common/poolmap.h"

/* More than any memory holds, and far from the end of a size_t. */
#define LENGTH_MAX (SIZE_MAX / 4)

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* ------------------------------------------------------------------ frames */

int proto_frame_begin(struct buf *out, enum proto_type type,
	const struct proto_route *route, uint64_t sequence)
{
	uint8_t head[PROTO_HEAD_BYTES];
	put32(head, PROTO_MAGIC);
	put16(head + 4, PROTO_VERSION);
	put16(head + 6, (uint16_t)type);
	memcpy(head + 8, route->nonce, PROTO_NONCE_BYTES);
	put32(head + 24, route->slot);
	put32(head + 28, route->generation);
	put64(head + 32, sequence);
	put64(head + 40, 0);
	return buf_put(out, head, sizeof head);
}

void proto_frame_end(struct buf *frame, uint32_t count)
{
	uint8_t *head = (uint8_t *)frame->data;
	put32(head + 40, count);
	put32(head + 44, (uint32_t)(frame->len - PROTO_HEAD_BYTES));
}

int proto_head_get(struct proto_head *head, const void *frame, size_t len)
{
	const uint8_t *p = frame;
	if (len < PROTO_HEAD_BYTES || get32(p) != PROTO_MAGIC ||
		get16(p + 4) != PROTO_VERSION) {
		return PM_EINVAL;
	}
	uint16_t type = get16(p + 6);
	if (type != PROTO_JOBS && type != PROTO_RESULTS) {
		return PM_EINVAL;
	}
	if (get32(p + 44) != len - PROTO_HEAD_BYTES) {
		return PM_EINVAL;
	}
	head->type = (enum proto_type)type;
	memcpy(head->route.nonce, p + 8, PROTO_NONCE_BYTES);
	head->route.slot = get32(p + 24);
	head->route.generation = get32(p + 28);
	head->sequence = get64(p + 32);
	head->count = get32(p + 40);
	head->length = get32(p + 44);
	return 0;
}

int proto_record_put(struct buf *frame, const struct proto_record *record)
{
	if (buf_reserve(frame, PROTO_RECORD_BYTES + (size_t)record->length)) {
		return PM_ENOMEM;
	}
	uint8_t head[PROTO_RECORD_BYTES];
	put64(head, record->id);
	put32(head + 8, record->attempt);
	put32(head + 12, record->total);
	put32(head + 16, record->offset);
	put32(head + 20, record->length);
	(void)buf_put(frame, head, sizeof head); /* reserved above */
	(void)buf_put(frame, record->bytes, record->length);
	return 0;
}

int proto_record_get(
	struct proto_record *record, const void *frame, size_t len, size_t *at)
{
	size_t from = *at ? *at : PROTO_HEAD_BYTES;
	if (from > len || len - from < PROTO_RECORD_BYTES) {
		return PM_EINVAL;
	}
	const uint8_t *p = (const uint8_t *)frame + from;
	uint32_t total = get32(p + 12), offset = get32(p + 16), length = get32(p + 20);
	if (length > len - from - PROTO_RECORD_BYTES || offset > total ||
		length > total - offset) {
		return PM_EINVAL;
	}
	record->id = get64(p);
	record->attempt = get32(p + 8);
	record->total = total;
	record->offset = offset;
	record->length = length;
	record->bytes = p + PROTO_RECORD_BYTES;
	*at = from + PROTO_RECORD_BYTES + length;
	return 0;
}

/* ---------------------------------------------------------------- payloads */

int proto_job_put(struct buf *out, const struct proto_job *job)
{
	uint8_t head[PROTO_JOB_HEAD_BYTES];
	put64(head, job->task);
	put64(head + 8, job->queued_at_us);
	put32(head + 16, job->timeout_ms);
	put32(head + 20, job->epoch);
	if (job->arg_len > LENGTH_MAX || buf_reserve(out, sizeof head + job->arg_len)) {
		return PM_ENOMEM;
	}
	(void)buf_put(out, head, sizeof head); /* reserved above */
	(void)buf_put(out, job->arg, job->arg_len);
	return 0;
}

int proto_job_get(struct proto_job *job, const uint8_t *payload, size_t len)
{
	if (len < PROTO_JOB_HEAD_BYTES) {
		return PM_EINVAL;
	}
	job->task = get64(payload);
	job->queued_at_us = get64(payload + 8);
	job->timeout_ms = get32(payload + 16);
	job->epoch = get32(payload + 20);
	job->arg = payload + PROTO_JOB_HEAD_BYTES;
	job->arg_len = len - PROTO_JOB_HEAD_BYTES;
	return 0;
}

int proto_result_put(struct buf *out, const struct proto_result *result)
{
	size_t message_len = result->message_len < PROTO_MESSAGE_MAX
				     ? result->message_len
				     : PROTO_MESSAGE_MAX;
	uint8_t head[PROTO_RESULT_HEAD_BYTES];
	put32(head, (uint32_t)result->error);
	put32(head + 4, (uint32_t)result->domain);
	put32(head + 8, (uint32_t)result->code);
	put32(head + 12, (uint32_t)message_len);
	put32(head + 16, (uint32_t)result->emits_len);
	if (result->len > LENGTH_MAX || result->emits_len > UINT32_MAX / 2 ||
		buf_reserve(out,
			sizeof head + message_len + result->emits_len + result->len)) {
		return PM_ENOMEM;
	}
	(void)buf_put(out, head, sizeof head); /* reserved above */
	(void)buf_put(out, result->message, message_len);
	(void)buf_put(out, result->emits, result->emits_len);
	(void)buf_put(out, result->bytes, result->len);
	return 0;
}

int proto_result_get(struct proto_result *result, const uint8_t *payload, size_t len)
{
	if (len < PROTO_RESULT_HEAD_BYTES) {
		return PM_EINVAL;
	}
	uint32_t message_len = get32(payload + 12);
	uint32_t emits_len = get32(payload + 16);
	size_t rest = len - PROTO_RESULT_HEAD_BYTES;
	if (message_len > PROTO_MESSAGE_MAX || message_len > rest ||
		emits_len > rest - message_len) {
		return PM_EINVAL;
	}
	result->error = (int32_t)get32(payload);
	result->domain = (int32_t)get32(payload + 4);
	result->code = (int32_t)get32(payload + 8);
	if (result->error > 0) {
		return PM_EINVAL;
	}
	result->message = (const char *)payload + PROTO_RESULT_HEAD_BYTES;
	result->message_len = message_len;
	result->emits = payload + PROTO_RESULT_HEAD_BYTES + message_len;
	result->emits_len = emits_len;
	result->bytes = result->emits + emits_len;
	result->len = rest - message_len - emits_len;
	return 0;
}

int proto_emit_put(struct buf *out, const struct proto_emit *emit)
{
	uint8_t head[PROTO_EMIT_HEAD_BYTES];
	put64(head, emit->task);
	put64(head + 8, emit->tag);
	put32(head + 16, emit->timeout_ms);
	put32(head + 20, emit->queue_timeout_ms);
	put32(head + 24, emit->once ? 1 : 0);
	put32(head + 28, (uint32_t)emit->arg_len);
	head[32] = (uint8_t)emit->lane_len;
	if (emit->arg_len > UINT32_MAX / 2 || emit->lane_len > PROTO_LANE_MAX ||
		buf_reserve(out, sizeof head + emit->lane_len + emit->arg_len)) {
		return PM_ENOMEM;
	}
	(void)buf_put(out, head, sizeof head); /* reserved above */
	(void)buf_put(out, emit->lane, emit->lane_len);
	(void)buf_put(out, emit->arg, emit->arg_len);
	return 0;
}

int proto_emit_get(
	struct proto_emit *emit, const uint8_t *emits, size_t len, size_t *at)
{
	if (*at > len || len - *at < PROTO_EMIT_HEAD_BYTES) {
		return PM_EINVAL;
	}
	const uint8_t *p = emits + *at;
	size_t rest = len - *at - PROTO_EMIT_HEAD_BYTES;
	size_t arg_len = get32(p + 28), lane_len = p[32];
	if (lane_len > rest || arg_len > rest - lane_len || get32(p + 24) > 1) {
		return PM_EINVAL;
	}
	emit->task = get64(p);
	emit->tag = get64(p + 8);
	emit->timeout_ms = get32(p + 16);
	emit->queue_timeout_ms = get32(p + 20);
	emit->once = get32(p + 24) == 1;
	emit->lane = (const char *)p + PROTO_EMIT_HEAD_BYTES;
	emit->lane_len = lane_len;
	emit->arg = p + PROTO_EMIT_HEAD_BYTES + lane_len;
	emit->arg_len = arg_len;
	*at += PROTO_EMIT_HEAD_BYTES + lane_len + arg_len;
	return 0;
}

/* ---------------------------------------------------------------- lifeline */

/* How many values a message of this type may carry; -1 for no such type. */
static int life_values(uint32_t type)
{
	switch (type) {
#define X(name, number, values)                                                        \
	case number:                                                                   \
		return values;
		/* NOLINTNEXTLINE(bugprone-branch-clone): a list has such */
		PROTO_LIFE_MESSAGES(X)
#undef X
	default:
		return -1;
	}
}

const char *proto_life_name(int type)
{
	switch (type) {
#define X(name, number, values)                                                        \
	case number:                                                                   \
		return #name;
		PROTO_LIFE_MESSAGES(X)
#undef X
	default:
		return "unknown";
	}
}

size_t proto_life_put(void *out, const struct proto_life_message *message)
{
	uint8_t *p = out;
	put32(p, (uint32_t)message->type);
	put32(p + 4, message->slot);
	put32(p + 8, message->generation);
	put32(p + 12, message->count);
	for (uint32_t i = 0; i < message->count; i++) {
		put64(p + PROTO_LIFE_HEAD_BYTES + (size_t)i * 8, message->values[i]);
	}
	return PROTO_LIFE_HEAD_BYTES + (size_t)message->count * 8;
}

int proto_life_get(struct proto_life_message *message, const void *packet, size_t len)
{
	const uint8_t *p = packet;
	if (len < PROTO_LIFE_HEAD_BYTES) {
		return PM_EINVAL;
	}
	uint32_t type = get32(p), count = get32(p + 12);
	int values = life_values(type);
	bool any_number = type == PROTO_CANCEL;
	if (values < 0 ||
		(any_number ? count > (uint32_t)values : count != (uint32_t)values) ||
		len != PROTO_LIFE_HEAD_BYTES + (size_t)count * 8) {
		return PM_EINVAL;
	}
	message->type = (enum proto_life)type;
	message->slot = get32(p + 4);
	message->generation = get32(p + 8);
	message->count = count;
	for (uint32_t i = 0; i < count; i++) {
		message->values[i] = get64(p + PROTO_LIFE_HEAD_BYTES + (size_t)i * 8);
	}
	return 0;
}

const char *proto_exit_text(int code)
{
	switch (code) {
	case PROTO_EXIT_ORPHAN:
		return "lost its master";
	case PROTO_EXIT_BOOT:
		return "could not set itself up";
	case PROTO_EXIT_PROTO:
		return "missed frames of the master";
	case PROTO_EXIT_NANOMSG:
		return "has no nanomsg thread";
	case PROTO_EXIT_MEMORY:
		return "ran out of memory";
	case PROTO_EXIT_INIT:
		return "failed in its initializer";
	default:
		return NULL;
	}
}
