/* SPDX-License-Identifier: MIT
 *
 * Integration tests of how maps with lanes end: workers that die, shutdown, cancel,
 * stops and time-outs while jobs wait or rest, what callbacks may do, and the loop
 * of the host.
 */
#include <math.h>

#include "tests/support/lane_rig.h"

enum { LIMIT = 120, FOR_EVER_MS = 3600000 };

static struct chore in_lane_0(size_t i)
{
	(void)i;
	return (struct chore){.nap_ms = 5};
}

/* Odd ones rest for ever, from their first attempt on. */
static struct chore odd_ones_fail(size_t i)
{
	return (struct chore){.fails = i % 2 ? 1000 : 0, .nap_ms = 2};
}

static int wait_long(pm_future *f)
{
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 30000, NULL), 0);
	return pm_future_result(f)->error;
}

/* ------------------------------------------------------------ workers that die */

static struct chore in_three_lanes(size_t i)
{
	return (struct chore){.lane = (uint32_t)(i % 3), .nap_ms = 10};
}

/* The result of a task that was killed after it had ended may be lost with it, never
 * come twice. */
static void kill_one(struct play *p, const struct pm_result *r)
{
	pid_t pids[16];
	(void)r;
	if (p->got % 40 == 0 && p->got < 200) {
		size_t ct = rig_workers(pids, 16);
		cr_assert_gt(ct, 0);
		kill(pids[p->got / 40 % (ct < 16 ? ct : 16)], SIGKILL);
	}
}

Test(lanes_ends, limits_hold_when_workers_die, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(3, 12);
	struct play p = {.ct = 300, .chore = in_three_lanes, .on_result = kill_one};
	for (unsigned i = 0; i < 3; i++) {
		p.limits[i].concurrency = i + 1;
	}
	play_all(pool, &p);
	cr_assert_eq(p.got, 300);
	cr_assert_geq(rig_stats(pool).workers_lost, 2);
	cr_assert_eq(p.admits, 300, "one that is run again is not asked for again");
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_leq(most_in(i), (int)i + 1, "lane %u: %d", i, most_in(i));
	}
	pm_pool_close(&pool);
}

/* --------------------------------------------------------------------- shutdown */

static bool odd_ones_rest(void *ctx)
{
	const struct play *p = ctx;
	return p->retries == 5 && p->got == 5;
}

/* A map with five jobs that rest, and ten in a lane that is on hold. */
static struct chore resting_and_held(size_t i)
{
	return i < 10 ? odd_ones_fail(i) : (struct chore){.lane = 1};
}

static pm_future *rest_and_hold(pm_pool *pool, struct play *p, unsigned rest_ms)
{
	*p = (struct play){
		.ct = 20, .chore = resting_and_held, .retry.delay_ms = rest_ms};
	p->limits[1].hold = true;
	pm_future *f = play_start(pool, p);
	run_until(pool, odd_ones_rest, p);
	return f;
}

static void check_shutdown(enum pm_shutdown how, int grace_ms)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p;
	pm_future *f = rest_and_hold(pool, &p, FOR_EVER_MS);
	cr_assert_eq(pm_pool_shutdown(pool, how, grace_ms), 0);
	cr_assert_eq(pm_pool_join(pool, 30000), 0);
	cr_assert_eq(pm_future_state(f), PM_DONE);
	cr_assert_eq(p.got, 20);
	cr_assert_eq(p.failed, 15);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

Test(lanes_ends, shutdown_cancels_what_waits_and_rests, .timeout = LIMIT)
{
	check_shutdown(PM_CANCEL_UNSENT, PM_FOREVER);
	check_shutdown(PM_CANCEL_QUEUED, PM_FOREVER);
	check_shutdown(PM_CANCEL_ALL, PM_FOREVER);
	check_shutdown(PM_CANCEL_ALL, 0);
	check_shutdown(PM_DRAIN, 300);
}

Test(lanes_ends, terminate, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p;
	pm_future *f = rest_and_hold(pool, &p, FOR_EVER_MS);
	pm_pool_terminate(&pool);
	cr_assert_eq(pm_future_state(f), PM_DONE);
	pm_future_free(&f);
}

static struct chore fails_twice(size_t i)
{
	return (struct chore){.lane = (uint32_t)(i % 2), .fails = 2};
}

static bool all_taken(void *ctx)
{
	return ((struct play *)ctx)->retries >= 10;
}

/* What was taken runs, as often as it has to, once its lane may. */
Test(lanes_ends, drain_waits_for_what_rests_and_is_on_hold, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p = {.ct = 20, .chore = fails_twice, .retry.delay_ms = 50};
	p.limits[1].hold = true;
	pm_future *f = play_start(pool, &p);
	run_until(pool, all_taken, &p);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	check_error(pm_pool_join(pool, 400), PM_ETIMEDOUT, "a lane is on hold");
	cr_assert_eq(p.got, 10);
	set_lane(pool, 1, 0, false);
	cr_assert_eq(pm_pool_join(pool, 30000), 0);
	cr_assert_eq(p.got, 20);
	cr_assert_eq(p.failed, 0);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------- cancel, stop, time-out */

Test(lanes_ends, cancelled_while_jobs_rest, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p, q;
	pm_future *f = rest_and_hold(pool, &p, FOR_EVER_MS);
	cr_assert_eq(pm_future_cancel(f), 0);
	check_error(wait_long(f), PM_ECANCELLED, "the future");
	pm_future_free(&f);
	f = rest_and_hold(pool, &q, FOR_EVER_MS);
	pm_pool_cancel(pool);
	check_error(wait_long(f), PM_ECANCELLED, "all maps");
	pm_future_free(&f);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(lanes_ends, iterator_closed_while_jobs_rest, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct play p = {.pool = pool,
		.ct = 10,
		.chore = odd_ones_fail,
		.retry.delay_ms = FOR_EVER_MS};
	struct pm_stream s = play_stream(&p);
	const struct pm_result *r;
	pm_iter *it = NULL;
	s.sink = NULL;
	cr_assert_eq(pm_imap(pool, &s, &it), 0);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(pm_next(it, 20000, &r), PM_NEXT_RESULT);
		cr_assert_eq(r->index % 2, 0);
	}
	cr_assert_eq(pm_next(it, 50, &r), PM_NEXT_WAIT);
	pm_iter_close(&it);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

static struct chore last_succeeds(size_t i)
{
	return (struct chore){.nap_ms = i == 9 ? 100 : 1, .fails = i == 9 ? 0 : 1000};
}

Test(lanes_ends, stopped_while_jobs_rest, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 16);
	struct play p = {.pool = pool,
		.ct = 10,
		.chore = last_succeeds,
		.retry.delay_ms = FOR_EVER_MS};
	struct pm_stream s = play_stream(&p);
	s.stop_on = PM_STOP_FIRST_SUCCESS;
	cr_assert_eq(pm_map_stream(pool, &s), 0);
	cr_assert_eq(p.got, 10);
	cr_assert_eq(p.failed, 9);
	pm_pool_close(&pool);
}

static void check_timed_out(struct play *p, const struct pm_result *r)
{
	(void)p;
	check_error(r->error, r->index % 2 ? PM_ETIMEDOUT : 0, "it");
}

Test(lanes_ends, time_out_while_jobs_rest, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p = {.pool = pool,
		.ct = 10,
		.chore = odd_ones_fail,
		.on_result = check_timed_out,
		.retry.delay_ms = FOR_EVER_MS};
	struct pm_stream s = play_stream(&p);
	s.timeout_ms = 2000;
	check_error(pm_map_stream(pool, &s), PM_ETIMEDOUT, "the map");
	cr_assert_eq(p.got, 10);
	pm_pool_close(&pool);
}

/* ----------------------------------------------------------- many, and the host's loop
 */

Test(lanes_ends, several_at_once, .timeout = LIMIT)
{
	enum { MAPS = 5 };
	pm_pool *pool = rig_pool(2, 8);
	struct play p[MAPS];
	pm_future *f[MAPS];
	for (int i = 0; i < MAPS; i++) {
		p[i] = (struct play){.ct = 100,
			.chore = i % 2 ? fails_twice : in_three_lanes,
			.retry.delay_ms = 10,
			.ordered = i % 3 == 0};
		p[i].limits[0].concurrency = 2;
		f[i] = play_start(pool, &p[i]);
	}
	cr_assert_eq(pm_wait(f, MAPS, PM_ALL, 60000, NULL), 0);
	for (int i = 0; i < MAPS; i++) {
		cr_assert_eq(p[i].got, 100, "map %d", i);
		cr_assert_eq(p[i].failed, 0, "map %d", i);
		pm_future_free(&f[i]);
	}
	pm_pool_close(&pool);
}

static struct chore first_fails(size_t i)
{
	return (struct chore){.fails = i == 0 ? 20 : 0};
}

/* Nobody calls but who watches the descriptor: a beat comes twice a second. */
Test(lanes_ends, the_descriptor_is_readable_for_lanes, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct play p = {.ct = 40, .chore = first_fails, .retry.delay_ms = 20};
	p.limits[0].rate = 50;
	pm_future *f = play_start(pool, &p);
	struct pollfd fd = {.fd = pm_pool_fd(pool), .events = POLLIN};
	uint64_t from = clock_now_ms();
	while (pm_future_state(f) != PM_DONE) {
		cr_assert_geq(poll(&fd, 1, 20000), 1);
		cr_assert_eq(pm_pool_step(pool), 0);
	}
	cr_assert_eq(p.got, 40);
	cr_assert_lt(clock_now_ms() - from, 10000);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

static bool play_is_over(void *ctx)
{
	pm_future **f = ctx;
	struct event_base *base = (struct event_base *)(void *)f[1];
	event_base_loop(base, EVLOOP_NONBLOCK);
	return pm_future_state(f[0]) == PM_DONE;
}

Test(lanes_ends, on_the_base_of_the_host, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 4);
	o.base = event_base_new();
	pm_pool *pool = rig_open(&o);
	struct play p = {.ct = 20, .chore = first_fails, .retry.delay_ms = 10};
	p.limits[0].rate = 100;
	pm_future *f = play_start(pool, &p), *both[] = {f, (void *)o.base};
	cr_assert(wait_for(play_is_over, both, 30000));
	cr_assert_eq(p.got, 20);
	pm_future_free(&f);
	pm_pool_close(&pool);
	event_base_free(o.base);
}

/* ----------------------------------------------------- what callbacks may not do */

struct refusals {
	pm_future *never;
	unsigned ct;
	pm_future *submitted[64];
};
static struct refusals refusals;

static void try_to_block(struct play *p)
{
	struct errand e = {.number = 77};
	struct pm_job job = PM_JOB(e);
	struct pm_result r;
	struct play other = {.pool = p->pool, .ct = 1, .chore = in_lane_0};
	struct pm_stream s = play_stream(&other);
	pm_iter *it = NULL;
	const struct pm_result *next;
	check_error(pm_map(p->pool, task_errand, &job, 1, &r), PM_ESTATE, "pm_map");
	check_error(pm_map_stream(p->pool, &s), PM_ESTATE, "pm_map_stream");
	check_error(
		pm_wait(&refusals.never, 1, PM_ALL, 10, NULL), PM_ESTATE, "pm_wait");
	check_error(pm_pool_step(p->pool), PM_ESTATE, "pm_pool_step");
	s.sink = NULL;
	cr_assert_eq(pm_imap(p->pool, &s, &it), 0);
	check_error(pm_next(it, 10, &next), PM_ESTATE, "pm_next");
	pm_iter_close(&it);
	cr_assert_lt(refusals.ct, 64);
	pm_future **f = &refusals.submitted[refusals.ct++];
	cr_assert_eq(pm_submit(p->pool, task_errand, &job, f), 0);
	cr_assert_eq(other.given, 0);
}

static int admit_trying(struct play *p, size_t number)
{
	(void)number;
	try_to_block(p);
	return 0;
}

static void new_trying(struct play *p, uint32_t lane)
{
	(void)lane;
	try_to_block(p);
}

static void retry_trying(struct play *p, const struct pm_result *r)
{
	(void)r;
	try_to_block(p);
}

Test(lanes_ends, callbacks_that_decide_cannot_block, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct play p = {.ct = 6,
		.chore = fails_twice,
		.admit = admit_trying,
		.on_new = new_trying,
		.on_retry = retry_trying};
	refusals.never = submit(pool, DO_WAIT, 1, 0);
	play_all(pool, &p);
	cr_assert_geq(refusals.ct, 6 + 2 + 18);
	for (unsigned i = 0; i < refusals.ct; i++) {
		check_error(
			end_of(&refusals.submitted[i]), 0, "one that was submitted");
	}
	gate_open();
	check_error(end_of(&refusals.never), 0, "the one at the gate");
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------- callbacks that end it all
 */

enum end_how {
	END_CANCEL,
	END_CLOSE_ITER,
	END_CANCEL_UNSENT,
	END_CANCEL_QUEUED,
	END_CANCEL_ALL,
	END_KILL,
	END_TERMINATE,
	END_CLOSE,
	END_WAYS
};
enum end_where { IN_NEW, IN_ADMIT, IN_RETRY, IN_NEW_OF_ADDED, END_PLACES };

static struct ending {
	enum end_how how;
	enum end_where where;
	bool over;
	pm_iter *it;
} ending;

static void end_it(struct play *p, enum end_where where)
{
	if (ending.where != where || ending.over) {
		return;
	}
	ending.over = true;
	switch (ending.how) {
	case END_CANCEL:
		pm_pool_cancel(p->pool);
		break;
	case END_CLOSE_ITER:
		pm_iter_close(&ending.it);
		break;
	case END_CANCEL_UNSENT:
		cr_assert_eq(pm_pool_shutdown(p->pool, PM_CANCEL_UNSENT, -1), 0);
		break;
	case END_CANCEL_QUEUED:
		cr_assert_eq(pm_pool_shutdown(p->pool, PM_CANCEL_QUEUED, -1), 0);
		break;
	case END_CANCEL_ALL:
		cr_assert_eq(pm_pool_shutdown(p->pool, PM_CANCEL_ALL, -1), 0);
		break;
	case END_KILL:
		cr_assert_eq(pm_pool_shutdown(p->pool, PM_CANCEL_ALL, 0), 0);
		break;
	case END_TERMINATE:
		pm_pool_terminate(&p->pool);
		break;
	default:
		pm_pool_close(&p->pool);
	}
}

static int admit_ending(struct play *p, size_t number)
{
	if (number == 5) {
		end_it(p, IN_ADMIT);
	}
	return number % 2 ? PM_EDENIED : 0;
}

static void new_ending(struct play *p, uint32_t lane)
{
	end_it(p, lane == 2 ? IN_NEW_OF_ADDED : lane == 1 ? IN_NEW : END_PLACES);
}

static void retry_ending(struct play *p, const struct pm_result *r)
{
	if (r->error) {
		end_it(p, IN_RETRY);
	}
}

/* Some wait, some rest, some add others. */
static struct chore all_kinds(size_t i)
{
	return (struct chore){.lane = i == 3 ? 1 : 0,
		.nap_ms = (uint32_t)(i % 3),
		.fails = i > 20 && i % 4 == 0 ? 1 : 0,
		.emits = i == 8 ? 4 : 0};
}

static int admit_all_kinds(void *ctx, const struct pm_job *job, const char **message)
{
	*message = "no";
	return admit_ending(ctx, job->tag);
}

/* Until the end, which may be that of the pool. */
static void play_to_the_end(enum end_how how, enum end_where where)
{
	pm_pool *pool = rig_pool(2, 4);
	struct play p = {.pool = pool,
		.ct = 200,
		.chore = all_kinds,
		.retry.delay_ms = 5,
		.on_new = new_ending,
		.on_retry = retry_ending};
	struct pm_stream s = play_stream(&p);
	const struct pm_result *r;
	s.sink = NULL;
	s.admit = admit_all_kinds;
	s.window = 40;
	ending = (struct ending){.how = how, .where = where};
	cr_assert_eq(pm_imap(pool, &s, &ending.it), 0);
	while (ending.it && pm_next(ending.it, 30000, &r) == PM_NEXT_RESULT) {
		p.got++;
	}
	cr_assert(ending.over, "%d in %d: it did not come to pass", how, where);
	cr_assert_lt(p.got, 204);
	pm_iter_close(&ending.it);
	if (p.pool && how <= END_CLOSE_ITER) {
		rig_check_works(p.pool);
	}
	pm_pool_close(&p.pool);
}

static void check_endings(enum end_where where)
{
	for (int how = 0; how < END_WAYS; how++) {
		play_to_the_end((enum end_how)how, where);
	}
}

Test(lanes_ends, lane_new_may_end_it_all, .timeout = LIMIT)
{
	check_endings(IN_NEW);
}

Test(lanes_ends, lane_new_of_an_added_job_may_end_it_all, .timeout = LIMIT)
{
	check_endings(IN_NEW_OF_ADDED);
}

Test(lanes_ends, admit_may_end_it_all, .timeout = LIMIT)
{
	check_endings(IN_ADMIT);
}

Test(lanes_ends, retry_may_end_it_all, .timeout = LIMIT)
{
	check_endings(IN_RETRY);
}

/* -------------------------------------------------------------------- arguments */

static int long_lane_source(void *ctx, struct pm_job *job)
{
	static const char name[PM_LANE_MAX + 1];
	*job = (struct pm_job){.lane = name, .lane_len = *(size_t *)ctx};
	*(size_t *)ctx += 1;
	return PM_SOURCE_JOB;
}

static int no_sink(void *ctx, const struct pm_result *r)
{
	(void)ctx;
	(void)r;
	return PM_SINK_TAKEN;
}

Test(lanes_ends, arguments_are_checked, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	size_t len = PM_LANE_MAX;
	struct pm_stream s = {.task = task_echo,
		.source = long_lane_source,
		.sink = no_sink,
		.ctx = &len,
		.rate = -1};
	check_error(pm_map_stream(pool, &s), PM_EINVAL, "negative rate");
	s.rate = NAN;
	check_error(pm_map_stream(pool, &s), PM_EINVAL, "no number");
	cr_assert_eq(len, PM_LANE_MAX);
	s.rate = 1e9;
	check_error(pm_map_stream(pool, &s), PM_EINVAL, "long name");
	cr_assert_eq(len, PM_LANE_MAX + 2, "the longest is taken");
	pm_lane_set(pool, "nowhere", &(struct pm_lane_limits){.hold = true});
	rig_check_works(pool);
	pm_pool_close(&pool);
}
