/* SPDX-License-Identifier: MIT
 *
 * future_wait - the host waits: for futures, or for room to hand in more; see pool.h.
 *
 * Runs in: the master, in the host's call.  A wait has a place for each future, which
 * the future knows while it is not done: so each end costs the same, however many are
 * waited for.  The places are its own, and so are the references: a callback may give
 * up a future that is waited for, and clear its place in the host's array.
 */
#include <stdlib.h>

#include "common/error.h"
#include "master/pool.h"

struct wait {
	enum pm_wait_for what;
	size_t enough;  /* so many that are done end it */
	size_t done_ct; /* places whose futures are */
	bool failed;    /* one has */
};

struct wait_place {
	pm_future *future;
	struct wait *wait;
	struct wait_place *next, **at; /* for the same future; at NULL: it is done */
};

/* -------------------------------------------------------------------- count */

static void count_done(struct wait *w, const pm_future *f)
{
	w->done_ct++;
	w->failed = w->failed || f->result.error;
}

static bool is_over(void *ctx)
{
	const struct wait *w = ctx;
	return w->done_ct >= w->enough || (w->what == PM_FIRST_ERROR && w->failed);
}

static void unlink_place(struct wait_place *p)
{
	if (p->at) {
		*p->at = p->next;
		if (p->next) {
			p->next->at = p->at;
		}
		p->at = NULL;
	}
}

void future_note_done(struct pm_future *f)
{
	struct wait_place *p;
	while ((p = f->places)) {
		unlink_place(p);
		count_done(p->wait, f);
	}
}

static void take_place(struct wait_place *p, struct wait *w, pm_future *f)
{
	*p = (struct wait_place){.future = f, .wait = w};
	f->refs++;
	if (f->done) {
		count_done(w, f);
		return;
	}
	p->next = f->places;
	p->at = &f->places;
	if (p->next) {
		p->next->at = &p->next;
	}
	f->places = p;
}

static void leave_place(struct wait_place *p)
{
	unlink_place(p);
	future_unref(p->future);
}

/* --------------------------------------------------------------------- wait */

/* The pool that has to run; NULL with *err 0: there is none any more. */
static struct pm_pool *pool_of(pm_future *const *futures, size_t ct, int *err)
{
	struct pm_pool *pool = NULL;
	for (size_t i = 0; i < ct && !*err; i++) {
		const struct pm_future *f = futures[i];
		if (!f) {
			*err = error_note(PM_EINVAL, "future %zu is NULL", i);
		} else if (f->pool && pool && f->pool != pool) {
			*err = error_note(
				PM_EINVAL, "the futures are of different pools");
		} else if (f->pool) {
			pool = f->pool;
		}
	}
	return pool;
}

/* The first that is done; when there is one that failed and that is asked for, that. */
static size_t find(const struct wait *w, const struct wait_place *places, size_t ct)
{
	size_t found = ct;
	for (size_t i = 0; i < ct; i++) {
		const struct pm_future *f = places[i].future;
		if (!f->done) {
			continue;
		}
		if (w->what != PM_FIRST_ERROR || f->result.error) {
			return i;
		}
		found = found == ct ? i : found;
	}
	return found;
}

static int wait_on(struct pm_pool *pool, struct wait *w, pm_future *const *futures,
	size_t ct, int timeout_ms, size_t *which)
{
	struct wait_place *places = calloc(ct + 1, sizeof *places);
	if (!places) {
		return error_note(PM_ENOMEM, "no memory to wait for %zu", ct);
	}
	for (size_t i = 0; i < ct; i++) {
		take_place(&places[i], w, futures[i]);
	}
	int err = pool ? pool_run_until(pool, is_over, w, timeout_ms) : 0;
	if (!err && which) {
		*which = find(w, places, ct);
	}
	for (size_t i = 0; i < ct; i++) {
		leave_place(&places[i]);
	}
	free(places);
	return err;
}

static int wait_for(struct wait *w, pm_future *const *futures, size_t ct,
	int timeout_ms, size_t *which)
{
	int err = 0;
	struct pm_pool *pool = pool_of(futures, ct, &err);
	if (!err && pool) {
		err = pool_check_thread(pool);
	}
	if (err) {
		return err;
	}
	err = wait_on(pool, w, futures, ct, timeout_ms, which);
	if (!err && pool) {
		pool_call_back(pool); /* what they need may go now */
	}
	return pool ? pool_leave(pool, err) : err;
}

int pm_wait(pm_future *const *futures, size_t ct, enum pm_wait_for what, int timeout_ms,
	size_t *which)
{
	struct wait w = {.what = what, .enough = what == PM_ANY ? 1 : ct};
	if ((ct && !futures) || (!ct && what == PM_ANY) ||
		(unsigned)what > PM_FIRST_ERROR) {
		return error_note(PM_EINVAL, "there is nothing to wait for");
	}
	return wait_for(&w, futures, ct, timeout_ms, which);
}

int pm_wait_count(pm_future *const *futures, size_t ct, size_t count, int timeout_ms)
{
	struct wait w = {.what = PM_ALL, .enough = count};
	if ((ct && !futures) || count > ct) {
		return error_note(PM_EINVAL, "there are not so many to wait for");
	}
	return wait_for(&w, futures, ct, timeout_ms, NULL);
}

static bool has_room(void *ctx)
{
	const struct pm_pool *pool = ctx;
	return pool->submitted_ct < pool->options.queue_max;
}

int pm_pool_wait_room(pm_pool *pool, int timeout_ms)
{
	int err = pool_check_thread(pool);
	return err ? err
		   : pool_leave(pool, pool_run_until(pool, has_room, pool, timeout_ms));
}
