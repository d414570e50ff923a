/* SPDX-License-Identifier: MIT
 *
 * report_lines - the lines of a results file one after the other, each as the texts of
 * the fields that a report needs.
 *
 * JSON Lines or CSV is told by the first byte.  A torn end is left out: a line
 * without its LF, the torn member of a packed file, zeros that a power cut left.
 * Everything else that is no result is damage.  A line of any length is read; what
 * stands behind its first REPORT_LINE_MAX bytes is a body, and passes by.
 *
 * Runs in: the master of the command; called by report.  Errors are printed here, with
 * the number of the line.
 */
#ifndef MASTER_CLI_REPORT_LINES_H
#define MASTER_CLI_REPORT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cli/outcome.h"
#include "master/cli/report_source.h"
#include "master/cli/row.h"

/* The fields that count. */
enum report_field {
	REPORT_INDEX,
	REPORT_URL,
	REPORT_OK,
	REPORT_ERROR,
	REPORT_ERRORMSG,
	REPORT_HTTP_CODE,
	REPORT_SIZE,
	REPORT_TIME,
	REPORT_ATTEMPTS,
	REPORT_FIELD_CT
};

enum {
	REPORT_LINE_MAX = 16 << 20, /* id, url and url_effective are before a body */
	REPORT_CELL_MAX = JOB_LINE_MAX + 4096, /* of a row; more is cut off */
	REPORT_COLUMNS_MAX = 1000,
};

/* One line.  Texts live until the next one. */
struct report_cells {
	bool there;                        /* false: there are no more lines */
	const char *text[REPORT_FIELD_CT]; /* NULL: null, or not there */
	size_t len[REPORT_FIELD_CT];
};

/* Where a row of CSV stands. */
struct report_row_state {
	enum row_state state;
	size_t column;
	bool nul; /* there was a NUL byte in it */
};

struct report_lines {
	struct report_source source;
	struct buf data;
	size_t pos;  /* of the first byte that is not given out yet */
	size_t seen; /* bytes behind it that hold no LF */
	bool eof;
	uint64_t line;  /* of the line given last: 1, 2 ... */
	uint64_t lf_ct; /* CSV: line ends that were read, those in cells too */
	bool torn;      /* known at the end: something was left out */
	struct buf texts[REPORT_FIELD_CT];

	/* CSV */
	bool csv;
	signed char field_of[REPORT_COLUMNS_MAX]; /* enum report_field, -1: none */
	size_t column_ct;
	unsigned fields; /* which there are, bits of 1 << enum report_field */
	struct report_row_state row;
};

/* Open, and find out what it is.  Returns 0, EXIT_INPUT, EXIT_MISMATCH or
 * EXIT_WORKERS; report_lines_close() in any case. */
int report_lines_open(struct report_lines *l, const char *path);
void report_lines_close(struct report_lines *l);

/* The next line.  Returns the same. */
int report_lines_next(struct report_lines *l, struct report_cells *cells);

/* The place of a name among the fields, -1: it is none of them. */
int report_field_named(const char *name, size_t len);

/* For the reader of rows: more bytes behind data[pos..), or eof; damage of the line
 * that is being read, returns EXIT_MISMATCH. */
int report_lines_fill(struct report_lines *l);
int report_lines_damaged(const struct report_lines *l, const char *why);
int report_lines_no_memory(const struct report_lines *l);

/* The first row, and each other one, in report_rows.c. */
int report_rows_names(struct report_lines *l);
int report_rows_next(struct report_lines *l, struct report_cells *cells);

#endif
