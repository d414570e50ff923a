/* SPDX-License-Identifier: MIT
 *
 * fetch_request - see fetch_request.h.
 */
#include "worker/cli/fetch_request.h"

#include <stdlib.h>
#include <strings.h>

#include "common/cli/settings.h"
#include "common/method.h"

/* --------------------------------------------------------------------- headers */

/* That may come beside the defaults and the job's own. */
enum { OWN_HEADERS_MAX = 2 };

static bool job_has_header(const struct job *job, const char *name)
{
	for (size_t i = 0; i < job->header_ct; i++) {
		if (strcasecmp(job->headers[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* A job that brings its own user or token takes no default Authorization. */
static bool job_replaces(const struct job *job, const char *name)
{
	return job_has_header(job, name) ||
	       ((job->user || job->bearer) && strcasecmp(name, "Authorization") == 0);
}

static bool has_header(const struct fetch_request *r, const char *name)
{
	for (size_t i = 0; i < r->pm.header_ct; i++) {
		if (strcasecmp(r->headers[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static void add_header(struct fetch_request *r, const char *name, const char *value)
{
	r->headers[r->pm.header_ct++] = (struct pm_header){name, value};
}

static int add_bearer(struct fetch_request *r, const struct job *job)
{
	if (!job->bearer || job_has_header(job, "Authorization")) {
		return 0;
	}
	if (buf_printf(&r->bearer, "Bearer %s", job->bearer) || !buf_text(&r->bearer)) {
		return PM_ENOMEM;
	}
	add_header(r, "Authorization", r->bearer.data);
	return 0;
}

/* Archives keep bodies as they were sent: there libcurl must not decompress, and so
 * does not offer it either. */
static bool keeps_compressed(void)
{
	return settings.compressed && settings.body == BODY_WARC;
}

/* The job's headers, the defaults of which it has none of its own, and ours. */
static int merge_headers(struct fetch_request *r, const struct job *job)
{
	size_t most = settings.header_ct + job->header_ct + OWN_HEADERS_MAX;
	r->headers = calloc(most, sizeof *r->headers);
	if (!r->headers) {
		return PM_ENOMEM;
	}
	for (size_t i = 0; i < settings.header_ct; i++) {
		if (!job_replaces(job, settings.headers[i].name)) {
			add_header(
				r, settings.headers[i].name, settings.headers[i].value);
		}
	}
	for (size_t i = 0; i < job->header_ct; i++) {
		add_header(r, job->headers[i].name, job->headers[i].value);
	}
	if (keeps_compressed() && !has_header(r, "Accept-Encoding")) {
		add_header(r, "Accept-Encoding", "gzip, deflate");
	}
	int err = add_bearer(r, job);
	r->pm.headers = r->headers;
	return err;
}

/* --------------------------------------------------------------------- methods */

static bool has_body(const struct job *job)
{
	return job->has_body || settings.data;
}

/* Said outright, so that the result line can name it. */
static const char *method_of(const struct job *job)
{
	if (job->method) {
		return job->method;
	}
	if (settings.method) {
		return settings.method;
	}
	return has_body(job) ? "POST" : "GET";
}

uint16_t fetch_request_retries(const struct job *job)
{
	unsigned retries =
		job->retries >= 0 ? (unsigned)job->retries : settings.retries;
	return retries < UINT16_MAX ? (uint16_t)retries : UINT16_MAX;
}

bool fetch_request_idempotent(const struct job *job)
{
	return method_is_idempotent(method_of(job));
}

/* --------------------------------------------------------------------- request */

static size_t max_body_of(const struct job *job)
{
	uint64_t most = job->max_body == UINT64_MAX ? settings.max_body : job->max_body;
	return most == 0 ? PM_NO_BODY : most < SIZE_MAX ? (size_t)most : SIZE_MAX - 1;
}

static void fill_from_job(struct pm_request *r, const struct job *job)
{
	r->url = job->url;
	r->method = method_of(job);
	r->body = job->has_body ? job->body : settings.data;
	r->body_len = job->has_body ? job->body_len : settings.data_len;
	r->user = job->user;
	r->password = job->password;
	r->timeout_ms = job->timeout_ms ? job->timeout_ms : settings.timeout_ms;
	r->connect_timeout_ms = job->connect_timeout_ms ? job->connect_timeout_ms
							: settings.connect_timeout_ms;
	r->max_body = max_body_of(job);
	r->no_follow = job->follow < 0 ? settings.no_follow : !job->follow;
}

static void fill_from_settings(struct pm_request *r)
{
	r->stall_timeout_ms = settings.stall_timeout_ms;
	r->max_redirects =
		settings.max_redirects ? settings.max_redirects : PM_NO_REDIRECTS;
	r->insecure = settings.insecure;
	r->no_headers = !settings.response_headers;
	r->discard_body = settings.body == BODY_NONE;
	r->compressed = settings.compressed && !keeps_compressed();
	r->http2 = settings.http2;
	r->proxy = settings.proxy;
	r->ca_file = settings.ca_file;
	r->cert = settings.cert;
	r->key = settings.key;
	r->deny_private = settings.deny_private;
	r->resolve = settings.resolve;
	r->resolve_ct = settings.resolve_ct;
}

int fetch_request_build(struct fetch_request *r, const struct job *job)
{
	*r = (struct fetch_request){0};
	fill_from_job(&r->pm, job);
	fill_from_settings(&r->pm);
	return merge_headers(r, job);
}

void fetch_request_fini(struct fetch_request *r)
{
	free(r->headers);
	buf_fini(&r->bearer);
}
