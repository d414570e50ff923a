/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/output and target: opening, writing, failing.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "master/cli/input.h"
#include "master/cli/message.h"
#include "master/cli/output.h"

/* ------------------------------------------------------------------ a place */

static char dir[] = "/tmp/poolmap-output-XXXXXX";
static int captured = -1;
static struct input *jobs;

/* fsync of this process: counted, and failing on demand. */
static int fsync_ct, fsync_error;

int fsync(int fd)
{
	fsync_ct++;
	if (fsync_error) {
		errno = fsync_error;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static void put_text(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void begin(void)
{
	static const char *const names[] = {"jobs"};
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert(mkdtemp(dir) && chdir(dir) == 0);
	int ends[2];
	cr_assert(pipe2(ends, O_CLOEXEC) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
	cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	captured = ends[0];
	put_text("jobs", "http://a/\n");
	cr_assert_eq(input_open(&jobs, names, 1), 0);
}

static int remove_one(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void end(void)
{
	input_close(jobs);
	cr_assert_eq(chdir("/"), 0);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* One timeout for all: Criterion leaks timers of tests in parallel whose timeouts
 * differ, and the leak checker of a sanitized build then fails the whole file. */
TestSuite(output, .init = begin, .fini = end, .timeout = 60);

static char heard[65536];

/* All messages so far.  Standard error is a pipe: a limit of the file size
 * would hold for a file as well. */
static const char *said(void)
{
	size_t len = strlen(heard);
	ssize_t n = read(captured, heard + len, sizeof heard - 1 - len);
	heard[len + (n > 0 ? (size_t)n : 0)] = '\0';
	return heard;
}

enum how { FRESH, RESUME, FORCE };

static int try_open(struct output **o, const char *path, enum how how)
{
	struct settings want = {.output = path,
		.sync = SYNC_INTERVAL,
		.resume = how == RESUME,
		.force = how == FORCE};
	*o = NULL;
	int code = output_open(o, &want, jobs);
	return code ? code : output_empty(*o);
}

static struct output *open_at(const char *path, enum how how)
{
	struct output *o;
	int code = try_open(&o, path, how);
	cr_assert_eq(code, 0, "%s: %d: %s", path, code, said());
	return o;
}

static void refused(const char *path, enum how how, int code, const char *message)
{
	struct output *o;
	cr_assert_eq(try_open(&o, path, how), code, "%s", path);
	cr_assert_null(o);
	cr_assert_str_eq(said(), message);
}

/* The first 64 KiB of a file. */
static const char *content(const char *name)
{
	static char text[65536];
	FILE *f = fopen(name, "r");
	cr_assert(f, "%s: %s", name, strerror(errno));
	size_t n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static off_t size_of(const char *name)
{
	struct stat st;
	return stat(name, &st) ? -1 : st.st_size;
}

static int put(struct output *o, const char *line)
{
	return output_put(o, line, strlen(line));
}

/* A line of `len` bytes, its LF included; the caller frees it. */
static char *make_line(size_t len, char fill)
{
	char *line = malloc(len);
	cr_assert(line);
	memset(line, fill, len);
	line[len - 1] = '\n';
	return line;
}

/* ------------------------------------------------------------------ opening */

Test(output, writes_lines_to_a_new_file, .timeout = 60)
{
	mode_t mask = umask(027);
	struct output *o = open_at("out", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(put(o, "two\n"), 0);
	cr_assert_str_eq(content("out"), "", "buffered");
	cr_assert_eq(output_flush(o), 0);
	cr_assert_str_eq(content("out"), "one\ntwo\n");
	cr_assert_eq(put(o, "three\n"), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_str_eq(content("out"), "one\ntwo\nthree\n");
	struct stat st;
	cr_assert(stat("out", &st) == 0 && (st.st_mode & 0777) == 0640);
	cr_assert_str_eq(said(), "");
	umask(mask);
}

Test(output, makes_an_empty_file_of_no_results, .timeout = 60)
{
	cr_assert_eq(output_close(open_at("out", FRESH)), 0);
	cr_assert_eq(size_of("out"), 0);
	cr_assert_eq(output_close(NULL), 0);
}

Test(output, refuses_an_existing_file, .timeout = 60)
{
	put_text("out", "precious\n");
	refused("out", FRESH, EXIT_USAGE,
		"poolmap: out: exists; --resume goes on with it, --force overwrites "
		"it\n");
	cr_assert_str_eq(content("out"), "precious\n");
}

Test(output, overwrites_with_force, .timeout = 60)
{
	put_text("out", "much that was there before\n");
	struct output *o = open_at("out", FORCE);
	cr_assert_eq(output_resume_fd(o), -1);
	cr_assert_eq(put(o, "new\n"), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_str_eq(content("out"), "new\n");
}

Test(output, goes_on_behind_an_offset, .timeout = 60)
{
	put_text("out", "one\ntwo\ntorn");
	struct output *o = open_at("out", RESUME);
	cr_assert(output_resume_fd(o) >= 0);
	cr_assert_str_eq(output_name(o), "out");
	cr_assert_eq(output_resume_at(o, 8, 2), 0);
	cr_assert_eq(size_of("out"), 8);
	cr_assert_eq(put(o, "three\n"), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_str_eq(content("out"), "one\ntwo\nthree\n");
}

Test(output, starts_afresh_when_there_is_nothing_to_resume, .timeout = 60)
{
	struct output *o = open_at("out", RESUME);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_str_eq(content("out"), "one\n");
}

Test(output, refuses_a_directory, .timeout = 60)
{
	refused(".", FORCE, EXIT_USAGE,
		"poolmap: .: is a directory; name a file for the results\n");
}

Test(output, refuses_a_missing_directory, .timeout = 60)
{
	refused("no/out", FRESH, EXIT_USAGE,
		"poolmap: no/out: cannot be opened for the results: No such file or "
		"directory\n");
}

Test(output, refuses_bad_paths, .timeout = 60)
{
	struct output *o;
	cr_assert_eq(symlink("loop", "loop"), 0);
	static const char *const paths[] = {"jobs/out", "loop", "", "out/"};
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(try_open(&o, paths[i], FRESH), EXIT_USAGE, "%s", paths[i]);
	}
	char name[PATH_MAX];
	memset(name, 'n', sizeof name);
	name[300] = '\0';
	cr_assert_eq(try_open(&o, name, FRESH), EXIT_USAGE);
}

Test(output, refuses_a_job_file_under_every_name, .timeout = 60)
{
	static const char *const names[] = {"jobs", "hard", "soft", "./jobs"};
	cr_assert_eq(link("jobs", "hard"), 0);
	cr_assert_eq(symlink("jobs", "soft"), 0);
	for (size_t i = 0; i < 4; i++) {
		for (enum how how = FRESH; how <= FORCE; how++) {
			struct output *o;
			cr_assert_eq(try_open(&o, names[i], how), EXIT_USAGE, "%s, %d",
				names[i], how);
			cr_assert(strstr(said(), "is a job file of this run"));
			cr_assert_str_eq(content("jobs"), "http://a/\n");
		}
	}
}

Test(output, refuses_a_job_file_as_standard_output, .timeout = 60)
{
	int fd = open("jobs", O_WRONLY | O_APPEND);
	cr_assert_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	refused("-", FRESH, EXIT_USAGE,
		"poolmap: standard output: is a job file of this run; name another "
		"output\n");
}

Test(output, refuses_what_cannot_be_resumed, .timeout = 60)
{
	struct output *o;
	struct settings both = {.output = "out", .resume = true, .force = true};
	cr_assert_eq(try_open(&o, "/dev/null", RESUME), EXIT_USAGE);
	cr_assert_eq(try_open(&o, "-", RESUME), EXIT_USAGE);
	cr_assert_eq(output_open(&o, &both, jobs), EXIT_USAGE);
	cr_assert_eq(size_of("out"), -1);
}

Test(output, needs_a_regular_job_file_to_resume, .timeout = 60)
{
	static const char *const names[] = {"fifo"};
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	input_close(jobs);
	cr_assert_eq(input_open(&jobs, names, 1), 0);
	refused("out", RESUME, EXIT_USAGE,
		"poolmap: out: --resume needs a regular job file\n");
	cr_assert_eq(size_of("out"), -1, "nothing is created");
}

Test(output, creates_the_target_of_a_dangling_symlink, .timeout = 60)
{
	cr_assert_eq(symlink("real", "out"), 0);
	struct output *o = open_at("out", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_str_eq(content("real"), "one\n");
}

Test(output, keeps_a_second_run_out, .timeout = 60)
{
	struct output *first = open_at("out", FRESH);
	cr_assert_eq(put(first, "one\n"), 0);
	cr_assert_eq(output_flush(first), 0);
	for (enum how how = RESUME; how <= FORCE; how++) {
		struct output *o;
		cr_assert_eq(try_open(&o, "out", how), EXIT_MISMATCH);
		cr_assert_str_eq(content("out"), "one\n", "locked before emptied");
	}
	cr_assert(strstr(said(), "poolmap: out: in use by another run; "));
	struct output *o;
	cr_assert_eq(put(first, "two\n"), 0);
	cr_assert_eq(output_finish(first), 0);
	cr_assert_str_eq(content("out"), "one\ntwo\n");
	cr_assert_eq(try_open(&o, "out", FORCE), EXIT_MISMATCH, "until it is closed");
	cr_assert_eq(output_close(first), 0);
	cr_assert_eq(output_close(open_at("out", FORCE)), 0);
}

Test(output, does_not_pass_its_descriptor_to_other_programs, .timeout = 60)
{
	for (int round = 0; round < 2; round++) { /* created, and found */
		struct output *o = open_at("out", RESUME);
		cr_assert_eq(fcntl(output_resume_fd(o), F_GETFD), FD_CLOEXEC);
		cr_assert_eq(output_close(o), 0);
	}
}

Test(output, discards_a_file_that_nothing_was_written_to, .timeout = 60)
{
	output_discard(open_at("out", FRESH));
	cr_assert_eq(size_of("out"), -1);
	put_text("mine", "");
	output_discard(open_at("mine", RESUME));
	cr_assert_eq(size_of("mine"), 0, "it was there before");
	output_discard(NULL);
}

Test(output, does_not_discard_results, .timeout = 60)
{
	struct output *o = open_at("out", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_flush(o), 0);
	output_discard(o);
	cr_assert_str_eq(content("out"), "one\n");
}

Test(output, writes_to_dev_null, .timeout = 60)
{
	struct output *o = open_at("/dev/null", FRESH);
	for (int i = 0; i < 10000; i++) {
		cr_assert_eq(put(o, "a line that nobody reads\n"), 0);
		cr_assert_eq(output_fd(o), -1);
	}
	cr_assert_eq(output_tick(o), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_eq(fsync_ct, 0);
}

Test(output, writes_to_standard_output, .timeout = 60)
{
	int fd = open("stdout", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	cr_assert_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	cr_assert_eq(write(fd, "before\n", 7), 7);
	struct output *o = open_at("-", FRESH);
	cr_assert_str_eq(output_name(o), "standard output");
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_str_eq(content("stdout"), "before\none\n");
	cr_assert(fcntl(STDOUT_FILENO, F_GETFD) >= 0, "it stays open");
}

Test(output, refuses_a_standard_output_that_cannot_be_written, .timeout = 60)
{
	int fd = open("jobs", O_RDONLY);
	cr_assert_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	struct output *o;
	cr_assert_eq(try_open(&o, "-", FRESH), EXIT_USAGE);
	close(STDOUT_FILENO);
	cr_assert_eq(try_open(&o, "-", FRESH), EXIT_USAGE);
}

/* ------------------------------------------------------------ writing, files */

Test(output, writes_when_a_batch_is_full, .timeout = 60)
{
	struct output *o = open_at("out", FRESH);
	char *line = make_line(1000, 'x');
	off_t most = 0;
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(output_put(o, line, 1000), 0);
		off_t held = (off_t)(i + 1) * 1000 - size_of("out");
		most = held > most ? held : most;
		cr_assert(!output_blocked(o));
	}
	cr_assert_lt(most, OUTPUT_BATCH, "%ld", (long)most);
	cr_assert_gt(most, OUTPUT_BATCH - 2000, "%ld", (long)most);
	cr_assert_eq(output_close(o), 0);
	cr_assert_eq(size_of("out"), 1000000);
	free(line);
}

Test(output, writes_a_huge_line_between_small_ones, .timeout = 60)
{
	enum { HUGE_LINE = 10 << 20 };
	struct output *o = open_at("out", FRESH);
	char *line = make_line(HUGE_LINE, 'h');
	cr_assert_eq(put(o, "a\n"), 0);
	cr_assert_eq(output_put(o, line, HUGE_LINE), 0);
	cr_assert_eq(put(o, "b\n"), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_eq(size_of("out"), HUGE_LINE + 4);
	cr_assert_eq(strncmp(content("out"), "a\nhhh", 5), 0);
	free(line);
}

/* Write with a limit of the file size; returns the size that is left. */
static void run_into_limit(size_t line_len, rlim_t limit, size_t line_ct)
{
	struct rlimit old, now;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	struct output *o = open_at("out", FORCE);
	char *line = make_line(line_len, 'x');
	now = old;
	now.rlim_cur = limit;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &now), 0);
	int code = 0;
	for (size_t i = 0; i < line_ct && !code; i++) {
		code = output_put(o, line, line_len);
	}
	code = code ? code : output_flush(o);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	size_t safe = limit / line_len;
	cr_assert_eq(code, EXIT_OUTPUT, "%zu/%zu", line_len, (size_t)limit);
	cr_assert_eq(size_of("out"), (off_t)(safe * line_len), "%zu/%zu: %ld", line_len,
		(size_t)limit, (long)size_of("out"));
	char expect[256];
	snprintf(expect, sizeof expect,
		"poolmap: out: File too large; %zu results are safe in it: raise the "
		"limit of the file size (ulimit -f), then go on with --resume\n",
		safe);
	cr_assert_str_eq(said(), expect);
	cr_assert_eq(output_put(o, line, line_len), EXIT_OUTPUT);
	cr_assert_eq(output_flush(o), EXIT_OUTPUT);
	cr_assert_eq(output_tick(o), EXIT_OUTPUT);
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert_str_eq(said(), expect, "said once");
	cr_assert_eq(size_of("out"), (off_t)(safe * line_len));
	heard[0] = '\0';
	free(line);
}

Test(output, cuts_back_to_a_whole_line_when_a_write_is_short, .timeout = 60)
{
	put_text("out", "");
	for (rlim_t limit = 990; limit < 1215; limit++) {
		run_into_limit(100, limit, 50);
	}
	run_into_limit(1000, 700 * 1000 + 123, 2000);
	run_into_limit(1000, 512, 3);
}

Test(output, cuts_back_a_huge_line, .timeout = 60)
{
	put_text("out", "");
	run_into_limit(1 << 20, (5 << 20) + 4321, 8);
	run_into_limit(1 << 20, 5 << 20, 8);
}

Test(output, counts_the_results_that_were_there_before, .timeout = 60)
{
	put_text("out", "one\ntwo\n");
	struct rlimit old, now;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	now = old;
	now.rlim_cur = 14;
	struct output *o = open_at("out", RESUME);
	cr_assert_eq(output_resume_at(o, 8, 2), 0);
	cr_assert_eq(put(o, "three\n"), 0);
	cr_assert_eq(put(o, "four\n"), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &now), 0);
	cr_assert_eq(output_flush(o), EXIT_OUTPUT);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	cr_assert(strstr(said(), "; 3 results are safe in it"), "%s", said());
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert_str_eq(content("out"), "one\ntwo\nthree\n");
}

Test(output, cuts_back_standard_output_that_is_a_file, .timeout = 60)
{
	struct rlimit old, now;
	int fd = open("stdout", O_WRONLY | O_CREAT | O_APPEND, 0600);
	cr_assert_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	cr_assert_eq(write(fd, "before\n", 7), 7);
	struct output *o = open_at("-", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(put(o, "second\n"), 0);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	now = old;
	now.rlim_cur = 15;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &now), 0);
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	cr_assert_str_eq(content("stdout"), "before\none\n");
	cr_assert_str_eq(said(),
		"poolmap: standard output: File too large; 1 results were written\n");
}

Test(output, does_not_cut_what_others_wrote_to_standard_output, .timeout = 60)
{
	struct rlimit old, now;
	put_text("stdout", "0123456789abcdefghijklmnopqrstuvwxyz");
	int fd = open("stdout", O_WRONLY);
	cr_assert_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	struct output *o = open_at("-", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(put(o, "second\n"), 0);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	now = old;
	now.rlim_cur = 7;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &now), 0);
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	cr_assert_str_eq(content("stdout"), "one\nsec789abcdefghijklmnopqrstuvwxyz");
}

Test(output, reports_a_full_device, .timeout = 60)
{
	struct output *o = open_at("/dev/full", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_flush(o), EXIT_OUTPUT);
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert_str_eq(said(), "poolmap: /dev/full: No space left on device; 0 "
				 "results were written\n");
}

/* ------------------------------------------------------------------- durable */

Test(output, syncs_at_most_once_a_second_and_at_the_end, .timeout = 60)
{
	struct output *o = open_at("out", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_tick(o), 0);
	cr_assert_str_eq(content("out"), "one\n", "a tick flushes");
	cr_assert_eq(fsync_ct, 2, "the file and, once, its directory");
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(put(o, "more\n"), 0);
		cr_assert_eq(output_tick(o), 0);
	}
	cr_assert_eq(fsync_ct, 2);
	cr_assert_eq(output_close(o), 0);
	cr_assert_eq(fsync_ct, 3);
}

Test(output, does_not_sync_what_was_not_written, .timeout = 60)
{
	put_text("out", "one\n");
	struct output *o = open_at("out", RESUME);
	cr_assert_eq(output_resume_at(o, 4, 1), 0);
	cr_assert_eq(output_tick(o), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_eq(fsync_ct, 0);
}

Test(output, takes_an_error_of_fsync_as_final, .timeout = 60)
{
	struct output *o = open_at("out", FRESH);
	fsync_error = EIO;
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_tick(o), EXIT_OUTPUT);
	int tries = fsync_ct;
	cr_assert_eq(put(o, "two\n"), EXIT_OUTPUT);
	cr_assert_eq(output_tick(o), EXIT_OUTPUT);
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert_eq(fsync_ct, tries, "never tried again");
	cr_assert_str_eq(said(), "poolmap: out: Input/output error; 0 results are safe "
				 "in it: go on with --resume\n");
}

Test(output, reports_an_error_of_the_last_fsync, .timeout = 60)
{
	struct output *o = open_at("out", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_tick(o), 0);
	cr_assert_eq(put(o, "two\n"), 0);
	fsync_error = ENOSPC;
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert(strstr(said(), "No space left on device; 1 results are safe"));
}

Test(output, accepts_a_file_that_cannot_be_synced, .timeout = 60)
{
	struct output *o = open_at("out", FRESH);
	fsync_error = EINVAL;
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_tick(o), 0);
	cr_assert_eq(output_close(o), 0);
	cr_assert_str_eq(said(), "");
}

Test(output, notices_that_the_file_was_deleted, .timeout = 60)
{
	struct output *o = open_at("out", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(unlink("out"), 0);
	cr_assert_eq(output_tick(o), EXIT_OUTPUT);
	cr_assert_eq(put(o, "two\n"), EXIT_OUTPUT);
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert(strstr(said(), "poolmap: out: was deleted during the run"));
}

Test(output, notices_at_the_end_that_the_file_was_deleted, .timeout = 60)
{
	struct output *o = open_at("out", FRESH);
	cr_assert_eq(unlink("out"), 0);
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
}

Test(output, accepts_a_standard_output_without_a_name, .timeout = 60)
{
	int fd = open("gone", O_RDWR | O_CREAT, 0600);
	cr_assert_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	cr_assert_eq(unlink("gone"), 0);
	struct output *o = open_at("-", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_tick(o), 0);
	cr_assert_eq(output_close(o), 0);
	char text[8];
	cr_assert_eq(pread(fd, text, sizeof text, 0), 4);
}

/* --------------------------------------------------------------------- pipes */

/* Standard output is one end of this; returns the reading end. */
static int pipe_out(void)
{
	int ends[2];
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	close(ends[1]);
	return ends[0];
}

/* Append what is there to read now. */
static void drink(int fd, struct buf *got)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN)) {
		cr_assert_eq(buf_reserve(got, 65536), 0);
		ssize_t n = read(fd, got->data + got->len, 65536);
		cr_assert_geq(n, 0);
		if (n == 0) {
			return;
		}
		got->len += (size_t)n;
	}
}

static void put_number(struct output *o, int i, size_t len, struct buf *sent)
{
	char *line = make_line(len, 'p');
	int n = snprintf(line, len, "%d", i);
	line[n] = ' ';
	cr_assert_eq(output_put(o, line, len), 0);
	buf_put(sent, line, len);
	free(line);
}

/* What one writer and one reader have seen so far. */
struct flow {
	struct output *o;
	int fd; /* the reading end */
	struct buf got, sent;
	int line_ct;
	size_t line_len;
};

static void put_until_blocked(struct flow *f)
{
	while (!output_blocked(f->o)) {
		put_number(f->o, f->line_ct++, f->line_len, &f->sent);
		cr_assert_eq(output_flush(f->o), 0);
		cr_assert_lt(f->sent.len, 256u << 20, "never blocked");
	}
	cr_assert_eq(output_fd(f->o), STDOUT_FILENO);
	size_t on_the_way = f->sent.len - f->got.len;
	cr_assert_leq(on_the_way, OUTPUT_PENDING_MAX + f->line_len + (4u << 20));
}

/* A reader that stops: nothing blocks, what it does not take is kept up to a
 * bound, and everything arrives in the end. */
static void slow_reader_gets_all(int fd, size_t line_len)
{
	struct flow f = {.o = open_at("-", FRESH), .fd = fd, .line_len = line_len};
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	for (int round = 0; round < 60; round++) { /* never empty */
		put_until_blocked(&f);
		drink(f.fd, &f.got);
		cr_assert_eq(output_flush(f.o), 0);
	}
	while (output_fd(f.o) >= 0) {
		drink(f.fd, &f.got);
		cr_assert_eq(output_flush(f.o), 0);
	}
	cr_assert(!output_blocked(f.o));
	cr_assert_eq(fcntl(STDOUT_FILENO, F_GETFL), flags);
	cr_assert(!(flags & O_NONBLOCK));
	cr_assert_eq(output_close(f.o), 0);
	drink(f.fd, &f.got);
	cr_assert_eq(f.got.len, f.sent.len);
	cr_assert_eq(memcmp(f.got.data, f.sent.data, f.got.len), 0);
	buf_fini(&f.got);
	buf_fini(&f.sent);
}

Test(output, does_not_wait_for_the_reader_of_a_pipe, .timeout = 60)
{
	slow_reader_gets_all(pipe_out(), 997);
}

Test(output, keeps_a_line_larger_than_its_bound_for_a_pipe, .timeout = 60)
{
	slow_reader_gets_all(pipe_out(), 5u << 20);
}

Test(output, does_not_wait_for_the_reader_of_a_socket, .timeout = 60)
{
	int ends[2];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	cr_assert_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	close(ends[1]);
	slow_reader_gets_all(ends[0], 1234);
}

Test(output, does_not_wait_for_the_reader_of_a_terminal, .timeout = 60)
{
	int reader = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert(reader >= 0 && grantpt(reader) == 0 && unlockpt(reader) == 0);
	int fd = open(ptsname(reader), O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert(fd >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
	struct output *o = open_at("-", FRESH);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(put(o, "to a terminal\n"), 0);
		cr_assert_eq(output_flush(o), 0);
	}
	struct buf got = {0};
	drink(reader, &got);
	cr_assert_eq(strncmp(buf_text(&got), "to a terminal\r\n", 15), 0);
	cr_assert_eq(output_close(o), 0);
	buf_fini(&got);
}

enum { REST_LINES = 1500, REST_LEN = 700 };

/* In a process of its own: read all from `fd` once `go` is closed. */
static int read_the_rest(int fd, int go)
{
	char block[4096];
	size_t total = 0;
	ssize_t n;
	while (read(go, block, 1) > 0) {
	}
	while ((n = read(fd, block, sizeof block)) > 0) {
		total += (size_t)n;
	}
	return total == (size_t)REST_LINES * REST_LEN ? 0 : 1;
}

Test(output, writes_the_rest_to_a_pipe_at_the_end, .timeout = 60)
{
	int go[2], fd = pipe_out();
	cr_assert_eq(pipe2(go, O_CLOEXEC), 0);
	pid_t reader = fork();
	if (reader == 0) {
		close(STDOUT_FILENO);
		close(go[1]);
		_exit(read_the_rest(fd, go[0]));
	}
	close(fd);
	struct buf sent = {0};
	struct output *o = open_at("-", FRESH);
	for (int i = 0; i < REST_LINES; i++) {
		put_number(o, i, REST_LEN, &sent);
	}
	close(go[1]);
	cr_assert_eq(output_close(o), 0);
	close(STDOUT_FILENO);
	int status = -1;
	cr_assert_eq(waitpid(reader, &status, 0), reader);
	cr_assert_eq(status, 0);
	buf_fini(&sent);
}

Test(output, reports_a_closed_pipe_in_one_line, .timeout = 60)
{
	int fd = pipe_out();
	struct output *o = open_at("-", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_flush(o), 0);
	close(fd);
	cr_assert_eq(put(o, "two\n"), 0);
	cr_assert_eq(put(o, "three\n"), 0);
	cr_assert_eq(output_flush(o), EXIT_OUTPUT);
	cr_assert_eq(put(o, "four\n"), EXIT_OUTPUT);
	cr_assert_eq(output_fd(o), -1);
	cr_assert_eq(output_close(o), EXIT_OUTPUT);
	cr_assert_str_eq(said(),
		"poolmap: standard output: Broken pipe; 1 results were written\n");
}

Test(output, writes_to_a_fifo_without_force, .timeout = 60)
{
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	int fd = open("fifo", O_RDONLY | O_NONBLOCK);
	struct output *o = open_at("fifo", FRESH);
	cr_assert_eq(put(o, "one\n"), 0);
	cr_assert_eq(output_close(o), 0);
	char text[16];
	cr_assert_eq(read(fd, text, sizeof text), 4);
	cr_assert_eq(fsync_ct, 0);
	close(fd);
}
