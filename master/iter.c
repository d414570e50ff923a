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
	struct map map; /* first: map_release() frees it */
	struct job *given;
	unsigned unseen; /* results given since the pool ran */
};

int pm_imap(pm_pool *pool, const struct pm_stream *stream, pm_iter **iter)
{
	int err = pool_check_task(pool, stream ? stream->task : NULL);
	if (err) {
		return err;
	}
	struct pm_stream copy = *stream;
	err = iter ? map_check_stream(&copy, true)
		   : error_note(PM_EINVAL, "no place for the iterator");
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
	if (it->given && it->map.pool) { /* else the ledger has freed it */
		ledger_free(&it->map.pool->ledger, it->given);
	}
	it->given = NULL;
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

int pm_next(pm_iter *it, int timeout_ms, const struct pm_result **result)
{
	int err = check(it, result);
	if (err) {
		return err;
	}
	struct map *m = &it->map;
	struct pm_pool *pool = m->pool;
	free_given(it);
	if (has_next(m)) {
		look(it);
	} else {
		it->unseen = 0;
		err = pool_run_until(pool, has_next, m, timeout_ms);
	}
	it->given = err ? NULL : map_take(m);
	if (it->given) {
		*result = &it->given->result;
		return pool_leave(pool, 1);
	}
	if (!err && m->error && m->error == pool->broken) {
		err = error_note(m->error, "%s", pool->broken_text);
	}
	return pool_leave(pool, err ? err : m->error);
}

void pm_iter_close(pm_iter **iter)
{
	struct pm_iter *it = iter ? *iter : NULL;
	if (it) {
		free_given(it);
		*iter = NULL;
		map_release(&it->map);
	}
}
