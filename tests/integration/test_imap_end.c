/* SPDX-License-Identifier: MIT
 *
 * Integration tests of iterators that end before their time, of several at once, and of
 * those that are used inside of each other.
 */
#include "tests/support/feed_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* ---------------------------------------------------------------- early end */

Test(imap_end, closed_early_stops_what_runs, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct feed f = {.ct = 1000, .what = DO_NAP, .value_of = mixed_naps};
	pm_iter *it = imap(pool, &f, false, 0);
	next(it);
	run_until_inside(pool, 8);
	pm_iter_close(&it);
	cr_assert(wait_for(board_is_quiet, NULL, 5000), "tasks go on");
	size_t given = f.given;
	rig_check_works(pool);
	cr_assert_eq(f.given, given, "the source is still read");
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
}

Test(imap_end, cancelled_by_the_pool, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 100, .what = DO_NAP, .value_of = mixed_naps};
	pm_iter *it = imap(pool, &f, false, 0);
	next(it);
	pm_pool_cancel(pool);
	check_end(it, PM_ECANCELLED);
	pm_iter_close(&it);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(imap_end, outlives_its_pool, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 100, .what = DO_ECHO};
	pm_iter *it = imap(pool, &f, false, 0);
	const struct pm_result *r = next(it);
	pm_pool_close(&pool);
	cr_assert_eq(report_of(r).number, 0, "valid until the next call");
	check_end(it, PM_ECLOSED);
	pm_iter_close(&it);
}

Test(imap_end, outlives_its_terminated_pool, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 100, .what = DO_NAP, .value_of = mixed_naps};
	pm_iter *it = imap(pool, &f, true, 0);
	const struct pm_result *r = next(it);
	pm_pool_terminate(&pool);
	cr_assert_eq(report_of(r).number, r->index);
	pm_iter_close(&it);
}

static void close_all(pm_future *future, void *ctx)
{
	struct feed *f = ctx;
	(void)future;
	pm_pool_close(&f->pool);
}

/* The pool ends with the call in which it was closed; the result does not. */
Test(imap_end, pool_closed_in_a_callback, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	struct feed f = {.ct = 4, .what = DO_NAP, .value = 30};
	pm_future *future = submit(pool, DO_ECHO, 500, 0);
	cr_assert_eq(pm_future_on_done(future, close_all, &f), 0);
	pm_iter *it = imap(pool, &f, false, 0);
	const struct pm_result *r = next(it);
	cr_assert_null(f.pool, "it was closed meanwhile");
	cr_assert_eq(report_of(r).number, 0);
	check_end(it, PM_ECLOSED);
	pm_iter_close(&it);
	pm_future_free(&future);
}

static void close_iter(pm_future *future, void *ctx)
{
	(void)future;
	pm_iter_close(ctx);
}

Test(imap_end, closed_in_a_callback_while_it_is_asked, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 100, .what = DO_NAP, .value = 60000};
	const struct pm_result *r;
	pm_future *future = submit(pool, DO_ECHO, 500, 0);
	pm_iter *it = imap(pool, &f, false, 0);
	cr_assert_eq(pm_future_on_done(future, close_iter, &it), 0);
	check_error(pm_next(it, 20000, &r), PM_ECANCELLED, "closed meanwhile");
	cr_assert_null(it);
	cr_assert(wait_for(board_is_quiet, NULL, 5000));
	pm_future_free(&future);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(imap_end, closed_by_its_own_source, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	pm_iter *it;
	struct feed f = {.ct = 100, .what = DO_NAP, .value = 60000, .close = &it};
	const struct pm_result *r;
	it = imap(pool, &f, false, 0);
	check_error(pm_next(it, 20000, &r), PM_ECANCELLED, "closed meanwhile");
	cr_assert_null(it);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------- many at once */

Test(imap_end, two_iterators_a_map_and_a_future_at_once, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct feed a = {.ct = 500, .what = DO_ECHO}, b = a;
	pm_iter *ia = imap(pool, &a, false, 20), *ib = imap(pool, &b, true, 30);
	pm_future *f = submit(pool, DO_ECHO, 900, 0);
	for (uint32_t i = 0; i < 500; i++) {
		cr_assert_eq(report_of(next(ia)).number, i);
		cr_assert_eq(next(ib)->error, 0);
		if (i % 100 == 50) {
			rig_check_works(pool);
		}
	}
	check_end(ia, 0);
	check_end(ib, 0);
	cr_assert_eq(end_of(&f), 0);
	pm_iter_close(&ib);
	pm_iter_close(&ia);
	pm_pool_close(&pool);
}

/* A window that is full and that nobody empties is nobody else's trouble. */
Test(imap_end, an_iterator_left_alone_blocks_nobody, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	struct feed f = {.ct = 500, .what = DO_ECHO};
	pm_iter *it = imap(pool, &f, false, 3);
	for (int i = 0; i < 5; i++) {
		rig_check_works(pool);
	}
	cr_assert_eq(f.given, 3);
	cr_assert_eq(next(it)->index, 0);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------- inside */

struct inside {
	pm_iter *it;
	bool seen[100];
	size_t taken;
};

static void take(struct inside *x, const struct pm_result *r)
{
	cr_assert_lt(r->index, 100);
	cr_assert(!x->seen[r->index], "twice");
	x->seen[r->index] = true;
	x->taken++;
}

static void take_ten(pm_future *f, void *ctx)
{
	struct inside *x = ctx;
	(void)f;
	for (int i = 0; i < 10; i++) {
		take(x, next(x->it));
	}
}

/* A callback asks the same iterator while somebody waits for it: each result is given
 * to one of the two. */
Test(imap_end, asked_in_a_callback, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 100, .what = DO_NAP, .value = 1};
	struct inside x = {0};
	const struct pm_result *r;
	pm_future *future = submit(pool, DO_ECHO, 500, 0);
	cr_assert_eq(pm_future_on_done(future, take_ten, &x), 0);
	x.it = imap(pool, &f, false, 0);
	while (pm_next(x.it, 20000, &r) == 1) {
		take(&x, r);
	}
	cr_assert_eq(x.taken, 100);
	check_end(x.it, 0);
	pm_iter_close(&x.it);
	pm_future_free(&future);
	pm_pool_close(&pool);
}

/* What was done is still there after the join, up to the window. */
Test(imap_end, read_after_the_join, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 1000, .what = DO_ECHO};
	pm_iter *it = imap(pool, &f, false, 20);
	cr_assert_eq(next(it)->index, 0);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	cr_assert_eq(pm_pool_join(pool, 20000), 0);
	size_t given = f.given;
	for (size_t i = 1; i < given; i++) {
		cr_assert_eq(report_of(next(it)).number, i);
	}
	check_end(it, PM_ECLOSED);
	cr_assert_eq(f.given, given, "the source is read after the shutdown");
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

static int iterate_in_sink(void *ctx, const struct pm_result *r)
{
	struct feed *outer = ctx, inner = {.ct = 5, .what = DO_ECHO};
	pm_iter *it = imap(outer->pool, &inner, false, 2);
	for (uint32_t i = 0; i < 5; i++) {
		cr_assert_eq(report_of(next(it)).number, i);
	}
	check_end(it, 0);
	pm_iter_close(&it);
	cr_assert_eq(report_of(r).number, r->index, "it is valid in the sink");
	return PM_SINK_TAKEN;
}

Test(imap_end, inside_of_a_sink, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct feed f = {.ct = 50, .what = DO_ECHO, .pool = pool};
	struct pm_stream s = {.task = task_errand,
		.source = feed_source,
		.sink = iterate_in_sink,
		.ctx = &f};
	cr_assert_eq(pm_map_stream(pool, &s), 0);
	pm_pool_close(&pool);
}

/* Closed while a result of it is still in use elsewhere; a hundred times. */
Test(imap_end, opened_and_closed_many_times, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	for (size_t i = 0; i < 100; i++) {
		struct feed f = {.ct = 100, .what = DO_ECHO};
		pm_iter *it = imap(pool, &f, i % 2, 1 + i % 7);
		for (size_t k = 0; k < i % 5; k++) {
			cr_assert_eq(next(it)->error, 0);
		}
		pm_iter_close(&it);
	}
	rig_check_works(pool);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
}
