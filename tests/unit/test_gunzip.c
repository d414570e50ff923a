/* SPDX-License-Identifier: MIT
 *
 * gunzip: what was compressed comes back, and what is damaged is told.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/buf.h"
#include "master/cli/gunzip.h"

/* Append one gzip member. */
static void put_member(struct buf *out, const void *bytes, size_t len)
{
	z_stream z = {0};
	cr_assert_eq(
		deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY),
		Z_OK);
	size_t most = deflateBound(&z, (uLong)len);
	cr_assert_eq(buf_reserve(out, most), 0);
	z.next_in = (unsigned char *)(uintptr_t)bytes;
	z.avail_in = (unsigned)len;
	z.next_out = (unsigned char *)out->data + out->len;
	z.avail_out = (unsigned)most;
	cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len += z.total_out;
	deflateEnd(&z);
}

enum end { WHOLE, CUT, BAD };

/* Feed it in pieces, and take out in pieces. */
static enum end unzip(const struct buf *raw, size_t piece, size_t cap, struct buf *out)
{
	struct gunzip *g = gunzip_new();
	char room[4096];
	size_t at = 0, len = 0;
	const char *why = NULL;
	cr_assert(g && cap <= sizeof room);
	for (;;) {
		enum gunzip_step step = gunzip_next(g, room, cap, &len, &why);
		if (step == GUNZIP_BYTES) {
			cr_assert(len >= 1 && len <= cap);
			cr_assert_eq(buf_put(out, room, len), 0);
			cr_assert_lt(out->len, 64 << 20);
		} else if (step == GUNZIP_BAD || at == raw->len) {
			bool is_whole = gunzip_is_whole(g);
			gunzip_free(g);
			cr_assert(step != GUNZIP_BAD || (why && *why));
			return step == GUNZIP_BAD ? BAD : is_whole ? WHOLE : CUT;
		} else {
			size_t n = raw->len - at < piece ? raw->len - at : piece;
			memcpy(gunzip_room(g), raw->data + at, n);
			gunzip_add(g, n);
			at += n;
		}
	}
}

static void gives(const struct buf *raw, const void *bytes, size_t len)
{
	static const size_t pieces[] = {1, 2, 7, 100, 200000};
	for (size_t i = 0; i < 5; i++) {
		struct buf out = {0};
		cr_assert_eq(unzip(raw, pieces[i], 1 + 4095 % (pieces[i] + 1), &out),
			WHOLE, "in pieces of %zu", pieces[i]);
		cr_assert_eq(out.len, len);
		cr_assert(!len || memcmp(out.data, bytes, len) == 0);
		buf_fini(&out);
	}
}

static void ends(const struct buf *raw, enum end want)
{
	struct buf out = {0};
	enum end got = unzip(raw, 64, 64, &out);
	cr_assert_eq(got, want, "%d, not %d", got, want);
	buf_fini(&out);
}

Test(gunzip, knows_its_magic, .timeout = 30)
{
	cr_assert(gunzip_is_magic("\x1f\x8b\x08", 3));
	cr_assert(gunzip_is_magic("\x1f\x8b", 2));
	cr_assert_not(gunzip_is_magic("\x1f\x8b", 1));
	cr_assert_not(gunzip_is_magic("", 0));
	cr_assert_not(gunzip_is_magic("PK\x03\x04", 4));
}

Test(gunzip, gives_back_what_was_compressed, .timeout = 30)
{
	struct buf raw = {0};
	put_member(&raw, "", 0);
	gives(&raw, "", 0);
	buf_clear(&raw);
	put_member(&raw, "http://a/\n", 10);
	gives(&raw, "http://a/\n", 10);
	buf_fini(&raw);
}

Test(gunzip, gives_back_much_from_little, .timeout = 30)
{
	enum { MUCH = 3 << 20 };
	struct buf raw = {0};
	char *much = calloc(MUCH, 1);
	put_member(&raw, much, MUCH);
	cr_assert_lt(raw.len, 10000);
	struct buf out = {0};
	cr_assert_eq(unzip(&raw, raw.len, 4096, &out), WHOLE);
	cr_assert_eq(out.len, MUCH);
	buf_fini(&out);
	buf_fini(&raw);
	free(much);
}

Test(gunzip, joins_members_and_passes_over_padding, .timeout = 30)
{
	struct buf raw = {0};
	put_member(&raw, "abc", 3);
	put_member(&raw, "", 0);
	put_member(&raw, "def", 3);
	gives(&raw, "abcdef", 6);
	buf_put(&raw, "\0\0\0\0\0", 5);
	gives(&raw, "abcdef", 6);
	put_member(&raw, "g", 1);
	gives(&raw, "abcdefg", 7);
	buf_fini(&raw);
}

Test(gunzip, tells_what_is_damaged, .timeout = 30)
{
	struct buf raw = {0};
	ends(&raw, CUT);
	put_member(&raw, "abc", 3);
	buf_puts(&raw, "http://a/\n");
	ends(&raw, BAD);
	buf_clear(&raw);
	buf_puts(&raw, "\x1f\x8b\x09 not deflate");
	ends(&raw, BAD);
	buf_fini(&raw);
}

Test(gunzip, tells_a_file_that_is_cut_off, .timeout = 30)
{
	struct buf raw = {0};
	put_member(&raw, "abcdefghijklmnopqrstuvwxyz", 26);
	size_t first = raw.len;
	put_member(&raw, "0123456789", 10);
	size_t whole = raw.len;
	for (raw.len = 0; raw.len <= whole; raw.len++) {
		ends(&raw, raw.len == first || raw.len == whole ? WHOLE : CUT);
	}
	buf_fini(&raw);
}

/* With its sum no damage to the data is taken for the data. */
Test(gunzip, survives_damage, .timeout = 30)
{
	enum { LEN = 400, HEADER = 10 };
	unsigned state = 1;
	char text[LEN];
	for (size_t i = 0; i < LEN; i++) {
		state = state * 1103515245u + 12345u;
		text[i] = "abc/:.\n"[(state >> 16) % 7];
	}
	struct buf good = {0}, raw = {0};
	put_member(&good, text, LEN);
	for (unsigned round = 0; round < 50000; round++) {
		struct buf out = {0};
		buf_clear(&raw);
		buf_put(&raw, good.data, good.len);
		for (unsigned i = 0; i <= round % 3; i++) {
			state = state * 1103515245u + 12345u;
			raw.data[(state >> 8) % raw.len] ^=
				(char)(1u << (state >> 4) % 8);
		}
		enum end end = unzip(&raw, 1 + round % 97, 1 + round % 61, &out);
		if (end == WHOLE) { /* in the header, or undone */
			cr_assert_eq(out.len, LEN);
			cr_assert_eq(memcmp(out.data, text, LEN), 0);
		}
		buf_fini(&out);
	}
	buf_fini(&good);
	buf_fini(&raw);
}
