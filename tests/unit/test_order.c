/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/order: completions in any order, deliveries in the order
 * of the jobs, or as they come.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "master/order.h"
#include "tests/unit/dice.h"

enum { JOB_CT = 4096 };

static struct job *jobs[JOB_CT];
static struct order o;

static void make(void)
{
	for (uint64_t i = 0; i < JOB_CT; i++) {
		jobs[i] = calloc(1, sizeof *jobs[i]);
		cr_assert_not_null(jobs[i]);
		jobs[i]->index = i;
	}
	order_init(&o, true);
}

static void clear(void)
{
	order_fini(&o);
	for (size_t i = 0; i < JOB_CT; i++) {
		free(jobs[i]);
	}
}

TestSuite(order, .init = make, .fini = clear);

static void reserve_up_to(uint64_t ct)
{
	for (uint64_t i = 0; i < ct; i++) {
		cr_assert_eq(order_reserve(&o, i), 0);
	}
}

/* The next to be delivered is this one. */
static void expect_next(uint64_t index)
{
	struct job *job = order_first(&o);
	cr_assert_not_null(job, "%ju", (uintmax_t)index);
	cr_assert_eq(job->index, index, "%ju comes for %ju", (uintmax_t)job->index,
		(uintmax_t)index);
	cr_assert_eq(order_first(&o), job, "it stays until it is taken out");
	order_pop(&o);
}

Test(order, has_nothing_at_first, .timeout = 10)
{
	cr_assert_null(order_first(&o));
	order_pop(&o);
	cr_assert_null(order_first(&o));
}

Test(order, ends_without_having_been_used, .timeout = 10)
{
	order_fini(&o);
	order_fini(&o);
	cr_assert_null(o.ring);
}

Test(order, delivers_one, .timeout = 10)
{
	reserve_up_to(1);
	order_put(&o, jobs[0]);
	expect_next(0);
	cr_assert_null(order_first(&o));
}

Test(order, delivers_in_order_what_comes_in_order, .timeout = 10)
{
	reserve_up_to(1000);
	for (uint64_t i = 0; i < 1000; i++) {
		order_put(&o, jobs[i]);
		expect_next(i);
		cr_assert_null(order_first(&o));
	}
}

Test(order, delivers_in_order_what_comes_in_reverse, .timeout = 10)
{
	reserve_up_to(1000);
	for (uint64_t i = 1000; i-- > 1;) {
		order_put(&o, jobs[i]);
		cr_assert_null(order_first(&o), "%ju is early", (uintmax_t)i);
	}
	order_put(&o, jobs[0]);
	for (uint64_t i = 0; i < 1000; i++) {
		expect_next(i);
	}
	cr_assert_null(order_first(&o));
}

Test(order, waits_for_the_one_that_is_missing, .timeout = 10)
{
	reserve_up_to(6);
	order_put(&o, jobs[0]);
	order_put(&o, jobs[1]);
	order_put(&o, jobs[3]);
	order_put(&o, jobs[4]);
	expect_next(0);
	expect_next(1);
	cr_assert_null(order_first(&o));
	order_put(&o, jobs[2]);
	expect_next(2);
	expect_next(3);
	expect_next(4);
	cr_assert_null(order_first(&o));
	order_put(&o, jobs[5]);
	expect_next(5);
}

Test(order, delivers_as_they_come_when_it_is_unordered, .timeout = 10)
{
	static const uint64_t indexes[] = {7, 3, 4000, 0, 1};
	order_init(&o, false);
	for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
		cr_assert_eq(order_reserve(&o, indexes[i]), 0);
		order_put(&o, jobs[indexes[i]]);
	}
	for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
		expect_next(indexes[i]);
	}
	cr_assert_null(order_first(&o));
	cr_assert_null(o.ring, "it needs no ring");
}

Test(order, has_no_limit_when_it_is_unordered, .timeout = 10)
{
	order_init(&o, false);
	cr_assert_eq(order_reserve(&o, UINT64_MAX), 0);
	jobs[0]->index = UINT64_MAX;
	order_put(&o, jobs[0]);
	expect_next(UINT64_MAX);
}

/* ------------------------------------------------------------ growth */

static bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

Test(order, grows_by_what_was_reserved, .timeout = 10)
{
	static const uint64_t indexes[] = {0, 255, 256, 257, 511, 512, 5000, 1 << 20};
	for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
		cr_assert_eq(order_reserve(&o, indexes[i]), 0);
		cr_assert_gt(o.cap, indexes[i]);
		cr_assert(is_power_of_two(o.cap), "%zu", o.cap);
		struct job **ring = o.ring;
		cr_assert_eq(order_reserve(&o, indexes[i]), 0);
		cr_assert_eq(o.ring, ring, "what is there is not made again");
	}
}

Test(order, keeps_what_waits_while_it_grows, .timeout = 10)
{
	/* from a place in the middle of the ring, so that it goes round its end */
	reserve_up_to(200);
	for (uint64_t i = 0; i < 200; i++) {
		order_put(&o, jobs[i]);
		expect_next(i);
	}
	for (uint64_t i = 200; i < 3000; i++) {
		cr_assert_eq(order_reserve(&o, i), 0);
		if (i > 200) {
			order_put(&o, jobs[i]);
		}
	}
	cr_assert_null(order_first(&o));
	order_put(&o, jobs[200]);
	for (uint64_t i = 200; i < 3000; i++) {
		expect_next(i);
	}
	cr_assert_null(order_first(&o));
}

Test(order, needs_no_growth_for_a_long_stream_with_a_small_window, .timeout = 10)
{
	for (uint64_t i = 0; i < 100000; i++) {
		cr_assert_eq(order_reserve(&o, i), 0);
		jobs[0]->index = i;
		order_put(&o, jobs[0]);
		expect_next(i);
	}
	cr_assert_leq(o.cap, 256);
}

Test(order, goes_on_beyond_every_index_of_a_run, .timeout = 10)
{
	o.next = UINT64_MAX - 2; /* where the numbers end */
	for (uint64_t i = 0; i < 6; i++) {
		jobs[i]->index = UINT64_MAX - 2 + i;
		cr_assert_eq(order_reserve(&o, jobs[i]->index), 0);
	}
	for (uint64_t i = 6; i-- > 0;) {
		order_put(&o, jobs[i]);
	}
	for (uint64_t i = 0; i < 6; i++) {
		expect_next(UINT64_MAX - 2 + i);
	}
}

Test(order, aborts_when_there_is_no_room, .timeout = 10, .signal = SIGABRT)
{
	cr_assert_eq(order_reserve(&o, 0), 0);
	order_put(&o, jobs[o.cap]); /* was not reserved */
}

Test(order, aborts_when_a_job_comes_after_its_turn, .timeout = 10, .signal = SIGABRT)
{
	reserve_up_to(2);
	order_put(&o, jobs[0]);
	order_put(&o, jobs[0]);
}

/* ---------------------------------------------------------------- put back */

static void take_and_put_back(uint64_t index)
{
	struct job *job = order_first(&o);
	cr_assert_not_null(job);
	cr_assert_eq(job->index, index);
	order_pop(&o);
	cr_assert_neq(order_first(&o), job);
	order_put_back(&o, job);
	cr_assert_eq(order_first(&o), job);
}

Test(order, takes_one_back, .timeout = 10)
{
	reserve_up_to(3);
	order_put(&o, jobs[0]);
	take_and_put_back(0);
	take_and_put_back(0);
	order_put(&o, jobs[2]);
	order_put(&o, jobs[1]);
	take_and_put_back(0);
	expect_next(0);
	take_and_put_back(1);
	expect_next(1);
	expect_next(2);
	cr_assert_null(order_first(&o));
}

/* While it was away its successors came. */
Test(order, takes_one_back_before_those_that_came_meanwhile, .timeout = 10)
{
	reserve_up_to(4);
	order_put(&o, jobs[0]);
	order_pop(&o);
	order_put(&o, jobs[2]);
	order_put(&o, jobs[1]);
	order_put_back(&o, jobs[0]);
	order_put(&o, jobs[3]);
	for (uint64_t i = 0; i < 4; i++) {
		expect_next(i);
	}
}

Test(order, takes_one_back_when_it_is_unordered, .timeout = 10)
{
	order_init(&o, false);
	order_put(&o, jobs[7]);
	order_put(&o, jobs[3]);
	take_and_put_back(7);
	order_pop(&o);
	order_put(&o, jobs[1]);
	order_put_back(&o, jobs[7]);
	expect_next(7);
	expect_next(3);
	expect_next(1);
}

/* ------------------------------------------------------------ all together */

/* A run of all jobs with at most `window` open, completed at random. */
static void run_with_window(size_t window, uint64_t seed)
{
	size_t open[JOB_CT], open_ct = 0, taken = 0, delivered = 0;
	while (delivered < JOB_CT) {
		while (taken < JOB_CT && taken - delivered < window) {
			cr_assert_eq(order_reserve(&o, taken), 0);
			open[open_ct++] = taken++;
		}
		if (open_ct) {
			size_t at = dice_below(&seed, open_ct);
			order_put(&o, jobs[open[at]]);
			open[at] = open[--open_ct];
		}
		for (size_t ct = dice_below(&seed, 4); ct > 0 && order_first(&o);
			ct--) {
			if (dice_below(&seed, 8) == 0) {
				take_and_put_back(delivered);
			}
			expect_next(delivered++);
		}
	}
	cr_assert_null(order_first(&o));
	cr_assert(o.cap <= 256 || o.cap < 2 * window, "%zu for %zu", o.cap, window);
}

Test(order, keeps_the_order_whatever_completes_first, .timeout = 60)
{
	static const size_t windows[] = {1, 2, 3, 100, 255, 256, 257, 1000, JOB_CT};
	for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
		order_fini(&o);
		order_init(&o, true);
		run_with_window(windows[i], windows[i]);
	}
}

Test(order, keeps_the_order_of_completion_when_it_is_unordered, .timeout = 30)
{
	size_t completed[JOB_CT], open[JOB_CT];
	uint64_t seed = 5;
	order_init(&o, false);
	for (size_t i = 0; i < JOB_CT; i++) {
		open[i] = i;
	}
	for (size_t ct = JOB_CT; ct > 0; ct--) {
		size_t at = dice_below(&seed, ct);
		completed[JOB_CT - ct] = open[at];
		order_put(&o, jobs[open[at]]);
		open[at] = open[ct - 1];
	}
	for (size_t i = 0; i < JOB_CT; i++) {
		expect_next(completed[i]);
	}
	cr_assert_null(order_first(&o));
}
