/* SPDX-License-Identifier: MIT
 *
 * report_json - a report as one JSON object, with the names that --stats FILE of a
 * run has.
 */
#include <inttypes.h>
#include <string.h>

#include "common/cli/line.h"
#include "common/cli/outcome.h"
#include "common/poolmap.h"
#include "master/cli/report_facts.h"
#include "master/cli/stats.h"

/* ,"KEY":"text"; nothing for NULL. */
static int put_text(struct buf *out, const char *key, const char *text)
{
	int err = text ? buf_printf(out, ",\"%s\":", key) : 0;
	return err || !text ? err : line_string(out, text, strlen(text));
}

/* ---------------------------------------------------------------------- hosts */

/* "jobs":{...},"latency":{...} */
static int put_sum(
	struct buf *out, const struct report_facts *f, const struct report_sum *sum)
{
	int err = buf_printf(out,
		"\"jobs\":{\"done\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"failed\":%" PRIu64
		"}",
		sum->jobs, sum->ok, sum->jobs - sum->ok);
	if (!err && !(f->unknown & SUMMARY_NO_TIMES)) {
		err = buf_puts(out, ",");
		err = err ? err : stats_put_latency(out, &sum->latency);
	}
	return err ? err : buf_puts(out, "}");
}

static int put_host(
	struct buf *out, const struct report_facts *f, const struct report_host *host)
{
	struct report_sum sum = {0};
	report_host_sum(&sum, host);
	int err = buf_puts(out, "{\"host\":");
	err = err           ? err
	      : *host->name ? line_string(out, host->name, strlen(host->name))
			    : buf_puts(out, "null");
	err = err ? err : buf_puts(out, ",");
	return err ? err : put_sum(out, f, &sum);
}

static int put_hosts(struct buf *out, const struct report_facts *f)
{
	struct report_sum rest = {0};
	int err = buf_puts(out, ",\"hosts\":[");
	for (size_t i = 0; i < f->hosts.ct && !err; i++) {
		err = i ? buf_puts(out, ",") : 0;
		err = err ? err : put_host(out, f, &f->hosts.list[i]);
	}
	report_hosts_rest(&rest, &f->hosts, f->hosts.ct);
	err = err ? err : buf_puts(out, "],\"other_hosts\":{");
	return err ? err : put_sum(out, f, &rest);
}

/* ----------------------------------------------------------------------- jobs */

static int put_index(struct buf *out, uint64_t index)
{
	return index == UINT64_MAX ? buf_puts(out, "\"index\":null")
				   : buf_printf(out, "\"index\":%" PRIu64, index);
}

/* As in its result. */
static int put_verdict(
	struct buf *out, const struct report_facts *f, const struct report_job *job)
{
	bool ok = job->class == OUTCOME_OK;
	int err = buf_printf(out, ",\"ok\":%s", ok ? "true" : "false");
	if (!err && !ok && !(f->unknown & SUMMARY_NO_CLASSES)) {
		err = put_text(out, "error", outcome_class_name(job->class));
	}
	err = err ? err : put_text(out, "errormsg", job->why);
	return err || !job->http_code
		       ? err
		       : buf_printf(out, ",\"http_code\":%u", job->http_code);
}

static int put_job(
	struct buf *out, const struct report_facts *f, const struct report_job *job)
{
	int err = buf_puts(out, "{");
	err = err ? err : put_index(out, job->index);
	err = err ? err : put_text(out, "url", job->url);
	err = err ? err : put_verdict(out, f, job);
	if (!err && job->time_us) {
		err = buf_puts(out, ",");
		err = err ? err : stats_put_seconds(out, "time_total", job->time_us);
	}
	return err ? err : buf_puts(out, "}");
}

static int put_jobs(struct buf *out, const struct report_facts *f, const char *key,
	const struct report_job *jobs, size_t ct)
{
	int err = buf_printf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < ct && !err; i++) {
		err = i ? buf_puts(out, ",") : 0;
		err = err ? err : put_job(out, f, &jobs[i]);
	}
	return err ? err : buf_puts(out, "]");
}

/* ------------------------------------------------------------------------ all */

int report_json(struct buf *out, const struct report_facts *f)
{
	const struct summary_facts summary = report_facts_summary(f);
	int err = buf_puts(out, "{\"results\":");
	err = err ? err : line_string(out, f->name, strlen(f->name));
	err = err ? err : buf_printf(out, ",\"torn\":%s,", f->torn ? "true" : "false");
	err = err ? err : stats_put_counts(out, &summary);
	if (!err && f->has_urls) {
		err = put_hosts(out, f);
	}
	if (!err && !(f->unknown & SUMMARY_NO_TIMES)) {
		err = put_jobs(out, f, "slowest", f->slowest, f->slowest_ct);
	}
	err = err ? err : put_jobs(out, f, "first_failed", f->failed, f->failed_ct);
	return err ? err : buf_puts(out, "}\n");
}
