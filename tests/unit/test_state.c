/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/state and state_text: which job files results are of.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli/settings.h"
#include "master/cli/message.h"
#include "master/cli/state.h"
#include "master/cli/state_text.h"
#include "tests/unit/scratch.h"

enum { NOBODY = 65534 };

static int captured = -1;
static struct settings want;
static const char *names[4];
static size_t name_ct;
static struct input *in;
static struct output *o;
static struct state s;

/* ------------------------------------------------------------------- a place */

static void put_text(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", name);
}

static const char *text_of(const char *name)
{
	static char text[4096];
	FILE *f = fopen(name, "r");
	cr_assert(f, "%s is not there", name);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static bool is_there(const char *name)
{
	struct stat st;
	return lstat(name, &st) == 0;
}

static void name_jobs(size_t ct, const char *const *files)
{
	memcpy(names, files, ct * sizeof *files);
	name_ct = ct;
}

static void begin(void)
{
	scratch_make();
	cr_assert_eq(chdir(scratch), 0);
	captured = memfd_create("stderr", MFD_CLOEXEC);
	cr_assert(captured >= 0 && dup2(captured, STDERR_FILENO) >= 0);
	want = (struct settings){.output = "out", .sync = SYNC_INTERVAL};
	put_text("a", "abc");
	put_text("b", "x:1\nx:2\n");
	name_jobs(2, (const char *const[]){"a", "b"});
}

TestSuite(state, .init = begin, .timeout = 60);

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

/* ---------------------------------------------------------------------- runs */

static void stop(bool complete)
{
	output_discard(o);
	cr_assert_eq(complete ? state_complete(&s) : 0, 0);
	state_close(&s);
	input_close(in);
}

static int start(void)
{
	cr_assert_eq(input_open(&in, names, name_ct), 0);
	cr_assert_eq(output_open(&o, &want, in), 0);
	int code = state_open(&s, &want, in, o);
	code = code ? code : output_empty(o);
	code = code ? code : state_write(&s, in, want.sync);
	if (code) {
		stop(false);
	}
	return code;
}

/* A run that is stopped when it has a result. */
static void stopped_run(void)
{
	static const char line[] = "{\"index\":0}\n";
	cr_assert_eq(start(), 0, "%s", said());
	cr_assert(is_there("out.state"), "before the first result");
	cr_assert_eq(output_put(o, line, sizeof line - 1), 0);
	cr_assert_eq(output_flush(o), 0);
	stop(false);
	want.resume = true;
	want.force = false;
}

static void goes_on(void)
{
	cr_assert_eq(start(), 0, "%s", said());
	stop(false);
}

/* Does not go on, says this, and leaves both files as they are. */
static void refuses(int code, const char *words)
{
	char *before = strdup(text_of("out.state"));
	char *results = strdup(text_of("out"));
	cr_assert_eq(start(), code, "%s", words);
	const char *text = said();
	cr_assert(strstr(text, words), "\"%s\" is not in: %s", words, text);
	cr_assert_str_eq(text_of("out.state"), before);
	cr_assert_str_eq(text_of("out"), results);
	free(before);
	free(results);
}

/* --------------------------------------------------------------------- tests */

Test(state, is_there_before_the_results_and_goes_with_the_last, .timeout = 60)
{
	stopped_run();
	cr_assert_str_eq(text_of("out.state"),
		"{\"poolmap_state\":1,\"job_files\":["
		"{\"path\":\"a\",\"bytes\":3,\"hashed\":3,\"sha256\":"
		"\"ba7816bf8f01cfea414140de5dae2"
		"223b00361a396177a9cb410ff61f20015ad\"},"
		"{\"path\":\"b\",\"bytes\":8,\"hashed\":8,\"sha256\":"
		"\"54532577edfbf592cf5ac52995d5e"
		"3d6ec0d148fe56bad5ff08c953bb9de2774\"}]}\n");
	cr_assert_eq(start(), 0);
	stop(true);
	cr_assert(!is_there("out.state"));
	cr_assert(!is_there("out.state.new"));
}

Test(state, goes_on_with_the_same_bytes_by_whatever_name, .timeout = 60)
{
	stopped_run();
	goes_on();
	cr_assert_eq(rename("b", "c"), 0);
	name_jobs(2, (const char *const[]){"./a", "c"});
	goes_on();
	cr_assert_str_eq(said(), "");
}

Test(state, tells_what_became_of_a_job_file, .timeout = 60)
{
	stopped_run();
	put_text("b", "x:1\nx:2\nx:3\n");
	refuses(EXIT_MISMATCH,
		"poolmap: b: has grown, from 8 to 12 bytes, since the run began whose "
		"results are in out; give the added jobs an output of their own, or "
		"remove out.state: then only ids and URLs of jobs that are done are "
		"compared\n");
	put_text("b", "x:1\nx:3\nx:2\n");
	refuses(EXIT_MISMATCH, "b: was edited, from 8 to 12 bytes");
	put_text("b", "x:1\nx:3\n");
	refuses(EXIT_MISMATCH, "b: was edited, from 8 to 8 bytes");
	put_text("b", "x:1\n");
	refuses(EXIT_MISMATCH, "b: has shrunk, from 8 to 4 bytes");
	put_text("b", "");
	refuses(EXIT_MISMATCH, "b: has shrunk, from 8 to 0 bytes");
	put_text("b", "x:1\nx:2\n");
	goes_on();
}

Test(state, tells_when_the_files_are_others, .timeout = 60)
{
	stopped_run();
	name_jobs(1, (const char *const[]){"a"});
	refuses(EXIT_MISMATCH, "out: is of a run with 2 job files, not 1");
	name_jobs(3, (const char *const[]){"a", "b", "b"});
	refuses(EXIT_MISMATCH, "out: is of a run with 2 job files, not 3");
	name_jobs(2, (const char *const[]){"b", "a"});
	refuses(EXIT_MISMATCH, "in out, if it is the file that was a;");
}

/* Gzip of the same lines is another file, and is not read for this. */
Test(state, is_of_the_bytes_as_they_are, .timeout = 60)
{
	stopped_run();
	put_text("b", "x:1\r\nx:2\r\n");
	refuses(EXIT_MISMATCH, "b: was edited, from 8 to 10 bytes");
}

Test(state, is_not_needed, .timeout = 60)
{
	stopped_run();
	cr_assert_eq(unlink("out.state"), 0);
	put_text("b", "other");
	goes_on();
	cr_assert(strstr(text_of("out.state"), "\"bytes\":5"), "it was not made anew");
	put_text("b", "these");
	refuses(EXIT_MISMATCH, "was edited");
}

Test(state, of_no_results_is_of_no_use, .timeout = 60)
{
	stopped_run();
	cr_assert_eq(truncate("out", 0), 0);
	put_text("b", "other");
	goes_on();
	cr_assert(strstr(text_of("out.state"), "\"bytes\":5"));
	cr_assert_eq(unlink("out"), 0);
	want.resume = false;
	put_text("out.state", "{\"poolmap_state\":");
	cr_assert_eq(start(), 0);
	stop(true);
}

Test(state, is_made_anew_by_force, .timeout = 60)
{
	stopped_run();
	want.resume = false;
	want.force = true;
	put_text("b", "other");
	stopped_run();
	goes_on();
}

Test(state, that_is_damaged_is_named, .timeout = 60)
{
	static const char *const texts[] = {"", "{\"poolmap_st", "{\"poolmap_state\":1",
		"{\"poolmap_state\":1}", "{\"poolmap_state\":\"1\",\"job_files\":[]}",
		"{\"poolmap_state\":1,\"job_files\":[]}",
		"{\"poolmap_state\":1,\"job_files\":[1,2]}",
		"{\"poolmap_state\":1,\"job_files\":[{\"path\":\"a\",\"bytes\":-1,"
		"\"sha256\":\"\"},{}]}",
		"{\"poolmap_state\":1,\"poolmap_state\":1,\"job_files\":[]}"};
	stopped_run();
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		put_text("out.state", texts[i]);
		refuses(EXIT_MISMATCH, "poolmap: out.state: is damaged");
	}
	put_text("out.state", "{\"poolmap_state\":2,\"job_files\":[]}\n");
	refuses(EXIT_MISMATCH, "out.state: is of another version of poolmap");
}

/* Whose ever it is. */
Test(state, leaves_a_file_alone_that_is_none, .timeout = 60)
{
	static const char words[] = "out.state: is no state of a run";
	stopped_run();
	put_text("out.state", "my notes\n");
	refuses(EXIT_MISMATCH, words);
	want.resume = false;
	want.force = true;
	cr_assert_eq(start(), EXIT_MISMATCH);
	cr_assert_eq(unlink("out"), 0);
	cr_assert_eq(start(), EXIT_MISMATCH);
	cr_assert_str_eq(text_of("out.state"), "my notes\n");
	cr_assert(!is_there("out"), "an output was left");
	cr_assert_eq(unlink("out.state"), 0);
	cr_assert_eq(mkdir("out.state", 0700), 0);
	cr_assert_eq(start(), EXIT_MISMATCH);
	cr_assert(strstr(said(), words));
}

Test(state, is_no_other_file_of_the_run, .timeout = 60)
{
	char absolute[sizeof scratch + 16];
	snprintf(absolute, sizeof absolute, "%s//out.state", scratch);
	put_text("out.state", "{\"poolmap_state\":1}\n");
	name_jobs(2, (const char *const[]){"a", "out.state"});
	cr_assert_eq(start(), EXIT_MISMATCH);
	cr_assert_str_eq(text_of("out.state"), "{\"poolmap_state\":1}\n");
	cr_assert_eq(unlink("out.state"), 0);
	name_jobs(1, (const char *const[]){"a"});
	want.stats = "out.state";
	cr_assert_eq(start(), EXIT_USAGE);
	want.stats = NULL;
	want.failed = "out.state";
	cr_assert_eq(start(), EXIT_USAGE);
	want.failed = "./out.state";
	cr_assert_eq(start(), EXIT_USAGE);
	want.failed = NULL;
	want.stats = absolute;
	cr_assert_eq(start(), EXIT_USAGE);
	want.stats = NULL;
	want.retry_failed = "out.state";
	cr_assert_eq(start(), EXIT_USAGE);
	cr_assert(!is_there("out.state") && !is_there("out"));
}

Test(state, that_cannot_be_written_is_an_error_of_the_output, .timeout = 60)
{
	cr_assert_eq(mkdir("out.state.new", 0700), 0);
	cr_assert_eq(start(), EXIT_OUTPUT);
	cr_assert(strstr(said(), "poolmap: out.state: cannot be written"));
	cr_assert(!is_there("out.state") && !is_there("out"));
}

/* A run need not fail for that, whatever its output is good for. */
Test(state, is_not_needed_where_its_name_is_too_long, .timeout = 60)
{
	char name[NAME_MAX + 1], state[NAME_MAX + 8];
	memset(name, 'x', NAME_MAX);
	for (size_t len = NAME_MAX - 10; len <= NAME_MAX; len++) {
		bool fits = len + strlen(".state") <= NAME_MAX;
		snprintf(state, sizeof state, "%.*s.state", (int)len, name);
		char *out = strndup(name, len);
		want.output = out;
		cr_assert_eq(start(), 0, "%zu: %s", len, said());
		cr_assert_eq(is_there(state), fits, "%zu", len);
		cr_assert_eq(strstr(said(), "goes without a state") == NULL, fits);
		stop(true);
		cr_assert(!is_there(state) && !is_there(out));
		free(out);
	}
}

Test(state, is_not_needed_where_only_the_output_may_be_written, .timeout = 60)
{
	cr_assert_eq(mkdir("shut", 0700), 0);
	put_text("shut/out", "");
	cr_assert(chmod("shut", 0555) == 0 && chmod("shut/out", 0666) == 0);
	want.output = "shut/out";
	want.force = true;
	uid_t user = geteuid();
	if (user == 0) {
		cr_assert_eq(chmod(scratch, 0755), 0);
		cr_assert_eq(seteuid(NOBODY), 0); /* root may write everywhere */
	}
	cr_assert_eq(start(), 0, "%s", said());
	stop(true);
	cr_assert_eq(seteuid(user), 0);
	cr_assert_eq(chmod("shut", 0755), 0);
	cr_assert(strstr(
		said(), "out: goes without a state beside it (Permission denied)"));
}

/* A kill between writing and renaming. */
Test(state, takes_the_place_of_one_that_was_not_finished, .timeout = 60)
{
	put_text("out.state.new", "{\"poolmap_state\":1,");
	stopped_run();
	cr_assert(!is_there("out.state.new"));
	goes_on();
}

Test(state, stands_beside_the_results_and_not_beside_a_link_to_them, .timeout = 60)
{
	cr_assert_eq(mkdir("runs", 0700), 0);
	put_text("runs/1", "");
	cr_assert_eq(symlink("runs/1", "out"), 0);
	want.force = true;
	cr_assert_eq(start(), 0);
	stop(false);
	cr_assert(is_there("runs/1.state") && !is_there("out.state"));
}

/* What is not there in the end needs none. */
Test(state, goes_with_an_output_that_has_no_results, .timeout = 60)
{
	cr_assert_eq(start(), 0);
	stop(false); /* removes what it has made */
	cr_assert(!is_there("out") && !is_there("out.state"));
}

Test(state, is_only_for_files, .timeout = 60)
{
	want.output = "/dev/null";
	cr_assert_eq(start(), 0);
	stop(true);
	cr_assert_null(s.path);
}

Test(state, holds_names_that_are_no_utf8, .timeout = 60)
{
	put_text("\xff\"", "x:1\n");
	name_jobs(1, (const char *const[]){"\xff\""});
	stopped_run();
	goes_on();
}

Test(state, of_results_that_only_are_read_is_compared_and_stays, .timeout = 60)
{
	stopped_run();
	cr_assert_eq(input_open(&in, names, name_ct), 0);
	cr_assert_eq(state_compare("out", in), 0);
	input_close(in);
	put_text("a", "abcd");
	cr_assert_eq(input_open(&in, names, name_ct), 0);
	cr_assert_eq(state_compare("out", in), EXIT_MISMATCH);
	cr_assert(strstr(said(), "a: has grown, from 3 to 4 bytes"));
	cr_assert_eq(state_compare("none", in), 0);
	input_close(in);
	cr_assert(is_there("out.state"));
}
