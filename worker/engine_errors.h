/* SPDX-License-Identifier: MIT
 *
 * engine_errors - from what libcurl says to an error class of ours.
 *
 * Runs in: the worker.  Called by the engine's files.  Plain data in, plain
 * data out: no handle, no loop.
 */
#ifndef WORKER_ENGINE_ERRORS_H
#define WORKER_ENGINE_ERRORS_H

#include "common/poolmap.h"

/* What is known of a transfer that failed. */
struct engine_evidence {
	int code;            /* CURLcode */
	const char *message; /* the handle's error buffer; may be empty */
	int stopped; /* pm_error for which a callback of ours stopped it, or 0 */
	const char *stop_reason; /* and why, or NULL; what is wrong with the response */
	bool stopped_by_reader;  /* that callback was the request's on_body */
	int socket_errno;        /* why no socket could be made, or 0 */
	int status;              /* of the last response, or 0 */
	bool answered;           /* at least one byte of an answer came */
	bool has_head;           /* and a whole line, since the last request */
};

/* The failure for it.  Its message is never empty. */
void engine_classify(
	const struct engine_evidence *evidence, struct pm_failure *failure);

/* Fill a failure; returns `error`, for `return engine_failure(...)`. */
int engine_failure(struct pm_failure *failure, int error, int domain, int code,
	const char *fmt, ...) PM_PRINTF(5, 6);

#endif
