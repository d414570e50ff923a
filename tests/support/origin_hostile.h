/* SPDX-License-Identifier: MIT
 *
 * origin_hostile - what a hostile server says: the table of it, and what plays it.
 *
 * Runs in: the origin.  The path /hostile/NAME plays the script of that name; so
 * does the plain port when a TLS client greets it as NAME.test.
 */
#ifndef TESTS_SUPPORT_ORIGIN_HOSTILE_H
#define TESTS_SUPPORT_ORIGIN_HOSTILE_H

#include "tests/support/origin.h"

enum script_end {
	THEN_KEEP,  /* the connection is ready for the next request */
	THEN_FIN,   /* or ends, */
	THEN_RESET, /* or ends badly, */
	THEN_HANG,  /* or nothing is heard of it any more */
};

#define FOR_EVER UINT64_MAX

/* `first` once, `again` so often, `last` once, all as it is. */
struct script {
	const char *name;
	struct slice first, again, last;
	uint64_t again_ct;
	unsigned every_ms; /* before each `again`; 0: as fast as the peer reads */
	enum script_end then;
};

extern const struct script scripts[]; /* the last one has no name */

/* Does a TLS client greet?  Then: the whole of its greeting is here; the script
 * it asks for, or NULL. */
bool hello_begins(struct evbuffer *in);
bool hello_is_whole(struct evbuffer *in);
const struct script *hello_script(struct evbuffer *in);

void script_play(struct conn *c, const struct script *script);

#endif
