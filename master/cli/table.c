/* SPDX-License-Identifier: MIT
 *
 * table - rows of CSV or TSV as jobs, see table.h.
 */
#include "master/cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/line.h"
#include "common/cli/utf8.h"
#include "common/poolmap.h"

struct table {
	struct row_format format;
	const char *url_column;
	bool is_named;
	bool has_names; /* of this file */
	size_t url_at;  /* from 0 */

	/* Name i, as a JSON string with its quotes, is keys.data[key_ends[i - 1]..
	 * key_ends[i]). */
	struct buf keys;
	size_t *key_ends;
	size_t column_ct;
};

static int refuse(char why[TABLE_REASON_MAX], const char *fmt, ...) PM_PRINTF(2, 3);

/* In one line, whatever is quoted in it. */
static int refuse(char why[TABLE_REASON_MAX], const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(why, TABLE_REASON_MAX, fmt, args);
	va_end(args);
	for (char *at = why; *at; at++) {
		*at = (char)((unsigned char)*at < 0x20 ? '?' : *at);
	}
	return PM_EINVAL;
}

/* -------------------------------------------------------------- the table */

/* 1..TABLE_COLUMNS_MAX, as a place from 0. */
static int read_number(const char *text, size_t *at)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (strlen(text) > 9 || *end || n < 1 || n > TABLE_COLUMNS_MAX) {
		return PM_EINVAL;
	}
	*at = n - 1;
	return 0;
}

int table_new(
	struct table **out, const struct row_format *format, const char *url_column)
{
	size_t at = 0;
	const bool is_named =
		!*url_column || url_column[strspn(url_column, "0123456789")];
	if (!is_named && read_number(url_column, &at)) {
		return PM_EINVAL;
	}
	struct table *t = calloc(1, sizeof *t);
	size_t *ends = calloc(TABLE_COLUMNS_MAX, sizeof *ends);
	if (!t || !ends) {
		free(t);
		free(ends);
		return PM_ENOMEM;
	}
	*t = (struct table){.format = *format,
		.url_column = url_column,
		.is_named = is_named,
		.url_at = at,
		.key_ends = ends};
	*out = t;
	return 0;
}

void table_free(struct table *t)
{
	if (t) {
		buf_fini(&t->keys);
		free(t->key_ends);
		free(t);
	}
}

const struct row_format *table_format(const struct table *t)
{
	return &t->format;
}

void table_restart(struct table *t)
{
	t->has_names = false;
	t->column_ct = 0;
	buf_clear(&t->keys);
}

bool table_wants_names(const struct table *t)
{
	return t->is_named && !t->has_names;
}

/* ------------------------------------------------------------------- rows */

static int check_text(const char *row, size_t len, char why[TABLE_REASON_MAX])
{
	return utf8_valid(row, len)
		       ? 0
		       : refuse(why, "not UTF-8; convert the file with iconv");
}

/* Why a row cannot be split. */
static int refuse_step(enum row_step step, char why[TABLE_REASON_MAX])
{
	return step == ROW_NO_QUOTE
		       ? refuse(why, "a quote that is not closed")
		       : refuse(why, "text behind a closing quote; a quote inside of "
				     "quotes is written twice");
}

static int too_many(char why[TABLE_REASON_MAX])
{
	return refuse(why, "more than %d columns", (int)TABLE_COLUMNS_MAX);
}

/* ------------------------------------------------------------------ names */

static struct row_field key_of(const struct table *t, size_t i)
{
	size_t from = i ? t->key_ends[i - 1] : 0;
	return (struct row_field){t->keys.data + from, t->key_ends[i] - from};
}

static bool same(struct row_field a, struct row_field b)
{
	return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

/* The last name is the one of no column before it, or is empty. */
static bool is_new_key(const struct table *t)
{
	enum { EMPTY_LEN = 2 }; /* its quotes */
	struct row_field last = key_of(t, t->column_ct - 1);
	for (size_t i = 0; i + 1 < t->column_ct && last.len > EMPTY_LEN; i++) {
		if (same(key_of(t, i), last)) {
			return false;
		}
	}
	return true;
}

static int add_key(struct table *t, const struct row_field *name)
{
	int err = line_string(&t->keys, name->text, name->len);
	if (!err) {
		t->key_ends[t->column_ct++] = t->keys.len;
	}
	return err;
}

static int refuse_double(const struct table *t, char why[TABLE_REASON_MAX])
{
	struct row_field key = key_of(t, t->column_ct - 1);
	return refuse(why, "two columns are named %.*s",
		key.len > 60 ? 60 : (int)key.len, key.text);
}

static int refuse_missing(const struct table *t, char why[TABLE_REASON_MAX])
{
	struct row_field first = key_of(t, 0);
	return refuse(why,
		"no column is named \"%.40s\" (the first one is %.*s); say which with "
		"--url-column",
		t->url_column, first.len > 40 ? 40 : (int)first.len, first.text);
}

/* Read all names; *found: one of them is that of the URL. */
static int read_names(
	struct table *t, struct row *row, bool *found, char why[TABLE_REASON_MAX])
{
	const struct row_field url = {t->url_column, strlen(t->url_column)};
	struct row_field name;
	enum row_step step;
	while ((step = row_next(row, &name)) == ROW_FIELD) {
		if (t->column_ct == TABLE_COLUMNS_MAX) {
			return too_many(why);
		}
		if (memchr(name.text, '\0', name.len)) {
			return refuse(why, "a column's name has a NUL byte in it");
		}
		if (!*found && same(name, url)) {
			*found = true;
			t->url_at = t->column_ct;
		}
		if (add_key(t, &name)) {
			return PM_ENOMEM;
		}
		if (!is_new_key(t)) {
			return refuse_double(t, why);
		}
	}
	return step == ROW_END ? 0 : refuse_step(step, why);
}

int table_names(struct table *t, char *text, size_t len, char why[TABLE_REASON_MAX])
{
	struct row row;
	bool found = false;
	table_restart(t);
	int err = check_text(text, len, why);
	if (!err) {
		row_init(&row, &t->format, text, len);
		err = read_names(t, &row, &found, why);
	}
	if (!err && !found) {
		err = refuse_missing(t, why);
	}
	t->has_names = !err;
	return err;
}

/* -------------------------------------------------------------------- jobs */

/* "name": or "7": and then the value; with a comma before all but the first. */
static int put_meta(const struct table *t, size_t i, const struct row_field *value,
	struct buf *out, bool *any)
{
	int err = buf_puts(out, *any ? "," : "{\"meta\":{");
	if (err) {
		return err;
	}
	*any = true;
	if (t->is_named) {
		struct row_field key = key_of(t, i);
		err = buf_put(out, key.text, key.len);
	} else {
		err = buf_printf(out, "\"%zu\"", i + 1);
	}
	err = err ? err : buf_puts(out, ":");
	return err ? err : line_string(out, value->text, value->len);
}

static bool is_left_out(const struct table *t, size_t i)
{
	enum { EMPTY_LEN = 2 };
	return t->is_named && key_of(t, i).len <= EMPTY_LEN;
}

static void trim(struct row_field *field)
{
	while (field->len && strchr(" \t", field->text[0])) {
		field->text++;
		field->len--;
	}
	while (field->len && strchr(" \t", field->text[field->len - 1])) {
		field->len--;
	}
}

/* The fields into *out, but that of the URL into *url. */
static int read_fields(const struct table *t, struct row *row, struct buf *out,
	struct row_field *url, bool *any, char why[TABLE_REASON_MAX])
{
	const size_t ct = t->is_named ? t->column_ct : TABLE_COLUMNS_MAX;
	struct row_field field;
	enum row_step step;
	for (size_t i = 0; (step = row_next(row, &field)) == ROW_FIELD; i++) {
		if (i == ct) {
			return t->is_named ? refuse(why,
						     "more than the %zu columns of the "
						     "first line",
						     ct)
					   : too_many(why);
		}
		if (i == t->url_at) {
			*url = field;
		} else if (!is_left_out(t, i) && put_meta(t, i, &field, out, any)) {
			return PM_ENOMEM;
		}
	}
	return step == ROW_END ? 0 : refuse_step(step, why);
}

static int put_url(struct buf *out, struct row_field url, bool any,
	const struct table *t, char why[TABLE_REASON_MAX])
{
	trim(&url);
	if (url.len == 0) {
		return refuse(why, "no URL in column %.40s", t->url_column);
	}
	if (buf_puts(out, any ? "},\"url\":" : "{\"url\":") ||
		line_string(out, url.text, url.len) || buf_puts(out, "}")) {
		return PM_ENOMEM;
	}
	return 0;
}

int table_job(const struct table *t, char *text, size_t len, struct buf *out,
	char why[TABLE_REASON_MAX])
{
	const size_t before = out->len;
	struct row row;
	struct row_field url = {"", 0};
	bool any = false;
	int err = check_text(text, len, why);
	if (!err) {
		row_init(&row, &t->format, text, len);
		err = read_fields(t, &row, out, &url, &any, why);
	}
	err = err ? err : put_url(out, url, any, t, why);
	if (err) {
		out->len = before;
	}
	return err;
}
