/* SPDX-License-Identifier: MIT
 *
 * utf8 - is this UTF-8?  See utf8.h.
 */
#include "common/cli/utf8.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Most of what is fetched is ASCII for the most part, so that is what is fast. */
static size_t ascii_run(const unsigned char *text, size_t len)
{
	size_t n = 0;
	while (len - n >= 16) {
		uint64_t words[2];
		memcpy(words, text + n, sizeof words);
		if ((words[0] | words[1]) & HIGH_BITS) {
			break;
		}
		n += sizeof words;
	}
	while (n < len && text[n] < 0x80) {
		n++;
	}
	return n;
}

/* The second byte is where overlong forms (E0, F0), surrogates (ED) and numbers
 * above U+10FFFF (F4) show. */
static bool second_fits(unsigned char lead, unsigned char second)
{
	unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	return second >= low && second <= high;
}

/* Length of the character of several bytes that `text` starts with; 0: it does
 * not start with one. */
static size_t sequence(const unsigned char *text, size_t len)
{
	unsigned char lead = text[0];
	if (lead < 0xC2 || lead > 0xF4) {
		return 0;
	}
	size_t need = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
	if (len < need || !second_fits(lead, text[1])) {
		return 0;
	}
	for (size_t i = 2; i < need; i++) {
		if ((text[i] & 0xC0) != 0x80) {
			return 0;
		}
	}
	return need;
}

size_t utf8_valid_prefix(const char *text, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t n = ascii_run(bytes, len);
	while (n < len) {
		size_t step = sequence(bytes + n, len - n);
		if (step == 0) {
			break;
		}
		n += step;
		if (n < len && bytes[n] < 0x80) {
			n += ascii_run(bytes + n, len - n);
		}
	}
	return n;
}
