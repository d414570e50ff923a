/* SPDX-License-Identifier: MIT
 *
 * origin_body - the origin's computed bodies: endless patterns, so that a body
 * of any length costs no memory and a test can say what each byte must be.
 *
 * Runs in: the origin.  Called by origin_conn.c for a piece at a time.
 *
 * Byte i of a text is a LF where i % 64 is 63, and else the letter number
 * (i / 64 + i % 64) % 26.  Byte i of bytes is 255 - (i + i / 256) % 256: all
 * values, and even one byte of it is not UTF-8.  What is repeated has no end.
 */
#include "tests/support/origin.h"

#define BODY_STEP (64u << 10)
#define AGAIN_STEP (16u << 10)
#define CHUNK_STEP 10000u /* no round number, so that edges fall anywhere */
#define TEXT_PERIOD (64u * 26u)
#define BYTES_PERIOD 65536u

/* A step may start anywhere in a period. */
static char text_table[TEXT_PERIOD + BODY_STEP];
static unsigned char bytes_table[BYTES_PERIOD + BODY_STEP];

static void fill_tables(void)
{
	for (unsigned i = 0; i < sizeof(text_table); i++) {
		bool line_end = i % 64 == 63;
		text_table[i] = line_end ? '\n' : (char)('a' + (i / 64 + i % 64) % 26);
	}
	for (unsigned i = 0; i < sizeof(bytes_table); i++) {
		bytes_table[i] = (unsigned char)(255 - (i + i / 256) % 256);
	}
}

static const void *pattern_at(const struct body *b)
{
	if (bytes_table[0] == 0) {
		fill_tables();
	}
	if (b->kind == BODY_TEXT) {
		return &text_table[b->at % TEXT_PERIOD];
	}
	return &bytes_table[b->at % BYTES_PERIOD];
}

/* Whole patterns, some 16 KiB of them. */
static bool again_step(const struct body *b, struct evbuffer *out)
{
	for (size_t len = 0; len < AGAIN_STEP; len += b->again.len) {
		evbuffer_add(out, b->again.at, b->again.len);
	}
	return false;
}

bool body_step(struct body *b, struct evbuffer *out)
{
	if (b->kind == BODY_AGAIN) {
		return again_step(b, out);
	}
	uint64_t left = b->end - b->at;
	size_t most = b->chunked ? CHUNK_STEP : BODY_STEP;
	size_t len = left < most ? (size_t)left : most;
	if (b->chunked && len > 0) {
		evbuffer_add_printf(out, "%zx\r\n", len);
	}
	evbuffer_add_reference(out, pattern_at(b), len, NULL, NULL);
	b->at += len;
	if (b->chunked && len > 0) {
		evbuffer_add(out, "\r\n", 2);
	}
	if (b->chunked && b->at == b->end) {
		evbuffer_add(out, "0\r\n\r\n", 5);
	}
	return b->at == b->end;
}
