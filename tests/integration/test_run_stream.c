/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` as a part of a pipeline: results come as soon as they can,
 * nothing runs far ahead, a slow reader slows the run down, and memory does not
 * grow with the number of jobs.
 */
#include "tests/support/origin_rig.h"

TestSuite(run_stream, .init = start_origin, .fini = stop_origin);

static void write_job(struct child *c, const char *path)
{
	const char *line = keep_printf("%s\n", origin_url(o, "%s", path));
	cr_assert(child_write(c, line, strlen(line)), "the run reads no more");
}

static void check_next_index(struct child *c, size_t index)
{
	const char *line = child_read_line(c, 1, 20000);
	const char *start_of = keep_printf("{\"index\":%zu,", index);
	cr_assert(line && strncmp(line, start_of, strlen(start_of)) == 0,
		"result %zu: %s", index, line ? line : "none");
}

/* Each line is written only when the result of the one before is there. */
Test(run_stream, answers_each_line_before_the_next_comes, .timeout = 30)
{
	struct child c;
	child_start(&c, RUN("-q", "-w", "2"), 0);
	for (size_t i = 0; i < 20; i++) {
		write_job(&c, "/");
		check_next_index(&c, i);
	}
	child_close(&c, 0);
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	child_fini(&c);
}

/* A line is a job when its LF comes, and not before. */
Test(run_stream, waits_for_the_rest_of_a_line, .timeout = 30)
{
	struct child c;
	child_start(&c, RUN("-q", "-w", "1"), 0);
	const char *url = origin_url(o, "/once/whole");
	cr_assert(child_write(&c, url, strlen(url) - 2));
	cr_assert(!count_exceeds(o, "requests", 0), "half a line was fetched");
	cr_assert(child_write(&c, url + strlen(url) - 2, 2));
	child_close(&c, 0);
	check_next_index(&c, 0);
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	cr_assert_eq(origin_count(o, "requests"), 1);
	child_fini(&c);
}

Test(run_stream, runs_no_further_ahead_than_the_window, .timeout = 60)
{
	enum { MANY = 2000 };
	struct child c;
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/hold/first"));
	jobs_add_urls(&jobs, o, "/once/", MANY - 1);
	child_start(&c,
		RUN("-q", "-w", "2", "-c", "50", "--window", "100", jobs_file(&jobs)),
		CHILD_NO_STDIN);
	wait_for_count(o, "requests", 100);
	cr_assert(!count_exceeds(o, "requests", 100), "%lld requests",
		(long long)origin_count(o, "requests"));
	origin_release(o, "first");
	cr_assert_eq(child_wait(&c, 30000), 0, "%s", c.got[2].data);
	json_t *results = results_load(c.got[1].data, c.got[1].len, NULL);
	results_check_ordered(results, MANY);
	cr_assert_eq(origin_count(o, "requests"), MANY);
	json_decref(results);
	child_fini(&c);
}

/* How many requests there are when no more come: the same for a second. */
static json_int_t requests_at_rest(void)
{
	json_int_t last = -1, now = 0;
	for (unsigned same = 0; same < 3; same = now == last ? same + 1 : 0) {
		last = now;
		count_exceeds(o, "requests", now);
		now = origin_count(o, "requests");
	}
	return now;
}

/* 20 KB each: the pipe, what waits to be written and the window hold some 300
 * of them. */
static void check_back_pressure(const char *order)
{
	enum { MANY = 3000 };
	struct child c;
	struct bytes jobs = {0};
	for (size_t i = 0; i < MANY; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/size/20000?%zu", i));
	}
	child_start(&c,
		RUN("-q", "-w", "2", "-c", "20", "--window", "100", order,
			jobs_file(&jobs)),
		CHILD_NO_STDIN);
	wait_for_count(o, "requests", 1);
	json_int_t requests = requests_at_rest();
	cr_assert(20 <= requests && requests < MANY / 4,
		"%lld requests, and nobody reads", (long long)requests);
	cr_assert_eq(child_wait(&c, 30000), 0, "%s", c.got[2].data);
	json_t *results = results_load(c.got[1].data, c.got[1].len, NULL);
	results_check_complete(results, MANY);
	for (size_t i = 0; i < MANY; i++) {
		const json_t *job = json_array_get(results, i);
		cr_assert_eq(json_string_length(field(job, "body")), 20000);
	}
	json_decref(results);
	child_fini(&c);
}

Test(run_stream, waits_for_a_slow_reader_and_loses_nothing, .timeout = 60)
{
	check_back_pressure("--unordered=no");
}

Test(run_stream, waits_for_a_slow_reader_when_unordered, .timeout = 60)
{
	check_back_pressure("--unordered");
}

/* Write the line again and again, for as long as there is room; not by
 * child_write(), which reads what the child says.  Returns the lines begun. */
static size_t fill_pipe(const struct child *c, const char *line, size_t *at)
{
	size_t len = strlen(line), ct = 0;
	ssize_t n;
	while ((n = write(c->in, line + *at, len - *at)) > 0) {
		ct += *at == 0;
		*at = (*at + (size_t)n) % len;
	}
	return ct;
}

/* What is read of the job list stops as well: the pipe fills up. */
Test(run_stream, stops_reading_jobs_for_a_slow_reader, .timeout = 60)
{
	struct child c;
	const char *line = origin_url(o, "/size/20000?x\n");
	size_t ct = 0, at = 0;
	child_start(&c, RUN("-q", "-w", "1", "-c", "10", "--window", "50"), 0);
	ct += fill_pipe(&c, line, &at);
	wait_for_count(o, "requests", 1);
	do {
		ct += fill_pipe(&c, line, &at);
		cr_assert_lt(ct, 15000, "it reads on although nobody takes results");
	} while (count_exceeds(o, "requests", origin_count(o, "requests")));
	cr_assert_gt(origin_count(o, "requests"), 10);
	cr_assert(child_write(&c, line + at, at ? strlen(line) - at : 0));
	child_close(&c, 0);
	cr_assert_eq(child_wait(&c, 40000), 0, "%s", c.got[2].data);
	json_t *results = results_load(c.got[1].data, c.got[1].len, NULL);
	results_check_ordered(results, ct);
	json_decref(results);
	child_fini(&c);
}

/* ------------------------------------------------------------------- memory */

/* KiB that the process has ever needed. */
static long peak_kib(pid_t pid)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen(keep_printf("/proc/%d/status", (int)pid), "re");
	cr_assert(f, "the run is gone: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "VmHWM: %ld kB", &kib);
	}
	fclose(f);
	cr_assert_gt(kib, 0);
	return kib;
}

/* The master's, behind `ct` jobs that need no network.  The last one holds it
 * there. */
static long peak_behind(size_t ct, const char *name, const char *window)
{
	struct child c;
	struct bytes jobs = {0};
	const char *out = new_path("results.jsonl");
	for (size_t i = 0; i < ct; i++) {
		bytes_add(&jobs, "x:1\n", 4);
	}
	jobs_add(&jobs, "%s\n", origin_url(o, "/hold/%s", name));
	child_start(&c,
		RUN("-q", "-w", "2", "--body", "none", "--window", window, "-o", out,
			jobs_file(&jobs)),
		CHILD_NO_STDIN);
	wait_for_index(out, ct - 1);
	long kib = peak_kib(c.pid);
	origin_release(o, name);
	cr_assert_eq(child_wait(&c, 20000), 1, "%s", c.got[2].data);
	child_fini(&c);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, ct + 1);
	json_decref(results);
	return kib;
}

/* With the window that everybody has. */
Test(run_stream, needs_little_memory_for_many_jobs, .timeout = 60)
{
	if (RIG_SANITIZED) {
		cr_skip_test("sanitizers take memory of their own");
	}
	long kib = peak_behind(200000, "many", "65536");
	cr_assert_lt(kib, 64 * 1024, "%ld KiB", kib);
}

/* A small window, for how much of a large one is used is up to the scheduler:
 * with 65536 the same run takes 14 to 20 MB. */
Test(run_stream, needs_no_more_memory_for_more_jobs, .timeout = 60)
{
	if (RIG_SANITIZED) {
		cr_skip_test("sanitizers take memory of their own");
	}
	long few = peak_behind(50000, "few", "2000");
	long many = peak_behind(200000, "many", "2000");
	cr_assert_lt(
		many - few, 2 * 1024, "%ld KiB, and %ld KiB for a quarter", many, few);
}

/* Results that wait for the oldest job take memory: no more than allowed, and
 * the line that nobody could keep in memory does not count. */
Test(run_stream, keeps_to_the_window_of_bytes, .timeout = 60)
{
	enum { MANY = 3000 };
	struct child c;
	struct bytes jobs = {0};
	if (RIG_SANITIZED) {
		cr_skip_test("sanitizers take memory of their own");
	}
	jobs_add(&jobs, "%s\n", origin_url(o, "/hold/first"));
	for (size_t i = 1; i < MANY; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/size/100000?%zu", i));
	}
	child_start(&c,
		RUN("-q", "-w", "2", "-c", "20", "--window-bytes", "8M",
			jobs_file(&jobs), "-o", new_path("results.jsonl")),
		CHILD_NO_STDIN);
	wait_for_count(o, "requests", 2);
	json_int_t requests = requests_at_rest();
	long kib = peak_kib(c.pid);
	cr_assert(21 <= requests && requests < MANY / 4, "%lld requests of 100 KB",
		(long long)requests);
	cr_assert_lt(kib, 64 * 1024, "%ld KiB", kib);
	origin_release(o, "first");
	cr_assert_eq(child_wait(&c, 30000), 0, "%s", c.got[2].data);
	child_fini(&c);
}

Test(run_stream, skips_a_line_of_64_mib_in_little_memory, .timeout = 60)
{
	enum { MIB = 1 << 20 };
	struct child c;
	char *block = malloc(MIB);
	cr_assert(block);
	memset(block, 'x', MIB);
	child_start(&c, RUN("-q", "-w", "1"), 0);
	for (int i = 0; i < 64; i++) {
		cr_assert(child_write(&c, block, MIB));
	}
	free(block);
	cr_assert(child_write(&c, "\n", 1));
	write_job(&c, "/");
	check_next_index(&c, 0);
	check_next_index(&c, 1);
	if (!RIG_SANITIZED) {
		cr_assert_lt(peak_kib(c.pid), 32 * 1024, "%ld KiB", peak_kib(c.pid));
	}
	child_close(&c, 0);
	cr_assert_eq(child_wait(&c, 20000), 1, "%s", c.got[2].data);
	json_t *results = results_load(c.got[1].data, c.got[1].len, NULL);
	cr_assert_str_eq(text_in(json_array_get(results, 0), "error"), "bad_job");
	cr_assert(is_ok(json_array_get(results, 1)));
	json_decref(results);
	child_fini(&c);
}
