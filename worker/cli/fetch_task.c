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

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/cli/line.h"
#include "common/cli/outcome.h"
#include "common/cli/retry_after.h"
#include "common/cli/settings.h"
#include "worker/cli/fetch_body.h"
#include "worker/cli/fetch_request.h"
#include "worker/cli/sandbox.h"

/* A job on its way.  Lives on the task's stack. */
struct fetch {
	pm_task *task;
	struct job job;
	struct fetch_request request;
	struct fetch_body body;
	struct pm_response *response; /* of a fetch that succeeded */
	uint32_t retry_after_ms;
	bool final; /* no other attempt would end in another way */
	struct line_facts facts;
	char text[64]; /* behind facts.errormsg */
};

/* --------------------------------------------------------------------- facts */

/* When the server wants to see us again.  True: later than we would wait. */
static bool tell_retry_after(struct fetch *f)
{
	const char *value = pm_response_header(f->facts.response, "retry-after");
	const char *date = pm_response_header(f->facts.response, "date");
	struct retry_after wait = {0};
	int64_t now = (int64_t)time(NULL);
	if (value && date) {
		(void)http_date_parse(&now, now, date, strlen(date)); /* its clock */
	}
	if (value) {
		(void)retry_after_parse(&wait, now, value, strlen(value));
	}
	f->retry_after_ms = wait.ms;
	return wait.too_long;
}

static void tell_refusal(struct fetch *f)
{
	int status = f->response->status;
	bool too_long = tell_retry_after(f);
	f->facts.errormsg = f->text;
	if (too_long && (status == 429 || status == 503)) {
		f->facts.class = OUTCOME_RATE_LIMITED;
		snprintf(f->text, sizeof f->text,
			"status %d, to be asked again after more than %d s", status,
			RETRY_AFTER_MAX_MS / 1000);
	} else {
		f->facts.class = OUTCOME_HTTP_STATUS;
		snprintf(f->text, sizeof f->text, "status %d is not in --accept",
			status);
	}
}

static void tell_response(struct fetch *f)
{
	f->facts.response = f->response;
	if (status_set_has(&settings.accept, f->response->status)) {
		f->facts.class = OUTCOME_OK;
	} else {
		tell_refusal(f);
	}
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
	/* The resolver says so of a name that it could not ask for. */
	f->final = error == PM_EDNS &&
		   !(why->domain == PM_DOMAIN_ERRNO && why->code == EAGAIN);
}

/* Returns 0 when there is something to tell, whatever it is. */
static int run(struct fetch *f)
{
	struct pm_request *request = &f->request.pm;
	int err = fetch_request_build(&f->request, &f->job);
	err = err ? err : fetch_body_begin(&f->body, f->task, request);
	if (err) {
		return err;
	}
	int fetch_error = pm_await_fetch(f->task, request, &f->response);
	if (fetch_error == PM_ECANCELLED) {
		return fetch_error;
	}
	if (fetch_error) {
		tell_failure(f, fetch_error);
	} else {
		tell_response(f);
	}
	if (f->facts.class != OUTCOME_BAD_JOB) {
		f->facts.method = request->method;
	}
	return fetch_body_end(&f->body, f->task, request, fetch_error, &f->facts);
}

/* -------------------------------------------------------------------- result */

/* Give outcome and line to the master. */
static int answer(struct fetch *f)
{
	struct outcome outcome = {.class = f->facts.class,
		.retry_after_ms = f->retry_after_ms,
		.retries = fetch_request_retries(&f->job),
		.idempotent = fetch_request_idempotent(&f->job),
		.final = f->final};
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
	sandbox_seal();
	struct fetch f = {
		.task = task,
		.facts.time_queue_us = pm_task_queued_us(task),
		.facts.attempts = pm_task_attempt(task),
		.facts.worker = (int)pm_task_worker(task),
		.facts.headers = settings.response_headers,
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
	fetch_body_fini(&f.body);
	fetch_request_fini(&f.request);
	job_fini(&f.job);
	return err;
}
