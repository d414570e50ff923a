/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/input: job files as a stream of lines.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "master/cli/input.h"
#include "master/cli/message.h"

/* ------------------------------------------------------------------ a place */

static char dir[] = "/tmp/poolmap-input-XXXXXX";
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
TestSuite(input, .init = begin, .fini = end, .timeout = 60);

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

static void refused(const char *name, int code, const char *message)
{
	struct input *in = NULL;
	cr_assert_eq(input_open(&in, &name, 1), code, "%s", name);
	cr_assert_null(in);
	cr_assert_str_eq(said(), message);
}

/* Read until the input does not give a line.  Each line is written as "<line>"
 * or "!" for one that is too long. */
static enum input_step collect(struct input *in, struct buf *out)
{
	const char *line;
	size_t len;
	bool too_long;
	enum input_step step;
	while ((step = input_next(in, &line, &len, &too_long)) == INPUT_LINE) {
		if (too_long) {
			cr_assert_eq(len, 0);
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

/* The content of a file gives these lines. */
static void file_gives(const char *text, const char *lines)
{
	put_text("jobs", text);
	struct input *in = open_one("jobs");
	gives(in, INPUT_END, lines);
	gives(in, INPUT_END, "");
	input_close(in);
}

/* -------------------------------------------------------------------- turns */

/* Ask until something else than INPUT_AGAIN comes. */
static enum input_step try_all(struct input *in, size_t *again_ct)
{
	const char *line;
	size_t len;
	bool bad;
	enum input_step step;
	*again_ct = 0;
	while ((step = input_try(in, &line, &len, &bad)) == INPUT_AGAIN) {
		++*again_ct;
	}
	return step;
}

/* A comment of so many blocks, which is a hole in the file. */
static void put_hole(const char *name, size_t blocks)
{
	put_text(name, "#");
	cr_assert_eq(truncate(name, (off_t)blocks * INPUT_BLOCK), 0);
	FILE *f = fopen(name, "a");
	cr_assert(f && fputs("\nhttp://a/\n", f) >= 0 && fclose(f) == 0);
}

Test(input, gives_others_their_turn_in_a_long_comment, .timeout = 60)
{
	size_t ct;
	put_hole("jobs", INPUT_READS_MAX * 10);
	struct input *in = open_one("jobs");
	cr_assert_eq(try_all(in, &ct), INPUT_LINE);
	cr_assert_eq(ct, 10);
	cr_assert_eq(try_all(in, &ct), INPUT_END);
	cr_assert_eq(input_rewind(in), 0);
	gives(in, INPUT_END, "<http://a/>"); /* which never says it */
	input_close(in);
}

/* However the blocks are shared out between lines and files. */
Test(input, gives_others_their_turn_between_lines, .timeout = 60)
{
	const char *names[INPUT_READS_MAX];
	struct input *in = NULL;
	size_t ct, all = 0;
	put_hole("jobs", 1);
	for (size_t i = 0; i < INPUT_READS_MAX; i++) {
		names[i] = "jobs";
	}
	cr_assert_eq(input_open(&in, names, INPUT_READS_MAX), 0, "%s", said());
	while (try_all(in, &ct) == INPUT_LINE) {
		all += ct;
	}
	cr_assert_geq(all, 1);
	input_close(in);
}

/* -------------------------------------------------------------------- lines */

Test(input, splits_at_lf_and_at_crlf, .timeout = 60)
{
	file_gives("http://a/\nhttp://b/\n", "<http://a/><http://b/>");
	file_gives("http://a/\r\nhttp://b/\r\n", "<http://a/><http://b/>");
	file_gives("a\r\r\nb\rc\n", "<a\r><b\rc>");
}

Test(input, counts_a_last_line_without_line_end, .timeout = 60)
{
	file_gives("a\nb", "<a><b>");
	file_gives("a\nb\r", "<a><b>");
	file_gives("x", "<x>");
}

Test(input, gives_nothing_for_an_empty_file, .timeout = 60)
{
	file_gives("", "");
	file_gives("\n", "");
	file_gives("\xef\xbb\xbf", "");
	file_gives("\xef\xbb\xbf\n", "");
}

Test(input, skips_a_byte_order_mark, .timeout = 60)
{
	file_gives("\xef\xbb\xbfhttp://a/\n", "<http://a/>");
	file_gives("\xef\xbb\xbf# c\n\xef\xbb\xbfx\n", "<\xef\xbb\xbfx>");
	file_gives("\xef\xbb\n", "<\xef\xbb>");
	file_gives("\xef", "<\xef>");
	file_gives("\n\xef\xbb\xbfx", "<\xef\xbb\xbfx>");
}

Test(input, skips_blank_lines_and_comments, .timeout = 60)
{
	file_gives("\n \t\n\r\n#x\n#\n  \r\n#y\r\na\n #b\n\t\n", "<a>< #b>");
	file_gives("# only", "");
}

Test(input, hands_on_nul_bytes, .timeout = 60)
{
	put_file("jobs", "a\0b\n\0\nc", 7);
	struct input *in = open_one("jobs");
	const char *line;
	size_t len;
	bool too_long;
	cr_assert_eq(input_next(in, &line, &len, &too_long), INPUT_LINE);
	cr_assert(len == 3 && memcmp(line, "a\0b", 3) == 0);
	cr_assert_eq(input_next(in, &line, &len, &too_long), INPUT_LINE);
	cr_assert(len == 1 && line[0] == '\0');
	gives(in, INPUT_END, "<c>");
	input_close(in);
}

Test(input, numbers_jobs_over_all_files_and_lines_in_each, .timeout = 60)
{
	static const char *const names[] = {"one", "two"};
	static const struct {
		uint64_t index, number;
		const char *name, *line;
	} want[] = {
		{0, 2, "one", "a"},
		{1, 4, "one", "b"},
		{2, 1, "two", "c"},
		{3, 3, "two", "d"},
	};
	put_text("one", "#\na\n\nb");
	put_text("two", "\xef\xbb\xbf"
			"c\n\nd\n");
	struct input *in;
	cr_assert_eq(input_open(&in, names, 2), 0);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 4; i++) {
			const char *line;
			size_t len;
			bool too_long;
			cr_assert_eq(
				input_next(in, &line, &len, &too_long), INPUT_LINE);
			cr_assert(len == 1 && line[0] == want[i].line[0]);
			cr_assert_eq(input_index(in), want[i].index);
			cr_assert_eq(input_line_number(in), want[i].number);
			cr_assert_str_eq(input_name(in), want[i].name);
			cr_assert_eq(input_fd(in), -1);
		}
		gives(in, INPUT_END, "");
		cr_assert_eq(input_rewind(in), 0);
	}
	input_close(in);
}

/* --------------------------------------------------------------- long lines */

/* "a", then a line of `len` times `fill` with `line_end`, then "z". */
static void long_line(size_t len, char fill, const char *line_end, const char *lines)
{
	struct buf text = {0};
	cr_assert_eq(buf_reserve(&text, len + 16), 0);
	buf_puts(&text, "a\n");
	memset(text.data + text.len, fill, len);
	text.len += len;
	buf_puts(&text, line_end);
	buf_puts(&text, *line_end ? "z\n" : "");
	put_file("jobs", text.data, text.len);
	struct input *in = open_one("jobs");
	struct buf out = {0};
	cr_assert_eq(collect(in, &out), INPUT_END);
	if (lines) {
		cr_assert_str_eq(buf_text(&out), lines, "%zu of %d", len, fill);
	} else {
		cr_assert_eq(out.len, 3 + 2 + len + (*line_end ? 3 : 0), "%zu", len);
		cr_assert_eq(memchr(out.data, '!', out.len), NULL);
	}
	input_close(in);
	buf_fini(&text);
	buf_fini(&out);
}

Test(input, takes_lines_up_to_the_limit, .timeout = 60)
{
	static const char *const ends[] = {"\n", "\r\n", "", "\r"};
	for (size_t i = 0; i < 4; i++) {
		for (size_t len = JOB_LINE_MAX - 2; len <= JOB_LINE_MAX; len++) {
			if (strcmp(ends[i], "\r") != 0) {
				long_line(len, 'x', ends[i], NULL);
			}
		}
		for (size_t len = JOB_LINE_MAX + 1; len < JOB_LINE_MAX + 4; len++) {
			bool last = !strchr(ends[i], '\n');
			if (strcmp(ends[i], "\r") != 0) {
				long_line(len, 'x', ends[i], last ? "<a>!" : "<a>!<z>");
			}
		}
	}
}

/* A comment in front puts each end of the line at the edge of a block once. */
Test(input, takes_a_line_at_the_limit_wherever_blocks_end, .timeout = 60)
{
	struct buf text = {0};
	for (size_t pad = INPUT_BLOCK - 5; pad < INPUT_BLOCK + 2; pad++) {
		for (size_t over = 0; over < 2; over++) {
			size_t len = JOB_LINE_MAX + over;
			buf_clear(&text);
			cr_assert_eq(buf_reserve(&text, pad + len), 0);
			memset(text.data, '#', pad);
			memset(text.data + pad, 'x', len);
			text.data[pad - 1] = '\n';
			text.len = pad + len;
			buf_puts(&text, "\r\nz");
			put_file("jobs", text.data, text.len);
			struct input *in = open_one("jobs");
			struct buf out = {0};
			cr_assert_eq(collect(in, &out), INPUT_END);
			cr_assert_eq(
				out.len, over ? 4 : len + 5, "%zu, %zu", pad, over);
			input_close(in);
			buf_fini(&out);
		}
	}
	buf_fini(&text);
}

Test(input, reports_a_line_that_is_too_long_once, .timeout = 60)
{
	long_line(2u << 20, 'x', "\n", "<a>!<z>");
	long_line(2u << 20, 'x', "", "<a>!");
	long_line(2u << 20, ' ', "\r\n", "<a>!<z>");
	long_line(2u << 20, '\0', "\n", "<a>!<z>");
	long_line((20u << 20) + 7, 'y', "\n", "<a>!<z>");
}

Test(input, skips_a_comment_of_any_length, .timeout = 60)
{
	long_line(5u << 20, '#', "\n", "<a><z>");
	long_line(JOB_LINE_MAX + 1, '#', "\n", "<a><z>");
	long_line(5u << 20, '#', "", "<a>");
}

Test(input, counts_a_line_that_is_too_long_as_one, .timeout = 60)
{
	struct buf text = {0};
	cr_assert_eq(buf_reserve(&text, 8u << 20), 0);
	memset(text.data, 'x', 4u << 20);
	text.len = 4u << 20;
	buf_puts(&text, "\nz\n");
	put_file("jobs", text.data, text.len);
	struct input *in = open_one("jobs");
	const char *line;
	size_t len;
	bool too_long;
	cr_assert_eq(input_next(in, &line, &len, &too_long), INPUT_LINE);
	cr_assert(too_long && len == 0 && input_line_number(in) == 1);
	cr_assert_eq(input_next(in, &line, &len, &too_long), INPUT_LINE);
	cr_assert(!too_long && len == 1 && input_line_number(in) == 2);
	cr_assert_eq(input_index(in), 1);
	input_close(in);
	buf_fini(&text);
}

/* ---------------------------------------------------------------- bad files */

Test(input, refuses_a_missing_file, .timeout = 60)
{
	refused("nowhere", EXIT_INPUT, "poolmap: nowhere: No such file or directory\n");
}

Test(input, refuses_an_empty_name, .timeout = 60)
{
	refused("", EXIT_INPUT, "poolmap: : No such file or directory\n");
}

Test(input, refuses_a_directory, .timeout = 60)
{
	refused(".", EXIT_INPUT, "poolmap: .: is a directory, not a job file\n");
}

Test(input, refuses_a_path_through_a_file, .timeout = 60)
{
	put_text("file", "x\n");
	refused("file/jobs", EXIT_INPUT, "poolmap: file/jobs: Not a directory\n");
}

Test(input, refuses_a_symlink_loop, .timeout = 60)
{
	cr_assert_eq(symlink("loop", "loop"), 0);
	refused("loop", EXIT_INPUT,
		"poolmap: loop: Too many levels of symbolic links\n");
}

Test(input, refuses_a_socket_in_the_file_system, .timeout = 60)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	refused("sock", EXIT_INPUT, "poolmap: sock: No such device or address\n");
	close(fd);
}

Test(input, refuses_utf16_of_both_byte_orders, .timeout = 60)
{
	put_file("le", "\xff\xfeh\0t\0", 6);
	put_file("be", "\xfe\xff\0h\0t", 6);
	refused("le", EXIT_INPUT,
		"poolmap: le: looks like UTF-16; convert it with iconv\n");
	cr_assert_eq(ftruncate(captured, 0), 0);
	cr_assert_eq(lseek(captured, 0, SEEK_SET), 0);
	refused("be", EXIT_INPUT,
		"poolmap: be: looks like UTF-16; convert it with iconv\n");
	file_gives("\xff\nx", "<\xff><x>");
}

Test(input, checks_every_file_before_the_first_line, .timeout = 60)
{
	static const char *const names[] = {"good", "nowhere"};
	struct input *in = NULL;
	put_text("good", "a\n");
	cr_assert_eq(input_open(&in, names, 2), EXIT_INPUT);
	cr_assert_null(in);
	cr_assert_str_eq(said(), "poolmap: nowhere: No such file or directory\n");
}

Test(input, refuses_standard_input_given_twice, .timeout = 60)
{
	static const char *const names[] = {"-", "-"};
	struct input *in = NULL;
	cr_assert_eq(input_open(&in, names, 2), EXIT_USAGE);
	cr_assert_str_eq(said(), "poolmap: -: standard input can be read only once\n");
	cr_assert(fcntl(STDIN_FILENO, F_GETFD) >= 0, "it stays open");
}

Test(input, refuses_a_closed_standard_input, .timeout = 60)
{
	close(STDIN_FILENO);
	refused("-", EXIT_INPUT, "poolmap: standard input: Bad file descriptor\n");
}

Test(input, reports_a_read_error_once_with_its_place, .timeout = 60)
{
	/* A regular file that opens for reading but whose first page cannot be
	 * read: no such address in this process. */
	int fd = open("/proc/self/mem", O_RDONLY);
	cr_assert(fd >= 0);
	struct input *in = NULL;
	const char *name = "/proc/self/mem";
	int code = input_open(&in, &name, 1);
	cr_assert_eq(code, EXIT_INPUT);
	cr_assert_str_eq(said(), "poolmap: /proc/self/mem: Input/output error\n");
	close(fd);
}

Test(input, reports_an_error_in_the_middle_with_the_byte, .timeout = 60)
{
	/* A directory put under the descriptor of a file that was read in part. */
	size_t size = 3 * INPUT_BLOCK;
	char *text = malloc(size);
	memset(text, 'x', size);
	for (size_t i = 99; i < size; i += 100) {
		text[i] = '\n';
	}
	put_file("jobs", text, size);
	cr_assert_eq(dup2(open("jobs", O_RDONLY), STDIN_FILENO), STDIN_FILENO);
	struct input *in = open_one("-");
	const char *line;
	size_t len;
	bool too_long;
	cr_assert_eq(input_next(in, &line, &len, &too_long), INPUT_LINE);
	cr_assert_eq(dup2(open(".", O_RDONLY), STDIN_FILENO), STDIN_FILENO);
	struct buf out = {0};
	cr_assert_eq(collect(in, &out), INPUT_ERROR);
	cr_assert_eq(collect(in, &out), INPUT_ERROR);
	char expect[128];
	snprintf(expect, sizeof expect,
		"poolmap: standard input: cannot be read on at byte %d: Is a "
		"directory\n",
		INPUT_BLOCK);
	cr_assert_str_eq(said(), expect);
	input_close(in);
	buf_fini(&out);
	free(text);
}

/* ------------------------------------------------ files that change meanwhile */

/* Three blocks: a line `first`, and nothing but line ends. */
static void put_large(const char *name, const char *first)
{
	size_t size = 3 * INPUT_BLOCK;
	char *text = malloc(size);
	cr_assert_not_null(text);
	memset(text, '\n', size);
	memcpy(text, first, strlen(first));
	put_file(name, text, size);
	free(text);
}

/* Large files are open, and not read to their end. */
static struct input *open_large(void)
{
	const char *line;
	size_t len;
	bool too_long;
	put_large("jobs", "first");
	struct input *in = open_one("jobs");
	cr_assert_eq(input_pin(in), 0);
	cr_assert_eq(input_next(in, &line, &len, &too_long), INPUT_LINE);
	return in;
}

static void append(const char *name, const char *text)
{
	FILE *f = fopen(name, "a");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void says(const char *words)
{
	cr_assert(strstr(said(), words), "\"%s\" is not in: %s", words, said());
}

Test(input, stops_where_a_file_was_cut_short_during_the_run, .timeout = 60)
{
	struct input *in = open_large();
	cr_assert_eq(truncate("jobs", INPUT_BLOCK + 1), 0);
	gives(in, INPUT_ERROR, "");
	says("poolmap: jobs: cannot be read on at byte 262145: it was cut short during "
	     "the run\n");
	input_close(in);
}

Test(input, stops_where_a_file_was_replaced_during_the_run, .timeout = 60)
{
	struct input *in = open_large();
	put_large("new", "other");
	cr_assert_eq(rename("new", "jobs"), 0);
	gives(in, INPUT_ERROR, "");
	says("another file has taken its place during the run");
	input_close(in);
}

Test(input, stops_at_the_end_of_a_file_that_was_edited_during_the_run, .timeout = 60)
{
	struct input *in = open_large();
	int fd = open("jobs", O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "changed", 7, 2 * INPUT_BLOCK + 5), 7);
	close(fd);
	gives(in, INPUT_ERROR, "<changed>");
	says("it was edited during the run");
	input_close(in);
}

Test(input, does_not_mind_what_changes_behind_it, .timeout = 60)
{
	struct input *in = open_large();
	int fd = open("jobs", O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "gone ", 5, 0), 5);
	cr_assert_eq(futimens(fd, NULL), 0);
	close(fd);
	gives(in, INPUT_END, "");
	cr_assert_str_eq(said(), "");
	cr_assert_eq(input_rewind(in), 0); /* but would now */
	gives(in, INPUT_ERROR, "<gone >");
	input_close(in);
}

Test(input, reads_on_in_a_file_that_has_vanished, .timeout = 60)
{
	struct input *in = open_large();
	cr_assert_eq(unlink("jobs"), 0);
	gives(in, INPUT_END, "");
	cr_assert_str_eq(said(), "");
	input_close(in);
}

Test(input, leaves_out_what_a_file_grew_by_during_the_run, .timeout = 60)
{
	static const char *const starts[] = {"a\nb\n", "a\nb"};
	for (size_t i = 0; i < 2; i++) {
		put_text("jobs", starts[i]);
		struct input *in = open_one("jobs");
		append("jobs", i ? "\nc\n" : "c\n");
		gives(in, INPUT_END, "<a><b>");
		says(i ? "jobs: has grown from 3 to 6 bytes during the run; what was "
			 "added is left out\n"
		       : "jobs: has grown from 4 to 6 bytes");
		input_close(in);
	}
}

/* Whoever writes it had not got further when the run began. */
Test(input, takes_no_half_of_a_line_that_grew_during_the_run, .timeout = 60)
{
	put_text("jobs", "a\nhttp://h/1");
	struct input *in = open_one("jobs");
	append("jobs", "23\n");
	gives(in, INPUT_ERROR, "<a>");
	says("its last line was not complete at the start of the run");
	input_close(in);
}

Test(input, knows_the_bytes_of_its_files, .timeout = 60)
{
	/* of "abc", and of nothing: FIPS 180-2 and the like */
	static const char abc[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char none[] =
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	static const char *const names[] = {"one", "two"};
	char sha256[DIGEST_HEX_LEN + 1];
	struct input *in;
	put_text("one", "abc");
	put_text("two", "");
	cr_assert_eq(input_open(&in, names, 2), 0);
	cr_assert_eq(input_pin(in), 0);
	cr_assert_eq(input_file_ct(in), 2);
	cr_assert_str_eq(input_file(in, 0).sha256, abc);
	cr_assert_eq(input_file(in, 0).bytes, 3);
	cr_assert_str_eq(input_file(in, 0).path, "one");
	cr_assert_str_eq(input_file(in, 1).sha256, none);
	cr_assert_eq(input_file(in, 1).bytes, 0);
	append("one", "\ndef");
	cr_assert_eq(input_digest(in, 0, 3, sha256), 0);
	cr_assert_str_eq(sha256, abc);
	append("two", "later\n");
	gives(in, INPUT_END, "<abc>");
	input_close(in);
}

/* -------------------------------------------------------------------- pipes */

/* Standard input is a pipe; returns its writing end. */
static int pipe_in(void)
{
	int ends[2];
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	return ends[1];
}

static void feed(int fd, const char *text)
{
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

Test(input, gives_the_first_line_before_the_second_arrives, .timeout = 60)
{
	int fd = pipe_in();
	struct input *in = open_one("-");
	cr_assert(!input_regular(in));
	gives(in, INPUT_WAIT, "");
	cr_assert_eq(input_fd(in), STDIN_FILENO);
	feed(fd, "http://a/\nhttp:");
	gives(in, INPUT_WAIT, "<http://a/>");
	gives(in, INPUT_WAIT, "");
	feed(fd, "//b/");
	gives(in, INPUT_WAIT, "");
	feed(fd, "\n");
	gives(in, INPUT_WAIT, "<http://b/>");
	feed(fd, "last");
	close(fd);
	gives(in, INPUT_END, "<last>");
	cr_assert_eq(input_fd(in), -1);
	input_close(in);
}

Test(input, leaves_the_flags_of_standard_input_alone, .timeout = 60)
{
	int fd = pipe_in();
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	struct input *in = open_one("-");
	gives(in, INPUT_WAIT, "");
	cr_assert_eq(fcntl(STDIN_FILENO, F_GETFL), flags);
	cr_assert(!(flags & O_NONBLOCK));
	input_close(in);
	cr_assert(fcntl(STDIN_FILENO, F_GETFL) == flags, "it stays open");
	close(fd);
}

Test(input, waits_on_a_descriptor_that_is_nonblocking_already, .timeout = 60)
{
	int fd = pipe_in();
	cr_assert_eq(fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK), 0);
	struct input *in = open_one("-");
	gives(in, INPUT_WAIT, "");
	feed(fd, "a\n");
	gives(in, INPUT_WAIT, "<a>");
	close(fd);
	gives(in, INPUT_END, "");
	input_close(in);
}

Test(input, finds_a_byte_order_mark_that_comes_in_pieces, .timeout = 60)
{
	static const char *const pieces[] = {"\xef", "\xbb", "\xbf", "a", "\r", "\n"};
	int fd = pipe_in();
	struct input *in = open_one("-");
	for (size_t i = 0; i < 6; i++) {
		feed(fd, pieces[i]);
		gives(in, INPUT_WAIT, i == 5 ? "<a>" : "");
	}
	close(fd);
	gives(in, INPUT_END, "");
	input_close(in);
}

Test(input, refuses_utf16_from_a_pipe_when_it_arrives, .timeout = 60)
{
	int fd = pipe_in();
	struct input *in = open_one("-");
	feed(fd, "\xff");
	gives(in, INPUT_WAIT, "");
	feed(fd, "\xfe");
	gives(in, INPUT_ERROR, "");
	gives(in, INPUT_ERROR, "");
	cr_assert_str_eq(said(), "poolmap: standard input: looks like UTF-16; "
				 "convert it with iconv\n");
	input_close(in);
	close(fd);
}

Test(input, opens_a_fifo_that_has_no_writer_yet, .timeout = 60)
{
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	struct input *in = open_one("fifo");
	gives(in, INPUT_WAIT, "");
	gives(in, INPUT_WAIT, "");
	int fd = open("fifo", O_WRONLY | O_NONBLOCK);
	cr_assert(fd >= 0 && input_fd(in) >= 0);
	gives(in, INPUT_WAIT, "");
	feed(fd, "a\nb");
	gives(in, INPUT_WAIT, "<a>");
	close(fd);
	gives(in, INPUT_END, "<b>");
	input_close(in);
}

Test(input, goes_from_a_file_to_a_pipe_and_on, .timeout = 60)
{
	static const char *const names[] = {"one", "-", "two"};
	put_text("one", "a");
	put_text("two", "c");
	int fd = pipe_in();
	struct input *in;
	cr_assert_eq(input_open(&in, names, 3), 0);
	cr_assert(!input_regular(in));
	gives(in, INPUT_WAIT, "<a>");
	feed(fd, "b");
	close(fd);
	gives(in, INPUT_END, "<b><c>");
	input_close(in);
}

Test(input, reads_a_socket, .timeout = 60)
{
	int ends[2];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	struct input *in = open_one("-");
	gives(in, INPUT_WAIT, "");
	feed(ends[1], "a\nb\n");
	gives(in, INPUT_WAIT, "<a><b>");
	close(ends[1]);
	gives(in, INPUT_END, "");
	input_close(in);
}

Test(input, takes_dev_null_as_an_empty_list, .timeout = 60)
{
	struct input *in = open_one("/dev/null");
	gives(in, INPUT_END, "");
	cr_assert(!input_regular(in));
	input_close(in);
}

Test(input, starts_where_standard_input_stands, .timeout = 60)
{
	put_text("jobs", "a\nb\nc\n");
	cr_assert_eq(dup2(open("jobs", O_RDONLY), STDIN_FILENO), STDIN_FILENO);
	cr_assert_eq(lseek(STDIN_FILENO, 2, SEEK_SET), 2);
	struct input *in = open_one("-");
	cr_assert(input_regular(in));
	gives(in, INPUT_END, "<b><c>");
	cr_assert_eq(input_rewind(in), 0);
	gives(in, INPUT_END, "<b><c>");
	input_close(in);
}

/* --------------------------------------------------------------- many files */

enum { MANY = INPUT_OPEN_MAX + 10 };

static struct input *open_many(void)
{
	static char names[MANY][16];
	static const char *paths[MANY];
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof names[i], "f%d", i);
		put_text(names[i], "x");
		paths[i] = names[i];
	}
	struct input *in = NULL;
	cr_assert_eq(input_open(&in, paths, MANY), 0, "%s", said());
	return in;
}

static int open_ct(void)
{
	int ct = 0;
	for (int fd = 0; fd < 1024; fd++) {
		ct += fcntl(fd, F_GETFD) >= 0;
	}
	return ct;
}

Test(input, opens_many_files_one_at_a_time, .timeout = 60)
{
	int before = open_ct();
	struct input *in = open_many();
	cr_assert_leq(open_ct(), before + 1);
	for (int round = 0; round < 2; round++) {
		struct buf out = {0};
		cr_assert_eq(collect(in, &out), INPUT_END);
		cr_assert_eq(out.len, MANY * 3);
		cr_assert_eq(input_rewind(in), 0);
		buf_fini(&out);
	}
	input_close(in);
	cr_assert_eq(open_ct(), before);
}

Test(input, reports_one_of_many_that_has_vanished, .timeout = 60)
{
	struct input *in = open_many();
	cr_assert_eq(unlink("f2"), 0);
	gives(in, INPUT_ERROR, "<x><x>");
	cr_assert_str_eq(said(), "poolmap: f2: No such file or directory\n");
	input_close(in);
}

Test(input, reports_one_of_many_that_was_replaced, .timeout = 60)
{
	struct input *in = open_many();
	put_text("new", "other\n");
	cr_assert_eq(rename("new", "f1"), 0);
	gives(in, INPUT_ERROR, "<x>");
	cr_assert_str_eq(
		said(), "poolmap: f1: was replaced by another file during the run\n");
	input_close(in);
}

Test(input, still_reads_one_of_few_that_has_vanished, .timeout = 60)
{
	static const char *const names[] = {"one", "two"};
	put_text("one", "a");
	put_text("two", "b");
	struct input *in;
	cr_assert_eq(input_open(&in, names, 2), 0);
	cr_assert_eq(unlink("two"), 0);
	gives(in, INPUT_END, "<a><b>");
	input_close(in);
}

Test(input, knows_its_files, .timeout = 60)
{
	struct stat st;
	put_text("jobs", "a");
	put_text("other", "a");
	cr_assert_eq(link("jobs", "again"), 0);
	struct input *in = open_one("jobs");
	cr_assert_eq(stat("again", &st), 0);
	cr_assert(input_has_file(in, st.st_dev, st.st_ino));
	cr_assert_eq(stat("other", &st), 0);
	cr_assert(!input_has_file(in, st.st_dev, st.st_ino));
	input_close(in);
}

/* ------------------------------------------------------------------- random */

/* The rules once more, over a whole text in memory. */
static void expect_lines(const char *text, size_t len, struct buf *out)
{
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	while (len) {
		const char *lf = memchr(text, '\n', len);
		size_t whole = lf ? (size_t)(lf - text) : len;
		size_t line = whole && text[whole - 1] == '\r' ? whole - 1 : whole;
		size_t blanks = 0;
		while (blanks < line && strchr(" \t\r", text[blanks]) && text[blanks]) {
			blanks++;
		}
		bool comment = whole && text[0] == '#';
		if (!comment && line > JOB_LINE_MAX) {
			buf_puts(out, "!");
		} else if (!comment && blanks < line) {
			buf_puts(out, "<");
			buf_put(out, text, line);
			buf_puts(out, ">");
		}
		whole += lf ? 1 : 0;
		text += whole;
		len -= whole;
	}
}

static void random_text(struct buf *text, unsigned *seed)
{
	static const char *const units[] = {"\n", "\n", "\r\n", "\r", " ", "\t", "#",
		"a", "http://b/", "\xef\xbb\xbf", "", "\n#"};
	size_t ct = (size_t)rand_r(seed) % 60;
	for (size_t i = 0; i < ct; i++) {
		unsigned pick = (unsigned)rand_r(seed) % 12;
		buf_puts(text, units[pick]);
		if (!*units[pick]) {
			buf_put(text, "", 1);
		}
		if (rand_r(seed) % 400 == 0) {
			size_t len = JOB_LINE_MAX - 3 + (size_t)rand_r(seed) % 8;
			cr_assert_eq(buf_reserve(text, len), 0);
			memset(text->data + text->len, "x #"[rand_r(seed) % 3], len);
			text->len += len;
		}
	}
}

/* Through a pipe in pieces, reading after each. */
static void collect_pieces(const struct buf *text, struct buf *out, unsigned *seed)
{
	int fd = pipe_in();
	struct input *in = open_one("-");
	size_t done = 0;
	while (done < text->len) {
		size_t piece =
			1 + (size_t)rand_r(seed) % (rand_r(seed) % 2 ? 9 : 65000);
		piece = piece < text->len - done ? piece : text->len - done;
		cr_assert_eq(write(fd, text->data + done, piece), (ssize_t)piece);
		done += piece;
		cr_assert_eq(collect(in, out), INPUT_WAIT);
	}
	close(fd);
	cr_assert_eq(collect(in, out), INPUT_END);
	input_close(in);
}

Test(input, gives_the_same_lines_however_they_arrive, .timeout = 60)
{
	unsigned seed = 20261120;
	for (int round = 0; round < 1500; round++) {
		struct buf text = {0}, want = {0}, file = {0}, pieces = {0};
		unsigned at = seed;
		random_text(&text, &seed);
		expect_lines(text.data, text.len, &want);
		put_file("jobs", text.data ? text.data : "", text.len);
		struct input *in = open_one("jobs");
		cr_assert_eq(collect(in, &file), INPUT_END);
		input_close(in);
		collect_pieces(&text, &pieces, &seed);
		cr_assert(
			file.len == want.len &&
				memcmp(buf_text(&file), buf_text(&want), want.len) == 0,
			"file, seed %u", at);
		cr_assert(pieces.len == want.len &&
				  memcmp(buf_text(&pieces), buf_text(&want),
					  want.len) == 0,
			"pipe, seed %u", at);
		buf_fini(&text);
		buf_fini(&want);
		buf_fini(&file);
		buf_fini(&pieces);
	}
}
