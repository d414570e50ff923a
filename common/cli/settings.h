/* SPDX-License-Identifier: MIT
 *
 * settings - what the options of `poolmap run` say, checked and converted.
 *
 * Filled in the master by master/cli/options.c before the pool is opened, and
 * never written again: workers are forked after that and read their copy of
 * the same struct.  Runs in: the master and the workers of the command.
 */
#ifndef COMMON_CLI_SETTINGS_H
#define COMMON_CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/poolmap.h"

enum body_mode { BODY_INLINE, BODY_NONE };

/* A set of HTTP statuses, one bit each for 0..999. */
struct status_set {
	uint64_t bits[16];
};

static inline bool status_set_has(const struct status_set *s, int status)
{
	return status >= 0 && status < 1000 &&
	       (s->bits[status / 64] >> (status % 64) & 1u);
}

struct settings {
	/* where from, where to */
	const char *const *inputs; /* "-" is standard input; never empty */
	size_t input_ct;
	const char *output; /* "-" is standard output */
	bool resume;
	bool force;

	/* the pool */
	unsigned workers; /* 0: auto */
	unsigned concurrency;
	bool unordered;
	uint64_t window; /* jobs */
	uint64_t window_bytes;

	/* defaults of every request; a job's own values win */
	const char *method; /* NULL: GET, or POST when the job has a body */
	struct pm_header *headers;
	size_t header_ct;
	unsigned timeout_ms;
	unsigned connect_timeout_ms;
	unsigned max_redirects;
	bool no_follow;
	bool insecure;
	const char *ca_file; /* NULL: the system's */

	/* the result */
	enum body_mode body;
	uint64_t max_body;        /* bytes */
	struct status_set accept; /* statuses that are ok */

	bool quiet;
};

/* The settings of this process.  Set once, before the pool is opened. */
extern struct settings settings;

#endif
