/* SPDX-License-Identifier: MIT
 *
 * row - where rows of a table end, and what their fields say.
 *
 * CSV as in RFC 4180: fields may stand in double quotes, and then have
 * delimiters, line ends and doubled quotes in them; LF or CRLF ends a row.  A quote
 * inside of a field that does not start with one is a letter.  Without quotes,
 * as in TSV, a row is a line.
 *
 * Pure: no I/O, no memory.  Runs in the master of the command; called by input,
 * which finds rows, and by table, which reads them.
 */
#ifndef MASTER_CLI_ROW_H
#define MASTER_CLI_ROW_H

#include <stdbool.h>
#include <stddef.h>

struct row_format {
	char delimiter;
	bool quotes;
};

/* Where in a row the scan stands: at the start of a field (and so of a row), in a
 * plain one, in quotes, behind the quote that may close them. */
enum row_state {
	ROW_START,
	ROW_PLAIN,
	ROW_QUOTED,
	ROW_CLOSING,
};

/* Where the LF is that ends the row, from the start of `bytes`; `len`: it is not
 * there yet, and the next bytes go on from *state. */
size_t row_end(const struct row_format *format, enum row_state *state,
	const char *bytes, size_t len);

/* A row being read, without its line end. */
struct row {
	const struct row_format *format;
	char *at, *end;
	bool more; /* there is a field at `at` */
};

struct row_field {
	const char *text;
	size_t len;
};

enum row_step {
	ROW_FIELD,
	ROW_END,
	ROW_BEHIND_QUOTE, /* something stands behind a closing quote */
	ROW_NO_QUOTE,     /* a quote is not closed */
};

void row_init(struct row *row, const struct row_format *format, char *text, size_t len);

/* The next field, which points into the row; doubled quotes are made single
 * there, in place. */
enum row_step row_next(struct row *row, struct row_field *field);

#endif
