/* SPDX-License-Identifier: MIT
 *
 * pm_map_stream(): lazy, bounded, in order or as completed, and stopped from
 * outside.
 */
#include "tests/support/pool_rig.h"

/* -------------------------------------------------------------------- tasks */

/* What a job of these tests says. */
struct order {
	uint32_t number;
	uint32_t sleep_ms;
	uint32_t result_bytes; /* beside the number */
};

static int task_obey(pm_task *task, const void *arg, size_t len)
{
	struct order o;
	(void)len;
	memcpy(&o, arg, sizeof(o));
	atomic_fetch_add(&board->runs[o.number % BOARD_JOBS], 1);
	board_enter();
	int err = o.sleep_ms ? pm_sleep(task, o.sleep_ms) : 0;
	board_leave();
	if (err) {
		return err;
	}
	char *bytes = calloc(1, sizeof(o.number) + o.result_bytes);
	if (!bytes) {
		return PM_ENOMEM;
	}
	memcpy(bytes, &o.number, sizeof(o.number));
	err = pm_return(task, bytes, sizeof(o.number) + o.result_bytes);
	free(bytes);
	return err;
}

/* ------------------------------------------------------------------- stream */

/* Both ends of a stream of `total` jobs, and what they have seen. */
struct ends {
	pm_pool *pool;
	struct event_base *base;
	struct event *timer;

	/* the plan */
	uint32_t total;
	uint32_t sleep_of_first_ms;
	uint32_t sleep_ms, sleep_max_ms;  /* of the others: at least, and at random */
	uint32_t short_job;               /* this one does not sleep at all; 0: none */
	uint32_t arg_bytes, result_bytes; /* beside the order */
	bool any_order;
	int source_error_at, sink_error_at; /* job, or result; 0: none */
	int source_error, sink_error;

	/* what has happened */
	uint32_t pulled, delivered;
	uint32_t most_open;              /* pulled and not delivered, ever */
	uint64_t open_bytes, most_bytes; /* arguments of these */
	uint32_t out_of_order;
	uint32_t turns, since_turn; /* results that no turn has followed */
	uint32_t wrong;             /* results that are not what was asked for */

	/* doors, for tests of waiting */
	uint32_t may_pull, may_take; /* so many; the default is all */
	uint32_t asked_while_shut;
	unsigned char *buffer;
};

static struct ends ends_new(pm_pool *pool, uint32_t total)
{
	return (struct ends){.pool = pool,
		.total = total,
		.may_pull = UINT32_MAX,
		.may_take = UINT32_MAX};
}

static uint32_t some_ms(uint32_t number, uint32_t max)
{
	return max ? (number * 2654435761u >> 7) % (max + 1) : 0;
}

/* One buffer for all jobs: the library has to copy. */
static int ends_source(void *ctx, struct pm_job *job)
{
	struct ends *e = ctx;
	uint32_t open = e->pulled - e->delivered;
	e->most_open = open > e->most_open ? open : e->most_open;
	e->most_bytes = e->open_bytes > e->most_bytes ? e->open_bytes : e->most_bytes;
	if (e->source_error_at && e->pulled == (uint32_t)e->source_error_at) {
		return e->source_error;
	}
	if (e->pulled == e->total) {
		return PM_SOURCE_END;
	}
	if (e->pulled >= e->may_pull) {
		e->asked_while_shut++;
		return PM_SOURCE_WAIT;
	}
	struct order o = {.number = e->pulled,
		.sleep_ms = e->pulled
				    ? e->sleep_ms + some_ms(e->pulled, e->sleep_max_ms)
				    : e->sleep_of_first_ms,
		.result_bytes = e->result_bytes};
	if (!e->buffer) {
		e->buffer = calloc(1, sizeof(o) + e->arg_bytes);
	}
	if (e->short_job && o.number == e->short_job) {
		o.sleep_ms = 0;
	}
	memcpy(e->buffer, &o, sizeof(o));
	job->arg = e->buffer;
	job->len = sizeof(o) + e->arg_bytes;
	e->open_bytes += job->len;
	e->pulled++;
	return PM_SOURCE_JOB;
}

static bool is_right(const struct ends *e, const struct pm_result *r)
{
	return r->error == 0 && r->len == sizeof(uint32_t) + e->result_bytes &&
	       task_number(r->bytes) == r->index &&
	       r->arg_len == sizeof(struct order) + e->arg_bytes &&
	       task_number(r->arg) == r->index && r->attempts == 1;
}

static int ends_sink(void *ctx, const struct pm_result *r)
{
	struct ends *e = ctx;
	if (e->sink_error_at && e->delivered == (uint32_t)e->sink_error_at) {
		e->since_turn++;
		return e->sink_error;
	}
	if (e->delivered >= e->may_take) {
		e->asked_while_shut++;
		return PM_SINK_WAIT;
	}
	e->out_of_order += r->index != e->delivered;
	e->wrong += !is_right(e, r);
	e->delivered++;
	e->since_turn++;
	e->open_bytes -= r->arg_len;
	return PM_SINK_TAKEN;
}

static void ends_turn(void *ctx)
{
	struct ends *e = ctx;
	e->turns++;
	e->since_turn = 0;
}

static int ends_run(struct ends *e, struct pm_stream plan)
{
	plan.task = task_obey;
	plan.source = ends_source;
	plan.sink = ends_sink;
	plan.ctx = e;
	plan.unordered = e->any_order;
	int err = pm_map_stream(e->pool, &plan);
	free(e->buffer);
	e->buffer = NULL;
	return err;
}

/* All is delivered, each job ran once. */
static void ends_check(const struct ends *e)
{
	cr_assert_eq(e->pulled, e->total);
	cr_assert_eq(e->delivered, e->total, "%u of %u", e->delivered, e->total);
	cr_assert_eq(e->wrong, 0, "%u results are wrong", e->wrong);
	for (uint32_t i = 0; i < e->total && i < BOARD_JOBS; i++) {
		unsigned runs = atomic_load(&board->runs[i]);
		cr_assert_eq(runs, (e->total - 1 - i) / BOARD_JOBS + 1,
			"job %u ran %u times", i, runs);
	}
	cr_assert(e->any_order || e->out_of_order == 0, "%u out of order",
		e->out_of_order);
}

/* A pool on a base of the test's own, for timers. */
static struct ends ends_on_base(uint32_t total, unsigned concurrency, unsigned timer_ms,
	event_callback_fn timer_cb, struct ends *at)
{
	struct pm_pool_options o = rig_options(2, concurrency);
	struct timeval tv = {
		.tv_sec = timer_ms / 1000, .tv_usec = timer_ms % 1000 * 1000};
	struct event_base *base = event_base_new();
	o.base = base;
	struct ends e = ends_new(rig_open(&o), total);
	e.base = base;
	e.timer = event_new(base, -1, EV_PERSIST, timer_cb, at);
	event_add(e.timer, &tv);
	return e;
}

static void ends_close(struct ends *e)
{
	pm_pool_close(&e->pool);
	if (e->base) {
		event_free(e->timer);
		event_base_free(e->base);
	}
}

/* -------------------------------------------------------------------- order */

Test(stream, delivers_in_the_order_of_the_jobs, .timeout = 60)
{
	struct ends e = ends_new(rig_pool(2, 50), 3000);
	e.sleep_max_ms = 20;
	cr_assert_eq(ends_run(&e, (struct pm_stream){0}), 0);
	ends_check(&e);
	ends_close(&e);
}

Test(stream, delivers_each_result_once_when_unordered, .timeout = 60)
{
	struct ends e = ends_new(rig_pool(2, 50), 3000);
	e.any_order = true;
	e.sleep_of_first_ms = 200;
	e.sleep_max_ms = 20;
	cr_assert_eq(ends_run(&e, (struct pm_stream){0}), 0);
	ends_check(&e);
	cr_assert_gt(e.out_of_order, 100, "that was in order");
	ends_close(&e);
}

Test(stream, of_nothing_ends_at_once, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(1, 1), 0);
	cr_assert_eq(ends_run(&e, (struct pm_stream){0}), 0);
	cr_assert_eq(e.delivered, 0);
	rig_check_works(e.pool);
	ends_close(&e);
}

Test(stream, refuses_plans_that_make_no_sense, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(1, 1), 3);
	struct pm_stream plan = {
		.task = task_obey, .source = ends_source, .sink = ends_sink, .ctx = &e};
	struct pm_stream bad[4] = {plan, plan, plan, plan};
	bad[0].task = NULL;
	bad[1].source = NULL;
	bad[2].sink = NULL;
	bad[3].window = PM_WINDOW_MAX + 1;
	for (int i = 0; i < 4; i++) {
		int err = pm_map_stream(e.pool, &bad[i]);
		cr_assert_eq(err, PM_EINVAL, "plan %d: %s", i, pm_error_name(err));
	}
	cr_assert_eq(pm_map_stream(e.pool, NULL), PM_EINVAL);
	cr_assert_eq(pm_map_stream(NULL, &plan), PM_EINVAL);
	cr_assert_eq(e.pulled, 0);
	plan.window = PM_WINDOW_MAX;
	cr_assert_eq(pm_map_stream(e.pool, &plan), 0);
	ends_check(&e);
	free(e.buffer);
	ends_close(&e);
}

/* ------------------------------------------------------------------- window */

Test(stream, reads_its_source_no_further_than_the_window, .timeout = 30)
{
	static const size_t windows[] = {1, 2, 10, 77};
	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		struct ends e = ends_new(rig_pool(2, 16), 500);
		e.sleep_of_first_ms = 100; /* the others pile up behind it */
		memset(board, 0, sizeof(*board));
		cr_assert_eq(ends_run(&e, (struct pm_stream){.window = windows[i]}), 0);
		ends_check(&e);
		cr_assert_eq(e.most_open, windows[i] - 1,
			"window %zu: asked for one more with %u open", windows[i],
			e.most_open);
		ends_close(&e);
	}
}

/* Nor further than it can use: no reader wants the whole input in memory. */
Test(stream, holds_the_window_also_when_unordered, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 16), 500);
	e.any_order = true;
	e.sleep_max_ms = 2;
	cr_assert_eq(ends_run(&e, (struct pm_stream){.window = 20}), 0);
	ends_check(&e);
	cr_assert_lt(e.most_open, 20);
	ends_close(&e);
}

Test(stream, holds_its_window_of_bytes_of_arguments, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 16), 100);
	e.sleep_of_first_ms = 100;
	e.arg_bytes = 100000;
	cr_assert_eq(ends_run(&e, (struct pm_stream){.window_bytes = 1000000}), 0);
	ends_check(&e);
	cr_assert_lt(e.most_bytes, 1000000, "asked for more with %llu open bytes",
		(unsigned long long)e.most_bytes);
	cr_assert_geq(e.most_bytes, 300000, "it did not use its window");
	ends_close(&e);
}

/* While the first job sleeps, the results of the others fill the window. */
Test(stream, holds_its_window_of_bytes_of_results, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 4), 60);
	e.sleep_of_first_ms = 300;
	e.result_bytes = 1000000;
	cr_assert_eq(ends_run(&e, (struct pm_stream){.window_bytes = 8000000}), 0);
	ends_check(&e);
	/* 8 that fit, and what was running when they were full */
	cr_assert_leq(e.most_open, 8 + 4, "%u open", e.most_open);
	cr_assert_geq(
		e.most_open, 4, "%u open: it did not use its window", e.most_open);
	ends_close(&e);
}

Test(stream, takes_jobs_larger_than_its_window_one_by_one, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 4), 5);
	e.arg_bytes = 3000000;
	e.result_bytes = 3000000;
	cr_assert_eq(ends_run(&e, (struct pm_stream){.window_bytes = 1000}), 0);
	ends_check(&e);
	cr_assert_eq(
		e.most_open, 0, "%u open beside a job over the window", e.most_open);
	ends_close(&e);
}

static long resident_bytes(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	cr_assert(f && fscanf(f, "%*d %ld", &pages) == 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

struct growth {
	struct ends ends;
	long early;
};

static int growth_source(void *ctx, struct pm_job *job)
{
	struct growth *g = ctx;
	if (g->ends.pulled == g->ends.total / 10) {
		g->early = resident_bytes();
	}
	return ends_source(&g->ends, job);
}

static int growth_sink(void *ctx, const struct pm_result *r)
{
	struct growth *g = ctx;
	return ends_sink(&g->ends, r);
}

/* 300,000 jobs with 200 bytes each way would be 120 MB and more. */
Test(stream, does_not_grow_with_the_number_of_jobs, .timeout = 60)
{
	struct growth g = {.ends = ends_new(rig_pool(2, 32), 300000)};
	struct pm_stream plan = {.task = task_obey,
		.source = growth_source,
		.sink = growth_sink,
		.ctx = &g,
		.window = 5000};
	g.ends.arg_bytes = g.ends.result_bytes = 200;
	cr_assert_eq(pm_map_stream(g.ends.pool, &plan), 0);
	long grown = resident_bytes() - g.early;
	ends_check(&g.ends);
	cr_assert_lt(g.ends.most_open, 5000);
	if (!RIG_SANITIZED) {
		cr_assert_lt(grown, 16 << 20, "grown by %ld bytes", grown);
	}
	free(g.ends.buffer);
	ends_close(&g.ends);
}

/* ------------------------------------------------------------------ waiting */

static void open_source_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct ends *e = ctx;
	(void)fd;
	(void)what;
	/* one more each time, and not before the one before it was delivered: a
	 * result must not wait for the next job */
	if (e->delivered == e->may_pull) {
		e->may_pull++;
		pm_pool_wake(e->pool);
	}
}

Test(stream, asks_a_source_that_waits_when_it_is_woken, .timeout = 30)
{
	struct ends e;
	e = ends_on_base(20, 4, 2, open_source_cb, &e);
	e.may_pull = 0;
	cr_assert_eq(ends_run(&e, (struct pm_stream){0}), 0);
	ends_check(&e);
	cr_assert_geq(e.asked_while_shut, 20);
	cr_assert_leq(
		e.asked_while_shut, 200, "a waiting source is asked again and again");
	ends_close(&e);
}

static void open_sink_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct ends *e = ctx;
	(void)fd;
	(void)what;
	e->may_take += 7;
	pm_pool_wake(e->pool);
}

static void check_slow_sink(bool any_order)
{
	struct ends e;
	e = ends_on_base(200, 8, 2, open_sink_cb, &e);
	e.may_take = 0;
	e.any_order = any_order;
	memset(board, 0, sizeof(*board));
	cr_assert_eq(ends_run(&e, (struct pm_stream){.window = 30}), 0);
	ends_check(&e);
	cr_assert_lt(e.most_open, 30, "%u open", e.most_open);
	cr_assert_gt(e.asked_while_shut, 0);
	ends_close(&e);
}

Test(stream, stops_its_source_while_the_sink_waits, .timeout = 30)
{
	check_slow_sink(false);
	check_slow_sink(true);
}

/* ------------------------------------------------------------------- errors */

Test(stream, delivers_what_came_before_an_error_of_the_source, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 8), 1000);
	e.sleep_max_ms = 10;
	e.source_error_at = 100;
	e.source_error = PM_EBADURL;
	cr_assert_eq(ends_run(&e, (struct pm_stream){0}), PM_EBADURL);
	cr_assert_eq(e.pulled, 100);
	cr_assert_eq(e.delivered, 100);
	cr_assert_eq(e.wrong, 0);
	cr_assert_eq(e.out_of_order, 0);
	rig_check_works(e.pool);
	ends_close(&e);
}

static int too_big_source(void *ctx, struct pm_job *job)
{
	int step = ends_source(ctx, job);
	struct ends *e = ctx;
	job->len = e->pulled == 4 ? 64 << 20 : job->len;
	return step;
}

Test(stream, ends_with_an_argument_that_is_too_big, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4);
	o.max_bytes = 1000;
	struct ends e = ends_new(rig_open(&o), 10);
	struct pm_stream plan = {.task = task_obey,
		.source = too_big_source,
		.sink = ends_sink,
		.ctx = &e};
	cr_assert_eq(pm_map_stream(e.pool, &plan), PM_ETOOBIG);
	cr_assert(strstr(pm_last_error(), "job 3"), "%s", pm_last_error());
	cr_assert_eq(e.delivered, 3);
	cr_assert_eq(e.wrong, 0);
	free(e.buffer);
	rig_check_works(e.pool);
	ends_close(&e);
}

/* The tasks that sleep for a minute are told to stop, and stop. */
Test(stream, is_cancelled_by_an_error_of_its_sink, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 8), 1000);
	uint64_t before = clock_now_ms();
	e.sleep_of_first_ms = 50;
	e.sleep_ms = 60000;
	e.sink_error_at = 1;
	e.sink_error = PM_ESYSTEM;
	e.any_order = true;
	e.short_job = 5;
	int err = ends_run(&e, (struct pm_stream){0});
	cr_assert_eq(err, PM_ESYSTEM, "%s", pm_error_name(err));
	cr_assert_eq(e.delivered, 1, "the sink was asked again after its error");
	cr_assert_lt(clock_now_ms() - before, 20000);
	cr_assert(wait_for(board_is_quiet, NULL, 10000), "tasks still sleep");
	rig_check_works(e.pool);
	ends_close(&e);
}

/* ------------------------------------------------------------------- cancel */

static void cancel_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct ends *e = ctx;
	(void)fd;
	(void)what;
	if (atomic_load(&board->most) == 16) { /* all have begun */
		atomic_store(&board->most, 0);
		pm_pool_cancel(e->pool);
	}
}

Test(stream, can_be_cancelled_while_tasks_sleep, .timeout = 60)
{
	struct ends e;
	e = ends_on_base(1000, 16, 5, cancel_cb, &e);
	for (int i = 0; i < 3; i++) {
		uint64_t before = clock_now_ms();
		memset(board, 0, sizeof(*board));
		e.pulled = e.delivered = 0;
		e.sleep_of_first_ms = e.sleep_ms = 60000;
		int err = ends_run(&e, (struct pm_stream){.window = 100});
		cr_assert_eq(err, PM_ECANCELLED, "%s", pm_error_name(err));
		cr_assert_eq(e.delivered, 0);
		cr_assert_lt(clock_now_ms() - before, 10000);
		cr_assert(wait_for(board_is_quiet, NULL, 10000), "tasks still sleep");
		rig_check_works(e.pool);
		cr_assert_eq(rig_stats(e.pool).held, 0);
	}
	cr_assert_eq(rig_stats(e.pool).workers_lost, 0);
	ends_close(&e);
}

static int cancelling_sink(void *ctx, const struct pm_result *r)
{
	struct ends *e = ctx;
	int step = ends_sink(e, r);
	if (e->delivered == 10) {
		pm_pool_cancel(e->pool);
	}
	return step;
}

Test(stream, can_be_cancelled_by_its_sink, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 8), 100000);
	struct pm_stream plan = {.task = task_obey,
		.source = ends_source,
		.sink = cancelling_sink,
		.ctx = &e};
	int err = pm_map_stream(e.pool, &plan);
	cr_assert_eq(err, PM_ECANCELLED, "%s", pm_error_name(err));
	cr_assert_eq(e.delivered, 10, "%u were delivered", e.delivered);
	free(e.buffer);
	rig_check_works(e.pool);
	ends_close(&e);
}

static int cancelling_source(void *ctx, struct pm_job *job)
{
	struct ends *e = ctx;
	if (e->pulled == 10) {
		pm_pool_cancel(e->pool);
	}
	return ends_source(ctx, job);
}

Test(stream, can_be_cancelled_by_its_source, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 8), 100000);
	struct pm_stream plan = {.task = task_obey,
		.source = cancelling_source,
		.sink = ends_sink,
		.ctx = &e};
	int err = pm_map_stream(e.pool, &plan);
	cr_assert_eq(err, PM_ECANCELLED, "%s", pm_error_name(err));
	cr_assert_lt(e.pulled, 1000);
	free(e.buffer);
	rig_check_works(e.pool);
	ends_close(&e);
}

Test(stream, is_not_cancelled_by_a_cancel_before_it, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 2);
	pm_pool_cancel(pool);
	pm_pool_wake(pool);
	rig_check_works(pool);
	pm_pool_cancel(pool);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------ deaf tasks */

/* Does not listen to a cancellation, for a minute. */
static int task_deaf(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	board_enter();
	for (int i = 0; i < 6000; i++) {
		if (pm_sleep(task, 10)) {
			atomic_store(&board->seen, 1);
			break;
		}
	}
	uint64_t until = clock_now_ms() + 60000;
	while (clock_now_ms() < until && atomic_load(&board->seen) != 2) {
		/* as bad as a task can be */
	}
	board_leave();
	return 0;
}

static void cancel_soon_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct ends *e = ctx;
	(void)fd;
	(void)what;
	if (atomic_load(&board->inside) == 1) {
		pm_pool_cancel(e->pool);
	}
}

/* Its worker has a grace when the pool is closed, and none when it is ended. */
Test(stream, does_not_keep_a_pool_open_by_a_deaf_task, .timeout = 60)
{
	struct ends e;
	struct pm_job job = {.arg = "", .len = 0};
	struct pm_result r;
	e = ends_on_base(1, 1, 5, cancel_soon_cb, &e);
	cr_assert_eq(pm_map(e.pool, task_deaf, &job, 1, &r), PM_ECANCELLED);
	uint64_t before = clock_now_ms();
	pm_pool_close(&e.pool);
	cr_assert_lt(clock_now_ms() - before, 15000);
	cr_assert_eq(rig_workers(NULL, 0), 0);
	ends_close(&e);
}

Test(stream, ends_at_once_by_terminate_with_a_deaf_task, .timeout = 60)
{
	struct ends e;
	struct pm_job job = {.arg = "", .len = 0};
	struct pm_result r;
	e = ends_on_base(1, 1, 5, cancel_soon_cb, &e);
	cr_assert_eq(pm_map(e.pool, task_deaf, &job, 1, &r), PM_ECANCELLED);
	uint64_t before = clock_now_ms();
	pm_pool_terminate(&e.pool);
	cr_assert_lt(clock_now_ms() - before, 3000);
	cr_assert_eq(rig_workers(NULL, 0), 0);
	ends_close(&e);
}

/* --------------------------------------------------------------------- turn */

Test(stream, says_when_a_batch_of_results_is_over, .timeout = 30)
{
	struct ends e = ends_new(rig_pool(2, 16), 2000);
	e.sleep_max_ms = 3;
	cr_assert_eq(ends_run(&e, (struct pm_stream){.turn = ends_turn}), 0);
	ends_check(&e);
	cr_assert_gt(e.turns, 1);
	cr_assert_leq(e.turns, 20000, "%u turns for 2000 results", e.turns);
	cr_assert_eq(
		e.since_turn, 0, "no turn followed the last %u results", e.since_turn);
	ends_close(&e);
}
