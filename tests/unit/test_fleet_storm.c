/* SPDX-License-Identifier: MIT
 *
 * Unit tests of the master as a whole, in bad weather: workers that are played by the
 * test read, begin, end, send and die in random order, jobs are cancelled, taken back,
 * run again and add others.  Whatever happens: each job has one result, in order, and
 * one that must not run twice has not.
 */
#include "tests/unit/dice.h"
#include "tests/unit/fleet_rig.h"

enum {
	LIMIT = 60, /* seconds for each test */
	SEEDS = 5,
	CONCURRENCY = 6,
	LANE_CONCURRENCY = 2,
	ATTEMPTS = 3,
	/* numbers of jobs: of the source; added by these; and on their own */
	GIVEN = 300,
	ADDED = 1000,
	ALONE = FLEET_ALONE,
	ALONE_CT = 100,
};

static struct {
	uint64_t seed;
	bool lanes, stops;
	uint64_t stop_at; /* so many results: then the pool is shut down */
	unsigned max_jobs;
	uint32_t given;  /* jobs that the source gave */
	uint64_t taken;  /* results that the sink got */
	uint64_t deaths; /* of workers */
	/* of each number: its results, and whether a worker made them */
	unsigned results[FLEET_JOBS];
	bool made[FLEET_JOBS];
	pm_future *alone[ALONE_CT];
} storm;

static size_t roll(size_t sides)
{
	return dice_below(&storm.seed, sides);
}

static bool is_once(uint32_t number)
{
	return number % 3 == 0;
}

static bool adds_one(uint32_t number)
{
	return number < GIVEN && number % 2;
}

/* --------------------------------------------------------------------- the map */

static int source(void *ctx, struct pm_job *job)
{
	static struct fleet_order order;
	static char lane;
	(void)ctx;
	if (storm.given == GIVEN) {
		return PM_SOURCE_END;
	}
	order.number = storm.given++;
	lane = (char)('a' + fleet_group(order.number));
	*job = PM_JOB(order);
	job->once = is_once(order.number);
	job->lane = storm.lanes ? &lane : NULL;
	job->lane_len = 1;
	return PM_SOURCE_JOB;
}

/* With the result of each second job of the source; in the same lane. */
static void emit(uint32_t number, struct buf *emits)
{
	struct fleet_order order = {.number = ADDED + number};
	char lane = (char)('a' + fleet_group(order.number));
	struct proto_emit added = {.task = (uint64_t)(uintptr_t)fleet_task,
		.once = is_once(order.number),
		.arg = (const uint8_t *)&order,
		.arg_len = sizeof(order),
		.lane = storm.lanes ? &lane : NULL,
		.lane_len = storm.lanes ? 1 : 0};
	if (adds_one(number)) {
		cr_assert_eq(proto_emit_put(emits, &added), 0);
	}
}

static void lane_new(void *ctx, const char *lane, struct pm_lane_limits *limits)
{
	(void)ctx;
	(void)lane;
	limits->concurrency = LANE_CONCURRENCY;
}

static bool retry(void *ctx, const struct pm_result *r, struct pm_retry *how)
{
	(void)ctx;
	how->delay_ms = (unsigned)roll(3);
	how->lane_delay_ms = roll(8) ? 0 : 1;
	return r->error == PM_EFAILED && r->attempts < ATTEMPTS;
}

static void note_result(uint32_t number, const struct pm_result *r)
{
	struct fleet_order order;
	storm.results[number]++;
	storm.made[number] = r->error != PM_EWORKERLOST && r->error != PM_ECANCELLED;
	if (!r->error) {
		memcpy(&order, r->bytes, sizeof(order));
		cr_assert_eq(order.number, number, "the result of another one");
	}
}

static int sink(void *ctx, const struct pm_result *r)
{
	struct fleet_order order;
	(void)ctx;
	cr_assert_eq(r->index, storm.taken, "out of order");
	memcpy(&order, r->arg, sizeof(order));
	note_result(order.number, r);
	storm.taken++;
	return PM_SINK_TAKEN;
}

/* --------------------------------------------------------------------- weather */

/* With some job on the CPU, or none; what it has not sent is lost. */
static void kill_one(struct hand *h)
{
	if (h->begun_ct && roll(2)) {
		atomic_store(&h->blackbox->current, h->held[roll(h->begun_ct)].id);
	}
	storm.deaths++;
	hand_die(h, SIGKILL);
}

static void end_one(struct hand *h)
{
	size_t i = roll(h->begun_ct);
	if (storm.lanes && h->held[i].number < ALONE && roll(4) == 0) {
		h->held[i].error = PM_EFAILED;
	}
	hand_end(h, i);
}

static void act(struct hand *h)
{
	size_t what = roll(600);
	if (what == 0 && h->said_hello) {
		kill_one(h);
	} else if (what < 4) {
		hand_beat(h);
	} else if (what < 150) {
		(void)hand_read(h);
	} else if (what < 300) {
		(void)hand_begin(h);
	} else if (what < 450 && h->begun_ct) {
		end_one(h);
	} else if (what < 500) {
		hand_flush(h);
	}
}

/* The master believes in a large line, or that one has not moved for long; and some of
 * the jobs on their own are cancelled. */
static void stir_master(void)
{
	struct slot *s = &fleet.pool->slots[roll(fleet.pool->slot_ct)];
	if (roll(2)) {
		s->credit.prefetch = (unsigned)roll(20);
	} else {
		s->moved_at_us = 0;
	}
	(void)pm_future_cancel(storm.alone[roll(ALONE_CT)]);
	if (storm.stops && storm.taken >= storm.stop_at) {
		storm.stop_at = UINT64_MAX;
		cr_assert_eq(
			pm_pool_shutdown(fleet.pool,
				(enum pm_shutdown)roll(PM_CANCEL_ALL + 1), PM_FOREVER),
			0);
	}
	pm_pool_wake(fleet.pool);
	fleet_turn();
}

static bool all_done(pm_future *map)
{
	bool done = pm_future_state(map) == PM_DONE;
	for (size_t i = 0; i < ALONE_CT && done; i++) {
		done = pm_future_state(storm.alone[i]) == PM_DONE;
	}
	return done;
}

static bool step(void *map)
{
	for (int i = 0; i < 1000; i++) {
		struct hand *h = &fleet.hands[roll(FLEET_HANDS)];
		if (h->alive) {
			act(h);
		}
		if (roll(40) == 0) {
			stir_master();
		}
	}
	return all_done(map);
}

/* ----------------------------------------------------------------------- after */

static unsigned begun_max(uint32_t number)
{
	return is_once(number) ? (storm.lanes ? ATTEMPTS : 1) : UINT32_MAX;
}

static void check_job(uint32_t number)
{
	bool made = storm.made[number];
	cr_assert_eq(storm.results[number], 1, "job %u has %u results", number,
		storm.results[number]);
	cr_assert(!made || fleet.begun[number], "job %u never ran", number);
	cr_assert_leq(fleet.begun[number], begun_max(number), "job %u ran %u times",
		number, fleet.begun[number]);
	cr_assert(made || storm.deaths || storm.stops, "job %u", number);
}

static void check_map(void)
{
	uint64_t ct = storm.given;
	cr_assert(storm.given == GIVEN || storm.stops);
	for (uint32_t i = 0; i < storm.given; i++) {
		bool added = adds_one(i) && storm.made[i];
		check_job(i);
		if (storm.stops) { /* a map that ends takes none */
			cr_assert_leq(storm.results[ADDED + i], added);
			added = storm.results[ADDED + i];
		}
		cr_assert_eq(storm.results[ADDED + i], added, "what job %u adds", i);
		if (added) {
			check_job(ADDED + i);
			ct++;
		}
	}
	cr_assert_eq(storm.taken, ct);
}

static void check_alone(void)
{
	for (uint32_t i = 0; i < ALONE_CT; i++) {
		const struct pm_result *r = pm_future_result(storm.alone[i]);
		note_result(ALONE + i, r);
		storm.made[ALONE + i] = !r->error;
		cr_assert_leq(
			fleet.begun[ALONE + i], is_once(ALONE + i) ? 1 : UINT32_MAX);
		cr_assert(!r->error || r->error == PM_ECANCELLED ||
				  r->error == PM_EWORKERLOST ||
				  (r->error == PM_ETIMEDOUT && !fleet.begun[ALONE + i]),
			"%s, begun %u times", pm_error_name(r->error),
			fleet.begun[ALONE + i]);
		pm_future_free(&storm.alone[i]);
	}
}

static bool all_mourned(void *unused)
{
	(void)unused;
	/* those that were just starting when the pool was shut down are no loss */
	return storm.stops ? fleet.pool->stats.workers_lost <= storm.deaths
			   : fleet.pool->stats.workers_lost == storm.deaths;
}

static void check_fleet(void)
{
	cr_assert_leq(fleet.most, CONCURRENCY, "%u at once", fleet.most);
	cr_assert(!storm.lanes || fleet.group_most <= LANE_CONCURRENCY,
		"%u at once in a lane", fleet.group_most);
	if (storm.max_jobs) {
		cr_assert_leq(fleet.did_max, storm.max_jobs);
		cr_assert(fleet.did_min >= storm.max_jobs || storm.stops);
	}
	fleet_until(all_mourned, NULL); /* and no innocent was killed */
}

/* ------------------------------------------------------------------------ runs */

/* Some must begin soon, or not at all.  Not where jobs are counted: one that is to
 * leave may lose such a job, and leaves with less. */
static pm_future *submit_alone(uint32_t number)
{
	struct fleet_order order = {.number = number};
	struct pm_job job = PM_JOB(order);
	pm_future *future = NULL;
	job.once = is_once(number);
	job.queue_timeout_ms = storm.max_jobs || roll(2) ? 0 : 1 + (unsigned)roll(20);
	cr_assert_eq(pm_submit(fleet.pool, fleet_task, &job, &future), 0, "%s",
		pm_last_error());
	return future;
}

static void open_storm(void)
{
	struct pm_pool_options o;
	pm_pool_options_init(&o);
	o.workers = 3;
	o.concurrency = CONCURRENCY;
	o.max_jobs_per_worker = storm.max_jobs;
	memset(fleet.begun, 0, sizeof(fleet.begun));
	fleet.most = fleet.group_most = 0;
	fleet.emit = emit;
	fleet_open(&o);
}

static void run(uint64_t seed, unsigned max_jobs, bool lanes, bool stops)
{
	pm_future *map = NULL;
	struct pm_stream stream = {.task = fleet_task,
		.source = source,
		.sink = sink,
		.window = 100,
		.lane_new = lanes ? lane_new : NULL,
		.retry = lanes ? retry : NULL};
	memset(&storm, 0, sizeof(storm));
	storm.seed = seed;
	storm.max_jobs = max_jobs;
	storm.lanes = lanes;
	storm.stops = stops;
	storm.stop_at = roll(GIVEN);
	open_storm();
	cr_assert_eq(pm_map_async(fleet.pool, &stream, &map), 0, "%s", pm_last_error());
	for (uint32_t i = 0; i < ALONE_CT; i++) {
		storm.alone[i] = submit_alone(ALONE + i);
	}
	fleet_until(step, map);
	int error = pm_future_result(map)->error;
	cr_assert(!error || (storm.stops &&
				    (error == PM_ECLOSED || error == PM_ECANCELLED)),
		"%s", pm_error_name(error));
	check_map();
	check_alone();
	check_fleet();
	pm_future_free(&map);
	fleet_close();
}

static void run_all(unsigned max_jobs, bool lanes, bool stops)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		run(seed, max_jobs, lanes, stops);
	}
}

Test(fleet_storm, gives_each_job_one_result, .timeout = LIMIT)
{
	run_all(0, false, false);
}

Test(fleet_storm, gives_each_job_one_result_while_workers_are_replaced,
	.timeout = LIMIT)
{
	run_all(7, false, false);
}

Test(fleet_storm, gives_one_to_those_that_wait_in_lanes_and_run_again, .timeout = LIMIT)
{
	run_all(0, true, false);
}

Test(fleet_storm, gives_one_in_lanes_while_workers_are_replaced, .timeout = LIMIT)
{
	run_all(11, true, false);
}

Test(fleet_storm, gives_one_though_the_pool_is_shut_down, .timeout = LIMIT)
{
	run_all(0, false, true);
	run_all(7, true, true);
}
