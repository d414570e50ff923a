/* SPDX-License-Identifier: MIT
 *
 * resolver_names - the names that the resolver knows or asks for.  Private to it.
 *
 * Runs in: the worker.  Plain data: no clock, no loop, no network.
 */
#ifndef WORKER_RESOLVER_NAMES_H
#define WORKER_RESOLVER_NAMES_H

#include <stdint.h>

#include "worker/resolver.h"

enum name_state {
	NAME_NEW,    /* just made */
	NAME_QUEUED, /* to be asked for */
	NAME_ASKED,
	NAME_KNOWN,
};

struct name {
	struct name *next;     /* in its bucket */
	struct list_node link; /* QUEUED: in line.  KNOWN: by age, the oldest first */
	struct list waits;     /* of struct resolver_wait */
	enum name_state state;
	uint32_t hash;
	uint64_t expires_ms; /* of a KNOWN one */
	struct resolver_answer answer;
	char text[]; /* lower case, without a dot at its end */
};

struct names {
	struct name **buckets;
	struct list queued, known;
	unsigned ct;
	unsigned known_max;
};

int names_init(struct names *names, unsigned known_max);
void names_fini(struct names *names);

struct name *names_find(const struct names *names, const char *text);

/* NULL: no memory. */
struct name *names_add(struct names *names, const char *text);
void names_drop(struct names *names, struct name *name);

/* To another state, and into the list that goes with it.  A name that becomes known
 * may push out the one that nobody has used for longest. */
void names_move(struct names *names, struct name *name, enum name_state state);

/* It was used. */
void names_touch(struct names *names, struct name *name);

#endif
