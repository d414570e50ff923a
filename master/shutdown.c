/* SPDX-License-Identifier: MIT
 *
 * shutdown - the end of a pool, phase by phase; see pool.h.
 *
 * Runs in: the master.  STOPPING: no job is taken any more, and those that are
 * there come to their ends, with as many workers as that takes.  ENDING: the workers
 * are asked to leave, and killed when they do not.  OVER: nothing is left but
 * memory.  Every open job has got its result before that.
 */
#include <errno.h>

#include "common/clock.h"
#include "common/error.h"
#include "master/pool.h"

enum { LEAVE_S = 5 }; /* for a worker that was asked to leave */

static void doom_all(struct pm_pool *pool)
{
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		slot_doom(&pool->slots[i], DOOM_STOP);
	}
}

static bool all_gone(const struct pm_pool *pool)
{
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		if (pool->slots[i].state != SLOT_GONE &&
			pool->slots[i].state != SLOT_EMPTY) {
			return false;
		}
	}
	return true;
}

/* Is no job left but those that nobody waits for? */
static bool no_jobs(const struct pm_pool *pool)
{
	if (pool->ledger.live_ct > pool->forgotten_ct) {
		return false;
	}
	for (size_t i = 0; i < pool->map_ct; i++) {
		const struct map *m = pool->maps[i];
		if (m && !m->ended && m->source != SOURCE_ENDED) {
			return false; /* an array: the rest of it will come */
		}
	}
	return true;
}

bool shutdown_needs_workers(const struct pm_pool *pool)
{
	bool over = pool->broken || pool->phase >= POOL_ENDING ||
		    (pool->phase == POOL_STOPPING && no_jobs(pool));
	/* A process has one life, which begins when it is ready. */
	const struct slot *s = &pool->slots[0];
	return !over && !(pool->single && s->has_ended && s->was_ready);
}

/* -------------------------------------------------------------------- jobs */

/* Settle every open job that somebody waits for, wherever it is. */
static void settle_all(struct pm_pool *pool, int error, const char *why)
{
	struct ledger *l = &pool->ledger;
	for (size_t i = 0; i < l->cap; i++) {
		struct job *job = l->table[i];
		if (job && job->waiter && job->state != JOB_DONE) {
			cancel_at_once(pool, job, error, why);
		}
	}
}

static bool is_to_end(const struct job *job, enum pm_shutdown how)
{
	switch (how) {
	case PM_CANCEL_UNSENT:
		return job->state == JOB_QUEUED;
	case PM_CANCEL_QUEUED:
		return cancel_is_early(job);
	case PM_CANCEL_ALL:
		return true;
	default:
		return false;
	}
}

static void cancel_all(struct pm_pool *pool, enum pm_shutdown how)
{
	struct ledger *l = &pool->ledger;
	for (size_t i = 0; i < l->cap; i++) {
		struct job *job = l->table[i];
		if (job && job->waiter && is_to_end(job, how)) {
			cancel_job(pool, job, PM_ECANCELLED);
		}
	}
}

void shutdown_fail_all(struct pm_pool *pool)
{
	for (size_t i = 0; i < pool->map_ct; i++) {
		if (pool->maps[i]) {
			map_abort(pool->maps[i], pool->broken);
		}
	}
	settle_all(pool, pool->broken, pool->broken_text);
}

/* ------------------------------------------------------------------ timers */

static void kill_now(struct pm_pool *pool)
{
	pool->how = PM_CANCEL_ALL;
	for (size_t i = 0; i < pool->map_ct; i++) {
		if (pool->maps[i]) {
			map_shutdown(pool->maps[i], PM_CANCEL_ALL);
		}
	}
	settle_all(pool, PM_ECANCELLED, "the pool was shut down");
	doom_all(pool);
	pool_wake(pool);
}

static void grace_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	kill_now(ctx);
}

/* Whatever has not left is killed.  The second time there is no answer from the
 * forkserver: closing its socket has to do. */
static void deadline_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	pool->deadlines++;
	doom_all(pool);
	pool_wake(pool);
}

static struct event *start_timer(
	struct pm_pool *pool, int ms, bool again, event_callback_fn callback)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};
	struct event *e =
		event_new(pool->base, -1, again ? EV_PERSIST : 0, callback, pool);
	if (e && event_add(e, &tv) < 0) {
		event_free(e);
		e = NULL;
	}
	return e;
}

/* -------------------------------------------------------------------- turn */

static void ask_to_leave(struct pm_pool *pool)
{
	pool->phase = POOL_ENDING;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		slot_drain(&pool->slots[i]);
	}
	pool->deadline_timer = start_timer(pool, LEAVE_S * 1000, true, deadline_cb);
	if (!pool->deadline_timer) {
		doom_all(pool);
	}
}

void shutdown_turn(struct pm_pool *pool)
{
	if (pool->phase == POOL_STOPPING && no_jobs(pool)) {
		ask_to_leave(pool);
	}
	if (pool->phase == POOL_ENDING && (all_gone(pool) || pool->deadlines >= 2)) {
		pool->phase = POOL_OVER;
	}
}

/* ------------------------------------------------------------------ public */

static void apply(struct pm_pool *pool, enum pm_shutdown how)
{
	pool->phase = pool->phase == POOL_OPEN ? POOL_STOPPING : pool->phase;
	pool->how = how;
	for (size_t i = 0; i < pool->map_ct; i++) {
		if (pool->maps[i]) {
			map_shutdown(pool->maps[i], how);
		}
	}
	cancel_all(pool, how);
}

/* Is the end set for sooner than in `grace_ms`? */
static bool ends_sooner(const struct pm_pool *pool, int grace_ms)
{
	return pool->grace_timer &&
	       event_pending(pool->grace_timer, EV_TIMEOUT, NULL) &&
	       pool->grace_end_ms < clock_now_ms() + (uint64_t)grace_ms;
}

static int set_grace(struct pm_pool *pool, int grace_ms)
{
	struct event *timer = start_timer(pool, grace_ms, false, grace_cb);
	if (!timer) {
		return error_note(PM_ENOMEM, "no memory for a timer");
	}
	if (pool->grace_timer) {
		event_free(pool->grace_timer);
	}
	pool->grace_timer = timer;
	pool->grace_end_ms = clock_now_ms() + (uint64_t)grace_ms;
	return 0;
}

static int begin(struct pm_pool *pool, enum pm_shutdown how, int grace_ms)
{
	int err = 0;
	if (pool->phase == POOL_OPEN || how > pool->how) {
		apply(pool, how);
	}
	if (grace_ms == 0) {
		kill_now(pool);
	} else if (grace_ms > 0 && !ends_sooner(pool, grace_ms)) {
		err = set_grace(pool, grace_ms);
	}
	pool_wake(pool);
	return err;
}

int pm_pool_shutdown(pm_pool *pool, enum pm_shutdown how, int grace_ms)
{
	int err = pool_check_thread(pool);
	if (!err && (unsigned)how > PM_CANCEL_ALL) {
		err = error_note(PM_EINVAL, "%d is no way to shut down", how);
	}
	return err ? err : begin(pool, how, grace_ms);
}

/* Is nothing left to be waited for?  Results of iterators wait for the host, not
 * the other way round; and a map in whose callback we are waits for us. */
static bool is_over(void *ctx)
{
	const struct pm_pool *pool = ctx;
	for (size_t i = 0; i < pool->map_ct; i++) {
		const struct map *m = pool->maps[i];
		if (m && m->future && !m->busy) {
			return false;
		}
	}
	return pool->phase == POOL_OVER && list_empty(&pool->due);
}

int pm_pool_join(pm_pool *pool, int timeout_ms)
{
	int err = pool_check_thread(pool);
	if (!err && pool->phase == POOL_OPEN) {
		err = error_note(PM_ESTATE,
			"the pool is still open: call pm_pool_shutdown() first");
	}
	return err ? err
		   : pool_leave(pool, pool_run_until(pool, is_over, pool, timeout_ms));
}

/* Close a pool on which nobody stands; false: somebody does. */
static bool finish(struct pm_pool *pool)
{
	if (pool->depth || pool->deciding ||
		pool_run_until(pool, is_over, pool, PM_FOREVER)) {
		return false;
	}
	pool_free(pool);
	return true;
}

static void close_pool(pm_pool **out, enum pm_shutdown how, int grace_ms)
{
	struct pm_pool *pool = out ? *out : NULL;
	if (!pool || pool_check_thread(pool)) {
		return;
	}
	if (!pool->whole) {
		pool_free(pool); /* there is nobody to wait for */
	} else {
		(void)begin(pool, how, grace_ms);
		if (!finish(pool)) {
			pool->abandoned = true;
		}
	}
	*out = NULL;
}

int pool_leave(struct pm_pool *pool, int err)
{
	if (pool->abandoned && !pool->depth && !pool->waiting) {
		(void)finish(pool);
	}
	return err;
}

bool shutdown_free_abandoned(struct pm_pool *pool)
{
	bool ready = pool->abandoned && !pool->depth && !pool->waiting && is_over(pool);
	if (ready) {
		pool_free(pool);
	}
	return ready;
}

void pm_pool_close(pm_pool **pool)
{
	close_pool(pool, PM_DRAIN, PM_FOREVER);
}

void pm_pool_terminate(pm_pool **pool)
{
	close_pool(pool, PM_CANCEL_ALL, 0);
}
