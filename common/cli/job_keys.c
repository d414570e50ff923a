/* SPDX-License-Identifier: MIT
 *
 * job_keys - what each key of a job may hold.
 *
 * Values that are none are refused by the name of their key, and with what it wants.
 * `id` and `meta` are echoed from the text of the line and not from the parsed
 * values, which would turn 0.10 into 0.10000000000000001.
 * Runs where job.c does, which calls it for each member of an object.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cli/base64.h"
#include "common/cli/job_parts.h"
#include "common/cli/slip.h"

/* ------------------------------------------------------------- small values */

static bool has_nul(const json_t *string)
{
	return memchr(json_string_value(string), '\0', json_string_length(string));
}

/* The text of a string that will be a C string; NULL, and refused, if it is
 * none. */
static const char *c_string(const struct member *m, const char *key)
{
	if (!json_is_string(m->value)) {
		job_refuse(m->job, "\"%s\" must be a string", key);
		return NULL;
	}
	if (has_nul(m->value)) {
		job_refuse(m->job, "\"%s\" contains a NUL byte", key);
		return NULL;
	}
	return json_string_value(m->value);
}

static int read_url(const struct member *m)
{
	const char *url = c_string(m, "url");
	if (url) {
		m->job->url = url;
		m->job->url_len = json_string_length(m->value);
	}
	return 0;
}

static int read_method(const struct member *m)
{
	m->job->method = c_string(m, "method");
	return 0;
}

static int read_id(const struct member *m)
{
	if (!json_is_string(m->value) && !json_is_number(m->value)) {
		job_refuse(m->job, "\"id\" must be a string or a number");
		return 0;
	}
	m->job->id_json = m->span.text;
	m->job->id_json_len = m->span.len;
	return 0;
}

static int read_meta(const struct member *m)
{
	m->own->meta = malloc(m->span.len + 1);
	if (!m->own->meta) {
		return PM_ENOMEM;
	}
	m->job->meta_json = m->own->meta;
	m->job->meta_json_len = json_text_compact(m->own->meta, &m->span);
	return 0;
}

/* Seconds, whole or not, in milliseconds; 0, and refused, if it is none. */
static unsigned seconds(const struct member *m, const char *key)
{
	double s = json_number_value(m->value);
	if (!json_is_number(m->value) || !(s > 0) || s > JOB_TIMEOUT_MAX_S) {
		job_refuse(m->job,
			"\"%s\" must be a number of seconds, above 0 and at most %d",
			key, (int)JOB_TIMEOUT_MAX_S);
		return 0;
	}
	unsigned ms = (unsigned)(s * 1000 + 0.5);
	return ms ? ms : 1;
}

static int read_timeout(const struct member *m)
{
	m->job->timeout_ms = seconds(m, "timeout");
	return 0;
}

static int read_connect_timeout(const struct member *m)
{
	m->job->connect_timeout_ms = seconds(m, "connect_timeout");
	return 0;
}

/* A whole number from 0 to `max`; -1, and refused, if it is none. */
static long whole(const struct member *m, const char *key, long max)
{
	double n = json_number_value(m->value); /* 2.0 is as whole as 2 */
	if (!json_is_number(m->value) || !(n >= 0 && n <= (double)max) ||
		n != (double)(long)n) {
		job_refuse(m->job, "\"%s\" must be a whole number from 0 to %ld", key,
			max);
		return -1;
	}
	return (long)n;
}

static int read_retries(const struct member *m)
{
	m->job->retries = (int)whole(m, "retries", JOB_RETRIES_MAX);
	return 0;
}

static int read_max_body(const struct member *m)
{
	long bytes = whole(m, "max_body", JOB_BODY_MAX);
	m->job->max_body = bytes < 0 ? UINT64_MAX : (uint64_t)bytes;
	return 0;
}

static int read_follow(const struct member *m)
{
	if (!json_is_boolean(m->value)) {
		job_refuse(m->job, "\"follow\" must be true or false");
		return 0;
	}
	m->job->follow = json_is_true(m->value);
	return 0;
}

/* -------------------------------------------------------------- credentials */

/* What becomes part of a header.  No message repeats any of it. */
static const char *credential(const struct member *m, const char *key)
{
	const char *text = c_string(m, key);
	if (!text) {
		return NULL;
	}
	if (json_string_length(m->value) > JOB_CREDENTIAL_MAX) {
		job_refuse(m->job, "\"%s\" is longer than %d bytes", key,
			JOB_CREDENTIAL_MAX);
		return NULL;
	}
	for (const char *at = text; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f) {
			job_refuse(m->job, "\"%s\" contains a control character", key);
			return NULL;
		}
	}
	return text;
}

static int read_user(const struct member *m)
{
	const char *user = credential(m, "user");
	if (user && strchr(user, ':')) {
		job_refuse(m->job,
			"\"user\" contains a colon, which basic auth takes for "
			"its end");
	} else {
		m->job->user = user;
	}
	return 0;
}

static int read_password(const struct member *m)
{
	m->job->password = credential(m, "password");
	return 0;
}

/* RFC 6750, 2.1: letters, digits and a few signs.  Taken as far as it cannot end
 * the header or begin a second word. */
static int read_bearer(const struct member *m)
{
	const char *token = credential(m, "bearer");
	bool good = token && *token;
	for (const char *at = token; good && *at; at++) {
		good = *at > ' ' && (unsigned char)*at < 0x7f;
	}
	if (good) {
		m->job->bearer = token;
	} else {
		job_refuse(m->job, "\"bearer\" must be one word of ASCII characters");
	}
	return 0;
}

/* ------------------------------------------------------------------ headers */

/* How many headers a value of `headers` stands for; -1: it is no such value. */
static long header_value_ct(const json_t *value)
{
	if (json_is_string(value)) {
		return 1;
	}
	if (!json_is_array(value)) {
		return -1;
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!json_is_string(json_array_get(value, i))) {
			return -1;
		}
	}
	return (long)json_array_size(value);
}

/* Total of all values; 0 also when refused. */
static size_t header_total(const struct member *m)
{
	size_t ct = 0;
	const char *name;
	json_t *value;
	json_object_foreach(m->value, name, value)
	{
		long more = header_value_ct(value);
		if (more < 0) {
			job_refuse(m->job,
				"header \"%.40s\" must be a string or an array of "
				"strings",
				name);
			return 0;
		}
		ct += (size_t)more;
	}
	if (ct > JOB_HEADERS_MAX) {
		job_refuse(m->job, "\"headers\" has more than %d headers",
			JOB_HEADERS_MAX);
		return 0;
	}
	return ct;
}

static void add_header(
	struct job *job, struct pm_header *to, const char *name, const json_t *value)
{
	if (has_nul(value)) {
		job_refuse(job, "header \"%.40s\" contains a NUL byte", name);
	}
	to[job->header_ct].name = name;
	to[job->header_ct++].value = json_string_value(value);
}

static int read_headers(const struct member *m)
{
	if (!json_is_object(m->value)) {
		job_refuse(m->job, "\"headers\" must be an object");
		return 0;
	}
	size_t ct = header_total(m);
	if (ct == 0) {
		return 0;
	}
	struct pm_header *headers = calloc(ct, sizeof *headers);
	if (!headers) {
		return PM_ENOMEM;
	}
	m->job->headers = m->own->headers = headers;
	const char *name;
	json_t *value;
	json_object_foreach(m->value, name, value)
	{
		if (json_is_string(value)) {
			add_header(m->job, headers, name, value);
		}
		for (size_t i = 0; i < json_array_size(value); i++) {
			add_header(m->job, headers, name, json_array_get(value, i));
		}
	}
	return 0;
}

/* --------------------------------------------------------------------- body */

static void set_body(struct job *job, const void *bytes, size_t len)
{
	if (job->has_body) {
		job_refuse(job, "\"body\" and \"body_base64\" exclude each other");
	}
	job->has_body = true;
	job->body = bytes;
	job->body_len = len;
}

static int read_body(const struct member *m)
{
	if (!json_is_string(m->value)) {
		job_refuse(m->job, "\"body\" must be a string");
		return 0;
	}
	set_body(m->job, json_string_value(m->value), json_string_length(m->value));
	return 0;
}

static int read_body_base64(const struct member *m)
{
	if (!json_is_string(m->value)) {
		job_refuse(m->job, "\"body_base64\" must be a string");
		return 0;
	}
	size_t len = json_string_length(m->value);
	/* job_fini() frees it. */
	m->own->body = malloc(len / 4 * 3 + 1); /* NOLINT(gcc-malloc-leak) */
	if (!m->own->body) {
		return PM_ENOMEM;
	}
	if (base64_decode(m->own->body, &len, json_string_value(m->value), len)) {
		job_refuse(m->job,
			"\"body_base64\" is not base64: it must be padded and "
			"without line breaks");
		return 0;
	}
	set_body(m->job, m->own->body, len);
	return 0;
}

/* --------------------------------------------------------------------- keys */

static const struct key {
	const char *name;
	int (*read)(const struct member *m); /* 0 or PM_ENOMEM */
} keys[] = {
	{"url", read_url},
	{"id", read_id},
	{"method", read_method},
	{"headers", read_headers},
	{"body", read_body},
	{"body_base64", read_body_base64},
	{"timeout", read_timeout},
	{"connect_timeout", read_connect_timeout},
	{"retries", read_retries},
	{"max_body", read_max_body},
	{"follow", read_follow},
	{"user", read_user},
	{"password", read_password},
	{"bearer", read_bearer},
	{"meta", read_meta},
};
enum { KEY_CT = sizeof keys / sizeof keys[0] };

/* The key that was probably meant; NULL: none looks like it. */
static const char *nearest_key(const char *name)
{
	const char *nearest = NULL;
	unsigned best = SLIP_FAR;
	for (size_t i = 0; i < KEY_CT; i++) {
		unsigned slips = slip_ct(name, keys[i].name);
		if (slips < best) {
			best = slips;
			nearest = keys[i].name;
		}
	}
	return nearest;
}

static void refuse_key(struct job *job, const char *name)
{
	const char *meant = nearest_key(name);
	if (meant) {
		job_refuse(
			job, "unknown key \"%s\": did you mean \"%s\"?", name, meant);
	} else {
		job_refuse(job,
			"unknown key \"%.40s\": there are url, id, method, headers, "
			"body, body_base64, timeout, connect_timeout, retries, "
			"max_body, follow, user, password, bearer and meta",
			name);
	}
}

int job_key_read(const struct member *m, const char *name)
{
	for (size_t i = 0; i < KEY_CT; i++) {
		if (strcmp(keys[i].name, name) == 0) {
			return keys[i].read(m);
		}
	}
	refuse_key(m->job, name);
	return 0;
}

void job_keys_check(struct job *job)
{
	if (!job->url) {
		job_refuse(job, "\"url\" is missing");
	}
	if (job->password && !job->user) {
		job_refuse(job, "\"password\" is given without \"user\"");
	}
	if (job->bearer && job->user) {
		job_refuse(job, "\"user\" and \"bearer\" exclude each other");
	}
}
