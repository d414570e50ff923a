/* SPDX-License-Identifier: MIT
 *
 * fuzz_csv - result lines as rows of CSV.  Whatever the line is, the row must be one
 * row, have its columns, and each cell must be found in it again.
 */
#include "master/cli/csv.h"
#include "master/cli/row.h"
#include "tests/fuzz/fuzz.h"

static const struct row_format format = {.delimiter = ',', .quotes = true};

static void check_row(const struct csv *csv, const struct buf *row)
{
	enum row_state state = ROW_START;
	struct row read;
	struct row_field field;
	struct buf cell = {0};
	size_t ct = 0;
	FUZZ_CHECK(row->len >= 2 && row->data[row->len - 2] == '\r');
	FUZZ_CHECK(row_end(&format, &state, row->data, row->len) == row->len - 1);
	char *copy = fuzz_text((const uint8_t *)row->data, row->len - 2);
	row_init(&read, &format, copy, row->len - 2);
	while (row_next(&read, &field) == ROW_FIELD) {
		buf_clear(&cell);
		FUZZ_CHECK(csv_cell(&cell, row->data, row->len, ct++) == 0);
		FUZZ_CHECK(cell.len == field.len);
		FUZZ_CHECK(!cell.len || memcmp(cell.data, field.text, cell.len) == 0);
	}
	FUZZ_CHECK(ct == csv_column_ct(csv));
	buf_fini(&cell);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct csv *csv;
	struct buf row = {0}, key = {0};
	if (!csv) {
		FUZZ_CHECK(csv_open(&csv, "index,id,url,ok,errormsg,meta,meta.a,"
					  "headers.b,body") == 0);
	}
	FUZZ_CHECK(csv_row(csv, &row, (const char *)data, size) == 0);
	check_row(csv, &row);
	FUZZ_CHECK(csv_key_of_line(csv, &key, (const char *)data, size) == 0);
	buf_fini(&row);
	buf_fini(&key);
	return 0;
}
