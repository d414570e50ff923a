/* SPDX-License-Identifier: MIT
 *
 * dice - the same random numbers in every run, for tests that mutate bytes or
 * play against a model.
 *
 * A test seeds its own state, so a failure comes again when the test is run
 * alone.
 */
#ifndef TESTS_UNIT_DICE_H
#define TESTS_UNIT_DICE_H

#include <stddef.h>
#include <stdint.h>

/* splitmix64: any seed will do. */
static inline uint64_t dice(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* 0 ... limit - 1; `limit` is not 0. */
static inline size_t dice_below(uint64_t *state, size_t limit)
{
	return (size_t)(dice(state) % limit);
}

#endif
