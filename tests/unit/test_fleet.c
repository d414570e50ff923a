/* SPDX-License-Identifier: MIT
 *
 * Unit tests of the master as a whole: dispatch, slots, losses, recycling, against
 * workers that are played by the test, so that everything happens in a given order.
 */
#include "tests/unit/dice.h"
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

/* ---------------------------------------------------------------- all together
 *
 * Workers read, begin, end, send and die in any order, and the master takes jobs back.
 * Whatever happens: each job has one result, in order, and one that must not run twice
 * has not. */

enum { CHAOS_JOBS = 400, CHAOS_FUTURES = 100, CHAOS_CONCURRENCY = 6 };

static struct {
	uint64_t seed;
	uint32_t given, taken;
	pm_future *
		futures[CHAOS_FUTURES]; /* jobs of their own, behind those of the map */
	uint64_t deaths;
} chaos;

static bool is_once(uint32_t number)
{
	return number % 3 == 0;
}

static int chaos_source(void *ctx, struct pm_job *job)
{
	static struct fleet_order order;
	(void)ctx;
	if (chaos.given == CHAOS_JOBS) {
		return PM_SOURCE_END;
	}
	order.number = chaos.given++;
	*job = PM_JOB(order);
	job->once = is_once(order.number);
	return PM_SOURCE_JOB;
}

/* It is lost when it had begun and must not run twice; no other is poison. */
static int chaos_sink(void *ctx, const struct pm_result *r)
{
	struct fleet_order order;
	(void)ctx;
	cr_assert_eq(r->index, chaos.taken, "out of order");
	memcpy(&order, r->arg, sizeof(order));
	cr_assert_eq(order.number, chaos.taken);
	if (r->error) {
		cr_assert_eq(r->error, PM_EWORKERLOST, "%s", pm_error_name(r->error));
		cr_assert(is_once(order.number) || chaos.deaths > 1, "%s", r->message);
	} else {
		memcpy(&order, r->bytes, sizeof(order));
		cr_assert_eq(order.number, chaos.taken, "another one's result");
	}
	unsigned begun = fleet.begun[order.number];
	cr_assert_geq(begun, r->error && !is_once(order.number) ? 0 : 1);
	cr_assert_leq(begun, is_once(order.number) ? 1 : CHAOS_JOBS);
	chaos.taken++;
	return PM_SINK_TAKEN;
}

static size_t roll(size_t sides)
{
	return dice_below(&chaos.seed, sides);
}

/* With some job on the CPU, or none; what it has not sent is lost. */
static void chaos_kill(struct hand *h)
{
	if (h->begun_ct && roll(2)) {
		atomic_store(&h->blackbox->current, h->held[roll(h->begun_ct)].id);
	}
	chaos.deaths++;
	hand_die(h, SIGKILL);
}

static void chaos_act(struct hand *h)
{
	switch (roll(200)) {
	case 0:
		if (h->said_hello) {
			chaos_kill(h);
		}
		break;
	case 1:
		hand_beat(h);
		break;
	default:
		if (roll(4) == 0) {
			(void)hand_read(h);
		} else if (roll(3) == 0) {
			(void)hand_begin(h);
		} else if (roll(2) && h->begun_ct) {
			hand_end(h, roll(h->begun_ct));
		} else if (roll(2)) {
			hand_flush(h);
		}
	}
}

/* The master believes in a large line, or that one has not moved for long. */
static void chaos_master(void)
{
	struct slot *s = &fleet.pool->slots[roll(fleet.pool->slot_ct)];
	if (roll(2)) {
		s->credit.prefetch = (unsigned)roll(20);
	} else {
		s->moved_at_us = 0;
	}
	pm_pool_wake(fleet.pool);
}

/* They may be cancelled at any time: then they have that as their result, or another
 * one if that was quicker. */
static void chaos_cancel(void)
{
	(void)pm_future_cancel(chaos.futures[roll(CHAOS_FUTURES)]);
}

static void check_futures(void)
{
	for (uint32_t i = 0; i < CHAOS_FUTURES; i++) {
		uint32_t number = CHAOS_JOBS + i;
		int error = pm_future_result(chaos.futures[i])->error;
		cr_assert(!error || error == PM_ECANCELLED || error == PM_EWORKERLOST,
			"%s", pm_error_name(error));
		cr_assert(error || fleet.begun[number]);
		cr_assert_leq(fleet.begun[number], is_once(number) ? 1 : CHAOS_JOBS);
		pm_future_free(&chaos.futures[i]);
	}
}

static bool all_done(pm_future *map)
{
	bool done = pm_future_state(map) == PM_DONE;
	for (size_t i = 0; i < CHAOS_FUTURES && done; i++) {
		done = pm_future_state(chaos.futures[i]) == PM_DONE;
	}
	return done;
}

static bool chaos_step(void *future)
{
	for (int i = 0; i < 1000; i++) {
		struct hand *h = &fleet.hands[roll(FLEET_HANDS)];
		if (h->alive) {
			chaos_act(h);
		}
		if (roll(40) == 0) {
			chaos_master();
			chaos_cancel();
			fleet_turn();
		}
	}
	return all_done(future);
}

static void run_chaos(uint64_t seed, unsigned max_jobs)
{
	pm_future *future = NULL;
	struct pm_stream stream = {.task = fleet_task,
		.source = chaos_source,
		.sink = chaos_sink,
		.window = 100};
	chaos.seed = seed;
	chaos.given = chaos.taken = 0;
	chaos.deaths = 0;
	memset(fleet.begun, 0, sizeof(fleet.begun));
	fleet.most = fleet.inside = 0;
	open_fleet(3, CHAOS_CONCURRENCY, max_jobs);
	cr_assert_eq(pm_map_async(fleet.pool, &stream, &future), 0);
	for (uint32_t i = 0; i < CHAOS_FUTURES; i++) {
		chaos.futures[i] =
			fleet_submit(CHAOS_JOBS + i, is_once(CHAOS_JOBS + i));
	}
	fleet_until(chaos_step, future);
	cr_assert_eq(pm_future_result(future)->error, 0);
	cr_assert_eq(chaos.taken, CHAOS_JOBS);
	check_futures();
	cr_assert_leq(fleet.most, CHAOS_CONCURRENCY, "%u at once", fleet.most);
	cr_assert_leq(fleet.did_max, max_jobs ? max_jobs : CHAOS_JOBS);
	cr_assert(
		!max_jobs || fleet.did_min >= max_jobs, "%u", (unsigned)fleet.did_min);
	fleet_until(has_died, &chaos.deaths); /* as many, and no innocent */
	pm_future_free(&future);
	fleet_close();
}

Test(fleet, gives_each_job_one_result_whatever_dies, .timeout = LIMIT)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		run_chaos(seed, 0);
	}
}

Test(fleet, gives_each_job_one_result_while_workers_are_replaced, .timeout = LIMIT)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		run_chaos(seed, 7);
	}
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
