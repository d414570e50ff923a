/* SPDX-License-Identifier: MIT
 *
 * summary_next - the end of a summary: what to do next.
 *
 * Commands that go on, that show what failed, and that run it again, ready for a
 * shell.  Called by summary.c.
 */
#include <stdbool.h>
#include <string.h>

#include "master/cli/summary_parts.h"

static const char *reason_for_never(const struct summary_facts *f)
{
	if (f->never) {
		return f->never;
	}
	return f->passed_on ? "its results are not in a file (-o FILE)"
			    : "its jobs cannot be read a second time";
}

static void say_how_to_go_on(struct page *p)
{
	static const char *const when[] = {
		[SUMMARY_DRAINED] = "To go on where it stopped",
		[SUMMARY_STOPPED] = "To go on where it stopped",
		[SUMMARY_HALTED] = "To go on where it stopped",
		[SUMMARY_TIME_OVER] = "To go on where it stopped",
		[SUMMARY_OUTPUT_FAILED] = "To go on, once they can be written again",
		[SUMMARY_INPUT_FAILED] = "To go on, once they can be read again",
		[SUMMARY_WORKERS_FAILED] = "To go on, once the cause is gone",
	};
	const struct summary_facts *f = p->facts;
	if (f->end == SUMMARY_FINISHED) {
		return;
	}
	if (f->again) {
		page_say(p, "\n%s:\n  %s\n", when[f->end], f->again);
	} else {
		page_say(p, "\nThis run cannot be resumed: %s.\n", reason_for_never(f));
	}
}

/* The path as a word that no program takes for an option. */
static void say_path_for_programs(struct page *p)
{
	page_say(p, "%s", p->facts->output[0] == '-' ? "./" : "");
	page_say_path(p);
}

/* "jq OPTIONS FILE"; jq cannot unpack. */
static void say_jq(struct page *p, const char *options)
{
	if (p->facts->packed) {
		page_say(p, "  zcat ");
		say_path_for_programs(p);
		page_say(p, " |\n    jq %s", options);
	} else {
		page_say(p, "  jq %s ", options);
		say_path_for_programs(p);
	}
}

/* These fail the same way however often they are tried. */
static uint64_t hopeless(const struct tally *t)
{
	return t->by_class[OUTCOME_BAD_JOB] + t->by_class[OUTCOME_BAD_URL] +
	       t->by_class[OUTCOME_SCHEME];
}

/* The output of the second try must not be the file that it reads. */
static void say_how_to_retry(struct page *p)
{
	bool taken = strcmp(p->facts->output, "retry.jsonl") == 0;
	if (p->facts->retry) {
		page_say(p,
			"To run those again, into a file that has all results:\n  %s\n",
			p->facts->retry);
		return;
	}
	if (p->facts->csv) {
		return;
	}
	page_say(p, "To fetch the URLs of those again:\n");
	say_jq(p, "-r 'select(.ok|not).url // empty'");
	page_say(p, " |\n    poolmap run - -o %s\n",
		taken ? "retry-2.jsonl" : "retry.jsonl");
}

static void say_where_failed_are(struct page *p)
{
	if (p->facts->csv) {
		page_say(p,
			"\nRows of failed jobs have false in the column ok; errormsg "
			"says why.\n");
	} else if (p->facts->passed_on) {
		page_say(p,
			"\nResults of failed jobs say \"ok\":false; \"errormsg\" says "
			"why.\n");
	} else {
		page_say(p, "\nTo see what failed, and why:\n");
		say_jq(p, "-c 'select(.ok|not) | {index,url,error,errormsg}'");
		page_say(p, "\n");
	}
}

static void say_what_to_do_with_failed(struct page *p)
{
	const struct tally *t = p->tally;
	if (!tally_failed(t)) {
		return;
	}
	say_where_failed_are(p);
	if (!p->facts->passed_on && tally_failed(t) > hopeless(t)) {
		say_how_to_retry(p);
	}
}

static void say_what_a_job_is(struct page *p)
{
	const struct tally *t = p->tally;
	if (p->facts->end == SUMMARY_FINISHED && !t->done && !t->skipped) {
		page_say(p,
			"\nA job is a line with a URL, such as https://example.org/. "
			"Empty lines and\nlines that begin with # do not count.\n");
	}
}

void summary_next(struct page *p)
{
	say_how_to_go_on(p);
	say_what_to_do_with_failed(p);
	say_what_a_job_is(p);
}
