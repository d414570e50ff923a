/* SPDX-License-Identifier: MIT
 *
 * Integration tests of what is left after many pools: no descriptor, no mapping, no
 * memory, no file, no process.
 *
 * valgrind: run
 */
#include <malloc.h>

#include "tests/support/host_rig.h"

enum { LIMIT = 120 }; /* seconds for each test */

/* A machine that has mappings and an allocator of its own. */
static bool is_watched(void)
{
	const char *preload = getenv("LD_PRELOAD");
	return RIG_SANITIZED || (preload && strstr(preload, "vgpreload"));
}

/* Fewer where each takes a hundred times as long. */
static unsigned cycles(unsigned ct)
{
	return is_watched() ? ct / 25 : ct;
}

struct footprint {
	size_t fds, maps, heap_bytes;
};

static size_t lines_of(const char *path)
{
	size_t ct = 0;
	int c;
	FILE *f = fopen(path, "re");
	cr_assert(f, "%s: %s", path, strerror(errno));
	while ((c = getc(f)) != EOF) {
		ct += c == '\n';
	}
	fclose(f);
	return ct;
}

static struct footprint footprint(void)
{
	return (struct footprint){.fds = open_fds(),
		.maps = lines_of("/proc/self/maps"),
		.heap_bytes = mallinfo2().uordblks};
}

/* A few mappings, and what its caches hold, are malloc's own affair, and buffers of a
 * pool that stays grow to what the busiest moment needed; what every cycle leaves
 * behind is more. */
static void check_same(const struct footprint *was, unsigned ct)
{
	struct footprint is = footprint();
	cr_assert_eq(is.fds, was->fds, "%zu descriptors, %zu before", is.fds, was->fds);
	if (is_watched()) {
		return;
	}
	cr_assert_leq(is.maps, was->maps + 4 + ct / 20, "%zu mappings, %zu before",
		is.maps, was->maps);
	cr_assert_leq(is.heap_bytes, was->heap_bytes + 131072 + ct * 4,
		"%zu bytes allocated, %zu before", is.heap_bytes, was->heap_bytes);
}

/* Run `cycle` some times to warm up, and then many times. */
static void repeat(void (*cycle)(const struct pm_pool_options *o), unsigned ct)
{
	struct pm_pool_options o = rig_options(2, 8);
	struct footprint was;
	for (unsigned i = 0; i < ct; i++) {
		cycle(&o);
		if (i == (ct < 20 ? ct / 2 : 10)) {
			was = footprint();
		}
	}
	check_same(&was, ct);
	rig_check_nothing_left(o.runtime_dir);
}

/* ------------------------------------------------------------------- cycles */

static void map_and_close(const struct pm_pool_options *o)
{
	pm_pool *pool = rig_open(o);
	struct batch b = batch_new(10);
	batch_map(pool, task_echo, &b);
	batch_check(&b);
	batch_free(&b);
	pm_pool_close(&pool);
}

Test(leaks, open_map_close, .timeout = LIMIT)
{
	repeat(map_and_close, cycles(1000));
}

static void open_and_terminate(const struct pm_pool_options *o)
{
	pm_pool *pool = rig_open(o);
	pm_future *f[4];
	for (uint32_t i = 0; i < 4; i++) {
		f[i] = submit(pool, DO_NAP, i, 60000);
	}
	check_error(pm_wait(f, 4, PM_ALL, 1, NULL), PM_ETIMEDOUT, "naps");
	pm_pool_terminate(&pool);
	for (int i = 0; i < 4; i++) {
		pm_future_free(&f[i]);
	}
}

Test(leaks, terminate_with_jobs, .timeout = LIMIT)
{
	repeat(open_and_terminate, cycles(200));
}

static int leak_source(void *ctx, struct pm_job *job)
{
	static struct errand e;
	unsigned *ct = ctx;
	e = (struct errand){.number = *ct % 100, .what = *ct % 7 ? DO_ECHO : DO_FAIL};
	*job = PM_JOB(e);
	return ++*ct > 40 ? PM_SOURCE_END : PM_SOURCE_JOB;
}

static int leak_sink(void *ctx, const struct pm_result *r)
{
	(void)ctx;
	(void)r;
	return PM_SINK_TAKEN;
}

static void count_done(pm_future *f, void *ctx)
{
	(void)f;
	++*(unsigned *)ctx;
}

/* Iterators and maps that are left in the middle, futures with callbacks that are
 * freed before their time, the pool's descriptor. */
static void leave_everything_open(const struct pm_pool_options *o)
{
	unsigned given[2] = {0, 0}, called = 0;
	struct pm_stream s = {.task = task_errand, .source = leak_source};
	const struct pm_result *r;
	pm_pool *pool = rig_open(o);
	pm_iter *it = NULL;
	pm_future *map = NULL, *job = submit(pool, DO_ECHO, 0, 0);
	cr_assert_geq(pm_pool_fd(pool), 0);
	s.ctx = &given[0];
	cr_assert_eq(pm_imap(pool, &s, &it), 0);
	s.ctx = &given[1];
	s.sink = leak_sink;
	s.timeout_ms = 60000;
	cr_assert_eq(pm_map_async(pool, &s, &map), 0);
	cr_assert_eq(pm_future_on_done(map, count_done, &called), 0);
	cr_assert_eq(pm_future_on_done(job, count_done, &called), 0);
	pm_future_free(&job);
	cr_assert_eq(pm_next(it, 20000, &r), PM_NEXT_RESULT);
	pm_pool_close(&pool);
	cr_assert_eq(called, 2);
	cr_assert_eq(pm_future_state(map), PM_DONE);
	pm_iter_close(&it);
	pm_future_free(&map);
}

Test(leaks, everything_left_open, .timeout = LIMIT)
{
	repeat(leave_everything_open, cycles(200));
}

static void die_and_close(const struct pm_pool_options *o)
{
	pm_pool *pool = rig_open(o);
	struct errands e = errands_new(6, DO_ECHO, 0);
	e.list[2].what = DO_EXIT;
	e.jobs[2].once = true;
	cr_assert_eq(pm_map(pool, task_errand, e.jobs, e.ct, e.results), 0);
	check_error(e.results[2].error, PM_EWORKERLOST, "it");
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(leaks, deaths, .timeout = LIMIT)
{
	repeat(die_and_close, cycles(100));
}

/* Nobody is on the way in or out. */
static bool is_settled(void *pool)
{
	struct pm_worker_info info;
	unsigned processes = 0;
	for (unsigned i = 0; pm_worker_info(pool, i, &info) == 0; i++) {
		processes += info.pid != 0;
	}
	return all_ready(pool) && processes == rig_stats(pool).workers;
}

/* One pool for all: what each job, future, map and iterator leaves in it. */
Test(leaks, one_pool_for_all, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 8);
	o.max_jobs_per_worker = 50;
	pm_pool *pool = rig_full_pool(&o);
	struct footprint was;
	unsigned ct = cycles(1000);
	for (unsigned i = 0; i < ct; i++) {
		unsigned given = 0;
		struct pm_stream s = {
			.task = task_errand, .source = leak_source, .ctx = &given};
		const struct pm_result *r;
		pm_iter *it = NULL;
		pm_future *f = submit(pool, i % 2 ? DO_NAP : DO_ECHO, 1, 1);
		cr_assert_eq(pm_imap(pool, &s, &it), 0);
		cr_assert_eq(pm_next(it, 20000, &r), PM_NEXT_RESULT);
		(void)pm_future_cancel(f);
		pm_iter_close(&it);
		(void)end_of(&f);
		if (i == ct / 2) {
			run_until(pool, is_settled, pool);
			was = footprint();
		}
	}
	run_until(pool, is_settled, pool);
	check_same(&was, ct);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}
