/* SPDX-License-Identifier: MIT
 *
 * heap - things that are due at a time, the soonest first, and of those that are due
 * at the same time the one that was put in first: a binary heap.
 *
 * Runs in: the master.  Intrusive: `struct due` lives in the element, which says
 * when; the heap keeps pointers.
 */
#ifndef MASTER_HEAP_H
#define MASTER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due {
	uint64_t at_us;
	uint64_t serial; /* of heap_put() */
	size_t place;    /* in the heap, from 1; 0: in none */
};

struct heap {
	struct due **table;
	size_t ct, cap;
	uint64_t serial; /* of the last one put in */
};

/* A zeroed struct is an empty heap. */
void heap_fini(struct heap *h);

/* Put it in, due at `at_us`.  0 or PM_ENOMEM. */
int heap_put(struct heap *h, struct due *d, uint64_t at_us);

/* Take it out, wherever it is; one that is in no heap stays so. */
void heap_remove(struct heap *h, struct due *d);

/* The soonest, or NULL. */
static inline struct due *heap_first(const struct heap *h)
{
	return h->ct ? h->table[0] : NULL;
}

#endif
