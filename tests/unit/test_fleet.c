/* SPDX-License-Identifier: MIT
 *
 * Unit tests of the master as a whole: dispatch, slots, losses, recycling, against
 * workers that are played by the test, so that everything happens in a given order.
 */
#include "tests/unit/fleet_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

static void open_fleet(unsigned workers, unsigned concurrency, unsigned max_jobs)
{
	struct pm_pool_options o;
	pm_pool_options_init(&o);
	o.workers = workers;
	o.concurrency = concurrency;
	o.max_jobs_per_worker = max_jobs;
	fleet_open(&o);
}

/* ------------------------------------------------------------------ heartbeats */

struct has {
	struct hand *hand;
	size_t jobs;
};

/* It has read all there is, and holds so many. */
static bool has_jobs(void *ctx)
{
	const struct has *want = ctx;
	while (hand_read(want->hand)) {
	}
	return want->hand->alive && want->hand->held_ct == want->jobs;
}

/* They all tell of the time before the new job: it is no sign that this was lost. */
Test(fleet, heartbeats_that_waited_say_nothing_of_later_jobs, .timeout = LIMIT)
{
	enum { BEATS = 40 };
	open_fleet(1, 1, 0);
	struct hand *h = &fleet.hands[0];
	for (int i = 0; i < BEATS; i++) {
		hand_beat(h);
	}
	pm_future *future = fleet_submit(1, true);
	pool_turn(fleet.pool); /* sends it, before it reads what they say */
	fleet_until(has_jobs, &(struct has){h, 1});
	fleet_turn();
	cr_assert(h->alive);
	cr_assert(hand_begin(h));
	hand_end(h, 0);
	hand_flush(h);
	fleet_until(fleet_is_done, future);
	cr_assert_eq(pm_future_result(future)->error, 0, "%s",
		pm_future_result(future)->message);
	cr_assert_eq(fleet.pool->stats.workers_lost, 0);
	pm_future_free(&future);
	fleet_close();
}

/* It beats, and what was sent does not reach it: after some beats, ours and its own, it
 * is replaced, and the job, which has not begun, runs elsewhere. */
Test(fleet, jobs_that_do_not_arrive_run_elsewhere, .timeout = LIMIT)
{
	unsigned beats = 0;
	open_fleet(1, 1, 0);
	struct hand *h = &fleet.hands[0];
	pm_future *future = fleet_submit(1, true);
	pool_turn(fleet.pool);
	for (; fleet.pool->slots[0].state == SLOT_READY && beats < 100; beats++) {
		hand_beat(h);
		cr_assert_geq(event_base_loop(fleet.base, EVLOOP_NONBLOCK), 0);
		slot_beat(&fleet.pool->slots[0]);
	}
	cr_assert(beats > 6 && beats < 10, "after %u beats", beats);
	fleet_until(has_jobs, &(struct has){h, 1}); /* another one, in its place */
	cr_assert_eq(fleet.lives, 2);
	cr_assert(hand_begin(h));
	hand_end(h, 0);
	hand_flush(h);
	fleet_until(fleet_is_done, future);
	cr_assert_eq(pm_future_result(future)->error, 0);
	cr_assert_eq(fleet.pool->stats.workers_lost, 1);
	pm_future_free(&future);
	fleet_close();
}
