/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/outbox, over a real pipeline with an inbox at its end.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/inbox.h"
#include "common/outbox.h"
#include "common/poolmap.h"
#include "tests/unit/dice.h"
#include "tests/unit/scratch.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { DEADLINE_MS = 20000, BIG_BYTES = 2 << 20 };

static const struct proto_route route = {
	.nonce = {1, 2, 3}, .slot = 5, .generation = 6};

static struct wire push = {.socket = -1}, pull = {.socket = -1};
static struct outbox out;
static struct inbox in;
static char path[128];
static uint8_t big[BIG_BYTES];

static void make(void)
{
	scratch_make();
	snprintf(path, sizeof path, "%s/s", scratch);
	cr_assert_eq(wire_dial(&push, WIRE_PUSH, path), 0);
	outbox_init(&out, &push, PROTO_RESULTS, &route);
	inbox_init(&in, PROTO_RESULTS, &route, BIG_BYTES);
	for (size_t i = 0; i < sizeof big; i++) {
		big[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
	}
}

static void clear(void)
{
	outbox_fini(&out);
	inbox_fini(&in);
	wire_close(&push);
	wire_close(&pull);
}

TestSuite(outbox, .init = make, .fini = clear);

static bool is_ready(const struct wire *w, int timeout_ms)
{
	struct pollfd p = {.fd = w->ready_fd, .events = POLLIN};
	return poll(&p, 1, timeout_ms) == 1;
}

/* The other end appears: from here on there is room. */
static void listen_now(void)
{
	cr_assert_eq(wire_listen(&pull, WIRE_PULL, path), 0);
	cr_assert(is_ready(&push, DEADLINE_MS));
}

/* ------------------------------------------------------------ what arrives */

/* Payload `id` is the first `id % sizeof big` bytes of `big`: so an id says
 * all that there is to check. */
static uint64_t next_id;
static unsigned frame_ct, record_ct, records_in_frame, longest_frame;

static enum inbox_verdict check_payload(
	void *ctx, uint64_t id, uint32_t attempt, const uint8_t *payload, size_t len)
{
	const uint64_t *ids = ctx;
	uint64_t want = ids ? ids[next_id] : next_id;
	cr_assert_eq(id, want, "payload %ju", (uintmax_t)next_id);
	cr_assert_eq(attempt, (uint32_t)id + 1);
	cr_assert_eq(len, id % sizeof big);
	cr_assert(len == 0 || memcmp(payload, big, len) == 0);
	next_id++;
	return INBOX_TAKEN;
}

/* Read one frame; `ids` are those that are expected, NULL: 0, 1, 2 ... */
static bool read_frame(const uint64_t *ids, int timeout_ms)
{
	void *frame;
	size_t len;
	struct proto_head head;
	if (!is_ready(&pull, timeout_ms) || wire_receive(&pull, &frame, &len)) {
		return false;
	}
	cr_assert_eq(proto_head_get(&head, frame, len), 0);
	cr_assert_leq(len, PROTO_FRAME_MAX);
	cr_assert(head.count > 0 && head.count <= PROTO_BATCH_RECORDS);
	cr_assert_eq(inbox_take(&in, frame, len, check_payload, (void *)(uintptr_t)ids),
		INBOX_TAKEN);
	frame_ct++;
	records_in_frame = head.count;
	record_ct += head.count;
	longest_frame = len > longest_frame ? (unsigned)len : longest_frame;
	wire_free(frame);
	return true;
}

static int put(uint64_t id)
{
	return outbox_put(&out, id, (uint32_t)id + 1, big, id % sizeof big);
}

/* Read, and send what waits, until `ct` payloads have come. */
static void read_until(const uint64_t *ids, uint64_t ct)
{
	while (next_id < ct) {
		if (!read_frame(ids, 0)) {
			cr_assert_geq(outbox_send(&out), 0);
			cr_assert(read_frame(ids, DEADLINE_MS), "%ju of %ju came",
				(uintmax_t)next_id, (uintmax_t)ct);
		}
	}
}

static void expect_nothing_more(void)
{
	cr_assert_eq(outbox_flush(&out), 0);
	cr_assert_not(read_frame(NULL, 0));
	cr_assert(list_empty(&out.waiting));
	cr_assert_eq(out.waiting_bytes, 0);
	cr_assert_eq(out.open_ct, 0);
}

/* ------------------------------------------------------------ batching */

Test(outbox, sends_nothing_when_there_is_nothing, .timeout = 60)
{
	listen_now();
	cr_assert_eq(outbox_flush(&out), 0);
	cr_assert_eq(outbox_send(&out), 0);
	cr_assert_eq(out.sequence, 0);
	cr_assert_not(read_frame(NULL, 0));
}

Test(outbox, holds_payloads_back_until_it_is_flushed, .timeout = 60)
{
	listen_now();
	for (uint64_t id = 0; id < 10; id++) {
		cr_assert_eq(put(id), 0);
	}
	cr_assert_eq(out.open_ct, 10);
	cr_assert_not(read_frame(NULL, 0));
	cr_assert_eq(outbox_flush(&out), 0);
	cr_assert(read_frame(NULL, DEADLINE_MS));
	cr_assert_eq(records_in_frame, 10, "they share one frame");
	cr_assert_eq(next_id, 10);
	cr_assert_eq(out.sequence, 1);
	expect_nothing_more();
}

Test(outbox, sends_a_payload_without_bytes, .timeout = 60)
{
	listen_now();
	cr_assert_eq(outbox_put(&out, 0, 1, NULL, 0), 0);
	cr_assert_eq(outbox_flush(&out), 0);
	cr_assert(read_frame(NULL, DEADLINE_MS));
	cr_assert_eq(next_id, 1);
	cr_assert_eq(records_in_frame, 1);
	expect_nothing_more();
}

/* Without a byte each: so many longer ones would be too long for a frame. */
Test(outbox, sends_a_frame_when_it_has_enough_records, .timeout = 60)
{
	static uint64_t ids[PROTO_BATCH_RECORDS];
	listen_now();
	for (uint64_t i = 0; i < PROTO_BATCH_RECORDS; i++) {
		cr_assert(i == 0 || !read_frame(ids, 0), "after %ju", (uintmax_t)i);
		ids[i] = i * sizeof big;
		cr_assert_eq(put(ids[i]), 0);
	}
	cr_assert(read_frame(ids, DEADLINE_MS), "without a flush");
	cr_assert_eq(records_in_frame, PROTO_BATCH_RECORDS);
	cr_assert_eq(out.open_ct, 0);
	cr_assert_eq(put(ids[0]), 0);
	cr_assert_eq(out.open_ct, 1);
}

Test(outbox, sends_a_frame_when_it_is_long_enough, .timeout = 60)
{
	static const uint64_t ids[] = {
		PROTO_BATCH_BYTES - PROTO_HEAD_BYTES - PROTO_RECORD_BYTES - 1, 0,
		PROTO_BATCH_BYTES - PROTO_HEAD_BYTES - PROTO_RECORD_BYTES};
	listen_now();
	cr_assert_eq(put(ids[0]), 0);
	cr_assert_eq(out.open_ct, 1, "one byte is missing");
	cr_assert_eq(put(ids[1]), 0);
	cr_assert_eq(out.open_ct, 0);
	cr_assert_eq(put(ids[2]), 0);
	cr_assert_eq(out.open_ct, 0, "long enough at once");
	read_until(ids, 3);
	cr_assert_eq(frame_ct, 2);
	expect_nothing_more();
}

Test(outbox, numbers_frames_from_one_without_a_gap, .timeout = 60)
{
	listen_now();
	for (uint64_t id = 0; id < 50; id++) {
		cr_assert_eq(put(id), 0);
		cr_assert_eq(outbox_flush(&out), 0);
		cr_assert_eq(out.sequence, id + 1);
		cr_assert(
			read_frame(NULL, DEADLINE_MS)); /* the inbox would see a gap */
	}
	cr_assert_eq(in.sequence, 50);
	expect_nothing_more();
}

/* ------------------------------------------------------------ pieces */

Test(outbox, cuts_long_payloads_in_pieces, .timeout = 60)
{
	static const struct {
		uint64_t len;
		unsigned records;
	} cases[] = {
		{PROTO_PIECE_BYTES - 1, 1},
		{PROTO_PIECE_BYTES, 1},
		{PROTO_PIECE_BYTES + 1, 2},
		{2 * PROTO_PIECE_BYTES, 2},
		{2 * PROTO_PIECE_BYTES + 1, 3},
		{BIG_BYTES - 1, 8},
	};
	uint64_t ids[LENGTH(cases)];
	listen_now();
	for (size_t i = 0; i < LENGTH(cases); i++) {
		ids[i] = cases[i].len;
		record_ct = 0;
		cr_assert_geq(put(ids[i]), 0);
		cr_assert_geq(outbox_flush(&out), 0);
		read_until(ids, i + 1);
		cr_assert_eq(
			record_ct, cases[i].records, "%ju", (uintmax_t)cases[i].len);
	}
	expect_nothing_more();
}

Test(outbox, keeps_to_the_longest_frame, .timeout = 60)
{
	/* the open frame is as long as it can be before the piece comes */
	static const uint64_t ids[] = {
		PROTO_BATCH_BYTES - PROTO_HEAD_BYTES - PROTO_RECORD_BYTES - 1,
		PROTO_PIECE_BYTES};
	listen_now();
	cr_assert_eq(put(ids[0]), 0);
	cr_assert_eq(out.open.len, PROTO_BATCH_BYTES - 1);
	cr_assert_geq(put(ids[1]), 0);
	read_until(ids, 2);
	cr_assert_eq(frame_ct, 1);
	cr_assert_gt(longest_frame, PROTO_PIECE_BYTES + PROTO_BATCH_BYTES);
	cr_assert_leq(longest_frame, PROTO_FRAME_MAX);
	expect_nothing_more();
}

/* ------------------------------------------------------------ back-pressure */

Test(outbox, keeps_frames_until_somebody_listens, .timeout = 60)
{
	size_t bytes = 0;
	for (uint64_t id = 0; id < 20; id++) {
		cr_assert_geq(put(id), 0);
		bytes += PROTO_HEAD_BYTES + PROTO_RECORD_BYTES + id;
		cr_assert_eq(outbox_flush(&out), WIRE_AGAIN);
		cr_assert_eq(out.waiting.ct, id + 1);
		cr_assert_eq(out.waiting_bytes, bytes);
		cr_assert_eq(outbox_send(&out), WIRE_AGAIN);
		cr_assert_eq(out.waiting.ct, id + 1);
	}
	listen_now();
	read_until(NULL, 20);
	expect_nothing_more();
}

Test(outbox, keeps_frames_and_their_order_when_the_wire_is_full, .timeout = 120)
{
	enum { CT = 5000 };
	bool again = false;
	listen_now();
	for (uint64_t id = 0; id < CT; id++) {
		int err = put(id);
		cr_assert_geq(err, 0);
		again |= err == WIRE_AGAIN;
	}
	cr_assert(again, "the wire was never full");
	cr_assert_eq(outbox_flush(&out), WIRE_AGAIN);
	cr_assert_gt(out.waiting.ct, 0);
	cr_assert_gt(out.waiting_bytes, 0);
	read_until(NULL, CT);
	expect_nothing_more();
	cr_assert_eq(in.sequence, out.sequence);
}

Test(outbox, says_again_while_frames_wait_for_the_wire, .timeout = 60)
{
	cr_assert_geq(put(1), 0);
	cr_assert_eq(outbox_flush(&out), WIRE_AGAIN);
	cr_assert_eq(put(2), WIRE_AGAIN, "queued, and a frame waits");
}

Test(outbox, says_again_when_the_front_of_a_payload_waits, .timeout = 60)
{
	/* the first piece closes its frame, which waits; the second stays open */
	cr_assert_eq(put(PROTO_PIECE_BYTES + 1), WIRE_AGAIN);
	cr_assert_eq(out.waiting.ct, 1);
}

Test(outbox, frees_what_still_waits_at_the_end, .timeout = 60)
{
	for (uint64_t id = 0; id < 1000; id++) {
		cr_assert_geq(put(id), 0);
	}
	cr_assert_gt(out.waiting.ct, 0);
	outbox_fini(&out); /* a leak is found by the sanitizer */
	cr_assert(list_empty(&out.waiting));
	cr_assert_eq(out.waiting_bytes, 0);
	cr_assert_null(out.open.data);
}

Test(outbox, fails_when_the_wire_does, .timeout = 60)
{
	cr_assert_eq(put(1), 0);
	wire_close(&push);
	cr_assert_eq(outbox_flush(&out), PM_ESYSTEM);
}

/* ------------------------------------------------------------ all together */

/* Mostly short, sometimes long, now and then in pieces. */
static uint64_t random_length(uint64_t *seed)
{
	switch (dice_below(seed, 20)) {
	case 0:
		return dice_below(seed, 2 * PROTO_PIECE_BYTES);
	case 1:
		return 0;
	default:
		return dice_below(seed, 3000);
	}
}

Test(outbox, delivers_whatever_is_put_flushed_and_read_in_any_order, .timeout = 240)
{
	enum { CT = 1500 };
	static uint64_t ids[CT];
	uint64_t seed = 99;
	for (size_t i = 0; i < CT; i++) {
		ids[i] = random_length(&seed);
	}
	for (size_t i = 0; i < CT; i++) {
		if (i == 100) {
			listen_now();
		}
		cr_assert_geq(put(ids[i]), 0);
		if (dice_below(&seed, 4) == 0) {
			cr_assert_geq(outbox_flush(&out), 0);
		}
		if (i >= 100 && dice_below(&seed, 3) == 0) {
			(void)read_frame(ids, 0);
		}
	}
	cr_assert_geq(outbox_flush(&out), 0);
	read_until(ids, CT);
	expect_nothing_more();
	cr_assert_eq(in.sequence, out.sequence);
}
