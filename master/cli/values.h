/* SPDX-License-Identifier: MIT
 *
 * values - the text of an option's value, read strictly.
 *
 * The same text means the same on the command line, in the environment and in
 * the configuration file, in every locale.  Nothing is clamped, trimmed or
 * guessed.
 *
 * Runs in: the master of the command, called by master/cli/options.c.  Pure:
 * no I/O but values_readable_file(), no memory, no globals.  Never prints.
 *
 * All readers return 0 and set *out; or PM_EINVAL, with *out left alone and
 * the reason in *why ("out of range, 1 to 500").
 */
#ifndef MASTER_CLI_VALUES_H
#define MASTER_CLI_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cli/settings.h"

/* Longest method, and longest 'Name: value' of a header. */
enum { VALUES_METHOD_MAX = 32, VALUES_HEADER_MAX = 8192 };

enum { VALUES_DNS_SERVERS_MAX = 16, VALUES_PROXY_MAX = 2048 };

/* Rates, per second. */
enum { VALUES_RATE_MAX = 1000000 };
#define VALUES_RATE_MIN (1.0 / 3600)

struct value_error {
	char text[192];
};

/* Decimal digits, and nothing else. */
int values_number(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why);

/* A number, or "auto", which is 0. */
int values_workers(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why);

/* A number, or "none", which is 0. */
int values_limit(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why);

/* Bytes: digits and then K, M, G (1024 each) or nothing. */
int values_size(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why);

/* Seconds with up to three decimals; limits and *out are milliseconds. */
int values_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why);

/* yes true on 1, no false off 0. */
int values_switch(const char *text, bool *out, struct value_error *why);

/* One of `words`, which stand between '|': *out is its place, from 0. */
int values_choice(
	const char *text, const char *words, unsigned *out, struct value_error *why);

/* N/s, N/m or N/h with up to three decimals, as a number per second; "none",
 * which is 0. */
int values_rate(const char *text, double *out, struct value_error *why);

/* "never", or "soon" or "now" and "fail=N" or "fail=N%". */
struct value_halt {
	enum halt_when when;
	uint64_t fail_ct;    /* 0: by percent */
	double fail_percent; /* 0: by number */
};
int values_halt(const char *text, struct value_halt *out, struct value_error *why);

/* inline, none, dir:DIR or warc:PREFIX; the path points into `text`. */
struct value_body {
	enum body_mode mode;
	const char *path; /* or NULL */
};
int values_body(const char *text, struct value_body *out, struct value_error *why);

/* Statuses and ranges of them, separated by commas: "200..299,304". */
int values_statuses(const char *text, uint64_t min, uint64_t max,
	struct status_set *out, struct value_error *why);

/* Statuses, ranges of them and classes of errors: "429,500..504,timeout"; "none". */
struct value_retry {
	struct status_set statuses;
	uint32_t classes; /* 1u << OUTCOME_x */
};
int values_retry_on(const char *text, uint64_t min, uint64_t max,
	struct value_retry *out, struct value_error *why);

/* Names of letters, digits and _, with commas between them; meta.NAME, headers.NAME. */
int values_fields(const char *text, struct value_error *why);

/* Addresses with commas between them, each with :PORT or not; then IPv6 needs
 * brackets. */
int values_dns_servers(const char *text, struct value_error *why);

/* HOST:PORT:ADDRESS. */
int values_resolve(const char *text, struct value_error *why);

/* The URL of a proxy, or its HOST:PORT.  The reason never quotes it: there may
 * be a password in it. */
int values_proxy(const char *text, struct value_error *why);

/* "example.com", "*.example.com", "*". */
int values_host_pattern(const char *text, struct value_error *why);

/* A method: a token of HTTP.  "auto" is one too: the caller tells. */
int values_method(const char *text, struct value_error *why);

/* Where name and value stand in 'Name: value'; spaces around the value do not
 * belong to it.  The reason never quotes the value, which may be a secret. */
struct header_parts {
	size_t name_len;
	size_t value_at, value_len;
};
int values_header(const char *text, struct header_parts *out, struct value_error *why);

/* Can `path` be read, now, and is it no directory?  Does not block. */
int values_readable_file(const char *path, struct value_error *why);

#endif
