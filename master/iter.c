/* SPDX-License-Identifier: MIT
 *
 * iter - pm_imap(): a map whose results are asked for; see pool.h.
 *
 * Runs in: the master, in the host's calls.
 */
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "master/pool.h"

enum {
	LOOK_EVERY = 32
}; /* results that are there already are given without a look
      at the workers; they must not wait for ever, though */

struct pm_iter {
	struct map map;    /* first: map_release() frees it */
	struct job *given; /* no longer in the ledger: it may outlive the pool */
	unsigned unseen;   /* results given since the pool ran */
	unsigned standing; /* calls of pm_next() under way, one in the other */
	bool closed;       /* meanwhile: the last of them frees it */
};

int pm_imap(pm_pool *pool, const struct pm_stream *stream, pm_iter **iter)
{
	struct pm_stream copy = stream ? *stream : (struct pm_stream){0};
	int err = pool_check_task(pool, copy.task);
	if (err) {
		return err;
	}
	if (!iter) {
		return error_note(PM_EINVAL, "no place for the iterator");
	}
	err = map_check_stream(&copy, true);
	if (err) {
		return err;
	}
	struct pm_iter *it = calloc(1, sizeof *it);
	if (!it) {
		return error_note(PM_ENOMEM, "no memory for an iterator");
	}
	it->map.by_hand = true;
	err = map_open(&it->map, pool, &copy);
	if (err) {
		free(it);
		return err;
	}
	*iter = it;
	return 0;
}

static bool has_next(void *ctx)
{
	const struct map *m = ctx;
	return order_first(&m->order) || m->ended;
}

static void free_given(struct pm_iter *it)
{
	if (it->given) {
		ledger_free_job(it->given);
		it->given = NULL;
	}
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

/* Let the pool take a look now and then, also while there is enough to give. */
static void look(struct pm_iter *it)
{
	if (++it->unseen >= LOOK_EVERY && it->map.pool->own_base) {
		it->unseen = 0;
		(void)pool_run_until(it->map.pool, never, NULL, 0);
	}
}

static int check(const struct pm_iter *it, const struct pm_result **result)
{
	if (!it || !result) {
		return error_note(PM_EINVAL, "an iterator and a place for its result");
	}
	return it->map.pool ? pool_check_thread(it->map.pool)
			    : error_note(PM_ECLOSED, "the pool was closed");
}

/* Run the pool until there is a result, or none to come.  0, PM_NEXT_WAIT, or an
 * error. */
static int await_next(struct pm_iter *it, int timeout_ms)
{
	struct map *m = &it->map;
	int err = 0;
	if (m->cancelled) {
		map_abort(m, PM_ECANCELLED); /* nothing more is delivered */
	}
	it->standing++;
	if (has_next(m)) {
		look(it);
	} else {
		it->unseen = 0;
		err = pool_run_until(m->pool, has_next, m, timeout_ms);
	}
	it->standing--;
	return err == PM_ETIMEDOUT ? PM_NEXT_WAIT : err;
}

/* Take the next one.  That makes room, or was the last: the pool must see to it. */
static int give_next(struct pm_iter *it, const struct pm_result **result)
{
	struct map *m = &it->map;
	free_given(it); /* of a call inside of this one */
	it->given = map_take(m);
	if (it->given) {
		*result = &it->given->result;
		pool_wake(m->pool);
		return PM_NEXT_RESULT;
	}
	if (m->error && m->error == m->pool->broken) {
		return error_note(m->error, "%s", m->pool->broken_text);
	}
	return m->error ? m->error : PM_NEXT_END;
}

static void iter_free(struct pm_iter *it)
{
	free_given(it);
	map_release(&it->map);
}

int pm_next(pm_iter *it, int timeout_ms, const struct pm_result **result)
{
	int step = check(it, result);
	if (step) {
		return step;
	}
	struct pm_pool *pool = it->map.pool;
	free_given(it);
	step = await_next(it, timeout_ms);
	if (!it->closed) {
		return pool_leave(pool, step ? step : give_next(it, result));
	}
	if (!it->standing) {
		iter_free(it);
	}
	return pool_leave(pool,
		error_note(PM_ECANCELLED, "the iterator was closed in a callback"));
}

void pm_iter_close(pm_iter **iter)
{
	struct pm_iter *it = iter ? *iter : NULL;
	if (!it || (it->map.pool && pool_check_thread(it->map.pool))) {
		return;
	}
	*iter = NULL;
	if (it->standing) {
		it->closed = true;
		map_abort(&it->map, PM_ECANCELLED);
	} else {
		iter_free(it);
	}
}
