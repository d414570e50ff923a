/* SPDX-License-Identifier: MIT
 *
 * resolver - the addresses of host names, for the fetches of one worker.
 *
 * Runs in: the worker, on its event base.  Called by the engine.  Asks for one name
 * once, however many wait for it, and remembers the answer for as long as its record
 * lives; few questions are on their way at once, the others wait in line.  Never
 * blocks, and never calls back from inside resolver_find().
 *
 *	resolver.c        who waits, what is asked when
 *	resolver_names.c  the table of names: what is known, and what is forgotten first
 *	resolver_ares.c   how it is asked: the only file that knows c-ares
 */
#ifndef WORKER_RESOLVER_H
#define WORKER_RESOLVER_H

#include "common/list.h"
#include "worker/address.h"

struct event_base;
struct resolver;
struct name;

enum {
	RESOLVER_ADDRESSES_MAX = 8, /* of one name; more are not looked at */
	RESOLVER_NAMES_MAX = 10000, /* remembered */
	RESOLVER_ASKING_MAX = 64,   /* questions that somebody waits for */
	RESOLVER_OUT_MAX = 256,     /* with those that nobody waits for any more */
	RESOLVER_TTL_MIN_S = 1,     /* an answer is believed for */
	RESOLVER_TTL_MAX_S = 300,
	RESOLVER_NOT_FOUND_S = 5, /* that there is no such name */
	RESOLVER_TEMPORARY_S = 1, /* that nobody knows */
};

enum resolver_verdict {
	RESOLVER_FOUND,
	RESOLVER_NOT_FOUND, /* asking again is of no use */
	RESOLVER_TEMPORARY, /* it may be */
};

struct resolver_answer {
	enum resolver_verdict verdict;
	const char *reason; /* static; why nothing was found */
	unsigned ct;
	struct address addresses[RESOLVER_ADDRESSES_MAX]; /* the best first */
};

/* Somebody who waits, in the caller's memory. */
struct resolver_wait {
	void (*done)(struct resolver_wait *wait, const struct resolver_answer *answer);
	struct name *name;
	struct list *in; /* NULL: does not wait */
	struct list_node link;
};

/* 0 or PM_ENOMEM. */
int resolver_open(struct resolver **out, struct event_base *base);

/* Those that wait are forgotten.  NULL is fine. */
void resolver_close(struct resolver *r);

/* What needs no asking: "localhost" and names that end in it, addresses, and what is no
 * name.  False: anything else. */
bool resolver_knows(const char *host, struct resolver_answer *answer);

/* Returns 1: *answer is there.  0: wait->done() will be called, once, from the loop.
 * PM_ENOMEM. */
int resolver_find(struct resolver *r, const char *host, struct resolver_answer *answer,
	struct resolver_wait *wait);

/* Wait no longer. */
void resolver_leave(struct resolver *r, struct resolver_wait *wait);

/* Nobody could connect to this address of the host: try the others before it. */
void resolver_blame(
	struct resolver *r, const char *host, const struct address *address);

/* The servers to ask, "ADDRESS[:PORT],...", from the next resolver_open() on; NULL:
 * those of the system.  PM_EINVAL: it is no such list.  PM_ENOMEM. */
int resolver_use_servers(const char *servers);

#endif
