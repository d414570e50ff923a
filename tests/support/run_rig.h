/* SPDX-License-Identifier: MIT
 *
 * run_rig - what the tests of `poolmap run` share: command lines, job lists,
 * runs that have ended, fields of results, results files that grow.
 *
 * Runs in: the test process; the command is always a program of its own.
 * Included by the tests that start it, once each.
 */
#ifndef TESTS_SUPPORT_RUN_RIG_H
#define TESTS_SUPPORT_RUN_RIG_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/support/harness.h"

/* A test that measures memory or time leaves the sanitizers out. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { RIG_SANITIZED = 1 };
#else
enum { RIG_SANITIZED = 0 };
#endif

/* ----------------------------------------------------------- command lines */

/* Argument lists, for child_start() and those below.  RUN reads no file of the
 * machine's, so that what a user or a system has there changes no test. */
#define POOLMAP(...) ((const char *const[]){program("poolmap"), __VA_ARGS__, NULL})
#define RUN(...) POOLMAP("run", "--no-config", __VA_ARGS__)

/* The same behind a line of shell, which ends with: exec "$@".  For what
 * posix_spawn cannot say: closed descriptors, limits, other targets. */
#define RUN_IN_SHELL(script, ...)                                                      \
	((const char *const[]){"/bin/sh", "-c", script, "sh", program("poolmap"),      \
		"run", "--no-config", __VA_ARGS__, NULL})

/* --------------------------------------------------------------- job lists */

/* Append text to a job list. */
__attribute__((format(printf, 2, 3))) static inline void jobs_add(
	struct bytes *jobs, const char *fmt, ...)
{
	char *text;
	va_list args;
	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	cr_assert_geq(len, 0, "no memory for a job");
	bytes_add(jobs, text, (size_t)len);
	free(text);
}

/* `ct` lines of a URL and a number: http://127.0.0.1:PORT/once/0 ... */
static inline void jobs_add_urls(
	struct bytes *jobs, const struct origin *origin, const char *path, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		jobs_add(jobs, "http://127.0.0.1:%u%s%zu\n", origin_port(origin), path,
			i);
	}
}

/* As a file in a fresh directory; the list is empty after it. */
static inline const char *jobs_file(struct bytes *jobs)
{
	const char *path = temp_file("jobs.txt", jobs->data, jobs->len);
	bytes_fini(jobs);
	return path;
}

/* A name that is not there yet, in a fresh directory. */
static inline const char *new_path(const char *name)
{
	return keep_printf("%s/%s", temp_dir(), name);
}

/* -------------------------------------------------------------------- runs */

/* A run that has ended, and the results that it wrote to standard output. */
struct ran {
	struct run_result io;
	json_t *results;
	size_t ct;
};

/* Run to the end.  `input` NULL: standard input is /dev/null. */
static inline struct ran run_to_end(const char *input, const char *const argv[])
{
	struct ran r = {{0}, NULL, 0};
	run_argv(&r.io, input, input ? strlen(input) : 0, argv);
	r.results = results_load(r.io.out, r.io.out_len, &r.ct);
	return r;
}

static inline void ran_fini(struct ran *r)
{
	run_result_fini(&r->io);
	json_decref(r->results);
}

/* The results in a file. */
static inline json_t *results_of_file(const char *path, size_t *ct)
{
	size_t len;
	char *text = read_file(path, &len);
	json_t *results = results_load(text, len, ct);
	free(text);
	return results;
}

static inline void check_status(const struct ran *r, int expected)
{
	cr_assert_eq(r->io.status, expected, "exit code %d, not %d; it said: %s",
		r->io.status, expected, r->io.err);
}

static inline void check_says(const char *text, const char *words)
{
	cr_assert(strstr(text, words), "\"%s\" is not in: %s", words, text);
}

/* ----------------------------------------------------------------- results */

static inline const json_t *field(const json_t *result, const char *key)
{
	const json_t *value = json_object_get(result, key);
	cr_assert(value, "a result has no \"%s\"", key);
	return value;
}

static inline bool has_field(const json_t *result, const char *key)
{
	return json_object_get(result, key) != NULL;
}

static inline const char *text_in(const json_t *result, const char *key)
{
	const json_t *value = field(result, key);
	cr_assert(json_is_string(value), "\"%s\" is no string", key);
	return json_string_value(value);
}

static inline json_int_t int_in(const json_t *result, const char *key)
{
	const json_t *value = field(result, key);
	cr_assert(json_is_integer(value), "\"%s\" is no integer", key);
	return json_integer_value(value);
}

static inline double seconds_in(const json_t *result, const char *key)
{
	const json_t *value = field(result, key);
	cr_assert(json_is_real(value), "\"%s\" is no decimal number", key);
	return json_real_value(value);
}

static inline bool is_ok(const json_t *result)
{
	const json_t *ok = field(result, "ok");
	cr_assert(json_is_boolean(ok), "\"ok\" is neither true nor false");
	return json_is_true(ok);
}

/* The result of job `i` of an ordered run. */
static inline const json_t *result_at(const struct ran *r, size_t i)
{
	const json_t *result = json_array_get(r->results, i);
	cr_assert(result, "no result number %zu of %zu; it said: %s", i, r->ct,
		r->io.err);
	return result;
}

/* The error class of job `i`, or "ok". */
static inline const char *class_at(const struct ran *r, size_t i)
{
	const json_t *result = result_at(r, i);
	return is_ok(result) ? "ok" : text_in(result, "error");
}

static inline void check_class(const struct ran *r, size_t i, const char *expected)
{
	const char *class = class_at(r, i);
	cr_assert_str_eq(class, expected, "job %zu, %s: %s, not %s", i,
		has_field(result_at(r, i), "url") ? text_in(result_at(r, i), "url")
						  : "no URL",
		class, expected);
}

/* What /echo says of the request of job `i`; the caller owns it. */
static inline json_t *echo_at(const struct ran *r, size_t i)
{
	json_error_t why;
	json_t *echo =
		json_loads(text_in(result_at(r, i), "body"), JSON_ALLOW_NUL, &why);
	cr_assert(echo, "job %zu: the body is no echo: %s", i, why.text);
	return echo;
}

/* A header that arrived; NULL: it did not. */
static inline const char *header_in(const json_t *echo, const char *name)
{
	return json_string_value(json_object_get(field(echo, "headers"), name));
}

/* -------------------------------------------------------- files that grow */

static inline size_t file_size(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

struct awaited_line {
	const char *path;
	size_t index;
};

/* Is the last whole line that of job `index`? */
static inline bool ends_with_index(void *ctx)
{
	const struct awaited_line *a = ctx;
	char tail[8192 + 1], wanted[64];
	size_t size = file_size(a->path);
	size_t from = size > sizeof(tail) - 1 ? size - (sizeof(tail) - 1) : 0;
	int fd = open(a->path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : pread(fd, tail, size - from, (off_t)from);
	if (fd >= 0) {
		close(fd);
	}
	tail[len > 0 ? len : 0] = '\0';
	snprintf(wanted, sizeof(wanted), "{\"index\":%zu,", a->index);
	const char *line = strstr(tail, wanted);
	return line && strchr(line, '\n');
}

/* Wait until job `index` is the last of a results file. */
static inline void wait_for_index(const char *path, size_t index)
{
	struct awaited_line a = {path, index};
	cr_assert(wait_for(ends_with_index, &a, HARNESS_DEADLINE_MS),
		"result %zu does not come into %s", index, path);
}

/* ------------------------------------------------------------ the origin */

struct awaited_count {
	const struct origin *origin;
	const char *key;
	json_int_t least;
};

static inline bool count_reached(void *ctx)
{
	const struct awaited_count *a = ctx;
	return origin_count(a->origin, a->key) >= a->least;
}

/* Wait until a number of /counts is at least that. */
static inline void wait_for_count(
	const struct origin *origin, const char *key, json_int_t least)
{
	struct awaited_count a = {origin, key, least};
	cr_assert(wait_for(count_reached, &a, 30000), "%s: %lld, not %lld", key,
		(long long)origin_count(origin, key), (long long)least);
}

/* Does a number of /counts get over `most`, although it has time to? */
static inline bool count_exceeds(
	const struct origin *origin, const char *key, json_int_t most)
{
	struct awaited_count a = {origin, key, most + 1};
	return wait_for(count_reached, &a, 300);
}

/* Let go of what waits in /hold/NAME, now and later. */
static inline void origin_release(const struct origin *origin, const char *name)
{
	free(origin_get(origin, keep_printf("/release/%s", name)));
}

#endif
