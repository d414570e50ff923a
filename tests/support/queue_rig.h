/* SPDX-License-Identifier: MIT
 *
 * queue_rig - what the tests of queue_timeout_ms share: jobs that must begin in time,
 * and what keeps them from it.
 *
 * Runs in: the test process, and as its image in the workers.  Included once each,
 * instead of host_rig.h.
 */
#ifndef TESTS_SUPPORT_QUEUE_RIG_H
#define TESTS_SUPPORT_QUEUE_RIG_H

#include "tests/support/host_rig.h"

static inline pm_future *submit_within(pm_pool *pool, enum errand_what what,
	uint32_t number, unsigned queue_timeout_ms)
{
	struct errand e = {.number = number, .what = what};
	struct pm_job job = PM_JOB(e);
	pm_future *f = NULL;
	job.queue_timeout_ms = queue_timeout_ms;
	cr_assert_eq(pm_submit(pool, task_errand, &job, &f), 0, "%s", pm_last_error());
	return f;
}

/* A pool whose one place is taken until the gate is open. */
struct held {
	pm_pool *pool;
	pm_future *first;
};

/* On a base of the host, or NULL. */
static inline struct held held_open(struct event_base *base)
{
	struct pm_pool_options o = rig_options(1, 1);
	o.base = base;
	struct held h = {.pool = rig_open(&o)};
	h.first = submit(h.pool, DO_WAIT, 0, 0);
	if (!base) {
		run_until_inside(h.pool, 1);
	}
	return h;
}

static inline void held_close(struct held *h)
{
	gate_open();
	cr_assert_eq(end_of(&h->first), 0);
	pm_pool_close(&h->pool);
}

/* Keeps its worker from everything else until the gate is open. */
static inline int task_hog(pm_task *task, const void *arg, size_t len)
{
	board_enter();
	while (!atomic_load(&board->seen)) {
		poll(NULL, 0, 1);
	}
	board_leave();
	return pm_return(task, arg, len);
}

static inline pm_future *submit_hog(pm_pool *pool)
{
	struct pm_job job = {0};
	pm_future *f = NULL;
	cr_assert_eq(pm_submit(pool, task_hog, &job, &f), 0, "%s", pm_last_error());
	run_until_inside(pool, 1);
	return f;
}

/* It waited for its limit, and says so; and it never began. */
static inline void check_late(
	const struct pm_result *r, uint32_t number, unsigned limit_ms)
{
	unsigned waited_ms = 0;
	cr_assert(r);
	cr_assert_eq(
		r->error, PM_ETIMEDOUT, "job %u: %s", number, pm_error_name(r->error));
	cr_assert_eq(sscanf(r->message, "waited %u ms in the queue without being begun",
			     &waited_ms),
		1, "%s", r->message);
	cr_assert_geq(waited_ms, limit_ms);
	cr_assert_eq(r->worker, -1);
	cr_assert_eq(r->domain, PM_DOMAIN_NONE);
	cr_assert_null(r->bytes);
	cr_assert_eq(atomic_load(&board->runs[number]), 0, "job %u has begun", number);
}

/* That is how this one ends; it is freed. */
static inline void check_ends_late(pm_future **f, uint32_t number, unsigned limit_ms)
{
	cr_assert_eq(pm_wait(f, 1, PM_ALL, 20000, NULL), 0);
	check_late(pm_future_result(*f), number, limit_ms);
	pm_future_free(f);
}

/* A worker has these three. */
static inline bool all_sent(void *ctx)
{
	pm_future **f = ctx;
	return pm_future_state(f[0]) == PM_SENT && pm_future_state(f[1]) == PM_SENT &&
	       pm_future_state(f[2]) == PM_SENT;
}

static inline void free_all(pm_future *f[], size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		pm_future_free(&f[i]);
	}
}

#endif
