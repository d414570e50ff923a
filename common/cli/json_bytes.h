/* SPDX-License-Identifier: MIT
 *
 * json_bytes - the bytes that a string of JSON stands for, one after the other: its
 * escapes are decoded on the way.
 *
 * Runs in: the master of the command; called by host for each line of the job files, so
 * what has no escapes is read inline.  Pure, and without memory.  It does not check:
 * what is JSON and what is not, jansson says.
 */
#ifndef COMMON_CLI_JSON_BYTES_H
#define COMMON_CLI_JSON_BYTES_H

#include <stdbool.h>

struct json_bytes {
	const char *at, *end;     /* between the quotes */
	bool escaped;             /* false: as it stands there, also what is no JSON */
	unsigned char pending[4]; /* of one \u escape, in UTF-8 */
	unsigned pending_at, pending_ct;
};

enum { JSON_BYTES_END = -1 };

/* Behind a backslash; called by json_bytes_next(). */
int json_bytes_escaped(struct json_bytes *b);

/* The next byte.  JSON_BYTES_END: there is none, or no escape is written like that. */
static inline int json_bytes_next(struct json_bytes *b)
{
	if (b->pending_at < b->pending_ct) {
		return b->pending[b->pending_at++];
	}
	if (b->at == b->end) {
		return JSON_BYTES_END;
	}
	unsigned char c = (unsigned char)*b->at++;
	return b->escaped && c == '\\' ? json_bytes_escaped(b) : c;
}

#endif
