/* SPDX-License-Identifier: MIT
 *
 * report_html - a report as one page for a browser, with nothing beside it.
 *
 * URLs, hosts, messages and the name of the file are strangers' text.  They come into
 * the page by page_put_text() alone, never into an attribute.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cli/outcome.h"
#include "master/cli/figures.h"
#include "master/cli/report_page.h"
#include "master/cli/report_words.h"

enum { HOSTS_SHOWN = 50, NAME_MAX_SHOWN = 200 };

void page_put(struct report_page *p, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	p->err = p->err ? p->err : buf_vprintf(p->out, fmt, args);
	va_end(args);
}

void page_put_text(struct report_page *p, const char *text, size_t most)
{
	page_put(p, "<bdi>");
	p->err = p->err ? p->err : report_put_html(p->out, text, most);
	page_put(p, "</bdi>");
}

static bool knows(const struct report_page *p, enum summary_unknown what)
{
	return !(p->facts->unknown & what);
}

/* ---------------------------------------------------------------------- tables */

static void put_title(struct report_page *p, const char *title)
{
	page_put(p, "<h2>%s</h2>\n", title);
}

static void begin_table(struct report_page *p, const char *heads)
{
	page_put(p,
		"<div class=\"scroll\"><table>\n<thead><tr>%s</tr></thead>"
		"\n<tbody>\n",
		heads);
}

static void end_table(struct report_page *p)
{
	page_put(p, "</tbody></table></div>\n");
}

static void put_count(struct report_page *p, uint64_t ct)
{
	char room[TALLY_COUNT_BYTES];
	page_put(p, "<td class=\"n\">%s</td>", tally_count_text(room, ct));
}

/* "6.6%", nothing for none.  A figure has "<0.1%", which is markup here. */
static void put_part(struct report_page *p, uint64_t ct)
{
	char share[FIGURE_BYTES] = "";
	if (ct) {
		figure_share(share, ct, p->facts->tally.done);
	}
	p->err = p->err ? p->err : report_put_html(p->out, share, FIGURE_BYTES);
}

static void put_share(struct report_page *p, uint64_t ct)
{
	page_put(p, "<td class=\"n\">");
	put_part(p, ct);
	page_put(p, "</td>");
}

static void put_time(
	struct report_page *p, const struct histogram *h, unsigned permille)
{
	char time[FIGURE_BYTES] = "";
	if (h->ct) {
		figure_latency(time, histogram_quantile(h, permille));
	}
	page_put(p, "<td class=\"n\">%s</td>", time);
}

/* ------------------------------------------------------------------- the figures */

static void put_figure(struct report_page *p, const char *name, const char *value)
{
	page_put(p, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static void put_count_figure(struct report_page *p, const char *name, uint64_t ct)
{
	char room[TALLY_COUNT_BYTES];
	put_figure(p, name, tally_count_text(room, ct));
}

static void put_share_figure(struct report_page *p, const char *name, uint64_t ct)
{
	char room[TALLY_COUNT_BYTES];
	page_put(p, "<div><dt>%s</dt><dd>%s <small>", name, tally_count_text(room, ct));
	put_part(p, ct);
	page_put(p, "</small></dd></div>\n");
}

static void put_latency_figures(struct report_page *p)
{
	static const struct {
		const char *name;
		unsigned permille;
	} all[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"slowest", 1000}};
	char room[FIGURE_BYTES];
	const struct histogram *h = &p->facts->tally.latency;
	for (size_t i = 0; i < sizeof all / sizeof all[0] && h->ct; i++) {
		put_figure(p, all[i].name,
			figure_latency(room, histogram_quantile(h, all[i].permille)));
	}
}

static void put_figures(struct report_page *p)
{
	char room[FIGURE_BYTES];
	const struct tally *t = &p->facts->tally;
	page_put(p, "<dl>\n");
	put_count_figure(p, "jobs", t->done);
	put_share_figure(p, "ok", tally_ok(t));
	put_share_figure(p, "failed", tally_failed(t));
	put_latency_figures(p);
	if (t->bytes) {
		put_figure(p, "received", figure_bytes(room, t->bytes));
	}
	if (knows(p, SUMMARY_NO_ATTEMPTS)) {
		put_count_figure(p, "retries", tally_retries(t));
	}
	page_put(p, "</dl>\n");
}

/* --------------------------------------------------------- classes and statuses */

static void put_class(struct report_page *p, unsigned class)
{
	const struct tally *t = &p->facts->tally;
	page_put(p,
		"<tr><td class=\"k\"><svg class=\"key\" viewBox=\"0 0 1 1\" "
		"aria-hidden=\"true\"><rect class=\"c%u\" width=\"1\" "
		"height=\"1\"/></svg>%s</td>",
		page_colour(t, class), outcome_class_name(class));
	put_count(p, t->by_class[class]);
	put_share(p, t->by_class[class]);
	page_put(p, "<td>%s</td></tr>\n", summary_class_note(class));
}

static void put_classes(struct report_page *p)
{
	put_title(p, "What came of the jobs");
	page_put_bar(p);
	begin_table(p, "<th>outcome</th><th class=\"n\">jobs</th><th "
		       "class=\"n\">share</th><th>meaning</th>");
	for (unsigned class = 0; class < OUTCOME_CLASS_CT; class ++) {
		if (p->facts->tally.by_class[class]) {
			put_class(p, class);
		}
	}
	end_table(p);
}

static void put_status(struct report_page *p, const char *name, uint64_t ct)
{
	page_put(p, "<tr><td class=\"h\">%s</td>", name);
	put_count(p, ct);
	put_share(p, ct);
	page_put(p, "</tr>\n");
}

static void put_statuses(struct report_page *p)
{
	bool marked[TALLY_STATUS_CT] = {false};
	const struct tally *t = &p->facts->tally;
	uint64_t others = summary_mark_statuses(t, marked);
	put_title(p, "HTTP statuses");
	begin_table(p,
		"<th>status</th><th class=\"n\">jobs</th><th class=\"n\">share</th>");
	for (unsigned status = 1; status < TALLY_STATUS_CT; status++) {
		if (marked[status]) {
			char name[FIGURE_BYTES];
			snprintf(name, sizeof name, "%u", status);
			put_status(p, name, t->by_status[status]);
		}
	}
	if (others) {
		put_status(p, "other", others);
	}
	if (t->by_status[0]) {
		put_status(p, "no response", t->by_status[0]);
	}
	end_table(p);
}

/* ----------------------------------------------------------------------- hosts */

static void put_host(struct report_page *p, const char *name, bool is_name,
	const struct report_sum *sum)
{
	page_put(p, "<tr><td class=\"h\">");
	if (is_name) {
		page_put_text(p, name, NAME_MAX_SHOWN);
	} else {
		page_put(p, "<em>%s</em>", name);
	}
	page_put(p, "</td>");
	put_count(p, sum->jobs);
	put_count(p, sum->ok);
	put_count(p, sum->jobs - sum->ok);
	if (knows(p, SUMMARY_NO_TIMES)) {
		put_time(p, &sum->latency, 500);
		put_time(p, &sum->latency, 990);
	}
	page_put(p, "</tr>\n");
}

static void put_rest(struct report_page *p)
{
	struct report_sum sum = {0};
	report_hosts_rest(&sum, &p->facts->hosts, HOSTS_SHOWN);
	if (sum.jobs) {
		put_host(p, "others", false, &sum);
	}
}

#define COUNT_HEADS                                                                    \
	"<th>host</th><th class=\"n\">jobs</th><th class=\"n\">ok</th><th "            \
	"class=\"n\">failed</th>"

static void put_hosts(struct report_page *p)
{
	const struct report_hosts *h = &p->facts->hosts;
	put_title(p, "Hosts");
	begin_table(p, knows(p, SUMMARY_NO_TIMES) ? COUNT_HEADS
			       "<th class=\"n\">p50</th><th class=\"n\">p99</th>"
						  : COUNT_HEADS);
	for (size_t i = 0; i < h->ct && i < HOSTS_SHOWN; i++) {
		struct report_sum sum = {0};
		const char *name = h->list[i].name;
		report_host_sum(&sum, &h->list[i]);
		put_host(p, *name ? name : "no host", *name, &sum);
	}
	put_rest(p);
	end_table(p);
	if (h->passed_ct) {
		char room[TALLY_COUNT_BYTES];
		page_put(p,
			"<p class=\"soft\">More than %s hosts: some jobs of those "
			"above may be among the others.</p>\n",
			tally_count_text(room, REPORT_HOSTS_MAX));
	}
}

/* ------------------------------------------------------------------------ jobs */

static void put_index(struct report_page *p, const struct report_job *job)
{
	page_put(p, "<td class=\"n\">");
	if (job->index != UINT64_MAX) {
		page_put(p, "%" PRIu64, job->index);
	}
	page_put(p, "</td>");
}

/* The status beside the outcome, when there is one. */
static void put_outcome(struct report_page *p, const struct report_job *job)
{
	page_put(p, "<td class=\"k\">%s", report_outcome(p->facts, job));
	if (job->http_code) {
		page_put(p, "<div>HTTP %u</div>", job->http_code);
	}
	page_put(p, "</td>");
}

/* The URL, and below it why the job failed. */
static void put_words(struct report_page *p, const struct report_job *job)
{
	page_put(p, "<td class=\"w\">");
	if (job->url) {
		page_put_text(p, job->url, REPORT_SHOWN_URL_MAX);
	}
	if (job->why) {
		page_put(p, "<div>");
		page_put_text(p, job->why, REPORT_WHY_MAX);
		page_put(p, "</div>");
	}
	page_put(p, "</td>");
}

static void put_slowest(struct report_page *p)
{
	const struct report_facts *f = p->facts;
	put_title(p, "Slowest jobs");
	begin_table(p, "<th class=\"n\">time</th><th "
		       "class=\"n\">index</th><th>outcome</th><th>URL</th>");
	for (size_t i = 0; i < f->slowest_ct; i++) {
		char time[FIGURE_BYTES];
		page_put(p, "<tr><td class=\"n\">%s</td>",
			figure_latency(time, f->slowest[i].time_us));
		put_index(p, &f->slowest[i]);
		put_outcome(p, &f->slowest[i]);
		put_words(p, &f->slowest[i]);
		page_put(p, "</tr>\n");
	}
	end_table(p);
}

static void put_failed(struct report_page *p)
{
	const struct report_facts *f = p->facts;
	char room[TALLY_COUNT_BYTES];
	put_title(p, tally_failed(&f->tally) > REPORT_FAILED
			     ? "The first jobs that failed"
			     : "Jobs that failed");
	begin_table(
		p, "<th class=\"n\">index</th><th>outcome</th><th>URL and reason</th>");
	for (size_t i = 0; i < f->failed_ct; i++) {
		page_put(p, "<tr>");
		put_index(p, &f->failed[i]);
		put_outcome(p, &f->failed[i]);
		put_words(p, &f->failed[i]);
		page_put(p, "</tr>\n");
	}
	end_table(p);
	if (tally_failed(&f->tally) > f->failed_ct) {
		page_put(p, "<p class=\"soft\">And %s more.</p>\n",
			tally_count_text(room, tally_failed(&f->tally) - f->failed_ct));
	}
}

/* ---------------------------------------------------------------------- the page */

static const char *shown_name(const struct report_page *p)
{
	return strcmp(p->facts->name, "-") == 0 ? "standard input" : p->facts->name;
}

static void put_head(struct report_page *p)
{
	page_put(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
		    "<meta charset=\"utf-8\"/>\n");
	page_put_style(p);
	page_put(p, "<meta name=\"viewport\" content=\"width=device-width, "
		    "initial-scale=1\"/>\n<title>");
	p->err = p->err ? p->err
			: report_put_html(p->out, shown_name(p), NAME_MAX_SHOWN);
	page_put(p, " - poolmap report</title>\n</head>\n<body>\n<main>\n<h1>");
	page_put_text(p, shown_name(p), NAME_MAX_SHOWN);
	page_put(p, "</h1>\n<p class=\"answer\">");
	p->err = p->err ? p->err : summary_render_outcome(p->out, &p->facts->tally);
	page_put(p, "</p>\n");
	if (p->facts->torn) {
		page_put(p, "<p class=\"soft\">The end of the file is torn, or still "
			    "being written; it is left out.</p>\n");
	}
}

static void put_results(struct report_page *p)
{
	const struct report_facts *f = p->facts;
	put_figures(p);
	if (knows(p, SUMMARY_NO_CLASSES)) {
		put_classes(p);
	}
	if (knows(p, SUMMARY_NO_STATUSES)) {
		put_statuses(p);
	}
	if (f->tally.latency.ct) {
		put_title(p, "Latency");
		page_put_histogram(p);
	}
	if (f->has_urls) {
		put_hosts(p);
	}
	if (f->slowest_ct) {
		put_slowest(p);
	}
	if (f->failed_ct) {
		put_failed(p);
	}
}

int report_html(struct buf *out, const struct report_facts *f)
{
	struct report_page page = {.out = out, .facts = f};
	put_head(&page);
	if (f->tally.done) {
		put_results(&page);
	}
	page_put(&page, "</main>\n</body>\n</html>\n");
	return page.err;
}
