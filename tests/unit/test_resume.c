/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/resume and scan: going on with an existing results file.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/cli/line.h"
#include "common/poolmap.h"
#include "master/cli/input.h"
#include "master/cli/message.h"
#include "master/cli/output.h"
#include "master/cli/resume.h"
#include "master/cli/scan.h"

/* ------------------------------------------------------------------ a place */

static char dir[] = "/tmp/poolmap-resume-XXXXXX";
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
TestSuite(resume, .init = begin, .fini = end, .timeout = 60);

/* The messages since the last call. */
static const char *said(void)
{
	static char text[8192];
	ssize_t n = pread(captured, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	cr_assert_eq(ftruncate(captured, 0), 0);
	cr_assert_eq(lseek(captured, 0, SEEK_SET), 0);
	return text;
}

static void put_file(const char *name, const char *bytes, size_t len)
{
	FILE *f = fopen(name, "w");
	cr_assert(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

static void put_text(const char *name, const char *text)
{
	put_file(name, text, strlen(text));
}

static bool file_is(const char *name, const char *bytes, size_t len)
{
	struct buf got = {0};
	FILE *f = fopen(name, "r");
	cr_assert(f && buf_reserve(&got, len + 1) == 0);
	bool same = fread(got.data, 1, len + 1, f) == len &&
		    (len == 0 || memcmp(got.data, bytes, len) == 0);
	fclose(f);
	buf_fini(&got);
	return same;
}

/* ---------------------------------------------------------------- jobs, results */

/* Append the result of a job, as a run writes it. */
static void add_result_of(struct buf *out, uint64_t index, const char *line, size_t len)
{
	struct job job;
	cr_assert_eq(job_parse(&job, line, len), 0);
	struct line_facts facts = {
		.index = index, .class = OUTCOME_OK, .method = "GET", .attempts = 1};
	cr_assert_eq(line_render(out, &job, &facts), 0);
	job_fini(&job);
}

static void job_line(char *line, size_t max, uint64_t index)
{
	if (index % 3 == 1) {
		snprintf(line, max,
			"{\"url\":\"http://h/%" PRIu64
			"\",\"id\":\"a,\\\"ok\\\":%" PRIu64 "\"}",
			index, index);
	} else {
		snprintf(line, max, "http://host.example/%" PRIu64 "?,\"ok\":", index);
	}
}

static void put_jobs(const char *name, uint64_t ct)
{
	struct buf text = {0};
	char line[128];
	for (uint64_t i = 0; i < ct; i++) {
		job_line(line, sizeof line, i);
		buf_puts(&text, line);
		buf_puts(&text, "\n");
	}
	put_file(name, text.data ? text.data : "", text.len);
	buf_fini(&text);
}

static void add_result(struct buf *out, uint64_t index)
{
	char line[128];
	job_line(line, sizeof line, index);
	add_result_of(out, index, line, strlen(line));
}

static struct buf results(uint64_t ct)
{
	struct buf text = {0};
	for (uint64_t i = 0; i < ct; i++) {
		add_result(&text, i);
	}
	return text;
}

/* A run that goes on: everything open, the output scanned. */
struct run {
	struct input *in;
	struct output *out;
	struct resume *resume;
};

static int start_with(
	struct run *run, const char *const *jobs, size_t job_ct, bool unordered)
{
	struct settings want = {.output = "out", .resume = true};
	*run = (struct run){0};
	int code = input_open(&run->in, jobs, job_ct);
	code = code ? code : output_open(&run->out, &want, run->in);
	cr_assert_eq(code, 0, "%s", said());
	return resume_scan(&run->resume, run->out, run->in, NULL, unordered);
}

static int start(struct run *run, bool unordered)
{
	static const char *const jobs[] = {"jobs"};
	return start_with(run, jobs, 1, unordered);
}

static void stop(struct run *run)
{
	resume_free(run->resume);
	output_discard(run->out);
	input_close(run->in);
}

/* Go through the jobs, write the results that are missing, close all. */
static void finish(struct run *run)
{
	const char *line;
	size_t len;
	bool too_long;
	enum input_step step;
	struct buf text = {0};
	while ((step = input_next(run->in, &line, &len, &too_long)) == INPUT_LINE) {
		uint64_t index = input_index(run->in);
		if (!resume_done(run->resume, index)) {
			buf_clear(&text);
			add_result_of(&text, index, line, len);
			cr_assert_eq(output_put(run->out, text.data, text.len), 0);
		}
	}
	cr_assert_eq(step, INPUT_END);
	cr_assert_eq(output_close(run->out), 0);
	run->out = NULL;
	buf_fini(&text);
	stop(run);
}

/* The output is refused with this message, and is not touched. */
static void refused(const struct buf *out, bool unordered, const char *message)
{
	struct run run;
	put_file("out", out->data, out->len);
	cr_assert_eq(start(&run, unordered), EXIT_MISMATCH, "%s", message);
	cr_assert_null(run.resume);
	stop(&run);
	cr_assert_str_eq(said(), message);
	cr_assert(file_is("out", out->data, out->len), "%s", message);
}

/* ------------------------------------------------------------------ going on */

Test(resume, starts_afresh_without_an_output, .timeout = 60)
{
	struct run run;
	struct buf all = results(4);
	put_jobs("jobs", 4);
	cr_assert_eq(start(&run, false), 0);
	cr_assert_eq(resume_done_ct(run.resume), 0);
	cr_assert(!resume_done(run.resume, 0) && !resume_done(run.resume, UINT64_MAX));
	finish(&run);
	cr_assert(file_is("out", all.data, all.len));
	buf_fini(&all);
}

Test(resume, starts_afresh_with_an_empty_output, .timeout = 60)
{
	struct run run;
	put_jobs("jobs", 4);
	put_text("out", "");
	cr_assert_eq(start(&run, false), 0);
	cr_assert_eq(resume_done_ct(run.resume), 0);
	cr_assert_eq(resume_torn_bytes(run.resume), 0);
	stop(&run);
	cr_assert_str_eq(said(), "");
}

Test(resume, has_nothing_done_when_there_is_no_resume, .timeout = 60)
{
	cr_assert(!resume_done(NULL, 0));
	cr_assert_eq(resume_done_ct(NULL), 0);
	cr_assert_eq(resume_torn_bytes(NULL), 0);
	resume_free(NULL);
}

Test(resume, scans_nothing_of_an_output_that_is_overwritten, .timeout = 60)
{
	static const char *const jobs[] = {"jobs"};
	struct settings want = {.output = "out", .force = true};
	struct run run = {0};
	put_jobs("jobs", 1);
	put_text("out", "anything");
	cr_assert_eq(input_open(&run.in, jobs, 1), 0);
	cr_assert_eq(output_open(&run.out, &want, run.in), 0);
	cr_assert_eq(resume_scan(&run.resume, run.out, run.in, NULL, false), 0);
	cr_assert_eq(resume_done_ct(run.resume), 0);
	stop(&run);
}

Test(resume, goes_on_after_any_number_of_results, .timeout = 60)
{
	enum { JOBS = 12 };
	struct buf all = results(JOBS);
	put_jobs("jobs", JOBS);
	for (uint64_t ct = 0; ct <= JOBS; ct++) {
		struct buf some = results(ct);
		struct run run;
		put_file("out", some.data ? some.data : "", some.len);
		cr_assert_eq(start(&run, ct % 2), 0, "%s", said());
		cr_assert_eq(resume_done_ct(run.resume), ct);
		for (uint64_t i = 0; i < JOBS + 100; i++) {
			cr_assert_eq(resume_done(run.resume, i), i < ct);
		}
		finish(&run);
		cr_assert(file_is("out", all.data, all.len));
		buf_fini(&some);
	}
	cr_assert_str_eq(said(), "");
	buf_fini(&all);
}

Test(resume, cuts_off_a_torn_line_at_every_byte, .timeout = 60)
{
	enum { JOBS = 7, DONE = 5 };
	struct buf all = results(JOBS), done = results(DONE),
		   before = results(DONE - 2);
	put_jobs("jobs", JOBS);
	for (size_t cut = before.len; cut <= done.len; cut++) {
		struct run run;
		put_file("out", done.data, cut);
		const char *lf = memrchr(done.data, '\n', cut);
		size_t torn = cut - (size_t)(lf + 1 - done.data);
		cr_assert_eq(start(&run, false), 0, "cut at %zu: %s", cut, said());
		cr_assert_eq(resume_torn_bytes(run.resume), torn, "cut at %zu", cut);
		uint64_t whole = 0;
		for (size_t k = 0; k < cut; k++) {
			whole += done.data[k] == '\n';
		}
		cr_assert_eq(resume_done_ct(run.resume), whole, "cut at %zu", cut);
		cr_assert_eq(strlen(said()) > 0, torn > 0, "cut at %zu", cut);
		finish(&run);
		cr_assert(file_is("out", all.data, all.len), "cut at %zu", cut);
	}
	buf_fini(&all);
	buf_fini(&done);
	buf_fini(&before);
}

Test(resume, says_how_much_was_cut_off, .timeout = 60)
{
	struct run run;
	struct buf out = results(2);
	put_jobs("jobs", 3);
	buf_puts(&out, "{\"index\":2");
	put_file("out", out.data, out.len);
	cr_assert_eq(start(&run, false), 0);
	cr_assert_str_eq(said(),
		"poolmap: out: cut off the 10 bytes of a last line that "
		"was not finished; its job runs again\n");
	stop(&run);
	cr_assert(file_is("out", out.data, out.len - 10));
	buf_fini(&out);
}

Test(resume, cuts_off_a_tail_of_zeros, .timeout = 60)
{
	static const char zeros[9000];
	static const char *const starts[] = {"", "{", "{\"inde", "{\"index\":3,\"ur"};
	put_jobs("jobs", 5);
	for (size_t i = 0; i < 4; i++) {
		struct run run;
		struct buf out = results(3), whole = results(3);
		buf_puts(&out, starts[i]);
		buf_put(&out, zeros, sizeof zeros);
		put_file("out", out.data, out.len);
		cr_assert_eq(start(&run, false), 0, "%s", said());
		cr_assert_eq(resume_done_ct(run.resume), 3);
		cr_assert_eq(resume_torn_bytes(run.resume), out.len - whole.len);
		stop(&run);
		cr_assert(file_is("out", whole.data, whole.len));
		buf_fini(&out);
		buf_fini(&whole);
	}
}

Test(resume, reads_several_job_files_with_comments, .timeout = 60)
{
	static const char *const jobs[] = {"one", "two"};
	struct run run;
	struct buf out = {0};
	put_text("one", "\xef\xbb\xbf# c\r\nhttp://a/\r\n\r\nhttp://b/");
	put_text("two", "\n#\nhttp://c/\nhttp://d/\n");
	add_result_of(&out, 0, "http://a/", 9);
	add_result_of(&out, 1, "http://b/", 9);
	add_result_of(&out, 2, "http://c/", 9);
	put_file("out", out.data, out.len);
	cr_assert_eq(start_with(&run, jobs, 2, false), 0, "%s", said());
	cr_assert_eq(resume_done_ct(run.resume), 3);
	finish(&run);
	add_result_of(&out, 3, "http://d/", 9);
	cr_assert(file_is("out", out.data, out.len));
	buf_fini(&out);
}

Test(resume, accepts_bad_jobs_and_jobs_that_are_too_long, .timeout = 60)
{
	struct run run;
	struct buf jobs = {0}, out = {0};
	static const char bad[] = "{\"url\":7} nonsense \xff\x01";
	buf_puts(&jobs, bad);
	buf_puts(&jobs, "\n");
	cr_assert_eq(buf_reserve(&jobs, 3u << 20), 0);
	memset(jobs.data + jobs.len, 'x', 2u << 20);
	jobs.len += 2u << 20;
	buf_puts(&jobs, "\nhttp://c/\n");
	put_file("jobs", jobs.data, jobs.len);
	add_result_of(&out, 0, bad, strlen(bad));
	buf_puts(&out, "{\"index\":1,\"ok\":false,\"error\":\"bad_job\"}\n");
	add_result_of(&out, 2, "http://c/", 9);
	put_file("out", out.data, out.len);
	cr_assert_eq(start(&run, false), 0, "%s", said());
	cr_assert_eq(resume_done_ct(run.resume), 3);
	stop(&run);
	buf_fini(&jobs);
	buf_fini(&out);
}

/* ----------------------------------------------------------------- unordered */

static const uint64_t SHUFFLED[] = {3, 0, 70, 5, 4, 64, 63};
enum { SHUFFLED_CT = sizeof SHUFFLED / sizeof *SHUFFLED };

static struct buf shuffled(void)
{
	struct buf out = {0};
	for (size_t i = 0; i < SHUFFLED_CT; i++) {
		add_result(&out, SHUFFLED[i]);
	}
	return out;
}

Test(resume, knows_what_an_unordered_run_has_done, .timeout = 60)
{
	struct run run;
	struct buf out = shuffled();
	put_jobs("jobs", 80);
	put_file("out", out.data, out.len);
	cr_assert_eq(start(&run, true), 0, "%s", said());
	cr_assert_eq(resume_done_ct(run.resume), SHUFFLED_CT);
	for (uint64_t i = 0; i < 1000; i++) {
		bool done = false;
		for (size_t k = 0; k < SHUFFLED_CT; k++) {
			done = done || SHUFFLED[k] == i;
		}
		cr_assert_eq(resume_done(run.resume, i), done, "%" PRIu64, i);
	}
	finish(&run);
	cr_assert_eq(start(&run, true), 0, "%s", said());
	cr_assert_eq(resume_done_ct(run.resume), 80);
	stop(&run);
	buf_fini(&out);
}

Test(resume, refuses_unordered_results_in_an_ordered_run, .timeout = 60)
{
	static const char why[] = "at the place of another: was it written with "
				  "--unordered? then resume with --unordered; else "
				  "lines are missing or were moved\n";
	char message[512];
	struct buf gaps = shuffled(), swapped = {0};
	put_jobs("jobs", 80);
	snprintf(message, sizeof message, "poolmap: out:1: the result of job %d %s",
		(int)SHUFFLED[0], why);
	refused(&gaps, false, message);
	add_result(&swapped, 0);
	add_result(&swapped, 2);
	add_result(&swapped, 1);
	snprintf(
		message, sizeof message, "poolmap: out:2: the result of job 2 %s", why);
	refused(&swapped, false, message);
	buf_fini(&gaps);
	buf_fini(&swapped);
}

Test(resume, gets_through_random_runs_that_are_killed, .timeout = 60)
{
	enum { JOBS = 70 };
	unsigned seed = 7;
	put_jobs("jobs", JOBS);
	for (int round = 0; round < 25; round++) {
		uint64_t order[JOBS], left = JOBS;
		for (uint64_t i = 0; i < JOBS; i++) {
			uint64_t k = (uint64_t)rand_r(&seed) % (i + 1);
			order[i] = order[k];
			order[k] = i;
		}
		put_text("out", "");
		while (left) {
			struct run run;
			struct buf out = {0};
			cr_assert_eq(start(&run, true), 0, "%s", said());
			left = JOBS - resume_done_ct(run.resume);
			for (uint64_t i = 0; i < JOBS; i++) {
				if (!resume_done(run.resume, order[i])) {
					add_result(&out, order[i]);
				}
			}
			size_t cut =
				out.len ? (size_t)rand_r(&seed) % (out.len + 1) : 0;
			stop(&run);
			FILE *f = fopen("out", "a");
			cr_assert(f && (!cut || fwrite(out.data, 1, cut, f) == cut));
			cr_assert_eq(fclose(f), 0);
			buf_fini(&out);
		}
	}
}

/* ------------------------------------------------------------------- damage */

static void damaged(const struct buf *out, unsigned line, const char *why)
{
	char message[512];
	snprintf(message, sizeof message,
		"poolmap: out:%u: not a results file of poolmap, or damaged: %s; name "
		"another output, or --force to overwrite it\n",
		line, why);
	refused(out, true, message);
}

Test(resume, refuses_a_damaged_line_wherever_it_stands, .timeout = 60)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"", "the line does not start with {\"index\":"},
		{"{}", "the line does not start with {\"index\":"},
		{" {\"index\":1,\"ok\":true}",
			"the line does not start with {\"index\":"},
		{"{\"index\":", "the index is no number in range"},
		{"{\"index\":-1,\"ok\":true}", "the index is no number in range"},
		{"{\"index\":01,\"ok\":true}", "the index is no number in range"},
		{"{\"index\":\"1\",\"ok\":true}", "the index is no number in range"},
		{"{\"index\":8589934592,\"ok\":true}",
			"the index is no number in range"},
		{"{\"index\":18446744073709551616,\"ok\":true}",
			"the index is no number in range"},
		{"{\"index\":99999999999999999999999999999999,\"ok\":true}",
			"the index is no number in range"},
		{"{\"index\":1 ,\"ok\":true}", "the line has no \"ok\""},
		{"{\"index\":1.0,\"ok\":true}", "the line has no \"ok\""},
		{"{\"index\":1}", "the line has no \"ok\""},
		{"{\"index\":1,\"url\":\"http://x/\"}", "the line has no \"ok\""},
		{"{\"index\":1,\"ok\":", "the line does not end in }"},
		{"{\"index\":1,\"ok\":true}\r", "the line does not end in }"},
		{"{\"index\":1,\"ok\":true", "the line does not end in }"},
		{"{\"index\":16777217,\"ok\":true}",
			"an index that no run can have got to"},
		{"{\"index\":8589934591,\"ok\":true}",
			"an index that no run can have got to"},
		{"{\"index\":0,\"ok\":true}", "a second result of the same job"},
	};
	put_jobs("jobs", 5);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out = results(1);
		buf_puts(&out, cases[i].line);
		buf_puts(&out, "\n");
		damaged(&out, 2, cases[i].why);
		add_result(&out, 3);
		damaged(&out, 2, cases[i].why);
		buf_fini(&out);
	}
}

Test(resume, takes_every_index_that_a_window_allows, .timeout = 60)
{
	struct buf out = results(1);
	put_jobs("jobs", 5);
	buf_puts(&out, "{\"index\":16777216,\"ok\":true}\n");
	refused(&out, true,
		"poolmap: out: the results do not belong to this job file: there are "
		"fewer jobs than results\n");
	buf_fini(&out);
}

Test(resume, refuses_two_results_of_one_job, .timeout = 60)
{
	struct buf out = results(4);
	put_jobs("jobs", 5);
	add_result(&out, 2);
	damaged(&out, 5, "a second result of the same job");
	buf_fini(&out);
}

Test(resume, refuses_zeros_inside_a_line, .timeout = 60)
{
	put_jobs("jobs", 5);
	struct buf whole = results(3);
	const char *second = (char *)memchr(whole.data, '\n', whole.len) + 1;
	size_t from = (size_t)(second - whole.data) + 60;
	for (size_t at = from; at < from + 5; at++) {
		struct buf out = results(3);
		out.data[at] = '\0';
		damaged(&out, 2, "NUL bytes in the line");
		buf_fini(&out);
	}
	buf_fini(&whole);
}

Test(resume, leaves_a_file_alone_that_holds_no_results, .timeout = 60)
{
	static const char *const texts[] = {"http://a/", "x", "\n",
		"{\"url\":\"http://a/\"}", "{\"indey\":", "%PDF-1.4\n",
		"\x7f"
		"ELF"};
	put_jobs("jobs", 5);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct buf out = {0};
		buf_puts(&out, texts[i]);
		damaged(&out, 1,
			memchr(texts[i], '\n', out.len)
				? "the line does not start with {\"index\":"
				: "the last line is none of poolmap");
		buf_fini(&out);
	}
}

Test(resume, refuses_a_last_line_that_is_none_of_ours, .timeout = 60)
{
	struct buf out = results(2);
	put_jobs("jobs", 5);
	buf_puts(&out, "some note");
	damaged(&out, 3, "the last line is none of poolmap");
	buf_fini(&out);
}

/* ------------------------------------------------------------ another job file */

Test(resume, names_the_first_line_that_differs, .timeout = 60)
{
	struct buf out = results(6), jobs = {0};
	for (uint64_t changed = 0; changed < 6; changed++) {
		char line[128], message[256];
		buf_clear(&jobs);
		buf_puts(&jobs, "# a comment\n");
		for (uint64_t i = 0; i < 6; i++) {
			job_line(line, sizeof line, i);
			buf_puts(&jobs, i >= changed ? "http://other/" : line);
			buf_puts(&jobs, "\n");
		}
		put_file("jobs", jobs.data, jobs.len);
		snprintf(message, sizeof message,
			"poolmap: out:%" PRIu64 ": the results do not belong to this "
			"job file: jobs:%" PRIu64 " is another job\n",
			changed + 1, changed + 2);
		refused(&out, false, message);
	}
	buf_fini(&out);
	buf_fini(&jobs);
}

Test(resume, refuses_a_job_file_with_a_line_more_or_less, .timeout = 60)
{
	struct buf out = results(3);
	static const char *const files[] = {
		"http://host.example/0?,\"ok\":\nhttp://host.example/2?,\"ok\":\nx\n",
		"\nhttp://new/\nhttp://host.example/0?,\"ok\":\nx\nx\n",
	};
	for (size_t i = 0; i < 2; i++) {
		struct run run;
		put_text("jobs", files[i]);
		put_file("out", out.data, out.len);
		cr_assert_eq(start(&run, false), EXIT_MISMATCH);
		cr_assert(strstr(said(), "do not belong to this job file"));
		stop(&run);
	}
	buf_fini(&out);
}

Test(resume, refuses_a_job_file_that_is_too_short, .timeout = 60)
{
	struct buf out = results(3);
	put_jobs("jobs", 2);
	refused(&out, false,
		"poolmap: out: the results do not belong to this job file: there are "
		"fewer jobs than results\n");
	put_text("jobs", "");
	refused(&out, true,
		"poolmap: out: the results do not belong to this job file: there are "
		"fewer jobs than results\n");
	buf_fini(&out);
}

Test(resume, refuses_other_jobs_in_an_unordered_run, .timeout = 60)
{
	struct buf out = shuffled(), jobs = {0};
	for (uint64_t i = 0; i < 80; i++) {
		char line[128];
		job_line(line, sizeof line, i == 63 ? 64 : i == 64 ? 63 : i);
		buf_puts(&jobs, line);
		buf_puts(&jobs, "\n");
	}
	put_file("jobs", jobs.data, jobs.len);
	refused(&out, true,
		"poolmap: out:6: the results do not belong to this job file: its "
		"job 64 is another\n");
	buf_fini(&out);
	buf_fini(&jobs);
}

Test(resume, accepts_changes_behind_the_last_done_job, .timeout = 60)
{
	struct run run;
	struct buf out = results(2);
	put_file("out", out.data, out.len);
	put_jobs("jobs", 2);
	FILE *f = fopen("jobs", "a");
	cr_assert(f && fputs("http://new/\n", f) >= 0 && fclose(f) == 0);
	cr_assert_eq(start(&run, false), 0, "%s", said());
	finish(&run);
	add_result_of(&out, 2, "http://new/", 11);
	cr_assert(file_is("out", out.data, out.len));
	buf_fini(&out);
}

/* A result is that of a job by its place, id and URL; how it was asked for is no part
 * of it, and behind the last result anything may have become of the list. */
Test(resume, takes_a_done_job_by_its_place_id_and_url, .timeout = 60)
{
	struct run run;
	struct buf out = {0};
	add_result_of(&out, 0, "http://a/", 9);
	put_file("out", out.data, out.len);
	put_text("jobs", "{\"url\":\"http://a/\",\"headers\":{\"x\":\"new\"}}\n"
			 "http://new/\n");
	cr_assert_eq(start(&run, false), 0, "%s", said());
	finish(&run);
	add_result_of(&out, 1, "http://new/", 11);
	cr_assert(file_is("out", out.data, out.len));
	buf_fini(&out);
}

Test(resume, notices_a_change_of_any_byte_of_a_prefix, .timeout = 60)
{
	put_jobs("jobs", 3);
	struct buf whole = results(3);
	const char *second = (char *)memchr(whole.data, '\n', whole.len) + 1;
	const char *ok = memmem(second, 200, ",\"ok\":true", 10);
	cr_assert_not_null(ok);
	for (const char *at = second; at < ok; at++) {
		struct run run;
		struct buf out = results(3);
		out.data[at - whole.data] ^= 1;
		put_file("out", out.data, out.len);
		cr_assert_eq(start(&run, true), EXIT_MISMATCH, "byte %td", at - second);
		stop(&run);
		cr_assert(file_is("out", out.data, out.len));
		buf_fini(&out);
	}
	buf_fini(&whole);
}

Test(resume, passes_on_that_a_job_file_cannot_be_read, .timeout = 60)
{
	static char names[INPUT_OPEN_MAX + 1][16];
	static const char *paths[INPUT_OPEN_MAX + 1];
	struct buf out = results(2);
	struct run run = {0};
	struct settings want = {.output = "out", .resume = true};
	for (int i = 0; i <= INPUT_OPEN_MAX; i++) {
		snprintf(names[i], sizeof names[i], "f%d", i);
		put_jobs(names[i], i == 0);
		paths[i] = names[i];
	}
	put_file("out", out.data, out.len);
	cr_assert_eq(input_open(&run.in, paths, INPUT_OPEN_MAX + 1), 0);
	cr_assert_eq(output_open(&run.out, &want, run.in), 0);
	cr_assert_eq(unlink("f1"), 0);
	cr_assert_eq(
		resume_scan(&run.resume, run.out, run.in, NULL, false), EXIT_INPUT);
	cr_assert_str_eq(said(), "poolmap: f1: No such file or directory\n");
	stop(&run);
	cr_assert(file_is("out", out.data, out.len));
	buf_fini(&out);
}

/* --------------------------------------------------------------- huge lines */

/* Append a result whose body is `len` times `fill`. */
static void add_long_result(struct buf *out, uint64_t index, size_t len, char fill)
{
	char line[128];
	struct job job;
	job_line(line, sizeof line, index);
	cr_assert_eq(job_parse(&job, line, strlen(line)), 0);
	cr_assert_eq(line_prefix(out, index, &job), 0);
	job_fini(&job);
	buf_puts(out, ",\"ok\":true,\"body\":\"");
	cr_assert_eq(buf_reserve(out, len), 0);
	memset(out->data + out->len, fill, len);
	out->len += len;
	buf_puts(out, "\"}\n");
}

enum { HEAD = 6 * JOB_LINE_MAX + 4096, BLOCK = 256 * 1024 };

Test(resume, runs_through_lines_of_any_length, .timeout = 60)
{
	static const size_t lens[] = {BLOCK - 100, BLOCK, HEAD - 200, HEAD - 100,
		HEAD - 50, HEAD, HEAD + 2 * BLOCK - 90, 20u << 20};
	put_jobs("jobs", 20);
	struct buf out = results(1);
	for (uint64_t i = 0; i < 8; i++) {
		add_long_result(&out, 2 * i + 1, lens[i], 'b');
		add_result(&out, 2 * i + 2);
	}
	struct run run;
	put_file("out", out.data, out.len);
	cr_assert_eq(start(&run, false), 0, "%s", said());
	cr_assert_eq(resume_done_ct(run.resume), 17);
	cr_assert_eq(resume_torn_bytes(run.resume), 0);
	stop(&run);
	cr_assert(file_is("out", out.data, out.len));
	buf_fini(&out);
}

Test(resume, finds_the_end_of_a_line_around_the_edge_of_its_buffer, .timeout = 60)
{
	put_jobs("jobs", 3);
	struct buf first = results(1);
	for (size_t len = HEAD - 90; len < HEAD - 40; len += 1) {
		struct run run;
		struct buf out = {0};
		add_long_result(&out, 0, len, 'b');
		add_result(&out, 1);
		put_file("out", out.data, out.len);
		cr_assert_eq(start(&run, false), 0, "%zu: %s", len, said());
		cr_assert_eq(resume_done_ct(run.resume), 2);
		stop(&run);
		buf_fini(&out);
	}
	buf_fini(&first);
}

Test(resume, cuts_off_a_torn_line_of_any_length, .timeout = 60)
{
	static const size_t cuts[] = {
		1, 2, 3, 1000, BLOCK, 2u << 20, 3u << 20, 4u << 20};
	put_jobs("jobs", 5);
	struct buf two = results(2);
	for (size_t i = 0; i < 8; i++) {
		struct run run;
		struct buf out = results(2);
		add_long_result(&out, 2, 9u << 20, 'b');
		out.len -= cuts[i];
		put_file("out", out.data, out.len);
		cr_assert_eq(start(&run, false), 0, "%zu: %s", cuts[i], said());
		cr_assert_eq(resume_done_ct(run.resume), 2);
		cr_assert_eq(resume_torn_bytes(run.resume), out.len - two.len);
		said();
		stop(&run);
		cr_assert(file_is("out", two.data, two.len));
		buf_fini(&out);
	}
	buf_fini(&two);
}

Test(resume, takes_a_long_tail_of_zeros_for_torn, .timeout = 60)
{
	static const size_t lens[] = {
		HEAD - 1, HEAD, HEAD + 1, HEAD + BLOCK, 20u << 20};
	put_jobs("jobs", 5);
	struct buf two = results(2);
	for (size_t i = 0; i < 5; i++) {
		struct run run;
		put_file("out", two.data, two.len);
		cr_assert_eq(truncate("out", (off_t)(two.len + lens[i])), 0);
		cr_assert_eq(start(&run, false), 0, "%zu: %s", lens[i], said());
		cr_assert_eq(resume_torn_bytes(run.resume), lens[i]);
		said();
		stop(&run);
		cr_assert(file_is("out", two.data, two.len));
	}
	buf_fini(&two);
}

Test(resume, finds_damage_in_huge_lines, .timeout = 60)
{
	enum { LEN = 9u << 20 };
	put_jobs("jobs", 5);
	struct buf whole = results(1);
	size_t start_at = whole.len;
	add_long_result(&whole, 1, LEN, 'b');
	static const size_t zeros[] = {5000, HEAD - 1, HEAD, HEAD + 3 * BLOCK, LEN};
	for (size_t i = 0; i < 5; i++) {
		whole.data[start_at + zeros[i]] = '\0';
		damaged(&whole, 2, "NUL bytes in the line");
		whole.data[start_at + zeros[i]] = 'b';
	}
	whole.data[whole.len - 2] = ']';
	damaged(&whole, 2, "the line does not end in }");
	whole.data[whole.len - 2] = '}';
	whole.data[start_at] = '[';
	damaged(&whole, 2, "the line does not start with {\"index\":");
	memset(whole.data + start_at, 0, whole.len - start_at);
	whole.data[whole.len - 1] = '\n';
	damaged(&whole, 2, "NUL bytes in the line");
	whole.data[whole.len - 1] = 'x';
	damaged(&whole, 2, "NUL bytes in the line");
	buf_fini(&whole);
}

Test(resume, compares_the_longest_prefix_there_is, .timeout = 60)
{
	struct buf jobs = {0}, out = {0};
	cr_assert_eq(buf_reserve(&jobs, JOB_LINE_MAX + 1), 0);
	memset(jobs.data, '\x01', JOB_LINE_MAX);
	jobs.len = JOB_LINE_MAX;
	memcpy(jobs.data, "http://h/", 9);
	add_result_of(&out, 0, jobs.data, JOB_LINE_MAX);
	cr_assert_gt(out.len, 6u * (JOB_LINE_MAX - 100), "%zu", out.len);
	buf_puts(&jobs, "\n");
	put_file("jobs", jobs.data, jobs.len);
	struct run run;
	put_file("out", out.data, out.len);
	cr_assert_eq(start(&run, false), 0, "%s", said());
	cr_assert_eq(resume_done_ct(run.resume), 1);
	stop(&run);
	jobs.data[JOB_LINE_MAX - 1] = '\x02';
	put_file("jobs", jobs.data, jobs.len);
	refused(&out, false,
		"poolmap: out:1: the results do not belong to this job file: jobs:1 is "
		"another job\n");
	buf_fini(&jobs);
	buf_fini(&out);
}

Test(resume, takes_an_index_far_ahead_within_the_window, .timeout = 60)
{
	enum { FAR = 300000 };
	struct run run;
	struct buf jobs = {0}, out = {0};
	for (int i = 0; i <= FAR; i++) {
		buf_puts(&jobs, "http://h/\n");
	}
	put_file("jobs", jobs.data, jobs.len);
	add_result_of(&out, FAR, "http://h/", 9);
	put_file("out", out.data, out.len);
	cr_assert_eq(start(&run, true), 0, "%s", said());
	cr_assert(resume_done(run.resume, FAR) && !resume_done(run.resume, FAR - 1));
	cr_assert(!resume_done(run.resume, FAR + 1));
	stop(&run);
	buf_fini(&jobs);
	buf_fini(&out);
}
