/* SPDX-License-Identifier: MIT
 *
 * Integration tests of what meets seldom: a map that is stopped and cancelled, a
 * join in a callback of the array that is drained, limits while a pool drains,
 * workers that are replaced twice while an old one is at work, logs that call.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* ------------------------------------------------------ stopped, then cancelled */

static void cancel_on_error(void *ctx, const struct pm_result *r)
{
	if (r->error) {
		pm_pool_cancel(ctx);
	}
}

/* What was cancelled has no results to give: none may look like a success. */
Test(corners, a_stopped_map_that_is_cancelled, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct errands e = errands_new(8, DO_NAP, 20000);
	struct pm_result untouched = {.index = 77};
	struct pm_map_options o = {.stop_on = PM_STOP_FIRST_ERROR,
		.on_result = cancel_on_error,
		.ctx = pool};
	e.list[0].what = DO_FAIL;
	for (size_t i = 0; i < e.ct; i++) {
		e.results[i] = untouched;
	}
	check_error(pm_map_with(pool, task_errand, e.jobs, e.ct, &o, e.results),
		PM_ECANCELLED, "the map");
	for (size_t i = 0; i < e.ct; i++) {
		cr_assert_eq(e.results[i].index, 77);
	}
	rig_check_works(pool);
	errands_free(&e);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------- a join in a callback */

struct joiner {
	pm_pool *pool;
	size_t calls;
	int join;
};

static void drain_and_join(void *ctx, const struct pm_result *r)
{
	struct joiner *j = ctx;
	(void)r;
	if (j->calls++ == 0) {
		cr_assert_eq(pm_pool_shutdown(j->pool, PM_DRAIN, PM_FOREVER), 0);
		j->join = pm_pool_join(j->pool, 20000);
	}
}

/* The rest of the array must not wait for the callback, which waits for it. */
Test(corners, on_result_may_join_the_pool, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	struct errands e = errands_new(40, DO_ECHO, 0);
	struct joiner j = {.pool = pool, .join = 1};
	struct pm_map_options o = {.on_result = drain_and_join, .ctx = &j};
	cr_assert_eq(pm_map_with(pool, task_errand, e.jobs, e.ct, &o, e.results), 0);
	check_error(j.join, 0, "the join");
	cr_assert_eq(j.calls, e.ct);
	errands_check(&e);
	errands_free(&e);
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------- limits in a drain */

struct feeder {
	struct errand now;
	uint32_t given, got, late;
	int waits; /* PM_SOURCE_WAIT after so many */
};

static int feeder_source(void *ctx, struct pm_job *job)
{
	struct feeder *f = ctx;
	if ((int)f->given == f->waits) {
		return PM_SOURCE_WAIT;
	}
	f->now =
		(struct errand){.number = f->given++, .what = DO_NAP, .value = 3600000};
	*job = PM_JOB(f->now);
	return PM_SOURCE_JOB;
}

static int feeder_sink(void *ctx, const struct pm_result *r)
{
	struct feeder *f = ctx;
	f->got++;
	f->late += r->error == PM_ETIMEDOUT;
	return PM_SINK_TAKEN;
}

/* Its source was not at its end when the pool began to drain. */
Test(corners, the_time_limit_of_a_map_holds_while_the_pool_drains, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feeder f = {.waits = 3};
	struct pm_stream s = {.task = task_errand,
		.source = feeder_source,
		.sink = feeder_sink,
		.ctx = &f,
		.timeout_ms = 700};
	pm_future *map = NULL;
	cr_assert_eq(pm_map_async(pool, &s, &map), 0);
	run_until_inside(pool, 3);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	check_error(pm_pool_join(pool, 15000), 0, "the join");
	cr_assert_eq(f.got, 3);
	cr_assert_eq(f.late, 3);
	check_error(pm_future_result(map)->error, PM_ETIMEDOUT, "the map");
	pm_future_free(&map);
	pm_pool_close(&pool);
}

/* ----------------------------------------------------------- workers replaced */

static bool has_recycled(void *ctx)
{
	const struct pm_future *const *f = ctx;
	return pm_future_state(f[0]) == PM_DONE;
}

/* One worker is at work for long.  Its successor is replaced, too, and then there is
 * no spare slot: the next process in its place must leave room for the first one. */
Test(corners, no_more_tasks_than_may_be_when_a_successor_is_replaced, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 2);
	o.max_jobs_per_worker = 2;
	pm_pool *pool = rig_open(&o);
	pm_future *first = submit(pool, DO_WAIT, 0, 0);
	for (uint32_t i = 1; i < 8; i++) {
		pm_future *f = submit(pool, DO_ECHO, i, 0);
		run_until(pool, has_recycled, &f);
		pm_future_free(&f);
	}
	pm_future *more[3];
	for (uint32_t i = 0; i < 3; i++) {
		more[i] = submit(pool, DO_NAP, 10 + i, 300);
	}
	cr_assert_eq(pm_wait(more, 3, PM_ALL, 20000, NULL), 0);
	int most = atomic_load(&board->most);
	gate_open();
	cr_assert_eq(end_of(&first), 0);
	cr_assert_leq(most, 2, "%d tasks at once", most);
	for (uint32_t i = 0; i < 3; i++) {
		pm_future_free(&more[i]);
	}
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------- time in a queue */

static int task_queued_us(pm_task *task, const void *arg, size_t len)
{
	uint64_t us = pm_task_queued_us(task);
	(void)arg;
	(void)len;
	return pm_return(task, &us, sizeof(us));
}

static bool is_past(void *ctx)
{
	return clock_now_us() >= *(uint64_t *)ctx;
}

/* A host that has done something else for a while: the job has not waited for that. */
Test(corners, a_job_waits_since_it_was_handed_in, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	uint64_t until_us = clock_now_us() + 400000, us;
	cr_assert(wait_for(is_past, &until_us, 5000));
	pm_future *f = NULL;
	uint64_t before_us = clock_now_us();
	cr_assert_eq(pm_submit(pool, task_queued_us, &(struct pm_job){0}, &f), 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 20000, NULL), 0);
	uint64_t after_us = clock_now_us();
	memcpy(&us, pm_future_result(f)->bytes, sizeof(us));
	cr_assert_leq(us, after_us - before_us);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------- logs that call */

struct talker {
	pm_pool *pool;
	int apply;
	unsigned lines;
	bool closes;
};

static void talk(void *ctx, enum pm_log_level level, const char *line)
{
	struct talker *t = ctx;
	struct pm_result r;
	(void)line;
	if (!t->pool || level != PM_LOG_WARNING) {
		return;
	}
	t->lines++;
	t->apply = pm_apply(t->pool, task_echo, "x", 1, &r);
	if (t->closes) {
		pm_pool_terminate(&t->pool);
	}
}

static void check_log(bool closes)
{
	struct talker t = {.apply = 1, .closes = closes};
	struct pm_pool_options o = rig_options(1, 1);
	o.log = talk;
	o.log_ctx = &t;
	pm_pool *pool = rig_open(&o);
	struct errand e = {.what = DO_KILL, .value = SIGKILL};
	struct pm_job job = PM_JOB(e);
	struct pm_result r;
	job.once = true;
	t.pool = pool;
	cr_assert_eq(pm_map(pool, task_errand, &job, 1, &r), 0);
	check_error(r.error, closes ? PM_ECANCELLED : PM_EWORKERLOST, "the job");
	check_error(t.apply, PM_ESTATE, "a call that blocks, from the log");
	cr_assert_eq(t.lines, 1);
	pm_results_clear(&r, 1);
	if (!closes) {
		t.pool = NULL;
		rig_check_works(pool);
		pm_pool_close(&pool);
	}
	rig_check_nothing_left(o.runtime_dir);
}

Test(corners, a_log_cannot_wait_for_the_pool, .timeout = LIMIT)
{
	int err = dup(STDERR_FILENO);
	FILE *said = tmpfile();
	cr_assert(said && err >= 0);
	cr_assert_geq(dup2(fileno(said), STDERR_FILENO), 0);
	check_log(false);
	cr_assert_geq(dup2(err, STDERR_FILENO), 0);
	cr_assert_eq(lseek(fileno(said), 0, SEEK_END), 0, "the library prints");
	fclose(said);
	close(err);
}

Test(corners, a_log_may_terminate_the_pool, .timeout = LIMIT)
{
	check_log(true);
}

/* --------------------------------------------------------- jobs without memory */

enum { MIB = 1 << 20 };

/* In each new worker: room for the arena of nanomsg's thread and an argument of 40 MiB
 * as it arrives, but not for a copy
 * of it. */
static int init_little_memory(const void *arg, size_t len)
{
	char text[64] = "";
	struct rlimit limit;
	FILE *f = fopen("/proc/self/statm", "re");
	bool read = f && fgets(text, sizeof(text), f);
	(void)arg;
	(void)len;
	if (f) {
		fclose(f);
	}
	rlim_t pages = strtoul(text, NULL, 10);
	limit.rlim_max = limit.rlim_cur =
		pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)157 * MIB;
	return read && setrlimit(RLIMIT_AS, &limit) == 0 ? 0 : PM_ESYSTEM;
}

/* It is counted like any other, or the one after it would seem not to have begun when
 * its worker dies, and run twice. */
Test(corners, a_job_without_memory_is_counted, .timeout = LIMIT)
{
	if (RIG_SANITIZED) {
		cr_skip("sanitizers want memory for themselves");
	}
	struct pm_pool_options o = rig_options(1, 1);
	o.init = init_little_memory;
	pm_pool *pool = rig_open(&o);
	char *big = calloc(40, MIB);
	struct pm_result r;
	cr_assert_eq(pm_apply(pool, task_echo, big, (size_t)40 * MIB, &r), 0);
	check_error(r.error, PM_ENOMEM, r.message ? r.message : "-");
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_results_clear(&r, 1);
	struct errand e = {.number = 1, .what = DO_KILL, .value = SIGKILL};
	struct pm_job job = PM_JOB(e);
	job.once = true;
	cr_assert_eq(pm_map(pool, task_errand, &job, 1, &r), 0);
	check_error(r.error, PM_EWORKERLOST, "a job that is marked once");
	cr_assert_eq(atomic_load(&board->runs[1]), 1);
	pm_results_clear(&r, 1);
	free(big);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------- another thread */

struct visit {
	pm_process *process;
	bool alive;
	int close;
};

static void *visit(void *ctx)
{
	struct visit *v = ctx;
	v->alive = pm_process_alive(v->process);
	v->close = pm_process_close(&v->process);
	return NULL;
}

static void visit_by_a_thread(struct visit *v)
{
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, visit, v), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(corners, a_process_belongs_to_its_thread, .timeout = LIMIT)
{
	struct errand e = {.what = DO_WAIT};
	pm_process *p = NULL;
	cr_assert_eq(pm_process_start(&p, task_errand, &e, sizeof(e), "p"), 0);
	struct visit v = {.process = p};
	visit_by_a_thread(&v);
	cr_assert(v.alive);
	check_error(v.close, PM_ESTATE, "close");
	gate_open();
	cr_assert_eq(pm_process_join(p, 20000), 0);
	visit_by_a_thread(&v);
	cr_assert_not(v.alive);
	check_error(v.close, PM_ESTATE, "close");
	cr_assert_eq(v.process, p);
	cr_assert_eq(report_of(pm_process_result(p)).number, 0);
	cr_assert_eq(pm_process_close(&p), 0);
}
