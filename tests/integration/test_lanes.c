/* SPDX-License-Identifier: MIT
 *
 * Integration tests of lanes: concurrency, rates, fairness, retries, admission and
 * what callbacks change, with tasks that write down when they were in which lane.
 */
#include <sys/resource.h>

#include "tests/support/lane_rig.h"

enum { LIMIT = 120 }; /* seconds for each test */

/* --------------------------------------------------------------- concurrency */

static struct chore in_five_lanes(size_t i)
{
	return (struct chore){.lane = (uint32_t)(i % 5), .nap_ms = 8};
}

static void check_caps(unsigned workers)
{
	pm_pool *pool = rig_pool(workers, 21);
	struct play p = {.ct = 200, .chore = in_five_lanes};
	for (unsigned i = 0; i < 5; i++) {
		p.limits[i].concurrency = i + 1;
	}
	play_all(pool, &p);
	for (unsigned i = 0; i < 5; i++) {
		int most = most_in(i);
		cr_assert_leq(
			most, (int)i + 1, "%u workers, lane %u: %d", workers, i, most);
		cr_assert_geq(
			most, i ? 2 : 1, "%u workers, lane %u: %d", workers, i, most);
	}
	cr_assert_eq(p.failed, 0);
	cr_assert_eq(p.admits, 200);
	cr_assert_geq(p.news, 5);
	pm_pool_close(&pool);
}

Test(lanes, one_worker_keeps_to_the_limits, .timeout = LIMIT)
{
	check_caps(1);
}

Test(lanes, two_workers_keep_to_the_limits, .timeout = LIMIT)
{
	check_caps(2);
}

Test(lanes, seven_workers_keep_to_the_limits, .timeout = LIMIT)
{
	check_caps(7);
}

static struct chore one_by_one(size_t i)
{
	return (struct chore){.lane = (uint32_t)(i % 10), .nap_ms = 1};
}

Test(lanes, window_smaller_than_the_lanes, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct play p = {.pool = pool, .ct = 200, .chore = one_by_one, .ordered = true};
	for (unsigned i = 0; i < 10; i++) {
		p.limits[i].concurrency = 1;
	}
	struct pm_stream s = play_stream(&p);
	s.window = 3;
	cr_assert_eq(pm_map_stream(pool, &s), 0);
	cr_assert_eq(p.got, 200);
	for (unsigned i = 0; i < 10; i++) {
		cr_assert_eq(most_in(i), 1);
	}
	pm_pool_close(&pool);
}

/* --------------------------------------------------------------------- rates */

static struct chore in_lane_0(size_t i)
{
	(void)i;
	return (struct chore){0};
}

/* Jobs in a second; of one lane, or of all. */
static double measured_rate(int lane)
{
	uint64_t first = UINT64_MAX, last = 0;
	unsigned ct = 0, all = atomic_load(&lane_log->ct);
	for (unsigned i = 0; i < all; i++) {
		uint64_t at_us = lane_log->begun[i].at_us;
		if (lane < 0 || lane_log->begun[i].lane == (uint32_t)lane) {
			first = at_us < first ? at_us : first;
			last = at_us > last ? at_us : last;
			ct++;
		}
	}
	cr_assert_geq(last - first, 1900000, "too short to tell");
	return (ct - 1) * 1e6 / (double)(last - first);
}

/* Never faster; and as fast, unless the machine had something else to do, which it has
 * not three times. */
static void check_rate(struct play *p, double all, int lane, double wanted)
{
	double rate = 0;
	for (int i = 0; i < 3 && rate < wanted * 0.95; i++) {
		pm_pool *pool = rig_pool(2, 16);
		struct play again = *p;
		struct pm_stream s = play_stream(&again);
		s.rate = all;
		atomic_store(&lane_log->ct, 0);
		cr_assert_eq(pm_map_stream(pool, &s), 0);
		cr_assert_eq(again.got, p->ct);
		rate = measured_rate(lane);
		cr_assert_leq(rate, wanted * 1.05);
		pm_pool_close(&pool);
	}
	cr_assert(RIG_SANITIZED || rate >= wanted * 0.95, "%.1f a second", rate);
}

Test(lanes, rate_of_one, .timeout = LIMIT)
{
	struct play p = {.ct = 440, .chore = in_lane_0};
	p.limits[0].rate = 200;
	check_rate(&p, 0, 0, 200);
}

Test(lanes, rate_of_all_together, .timeout = LIMIT)
{
	struct play p = {.ct = 660, .chore = in_five_lanes};
	check_rate(&p, 300, -1, 300);
}

static double cpu_s(void)
{
	struct rusage u;
	cr_assert_eq(getrusage(RUSAGE_SELF, &u), 0);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static struct chore long_naps(size_t i)
{
	(void)i;
	return (struct chore){.nap_ms = 400};
}

/* A rate that is not what the jobs wait for keeps the loop from its sleep no more than
 * none. */
Test(lanes, the_loop_sleeps_while_all_workers_are_busy, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct play p = {.pool = pool, .ct = 4, .chore = long_naps};
	struct pm_stream s = play_stream(&p);
	s.rate = 100;
	double before = cpu_s();
	cr_assert_eq(pm_map_stream(pool, &s), 0);
	cr_assert_lt(cpu_s() - before, 0.5, "%.2f s of CPU", cpu_s() - before);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------------- fairness */

enum { FAST = 600 };

static struct chore fast_only(size_t i)
{
	(void)i;
	return (struct chore){.lane = 1, .nap_ms = 10};
}

static struct chore slow_first(size_t i)
{
	return i < FAST ? (struct chore){.lane = 0, .nap_ms = 1000} : fast_only(i);
}

static struct chore shuffled(size_t i)
{
	return i * 7919 % (2 * FAST) < FAST ? slow_first(0) : fast_only(i);
}

static void stop_when_fast_is_done(struct play *p, const struct pm_result *r)
{
	struct chore c;
	memcpy(&c, r->arg, sizeof(c));
	p->failed += c.lane == 1; /* here: the fast ones that are done */
	if (p->failed == FAST) {
		pm_pool_cancel(p->pool);
	}
}

static uint64_t time_of_fast(struct chore (*chore)(size_t), size_t ct, unsigned max)
{
	pm_pool *pool = rig_pool(2, 32);
	struct play p = {.ct = ct, .chore = chore, .on_result = stop_when_fast_is_done};
	p.limits[0].concurrency = p.limits[1].concurrency = max;
	uint64_t from = clock_now_ms();
	pm_future *f = play_start(pool, &p);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 100000, NULL), 0);
	uint64_t took = clock_now_ms() - from;
	cr_assert_eq(p.failed, FAST);
	pm_future_free(&f);
	pm_pool_terminate(&pool);
	return took;
}

/* Half of the places would be twice the time.  Not 1.2 times, which tests/bench
 * measures: the machine may have something else to do, and then it counts which of the
 * workers has which jobs. */
static void check_time(struct chore (*chore)(size_t), unsigned max)
{
	uint64_t alone = 0, beside = UINT64_MAX / 10;
	for (int i = 0; i < 5 && beside * 10 >= alone * 15; i++) {
		alone = time_of_fast(fast_only, FAST, max);
		beside = time_of_fast(chore, 2 * FAST, max);
	}
	cr_assert_lt(beside * 10, alone * 15, "%ju ms instead of %ju",
		(uintmax_t)beside, (uintmax_t)alone);
}

/* Each may have 4 of 32 places: the slow one takes none that the fast one needs. */
Test(lanes, a_slow_one_costs_a_fast_one_nothing, .timeout = LIMIT)
{
	check_time(slow_first, 4);
	check_time(shuffled, 4);
}

/* Without limits the slow one has one of the 32 places. */
Test(lanes, a_slow_one_costs_a_fast_one_little, .timeout = LIMIT)
{
	check_time(slow_first, 0);
	check_time(shuffled, 0);
}

/* One slow job in each second, for as long as there are fast ones. */
static void check_share(struct chore (*chore)(size_t))
{
	uint64_t slow = 0, fast = 0, took_us = 0;
	atomic_store(&lane_log->ct, 0);
	time_of_fast(chore, 2 * FAST, 0);
	for (unsigned i = 0; fast < FAST - 20; i++) {
		cr_assert_lt(i, atomic_load(&lane_log->ct));
		slow += lane_log->begun[i].lane == 0;
		fast += lane_log->begun[i].lane == 1;
		took_us = lane_log->begun[i].at_us - lane_log->begun[0].at_us;
	}
	cr_assert_geq(slow, 1);
	cr_assert_leq(slow, 1 + took_us / 1000000, "%ju in %ju us",
		(uintmax_t)slow, (uintmax_t)took_us);
}

Test(lanes, a_slow_one_gets_its_share_and_not_more, .timeout = LIMIT)
{
	check_share(slow_first);
	check_share(shuffled);
}

enum { QUICK = 16000 };

static unsigned slow_ct;

static struct chore one_slow_in_fifty(size_t i)
{
	return i % 50 ? (struct chore){.lane = 1, .nap_ms = 2}
		      : (struct chore){.lane = 0, .nap_ms = 100};
}

static void stop_when_quick_is_done(struct play *p, const struct pm_result *r)
{
	struct chore c;
	memcpy(&c, r->arg, sizeof(c));
	slow_ct += c.lane == 0;
	p->failed += c.lane == 1;
	if (p->failed == QUICK - QUICK / 50) {
		pm_pool_cancel(p->pool);
	}
}

/* Quick jobs wait at the workers, so that no place is ever free by itself: yet the slow
 * ones get theirs. */
Test(lanes, quick_ones_leave_the_others_their_share, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 32);
	struct play p = {.ct = QUICK,
		.chore = one_slow_in_fifty,
		.on_result = stop_when_quick_is_done};
	uint64_t from = clock_now_ms();
	pm_future *f = play_start(pool, &p);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 100000, NULL), 0);
	uint64_t took = clock_now_ms() - from;
	cr_assert_gt(took, 400, "it was over too soon to tell: %ju", (uintmax_t)took);
	cr_assert_geq((uint64_t)slow_ct * 200, took, "%u in %ju ms", slow_ct,
		(uintmax_t)took);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

static struct chore short_naps(size_t i)
{
	return (struct chore){.lane = (uint32_t)(i % 2), .nap_ms = 2};
}

/* Maps take turns, with lanes and without. */
Test(lanes, maps_with_lanes_take_turns, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct play a = {.ct = 3000, .chore = short_naps};
	struct play b = {.ct = 30, .chore = short_naps};
	pm_future *fa = play_start(pool, &a), *fb = play_start(pool, &b);
	rig_check_works(pool); /* a map without */
	cr_assert_lt(a.got, 1500, "%zu came before the map without lanes", a.got);
	cr_assert_eq(pm_wait(&fb, 1, PM_ALL, 60000, NULL), 0);
	cr_assert_eq(b.got, 30);
	cr_assert_lt(a.got, 1500, "%zu came before the other one", a.got);
	cr_assert_eq(pm_future_cancel(fa), 0);
	cr_assert_eq(pm_wait(&fa, 1, PM_ALL, 60000, NULL), 0);
	pm_future_free(&fa);
	pm_future_free(&fb);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------------- retries */

static struct chore first_fails(size_t i)
{
	return (struct chore){.nap_ms = 5, .fails = i == 0 ? 1 : 0};
}

Test(lanes, a_retry_takes_no_place, .timeout = LIMIT)
{
	enum { JOBS = 6 };
	pm_pool *pool = rig_pool(1, 1);
	struct play p = {.ct = JOBS, .chore = first_fails, .retry.delay_ms = 300};
	p.limits[0].concurrency = 1;
	play_all(pool, &p);
	cr_assert_eq(atomic_load(&lane_log->ct), JOBS + 1);
	for (uint32_t i = 0; i <= JOBS; i++) {
		cr_assert_eq(lane_log->begun[i].number, i % JOBS, "%u", i);
	}
	uint64_t rested_us = lane_log->begun[JOBS].at_us - lane_log->begun[0].at_us;
	cr_assert_geq(rested_us, 300000);
	cr_assert_eq(most_in(0), 1);
	cr_assert_eq(p.retries, 1);
	cr_assert_eq(p.admits, JOBS, "it is admitted once");
	cr_assert_eq(rig_stats(pool).retries, 1);
	pm_pool_close(&pool);
}

static struct chore fails_thrice(size_t i)
{
	(void)i;
	return (struct chore){.fails = 3};
}

static void check_fourth(struct play *p, const struct pm_result *r)
{
	(void)p;
	cr_assert_eq(r->attempts, 4);
}

/* Nothing else is there that could wake the loop. */
Test(lanes, the_last_job_wakes, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct play p = {.ct = 1,
		.chore = fails_thrice,
		.retry.delay_ms = 40,
		.on_result = check_fourth};
	uint64_t from = clock_now_ms();
	play_all(pool, &p);
	uint64_t took = clock_now_ms() - from;
	cr_assert_eq(p.failed, 0);
	cr_assert_geq(took, 120);
	cr_assert_lt(took, RIG_SANITIZED ? 5000 : 1000, "%ju ms", (uintmax_t)took);
	pm_pool_close(&pool);
}

static struct chore many_fail(size_t i)
{
	return (struct chore){.lane = (uint32_t)(i % 3),
		.nap_ms = (uint32_t)(i % 4),
		.fails = i % 7 ? 0 : 2};
}

Test(lanes, results_are_in_order_in_spite_of_retries, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct play p = {
		.ct = 300, .chore = many_fail, .retry.delay_ms = 20, .ordered = true};
	p.limits[1].concurrency = 2;
	play_all(pool, &p);
	cr_assert_eq(p.failed, 0);
	cr_assert_eq(p.retries, 2 * (300 / 7 + 1));
	cr_assert_eq(rig_stats(pool).retries, p.retries);
	pm_pool_close(&pool);
}

static struct chore fifth_fails(size_t i)
{
	return i < 10 ? (struct chore){.nap_ms = 1, .fails = i == 4 ? 1 : 0}
		      : (struct chore){.lane = 1, .nap_ms = 5};
}

/* What of the other lane begins meanwhile. */
Test(lanes, lane_delay_stops_all_of_it_and_nothing_else, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p = {.ct = 200, .chore = fifth_fails, .retry.lane_delay_ms = 300};
	p.limits[0].concurrency = 1;
	p.limits[1].concurrency = 1;
	play_all(pool, &p);
	uint64_t failed_us = 0, next_us = 0;
	unsigned others = 0;
	for (unsigned i = 0; i < atomic_load(&lane_log->ct) && !next_us; i++) {
		if (lane_log->begun[i].lane == 1) {
			others += failed_us != 0;
		} else if (failed_us) {
			next_us = lane_log->begun[i].at_us;
			cr_assert_eq(lane_log->begun[i].number, 4,
				"first comes the one that failed");
		} else if (lane_log->begun[i].number == 4) {
			failed_us = lane_log->begun[i].at_us;
		}
	}
	cr_assert(failed_us && next_us);
	cr_assert_geq(next_us - failed_us, 300000);
	cr_assert_geq(others, 5);
	pm_pool_close(&pool);
}

/* ----------------------------------------------------------- admission, hold */

static int refuse_thirds(struct play *p, size_t number)
{
	(void)p;
	return number % 3 ? 0 : PM_EDENIED;
}

static void check_thirds(struct play *p, const struct pm_result *r)
{
	(void)p;
	check_error(r->error, r->index % 3 ? 0 : PM_EDENIED, "admission");
	cr_assert(!r->error || strcmp(r->message, "not admitted") == 0);
	cr_assert_eq(r->worker < 0, r->error != 0);
}

Test(lanes, admit_refuses, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p = {.ct = 99,
		.chore = one_by_one,
		.admit = refuse_thirds,
		.on_result = check_thirds,
		.ordered = true};
	play_all(pool, &p);
	cr_assert_eq(p.admits, 99);
	cr_assert_eq(p.failed, 33);
	cr_assert_eq(atomic_load(&lane_log->ct), 66);
	cr_assert_eq(p.retries, 0);
	pm_pool_close(&pool);
}

static void release_at_ten(struct play *p, const struct pm_result *r)
{
	cr_assert(p->got <= 10 ? r->index % 2 == 0 : r->index % 2 == 1);
	if (p->got == 10) {
		set_lane(p->pool, 1, 0, false);
	}
}

static struct chore in_two_lanes(size_t i)
{
	return (struct chore){.lane = (uint32_t)(i % 2)};
}

Test(lanes, hold_until_a_callback_lets_go, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct play p = {.ct = 20, .chore = in_two_lanes, .on_result = release_at_ten};
	p.limits[1].hold = true;
	play_all(pool, &p);
	pm_pool_close(&pool);
}

static void let_go(pm_future *future, void *ctx)
{
	struct play *p = ctx;
	(void)future;
	p->failed = atomic_load(&lane_log->ct); /* here: what had begun by now */
	set_lane(p->pool, 0, 0, false);
}

/* The first job of a lane asks for something that all of it needs. */
static int ask_first(struct play *p, size_t number)
{
	struct errand e = {.what = DO_NAP, .value = 100};
	struct pm_job job = PM_JOB(e);
	pm_future *f = NULL;
	if (number == 0) {
		set_lane(p->pool, 0, 0, true);
		cr_assert_eq(pm_submit(p->pool, task_errand, &job, &f), 0);
		cr_assert_eq(pm_future_on_done(f, let_go, p), 0);
		pm_future_free(&f);
	}
	return 0;
}

Test(lanes, admit_may_stop_the_lane_of_its_job, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p = {.ct = 20, .chore = in_lane_0, .admit = ask_first};
	struct pm_stream s = play_stream(&p);
	p.pool = pool;
	cr_assert_eq(pm_map_stream(pool, &s), 0);
	cr_assert_eq(p.got, 20);
	cr_assert_eq(p.failed, 0, "%zu began on hold", p.failed);
	cr_assert_eq(p.admits, 20);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------ added jobs */

static struct chore adds_twenty(size_t i)
{
	(void)i;
	return (struct chore){.nap_ms = 3, .emits = 20, .fails = 1};
}

static bool retry_first(void *ctx, const struct pm_result *r, struct pm_retry *retry)
{
	(void)ctx;
	retry->delay_ms = 5;
	return r->error && r->index == 0;
}

/* A job that runs again adds nothing the first time. */
Test(lanes, added_jobs_are_in_lanes, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct play p = {.ct = 1, .chore = adds_twenty};
	struct pm_stream s = play_stream(&p);
	p.limits[1].concurrency = 1;
	p.limits[2].concurrency = 2;
	s.admit = NULL; /* which knows the jobs of the source by their tags */
	s.retry = retry_first;
	cr_assert_eq(pm_map_stream(pool, &s), 0);
	cr_assert_eq(p.got, 21);
	cr_assert_eq(p.news, 3);
	cr_assert_eq(most_in(1), 1);
	cr_assert_leq(most_in(2), 2);
	pm_pool_close(&pool);
}
