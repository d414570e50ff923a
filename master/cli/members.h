/* SPDX-License-Identifier: MIT
 *
 * members - the fields of a result line, without parsing all of it.
 *
 * Result lines are written by line (common/cli/line.c): one flat object, no
 * spaces between its parts.  This walks over the members of the outermost
 * object and says where each value stands; what is inside a value is the
 * caller's.  It never reads outside of the line, whatever the line holds.
 *
 * Runs in: the master of the command.  Pure.
 */
#ifndef MASTER_CLI_MEMBERS_H
#define MASTER_CLI_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

struct member {
	const char *key; /* without its quotes, not unescaped */
	size_t key_len;
	const char *value; /* JSON text: "a", 1.5, null, {...} */
	size_t value_len;
};

/* The member at *at, an offset into the line, which starts at 0.  False: there
 * is none, or the line is no such object. */
bool member_next(const char *line, size_t len, size_t *at, struct member *m);

/* Append the text of a JSON string, quotes and escapes taken off.  An escape
 * that is none stays as it is, half a surrogate pair becomes U+FFFD.  Returns 0
 * or PM_ENOMEM. */
int member_text(struct buf *out, const char *value, size_t len);

#endif
