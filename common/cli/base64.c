/* SPDX-License-Identifier: MIT
 *
 * base64 - see base64.h.
 */
#include "common/cli/base64.h"

#include <stdint.h>

#include "common/poolmap.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz"
			       "0123456789+/";

static void encode_three(char *out, const unsigned char *in)
{
	uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
	out[0] = alphabet[bits >> 18];
	out[1] = alphabet[bits >> 12 & 63];
	out[2] = alphabet[bits >> 6 & 63];
	out[3] = alphabet[bits & 63];
}

void base64_encode(char *out, const void *bytes, size_t len)
{
	const unsigned char *in = bytes;
	for (; len >= 3; len -= 3, in += 3, out += 4) {
		encode_three(out, in);
	}
	if (len > 0) {
		const unsigned char last[3] = {in[0], len == 2 ? in[1] : 0, 0};
		encode_three(out, last);
		out[3] = '=';
		if (len == 1) {
			out[2] = '=';
		}
	}
}

/* The six bits that a character stands for; -1: none. */
static int six_bits(char c)
{
	if (c >= 'A' && c <= 'Z') {
		return c - 'A';
	}
	if (c >= 'a' && c <= 'z') {
		return c - 'a' + 26;
	}
	if (c >= '0' && c <= '9') {
		return c - '0' + 52;
	}
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decode four characters, the last `pad` of which are padding. */
static int decode_four(unsigned char *out, const char *text, int pad)
{
	uint32_t bits = 0;
	for (int i = 0; i < 4; i++) {
		int six = i < 4 - pad ? six_bits(text[i]) : 0;
		if (six < 0) {
			return PM_EINVAL;
		}
		bits = bits << 6 | (uint32_t)six;
	}
	if (bits & ((UINT32_C(1) << 8 * pad) - 1)) {
		return PM_EINVAL;
	}
	for (int i = 0; i < 3 - pad; i++) {
		out[i] = (unsigned char)(bits >> (16 - 8 * i));
	}
	return 0;
}

static int padding(const char *text, size_t len)
{
	if (len == 0 || text[len - 1] != '=') {
		return 0;
	}
	return text[len - 2] == '=' ? 2 : 1;
}

int base64_decode(void *out, size_t *out_len, const char *text, size_t len)
{
	if (len % 4 != 0) {
		return PM_EINVAL;
	}
	unsigned char *to = out;
	int pad = padding(text, len);
	for (size_t at = 0; at < len; at += 4) {
		bool last = at + 4 == len;
		if (decode_four(to, text + at, last ? pad : 0)) {
			return PM_EINVAL;
		}
		to += 3;
	}
	*out_len = len / 4 * 3 - (size_t)pad;
	return 0;
}
