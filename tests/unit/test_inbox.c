/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/inbox: which frames of a sender are taken, what is put
 * together from them, and that damaged frames never become payloads.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/inbox.h"
#include "common/poolmap.h"
#include "tests/unit/dice.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { MAX_BYTES = 3 * PROTO_PIECE_BYTES };

static const struct proto_route route = {
	.nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	.slot = 3,
	.generation = 9,
};

static struct inbox box;
static struct buf frame;

static void open_box(void)
{
	inbox_init(&box, PROTO_RESULTS, &route, MAX_BYTES);
}

static void close_box(void)
{
	inbox_fini(&box);
	buf_fini(&frame);
}

TestSuite(inbox, .init = open_box, .fini = close_box);

/* ------------------------------------------------------------ what arrived */

static struct {
	uint64_t id;
	uint32_t attempt;
	size_t len;
	uint8_t first, last; /* 0 when it is empty */
	uint64_t sum;
} got[PROTO_BATCH_RECORDS + 1];
static size_t got_ct;
static enum inbox_verdict answer = INBOX_TAKEN; /* of the callback */

static uint64_t sum_of(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < len; i++) {
		sum = sum * 31 + bytes[i];
	}
	return sum;
}

static enum inbox_verdict note(
	void *ctx, uint64_t id, uint32_t attempt, const uint8_t *payload, size_t len)
{
	cr_assert_eq(ctx, &got_ct);
	cr_assert_lt(got_ct, LENGTH(got));
	got[got_ct].id = id;
	got[got_ct].attempt = attempt;
	got[got_ct].len = len;
	got[got_ct].first = len ? payload[0] : 0;
	got[got_ct].last = len ? payload[len - 1] : 0;
	got[got_ct].sum = sum_of(payload, len);
	got_ct++;
	return answer;
}

/* Hand over the first `len` bytes of the frame, as memory of just that length. */
static enum inbox_verdict take_part(size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	cr_assert_not_null(copy);
	memcpy(copy, frame.data, len);
	enum inbox_verdict v = inbox_take(&box, copy, len, note, &got_ct);
	free(copy);
	return v;
}

static enum inbox_verdict take(void)
{
	return take_part(frame.len);
}

/* ------------------------------------------------------------ what is sent */

static uint8_t big[MAX_BYTES + 1];

static void fill_big(void)
{
	for (size_t i = 0; i < sizeof big; i++) {
		big[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
	}
}

static void begin(uint64_t sequence)
{
	buf_clear(&frame);
	cr_assert_eq(proto_frame_begin(&frame, PROTO_RESULTS, &route, sequence), 0);
}

static void piece(
	uint64_t id, uint32_t attempt, uint32_t total, uint32_t offset, uint32_t length)
{
	struct proto_record r = {.id = id,
		.attempt = attempt,
		.total = total,
		.offset = offset,
		.length = length,
		.bytes = big + offset};
	cr_assert_eq(proto_record_put(&frame, &r), 0);
}

static void text(uint64_t id, const char *payload)
{
	uint32_t len = (uint32_t)strlen(payload);
	struct proto_record r = {.id = id,
		.attempt = 1,
		.total = len,
		.length = len,
		.bytes = (const uint8_t *)payload};
	cr_assert_eq(proto_record_put(&frame, &r), 0);
}

static void end(uint32_t ct)
{
	proto_frame_end(&frame, ct);
}

/* A frame of one text. */
static void one(uint64_t sequence, uint64_t id, const char *payload)
{
	begin(sequence);
	text(id, payload);
	end(1);
}

/* A frame of one piece. */
static enum inbox_verdict take_piece(uint64_t sequence, uint64_t id, uint32_t attempt,
	uint32_t total, uint32_t offset, uint32_t length)
{
	begin(sequence);
	piece(id, attempt, total, offset, length);
	end(1);
	return take();
}

static void expect_text(size_t at, uint64_t id, const char *payload)
{
	cr_assert_lt(at, got_ct);
	cr_assert_eq(got[at].id, id);
	cr_assert_eq(got[at].attempt, 1);
	cr_assert_eq(got[at].len, strlen(payload));
	cr_assert_eq(got[at].sum, sum_of((const uint8_t *)payload, strlen(payload)));
}

/* ------------------------------------------------------------ whole payloads */

Test(inbox, takes_payloads_in_their_order, .timeout = 10)
{
	begin(1);
	text(10, "one");
	text(11, "");
	text(12, "three");
	end(3);
	cr_assert_eq(take(), INBOX_TAKEN);
	cr_assert_eq(got_ct, 3);
	expect_text(0, 10, "one");
	expect_text(1, 11, "");
	expect_text(2, 12, "three");
	one(2, UINT64_MAX, "four");
	cr_assert_eq(take(), INBOX_TAKEN);
	expect_text(3, UINT64_MAX, "four");
	cr_assert_eq(box.sequence, 2);
}

Test(inbox, takes_a_frame_without_records, .timeout = 10)
{
	begin(1);
	end(0);
	cr_assert_eq(take(), INBOX_TAKEN);
	cr_assert_eq(got_ct, 0);
	cr_assert_eq(box.sequence, 1);
}

Test(inbox, takes_a_full_frame, .timeout = 10)
{
	begin(1);
	for (unsigned i = 0; i < PROTO_BATCH_RECORDS; i++) {
		text(i, "x");
	}
	end(PROTO_BATCH_RECORDS);
	cr_assert_eq(take(), INBOX_TAKEN);
	cr_assert_eq(got_ct, PROTO_BATCH_RECORDS);
}

Test(inbox, takes_a_payload_of_the_longest_length_and_none_over_it, .timeout = 10)
{
	inbox_init(&box, PROTO_RESULTS, &route, 5);
	one(1, 1, "12345");
	cr_assert_eq(take(), INBOX_TAKEN);
	one(2, 2, "123456");
	cr_assert_eq(take(), INBOX_BROKEN);
	cr_assert_eq(got_ct, 1);
}

Test(inbox, takes_only_empty_payloads_when_the_longest_is_empty, .timeout = 10)
{
	inbox_init(&box, PROTO_RESULTS, &route, 0);
	one(1, 1, "");
	cr_assert_eq(take(), INBOX_TAKEN);
	one(2, 2, "1");
	cr_assert_eq(take(), INBOX_BROKEN);
	cr_assert_eq(got_ct, 1);
}

/* ------------------------------------------------------------ other senders */

/* A frame of another sender is dropped, and the right one is still next. */
static void expect_foreign(enum proto_type type, const struct proto_route *of)
{
	size_t before = got_ct;
	uint64_t next = box.sequence + 1;
	buf_clear(&frame);
	cr_assert_eq(proto_frame_begin(&frame, type, of, next), 0);
	text(1, "foreign");
	end(1);
	cr_assert_eq(take(), INBOX_FOREIGN);
	cr_assert_eq(got_ct, before);
	cr_assert_eq(box.sequence, next - 1);
	one(next, 2, "right");
	cr_assert_eq(take(), INBOX_TAKEN);
}

Test(inbox, drops_frames_of_other_senders, .timeout = 10)
{
	struct proto_route other = route;
	expect_foreign(PROTO_JOBS, &route);
	other.slot++;
	expect_foreign(PROTO_RESULTS, &other);
	other = route;
	other.generation--;
	expect_foreign(PROTO_RESULTS, &other);
	other.generation += 2;
	expect_foreign(PROTO_RESULTS, &other);
	for (size_t i = 0; i < PROTO_NONCE_BYTES; i++) {
		other = route;
		other.nonce[i] ^= 0x10;
		expect_foreign(PROTO_RESULTS, &other);
	}
}

Test(inbox, drops_what_is_no_frame, .timeout = 10)
{
	one(1, 1, "text");
	for (size_t len = 0; len < frame.len; len++) {
		cr_assert_eq(take_part(len), INBOX_FOREIGN, "cut to %zu", len);
	}
	frame.data[0] ^= 1;
	cr_assert_eq(take(), INBOX_FOREIGN);
	frame.data[0] ^= 1;
	cr_assert_eq(got_ct, 0);
	cr_assert_eq(take(), INBOX_TAKEN, "and the whole one is still next");
	expect_text(0, 1, "text");
}

/* ------------------------------------------------------------ the sequence */

Test(inbox, begins_with_frame_one, .timeout = 10)
{
	one(0, 1, "zero");
	cr_assert_eq(take(), INBOX_BROKEN);
	open_box();
	one(2, 1, "two");
	cr_assert_eq(take(), INBOX_BROKEN);
	cr_assert_eq(got_ct, 0);
}

Test(inbox, sees_a_frame_that_is_missing, .timeout = 10)
{
	one(1, 1, "one");
	cr_assert_eq(take(), INBOX_TAKEN);
	one(3, 3, "three");
	cr_assert_eq(take(), INBOX_BROKEN);
	cr_assert_eq(got_ct, 1);
}

Test(inbox, takes_no_frame_twice, .timeout = 10)
{
	one(1, 1, "one");
	cr_assert_eq(take(), INBOX_TAKEN);
	cr_assert_eq(take(), INBOX_BROKEN);
	cr_assert_eq(got_ct, 1);
}

/* ------------------------------------------------------------ pieces */

static void expect_big(size_t at, uint64_t id, size_t len)
{
	cr_assert_eq(got_ct, at + 1);
	cr_assert_eq(got[at].id, id);
	cr_assert_eq(got[at].attempt, 4);
	cr_assert_eq(got[at].len, len);
	cr_assert_eq(got[at].sum, sum_of(big, len));
}

/* Send `len` bytes as frames of one piece each, as long as they can be. */
static void send_in_pieces(uint64_t id, uint32_t len, uint32_t most)
{
	for (uint32_t at = 0; at < len; at += most) {
		uint32_t left = len - at;
		size_t before = got_ct;
		cr_assert_eq(take_piece(box.sequence + 1, id, 4, len, at,
				     left < most ? left : most),
			INBOX_TAKEN);
		cr_assert_eq(got_ct, before + (left <= most), "at %u of %u", at, len);
	}
}

Test(inbox, puts_pieces_together, .timeout = 60)
{
	static const uint32_t lens[] = {2, 3, PROTO_PIECE_BYTES + 1,
		2 * PROTO_PIECE_BYTES - 1, 2 * PROTO_PIECE_BYTES,
		2 * PROTO_PIECE_BYTES + 7, MAX_BYTES};
	fill_big();
	for (size_t i = 0; i < LENGTH(lens); i++) {
		uint32_t most = lens[i] > PROTO_PIECE_BYTES ? PROTO_PIECE_BYTES : 1;
		send_in_pieces(i, lens[i], most);
		expect_big(i, i, lens[i]);
		cr_assert_null(box.partial.data, "it keeps no memory for pieces");
	}
}

Test(inbox, takes_pieces_and_wholes_of_one_frame, .timeout = 10)
{
	fill_big();
	begin(1);
	piece(1, 4, 10, 0, 4);
	piece(1, 4, 10, 4, 5);
	piece(1, 4, 10, 9, 1);
	text(2, "whole");
	piece(3, 4, 8, 0, 7);
	end(5);
	cr_assert_eq(take(), INBOX_TAKEN);
	cr_assert_eq(got_ct, 2);
	cr_assert_eq(got[0].sum, sum_of(big, 10));
	expect_text(1, 2, "whole");
	cr_assert_eq(take_piece(2, 3, 4, 8, 7, 1), INBOX_TAKEN);
	expect_big(2, 3, 8);
}

Test(inbox, takes_no_piece_that_does_not_follow, .timeout = 10)
{
	static const struct {
		const char *what;
		uint64_t id;
		uint32_t attempt, total, offset, length;
	} wrong[] = {
		{"another job", 2, 4, 100, 40, 10},
		{"a whole one of another job", 2, 4, 100, 0, 100},
		{"an empty one of another job", 2, 4, 0, 0, 0},
		{"another attempt", 1, 5, 100, 40, 10},
		{"another total", 1, 4, 101, 40, 10},
		{"a gap", 1, 4, 100, 41, 10},
		{"an overlap", 1, 4, 100, 39, 10},
		{"the first again", 1, 4, 100, 0, 40},
		{"the whole after a piece", 1, 4, 100, 0, 100},
		{"an empty piece", 1, 4, 100, 40, 0},
		{"an empty piece at the end", 1, 4, 100, 100, 0},
	};
	fill_big();
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		open_box();
		cr_assert_eq(take_piece(1, 1, 4, 100, 0, 40), INBOX_TAKEN);
		cr_assert_eq(take_piece(2, wrong[i].id, wrong[i].attempt,
				     wrong[i].total, wrong[i].offset, wrong[i].length),
			INBOX_BROKEN, "%s", wrong[i].what);
		cr_assert_eq(got_ct, 0, "%s", wrong[i].what);
		inbox_fini(&box);
	}
}

Test(inbox, takes_no_first_piece_that_is_none, .timeout = 10)
{
	fill_big();
	cr_assert_eq(take_piece(1, 1, 4, 100, 40, 10), INBOX_BROKEN, "not the first");
	open_box();
	cr_assert_eq(take_piece(1, 1, 4, 100, 90, 10), INBOX_BROKEN, "the last");
	open_box();
	cr_assert_eq(take_piece(1, 1, 4, 100, 0, 0), INBOX_BROKEN, "empty");
	open_box();
	cr_assert_eq(
		take_piece(1, 1, 4, 100, 100, 0), INBOX_BROKEN, "empty, at the end");
	cr_assert_eq(got_ct, 0);
}

Test(inbox, sees_at_the_first_piece_that_the_whole_is_too_long, .timeout = 10)
{
	fill_big();
	cr_assert_eq(take_piece(1, 1, 4, MAX_BYTES + 1, 0, 10), INBOX_BROKEN);
	cr_assert_null(box.partial.data);
	open_box();
	cr_assert_eq(take_piece(1, 1, 4, UINT32_MAX, 0, 10), INBOX_BROKEN);
	cr_assert_null(box.partial.data);
}

Test(inbox, ends_with_a_payload_that_is_not_complete, .timeout = 10)
{
	fill_big();
	cr_assert_eq(take_piece(1, 1, 4, 100, 0, 40), INBOX_TAKEN);
	inbox_fini(&box);
	cr_assert_null(box.partial.data);
	cr_assert_eq(got_ct, 0);
}

/* ------------------------------------------------------------ faults */

Test(inbox, delivers_what_stands_before_a_fault, .timeout = 10)
{
	fill_big();
	begin(1);
	text(1, "before");
	piece(2, 1, 100, 50, 10);
	text(3, "behind");
	end(3);
	cr_assert_eq(take(), INBOX_BROKEN);
	cr_assert_eq(got_ct, 1);
	expect_text(0, 1, "before");
}

Test(inbox, counts_the_records, .timeout = 10)
{
	begin(1);
	text(1, "one");
	text(2, "two");
	end(3);
	cr_assert_eq(take(), INBOX_BROKEN, "one is missing");
	open_box();
	begin(1);
	text(1, "one");
	text(2, "two");
	end(1);
	cr_assert_eq(take(), INBOX_BROKEN, "one is too many");
	open_box();
	begin(1);
	text(1, "one");
	end(0);
	cr_assert_eq(take(), INBOX_BROKEN, "none was announced");
	open_box();
	begin(1);
	end(UINT32_MAX);
	cr_assert_eq(take(), INBOX_BROKEN, "many were announced");
}

Test(inbox, passes_on_what_the_callback_says, .timeout = 10)
{
	static const enum inbox_verdict answers[] = {
		INBOX_BROKEN, INBOX_NOMEM, INBOX_FOREIGN};
	fill_big();
	for (size_t i = 0; i < LENGTH(answers); i++) {
		got_ct = 0;
		answer = answers[i];
		open_box();
		begin(1);
		text(1, "one");
		text(2, "two");
		end(2);
		cr_assert_eq(take(), answers[i]);
		cr_assert_eq(got_ct, 1, "no more after that");
		open_box();
		answer = INBOX_TAKEN;
		cr_assert_eq(take_piece(1, 1, 4, 9, 0, 8), INBOX_TAKEN);
		answer = answers[i];
		cr_assert_eq(take_piece(2, 1, 4, 9, 8, 1), answers[i]);
		inbox_fini(&box);
	}
}

/* "payloads before the fault were delivered, later ones never will" */
static void expect_nothing_more(const char *after)
{
	got_ct = 0;
	answer = INBOX_TAKEN;
	one(box.sequence + 1, 7, "later");
	enum inbox_verdict v = take();
	cr_assert_neq(v, INBOX_TAKEN, "after %s", after);
	cr_assert_eq(got_ct, 0, "after %s: a later payload was delivered", after);
}

Test(inbox, delivers_nothing_more_after_a_gap, .timeout = 10)
{
	one(2, 1, "two");
	cr_assert_eq(take(), INBOX_BROKEN);
	one(1, 1, "one");
	enum inbox_verdict v = take();
	cr_assert_neq(v, INBOX_TAKEN);
	cr_assert_eq(got_ct, 0);
}

Test(inbox, delivers_nothing_more_after_a_record_that_makes_no_sense, .timeout = 10)
{
	fill_big();
	cr_assert_eq(take_piece(1, 1, 4, 100, 50, 10), INBOX_BROKEN);
	expect_nothing_more("a piece out of place");
}

Test(inbox, delivers_nothing_more_after_a_wrong_count, .timeout = 10)
{
	begin(1);
	text(1, "one");
	end(2);
	cr_assert_eq(take(), INBOX_BROKEN);
	expect_nothing_more("a record that is missing");
}

Test(inbox, delivers_nothing_more_after_memory_was_short, .timeout = 10)
{
	answer = INBOX_NOMEM;
	begin(1);
	text(1, "one");
	text(2, "two");
	end(2);
	cr_assert_eq(take(), INBOX_NOMEM);
	expect_nothing_more("no memory"); /* or `two` would be missing silently */
}

/* ------------------------------------------------------------ damage */

Test(inbox, takes_no_frame_with_any_other_header, .timeout = 60)
{
	begin(1);
	text(1, "one");
	text(2, "two");
	end(2);
	for (size_t at = 0; at < PROTO_HEAD_BYTES; at++) {
		char right = frame.data[at];
		for (unsigned v = 0; v < 256; v++) {
			if ((char)v == right) {
				continue;
			}
			frame.data[at] = (char)v;
			open_box();
			enum inbox_verdict verdict = take();
			cr_assert_neq(verdict, INBOX_TAKEN, "byte %zu is %u", at, v);
			inbox_fini(&box);
			got_ct = 0;
		}
		frame.data[at] = right;
	}
}

Test(inbox, takes_no_record_with_another_length, .timeout = 60)
{
	one(1, 5, "payload");
	/* total, offset, length: the rest of a record's head is its name */
	for (size_t at = PROTO_HEAD_BYTES + 12; at < PROTO_HEAD_BYTES + 24; at++) {
		char right = frame.data[at];
		for (unsigned v = 0; v < 256; v++) {
			frame.data[at] = (char)v;
			open_box();
			(void)take();
			cr_assert_eq(got_ct, (char)v == right, "byte %zu is %u", at, v);
			inbox_fini(&box);
			got_ct = 0;
		}
		frame.data[at] = right;
	}
}

Test(inbox, takes_no_more_than_the_front_of_a_frame_that_is_cut, .timeout = 60)
{
	begin(1);
	text(1, "one");
	text(2, "");
	text(3, "three");
	end(3);
	for (size_t len = PROTO_HEAD_BYTES; len < frame.len; len++) {
		uint32_t announced = (uint32_t)(len - PROTO_HEAD_BYTES);
		for (int i = 0; i < 4; i++) {
			frame.data[44 + i] = (char)(announced >> 8 * i);
		}
		open_box();
		got_ct = 0;
		cr_assert_eq(take_part(len), INBOX_BROKEN, "cut to %zu", len);
		if (got_ct > 0) {
			expect_text(0, 1, "one");
		}
		if (got_ct > 1) {
			expect_text(1, 2, "");
		}
		cr_assert_lt(got_ct, 3);
	}
}

/* A stream of frames, some of them in pieces, one byte in a hundred wrong. */
static void build_random(uint64_t *seed, uint64_t sequence)
{
	uint32_t ct = (uint32_t)dice_below(seed, 5);
	begin(sequence);
	for (uint32_t i = 0; i < ct; i++) {
		uint32_t total = (uint32_t)dice_below(seed, 40);
		uint32_t offset = box.partial_total ? (uint32_t)box.partial.len : 0;
		if (offset) {
			total = box.partial_total;
		}
		uint32_t left = total - offset;
		uint32_t length = left ? 1 + (uint32_t)dice_below(seed, left) : 0;
		piece(offset ? box.partial_id : dice(seed), 1, total, offset, length);
		if (offset && i == 0) {
			ct = 1; /* what follows depends on this one */
		}
	}
	end(ct);
}

static void damage(uint64_t *seed)
{
	size_t ct = dice_below(seed, 4);
	while (ct-- > 0) {
		size_t at = PROTO_HEAD_BYTES * dice_below(seed, 2);
		at += dice_below(seed, frame.len - at + 1);
		if (at < frame.len) {
			frame.data[at] = (char)dice(seed);
		}
	}
}

Test(inbox, survives_50000_damaged_frames, .timeout = 300)
{
	uint64_t seed = 42;
	unsigned verdicts[4] = {0};
	fill_big();
	for (int i = 0; i < 50000; i++) {
		got_ct = 0;
		build_random(&seed, box.sequence + 1);
		if (dice_below(&seed, 3)) {
			damage(&seed);
		}
		enum inbox_verdict v = take();
		verdicts[v]++;
		for (size_t g = 0; g < got_ct; g++) {
			cr_assert_leq(got[g].len, MAX_BYTES);
		}
		if (v != INBOX_TAKEN) {
			inbox_fini(&box);
			open_box();
		}
	}
	cr_assert_gt(verdicts[INBOX_TAKEN], 10000, "%u", verdicts[INBOX_TAKEN]);
	cr_assert_gt(verdicts[INBOX_BROKEN], 3000, "%u", verdicts[INBOX_BROKEN]);
	cr_assert_gt(verdicts[INBOX_FOREIGN], 3000, "%u", verdicts[INBOX_FOREIGN]);
	cr_assert_eq(verdicts[INBOX_NOMEM], 0);
}
