/* SPDX-License-Identifier: MIT
 *
 * scan_row - the rows of a results file in CSV, for scan; see scan.h.
 *
 * A row may be gigabytes, so it is read byte by byte as it passes through the
 * block, and only the cells that tell the job are kept.  A row ends at a line
 * feed outside of quotes.
 */
#include <string.h>

#include "common/cli/outcome.h"
#include "master/cli/message.h"
#include "master/cli/scan.h"

/* The longest cell that is kept: a URL as long as its job line. */
enum { CELL_MAX = JOB_LINE_MAX + 4096 };

static int no_memory(const struct scan *s)
{
	message_print(s->file.name, "out of memory");
	return EXIT_WORKERS;
}

static void begin_row(struct scan_row *r)
{
	for (int key = 0; key < CSV_KEY_CT; key++) {
		buf_clear(&r->cells[key]);
	}
	buf_clear(&r->key);
	r->column = 0;
	r->quoted = r->after_quote = r->begun = r->nul = false;
}

/* Keep a byte of a cell that tells the job. */
static int keep(struct scan *s, char c)
{
	for (int key = 0; key < CSV_KEY_CT; key++) {
		struct buf *cell = &s->row.cells[key];
		if (csv_column(s->file.csv, key) != (int)s->row.column) {
			continue;
		}
		if (cell->len >= CELL_MAX) {
			return scan_damaged(s, "a cell is longer than any job");
		}
		return buf_put(cell, &c, 1) ? no_memory(s) : 0;
	}
	return 0;
}

/* Take a byte; *ended: the row is complete with it. */
static int take_byte(struct scan *s, char c, bool *ended)
{
	struct scan_row *r = &s->row;
	bool was_quote = r->after_quote;
	r->begun = true;
	r->after_quote = false;
	r->nul = r->nul || !c;
	if (r->quoted && c == '"') {
		r->quoted = false;
		r->after_quote = true;
		return 0;
	}
	if (r->quoted) {
		return keep(s, c);
	}
	switch (c) {
	case '"':
		r->quoted = true;
		return was_quote ? keep(s, c) : 0; /* doubled: one, and go on */
	case ',':
		r->column++;
		return 0;
	case '\n':
		*ended = true;
		return 0;
	case '\r':
		return 0;
	default:
		return keep(s, c);
	}
}

/* Read to the end of a row, or of the file. */
static int read_row(struct scan *s, bool *ended)
{
	int code = 0;
	begin_row(&s->row);
	while (!code && !*ended) {
		if (s->pos == s->end) {
			s->scan = s->pos;
			code = scan_fill(s);
			if (s->eof) {
				break;
			}
			continue;
		}
		code = take_byte(s, s->data[s->pos++], ended);
	}
	if (*ended) {
		s->good_end = s->offset - (s->end - s->pos);
	}
	return code;
}

/* Nothing but zeros from here to the end: what a power cut has left unwritten. */
static int only_zeros(struct scan *s, bool *zeros)
{
	for (;;) {
		for (; s->pos < s->end; s->pos++) {
			if (s->data[s->pos]) {
				*zeros = false;
				return 0;
			}
		}
		*zeros = s->eof;
		s->scan = s->pos;
		int code = s->eof ? 0 : scan_fill(s);
		if (code || *zeros) {
			return code;
		}
	}
}

static size_t same_bytes(const char *a, const char *b, size_t len)
{
	size_t same = 0;
	while (same < len && a[same] == b[same]) {
		same++;
	}
	return same;
}

/* The first bytes of the file must be the names of these fields.  *torn: not
 * even those are complete. */
static int check_header(struct scan *s, const struct buf *header, bool *torn)
{
	int code = 0;
	while (!code && !s->eof && s->end < header->len) {
		code = scan_fill(s);
	}
	if (code) {
		return code;
	}
	size_t have = s->end < header->len ? s->end : header->len;
	s->pos = same_bytes(s->data, header->data, have);
	*torn = s->pos < header->len;
	if (!*torn) {
		s->good_end = header->len;
		return 0;
	}
	if (scan_is_json(s->data, s->end)) {
		return scan_other_format(s, "jsonl");
	}
	bool zeros = s->pos == s->end;
	code = zeros || s->file.packed ? 0 : only_zeros(s, &zeros);
	return code || zeros ? code
			     : scan_damaged(s, "the first row does not have these "
					       "--fields");
}

static int skip_header(struct scan *s, bool *torn)
{
	struct buf header = {0};
	int code = csv_header(s->file.csv, &header) ? no_memory(s)
						    : check_header(s, &header, torn);
	buf_fini(&header);
	s->line++;
	return code;
}

static int ok_of(const struct scan *s, int *ok)
{
	const struct buf *cell = &s->row.cells[CSV_OK];
	if (csv_column(s->file.csv, CSV_OK) < 0) {
		*ok = -1;
	} else if (cell->len == 4 && memcmp(cell->data, "true", 4) == 0) {
		*ok = 1;
	} else if (cell->len == 5 && memcmp(cell->data, "false", 5) == 0) {
		*ok = 0;
	} else {
		return scan_damaged(s, "\"ok\" is neither true nor false");
	}
	return 0;
}

/* As csv_key_of_line(). */
static int make_key(struct scan *s)
{
	int err = 0;
	for (int key = CSV_INDEX; key <= CSV_URL && !err; key++) {
		const struct buf *cell = &s->row.cells[key];
		if (csv_column(s->file.csv, key) >= 0) {
			err = cell->len ? buf_put(&s->row.key, cell->data, cell->len)
					: 0;
			err = err ? err : buf_put(&s->row.key, &(char){CSV_KEY_END}, 1);
		}
	}
	return err ? no_memory(s) : 0;
}

static int take_row(struct scan *s, struct scan_entry *e)
{
	const struct buf *index = &s->row.cells[CSV_INDEX];
	if (s->row.nul) {
		return scan_damaged(s, "NUL bytes in the row");
	}
	if (s->row.column + 1 != csv_column_ct(s->file.csv)) {
		return scan_damaged(s, "the row has another number of cells");
	}
	e->index = s->line - 2; /* rows without an index are in order */
	if (csv_column(s->file.csv, CSV_INDEX) >= 0 &&
		(!index->len ||
			scan_index(index->data, index->len, &e->index) != index->len)) {
		return scan_damaged(s, "the index is no number in range");
	}
	int code = ok_of(s, &e->ok);
	code = code ? code : make_key(s);
	if (!code) {
		e->prefix = s->row.key.data ? s->row.key.data : "";
		e->prefix_len = s->row.key.len;
	}
	return code;
}

int scan_row_next(struct scan *s, struct scan_entry *e)
{
	bool torn = false, ended = false;
	int code = s->line == 1 ? skip_header(s, &torn) : 0;
	if (code || torn) {
		return code;
	}
	code = read_row(s, &ended);
	if (code) {
		return code;
	}
	if (ended) {
		return take_row(s, e);
	}
	return s->file.packed && s->row.begun
		       ? scan_damaged(s, "a packed part does not end with a row")
		       : 0;
}
