/* SPDX-License-Identifier: MIT
 *
 * fuzz_job - lines of job files: the parser of the workers, the lane and the target
 * that the master finds without it, and the result line.  A line that a worker would
 * fetch must have a lane; what is echoed must be valid.
 */
#include <curl/curl.h>
#include <strings.h>

#include "common/cli/host.h"
#include "common/cli/job.h"
#include "common/cli/line.h"
#include "common/cli/utf8.h"
#include "master/cli/scan.h"
#include "tests/fuzz/fuzz.h"
#include "worker/engine_check.h"

/* "scheme://host:port" by libcurl, or empty: it refuses the URL. */
static void curl_lane(char lane[PM_LANE_MAX + 1], const char *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLU *u = curl_url();
	lane[0] = '\0';
	if (!curl_url_set(u, CURLUPART_URL, url, 0) &&
		!curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) &&
		!curl_url_get(u, CURLUPART_HOST, &host, 0) &&
		!curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)) {
		size_t len = strlen(host);
		bool usual = strcmp(port, scheme[4] ? "443" : "80") == 0;
		len -= len > 1 && host[len - 1] == '.';
		snprintf(lane, PM_LANE_MAX + 1, "%s://%.*s%s%s", scheme, (int)len, host,
			usual ? "" : ":", usual ? "" : port);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
}

/* But for port 0, which nothing listens on, and for the many spellings of addresses in
 * brackets, which tests/unit/test_host.c knows. */
static void check_lane(const struct job *job, const char *line, size_t len)
{
	char lane[PM_LANE_MAX + 1], theirs[PM_LANE_MAX + 1];
	struct pm_failure failure;
	uint32_t hash;
	size_t lane_len = host_lane(lane, line, len);
	FUZZ_CHECK(lane_len <= PM_LANE_MAX && strlen(lane) == lane_len);
	if (job->error || job->url_len >= PM_LANE_MAX ||
		url_check(job->url, &hash, &failure) != 0) {
		return;
	}
	curl_lane(theirs, job->url);
	if (theirs[0] && !strstr(theirs, ":0")) {
		FUZZ_CHECK(lane_len > 0);
		FUZZ_CHECK(strchr(theirs, '[') || strcasecmp(lane, theirs) == 0);
	}
}

static void check_target(const char *line, size_t len)
{
	struct buf target = {0};
	FUZZ_CHECK(host_target(&target, line, len) == 0);
	FUZZ_CHECK(target.len > 0 && target.data[0] == '/');
	buf_fini(&target);
}

/* What a resumed run compares: it must find the prefix in its own line. */
static void check_line(const struct job *job)
{
	struct line_facts facts = {.index = 7,
		.class = job->error ? OUTCOME_BAD_JOB : OUTCOME_OK,
		.errormsg = job->error,
		.worker = -1};
	struct buf line = {0}, prefix = {0};
	struct scan_entry entry;
	FUZZ_CHECK(line_render(&line, job, &facts) == 0);
	FUZZ_CHECK(line_prefix(&prefix, 7, job) == 0);
	FUZZ_CHECK(utf8_valid(line.data, line.len));
	FUZZ_CHECK(memchr(line.data, '\n', line.len) == line.data + line.len - 1);
	FUZZ_CHECK(!scan_line(line.data, line.len - 1, &entry));
	FUZZ_CHECK(entry.index == 7 && entry.prefix_len == prefix.len);
	FUZZ_CHECK(memcmp(entry.prefix, prefix.data, prefix.len) == 0);
	buf_fini(&line);
	buf_fini(&prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data;
	struct job job;
	if (memchr(data, '\n', size)) {
		return 0; /* is two lines */
	}
	FUZZ_CHECK(job_parse(&job, line, size) == 0);
	check_lane(&job, line, size);
	check_target(line, size);
	check_line(&job);
	job_fini(&job);
	return 0;
}
