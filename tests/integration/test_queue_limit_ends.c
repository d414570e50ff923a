/* SPDX-License-Identifier: MIT
 *
 * Integration tests of queue_timeout_ms when workers die, when the pool ends, and with
 * both at once: each job has run or is late.
 */
#include "tests/support/queue_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* ------------------------------------------------------------ when things die */

/* The successor of a worker that died does not start before the gate is open. */
static int wait_in_successors(const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	bool first = atomic_fetch_add(&board->runs[BOARD_JOBS - 1], 1) == 0;
	while (!first && !atomic_load(&board->seen)) {
		poll(NULL, 0, 1);
	}
	return 0;
}

static void kill_worker(const pm_pool *pool)
{
	struct pm_worker_info info;
	cr_assert_eq(pm_worker_info(pool, 0, &info), 0);
	cr_assert_eq(kill((pid_t)info.pid, SIGKILL), 0);
}

static bool is_queued(void *ctx)
{
	return pm_future_state(ctx) == PM_QUEUED;
}

/* What had begun runs again, however late; what had not keeps its limit. */
Test(queue_limit_ends, is_for_no_job_that_has_begun_with_a_worker_that_died,
	.timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 1);
	o.init = wait_in_successors;
	pm_pool *pool = rig_open(&o);
	pm_future *begun = submit_within(pool, DO_WAIT, 0, 150);
	run_until_inside(pool, 1);
	pm_future *late = submit_within(pool, DO_ECHO, 1, 200);
	kill_worker(pool);
	run_until(pool, is_queued, begun);
	check_ends_late(&late, 1, 200);
	cr_assert_eq(pm_future_state(begun), PM_QUEUED);
	gate_open();
	cr_assert_eq(pm_wait(&begun, 1, PM_ALL, 20000, NULL), 0);
	cr_assert_eq(report_of(pm_future_result(begun)).attempt, 2);
	pm_future_free(&begun);
	pm_pool_close(&pool);
}

Test(queue_limit_ends, goes_on_after_the_loss_of_a_worker, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 4);
	o.init = wait_in_successors;
	pm_pool *pool = rig_open(&o);
	pm_future *hog = submit_hog(pool);
	pm_future *f[] = {submit_within(pool, DO_ECHO, 1, 100),
		submit_within(pool, DO_ECHO, 2, 30000),
		submit_within(pool, DO_ECHO, 3, 100)};
	run_until(pool, all_sent, f);
	kill_worker(pool);
	check_ends_late(&f[0], 1, 100);
	check_ends_late(&f[2], 3, 100);
	gate_open();
	cr_assert_eq(end_of(&hog), 0);
	cr_assert_eq(end_of(&f[1]), 0);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------ the end */

Test(queue_limit_ends, holds_while_the_pool_drains, .timeout = LIMIT)
{
	struct held h = held_open(NULL);
	pm_future *late = submit_within(h.pool, DO_ECHO, 1, 50);
	pm_future *last = submit(h.pool, DO_ECHO, 2, 0);
	cr_assert_eq(pm_pool_shutdown(h.pool, PM_DRAIN, PM_FOREVER), 0);
	check_ends_late(&late, 1, 50);
	gate_open();
	cr_assert_eq(pm_pool_join(h.pool, 20000), 0);
	cr_assert_eq(end_of(&last), 0);
	held_close(&h);
}

static void check_shutdown(enum pm_shutdown how, int grace_ms)
{
	pm_pool *pool = rig_pool(1, 4);
	pm_future *hog = submit_hog(pool), *f[20];
	for (uint32_t i = 0; i < 20; i++) {
		f[i] = submit_within(pool, DO_ECHO, i + 1, 10 + i % 3);
	}
	(void)!pm_pool_step(pool);
	cr_assert_eq(pm_pool_shutdown(pool, how, grace_ms), 0);
	check_error(pm_pool_join(pool, 50), grace_ms ? PM_ETIMEDOUT : 0, "the hog");
	gate_open();
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	for (uint32_t i = 0; i < 20; i++) {
		const struct pm_result *r = pm_future_result(f[i]);
		cr_assert(r, "job %u has no result", i);
		cr_assert(
			r->error == PM_ETIMEDOUT || r->error == PM_ECANCELLED, "%u", i);
		cr_assert_eq(atomic_load(&board->runs[i + 1]), 0);
	}
	pm_future_free(&hog);
	free_all(f, 20);
	pm_pool_close(&pool);
	atomic_store(&board->seen, 0);
}

Test(queue_limit_ends, and_every_way_to_shut_down, .timeout = LIMIT)
{
	check_shutdown(PM_CANCEL_UNSENT, PM_FOREVER);
	check_shutdown(PM_CANCEL_QUEUED, PM_FOREVER);
	check_shutdown(PM_CANCEL_ALL, PM_FOREVER);
	check_shutdown(PM_CANCEL_ALL, 0);
}

Test(queue_limit_ends, a_pool_is_closed_while_it_runs, .timeout = LIMIT)
{
	struct held h = held_open(NULL);
	pm_future *f = submit_within(h.pool, DO_ECHO, 1, 30000);
	pm_pool_terminate(&h.pool);
	cr_assert_eq(pm_future_result(f)->error, PM_ECANCELLED);
	pm_future_free(&f);
	pm_future_free(&h.first);
}

/* ------------------------------------------------------------- all together */

enum { CHAOS = 4000 };

struct chaos {
	pm_pool *pool;
	size_t late, done;
};

/* Late means: never begun; not even by a worker that died meanwhile. */
static void take_chaos(void *ctx, const struct pm_result *r)
{
	struct chaos *c = ctx;
	if (r->error == PM_ETIMEDOUT) {
		check_late(r, (uint32_t)r->index, 1);
		c->late++;
	} else {
		cr_assert_eq(report_of(r).number, r->index);
		c->done++;
	}
	if ((c->late + c->done) % 500 == 0) {
		pid_t pids[8];
		size_t ct = rig_workers(pids, 8);
		if (ct) {
			kill(pids[c->done % (ct < 8 ? ct : 8)], SIGKILL);
		}
	}
}

Test(queue_limit_ends, each_has_run_or_is_late_whatever_dies, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 8);
	struct chaos c = {.pool = rig_open(&o)};
	struct errands e = errands_new(CHAOS, DO_NAP, 0);
	struct pm_map_options m = {.on_result = take_chaos, .ctx = &c};
	for (uint32_t i = 0; i < CHAOS; i++) {
		e.list[i].value = i % 4;
		e.jobs[i].queue_timeout_ms = 1 + i * 7919 % 1500;
	}
	cr_assert_eq(pm_map_with(c.pool, task_errand, e.jobs, CHAOS, &m, e.results), 0,
		"%s", pm_last_error());
	pm_pool_close(&c.pool);
	cr_assert_eq(c.late + c.done, CHAOS);
	cr_assert_gt(c.late, 0);
	cr_assert_gt(c.done, 0);
	for (uint32_t i = 0; i < CHAOS; i++) {
		cr_assert(e.results[i].error || atomic_load(&board->runs[i]));
		cr_assert(!e.results[i].error || !atomic_load(&board->runs[i]));
	}
	errands_free(&e);
}
