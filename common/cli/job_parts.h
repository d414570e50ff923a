/* SPDX-License-Identifier: MIT
 *
 * job_parts - what the files of the job parser share.  Private to them.
 *
 *	job.c       a line: a URL, or an object, whose members it goes through
 *	job_keys.c  what each key may hold
 */
#ifndef COMMON_CLI_JOB_PARTS_H
#define COMMON_CLI_JOB_PARTS_H

#include "common/cli/job.h"
#include "common/cli/json_load.h"
#include "common/cli/json_text.h"

/* Memory behind a job. */
struct owned {
	json_t *root;
	struct pm_header *headers;
	void *body; /* decoded from base64 */
	char *meta;
	char url[]; /* of a line that is a URL */
};

/* A member being read. */
struct member {
	struct job *job;
	struct owned *own;
	json_t *value;
	struct json_span span; /* the value's text in the line */
};

/* Say why a job is bad; the first reason stands. */
void job_refuse(struct job *job, const char *fmt, ...) PM_PRINTF(2, 3);

/* Read the value of this key, or refuse it.  Returns 0 or PM_ENOMEM. */
int job_key_read(const struct member *m, const char *name);

/* When all members were read: is one missing, do two exclude each other? */
void job_keys_check(struct job *job);

#endif
