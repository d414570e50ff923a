/* SPDX-License-Identifier: MIT
 *
 * pm_map(): one result per job, in its place, whatever the jobs are made of and
 * however they end.
 *
 * valgrind: run
 */
#include "tests/support/pool_rig.h"

#include <stdalign.h>

#include "common/proto.h"

enum { MIB = 1 << 20 };

static pm_pool *pool_for(size_t max_bytes)
{
	struct pm_pool_options o = rig_options(2, 16);
	o.max_bytes = max_bytes;
	return rig_open(&o);
}

/* Map one job. */
static struct pm_result map_one(
	pm_pool *pool, pm_task_fn *task, const void *arg, size_t len)
{
	struct pm_result result;
	struct pm_job job = {.arg = arg, .len = len};
	int err = pm_map(pool, task, &job, 1, &result);
	cr_assert_eq(err, 0, "pm_map: %s: %s", pm_error_name(err), pm_last_error());
	return result;
}

/* ------------------------------------------------------------------ numbers */

static int task_triple(pm_task *task, const void *arg, size_t len)
{
	uint64_t triple = (uint64_t)task_number(arg) * 3;
	(void)len;
	return pm_return(task, &triple, sizeof(triple));
}

Test(map, of_nothing_is_nothing, .timeout = 30)
{
	pm_pool *pool = rig_pool(2, 2);
	struct pm_result untouched = {.index = 77};
	cr_assert_eq(
		pm_map(pool, task_triple, NULL, 0, NULL), 0, "%s", pm_last_error());
	cr_assert_eq(pm_map(pool, task_triple, NULL, 0, &untouched), 0);
	cr_assert_eq(untouched.index, 77);
	cr_assert_eq(rig_stats(pool).jobs, 0);
	pm_results_clear(NULL, 0);
	pm_pool_close(&pool);
}

Test(map, gives_one_result_for_one_job, .timeout = 30)
{
	pm_pool *pool = rig_pool(2, 2);
	struct pm_result r = map_one(pool, task_echo, "hello", 5);
	cr_assert_eq(r.error, 0);
	cr_assert_eq(r.index, 0);
	cr_assert_eq(r.domain, PM_DOMAIN_NONE);
	cr_assert_eq(r.code, 0);
	cr_assert_null(r.message);
	cr_assert_eq(r.len, 5);
	cr_assert_str_eq(r.bytes, "hello", "not followed by a NUL");
	cr_assert_null(r.arg, "pm_map() gives no argument back");
	cr_assert(r.worker >= 0 && r.worker < 2, "worker %d", r.worker);
	cr_assert_eq(r.attempts, 1);
	pm_results_clear(&r, 1);
	cr_assert_null(r.bytes);
	cr_assert_eq(r.len, 0);
	pm_results_clear(&r, 1); /* cleared ones can be cleared */
	pm_pool_close(&pool);
}

Test(map, puts_100000_results_in_their_places, .timeout = 60)
{
	enum { MANY = 100000 };
	pm_pool *pool = rig_pool(2, 64);
	struct batch b = batch_new(MANY);
	batch_map(pool, task_triple, &b);
	for (uint64_t i = 0; i < MANY; i++) {
		uint64_t triple = 0;
		cr_assert_eq(b.results[i].error, 0, "job %zu", (size_t)i);
		cr_assert_eq(b.results[i].index, i, "job %zu", (size_t)i);
		cr_assert_eq(b.results[i].len, sizeof(triple), "job %zu", (size_t)i);
		memcpy(&triple, b.results[i].bytes, sizeof(triple));
		cr_assert_eq(triple, i * 3, "job %zu", (size_t)i);
	}
	cr_assert_eq(rig_stats(pool).results, MANY);
	batch_free(&b);
	pm_pool_close(&pool);
}

Test(map, can_follow_another_many_times, .timeout = 30)
{
	pm_pool *pool = rig_pool(2, 4);
	for (size_t ct = 0; ct < 60; ct++) {
		struct batch b = batch_new(ct);
		batch_map(pool, task_echo, &b);
		batch_check(&b);
		batch_free(&b);
	}
	pm_pool_close(&pool);
}

Test(map, refuses_arguments_that_make_no_sense, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_job job = {.arg = "x", .len = 1};
	struct pm_result r = {.index = 77};
	cr_assert_eq(pm_map(NULL, task_echo, &job, 1, &r), PM_EINVAL);
	cr_assert_eq(pm_map(pool, NULL, &job, 1, &r), PM_EINVAL);
	cr_assert_eq(pm_map(pool, task_echo, NULL, 1, &r), PM_EINVAL);
	cr_assert_eq(pm_map(pool, task_echo, &job, 1, NULL), PM_EINVAL);
	cr_assert_gt(strlen(pm_last_error()), 0);
	cr_assert_eq(r.index, 77, "results have changed");
	rig_check_works(pool);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------- the argument */

/* What a task may count on. */
static int task_check_argument(pm_task *task, const void *arg, size_t len)
{
	const unsigned char *bytes = arg;
	if (!arg || (uintptr_t)arg % alignof(max_align_t) != 0) {
		return pm_fail(task, 1, "not aligned: %p", arg);
	}
	if (bytes[len] != '\0') {
		return pm_fail(task, 2, "byte %zu is %d", len, bytes[len]);
	}
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != (unsigned char)(i * 7 + len)) {
			return pm_fail(
				task, 3, "byte %zu of %zu is %d", i, len, bytes[i]);
		}
	}
	return 0;
}

Test(map, gives_tasks_aligned_and_terminated_arguments, .timeout = 30)
{
	enum { LENGTHS = 200 };
	static unsigned char bytes[LENGTHS][LENGTHS];
	struct pm_job jobs[LENGTHS];
	struct pm_result results[LENGTHS];
	pm_pool *pool = rig_pool(2, 8);
	for (size_t len = 0; len < LENGTHS; len++) {
		for (size_t i = 0; i < len; i++) {
			bytes[len][i] = (unsigned char)(i * 7 + len);
		}
		jobs[len] = (struct pm_job){.arg = len ? bytes[len] : NULL, .len = len};
	}
	cr_assert_eq(pm_map(pool, task_check_argument, jobs, LENGTHS, results), 0);
	for (size_t len = 0; len < LENGTHS; len++) {
		cr_assert_eq(results[len].error, 0, "length %zu: %s", len,
			results[len].message);
		cr_assert_eq(results[len].len, 0);
	}
	pm_results_clear(results, LENGTHS);
	pm_pool_close(&pool);
}

/* --------------------------------------------------------------- the result */

static int task_return_null(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_return(task, NULL, 0);
}

static int task_return_twice(pm_task *task, const void *arg, size_t len)
{
	int err = pm_return(task, "the first and longer one", 24);
	return err ? err : pm_return(task, arg, len);
}

static int task_return_then_fail(pm_task *task, const void *arg, size_t len)
{
	(void)!pm_return(task, arg, len);
	return PM_ESTALLED;
}

static int task_fail_then_return(pm_task *task, const void *arg, size_t len)
{
	(void)!pm_fail(task, 3, "never mind");
	return pm_return(task, arg, len);
}

Test(map, takes_an_empty_argument_and_gives_an_empty_result, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 1);
	pm_task_fn *tasks[] = {task_echo, task_return_null, task_check_argument};
	for (size_t i = 0; i < sizeof(tasks) / sizeof(*tasks); i++) {
		struct pm_result r = map_one(pool, tasks[i], i ? NULL : "", 0);
		cr_assert_eq(r.error, 0, "task %zu: %s", i, r.message);
		cr_assert_eq(r.len, 0, "task %zu", i);
		cr_assert(!r.bytes || *(char *)r.bytes == '\0', "task %zu", i);
		pm_results_clear(&r, 1);
	}
	pm_pool_close(&pool);
}

Test(map, takes_the_last_of_two_results, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_result r = map_one(pool, task_return_twice, "the second", 10);
	cr_assert_eq(r.error, 0);
	cr_assert_eq(r.len, 10);
	cr_assert_str_eq(r.bytes, "the second");
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
}

Test(map, goes_by_what_the_task_returns_in_the_end, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_result r = map_one(pool, task_return_then_fail, "bytes", 5);
	cr_assert_eq(r.error, PM_ESTALLED);
	cr_assert_null(r.bytes, "a failed job has no bytes");
	cr_assert_eq(r.len, 0);
	pm_results_clear(&r, 1);
	r = map_one(pool, task_fail_then_return, "bytes", 5);
	cr_assert_eq(r.error, 0, "%s", pm_error_name(r.error));
	cr_assert_null(r.message);
	cr_assert_str_eq(r.bytes, "bytes");
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------------- sizes */

/* Bytes that no shift, cut or mix-up leaves equal. */
static unsigned char *pattern(size_t len, uint32_t seed)
{
	unsigned char *bytes = malloc(len + 1);
	uint32_t x = seed * 2654435761u + 1;
	cr_assert(bytes);
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		bytes[i] = (unsigned char)x;
	}
	return bytes;
}

/* Echo jobs of these lengths, all in one map. */
static void check_sizes(pm_pool *pool, const size_t lens[], size_t ct)
{
	struct pm_job *jobs = calloc(ct, sizeof(*jobs));
	struct pm_result *results = calloc(ct, sizeof(*results));
	unsigned char **args = calloc(ct, sizeof(*args));
	cr_assert(jobs && results && args);
	for (size_t i = 0; i < ct; i++) {
		args[i] = pattern(lens[i], (uint32_t)i);
		jobs[i] = (struct pm_job){.arg = args[i], .len = lens[i]};
	}
	int err = pm_map(pool, task_echo, jobs, ct, results);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	for (size_t i = 0; i < ct; i++) {
		cr_assert_eq(results[i].error, 0, "job %zu: %s", i, results[i].message);
		cr_assert_eq(results[i].len, lens[i], "job %zu: %zu bytes of %zu", i,
			results[i].len, lens[i]);
		cr_assert_eq(memcmp(results[i].bytes, args[i], lens[i]), 0,
			"job %zu of %zu bytes is another's", i, lens[i]);
		cr_assert_eq(((char *)results[i].bytes)[lens[i]], '\0');
		free(args[i]);
	}
	pm_results_clear(results, ct);
	free(jobs);
	free(results);
	free(args);
}

/* Around the sizes at which frames are closed and payloads cut. */
Test(map, carries_arguments_of_every_size_near_a_seam, .timeout = 60)
{
	static const size_t seams[] = {1, PROTO_RECORD_BYTES, PROTO_BATCH_BYTES,
		PROTO_PIECE_BYTES, PROTO_PIECE_BYTES * 2, PROTO_FRAME_MAX};
	enum { SEAMS = sizeof(seams) / sizeof(*seams), AROUND = 60 };
	static size_t lens[SEAMS * AROUND];
	pm_pool *pool = rig_pool(2, 16);
	for (size_t s = 0; s < SEAMS; s++) {
		for (size_t i = 0; i < AROUND; i++) {
			size_t below = i < AROUND / 2 ? AROUND / 2 - i : 0;
			lens[s * AROUND + i] =
				seams[s] > below ? seams[s] - below +
							   (below ? 0 : i - AROUND / 2)
						 : 0;
		}
	}
	check_sizes(pool, lens, SEAMS * AROUND);
	pm_pool_close(&pool);
}

Test(map, carries_small_and_large_jobs_side_by_side, .timeout = 60)
{
	enum { CT = 400 };
	static size_t lens[CT];
	pm_pool *pool = rig_pool(2, 16);
	for (size_t i = 0; i < CT; i++) {
		lens[i] = i % 37 == 0  ? 700000 + i
			  : i % 5 == 0 ? 20000 + i * 11
				       : i % 300;
	}
	check_sizes(pool, lens, CT);
	pm_pool_close(&pool);
}

Test(map, carries_20_mib_there_and_back, .timeout = 60)
{
	static const size_t lens[] = {20 * MIB, 3, 20 * MIB + 1, 0, 20 * MIB - 1};
	pm_pool *pool = rig_pool(2, 4);
	check_sizes(pool, lens, sizeof(lens) / sizeof(*lens));
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------ too big */

static int task_return_length(pm_task *task, const void *arg, size_t len)
{
	size_t want;
	(void)len;
	memcpy(&want, arg, sizeof(want));
	void *bytes = calloc(1, want + 1);
	int err = bytes ? pm_return(task, bytes, want) : PM_ENOMEM;
	free(bytes);
	return err;
}

static int task_ignore_too_big(pm_task *task, const void *arg, size_t len)
{
	(void)task_return_length(task, arg, len);
	return pm_return(task, "small", 5);
}

static void check_argument_limit(size_t max_bytes)
{
	pm_pool *pool = pool_for(max_bytes);
	unsigned char *bytes = pattern(max_bytes + 1, 1);
	struct pm_job jobs[] = {{.arg = bytes, .len = max_bytes},
		{.arg = bytes, .len = max_bytes + 1}, {.arg = bytes, .len = 1}};
	struct pm_result results[3] = {{.index = 71}, {.index = 72}, {.index = 73}};
	int err = pm_map(pool, task_echo, jobs, 3, results);
	cr_assert_eq(
		err, PM_ETOOBIG, "max_bytes %zu: %s", max_bytes, pm_error_name(err));
	cr_assert(strstr(pm_last_error(), keep_printf("%zu", max_bytes + 1)), "%s",
		pm_last_error());
	cr_assert(strstr(pm_last_error(), "job 1"), "%s", pm_last_error());
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(results[i].index, 71 + i, "result %u has changed", i);
	}
	check_sizes(pool, &max_bytes, 1);
	free(bytes);
	pm_pool_close(&pool);
}

Test(map, refuses_an_argument_one_byte_too_long, .timeout = 60)
{
	check_argument_limit(1);
	check_argument_limit(1000);
	check_argument_limit(PROTO_PIECE_BYTES);
	check_argument_limit(3 * MIB);
}

static void check_result_limit(size_t max_bytes)
{
	pm_pool *pool = pool_for(max_bytes);
	size_t lens[] = {max_bytes, max_bytes + 1, 1};
	struct pm_job jobs[3];
	struct pm_result results[3];
	for (size_t i = 0; i < 3; i++) {
		jobs[i] = (struct pm_job){.arg = &lens[i], .len = sizeof(lens[i])};
	}
	cr_assert_eq(pm_map(pool, task_return_length, jobs, 3, results), 0);
	cr_assert_eq(results[0].error, 0, "max_bytes %zu: %s", max_bytes,
		results[0].message);
	cr_assert_eq(results[0].len, max_bytes);
	cr_assert_eq(results[1].error, PM_ETOOBIG, "max_bytes %zu: %s", max_bytes,
		pm_error_name(results[1].error));
	cr_assert(strstr(results[1].message, keep_printf("%zu", max_bytes + 1)), "%s",
		results[1].message);
	cr_assert_eq(results[2].len, 1);
	pm_results_clear(results, 3);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	struct pm_result r =
		map_one(pool, task_ignore_too_big, &lens[1], sizeof(size_t));
	cr_assert_eq(r.error, 0);
	cr_assert_str_eq(r.bytes, "small");
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
}

Test(map, fails_a_job_whose_result_is_one_byte_too_long, .timeout = 60)
{
	check_result_limit(1000);
	check_result_limit(PROTO_PIECE_BYTES);
	check_result_limit(3 * MIB);
}

/* ------------------------------------------------------------------ failures */

static int task_return_error(pm_task *task, const void *arg, size_t len)
{
	int error;
	(void)task;
	(void)len;
	memcpy(&error, arg, sizeof(error));
	return error;
}

static int task_fail_as_told(pm_task *task, const void *arg, size_t len)
{
	return pm_fail(task, (int)len, "%s", (const char *)arg);
}

static int task_fail_if_odd(pm_task *task, const void *arg, size_t len)
{
	uint32_t number = task_number(arg);
	return number % 2 ? pm_fail(task, (int)number, "%u is odd", number)
			  : pm_return(task, arg, len);
}

static int task_fail_and_return_another(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	(void)!pm_fail(task, 9, "the text of the other one");
	return PM_EDNS;
}

static void expect_message(const struct pm_result *r, int error, const char *text)
{
	cr_assert_eq(r->error, error, "%s instead of %s", pm_error_name(r->error),
		pm_error_name(error));
	cr_assert_not_null(r->message, "%s without a message", pm_error_name(error));
	cr_assert_str_eq(r->message, text);
	cr_assert_null(r->bytes);
	cr_assert_eq(r->len, 0);
}

Test(map, gives_failures_as_results_beside_successes, .timeout = 30)
{
	pm_pool *pool = rig_pool(2, 8);
	struct batch b = batch_new(1000);
	batch_map(pool, task_fail_if_odd, &b);
	for (size_t i = 0; i < b.ct; i++) {
		const struct pm_result *r = &b.results[i];
		if (i % 2 == 0) {
			batch_check_one(&b, i);
			continue;
		}
		expect_message(r, PM_EFAILED, keep_printf("%zu is odd", i));
		cr_assert_eq(r->domain, PM_DOMAIN_TASK);
		cr_assert_eq(r->code, i);
		cr_assert_eq(r->index, i);
		cr_assert_eq(r->attempts, 1, "job %zu has run again", i);
	}
	batch_free(&b);
	pm_pool_close(&pool);
}

Test(map, gives_every_failure_a_message, .timeout = 30)
{
	static const int errors[] = {PM_EINVAL, PM_ENOMEM, PM_ESYSTEM, PM_EINTERNAL,
		PM_EWORKERLOST, PM_ECANCELLED, PM_EFAILED, PM_EBADURL, PM_EDENIED,
		-12345, INT_MIN};
	pm_pool *pool = rig_pool(1, 2);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		struct pm_result r =
			map_one(pool, task_return_error, &errors[i], sizeof(*errors));
		expect_message(&r, errors[i], pm_error_text(errors[i]));
		cr_assert_eq(r.domain, PM_DOMAIN_NONE);
		cr_assert_eq(r.code, 0);
		cr_assert_eq(r.attempts, 1, "error %d: has run again", errors[i]);
		pm_results_clear(&r, 1);
	}
	struct pm_result r = map_one(pool, task_fail_and_return_another, "", 0);
	expect_message(&r, PM_EDNS, pm_error_text(PM_EDNS));
	cr_assert_eq(r.domain, PM_DOMAIN_NONE, "the code of another error");
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
}

/* Fail with a message of so many bytes; what arrives of it. */
static struct pm_result fail_with(pm_pool *pool, char *text, size_t len)
{
	text[len] = '\0';
	struct pm_result r = map_one(pool, task_fail_as_told, text, len);
	cr_assert_eq(r.error, PM_EFAILED);
	cr_assert_eq(r.domain, PM_DOMAIN_TASK);
	cr_assert_eq(r.code, len);
	cr_assert_not_null(r.message);
	return r;
}

Test(map, carries_a_message_of_1000_bytes_whole, .timeout = 30)
{
	static const size_t lens[] = {0, 1, 100, 254, 255, 256, 257, 511, 999, 1000};
	pm_pool *pool = rig_pool(1, 1);
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		char text[1100];
		memset(text, 'm', sizeof(text));
		struct pm_result r = fail_with(pool, text, lens[i]);
		cr_assert_str_eq(r.message, text, "of %zu bytes %zu arrived", lens[i],
			strlen(r.message));
		pm_results_clear(&r, 1);
	}
	pm_pool_close(&pool);
}

Test(map, cuts_a_longer_message_and_keeps_its_beginning, .timeout = 30)
{
	static const size_t lens[] = {1001, 1024, 5000};
	pm_pool *pool = rig_pool(1, 1);
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		static char text[5001];
		memset(text, 'm', sizeof(text));
		struct pm_result r = fail_with(pool, text, lens[i]);
		cr_assert_leq(strlen(r.message), 1000);
		cr_assert_geq(strlen(r.message), 200);
		cr_assert_eq(strncmp(r.message, text, strlen(r.message)), 0);
		pm_results_clear(&r, 1);
	}
	pm_pool_close(&pool);
}

/* Strings of this library are UTF-8, also those that were cut. */
Test(map, cuts_a_message_between_characters, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 1);
	for (size_t shift = 0; shift < 3; shift++) {
		static char text[3100];
		memset(text, 'm', shift);
		for (size_t i = 0; i < 1000; i++) {
			memcpy(text + shift + 3 * i, "\xe2\x82\xac", 3); /* euro */
		}
		struct pm_result r = fail_with(pool, text, 3000);
		size_t len = strlen(r.message);
		cr_assert_eq((len - shift) % 3, 0, "%zu bytes: a euro was cut", len);
		pm_results_clear(&r, 1);
	}
	pm_pool_close(&pool);
}
