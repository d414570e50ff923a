/* SPDX-License-Identifier: MIT
 *
 * outcome - what master and workers of the command tell each other inside a
 * job's argument and a job's result.
 *
 * An argument is a struct job_head and the line of the job file, without its
 * line end.  A result is a struct outcome and the finished result line, with
 * its LF.  Both ends are the same program on the same machine, so the structs
 * travel as they are.  Runs in: the master and the workers of the command.
 */
#ifndef COMMON_CLI_OUTCOME_H
#define COMMON_CLI_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/poolmap.h"

/* Longest line of a job file; a longer one is a bad job and is not carried. */
enum { JOB_LINE_MAX = 1 << 20 };

struct job_head {
	uint64_t index; /* 0, 1, 2 ... in the whole list */
	uint32_t bad;   /* 1: it is no job; in place of the line stands why, or
			   nothing: it was over JOB_LINE_MAX */
	uint32_t unused;
};

/* The classes of `error` in a result line.  The order is the order of the
 * summary.  Names are the contract of the command line. */
#define OUTCOME_CLASSES(X)                                                             \
	X(OK, "ok")                                                                    \
	X(BAD_JOB, "bad_job")                                                          \
	X(BAD_URL, "bad_url")                                                          \
	X(SCHEME, "scheme")                                                            \
	X(DNS, "dns")                                                                  \
	X(CONNECT, "connect")                                                          \
	X(TLS, "tls")                                                                  \
	X(TIMEOUT, "timeout")                                                          \
	X(STALLED, "stalled")                                                          \
	X(RESET, "reset")                                                              \
	X(TRUNCATED, "truncated")                                                      \
	X(BAD_RESPONSE, "bad_response")                                                \
	X(HTTP_STATUS, "http_status")                                                  \
	X(RATE_LIMITED, "rate_limited")                                                \
	X(TOO_MANY_REDIRECTS, "too_many_redirects")                                    \
	X(BODY_TOO_LARGE, "body_too_large")                                            \
	X(HEADERS_TOO_LARGE, "headers_too_large")                                      \
	X(DENIED_ADDRESS, "denied_address")                                            \
	X(ROBOTS, "robots")                                                            \
	X(WORKER_LOST, "worker_lost")                                                  \
	X(CANCELLED, "cancelled")                                                      \
	X(INTERNAL, "internal")

enum outcome_class {
#define X(id, name) OUTCOME_##id,
	OUTCOME_CLASSES(X)
#undef X
		OUTCOME_CLASS_CT
};

struct outcome {
	uint32_t class;         /* enum outcome_class; OUTCOME_OK: the job is ok */
	uint32_t http_code;     /* 0: no response */
	uint64_t time_total_us; /* of the last attempt; 0 when nothing was sent */
	uint64_t size_download; /* body bytes */

	/* what the master decides about another attempt by */
	uint32_t retry_after_ms; /* that the server asked to wait; 0: it did not */
	uint16_t retries;        /* further attempts that this job may have */
	bool idempotent;         /* its method may be sent twice */
	bool final;              /* it would end the same way again */
};

/* The number that a fetch task fails with, in the domain PM_DOMAIN_TASK, when it
 * has no result because of this machine: the run cannot go on. */
enum fetch_fail {
	FETCH_FAIL_DISK = 1, /* a body cannot be written; the message says why */
};

/* "timeout"; "internal" for a number that is none. */
const char *outcome_class_name(unsigned class);

/* The class that a pm_error belongs to; OUTCOME_INTERNAL for one that is none
 * of a fetch's or a job's ends. */
enum outcome_class outcome_class_of(int error);

/* The same for a result that no fetch task has made.  One that was refused before it
 * began is PM_EFAILED without a number: robots.txt forbids it. */
enum outcome_class outcome_class_of_result(const struct pm_result *result);

#endif
