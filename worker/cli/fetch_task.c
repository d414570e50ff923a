/* SPDX-License-Identifier: MIT
 *
 * fetch_task - see fetch_task.h.
 *
 * Every way through ends in one of two things: a result line, which also tells
 * of bad jobs and failed fetches; or an error of the job, for which the master
 * renders the line (common/cli/lost.c).  The latter is for what a worker cannot
 * tell: no memory, cancelled.
 */
#include "common/cli/fetch_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/cli/line.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"

/* A job on its way.  Lives on the task's stack. */
struct fetch {
	pm_task *task;
	struct job job;
	struct pm_header *headers;    /* defaults and the job's own */
	struct pm_response *response; /* of a fetch that succeeded */
	struct line_facts facts;
	char text[64]; /* behind facts.errormsg */
};

/* ------------------------------------------------------------------- request */

static bool job_has_header(const struct job *job, const char *name)
{
	for (size_t i = 0; i < job->header_ct; i++) {
		if (strcasecmp(job->headers[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* The job's headers, and the defaults of which it has none of its own. */
static int merge_headers(struct fetch *f, struct pm_request *request)
{
	const struct job *job = &f->job;
	request->headers = job->headers;
	request->header_ct = job->header_ct;
	if (settings.header_ct == 0) {
		return 0;
	}
	f->headers = calloc(settings.header_ct + job->header_ct, sizeof *f->headers);
	if (!f->headers) {
		return PM_ENOMEM;
	}
	size_t ct = 0;
	for (size_t i = 0; i < settings.header_ct; i++) {
		if (!job_has_header(job, settings.headers[i].name)) {
			f->headers[ct++] = settings.headers[i];
		}
	}
	for (size_t i = 0; i < job->header_ct; i++) {
		f->headers[ct++] = job->headers[i];
	}
	request->headers = f->headers;
	request->header_ct = ct;
	return 0;
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
	return job->has_body ? "POST" : "GET";
}

static int build_request(struct fetch *f, struct pm_request *request)
{
	const struct job *job = &f->job;
	*request = (struct pm_request){
		.url = job->url,
		.method = method_of(job),
		.body = job->body,
		.body_len = job->body_len,
		.timeout_ms = job->timeout_ms ? job->timeout_ms : settings.timeout_ms,
		.connect_timeout_ms = settings.connect_timeout_ms,
		.max_body = settings.max_body ? settings.max_body : PM_NO_BODY,
		.max_redirects = settings.max_redirects ? settings.max_redirects
							: PM_NO_REDIRECTS,
		.no_follow = settings.no_follow,
		.insecure = settings.insecure,
		.no_headers = true,
		.discard_body = settings.body == BODY_NONE,
		.ca_file = settings.ca_file,
	};
	return merge_headers(f, request);
}

/* --------------------------------------------------------------------- facts */

static void tell_response(struct fetch *f)
{
	f->facts.response = f->response;
	if (status_set_has(&settings.accept, f->response->status)) {
		f->facts.class = OUTCOME_OK;
		return;
	}
	f->facts.class = OUTCOME_HTTP_STATUS;
	snprintf(f->text, sizeof f->text, "status %d is not in --accept",
		f->response->status);
	f->facts.errormsg = f->text;
}

static void tell_failure(struct fetch *f, int error)
{
	const struct pm_failure *why = pm_task_failure(f->task);
	f->facts.class = outcome_class_of(error);
	f->facts.response = pm_task_last_response(f->task);
	f->facts.errormsg = why->message[0] ? why->message : pm_error_text(error);
	if (why->domain == PM_DOMAIN_CURL) {
		f->facts.curl_code = why->code;
	}
}

/* Returns 0 when there is something to tell, whatever it is. */
static int run(struct fetch *f)
{
	struct pm_request request;
	int err = build_request(f, &request);
	if (err) {
		return err;
	}
	err = pm_await_fetch(f->task, &request, &f->response);
	if (err == PM_ECANCELLED) {
		return err;
	}
	if (err) {
		tell_failure(f, err);
	} else {
		tell_response(f);
	}
	if (f->facts.class != OUTCOME_BAD_JOB) {
		f->facts.method = request.method;
	}
	return 0;
}

/* -------------------------------------------------------------------- result */

/* Give outcome and line to the master. */
static int answer(struct fetch *f)
{
	struct outcome outcome = {.class = f->facts.class};
	const struct pm_response *r = f->facts.response;
	if (r) {
		outcome.http_code = r->status > 0 ? (uint32_t)r->status : 0;
		outcome.time_total_us = r->time_total_us;
		outcome.size_download = r->size_download;
	}
	struct buf out = {0};
	int err = buf_put(&out, &outcome, sizeof outcome);
	if (!err) {
		err = line_render(&out, &f->job, &f->facts);
	}
	if (!err) {
		err = pm_return(f->task, out.data, out.len);
	}
	buf_fini(&out);
	return err;
}

static bool tells_body(const struct line_facts *facts)
{
	return facts->body == BODY_INLINE &&
	       (facts->class == OUTCOME_OK || facts->class == OUTCOME_HTTP_STATUS);
}

/* A body within --max-body can still make a line that is over the limit of a
 * result: escapes and base64 take more room. */
static int answer_somehow(struct fetch *f)
{
	int err = answer(f);
	if (err != PM_ETOOBIG || !tells_body(&f->facts)) {
		return err;
	}
	f->facts.class = OUTCOME_BODY_TOO_LARGE;
	f->facts.body = BODY_NONE;
	f->facts.errormsg = "the result line is too long with the body in it: "
			    "lower --max-body or use --body none";
	return answer(f);
}

int fetch_task(pm_task *task, const void *arg, size_t len)
{
	struct fetch f = {
		.task = task,
		.facts.time_queue_us = pm_task_queued_us(task),
		.facts.attempts = pm_task_attempt(task),
		.facts.worker = (int)pm_task_worker(task),
		.facts.body = settings.body,
	};
	int err = job_read(&f.job, &f.facts.index, arg, len);
	if (!err && f.job.error) {
		f.facts.class = OUTCOME_BAD_JOB;
		f.facts.errormsg = f.job.error;
	} else if (!err) {
		err = run(&f);
	}
	if (!err) {
		err = answer_somehow(&f);
	}
	if (f.response) {
		pm_response_free(f.response);
	}
	free(f.headers);
	job_fini(&f.job);
	return err;
}
