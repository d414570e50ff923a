/* SPDX-License-Identifier: MIT
 *
 * heap - things that are due at a time; see heap.h.
 */
#include "master/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "common/poolmap.h"

enum { FIRST_CAP = 64 };

void heap_fini(struct heap *h)
{
	free(h->table);
	*h = (struct heap){0};
}

static bool is_sooner(const struct due *a, const struct due *b)
{
	return a->at_us < b->at_us || (a->at_us == b->at_us && a->serial < b->serial);
}

static void set(struct heap *h, size_t i, struct due *d)
{
	h->table[i] = d;
	d->place = i + 1;
}

static void sift_up(struct heap *h, size_t i, struct due *d)
{
	while (i > 0 && is_sooner(d, h->table[(i - 1) / 2])) {
		set(h, i, h->table[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	set(h, i, d);
}

static void sift_down(struct heap *h, size_t i, struct due *d)
{
	size_t child;
	while ((child = 2 * i + 1) < h->ct) {
		if (child + 1 < h->ct &&
			is_sooner(h->table[child + 1], h->table[child])) {
			child++;
		}
		if (is_sooner(d, h->table[child])) {
			break;
		}
		set(h, i, h->table[child]);
		i = child;
	}
	set(h, i, d);
}

int heap_put(struct heap *h, struct due *d, uint64_t at_us)
{
	assert(!d->place);
	if (h->ct == h->cap) {
		size_t cap = h->cap ? h->cap * 2 : FIRST_CAP;
		struct due **table = realloc(h->table, cap * sizeof(struct due *));
		if (!table) {
			return PM_ENOMEM;
		}
		h->table = table;
		h->cap = cap;
	}
	d->at_us = at_us;
	d->serial = ++h->serial;
	sift_up(h, h->ct++, d);
	return 0;
}

void heap_remove(struct heap *h, struct due *d)
{
	if (!d->place) {
		return;
	}
	size_t i = d->place - 1;
	struct due *last = h->table[--h->ct];
	d->place = 0;
	if (last == d) {
		return;
	}
	if (i > 0 && is_sooner(last, h->table[(i - 1) / 2])) {
		sift_up(h, i, last);
	} else {
		sift_down(h, i, last);
	}
}
