/* SPDX-License-Identifier: MIT
 *
 * limit - jobs that must have begun by a time, and have not; see pool.h.
 *
 * Runs in: the master, in the turn.  The times are the ledger's, in one heap, and
 * there is one timer for the first of them.  A job that nobody has begun ends here; one
 * that waits with a worker is taken back before, so that it cannot begin after it has
 * ended.  No job that has begun is touched.
 */
#include <stdio.h>

#include "common/clock.h"
#include "master/pool.h"

static void timer_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	pool->limit_at_us = UINT64_MAX;
	pool_wake(pool);
}

static void expire(struct pm_pool *pool, struct job *job)
{
	char text[80];
	snprintf(text, sizeof text, "waited %llu ms in the queue without being begun",
		(unsigned long long)((pool->now_us - job->queued_at_us) / 1000));
	job->result.attempts = job->attempts;
	cancel_at_once(pool, job, PM_ETIMEDOUT, text);
}

/* One that was told to stop ends for that reason, and a forgotten one for none. */
static bool is_late(const struct job *job)
{
	return job->waiter && !job->stop && cancel_is_early(job);
}

/* Taking it back may end it: another one of the same worker that was told to stop, or
 * was forgotten, is freed there. */
static void look_at(struct pm_pool *pool, struct job *job)
{
	uint64_t id = job->id;
	ledger_unlimit(&pool->ledger, job);
	if (!is_late(job)) {
		return;
	}
	if (job->state == JOB_SENT) {
		dispatch_recall(job->slot);
		job = ledger_find(&pool->ledger, id);
	}
	if (job && job->state == JOB_QUEUED) {
		expire(pool, job);
	}
}

/* The others of the same worker that are late are queued then: it gives back all of
 * them at once. */
void limit_turn(struct pm_pool *pool)
{
	struct job *job;
	while ((job = ledger_overdue(&pool->ledger, pool->now_us))) {
		look_at(pool, job);
	}
}

/* Without memory for the timer the heartbeat has to do. */
void limit_arm(struct pm_pool *pool)
{
	uint64_t at_us = ledger_next_limit_us(&pool->ledger);
	if (at_us >= pool->limit_at_us) {
		return; /* it runs, perhaps too early: that costs a turn */
	}
	if (!pool->limit_timer) {
		pool->limit_timer = evtimer_new(pool->base, timer_cb, pool);
	}
	struct timeval tv = clock_until(at_us);
	if (pool->limit_timer && evtimer_add(pool->limit_timer, &tv) == 0) {
		pool->limit_at_us = at_us;
	}
}
