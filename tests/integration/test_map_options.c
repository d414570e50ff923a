/* SPDX-License-Identifier: MIT
 *
 * Integration tests of the ways to map: what stops a map, its time limit, who is told
 * of each result, other shapes of input, empty input, and several maps at once.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

static void map_with(pm_pool *pool, struct errands *e, const struct pm_map_options *o)
{
	int err = pm_map_with(pool, task_errand, e->jobs, e->ct, o, e->results);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
}

static size_t count_error(const struct errands *e, int error)
{
	size_t ct = 0;
	for (size_t i = 0; i < e->ct; i++) {
		cr_assert_eq(e->results[i].index, i);
		cr_assert_eq(e->results[i].tag, 1000 + i);
		cr_assert_eq(e->results[i].error != 0, e->results[i].message != NULL);
		ct += e->results[i].error == error;
	}
	return ct;
}

/* ------------------------------------------------------------------ stop_on */

Test(map_options, stops_on_the_first_error, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct errands e = errands_new(200, DO_NAP, 60000);
	struct pm_map_options o = {.stop_on = PM_STOP_FIRST_ERROR};
	e.list[0].value = 0;
	e.list[2].what = DO_FAIL; /* among those that one worker runs at once */
	uint64_t began = clock_now_ms();
	map_with(pool, &e, &o);
	cr_assert_lt(clock_now_ms() - began, 20000);
	check_error(e.results[2].error, PM_EFAILED, "the one that failed");
	cr_assert_eq(count_error(&e, PM_EFAILED), 1);
	cr_assert_eq(count_error(&e, PM_ECANCELLED) + count_error(&e, 0), 199);
	cr_assert_geq(count_error(&e, PM_ECANCELLED), 198);
	cr_assert_eq(atomic_load(&board->inside), 0, "tasks go on");
	errands_free(&e);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(map_options, stops_on_the_first_success, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct errands e = errands_new(100, DO_NAP, 60000);
	struct pm_map_options o = {.stop_on = PM_STOP_FIRST_SUCCESS};
	e.list[0].what = e.list[3].what = DO_FAIL;
	e.list[1].value = 30;
	map_with(pool, &e, &o);
	cr_assert_eq(report_of(&e.results[1]).number, 1);
	check_error(e.results[0].error, PM_EFAILED, "it lost");
	cr_assert_eq(count_error(&e, 0), 1);
	cr_assert_eq(count_error(&e, PM_EFAILED), 2);
	cr_assert_eq(count_error(&e, PM_ECANCELLED), 97);
	cr_assert_eq(atomic_load(&board->inside), 0);
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(map_options, nobody_succeeds, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct errands e = errands_new(100, DO_FAIL, 3);
	struct pm_map_options o = {.stop_on = PM_STOP_FIRST_SUCCESS};
	map_with(pool, &e, &o);
	cr_assert_eq(count_error(&e, PM_EFAILED), 100);
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(map_options, nobody_fails, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct errands e = errands_new(100, DO_ECHO, 0);
	struct pm_map_options o = {.stop_on = PM_STOP_FIRST_ERROR};
	map_with(pool, &e, &o);
	errands_check(&e);
	errands_free(&e);
	pm_pool_close(&pool);
}

/* The default: one has failed, with a large message, and the slow one is waited for. */
Test(map_options, a_failure_stops_nobody_else, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct errands e = errands_new(10, DO_NAP, 1);
	e.list[0].what = DO_FAIL;
	e.list[3].value = 300;
	map_with(pool, &e, NULL);
	check_error(e.results[0].error, PM_EFAILED, "it");
	cr_assert_eq(count_error(&e, 0), 9);
	cr_assert_eq(report_of(&e.results[3]).number, 3);
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(map_options, are_checked, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 4);
	struct errands e = errands_new(1, DO_ECHO, 0);
	struct pm_map_options o = {.stop_on = (enum pm_stop)3};
	struct pm_result untouched = {.index = 123};
	check_error(pm_map_with(pool, task_errand, e.jobs, 1, &o, &untouched),
		PM_EINVAL, "stop_on");
	check_error(pm_map_with(pool, task_errand, NULL, 1, NULL, &untouched),
		PM_EINVAL, "jobs");
	check_error(pm_map_with(pool, task_errand, e.jobs, 1, NULL, NULL), PM_EINVAL,
		"results");
	check_error(pm_map_with(pool, NULL, e.jobs, 1, NULL, &untouched), PM_EINVAL,
		"task");
	cr_assert_eq(untouched.index, 123);
	errands_free(&e);
	pm_pool_close(&pool);
}

/* --------------------------------------------------------------- timeout_ms */

enum { MANY = 20000 }; /* more than workers may hold */

/* What has finished is delivered, what has not ends there. */
Test(map_options, time_limit_of_the_whole_map, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct errands e = errands_new(MANY, DO_NAP, 60000);
	struct pm_map_options o = {.timeout_ms = 1500};
	for (size_t i = 0; i < 50; i++) {
		e.list[i].value = 20; /* too slow for a large prefetch */
	}
	uint64_t began = clock_now_ms();
	map_with(pool, &e, &o);
	cr_assert_geq(clock_now_ms() - began, 1490);
	cr_assert_lt(clock_now_ms() - began, 20000);
	cr_assert_eq(count_error(&e, 0), 50);
	cr_assert_eq(count_error(&e, PM_ETIMEDOUT), MANY - 50);
	cr_assert_eq(e.results[50].attempts, 1);
	cr_assert_eq(e.results[MANY - 1].attempts, 0);
	cr_assert_eq(e.results[MANY - 1].worker, -1);
	cr_assert_eq(atomic_load(&board->inside), 0);
	errands_free(&e);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(map_options, time_limit_that_is_kept, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct errands e = errands_new(100, DO_ECHO, 0);
	struct pm_map_options o = {.timeout_ms = 30000};
	for (int i = 0; i < 5; i++) { /* and its timer disturbs no later map */
		map_with(pool, &e, &o);
		errands_check(&e);
		pm_results_clear(e.results, e.ct);
	}
	errands_free(&e);
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------------- on_result */

struct told {
	pm_pool *pool;
	size_t ct;
	uint64_t order[64];
};

static void tell(void *ctx, const struct pm_result *r)
{
	struct told *t = ctx;
	if (t->ct < 64) {
		t->order[t->ct] = r->index;
	}
	t->ct++;
	cr_assert_eq(report_of(r).number, r->index);
	cr_assert_eq(r->tag, 1000 + r->index);
}

Test(map_options, on_result_is_told_in_the_order_of_the_ends, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 8);
	struct told t = {0};
	struct errands e = errands_new(4, DO_NAP, 0);
	struct pm_map_options o = {.on_result = tell, .ctx = &t};
	e.list[0].value = 300;
	e.list[1].value = 200;
	e.list[2].value = 100;
	map_with(pool, &e, &o);
	cr_assert_eq(t.ct, 4);
	for (uint64_t i = 0; i < 4; i++) {
		cr_assert_eq(t.order[i], 3 - i);
	}
	errands_check(&e);
	errands_free(&e);
	pm_pool_close(&pool);
}

static void map_inside(void *ctx, const struct pm_result *r)
{
	struct told *t = ctx;
	t->ct++;
	if (r->index % 10 == 0) {
		rig_check_works(t->pool);
	}
}

Test(map_options, on_result_may_map, .timeout = LIMIT)
{
	struct told t = {.pool = rig_pool(2, 8)};
	struct errands e = errands_new(100, DO_ECHO, 0);
	struct pm_map_options o = {.on_result = map_inside, .ctx = &t};
	map_with(t.pool, &e, &o);
	errands_check(&e);
	cr_assert_eq(t.ct, 100);
	errands_free(&e);
	pm_pool_close(&t.pool);
}

static void close_inside(void *ctx, const struct pm_result *r)
{
	struct told *t = ctx;
	(void)r;
	t->ct++;
	pm_pool_close(&t->pool);
}

static void terminate_inside(void *ctx, const struct pm_result *r)
{
	struct told *t = ctx;
	(void)r;
	t->ct++;
	pm_pool_terminate(&t->pool);
}

Test(map_options, on_result_may_close_the_pool, .timeout = LIMIT)
{
	struct pm_pool_options po = rig_options(2, 8);
	struct told t = {.pool = rig_open(&po)};
	struct errands e = errands_new(500, DO_ECHO, 0);
	struct pm_map_options o = {.on_result = close_inside, .ctx = &t};
	map_with(t.pool, &e, &o);
	errands_check(&e);
	cr_assert_eq(t.ct, 500);
	rig_check_nothing_left(po.runtime_dir);
	errands_free(&e);
}

Test(map_options, on_result_may_terminate_the_pool, .timeout = LIMIT)
{
	struct pm_pool_options po = rig_options(2, 8);
	struct told t = {.pool = rig_open(&po)};
	struct errands e = errands_new(500, DO_NAP, 60000);
	struct pm_map_options o = {.on_result = terminate_inside, .ctx = &t};
	e.list[3].value = 0;
	map_with(t.pool, &e, &o);
	cr_assert_eq(count_error(&e, 0), 1);
	cr_assert_eq(count_error(&e, PM_ECANCELLED), 499);
	cr_assert_eq(t.ct, 500);
	rig_check_nothing_left(po.runtime_dir);
	errands_free(&e);
}

/* Closed at the very last word, of a job that no worker has seen. */
static void close_at_the_last(void *ctx, const struct pm_result *r)
{
	struct told *t = ctx;
	t->ct++;
	if (r->index == 99) {
		pm_pool_close(&t->pool);
	}
}

Test(map_options, on_result_of_a_job_never_sent_may_close_the_pool, .timeout = LIMIT)
{
	struct pm_pool_options po = rig_options(1, 2);
	struct told t = {.pool = rig_open(&po)};
	struct errands e = errands_new(100, DO_NAP, 60000);
	struct pm_map_options o = {
		.on_result = close_at_the_last, .ctx = &t, .timeout_ms = 50};
	map_with(t.pool, &e, &o);
	cr_assert_eq(count_error(&e, PM_ETIMEDOUT), 100);
	cr_assert_eq(t.ct, 100);
	cr_assert_null(t.pool);
	rig_check_nothing_left(po.runtime_dir);
	errands_free(&e);
}

/* ------------------------------------------------------------- other shapes */

Test(map_options, starmap_takes_structs, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct errands e = errands_new(300, DO_ECHO, 0);
	e.list[7].what = DO_FAIL;
	cr_assert_eq(
		pm_starmap(pool, task_errand, e.list, sizeof(*e.list), e.ct, e.results),
		0);
	for (size_t i = 0; i < e.ct; i++) {
		if (i == 7) {
			check_error(e.results[i].error, PM_EFAILED, "7");
		} else {
			cr_assert_eq(report_of(&e.results[i]).number, i);
		}
	}
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(map_options, strings_come_as_strings, .timeout = LIMIT)
{
	static const char *const strings[] = {"alpha", "", "gr\xc3\xbc\xc3\x9f", "d"};
	pm_pool *pool = rig_pool(2, 8);
	struct pm_result r[4];
	cr_assert_eq(pm_map_strings(pool, task_echo, strings, 4, r), 0);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(r[i].error, 0);
		cr_assert_eq(r[i].len, strlen(strings[i]));
		cr_assert_str_eq(r[i].bytes, strings[i]);
	}
	pm_results_clear(r, 4);
	const char *const hole[] = {"a", NULL};
	check_error(pm_map_strings(pool, task_echo, hole, 2, r), PM_EINVAL, "NULL");
	pm_pool_close(&pool);
}

Test(map_options, apply_runs_one, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_result r;
	cr_assert_eq(pm_apply(pool, task_echo, "word", 4, &r), 0);
	cr_assert_str_eq(r.bytes, "word");
	cr_assert_eq(r.index, 0);
	pm_results_clear(&r, 1);
	cr_assert_eq(pm_apply(pool, task_echo, NULL, 0, &r), 0);
	cr_assert_eq(r.len, 0);
	pm_results_clear(&r, 1);
	struct errand e = {.what = DO_FAIL, .value = 5};
	cr_assert_eq(pm_apply(pool, task_errand, &e, sizeof(e), &r), 0);
	check_error(r.error, PM_EFAILED, "a failure is a value");
	cr_assert_eq(r.code, 5);
	pm_results_clear(&r, 1);
	check_error(pm_apply(pool, NULL, NULL, 0, &r), PM_EINVAL, "no task");
	check_error(pm_apply(pool, task_echo, NULL, 0, NULL), PM_EINVAL, "no result");
	check_error(
		pm_apply(pool, task_echo, NULL, 1, &r), PM_EINVAL, "NULL of 1 byte");
	pm_pool_close(&pool);
}

static int empty_source(void *ctx, struct pm_job *job)
{
	(void)ctx;
	(void)job;
	return PM_SOURCE_END;
}

static int count_sink(void *ctx, const struct pm_result *r)
{
	(void)r;
	++*(size_t *)ctx;
	return PM_SINK_TAKEN;
}

static void never_told(void *ctx, const struct pm_result *r)
{
	(void)ctx;
	(void)r;
	cr_assert_fail("a result of nothing");
}

Test(map_options, of_nothing_every_way, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_map_options o = {.on_result = never_told,
		.stop_on = PM_STOP_FIRST_SUCCESS,
		.timeout_ms = 10};
	size_t ct = 0;
	struct pm_stream s = {.task = task_echo,
		.source = empty_source,
		.sink = count_sink,
		.ctx = &ct};
	pm_future *f;
	cr_assert_eq(pm_map(pool, task_echo, NULL, 0, NULL), 0);
	cr_assert_eq(pm_map_with(pool, task_echo, NULL, 0, &o, NULL), 0);
	cr_assert_eq(pm_starmap(pool, task_echo, NULL, 8, 0, NULL), 0);
	cr_assert_eq(pm_map_strings(pool, task_echo, NULL, 0, NULL), 0);
	cr_assert_eq(pm_map_stream(pool, &s), 0);
	cr_assert_eq(pm_map_async(pool, &s, &f), 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 20000, NULL), 0);
	cr_assert_eq(pm_future_result(f)->error, 0);
	cr_assert_eq(pm_future_result(f)->index, 0);
	cr_assert_eq(ct, 0);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------- many at once */

/* Endless until told; remembers how far each was at the end of the shortest. */
struct runner {
	struct errand now;
	size_t ct, given, taken;
	enum errand_what what;
	uint32_t value;
};

static int runner_source(void *ctx, struct pm_job *job)
{
	struct runner *r = ctx;
	if (r->given == r->ct) {
		return PM_SOURCE_END;
	}
	r->now = (struct errand){.number = (uint32_t)(r->given++ % 1000),
		.what = r->what,
		.value = r->value};
	*job = PM_JOB(r->now);
	return PM_SOURCE_JOB;
}

static int runner_sink(void *ctx, const struct pm_result *result)
{
	struct runner *r = ctx;
	cr_assert_eq(result->index, r->taken++);
	return PM_SINK_TAKEN;
}

static pm_future *start(pm_pool *pool, struct runner *r)
{
	struct pm_stream s = {.task = task_errand,
		.source = runner_source,
		.sink = runner_sink,
		.ctx = r};
	pm_future *f = NULL;
	cr_assert_eq(pm_map_async(pool, &s, &f), 0);
	cr_assert_eq(pm_future_state(f), PM_RUNNING);
	return f;
}

/* Three long ones and a short one in a call that blocks: none is kept waiting until
 * another one has ended. */
Test(map_options, maps_take_turns, .timeout = LIMIT)
{
	enum { LONG = 4000, SHORT = 400 };
	pm_pool *pool = rig_pool(2, 8);
	struct runner r[3];
	pm_future *f[3];
	struct errands e = errands_new(SHORT, DO_NAP, 1);
	for (int i = 0; i < 3; i++) {
		r[i] = (struct runner){.ct = LONG, .what = DO_NAP, .value = 1};
		f[i] = start(pool, &r[i]);
	}
	cr_assert_eq(pm_map(pool, task_errand, e.jobs, e.ct, e.results), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_geq(r[i].taken, SHORT / 2, "map %d: %zu", i, r[i].taken);
		cr_assert_leq(r[i].taken, SHORT * 2, "map %d: %zu", i, r[i].taken);
	}
	errands_check(&e);
	cr_assert_eq(pm_wait(f, 3, PM_ALL, 50000, NULL), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(pm_future_result(f[i])->index, LONG);
		cr_assert_eq(r[i].taken, LONG);
		cr_assert_eq(end_of(&f[i]), 0);
	}
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(map_options, one_of_several_is_cancelled, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct runner r[2] = {{.ct = 100000, .what = DO_NAP, .value = 1},
		{.ct = 200, .what = DO_NAP, .value = 1}};
	pm_future *f[2] = {start(pool, &r[0]), start(pool, &r[1])};
	rig_check_works(pool);
	cr_assert_eq(pm_future_cancel(f[0]), 0);
	cr_assert_eq(end_of(&f[1]), 0);
	size_t taken = r[0].taken;
	cr_assert_eq(pm_wait(&f[0], 1, PM_ALL, 20000, NULL), 0);
	check_error(pm_future_result(f[0])->error, PM_ECANCELLED, "it");
	cr_assert_eq(pm_future_result(f[0])->index, r[0].taken);
	check_error(pm_future_cancel(f[0]), PM_ESTATE, "done");
	rig_check_works(pool);
	cr_assert_eq(r[0].taken, taken, "delivered after the cancellation");
	cr_assert_eq(r[1].taken, 200);
	pm_future_free(&f[0]);
	pm_pool_close(&pool);
}

/* Maps end by pm_pool_cancel(), futures of jobs do not. */
Test(map_options, cancel_ends_all_maps_and_no_job, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct runner r[2] = {{.ct = 100000, .what = DO_NAP, .value = 1},
		{.ct = 100000, .what = DO_NAP, .value = 20}};
	pm_future *f[2] = {start(pool, &r[0]), start(pool, &r[1])};
	pm_future *job = submit(pool, DO_WAIT, 9, 0);
	rig_check_works(pool);
	pm_pool_cancel(pool);
	cr_assert_eq(end_of(&f[0]), PM_ECANCELLED);
	cr_assert_eq(end_of(&f[1]), PM_ECANCELLED);
	cr_assert_neq(pm_future_state(job), PM_DONE);
	gate_open();
	cr_assert_eq(end_of(&job), 0);
	pm_pool_close(&pool);
}
