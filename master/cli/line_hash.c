/* SPDX-License-Identifier: MIT
 *
 * line_hash - see line_hash.h.
 *
 * 64 bits over 8-byte words: xor a word in, multiply, fold the high half down.
 * Each step is a bijection of the state, so two texts that differ in one word
 * never collide.  The odd constants are the fractions of the square roots of
 * 2, 3 and 5.
 */
#include "master/cli/line_hash.h"

#include <string.h>

static const uint64_t MIX_A = UINT64_C(0x6a09e667f3bcc909);
static const uint64_t MIX_B = UINT64_C(0xbb67ae8584caa73b);
static const uint64_t MIX_C = UINT64_C(0x3c6ef372fe94f82b);

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * MIX_A;
	return h ^ h >> 32;
}

uint64_t line_hash(const char *bytes, size_t len)
{
	uint64_t h = (uint64_t)len * MIX_C;
	uint64_t word;
	for (; len >= sizeof word; len -= sizeof word, bytes += sizeof word) {
		memcpy(&word, bytes, sizeof word);
		h = mix(h, word);
	}
	word = 0;
	if (len) {
		memcpy(&word, bytes, len);
	}
	h = mix(h, word) * MIX_B;
	return h ^ h >> 29;
}
