/* SPDX-License-Identifier: MIT
 *
 * job - one line of a job file: a URL or a JSON object.
 *
 * Runs in: the workers, which fetch it; and the master, which renders the
 * result of a job that no worker could finish, and checks a resumed file.
 * Pure: no I/O, no clock.  The only place that parses JSON of jobs.
 */
#ifndef COMMON_CLI_JOB_H
#define COMMON_CLI_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/poolmap.h"

/* What a line may hold, beside its length. */
enum {
	JOB_DEPTH_MAX = 64,     /* levels of arrays and objects */
	JOB_HEADERS_MAX = 1000, /* headers of one request */
	JOB_TIMEOUT_MAX_S = 24 * 3600,
	JOB_RETRIES_MAX = 100,
	JOB_BODY_MAX = 1 << 30,     /* the most that `max_body` may say */
	JOB_CREDENTIAL_MAX = 16384, /* bytes of a user, password or token */
};

/* A parsed job.  Points into the line, into memory of its own and into itself
 * (`error`): the line must outlive it, and it must not be copied. */
struct job {
	const char *url; /* NUL-terminated; NULL: the line names none */
	size_t url_len;
	const char *method; /* NULL: not given */
	struct pm_header *headers;
	size_t header_ct;
	const void *body;
	size_t body_len;
	bool has_body;
	unsigned timeout_ms;         /* 0: not given */
	unsigned connect_timeout_ms; /* 0: not given */
	int retries;                 /* further attempts; -1: not given */
	uint64_t max_body;           /* bytes; UINT64_MAX: not given */
	int follow;                  /* redirects: 1 yes, 0 no, -1: not given */
	const char *user, *password; /* basic auth; NULL: not given.  A password only
					with a user */
	const char *bearer;          /* token; NULL: not given.  Never with a user */
	const char *id_json;         /* `id` as JSON text, ready to echo; NULL: none */
	size_t id_json_len;
	const char *meta_json; /* `meta` as JSON text; NULL: none */
	size_t meta_json_len;

	const char *error; /* why this is a bad job, for people; NULL: it is not */
	char error_text[256];
	void *owned; /* memory of the parser, freed by job_fini() */
};

/* Parse a line, without its LF and CR.  Always fills *job; a line that is no
 * job has job->error set, and url and id as far as they could be read.
 * Returns 0 or PM_ENOMEM. */
int job_parse(struct job *job, const char *line, size_t len);

/* The same for a job's argument, a struct job_head and the line; see outcome.h.
 * Sets *index too.  Returns 0, PM_ENOMEM, or PM_EINTERNAL for an argument that
 * is too short to be one. */
int job_read(struct job *job, uint64_t *index, const void *arg, size_t len);

void job_fini(struct job *job);

#endif
