/* SPDX-License-Identifier: MIT
 *
 * A pool as its host sees it: it shares a process, a thread and a loop with others, and
 * leaves nothing behind.
 */
#include "tests/support/pool_rig.h"

static int task_sleep_a_little(pm_task *task, const void *arg, size_t len)
{
	int err = pm_sleep(task, 20);
	return err ? err : pm_return(task, arg, len);
}

/* -------------------------------------------------------------- open, close */

Test(pool, opens_with_defaults_works_and_closes, .timeout = 30)
{
	pm_pool *pool = NULL;
	int err = pm_pool_open(&pool, NULL);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_eq(rig_stats(pool).workers, pm_cpus());
	cr_assert_eq(rig_stats(pool).concurrency, 128);
	rig_check_works(pool);
	pm_pool_close(&pool);
	cr_assert_null(pool);
	cr_assert(wait_for(has_no_workers, NULL, 5000), "workers are left");
}

Test(pool, has_no_worker_any_more_when_close_returns, .timeout = 30)
{
	pm_pool *pool = rig_pool(3, 6);
	rig_check_works(pool);
	pm_pool_close(&pool);
	cr_assert_eq(rig_workers(NULL, 0), 0);
}

Test(pool, is_gone_after_terminate, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4);
	pm_pool *pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_terminate(&pool);
	cr_assert_null(pool);
	rig_check_nothing_left(o.runtime_dir);
}

Test(pool, closes_without_ever_having_been_used, .timeout = 30)
{
	struct pm_pool_options o = rig_options(4, 4);
	pm_pool *pool = rig_open(&o);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
	pool = rig_open(&o);
	pm_pool_terminate(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

Test(pool, takes_null_for_a_pool_that_is_closed, .timeout = 10)
{
	pm_pool *none = NULL;
	pm_pool_close(NULL);
	pm_pool_close(&none);
	pm_pool_terminate(NULL);
	pm_pool_terminate(&none);
	cr_assert_null(none);
}

/* -------------------------------------------------------------- many pools */

Test(pool, can_be_opened_again_and_again, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4);
	for (int i = 0; i < 5; i++) {
		pm_pool *pool = rig_open(&o);
		rig_check_works(pool);
		pm_pool_close(&pool);
	}
	rig_check_nothing_left(o.runtime_dir);
}

Test(pool, works_beside_other_pools_of_its_thread, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4);
	pm_pool *a = rig_open(&o), *b = rig_open(&o), *c = rig_open(&o);
	for (int i = 0; i < 3; i++) {
		rig_check_works(a);
		rig_check_works(b);
		rig_check_works(c);
	}
	pm_pool_terminate(&b);
	rig_check_works(a);
	pm_pool_close(&a);
	rig_check_works(c);
	cr_assert_eq(entries_of(o.runtime_dir), 1);
	pm_pool_close(&c);
	rig_check_nothing_left(o.runtime_dir);
}

/* More than one process can serve, and more than one would open: the last one
 * opens or says why not, and those before it do not notice. */
Test(pool, refuses_too_many_pools_cleanly, .timeout = 60)
{
	enum { MANY = 70 };
	struct pm_pool_options o = rig_options(1, 1);
	pm_pool *pools[MANY] = {NULL};
	int err = 0, ct = 0;
	while (ct < MANY && !(err = pm_pool_open(&pools[ct], &o))) {
		ct++;
	}
	cr_assert_geq(ct, 32, "only %d pools: %s", ct, pm_last_error());
	if (err) {
		cr_assert_eq(err, PM_ELIMIT, "pool %d: %s: %s", ct, pm_error_name(err),
			pm_last_error());
	}
	for (int i = 0; i < ct; i++) {
		rig_check_works(pools[i]);
		pm_pool_terminate(&pools[i]);
	}
	rig_check_nothing_left(o.runtime_dir);
}

/* --------------------------------------------------------------- callbacks */

/* A map that tries another map from each of its callbacks. */
struct nested {
	pm_pool *pool, *other;
	struct pm_job job;
	unsigned pulled, delivered, turns;
	int in_source, in_sink, in_turn, in_timer, other_error;
};

static int try_map(struct nested *n, pm_pool *pool)
{
	struct pm_result r;
	int err = pm_map(pool, task_echo, &n->job, 1, &r);
	if (!err) {
		pm_results_clear(&r, 1);
	}
	return err;
}

static int nested_source(void *ctx, struct pm_job *job)
{
	struct nested *n = ctx;
	n->in_source = try_map(n, n->pool);
	*job = n->job;
	return n->pulled++ < 10 ? PM_SOURCE_JOB : PM_SOURCE_END;
}

static int nested_sink(void *ctx, const struct pm_result *result)
{
	struct nested *n = ctx;
	n->in_sink = try_map(n, n->pool);
	n->other_error = try_map(n, n->other);
	n->delivered += result->error == 0;
	return PM_SINK_TAKEN;
}

static void nested_turn(void *ctx)
{
	struct nested *n = ctx;
	n->in_turn = try_map(n, n->pool);
	n->turns++;
}

static void nested_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct nested *n = ctx;
	(void)fd;
	(void)what;
	n->in_timer = try_map(n, n->pool);
}

Test(pool, refuses_a_map_within_a_map, .timeout = 30)
{
	struct event_base *base = event_base_new();
	struct pm_pool_options o = rig_options(2, 2);
	struct nested n = {.other = rig_pool(1, 1), .job = {.arg = "abc", .len = 3}};
	struct timeval soon = {.tv_usec = 1000};
	o.base = base;
	n.pool = rig_open(&o);
	struct event *timer = event_new(base, -1, EV_PERSIST, nested_timer, &n);
	event_add(timer, &soon);
	struct pm_stream stream = {.task = task_sleep_a_little,
		.source = nested_source,
		.sink = nested_sink,
		.turn = nested_turn,
		.ctx = &n};
	cr_assert_eq(pm_map_stream(n.pool, &stream), 0, "%s", pm_last_error());
	event_free(timer);
	cr_assert_eq(n.delivered, 10);
	cr_assert_eq(n.in_source, PM_ESTATE, "source: %s", pm_error_name(n.in_source));
	cr_assert_eq(n.in_sink, PM_ESTATE, "sink: %s", pm_error_name(n.in_sink));
	cr_assert_eq(n.in_timer, PM_ESTATE, "timer: %s", pm_error_name(n.in_timer));
	cr_assert_gt(n.turns, 0);
	cr_assert_eq(n.in_turn, PM_ESTATE, "turn: %s", pm_error_name(n.in_turn));
	cr_assert_eq(
		n.other_error, 0, "another pool's: %s", pm_error_name(n.other_error));
	pm_pool_close(&n.pool);
	pm_pool_close(&n.other);
	event_base_free(base);
}

/* ---------------------------------------------------------------- host base */

static void count_tick(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	++*(unsigned *)ctx;
}

Test(pool, lets_the_timers_of_the_hosts_base_go_on, .timeout = 30)
{
	struct event_base *base = event_base_new();
	struct pm_pool_options o = rig_options(1, 1);
	struct timeval often = {.tv_usec = 5000};
	unsigned ticks = 0;
	o.base = base;
	struct event *timer = event_new(base, -1, EV_PERSIST, count_tick, &ticks);
	event_add(timer, &often);
	int before = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
	pm_pool *pool = rig_open(&o);
	struct batch b = batch_new(5); /* 100 ms: 20 ticks of an idle machine */
	ticks = 0;
	batch_map(pool, task_sleep_a_little, &b);
	batch_check(&b);
	cr_assert_geq(ticks, 5);
	batch_free(&b);
	pm_pool_close(&pool);
	int after = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
	cr_assert_eq(after, before, "%d events before, %d after", before, after);
	ticks = 0;
	cr_assert_eq(event_base_loop(base, EVLOOP_ONCE), 0, "the base is not usable");
	cr_assert_eq(ticks, 1);
	event_free(timer);
	event_base_free(base);
}

Test(pool, shares_a_base_with_another_pool, .timeout = 30)
{
	struct event_base *base = event_base_new();
	struct pm_pool_options o = rig_options(2, 2);
	o.base = base;
	pm_pool *a = rig_open(&o), *b = rig_open(&o);
	rig_check_works(a);
	rig_check_works(b);
	pm_pool_close(&a);
	rig_check_works(b);
	pm_pool_close(&b);
	event_base_free(base);
}

/* ----------------------------------------------------------------- nothing left */

static size_t threads_now(void)
{
	return entries_of("/proc/self/task");
}

Test(pool, leaves_nothing_after_200_lives, .timeout = 60)
{
	struct pm_pool_options o = rig_options(1, 2);
	pm_pool *pool = rig_open(&o); /* what is opened once and kept */
	rig_check_works(pool);
	pm_pool_close(&pool);
	size_t fds = open_fds(), threads = threads_now();
	for (int i = 0; i < 200; i++) {
		pool = rig_open(&o);
		struct batch b = batch_new(4);
		batch_map(pool, task_echo, &b);
		batch_check(&b);
		batch_free(&b);
		if (i % 2) {
			pm_pool_close(&pool);
		} else {
			pm_pool_terminate(&pool);
		}
	}
	cr_assert_eq(
		open_fds(), fds, "%zu descriptors before, %zu after", fds, open_fds());
	cr_assert_eq(threads_now(), threads);
	rig_check_nothing_left(o.runtime_dir);
	cr_assert_eq(
		process_children(getpid(), NULL, 0), 1, "more than the forkserver");
}

/* ------------------------------------------------------------------- stats */

struct watch {
	pm_pool *pool;
	unsigned most_held, most_ready;
	uint64_t pulled;
};

static int watch_source(void *ctx, struct pm_job *job)
{
	struct watch *w = ctx;
	*job = (struct pm_job){.arg = "x", .len = 1};
	return w->pulled++ < 60 ? PM_SOURCE_JOB : PM_SOURCE_END;
}

static int watch_sink(void *ctx, const struct pm_result *result)
{
	struct watch *w = ctx;
	struct pm_pool_stats s = rig_stats(w->pool);
	(void)result;
	w->most_held = s.held > w->most_held ? s.held : w->most_held;
	w->most_ready =
		s.workers_ready > w->most_ready ? s.workers_ready : w->most_ready;
	return PM_SINK_TAKEN;
}

Test(pool, counts_what_it_does, .timeout = 30)
{
	struct watch w = {.pool = rig_pool(2, 6)};
	struct pm_stream stream = {.task = task_sleep_a_little,
		.source = watch_source,
		.sink = watch_sink,
		.ctx = &w};
	cr_assert_eq(pm_map_stream(w.pool, &stream), 0);
	struct pm_pool_stats s = rig_stats(w.pool);
	cr_assert_eq(s.workers, 2);
	cr_assert_eq(s.concurrency, 6);
	cr_assert_eq(s.workers_ready, 2);
	cr_assert_eq(w.most_ready, 2);
	cr_assert_eq(s.jobs, 60);
	cr_assert_eq(s.results, 60);
	cr_assert_eq(s.held, 0);
	cr_assert_geq(w.most_held, 4, "held at most %u of 6", w.most_held);
	cr_assert_eq(s.workers_lost, 0);
	cr_assert_eq(s.jobs_rerun, 0);
	cr_assert_eq(s.frames_dropped, 0);
	rig_check_works(w.pool);
	cr_assert_eq(rig_stats(w.pool).jobs, 110);
	cr_assert_eq(rig_stats(w.pool).results, 110);
	pm_pool_close(&w.pool);
}
