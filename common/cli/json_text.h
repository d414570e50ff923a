/* SPDX-License-Identifier: MIT
 *
 * json_text - questions about JSON that are answered on its text: how deep it
 * nests, before a recursive parser sees it; and which bytes a member's value
 * is made of, so that it can be echoed digit for digit.
 *
 * Runs in: the workers and the master of the command; called by job.c and host.c.
 * Pure, allocates nothing, never reads past the end whatever the text is.  It
 * does not check: what is JSON and what is not, jansson says.
 */
#ifndef COMMON_CLI_JSON_TEXT_H
#define COMMON_CLI_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct json_span {
	const char *text;
	size_t len;
};

/* Do arrays and objects nest deeper than `max` levels, up to where a parser
 * would give up? */
bool json_text_deeper_than(const char *text, size_t len, unsigned max);

/* Walks the members of an object in the order of the text. */
struct json_walk {
	const char *at, *end;
};

/* Start on an object, its `{` first. */
void json_walk_init(struct json_walk *walk, const char *text, size_t len);

/* The next member's value; false: there are no more. */
bool json_walk_next(struct json_walk *walk, struct json_span *value);

/* The same with its key, which begins with its quote. */
bool json_walk_member(
	struct json_walk *walk, struct json_span *key, struct json_span *value);

/* Copy without the blanks between tokens; `out` has room for span->len bytes.
 * Returns how many were written. */
size_t json_text_compact(char *out, const struct json_span *span);

#endif
