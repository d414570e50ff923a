/* SPDX-License-Identifier: MIT
 *
 * job - one line of a job file, see job.h.
 *
 * A line is a URL or an object; what the keys of an object mean is in job_keys.c.
 * jansson parses by recursion, up to 2048 levels, and tasks run on small stacks: so
 * the nesting is counted first and limited.
 */
#include "common/cli/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/job_parts.h"
#include "common/cli/outcome.h"

/* ------------------------------------------------------------------ refusals */

void job_refuse(struct job *job, const char *fmt, ...)
{
	if (job->error) {
		return;
	}
	va_list args;
	va_start(args, fmt);
	vsnprintf(job->error_text, sizeof job->error_text, fmt, args);
	va_end(args);
	job->error = job->error_text;
}

static void refuse_syntax(struct job *job, const json_error_t *why, size_t offset)
{
	size_t at = offset + (size_t)(why->position > 0 ? why->position : 0);
	switch (json_error_code(why)) {
	case json_error_numeric_overflow:
		job_refuse(job,
			"the number that ends at byte %zu is too large: write it as a "
			"string",
			at);
		break;
	case json_error_duplicate_key:
		job_refuse(
			job, "not a JSON object: a key is given twice, byte %zu", at);
		break;
	default:
		job_refuse(job, "not a JSON object: %s, byte %zu", why->text, at);
	}
}

/* ------------------------------------------------------------------- objects */

/* Goes through the parsed members and through the text side by side: jansson
 * keeps the order of the text, and no key is there twice. */
static int read_members(
	struct job *job, struct owned *own, const char *text, size_t len)
{
	struct member m = {.job = job, .own = own};
	struct json_walk walk;
	json_walk_init(&walk, text, len);
	const char *name;
	json_object_foreach(own->root, name, m.value)
	{
		if (!json_walk_next(&walk, &m.span)) {
			return PM_EINTERNAL;
		}
		int err = job_key_read(&m, name);
		if (err) {
			return err;
		}
	}
	job_keys_check(job);
	/* Its text is kept, and its values may take a hundred times that. */
	json_object_del(own->root, "meta");
	return 0;
}

/* Integers of more than 64 bits can only be in what is echoed, and that is done from
 * the text: as what they are read does not matter. */
static int load_object(json_t **root, const char *text, size_t len, json_error_t *why)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
	int err = json_load(root, text, len, flags, why);
	if (err == PM_EINVAL && json_error_code(why) == json_error_numeric_overflow) {
		err = json_load(root, text, len, flags | JSON_DECODE_INT_AS_REAL, why);
	}
	return err;
}

/* `text` starts with `{`; it stands `offset` bytes into its line. */
static int parse_object(struct job *job, const char *text, size_t len, size_t offset)
{
	if (json_text_deeper_than(text, len, JOB_DEPTH_MAX)) {
		job_refuse(job, "nested deeper than %d levels", JOB_DEPTH_MAX);
		return 0;
	}
	struct owned *own = calloc(1, sizeof *own);
	if (!own) {
		return PM_ENOMEM;
	}
	job->owned = own;
	json_error_t why;
	int err = load_object(&own->root, text, len, &why);
	if (err == PM_EINVAL) {
		refuse_syntax(job, &why, offset);
		return 0;
	}
	return err ? err : read_members(job, own, text, len);
}

/* ---------------------------------------------------------------------- lines */

static int parse_url(struct job *job, const char *text, size_t len)
{
	struct owned *own = malloc(sizeof *own + len + 1);
	if (!own) {
		return PM_ENOMEM;
	}
	*own = (struct owned){0};
	memcpy(own->url, text, len);
	own->url[len] = '\0';
	job->owned = own;
	job->url = own->url;
	job->url_len = len;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Nothing is given yet. */
static void clear(struct job *job)
{
	memset(job, 0, sizeof *job);
	job->retries = -1;
	job->max_body = UINT64_MAX;
	job->follow = -1;
}

int job_parse(struct job *job, const char *line, size_t len)
{
	clear(job);
	if (len && memchr(line, '\0', len)) {
		job_refuse(job, "contains a NUL byte");
		return 0;
	}
	size_t start = 0;
	while (start < len && is_blank(line[start])) {
		start++;
	}
	while (len > start && is_blank(line[len - 1])) {
		len--;
	}
	if (start < len && line[start] == '{') {
		return parse_object(job, line + start, len - start, start);
	}
	return parse_url(job, line + start, len - start);
}

int job_read(struct job *job, uint64_t *index, const void *arg, size_t len)
{
	clear(job);
	struct job_head head;
	if (len < sizeof head) {
		return PM_EINTERNAL;
	}
	memcpy(&head, arg, sizeof head);
	*index = head.index;
	const char *line = (const char *)arg + sizeof head;
	len -= sizeof head;
	if (!head.bad) {
		return job_parse(job, line, len);
	}
	if (len) {
		size_t most = sizeof job->error_text - 1;
		job_refuse(job, "%.*s", (int)(len < most ? len : most), line);
	} else {
		job_refuse(job, "line is longer than 1 MiB");
	}
	return 0;
}

void job_fini(struct job *job)
{
	struct owned *own = job->owned;
	if (!own) {
		return;
	}
	json_decref(own->root);
	free(own->headers);
	free(own->body);
	free(own->meta);
	free(own);
	job->owned = NULL;
}
