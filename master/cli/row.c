/* SPDX-License-Identifier: MIT
 *
 * row - where rows of a table end, and what their fields say, see row.h.
 */
#include "master/cli/row.h"

#include <string.h>

/* ---------------------------------------------------------------- row ends */

static enum row_state step(
	const struct row_format *format, enum row_state state, char c)
{
	switch (state) {
	case ROW_QUOTED:
		return c == '"' ? ROW_CLOSING : ROW_QUOTED;
	case ROW_CLOSING: /* another one, and it was one of a pair */
	case ROW_START:
		if (c == '"') {
			return ROW_QUOTED;
		}
		break;
	case ROW_PLAIN:
		break;
	}
	return c == format->delimiter ? ROW_START : ROW_PLAIN;
}

size_t row_end(const struct row_format *format, enum row_state *state,
	const char *bytes, size_t len)
{
	if (!format->quotes) {
		const char *lf = len ? memchr(bytes, '\n', len) : NULL;
		return lf ? (size_t)(lf - bytes) : len;
	}
	enum row_state now = *state;
	size_t i = 0;
	for (; i < len && (bytes[i] != '\n' || now == ROW_QUOTED); i++) {
		now = step(format, now, bytes[i]);
	}
	*state = i < len ? ROW_START : now;
	return i;
}

/* ------------------------------------------------------------------ fields */

/* NOLINTNEXTLINE(readability-non-const-parameter): take_quoted() writes to it */
void row_init(struct row *row, const struct row_format *format, char *text, size_t len)
{
	*row = (struct row){format, text, text + len, true};
}

static enum row_step take_plain(struct row *row, struct row_field *field)
{
	char *from = row->at;
	size_t left = (size_t)(row->end - from);
	char *to = left ? memchr(from, row->format->delimiter, left) : NULL;
	row->more = to != NULL;
	to = to ? to : row->end;
	row->at = to + row->more;
	*field = (struct row_field){from, (size_t)(to - from)};
	return ROW_FIELD;
}

/* Moves the text together, so that each pair of quotes becomes one. */
static enum row_step take_quoted(struct row *row, struct row_field *field)
{
	char *from = row->at + 1, *to = from;
	for (char *at = from;;) {
		size_t left = (size_t)(row->end - at);
		char *quote = left ? memchr(at, '"', left) : NULL;
		if (!quote) {
			return ROW_NO_QUOTE;
		}
		size_t len = (size_t)(quote - at);
		memmove(to, at, len);
		to += len;
		at = quote + 1;
		if (at < row->end && *at == '"') {
			*to++ = *at++;
			continue;
		}
		row->more = at < row->end;
		if (row->more && *at != row->format->delimiter) {
			return ROW_BEHIND_QUOTE;
		}
		row->at = at + row->more;
		*field = (struct row_field){from, (size_t)(to - from)};
		return ROW_FIELD;
	}
}

enum row_step row_next(struct row *row, struct row_field *field)
{
	if (!row->more) {
		return ROW_END;
	}
	bool is_quoted = row->format->quotes && row->at < row->end && *row->at == '"';
	return is_quoted ? take_quoted(row, field) : take_plain(row, field);
}
