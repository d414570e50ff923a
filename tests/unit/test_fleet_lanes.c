/* SPDX-License-Identifier: MIT
 *
 * Unit tests of the master as a whole: maps with lanes, against a worker that is
 * played by the test and always has something to do.
 */
#include "common/clock.h"
#include "tests/unit/fleet_rig.h"

enum { LIMIT = 60, LATE = 500, LATE_CT = 3, GIVE_UP_MS = 5000 };

/* Jobs without an end, and before them some of a lane that waits for the test. */
struct flow {
	uint32_t given, got;
	struct fleet_order order;
	uint32_t late_ct;
	bool plain; /* no lanes */
};

static int flow_source(void *ctx, struct pm_job *job)
{
	struct flow *f = ctx;
	bool late = f->given < f->late_ct;
	f->order.number = late ? LATE + f->given : f->given % LATE;
	f->given++;
	*job = PM_JOB(f->order);
	if (!f->plain) {
		job->lane = late ? "late" : "soon";
		job->lane_len = 4;
	}
	return PM_SOURCE_JOB;
}

static void flow_lane(void *ctx, const char *lane, struct pm_lane_limits *limits)
{
	(void)ctx;
	limits->hold = strcmp(lane, "late") == 0;
}

static int flow_sink(void *ctx, const struct pm_result *r)
{
	struct flow *f = ctx;
	cr_assert_eq(r->error, 0);
	f->got++;
	return PM_SINK_TAKEN;
}

static pm_future *flow_start(struct flow *f)
{
	pm_future *future = NULL;
	struct pm_stream s = {.task = fleet_task,
		.source = flow_source,
		.sink = flow_sink,
		.ctx = f,
		.unordered = true,
		.lane_new = f->plain ? NULL : flow_lane};
	cr_assert_eq(pm_map_async(fleet.pool, &s, &future), 0, "%s", pm_last_error());
	return future;
}

static void open_quick_fleet(void)
{
	struct pm_pool_options o;
	pm_pool_options_init(&o);
	o.workers = 1;
	o.concurrency = 1;
	fleet_open(&o);
}

/* Whatever else the machine has to do. */
static void be_quick(void)
{
	fleet.pool->slots[0].credit.prefetch = 4;
	for (size_t i = 0; i < fleet.pool->map_ct; i++) {
		struct map *m = fleet.pool->maps[i];
		struct lane *lane =
			m && m->lanes ? lanes_find(m->lanes, "soon", 4) : NULL;
		if (lane) {
			lane->mean_us = 1000;
		}
	}
}

/* Its worker ends one job, and has others in line as often as the master gives some. */
static bool one_has_ended(void *ctx)
{
	struct hand *h = &fleet.hands[0];
	while (hand_read(h)) {
	}
	if (hand_begin(h)) {
		hand_end(h, 0);
		hand_flush(h);
	}
	be_quick();
	return fleet.pool->stats.results > *(uint64_t *)ctx;
}

static void work(unsigned ct)
{
	for (; ct > 0; ct--) {
		uint64_t results = fleet.pool->stats.results;
		fleet_until(one_has_ended, &results);
	}
}

static unsigned late_begun(void)
{
	unsigned ct = 0;
	for (unsigned i = 0; i < LATE_CT; i++) {
		ct += fleet.begun[LATE + i];
	}
	return ct;
}

/* The others are known to be quick by now, and wait at the worker. */
static void expect_late_ones(void)
{
	uint64_t until_ms = clock_now_ms() + GIVE_UP_MS;
	cr_assert_eq(late_begun(), 0);
	pm_lane_set(fleet.pool, "late", &(struct pm_lane_limits){0});
	while (late_begun() < LATE_CT && clock_now_ms() < until_ms) {
		work(1);
	}
	cr_assert_eq(late_begun(), LATE_CT);
}

static void end(pm_future *future)
{
	cr_assert_eq(pm_future_cancel(future), 0);
	fleet_until(fleet_is_done, future);
	pm_future_free(&future);
}

/* The line at the worker would leave it no free place, ever. */
Test(fleet_lanes, quick_ones_do_not_keep_another_one_for_ever, .timeout = LIMIT)
{
	struct flow f = {.late_ct = LATE_CT};
	open_quick_fleet();
	pm_future *future = flow_start(&f);
	work(50);
	expect_late_ones();
	end(future);
	fleet_close();
}

/* Its jobs wait there, too. */
Test(fleet_lanes, a_map_without_lanes_does_not_keep_one_with_lanes, .timeout = LIMIT)
{
	struct flow plain = {.plain = true}, lanes = {.late_ct = LATE_CT};
	open_quick_fleet();
	pm_future *first = flow_start(&plain);
	pm_future *second = flow_start(&lanes);
	work(50);
	expect_late_ones();
	end(second);
	end(first);
	fleet_close();
}
