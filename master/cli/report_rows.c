/* SPDX-License-Identifier: MIT
 *
 * report_rows - the rows of a results file in CSV, for report_lines.
 *
 * The first row has the names of the columns, in any order.  A row may be gigabytes,
 * so it is read as it passes through a block, and only the cells that count are kept.
 */
#include <string.h>

#include "master/cli/csv.h"
#include "master/cli/report_lines.h"

enum { NAMES_MAX = 64 << 10 };

static const struct row_format format = {',', true};

/* ---------------------------------------------------------------------- names */

static int no_names(struct report_lines *l)
{
	return report_lines_damaged(
		l, "it does not begin with a result or with the names of columns");
}

static void take_name(struct report_lines *l, const struct row_field *name)
{
	int field = report_field_named(name->text, name->len);
	bool again = field >= 0 && (l->fields & 1U << field);
	l->field_of[l->column_ct++] = (signed char)(again ? -1 : field);
	l->fields |= field >= 0 ? 1U << field : 0;
}

static int take_names(struct report_lines *l, char *text, size_t len)
{
	struct row row;
	struct row_field name;
	enum row_step step;
	len -= len && text[len - 1] == '\r';
	row_init(&row, &format, text, len);
	while ((step = row_next(&row, &name)) == ROW_FIELD) {
		if (l->column_ct == REPORT_COLUMNS_MAX) {
			return report_lines_damaged(l, "too many columns");
		}
		take_name(l, &name);
	}
	if (step != ROW_END || !l->fields) {
		return no_names(l);
	}
	return l->fields & (1U << REPORT_OK | 1U << REPORT_ERROR)
		       ? 0
		       : report_lines_damaged(l, "it has neither a column ok nor a "
						 "column error (--fields)");
}

/* Not even the names are complete. */
static int check_torn_names(struct report_lines *l)
{
	size_t len = strnlen(l->data.data, l->data.len);
	bool ours = len < sizeof CSV_FIELDS_USUAL &&
		    memcmp(CSV_FIELDS_USUAL, l->data.data, len) == 0;
	l->torn = true;
	l->pos = l->data.len;
	return ours ? 0 : no_names(l);
}

int report_rows_names(struct report_lines *l)
{
	enum row_state state = ROW_START;
	size_t end = 0;
	l->line = l->lf_ct = 1;
	while ((end += row_end(&format, &state, l->data.data + end,
			l->data.len - end)) == l->data.len) {
		if (l->data.len > NAMES_MAX) {
			return no_names(l);
		}
		int code = report_lines_fill(l);
		if (code || l->eof) {
			return code ? code : check_torn_names(l);
		}
	}
	l->pos = end + 1;
	return take_names(l, l->data.data, end);
}

/* ----------------------------------------------------------------------- rows */

static void begin_row(struct report_lines *l)
{
	for (int i = 0; i < REPORT_FIELD_CT; i++) {
		buf_clear(&l->texts[i]);
	}
	l->row = (struct report_row_state){.state = ROW_START};
	l->line = l->lf_ct + 1;
}

/* Keep bytes of a cell that counts. */
static int keep(struct report_lines *l, const char *bytes, size_t len)
{
	size_t column = l->row.column;
	int field = column < l->column_ct ? l->field_of[column] : -1;
	l->row.nul = l->row.nul || (len && memchr(bytes, '\0', len));
	if (field < 0) {
		return 0;
	}
	struct buf *text = &l->texts[field];
	size_t room = REPORT_CELL_MAX - text->len;
	return buf_put(text, bytes, len < room ? len : room) ? report_lines_no_memory(l)
							     : 0;
}

/* Plain bytes up to what has a meaning outside of quotes. */
static size_t plain_len(const char *bytes, size_t len)
{
	size_t n = 0;
	while (n < len && bytes[n] != ',' && bytes[n] != '\n' && bytes[n] != '\r') {
		n++;
	}
	return n;
}

static size_t count_lf(const char *bytes, size_t len)
{
	size_t ct = 0;
	const char *end = bytes + len;
	while (len && (bytes = memchr(bytes, '\n', len))) {
		ct++;
		len = (size_t)(end - ++bytes);
	}
	return ct;
}

/* Inside of quotes, up to the one that may end them. */
static int take_quoted(struct report_lines *l)
{
	const char *bytes = l->data.data + l->pos;
	size_t len = l->data.len - l->pos;
	const char *quote = memchr(bytes, '"', len);
	size_t n = quote ? (size_t)(quote - bytes) : len;
	l->pos += n + (quote != NULL);
	l->row.state = quote ? ROW_CLOSING : ROW_QUOTED;
	l->lf_ct += count_lf(bytes, n);
	return keep(l, bytes, n);
}

/* Outside of quotes, and what ends the cell. */
static int take_plain(struct report_lines *l, bool *ended)
{
	const char *bytes = l->data.data + l->pos;
	size_t len = l->data.len - l->pos, n = plain_len(bytes, len);
	int code = keep(l, bytes, n);
	l->row.state = ROW_PLAIN;
	l->pos += n;
	if (n < len) {
		l->pos++;
		l->row.column += bytes[n] == ',';
		l->row.state = bytes[n] == ',' ? ROW_START : ROW_PLAIN;
		*ended = bytes[n] == '\n';
		l->lf_ct += *ended;
	}
	return code;
}

static int take_part(struct report_lines *l, bool *ended)
{
	bool quote = l->data.data[l->pos] == '"';
	switch (l->row.state) {
	case ROW_QUOTED:
		return take_quoted(l);
	case ROW_CLOSING: /* another one, and it was one of a pair */
		l->row.state = quote ? ROW_QUOTED : ROW_PLAIN;
		l->pos += quote;
		return quote ? keep(l, "\"", 1) : 0;
	case ROW_START:
		l->row.state = quote ? ROW_QUOTED : ROW_PLAIN;
		l->pos += quote;
		return 0;
	case ROW_PLAIN:
		break;
	}
	return take_plain(l, ended);
}

static int take_row(struct report_lines *l, struct report_cells *cells)
{
	if (l->row.nul) {
		return report_lines_damaged(l, "NUL bytes in the row");
	}
	if (l->row.column + 1 != l->column_ct) {
		return report_lines_damaged(l, "the row has another number of cells");
	}
	if ((l->fields & 1U << REPORT_OK) && !l->texts[REPORT_OK].len) {
		return report_lines_damaged(l, "the row has no \"ok\"");
	}
	cells->there = true;
	for (int i = 0; i < REPORT_FIELD_CT; i++) {
		if (l->texts[i].len) {
			cells->text[i] = l->texts[i].data;
			cells->len[i] = l->texts[i].len;
		}
	}
	return 0;
}

int report_rows_next(struct report_lines *l, struct report_cells *cells)
{
	bool ended = false, begun = false;
	int code = 0;
	begin_row(l);
	while (!code && !ended) {
		if (l->pos < l->data.len) {
			begun = true;
			code = take_part(l, &ended);
			continue;
		}
		code = report_lines_fill(l);
		if (l->eof) {
			l->torn = l->torn || begun || l->source.torn;
			return code;
		}
	}
	return code ? code : take_row(l, cells);
}
