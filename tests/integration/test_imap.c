/* SPDX-License-Identifier: MIT
 *
 * Integration tests of iterators: order, window, errors, ends, time-outs.
 */
#include "tests/support/feed_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* -------------------------------------------------------------------- order */

static uint32_t later_is_faster(size_t i)
{
	return i % 8 ? 0 : 8;
}

static void check_step(int got, int wanted, const char *what)
{
	cr_assert_eq(got, wanted, "%s: %d (%s) instead of %d", what, got,
		pm_error_name(got), wanted);
}

Test(imap, gives_results_in_the_order_of_the_jobs, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct feed f = {.ct = 300, .what = DO_NAP, .value_of = later_is_faster};
	pm_iter *it = imap(pool, &f, false, 0);
	for (uint32_t i = 0; i < f.ct; i++) {
		const struct pm_result *r = next(it);
		struct errand e;
		cr_assert_eq(r->index, i);
		cr_assert_eq(r->tag, i * 3);
		cr_assert_eq(report_of(r).number, i);
		cr_assert_eq(r->arg_len, sizeof(e));
		memcpy(&e, r->arg, sizeof(e));
		cr_assert_eq(e.number, i);
	}
	check_end(it, 0);
	pm_iter_close(&it);
	cr_assert_null(it);
	pm_pool_close(&pool);
}

Test(imap, unordered_gives_what_is_done, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 8);
	struct feed f = {.ct = 2000, .what = DO_ECHO};
	static bool seen[2000];
	pm_iter *it = imap(pool, &f, true, 0);
	for (size_t i = 0; i < f.ct; i++) {
		const struct pm_result *r = next(it);
		cr_assert_lt(r->index, f.ct);
		cr_assert(!seen[r->index], "twice");
		cr_assert_eq(report_of(r).number, r->index);
		seen[r->index] = true;
	}
	check_end(it, 0);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

static uint32_t first_is_slow(size_t i)
{
	return i ? 0 : 60000;
}

/* The first one never ends: the others come, or do not. */
Test(imap, head_of_line, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed a = {.ct = 20, .what = DO_NAP, .value_of = first_is_slow}, b = a;
	const struct pm_result *r;
	pm_iter *free_for_all = imap(pool, &a, true, 0);
	for (int i = 1; i < 20; i++) {
		cr_assert_neq(next(free_for_all)->index, 0);
	}
	check_step(pm_next(free_for_all, 0, &r), PM_NEXT_WAIT, "the slow one");
	pm_iter *in_order = imap(pool, &b, false, 0);
	check_step(pm_next(in_order, 50, &r), PM_NEXT_WAIT, "the slow one");
	pm_iter_close(&free_for_all);
	pm_iter_close(&in_order);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------- window */

static bool is_quiet_and_asked(void *ctx)
{
	struct feed *f = ctx;
	return f->given >= 10 && board_is_quiet(NULL);
}

Test(imap, window_bounds_what_is_taken, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 64);
	struct feed f = {.ct = 1000, .what = DO_ECHO};
	pm_iter *it = imap(pool, &f, false, 10);
	cr_assert_eq(f.given, 0, "pm_imap() itself takes nothing");
	run_until(pool, is_quiet_and_asked, &f);
	cr_assert_eq(f.given, 10, "jobs begin at once, up to the window");
	for (size_t i = 0; i < f.ct; i++) {
		cr_assert_eq(report_of(next(it)).number, i);
		cr_assert_leq(f.given, i + 1 + 10);
	}
	check_end(it, 0);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

/* Each job waits for the result before it; nothing waits for a heartbeat. */
Test(imap, window_of_one_is_no_slower_than_its_jobs, .timeout = LIMIT)
{
	enum { JOBS = 40 };
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = JOBS, .what = DO_ECHO};
	uint64_t began = clock_now_ms();
	pm_iter *it = imap(pool, &f, false, 1);
	for (size_t i = 0; i < JOBS; i++) {
		cr_assert_eq(next(it)->index, i);
		cr_assert_leq(f.given, i + 1);
	}
	check_end(it, 0);
	cr_assert_lt(clock_now_ms() - began, RIG_SANITIZED ? 10000 : 4000, "%llu ms",
		(unsigned long long)(clock_now_ms() - began));
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

Test(imap, the_end_is_seen_at_once, .timeout = LIMIT)
{
	enum { TIMES = 20 };
	pm_pool *pool = rig_pool(1, 4);
	uint64_t began = clock_now_ms();
	for (int i = 0; i < TIMES; i++) {
		struct feed f = {.ct = 3, .what = DO_ECHO};
		const struct pm_result *r;
		pm_iter *it = imap(pool, &f, false, 0);
		for (int k = 0; k < 3; k++) {
			next(it);
		}
		cr_assert_eq(pm_next(it, PM_FOREVER, &r), 0);
		pm_iter_close(&it);
	}
	cr_assert_lt(clock_now_ms() - began, 4000);
	pm_pool_close(&pool);
}

Test(imap, a_hundred_thousand_jobs, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 64);
	struct feed f = {.ct = RIG_SANITIZED ? 10000 : 100000, .what = DO_ECHO};
	pm_iter *it = imap(pool, &f, false, 500);
	for (size_t i = 0; i < f.ct; i++) {
		cr_assert_eq(report_of(next(it)).number, i % BOARD_JOBS);
		cr_assert_leq(f.given, i + 501);
	}
	check_end(it, 0);
	cr_assert_eq(f.given, f.ct);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

Test(imap, of_nothing, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct feed f = {0};
	pm_iter *it = imap(pool, &f, false, 0);
	check_end(it, 0);
	pm_iter_close(&it);
	it = imap(pool, &f, true, 1);
	check_end(it, 0);
	pm_iter_close(&it);
	pm_iter_close(&it);
	pm_iter_close(NULL);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------- errors */

Test(imap, errors_are_items_and_it_goes_on, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct feed f = {.ct = 100, .what = DO_ECHO, .fail_every = 5, .value = 4};
	pm_iter *it = imap(pool, &f, false, 0);
	for (uint32_t i = 0; i < f.ct; i++) {
		const struct pm_result *r = next(it);
		check_error(r->error, i % 5 == 4 ? PM_EFAILED : 0, "it");
		cr_assert_eq(r->index, i);
	}
	check_end(it, 0);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

Test(imap, source_error_comes_after_the_results_before_it, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	for (size_t at = 1; at < 40; at += 12) {
		struct feed f = {.ct = 100, .what = DO_NAP, .value = 3, .fail_at = at};
		pm_iter *it = imap(pool, &f, at % 2, 0);
		for (size_t i = 0; i < at; i++) {
			cr_assert_eq(next(it)->error, 0);
		}
		check_end(it, PM_EDENIED);
		pm_iter_close(&it);
	}
	rig_check_works(pool);
	pm_pool_close(&pool);
}

static int failing_source(void *ctx, struct pm_job *job)
{
	(void)ctx;
	(void)job;
	return PM_ESYSTEM;
}

Test(imap, source_error_at_the_first_job, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_stream s = {.task = task_errand, .source = failing_source};
	pm_iter *it = NULL;
	cr_assert_eq(pm_imap(pool, &s, &it), 0);
	check_end(it, PM_ESYSTEM);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

Test(imap, arguments_are_checked, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_stream s = {.task = task_errand, .source = failing_source};
	const struct pm_result *r;
	pm_iter *it = NULL;
	check_error(pm_imap(pool, &s, NULL), PM_EINVAL, "no place");
	check_error(pm_imap(pool, NULL, &it), PM_EINVAL, "no stream");
	check_error(pm_imap(NULL, &s, &it), PM_EINVAL, "no pool");
	s.source = NULL;
	check_error(pm_imap(pool, &s, &it), PM_EINVAL, "no source");
	s.source = failing_source;
	s.sink = (pm_sink_fn *)(void *)failing_source;
	check_error(pm_imap(pool, &s, &it), PM_EINVAL, "a sink");
	s.sink = NULL;
	s.window = PM_WINDOW_MAX + 1u;
	check_error(pm_imap(pool, &s, &it), PM_EINVAL, "window");
	check_error(pm_next(NULL, 0, &r), PM_EINVAL, "no iterator");
	cr_assert_null(it);
	pm_pool_close(&pool);
}

/* --------------------------------------------------------- time-outs, waits */

Test(imap, can_be_asked_again_after_a_time_out, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 3, .what = DO_WAIT};
	const struct pm_result *r;
	pm_iter *it = imap(pool, &f, false, 0);
	check_step(pm_next(it, 0, &r), PM_NEXT_WAIT, "a look");
	check_step(pm_next(it, 30, &r), PM_NEXT_WAIT, "30 ms");
	gate_open();
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(next(it)->index, (uint64_t)i);
	}
	check_end(it, 0);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

Test(imap, source_may_wait, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 2, .what = DO_ECHO, .dry = true};
	const struct pm_result *r;
	pm_iter *it = imap(pool, &f, false, 0);
	check_step(pm_next(it, 50, &r), PM_NEXT_WAIT, "dry");
	cr_assert_eq(f.asked, 1, "asked again without a wake-up: %zu", f.asked);
	f.dry = false;
	check_step(pm_next(it, 50, &r), PM_NEXT_WAIT, "not woken");
	pm_pool_wake(pool);
	cr_assert_eq(next(it)->index, 0);
	cr_assert_eq(next(it)->index, 1);
	check_end(it, 0);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

Test(imap, time_out_of_the_whole_map, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 8);
	struct feed f = {.ct = 8, .what = DO_NAP, .value_of = mixed_naps};
	struct pm_stream s = {.task = task_errand,
		.source = feed_source,
		.ctx = &f,
		.timeout_ms = 300};
	pm_iter *it = NULL;
	cr_assert_eq(pm_imap(pool, &s, &it), 0);
	for (int i = 0; i < 8; i++) {
		check_error(next(it)->error, i < 3 ? 0 : PM_ETIMEDOUT, "it");
	}
	check_end(it, PM_ETIMEDOUT);
	cr_assert(wait_for(board_is_quiet, NULL, 5000));
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

/* "Nothing yet" and "its time is over" are two answers. */
Test(imap, time_outs_are_told_apart, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 8);
	struct feed f = {.ct = 1, .what = DO_NAP, .value = 60000};
	struct pm_stream s = {.task = task_errand,
		.source = feed_source,
		.ctx = &f,
		.timeout_ms = 200};
	const struct pm_result *r = NULL;
	pm_iter *it = NULL;
	size_t waited = 0;
	int step;
	cr_assert_eq(pm_imap(pool, &s, &it), 0);
	while ((step = pm_next(it, 10, &r)) == PM_NEXT_WAIT) {
		cr_assert_null(r);
		waited++;
	}
	check_step(step, PM_NEXT_RESULT, "the job");
	check_error(r->error, PM_ETIMEDOUT, "the job");
	cr_assert_geq(waited, 1);
	check_end(it, PM_ETIMEDOUT);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

Test(imap, stops_on_the_first_error, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct feed f = {.ct = 100000, .what = DO_ECHO, .fail_every = 50};
	struct pm_stream s = {.task = task_errand,
		.source = feed_source,
		.ctx = &f,
		.stop_on = PM_STOP_FIRST_ERROR};
	pm_iter *it = NULL;
	const struct pm_result *r;
	size_t ct = 0, failed = 0;
	int err;
	cr_assert_eq(pm_imap(pool, &s, &it), 0);
	while ((err = pm_next(it, 20000, &r)) == 1) {
		failed += r->error == PM_EFAILED;
		cr_assert(r->error == 0 || r->error == PM_EFAILED ||
			  r->error == PM_ECANCELLED);
		ct++;
	}
	check_error(err, PM_EFAILED, "the job that stopped it");
	cr_assert_geq(failed, 1);
	cr_assert_eq(ct, f.given, "each that was taken has its result");
	cr_assert_lt(f.given, 100000);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}
