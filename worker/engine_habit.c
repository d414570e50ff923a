/* SPDX-License-Identifier: MIT
 *
 * engine_habit - see engine_habit.h.
 */
#include "worker/engine_habit.h"

/* The share is a moving average, in 1/65536: some 600 new hosts in a row make it
 * enough, and one in twenty that is known keeps it below. */
enum { ONE = 65536, SLOWNESS = 256, ENOUGH = ONE / 100 * 92 };

bool habit_wants(struct habit *h, uint32_t host_hash)
{
	uint32_t *slot = &h->seen[host_hash % HABIT_HOSTS];
	bool is_new = *slot != host_hash;
	*slot = host_hash;
	h->strange -= h->strange / SLOWNESS;
	h->strange += is_new ? ONE / SLOWNESS : 0;
	return !is_new || h->strange < ENOUGH;
}
