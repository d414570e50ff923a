/* SPDX-License-Identifier: MIT
 *
 * host_rig - what the tests of the host's calls share: one task that does as it is
 * told, a gate that holds tasks until the test opens it, and a way to run a pool
 * until something has happened.
 *
 * Runs in: the test process, and as its image in the workers.  Included by the tests
 * of futures, iterators, shutdown and the like, once each, instead of pool_rig.h.
 */
#ifndef TESTS_SUPPORT_HOST_RIG_H
#define TESTS_SUPPORT_HOST_RIG_H

#include <poll.h>

#include "tests/support/pool_rig.h"

/* ----------------------------------------------------------------- errands */

enum errand_what {
	DO_ECHO, /* succeed at once */
	DO_FAIL, /* with pm_fail(), code `value` */
	DO_NAP,  /* for `value` ms; cancelled: say so */
	DO_WAIT, /* until the gate is open */
	DO_EXIT, /* _exit(value) */
	DO_KILL, /* die of signal `value` */
	DO_TURN, /* succeed at once, and tell how many began so before */
};

struct errand {
	uint32_t number; /* below BOARD_JOBS - 1; board->runs counts it */
	uint32_t what;
	uint32_t value;
};

/* What comes back. */
struct report {
	uint32_t number;
	int32_t pid;
	uint32_t worker, attempt;
	uint32_t turn; /* DO_TURN */
};

static inline int errand_wait(pm_task *task)
{
	int err = 0;
	while (!err && !atomic_load(&board->seen)) {
		err = pm_sleep(task, 2);
	}
	return err;
}

static inline int errand_do(pm_task *task, const struct errand *e)
{
	switch (e->what) {
	case DO_FAIL:
		return pm_fail(task, (int)e->value, "errand %u", e->number);
	case DO_NAP:
		return pm_sleep(task, e->value);
	case DO_WAIT:
		return errand_wait(task);
	case DO_EXIT:
		_exit((int)e->value);
	case DO_KILL:
		raise((int)e->value);
	}
	return 0;
}

/* A task: its argument is a struct errand, its result a struct report. */
static inline int task_errand(pm_task *task, const void *arg, size_t len)
{
	struct errand e;
	(void)len;
	memcpy(&e, arg, sizeof(e));
	struct report r = {.number = e.number,
		.pid = (int32_t)getpid(),
		.worker = pm_task_worker(task),
		.attempt = pm_task_attempt(task)};
	atomic_fetch_add(&board->runs[e.number], 1);
	if (e.what == DO_TURN) {
		r.turn = atomic_fetch_add(&board->runs[BOARD_JOBS - 1], 1);
	}
	board_enter();
	int err = errand_do(task, &e);
	board_leave();
	return err ? err : pm_return(task, &r, sizeof(r));
}

static inline struct report report_of(const struct pm_result *r)
{
	struct report report;
	cr_assert(r, "there is no result");
	cr_assert_eq(r->error, 0, "%s: %s", pm_error_name(r->error),
		r->message ? r->message : "-");
	cr_assert_eq(r->len, sizeof(report));
	memcpy(&report, r->bytes, sizeof(report));
	return report;
}

static inline void gate_open(void)
{
	atomic_store(&board->seen, 1);
}

/* ----------------------------------------------------------------- futures */

static inline pm_future *submit(
	pm_pool *pool, enum errand_what what, uint32_t number, uint32_t value)
{
	struct errand e = {.number = number, .what = what, .value = value};
	struct pm_job job = PM_JOB(e);
	pm_future *f = NULL;
	int err = pm_submit(pool, task_errand, &job, &f);
	cr_assert_eq(err, 0, "pm_submit: %s: %s", pm_error_name(err), pm_last_error());
	cr_assert(f);
	return f;
}

/* Its error; the future is freed. */
static inline int end_of(pm_future **f)
{
	cr_assert_eq(pm_wait(f, 1, PM_ALL, 20000, NULL), 0);
	cr_assert_eq(pm_future_state(*f), PM_DONE);
	int error = pm_future_result(*f)->error;
	pm_future_free(f);
	return error;
}

static inline void check_error(int got, int wanted, const char *what)
{
	cr_assert_eq(got, wanted, "%s: %s instead of %s", what, pm_error_name(got),
		pm_error_name(wanted));
}

/* ----------------------------------------------------------------- errands, many */

struct errands {
	size_t ct;
	struct errand *list;
	struct pm_job *jobs;
	struct pm_result *results;
};

static inline struct errands errands_new(
	size_t ct, enum errand_what what, uint32_t value)
{
	struct errands e = {.ct = ct,
		.list = calloc(ct + 1, sizeof(*e.list)),
		.jobs = calloc(ct + 1, sizeof(*e.jobs)),
		.results = calloc(ct + 1, sizeof(*e.results))};
	cr_assert(e.list && e.jobs && e.results);
	for (size_t i = 0; i < ct; i++) {
		e.list[i] = (struct errand){
			.number = (uint32_t)i, .what = what, .value = value};
		e.jobs[i] = PM_JOB(e.list[i]);
		e.jobs[i].tag = 1000 + i;
	}
	return e;
}

static inline void errands_free(struct errands *e)
{
	pm_results_clear(e->results, e->ct);
	free(e->list);
	free(e->jobs);
	free(e->results);
	*e = (struct errands){0};
}

/* Every result is its job's own, and right. */
static inline void errands_check(const struct errands *e)
{
	for (size_t i = 0; i < e->ct; i++) {
		cr_assert_eq(e->results[i].index, i);
		cr_assert_eq(report_of(&e->results[i]).number, i);
	}
}

/* ----------------------------------------------------------------- running */

struct until {
	pm_pool *pool;
	bool (*holds)(void *ctx);
	void *ctx;
};

static inline bool until_step(void *ctx)
{
	const struct until *u = ctx;
	(void)!pm_pool_step(u->pool);
	return u->holds(u->ctx);
}

/* Run a pool with a base of its own until the predicate holds. */
static inline void run_until(pm_pool *pool, bool (*holds)(void *ctx), void *ctx)
{
	struct until u = {.pool = pool, .holds = holds, .ctx = ctx};
	cr_assert(wait_for(until_step, &u, 20000), "it did not come to pass");
}

static inline bool inside_is(void *ctx)
{
	return atomic_load(&board->inside) == *(int *)ctx;
}

/* Run it until so many tasks are at work. */
static inline void run_until_inside(pm_pool *pool, int ct)
{
	run_until(pool, inside_is, &ct);
}

static inline bool all_ready(void *ctx)
{
	struct pm_pool_stats stats = rig_stats(ctx);
	return stats.workers_ready == stats.workers;
}

/* A pool all of whose workers are ready. */
static inline pm_pool *rig_full_pool(const struct pm_pool_options *o)
{
	pm_pool *pool = rig_open(o);
	run_until(pool, all_ready, pool);
	return pool;
}

static inline bool has_phase_over(void *ctx)
{
	return pm_pool_join(ctx, 0) == 0;
}

/* Nothing is left of a process with this pid. */
static inline bool is_gone(long pid)
{
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

#endif
