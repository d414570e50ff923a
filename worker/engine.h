/* SPDX-License-Identifier: MIT
 *
 * engine - the HTTP engine of a worker: one small interface, so that another
 * engine can stand in for libcurl.
 *
 * Runs in: the worker, on its event base.  Called by fetch.c only.  Knows
 * nothing of tasks: it takes a request and calls back once.
 */
#ifndef WORKER_ENGINE_H
#define WORKER_ENGINE_H

#include "common/poolmap.h"

struct event_base;
struct engine;
struct transfer;
struct engine_jar;

/* How a transfer ended. */
struct engine_result {
	struct pm_failure failure;    /* failure.error 0: a whole response arrived */
	struct pm_response *response; /* never NULL; the callee owns it.  On failure
					 as far as it got, without a body */
};

/* Called once per transfer, from the loop, never from engine_start(). */
typedef void engine_done_fn(void *ctx, struct engine_result *result);

/* Open on a base, for at most `concurrency` transfers at once.  Returns 0 or a
 * negative pm_error. */
int engine_open(struct engine **out, struct event_base *base, unsigned concurrency);

/* Close; transfers under way are dropped without their callback. */
void engine_close(struct engine *e);

/* Start a transfer.  The request may be freed on return; *transfer is for
 * engine_cancel().  Params, json and form are in its URL and body by now, and of
 * its session only the cookies are still to be added, see compose.h.  Errors, at once
 * and without a callback: PM_EINVAL, PM_EBADURL, PM_ESCHEME, PM_ENOMEM; *failure says
 * why. */
int engine_start(struct engine *e, const struct pm_request *request,
	engine_done_fn *done, void *ctx, struct transfer **transfer,
	struct pm_failure *failure);

/* Stop a transfer whose callback has not come; neither that nor on_body will
 * come any more.  Also inside an on_body. */
void engine_cancel(struct transfer *t);

/* A store of cookies, in memory, for the transfers of one session.  It may be made
 * before the engine is open, and must be freed after the last transfer that uses it.
 * NULL: no memory. */
struct engine_jar *engine_jar_new(void);
void engine_jar_free(struct engine_jar *jar); /* NULL is fine */

#endif
