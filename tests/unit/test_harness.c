/* SPDX-License-Identifier: MIT
 *
 * The tests' own plumbing: what it says about programs, files, processes and
 * results is true.
 */
#include <criterion/criterion.h>

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/support/harness.h"

/* The program behind "sh -c script", to its end. */
static struct run_result shell(const char *input, const char *script)
{
	struct run_result r;
	run_command(&r, input, "sh", "-c", script, NULL);
	return r;
}

/* --------------------------------------------------------------- failures */

static jmp_buf back;
static char failure[4096];

static void note_failure(const char *message)
{
	snprintf(failure, sizeof(failure), "%s", message);
	longjmp(back, 1);
}

/* Run what must fail the test, and catch that. */
static void expect_failure(void (*fails)(void), const char *message)
{
	harness_on_failure = note_failure;
	if (setjmp(back) == 0) {
		fails();
		harness_on_failure = NULL;
		cr_assert_fail("did not fail with: %s", message);
	}
	harness_on_failure = NULL;
	cr_assert(strstr(failure, message), "failed with: %s instead of: %s", failure,
		message);
}

/* -------------------------------------------------------------------- run */

Test(harness, reports_exit_codes, .timeout = 60)
{
	static const int codes[] = {0, 1, 2, 127, 130, 255};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct run_result r = shell(NULL, keep_printf("exit %d", codes[i]));
		cr_assert_eq(r.status, codes[i], "exit %d: %d", codes[i], r.status);
		cr_assert_eq(r.out_len + r.err_len, 0);
		run_result_fini(&r);
	}
}

Test(harness, reports_signals_as_128_and_more, .timeout = 60)
{
	static const int signals[] = {SIGTERM, SIGKILL, SIGINT, SIGPIPE};
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct run_result r =
			shell(NULL, keep_printf("kill -%d $$", signals[i]));
		cr_assert_eq(r.status, 128 + signals[i], "signal %d: %d", signals[i],
			r.status);
		run_result_fini(&r);
	}
}

Test(harness, keeps_output_and_errors_apart, .timeout = 60)
{
	struct run_result r = shell(NULL, "echo out; echo err >&2; printf 'a\\0b'");
	cr_assert_eq(r.out_len, 7);
	cr_assert_arr_eq(r.out, "out\na\0b", 8);
	cr_assert_str_eq(r.err, "err\n");
	run_result_fini(&r);
}

Test(harness, gives_standard_input_or_none, .timeout = 60)
{
	struct run_result r = shell("one\ntwo", "cat; echo; cat");
	cr_assert_str_eq(r.out, "one\ntwo\n");
	run_result_fini(&r);
	r = shell(NULL, "wc -c");
	cr_assert_eq(atol(r.out), 0);
	run_result_fini(&r);
	r = shell("", "wc -c");
	cr_assert_eq(atol(r.out), 0);
	run_result_fini(&r);
}

/* More than any pipe holds, on three pipes at once. */
Test(harness, does_not_lock_when_all_pipes_are_full, .timeout = 60)
{
	struct run_result r;
	size_t len = 3000000;
	char *input = malloc(len);
	const char *argv[] = {"sh", "-c", "tee /dev/stderr", NULL};
	cr_assert(input);
	for (size_t i = 0; i < len; i++) {
		input[i] = (char)('a' + i % 23);
	}
	run_argv(&r, input, len, argv);
	cr_assert_eq(r.status, 0);
	cr_assert_eq(r.out_len, len);
	cr_assert_eq(r.err_len, len);
	cr_assert_eq(memcmp(r.out, input, len), 0);
	cr_assert_eq(memcmp(r.err, input, len), 0);
	run_result_fini(&r);
	free(input);
}

Test(harness, survives_a_program_that_does_not_read, .timeout = 60)
{
	struct run_result r;
	char *input = calloc(1, 1000000);
	const char *argv[] = {"sh", "-c", "exec <&-; exit 3", NULL};
	cr_assert(input);
	run_argv(&r, input, 1000000, argv);
	cr_assert_eq(r.status, 3);
	run_result_fini(&r);
	free(input);
}

/* An orphan that holds the pipes must not hold the test. */
Test(harness, waits_for_the_program_and_not_for_its_pipes, .timeout = 60)
{
	struct run_result r = shell(NULL, "sleep 1000 & echo $!");
	pid_t orphan = (pid_t)atol(r.out);
	cr_assert_eq(r.status, 0);
	cr_assert_gt(orphan, 1);
	cr_assert_not(wait_until_gone(orphan, 0));
	cr_assert_eq(kill(orphan, SIGKILL), 0);
	cr_assert(wait_until_gone(orphan, 30000));
	cr_assert(wait_until_gone(orphan, 0));
	run_result_fini(&r);
}

Test(harness, cleans_the_environment_and_adds_to_it, .timeout = 60)
{
	setenv("POOLMAP_WORKERS", "7", 1);
	setenv("HARNESS_INHERITED", "1", 1);
	setenv("HARNESS_HIDDEN", "1", 1);
	child_env("HARNESS_HIDDEN", NULL);
	child_env("HARNESS_EXTRA", "first");
	child_env("HARNESS_EXTRA", "a b");
	child_env("POOLMAP_TIMEOUT", "5");
	struct run_result r = shell(NULL, "env");
	cr_assert_not(strstr(r.out, "POOLMAP_WORKERS="));
	cr_assert_not(strstr(r.out, "BXFI_MAP="));
	cr_assert_not(strstr(r.out, "HARNESS_HIDDEN="));
	cr_assert(strstr(r.out, "HARNESS_INHERITED=1\n"));
	cr_assert(strstr(r.out, "HARNESS_EXTRA=a b\n"));
	cr_assert(strstr(r.out, "POOLMAP_TIMEOUT=5\n"));
	cr_assert(strstr(r.out, "LC_ALL=C\n"));
	run_result_fini(&r);
}

/* --------------------------------------------------------------- children */

static const char *const cat[] = {"cat", NULL};

Test(harness, talks_with_a_child_line_by_line, .timeout = 60)
{
	struct child c;
	child_start(&c, cat, 0);
	cr_assert(child_write(&c, "one\ntwo\nthr", 11));
	cr_assert_str_eq(child_read_line(&c, 1, 30000), "one");
	cr_assert_str_eq(child_read_line(&c, 1, 30000), "two");
	cr_assert(child_write(&c, "ee\n\nlast", 8));
	cr_assert_str_eq(child_read_line(&c, 1, 30000), "three");
	cr_assert_str_eq(child_read_line(&c, 1, 30000), "");
	child_close(&c, 0);
	cr_assert_str_eq(child_read_line(&c, 1, 30000), "last");
	cr_assert_null(child_read_line(&c, 1, 30000));
	cr_assert_eq(child_wait(&c, 30000), 0);
	cr_assert_str_eq(c.got[1].data, "one\ntwo\nthree\n\nlast");
	child_fini(&c);
}

Test(harness, waits_for_output_and_signals, .timeout = 60)
{
	struct child c;
	const char *argv[] = {"sh", "-c",
		"trap 'echo caught; exit 9' TERM; echo ready >&2; while :; do read x; "
		"done",
		NULL};
	child_start(&c, argv, 0);
	child_wait_output(&c, 2, "ready");
	child_signal(&c, SIGTERM);
	cr_assert_eq(child_wait(&c, 30000), 9);
	cr_assert_str_eq(c.got[1].data, "caught\n");
	child_fini(&c);
}

Test(harness, sees_a_child_close_its_input_and_breaks_its_output, .timeout = 60)
{
	struct child c;
	const char *yes[] = {"yes", NULL};
	child_start(&c, cat, 0);
	child_signal(&c, SIGKILL);
	cr_assert_eq(child_wait(&c, 30000), 128 + SIGKILL);
	cr_assert_not(child_write(&c, "x", 1));
	child_fini(&c);
	child_start(&c, yes, CHILD_NO_STDIN);
	child_wait_output(&c, 1, "y\n");
	child_close(&c, 1);
	cr_assert_eq(child_wait(&c, 30000), 128 + SIGPIPE);
	child_fini(&c);
}

Test(harness, starts_a_process_group_when_asked, .timeout = 60)
{
	struct child c;
	const char *argv[] = {"sh", "-c", "cat | cat; exit 0", NULL};
	child_start(&c, argv, CHILD_NEW_GROUP);
	cr_assert_eq(getpgid(c.pid), c.pid);
	cr_assert_eq(kill(-c.pid, SIGINT), 0);
	cr_assert_eq(child_wait(&c, 30000), 128 + SIGINT);
	child_fini(&c);
}

Test(harness, kills_a_child_that_still_runs_when_it_is_done, .timeout = 60)
{
	struct child c;
	child_start(&c, cat, 0);
	pid_t pid = c.pid;
	child_fini(&c);
	cr_assert(wait_until_gone(pid, 0), "child_fini() left %d alive", (int)pid);
}

static struct child stubborn;

static void wait_too_short(void)
{
	child_wait(&stubborn, 10);
}

static void read_too_short(void)
{
	child_read_line(&stubborn, 1, 10);
}

static void wait_for_what_never_comes(void)
{
	child_close(&stubborn, 0);
	child_wait_output(&stubborn, 1, "needle");
}

static void start_nothing(void)
{
	const char *argv[] = {"/nonexistent/program", NULL};
	child_start(&stubborn, argv, 0);
}

Test(harness, fails_the_test_when_a_child_does_not_keep_a_deadline, .timeout = 60)
{
	child_start(&stubborn, cat, 0);
	expect_failure(read_too_short, "no line on descriptor 1 in 10 ms");
	expect_failure(wait_too_short, "did not end in 10 ms, and was killed");
	cr_assert(stubborn.exited && stubborn.status == 128 + SIGKILL);
	child_fini(&stubborn);
	child_start(&stubborn, cat, 0);
	expect_failure(wait_for_what_never_comes, "ended without \"needle\"");
	child_fini(&stubborn);
	expect_failure(
		start_nothing, "cannot start /nonexistent/program: No such file");
}

/* -------------------------------------------------------------- processes */

struct there_are {
	size_t ct;
	pid_t parent;       /* children of it; */
	const char *needle; /* or programs with this */
};

static bool there_are(void *ctx)
{
	const struct there_are *are = ctx;
	pid_t pids[1];
	size_t ct = are->needle ? pids_of_program(are->needle, pids, 1)
				: process_children(are->parent, pids, 1);
	return ct == are->ct;
}

Test(harness, finds_children_and_programs, .timeout = 60)
{
	struct child c;
	pid_t pids[8];
	const char *mark = keep_printf("harness-mark-%d", (int)getpid());
	const char *argv[] = {"sh", "-c", "sleep 1000 & sleep 1000 & wait", mark, NULL};
	child_start(&c, argv, CHILD_NEW_GROUP);
	struct there_are two = {2, c.pid, NULL}, three = {3, c.pid, NULL};
	struct there_are one = {1, 0, mark}; /* the sleeps have it until their exec */
	cr_assert(wait_for(there_are, &two, 30000));
	cr_assert(wait_for(there_are, &one, 30000));
	cr_assert_not(wait_for(there_are, &three, 20));
	cr_assert_eq(pids_of_program(mark, pids, 8), 1);
	cr_assert_eq(pids[0], c.pid);
	cr_assert_eq(process_children(getpid(), pids, 8), 1);
	cr_assert_eq(pids[0], c.pid);
	cr_assert_eq(process_children(c.pid, pids, 8), 2);
	cr_assert_eq(kill(-c.pid, SIGKILL), 0);
	cr_assert(wait_until_gone(pids[0], 30000) && wait_until_gone(pids[1], 30000));
	child_wait(&c, 30000);
	cr_assert_eq(pids_of_program(mark, pids, 8), 0);
	child_fini(&c);
}

static bool never(void *ctx)
{
	++*(int *)ctx;
	return false;
}

Test(harness, gives_up_waiting_at_the_deadline, .timeout = 60)
{
	int asked = 0;
	uint64_t start = clock_now_ms();
	cr_assert_not(wait_for(never, &asked, 30));
	cr_assert_geq(clock_now_ms() - start, 30);
	cr_assert_geq(asked, 2);
}

/* ------------------------------------------------------------------ files */

Test(harness, makes_files_that_can_be_read_again, .timeout = 60)
{
	size_t len;
	struct stat st;
	const char *path = temp_file("bytes", "a\0b\n", 4);
	char *got = read_file(path, &len);
	cr_assert_eq(len, 4);
	cr_assert_arr_eq(got, "a\0b\n", 5);
	cr_assert(strstr(path, "/poolmap-test-"), "%s", path);
	const char *dir = temp_dir();
	cr_assert_eq(stat(dir, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	cr_assert_str_neq(dir, temp_dir());
	free(got);
	got = read_file("/proc/self/stat", &len);
	cr_assert_gt(len, 0, "a file without a size");
	free(got);
}

Test(harness, finds_programs_of_its_own_flavour, .timeout = 60)
{
	const char *path = program("tests/support/origin");
	cr_assert_eq(path[0], '/');
	setenv("POOLMAP_BUILD_DIR", "/bin", 1);
	cr_assert_str_eq(program("sh"), "/bin/sh");
}

/* ---------------------------------------------------------------- results */

static json_t *load(const char *text)
{
	return results_load(text, strlen(text), NULL);
}

Test(harness, accepts_results_in_order_and_complete, .timeout = 60)
{
	size_t ct = 99;
	static const char text[] =
		"{\"index\":0,\"body\":\"\\u0000\"}\n{\"index\":1}\n";
	json_t *ordered = results_load(text, sizeof(text) - 1, &ct);
	json_t *mixed = load("{\"index\":2}\n{\"index\":0}\n{\"index\":1}\n");
	json_t *none = load("");
	cr_assert_eq(ct, 2);
	results_check_ordered(ordered, 2);
	results_check_complete(ordered, 2);
	results_check_complete(mixed, 3);
	results_check_ordered(none, 0);
	results_check_complete(none, 0);
	json_decref(ordered);
	json_decref(mixed);
	json_decref(none);
}

static const char *broken;
static json_t *given;

static void load_broken(void)
{
	json_decref(load(broken));
}

static void check_ordered(void)
{
	results_check_ordered(given, 3);
}

static void check_complete(void)
{
	results_check_complete(given, 3);
}

Test(harness, fails_the_test_on_results_that_are_no_results, .timeout = 60)
{
	static const char *const texts[][2] = {
		{"{\"index\":0}\n{\"index\":1", "line 2: torn"},
		{"{\"index\":0}\n\n", "line 2: "},
		{"{\"index\":0}\n{}\n", "line 2: no \"index\""},
		{"{\"index\":\"0\"}\n", "line 1: no \"index\""},
		{"[0]\n", "line 1: no \"index\""},
		{"{\"index\":0,\"index\":0}\n", "line 1: duplicate"},
		{"{\"index\":0} x\n", "line 1: end of file expected"},
		{"{\"index\":0,\"body\":\"\xff\"}\n", "line 1: unable to decode"},
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		broken = texts[i][0];
		expect_failure(load_broken, texts[i][1]);
	}
}

Test(harness, fails_the_test_on_indexes_that_miss_or_repeat, .timeout = 60)
{
	given = load("{\"index\":0}\n{\"index\":2}\n{\"index\":1}\n");
	expect_failure(check_ordered, "line 2: index 2 instead of 1");
	json_decref(given);
	given = load("{\"index\":0}\n{\"index\":1}\n{\"index\":0}\n");
	expect_failure(check_complete, "line 3: index 0 again");
	json_decref(given);
	given = load("{\"index\":0}\n{\"index\":1}\n{\"index\":3}\n");
	expect_failure(check_complete, "line 3: index 3 again, or not of 3 jobs");
	json_decref(given);
	given = load("{\"index\":0}\n{\"index\":1}\n");
	expect_failure(check_ordered, "2 results for 3 jobs");
	expect_failure(check_complete, "2 results for 3 jobs");
	json_decref(given);
}
