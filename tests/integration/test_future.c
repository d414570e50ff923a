/* SPDX-License-Identifier: MIT
 *
 * Integration tests of futures: their states, their callbacks, their cancellation.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* ------------------------------------------------------------------- states */

Test(future, goes_from_queued_to_running_to_done, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	pm_future *a = submit(pool, DO_WAIT, 0, 0), *b = submit(pool, DO_WAIT, 1, 0);
	cr_assert_eq(pm_future_state(a), PM_QUEUED);
	cr_assert_null(pm_future_result(a), "a result before the end");
	run_until_inside(pool, 1);
	cr_assert_eq(pm_future_state(a), PM_RUNNING);
	cr_assert_neq(pm_future_state(b), PM_RUNNING, "two tasks where one may run");
	cr_assert_null(pm_future_result(a));
	gate_open();
	cr_assert_eq(pm_wait(&b, 1, PM_ALL, PM_FOREVER, NULL), 0);
	cr_assert_eq(pm_future_state(a), PM_DONE);
	cr_assert_eq(report_of(pm_future_result(a)).number, 0);
	cr_assert_eq(report_of(pm_future_result(b)).number, 1);
	cr_assert_eq(pm_future_result(b)->attempts, 1);
	cr_assert_eq(pm_future_result(b)->worker, 0);
	pm_future_free(&a);
	pm_future_free(&b);
	cr_assert_null(a);
	pm_pool_close(&pool);
}

/* What a fast worker gets in advance is sent, and has not begun. */
Test(future, is_sent_while_it_is_next_in_line, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct errands warm = errands_new(3000, DO_ECHO, 0);
	cr_assert_eq(pm_map(pool, task_errand, warm.jobs, warm.ct, warm.results), 0);
	pm_future *a = submit(pool, DO_WAIT, 0, 0), *b = submit(pool, DO_WAIT, 1, 0);
	run_until_inside(pool, 1);
	cr_assert_eq(pm_future_state(a), PM_RUNNING);
	cr_assert_eq(
		pm_future_state(b), PM_SENT, "%s", pm_state_name(pm_future_state(b)));
	gate_open();
	cr_assert_eq(end_of(&b), 0);
	cr_assert_eq(end_of(&a), 0);
	errands_free(&warm);
	pm_pool_close(&pool);
}

Test(future, states_have_names, .timeout = LIMIT)
{
	cr_assert_str_eq(pm_state_name(PM_QUEUED), "queued");
	cr_assert_str_eq(pm_state_name(PM_SENT), "sent");
	cr_assert_str_eq(pm_state_name(PM_RUNNING), "running");
	cr_assert_str_eq(pm_state_name(PM_DONE), "done");
	cr_assert_str_eq(pm_state_name(99), "unknown");
	cr_assert_str_eq(pm_state_name(-1), "unknown");
}

Test(future, tells_the_error_the_tag_and_the_message, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	struct errand e = {.number = 3, .what = DO_FAIL, .value = 77};
	struct pm_job job = PM_JOB(e);
	pm_future *f = NULL;
	job.tag = UINT64_MAX;
	cr_assert_eq(pm_submit(pool, task_errand, &job, &f), 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, PM_FOREVER, NULL), 0);
	const struct pm_result *r = pm_future_result(f);
	cr_assert_eq(r->error, PM_EFAILED);
	cr_assert_eq(r->domain, PM_DOMAIN_TASK);
	cr_assert_eq(r->code, 77);
	cr_assert_str_eq(r->message, "errand 3");
	cr_assert_eq(r->tag, UINT64_MAX);
	cr_assert_null(r->bytes);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

Test(future, needs_a_pool_a_task_and_a_job, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_job job = {0};
	pm_future *f = NULL;
	check_error(pm_submit(NULL, task_errand, &job, &f), PM_EINVAL, "no pool");
	check_error(pm_submit(pool, NULL, &job, &f), PM_EINVAL, "no task");
	check_error(pm_submit(pool, task_errand, NULL, &f), PM_EINVAL, "no job");
	cr_assert_null(f, "an error has changed the out parameter");
	pm_future_free(&f);
	pm_future_free(NULL);
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------------- callbacks */

/* What the callbacks write down: letters, in the order of the calls. */
struct diary {
	pm_pool *pool;
	pm_future *future, *other;
	char text[64];
	size_t len;
	int result;
	struct diary *root;
	char letter;
};

static void write_down(struct diary *d, char letter)
{
	cr_assert_lt(d->len, sizeof(d->text) - 1);
	d->text[d->len++] = letter;
}

static void note(pm_future *f, void *ctx)
{
	struct diary *d = ctx;
	cr_assert_eq(pm_future_state(f), PM_DONE);
	cr_assert(pm_future_result(f));
	write_down(d->root, d->letter);
}

static void step_all(pm_pool *pool)
{
	pm_future *f = submit(pool, DO_ECHO, 9, 0);
	cr_assert_eq(end_of(&f), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(pm_pool_step(pool), 0);
	}
}

Test(future, calls_back_once_each_in_order, .timeout = LIMIT)
{
	struct diary d = {.pool = rig_pool(1, 1)}, abc[3];
	pm_future *f = submit(d.pool, DO_ECHO, 0, 0);
	for (int i = 0; i < 3; i++) {
		abc[i] = (struct diary){.root = &d, .letter = (char)('a' + i)};
		cr_assert_eq(pm_future_on_done(f, note, &abc[i]), 0);
	}
	cr_assert_eq(pm_future_on_done(f, note, &abc[0]), 0);
	cr_assert_str_eq(d.text, "", "called before the loop ran");
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, PM_FOREVER, NULL), 0);
	step_all(d.pool);
	cr_assert_str_eq(d.text, "abca");
	pm_future_free(&f);
	pm_pool_close(&d.pool);
	cr_assert_str_eq(d.text, "abca");
}

/* It failed, ran late, lost its worker or was cancelled: once, and with its error. */
Test(future, calls_back_whatever_its_end_is, .timeout = LIMIT)
{
	enum { ENDS = 4 };
	static const int errors[ENDS] = {
		PM_EFAILED, PM_ETIMEDOUT, PM_EWORKERLOST, PM_ECANCELLED};
	const struct errand what[ENDS] = {{0, DO_FAIL, 7}, {1, DO_NAP, 60000},
		{2, DO_KILL, SIGKILL}, {3, DO_NAP, 60000}};
	struct diary d = {.pool = rig_pool(1, 1)}, x[ENDS];
	pm_future *f[ENDS];
	for (int i = 0; i < ENDS; i++) {
		struct pm_job job = PM_JOB(what[i]);
		job.once = errors[i] == PM_EWORKERLOST;
		job.timeout_ms = errors[i] == PM_ETIMEDOUT ? 50 : 0;
		x[i] = (struct diary){.root = &d, .letter = (char)('a' + i)};
		cr_assert_eq(pm_submit(d.pool, task_errand, &job, &f[i]), 0);
		cr_assert_eq(pm_future_on_done(f[i], note, &x[i]), 0);
	}
	cr_assert_eq(pm_future_cancel(f[3]), 0);
	cr_assert_eq(pm_wait(f, ENDS, PM_ALL, 20000, NULL), 0);
	step_all(d.pool);
	/* b may have to run again: its result can be lost with the worker. */
	cr_assert_eq(strlen(d.text), ENDS, "%s", d.text);
	cr_assert(d.text[0] == 'd' && strchr(d.text, 'a') && strchr(d.text, 'b') &&
			  strchr(d.text, 'c'),
		"%s", d.text);
	for (int i = 0; i < ENDS; i++) {
		check_error(pm_future_result(f[i])->error, errors[i], "its end");
		pm_future_free(&f[i]);
	}
	pm_pool_close(&d.pool);
	cr_assert_eq(strlen(d.text), ENDS, "%s", d.text);
}

Test(future, calls_back_late_comers_from_the_loop, .timeout = LIMIT)
{
	struct diary d = {.pool = rig_pool(1, 1)}, x = {.root = &d, .letter = 'x'};
	pm_future *f = submit(d.pool, DO_ECHO, 0, 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, PM_FOREVER, NULL), 0);
	step_all(d.pool);
	cr_assert_eq(pm_future_on_done(f, note, &x), 0);
	cr_assert_eq(pm_future_on_done(f, note, &x), 0);
	cr_assert_str_eq(d.text, "", "called inside pm_future_on_done()");
	step_all(d.pool);
	cr_assert_str_eq(d.text, "xx");
	pm_future_free(&f);
	pm_pool_close(&d.pool);
}

Test(future, calls_back_after_its_owner_has_freed_it, .timeout = LIMIT)
{
	struct diary d = {.pool = rig_pool(1, 1)}, x = {.root = &d, .letter = 'x'};
	pm_future *f = submit(d.pool, DO_WAIT, 0, 0);
	cr_assert_eq(pm_future_on_done(f, note, &x), 0);
	run_until_inside(d.pool, 1);
	pm_future_free(&f);
	gate_open();
	step_all(d.pool); /* the same worker, one task at a time: it is done before */
	cr_assert_str_eq(d.text, "x");
	pm_pool_close(&d.pool);
}

/* b adds y, and lets the loop run inside: y still comes after c. */
static void add_and_wait(pm_future *f, void *ctx)
{
	struct diary *d = ctx, *root = d->root;
	note(f, ctx);
	cr_assert_eq(pm_future_on_done(f, note, d + 2), 0);
	pm_future *inner = submit(root->pool, DO_ECHO, 2, 0);
	cr_assert_eq(end_of(&inner), 0);
}

Test(future, keeps_the_order_when_a_callback_adds_one_and_waits, .timeout = LIMIT)
{
	struct diary d = {.pool = rig_pool(1, 1)}, abc[4];
	pm_future *f = submit(d.pool, DO_ECHO, 0, 0);
	for (int i = 0; i < 4; i++) {
		abc[i] = (struct diary){.root = &d, .letter = (char)('a' + i)};
	}
	cr_assert_eq(pm_future_on_done(f, note, &abc[0]), 0);
	cr_assert_eq(pm_future_on_done(f, add_and_wait, &abc[1]), 0);
	cr_assert_eq(pm_future_on_done(f, note, &abc[2]), 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, PM_FOREVER, NULL), 0);
	step_all(d.pool);
	cr_assert_str_eq(d.text, "abcd");
	pm_future_free(&f);
	pm_pool_close(&d.pool);
}

static void free_both(pm_future *f, void *ctx)
{
	struct diary *d = ctx;
	pm_future_free(&d->future);
	pm_future_free(&d->other);
	cr_assert_eq(pm_future_state(f), PM_DONE, "it is valid in its callback");
	write_down(d, 'x');
}

Test(future, may_be_freed_in_its_callback, .timeout = LIMIT)
{
	struct diary d = {.pool = rig_pool(1, 1)};
	d.future = submit(d.pool, DO_ECHO, 0, 0);
	d.other = submit(d.pool, DO_ECHO, 1, 0);
	cr_assert_eq(pm_future_on_done(d.future, free_both, &d), 0);
	step_all(d.pool);
	cr_assert_str_eq(d.text, "x");
	cr_assert_null(d.future);
	pm_pool_close(&d.pool);
}

static void clear_places(pm_future *f, void *ctx)
{
	pm_future **all = ctx;
	cr_assert_eq(f, all[2]);
	all[0] = all[1] = all[2] = NULL;
}

/* Neither the futures nor their places in the array need to outlive the wait. */
Test(future, may_be_freed_while_somebody_waits_for_it, .timeout = LIMIT)
{
	struct diary d = {.pool = rig_pool(1, 1)};
	d.future = submit(d.pool, DO_ECHO, 0, 0);
	d.other = submit(d.pool, DO_ECHO, 1, 0);
	pm_future *last = submit(d.pool, DO_ECHO, 2, 0);
	pm_future *all[] = {d.future, d.other, last};
	cr_assert_eq(pm_future_on_done(d.future, free_both, &d), 0);
	cr_assert_eq(pm_future_on_done(last, clear_places, all), 0);
	cr_assert_eq(pm_wait(all, 3, PM_ALL, 20000, NULL), 0);
	cr_assert_str_eq(d.text, "x");
	cr_assert_null(all[2]);
	cr_assert_eq(pm_future_state(last), PM_DONE);
	pm_future_free(&last);
	pm_pool_close(&d.pool);
}

/* ------------------------------------------------------------------- cancel */

Test(future, that_is_queued_is_cancelled_at_once, .timeout = LIMIT)
{
	struct diary d = {.pool = rig_pool(1, 1)}, x = {.root = &d, .letter = 'x'};
	pm_future *a = submit(d.pool, DO_WAIT, 0, 0);
	run_until_inside(d.pool, 1);
	pm_future *b = submit(d.pool, DO_ECHO, 1, 0);
	cr_assert_eq(pm_future_on_done(b, note, &x), 0);
	cr_assert_eq(pm_future_cancel(b), 0);
	cr_assert_eq(pm_future_state(b), PM_DONE, "a queued job ends now");
	cr_assert_eq(pm_future_result(b)->error, PM_ECANCELLED);
	cr_assert_eq(pm_future_result(b)->worker, -1);
	cr_assert_eq(pm_future_result(b)->attempts, 0);
	cr_assert_str_eq(d.text, "", "called inside pm_future_cancel()");
	check_error(pm_future_cancel(b), PM_ESTATE, "cancelled again");
	gate_open();
	cr_assert_eq(end_of(&a), 0);
	step_all(d.pool);
	cr_assert_str_eq(d.text, "x");
	cr_assert_eq(atomic_load(&board->runs[1]), 0, "it has run");
	pm_future_free(&b);
	pm_pool_close(&d.pool);
}

Test(future, that_runs_is_stopped, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	pm_future *f = submit(pool, DO_NAP, 0, 60000);
	run_until_inside(pool, 1);
	cr_assert_eq(pm_future_cancel(f), 0);
	cr_assert_eq(pm_future_state(f), PM_RUNNING, "its worker has not said so");
	cr_assert_eq(pm_future_cancel(f), 0, "not done yet: it can be said again");
	uint64_t began = clock_now_ms();
	cr_assert_eq(end_of(&f), PM_ECANCELLED);
	cr_assert_lt(clock_now_ms() - began, 20000);
	cr_assert(wait_for(board_is_quiet, NULL, 5000));
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
}

Test(future, that_is_done_cannot_be_cancelled, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	pm_future *f = submit(pool, DO_ECHO, 0, 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, PM_FOREVER, NULL), 0);
	check_error(pm_future_cancel(f), PM_ESTATE, "done");
	cr_assert_eq(report_of(pm_future_result(f)).number, 0);
	pm_future_free(&f);
	check_error(pm_future_cancel(NULL), PM_EINVAL, "NULL");
	pm_pool_close(&pool);
}

static void cancel_other(pm_future *f, void *ctx)
{
	struct diary *d = ctx;
	(void)f;
	d->result = pm_future_cancel(d->other);
}

Test(future, is_cancelled_from_the_callback_of_another, .timeout = LIMIT)
{
	struct diary d = {.pool = rig_pool(1, 2)};
	d.future = submit(d.pool, DO_WAIT, 0, 0);
	d.other = submit(d.pool, DO_NAP, 1, 60000);
	cr_assert_eq(pm_future_on_done(d.future, cancel_other, &d), 0);
	run_until_inside(d.pool, 2);
	gate_open();
	cr_assert_eq(end_of(&d.other), PM_ECANCELLED);
	cr_assert_eq(d.result, 0);
	cr_assert_eq(end_of(&d.future), 0);
	pm_pool_close(&d.pool);
}

/* Cancellations that race with the results: each job has exactly one end, the pool
 * goes on, and no job of a later hour is hit. */
Test(future, cancel_races_with_the_result, .timeout = LIMIT)
{
	enum { ROUNDS = 60, JOBS = 50 };
	pm_pool *pool = rig_pool(2, 8);
	size_t done = 0, cancelled = 0;
	for (int round = 0; round < ROUNDS; round++) {
		pm_future *f[JOBS];
		for (uint32_t i = 0; i < JOBS; i++) {
			f[i] = submit(pool, DO_NAP, i, i % 3);
		}
		for (int i = 0; i < round % 7; i++) {
			cr_assert_eq(pm_pool_step(pool), 0);
		}
		for (int i = JOBS; i-- > 0;) {
			int err = pm_future_cancel(f[i]);
			cr_assert(err == 0 || err == PM_ESTATE);
		}
		for (int i = 0; i < JOBS; i++) {
			int error = end_of(&f[i]);
			cr_assert(error == 0 || error == PM_ECANCELLED, "%s",
				pm_error_name(error));
			done += error == 0;
			cancelled += error != 0;
		}
		struct pm_result r;
		struct errand e = {.what = DO_NAP, .value = 1};
		cr_assert_eq(pm_apply(pool, task_errand, &e, sizeof(e), &r), 0);
		cr_assert_eq(r.error, 0, "the next job was hit");
		pm_results_clear(&r, 1);
	}
	cr_assert_eq(done + cancelled, ROUNDS * JOBS);
	cr_assert_gt(cancelled, 0);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
}
