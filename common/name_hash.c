/* SPDX-License-Identifier: MIT
 *
 * name_hash - SipHash with a key of this process; see name_hash.h.
 *
 * J.-P. Aumasson, D. J. Bernstein: SipHash, a fast short-input PRF (2012).
 */
#include "common/name_hash.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"

enum { ROUNDS = 2, LAST_ROUNDS = 4 };

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(struct state *s, unsigned rounds)
{
	while (rounds-- > 0) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 = rotate(s->v2, 32);
	}
}

/* 8 bytes, the first one lowest, on every machine. */
static uint64_t word(const unsigned char *bytes)
{
	uint64_t w;
	memcpy(&w, bytes, sizeof w);
	return le64toh(w);
}

/* Fewer than that. */
static uint64_t last_word(const unsigned char *bytes, size_t len)
{
	uint64_t w = 0;
	for (size_t i = 0; i < len; i++) {
		w |= (uint64_t)bytes[i] << (8 * i);
	}
	return w;
}

static void add(struct state *s, uint64_t w)
{
	s->v3 ^= w;
	mix(s, ROUNDS);
	s->v0 ^= w;
}

uint64_t name_siphash(const uint64_t key[2], const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	struct state s = {key[0] ^ UINT64_C(0x736f6d6570736575),
		key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573)};
	size_t left = len;
	for (; left >= 8; left -= 8, at += 8) {
		add(&s, word(at));
	}
	add(&s, last_word(at, left) | (uint64_t)(len & 0xff) << 56);
	s.v2 ^= 0xff;
	mix(&s, LAST_ROUNDS);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* Chosen once: pools of several threads may ask for it at the same time. */
static uint64_t process_key[2];

/* A system that has no random numbers yet gives some that are hard to guess. */
static void choose_key(void)
{
	uint64_t *key = process_key;
	if (getrandom(key, sizeof process_key, GRND_NONBLOCK) != sizeof process_key) {
		key[0] = clock_now_us();
		key[1] = (uint64_t)(uintptr_t)&key ^ (uint64_t)getpid() << 32;
	}
}

uint64_t name_hash(const void *name, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, choose_key);
	return name_siphash(process_key, name, len);
}
