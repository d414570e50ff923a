/* SPDX-License-Identifier: MIT
 *
 * csv - results as comma-separated values, see csv.h.
 */
#include "master/cli/csv.h"

#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"
#include "master/cli/members.h"
#include "master/cli/message.h"

/* As in a result line. */
static const char *const known[] = {"index", "id", "url", "ok", "error", "errormsg",
	"exitcode", "method", "http_code", "http_version", "content_type",
	"url_effective", "num_redirects", "remote_ip", "size_download", "size_upload",
	"time_queue", "time_namelookup", "time_connect", "time_appconnect",
	"time_starttransfer", "time_total", "attempts", "worker", "meta", "headers",
	"body", "body_base64", "body_file", "body_sha256", "body_offset",
	"body_length"};
enum { KNOWN_CT = sizeof known / sizeof known[0] };

static const char *const keys[CSV_KEY_CT] = {
	[CSV_INDEX] = "index", [CSV_ID] = "id", [CSV_URL] = "url", [CSV_OK] = "ok"};

struct field {
	const char *name;  /* as given */
	size_t outer_len;  /* of the member of the line: before the dot */
	const char *inner; /* behind it; NULL: there is none */
	size_t inner_len;
};

struct csv {
	char *text;
	struct field fields[CSV_FIELDS_MAX];
	size_t ct;
	int columns[CSV_KEY_CT];
};

/* -------------------------------------------------------------------- fields */

static bool is_known(const char *name, size_t len)
{
	for (size_t i = 0; i < KNOWN_CT; i++) {
		if (strlen(known[i]) == len && memcmp(known[i], name, len) == 0) {
			return true;
		}
	}
	return false;
}

static bool has_members(const char *name, size_t len)
{
	return (len == 4 && memcmp(name, "meta", 4) == 0) ||
	       (len == 7 && memcmp(name, "headers", 7) == 0);
}

static int add_field(struct csv *c, const char *name)
{
	const char *dot = strchr(name, '.');
	size_t len = dot ? (size_t)(dot - name) : strlen(name);
	if (c->ct == CSV_FIELDS_MAX) {
		message_print("--fields", "more than %d names", CSV_FIELDS_MAX);
		return EXIT_USAGE;
	}
	if (!is_known(name, len) || (dot && (!has_members(name, len) || !dot[1]))) {
		message_print("--fields", "no result has \"%s\"", name);
		return EXIT_USAGE;
	}
	c->fields[c->ct++] = (struct field){.name = name,
		.outer_len = len,
		.inner = dot ? dot + 1 : NULL,
		.inner_len = dot ? strlen(dot + 1) : 0};
	return 0;
}

static int add_fields(struct csv *c)
{
	char *rest = c->text, *name;
	int code = 0;
	while (!code && (name = strsep(&rest, ","))) {
		name += strspn(name, " ");
		name[strcspn(name, " ")] = '\0';
		code = add_field(c, name);
	}
	return code;
}

static void find_columns(struct csv *c)
{
	for (int key = 0; key < CSV_KEY_CT; key++) {
		c->columns[key] = -1;
		for (size_t i = c->ct; i-- > 0;) {
			if (strcmp(c->fields[i].name, keys[key]) == 0) {
				c->columns[key] = (int)i;
			}
		}
	}
}

int csv_open(struct csv **out, const char *fields)
{
	struct csv *c = calloc(1, sizeof *c);
	if (c) {
		c->text = strdup(fields ? fields : CSV_FIELDS_USUAL);
	}
	if (!c || !c->text) {
		message_print("--fields", "out of memory");
		csv_close(c);
		return EXIT_WORKERS;
	}
	int code = add_fields(c);
	if (code) {
		csv_close(c);
		return code;
	}
	find_columns(c);
	*out = c;
	return 0;
}

void csv_close(struct csv *c)
{
	if (c) {
		free(c->text);
		free(c);
	}
}

int csv_column(const struct csv *c, enum csv_key key)
{
	return c->columns[key];
}

size_t csv_column_ct(const struct csv *c)
{
	return c->ct;
}

/* ---------------------------------------------------------------------- cells */

/* Where a field stands in the line; no value: it does not. */
struct span {
	const char *value;
	size_t len;
};

static bool named(const struct member *m, const char *name, size_t len)
{
	return m->key_len == len && memcmp(m->key, name, len) == 0;
}

static struct span inner_of(const struct member *outer, const struct field *f)
{
	struct member m;
	size_t at = 0;
	while (member_next(outer->value, outer->value_len, &at, &m)) {
		if (named(&m, f->inner, f->inner_len)) {
			return (struct span){m.value, m.value_len};
		}
	}
	return (struct span){NULL, 0};
}

static void find_spans(
	const struct csv *c, struct span *spans, const char *line, size_t len)
{
	struct member m;
	size_t at = 0;
	memset(spans, 0, c->ct * sizeof *spans);
	while (member_next(line, len, &at, &m)) {
		for (size_t i = 0; i < c->ct; i++) {
			const struct field *f = &c->fields[i];
			if (named(&m, f->name, f->outer_len)) {
				spans[i] =
					f->inner ? inner_of(&m, f)
						 : (struct span){m.value, m.value_len};
			}
		}
	}
}

static bool is_null(const struct span *s)
{
	return !s->value || (s->len == 4 && memcmp(s->value, "null", 4) == 0);
}

/* Without the quotes of CSV. */
static int put_text(struct buf *out, const struct span *s)
{
	if (is_null(s)) {
		return 0;
	}
	return s->value[0] == '"' ? member_text(out, s->value, s->len)
				  : buf_put(out, s->value, s->len);
}

static bool needs_quotes(const char *text, size_t len)
{
	return memchr(text, ',', len) || memchr(text, '"', len) ||
	       memchr(text, '\n', len) || memchr(text, '\r', len);
}

/* Put what stands from `start` on into quotes, and double those inside. */
static int quote(struct buf *out, size_t start)
{
	size_t len = out->len - start, inside = 0;
	for (size_t i = start; i < out->len; i++) {
		inside += out->data[i] == '"';
	}
	if (buf_reserve(out, inside + 2)) {
		return PM_ENOMEM;
	}
	char *from = out->data + start + len, *to = from + inside + 2;
	out->len += inside + 2;
	*--to = '"';
	while (from > out->data + start) {
		char c = *--from;
		*--to = c;
		if (c == '"') {
			*--to = '"';
		}
	}
	*--to = '"';
	return 0;
}

static int put_cell(struct buf *out, const struct span *s)
{
	size_t start = out->len;
	if (put_text(out, s)) {
		return PM_ENOMEM;
	}
	bool quoted =
		out->len > start && needs_quotes(out->data + start, out->len - start);
	return quoted ? quote(out, start) : 0;
}

/* ----------------------------------------------------------------------- rows */

static int put_end(struct buf *out, size_t column, size_t ct)
{
	return column + 1 < ct ? buf_put(out, ",", 1) : buf_put(out, "\r\n", 2);
}

int csv_header(const struct csv *c, struct buf *out)
{
	int err = 0;
	for (size_t i = 0; i < c->ct && !err; i++) {
		size_t start = out->len;
		err = buf_puts(out, c->fields[i].name);
		if (!err && needs_quotes(out->data + start, out->len - start)) {
			err = quote(out, start);
		}
		err = err ? err : put_end(out, i, c->ct);
	}
	return err;
}

int csv_row(const struct csv *c, struct buf *out, const char *line, size_t len)
{
	struct span spans[CSV_FIELDS_MAX];
	int err = 0;
	find_spans(c, spans, line, len);
	for (size_t i = 0; i < c->ct && !err; i++) {
		err = put_cell(out, &spans[i]);
		err = err ? err : put_end(out, i, c->ct);
	}
	return err;
}

int csv_key_of_line(const struct csv *c, struct buf *out, const char *line, size_t len)
{
	struct span spans[CSV_FIELDS_MAX];
	int err = 0;
	find_spans(c, spans, line, len);
	for (int key = CSV_INDEX; key <= CSV_URL && !err; key++) {
		if (c->columns[key] >= 0) {
			err = put_text(out, &spans[c->columns[key]]);
			err = err ? err : buf_put(out, &(char){CSV_KEY_END}, 1);
		}
	}
	return err;
}

/* Behind the cell that starts at `at`: a comma, or the end of the row. */
static size_t cell_end(const char *row, size_t len, size_t at)
{
	bool inside = false;
	for (; at < len; at++) {
		inside ^= row[at] == '"';
		if (!inside && (row[at] == ',' || row[at] == '\r' || row[at] == '\n')) {
			break;
		}
	}
	return at;
}

int csv_cell(struct buf *out, const char *row, size_t len, size_t column)
{
	size_t at = 0, end = cell_end(row, len, 0);
	for (; column; column--) {
		if (end >= len || row[end] != ',') {
			return 0;
		}
		at = end + 1;
		end = cell_end(row, len, at);
	}
	if (at == end || row[at] != '"') {
		return buf_put(out, row + at, end - at);
	}
	int err = 0;
	for (at++; at + 1 < end && !err; at++) {
		err = buf_put(out, row + at, 1);
		at += row[at] == '"'; /* doubled */
	}
	return err;
}
