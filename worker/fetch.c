/* SPDX-License-Identifier: MIT
 *
 * fetch - the fetches of tasks, see fetch.h.
 *
 * Runs in: the worker.  Called by tasks, and by the runner at a task's end.
 * Joins two things that know nothing of each other: the engine, which calls
 * back, and the runner, which suspends.
 *
 * Whose a response is: each is in its task's list from the moment it arrives.
 * The newest is the task's "last response" as well, and so stays, without its
 * body, when the task frees it: until the next fetch.
 */
#include "worker/fetch.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/compose.h"
#include "worker/engine.h"
#include "worker/engine_response.h"
#include "worker/runner.h"
#include "worker/session.h"

/* Of this process; workers are single-threaded. */
static struct engine *the_engine;

/* One fetch, on the stack of its task. */
struct wait {
	struct pm_task *task;
	struct transfer *transfer; /* NULL once it has ended */
	struct engine_result result;
};

/* ---------------------------------------------------------------- ownership */

static void own(struct pm_task *task, struct response *r)
{
	r->owner = task;
	r->prev = NULL;
	r->next = task->responses ? response_of(task->responses) : NULL;
	if (r->next) {
		r->next->prev = r;
	}
	task->responses = &r->pm;
}

static void disown_and_free(struct response *r)
{
	if (r->next) {
		r->next->prev = r->prev;
	}
	if (r->prev) {
		r->prev->next = r->next;
	} else {
		r->owner->responses = r->next ? &r->next->pm : NULL;
	}
	response_free(r);
}

/* Before the next fetch: the last response goes, unless the task still has the
 * pointer to it. */
static void forget_last(struct pm_task *task)
{
	struct response *r =
		task->last_response ? response_of(task->last_response) : NULL;
	task->last_response = NULL;
	if (r && !r->given) {
		disown_and_free(r);
	}
}

static void remember(struct pm_task *task, struct pm_response *response, bool given)
{
	struct response *r = response_of(response);
	r->given = given;
	own(task, r);
	task->last_response = response;
}

/* A fetch that never got to the network has a last response, too. */
static void remember_nothing(struct pm_task *task, const char *url)
{
	size_t len = url ? strlen(url) : 0;
	struct response *r = response_new(0, len + 1);
	if (r) {
		r->pm.url_effective = response_text(r, url, len);
		remember(task, &r->pm, false);
	}
}

void pm_response_free(struct pm_response *response)
{
	if (!response) {
		return;
	}
	struct response *r = response_of(response);
	if (r->owner->last_response == response) {
		r->given = false;
		response_drop_body(r);
		return;
	}
	disown_and_free(r);
}

const char *pm_response_header(const struct pm_response *response, const char *name)
{
	for (size_t i = 0; i < response->header_ct; i++) {
		if (strcasecmp(response->headers[i].name, name) == 0) {
			return response->headers[i].value;
		}
	}
	return NULL;
}

const struct pm_response *pm_task_last_response(const struct pm_task *task)
{
	return task->last_response;
}

void fetch_task_end(struct pm_task *task)
{
	task->last_response = NULL;
	while (task->responses) {
		disown_and_free(response_of(task->responses));
	}
}

/* ------------------------------------------------------------------ the fetch */

static void on_done(void *ctx, struct engine_result *result)
{
	struct wait *w = ctx;
	w->result = *result;
	w->transfer = NULL;
	task_wake(w->task);
}

static void stop_waiting(void *ctx)
{
	struct wait *w = ctx;
	if (w->transfer) {
		engine_cancel(w->transfer);
		w->transfer = NULL;
	}
}

static int fail(struct pm_task *task, const struct pm_failure *f)
{
	return task_set_failure(task, f->error, f->domain, f->code, f->message);
}

static int fail_cancelled(struct wait *w, const char *url)
{
	if (w->result.response) {
		response_free(response_of(w->result.response));
	}
	remember_nothing(w->task, url);
	return task_set_failure(w->task, PM_ECANCELLED, PM_DOMAIN_NONE, 0,
		"the job was cancelled during a fetch");
}

static int open_engine(struct pm_task *task)
{
	int err = the_engine ? 0
			     : engine_open(&the_engine, worker_base(),
				       worker_concurrency());
	return err ? task_set_failure(task, err, PM_DOMAIN_NONE, 0,
			     "the HTTP engine cannot be opened")
		   : 0;
}

static int start(struct wait *w, const struct pm_request *request)
{
	struct pm_failure failure;
	int err = open_engine(w->task);
	if (err) {
		return err;
	}
	err = engine_start(the_engine, request, on_done, w, &w->transfer, &failure);
	return err ? fail(w->task, &failure) : 0;
}

static bool has_reader(const struct pm_request *request)
{
	return request->on_body || request->on_exchange;
}

/* What a reader has said with pm_fail() is more than that it ended the fetch. */
static bool reader_has_said(const struct wait *w, const struct pm_request *request)
{
	const struct pm_failure *f = &w->result.failure;
	return has_reader(request) && f->domain == PM_DOMAIN_NONE &&
	       f->error == w->task->failure.error;
}

static int await(struct wait *w, const struct pm_request *request)
{
	int err = start(w, request);
	if (err) {
		remember_nothing(w->task, request->url);
		return err;
	}
	if (has_reader(request)) {
		w->task->failure.error = 0;
	}
	if (task_park(w->task, stop_waiting, w)) {
		return fail_cancelled(w, request->url);
	}
	err = w->result.failure.error;
	remember(w->task, w->result.response, !err);
	return !err || reader_has_said(w, request) ? err
						   : fail(w->task, &w->result.failure);
}

/* Not in await(): there it would stand on the stack of every fetch. */
static __attribute__((noinline)) int await_composed(
	struct wait *w, const struct pm_request *request)
{
	struct composed c;
	struct pm_failure failure;
	int err = compose(&c, request, &failure);
	if (err) {
		remember_nothing(w->task, request->url);
		(void)fail(w->task, &failure);
	} else {
		err = await(w, &c.request);
	}
	compose_fini(&c);
	return err;
}

int pm_await_fetch(struct pm_task *task, const struct pm_request *request,
	struct pm_response **response)
{
	struct wait w = {.task = task};
	if (!request || !response) {
		return task_set_failure(task, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"pm_await_fetch() needs a request and a place for the "
			"response");
	}
	forget_last(task);
	int err = compose_wanted(request) ? await_composed(&w, request)
					  : await(&w, request);
	if (!err) {
		*response = w.result.response;
	}
	return err;
}

int pm_await_get(struct pm_task *task, const char *url, struct pm_response **response)
{
	return pm_await_fetch(task, &(struct pm_request){.url = url}, response);
}

void fetch_fini(void)
{
	engine_close(the_engine);
	the_engine = NULL;
	session_fini(); /* its jars go after the handles that use them */
}
