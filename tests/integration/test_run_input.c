/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` and the forms of job files: compressed, tables, several.
 */
#include <zlib.h>

#include "tests/support/origin_rig.h"

TestSuite(run_input, .init = start_origin, .fini = stop_origin);

/* The list as a gzip file, in two members; the list is empty after it. */
static const char *gzip_file(const char *name, struct bytes *jobs)
{
	const char *path = new_path(name);
	size_t half = jobs->len / 2;
	for (int part = 0; part < 2; part++) {
		gzFile f = gzopen(path, part ? "a" : "w");
		unsigned len = (unsigned)(part ? jobs->len - half : half);
		cr_assert(f &&
			  gzwrite(f, jobs->data + (part ? half : 0), len) == (int)len);
		cr_assert_eq(gzclose(f), Z_OK);
	}
	bytes_fini(jobs);
	return path;
}

static const char *text_file(const char *name, struct bytes *text)
{
	const char *path = temp_file(name, text->data, text->len);
	bytes_fini(text);
	return path;
}

/* "id,url,note" and `ct` rows, some with quotes and line ends in them. */
static void add_rows(struct bytes *table, size_t ct)
{
	jobs_add(table, "id,url,note\r\n");
	for (size_t i = 0; i < ct; i++) {
		jobs_add(table, "%zu,%s,%s\r\n", i, origin_url(o, "/once/%zu", i),
			i % 3 ? "plain" : "\"two\nlines, \"\"quoted\"\"\"");
	}
}

static void check_row(const json_t *result, size_t i)
{
	const json_t *meta = field(result, "meta");
	cr_assert_str_eq(text_in(meta, "id"), keep_printf("%zu", i));
	cr_assert_str_eq(
		text_in(meta, "note"), i % 3 ? "plain" : "two\nlines, \"quoted\"");
	cr_assert_eq(json_object_size(meta), 2);
	cr_assert_str_eq(text_in(result, "url"), origin_url(o, "/once/%zu", i));
	cr_assert(is_ok(result));
}

/* --------------------------------------------------------------------- gzip */

Test(run_input, reads_gzip_by_what_is_in_it, .timeout = 40)
{
	enum { MANY = 300 };
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", MANY);
	const char *path = gzip_file("jobs.txt", &jobs);
	struct ran r = run_to_end(NULL, RUN("-q", path));
	check_status(&r, 0);
	results_check_ordered(r.results, MANY);
	ran_fini(&r);
}

Test(run_input, reads_gzip_from_a_pipe, .timeout = 40)
{
	enum { MANY = 300 };
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", MANY);
	const char *path = gzip_file("jobs.gz", &jobs);
	const char *script = keep_printf("cat %s | \"$@\"", path);
	struct ran r = run_to_end(NULL, RUN_IN_SHELL(script, "-q"));
	check_status(&r, 0);
	results_check_ordered(r.results, MANY);
	ran_fini(&r);
}

/* What was in front of the cut is fetched; then it is an error, and no end. */
Test(run_input, says_which_gzip_file_is_cut_off, .timeout = 40)
{
	enum { MANY = 300 };
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", MANY);
	const char *path = gzip_file("jobs.gz", &jobs);
	cr_assert_eq(truncate(path, (off_t)file_size(path) - 3), 0);
	struct ran r = run_to_end(NULL, RUN(path));
	check_status(&r, 3);
	check_says(r.io.err, "jobs.gz: cannot be read on at byte");
	check_says(r.io.err, "end too early");
	results_check_ordered(r.results, r.ct);
	cr_assert_geq(r.ct, MANY / 2, "%zu results", r.ct);
	ran_fini(&r);
}

Test(run_input, says_which_gzip_file_is_damaged, .timeout = 40)
{
	static const char bad[] = "\x1f\x8b\x08\0\0\0\0\0\0\3 this is no deflate";
	struct ran r = run_to_end(NULL, RUN(temp_file("bad.gz", bad, sizeof bad - 1)));
	check_status(&r, 3);
	check_says(r.io.err, "bad.gz: damaged gzip data before byte");
	cr_assert_eq(r.ct, 0);
	ran_fini(&r);
}

/* ------------------------------------------------------------------- tables */

Test(run_input, echoes_the_other_columns_of_a_table, .timeout = 40)
{
	enum { MANY = 60 };
	struct bytes table = {0};
	add_rows(&table, MANY);
	struct ran r =
		run_to_end(NULL, RUN("-q", "--csv", text_file("jobs.csv", &table)));
	check_status(&r, 0);
	results_check_ordered(r.results, MANY);
	for (size_t i = 0; i < MANY; i++) {
		check_row(result_at(&r, i), i);
	}
	ran_fini(&r);
}

Test(run_input, finds_the_column_by_name_or_number, .timeout = 40)
{
	const char *url = origin_url(o, "/");
	const char *csv = keep_printf("link to,n\n%s,1\n", url);
	struct ran r = run_to_end(csv, RUN("-q", "--csv", "--url-column", "link to"));
	check_status(&r, 0);
	cr_assert_str_eq(text_in(field(result_at(&r, 0), "meta"), "n"), "1");
	ran_fini(&r);
	const char *tsv = keep_printf("\"a,b\t%s\n\t%s\tc\n", url, url);
	r = run_to_end(tsv, RUN("-q", "--tsv", "--url-column", "2"));
	check_status(&r, 0);
	cr_assert_eq(r.ct, 2);
	cr_assert_str_eq(text_in(field(result_at(&r, 0), "meta"), "1"), "\"a,b");
	cr_assert_str_eq(text_in(field(result_at(&r, 1), "meta"), "3"), "c");
	ran_fini(&r);
}

Test(run_input, gives_bad_rows_a_result_with_their_line, .timeout = 40)
{
	const char *url = origin_url(o, "/");
	const char *csv = keep_printf("url,x\n%s,\"1\n2\"\n,3\n%s,4,5\n%s,\"6\"7\n"
				      "127.0.0.1,8\n%s,9\n",
		url, url, url, url);
	struct ran r = run_to_end(csv, RUN("-q", "--csv"));
	check_status(&r, 1);
	cr_assert_eq(r.ct, 6);
	check_class(&r, 0, "ok");
	check_class(&r, 1, "bad_job");
	check_says(text_in(result_at(&r, 1), "errormsg"), "line 4: no URL in column");
	check_class(&r, 2, "bad_job");
	check_says(text_in(result_at(&r, 2), "errormsg"), "line 5: more than the 2");
	check_class(&r, 3, "bad_job");
	check_says(text_in(result_at(&r, 3), "errormsg"), "line 6: text behind");
	check_class(&r, 4, "bad_url");
	check_class(&r, 5, "ok");
	ran_fini(&r);
}

/* Found before anything is created. */
Test(run_input, refuses_a_table_without_the_column, .timeout = 40)
{
	const char *out = new_path("out"), *jobs = temp_file("jobs", "a,b\n1,2\n", 8);
	struct ran r = run_to_end(NULL, RUN("--csv", jobs, "-o", out));
	check_status(&r, 3);
	check_says(r.io.err, "jobs:1: the names of the columns: no column is named "
			     "\"url\"");
	cr_assert_neq(access(out, F_OK), 0, "the output was created");
	ran_fini(&r);
	r = run_to_end(NULL, RUN("--csv", "--url-column", "0", jobs));
	check_status(&r, 2);
	check_says(r.io.err, "--url-column: 0: out of range, 1 to 4096");
	ran_fini(&r);
}

/* ------------------------------------------------------------------- resume */

/* Cut the results off within line `keep`. */
static void cut_results(const char *path, size_t keep)
{
	size_t len, at = 0;
	char *text = read_file(path, &len);
	for (size_t i = 0; i < keep; i++) {
		at += strcspn(text + at, "\n") + 1;
	}
	cr_assert_eq(truncate(path, (off_t)at + 5), 0);
	free(text);
}

static void check_resumed(const char *const first[], const char *const again[],
	const char *out, size_t many, size_t keep)
{
	struct ran r = run_to_end(NULL, first);
	check_status(&r, 0);
	ran_fini(&r);
	cut_results(out, keep);
	r = run_to_end(NULL, again);
	check_status(&r, 0);
	ran_fini(&r);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, many);
	for (size_t i = 0; i < many; i++) {
		check_row(json_array_get(results, i), i);
	}
	json_decref(results);
	cr_assert_eq(origin_count(o, "requests"), (json_int_t)(2 * many - keep));
}

Test(run_input, resumes_a_table_in_gzip, .timeout = 60)
{
	enum { MANY = 90, KEEP = 31 };
	struct bytes table = {0};
	add_rows(&table, MANY);
	const char *jobs = gzip_file("jobs.csv.gz", &table), *out = new_path("out");
	check_resumed(RUN("-q", "--csv", jobs, "-o", out),
		RUN("-q", "--csv", jobs, "-o", out, "--resume"), out, MANY, KEEP);
}

/* Bad rows are jobs like others there, and an edited table is found out. */
Test(run_input, knows_an_edited_table, .timeout = 60)
{
	const char *url = origin_url(o, "/"), *out = new_path("out");
	struct bytes table = {0};
	jobs_add(&table, "url,x\n,bad\n%s,1\n%s,2\n", url, url);
	const char *jobs = text_file("jobs.csv", &table);
	struct ran r = run_to_end(NULL, RUN("-q", "--csv", jobs, "-o", out));
	check_status(&r, 1);
	ran_fini(&r);
	r = run_to_end(NULL, RUN("-q", "--csv", jobs, "-o", out, "--resume"));
	cr_assert_neq(r.io.status, 6, "%s", r.io.err);
	ran_fini(&r);
	jobs_add(&table, "url,x\n%s,1\n,bad\n%s,2\n", url, url);
	jobs = text_file("jobs.csv", &table);
	r = run_to_end(NULL, RUN("-q", "--csv", jobs, "-o", out, "--resume"));
	check_status(&r, 6);
	ran_fini(&r);
}

/* ------------------------------------------------------------------ several */

Test(run_input, runs_files_of_several_forms_as_one_list, .timeout = 40)
{
	struct bytes one = {0}, two = {0}, three = {0};
	add_rows(&one, 10);
	add_rows(&two, 10);
	jobs_add(&three, "url,z\n%s,7\n", origin_url(o, "/"));
	struct ran r = run_to_end(
		NULL, RUN("-q", "--csv", text_file("1.csv", &one),
			      gzip_file("2.csv.gz", &two), text_file("3.csv", &three)));
	check_status(&r, 0);
	results_check_ordered(r.results, 21);
	for (size_t i = 0; i < 20; i++) {
		check_row(result_at(&r, i), i % 10);
	}
	cr_assert_str_eq(text_in(field(result_at(&r, 20), "meta"), "z"), "7");
	ran_fini(&r);
}

/* It is for the progress alone. */
Test(run_input, takes_any_total, .timeout = 40)
{
	const char *url = keep_printf("%s\n", origin_url(o, "/"));
	static const char *const totals[] = {"0", "1", "1000000"};
	for (size_t i = 0; i < 3; i++) {
		struct ran r = run_to_end(url, RUN("--total", totals[i]));
		check_status(&r, 0);
		cr_assert_eq(r.ct, 1);
		ran_fini(&r);
	}
}
