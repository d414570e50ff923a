/* SPDX-License-Identifier: MIT
 *
 * resolver_names - see resolver_names.h.
 *
 * The number of buckets is fixed, as that of the names is: those that are known are
 * bounded here, and those that are asked for by the number of transfers.
 */
#include "worker/resolver_names.h"

#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"

enum { BUCKETS = 4096 };

static uint32_t hash_of(const char *text)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *text; text++) {
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	}
	return hash;
}

int names_init(struct names *names, unsigned known_max)
{
	*names = (struct names){.known_max = known_max};
	list_init(&names->queued);
	list_init(&names->known);
	names->buckets = calloc(BUCKETS, sizeof(struct name *));
	return names->buckets ? 0 : PM_ENOMEM;
}

void names_fini(struct names *names)
{
	for (unsigned i = 0; names->buckets && i < BUCKETS; i++) {
		while (names->buckets[i]) {
			names_drop(names, names->buckets[i]);
		}
	}
	free(names->buckets);
	names->buckets = NULL;
}

struct name *names_find(const struct names *names, const char *text)
{
	uint32_t hash = hash_of(text);
	struct name *n = names->buckets[hash % BUCKETS];
	while (n && (n->hash != hash || strcmp(n->text, text) != 0)) {
		n = n->next;
	}
	return n;
}

struct name *names_add(struct names *names, const char *text)
{
	size_t len = strlen(text); /* of a host name: hundreds at most */
	struct name *n = calloc(1, sizeof(*n) + len + 1);
	if (!n) {
		return NULL;
	}
	memcpy(n->text, text, len + 1);
	n->hash = hash_of(text);
	list_init(&n->waits);
	n->next = names->buckets[n->hash % BUCKETS];
	names->buckets[n->hash % BUCKETS] = n;
	names->ct++;
	return n;
}

static struct list *list_of(struct names *names, enum name_state state)
{
	return state == NAME_QUEUED  ? &names->queued
	       : state == NAME_KNOWN ? &names->known
				     : NULL;
}

static void leave_list(struct names *names, struct name *name)
{
	struct list *l = list_of(names, name->state);
	if (l) {
		list_remove(l, &name->link);
	}
}

/* Those that waited are not told. */
void names_drop(struct names *names, struct name *name)
{
	struct name **at = &names->buckets[name->hash % BUCKETS];
	struct list_node *n;
	while ((n = list_pop_front(&name->waits))) {
		struct resolver_wait *w = list_entry(n, struct resolver_wait, link);
		w->name = NULL;
		w->in = NULL;
	}
	while (*at != name) {
		at = &(*at)->next;
	}
	*at = name->next;
	leave_list(names, name);
	names->ct--;
	free(name);
}

void names_move(struct names *names, struct name *name, enum name_state state)
{
	leave_list(names, name);
	name->state = state;
	struct list *l = list_of(names, state);
	if (l) {
		list_push_back(l, &name->link);
	}
	if (state == NAME_KNOWN && names->known.ct > names->known_max) {
		names_drop(names,
			list_entry(list_first(&names->known), struct name, link));
	}
}

void names_touch(struct names *names, struct name *name)
{
	if (name->state == NAME_KNOWN) {
		list_remove(&names->known, &name->link);
		list_push_back(&names->known, &name->link);
	}
}
