/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/csv: result lines as rows.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "master/cli/csv.h"
#include "master/cli/message.h"

static struct buf out;

static const char *row(const char *fields, const char *line)
{
	struct csv *c;
	buf_clear(&out);
	cr_assert_eq(csv_open(&c, fields), 0);
	cr_assert_eq(csv_row(c, &out, line, strlen(line)), 0);
	csv_close(c);
	return buf_text(&out);
}

static const char *header(const char *fields)
{
	struct csv *c;
	buf_clear(&out);
	cr_assert_eq(csv_open(&c, fields), 0);
	cr_assert_eq(csv_header(c, &out), 0);
	csv_close(c);
	return buf_text(&out);
}

#define LINE                                                                           \
	"{\"index\":7,\"id\":\"a,b\",\"url\":\"http://x/?q=\\\"1\\\"\",\"ok\":false,"  \
	"\"error\":\"timeout\",\"http_code\":200,\"time_total\":0.001500,\"meta\":"    \
	"{\"name\":\"Ada\",\"n\":[1,2]},\"body\":\"two\\nlines\\r\\n\"}\n"

Test(csv, writes_the_fields_that_are_named_in_their_order, .timeout = 60)
{
	cr_assert_str_eq(row("http_code,index,ok", LINE), "200,7,false\r\n");
	cr_assert_str_eq(row(" index , time_total ", LINE), "7,0.001500\r\n");
	cr_assert_str_eq(header("http_code, index"), "http_code,index\r\n");
}

Test(csv, has_usual_fields, .timeout = 60)
{
	cr_assert_str_eq(header(NULL), CSV_FIELDS_USUAL "\r\n");
}

Test(csv, quotes_what_needs_it_and_nothing_else, .timeout = 60)
{
	cr_assert_str_eq(row("id", LINE), "\"a,b\"\r\n");
	cr_assert_str_eq(row("url", LINE), "\"http://x/?q=\"\"1\"\"\"\r\n");
	cr_assert_str_eq(row("body", LINE), "\"two\nlines\r\n\"\r\n");
	cr_assert_str_eq(row("error", LINE), "timeout\r\n");
}

Test(csv, leaves_out_what_is_not_there, .timeout = 60)
{
	cr_assert_str_eq(row("index,errormsg,ok", LINE), "7,,false\r\n");
	cr_assert_str_eq(row("error,ok", "{\"index\":1,\"ok\":true,\"error\":null}\n"),
		",true\r\n");
}

Test(csv, looks_into_meta_and_headers, .timeout = 60)
{
	cr_assert_str_eq(row("meta.name,meta.n,meta.none", LINE), "Ada,\"[1,2]\",\r\n");
	cr_assert_str_eq(row("meta", LINE),
		"\"{\"\"name\"\":\"\"Ada\"\",\"\"n\"\":[1,2]}\"\r\n");
	cr_assert_str_eq(row("meta.a", "{\"index\":1,\"meta\":5}\n"), "\r\n");
}

/* What a spreadsheet makes of it is not ours to hide. */
Test(csv, does_not_alter_what_looks_like_a_formula, .timeout = 60)
{
	cr_assert_str_eq(row("id", "{\"index\":1,\"id\":\"=1+1\"}\n"), "=1+1\r\n");
}

Test(csv, refuses_fields_that_no_result_has, .timeout = 60)
{
	static const char *const bad[] = {
		"index,nonsense", "", "index,,ok", "id.a", "meta.", "Index"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct csv *c;
		cr_assert_eq(csv_open(&c, bad[i]), EXIT_USAGE, "%s", bad[i]);
	}
}

Test(csv, knows_the_columns_that_tell_the_job, .timeout = 60)
{
	struct csv *c;
	cr_assert_eq(csv_open(&c, "ok,url,index"), 0);
	cr_assert_eq(csv_column(c, CSV_INDEX), 2);
	cr_assert_eq(csv_column(c, CSV_URL), 1);
	cr_assert_eq(csv_column(c, CSV_OK), 0);
	cr_assert_eq(csv_column(c, CSV_ID), -1);
	cr_assert_eq(csv_column_ct(c), 3);
	csv_close(c);
}

/* What is written is what is read: each cell of the row above. */
Test(csv, finds_a_cell_again, .timeout = 60)
{
	static const char *const fields[] = {"index", "id", "url", "body", "error"};
	static const char *const texts[] = {
		"7", "a,b", "http://x/?q=\"1\"", "two\nlines\r\n", "timeout"};
	struct buf cell = {0};
	row("index,id,url,body,error", LINE);
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		buf_clear(&cell);
		cr_assert_eq(csv_cell(&cell, out.data, out.len, i), 0);
		cr_assert_str_eq(buf_text(&cell), texts[i], "%s", fields[i]);
	}
	buf_clear(&cell);
	cr_assert_eq(csv_cell(&cell, out.data, out.len, 5), 0);
	cr_assert_eq(cell.len, 0);
	buf_fini(&cell);
}
