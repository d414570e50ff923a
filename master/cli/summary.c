/* SPDX-License-Identifier: MIT
 *
 * summary - what is said at the end of a run, see summary.h.
 *
 * Three parts: a sentence that has the answer, a table of counts, and what to
 * do next.  The table is made of rows first, because its columns are as wide
 * as the widest of them.  What did not occur is left out.
 */
#include "master/cli/summary.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "master/cli/figures.h"
#include "master/cli/rate.h"
#include "master/cli/shell_word.h"

enum {
	STATUS_ROWS_MAX = 10, /* the most frequent ones; the rest is one row */
	ROWS_MAX = 3 + OUTCOME_CLASS_CT + 1 + STATUS_ROWS_MAX + 1,
	LABEL_WIDTH_MIN = 9,
	SHARE_WIDTH = 6,
};

struct row {
	char label[24];
	unsigned indent;
	uint64_t ct;
	bool share;    /* say what part of the jobs it is */
	bool gap;      /* an empty line before it */
	char note[80]; /* behind the numbers */
};

/* The summary while it is made.  Errors are kept, not handled: the first one
 * spoils the page. */
struct page {
	struct buf *out;
	const struct summary_facts *facts;
	const struct tally *tally;
	int err;
	struct row rows[ROWS_MAX];
	unsigned row_ct;
	unsigned label_width;
	unsigned ct_width;
};

__attribute__((format(printf, 2, 3))) static void say(
	struct page *p, const char *fmt, ...)
{
	va_list args, again;
	va_start(args, fmt);
	va_copy(again, args);
	int need = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (need < 0 || p->err || buf_reserve(p->out, (size_t)need + 1)) {
		p->err = PM_ENOMEM;
	} else {
		vsnprintf(p->out->data + p->out->len, (size_t)need + 1, fmt, again);
		p->out->len += (size_t)need;
	}
	va_end(again);
}

/* --------------------------------------------------------------- for people */

static double per_second(uint64_t ct, uint64_t elapsed_us)
{
	return elapsed_us ? (double)ct * 1e6 / (double)elapsed_us : 0;
}

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

/* -------------------------------------------------------------- the answer */

static void say_finished(struct page *p)
{
	char all[TALLY_COUNT_BYTES], part[TALLY_COUNT_BYTES];
	const struct tally *t = p->tally;
	const char *done = tally_count_text(all, t->done);
	const char *failed = tally_count_text(part, tally_failed(t));
	const char *of_run = t->skipped ? " of this run" : "";
	const char *outcome = tally_failed(t) ? "failed" : "are ok";

	if (t->done == 0 && t->skipped) {
		say(p, "Done: nothing was left to do, every job has its result.\n");
	} else if (t->done == 0) {
		say(p, "Done: the input holds no jobs.\n");
	} else if (t->done == 1) {
		say(p, "Done: the one job%s %s.\n", of_run,
			tally_failed(t) ? "failed" : "is ok");
	} else if (tally_failed(t) == 0 || tally_ok(t) == 0) {
		say(p, "Done: all %s jobs%s %s.\n", done, of_run, outcome);
	} else {
		say(p, "Done: %s of %s jobs%s failed.\n", failed, done, of_run);
	}
}

static void say_when(struct page *p)
{
	char room[TALLY_COUNT_BYTES];
	uint64_t done = p->tally->done;
	if (done == 0) {
		say(p, "before the first result");
	} else {
		say(p, "after %s job%s", tally_count_text(room, done),
			done == 1 ? "" : "s");
	}
}

static void say_answer(struct page *p)
{
	static const char *const reasons[] = {
		[SUMMARY_DRAINED] = ". Running jobs were completed.",
		[SUMMARY_STOPPED] = ". Running jobs were dropped.",
		[SUMMARY_HALTED] = ": --halt.",
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
		say(p, "Interrupted by %s ", name);
		break;
	case SUMMARY_STOPPED:
		say(p, "Stopped by %s ", name);
		break;
	default:
		say(p, "Stopped ");
		break;
	}
	say_when(p);
	bool none_ran = p->facts->end == SUMMARY_DRAINED && !p->tally->done;
	say(p, "%s\n", none_ran ? "." : reasons[p->facts->end]);
}

/* --------------------------------------------------------------- the counts */

static const char *const class_notes[OUTCOME_CLASS_CT] = {
	[OUTCOME_BAD_JOB] = "the line is no valid job",
	[OUTCOME_BAD_URL] = "the URL makes no sense",
	[OUTCOME_SCHEME] = "neither http nor https",
	[OUTCOME_DNS] = "host name not found",
	[OUTCOME_CONNECT] = "no connection to the server",
	[OUTCOME_TLS] = "no secure connection",
	[OUTCOME_TIMEOUT] = "it took too long",
	[OUTCOME_STALLED] = "nothing came for too long",
	[OUTCOME_RESET] = "the connection broke",
	[OUTCOME_TRUNCATED] = "less came than was announced",
	[OUTCOME_BAD_RESPONSE] = "the answer was not proper HTTP",
	[OUTCOME_HTTP_STATUS] = "HTTP status not in --accept",
	[OUTCOME_RATE_LIMITED] = "the server asks us to wait",
	[OUTCOME_ROBOTS] = "robots.txt forbids it",
	[OUTCOME_TOO_MANY_REDIRECTS] = "more than --max-redirects",
	[OUTCOME_BODY_TOO_LARGE] = "more than --max-body",
	[OUTCOME_HEADERS_TOO_LARGE] = "more headers than we take",
	[OUTCOME_DENIED_ADDRESS] = "the address is not allowed",
	[OUTCOME_WORKER_LOST] = "its worker process died",
	[OUTCOME_CANCELLED] = "stopped before its end",
	[OUTCOME_INTERNAL] = "a fault of poolmap: report it",
};

static struct row *add_row(
	struct page *p, unsigned indent, const char *label, uint64_t ct)
{
	char room[TALLY_COUNT_BYTES];
	assert(p->row_ct < ROWS_MAX);
	struct row *row = &p->rows[p->row_ct++];
	*row = (struct row){.indent = indent, .ct = ct};
	snprintf(row->label, sizeof(row->label), "%s", label);
	unsigned label_width = indent + (unsigned)strlen(row->label);
	unsigned ct_width = (unsigned)strlen(tally_count_text(room, ct));
	if (label_width > p->label_width) {
		p->label_width = label_width;
	}
	if (ct_width > p->ct_width) {
		p->ct_width = ct_width;
	}
	return row;
}

static void note(struct row *row, const char *text)
{
	snprintf(row->note, sizeof(row->note), "%s", text);
}

/* They are why the exit code may be 1 when this run's own jobs are all ok. */
static void note_skipped(struct row *row, uint64_t failed)
{
	char ct[TALLY_COUNT_BYTES];
	if (!failed) {
		note(row, "already done by an earlier run");
		return;
	}
	snprintf(row->note, sizeof(row->note),
		"already done by an earlier run, where %s failed",
		tally_count_text(ct, failed));
}

/* A rate of one job would say nothing that its time does not say. */
static void add_jobs(struct page *p)
{
	char time[FIGURE_BYTES], rate[RATE_TEXT_BYTES];
	const struct summary_facts *f = p->facts;
	uint64_t done = p->tally->done;
	struct row *row = add_row(p, 0, "jobs", done);
	row->gap = true;
	figure_elapsed(time, f->elapsed_us);
	rate_text(rate, per_second(done, f->elapsed_us));
	bool rated = done > 1 && f->elapsed_us;
	snprintf(row->note, sizeof(row->note), "in %s%s%s, %u worker%s", time,
		rated ? ", " : "", rated ? rate : "", f->workers,
		f->workers == 1 ? "" : "s");
}

static void add_classes(struct page *p)
{
	const struct tally *t = p->tally;
	add_row(p, 0, "ok", tally_ok(t))->share = true;
	add_row(p, 0, "failed", tally_failed(t))->share = true;
	for (unsigned class = OUTCOME_OK + 1; class < OUTCOME_CLASS_CT; class ++) {
		if (!t->by_class[class]) {
			continue;
		}
		struct row *row =
			add_row(p, 2, outcome_class_name(class), t->by_class[class]);
		row->share = true;
		note(row, class_notes[class]);
	}
}

/* The most frequent status that is not marked yet; 0: none. */
static unsigned next_status(const struct tally *t, const bool *marked)
{
	unsigned best = 0;
	for (unsigned status = 1; status < TALLY_STATUS_CT; status++) {
		uint64_t ct = marked[status] ? 0 : t->by_status[status];
		if (ct > (best ? t->by_status[best] : 0)) {
			best = status;
		}
	}
	return best;
}

/* Mark the most frequent ones; return how many jobs have another. */
static uint64_t mark_statuses(const struct tally *t, bool *marked)
{
	uint64_t others = t->done - t->by_status[0];
	for (unsigned i = 0; i < STATUS_ROWS_MAX; i++) {
		unsigned status = next_status(t, marked);
		if (!status) {
			break;
		}
		marked[status] = true;
		others -= t->by_status[status];
	}
	return others;
}

static void add_status(struct page *p, const char *label, uint64_t ct, bool first)
{
	struct row *row = add_row(p, 0, label, ct);
	row->share = true;
	row->gap = first;
}

static void add_statuses(struct page *p)
{
	bool marked[TALLY_STATUS_CT] = {false};
	uint64_t others = mark_statuses(p->tally, marked);
	bool first = true;
	for (unsigned status = 1; status < TALLY_STATUS_CT; status++) {
		if (marked[status]) {
			char label[FIGURE_BYTES];
			snprintf(label, sizeof(label), "HTTP %u", status);
			add_status(p, label, p->tally->by_status[status], first);
			first = false;
		}
	}
	if (others) {
		add_status(p, "HTTP other", others, false);
	}
}

static void add_rows(struct page *p)
{
	const struct tally *t = p->tally;
	p->label_width = LABEL_WIDTH_MIN;
	if (t->done) {
		add_jobs(p);
	}
	if (t->skipped) {
		struct row *row = add_row(p, 0, "skipped", t->skipped);
		row->gap = !t->done;
		note_skipped(row, t->skipped_failed);
	}
	if (t->done) {
		add_classes(p);
		add_statuses(p);
	}
}

static void say_row(struct page *p, const struct row *row)
{
	char ct[TALLY_COUNT_BYTES], share[FIGURE_BYTES] = "";
	if (row->share && row->ct) {
		figure_share(share, row->ct, p->tally->done);
	}
	say(p, "%s  %*s%-*s  %*s", row->gap ? "\n" : "", (int)row->indent, "",
		(int)(p->label_width - row->indent), row->label, (int)p->ct_width,
		tally_count_text(ct, row->ct));
	if (*share) {
		say(p, "  %*s", SHARE_WIDTH, share);
	}
	say(p, "%s%s\n", *row->note ? "  " : "", row->note);
}

static void say_rows(struct page *p)
{
	add_rows(p);
	for (unsigned i = 0; i < p->row_ct; i++) {
		say_row(p, &p->rows[i]);
	}
}

/* -------------------------------------------------------------- the details */

static void say_label(struct page *p, const char *label)
{
	say(p, "  %-*s  ", (int)p->label_width, label);
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
		say(p, "%s\n", max);
		return;
	}
	say(p, "p50 %s   p90 %s   p99 %s   max %s\n",
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
	say(p, "%s", figure_bytes(bytes, ct));
	double speed = per_second(ct, p->facts->elapsed_us);
	if (p->tally->done > 1 && speed >= 1 && speed < 1e18) {
		say(p, ", %s/s", figure_bytes(rate, (uint64_t)speed));
	}
	say(p, "\n");
}

static void say_workers(struct page *p)
{
	char lost[TALLY_COUNT_BYTES], rerun[TALLY_COUNT_BYTES];
	const struct summary_facts *f = p->facts;
	if (!f->workers_lost && !f->jobs_rerun) {
		return;
	}
	say_label(p, "workers");
	say(p, "%s lost", tally_count_text(lost, f->workers_lost));
	if (f->jobs_rerun) {
		say(p, ", %s job%s run again", tally_count_text(rerun, f->jobs_rerun),
			f->jobs_rerun == 1 ? "" : "s");
	}
	say(p, "\n");
}

static void say_retries(struct page *p)
{
	char room[TALLY_COUNT_BYTES];
	uint64_t ct = tally_retries(p->tally);
	if (ct) {
		say_label(p, "retries");
		say(p, "%s\n", tally_count_text(room, ct));
	}
}

static void say_path(struct page *p)
{
	p->err = p->err ? p->err : shell_word(p->out, p->facts->output);
}

static void say_details(struct page *p)
{
	say(p, "\n");
	say_latency(p);
	say_received(p);
	say_retries(p);
	say_workers(p);
	say_label(p, "results");
	if (strcmp(p->facts->output, "-") == 0) {
		say(p, "standard output\n");
	} else {
		say_path(p);
		say(p, "\n");
	}
}

/* ------------------------------------------------------------ what to do next */

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
		say(p, "\n%s:\n  %s\n", when[f->end], f->again);
	} else {
		say(p, "\nThis run cannot be resumed: %s.\n", reason_for_never(f));
	}
}

/* The path as a word that no program takes for an option. */
static void say_path_for_programs(struct page *p)
{
	say(p, "%s", p->facts->output[0] == '-' ? "./" : "");
	say_path(p);
}

/* "jq OPTIONS FILE"; jq cannot unpack. */
static void say_jq(struct page *p, const char *options)
{
	if (p->facts->packed) {
		say(p, "  zcat ");
		say_path_for_programs(p);
		say(p, " |\n    jq %s", options);
	} else {
		say(p, "  jq %s ", options);
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
		say(p, "To run those again, into a file that has all results:\n  %s\n",
			p->facts->retry);
		return;
	}
	if (p->facts->csv) {
		return;
	}
	say(p, "To fetch the URLs of those again:\n");
	say_jq(p, "-r 'select(.ok|not).url // empty'");
	say(p, " |\n    poolmap run - -o %s\n",
		taken ? "retry-2.jsonl" : "retry.jsonl");
}

static void say_where_failed_are(struct page *p)
{
	if (p->facts->csv) {
		say(p, "\nRows of failed jobs have false in the column ok; errormsg "
		       "says "
		       "why.\n");
	} else if (p->facts->passed_on) {
		say(p, "\nResults of failed jobs say \"ok\":false; \"errormsg\" says "
		       "why.\n");
	} else {
		say(p, "\nTo see what failed, and why:\n");
		say_jq(p, "-c 'select(.ok|not) | {index,url,error,errormsg}'");
		say(p, "\n");
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
		say(p, "\nA job is a line with a URL, such as https://example.org/. "
		       "Empty lines and\nlines that begin with # do not count.\n");
	}
}

/* ---------------------------------------------------------------- the whole */

int summary_render(struct buf *out, const struct summary_facts *facts)
{
	size_t before = out->len;
	struct page page = {.out = out, .facts = facts, .tally = facts->tally};
	say_answer(&page);
	say_rows(&page);
	say_details(&page);
	say_how_to_go_on(&page);
	say_what_to_do_with_failed(&page);
	say_what_a_job_is(&page);
	if (page.err) {
		out->len = before;
	}
	return page.err;
}
