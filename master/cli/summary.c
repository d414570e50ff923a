/* SPDX-License-Identifier: MIT
 *
 * summary - what is said at the end of a run, see summary.h.
 *
 * In this order: a sentence that has the answer, a table of counts, details in the
 * table's columns, and what to do next.  What did not occur is left out.
 */
#include "master/cli/summary.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "master/cli/figures.h"
#include "master/cli/shell_word.h"
#include "master/cli/summary_parts.h"

void page_say(struct page *p, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	p->err = p->err ? p->err : buf_vprintf(p->out, fmt, args);
	va_end(args);
}

void page_say_path(struct page *p)
{
	p->err = p->err ? p->err : shell_word(p->out, p->facts->output);
}

double page_per_second(const struct page *p, uint64_t ct)
{
	uint64_t us = p->facts->elapsed_us;
	return us ? (double)ct * 1e6 / (double)us : 0;
}

/* The page is there as a whole or not at all. */
static int finish(const struct page *p, size_t before)
{
	if (p->err) {
		p->out->len = before;
	}
	return p->err;
}

/* -------------------------------------------------------------- the answer */

static const char *signal_text(int number)
{
	switch (number) {
	case SIGINT:
		return "SIGINT";
	case SIGTERM:
		return "SIGTERM";
	case SIGHUP:
		return "SIGHUP";
	default:
		return "a signal";
	}
}

/* "3 of 10 jobs failed." */
static void say_outcome(struct page *p)
{
	char all[TALLY_COUNT_BYTES], part[TALLY_COUNT_BYTES];
	const struct tally *t = p->tally;
	const char *done = tally_count_text(all, t->done);
	const char *failed = tally_count_text(part, tally_failed(t));
	const char *of_run = t->skipped ? " of this run" : "";
	const char *outcome = tally_failed(t) ? "failed" : "are ok";

	if (t->done == 1) {
		page_say(p, "the one job%s %s.\n", of_run,
			tally_failed(t) ? "failed" : "is ok");
	} else if (tally_failed(t) == 0 || tally_ok(t) == 0) {
		page_say(p, "all %s jobs%s %s.\n", done, of_run, outcome);
	} else {
		page_say(p, "%s of %s jobs%s failed.\n", failed, done, of_run);
	}
}

int summary_render_outcome(struct buf *out, const struct tally *tally)
{
	struct page page = {.out = out, .tally = tally};
	size_t before = out->len;
	if (tally->done) {
		say_outcome(&page);
	} else {
		page_say(&page, "there are no results in it.\n");
	}
	return finish(&page, before);
}

static void say_finished(struct page *p)
{
	page_say(p, "Done: ");
	if (p->tally->done) {
		say_outcome(p);
	} else if (p->tally->skipped) {
		page_say(p, "nothing was left to do, every job has its result.\n");
	} else {
		page_say(p, "the input holds no jobs.\n");
	}
}

static void say_of_results(struct page *p)
{
	if (strcmp(p->facts->output, "-") == 0) {
		page_say(p, "standard input");
	} else {
		page_say_path(p);
	}
	page_say(p, ": ");
	p->err = p->err ? p->err : summary_render_outcome(p->out, p->tally);
}

static void say_when(struct page *p)
{
	char room[TALLY_COUNT_BYTES];
	uint64_t done = p->tally->done;
	if (done == 0) {
		page_say(p, "before the first result");
	} else {
		page_say(p, "after %s job%s", tally_count_text(room, done),
			done == 1 ? "" : "s");
	}
}

static const char *what_came_of_the_rest(const struct page *p)
{
	static const char completed[] = " Running jobs were completed.";
	static const char dropped[] = " Running jobs were dropped.";
	switch (p->facts->end) {
	case SUMMARY_DRAINED:
		return p->tally->done ? completed : "";
	case SUMMARY_HALTED:
		return p->facts->dropped ? dropped : completed;
	case SUMMARY_STOPPED:
	case SUMMARY_TIME_OVER:
		return dropped;
	default:
		return "";
	}
}

static void say_answer(struct page *p)
{
	static const char *const reasons[] = {
		[SUMMARY_DRAINED] = ".",
		[SUMMARY_STOPPED] = ".",
		[SUMMARY_HALTED] = ": too many failed.",
		[SUMMARY_TIME_OVER] = ": --max-time is over.",
		[SUMMARY_OUTPUT_FAILED] = ": the results cannot be written.",
		[SUMMARY_INPUT_FAILED] = ": the jobs cannot be read any further.",
		[SUMMARY_WORKERS_FAILED] = ": the workers cannot be kept running.",
	};
	const char *name = signal_text(p->facts->signal);
	switch (p->facts->end) {
	case SUMMARY_FINISHED:
		say_finished(p);
		return;
	case SUMMARY_DRAINED:
		page_say(p, "Interrupted by %s ", name);
		break;
	case SUMMARY_STOPPED:
		page_say(p, "Stopped by %s ", name);
		break;
	default:
		page_say(p, "Stopped ");
		break;
	}
	say_when(p);
	page_say(p, "%s%s\n", reasons[p->facts->end], what_came_of_the_rest(p));
}

/* -------------------------------------------------------------- the details */

static void say_label(struct page *p, const char *label)
{
	page_say(p, "  %-*s  ", (int)p->label_width, label);
}

static void say_latency(struct page *p)
{
	char p50[FIGURE_BYTES], p90[FIGURE_BYTES], p99[FIGURE_BYTES], max[FIGURE_BYTES];
	const struct histogram *h = &p->tally->latency;
	if (!h->ct) {
		return;
	}
	say_label(p, "latency");
	figure_latency(max, histogram_max(h));
	if (h->ct == 1) {
		page_say(p, "%s\n", max);
		return;
	}
	page_say(p, "p50 %s   p90 %s   p99 %s   max %s\n",
		figure_latency(p50, histogram_quantile(h, 500)),
		figure_latency(p90, histogram_quantile(h, 900)),
		figure_latency(p99, histogram_quantile(h, 990)), max);
}

static void say_received(struct page *p)
{
	char bytes[FIGURE_BYTES], rate[FIGURE_BYTES];
	uint64_t ct = p->tally->bytes;
	if (!ct) {
		return;
	}
	say_label(p, "received");
	page_say(p, "%s", figure_bytes(bytes, ct));
	double speed = page_per_second(p, ct);
	if (p->tally->done > 1 && speed >= 1 && speed < 1e18) {
		page_say(p, ", %s/s", figure_bytes(rate, (uint64_t)speed));
	}
	page_say(p, "\n");
}

static void say_workers(struct page *p)
{
	char lost[TALLY_COUNT_BYTES], rerun[TALLY_COUNT_BYTES];
	const struct summary_facts *f = p->facts;
	if (!f->workers_lost && !f->jobs_rerun) {
		return;
	}
	say_label(p, "workers");
	page_say(p, "%s lost", tally_count_text(lost, f->workers_lost));
	if (f->jobs_rerun) {
		page_say(p, ", %s job%s run again",
			tally_count_text(rerun, f->jobs_rerun),
			f->jobs_rerun == 1 ? "" : "s");
	}
	page_say(p, "\n");
}

static void say_retries(struct page *p)
{
	char room[TALLY_COUNT_BYTES];
	uint64_t ct = tally_retries(p->tally);
	if (ct) {
		say_label(p, "retries");
		page_say(p, "%s\n", tally_count_text(room, ct));
	}
}

static void say_measures(struct page *p)
{
	say_latency(p);
	say_received(p);
	say_retries(p);
}

static void say_details(struct page *p)
{
	page_say(p, "\n");
	say_measures(p);
	say_workers(p);
	say_label(p, "results");
	if (strcmp(p->facts->output, "-") == 0) {
		page_say(p, "standard output\n");
	} else {
		page_say_path(p);
		page_say(p, "\n");
	}
}

/* ---------------------------------------------------------------- the whole */

int summary_render(struct buf *out, const struct summary_facts *facts)
{
	struct page page = {.out = out, .facts = facts, .tally = facts->tally};
	size_t before = out->len;
	say_answer(&page);
	summary_table(&page);
	say_details(&page);
	summary_next(&page);
	return finish(&page, before);
}

int summary_render_results(struct buf *out, const struct summary_facts *facts)
{
	struct page page = {.out = out, .facts = facts, .tally = facts->tally};
	size_t before = out->len;
	say_of_results(&page);
	if (facts->tally->done) {
		summary_table(&page);
		size_t counts_end = out->len;
		page_say(&page, "\n");
		say_measures(&page);
		out->len = out->len == counts_end + 1 ? counts_end : out->len;
	}
	return finish(&page, before);
}
