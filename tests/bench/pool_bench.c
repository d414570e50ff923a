/* SPDX-License-Identifier: MIT
 *
 * pool_bench - what a job costs in a pool of two workers, when it does nothing.
 *
 *   pool_bench map|imap|submit|apply|sleep CT
 *
 * pool_bench.py does the same with Python's pools; pool.sh runs both, side by side.
 * Jobs have 16 bytes and give them back, and every result is checked.  What is
 * measured begins with the pool open, and ends with the last result.  Prints one line:
 *   map 1000000 jobs 512.3 ms
 *   apply 20000 jobs 41.2 us
 *   sleep 10000 jobs 1153.1 ms 11.9 kB
 * apply: the median round trip.  sleep: tasks that sleep for a second, all at once, and
 * what each adds to the memory of the workers.
 */
#include "common/poolmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORKERS = 2, SLEEP_MS = 1000, SUBMIT_AT_ONCE = 10000 };

struct item {
	uint64_t number, twice;
};

static int task_echo(pm_task *task, const void *arg, size_t len)
{
	return pm_return(task, arg, len);
}

static int task_sleep(pm_task *task, const void *arg, size_t len)
{
	int err = pm_sleep(task, SLEEP_MS);
	return err ? err : pm_return(task, arg, len);
}

/* ---------------------------------------------------------------- plumbing */

static double now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

_Noreturn static void die(const char *what, int error)
{
	fprintf(stderr, "pool_bench: %s: %s %s\n", what, pm_error_name(error),
		pm_last_error());
	exit(1);
}

static void must(const char *what, int error)
{
	if (error) {
		die(what, error);
	}
}

static void *must_alloc(size_t ct, size_t size)
{
	void *mem = calloc(ct + 1, size);
	if (!mem) {
		die("calloc", PM_ENOMEM);
	}
	return mem;
}

static struct item item_of(uint64_t i)
{
	return (struct item){i, 2 * i};
}

/* Result `i` is there, it is the next one, and it is what job `i` was given. */
static void check(const struct pm_result *r, uint64_t i)
{
	struct item item = item_of(i);
	must(r->message ? r->message : "a job", r->error);
	if (r->index != i || r->len != sizeof(item) ||
		memcmp(r->bytes, &item, sizeof(item)) != 0) {
		die("a result is wrong", PM_EINTERNAL);
	}
}

static pm_pool *open_pool(unsigned concurrency)
{
	struct pm_pool_options options;
	pm_pool *pool;
	struct pm_pool_stats stats;
	pm_pool_options_init(&options);
	options.workers = WORKERS;
	if (concurrency) {
		options.concurrency = concurrency;
	}
	must("pm_pool_open", pm_pool_open(&pool, &options));
	do { /* it is open with the first worker: wait for the others */
		struct pm_result r;
		must("pm_apply", pm_apply(pool, task_echo, "", 0, &r));
		pm_results_clear(&r, 1);
		pm_pool_stats(pool, &stats);
	} while (stats.workers_ready < WORKERS);
	return pool;
}

/* -------------------------------------------------------------------- cases */

static double run_map(pm_pool *pool, pm_task_fn *task, size_t ct)
{
	struct item *items = must_alloc(ct, sizeof(*items));
	struct pm_job *jobs = must_alloc(ct, sizeof(*jobs));
	struct pm_result *results = must_alloc(ct, sizeof(*results));
	for (size_t i = 0; i < ct; i++) {
		items[i] = item_of(i);
		jobs[i].arg = &items[i];
		jobs[i].len = sizeof(items[i]);
	}
	double begin = now_us();
	must("pm_map", pm_map(pool, task, jobs, ct, results));
	double took = now_us() - begin;
	for (size_t i = 0; i < ct; i++) {
		check(&results[i], i);
	}
	pm_results_clear(results, ct);
	free(items);
	free(jobs);
	free(results);
	return took;
}

static void bench_map(size_t ct)
{
	pm_pool *pool = open_pool(0);
	printf("map %zu jobs %.1f ms\n", ct, run_map(pool, task_echo, ct) / 1e3);
	pm_pool_close(&pool);
}

struct numbers {
	uint64_t next, ct;
	struct item item;
};

static int next_number(void *ctx, struct pm_job *job)
{
	struct numbers *n = ctx;
	if (n->next == n->ct) {
		return PM_SOURCE_END;
	}
	n->item = item_of(n->next++);
	*job = (struct pm_job){.arg = &n->item, .len = sizeof(n->item)};
	return PM_SOURCE_JOB;
}

static void bench_imap(size_t ct)
{
	pm_pool *pool = open_pool(0);
	struct numbers n = {.ct = ct};
	struct pm_stream stream = {.task = task_echo, .source = next_number, .ctx = &n};
	const struct pm_result *r;
	pm_iter *iter;
	uint64_t got = 0;
	int more;
	double begin = now_us();
	must("pm_imap", pm_imap(pool, &stream, &iter));
	while ((more = pm_next(iter, PM_FOREVER, &r)) == PM_NEXT_RESULT) {
		check(r, got++);
	}
	must("pm_next", more);
	double took = now_us() - begin;
	if (got != ct) {
		die("results are missing", PM_EINTERNAL);
	}
	printf("imap %zu jobs %.1f ms\n", ct, took / 1e3);
	pm_iter_close(&iter);
	pm_pool_close(&pool);
}

/* In batches, as queue_max would have it otherwise. */
static void submit_batch(pm_pool *pool, pm_future **futures, uint64_t from, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		struct item item = item_of(from + i);
		struct pm_job job = {.arg = &item, .len = sizeof(item)};
		must("pm_submit", pm_submit(pool, task_echo, &job, &futures[i]));
	}
	must("pm_wait", pm_wait(futures, ct, PM_ALL, PM_FOREVER, NULL));
	for (size_t i = 0; i < ct; i++) {
		struct pm_result r = *pm_future_result(futures[i]);
		r.index = from + i; /* a job of its own has no place in a map */
		check(&r, from + i);
		pm_future_free(&futures[i]);
	}
}

static void bench_submit(size_t ct)
{
	pm_pool *pool = open_pool(0);
	pm_future **futures = must_alloc(SUBMIT_AT_ONCE, sizeof(pm_future *));
	double begin = now_us();
	for (size_t i = 0; i < ct; i += SUBMIT_AT_ONCE) {
		size_t left = ct - i;
		submit_batch(pool, futures, i,
			left < SUBMIT_AT_ONCE ? left : SUBMIT_AT_ONCE);
	}
	printf("submit %zu jobs %.1f ms\n", ct, (now_us() - begin) / 1e3);
	free(futures);
	pm_pool_close(&pool);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void bench_apply(size_t ct)
{
	pm_pool *pool = open_pool(0);
	double *took = must_alloc(ct, sizeof(*took));
	for (size_t i = 0; i < ct; i++) {
		struct item item = item_of(i);
		struct pm_result r;
		double begin = now_us();
		must("pm_apply", pm_apply(pool, task_echo, &item, sizeof(item), &r));
		took[i] = now_us() - begin;
		r.index = i;
		check(&r, i);
		pm_results_clear(&r, 1);
	}
	qsort(took, ct, sizeof(*took), compare);
	printf("apply %zu jobs %.1f us\n", ct, took[ct / 2]);
	free(took);
	pm_pool_close(&pool);
}

/* A number of the workers' /proc/PID/status, in kB, added up. */
static long workers_kb(const pm_pool *pool, const char *key)
{
	long sum = 0;
	for (unsigned i = 0; i < WORKERS; i++) {
		struct pm_worker_info info;
		char path[64], line[128];
		must("pm_worker_info", pm_worker_info(pool, i, &info));
		snprintf(path, sizeof(path), "/proc/%ld/status", info.pid);
		FILE *f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			if (strncmp(line, key, strlen(key)) == 0) {
				sum += strtol(line + strlen(key), NULL, 10);
			}
		}
		if (!f || fclose(f) != 0) {
			die("a worker is gone", PM_EWORKERS);
		}
	}
	return sum;
}

static void bench_sleep(size_t ct)
{
	pm_pool *pool = open_pool((unsigned)ct);
	long before = workers_kb(pool, "VmRSS:");
	double took = run_map(pool, task_sleep, ct);
	long peak = workers_kb(pool, "VmHWM:");
	printf("sleep %zu jobs %.1f ms %.1f kB\n", ct, took / 1e3,
		(double)(peak - before) / (double)ct);
	pm_pool_close(&pool);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(size_t ct);
	} cases[] = {{"map", bench_map}, {"imap", bench_imap}, {"submit", bench_submit},
		{"apply", bench_apply}, {"sleep", bench_sleep}};
	size_t ct = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	for (size_t i = 0; ct && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(cases[i].name, argv[1]) == 0) {
			cases[i].run(ct);
			return 0;
		}
	}
	fprintf(stderr, "usage: pool_bench map|imap|submit|apply|sleep CT\n");
	return 2;
}
