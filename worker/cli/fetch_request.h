/* SPDX-License-Identifier: MIT
 *
 * fetch_request - the request of a job: what the job says, and for the rest what the
 * options say.
 *
 * Runs in: the workers of the command; called by fetch_task.c.  Pure.
 */
#ifndef WORKER_CLI_FETCH_REQUEST_H
#define WORKER_CLI_FETCH_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/poolmap.h"

/* Points into the job and the settings. */
struct fetch_request {
	struct pm_request pm;
	struct pm_header *headers; /* of its own */
	struct buf bearer;         /* value of a header */
};

/* Fill in everything but where the body goes.  Returns 0 or PM_ENOMEM; fini in both
 * cases. */
int fetch_request_build(struct fetch_request *r, const struct job *job);
void fetch_request_fini(struct fetch_request *r);

/* How often the job may be tried again; may its request be sent twice? */
uint16_t fetch_request_retries(const struct job *job);
bool fetch_request_idempotent(const struct job *job);

#endif
