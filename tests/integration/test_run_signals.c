/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` and SIGINT, SIGTERM: the first one drains, a second one stops at
 * once, and nothing is lost that --resume cannot bring.
 */
#include "tests/support/origin_rig.h"

TestSuite(run_signals, .init = start_origin, .fini = stop_origin);

enum { AT_ONCE = 4, BEFORE = 20, HELD = 600, MANY = BEFORE + HELD };
static const char heard[] = "once more stops at once";

/* Some jobs that end at once, then more than can be in flight that wait. */
static const char *held_jobs(const char *hold)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", BEFORE);
	for (size_t i = 0; i < HELD; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "%s", hold));
	}
	return jobs_file(&jobs);
}

/* Start it, and wait until all that may be in flight is held. */
static void start_held(struct child *c, const char *out, const char *hold)
{
	child_start(c, RUN("-w", "2", "-c", "4", "-o", out, held_jobs(hold)),
		CHILD_NO_STDIN);
	wait_for_count(o, "requests", BEFORE + AT_ONCE);
}

/* The results are those of the first jobs, in order.  Returns their number. */
static size_t check_whole_lines(const char *out)
{
	size_t ct;
	json_t *results = results_of_file(out, &ct);
	results_check_ordered(results, ct);
	json_decref(results);
	return ct;
}

/* The command that the summary says goes on with the run. */
static const char *command_to_go_on(const char *err)
{
	const char *at = strstr(err, "To go on where it stopped:\n  ");
	cr_assert(at, "it does not tell how to go on: %s", err);
	at = strchr(at, '\n') + 3;
	return keep_printf("%.*s", (int)strcspn(at, "\n"), at);
}

static void check_goes_on(const char *err, const char *out, size_t done)
{
	struct run_result r;
	run_command(&r, NULL, "/bin/sh", "-c", command_to_go_on(err), NULL);
	cr_assert_eq(r.status, 0, "exit code %d: %s", r.status, r.err);
	cr_assert_eq(check_whole_lines(out), MANY);
	check_says(r.err, keep_printf("%zu  already done", done));
	run_result_fini(&r);
}

/* All that was in flight has its result, and no further job was taken but the
 * few that workers had at hand already.  Returns how many results there are. */
static size_t check_drained(const char *out)
{
	size_t done = check_whole_lines(out);
	cr_assert(BEFORE + AT_ONCE <= done && done < MANY / 2, "%zu results", done);
	cr_assert_eq(origin_count(o, "requests"), (json_int_t)done, "results are lost");
	return done;
}

/* What was in flight is finished and written; then the run goes on where it was. */
static void check_drains(int signal, int status, const char *word)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	start_held(&c, out, "/hold/gate");
	child_signal(&c, signal);
	child_wait_output(&c, 2, heard);
	check_says(c.got[2].data, word);
	origin_release(o, "gate");
	cr_assert_eq(child_wait(&c, 20000), status, "%s", c.got[2].data);
	size_t done = check_drained(out);
	check_says(c.got[2].data, "Running jobs were completed");
	check_goes_on(c.got[2].data, out, done);
	cr_assert_eq(origin_count(o, "requests"), MANY, "a job ran twice, or never");
	child_fini(&c);
}

Test(run_signals, sigint_drains, .timeout = 40)
{
	check_drains(SIGINT, 130, "interrupted");
}

Test(run_signals, sigterm_drains, .timeout = 40)
{
	check_drains(SIGTERM, 143, "terminated");
}

/* A comment of a tebibyte, most of it a hole: reading it takes minutes, and the signal
 * none of them. */
Test(run_signals, a_signal_ends_the_reading_of_an_endless_comment, .timeout = 40)
{
	struct child c;
	const char *line = keep_printf("%s\n# ", origin_url(o, "/once/1"));
	const char *jobs = temp_file("jobs.txt", line, strlen(line));
	const char *out = new_path("results.jsonl");
	cr_assert_eq(truncate(jobs, (off_t)1 << 40), 0);
	child_start(&c, RUN("-w", "1", "-o", out, jobs), CHILD_NO_STDIN);
	wait_for_index(out, 0); /* results are written while it reads */
	child_signal(&c, SIGINT);
	cr_assert_eq(child_wait(&c, 10000), 130, "%s", c.got[2].data);
	cr_assert_eq(check_whole_lines(out), 1);
	child_fini(&c);
}

/* As a terminal does it: Ctrl-C reaches all processes of the group. */
Test(run_signals, sigint_to_the_whole_group_drains, .timeout = 40)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	child_start(&c, RUN("-w", "2", "-c", "4", "-o", out, held_jobs("/hold/group")),
		CHILD_NO_STDIN | CHILD_NEW_GROUP);
	wait_for_count(o, "requests", BEFORE + AT_ONCE);
	cr_assert_eq(kill(-c.pid, SIGINT), 0);
	child_wait_output(&c, 2, heard);
	origin_release(o, "group");
	cr_assert_eq(child_wait(&c, 20000), 130, "%s", c.got[2].data);
	size_t done = check_drained(out);
	cr_assert(!strstr(c.got[2].data, " lost"), "%s", c.got[2].data);
	check_goes_on(c.got[2].data, out, done);
	child_fini(&c);
}

/* The exit code is that of the first. */
Test(run_signals, a_second_one_stops_at_once, .timeout = 40)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	start_held(&c, out, "/hold/never");
	child_signal(&c, SIGTERM);
	child_wait_output(&c, 2, heard);
	uint64_t before = clock_now_ms();
	child_signal(&c, SIGINT);
	cr_assert_eq(child_wait(&c, 10000), 143, "%s", c.got[2].data);
	cr_assert_lt(clock_now_ms() - before, 3000);
	/* Results may have been on their way from a worker: they run again. */
	size_t done = check_whole_lines(out);
	cr_assert_leq(done, BEFORE);
	check_says(c.got[2].data, "Running jobs were dropped");
	origin_release(o, "never");
	check_goes_on(c.got[2].data, out, done);
	child_fini(&c);
}

Test(run_signals, a_second_one_stops_at_once_although_a_job_hangs, .timeout = 40)
{
	struct child c;
	child_start(&c, RUN("-c", "2", "--timeout", "600"), 0);
	const char *line = keep_printf("%s\n", origin_url(o, "/hang"));
	child_write(&c, line, strlen(line));
	wait_for_count(o, "requests", 1);
	child_signal(&c, SIGINT);
	child_wait_output(&c, 2, heard);
	child_signal(&c, SIGINT);
	cr_assert_eq(child_wait(&c, 5000), 130, "%s", c.got[2].data);
	cr_assert_eq(c.got[1].len, 0);
	check_says(c.got[2].data, "cannot be resumed");
	child_fini(&c);
}

/* Nothing is in flight: one signal is enough. */
Test(run_signals, one_is_enough_while_a_pipe_is_silent, .timeout = 40)
{
	struct child c;
	child_start(&c, RUN("-w", "2"), 0);
	const char *line = keep_printf("%s\n", origin_url(o, "/"));
	child_write(&c, line, strlen(line));
	cr_assert(child_read_line(&c, 1, 20000));
	child_signal(&c, SIGTERM);
	cr_assert_eq(child_wait(&c, 5000), 143, "%s", c.got[2].data);
	child_fini(&c);
	child_start(&c, RUN("-w", "2", "-q"), 0);
	child_write(&c, line, strlen(line) - 1); /* no line yet: no result tells */
	child_write(&c, "\n", 1);
	cr_assert(child_read_line(&c, 1, 20000));
	child_signal(&c, SIGINT);
	cr_assert_eq(child_wait(&c, 5000), 130, "%s", c.got[2].data);
	cr_assert_str_eq(c.got[2].data, "");
	child_fini(&c);
}

/* ------------------------------------------------------- nobody reads */

/* A pipe with a name that this process holds open and never reads, as the
 * target of a run; its errors come through the harness as usual. */
static int start_unread(struct child *c, const char *jobs)
{
	const char *fifo = new_path("fifo");
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	int fd = open(fifo, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	cr_assert_geq(fd, 0);
	const char *script = keep_printf("exec \"$@\" >%s", fifo);
	child_start(c,
		RUN_IN_SHELL(script, "-w", "2", "-c", "8", "--window", "100", jobs),
		CHILD_NO_STDIN);
	return fd;
}

static const char *large_jobs(void)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < 3000; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/size/20000?%zu", i));
	}
	return jobs_file(&jobs);
}

/* It cannot drain; what is there is not lost silently: the code says so. */
Test(run_signals, a_second_one_stops_at_once_although_nobody_reads, .timeout = 40)
{
	struct child c;
	int fd = start_unread(&c, large_jobs());
	wait_for_count(o, "requests", 100);
	while (count_exceeds(o, "requests", origin_count(o, "requests"))) {
	}
	child_signal(&c, SIGINT);
	child_wait_output(&c, 2, heard);
	child_signal(&c, SIGINT);
	cr_assert_eq(child_wait(&c, 5000), 130, "%s", c.got[2].data);
	check_says(c.got[2].data, "Stopped by SIGINT");
	close(fd);
	child_fini(&c);
}

/* The reader comes back after the first signal, and gets all there is, whole. */
static void read_to_end(int fd, struct child *c, struct bytes *got)
{
	char block[65536];
	ssize_t n;
	bool gone;
	do {
		gone = wait_until_gone(c->pid, 1);
		while ((n = read(fd, block, sizeof(block))) > 0) {
			bytes_add(got, block, (size_t)n);
		}
	} while (!gone);
}

Test(run_signals, draining_waits_for_a_slow_reader, .timeout = 40)
{
	struct child c;
	size_t ct;
	struct bytes got = {0};
	int fd = start_unread(&c, large_jobs());
	wait_for_count(o, "requests", 100);
	child_signal(&c, SIGTERM);
	child_wait_output(&c, 2, heard);
	json_int_t requests = origin_count(o, "requests");
	read_to_end(fd, &c, &got);
	cr_assert_eq(child_wait(&c, 20000), 143, "%s", c.got[2].data);
	json_t *results = results_load(got.data, got.len, &ct);
	results_check_ordered(results, ct);
	cr_assert_geq(
		(json_int_t)ct, requests - 8, "%zu of %lld", ct, (long long)requests);
	cr_assert_eq((json_int_t)ct, origin_count(o, "requests"), "results are lost");
	json_decref(results);
	bytes_fini(&got);
	close(fd);
	child_fini(&c);
}

/* -------------------------------------------------------------------- quiet */

Test(run_signals, quiet_says_nothing, .timeout = 40)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	child_start(&c, RUN("-q", "-c", "4", "-o", out, held_jobs("/hold/quiet")),
		CHILD_NO_STDIN);
	wait_for_count(o, "requests", BEFORE + AT_ONCE);
	child_signal(&c, SIGTERM);
	/* no message tells that it was heard: that it takes no more jobs does */
	origin_release(o, "quiet");
	cr_assert_eq(child_wait(&c, 20000), 143, "%s", c.got[2].data);
	cr_assert_str_eq(c.got[2].data, "");
	cr_assert_lt(check_whole_lines(out), MANY);
	child_fini(&c);
}

/* SIGHUP and SIGPIPE are not ours to survive or to explain; that nothing torn
 * is left is. */
Test(run_signals, sighup_leaves_whole_lines, .timeout = 40)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	start_held(&c, out, "/hold/hup");
	wait_for_index(out, BEFORE - 1);
	child_signal(&c, SIGHUP);
	cr_assert_eq(child_wait(&c, 20000), 128 + SIGHUP, "%s", c.got[2].data);
	cr_assert_eq(check_whole_lines(out), BEFORE);
	child_fini(&c);
}
