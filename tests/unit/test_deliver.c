/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/deliver and what it is made of: CSV, packed files, lists
 * of failed jobs, results of earlier runs.  There is no pool: results are made
 * up here.  Every third job fails.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli/job.h"
#include "common/cli/line.h"
#include "master/cli/deliver.h"
#include "master/cli/message.h"
#include "master/cli/pack.h"
#include "tests/unit/scratch.h"

enum { JOBS = 30 };

static int captured = -1;
static struct settings want;
static struct input *in;
static struct deliver d;

static const char *const job_names[] = {"jobs"};

static void write_file(const char *name, const void *bytes, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

/* What is in a file, unpacked. */
static const char *content(const char *name)
{
	static struct buf text;
	long n;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0, "%s", name);
	struct unpack *u = unpack_new(fd, unpack_is_packed(fd));
	buf_clear(&text);
	do {
		cr_assert_eq(buf_reserve(&text, 4096), 0);
		n = unpack_read(u, text.data + text.len, 4096);
		text.len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	cr_assert_eq(n, 0, "%s is torn", name);
	unpack_free(u);
	close(fd);
	return buf_text(&text);
}

/* A row with a comma and quotes among them. */
static void put_job_name(char *line, size_t size, size_t i)
{
	if (i % 5 == 4) {
		snprintf(line, size,
			"{\"id\":\"a,\\\"%zu\\\"\",\"url\":\"http://h/%zu\"}", i, i);
	} else {
		snprintf(line, size, "http://h/%zu", i);
	}
}

static void write_jobs(size_t ct, const char *first)
{
	struct buf text = {0};
	char line[100];
	for (size_t i = 0; i < ct; i++) {
		put_job_name(line, sizeof line, i);
		cr_assert_eq(buf_printf(&text, "%s\n", first && !i ? first : line), 0);
	}
	write_file("jobs", text.data, text.len);
	buf_fini(&text);
}

static void begin(void)
{
	scratch_make();
	cr_assert_eq(chdir(scratch), 0);
	captured = memfd_create("stderr", MFD_CLOEXEC);
	cr_assert(captured >= 0 && dup2(captured, STDERR_FILENO) >= 0);
	write_jobs(JOBS, NULL);
	want = (struct settings){.output = "out", .sync = SYNC_INTERVAL};
}

TestSuite(deliver, .init = begin);

static void said(const char *words)
{
	char text[8192];
	off_t size = lseek(captured, 0, SEEK_END);
	off_t from = size > (off_t)sizeof text ? size - (off_t)sizeof text + 1 : 0;
	ssize_t n = pread(captured, text, sizeof text - 1, from);
	text[n > 0 ? n : 0] = '\0';
	cr_assert(strstr(text, words), "\"%s\" is not in: %s", words, text);
}

static int start(void)
{
	memset(&d, 0, sizeof d);
	cr_assert_eq(input_open(&in, job_names, 1), 0);
	int code = deliver_open(&d, &want, in);
	if (code) {
		deliver_discard(&d);
		input_close(in);
	}
	return code;
}

static void stop_at(bool complete)
{
	int code = deliver_rest(&d);
	while (code == DELIVER_AGAIN) {
		cr_assert_eq(deliver_flush(&d), 0);
		code = deliver_rest(&d);
	}
	cr_assert_eq(code, 0);
	cr_assert_eq(deliver_close(&d, complete), 0);
	deliver_discard(&d);
	input_close(in);
}

static void stop(void)
{
	stop_at(false);
}

/* A result of the job, as a worker would send it. */
static int try_put(size_t i, bool ok)
{
	char line[100];
	struct buf arg = {0}, bytes = {0};
	struct job job;
	struct job_head head = {.index = i};
	struct outcome outcome = {.class = ok ? OUTCOME_OK : OUTCOME_TIMEOUT};
	struct line_facts facts = {.index = i,
		.class = outcome.class,
		.errormsg = ok ? NULL : "too late,\n\"really\"",
		.time_queue_us = UINT64_MAX,
		.attempts = 1,
		.worker = -1,
		.body = BODY_NONE};
	put_job_name(line, sizeof line, i);
	buf_put(&arg, &head, sizeof head);
	buf_puts(&arg, line);
	cr_assert_eq(job_parse(&job, line, strlen(line)), 0);
	buf_put(&bytes, &outcome, sizeof outcome);
	cr_assert_eq(line_render(&bytes, &job, &facts), 0);
	job_fini(&job);
	struct pm_result result = {.arg = arg.data,
		.arg_len = arg.len,
		.bytes = bytes.data,
		.len = bytes.len,
		.attempts = 1};
	int code = deliver_put(&d, &result);
	while (code == DELIVER_AGAIN) {
		cr_assert_eq(deliver_flush(&d), 0);
		code = deliver_put(&d, &result);
	}
	buf_fini(&arg);
	buf_fini(&bytes);
	return code;
}

static void put(size_t i, bool ok)
{
	cr_assert_eq(try_put(i, ok), 0, "job %zu", i);
}

static bool fails(size_t i)
{
	return i % 3 == 1;
}

/* Deliver those of [from, to) that have no result yet. */
static void deliver(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (!deliver_has(&d, i)) {
			put(i, !fails(i));
		}
	}
}

static const char *whole_run(void)
{
	cr_assert_eq(start(), 0);
	deliver(0, JOBS);
	stop_at(true);
	return content(want.output);
}

/* ------------------------------------------------------------------------ CSV */

Test(deliver, csv_has_its_names_once_and_a_row_for_each_job, .timeout = 60)
{
	want.format = FORMAT_CSV;
	want.fields = "index,id,ok,errormsg";
	const char *text = whole_run();
	static const char first[] = "index,id,ok,errormsg\r\n0,,true,\r\n"
				    "1,,false,\"too late,\n\"\"really\"\"\"\r\n"
				    "2,,true,\r\n3,,true,\r\n"
				    "4,\"a,\"\"4\"\"\",false,\"too late,\n";
	cr_assert_eq(strncmp(text, first, sizeof first - 1), 0, "%.300s", text);
}

/* Cut at every byte, a resumed run makes the same file. */
static void check_resume_at_every_length(void)
{
	char *full = strdup(content(want.output));
	int fd = open(want.output, O_RDONLY | O_CLOEXEC);
	static char bytes[65536];
	ssize_t len = read(fd, bytes, sizeof bytes);
	close(fd);
	want.resume = true;
	for (ssize_t cut = 0; cut < len; cut += cut < 400 ? 1 : 37) {
		write_file(want.output, bytes, (size_t)cut);
		cr_assert_eq(start(), 0, "cut at %zd", cut);
		deliver(0, JOBS);
		stop();
		cr_assert_str_eq(content(want.output), full, "cut at %zd", cut);
	}
	free(full);
}

Test(deliver, csv_goes_on_behind_its_last_whole_row, .timeout = 60)
{
	want.format = FORMAT_CSV;
	whole_run();
	check_resume_at_every_length();
}

/* As a power cut leaves it, which may reach into the names of the fields. */
Test(deliver, csv_goes_on_before_a_tail_of_zeros, .timeout = 60)
{
	enum { LARGE = 400000 }; /* more than one block */
	static char bytes[LARGE];
	want.format = FORMAT_CSV;
	char *full = strdup(whole_run());
	size_t len = strlen(full);
	want.resume = true;
	for (size_t cut = 0; cut < len; cut += cut < 400 ? 7 : 61) {
		memset(bytes, 0, sizeof bytes);
		memcpy(bytes, full, cut);
		write_file("out", bytes, cut % 2 ? sizeof bytes : len);
		cr_assert_eq(start(), 0, "zeros from %zu", cut);
		deliver(0, JOBS);
		stop();
		cr_assert_str_eq(content("out"), full, "zeros from %zu", cut);
	}
	bytes[sizeof bytes - 1] = 'x';
	memset(bytes, 0, sizeof bytes - 1);
	write_file("out", bytes, sizeof bytes);
	cr_assert_eq(start(), EXIT_MISMATCH);
	free(full);
}

Test(deliver, csv_without_an_index_goes_by_the_order_of_its_rows, .timeout = 60)
{
	want.format = FORMAT_CSV;
	want.fields = "ok,url,errormsg";
	whole_run();
	check_resume_at_every_length();
	want.unordered = true;
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("need the field index");
}

Test(deliver, csv_of_other_fields_is_not_gone_on_with, .timeout = 60)
{
	want.format = FORMAT_CSV;
	whole_run();
	want.resume = true;
	want.fields = "index,url";
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("does not have these --fields");
	want.format = FORMAT_JSONL;
	cr_assert_eq(start(), EXIT_MISMATCH);
}

Test(deliver, csv_of_other_jobs_is_recognised, .timeout = 60)
{
	want.format = FORMAT_CSV;
	whole_run();
	want.resume = true;
	write_jobs(JOBS, "http://other/");
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("out:2: the results do not belong to this job file");
	write_jobs(JOBS - 5, NULL);
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("there are fewer jobs than results");
}

Test(deliver, csv_that_tells_nothing_of_its_jobs_cannot_be_gone_on_with, .timeout = 60)
{
	want.format = FORMAT_CSV;
	want.fields = "http_code,ok";
	whole_run();
	want.resume = true;
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("need the field url or id");
}

Test(deliver, damaged_csv_is_recognised, .timeout = 60)
{
	static const char *const damage[] = {
		"index,url,ok\r\n0,http://h/0\r\n",
		"index,url,ok\r\nx,http://h/0,true\r\n",
		"index,url,ok\r\n0,http://h/0,maybe\r\n",
		"index,url,ok\r\n0,http://h/0,true\r\n0,http://h/0,true\r\n",
	};
	want.format = FORMAT_CSV;
	want.fields = "index,url,ok";
	want.resume = true;
	for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
		write_file("out", damage[i], strlen(damage[i]));
		cr_assert_eq(start(), EXIT_MISMATCH, "%s", damage[i]);
		cr_assert_str_eq(content("out"), damage[i]);
	}
}

/* --------------------------------------------------------------------- packed */

Test(deliver, packed_results_are_the_same_results, .timeout = 60)
{
	char *plain = strdup(whole_run());
	want.output = "out.gz";
	cr_assert_str_eq(whole_run(), plain);
	free(plain);
}

Test(deliver, packed_results_go_on_behind_the_last_whole_member, .timeout = 60)
{
	want.output = "out.gz";
	want.sync = SYNC_ALWAYS; /* a member for each flush */
	cr_assert_eq(start(), 0);
	for (size_t i = 0; i < JOBS; i++) {
		deliver(i, i + 1);
		cr_assert_eq(deliver_flush(&d), 0);
	}
	stop();
	check_resume_at_every_length();
}

Test(deliver, packed_csv_goes_on_too, .timeout = 60)
{
	want.output = "out.csv.gz";
	want.format = FORMAT_CSV;
	whole_run();
	check_resume_at_every_length();
}

Test(deliver, what_was_flushed_last_can_be_read_when_it_is_always_synced, .timeout = 60)
{
	want.output = "out.gz";
	want.sync = SYNC_ALWAYS;
	cr_assert_eq(start(), 0);
	deliver(0, 7);
	cr_assert_eq(deliver_flush(&d), 0);
	cr_assert(strstr(content("out.gz"), "{\"index\":6,"));
	stop();
}

Test(deliver, a_name_and_a_file_must_agree_about_packing, .timeout = 60)
{
	whole_run();
	cr_assert_eq(rename("out", "out.gz"), 0);
	want.output = "out.gz";
	want.resume = true;
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("out.gz: is not packed, as its name says");
	cr_assert_eq(unlink("out.gz"), 0);
	want.resume = false;
	whole_run();
	cr_assert_eq(rename("out.gz", "out"), 0);
	want.output = "out";
	want.resume = true;
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("out: is packed: it needs a name that ends in .gz");
}

/* --------------------------------------------------------------------- failed */

static const char *failed_lines(size_t to)
{
	static struct buf text;
	char line[100];
	buf_clear(&text);
	for (size_t i = 0; i < to; i++) {
		if (fails(i)) {
			put_job_name(line, sizeof line, i);
			cr_assert_eq(buf_printf(&text, "%s\n", line), 0);
		}
	}
	return buf_text(&text);
}

Test(deliver, failed_jobs_are_listed_as_they_were_given, .timeout = 60)
{
	want.failed = "list";
	whole_run();
	cr_assert_str_eq(content("list"), failed_lines(JOBS));
}

Test(deliver, a_resumed_run_makes_the_list_anew, .timeout = 60)
{
	static const char *const lists[] = {"", "http://h/1\n", "http://h/1\nhttp://",
		"http://h/28\nhttp://h/1\n# a comment\n"};
	want.failed = "list";
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		want.resume = false;
		want.force = true;
		cr_assert_eq(start(), 0);
		deliver(0, 10);
		stop();
		write_file("list", lists[i], strlen(lists[i]));
		want.resume = true;
		want.force = false;
		cr_assert_eq(start(), 0);
		deliver(0, JOBS);
		stop();
		cr_assert_str_eq(content("list"), failed_lines(JOBS), "%s", lists[i]);
	}
}

Test(deliver, a_list_of_something_else_stays_as_it_is, .timeout = 60)
{
	static const char *const others[] = {
		"http://h/1\nhttp://elsewhere/\n", "my notes\n", "no line"};
	want.failed = "list";
	whole_run();
	want.resume = true;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		write_file("list", others[i], strlen(others[i]));
		cr_assert_eq(start(), EXIT_MISMATCH);
		cr_assert_str_eq(content("list"), others[i]);
	}
	said("list: is no list of failed jobs of this run");
}

Test(deliver, a_list_is_not_overwritten_without_force, .timeout = 60)
{
	want.failed = "list";
	write_file("list", "http://h/1\n", 11);
	cr_assert_eq(start(), EXIT_USAGE);
	cr_assert_str_eq(content("list"), "http://h/1\n");
	cr_assert_neq(access("out", F_OK), 0, "nothing is left behind");
	want.failed = "out";
	cr_assert_eq(start(), EXIT_USAGE);
	want.failed = "jobs";
	cr_assert_eq(start(), EXIT_USAGE);
}

Test(deliver, a_list_needs_to_know_what_failed, .timeout = 60)
{
	want.format = FORMAT_CSV;
	want.fields = "index,url";
	want.failed = "list";
	whole_run();
	want.resume = true;
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("they need the field ok");
}

/* --------------------------------------------------------------- retry-failed */

/* The results of a run in which all jobs are ok. */
static char *all_ok(void)
{
	cr_assert_eq(start(), 0);
	for (size_t i = 0; i < JOBS; i++) {
		put(i, true);
	}
	stop();
	return strdup(content(want.output));
}

/* Run those that failed again, all is ok now; returns how many ran. */
static size_t retry(size_t to)
{
	size_t ran = 0;
	cr_assert_eq(start(), 0);
	for (size_t i = 0; i < to; i++) {
		if (!deliver_has(&d, i)) {
			put(i, true);
			ran++;
		}
	}
	stop();
	return ran;
}

Test(deliver, retried_jobs_take_their_place_among_the_others, .timeout = 60)
{
	want.output = "ok";
	char *expected = all_ok();
	want.output = "old";
	whole_run();
	want.output = "new";
	want.retry_failed = "old";
	cr_assert_eq(retry(JOBS), JOBS / 3);
	cr_assert_str_eq(content("new"), expected);
	free(expected);
}

Test(deliver, retried_jobs_in_csv_and_packed, .timeout = 60)
{
	want.format = FORMAT_CSV;
	want.output = "ok";
	char *expected = all_ok();
	want.output = "old.gz";
	whole_run();
	want.output = "new.gz";
	want.retry_failed = "old.gz";
	cr_assert_eq(retry(JOBS), JOBS / 3);
	cr_assert_str_eq(content("new.gz"), expected);
	free(expected);
}

Test(deliver, retries_run_what_an_earlier_run_did_not_get_to, .timeout = 60)
{
	want.output = "ok";
	char *expected = all_ok();
	want.output = "old";
	cr_assert_eq(start(), 0);
	deliver(0, 12);
	stop();
	want.output = "new";
	want.retry_failed = "old";
	cr_assert_eq(retry(JOBS), JOBS - 8);
	cr_assert_str_eq(content("new"), expected);
	free(expected);
}

/* The output of a run that was stopped ends before the first job without a
 * result, and going on makes it whole. */
Test(deliver, retries_that_were_stopped_go_on, .timeout = 60)
{
	want.output = "ok";
	char *expected = all_ok();
	want.output = "old";
	whole_run();
	want.output = "new";
	want.retry_failed = "old";
	for (size_t stop_at = 0; stop_at < JOBS; stop_at++) {
		want.resume = false;
		want.force = true;
		retry(stop_at);
		const char *part = content("new");
		cr_assert_eq(strncmp(part, expected, strlen(part)), 0,
			"stopped at %zu: %s", stop_at, part);
		want.resume = true;
		want.force = false;
		retry(JOBS);
		cr_assert_str_eq(content("new"), expected, "stopped at %zu", stop_at);
	}
	free(expected);
}

Test(deliver, an_unordered_run_copies_first, .timeout = 60)
{
	want.unordered = true;
	want.output = "old";
	cr_assert_eq(start(), 0);
	for (size_t i = JOBS; i-- > 0;) {
		put(i, !fails(i));
	}
	stop();
	want.output = "new";
	want.retry_failed = "old";
	cr_assert_eq(retry(JOBS), JOBS / 3);
	const char *text = content("new");
	size_t ct = 0;
	for (const char *lf = text; (lf = strchr(lf, '\n')); lf++) {
		ct++;
	}
	cr_assert_eq(ct, JOBS);
	cr_assert_null(strstr(text, "\"ok\":false"));
	want.output = "ordered";
	want.unordered = false;
	cr_assert_eq(start(), EXIT_MISMATCH);
	said("written with --unordered");
}

Test(deliver, retries_refuse_what_is_not_theirs, .timeout = 60)
{
	want.output = "old";
	whole_run();
	want.output = "new";
	want.retry_failed = "old";
	write_jobs(JOBS, "http://other/");
	cr_assert_eq(start(), EXIT_MISMATCH);
	write_jobs(JOBS, NULL);
	want.output = "old";
	want.force = true;
	cr_assert_eq(start(), EXIT_USAGE);
	said("is the output, too");
	cr_assert_gt(strlen(content("old")), 100);
	want.output = "new";
	want.retry_failed = "none";
	cr_assert_eq(start(), EXIT_USAGE);
	want.retry_failed = ".";
	cr_assert_eq(start(), EXIT_USAGE);
	cr_assert_neq(access("new", F_OK), 0);
}

/* ------------------------------------------------------------------ no more room */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Deliver and flush until there is no room for so many bytes in a file. */
static void run_out_of_room(rlim_t bytes)
{
	int code = 0;
	cr_assert_eq(start(), 0);
	limit_files(bytes);
	for (size_t i = 0; i < JOBS && !code; i++) {
		code = deliver_has(&d, i) ? 0 : try_put(i, !fails(i));
		code = code ? code : deliver_flush(&d);
	}
	cr_assert_eq(code, EXIT_OUTPUT);
	cr_assert_eq(deliver_close(&d, true), EXIT_OUTPUT);
	deliver_discard(&d);
	input_close(in);
	limit_files(RLIM_INFINITY);
}

/* What was written ends in a whole row, and can be gone on with. */
static void check_no_room(const char *row_end)
{
	char *full = strdup(whole_run());
	size_t size = 0;
	struct stat st;
	cr_assert_eq(stat(want.output, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (size = 5; size < (size_t)st.st_size; size += 61) {
		want.force = true;
		want.resume = false;
		run_out_of_room(size);
		const char *part = content(want.output);
		size_t len = strlen(part), end_len = strlen(row_end);
		cr_assert_eq(strncmp(part, full, len), 0, "%zu bytes", size);
		cr_assert(len == 0 || (len > end_len && strcmp(part + len - end_len,
								row_end) == 0),
			"%zu bytes: %s", size, part);
		want.force = false;
		want.resume = true;
		cr_assert_eq(start(), 0);
		cr_assert_eq(resume_torn_bytes(d.resume), 0, "%zu bytes", size);
		deliver(0, JOBS);
		stop();
		cr_assert_str_eq(content(want.output), full, "%zu bytes", size);
	}
	free(full);
}

Test(deliver, csv_ends_in_a_whole_row_when_there_is_no_room, .timeout = 60)
{
	want.format = FORMAT_CSV;
	check_no_room("\r\n");
}

Test(deliver, packed_results_end_in_a_whole_member_when_there_is_no_room, .timeout = 60)
{
	want.output = "out.gz";
	want.sync = SYNC_ALWAYS;
	check_no_room("}\n");
}

Test(deliver, packed_results_are_cut_back_to_nothing_if_no_member_was_whole,
	.timeout = 60)
{
	struct stat st;
	want.output = "out.gz";
	want.sync = SYNC_NONE;
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(start(), 0);
	deliver(0, JOBS);
	limit_files(20);
	cr_assert_eq(deliver_close(&d, true), EXIT_OUTPUT);
	limit_files(RLIM_INFINITY);
	deliver_discard(&d);
	input_close(in);
	cr_assert_eq(stat("out.gz", &st), 0);
	cr_assert_eq(st.st_size, 0);
}
