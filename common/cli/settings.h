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

/* The words of an option stand in this order in its row of the options table. */
enum body_mode { BODY_INLINE, BODY_NONE, BODY_DIR, BODY_WARC };
enum output_format { FORMAT_JSONL, FORMAT_CSV };
enum sync_mode { SYNC_NONE, SYNC_INTERVAL, SYNC_ALWAYS };
enum progress_mode {
	PROGRESS_AUTO,
	PROGRESS_BAR,
	PROGRESS_LOG,
	PROGRESS_JSON,
	PROGRESS_NONE,
};
enum halt_when { HALT_NEVER, HALT_SOON, HALT_NOW };

/* A set of HTTP statuses, one bit each for 0..999. */
struct status_set {
	uint64_t bits[16];
};

static inline bool status_set_has(const struct status_set *s, int status)
{
	return status >= 0 && status < 1000 &&
	       (s->bits[status / 64] >> (status % 64) & 1u);
}

/* What a `host` section of the configuration file says of the hosts that match
 * its pattern; the first that matches counts. */
struct host_rule {
	const char *pattern; /* lower case: "*", "*.example.com", "example.com" */
	unsigned per_host;   /* 0: not said there */
	double host_rate;    /* per second; 0: not said there */
};

struct settings {
	/* where from */
	const char *const *inputs; /* "-" is standard input; never empty */
	size_t input_ct;
	bool csv, tsv;            /* at most one of them */
	const char *url_column;   /* the name of a column, or its number from 1 */
	uint64_t total;           /* jobs, for the progress alone; 0: not known */
	const char *retry_failed; /* NULL: not asked for */

	/* where to */
	const char *output; /* "-" is standard output */
	bool resume;
	bool force;
	enum output_format format;
	const char *fields; /* names with commas between them; NULL: the usual */
	const char *failed; /* file name; NULL: none, as in stats */
	const char *stats;
	enum sync_mode sync;

	/* the pool */
	unsigned workers; /* 0: auto */
	unsigned concurrency;
	bool unordered;
	uint64_t window; /* jobs */
	uint64_t window_bytes;
	unsigned max_jobs_per_worker; /* 0: any number */
	uint64_t worker_memory;       /* bytes; 0: any */
	bool no_sandbox;
	enum pm_schedule scheduler;

	/* limits across all workers */
	unsigned per_host; /* 0: none */
	double rate;       /* per second; 0: none */
	double host_rate;
	bool polite;
	struct host_rule *host_rules;
	size_t host_rule_ct;

	/* further attempts */
	unsigned retries;
	struct status_set retry_statuses;
	uint32_t retry_classes; /* 1u << OUTCOME_x */
	bool retry_unsafe;      /* methods that are not idempotent, too */

	/* when to stop early */
	enum halt_when halt;      /* fail_fast is in it already */
	uint64_t halt_fail_ct;    /* 0: see halt_fail_percent */
	double halt_fail_percent; /* above 0, at most 100; 0: see halt_fail_ct */
	bool fail_fast;
	unsigned max_time_ms; /* of the whole run; 0: any */

	/* defaults of every request; a job's own values win */
	const char *method; /* NULL: GET, or POST when the job has a body */
	struct pm_header *headers;
	size_t header_ct;
	const char *data; /* the body; NULL: none */
	size_t data_len;
	unsigned timeout_ms;
	unsigned connect_timeout_ms;
	unsigned stall_timeout_ms; /* 0: none */
	unsigned max_redirects;
	bool no_follow;
	bool insecure;
	const char *ca_file; /* NULL: the system's */
	const char *cert;    /* of the client, PEM; NULL: none */
	const char *key;     /* NULL: in the same file */
	bool http2;
	bool compressed;
	bool deny_private;
	const char *proxy;          /* NULL: none; "env": those of the environment */
	const char *const *resolve; /* HOST:PORT:ADDR each */
	size_t resolve_ct;
	const char *dns_servers; /* ADDR[:PORT] with commas; NULL: the system's */

	/* the result */
	enum body_mode body;
	const char *body_path; /* of BODY_DIR and BODY_WARC, else NULL */
	bool response_headers;
	uint64_t max_body;        /* bytes */
	struct status_set accept; /* statuses that are ok */

	enum progress_mode progress;
	bool quiet;
};

/* The settings of this process.  Set once, before the pool is opened. */
extern struct settings settings;

#endif
