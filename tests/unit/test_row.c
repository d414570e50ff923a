/* SPDX-License-Identifier: MIT
 *
 * row: where rows end, and what their fields say.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "master/cli/row.h"

static const struct row_format comma = {',', true}, tab = {'\t', false};

/* The fields of all rows: "a|b/" for each row, "?" for what cannot be read.  The
 * bytes come in pieces of `piece`. */
static void split(const struct row_format *f, const char *text, size_t len,
	size_t piece, struct buf *out)
{
	struct buf row = {0};
	enum row_state state = ROW_START;
	for (size_t at = 0; at < len;) {
		size_t have = len - at < piece ? len - at : piece;
		size_t end = row_end(f, &state, text + at, have);
		cr_assert_leq(end, have);
		cr_assert_eq(buf_put(&row, text + at, end), 0);
		at += end + (end < have);
		if (end == have && at < len) {
			continue;
		}
		if (end < have) {
			cr_assert_eq(state, ROW_START);
		}
		struct row r;
		struct row_field field;
		enum row_step step;
		row_init(&r, f, row.data, row.len);
		for (unsigned i = 0; (step = row_next(&r, &field)) == ROW_FIELD; i++) {
			buf_puts(out, i ? "|" : "");
			buf_put(out, field.text, field.len);
		}
		buf_puts(out, step == ROW_END ? "/" : step == ROW_NO_QUOTE ? "!" : "?");
		buf_clear(&row);
	}
	buf_fini(&row);
}

static void gives(const struct row_format *f, const char *text, const char *want)
{
	for (size_t piece = 1; piece < 9; piece++) {
		struct buf out = {0};
		split(f, text, strlen(text), piece, &out);
		cr_assert_str_eq(buf_text(&out), want, "%s in pieces of %zu: %s", text,
			piece, out.data);
		buf_fini(&out);
	}
}

Test(row, splits_plain_fields, .timeout = 20)
{
	gives(&comma, "a,b,c\nd\n", "a|b|c/d/");
	gives(&comma, "a,b", "a|b/");
	gives(&comma, ",\n", "|/");
	gives(&comma, "a,,b,\n", "a||b|/");
	gives(&comma, "\n\n", "//");
	gives(&comma, "a b , c\n", "a b | c/");
}

Test(row, reads_quotes, .timeout = 20)
{
	gives(&comma, "\"a\",\"b\"\n", "a|b/");
	gives(&comma, "\"a,b\",c\n", "a,b|c/");
	gives(&comma, "\"a\nb\",c\nd\n", "a\nb|c/d/");
	gives(&comma, "\"a \"\"b\"\" c\"\n", "a \"b\" c/");
	gives(&comma, "\"\"\n", "/");
	gives(&comma, "\"\",\"\"\n", "|/");
	gives(&comma, "\"\"\"\"\n", "\"/");
	gives(&comma, "\"\"\"a\",b\n", "\"a|b/");
	gives(&comma, "\"a\r\nb\"", "a\r\nb/");
}

Test(row, takes_a_quote_inside_of_a_plain_field_as_a_letter, .timeout = 20)
{
	gives(&comma, "a\"b,c\"\nd\n", "a\"b|c\"/d/");
	gives(&comma, "5\" pipe,x\n", "5\" pipe|x/");
	gives(&comma, " \"a\",b\n", " \"a\"|b/");
}

Test(row, tells_what_it_cannot_read, .timeout = 20)
{
	gives(&comma, "\"a\"b,c\nd\n", "?d/");
	gives(&comma, "x,\"a\" ,c\nd\n", "x?d/");
	gives(&comma, "\"a\nb\n", "!");
	gives(&comma, "a,\"", "a!");
	gives(&comma, "\"a\"\"", "!");
}

Test(row, knows_no_quotes_in_tsv, .timeout = 20)
{
	gives(&tab, "a\tb,c\t\"d\n\"e\tf\n", "a|b,c|\"d/\"e|f/");
	gives(&tab, "\t\n", "|/");
}

/* However it is cut, the same fields; and what was written comes back. */
Test(row, survives_damaged_rows, .timeout = 60)
{
	unsigned state = 99;
	for (unsigned round = 0; round < 50000; round++) {
		char text[48];
		size_t len = round % sizeof text;
		for (size_t i = 0; i < len; i++) {
			state = state * 1103515245u + 12345u;
			text[i] = "\"\"\",,\n\r\tab\0 \xc3"[(state >> 16) % 13];
		}
		const struct row_format *f = round % 5 ? &comma : &tab;
		struct buf whole = {0}, pieces = {0};
		split(f, text, len, sizeof text, &whole);
		split(f, text, len, 1 + (state >> 8) % 7, &pieces);
		cr_assert_eq(whole.len, pieces.len);
		cr_assert(!whole.len || !memcmp(whole.data, pieces.data, whole.len));
		cr_assert_leq(whole.len, 2 * len + 2);
		buf_fini(&whole);
		buf_fini(&pieces);
	}
}

static void put_quoted(struct buf *out, const char *text, size_t len)
{
	buf_puts(out, "\"");
	for (size_t i = 0; i < len; i++) {
		buf_put(out, text + i, 1);
		if (text[i] == '"') {
			buf_puts(out, "\"");
		}
	}
	buf_puts(out, "\"");
}

Test(row, gives_back_what_was_quoted, .timeout = 60)
{
	unsigned state = 7;
	for (unsigned round = 0; round < 5000; round++) {
		char field[2][20];
		struct buf row = {0}, want = {0}, got = {0};
		for (int f = 0; f < 2; f++) {
			size_t len = (round + (unsigned)f * 3) % sizeof field[f];
			for (size_t i = 0; i < len; i++) {
				state = state * 1103515245u + 12345u;
				field[f][i] = "\",\n\rab"[(state >> 16) % 6];
			}
			buf_puts(&row, f ? "," : "");
			buf_puts(&want, f ? "|" : "");
			put_quoted(&row, field[f], len);
			buf_put(&want, field[f], len);
		}
		buf_puts(&row, "\n");
		buf_puts(&want, "/");
		split(&comma, row.data, row.len, 5, &got);
		cr_assert_str_eq(buf_text(&got), buf_text(&want));
		buf_fini(&row);
		buf_fini(&want);
		buf_fini(&got);
	}
}
