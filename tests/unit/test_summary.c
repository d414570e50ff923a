/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/cli/summary: whole summaries, word for word, and the
 * properties that every summary has.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "master/cli/summary.h"

/* Up to here all lines fit. */
#define COUNT_MAX UINT64_C(9999999999)

#define AGAIN "poolmap run jobs.txt -o results.jsonl --resume"
#define HOW_TO_SEE                                                                     \
	"To see what failed, and why:\n"                                               \
	"  jq -c 'select(.ok|not) | {index,url,error,errormsg}' results.jsonl\n"
#define HOW_TO_RETRY                                                                   \
	"To fetch the URLs of those again:\n"                                          \
	"  jq -r 'select(.ok|not).url // empty' results.jsonl |\n"                     \
	"    poolmap run - -o retry.jsonl\n"

static struct tally t;
static struct summary_facts facts;
static struct buf out;

static void begin(void)
{
	facts = (struct summary_facts){
		.tally = &t,
		.elapsed_us = 15203000,
		.end = SUMMARY_FINISHED,
		.output = "results.jsonl",
		.workers = 4,
	};
}

static void add(
	uint64_t ct, unsigned class, unsigned status, uint64_t us, uint64_t bytes)
{
	struct outcome outcome = {
		.class = class,
		.http_code = status,
		.time_total_us = us,
		.size_download = bytes,
	};
	for (uint64_t i = 0; i < ct; i++) {
		tally_add(&t, &outcome);
	}
}

static const char *render(void)
{
	buf_clear(&out);
	cr_assert_eq(summary_render(&out, &facts), 0);
	return buf_text(&out);
}

static void assert_says(const char *text)
{
	cr_assert(strstr(render(), text), "no \"%s\" in:\n%s", text, buf_text(&out));
}

static void assert_does_not_say(const char *text)
{
	cr_assert(!strstr(render(), text), "\"%s\" in:\n%s", text, buf_text(&out));
}

static size_t widest_line(const char *text)
{
	size_t widest = 0;
	while (*text) {
		size_t width = strcspn(text, "\n");
		widest = width > widest ? width : widest;
		text += width + (text[width] == '\n');
	}
	return widest;
}

/* ------------------------------------------------------------ word for word */

Test(summary, of_a_run_without_jobs, .timeout = 10, .init = begin)
{
	facts.elapsed_us = 0;
	cr_assert_str_eq(render(),
		"Done: the input holds no jobs.\n"
		"\n"
		"  results    results.jsonl\n"
		"\n"
		"A job is a line with a URL, such as https://example.org/. "
		"Empty lines and\n"
		"lines that begin with # do not count.\n");
}

Test(summary, of_one_job_that_is_ok, .timeout = 10, .init = begin)
{
	facts.elapsed_us = 212345;
	facts.workers = 1;
	add(1, OUTCOME_OK, 200, 87000, 1234);
	cr_assert_str_eq(render(), "Done: the one job is ok.\n"
				   "\n"
				   "  jobs       1  in 212 ms, 1 worker\n"
				   "  ok         1    100%\n"
				   "  failed     0\n"
				   "\n"
				   "  HTTP 200   1    100%\n"
				   "\n"
				   "  latency    87 ms\n"
				   "  received   1.21 KiB\n"
				   "  results    results.jsonl\n");
}

Test(summary, of_one_failed_job_to_standard_output, .timeout = 10, .init = begin)
{
	facts.output = "-";
	facts.passed_on = true;
	add(1, OUTCOME_DNS, 0, 1200, 0);
	cr_assert_str_eq(render(),
		"Done: the one job failed.\n"
		"\n"
		"  jobs       1  in 15.2 s, 4 workers\n"
		"  ok         0\n"
		"  failed     1    100%\n"
		"    dns      1    100%  host name not found\n"
		"\n"
		"  latency    1.2 ms\n"
		"  results    standard output\n"
		"\n"
		"Results of failed jobs say \"ok\":false; \"errormsg\" says why.\n");
}

/* Nothing of a run, and nothing that the results do not say. */
Test(summary, of_results_that_are_read_again, .timeout = 10, .init = begin)
{
	facts.unknown = SUMMARY_NO_RUN;
	facts.elapsed_us = 0;
	add(3, OUTCOME_OK, 200, 87000, 100);
	add(1, OUTCOME_DNS, 0, 0, 0);
#define COUNTS                                                                         \
	"results.jsonl: 1 of 4 jobs failed.\n"                                         \
	"\n"                                                                           \
	"  jobs       4\n"                                                             \
	"  ok         3   75.0%\n"                                                     \
	"  failed     1   25.0%\n"
	buf_clear(&out);
	cr_assert_eq(summary_render_results(&out, &facts), 0);
	cr_assert_str_eq(buf_text(&out),
		COUNTS "    dns      1   25.0%  host name not found\n"
		       "\n"
		       "  HTTP 200   3   75.0%\n"
		       "\n"
		       "  latency    p50 87 ms   p90 87 ms   p99 87 ms   max 87 ms\n"
		       "  received   300 bytes\n");
	facts.unknown |= SUMMARY_NO_CLASSES;
	t.by_status[0] = t.done;
	t.by_status[200] = t.bytes = 0;
	t.latency = (struct histogram){0};
	buf_clear(&out);
	cr_assert_eq(summary_render_results(&out, &facts), 0);
	cr_assert_str_eq(buf_text(&out), COUNTS);
}

Test(summary, of_a_run_where_some_failed, .timeout = 10, .init = begin)
{
	add(11900, OUTCOME_OK, 200, 87000, 5123);
	add(101, OUTCOME_OK, 301, 57000, 123);
	add(40, OUTCOME_DNS, 0, 4000, 0);
	add(204, OUTCOME_TIMEOUT, 0, 60000000, 0);
	add(60, OUTCOME_HTTP_STATUS, 404, 40000, 512);
	add(40, OUTCOME_HTTP_STATUS, 503, 40000, 512);
	facts.workers_lost = 2;
	facts.jobs_rerun = 31;
	cr_assert_str_eq(render(),
		"Done: 344 of 12,345 jobs failed.\n"
		"\n"
		"  jobs           12,345  in 15.2 s, 812/s, 4 workers\n"
		"  ok             12,001   97.2%\n"
		"  failed            344    2.8%\n"
		"    dns              40    0.3%  host name not found\n"
		"    timeout         204    1.7%  it took too long\n"
		"    http_status     100    0.8%  HTTP status not in --accept\n"
		"\n"
		"  HTTP 200       11,900   96.4%\n"
		"  HTTP 301          101    0.8%\n"
		"  HTTP 404           60    0.5%\n"
		"  HTTP 503           40    0.3%\n"
		"\n"
		"  latency        p50 87 ms   p90 87 ms   p99 60 s   max 60 s\n"
		"  received       58.2 MiB, 3.83 MiB/s\n"
		"  workers        2 lost, 31 jobs run again\n"
		"  results        results.jsonl\n"
		"\n" HOW_TO_SEE HOW_TO_RETRY);
}

Test(summary, of_a_run_that_was_interrupted, .timeout = 10, .init = begin)
{
	add(4100, OUTCOME_OK, 200, 87000, 0);
	add(110, OUTCOME_CONNECT, 0, 900, 0);
	tally_skip(&t, 1200, 0);
	facts.end = SUMMARY_DRAINED;
	facts.signal = SIGINT;
	facts.again = AGAIN;
	cr_assert_str_eq(render(),
		"Interrupted by SIGINT after 4,210 jobs. Running jobs were completed.\n"
		"\n"
		"  jobs       4,210  in 15.2 s, 277/s, 4 workers\n"
		"  skipped    1,200  already done by an earlier run\n"
		"  ok         4,100   97.4%\n"
		"  failed       110    2.6%\n"
		"    connect    110    2.6%  no connection to the server\n"
		"\n"
		"  HTTP 200   4,100   97.4%\n"
		"\n"
		"  latency    p50 87 ms   p90 87 ms   p99 87 ms   max 87 ms\n"
		"  results    results.jsonl\n"
		"\n"
		"To go on where it stopped:\n"
		"  " AGAIN "\n"
		"\n" HOW_TO_SEE HOW_TO_RETRY);
}

Test(summary, of_a_run_that_was_stopped_and_cannot_go_on, .timeout = 10, .init = begin)
{
	add(3, OUTCOME_OK, 200, 1, 1);
	facts.end = SUMMARY_STOPPED;
	facts.signal = SIGTERM;
	facts.never = "its jobs came from standard input";
	cr_assert_str_eq(render(),
		"Stopped by SIGTERM after 3 jobs. Running jobs were dropped.\n"
		"\n"
		"  jobs       3  in 15.2 s, 0.20/s, 4 workers\n"
		"  ok         3    100%\n"
		"  failed     0\n"
		"\n"
		"  HTTP 200   3    100%\n"
		"\n"
		"  latency    p50 1 us   p90 1 us   p99 1 us   max 1 us\n"
		"  received   3 bytes\n"
		"  results    results.jsonl\n"
		"\n"
		"This run cannot be resumed: its jobs came from standard input.\n");
}

/* --------------------------------------------------------------- the answer */

Test(summary, begins_with_the_answer, .timeout = 10, .init = begin)
{
	tally_skip(&t, 9, 0);
	assert_says("Done: nothing was left to do, every job has its result.\n");
	assert_says("\n  skipped    9  already done by an earlier run\n");
	t.skipped_failed = 3;
	assert_says(
		"\n  skipped    9  already done by an earlier run, where 3 failed\n");
	t.skipped_failed = 0;
	assert_does_not_say("A job is a line");
	add(1, OUTCOME_OK, 200, 1, 1);
	assert_says("Done: the one job of this run is ok.\n");
	add(1, OUTCOME_OK, 200, 1, 1);
	assert_says("Done: all 2 jobs of this run are ok.\n");
	add(1, OUTCOME_RESET, 0, 1, 1);
	assert_says("Done: 1 of 3 jobs of this run failed.\n");
	t = (struct tally){0};
	add(2000, OUTCOME_RESET, 0, 1, 1);
	assert_says("Done: all 2,000 jobs failed.\n");
}

Test(summary, says_what_stopped_the_run_and_how_to_go_on, .timeout = 10, .init = begin)
{
	static const struct {
		enum summary_end end;
		const char *answer, *next;
	} cases[] = {
		{SUMMARY_DRAINED,
			"Interrupted by SIGINT after 1 job. Running jobs were",
			"To go on where it stopped:\n  " AGAIN "\n"},
		{SUMMARY_STOPPED,
			"Stopped by SIGINT after 1 job. Running jobs were dropped.",
			"To go on where it stopped:\n  " AGAIN "\n"},
		{SUMMARY_HALTED,
			"Stopped after 1 job: too many failed. Running jobs were "
			"completed.\n",
			"To go on where it stopped:\n  " AGAIN "\n"},
		{SUMMARY_TIME_OVER,
			"Stopped after 1 job: --max-time is over. Running jobs were "
			"dropped.\n",
			"To go on where it stopped:\n  " AGAIN "\n"},
		{SUMMARY_OUTPUT_FAILED,
			"Stopped after 1 job: the results cannot be written.\n",
			"To go on, once they can be written again:\n  " AGAIN "\n"},
		{SUMMARY_INPUT_FAILED,
			"Stopped after 1 job: the jobs cannot be read any further.\n",
			"To go on, once they can be read again:\n  " AGAIN "\n"},
		{SUMMARY_WORKERS_FAILED,
			"Stopped after 1 job: the workers cannot be kept running.\n",
			"To go on, once the cause is gone:\n  " AGAIN "\n"},
	};
	facts.signal = SIGINT;
	facts.again = AGAIN;
	add(1, OUTCOME_OK, 200, 1, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		facts.end = cases[i].end;
		cr_assert_eq(
			strncmp(render(), cases[i].answer, strlen(cases[i].answer)), 0,
			"%s", buf_text(&out));
		assert_says(cases[i].next);
	}
	facts.end = SUMMARY_FINISHED;
	assert_does_not_say(AGAIN);
	facts.end = SUMMARY_HALTED;
	facts.dropped = true;
	assert_says("too many failed. Running jobs were dropped.\n");
}

Test(summary, of_a_run_that_ended_before_its_first_result, .timeout = 10, .init = begin)
{
	facts.signal = SIGINT;
	facts.end = SUMMARY_DRAINED;
	assert_says("Interrupted by SIGINT before the first result.\n");
	facts.end = SUMMARY_STOPPED;
	assert_says("Stopped by SIGINT before the first result. Running jobs were "
		    "dropped.\n");
	facts.end = SUMMARY_WORKERS_FAILED;
	assert_says("Stopped before the first result: the workers cannot be kept");
	assert_does_not_say("A job is a line");
	assert_does_not_say("  jobs");
}

Test(summary, finds_a_reason_why_it_cannot_go_on, .timeout = 10, .init = begin)
{
	facts.end = SUMMARY_INPUT_FAILED;
	assert_says("cannot be resumed: its jobs cannot be read a second time.\n");
	facts.passed_on = true;
	assert_says("cannot be resumed: its results are not in a file (-o FILE).\n");
}

/* --------------------------------------------------------------- the counts */

Test(summary, explains_every_class, .timeout = 10, .init = begin)
{
	for (unsigned class = OUTCOME_OK + 1; class < OUTCOME_CLASS_CT; class ++) {
		char line[64];
		t = (struct tally){0};
		add(1, class, 0, 1, 0);
		snprintf(line, sizeof(line), "\n    %s", outcome_class_name(class));
		const char *row = strstr(render(), line);
		cr_assert(row, "no row for %s", outcome_class_name(class));
		row = strstr(row, "100%");
		cr_assert(row, "no share for %s", outcome_class_name(class));
		cr_assert_geq(strcspn(row, "\n"), strlen("100%  some words"),
			"no words for %s", outcome_class_name(class));
	}
}

Test(summary, never_rounds_to_none_or_to_all, .timeout = 10, .init = begin)
{
	add(1, OUTCOME_DNS, 0, 1, 0);
	t.done = t.by_status[0] = 1000000;
	t.by_class[OUTCOME_OK] = 999999;
	assert_says("  ok           999,999  >99.9%\n");
	assert_says("  failed             1   <0.1%\n");
	t.by_class[OUTCOME_OK] = 999500;
	t.by_class[OUTCOME_DNS] = 500;
	assert_says("  failed           500    0.1%\n");
}

Test(summary, lists_the_ten_most_frequent_statuses, .timeout = 10, .init = begin)
{
	for (unsigned i = 0; i < 13; i++) {
		add(100 - i, OUTCOME_HTTP_STATUS, 500 - i, 1, 0);
	}
	assert_says(
		"\n\n  HTTP 491          91    7.4%\n  HTTP 492          92    7.5%\n");
	assert_says(
		"\n  HTTP 500         100    8.2%\n  HTTP other       267   21.8%\n\n");
	assert_does_not_say("HTTP 490");
	assert_does_not_say("HTTP 488");
}

Test(summary, leaves_out_what_did_not_occur, .timeout = 10, .init = begin)
{
	add(3, OUTCOME_BAD_JOB, 0, 0, 0);
	assert_does_not_say("latency");
	assert_does_not_say("received");
	assert_does_not_say("workers   ");
	assert_does_not_say("skipped");
	assert_does_not_say("HTTP");
	facts.workers_lost = 1;
	assert_says("  workers    1 lost\n");
	facts.jobs_rerun = 1;
	assert_says("  workers    1 lost, 1 job run again\n");
}

Test(summary, has_units_that_fit_the_size, .timeout = 10, .init = begin)
{
	static const struct {
		uint64_t us;
		const char *elapsed, *latency;
	} cases[] = {
		{1, "in 1 us,", "latency    1 us\n"},
		{999, "in 999 us,", "latency    999 us\n"},
		{9949, "in 9.95 ms,", "latency    9.9 ms\n"},
		{9994, "in 9.99 ms,", "latency    10 ms\n"},
		{9996, "in 10.0 ms,", "latency    10 ms\n"},
		{999499, "in 999 ms,", "latency    999 ms\n"},
		{999500, "in 1.00 s,", "latency    1.0 s\n"},
		{60000000, "in 60.0 s,", "latency    60 s\n"},
		{99949999, "in 99.9 s,", "latency    100 s\n"},
		{99950000, "in 1 min 40 s,", "latency    100 s\n"},
		{3599499999, "in 59 min 59 s,", "latency    3599 s\n"},
		{3599500000, "in 1 h 0 min,", "latency    3600 s\n"},
		{86399000000, "in 23 h 59 min,", "latency    86399 s\n"},
		{100000000000, "in 1 d 3 h,", "latency    86400 s\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t = (struct tally){0};
		add(1, OUTCOME_OK, 200, cases[i].us, 0);
		facts.elapsed_us = cases[i].us;
		assert_says(cases[i].elapsed);
		assert_says(cases[i].latency);
	}
}

Test(summary, counts_bytes_in_units_of_1024, .timeout = 10, .init = begin)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{1, "received   1 byte\n"},
		{1023, "received   1023 bytes\n"},
		{1024, "received   1.00 KiB\n"},
		{1023487, "received   999 KiB\n"},
		{1023488, "received   0.98 MiB\n"},
		{UINT64_C(5) << 30, "received   5.00 GiB\n"},
		{UINT64_MAX, "received   16.0 EiB\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t = (struct tally){0};
		add(1, OUTCOME_OK, 200, 1, cases[i].bytes);
		assert_says(cases[i].text);
	}
}

Test(summary, has_no_rate_when_no_time_has_passed, .timeout = 10, .init = begin)
{
	facts.elapsed_us = 0;
	add(5, OUTCOME_OK, 200, 1, 100);
	assert_says("  jobs       5  in 0 us, 4 workers\n");
	assert_says("  received   500 bytes\n");
	assert_does_not_say("nan");
	assert_does_not_say("inf");
}

Test(summary, stays_within_80_columns, .timeout = 10, .init = begin)
{
	for (unsigned class = 0; class < OUTCOME_CLASS_CT; class ++) {
		add(2, class, 400 + class, HISTOGRAM_US_MAX, UINT32_MAX);
		t.by_class[class] = COUNT_MAX / OUTCOME_CLASS_CT;
	}
	t.done = COUNT_MAX;
	t.by_status[200] = COUNT_MAX - 100;
	tally_skip(&t, COUNT_MAX, 0);
	facts.elapsed_us = UINT64_C(86399) * 1000000;
	facts.signal = SIGTERM;
	facts.workers = PM_WORKERS_MAX;
	facts.workers_lost = facts.jobs_rerun = COUNT_MAX;
	facts.again = AGAIN;
	for (int end = SUMMARY_FINISHED; end <= SUMMARY_WORKERS_FAILED; end++) {
		facts.end = (enum summary_end)end;
		cr_assert_leq(widest_line(render()), 80, "%s", buf_text(&out));
	}
}

/* ---------------------------------------------------------- what to do next */

Test(summary, does_not_offer_to_retry_what_cannot_succeed, .timeout = 10, .init = begin)
{
	add(2, OUTCOME_BAD_JOB, 0, 0, 0);
	add(2, OUTCOME_BAD_URL, 0, 0, 0);
	add(2, OUTCOME_SCHEME, 0, 0, 0);
	assert_says(HOW_TO_SEE);
	assert_does_not_say("fetch the URLs");
	add(1, OUTCOME_TIMEOUT, 0, 1, 0);
	assert_says(HOW_TO_SEE HOW_TO_RETRY);
}

Test(summary, writes_the_output_as_a_shell_and_jq_need_it, .timeout = 10, .init = begin)
{
	add(1, OUTCOME_TIMEOUT, 0, 1, 0);
	facts.output = "my results.jsonl";
	assert_says("\n  results    'my results.jsonl'\n");
	assert_says("errormsg}' 'my results.jsonl'\n");
	facts.output = "-x.jsonl";
	assert_says("\n  results    -x.jsonl\n");
	assert_says("errormsg}' ./-x.jsonl\n");
	facts.output = "retry.jsonl";
	assert_says("empty' retry.jsonl |\n    poolmap run - -o retry-2.jsonl\n");
}

Test(summary, unpacks_for_jq, .timeout = 10, .init = begin)
{
	add(1, OUTCOME_TIMEOUT, 0, 1, 0);
	facts.output = "-x.jsonl.gz";
	facts.packed = true;
	assert_says("  zcat ./-x.jsonl.gz |\n    jq -c 'select(.ok|not) | {index,");
	assert_says("zcat ./-x.jsonl.gz |\n    jq -r 'select(.ok|not).url // empty' |\n"
		    "    poolmap run - -o retry.jsonl\n");
}

Test(summary, knows_that_jq_reads_no_csv, .timeout = 10, .init = begin)
{
	add(1, OUTCOME_TIMEOUT, 0, 1, 0);
	facts.output = "x.csv";
	facts.csv = true;
	assert_says("Rows of failed jobs have false in the column ok;");
	assert_does_not_say("jq");
	facts.retry = "poolmap run --retry-failed x.csv -o y.csv";
	assert_says("why.\nTo run those again, into a file that has all results:\n");
}

Test(summary, does_not_search_results_that_are_gone, .timeout = 10, .init = begin)
{
	add(1, OUTCOME_TIMEOUT, 0, 1, 0);
	facts.output = "/dev/null";
	facts.passed_on = true;
	assert_says("\n  results    /dev/null\n");
	assert_says("Results of failed jobs say \"ok\":false;");
	assert_does_not_say("jq");
}

/* ------------------------------------------------------------------ quoting */

/* ------------------------------------------------------------------- memory */

Test(summary, appends_to_what_is_there, .timeout = 10, .init = begin)
{
	struct buf page = {0};
	cr_assert_eq(buf_puts(&page, "before\n"), 0);
	cr_assert_eq(summary_render(&page, &facts), 0);
	cr_assert_eq(strncmp(buf_text(&page), "before\nDone: ", 13), 0);
	buf_fini(&page);
}

/* A buffer that claims to be as long as one can be cannot grow. */
Test(summary, leaves_the_buffer_as_it_was_without_memory, .timeout = 10, .init = begin)
{
	char byte = 'x';
	struct buf full = {.data = &byte, .len = SIZE_MAX / 2, .cap = SIZE_MAX / 2};
	cr_assert_eq(summary_render(&full, &facts), PM_ENOMEM);
	cr_assert_eq(full.len, SIZE_MAX / 2);
}
