/* SPDX-License-Identifier: MIT
 *
 * order - turns completions into deliveries; see order.h.
 */
#include "master/order.h"

#include <assert.h>
#include <stdlib.h>

enum { RING_FIRST = 256 };

void order_init(struct order *o, bool ordered)
{
	*o = (struct order){.ordered = ordered};
	list_init(&o->ready);
}

void order_fini(struct order *o)
{
	free(o->ring);
	o->ring = NULL;
	o->cap = 0;
}

int order_reserve(struct order *o, uint64_t index)
{
	if (!o->ordered || index - o->next < o->cap) {
		return 0;
	}
	size_t cap = o->cap ? o->cap : RING_FIRST;
	while (index - o->next >= cap) {
		cap *= 2;
	}
	struct job **ring = calloc(cap, sizeof(struct job *));
	if (!ring) {
		return PM_ENOMEM;
	}
	for (size_t i = 0; i < o->cap; i++) {
		uint64_t at = o->next + i;
		ring[at & (cap - 1)] = o->ring[at & (o->cap - 1)];
	}
	free(o->ring);
	o->ring = ring;
	o->cap = cap;
	return 0;
}

void order_put(struct order *o, struct job *job)
{
	if (!o->ordered) {
		list_push_back(&o->ready, &job->link);
		return;
	}
	assert(job->index - o->next < o->cap);
	o->ring[job->index & (o->cap - 1)] = job;
	struct job *first;
	while ((first = o->ring[o->next & (o->cap - 1)])) {
		o->ring[o->next & (o->cap - 1)] = NULL;
		o->next++;
		list_push_back(&o->ready, &first->link);
	}
}

struct job *order_first(const struct order *o)
{
	struct list_node *n = list_first(&o->ready);
	return n ? list_entry(n, struct job, link) : NULL;
}

void order_pop(struct order *o)
{
	list_pop_front(&o->ready);
}

void order_put_back(struct order *o, struct job *job)
{
	list_push_front(&o->ready, &job->link);
}
