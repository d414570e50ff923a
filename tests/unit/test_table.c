/* SPDX-License-Identifier: MIT
 *
 * table: rows as jobs.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/poolmap.h"
#include "master/cli/table.h"

static const struct row_format comma = {',', true};

static struct table *new_table(const char *url_column)
{
	struct table *t = NULL;
	cr_assert_eq(table_new(&t, &comma, url_column), 0, "%s", url_column);
	return t;
}

/* What `text` is as names (true) or as a job: "" or the reason. */
static const char *read_row(
	struct table *t, bool names, const char *text, struct buf *out)
{
	static char why[TABLE_REASON_MAX];
	char *row = strdup(text);
	cr_assert_not_null(row);
	snprintf(why, sizeof why, "%s", "");
	int err = names ? table_names(t, row, strlen(row), why)
			: table_job(t, row, strlen(row), out, why);
	cr_assert(err == 0 || (err == PM_EINVAL && why[0]), "%s: %d", text, err);
	cr_assert(err || !why[0]);
	free(row);
	return why;
}

static void expect_names(struct table *t, const char *row)
{
	cr_assert(table_wants_names(t));
	const char *why = read_row(t, true, row, NULL);
	cr_assert_str_empty(why, "%s: %s", row, why);
	cr_assert_not(table_wants_names(t));
}

static void expect_no_names(struct table *t, const char *row, const char *part)
{
	const char *why = read_row(t, true, row, NULL);
	cr_assert(strstr(why, part), "%s: \"%s\"", row, why);
	cr_assert(table_wants_names(t));
}

/* The job's line, and that the parser of the workers takes it. */
static void expect_job(struct table *t, const char *row, const char *line)
{
	struct buf out = {0};
	struct job job;
	const char *why = read_row(t, false, row, &out);
	cr_assert_str_empty(why, "%s: %s", row, why);
	cr_assert_str_eq(buf_text(&out), line);
	cr_assert_eq(job_parse(&job, out.data, out.len), 0);
	cr_assert_null(job.error, "%s: %s", line, job.error);
	job_fini(&job);
	buf_fini(&out);
}

static void expect_bad(struct table *t, const char *row, const char *part)
{
	struct buf out = {0};
	buf_puts(&out, "before");
	const char *why = read_row(t, false, row, &out);
	cr_assert(strstr(why, part), "%s: \"%s\"", row, why);
	cr_assert_str_eq(buf_text(&out), "before");
	buf_fini(&out);
}

Test(table, puts_the_other_columns_into_meta, .timeout = 20)
{
	struct table *t = new_table("url");
	expect_names(t, "id,url,name");
	expect_job(t, "7,http://a/,\"x, \"\"y\"\"\"",
		"{\"meta\":{\"id\":\"7\",\"name\":\"x, \\\"y\\\"\"},\"url\":\"http://a/"
		"\"}");
	expect_job(t, "7,http://a/", "{\"meta\":{\"id\":\"7\"},\"url\":\"http://a/\"}");
	expect_job(t, ", http://a/\t,",
		"{\"meta\":{\"id\":\"\",\"name\":\"\"},"
		"\"url\":\"http://a/\"}");
	expect_job(t, "a\nb\\,http://a/,\x01",
		"{\"meta\":{\"id\":\"a\\nb\\\\\",\"name\":\"\\u0001\"},"
		"\"url\":\"http://a/\"}");
	table_free(t);
}

Test(table, has_no_meta_when_there_is_nothing_else, .timeout = 20)
{
	struct table *t = new_table("url");
	expect_names(t, "url");
	expect_job(t, "http://a/", "{\"url\":\"http://a/\"}");
	expect_job(t, "{\"url\":1}", "{\"url\":\"{\\\"url\\\":1}\"}");
	table_restart(t);
	expect_names(t, "\"url\",\"\",");
	expect_job(t, "http://a/,x,y", "{\"url\":\"http://a/\"}");
	table_free(t);
}

Test(table, counts_columns_that_have_no_names, .timeout = 20)
{
	struct table *t = new_table("2");
	cr_assert_not(table_wants_names(t));
	expect_job(t, "a,http://a/,,c",
		"{\"meta\":{\"1\":\"a\",\"3\":\"\",\"4\":\"c\"},\"url\":\"http://a/"
		"\"}");
	expect_bad(t, "a", "no URL in column 2");
	table_restart(t);
	cr_assert_not(table_wants_names(t));
	table_free(t);
}

Test(table, tells_why_a_row_is_no_job, .timeout = 20)
{
	struct table *t = new_table("link to");
	expect_names(t, "a,link to");
	expect_bad(t, "x,", "no URL in column link to");
	expect_bad(t, "x", "no URL in column");
	expect_bad(t, "x,  \t", "no URL in column");
	expect_bad(t, "x,http://a/,z", "more than the 2 columns of the first line");
	expect_bad(t, "\"x,http://a/", "a quote that is not closed");
	expect_bad(t, "\"x\"y,http://a/", "behind a closing quote");
	expect_bad(t, "\xe9,http://a/", "not UTF-8");
	table_free(t);
}

Test(table, tells_what_is_wrong_with_names, .timeout = 20)
{
	struct table *t = new_table("url");
	expect_no_names(
		t, "a,b", "no column is named \"url\" (the first one is \"a\")");
	expect_no_names(t, "URL", "no column is named");
	expect_no_names(t, "url,a,\"a\"", "two columns are named \"a\"");
	expect_no_names(t, "url,url", "two columns are named \"url\"");
	expect_no_names(t, "url,\"", "a quote that is not closed");
	expect_no_names(t, "url,\xff", "not UTF-8");
	expect_names(t, "url,,");
	table_free(t);
}

Test(table, takes_numbers_of_columns_that_can_be, .timeout = 20)
{
	static const char *const bad[] = {"0", "4097", "99999999999999999999", "000"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct table *t = NULL;
		cr_assert_eq(table_new(&t, &comma, bad[i]), PM_EINVAL, "%s", bad[i]);
		cr_assert_null(t);
	}
	table_free(new_table("4096"));
	table_free(new_table("1a"));
	table_free(NULL);
}

Test(table, limits_the_number_of_columns, .timeout = 20)
{
	char *row = malloc(TABLE_COLUMNS_MAX + 16);
	memset(row, ',', TABLE_COLUMNS_MAX + 16);
	row[TABLE_COLUMNS_MAX] = '\0';
	struct table *t = new_table("1");
	expect_bad(t, row, "more than 4096 columns");
	table_free(t);
	t = new_table("url");
	expect_no_names(t, row, "more than 4096 columns");
	memcpy(row, "url", 3);
	row[TABLE_COLUMNS_MAX + 2] = '\0';
	row[TABLE_COLUMNS_MAX + 1] = ',';
	row[TABLE_COLUMNS_MAX] = ',';
	expect_names(t, row);
	table_free(t);
	free(row);
}

/* Rows of noise: a job that the workers can parse, or a reason. */
Test(table, survives_damaged_rows, .timeout = 60)
{
	unsigned state = 4711;
	struct table *t = new_table("url"), *numbered = new_table("2");
	expect_names(t, "a,url,b\xc3\xa9");
	for (unsigned round = 0; round < 50000; round++) {
		char row[64];
		size_t len = (size_t)snprintf(
			row, sizeof row, "%s", "\"x \"\"y\"\" z\",http://a/\xc3\xa9,c");
		for (unsigned i = 0; i < 1 + round % 5; i++) {
			state = state * 1103515245u + 12345u;
			row[(state >> 8) % len] =
				"\",\n\\\0a\xc3\xff {}"[(state >> 20) % 11];
		}
		struct buf out = {0};
		struct job job;
		char why[TABLE_REASON_MAX];
		int err = table_job(round % 2 ? t : numbered, row, len, &out, why);
		cr_assert(err == 0 || err == PM_EINVAL, "%d", err);
		cr_assert(err || job_parse(&job, out.data, out.len) == 0);
		if (!err) {
			cr_assert(!job.error || strstr(job.error, "NUL"), "%s: %s",
				buf_text(&out), job.error);
			job_fini(&job);
		}
		buf_fini(&out);
	}
	table_free(t);
	table_free(numbered);
}
