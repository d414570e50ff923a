/* SPDX-License-Identifier: MIT
 *
 * input, source: job files that are compressed, and tables.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/buf.h"
#include "master/cli/input.h"
#include "master/cli/message.h"

/* ------------------------------------------------------------------ a place */

static char dir[] = "/tmp/poolmap-forms-XXXXXX";
static int captured = -1;

static void begin(void)
{
	cr_assert(mkdtemp(dir) && chdir(dir) == 0);
	captured = memfd_create("stderr", MFD_CLOEXEC);
	cr_assert(captured >= 0 && dup2(captured, STDERR_FILENO) >= 0);
}

static int remove_one(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void end(void)
{
	cr_assert_eq(chdir("/"), 0);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* One timeout for all: Criterion leaks timers of tests in parallel whose timeouts
 * differ, and the leak checker of a sanitized build then fails the whole file. */
TestSuite(input_forms, .init = begin, .fini = end, .timeout = 60);

static const char *said(void)
{
	static char text[8192];
	ssize_t n = pread(captured, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void put_file(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(name, "w");
	cr_assert(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

static void put_text(const char *name, const char *text)
{
	put_file(name, text, strlen(text));
}

static struct input *open_one(const char *name)
{
	struct input *in = NULL;
	int code = input_open(&in, &name, 1);
	cr_assert_eq(code, 0, "%s: %d: %s", name, code, said());
	return in;
}

/* Read until the input does not give a line.  Each line is written as "<line>",
 * one that is no job as "!why!". */
static enum input_step collect(struct input *in, struct buf *out)
{
	const char *line;
	size_t len;
	bool too_long;
	enum input_step step;
	while ((step = input_next(in, &line, &len, &too_long)) == INPUT_LINE) {
		if (too_long) {
			buf_puts(out, "!");
			buf_put(out, line, len);
			buf_puts(out, "!");
		} else {
			buf_puts(out, "<");
			buf_put(out, line, len);
			buf_puts(out, ">");
		}
	}
	return step;
}

static void gives(struct input *in, enum input_step step, const char *lines)
{
	struct buf out = {0};
	enum input_step got = collect(in, &out);
	cr_assert_str_eq(buf_text(&out), lines);
	cr_assert_eq(got, step, "%s: step %d, not %d", lines, got, step);
	buf_fini(&out);
}

/* A gzip file of one member. */
static void put_gzip(const char *name, const char *mode, const void *bytes, size_t len)
{
	gzFile f = gzopen(name, mode);
	cr_assert(f && gzwrite(f, bytes, (unsigned)len) == (int)len);
	cr_assert_eq(gzclose(f), Z_OK);
}

static int pipe_in(void)
{
	int ends[2];
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	return ends[1];
}

static void feed(int fd, const void *bytes, size_t len)
{
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
}

static size_t load(const char *name, char *bytes, size_t size)
{
	FILE *f = fopen(name, "r");
	cr_assert_not_null(f);
	size_t len = fread(bytes, 1, size, f);
	fclose(f);
	return len;
}

/* --------------------------------------------------------------------- gzip */

Test(input_forms, reads_what_is_in_a_gzip_file, .timeout = 60)
{
	put_gzip("jobs", "w", "\xef\xbb\xbfhttp://a/\r\n#\n\nb", 18);
	struct input *in = open_one("jobs");
	cr_assert(input_regular(in));
	for (int round = 0; round < 2; round++) {
		gives(in, INPUT_END, "<http://a/><b>");
		cr_assert_eq(input_index(in), 1);
		cr_assert_eq(input_rewind(in), 0);
	}
	input_close(in);
}

Test(input_forms, reads_members_that_follow_each_other, .timeout = 60)
{
	put_gzip("jobs", "w", "a\nb", 3);
	put_gzip("jobs", "a", "", 0);
	put_gzip("jobs", "a", "c\nd\n", 4);
	struct input *in = open_one("jobs");
	gives(in, INPUT_END, "<a><bc><d>");
	input_close(in);
}

Test(input_forms, mixes_files_of_all_forms, .timeout = 60)
{
	static const char *const names[] = {"one", "two", "three", "two"};
	put_text("one", "a");
	put_gzip("two", "w", "b\n", 2);
	put_text("three", "\x1f");
	struct input *in = NULL;
	cr_assert_eq(input_open(&in, names, 4), 0);
	gives(in, INPUT_END, "<a><b><\x1f><b>");
	input_close(in);
}

/* One byte at a time: what is there is given, before the rest comes. */
Test(input_forms, reads_gzip_from_a_pipe_as_it_comes, .timeout = 60)
{
	char raw[512];
	put_gzip("jobs", "w", "http://a/\nhttp://b/\nlast", 24);
	size_t len = load("jobs", raw, sizeof raw);
	int fd = pipe_in();
	struct input *in = open_one("-");
	struct buf out = {0};
	for (size_t i = 0; i < len; i++) {
		feed(fd, raw + i, 1);
		cr_assert_eq(collect(in, &out), INPUT_WAIT);
		cr_assert_eq(input_fd(in), STDIN_FILENO);
	}
	cr_assert_str_eq(buf_text(&out), "<http://a/><http://b/>");
	close(fd);
	gives(in, INPUT_END, "<last>");
	buf_fini(&out);
	input_close(in);
}

Test(input_forms, says_which_gzip_file_is_cut_off, .timeout = 60)
{
	char raw[512];
	put_gzip("jobs", "w", "a\nb\n", 4);
	size_t len = load("jobs", raw, sizeof raw);
	put_file("cut", raw, len - 1);
	struct input *in = open_one("cut");
	struct buf out = {0};
	cr_assert_eq(collect(in, &out), INPUT_ERROR);
	cr_assert_eq(collect(in, &out), INPUT_ERROR);
	char want[128];
	snprintf(want, sizeof want,
		"poolmap: cut: cannot be read on at byte %zu: the compressed data end "
		"too early; is the file whole?\n",
		len - 1);
	cr_assert_str_eq(said(), want);
	buf_fini(&out);
	input_close(in);
}

Test(input_forms, says_which_gzip_file_is_damaged, .timeout = 60)
{
	char raw[512];
	put_gzip("jobs", "w", "a\nb\n", 4);
	size_t len = load("jobs", raw, sizeof raw);
	raw[len - 6] = (char)(raw[len - 6] ^ 1); /* of the sum */
	put_file("bad", raw, len);
	struct input *in = open_one("bad");
	struct buf out = {0};
	cr_assert_eq(collect(in, &out), INPUT_ERROR);
	cr_assert(strstr(said(), "poolmap: bad: damaged gzip data before byte"), "%s",
		said());
	buf_fini(&out);
	input_close(in);
}

Test(input_forms, takes_gzip_inside_of_gzip_for_text, .timeout = 60)
{
	char raw[512];
	put_gzip("inner", "w", "a\n", 2);
	size_t len = load("inner", raw, sizeof raw);
	put_gzip("jobs", "w", raw, len);
	struct input *in = open_one("jobs");
	struct buf out = {0};
	cr_assert_eq(collect(in, &out), INPUT_END);
	cr_assert_eq(memcmp(out.data, "<\x1f\x8b", 3), 0);
	buf_fini(&out);
	input_close(in);
}

/* 32 MiB in 32 KiB; it is a line that is too long, and no more. */
Test(input_forms, is_not_filled_by_a_bomb, .timeout = 60)
{
	enum { MANY = 32, PART = 1 << 20 };
	char *zeros = calloc(PART, 1);
	gzFile f = gzopen("jobs", "w1");
	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(gzwrite(f, zeros, PART), PART);
	}
	gzputs(f, "\nlast\n");
	cr_assert_eq(gzclose(f), Z_OK);
	free(zeros);
	struct input *in = open_one("jobs");
	gives(in, INPUT_END, "!!<last>");
	input_close(in);
}

/* ------------------------------------------------------------------- tables */

static struct input *open_table(const char *name, bool csv, const char *url_column)
{
	struct input *in = open_one(name);
	int code = input_as_table(in, csv ? ',' : '\t', csv, url_column);
	cr_assert_eq(code, 0, "%d: %s", code, said());
	return in;
}

static void refused_table(
	const char *text, const char *url_column, int code, const char *message)
{
	put_text("jobs", text);
	struct input *in = open_one("jobs");
	cr_assert_eq(input_as_table(in, ',', true, url_column), code);
	input_close(in);
	cr_assert_str_eq(said(), message);
}

Test(input_forms, reads_rows_by_the_names_of_columns, .timeout = 60)
{
	put_text("jobs", "\xef\xbb\xbfid,url\r\n"
			 "1,http://a/\r\n"
			 "\r\n"
			 "#2,\"http://b/\"\r\n"
			 "\"x\ny\",http://c/");
	struct input *in = open_table("jobs", true, "url");
	for (int round = 0; round < 2; round++) {
		gives(in, INPUT_END,
			"<{\"meta\":{\"id\":\"1\"},\"url\":\"http://a/\"}>"
			"<{\"meta\":{\"id\":\"#2\"},\"url\":\"http://b/\"}>"
			"<{\"meta\":{\"id\":\"x\\ny\"},\"url\":\"http://c/\"}>");
		cr_assert_eq(input_index(in), 2);
		cr_assert_eq(input_rewind(in), 0);
	}
	input_close(in);
}

Test(input_forms, reads_rows_by_numbers_and_tabs, .timeout = 60)
{
	put_text("jobs", "http://a/\t\"b\n\t\nhttp://c/\n");
	struct input *in = open_table("jobs", false, "1");
	gives(in, INPUT_END,
		"<{\"meta\":{\"2\":\"\\\"b\"},\"url\":\"http://a/\"}>"
		"<{\"url\":\"http://c/\"}>");
	input_close(in);
}

/* Each file has names of its own. */
Test(input_forms, reads_tables_one_after_the_other, .timeout = 60)
{
	static const char *const names[] = {"one", "two"};
	put_gzip("one", "w", "a,url\n1,http://a/\n", 18);
	put_text("two", "url,b\nhttp://b/,2\n");
	struct input *in = NULL;
	cr_assert_eq(input_open(&in, names, 2), 0);
	cr_assert_eq(input_as_table(in, ',', true, "url"), 0);
	gives(in, INPUT_END,
		"<{\"meta\":{\"a\":\"1\"},\"url\":\"http://a/\"}>"
		"<{\"meta\":{\"b\":\"2\"},\"url\":\"http://b/\"}>");
	input_close(in);
}

Test(input_forms, gives_bad_rows_with_the_line_they_begin_in, .timeout = 60)
{
	put_text("jobs", "url,x\n"
			 "http://a/,\"1\n2\n3\"\n"
			 ",4\n"
			 "http://b/,1,2\n"
			 "http://c/,\"y\" \n"
			 "\xff,\n"
			 "http://d/,\"\n\n");
	struct input *in = open_table("jobs", true, "url");
	gives(in, INPUT_END,
		"<{\"meta\":{\"x\":\"1\\n2\\n3\"},\"url\":\"http://a/\"}>"
		"!line 5: no URL in column url!"
		"!line 6: more than the 2 columns of the first line!"
		"!line 7: text behind a closing quote; a quote inside of quotes is "
		"written twice!"
		"!line 8: not UTF-8; convert the file with iconv!"
		"!line 9: a quote that is not closed!");
	cr_assert_eq(input_line_number(in), 9);
	cr_assert_eq(input_index(in), 5);
	input_close(in);
}

/* A quote that is missing costs a MiB, not the rest of the file. */
Test(input_forms, ends_a_row_that_is_too_long_with_its_line, .timeout = 60)
{
	struct buf text = {0}, want = {0};
	buf_puts(&text, "url\nhttp://a/\n\"http://b/\n");
	size_t from = text.len - 11;
	while (text.len <= from + JOB_LINE_MAX + 1) {
		buf_puts(&text, "http://c/\n");
	}
	buf_puts(&text, "http://d/\n");
	buf_puts(&want, "<{\"url\":\"http://a/\"}>!!");
	buf_puts(&want, "<{\"url\":\"http://d/\"}>");
	put_file("jobs", text.data, text.len);
	struct input *in = open_table("jobs", true, "url");
	gives(in, INPUT_END, buf_text(&want));
	cr_assert_eq(input_rewind(in), 0);
	gives(in, INPUT_END, buf_text(&want));
	input_close(in);
	buf_fini(&text);
	buf_fini(&want);
}

Test(input_forms, counts_a_row_whose_job_is_too_long_as_one, .timeout = 60)
{
	struct buf text = {0};
	buf_puts(&text, "url,x\nhttp://a/,");
	for (int i = 0; i < JOB_LINE_MAX / 2; i++) {
		buf_puts(&text, "\x01");
	}
	buf_puts(&text, "\nhttp://b/\n");
	put_file("jobs", text.data, text.len);
	struct input *in = open_table("jobs", true, "url");
	gives(in, INPUT_END, "!!<{\"url\":\"http://b/\"}>");
	input_close(in);
	buf_fini(&text);
}

Test(input_forms, refuses_names_that_make_no_sense, .timeout = 60)
{
	refused_table("\na,b\n1,2\n", "url", EXIT_INPUT,
		"poolmap: jobs:2: the names of the columns: no column is named \"url\" "
		"(the first one is \"a\"); say which with --url-column\n");
}

Test(input_forms, refuses_a_number_that_is_no_column, .timeout = 60)
{
	refused_table("http://a/\n", "0", EXIT_USAGE,
		"poolmap: --url-column: 0: out of range, 1 to 4096\n");
}

Test(input_forms, takes_an_empty_table, .timeout = 60)
{
	put_text("jobs", "");
	struct input *in = open_table("jobs", true, "url");
	gives(in, INPUT_END, "");
	input_close(in);
	put_text("jobs", "url\n");
	in = open_table("jobs", true, "url");
	gives(in, INPUT_END, "");
	input_close(in);
}

Test(input_forms, reads_a_table_from_a_pipe, .timeout = 60)
{
	int fd = pipe_in();
	struct input *in = open_table("-", true, "url");
	gives(in, INPUT_WAIT, "");
	feed(fd, "url,x\nhttp://a/,\"", 17);
	gives(in, INPUT_WAIT, "");
	feed(fd, "1\n", 2);
	gives(in, INPUT_WAIT, "");
	feed(fd, "\"\n", 2);
	gives(in, INPUT_WAIT, "<{\"meta\":{\"x\":\"1\\n\"},\"url\":\"http://a/\"}>");
	close(fd);
	gives(in, INPUT_END, "");
	input_close(in);
}

Test(input_forms, refuses_names_from_a_pipe_when_they_come, .timeout = 60)
{
	int fd = pipe_in();
	struct input *in = open_table("-", true, "url");
	feed(fd, "a\n", 2);
	gives(in, INPUT_ERROR, "");
	cr_assert(strstr(said(), "poolmap: standard input:1: the names"), "%s", said());
	input_close(in);
	close(fd);
}

/* Rows of noise, compressed and not, in a file and in pieces: the same jobs. */
Test(input_forms, gives_the_same_rows_however_they_arrive, .timeout = 60)
{
	unsigned seed = 20261120;
	for (int round = 0; round < 400; round++) {
		struct buf text = {0}, plain = {0}, packed = {0}, pieces = {0};
		buf_puts(&text, "url,x\n");
		for (int i = rand_r(&seed) % 60; i > 0; i--) {
			static const char *const units[] = {"\n", "\r\n", "\"", "\"\"",
				",", "http://a/", "x", "\xff", " ", "\",\""};
			buf_puts(&text, units[rand_r(&seed) % 10]);
		}
		put_file("jobs", text.data, text.len);
		put_gzip("packed", "w", text.data, text.len);
		struct input *in = open_table("jobs", true, "url");
		cr_assert_eq(collect(in, &plain), INPUT_END);
		input_close(in);
		in = open_table("packed", true, "url");
		cr_assert_eq(collect(in, &packed), INPUT_END);
		input_close(in);
		int fd = pipe_in();
		in = open_table("-", true, "url");
		for (size_t at = 0; at < text.len;) {
			size_t n = 1 + (size_t)rand_r(&seed) % 9;
			n = n < text.len - at ? n : text.len - at;
			feed(fd, text.data + at, n);
			at += n;
			cr_assert_eq(collect(in, &pieces), INPUT_WAIT);
		}
		close(fd);
		cr_assert_eq(collect(in, &pieces), INPUT_END);
		input_close(in);
		cr_assert_str_eq(
			buf_text(&plain), buf_text(&packed), "round %d", round);
		cr_assert_str_eq(
			buf_text(&plain), buf_text(&pieces), "round %d", round);
		buf_fini(&text);
		buf_fini(&plain);
		buf_fini(&packed);
		buf_fini(&pieces);
	}
}
