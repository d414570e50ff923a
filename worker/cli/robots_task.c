/* SPDX-License-Identifier: MIT
 *
 * robots_task - fetches the robots.txt of a host; see robots_task.h.
 *
 * Runs in: the workers of the command.
 */
#include "common/cli/robots_task.h"

#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/cli/robots.h"
#include "worker/cli/fetch_request.h"
#include "worker/cli/sandbox.h"

/* Between two attempts: --polite is one request a second. */
enum { ROBOTS_PAUSE_MS = 1000 };

/* More of the body than counts is not read. */
static int keep(void *ctx, const void *bytes, size_t len)
{
	struct buf *body = ctx;
	size_t room = ROBOTS_TEXT_MAX - body->len;
	int err = buf_put(body, bytes, len < room ? len : room);
	return err || len <= room ? err : PM_EBODYSIZE;
}

static int answer(pm_task *task, uint32_t status, int why, const struct buf *body)
{
	struct buf out = {0};
	struct robots_reply reply = {.status = status, .error = why};
	int err = buf_put(&out, &reply, sizeof reply);
	if (!err) {
		err = buf_put(&out, body->data, body->len);
	}
	if (!err) {
		err = pm_return(task, out.data, out.len);
	}
	buf_fini(&out);
	return err;
}

/* PM_ECANCELLED, or 0: *status is what was answered, 0: nothing that can be read. */
static int ask(pm_task *task, struct fetch_request *r, struct buf *body,
	uint32_t *status, int *why)
{
	struct pm_response *response;
	buf_clear(body);
	*why = pm_await_fetch(task, &r->pm, &response);
	const struct pm_response *got = pm_task_last_response(task);
	bool read = !*why || (*why == PM_EBODYSIZE && body->len == ROBOTS_TEXT_MAX);
	*status = read && got ? (uint32_t)got->status : 0;
	return *why == PM_ECANCELLED ? PM_ECANCELLED : 0;
}

/* All jobs of the host hang on it: what may be a moment's weakness of the server does
 * not decide.  Hosts that are not there, or silent, cost enough as it is, and one that
 * asks us to slow down (429) has answered. */
static bool may_pass(uint32_t status, int why)
{
	return status >= 500 || why == PM_ERESET || why == PM_ETRUNCATED;
}

static int fetch(pm_task *task, struct fetch_request *r)
{
	struct buf body = {0};
	uint32_t status;
	int why;
	r->pm.on_body = keep;
	r->pm.on_body_ctx = &body;
	int err = ask(task, r, &body, &status, &why);
	if (!err && may_pass(status, why)) {
		err = pm_sleep(task, ROBOTS_PAUSE_MS);
		err = err ? err : ask(task, r, &body, &status, &why);
	}
	err = err ? err : answer(task, status, why, &body);
	buf_fini(&body);
	return err;
}

/* These are about the answers that jobs want: rules must be whole, and be read. */
static bool is_for_jobs(const char *name)
{
	return strcasecmp(name, "Accept-Encoding") == 0 ||
	       strcasecmp(name, "Range") == 0 || strncasecmp(name, "If-", 3) == 0;
}

static void drop_headers(struct fetch_request *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->pm.header_ct; i++) {
		if (!is_for_jobs(r->headers[i].name)) {
			r->headers[kept++] = r->headers[i];
		}
	}
	r->pm.header_ct = kept;
}

/* What the options say of jobs is not all for a robots.txt. */
static void make_request(struct fetch_request *r)
{
	drop_headers(r);
	r->pm.method = "GET";
	r->pm.body = NULL;
	r->pm.body_len = 0;
	r->pm.compressed = true; /* also unasked it may come so */
	r->pm.max_body = SIZE_MAX - 1;
	r->pm.no_headers = true;
	r->pm.no_follow = false;
	r->pm.max_redirects = 0; /* as many as are usual */
}

int robots_task(pm_task *task, const void *url, size_t len)
{
	sandbox_seal();
	struct job job;
	struct fetch_request r = {0};
	int err = job_parse(&job, url, len);
	if (!err) {
		err = fetch_request_build(&r, &job);
	}
	if (!err) {
		make_request(&r);
		err = fetch(task, &r);
	}
	fetch_request_fini(&r);
	job_fini(&job);
	return err;
}
