/* SPDX-License-Identifier: MIT
 *
 * Integration tests of maps with lanes when something takes its time: results that
 * fill the window while the oldest jobs rest, and a sink that keeps the pool waiting.
 */
#include <math.h>

#include "tests/support/lane_rig.h"

enum { LIMIT = 60, BIG = 5000 };

static bool is_past(void *ctx)
{
	return clock_now_us() >= *(uint64_t *)ctx;
}

static void spin(unsigned ms)
{
	uint64_t until_us = clock_now_us() + ms * 1000u;
	while (!is_past(&until_us)) {
	}
}

/* ------------------------------------------------------------- a full window */

enum { CT = 6 };

static int task_big(pm_task *task, const void *arg, size_t len)
{
	static const char big[BIG];
	uint32_t number = task_number(arg);
	(void)len;
	if (number < 2 && pm_task_attempt(task) == 1) {
		return pm_fail(task, 1, "not yet");
	}
	return pm_return(task, big, number < 2 ? 1 : BIG);
}

struct crossing {
	pm_pool *pool;
	uint32_t now, given, got, retries;
	uint64_t due_us;
};

static int crossing_source(void *ctx, struct pm_job *job)
{
	struct crossing *c = ctx;
	if (c->given == CT) {
		return PM_SOURCE_END;
	}
	c->now = c->given++;
	*job = PM_JOB(c->now);
	job->lane = c->now < 2 ? "0" : "1";
	job->lane_len = 1;
	return PM_SOURCE_JOB;
}

static int crossing_sink(void *ctx, const struct pm_result *r)
{
	struct crossing *c = ctx;
	cr_assert_eq(r->error, 0);
	cr_assert_eq(r->index, c->got);
	c->got++;
	return PM_SINK_TAKEN;
}

/* The second one comes back after the first, and so stands before it: neither begins
 * before the test says so. */
static bool crossing_retry(void *ctx, const struct pm_result *r, struct pm_retry *retry)
{
	struct crossing *c = ctx;
	if (!r->error) {
		return false;
	}
	set_lane(c->pool, 0, 0, true);
	retry->delay_ms = r->index == 0 ? 30 : 60;
	c->retries++;
	c->due_us = clock_now_us() + 100000;
	return true;
}

static bool all_but_two_are_there(void *ctx)
{
	const struct crossing *c = ctx;
	return c->retries == 2 && rig_stats(c->pool).results == CT - 2 &&
	       is_past((void *)(uintptr_t)&c->due_us);
}

/* The results of the others fill the window until the oldest job has ended. */
Test(lanes_window, the_oldest_begins_wherever_it_is_in_its_lane, .timeout = LIMIT)
{
	struct crossing c = {.pool = rig_pool(1, 8)};
	struct pm_stream s = {.task = task_big,
		.source = crossing_source,
		.sink = crossing_sink,
		.retry = crossing_retry,
		.ctx = &c,
		.window_bytes = 2 * BIG};
	pm_future *f = NULL;
	cr_assert_eq(pm_map_async(c.pool, &s, &f), 0);
	run_until(c.pool, all_but_two_are_there, &c);
	set_lane(c.pool, 0, 0, false);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 15000, NULL), 0, "%u came", c.got);
	cr_assert_eq(c.got, CT);
	pm_future_free(&f);
	pm_pool_close(&c.pool);
}

/* ----------------------------------------------------------------- a slow sink */

static struct chore no_chore(size_t i)
{
	(void)i;
	return (struct chore){0};
}

static void take_long(struct play *p, const struct pm_result *r)
{
	(void)r;
	spin(p->got == 1 ? 95 : 0);
}

static bool one_is_to_be_read(void *ctx)
{
	struct pollfd p = {.fd = pm_pool_fd(ctx), .events = POLLIN};
	return atomic_load(&lane_log->ct) == 1 && poll(&p, 1, 0) == 1;
}

/* What it does between the time of a turn and the begin of a job counts: the second
 * job is allowed when its turn begins, and begins when the sink has returned. */
Test(lanes_window, a_rate_is_kept_in_spite_of_a_slow_sink, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct play p = {.ct = 3, .chore = no_chore, .on_result = take_long};
	p.limits[0].rate = 10;
	pm_future *f = play_start(pool, &p);
	cr_assert_eq(pm_pool_step(pool), 0);
	cr_assert(wait_for(one_is_to_be_read, pool, 5000));
	spin(150);
	cr_assert_eq(pm_pool_step(pool), 0);
	cr_assert_eq(p.got, 1);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 20000, NULL), 0);
	uint64_t us = lane_log->begun[2].at_us - lane_log->begun[1].at_us;
	cr_assert_gt(us, 70000, "%ju us", (uintmax_t)us);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

/* --------------------------------------------------------- a sink that waits */

enum { MANY = 400, FIT = 10 };

static int task_large(pm_task *task, const void *arg, size_t len)
{
	static const char big[BIG];
	(void)arg;
	(void)len;
	return pm_return(task, big, BIG);
}

static int many_source(void *ctx, struct pm_job *job)
{
	struct crossing *c = ctx;
	if (c->given == MANY) {
		return PM_SOURCE_END;
	}
	c->now = c->given++;
	*job = PM_JOB(c->now);
	return PM_SOURCE_JOB;
}

static int waiting_sink(void *ctx, const struct pm_result *r)
{
	struct crossing *c = ctx;
	(void)r;
	c->due_us = c->due_us ? c->due_us : clock_now_us() + 300000;
	return PM_SINK_WAIT;
}

static bool is_full(void *ctx)
{
	const struct crossing *c = ctx;
	return rig_stats(c->pool).results > 5 * FIT ||
	       (c->due_us && is_past((void *)(uintptr_t)&c->due_us));
}

/* Nothing of what begins then would free any of it. */
Test(lanes_window, is_kept_while_an_ordered_sink_waits, .timeout = LIMIT)
{
	struct crossing c = {.pool = rig_pool(1, 4)};
	struct pm_stream s = {.task = task_large,
		.source = many_source,
		.sink = waiting_sink,
		.rate = 1e9,
		.ctx = &c,
		.window_bytes = FIT * BIG};
	pm_future *f = NULL;
	cr_assert_eq(pm_map_async(c.pool, &s, &f), 0);
	run_until(c.pool, is_full, &c);
	cr_assert_leq(rig_stats(c.pool).results, 2 * FIT);
	cr_assert_eq(pm_future_cancel(f), 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 15000, NULL), 0);
	pm_future_free(&f);
	pm_pool_close(&c.pool);
}
