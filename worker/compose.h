/* SPDX-License-Identifier: MIT
 *
 * compose - a request in full: what a task asks for, with params in the URL,
 * json or form as the body, and what its session adds.
 *
 * Runs in: the worker, at the start of a fetch.  Called by fetch.c.  Plain data
 * in, plain data out, so that an engine only has to know URLs, headers and
 * bytes.
 */
#ifndef WORKER_COMPOSE_H
#define WORKER_COMPOSE_H

#include "common/buf.h"
#include "common/poolmap.h"

/* The request may point into the rest, into the caller's request, and into the
 * session. */
struct composed {
	struct pm_request request;
	struct buf url;
	struct buf body;
	struct pm_header *headers;
};

/* Is there anything to do?  Most requests go to the engine as they are. */
static inline bool compose_wanted(const struct pm_request *r)
{
	return r->session || r->json || r->form || r->params || r->param_ct ||
	       r->form_ct;
}

/* PM_EINVAL, PM_EBADURL (too long) or PM_ENOMEM, and *failure says why.  In any
 * case to be followed by compose_fini(). */
int compose(struct composed *c, const struct pm_request *request,
	struct pm_failure *failure) PM_MUSTCHECK;
void compose_fini(struct composed *c);

#endif
