/* SPDX-License-Identifier: MIT
 *
 * report_text - a report for a terminal: the summary of a run, its hosts and its
 * slowest jobs.
 */
#include <stdio.h>
#include <string.h>

#include "common/cli/outcome.h"
#include "common/poolmap.h"
#include "master/cli/figures.h"
#include "master/cli/report_facts.h"
#include "master/cli/report_words.h"

enum { HOSTS_SHOWN = 10, NAME_WIDTH = 30 };

/* ---------------------------------------------------------------------- hosts */

/* A name that is too long has a line of its own. */
static int put_name(struct buf *out, const char *name)
{
	struct buf shown = {0};
	int err = report_put_plain(&shown, name, PM_LANE_MAX);
	const char *text = err ? NULL : buf_text(&shown);
	bool is_long = shown.len > NAME_WIDTH;
	err = !text ? PM_ENOMEM
		    : buf_printf(
			      out, "  %-*s%s", NAME_WIDTH, text, is_long ? "\n" : "");
	if (!err && is_long) {
		err = buf_printf(out, "  %*s", NAME_WIDTH, "");
	}
	buf_fini(&shown);
	return err;
}

static int put_counts(struct buf *out, const struct report_sum *sum)
{
	char jobs[TALLY_COUNT_BYTES], ok[TALLY_COUNT_BYTES], failed[TALLY_COUNT_BYTES];
	return buf_printf(out, "  %9s  %9s  %7s", tally_count_text(jobs, sum->jobs),
		tally_count_text(ok, sum->ok),
		tally_count_text(failed, sum->jobs - sum->ok));
}

static int put_times(
	struct buf *out, const struct report_facts *f, const struct histogram *h)
{
	char p50[FIGURE_BYTES] = "-", p99[FIGURE_BYTES] = "-";
	if (f->unknown & SUMMARY_NO_TIMES) {
		return 0;
	}
	if (h->ct) {
		figure_latency(p50, histogram_quantile(h, 500));
		figure_latency(p99, histogram_quantile(h, 990));
	}
	return buf_printf(out, " %7s %7s", p50, p99);
}

static int put_host(struct buf *out, const struct report_facts *f, const char *name,
	const struct report_sum *sum)
{
	int err = put_name(out, name);
	err = err ? err : put_counts(out, sum);
	err = err ? err : put_times(out, f, &sum->latency);
	return err ? err : buf_puts(out, "\n");
}

static int put_rest(struct buf *out, const struct report_facts *f)
{
	struct report_sum sum = {0};
	report_hosts_rest(&sum, &f->hosts, HOSTS_SHOWN);
	return sum.jobs ? put_host(out, f, "others", &sum) : 0;
}

static int put_limit(struct buf *out)
{
	char room[TALLY_COUNT_BYTES];
	return buf_printf(out,
		"  More than %s hosts: some jobs of those above may be among the "
		"others.\n",
		tally_count_text(room, REPORT_HOSTS_MAX));
}

static int put_hosts(struct buf *out, const struct report_facts *f)
{
	const char *times = f->unknown & SUMMARY_NO_TIMES ? "" : "     p50     p99";
	int err = buf_printf(out, "\n  %-*s  %9s  %9s  %7s%s\n", NAME_WIDTH, "host",
		"jobs", "ok", "failed", times);
	for (size_t i = 0; i < f->hosts.ct && i < HOSTS_SHOWN && !err; i++) {
		struct report_sum sum = {0};
		const char *name = f->hosts.list[i].name;
		report_host_sum(&sum, &f->hosts.list[i]);
		err = put_host(out, f, *name ? name : "(no host)", &sum);
	}
	err = err ? err : put_rest(out, f);
	return err || !f->hosts.passed_ct ? err : put_limit(out);
}

/* -------------------------------------------------------------------- slowest */

static int put_slow(
	struct buf *out, const struct report_facts *f, const struct report_job *job)
{
	char time[FIGURE_BYTES], status[FIGURE_BYTES];
	const char *outcome = report_outcome(f, job);
	if (job->http_code) {
		snprintf(status, sizeof status, "HTTP %u", job->http_code);
		outcome = status;
	}
	int err = buf_printf(
		out, "  %9s  %-12s  ", figure_latency(time, job->time_us), outcome);
	err = err ? err : report_put_plain(out, job->url, REPORT_SHOWN_URL_MAX);
	return err ? err : buf_puts(out, "\n");
}

static int put_slowest(struct buf *out, const struct report_facts *f)
{
	int err = f->slowest_ct ? buf_puts(out, "\n  slowest\n") : 0;
	for (size_t i = 0; i < f->slowest_ct && !err; i++) {
		err = f->slowest[i].url ? put_slow(out, f, &f->slowest[i]) : 0;
	}
	return err;
}

int report_text(struct buf *out, const struct report_facts *f)
{
	const struct summary_facts summary = report_facts_summary(f);
	int err = summary_render_results(out, &summary);
	if (!err && f->has_urls && f->tally.done) {
		err = put_hosts(out, f);
		err = err ? err : put_slowest(out, f);
	}
	return err;
}
