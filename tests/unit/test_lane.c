/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/lane: which job may begin, and when; without a pool, a clock or
 * a loop.  At the end, random steps against a slow model.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/ledger.h"
#include "tests/unit/dice.h"

static bool no_memory;

static void *scarce_calloc(size_t ct, size_t size)
{
	return no_memory ? NULL : calloc(ct, size);
}

static void *scarce_realloc(void *p, size_t size)
{
	return no_memory ? NULL : realloc(p, size);
}

/* In place of the modules in the archive, with memory that can be short. */
#define calloc scarce_calloc
#define realloc scarce_realloc
#include "master/heap.c" /* NOLINT(bugprone-suspicious-include) */
#include "master/lane.c" /* NOLINT(bugprone-suspicious-include) */
#undef calloc
#undef realloc

enum { LIMIT = 60, PLENTY = 1000000 /* of places: nobody is in anybody's way */ };

static struct lanes l;
static struct ledger ledger;
static struct list held;
static uint64_t now = 1000000000;

/* In place of the one in calls.c, which brings the whole pool with it. */
void pm_results_clear(struct pm_result *results, size_t ct)
{
	memset(results, 0, ct * sizeof *results);
}

static void make(void)
{
	ledger_init(&ledger);
	list_init(&held);
	lanes_init(&l, 0, PLENTY);
}

static void clear(void)
{
	ledger_fini(&ledger); /* its jobs are in the lists of the lanes */
	lanes_fini(&l);
}

TestSuite(lane, .init = make, .fini = clear);

/* -------------------------------------------------------------------- steps */

static struct job *new_job(void)
{
	struct job *job = NULL;
	cr_assert_eq(ledger_add(&ledger, &job, NULL, 0), 0);
	return job;
}

static struct job *add(const char *name)
{
	bool is_new;
	struct lane *lane = lanes_get(&l, name, strlen(name), &is_new);
	struct job *job = new_job();
	cr_assert_not_null(lane);
	lanes_add(&l, lane, job, now);
	return job;
}

static void add_many(const char *name, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		add(name);
	}
}

static struct lane *find(const char *name)
{
	return lanes_find(&l, name, strlen(name));
}

static void limit(const char *name, unsigned concurrency, double rate, bool hold)
{
	struct pm_lane_limits limits = {concurrency, rate, hold};
	lane_set(&l, find(name), &limits, now);
}

static void begin_job(struct job *job)
{
	ledger_send(job, &held, NULL);
	lanes_begin(&l, job, now);
	cr_assert_eq(job->lane_state, LANE_BEGUN);
}

/* The next one begins; NULL: none may. */
static struct job *begin(void)
{
	struct job *job = lanes_first(&l, true, now);
	cr_assert_eq(job, lanes_first(&l, true, now), "to look changes nothing");
	if (job) {
		begin_job(job);
	}
	return job;
}

static struct job *begin_in(const char *name)
{
	struct job *job = begin();
	cr_assert_not_null(job, "none begins, not in %s", name);
	cr_assert_str_eq(job->lane->name, name);
	return job;
}

static size_t begin_all(void)
{
	size_t ct = 0;
	while (begin()) {
		ct++;
	}
	return ct;
}

/* As when it has its result, wherever it is. */
static void end(struct job *job)
{
	ledger_settle(&ledger, job);
	lanes_leave(&l, job, now);
	cr_assert_null(job->lane);
	lanes_leave(&l, job, now); /* it is in none: nothing happens */
	ledger_free(&ledger, job);
}

static void end_all_begun(void)
{
	struct list_node *n;
	while ((n = list_first(&held))) {
		end(list_entry(n, struct job, link));
	}
}

static void rest(struct job *job, uint64_t us)
{
	cr_assert_eq(lanes_rest(&l, job, now + us, now), 0);
	cr_assert_eq(job->lane_state, LANE_RESTING);
	cr_assert_eq(job->state, JOB_QUEUED);
}

static void pass_us(uint64_t us)
{
	now += us;
	lanes_turn(&l, now);
}

static void expect_next_in(uint64_t us)
{
	uint64_t next = lanes_next_us(&l, now);
	cr_assert_eq(next - now, us, "%jd us", (intmax_t)(next - now));
}

static void expect_nothing_due(void)
{
	cr_assert_eq(lanes_next_us(&l, now), UINT64_MAX);
}

static void expect_empty(void)
{
	cr_assert_eq(l.ct, 0, "%zu lanes are left", l.ct);
	cr_assert_eq(l.waiting_ct, 0);
	cr_assert_null(heap_first(&l.due_jobs));
	cr_assert_null(heap_first(&l.due_lanes));
	cr_assert_null(lanes_first(&l, true, now));
	expect_nothing_due();
}

/* ---------------------------------------------------------------- one or more */

Test(lane, has_nothing_at_first, .timeout = LIMIT)
{
	expect_empty();
	cr_assert_null(find("a"));
	lanes_turn(&l, now);
	lanes_fini(&l);
	lanes_fini(&l);
}

Test(lane, jobs_begin_in_their_order, .timeout = LIMIT)
{
	struct job *jobs[100];
	for (size_t i = 0; i < 100; i++) {
		jobs[i] = add("a");
	}
	cr_assert_eq(l.waiting_ct, 100);
	for (size_t i = 0; i < 100; i++) {
		cr_assert_eq(begin(), jobs[i]);
	}
	cr_assert_null(begin());
	expect_nothing_due();
}

/* Jobs of a lane that are with workers. */
static size_t begun(const char *name)
{
	struct lane *lane = find(name);
	return lane ? lane->begun_ct : 0;
}

Test(lane, the_fewest_begun_goes_first, .timeout = LIMIT)
{
	add_many("slow", 100);
	for (int i = 0; i < 4; i++) {
		begin_in("slow");
	}
	add_many("fast", 100);
	for (int i = 0; i < 4; i++) {
		begin_in("fast");
	}
	for (int i = 0; i < 20; i++) {
		cr_assert_not_null(begin());
		cr_assert_leq(begun("fast") - begun("slow") + 1, 2);
	}
	end(list_entry(list_first(&held), struct job, link));
	begin_in("slow");
}

/* A place that is free goes to the lane that had it. */
Test(lane, each_keeps_its_share, .timeout = LIMIT)
{
	struct job *fast;
	add_many("slow", 1000);
	add_many("fast", 1000);
	for (int i = 0; i < 16; i++) {
		begin();
	}
	cr_assert_eq(begun("slow"), 8);
	fast = list_entry(held.head.prev, struct job, link);
	fast = strcmp(fast->lane->name, "fast") == 0
		       ? fast
		       : list_entry(held.head.prev->prev, struct job, link);
	for (int i = 0; i < 500; i++) {
		end(fast);
		fast = begin_in("fast");
	}
	cr_assert_eq(begun("slow"), 8);
}

Test(lane, equals_take_turns, .timeout = LIMIT)
{
	char name[16];
	unsigned got[10] = {0};
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "%d", i);
		add_many(name, 300);
	}
	for (int i = 0; i < 500; i++) {
		struct job *job = begin();
		unsigned n = (unsigned)(job->lane->name[0] - '0');
		got[n]++;
		end(job);
	}
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(got[i], 50, "lane %d: %u", i, got[i]);
	}
}

/* So many are not counted any more, but nobody is left out. */
Test(lane, the_very_busy_take_turns, .timeout = LIMIT)
{
	add_many("a", 2000);
	for (int i = 0; i < 600; i++) {
		begin_in("a");
	}
	add_many("b", 2000);
	for (int i = 0; i < LANE_BUCKETS - 1; i++) {
		begin_in("b");
	}
	for (int i = 0; i < 100; i++) {
		begin();
	}
	cr_assert_eq(begun("a") + begun("b"), 600 + LANE_BUCKETS - 1 + 100);
	cr_assert_geq(begun("a"), 649);
	cr_assert_geq(begun("b"), LANE_BUCKETS - 1 + 49);
}

/* --------------------------------------------------------------- concurrency */

Test(lane, begins_no_more_at_once_than_it_may, .timeout = LIMIT)
{
	add_many("a", 10);
	limit("a", 3, 0, false);
	cr_assert_eq(begin_all(), 3);
	expect_nothing_due();
	end(list_entry(list_first(&held), struct job, link));
	cr_assert_eq(begin_all(), 1);
	limit("a", 5, 0, false);
	cr_assert_eq(begin_all(), 2);
	limit("a", 1, 0, false);
	cr_assert_null(begin());
	end_all_begun();
	cr_assert_eq(begin_all(), 1);
	limit("a", 0, 0, false);
	cr_assert_eq(begin_all(), 3);
}

Test(lane, one_that_is_full_keeps_nobody, .timeout = LIMIT)
{
	add_many("a", 10);
	limit("a", 1, 0, false);
	add_many("b", 10);
	cr_assert_eq(begin_all(), 11);
}

/* ---------------------------------------------------------------------- rate */

Test(lane, keeps_its_rate, .timeout = LIMIT)
{
	add_many("a", 1000);
	limit("a", 0, 100, false);
	for (int i = 0; i < 20; i++) {
		cr_assert_not_null(begin());
		cr_assert_null(begin());
		expect_next_in(10000);
		pass_us(9999);
		cr_assert_null(begin());
		expect_next_in(1);
		pass_us(1);
	}
}

Test(lane, makes_up_for_a_late_timer_and_not_for_a_pause, .timeout = LIMIT)
{
	add_many("a", 3000);
	limit("a", 0, 1000, false);
	begin_in("a");
	pass_us(15000); /* 14 late */
	cr_assert_eq(begin_all(), 15);
	expect_next_in(1000);
	pass_us(1000 + CATCH_UP_US);
	cr_assert_eq(begin_all(), 1, "that was too late");
	expect_next_in(1000);
	for (size_t ct = 0, ms = 0; ms < 2000; ms += 7) {
		pass_us(7000);
		ct += begin_all();
		cr_assert_leq(ct, ms + 7);
		cr_assert_geq(ct, ms + 6);
	}
}

Test(lane, rate_of_all_together, .timeout = LIMIT)
{
	lanes_init(&l, 500, PLENTY);
	expect_nothing_due();
	add_many("a", 1000);
	add_many("b", 1000);
	expect_nothing_due(); /* it may begin now: that waits for no time */
	cr_assert_eq(begin_all(), 1);
	expect_next_in(2000);
	for (int i = 0; i < 100; i++) {
		pass_us(2000);
		cr_assert_neq(lanes_first(&l, true, now), NULL);
		expect_nothing_due();
		cr_assert_eq(begin_all(), 1);
	}
	cr_assert_leq(begun("a") - begun("b") + 1, 2);
	limit("a", 0, 0, true);
	limit("b", 0, 0, true);
	expect_nothing_due();
}

static void expect_rate(double rate, uint64_t us)
{
	cr_assert_eq(period_us(rate), us, "%g: %ju", rate, (uintmax_t)period_us(rate));
}

Test(lane, any_rate_is_a_time, .timeout = LIMIT)
{
	expect_rate(1, 1000000);
	expect_rate(3, 333334);
	expect_rate(0.001, 1000000000);
	expect_rate(1e6, 1);
	expect_rate(1e9, 1);
	expect_rate(1e-300, PERIOD_MAX_US);
	expect_rate(5e-324, PERIOD_MAX_US);
	expect_rate(0, 0);
	expect_rate(-1, 0);
	expect_rate(NAN, 0);
	expect_rate(INFINITY, 0);
}

Test(lane, smallest_rate_begins_one, .timeout = LIMIT)
{
	add_many("a", 3);
	limit("a", 0, 5e-324, false);
	cr_assert_eq(begin_all(), 1);
	pass_us(1000000000000);
	cr_assert_null(begin());
	limit("a", 0, 0, false);
	cr_assert_eq(begin_all(), 2);
}

Test(lane, another_rate_counts_from_now, .timeout = LIMIT)
{
	add_many("a", 100);
	limit("a", 0, 0.001, false);
	begin_in("a");
	expect_next_in(1000000000);
	limit("a", 0, 0.001, false);
	expect_next_in(1000000000);
	pass_us(1000);
	limit("a", 0, 100, false);
	expect_next_in(10000);
	pass_us(10000);
	begin_in("a");
	limit("a", 0, 0.001, false);
	expect_next_in(10000);
	limit("a", 0, 0, false);
	cr_assert_eq(begin_all(), 98);
}

/* ---------------------------------------------------------------- pause, hold */

Test(lane, a_pause_stops_it_for_a_time, .timeout = LIMIT)
{
	add_many("a", 10);
	add_many("b", 1);
	lane_pause(&l, find("a"), now + 5000, now);
	lane_pause(&l, find("a"), now + 3000, now);
	expect_next_in(5000);
	begin_in("b");
	cr_assert_null(begin());
	limit("a", 2, 0, false);
	cr_assert_null(begin(), "other limits do not end a pause");
	pass_us(4999);
	cr_assert_null(begin());
	pass_us(1);
	cr_assert_eq(begin_all(), 2);
	expect_nothing_due();
}

Test(lane, begins_nothing_on_hold, .timeout = LIMIT)
{
	add_many("a", 10);
	limit("a", 0, 0, true);
	cr_assert_not(lane_is_ready(find("a")));
	cr_assert_null(begin());
	expect_nothing_due();
	lane_pause(&l, find("a"), now + 5000, now);
	expect_nothing_due();
	limit("a", 0, 0, false);
	expect_next_in(5000);
	pass_us(5000);
	cr_assert(lane_is_ready(find("a")));
	begin_in("a");
	limit("a", 0, 0, true);
	cr_assert_null(begin());
	pass_us(1000000);
	cr_assert_null(begin());
}

/* ---------------------------------------------------------------------- rest */

Test(lane, a_resting_job_takes_no_place, .timeout = LIMIT)
{
	struct job *first = add("a"), *second = add("a");
	limit("a", 1, 0, false);
	cr_assert_eq(begin(), first);
	cr_assert_null(begin());
	rest(first, 5000);
	expect_next_in(5000);
	cr_assert_eq(begin(), second);
	pass_us(5000);
	expect_nothing_due();
	cr_assert_null(begin());
	end(second);
	cr_assert_eq(begin(), first);
	end(first);
	expect_empty();
}

Test(lane, wakes_to_the_front, .timeout = LIMIT)
{
	struct job *first = add("a"), *second = add("a");
	add("a");
	cr_assert_eq(begin(), first);
	cr_assert_eq(begin(), second);
	rest(first, 2000);
	rest(second, 1000);
	expect_next_in(1000);
	pass_us(1999);
	expect_next_in(1);
	cr_assert_eq(begin(), second);
	pass_us(1);
	cr_assert_eq(begin(), first);
	begin_in("a");
	cr_assert_null(begin());
}

/* What is refused again and again must not be overtaken by what was refused once. */
Test(lane, who_has_tried_more_often_goes_first, .timeout = LIMIT)
{
	struct job *once = add("a"), *twice = add("a"), *as_often = add("a");
	add("a");
	cr_assert_eq(begin(), once);
	cr_assert_eq(begin(), twice);
	cr_assert_eq(begin(), as_often);
	rest(twice, 0);
	pass_us(0);
	cr_assert_eq(begin(), twice);
	rest(twice, 1000);
	rest(once, 2000);
	rest(as_often, 3000);
	pass_us(3000);
	cr_assert_eq(begin(), twice);
	cr_assert_eq(begin(), once);
	cr_assert_eq(begin(), as_often);
	cr_assert_eq(begin()->attempts, 1);
}

Test(lane, rests_for_no_time, .timeout = LIMIT)
{
	struct job *job = add("a");
	cr_assert_eq(begin(), job);
	rest(job, 0);
	cr_assert_null(begin(), "not in the same turn");
	pass_us(0);
	cr_assert_eq(begin(), job);
}

/* ---------------------------------------------------------------------- leave */

Test(lane, is_left_in_every_state, .timeout = LIMIT)
{
	struct job *waiting = add("a");
	end(waiting);
	expect_empty();
	struct job *job = add("a");
	begin();
	end(job);
	expect_empty();
	job = add("a");
	begin();
	rest(job, 1000);
	end(job);
	expect_empty();
	job = add("a");
	begin();
	rest(job, 1000);
	pass_us(1000);
	end(job);
	expect_empty();
	job = add("a");
	begin();
	ledger_requeue(&ledger, job, false); /* its worker was lost */
	cr_assert_null(begin());
	end(job);
	expect_empty();
	job = add("a");
	limit("a", 0, 0, true);
	end(job);
	expect_empty();
}

Test(lane, is_left_by_one_of_many, .timeout = LIMIT)
{
	struct job *jobs[9];
	for (int i = 0; i < 9; i++) {
		jobs[i] = add("a");
	}
	limit("a", 4, 0, false);
	cr_assert_eq(begin_all(), 4);
	rest(jobs[0], 1000);
	end(jobs[0]);
	end(jobs[1]);
	end(jobs[5]);
	cr_assert_eq(begin(), jobs[4]);
	cr_assert_eq(begin(), jobs[6]);
	cr_assert_null(begin());
	cr_assert_eq(l.waiting_ct, 2);
	end_all_begun();
	cr_assert_eq(begin_all(), 2);
	end_all_begun();
	expect_empty();
}

/* ---------------------------------------------------------------------- pace */

/* Places of which a lane that is new or slow has two. */
enum { PLACES = 2 * LANE_SHARE };

/* Two lanes that cannot have all they want. */
static void make_pair(void)
{
	lanes_init(&l, 0, PLACES);
	add_many("slow", 100);
	add_many("fast", 100);
}

static struct job *begun_in(const char *name)
{
	struct list_node *n = held.head.next;
	while (n != &held.head &&
		strcmp(list_entry(n, struct job, link)->lane->name, name) != 0) {
		n = n->next;
	}
	cr_assert_neq(n, &held.head, "none of %s has begun", name);
	return list_entry(n, struct job, link);
}

/* One of the fast ones ends after a millisecond: the others are quick from then on. */
static void make_known(void)
{
	make_pair();
	begin_all();
	pass_us(1000);
	end(begun_in("fast"));
}

Test(lane, a_new_one_begins_its_share_and_waits_for_an_end, .timeout = LIMIT)
{
	make_pair();
	cr_assert_eq(begin_all(), 4);
	cr_assert_eq(begun("slow"), 2);
	expect_next_in(LANE_PROOF_US);
	pass_us(1000);
	end(begun_in("fast"));
	for (int i = 0; i < 13; i++) {
		begin_in("fast");
	}
	cr_assert_eq(begun("slow"), 2);
}

Test(lane, a_new_one_does_not_wait_for_ever, .timeout = LIMIT)
{
	make_pair();
	begin_all();
	pass_us(LANE_PROOF_US - 1);
	cr_assert_null(begin());
	pass_us(1);
	cr_assert_eq(begin_all(), 196);
}

Test(lane, a_new_one_need_not_wait_when_there_is_a_place_for_all, .timeout = LIMIT)
{
	lanes_init(&l, 0, PLACES);
	add_many("a", PLACES / 2);
	add_many("b", PLACES / 2);
	cr_assert_eq(begin_all(), PLACES);
}

Test(lane, a_single_one_need_not_wait, .timeout = LIMIT)
{
	lanes_init(&l, 0, PLACES);
	add_many("a", 100);
	cr_assert_eq(begin_all(), 100);
}

/* Another one comes when the first has looked as if it were alone. */
Test(lane, who_waits_is_known_when_the_turn_has_come, .timeout = LIMIT)
{
	lanes_init(&l, 0, PLACES);
	add_many("a", 100);
	begin_in("a");
	begin_in("a");
	add_many("b", 100);
	begin_in("b");
	begin_in("b");
	cr_assert_null(begin());
	expect_next_in(LANE_PROOF_US);
}

Test(lane, slow_ones_have_their_shares, .timeout = LIMIT)
{
	make_known();
	end(begun_in("fast"));
	pass_us(100000);
	end(begun_in("slow"));
	add_many("late", 100);
	for (int i = 0; i < 20; i++) {
		cr_assert_not_null(begin());
	}
	cr_assert_eq(begun("late"), 2);
	cr_assert_leq(begun("slow"), 2);
	end(begun_in("slow"));
	cr_assert_eq(find("slow")->pace, PACE_SLOW);
	pass_us(100000);
	end(begun_in("fast"));
	end(begun_in("late"));
	cr_assert_eq(find("late")->pace, PACE_SLOW);
	for (int i = 0; i < 20; i++) {
		cr_assert_not_null(begin());
		cr_assert_leq(l.slow_ct, 4);
	}
	cr_assert_eq(begun("slow"), 2);
	cr_assert_eq(begun("late"), 2);
}

/* Ten of them, each of which may have two of the 80 places. */
Test(lane, slow_ones_have_one_place_in_eight_together, .timeout = LIMIT)
{
	char name[16];
	make_known();
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof name, "late%d", i);
		add_many(name, 100);
		begin_in(name);
	}
	pass_us(100000);
	end(begun_in("slow"));
	end(begun_in("fast"));
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof name, "late%d", i);
		end(begun_in(name));
		cr_assert_eq(find(name)->pace, PACE_SLOW);
	}
	for (int i = 0; i < 60; i++) {
		cr_assert_not_null(begin());
		cr_assert_leq(l.slow_ct, PLACES / LANE_SLOW_SHARE);
	}
	cr_assert_eq(l.slow_ct, PLACES / LANE_SLOW_SHARE);
}

Test(lane, slow_ones_take_what_nobody_else_wants, .timeout = LIMIT)
{
	make_known();
	pass_us(100000);
	for (int i = 0; i < 98; i++) {
		begin_in("fast");
	}
	cr_assert_eq(begun("slow"), 2);
	pass_us(LANE_PROOF_US);
	cr_assert_eq(begin_all(), 98);
}

Test(lane, a_slow_one_may_become_faster, .timeout = LIMIT)
{
	make_known();
	pass_us(100000);
	end(begun_in("slow"));
	cr_assert_eq(find("slow")->pace, PACE_SLOW);
	for (int i = 0; i < 100; i++) {
		end(begun_in("slow"));
		begin_job(add("slow"));
		pass_us(1000);
	}
	cr_assert_eq(find("slow")->pace, PACE_QUICK);
	cr_assert_eq(l.slow_ct, 0);
}

/* What waits at a worker must not keep others from it. */
/* It waited with a worker, and nothing came of it. */
Test(lane, what_was_taken_back_says_nothing_of_its_lane, .timeout = LIMIT)
{
	add_many("a", 2);
	struct job *ran = begin_in("a"), *back = begin_in("a");
	now += 1000;
	end(ran);
	uint64_t mean_us = l.mean_us, moved_us = find("a")->moved_us;
	now += 5000000;
	back->begun_us = 0;
	add("a");
	end(back);
	cr_assert_eq(l.mean_us, mean_us);
	cr_assert_eq(find("a")->mean_us, mean_us);
	cr_assert_eq(find("a")->moved_us, moved_us);
	cr_assert_eq(find("a")->begun_ct, 0);
}

Test(lane, only_jobs_of_quick_ones_wait_elsewhere, .timeout = LIMIT)
{
	make_pair();
	cr_assert_null(lanes_first(&l, false, now));
	begin_all();
	pass_us(LANE_QUICK_US - 1);
	end(begun_in("fast"));
	cr_assert_str_eq(lanes_first(&l, false, now)->lane->name, "fast");
	cr_assert(lane_may_queue(&l, find("fast")));
	cr_assert_not(lane_may_queue(&l, find("slow")));
	pass_us(1);
	end(begun_in("slow"));
	cr_assert_null(lanes_first(&l, false, now), "a place is for the other first");
	begin_job(lanes_first(&l, true, now));
	begin_job(lanes_first(&l, true, now));
	limit("slow", 1, 0, false);
	cr_assert_not_null(lanes_first(&l, false, now));
	pass_us(LANE_QUICK_US);
	cr_assert_null(lanes_first(&l, false, now), "it has been silent for too long");
}

Test(lane, jobs_of_a_single_one_wait_anywhere, .timeout = LIMIT)
{
	lanes_init(&l, 0, PLACES);
	add_many("a", 100);
	cr_assert_not_null(lanes_first(&l, false, now));
	cr_assert(lane_may_queue(&l, find("a")));
	cr_assert_not_null(lanes_first_at(&l, 0, false, now));
}

Test(lane, without_memory_a_new_one_does_not_wait, .timeout = LIMIT)
{
	make_pair();
	no_memory = true;
	for (struct job *job; (job = lanes_first(&l, true, now));) {
		begin_job(job);
	}
	no_memory = false;
	cr_assert_eq(l.begun_ct, 200);
}

/* -------------------------------------------------------------------- forget */

Test(lane, is_new_when_it_has_a_job_again, .timeout = LIMIT)
{
	bool is_new = false;
	struct lane *lane = lanes_get(&l, "a", 1, &is_new);
	cr_assert(is_new);
	cr_assert_eq(lanes_get(&l, "a", 1, &is_new), lane);
	cr_assert(is_new, "it has no job yet");
	cr_assert_null(find("a"));
	struct job *job = add("a");
	cr_assert_eq(find("a"), lane);
	cr_assert_eq(lanes_get(&l, "a", 1, &is_new), lane);
	cr_assert_not(is_new);
	end(job);
	expect_empty();
}

/* The rate of a lane, and its pause, outlast its last job. */
Test(lane, is_kept_until_its_time_has_come, .timeout = LIMIT)
{
	bool is_new = false;
	struct job *job = add("a");
	limit("a", 0, 100, false);
	begin();
	end(job);
	cr_assert_eq(l.ct, 1);
	cr_assert_null(find("a"), "it has no job");
	cr_assert_not_null(lanes_get(&l, "a", 1, &is_new));
	cr_assert(is_new);
	job = add("a");
	cr_assert_null(begin());
	lane_pause(&l, find("a"), now + 15000, now);
	end(job);
	expect_next_in(15000);
	pass_us(14999);
	cr_assert_eq(l.ct, 1);
	pass_us(1);
	expect_empty();
}

Test(lane, names_are_bytes, .timeout = LIMIT)
{
	static const char name[] = "a\0b";
	bool is_new;
	struct lane *all = lanes_get(&l, name, 3, &is_new), *a, *none;
	lanes_add(&l, all, new_job(), now);
	cr_assert_eq(lanes_get(&l, name, 3, &is_new), all);
	cr_assert_not(is_new);
	a = lanes_get(&l, name, 1, &is_new);
	cr_assert(is_new);
	lanes_add(&l, a, new_job(), now);
	none = lanes_get(&l, "", 0, &is_new);
	lanes_add(&l, none, new_job(), now);
	cr_assert(is_new && a != all && none != a && none != all);
	cr_assert_str_eq(none->name, "");
	cr_assert_eq(l.ct, 3);
	cr_assert_eq(begin_all(), 3);
	end_all_begun();
	expect_empty();
}

Test(lane, a_hundred_thousand, .timeout = LIMIT)
{
	enum { CT = 100000 };
	char name[16];
	for (unsigned i = 0; i < 2 * CT; i++) {
		snprintf(name, sizeof name, "host-%u", i % CT);
		add(name);
	}
	cr_assert_eq(l.ct, CT);
	for (unsigned i = 0; i < CT; i++) {
		cr_assert_eq(begin()->lane->begun_ct, 1, "%u", i);
	}
	cr_assert_eq(begin()->lane->begun_ct, 2);
	cr_assert_eq(begin_all(), CT - 1);
	end_all_begun();
	expect_empty();
}

/* --------------------------------------------------------------------- memory */

Test(lane, without_memory_there_is_no_lane, .timeout = LIMIT)
{
	bool is_new;
	no_memory = true;
	cr_assert_null(lanes_get(&l, "a", 1, &is_new));
	no_memory = false;
	add_many("a", 1);
	no_memory = true;
	cr_assert_null(lanes_get(&l, "b", 1, &is_new));
	cr_assert_not_null(lanes_get(&l, "a", 1, &is_new));
	no_memory = false;
	begin_in("a");
	end_all_begun();
	expect_empty();
}

Test(lane, without_memory_nobody_rests, .timeout = LIMIT)
{
	struct job *job = add("a");
	begin();
	no_memory = true;
	cr_assert_eq(lanes_rest(&l, job, now + 1, now), PM_ENOMEM);
	no_memory = false;
	cr_assert_eq(job->state, JOB_SENT);
	cr_assert_eq(job->lane_state, LANE_BEGUN);
	cr_assert_eq(begun("a"), 1);
	end(job);
	expect_empty();
}

/* It is better to be early than never. */
Test(lane, without_memory_nobody_is_forgotten, .timeout = LIMIT)
{
	add_many("a", 3);
	limit("a", 0, 1, false);
	no_memory = true;
	cr_assert_eq(begin_all(), 3);
	no_memory = false;
	end_all_begun();
}

/* -------------------------------------------------------- against a slow model */

enum { NAMES = 8, JOBS = 200 };

/* What a lane is, in the simplest words. */
struct slow_lane {
	struct pm_lane_limits limits;
	uint64_t next_us, paused_us;
};
static struct slow_lane slow[NAMES];
static double slow_rate;
static uint64_t slow_next_us;

static struct slow_job {
	struct job *job; /* NULL: there is none */
	unsigned lane;
	enum lane_state state;
	uint64_t at_us; /* RESTING */
	int64_t rank;   /* WAITING: of as many attempts, the lowest is first */
} slow_jobs[JOBS];
static int64_t ranks;

static unsigned count(unsigned lane, enum lane_state state)
{
	unsigned ct = 0;
	for (size_t i = 0; i < JOBS; i++) {
		const struct slow_job *j = &slow_jobs[i];
		ct += j->job && j->lane == lane && j->state == state;
	}
	return ct;
}

static bool slow_idle(unsigned n)
{
	return !count(n, LANE_WAITING) && !count(n, LANE_BEGUN) &&
	       !count(n, LANE_RESTING);
}

static bool slow_ready(unsigned n)
{
	const struct slow_lane *s = &slow[n];
	unsigned max = s->limits.concurrency;
	return count(n, LANE_WAITING) && !s->limits.hold &&
	       (!max || count(n, LANE_BEGUN) < max) && s->next_us <= now &&
	       s->paused_us <= now && (!(slow_rate > 0) || slow_next_us <= now);
}

static bool goes_before(const struct slow_job *a, const struct slow_job *b)
{
	return a->job->attempts == b->job->attempts
		       ? a->rank < b->rank
		       : a->job->attempts > b->job->attempts;
}

static const struct slow_job *slow_first_of(unsigned n)
{
	const struct slow_job *first = NULL;
	for (size_t i = 0; i < JOBS; i++) {
		const struct slow_job *j = &slow_jobs[i];
		if (j->job && j->lane == n && j->state == LANE_WAITING &&
			(!first || goes_before(j, first))) {
			first = j;
		}
	}
	return first;
}

/* The fewest that a lane has begun that may begin one; UINT_MAX: none may. */
static unsigned slow_fewest(void)
{
	unsigned fewest = UINT_MAX;
	for (unsigned n = 0; n < NAMES; n++) {
		unsigned ct = slow_ready(n) ? count(n, LANE_BEGUN) : UINT_MAX;
		fewest = ct < fewest ? ct : fewest;
	}
	return fewest;
}

static uint64_t slow_after(uint64_t next_us, double rate)
{
	uint64_t from = now - next_us < CATCH_UP_US ? next_us : now;
	return rate > 0 ? from + (uint64_t)ceil(1e6 / rate) : next_us;
}

static struct slow_job *slow_of(const struct job *job)
{
	size_t i = 0;
	while (slow_jobs[i].job != job) {
		cr_assert_lt(++i, JOBS);
	}
	return &slow_jobs[i];
}

static void random_add(unsigned n, struct slow_job *j)
{
	char name[2] = {(char)('a' + n), 0};
	if (slow_idle(n)) {
		struct pm_lane_limits none = {0};
		slow[n].limits = none;
		slow[n].next_us = slow[n].next_us < now ? slow[n].next_us : now;
		j->job = add(name);
		lane_set(&l, find(name), &none, now);
	} else {
		j->job = add(name);
	}
	j->lane = n;
	j->state = LANE_WAITING;
	j->rank = ++ranks;
}

static void random_set(uint64_t *seed, unsigned n)
{
	char name[2] = {(char)('a' + n), 0};
	struct pm_lane_limits limits = {.concurrency = (unsigned)dice_below(seed, 5),
		.rate = (double)(dice_below(seed, 3) * 40),
		.hold = dice_below(seed, 8) == 0};
	uint64_t latest_us =
		now + (limits.rate > 0 ? (uint64_t)ceil(1e6 / limits.rate) : 0);
	struct lane *lane = find(name);
	cr_assert_eq(!lane, slow_idle(n));
	if (lane) {
		slow[n].limits = limits;
		slow[n].next_us =
			slow[n].next_us < latest_us ? slow[n].next_us : latest_us;
		lane_set(&l, lane, &limits, now);
	}
}

static void random_pause(uint64_t *seed, unsigned n)
{
	char name[2] = {(char)('a' + n), 0};
	uint64_t until_us = now + dice_below(seed, 50000);
	if (find(name)) {
		uint64_t *paused_us = &slow[n].paused_us;
		*paused_us = until_us > *paused_us ? until_us : *paused_us;
		lane_pause(&l, find(name), until_us, now);
	}
}

/* Why a lane that could does not begin: it is new, and has its share. */
static void check_proof(unsigned n)
{
	char name[2] = {(char)('a' + n), 0};
	const struct lane *lane = find(name);
	cr_assert_eq(lane->mean_us, 0);
	cr_assert_geq(lane->begun_ct, share(&l, LANE_SHARE));
	cr_assert_gt(lane->moved_us + LANE_PROOF_US, now);
}

/* With few places the one with the fewest goes first among those of its pace only, and
 * the slow ones may have to wait. */
static void check_pace(const struct job *job)
{
	for (unsigned n = 0; n < NAMES; n++) {
		char name[2] = {(char)('a' + n), 0};
		bool passed_over = slow_ready(n) && (!job || job->lane != find(name));
		if (passed_over && !job) {
			check_proof(n);
		} else if (passed_over && find(name)->linked &&
			   job->lane->pace == PACE_SLOW && !slow_ones_may_begin(&l)) {
			cr_assert_eq(find(name)->pace, PACE_SLOW);
		}
	}
}

static void check_begin(void)
{
	unsigned fewest = slow_fewest();
	if (l.places < JOBS) {
		check_pace(lanes_first(&l, true, now));
	}
	struct job *job = begin();
	cr_assert(job ? fewest < UINT_MAX : fewest == UINT_MAX || l.places < JOBS);
	if (job) {
		struct slow_job *j = slow_of(job);
		struct slow_lane *s = &slow[j->lane];
		cr_assert(count(j->lane, LANE_BEGUN) == fewest || l.places < JOBS);
		cr_assert(slow_ready(j->lane));
		cr_assert_eq(slow_first_of(j->lane), j);
		j->state = LANE_BEGUN;
		slow_next_us = slow_after(slow_next_us, slow_rate);
		s->next_us = slow_after(s->next_us, s->limits.rate);
	}
}

static void random_end(uint64_t *seed, struct slow_job *j)
{
	if (j->state == LANE_BEGUN && dice_below(seed, 3) == 0) {
		j->at_us = now + dice_below(seed, 50000);
		j->state = LANE_RESTING;
		rest(j->job, j->at_us - now);
	} else {
		end(j->job);
		j->job = NULL;
	}
}

/* The soonest first. */
static void slow_wake(void)
{
	struct slow_job *first;
	do {
		first = NULL;
		for (size_t i = 0; i < JOBS; i++) {
			struct slow_job *j = &slow_jobs[i];
			if (j->job && j->state == LANE_RESTING && j->at_us <= now &&
				(!first || j->at_us < first->at_us)) {
				first = j;
			}
		}
		if (first) {
			first->state = LANE_WAITING;
			first->rank = ++ranks;
		}
	} while (first);
}

/* When the answer to "which one" changes by itself: not later than we are told, unless
 * one had to wait for an end, and need not any more. */
static void check_next(void)
{
	uint64_t next_us = lanes_next_us(&l, now);
	cr_assert_gt(next_us, now);
	for (unsigned n = 0; n < NAMES; n++) {
		uint64_t at_us = slow[n].next_us > slow[n].paused_us
					 ? slow[n].next_us
					 : slow[n].paused_us;
		unsigned max = slow[n].limits.concurrency;
		char name[2] = {(char)('a' + n), 0};
		bool known = l.places > JOBS || !find(name) || find(name)->mean_us;
		bool could = known && count(n, LANE_WAITING) && !slow[n].limits.hold &&
			     (!max || count(n, LANE_BEGUN) < max);
		if (slow_rate > 0 && slow_next_us > at_us) {
			at_us = slow_next_us;
		}
		cr_assert(!could || at_us <= now || at_us >= next_us,
			"lane %u is due before", n);
	}
	for (size_t i = 0; i < JOBS; i++) {
		const struct slow_job *j = &slow_jobs[i];
		cr_assert(!j->job || j->state != LANE_RESTING || j->at_us >= next_us);
	}
}

static void random_time(uint64_t *seed)
{
	uint64_t next_us = lanes_next_us(&l, now);
	bool jump = dice_below(seed, 4) == 0 && next_us < UINT64_MAX;
	now = jump ? next_us : now + dice_below(seed, 3000);
	slow_wake();
	lanes_turn(&l, now);
	check_next();
}

static void random_step(uint64_t *seed)
{
	struct slow_job *j = &slow_jobs[dice_below(seed, JOBS)];
	unsigned n = (unsigned)dice_below(seed, NAMES);
	switch (dice_below(seed, 12)) {
	case 0:
		random_set(seed, n);
		break;
	case 1:
		random_pause(seed, n);
		break;
	case 2:
	case 3:
		random_time(seed);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		check_begin();
		break;
	default:
		if (!j->job) {
			random_add(n, j);
		} else {
			random_end(seed, j);
		}
	}
}

/* Those that are in the table only until their time has come, too. */
static void check_slow_lanes(void)
{
	size_t ct = 0;
	for (size_t i = 0; i < l.cap; i++) {
		for (struct lane *lane = l.table[i]; lane; lane = lane->next) {
			ct += lane->pace == PACE_SLOW;
		}
	}
	cr_assert_eq(l.slow_lane_ct, ct);
}

static void check_counts(void)
{
	unsigned waiting = 0;
	size_t slow_ct = 0;
	for (unsigned n = 0; n < NAMES; n++) {
		char name[2] = {(char)('a' + n), 0};
		const struct lane *lane = find(name);
		cr_assert_eq(!lane, slow_idle(n));
		if (lane) {
			cr_assert_eq(lane->waiting.ct, count(n, LANE_WAITING));
			cr_assert_eq(lane->begun_ct, count(n, LANE_BEGUN));
			cr_assert_eq(lane->resting_ct, count(n, LANE_RESTING));
			waiting += count(n, LANE_WAITING);
			slow_ct += lane->pace == PACE_SLOW ? lane->begun_ct : 0;
		}
	}
	cr_assert_eq(l.waiting_ct, waiting);
	cr_assert_eq(l.slow_ct, slow_ct);
	check_slow_lanes();
}

static void play(uint64_t seed, double rate, size_t places)
{
	lanes_init(&l, rate, places);
	slow_rate = rate;
	slow_next_us = 0;
	memset(slow, 0, sizeof slow);
	for (unsigned i = 0; i < 4000; i++) {
		random_step(&seed);
		check_counts();
	}
	for (size_t i = 0; i < JOBS; i++) {
		if (slow_jobs[i].job) {
			end(slow_jobs[i].job);
			slow_jobs[i].job = NULL;
		}
	}
	pass_us(1000000);
	expect_empty();
	lanes_fini(&l);
}

Test(lane, does_as_the_model_does, .timeout = LIMIT)
{
	for (uint64_t seed = 1; seed < 6; seed++) {
		play(seed, 0, PLENTY);
		play(seed, 300, PLENTY);
		play(seed, 0, 24);
		play(seed, 300, 24);
	}
}
