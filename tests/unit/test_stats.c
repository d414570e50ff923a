/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/stats: the summary as JSON, and the file that it is in.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/cli/message.h"
#include "master/cli/stats.h"
#include "tests/unit/scratch.h"

static struct tally tally;
static struct input *in;

static void begin(void)
{
	static const char *const names[] = {"jobs"};
	scratch_make();
	cr_assert_eq(chdir(scratch), 0);
	int fd = open("jobs", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_eq(write(fd, "http://h/\n", 10), 10);
	close(fd);
	cr_assert_eq(input_open(&in, names, 1), 0);
}

static void end(void)
{
	input_close(in);
}

TestSuite(stats, .init = begin, .fini = end);

static json_t *render(const struct summary_facts *facts, int exit_code)
{
	struct buf out = {0};
	json_error_t why;
	cr_assert_eq(stats_render(&out, facts, exit_code), 0);
	cr_assert_eq(out.data[out.len - 1], '\n');
	json_t *value = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, &why);
	cr_assert(value, "%s", why.text);
	buf_fini(&out);
	return value;
}

/* All keys are there whatever happened, and all ends have a name. */
Test(stats, is_valid_json_for_every_end, .timeout = 60)
{
	for (int e = SUMMARY_FINISHED; e <= SUMMARY_WORKERS_FAILED; e++) {
		struct summary_facts facts = {.tally = &tally,
			.end = (enum summary_end)e,
			.output = "a\"b\n\xff"};
		json_t *value = render(&facts, e);
		cr_assert(json_is_string(json_object_get(value, "end")));
		cr_assert_eq(
			json_integer_value(json_object_get(value, "exit_code")), e);
		cr_assert_eq(json_object_size(json_object_get(value, "classes")),
			OUTCOME_CLASS_CT);
		cr_assert_str_eq(json_string_value(json_object_get(value, "output")),
			"a\"b\n\xef\xbf\xbd");
		json_decref(value);
	}
}

Test(stats, has_the_counts_of_the_run, .timeout = 60)
{
	for (unsigned i = 0; i < 1000; i++) {
		struct outcome o = {.class = i % 10 ? OUTCOME_OK : OUTCOME_HTTP_STATUS,
			.http_code = i % 10 ? 200 : 503,
			.time_total_us = 1000 * (i + 1),
			.size_download = 3};
		tally_add(&tally, &o);
		tally_attempts(&tally, i % 10 ? 1 : 3);
	}
	tally_skip(&tally, 5, 0);
	struct summary_facts facts = {.tally = &tally,
		.elapsed_us = 2500000,
		.output = "out",
		.workers = 2,
		.workers_lost = 1,
		.jobs_rerun = 4};
	json_t *value = render(&facts, 1);
	double elapsed, p50;
	json_int_t done, ok, failed, skipped, attempts, retries, bytes, c503, lost,
		rerun;
	cr_assert_eq(
		json_unpack(value,
			"{s:f, s:{s:I,s:I,s:I,s:I}, s:I, s:I, s:I, s:{s:I}, s:{s:f}, "
			"s:{s:I,s:I}}",
			"elapsed", &elapsed, "jobs", "done", &done, "ok", &ok, "failed",
			&failed, "skipped", &skipped, "attempts", &attempts, "retries",
			&retries, "bytes", &bytes, "http_codes", "503", &c503,
			"latency", "p50", &p50, "workers", "lost", &lost, "jobs_rerun",
			&rerun),
		0);
	cr_assert_eq(elapsed, 2.5);
	cr_assert(done == 1000 && ok == 900 && failed == 100 && skipped == 5);
	cr_assert(attempts == 1200 && retries == 200 && bytes == 3000 && c503 == 100);
	cr_assert(p50 > 0.495 && p50 < 0.505, "%f", p50);
	cr_assert(lost == 1 && rerun == 4);
	json_decref(value);
}

static int check(const char *path, const char *output, const char *failed)
{
	struct settings want = {.stats = path, .output = output, .failed = failed};
	return stats_check(&want, in);
}

Test(stats, refuses_names_that_cannot_be, .timeout = 60)
{
	cr_assert_eq(check("new", "out", NULL), 0);
	cr_assert_eq(check("-", "out", NULL), 0);
	cr_assert_eq(check("/dev/stderr", "-", NULL), 0);
	cr_assert_eq(check("-", "-", NULL), EXIT_USAGE);
	cr_assert_eq(check("out", "out", NULL), EXIT_USAGE);
	cr_assert_eq(check("list", "out", "list"), EXIT_USAGE);
	cr_assert_eq(check("jobs", "out", NULL), EXIT_USAGE);
	cr_assert_eq(check("./jobs", "out", NULL), EXIT_USAGE);
	cr_assert_eq(check(".", "out", NULL), EXIT_USAGE);
	cr_assert_eq(check("none/new", "out", NULL), EXIT_USAGE);
	cr_assert_eq(link("jobs", "results"), 0);
	input_close(in);
	static const char *const other[] = {"/dev/null"};
	cr_assert_eq(input_open(&in, other, 1), 0);
	cr_assert_eq(check("./results", "results", NULL), EXIT_USAGE);
	cr_assert_eq(check("./results", "out", "results"), EXIT_USAGE);
	cr_assert_eq(unlink("results"), 0);
}

/* The old file or the new one: never half of one, and no other file stays. */
Test(stats, replaces_the_file_as_a_whole, .timeout = 60)
{
	struct buf text = {0};
	char got[64] = "";
	struct stat before, after;
	umask(022);
	cr_assert_eq(buf_puts(&text, "{\"first\":1}\n"), 0);
	cr_assert_eq(stats_write("s", &text), 0);
	cr_assert_eq(stat("s", &before), 0);
	cr_assert_eq(before.st_mode & 0777, 0644);
	int old = open("s", O_RDONLY | O_CLOEXEC);
	buf_clear(&text);
	cr_assert_eq(buf_puts(&text, "{}\n"), 0);
	cr_assert_eq(stats_write("s", &text), 0);
	cr_assert_eq(stat("s", &after), 0);
	cr_assert_neq(after.st_ino, before.st_ino);
	cr_assert_eq(after.st_size, 3);
	cr_assert_eq(
		read(old, got, sizeof got - 1), 12, "who reads the old one has it");
	close(old);
	cr_assert_eq(stats_write("none/s", &text), EXIT_OUTPUT);
	char longest[NAME_MAX + 1] = "";
	memset(longest, 's', NAME_MAX);
	cr_assert_eq(stats_write(longest, &text), 0);
	cr_assert_eq(unlink(longest), 0);
	buf_fini(&text);
	cr_assert_eq(unlink("s"), 0);
	cr_assert_eq(unlink("jobs"), 0);
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(rmdir(scratch), 0, "something was left behind");
}
