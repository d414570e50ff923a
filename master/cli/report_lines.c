/* SPDX-License-Identifier: MIT
 *
 * report_lines - the lines of a results file, see report_lines.h.
 */
#include "master/cli/report_lines.h"

#include <string.h>

#include "master/cli/members.h"
#include "master/cli/message.h"
#include "master/cli/scan.h"

static const char *const names[REPORT_FIELD_CT] = {
	[REPORT_INDEX] = "index",
	[REPORT_URL] = "url",
	[REPORT_OK] = "ok",
	[REPORT_ERROR] = "error",
	[REPORT_ERRORMSG] = "errormsg",
	[REPORT_HTTP_CODE] = "http_code",
	[REPORT_SIZE] = "size_download",
	[REPORT_TIME] = "time_total",
	[REPORT_ATTEMPTS] = "attempts",
};

int report_field_named(const char *name, size_t len)
{
	for (int i = 0; i < REPORT_FIELD_CT; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
			return i;
		}
	}
	return -1;
}

int report_lines_damaged(const struct report_lines *l, const char *why)
{
	message_at(l->source.name, l->line,
		"not a results file of poolmap, or damaged: %s", why);
	return EXIT_MISMATCH;
}

int report_lines_no_memory(const struct report_lines *l)
{
	message_print(l->source.name, "out of memory");
	return EXIT_WORKERS;
}

/* -------------------------------------------------------------------- reading */

int report_lines_fill(struct report_lines *l)
{
	size_t len = 0;
	buf_consume(&l->data, l->pos);
	l->pos = 0;
	if (buf_reserve(&l->data, REPORT_BLOCK)) {
		return report_lines_no_memory(l);
	}
	char *end = l->data.data + l->data.len;
	int code = report_source_read(&l->source, end, REPORT_BLOCK, &len);
	l->data.len += len;
	l->eof = !code && !len;
	return code;
}

static bool all_zero(const char *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* What has no LF: a line that was not finished, with or without space that was never
 * written behind it; or somebody's text. */
static int check_tail(struct report_lines *l)
{
	static const char start[] = "{\"index\":";
	const char *tail = l->data.data + l->pos;
	size_t len = l->data.len - l->pos;
	l->torn = l->torn || len || l->source.torn;
	while (len && tail[len - 1] == '\0') {
		len--;
	}
	size_t most = len < sizeof start - 1 ? len : sizeof start - 1;
	return most && memcmp(tail, start, most) != 0
		       ? report_lines_damaged(l, "the last line is none of poolmap")
		       : 0;
}

/* ---------------------------------------------------------------------- lines */

/* Take the text of a string, or the digits of a number as they stand. */
static int take_value(struct report_lines *l, struct report_cells *cells, int field,
	const struct member *m)
{
	struct buf *text = &l->texts[field];
	bool is_text = m->value_len > 1 && m->value[0] == '"';
	if (m->value_len == 4 && memcmp(m->value, "null", 4) == 0) {
		return 0;
	}
	buf_clear(text);
	if (is_text && member_text(text, m->value, m->value_len)) {
		return report_lines_no_memory(l);
	}
	cells->text[field] = !is_text ? m->value : text->data ? text->data : "";
	cells->len[field] = is_text ? text->len : m->value_len;
	return 0;
}

/* `cut`: the end of the line is not there; what is there ends in a body. */
static int take_members(struct report_lines *l, struct report_cells *cells,
	const char *line, size_t len, bool cut)
{
	struct member m;
	size_t at = 0;
	int code = 0;
	while (!code && member_next(line, len, &at, &m)) {
		int field = report_field_named(m.key, m.key_len);
		code = field < 0 ? 0 : take_value(l, cells, field, &m);
	}
	if (!code && !cut && (at + 1 != len || line[at] != '}')) {
		return report_lines_damaged(l, "the line is no JSON object as "
					       "poolmap writes it");
	}
	return code;
}

/* Only its first bytes may be there. */
static int take_line(struct report_lines *l, struct report_cells *cells,
	const char *line, size_t len, bool cut)
{
	struct scan_entry entry;
	const char *wrong = scan_line(line, len, &entry);
	if (wrong) {
		return report_lines_damaged(l, wrong);
	}
	if (memchr(line, '\0', len)) {
		return report_lines_damaged(l, "NUL bytes in the line");
	}
	cells->there = true;
	int code = take_members(l, cells, line, len, cut);
	return code || cells->text[REPORT_OK]
		       ? code
		       : report_lines_damaged(l, "the line has no \"ok\"");
}

/* Pass what stands behind the first bytes of the line at data[0], which are kept.  *lf
 * is where its LF is; 0: it has none. */
static int pass_rest(struct report_lines *l, size_t *lf)
{
	char last = l->data.data[l->data.len - 1];
	bool zeros = false;
	for (*lf = 0; !*lf && !l->eof;) {
		l->data.len = REPORT_LINE_MAX;
		int code = report_lines_fill(l);
		if (code) {
			return code;
		}
		const char *block = l->data.data + REPORT_LINE_MAX;
		size_t len = l->data.len - REPORT_LINE_MAX;
		const char *end = memchr(block, '\n', len);
		size_t to = end ? (size_t)(end - block) : len;
		zeros = zeros || memchr(block, '\0', to);
		if (to) {
			last = block[to - 1];
		}
		*lf = end ? REPORT_LINE_MAX + to : 0;
	}
	return !*lf          ? 0
	       : zeros       ? report_lines_damaged(l, "NUL bytes in the line")
	       : last != '}' ? report_lines_damaged(l, "the line does not end in }")
			     : 0;
}

static int take_long_line(struct report_lines *l, struct report_cells *cells)
{
	size_t lf;
	int code = pass_rest(l, &lf);
	if (code || !lf) {
		return code ? code : check_tail(l);
	}
	l->pos = lf + 1;
	l->seen = 0;
	return take_line(l, cells, l->data.data, REPORT_LINE_MAX, true);
}

/* More zeros than a line is long: nothing but zeros may follow. */
static int pass_zeros(struct report_lines *l)
{
	int code = 0;
	while (!code && !l->eof && all_zero(l->data.data, l->data.len)) {
		l->data.len = 0;
		code = report_lines_fill(l);
	}
	l->torn = true;
	return code || l->eof ? code : report_lines_damaged(l, "NUL bytes in the line");
}

static bool is_long(const struct report_lines *l)
{
	return l->pos == 0 && l->data.len >= REPORT_LINE_MAX + REPORT_BLOCK;
}

static int next_line(struct report_lines *l, struct report_cells *cells)
{
	l->line++;
	for (;;) {
		const char *line = l->data.data + l->pos;
		size_t len = l->data.len - l->pos;
		const char *lf = len > l->seen
					 ? memchr(line + l->seen, '\n', len - l->seen)
					 : NULL;
		if (lf) {
			size_t line_len = (size_t)(lf - line);
			l->pos += line_len + 1;
			l->seen = 0;
			return take_line(l, cells, line, line_len, false);
		}
		l->seen = len;
		if (l->eof) {
			return check_tail(l);
		}
		if (is_long(l)) {
			return all_zero(line, len) ? pass_zeros(l)
						   : take_long_line(l, cells);
		}
		int code = report_lines_fill(l);
		if (code) {
			return code;
		}
	}
}

int report_lines_next(struct report_lines *l, struct report_cells *cells)
{
	*cells = (struct report_cells){0};
	return l->csv ? report_rows_next(l, cells) : next_line(l, cells);
}

/* -------------------------------------------------------------------- opening */

/* The first byte says what it is; zeros are a file that a power cut left empty. */
static int find_format(struct report_lines *l)
{
	int code = report_lines_fill(l);
	if (code || !l->data.len || l->data.data[0] == '{' || !l->data.data[0]) {
		l->fields = (1U << REPORT_FIELD_CT) - 1;
		return code;
	}
	l->csv = true;
	return report_rows_names(l);
}

int report_lines_open(struct report_lines *l, const char *path)
{
	*l = (struct report_lines){0};
	int code = report_source_open(&l->source, path);
	return code ? code : find_format(l);
}

void report_lines_close(struct report_lines *l)
{
	report_source_close(&l->source);
	buf_fini(&l->data);
	for (int i = 0; i < REPORT_FIELD_CT; i++) {
		buf_fini(&l->texts[i]);
	}
}
