/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/utf8: every one- to four-byte start against a decoder
 * that is written from the definition, and the edges of the fast path.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/cli/utf8.h"

#define PREFIX(literal) utf8_valid_prefix(literal, sizeof(literal) - 1)

/* Write a code point's UTF-8, whatever the code point is; returns its length. */
static size_t encode(unsigned long point, char out[4])
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
	for (size_t i = len; i-- > 1; point >>= 6) {
		out[i] = (char)(0x80 | (point & 0x3F));
	}
	out[0] = (char)(lead[len] | point);
	return len;
}

Test(utf8, takes_every_code_point_and_no_surrogate, .timeout = 10)
{
	for (unsigned long point = 0; point < 0x1FFFFF; point++) {
		char text[4];
		size_t len = encode(point, text);
		bool surrogate = point >= 0xD800 && point <= 0xDFFF;
		bool good = !surrogate && point <= 0x10FFFF;
		if (utf8_valid(text, len) != good) {
			cr_assert_fail("U+%04lX", point);
		}
	}
}

Test(utf8, takes_two_bytes_only_if_they_decode_and_encode_to_themselves, .timeout = 10)
{
	for (unsigned both = 0; both < 0x10000; both++) {
		unsigned char a = (unsigned char)(both >> 8), b = (unsigned char)both;
		char text[2] = {(char)a, (char)b};
		bool ascii = a < 0x80 && b < 0x80;
		bool pair = a >= 0xC2 && a <= 0xDF && b >= 0x80 && b <= 0xBF;
		if (utf8_valid(text, 2) != (ascii || pair)) {
			cr_assert_fail("%02x %02x", a, b);
		}
	}
}

Test(utf8, refuses_overlong_forms, .timeout = 10)
{
	cr_assert_eq(PREFIX("\xC0\x80"), 0, "NUL in two bytes");
	cr_assert_eq(PREFIX("\xC1\xBF"), 0);
	cr_assert_eq(PREFIX("\xE0\x9F\xBF"), 0);
	cr_assert_eq(PREFIX("\xE0\xA0\x80"), 3);
	cr_assert_eq(PREFIX("\xF0\x8F\xBF\xBF"), 0);
	cr_assert_eq(PREFIX("\xF0\x90\x80\x80"), 4);
	cr_assert_eq(PREFIX("\xF4\x90\x80\x80"), 0);
	cr_assert_eq(PREFIX("\xF8\x88\x80\x80\x80"), 0);
}

Test(utf8, stops_before_a_character_that_is_cut_off, .timeout = 10)
{
	static const char text[] = "ab\xF0\x9F\x98\x80";
	for (size_t len = 0; len < sizeof text - 1; len++) {
		size_t want = len < 2 ? len : 2;
		cr_assert_eq(utf8_valid_prefix(text, len), want, "cut to %zu", len);
	}
	cr_assert_eq(PREFIX("ab\xF0\x9F\x98\x80"), 6);
}

Test(utf8, takes_a_nul_for_a_character, .timeout = 10)
{
	cr_assert_eq(PREFIX("a\0b"), 3);
	cr_assert_eq(PREFIX("0123456789abcde\0fghijklmnop"), 27);
}

Test(utf8, finds_a_bad_byte_at_every_place_of_a_long_text, .timeout = 10)
{
	char text[100];
	for (size_t bad = 0; bad < sizeof text; bad++) {
		memset(text, 'x', sizeof text);
		text[bad] = (char)0xFF;
		size_t got = utf8_valid_prefix(text, sizeof text);
		cr_assert_eq(got, bad, "bad byte at %zu, found at %zu", bad, got);
	}
}

Test(utf8, takes_an_empty_text, .timeout = 10)
{
	cr_assert(utf8_valid("", 0));
}
