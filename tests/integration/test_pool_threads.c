/* SPDX-License-Identifier: MIT
 *
 * A pool belongs to one thread, and each thread may have its own.
 */
#include "tests/support/pool_rig.h"

#include <pthread.h>

/* What one thread has done; assertions are for the main thread only. */
struct worked {
	pthread_t thread;
	const char *runtime_dir;
	int error;
	unsigned right;
};

enum { THREADS = 3, ROUNDS = 3, THREAD_JOBS = 200 };

static unsigned count_right(const struct pm_result *results, size_t ct)
{
	unsigned right = 0;
	for (size_t i = 0; i < ct; i++) {
		right += results[i].error == 0 && results[i].len == sizeof(uint32_t) &&
			 task_number(results[i].bytes) == i;
	}
	return right;
}

static int map_numbers(pm_pool *pool, struct worked *w)
{
	uint32_t numbers[THREAD_JOBS];
	struct pm_job jobs[THREAD_JOBS];
	struct pm_result results[THREAD_JOBS];
	for (uint32_t i = 0; i < THREAD_JOBS; i++) {
		numbers[i] = i;
		jobs[i] =
			(struct pm_job){.arg = &numbers[i], .len = sizeof(numbers[i])};
	}
	int err = pm_map(pool, task_echo, jobs, THREAD_JOBS, results);
	if (!err) {
		w->right += count_right(results, THREAD_JOBS);
		pm_results_clear(results, THREAD_JOBS);
	}
	return err;
}

static void *use_pools(void *ctx)
{
	struct worked *w = ctx;
	for (int i = 0; i < ROUNDS && !w->error; i++) {
		struct pm_pool_options o;
		pm_pool *pool = NULL;
		pm_pool_options_init(&o);
		o.workers = 2;
		o.concurrency = 8;
		o.runtime_dir = w->runtime_dir;
		w->error = pm_pool_open(&pool, &o);
		w->error = w->error ? w->error : map_numbers(pool, w);
		pm_pool_close(&pool);
	}
	return NULL;
}

Test(pool_threads, works_in_a_second_thread, .timeout = 60)
{
	struct worked w = {.runtime_dir = temp_dir()};
	cr_assert_eq(pthread_create(&w.thread, NULL, use_pools, &w), 0);
	cr_assert_eq(pthread_join(w.thread, NULL), 0);
	cr_assert_eq(w.error, 0, "%s", pm_error_name(w.error));
	cr_assert_eq(w.right, ROUNDS * THREAD_JOBS);
	rig_check_nothing_left(w.runtime_dir);
}

Test(pool_threads, works_in_several_threads_at_once, .timeout = 60)
{
	struct worked w[THREADS] = {{0}};
	const char *dir = temp_dir();
	for (int i = 0; i < THREADS; i++) {
		w[i].runtime_dir = dir;
		cr_assert_eq(pthread_create(&w[i].thread, NULL, use_pools, &w[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		cr_assert_eq(pthread_join(w[i].thread, NULL), 0);
		cr_assert_eq(
			w[i].error, 0, "thread %d: %s", i, pm_error_name(w[i].error));
		cr_assert_eq(w[i].right, ROUNDS * THREAD_JOBS, "thread %d", i);
	}
	rig_check_nothing_left(dir);
}

struct intruder {
	pm_pool *pool;
	int map_error, stream_error;
	char message[256];
};

static int no_source(void *ctx, struct pm_job *job)
{
	(void)ctx;
	(void)job;
	return PM_SOURCE_END;
}

static int no_sink(void *ctx, const struct pm_result *result)
{
	(void)ctx;
	(void)result;
	return PM_SINK_TAKEN;
}

static void *use_foreign_pool(void *ctx)
{
	struct intruder *in = ctx;
	struct pm_stream stream = {
		.task = task_echo, .source = no_source, .sink = no_sink};
	in->stream_error = pm_map_stream(in->pool, &stream);
	in->map_error = pm_map(in->pool, task_echo, NULL, 0, NULL);
	snprintf(in->message, sizeof(in->message), "%s", pm_last_error());
	return NULL;
}

Test(pool_threads, belongs_to_the_thread_that_opened_it, .timeout = 30)
{
	struct intruder in = {.pool = rig_pool(1, 1)};
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, use_foreign_pool, &in), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(in.map_error, PM_ESTATE, "%s", pm_error_name(in.map_error));
	cr_assert_eq(in.stream_error, PM_ESTATE, "%s", pm_error_name(in.stream_error));
	cr_assert(strstr(in.message, "thread"), "%s", in.message);
	rig_check_works(in.pool);
	pm_pool_close(&in.pool);
}
