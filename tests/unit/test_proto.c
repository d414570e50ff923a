/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/proto: what is on the wires, byte for byte, and that
 * nothing malformed is believed.
 *
 * Every input of a decoder is a malloc'd copy of exactly its length, so that
 * AddressSanitizer and valgrind see a byte that is read behind its end.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"
#include "common/proto.h"
#include "tests/unit/dice.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct proto_route route = {
	.nonce = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa,
		0xab, 0xac, 0xad, 0xae, 0xaf},
	.slot = 0x01020304,
	.generation = 0x11121314,
};

static struct buf frame;

static void free_frame(void)
{
	buf_fini(&frame);
}

TestSuite(proto, .fini = free_frame);

/* The bytes in memory of just their length. */
static uint8_t *exact(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	cr_assert_not_null(copy);
	if (len) {
		memcpy(copy, bytes, len);
	}
	return len ? copy : realloc(copy, 1);
}

static void put32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++) {
		at[i] = (uint8_t)(v >> 8 * i);
	}
}

/* A frame of `ct` records; record i has i bytes, all of value i; from 256 on it
 * begins anew. */
static void build(enum proto_type type, uint32_t ct)
{
	buf_clear(&frame);
	cr_assert_eq(proto_frame_begin(&frame, type, &route, 0x2122232425262728u), 0);
	for (uint32_t i = 0; i < ct; i++) {
		uint8_t bytes[256];
		memset(bytes, (int)i, sizeof bytes);
		struct proto_record r = {.id = 1000 + i,
			.attempt = i + 1,
			.total = i % 256,
			.length = i % 256,
			.bytes = bytes};
		cr_assert_eq(proto_record_put(&frame, &r), 0);
	}
	proto_frame_end(&frame, ct);
}

/* ------------------------------------------------------- the bytes themselves */

Test(proto, writes_the_frame_header_as_it_is_documented, .timeout = 10)
{
	static const uint8_t want[] = {
		'P', 'M', 'F', '1', /* magic */
		2, 0, 1, 0,         /* version, type */
		0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab,
		0xac, 0xad, 0xae, 0xaf,                         /* nonce */
		4, 3, 2, 1,                                     /* slot */
		0x14, 0x13, 0x12, 0x11,                         /* generation */
		0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, /* sequence */
		2, 0, 0, 0,                                     /* records */
		49, 0, 0, 0, /* length: two heads and one byte */
	};
	build(PROTO_JOBS, 2);
	cr_assert_eq(sizeof want, PROTO_HEAD_BYTES);
	cr_assert_eq(frame.len, sizeof want + 49);
	cr_assert_arr_eq(frame.data, want, sizeof want);
}

Test(proto, writes_a_record_as_it_is_documented, .timeout = 10)
{
	static const uint8_t want[] = {
		0x38,
		0x37,
		0x36,
		0x35,
		0x34,
		0x33,
		0x32,
		0x31, /* id */
		0x44,
		0x43,
		0x42,
		0x41, /* attempt */
		0x08,
		0x01,
		0,
		0, /* total */
		0x05,
		0x01,
		0,
		0, /* offset */
		3,
		0,
		0,
		0, /* length */
		'x',
		0,
		'z',
	};
	struct proto_record r = {.id = 0x3132333435363738u,
		.attempt = 0x41424344,
		.total = 0x108,
		.offset = 0x105,
		.length = 3,
		.bytes = (const uint8_t *)"x\0z"};
	cr_assert_eq(proto_record_put(&frame, &r), 0);
	cr_assert_eq(frame.len, sizeof want);
	cr_assert_arr_eq(frame.data, want, sizeof want);
}

Test(proto, writes_a_job_as_it_is_documented, .timeout = 10)
{
	static const uint8_t want[] = {
		8, 7, 6, 5, 4, 3, 2, 1,                         /* task */
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* queued at */
		0x24, 0x23, 0x22, 0x21, 0, 0, 0, 0,             /* timeout, reserved */
		'a', 'r', 'g',                                  /* no terminator */
	};
	struct proto_job job = {.task = 0x0102030405060708u,
		.queued_at_us = 0x1112131415161718u,
		.timeout_ms = 0x21222324,
		.arg = (const uint8_t *)"arg",
		.arg_len = 3};
	cr_assert_eq(proto_job_put(&frame, &job), 0);
	cr_assert_eq(frame.len, sizeof want);
	cr_assert_arr_eq(frame.data, want, sizeof want);
}

Test(proto, writes_a_result_as_it_is_documented, .timeout = 10)
{
	static const uint8_t want[] = {
		0xd3, 0xff, 0xff, 0xff, /* error: -45 */
		2, 0, 0, 0,             /* domain */
		0xf9, 0xff, 0xff, 0xff, /* code: -7 */
		3, 0, 0, 0,             /* message length */
		4, 0, 0, 0,             /* length of emitted jobs */
		'w', 'h', 'y',          /* message */
		'e', 'm', 'i', 't',     /* emitted jobs */
		0, 1,                   /* bytes */
	};
	struct proto_result result = {.error = PM_ETIMEDOUT,
		.domain = PM_DOMAIN_CURL,
		.code = -7,
		.message = "why",
		.message_len = 3,
		.emits = (const uint8_t *)"emit",
		.emits_len = 4,
		.bytes = (const uint8_t *)"\0\1",
		.len = 2};
	cr_assert_eq(proto_result_put(&frame, &result), 0);
	cr_assert_eq(frame.len, sizeof want);
	cr_assert_arr_eq(frame.data, want, sizeof want);
}

Test(proto, writes_an_emitted_job_as_it_is_documented, .timeout = 10)
{
	static const uint8_t want[] = {
		8, 7, 6, 5, 4, 3, 2, 1,                         /* task */
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* tag */
		0x24, 0x23, 0x22, 0x21, 0x34, 0x33, 0x32, 0x31, /* timeouts */
		1, 0, 0, 0,                                     /* flags: once */
		3, 0, 0, 0, 4, /* lengths of the argument and of the lane's name */
		'l', 'a', 'n', 'e', 'a', 'r', 'g', /* lane, bytes */
	};
	struct proto_emit emit = {.task = 0x0102030405060708u,
		.tag = 0x1112131415161718u,
		.timeout_ms = 0x21222324,
		.queue_timeout_ms = 0x31323334,
		.once = true,
		.arg = (const uint8_t *)"arg",
		.arg_len = 3,
		.lane = "lane",
		.lane_len = 4};
	cr_assert_eq(proto_emit_put(&frame, &emit), 0);
	cr_assert_eq(frame.len, sizeof want);
	cr_assert_arr_eq(frame.data, want, sizeof want);
}

Test(proto, writes_a_packet_as_it_is_documented, .timeout = 10)
{
	static const uint8_t want[] = {
		1,
		0,
		0,
		0,
		9,
		0,
		0,
		0,
		8,
		0,
		0,
		0,
		2,
		0,
		0,
		0, /* HELLO, 9, 8, 2 */
		1,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		8,
		7,
		6,
		5,
		4,
		3,
		2,
		1,
	};
	struct proto_life_message m = {.type = PROTO_HELLO,
		.slot = 9,
		.generation = 8,
		.count = 2,
		.values = {1, 0x0102030405060708u}};
	uint8_t packet[sizeof m];
	cr_assert_eq(proto_life_put(packet, &m), sizeof want);
	cr_assert_arr_eq(packet, want, sizeof want);
}

/* ------------------------------------------------------------------ frames */

static void expect_records(uint32_t ct)
{
	struct proto_record r;
	size_t at = 0;
	for (uint32_t i = 0; i < ct; i++) {
		cr_assert_eq(proto_record_get(&r, frame.data, frame.len, &at), 0);
		cr_assert_eq(r.id, 1000 + i);
		cr_assert_eq(r.attempt, i + 1);
		cr_assert_eq(r.total, i % 256);
		cr_assert_eq(r.offset, 0);
		cr_assert_eq(r.length, i % 256);
		for (uint32_t b = 0; b < r.length; b++) {
			cr_assert_eq(r.bytes[b], i % 256);
		}
	}
	cr_assert_eq(ct ? at : PROTO_HEAD_BYTES, frame.len);
	cr_assert_eq(proto_record_get(&r, frame.data, frame.len, &at), PM_EINVAL,
		"there are no more");
}

Test(proto, reads_what_it_wrote, .timeout = 10)
{
	static const uint32_t cts[] = {0, 1, 2, PROTO_BATCH_RECORDS};
	for (size_t i = 0; i < LENGTH(cts); i++) {
		struct proto_head head;
		build(PROTO_RESULTS, cts[i]);
		cr_assert_eq(proto_head_get(&head, frame.data, frame.len), 0);
		cr_assert_eq(head.type, PROTO_RESULTS);
		cr_assert_arr_eq(head.route.nonce, route.nonce, PROTO_NONCE_BYTES);
		cr_assert_eq(head.route.slot, route.slot);
		cr_assert_eq(head.route.generation, route.generation);
		cr_assert_eq(head.sequence, 0x2122232425262728u);
		cr_assert_eq(head.count, cts[i]);
		cr_assert_eq(head.length, frame.len - PROTO_HEAD_BYTES);
		expect_records(cts[i]);
	}
}

Test(proto, carries_the_biggest_numbers_there_are, .timeout = 10)
{
	struct proto_route far = {.slot = UINT32_MAX, .generation = UINT32_MAX};
	struct proto_head head;
	memset(far.nonce, 0xff, sizeof far.nonce);
	cr_assert_eq(proto_frame_begin(&frame, PROTO_JOBS, &far, UINT64_MAX), 0);
	proto_frame_end(&frame, UINT32_MAX);
	cr_assert_eq(proto_head_get(&head, frame.data, frame.len), 0);
	cr_assert_eq(head.route.slot, UINT32_MAX);
	cr_assert_eq(head.route.generation, UINT32_MAX);
	cr_assert_eq(head.sequence, UINT64_MAX);
	cr_assert_eq(head.count, UINT32_MAX);
	cr_assert_eq(head.length, 0);
}

/* The header of these bytes is refused, and nothing of it is believed. */
static void expect_no_head(
	const void *bytes, size_t len, const char *what, size_t which)
{
	struct proto_head head, before;
	uint8_t *copy = exact(bytes, len);
	memset(&head, 0x5a, sizeof head);
	before = head;
	cr_assert_eq(
		proto_head_get(&head, copy, len), PM_EINVAL, "%s %zu", what, which);
	cr_assert_arr_eq(
		(char *)&head, (char *)&before, sizeof head, "%s %zu", what, which);
	free(copy);
}

Test(proto, refuses_every_frame_that_is_cut, .timeout = 30)
{
	build(PROTO_JOBS, 20);
	for (size_t len = 0; len < frame.len; len++) {
		expect_no_head(frame.data, len, "cut to", len);
	}
}

Test(proto, refuses_a_frame_with_bytes_behind_it, .timeout = 10)
{
	build(PROTO_JOBS, 3);
	size_t len = frame.len;
	for (size_t extra = 1; extra < 100; extra++) {
		cr_assert_eq(buf_put(&frame, "", 1), 0);
		expect_no_head(frame.data, len + extra, "extra", extra);
	}
}

Test(proto, refuses_every_other_magic_version_type_and_length, .timeout = 30)
{
	build(PROTO_RESULTS, 3);
	for (size_t bit = 0; bit < PROTO_HEAD_BYTES * 8; bit++) {
		bool checked = bit < 8 * 8 || bit >= 44 * 8;
		frame.data[bit / 8] = (char)(frame.data[bit / 8] ^ 1 << bit % 8);
		if (checked) {
			expect_no_head(frame.data, frame.len, "bit", bit);
		}
		frame.data[bit / 8] = (char)(frame.data[bit / 8] ^ 1 << bit % 8);
	}
	for (unsigned type = 0; type <= UINT16_MAX; type++) {
		struct proto_head head;
		bool known = type == PROTO_JOBS || type == PROTO_RESULTS;
		frame.data[6] = (char)type;
		frame.data[7] = (char)(type >> 8);
		cr_assert_eq(proto_head_get(&head, frame.data, frame.len),
			known ? 0 : PM_EINVAL, "type %u", type);
	}
}

Test(proto, sees_every_change_of_the_route_sequence_and_count, .timeout = 10)
{
	struct proto_head right, head;
	build(PROTO_RESULTS, 3);
	memset(&right, 0, sizeof right);
	memset(&head, 0, sizeof head);
	cr_assert_eq(proto_head_get(&right, frame.data, frame.len), 0);
	for (size_t bit = 8 * 8; bit < 44 * 8; bit++) {
		frame.data[bit / 8] = (char)(frame.data[bit / 8] ^ 1 << bit % 8);
		cr_assert_eq(proto_head_get(&head, frame.data, frame.len), 0);
		cr_assert(memcmp(&right, &head, sizeof head) != 0, "bit %zu", bit);
		frame.data[bit / 8] = (char)(frame.data[bit / 8] ^ 1 << bit % 8);
	}
}

/* ----------------------------------------------------------------- records */

static void expect_no_record(size_t len, size_t from, const char *what, size_t which)
{
	struct proto_record r, before;
	uint8_t *copy = exact(frame.data, len);
	size_t at = from;
	memset(&r, 0x5a, sizeof r);
	before = r;
	cr_assert_eq(
		proto_record_get(&r, copy, len, &at), PM_EINVAL, "%s %zu", what, which);
	cr_assert_eq(at, from, "%s %zu: moved", what, which);
	cr_assert_arr_eq((char *)&r, (char *)&before, sizeof r, "%s %zu", what, which);
	free(copy);
}

Test(proto, refuses_every_record_that_is_cut, .timeout = 10)
{
	build(PROTO_JOBS, 12);
	/* the last record has 11 bytes and starts here */
	size_t start = frame.len - PROTO_RECORD_BYTES - 11;
	for (size_t len = start; len < frame.len; len++) {
		expect_no_record(len, start, "cut to", len);
	}
	for (size_t len = 0; len < PROTO_HEAD_BYTES + PROTO_RECORD_BYTES; len++) {
		expect_no_record(len, 0, "cut to", len);
	}
}

Test(proto, reads_no_record_from_behind_the_end, .timeout = 10)
{
	build(PROTO_JOBS, 2);
	const size_t behind[] = {frame.len, frame.len + 1, frame.len + 1000,
		SIZE_MAX / 2, SIZE_MAX - PROTO_RECORD_BYTES, SIZE_MAX - 1, SIZE_MAX};
	for (size_t i = 0; i < LENGTH(behind); i++) {
		expect_no_record(frame.len, behind[i], "at", behind[i]);
	}
}

Test(proto, refuses_pieces_that_do_not_fit, .timeout = 10)
{
	static const struct {
		uint32_t total, offset, length;
	} wrong[] = {
		{8, 0, 9}, /* more than the whole */
		{8, 1, 8},
		{8, 8, 1},
		{8, 9, 0}, /* behind the whole */
		{0, 1, 0},
		{0, 0, 1},
		{UINT32_MAX, 0, 17}, /* more than the frame has */
		{UINT32_MAX, 0, UINT32_MAX},
		{UINT32_MAX, UINT32_MAX - 8, 16},
		{UINT32_MAX, UINT32_MAX, 1}, /* offset + length is 0 */
		{16, UINT32_MAX, 1},
		{16, UINT32_MAX - 15, 16},
		{8, 4, UINT32_MAX},
	};
	build(PROTO_JOBS, 0);
	cr_assert_eq(proto_record_put(&frame,
			     &(struct proto_record){.total = 16,
				     .length = 16,
				     .bytes = (const uint8_t *)"0123456789abcdef"}),
		0);
	uint8_t *head = (uint8_t *)frame.data + PROTO_HEAD_BYTES;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		put32(head + 12, wrong[i].total);
		put32(head + 16, wrong[i].offset);
		put32(head + 20, wrong[i].length);
		expect_no_record(frame.len, 0, "case", i);
	}
}

Test(proto, takes_pieces_that_just_fit, .timeout = 10)
{
	static const struct {
		uint32_t total, offset, length;
	} right[] = {
		{0, 0, 0},
		{16, 0, 16},
		{16, 15, 1},
		{16, 16, 0},
		{UINT32_MAX, 0, 16},
		{UINT32_MAX, UINT32_MAX - 16, 16},
		{UINT32_MAX, UINT32_MAX, 0},
	};
	build(PROTO_JOBS, 0);
	cr_assert_eq(proto_record_put(&frame,
			     &(struct proto_record){.total = 16,
				     .length = 16,
				     .bytes = (const uint8_t *)"0123456789abcdef"}),
		0);
	uint8_t *head = (uint8_t *)frame.data + PROTO_HEAD_BYTES;
	for (size_t i = 0; i < LENGTH(right); i++) {
		struct proto_record r;
		size_t at = 0;
		put32(head + 12, right[i].total);
		put32(head + 16, right[i].offset);
		put32(head + 20, right[i].length);
		cr_assert_eq(
			proto_record_get(&r, frame.data, frame.len, &at), 0, "%zu", i);
		cr_assert_eq(r.offset, right[i].offset);
		cr_assert_eq(
			at, PROTO_HEAD_BYTES + PROTO_RECORD_BYTES + right[i].length);
	}
}

/* ---------------------------------------------------------------- payloads */

Test(proto, reads_the_jobs_it_wrote, .timeout = 10)
{
	for (size_t len = 0; len < 40; len++) {
		char arg[40];
		memset(arg, (int)len, sizeof arg);
		struct proto_job got, job = {.task = UINT64_MAX - len,
					      .queued_at_us = len,
					      .timeout_ms = UINT32_MAX - (uint32_t)len,
					      .arg = (const uint8_t *)arg,
					      .arg_len = len};
		buf_clear(&frame);
		cr_assert_eq(proto_job_put(&frame, &job), 0);
		uint8_t *copy = exact(frame.data, frame.len);
		cr_assert_eq(proto_job_get(&got, copy, frame.len), 0);
		cr_assert_eq(got.task, UINT64_MAX - len);
		cr_assert_eq(got.queued_at_us, len);
		cr_assert_eq(got.timeout_ms, UINT32_MAX - len);
		cr_assert_eq(got.arg_len, len);
		cr_assert(memcmp(got.arg, arg, len) == 0);
		free(copy);
	}
}

Test(proto, refuses_a_job_without_a_whole_head, .timeout = 10)
{
	uint8_t zeros[PROTO_JOB_HEAD_BYTES] = {0};
	for (size_t len = 0; len < sizeof zeros; len++) {
		struct proto_job job, before;
		uint8_t *copy = exact(zeros, len);
		memset(&job, 0x5a, sizeof job);
		before = job;
		cr_assert_eq(proto_job_get(&job, copy, len), PM_EINVAL, "%zu", len);
		cr_assert_arr_eq((char *)&job, (char *)&before, sizeof job);
		free(copy);
	}
}

static void expect_same_result(const struct proto_result *want)
{
	struct proto_result got;
	buf_clear(&frame);
	cr_assert_eq(proto_result_put(&frame, want), 0);
	uint8_t *copy = exact(frame.data, frame.len);
	cr_assert_eq(proto_result_get(&got, copy, frame.len), 0);
	cr_assert_eq(got.error, want->error);
	cr_assert_eq(got.domain, want->domain);
	cr_assert_eq(got.code, want->code);
	cr_assert_eq(got.message_len, want->message_len);
	cr_assert(memcmp(got.message, want->message, got.message_len) == 0);
	cr_assert_eq(got.emits_len, want->emits_len);
	cr_assert(memcmp(got.emits, want->emits, got.emits_len) == 0);
	cr_assert_eq(got.len, want->len);
	cr_assert(memcmp(got.bytes, want->bytes, got.len) == 0);
	free(copy);
}

Test(proto, reads_the_results_it_wrote, .timeout = 10)
{
	static char text[PROTO_MESSAGE_MAX], emits[PROTO_MESSAGE_MAX];
	memset(text, 'm', sizeof text);
	memset(emits, 'e', sizeof emits);
	static const int numbers[] = {0, 1, -1, INT_MAX, INT_MIN};
	static const size_t lens[] = {0, 1, 300, PROTO_MESSAGE_MAX};
	for (size_t i = 0; i < LENGTH(numbers); i++) {
		for (size_t j = 0; j < LENGTH(lens); j++) {
			struct proto_result r = {
				.error = numbers[i] < 0 ? numbers[i] : 0,
				.domain = (int)i,
				.code = numbers[i],
				.message = text,
				.message_len = lens[j],
				.emits = (const uint8_t *)emits,
				.emits_len = lens[(i + j) % LENGTH(lens)],
				.bytes = (const uint8_t *)text,
				.len = lens[LENGTH(lens) - 1 - j]};
			expect_same_result(&r);
		}
	}
}

Test(proto, cuts_a_message_that_is_too_long, .timeout = 10)
{
	static char text[PROTO_MESSAGE_MAX * 2];
	struct proto_result got, r = {.error = PM_EFAILED,
					 .message = text,
					 .emits = (const uint8_t *)"emits!",
					 .emits_len = 6,
					 .bytes = (const uint8_t *)"bytes",
					 .len = 5};
	memset(text, 'm', sizeof text);
	static const size_t lens[] = {PROTO_MESSAGE_MAX + 1, sizeof text};
	for (size_t i = 0; i < LENGTH(lens); i++) {
		r.message_len = lens[i];
		buf_clear(&frame);
		cr_assert_eq(proto_result_put(&frame, &r), 0);
		cr_assert_eq(
			proto_result_get(&got, (uint8_t *)frame.data, frame.len), 0);
		cr_assert_eq(got.message_len, PROTO_MESSAGE_MAX);
		cr_assert_eq(got.emits_len, 6);
		cr_assert_arr_eq(got.emits, "emits!", 6);
		cr_assert_eq(got.len, 5);
		cr_assert_arr_eq(got.bytes, "bytes", 5);
	}
}

static void expect_no_result(
	const void *bytes, size_t len, const char *what, size_t which)
{
	struct proto_result r, before;
	uint8_t *copy = exact(bytes, len);
	memset(&r, 0x5a, sizeof r);
	before = r;
	int err = proto_result_get(&r, copy, len);
	cr_assert_eq(err, PM_EINVAL, "%s %zu: %d", what, which, err);
	cr_assert_eq(r.message, before.message, "%s %zu", what, which);
	cr_assert_eq(r.emits, before.emits, "%s %zu", what, which);
	cr_assert_eq(r.bytes, before.bytes, "%s %zu", what, which);
	free(copy);
}

Test(proto, refuses_results_that_make_no_sense, .timeout = 10)
{
	static const uint32_t lens[] = {
		9, 1001, 0x7fffffff, 0x80000000, UINT32_MAX - 16, UINT32_MAX};
	/* together as long as the rest only when the sum wraps around */
	static const uint32_t emit_lens[] = {4, 1001, 0x7fffffff, 0x80000000,
		UINT32_MAX - 4, UINT32_MAX - 1, UINT32_MAX};
	struct proto_result r = {.message = "hello",
		.message_len = 5,
		.emits = (const uint8_t *)"abc",
		.emits_len = 3};
	cr_assert_eq(proto_result_put(&frame, &r), 0);
	for (size_t len = 0; len < frame.len; len++) {
		expect_no_result(frame.data, len, "cut to", len);
	}
	for (size_t i = 0; i < LENGTH(lens); i++) {
		put32((uint8_t *)frame.data + 12, lens[i]);
		expect_no_result(frame.data, frame.len, "message length", lens[i]);
	}
	put32((uint8_t *)frame.data + 12, 5);
	for (size_t i = 0; i < LENGTH(emit_lens); i++) {
		put32((uint8_t *)frame.data + 16, emit_lens[i]);
		expect_no_result(frame.data, frame.len, "emits length", emit_lens[i]);
	}
	put32((uint8_t *)frame.data + 16, 3);
	put32((uint8_t *)frame.data, 1);
	expect_no_result(frame.data, frame.len, "error", 1);
	put32((uint8_t *)frame.data, 0x7fffffff);
	expect_no_result(frame.data, frame.len, "error", 0x7fffffff);
}

Test(proto, refuses_a_message_over_the_limit_though_it_is_there, .timeout = 10)
{
	uint8_t payload[PROTO_RESULT_HEAD_BYTES + PROTO_MESSAGE_MAX + 1] = {0};
	struct proto_result r;
	put32(payload + 12, PROTO_MESSAGE_MAX);
	cr_assert_eq(proto_result_get(&r, payload, sizeof payload), 0);
	put32(payload + 12, PROTO_MESSAGE_MAX + 1);
	expect_no_result(
		payload, sizeof payload, "message length", PROTO_MESSAGE_MAX + 1);
}

Test(proto, has_no_memory_for_lengths_that_overflow, .timeout = 10)
{
	struct proto_job job = {.arg = (const uint8_t *)"", .arg_len = SIZE_MAX};
	struct proto_result result = {.bytes = (const uint8_t *)"", .len = SIZE_MAX};
	struct proto_result emits = {
		.emits = (const uint8_t *)"", .emits_len = SIZE_MAX};
	struct proto_emit emit = {.arg = (const uint8_t *)"", .arg_len = SIZE_MAX};
	cr_assert_eq(proto_job_put(&frame, &job), PM_ENOMEM);
	cr_assert_eq(frame.len, 0);
	cr_assert_eq(proto_result_put(&frame, &result), PM_ENOMEM);
	cr_assert_eq(frame.len, 0);
	cr_assert_eq(proto_result_put(&frame, &emits), PM_ENOMEM);
	cr_assert_eq(frame.len, 0);
	cr_assert_eq(proto_emit_put(&frame, &emit), PM_ENOMEM);
	cr_assert_eq(frame.len, 0);
	emit.arg_len = (size_t)UINT32_MAX + 1; /* 0 in 32 bits */
	cr_assert_eq(proto_emit_put(&frame, &emit), PM_ENOMEM);
	cr_assert_eq(frame.len, 0);
	emit = (struct proto_emit){.lane = "", .lane_len = 256}; /* 0 in 8 bits */
	cr_assert_eq(proto_emit_put(&frame, &emit), PM_ENOMEM);
	cr_assert_eq(frame.len, 0);
}

/* ------------------------------------------------------------ emitted jobs */

enum { EMIT_CT = 20 };

static struct proto_emit nth_emit(size_t i)
{
	static const uint8_t bytes[EMIT_CT] = "the bytes of a job";
	return (struct proto_emit){.task = UINT64_MAX - i,
		.tag = i << 40,
		.timeout_ms = UINT32_MAX - (uint32_t)i,
		.queue_timeout_ms = (uint32_t)i * 3,
		.once = i % 2,
		.arg = bytes,
		.arg_len = i,
		.lane = (const char *)bytes + 1,
		.lane_len = i % 3};
}

/* Emit i has i bytes of argument, and up to two of a lane. */
static void build_emits(void)
{
	for (size_t i = 0; i < EMIT_CT; i++) {
		struct proto_emit emit = nth_emit(i);
		cr_assert_eq(proto_emit_put(&frame, &emit), 0);
	}
}

Test(proto, reads_the_emitted_jobs_it_wrote, .timeout = 10)
{
	struct proto_emit got;
	size_t at = 0;
	build_emits();
	uint8_t *copy = exact(frame.data, frame.len);
	for (size_t i = 0; i < EMIT_CT; i++) {
		struct proto_emit want = nth_emit(i);
		cr_assert_eq(proto_emit_get(&got, copy, frame.len, &at), 0, "%zu", i);
		cr_assert_eq(got.task, want.task);
		cr_assert_eq(got.tag, want.tag);
		cr_assert_eq(got.timeout_ms, want.timeout_ms);
		cr_assert_eq(got.queue_timeout_ms, want.queue_timeout_ms);
		cr_assert_eq(got.once, want.once);
		cr_assert_eq(got.arg_len, i);
		cr_assert(memcmp(got.arg, want.arg, i) == 0);
		cr_assert_eq(got.lane_len, want.lane_len);
		cr_assert(memcmp(got.lane, want.lane, want.lane_len) == 0);
	}
	cr_assert_eq(at, frame.len);
	cr_assert_eq(proto_emit_get(&got, copy, frame.len, &at), PM_EINVAL,
		"there are no more");
	free(copy);
}

static void expect_no_emit(size_t len, size_t from, const char *what, size_t which)
{
	struct proto_emit e, before;
	uint8_t *copy = exact(frame.data, len);
	size_t at = from;
	memset(&e, 0x5a, sizeof e);
	before = e;
	cr_assert_eq(
		proto_emit_get(&e, copy, len, &at), PM_EINVAL, "%s %zu", what, which);
	cr_assert_eq(at, from, "%s %zu: moved", what, which);
	cr_assert_arr_eq((char *)&e, (char *)&before, sizeof e, "%s %zu", what, which);
	free(copy);
}

Test(proto, refuses_every_emitted_job_that_is_cut, .timeout = 10)
{
	build_emits();
	size_t lane_len = nth_emit(EMIT_CT - 1).lane_len;
	size_t start = frame.len - PROTO_EMIT_HEAD_BYTES - lane_len - (EMIT_CT - 1);
	for (size_t len = start; len < frame.len; len++) {
		expect_no_emit(len, start, "cut to", len);
	}
	const size_t behind[] = {frame.len, frame.len + 1, SIZE_MAX / 2,
		SIZE_MAX - PROTO_EMIT_HEAD_BYTES, SIZE_MAX};
	for (size_t i = 0; i < LENGTH(behind); i++) {
		expect_no_emit(frame.len, behind[i], "at", behind[i]);
	}
}

Test(proto, refuses_emitted_jobs_that_make_no_sense, .timeout = 10)
{
	static const uint32_t lens[] = {4, 0x7fffffff, 0x80000000,
		UINT32_MAX - PROTO_EMIT_HEAD_BYTES, UINT32_MAX};
	static const uint32_t flags[] = {2, 3, 0x100, 0x80000000, UINT32_MAX};
	struct proto_emit emit = {.arg = (const uint8_t *)"arg", .arg_len = 3};
	cr_assert_eq(proto_emit_put(&frame, &emit), 0);
	uint8_t *head = (uint8_t *)frame.data;
	for (size_t i = 0; i < LENGTH(lens); i++) {
		put32(head + 28, lens[i]);
		expect_no_emit(frame.len, 0, "length", lens[i]);
	}
	put32(head + 28, 3);
	for (size_t i = 0; i < LENGTH(flags); i++) {
		put32(head + 24, flags[i]);
		expect_no_emit(frame.len, 0, "flags", flags[i]);
	}
	put32(head + 24, 0);
	for (unsigned len = 1; len < 256; len++) {
		head[32] = (uint8_t)len;
		expect_no_emit(frame.len, 0, "lane", len);
	}
}

/* ---------------------------------------------------------------- lifeline */

static const struct {
	enum proto_life type;
	const char *name;
	uint32_t least, most; /* values */
} messages[] = {
	{PROTO_HELLO, "HELLO", 2, 2},
	{PROTO_HEARTBEAT, "HEARTBEAT", 3, 3},
	{PROTO_CANCEL, "CANCEL", 0, PROTO_CANCEL_MAX},
	{PROTO_DRAIN, "DRAIN", 1, 1},
	{PROTO_BYE, "BYE", 1, 1},
	{PROTO_ACK, "ACK", 0, 0},
};

static void fill_message(
	struct proto_life_message *m, enum proto_life type, uint32_t ct)
{
	*m = (struct proto_life_message){
		.type = type, .slot = 77, .generation = UINT32_MAX, .count = ct};
	for (uint32_t i = 0; i < ct; i++) {
		m->values[i] = UINT64_MAX - i;
	}
}

static void expect_same_message(enum proto_life type, uint32_t ct)
{
	static struct proto_life_message m, got;
	uint8_t packet[sizeof m];
	fill_message(&m, type, ct);
	size_t len = proto_life_put(packet, &m);
	uint8_t *copy = exact(packet, len);
	cr_assert_eq(
		proto_life_get(&got, copy, len), 0, "%s %u", proto_life_name(type), ct);
	cr_assert_eq(got.type, type);
	cr_assert_eq(got.slot, 77);
	cr_assert_eq(got.generation, UINT32_MAX);
	cr_assert_eq(got.count, ct);
	cr_assert(memcmp(got.values, m.values, ct * sizeof *got.values) == 0);
	free(copy);
}

Test(proto, reads_the_lifeline_messages_it_wrote, .timeout = 10)
{
	for (size_t i = 0; i < LENGTH(messages); i++) {
		for (uint32_t ct = messages[i].least; ct <= messages[i].most; ct++) {
			expect_same_message(messages[i].type, ct);
		}
	}
}

static void expect_no_message(
	const void *packet, size_t len, const char *what, size_t which)
{
	static struct proto_life_message m, before;
	uint8_t *copy = exact(packet, len);
	memset(&m, 0x5a, sizeof m);
	before = m;
	cr_assert_eq(proto_life_get(&m, copy, len), PM_EINVAL, "%s %zu", what, which);
	cr_assert(memcmp(&m, &before, sizeof m) == 0, "%s %zu", what, which);
	free(copy);
}

Test(proto, refuses_lifeline_messages_of_the_wrong_length, .timeout = 20)
{
	/* one value more than a message can have, so that it would be there */
	static uint8_t packet[PROTO_LIFE_HEAD_BYTES + 8 * (PROTO_CANCEL_MAX + 1)];
	for (size_t i = 0; i < LENGTH(messages); i++) {
		put32(packet, messages[i].type);
		for (uint32_t ct = 0; ct <= PROTO_CANCEL_MAX + 1; ct++) {
			size_t len = PROTO_LIFE_HEAD_BYTES + (size_t)ct * 8;
			put32(packet + 12, ct);
			if (ct < messages[i].least || ct > messages[i].most) {
				expect_no_message(packet, len, messages[i].name, ct);
			}
		}
	}
}

Test(proto, refuses_lifeline_packets_that_are_cut_or_too_long, .timeout = 10)
{
	static struct proto_life_message m;
	uint8_t packet[sizeof m + 8];
	for (size_t i = 0; i < LENGTH(messages); i++) {
		uint32_t ct = messages[i].most < 3 ? messages[i].most : 3;
		fill_message(&m, messages[i].type, ct);
		size_t len = proto_life_put(packet, &m);
		for (size_t cut = 0; cut < len; cut++) {
			expect_no_message(packet, cut, messages[i].name, cut);
		}
		for (size_t extra = 1; extra <= 8; extra++) {
			expect_no_message(
				packet, len + extra, messages[i].name, len + extra);
		}
	}
}

Test(proto, refuses_lifeline_types_and_counts_that_are_none, .timeout = 10)
{
	static const uint32_t types[] = {0, 7, 8, 0x100, 0x80000000, UINT32_MAX};
	static const uint32_t cts[] = {3, PROTO_CANCEL_MAX + 1, 0x20000000, 0x20000002,
		0x80000000, UINT32_MAX};
	uint8_t packet[PROTO_LIFE_HEAD_BYTES + 2 * 8] = {0};
	put32(packet + 12, 2);
	for (size_t i = 0; i < LENGTH(types); i++) {
		put32(packet, types[i]);
		expect_no_message(packet, sizeof packet, "type", types[i]);
	}
	put32(packet, PROTO_CANCEL);
	for (size_t i = 0; i < LENGTH(cts); i++) {
		put32(packet + 12, cts[i]);
		expect_no_message(packet, sizeof packet, "count", cts[i]);
	}
}

Test(proto, names_lifeline_messages, .timeout = 10)
{
	for (size_t i = 0; i < LENGTH(messages); i++) {
		cr_assert_eq(messages[i].type, (int)i + 1);
		cr_assert_str_eq(proto_life_name(messages[i].type), messages[i].name);
	}
	static const int none[] = {0, 7, -1, INT_MAX, INT_MIN};
	for (size_t i = 0; i < LENGTH(none); i++) {
		cr_assert_str_eq(proto_life_name(none[i]), "unknown");
	}
}

Test(proto, tells_why_a_worker_ended_itself, .timeout = 10)
{
	static const int codes[] = {PROTO_EXIT_ORPHAN, PROTO_EXIT_BOOT,
		PROTO_EXIT_PROTO, PROTO_EXIT_NANOMSG, PROTO_EXIT_MEMORY,
		PROTO_EXIT_INIT};
	for (int code = -1; code < 300; code++) {
		bool known = false;
		for (size_t i = 0; i < LENGTH(codes); i++) {
			known |= codes[i] == code;
		}
		cr_assert_eq(proto_exit_text(code) != NULL, known, "%d", code);
	}
	for (size_t i = 1; i < LENGTH(codes); i++) {
		cr_assert_str_neq(
			proto_exit_text(codes[i]), proto_exit_text(codes[i - 1]));
	}
}

/* --------------------------------------------------------------- mutations */

static unsigned volatile sink;

static void touch(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < len; i++) {
		sink += p[i];
	}
}

/* Returns how many emitted jobs there were. */
static unsigned read_emits(const uint8_t *emits, size_t len)
{
	struct proto_emit emit;
	unsigned ct = 0;
	for (size_t at = 0; proto_emit_get(&emit, emits, len, &at) == 0; ct++) {
		cr_assert(at <= len);
		cr_assert(emit.arg + emit.arg_len == emits + at);
		touch((const uint8_t *)emit.lane, emit.lane_len);
		touch(emit.arg, emit.arg_len);
	}
	return ct;
}

static unsigned emits_read;

/* All that can be read of a payload, as either kind. */
static void read_payload(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	struct proto_job job;
	struct proto_result result;
	if (proto_job_get(&job, copy, len) == 0) {
		cr_assert_eq(job.arg_len, len - PROTO_JOB_HEAD_BYTES);
		touch(job.arg, job.arg_len);
	}
	if (proto_result_get(&result, copy, len) == 0) {
		cr_assert_leq(result.message_len, PROTO_MESSAGE_MAX);
		cr_assert_eq(result.message_len + result.emits_len + result.len,
			len - PROTO_RESULT_HEAD_BYTES);
		cr_assert_leq(result.error, 0);
		touch(result.message, result.message_len);
		emits_read += read_emits(result.emits, result.emits_len);
		touch(result.bytes, result.len);
	}
	free(copy);
}

/* Read all of a frame as the receivers do; returns how many records it had. */
static unsigned read_frame(const uint8_t *bytes, size_t len)
{
	struct proto_head head;
	struct proto_record r;
	size_t at = 0;
	unsigned ct = 0;
	if (proto_head_get(&head, bytes, len)) {
		return 0;
	}
	cr_assert_eq(head.length + PROTO_HEAD_BYTES, len);
	while (ct < head.count && proto_record_get(&r, bytes, len, &at) == 0) {
		cr_assert(at <= len);
		cr_assert(r.bytes + r.length == bytes + at);
		cr_assert((uint64_t)r.offset + r.length <= r.total);
		read_payload(r.bytes, r.length);
		ct++;
	}
	return ct;
}

static void put_random_emits(struct buf *emits, uint64_t *seed)
{
	for (size_t ct = dice_below(seed, 3); ct > 0; ct--) {
		struct proto_emit emit = nth_emit(dice_below(seed, EMIT_CT));
		cr_assert_eq(proto_emit_put(emits, &emit), 0);
	}
}

static void put_random_record(uint64_t *seed)
{
	struct buf payload = {0}, emits = {0};
	uint8_t bytes[64];
	memset(bytes, (int)dice(seed), sizeof bytes);
	if (dice_below(seed, 2)) {
		struct proto_job job = {.task = dice(seed),
			.arg = bytes,
			.arg_len = dice_below(seed, sizeof bytes)};
		cr_assert_eq(proto_job_put(&payload, &job), 0);
	} else {
		put_random_emits(&emits, seed);
		struct proto_result result = {.error = -(int)dice_below(seed, 50),
			.message = (char *)bytes,
			.message_len = dice_below(seed, sizeof bytes),
			.emits = (uint8_t *)emits.data,
			.emits_len = emits.len,
			.bytes = bytes,
			.len = dice_below(seed, sizeof bytes)};
		cr_assert_eq(proto_result_put(&payload, &result), 0);
	}
	struct proto_record r = {.id = dice(seed),
		.attempt = 1,
		.total = (uint32_t)payload.len,
		.length = (uint32_t)payload.len,
		.bytes = (uint8_t *)payload.data};
	cr_assert_eq(proto_record_put(&frame, &r), 0);
	buf_fini(&payload);
	buf_fini(&emits);
}

static uint32_t build_random(uint64_t *seed)
{
	uint32_t ct = (uint32_t)dice_below(seed, 6);
	buf_clear(&frame);
	cr_assert_eq(proto_frame_begin(&frame, PROTO_RESULTS, &route, dice(seed)), 0);
	for (uint32_t i = 0; i < ct; i++) {
		put_random_record(seed);
	}
	proto_frame_end(&frame, ct);
	return ct;
}

/* Change bytes behind the magic; half the time the length is put right again,
 * so that the damage gets past the header. */
static void mutate(uint64_t *seed)
{
	static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
	for (size_t n = 1 + dice_below(seed, 4); n > 0; n--) {
		size_t at = 4 + dice_below(seed, frame.len - 4);
		frame.data[at] = dice_below(seed, 2)
					 ? (char)dice(seed)
					 : (char)edges[dice_below(seed, sizeof edges)];
	}
	if (dice_below(seed, 4) == 0) {
		frame.len = dice_below(seed, frame.len + 1);
	}
	if (frame.len >= PROTO_HEAD_BYTES && dice_below(seed, 2)) {
		put32((uint8_t *)frame.data + 4, PROTO_VERSION | PROTO_RESULTS << 16);
		put32((uint8_t *)frame.data + 44,
			(uint32_t)(frame.len - PROTO_HEAD_BYTES));
	}
}

Test(proto, survives_50000_damaged_frames, .timeout = 300)
{
	uint64_t seed = 20261120;
	unsigned whole = 0, broken = 0;
	for (int i = 0; i < 50000; i++) {
		uint32_t ct = build_random(&seed);
		mutate(&seed);
		uint8_t *copy = exact(frame.data, frame.len);
		unsigned got = read_frame(copy, frame.len);
		whole += got > 0;
		broken += got < ct;
		free(copy);
	}
	/* or else the loop tests nothing */
	cr_assert_gt(whole, 10000, "%u", whole);
	cr_assert_gt(broken, 10000, "%u", broken);
	cr_assert_gt(emits_read, 10000, "%u", emits_read);
}

Test(proto, survives_50000_random_packets, .timeout = 300)
{
	static struct proto_life_message m;
	uint64_t seed = 7;
	unsigned good = 0;
	for (int i = 0; i < 50000; i++) {
		uint8_t packet[64];
		size_t len = dice_below(&seed, sizeof packet + 1);
		for (size_t b = 0; b < len; b++) {
			packet[b] = (uint8_t)dice(&seed);
		}
		if (len >= PROTO_LIFE_HEAD_BYTES) {
			put32(packet, (uint32_t)dice_below(&seed, 8));
			put32(packet + 12, (uint32_t)dice_below(&seed, 6));
		}
		uint8_t *copy = exact(packet, len);
		if (proto_life_get(&m, copy, len) == 0) {
			cr_assert_eq(len, PROTO_LIFE_HEAD_BYTES + 8 * (size_t)m.count);
			touch(m.values, m.count * sizeof *m.values);
			good++;
		}
		free(copy);
	}
	cr_assert_gt(good, 50, "%u", good);
}
