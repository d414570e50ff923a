/* SPDX-License-Identifier: MIT
 *
 * line - renders one result line of `poolmap run`: a JSON object and a LF.
 *
 * Runs in: the workers, and the master for jobs that no worker could finish.
 * Pure.  Written by hand because it is on the hot path of every job; parsing
 * stays with jansson.  The output is always valid UTF-8 and always valid JSON.
 *
 * Every line starts with the same prefix, made of the job alone:
 *     {"index":7,"id":"a","url":"http://x/"
 * (id and url only where the job has them) and goes on with ,"ok": - a resumed
 * run renders the prefix again from the job file and compares.
 */
#ifndef COMMON_CLI_LINE_H
#define COMMON_CLI_LINE_H

#include <stdint.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/poolmap.h"

/* What a line tells beside the job. */
struct line_facts {
	uint64_t index;
	enum outcome_class class;
	const char *errormsg;               /* NULL: none */
	int curl_code;                      /* `exitcode`; 0: left out */
	const char *method;                 /* as sent; NULL: left out */
	const struct pm_response *response; /* NULL: none was begun */
	uint64_t time_queue_us;             /* UINT64_MAX: not known, left out */
	unsigned attempts;
	int worker;   /* slot; -1: left out */
	bool headers; /* `headers` of the response */

	/* where the body is */
	enum body_mode body;     /* BODY_INLINE: in the line */
	const char *body_file;   /* NULL: in no file */
	const char *body_sha256; /* in hex; NULL: left out */
	uint64_t body_offset;    /* of its record in body_file, and how long that
				    is; with body_length 0 left out */
	uint64_t body_length;
};

/* Append the prefix; append the whole line.  Return 0 or PM_ENOMEM. */
int line_prefix(struct buf *out, uint64_t index, const struct job *job);
int line_render(struct buf *out, const struct job *job, const struct line_facts *facts);

/* Append `text` as a JSON string with its quotes.  Bytes that are not UTF-8
 * become U+FFFD.  Returns 0 or PM_ENOMEM. */
int line_string(struct buf *out, const char *text, size_t len);

#endif
