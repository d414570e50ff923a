/* SPDX-License-Identifier: MIT
 *
 * report_facts - what all results of a file say together, see report_facts.h.
 */
#include "master/cli/report_facts.h"

#include <stdlib.h>
#include <string.h>

#include "common/cli/host.h"
#include "common/poolmap.h"
#include "master/cli/report_words.h"

static unsigned unknown_of(unsigned fields)
{
	static const struct {
		enum report_field field;
		enum summary_unknown unknown;
	} needs[] = {{REPORT_ERROR, SUMMARY_NO_CLASSES},
		{REPORT_HTTP_CODE, SUMMARY_NO_STATUSES},
		{REPORT_SIZE, SUMMARY_NO_BYTES}, {REPORT_TIME, SUMMARY_NO_TIMES},
		{REPORT_ATTEMPTS, SUMMARY_NO_ATTEMPTS}};
	unsigned unknown = SUMMARY_NO_RUN;
	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
		unknown |= fields & 1U << needs[i].field ? 0 : needs[i].unknown;
	}
	return unknown;
}

int report_facts_init(struct report_facts *f, const char *name, unsigned fields)
{
	*f = (struct report_facts){.name = name,
		.unknown = unknown_of(fields),
		.has_urls = fields & 1U << REPORT_URL};
	return report_hosts_init(&f->hosts);
}

static void fini_job(struct report_job *job)
{
	free(job->url);
	free(job->why);
}

void report_facts_fini(struct report_facts *f)
{
	for (size_t i = 0; i < f->slowest_ct; i++) {
		fini_job(&f->slowest[i]);
	}
	for (size_t i = 0; i < f->failed_ct; i++) {
		fini_job(&f->failed[i]);
	}
	report_hosts_fini(&f->hosts);
}

/* ----------------------------------------------------------------------- jobs */

static int name_job(struct report_job *job, const struct report_result *r)
{
	*job = (struct report_job){.index = r->index,
		.time_us = r->outcome.time_total_us,
		.class = r->outcome.class,
		.http_code = r->outcome.http_code,
		.url = r->url ? report_keep_url(r->url, r->url_len) : NULL,
		.why = r->errormsg ? report_keep_why(r->errormsg, r->errormsg_len)
				   : NULL};
	if ((r->url && !job->url) || (r->errormsg && !job->why)) {
		fini_job(job);
		return PM_ENOMEM;
	}
	return 0;
}

static int add_failed(struct report_facts *f, const struct report_result *r)
{
	if (r->outcome.class == OUTCOME_OK || f->failed_ct == REPORT_FAILED) {
		return 0;
	}
	int err = name_job(&f->failed[f->failed_ct], r);
	f->failed_ct += !err;
	return err;
}

/* Of two that took as long, the first in the file is first here. */
static int add_slow(struct report_facts *f, const struct report_result *r)
{
	struct report_job job;
	size_t place = f->slowest_ct;
	while (place && f->slowest[place - 1].time_us < r->outcome.time_total_us) {
		place--;
	}
	if (place == REPORT_SLOWEST || !r->outcome.time_total_us) {
		return 0;
	}
	if (name_job(&job, r)) {
		return PM_ENOMEM;
	}
	if (f->slowest_ct == REPORT_SLOWEST) {
		fini_job(&f->slowest[--f->slowest_ct]);
	}
	memmove(&f->slowest[place + 1], &f->slowest[place],
		(f->slowest_ct - place) * sizeof job);
	f->slowest[place] = job;
	f->slowest_ct++;
	return 0;
}

/* ---------------------------------------------------------------------- hosts */

/* "example.org:8080": the name of its lane without the scheme.  A URL is a job line;
 * what would be read as JSON there is none. */
static const char *host_of(
	char lane[PM_LANE_MAX + 1], const struct report_result *r, size_t *len)
{
	bool is_url = r->url_len && r->url[0] != '{';
	*len = is_url ? host_lane(lane, r->url, r->url_len) : 0;
	lane[*len] = '\0';
	const char *scheme_end = strstr(lane, "://");
	const char *host = scheme_end ? scheme_end + 3 : lane;
	*len -= (size_t)(host - lane);
	return host;
}

static int add_host(struct report_facts *f, const struct report_result *r)
{
	char lane[PM_LANE_MAX + 1];
	size_t len;
	const char *host = host_of(lane, r, &len);
	return report_hosts_add(&f->hosts, host, len, r->outcome.class == OUTCOME_OK,
		r->outcome.time_total_us);
}

/* ------------------------------------------------------------------------ all */

int report_facts_add(struct report_facts *f, const struct report_result *r)
{
	tally_add(&f->tally, &r->outcome);
	if (!(f->unknown & SUMMARY_NO_ATTEMPTS)) {
		tally_attempts(&f->tally, (unsigned)r->attempts);
	}
	int err = add_failed(f, r);
	err = err ? err : add_slow(f, r);
	return err || !f->has_urls ? err : add_host(f, r);
}

void report_facts_end(struct report_facts *f)
{
	report_hosts_sort(&f->hosts);
}

const char *report_outcome(const struct report_facts *f, const struct report_job *job)
{
	bool known = job->class == OUTCOME_OK || !(f->unknown & SUMMARY_NO_CLASSES);
	return known ? outcome_class_name(job->class) : "failed";
}

struct summary_facts report_facts_summary(const struct report_facts *f)
{
	return (struct summary_facts){
		.tally = &f->tally, .unknown = f->unknown, .output = f->name};
}
