/* SPDX-License-Identifier: MIT
 *
 * pump - who runs the pool's loop: its turns, and the calls that block; see
 * pool.h.
 *
 * Runs in: the master.  Two kinds of pool.  On a base of our own, a turn runs here
 * after event_base_loop() has returned, so a callback of the host's may come here
 * again.  On the host's base it runs in a callback of that base, which cannot be
 * run from its own callbacks: there a call that blocks is refused.
 */
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "master/forkserver.h"
#include "master/pool.h"

enum { FRAMES_PER_TURN = 256 }; /* then the others get their chance */

/* -------------------------------------------------------------------- turn */

/* The turn, in the order that matters: see pool.h. */
void pool_turn(struct pm_pool *pool)
{
	pool->turn_due = false;
	pool->turn_ct++;
	pool->now_us = clock_now_us();
	pool->depth++;
	pool->all_read = gather_read(pool, FRAMES_PER_TURN); /* or it stays readable */
	if (pool->broken) {
		shutdown_fail_all(pool);
	}
	limit_turn(pool);
	future_call_back(pool);
	map_deliver_all(pool);
	map_turn_lanes(pool);
	dispatch_run(pool);
	map_end_all(pool);
	dispatch_flush(pool);
	map_arm_lanes(pool);
	limit_arm(pool);
	shutdown_turn(pool);
	pool->depth--;
	if (!pool->depth) {
		map_sweep(pool);
	}
}

void pool_call_back(struct pm_pool *pool)
{
	if (!pool->depth && !pool->deciding) {
		pool->depth++;
		future_call_back(pool);
		pool->depth--;
		map_sweep(pool);
	}
}

void pool_wake(struct pm_pool *pool)
{
	/* On the host's base by a timer rather than event_active(): a turn that asks
	 * for the next one must not keep the loop from its sockets.  Not added again
	 * while it waits: that would put it off, each time. */
	struct timeval at_once = {0};
	if (pool->own_base) {
		pool->turn_due = true;
		pollfd_wake(pool);
	} else if (!evtimer_pending(pool->turn_event, NULL) &&
		   evtimer_add(pool->turn_event, &at_once) < 0) {
		event_active(pool->turn_event, EV_TIMEOUT, 0); /* takes no memory */
	}
}

void pool_wake_cb(evutil_socket_t fd, short what, void *pool)
{
	(void)fd;
	(void)what;
	pool_wake(pool);
}

/* ------------------------------------------------------------------- loops */

/* One round: wait for something to happen, unless `look` or there is something to
 * do. */
static int run_round(struct pm_pool *pool, bool look)
{
	/* Without EVLOOP_ONCE it would go on for as long as results are to be read,
	 * which only the turn does. */
	int how = EVLOOP_ONCE | (look || pool->turn_due ? EVLOOP_NONBLOCK : 0);
	if (event_base_loop(pool->base, how) < 0) {
		return error_note(PM_ESTATE,
			"the event loop cannot be run: is this a callback of the same "
			"base?");
	}
	if (pool->turn_due) {
		pool_turn(pool);
	}
	return 0;
}

static void expired_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	*(bool *)ctx = true;
}

static struct event *start_timer(struct pm_pool *pool, int timeout_ms, bool *expired)
{
	struct timeval tv = {
		.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};
	struct event *e = evtimer_new(pool->base, expired_cb, expired);
	if (e && evtimer_add(e, &tv) < 0) {
		event_free(e);
		e = NULL;
	}
	return e;
}

static int run_until(struct pm_pool *pool, bool (*done)(void *ctx), void *ctx,
	bool look, const bool *expired)
{
	int err = 0;
	bool last = false;
	while (!err && !done(ctx)) {
		if (last) {
			return PM_ETIMEDOUT;
		}
		last = *expired || look;
		err = run_round(pool, last);
	}
	return err;
}

/* Are we in a callback of this base?  libevent has no such question, and warns on
 * stderr when its loop is entered twice.  But while it calls back, and only then, its
 * time stands still. */
static bool is_running(struct event_base *base)
{
	struct timeval before, now, after;
	event_base_gettimeofday_cached(base, &before);
	do {
		gettimeofday(&now, NULL);
	} while (!evutil_timercmp(&now, &before, !=));
	event_base_gettimeofday_cached(base, &after);
	return !evutil_timercmp(&before, &after, !=);
}

int pool_run_until(
	struct pm_pool *pool, bool (*done)(void *ctx), void *ctx, int timeout_ms)
{
	bool expired = false;
	struct event *timer = NULL;
	if (done(ctx)) {
		return 0;
	}
	if (pool->deciding) {
		return error_note(PM_ESTATE,
			"log, lane_new, admit and retry cannot wait for the pool");
	}
	if (!pool->own_base && (pool->depth || is_running(pool->base))) {
		return error_note(PM_ESTATE,
			"a callback on the host's event base cannot wait for the pool");
	}
	if (timeout_ms > 0) {
		timer = start_timer(pool, timeout_ms, &expired);
		if (!timer) {
			return error_note(PM_ENOMEM, "no memory for a timer");
		}
	}
	pool->waiting++;
	int err = run_until(pool, done, ctx, timeout_ms == 0, &expired);
	pool->waiting--;
	if (timer) {
		event_free(timer);
	}
	return err;
}

int pm_pool_step(pm_pool *pool)
{
	int err = pool_check_thread(pool);
	if (!err && (!pool->own_base || pool->depth || pool->deciding)) {
		err = error_note(PM_ESTATE, "not on a host's base, nor in a callback");
	}
	if (!err) {
		err = run_round(pool, true);
	}
	if (!err && pool->broken) {
		err = error_note(pool->broken, "%s", pool->broken_text);
	}
	if (err == PM_EINVAL || err == PM_ESTATE) {
		return err;
	}
	pollfd_settle(pool);
	return pool_leave(pool, err);
}

/* ------------------------------------------------------------------ checks */

static bool is_at_home(const struct pm_pool *pool)
{
	return pool->mark ? *pool->mark == 1 : pool->process == getpid();
}

int pool_check_thread(const struct pm_pool *pool)
{
	if (!pool) {
		return error_note(PM_EINVAL, "a pool is needed");
	}
	if (!is_at_home(pool)) {
		return error_note(
			PM_ESTATE, "a pool belongs to the process that opened it");
	}
	if (!pthread_equal(pool->thread, pthread_self())) {
		return error_note(
			PM_ESTATE, "a pool belongs to the thread that opened it");
	}
	return 0;
}

int pool_check_task(const struct pm_pool *pool, pm_task_fn *task)
{
	int err = pool_check_thread(pool);
	if (err) {
		return err;
	}
	if (!task) {
		return error_note(PM_EINVAL, "a task is needed");
	}
	if (pool->broken) {
		return error_note(pool->broken, "%s", pool->broken_text);
	}
	if (pool->phase != POOL_OPEN) {
		return error_note(PM_ECLOSED, "the pool is shutting down");
	}
	if (!forkserver_knows(task)) {
		return error_note(PM_ETASK,
			"the task function was loaded after the forkserver started: "
			"load it first, then call pm_forkserver_start()");
	}
	return 0;
}
