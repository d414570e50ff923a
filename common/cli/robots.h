/* SPDX-License-Identifier: MIT
 *
 * robots - the rules of a robots.txt that are meant for us (RFC 9309).
 *
 * Runs in: the master of the command, for --polite; called by polite.c.  Pure: bytes
 * in, verdicts out.  The bytes come from strangers: whatever is in them, a set of
 * rules is bounded, and so is the time that a verdict takes.
 *
 * The groups for ROBOTS_PRODUCT count, or, if there are none, those for "*".  Of the
 * rules that match, the longest decides, and of two such Allow; none: allowed.  "*" in
 * a rule stands for any bytes, "$" at its end for the end.  Paths are compared with
 * the same things percent-encoded in both; dot segments of the target are resolved, as
 * libcurl does.  Crawl-delay is not in the RFC, but sites have it and mean it.
 */
#ifndef COMMON_CLI_ROBOTS_H
#define COMMON_CLI_ROBOTS_H

#include <stdbool.h>
#include <stddef.h>

#define ROBOTS_PRODUCT "poolmap"

enum {
	ROBOTS_TEXT_MAX = 500 * 1024,  /* what follows is not read */
	ROBOTS_RULES_MAX = 5000,       /* that are kept, in the order of the text */
	ROBOTS_BYTES_MAX = 128 * 1024, /* of all their paths */
	ROBOTS_PATH_MAX = 16 * 1024,   /* of a rule: longer ones are dropped; of a
					  target: the rest is not looked at */
	ROBOTS_DELAY_MAX_MS = 60000,   /* longer Crawl-delays mean this */
};

struct robots;

/* Read a robots.txt.  Anything is one: what makes no sense is skipped.  Returns 0 or
 * PM_ENOMEM. */
int robots_parse(struct robots **robots, const char *text, size_t len);
void robots_free(struct robots *robots); /* NULL is fine */

/* May this path and query be fetched?  /robots.txt always may. */
bool robots_allows(const struct robots *robots, const char *target, size_t len);

/* Crawl-delay; 0: there is none. */
unsigned robots_delay_ms(const struct robots *robots);

/* Memory that it takes. */
size_t robots_bytes(const struct robots *robots);

/* What the answer to the request for a robots.txt means, by its status; 0: none came,
 * whatever the reason. */
enum robots_answer {
	ROBOTS_RULES,       /* its body has the rules */
	ROBOTS_NO_RULES,    /* the site has none: everything is allowed */
	ROBOTS_UNREACHABLE, /* nobody knows: nothing is allowed */
};

/* 429 is unreachable, although the RFC counts all 4xx as "no rules": a site that asks
 * us to slow down has not said that we may do anything. */
enum robots_answer robots_answer_of(unsigned http_code);

#endif
