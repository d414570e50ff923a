/* SPDX-License-Identifier: MIT
 *
 * fuzz_frames - what comes through the pipelines, on both sides: frames, records, and
 * the payloads that they make.  The input is one frame after the other, each behind two
 * bytes of length.  The first byte says which side, and whether heads are made good
 * first: nobody guesses a nonce, and behind it is most of the code.
 */
#include "common/inbox.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_BYTES = 1 << 20 };

static const struct proto_route route = {
	.nonce = "0123456789abcde", .slot = 3, .generation = 5};

static void check_emits(const struct proto_result *result)
{
	struct proto_emit emit;
	size_t at = 0, before = 0;
	while (at < result->emits_len &&
		!proto_emit_get(&emit, result->emits, result->emits_len, &at)) {
		FUZZ_CHECK(at > before && at <= result->emits_len);
		FUZZ_CHECK(emit.lane_len <= PROTO_LANE_MAX);
		before = at;
	}
}

static enum inbox_verdict on_payload(
	void *ctx, uint64_t id, uint32_t attempt, const uint8_t *payload, size_t len)
{
	struct proto_job job;
	struct proto_result result;
	(void)id;
	(void)attempt;
	FUZZ_CHECK(len <= MAX_BYTES);
	if (*(enum proto_type *)ctx == PROTO_JOBS) {
		return proto_job_get(&job, payload, len) ? INBOX_BROKEN : INBOX_TAKEN;
	}
	if (!proto_result_get(&result, payload, len)) {
		FUZZ_CHECK(result.message_len + result.emits_len + result.len <= len);
		check_emits(&result);
	}
	return INBOX_TAKEN;
}

/* Another head in front of the same records. */
static void make_good(struct buf *frame, enum proto_type type, uint64_t sequence)
{
	struct buf good = {0};
	uint32_t count = (uint8_t)frame->data[0];
	FUZZ_CHECK(!proto_frame_begin(&good, type, &route, sequence));
	FUZZ_CHECK(!buf_put(&good, frame->data + 1, frame->len - 1));
	proto_frame_end(&good, count);
	buf_fini(frame);
	*frame = good;
}

static size_t next_len(const uint8_t **data, size_t *size)
{
	size_t len = (size_t)(*data)[0] | (size_t)(*data)[1] << 8;
	*data += 2;
	*size -= 2;
	return len < *size ? len : *size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size ? data[0] : 0;
	enum proto_type type = how & 1 ? PROTO_JOBS : PROTO_RESULTS;
	struct inbox inbox;
	inbox_init(&inbox, type, &route, MAX_BYTES);
	data += size ? 1 : 0;
	size -= size ? 1 : 0;
	while (size > 2) {
		struct buf frame = {0};
		size_t len = next_len(&data, &size);
		FUZZ_CHECK(!buf_put(&frame, data, len));
		if ((how & 2) && len) {
			make_good(&frame, type, inbox.sequence + 1);
		}
		bool was_broken = inbox.broken;
		enum inbox_verdict v =
			inbox_take(&inbox, frame.data, frame.len, on_payload, &type);
		FUZZ_CHECK(!was_broken || v == INBOX_BROKEN || v == INBOX_FOREIGN);
		FUZZ_CHECK(v != INBOX_BROKEN || inbox.broken);
		buf_fini(&frame);
		data += len;
		size -= len;
	}
	inbox_fini(&inbox);
	return 0;
}
