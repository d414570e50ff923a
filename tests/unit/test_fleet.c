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

/* ------------------------------------------------------------------- recycling */

static void read_all(struct hand *h)
{
	while (hand_read(h)) {
	}
}

/* They begin and end what they have, until the pool has so many results. */
struct work {
	uint64_t results;
	struct hand *but; /* it does not; or NULL */
};

static bool have_worked(void *ctx)
{
	const struct work *w = ctx;
	for (unsigned i = 0; i < FLEET_HANDS; i++) {
		struct hand *h = &fleet.hands[i];
		read_all(h);
		while (h != w->but && h->alive && hand_begin(h)) {
			hand_end(h, h->begun_ct - 1);
		}
		if (h->alive) {
			hand_flush(h);
		}
	}
	return fleet.pool->stats.results >= w->results;
}

static void submit_many(pm_future **futures, uint32_t first, uint32_t ct)
{
	for (uint32_t i = 0; i < ct; i++) {
		futures[first + i] = fleet_submit(first + i, true);
	}
}

static void check_and_free(pm_future **futures, uint32_t ct)
{
	for (uint32_t i = 0; i < ct; i++) {
		const struct pm_result *r = pm_future_result(futures[i]);
		struct fleet_order order;
		cr_assert(r, "job %u has no result", i);
		cr_assert_eq(r->error, 0, "job %u: %s", i, r->message);
		memcpy(&order, r->bytes, sizeof(order));
		cr_assert_eq(order.number, i);
		cr_assert_eq(fleet.begun[i], 1);
		pm_future_free(&futures[i]);
	}
}

/* Jobs that one was given in advance, and lost again to others, are none that it has
 * had. */
Test(fleet, a_worker_has_all_its_jobs_before_it_is_replaced, .timeout = LIMIT)
{
	enum { MAX = 5, JOBS = 40 };
	static pm_future *futures[JOBS];
	open_fleet(2, 2, MAX);
	for (unsigned i = 0; i < 2; i++) {
		fleet.pool->slots[i].credit.prefetch = MAX;
	}
	submit_many(futures, 0, 2 * MAX);
	struct hand *slow = &fleet.hands[0];
	fleet_until(has_jobs, &(struct has){slow, MAX});
	cr_assert(hand_begin(slow));
	/* the other one, and who comes after it, do all but what has begun */
	fleet_until(have_worked, &(struct work){2 * MAX - 1, slow});
	submit_many(futures, 2 * MAX, JOBS - 2 * MAX);
	hand_end(slow, 0);
	fleet_until(have_worked, &(struct work){JOBS, NULL});
	cr_assert_gt(fleet.pool->stats.workers_recycled, 0);
	cr_assert_eq(fleet.did_min, MAX, "one has left after %llu jobs",
		(unsigned long long)fleet.did_min);
	cr_assert_eq(fleet.did_max, MAX);
	cr_assert_leq(fleet.most, 2, "%u at once", fleet.most);
	cr_assert_eq(fleet.pool->stats.workers_lost, 0);
	check_and_free(futures, JOBS);
	fleet_close();
}

static bool has_successor(void *unused)
{
	(void)unused;
	return fleet.pool->slots[1].state == SLOT_READY;
}

/* It is quick, and may have a line; but that would begin beside what sleeps in the one
 * before it. */
Test(fleet, a_successor_keeps_to_the_concurrency, .timeout = LIMIT)
{
	enum { JOBS = 4 };
	static pm_future *futures[JOBS];
	open_fleet(1, 2, 2);
	submit_many(futures, 0, 2);
	struct hand *h = &fleet.hands[0];
	fleet_until(has_jobs, &(struct has){h, 2});
	cr_assert(hand_begin(h) && hand_begin(h));
	hand_end(h, 1);
	fleet_until(have_worked, &(struct work){1, h});
	fleet_until(has_successor, NULL);
	fleet.pool->slots[1].credit.prefetch = 10;
	submit_many(futures, 2, 2);
	pool_turn(fleet.pool);
	cr_assert_eq(fleet.pool->slots[1].held.ct, 1);
	hand_end(h, 0);
	fleet_until(have_worked, &(struct work){JOBS, NULL});
	check_and_free(futures, JOBS);
	fleet_close();
}

/* -------------------------------------------------------------------- suspects */

/* As after two deaths of its worker: it is to run alone. */
static pm_future *submit_suspect(uint32_t number)
{
	struct ledger *l = &fleet.pool->ledger;
	pm_future *future = fleet_submit(number, true);
	struct list_node *last = l->queue.head.prev;
	ledger_requeue(l, list_entry(last, struct job, link), true);
	return future;
}

static bool two_begun(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < FLEET_HANDS; i++) {
		read_all(&fleet.hands[i]);
		while (fleet.hands[i].alive && hand_begin(&fleet.hands[i])) {
		}
	}
	return fleet.inside == 2;
}

/* The successors. */
static bool two_more_ready(void *unused)
{
	(void)unused;
	return fleet.lives == 4 && pool_ready_ct(fleet.pool) == 2;
}

/* Its worker holds nothing else, and yet is the successor of one that does. */
Test(fleet, a_suspect_keeps_to_the_concurrency, .timeout = LIMIT)
{
	enum { JOBS = 3 };
	static pm_future *futures[JOBS];
	open_fleet(2, 2, 1);
	submit_many(futures, 0, 2);
	fleet_until(two_begun, NULL);
	fleet_until(two_more_ready, NULL);
	futures[2] = submit_suspect(2);
	pool_turn(fleet.pool);
	cr_assert_eq(fleet.pool->ledger.suspects.ct, 1, "there is no place for it");
	hand_end(&fleet.hands[0], 0);
	hand_end(&fleet.hands[1], 0);
	fleet_until(have_worked, &(struct work){JOBS, NULL});
	check_and_free(futures, JOBS);
	fleet_close();
}

/* ---------------------------------------------------------------------- deaths */

static bool has_died(void *ctx)
{
	return fleet.pool->stats.workers_lost == *(uint64_t *)ctx;
}

/* It may be what kills workers while they take it in, whatever became of those that
 * came before it. */
Test(fleet, the_first_in_line_counts_a_death_behind_a_gap, .timeout = LIMIT)
{
	uint64_t one = 1;
	open_fleet(1, 1, 0);
	struct hand *h = &fleet.hands[0];
	pm_future *gap = fleet_submit(0, false);
	fleet_until(has_jobs, &(struct has){h, 1});
	cr_assert_eq(pm_future_cancel(gap), 0);
	fleet_until(has_jobs, &(struct has){h, 0});
	hand_flush(h);
	fleet_until(fleet_is_done, gap);
	cr_assert_eq(pm_future_result(gap)->error, PM_ECANCELLED);
	pm_future *next = fleet_submit(1, false);
	fleet_until(has_jobs, &(struct has){h, 1});
	hand_die(h, SIGKILL);
	fleet_until(has_died, &one);
	struct job *job = ledger_find(&fleet.pool->ledger, next->job);
	cr_assert(job);
	cr_assert_eq(job->deaths, 1);
	cr_assert_eq(job->blamed, 0);
	pm_future_free(&gap);
	pm_future_free(&next);
	fleet_until(have_worked, &(struct work){2, NULL});
	fleet_close();
}

/* --------------------------------------------------------------------- silence */

static void check_message(pm_future **future, const char *words)
{
	const struct pm_result *r = pm_future_result(*future);
	cr_assert_eq(r->error, PM_EWORKERLOST);
	cr_assert(strstr(r->message, words), "%s", r->message);
	pm_future_free(future);
}

/* Each of the two learns what it had to do with it. */
static void hang(bool in_first, const char *of_first, const char *of_second)
{
	uint64_t one = 1;
	open_fleet(1, 2, 0);
	struct hand *h = &fleet.hands[0];
	pm_future *first = fleet_submit(0, true), *second = fleet_submit(1, true);
	fleet_until(has_jobs, &(struct has){h, 2});
	cr_assert(hand_begin(h) && hand_begin(h));
	atomic_store(&h->blackbox->current, in_first ? h->held[0].id : 0);
	slot_doom(&fleet.pool->slots[0], DOOM_SILENT);
	fleet_until(has_died, &one);
	check_message(&first, of_first);
	check_message(&second, of_second);
	fleet_close();
}

Test(fleet, says_which_task_kept_a_worker_busy, .timeout = LIMIT)
{
	hang(true, "the task kept the CPU for more than 10000 ms",
		"which another task kept busy, was silent for more than 10000 ms");
}

Test(fleet, says_that_a_worker_was_silent, .timeout = LIMIT)
{
	hang(false, "its worker was silent for more than 10000 ms",
		"its worker was silent for more than 10000 ms");
}

/* -------------------------------------------------------------- a full lifeline */

static bool has_left(void *ctx)
{
	const struct hand *h = ctx;
	slot_beat(&fleet.pool->slots[0]);
	return !h->alive;
}

/* It is busy, and has not read its cancellations: no reason to kill it when there is
 * no room for one word more. */
Test(fleet, a_busy_worker_is_told_to_leave_when_it_listens, .timeout = LIMIT)
{
	struct slot *s;
	open_fleet(1, 1, 0);
	s = &fleet.pool->slots[0];
	struct hand *h = &fleet.hands[0];
	struct proto_life_message m = {.type = PROTO_CANCEL,
		.slot = s->number,
		.generation = s->generation,
		.count = PROTO_CANCEL_MAX};
	while (lifeline_send(s->lifeline, &m) == LIFELINE_OK) {
	}
	slot_drain(s);
	cr_assert_eq(s->state, SLOT_DRAINING, "%s", slot_state_name(s->state));
	fleet_until(has_left, h);
	cr_assert_eq(fleet.pool->stats.workers_lost, 0);
	fleet_close();
}
