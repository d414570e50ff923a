/* SPDX-License-Identifier: MIT
 *
 * summary_table - the counts of a summary: jobs, classes of failures, statuses.
 *
 * All rows are made before the first is said, because the columns are as wide as
 * the widest of them.  Called by summary.c.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/cli/outcome.h"
#include "master/cli/figures.h"
#include "master/cli/rate.h"
#include "master/cli/summary_parts.h"

enum {
	ROWS_MAX = 3 + OUTCOME_CLASS_CT + 1 + SUMMARY_STATUS_ROWS + 1,
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

struct counts {
	const struct page *page;
	struct row rows[ROWS_MAX];
	unsigned row_ct;
	unsigned label_width;
	unsigned ct_width;
};

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

const char *summary_class_note(unsigned class)
{
	const char *text = class < OUTCOME_CLASS_CT ? class_notes[class] : NULL;
	return text ? text : "";
}

static struct row *add_row(
	struct counts *counts, unsigned indent, const char *label, uint64_t ct)
{
	char room[TALLY_COUNT_BYTES];
	assert(counts->row_ct < ROWS_MAX);
	struct row *row = &counts->rows[counts->row_ct++];
	*row = (struct row){.indent = indent, .ct = ct};
	snprintf(row->label, sizeof(row->label), "%s", label);
	unsigned label_width = indent + (unsigned)strlen(row->label);
	unsigned ct_width = (unsigned)strlen(tally_count_text(room, ct));
	if (label_width > counts->label_width) {
		counts->label_width = label_width;
	}
	if (ct_width > counts->ct_width) {
		counts->ct_width = ct_width;
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
static void add_jobs(struct counts *counts)
{
	char time[FIGURE_BYTES], rate[RATE_TEXT_BYTES];
	const struct summary_facts *f = counts->page->facts;
	uint64_t done = counts->page->tally->done;
	struct row *row = add_row(counts, 0, "jobs", done);
	row->gap = true;
	if (f->unknown & SUMMARY_NO_RUN) {
		return;
	}
	figure_elapsed(time, f->elapsed_us);
	rate_text(rate, page_per_second(counts->page, done));
	bool rated = done > 1 && f->elapsed_us;
	snprintf(row->note, sizeof(row->note), "in %s%s%s, %u worker%s", time,
		rated ? ", " : "", rated ? rate : "", f->workers,
		f->workers == 1 ? "" : "s");
}

static void add_classes(struct counts *counts)
{
	const struct tally *t = counts->page->tally;
	add_row(counts, 0, "ok", tally_ok(t))->share = true;
	add_row(counts, 0, "failed", tally_failed(t))->share = true;
	bool known = !(counts->page->facts->unknown & SUMMARY_NO_CLASSES);
	for (unsigned class = OUTCOME_OK + 1; class < OUTCOME_CLASS_CT; class ++) {
		if (!t->by_class[class] || !known) {
			continue;
		}
		struct row *row = add_row(
			counts, 2, outcome_class_name(class), t->by_class[class]);
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

uint64_t summary_mark_statuses(const struct tally *t, bool marked[TALLY_STATUS_CT])
{
	uint64_t others = t->done - t->by_status[0];
	for (unsigned i = 0; i < SUMMARY_STATUS_ROWS; i++) {
		unsigned status = next_status(t, marked);
		if (!status) {
			break;
		}
		marked[status] = true;
		others -= t->by_status[status];
	}
	return others;
}

static void add_status(
	struct counts *counts, const char *label, uint64_t ct, bool first)
{
	struct row *row = add_row(counts, 0, label, ct);
	row->share = true;
	row->gap = first;
}

static void add_statuses(struct counts *counts)
{
	bool marked[TALLY_STATUS_CT] = {false};
	uint64_t others = summary_mark_statuses(counts->page->tally, marked);
	bool first = true;
	for (unsigned status = 1; status < TALLY_STATUS_CT; status++) {
		if (marked[status]) {
			char label[FIGURE_BYTES];
			snprintf(label, sizeof(label), "HTTP %u", status);
			add_status(counts, label,
				counts->page->tally->by_status[status], first);
			first = false;
		}
	}
	if (others) {
		add_status(counts, "HTTP other", others, false);
	}
}

static void add_rows(struct counts *counts)
{
	const struct tally *t = counts->page->tally;
	if (t->done) {
		add_jobs(counts);
	}
	if (t->skipped) {
		struct row *row = add_row(counts, 0, "skipped", t->skipped);
		row->gap = !t->done;
		note_skipped(row, t->skipped_failed);
	}
	if (t->done) {
		add_classes(counts);
		add_statuses(counts);
	}
}

static void say_row(struct page *p, const struct counts *counts, const struct row *row)
{
	char ct[TALLY_COUNT_BYTES], share[FIGURE_BYTES] = "";
	if (row->share && row->ct) {
		figure_share(share, row->ct, p->tally->done);
	}
	page_say(p, "%s  %*s%-*s  %*s", row->gap ? "\n" : "", (int)row->indent, "",
		(int)(counts->label_width - row->indent), row->label,
		(int)counts->ct_width, tally_count_text(ct, row->ct));
	if (*share) {
		page_say(p, "  %*s", SHARE_WIDTH, share);
	}
	page_say(p, "%s%s\n", *row->note ? "  " : "", row->note);
}

void summary_table(struct page *p)
{
	struct counts counts = {.page = p, .label_width = LABEL_WIDTH_MIN};
	add_rows(&counts);
	for (unsigned i = 0; i < counts.row_ct; i++) {
		say_row(p, &counts, &counts.rows[i]);
	}
	p->label_width = counts.label_width;
}
