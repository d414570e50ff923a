/* SPDX-License-Identifier: MIT
 *
 * Integration tests of queue_timeout_ms: what has not begun in time ends then, wherever
 * it waits, and what has begun is left alone.
 */
#include "tests/support/queue_rig.h"

enum { LIMIT = 60, MANY = 100000 }; /* seconds for each test */

/* ------------------------------------------------------------- single jobs */

static size_t ended[32], ended_ct;

static void note_end(pm_future *f, void *ctx)
{
	(void)f;
	cr_assert_lt(ended_ct, 32);
	ended[ended_ct++] = *(size_t *)ctx;
}

static size_t places[32];

static void submit_ten(pm_pool *pool, pm_future *f[], unsigned first_ms, int step_ms)
{
	for (size_t i = 0; i < 10; i++) {
		unsigned ms = (unsigned)((int)first_ms + (int)i * step_ms);
		places[i] = i;
		f[i] = submit_within(pool, DO_ECHO, (uint32_t)i + 1, ms);
		cr_assert_eq(pm_future_on_done(f[i], note_end, &places[i]), 0);
	}
}

Test(queue_limit, behind_a_long_job_they_end_in_time_and_in_order, .timeout = LIMIT)
{
	struct held h = held_open(NULL);
	pm_future *f[10];
	submit_ten(h.pool, f, 30, 0);
	cr_assert_eq(pm_wait(f, 10, PM_ALL, 20000, NULL), 0);
	(void)!pm_pool_step(h.pool);
	cr_assert_eq(ended_ct, 10);
	for (size_t i = 0; i < 10; i++) {
		cr_assert_eq(ended[i], i);
		check_late(pm_future_result(f[i]), (uint32_t)i + 1, 30);
		cr_assert_eq(pm_future_result(f[i])->attempts, 0);
	}
	cr_assert_eq(rig_stats(h.pool).queued, 0);
	cr_assert_eq(rig_stats(h.pool).results, 10);
	free_all(f, 10);
	held_close(&h);
}

Test(queue_limit, the_shortest_ends_first, .timeout = LIMIT)
{
	struct held h = held_open(NULL);
	pm_future *f[10];
	submit_ten(h.pool, f, 200, -15);
	cr_assert_eq(pm_wait(f, 10, PM_ALL, 20000, NULL), 0);
	(void)!pm_pool_step(h.pool);
	for (size_t i = 0; i < 10; i++) {
		cr_assert_eq(ended[i], 9 - i);
	}
	free_all(f, 10);
	held_close(&h);
}

Test(queue_limit, none_is_no_limit, .timeout = LIMIT)
{
	struct held h = held_open(NULL);
	pm_future *patient = submit_within(h.pool, DO_ECHO, 1, 0);
	pm_future *late = submit_within(h.pool, DO_ECHO, 2, 20);
	pm_future *long_one = submit_within(h.pool, DO_ECHO, 3, UINT_MAX);
	check_ends_late(&late, 2, 20);
	cr_assert_eq(pm_future_state(patient), PM_QUEUED);
	gate_open();
	cr_assert_eq(end_of(&patient), 0);
	cr_assert_eq(end_of(&long_one), 0);
	held_close(&h);
}

Test(queue_limit, what_has_begun_takes_its_time, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	pm_future *f[] = {submit_within(pool, DO_WAIT, 0, 100),
		submit_within(pool, DO_WAIT, 1, 100)};
	run_until_inside(pool, 2);
	pm_future *late = submit_within(pool, DO_ECHO, 2, 200);
	check_ends_late(&late, 2, 200);
	cr_assert_eq(pm_future_state(f[0]), PM_RUNNING);
	gate_open();
	cr_assert_eq(end_of(&f[0]), 0);
	cr_assert_eq(end_of(&f[1]), 0);
	pm_pool_close(&pool);
}

/* The worker has them, and cannot begin them; it gives back all three, and gets the one
 * without a limit again. */
Test(queue_limit, next_in_line_with_a_worker_counts_as_waiting, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	pm_future *hog = submit_hog(pool);
	pm_future *f[] = {submit_within(pool, DO_ECHO, 1, 60),
		submit_within(pool, DO_ECHO, 2, 0),
		submit_within(pool, DO_ECHO, 3, 60)};
	run_until(pool, all_sent, f);
	cr_assert_eq(pm_wait(&f[2], 1, PM_ALL, 20000, NULL), 0);
	cr_assert_eq(atomic_load(&board->inside), 1, "the hog has gone");
	check_late(pm_future_result(f[0]), 1, 60);
	check_late(pm_future_result(f[2]), 3, 60);
	cr_assert_neq(pm_future_state(f[1]), PM_DONE);
	gate_open();
	cr_assert_eq(end_of(&hog), 0);
	cr_assert_eq(pm_wait(&f[1], 1, PM_ALL, 20000, NULL), 0);
	cr_assert_eq(report_of(pm_future_result(f[1])).attempt, 1);
	rig_check_works(pool);
	cr_assert_eq(atomic_load(&board->runs[1]) + atomic_load(&board->runs[3]), 0);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	free_all(f, 3);
	pm_pool_close(&pool);
}

/* Nor does the worker leave before it has had its share: what it gives back is none of
 * its jobs. */
Test(queue_limit, a_worker_that_gives_jobs_back_has_its_share_all_the_same,
	.timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 3);
	o.max_jobs_per_worker = 3;
	pm_pool *pool = rig_open(&o);
	pm_future *hog = submit_hog(pool);
	pm_future *f[] = {submit_within(pool, DO_ECHO, 1, 60),
		submit_within(pool, DO_ECHO, 2, 0), submit_within(pool, DO_ECHO, 3, 0)};
	cr_assert_eq(pm_wait(&f[0], 1, PM_ALL, 20000, NULL), 0);
	check_late(pm_future_result(f[0]), 1, 60);
	gate_open();
	cr_assert_eq(pm_wait(&hog, 1, PM_ALL, 20000, NULL), 0);
	cr_assert_eq(pm_wait(f, 3, PM_ALL, 20000, NULL), 0);
	for (int i = 1; i < 3; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).worker,
			(uint32_t)pm_future_result(hog)->worker, "job %d", i + 1);
	}
	pm_future_free(&hog);
	free_all(f, 3);
	rig_check_works(pool);
	cr_assert_geq(rig_stats(pool).workers_recycled, 1);
	pm_pool_close(&pool);
}

/* One that was told to stop ends so, and another one beside it by its limit. */
Test(queue_limit, a_cancelled_one_ends_as_cancelled, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	pm_future *hog = submit_hog(pool);
	pm_future *f[] = {submit_within(pool, DO_ECHO, 1, 60),
		submit_within(pool, DO_ECHO, 2, 60),
		submit_within(pool, DO_ECHO, 3, 60)};
	pm_future *queued = submit_within(pool, DO_ECHO, 4, 10);
	run_until(pool, all_sent, f);
	cr_assert_eq(pm_future_cancel(f[1]), 0);
	cr_assert_eq(pm_future_cancel(f[2]), 0);
	pm_future_free(&f[2]);
	(void)!pm_future_cancel(queued);
	cr_assert_eq(pm_wait(f, 2, PM_ALL, 20000, NULL), 0);
	check_late(pm_future_result(f[0]), 1, 60);
	cr_assert_eq(pm_future_result(f[1])->error, PM_ECANCELLED);
	gate_open();
	cr_assert_eq(end_of(&hog), 0);
	rig_check_works(pool);
	free_all(f, 2);
	pm_future_free(&queued);
	pm_pool_close(&pool);
}

Test(queue_limit, nobody_asks_for_the_result, .timeout = LIMIT)
{
	struct held h = held_open(NULL);
	for (uint32_t i = 1; i < 10; i++) {
		pm_future *f = submit_within(h.pool, DO_ECHO, i, 10 * i);
		pm_future_free(&f);
	}
	pm_future *last = submit_within(h.pool, DO_ECHO, 10, 100);
	check_ends_late(&last, 10, 100);
	cr_assert_eq(rig_stats(h.pool).queued, 0);
	held_close(&h);
}

/* ----------------------------------------------------------- the host's loop */

static void end_loop(pm_future *f, void *ctx)
{
	(void)f;
	event_base_loopbreak(ctx);
}

Test(queue_limit, is_kept_on_the_hosts_base, .timeout = LIMIT)
{
	struct event_base *base = event_base_new();
	struct held h = held_open(base);
	pm_future *late = submit_within(h.pool, DO_ECHO, 1, 30);
	cr_assert_eq(pm_future_on_done(late, end_loop, base), 0);
	event_base_dispatch(base);
	check_ends_late(&late, 1, 30);
	held_close(&h);
	event_base_free(base);
}

Test(queue_limit, makes_the_descriptor_readable, .timeout = LIMIT)
{
	struct held h = held_open(NULL);
	pm_future *late = submit_within(h.pool, DO_ECHO, 1, 30);
	struct pollfd p = {.fd = pm_pool_fd(h.pool), .events = POLLIN};
	while (pm_future_state(late) != PM_DONE) {
		cr_assert_eq(poll(&p, 1, 20000), 1);
		cr_assert_eq(pm_pool_step(h.pool), 0);
	}
	check_ends_late(&late, 1, 30);
	held_close(&h);
}

/* ------------------------------------------------------------------ arrays */

struct tally {
	size_t ct, wanted;
	bool in_order; /* 1, 2, 3 ... and at last 0 */
};

/* When all but the first have ended, that may, too. */
static void count_result(void *ctx, const struct pm_result *r)
{
	struct tally *t = ctx;
	t->in_order = t->in_order && r->index == (t->ct + 1) % (t->wanted + 1);
	if (++t->ct == t->wanted) {
		gate_open();
	}
}

static void map_within(struct errands *e, struct tally *t, unsigned queue_timeout_ms)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_map_options o = {.queue_timeout_ms = queue_timeout_ms,
		.on_result = count_result,
		.ctx = t};
	t->in_order = true;
	e->list[0].what = DO_WAIT;
	cr_assert_eq(pm_map_with(pool, task_errand, e->jobs, e->ct, &o, e->results), 0);
	cr_assert_eq(t->ct, e->ct);
	cr_assert_eq(report_of(&e->results[0]).number, 0);
	pm_pool_close(&pool);
}

Test(queue_limit, of_a_map_is_for_all_of_its_jobs, .timeout = LIMIT)
{
	struct errands e = errands_new(50, DO_ECHO, 0);
	struct tally t = {.wanted = 49};
	map_within(&e, &t, 50);
	for (uint32_t i = 1; i < 50; i++) {
		check_late(&e.results[i], i, 50);
		cr_assert_eq(e.results[i].index, i);
		cr_assert_eq(e.results[i].tag, 1000 + i);
	}
	errands_free(&e);
}

/* Also those that a map without limits would not have taken yet. */
Test(queue_limit, of_a_map_counts_from_the_call, .timeout = LIMIT)
{
	struct errands e = errands_new(MANY, DO_ECHO, 0);
	struct tally t = {.wanted = MANY - 1};
	map_within(&e, &t, 100);
	for (uint32_t i = 1; i < MANY; i++) {
		check_late(&e.results[i], i, 100);
	}
	errands_free(&e);
}

Test(queue_limit, of_a_job_goes_before_that_of_its_map, .timeout = LIMIT)
{
	struct errands e = errands_new(20, DO_ECHO, 0);
	struct tally t = {.wanted = 18};
	e.jobs[7].queue_timeout_ms = 60000;
	e.jobs[8].lane = "no stream, no lane";
	e.jobs[8].lane_len = SIZE_MAX;
	map_within(&e, &t, 40);
	for (uint32_t i = 1; i < 20; i++) {
		if (i != 7) {
			check_late(&e.results[i], i, 40);
		}
	}
	cr_assert_eq(report_of(&e.results[7]).number, 7);
	errands_free(&e);
}

Test(queue_limit, of_one_job_in_an_array, .timeout = LIMIT)
{
	struct errands e = errands_new(20, DO_ECHO, 0);
	struct tally t = {.wanted = 1};
	e.jobs[19].queue_timeout_ms = 40;
	map_within(&e, &t, 0);
	check_late(&e.results[19], 19, 40);
	for (uint32_t i = 0; i < 19; i++) {
		cr_assert_eq(report_of(&e.results[i]).number, i);
	}
	errands_free(&e);
}

Test(queue_limit, in_a_map_they_end_in_order, .timeout = LIMIT)
{
	struct errands e = errands_new(200, DO_ECHO, 0);
	struct tally t = {.wanted = 199};
	map_within(&e, &t, 30);
	cr_assert(t.in_order);
	errands_free(&e);
}

Test(queue_limit, stops_a_map_that_stops_on_errors, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct errands e = errands_new(20, DO_WAIT, 0);
	struct pm_map_options o = {
		.queue_timeout_ms = 30, .stop_on = PM_STOP_FIRST_ERROR};
	cr_assert_eq(pm_map_with(pool, task_errand, e.jobs, 20, &o, e.results), 0);
	cr_assert_eq(e.results[0].error, PM_ECANCELLED);
	check_late(&e.results[1], 1, 30);
	for (uint32_t i = 2; i < 20; i++) {
		cr_assert(e.results[i].error == PM_ECANCELLED ||
			  e.results[i].error == PM_ETIMEDOUT);
		cr_assert_eq(atomic_load(&board->runs[i]), 0);
	}
	errands_free(&e);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------ streams */

struct lanes_play {
	size_t given, ct, got, late, retries;
	struct errand now;
};

static int lanes_source(void *ctx, struct pm_job *job)
{
	struct lanes_play *p = ctx;
	if (p->given == p->ct) {
		return PM_SOURCE_END;
	}
	p->now = (struct errand){.number = (uint32_t)p->given++, .what = DO_ECHO};
	*job = PM_JOB(p->now);
	job->lane = p->now.number % 2 ? "held" : "free";
	job->lane_len = 4;
	return PM_SOURCE_JOB;
}

static void hold_one(void *ctx, const char *lane, struct pm_lane_limits *limits)
{
	(void)ctx;
	limits->hold = strcmp(lane, "held") == 0;
}

static int lanes_sink(void *ctx, const struct pm_result *r)
{
	struct lanes_play *p = ctx;
	p->got++;
	if (r->index % 2) {
		check_late(r, (uint32_t)r->index, 50);
		p->late++;
	} else {
		cr_assert_eq(report_of(r).number, r->index);
	}
	return PM_SINK_TAKEN;
}

static bool never_again(void *ctx, const struct pm_result *r, struct pm_retry *retry)
{
	struct lanes_play *p = ctx;
	(void)retry;
	p->retries += r->error != 0;
	return false;
}

Test(queue_limit, ends_what_waits_in_a_lane, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	struct lanes_play p = {.ct = 40};
	struct pm_stream s = {.task = task_errand,
		.source = lanes_source,
		.sink = lanes_sink,
		.ctx = &p,
		.lane_new = hold_one,
		.retry = never_again,
		.queue_timeout_ms = 50};
	cr_assert_eq(pm_map_stream(pool, &s), 0, "%s", pm_last_error());
	cr_assert_eq(p.got, 40);
	cr_assert_eq(p.late, 20);
	cr_assert_eq(p.retries, 0, "what never began is not tried again");
	pm_pool_close(&pool);
}

/* Its second attempt waits for longer than the limit, after some time. */
static int fail_once(pm_task *task, const void *arg, size_t len)
{
	return pm_task_attempt(task) == 1 ? pm_fail(task, 1, "not yet")
					  : pm_return(task, arg, len);
}

static bool once_more(void *ctx, const struct pm_result *r, struct pm_retry *retry)
{
	struct lanes_play *p = ctx;
	retry->delay_ms = 400;
	retry->lane_delay_ms = 500;
	p->retries++;
	return r->error;
}

Test(queue_limit, is_not_for_what_is_tried_again, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	struct lanes_play p = {.ct = 1};
	struct pm_stream s = {.task = fail_once,
		.source = lanes_source,
		.ctx = &p,
		.retry = once_more,
		.queue_timeout_ms = 300};
	const struct pm_result *r = NULL;
	pm_iter *it = NULL;
	cr_assert_eq(pm_imap(pool, &s, &it), 0, "%s", pm_last_error());
	cr_assert_eq(pm_next(it, 20000, &r), PM_NEXT_RESULT);
	cr_assert_eq(r->error, 0, "%s: %s", pm_error_name(r->error), r->message);
	cr_assert_eq(r->attempts, 2);
	cr_assert_eq(p.retries, 2);
	pm_iter_close(&it);
	pm_pool_close(&pool);
}

/* Job 0 adds a job of the held lane, with a limit of its own. */
static int task_adds(pm_task *task, const void *arg, size_t len)
{
	struct errand e = {.number = 1};
	struct pm_job job = PM_JOB(e);
	(void)arg;
	(void)len;
	job.lane = "held";
	job.lane_len = 4;
	job.queue_timeout_ms = 50;
	int err = pm_emit(task, task_errand, &job);
	struct report r = {.number = 0};
	return err ? err : pm_return(task, &r, sizeof(r));
}

Test(queue_limit, of_a_job_that_a_task_adds, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	struct lanes_play p = {.ct = 1};
	struct pm_stream s = {.task = task_adds,
		.source = lanes_source,
		.sink = lanes_sink,
		.ctx = &p,
		.lane_new = hold_one};
	cr_assert_eq(pm_map_stream(pool, &s), 0, "%s", pm_last_error());
	cr_assert_eq(p.got, 2);
	cr_assert_eq(p.late, 1);
	pm_pool_close(&pool);
}
