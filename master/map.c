/* SPDX-License-Identifier: MIT
 *
 * map - maps in progress: pull jobs from their sources while there is room, and
 * deliver results to their sinks; see pool.h.
 *
 * Runs in: the master.  The window is kept here: what is between the oldest job
 * that is not delivered and the newest one that was taken, in jobs and bytes.
 * Who starts a map: calls.c (and waits for it), iter.c, future.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "master/forkserver.h"
#include "master/pool.h"

enum { WINDOW_BYTES_DEFAULT = 256 << 20 };

/* ------------------------------------------------------------------ source */

/* Bytes of open jobs, with a guess for the results that have not come. */
static uint64_t expected_bytes(const struct map *m)
{
	uint64_t missing = m->pulled - m->settled;
	uint64_t mean = m->settled ? m->result_bytes / m->settled : 0;
	return m->open_bytes + missing * mean;
}

static bool has_room(const struct map *m)
{
	uint64_t open = m->pulled - m->delivered;
	/* A callback may wait for the end of the pool, which takes the whole array. */
	bool is_awaited = m->results && m->busy && m->pool->phase != POOL_OPEN;
	return open == 0 || is_awaited ||
	       (open < m->stream.window && expected_bytes(m) < m->stream.window_bytes);
}

static int enter(struct map *m, pm_task_fn *task, const struct pm_job *from)
{
	struct job *job;
	struct lane *lane = NULL;
	bool is_new = false;
	if (order_reserve(&m->order, m->pulled)) {
		return error_note(PM_ENOMEM, "no memory for job %llu",
			(unsigned long long)m->pulled);
	}
	struct pm_job public = *from;
	if (!public.queue_timeout_ms) {
		public.queue_timeout_ms = m->stream.queue_timeout_ms;
	}
	int err = pool_take_job(m->pool, &job, task, &public);
	if (err) {
		char why[256];
		snprintf(why, sizeof why, "%s", pm_last_error());
		return error_note(
			err, "job %llu: %s", (unsigned long long)m->pulled, why);
	}
	err = map_lanes_find(m, from, &lane, &is_new);
	if (err) {
		ledger_free(&m->pool->ledger, job);
		return err;
	}
	job->waiter = &m->waiter;
	job->index = m->pulled++;
	m->open_bytes += sizeof *job + job->arg_len;
	if (lane) {
		map_lanes_enter(m, lane, is_new, job);
	}
	return 0;
}

static int ask_source(struct map *m, struct pm_job *job)
{
	m->woken = false;
	m->busy++;
	int step = m->stream.source(m->stream.ctx, job);
	m->busy--;
	return step;
}

bool map_pull(struct map *m)
{
	struct pm_job job = {0};
	/* A source of the host's is not asked in another callback of its map; the
	 * sources of arrays are our own. */
	bool is_busy = m->busy && !m->results;
	if (m->source != SOURCE_OPEN || is_busy || m->ended || m->cancelled ||
		!has_room(m)) {
		return false;
	}
	int step = ask_source(m, &job);
	if (m->ended || m->source == SOURCE_ENDED) {
		return false; /* the callback has ended it */
	}
	if (step == PM_SOURCE_JOB) {
		step = enter(m, m->stream.task, &job);
		if (!step) {
			return true;
		}
	}
	if (step == PM_SOURCE_WAIT && m->woken) {
		return false; /* woken before it said so: ask again in the next turn */
	}
	m->source = step == PM_SOURCE_WAIT ? SOURCE_WAITING : SOURCE_ENDED;
	if (step < 0) {
		m->error = step;
	}
	return false;
}

static struct job *next_of(struct map *m)
{
	if (m->lanes) {
		return map_lane_job(m);
	}
	struct list *queue = &m->pool->ledger.queue;
	struct list_node *n = map_pull(m) ? list_first(queue) : NULL;
	return n ? list_entry(n, struct job, link) : NULL;
}

/* One job from each map in turn, so that a long one does not keep the others
 * waiting. */
struct job *map_next_job(struct pm_pool *pool)
{
	for (size_t n = pool->map_ct; n > 0; n--) {
		if (pool->pull_at >= pool->map_ct) {
			pool->pull_at = 0;
		}
		struct map *m = pool->maps[pool->pull_at++];
		struct job *job = m ? next_of(m) : NULL;
		if (job) {
			return job;
		}
	}
	return NULL;
}

/* A task has added a job. */
static int on_emitted(struct waiter *waiter, const struct proto_emit *emit)
{
	struct map *m = (struct map *)waiter;
	pm_task_fn *task = (pm_task_fn *)(uintptr_t)emit->task;
	struct pm_job job = {.arg = emit->arg,
		.len = emit->arg_len,
		.once = emit->once,
		.timeout_ms = emit->timeout_ms,
		.queue_timeout_ms = emit->queue_timeout_ms,
		.tag = emit->tag,
		.lane = emit->lane,
		.lane_len = emit->lane_len};
	if (m->results) {
		return PM_ESTATE; /* an array has no place for its result */
	}
	if (m->stop_error || m->cancelled || m->pool->phase != POOL_OPEN) {
		return 0; /* the map is ending, and takes no more jobs */
	}
	if (m->pulled - m->delivered >= PM_WINDOW_MAX) {
		return PM_EFULL;
	}
	return forkserver_knows(task) ? enter(m, task, &job) : PM_ETASK;
}

/* -------------------------------------------------------------------- sink */

static bool stops(const struct map *m, const struct pm_result *r)
{
	return (m->stream.stop_on == PM_STOP_FIRST_ERROR && r->error) ||
	       (m->stream.stop_on == PM_STOP_FIRST_SUCCESS && !r->error);
}

static void on_settled(struct waiter *waiter, struct job *job)
{
	struct map *m = (struct map *)waiter;
	job->result.index = job->index;
	job->result.attempts = job->attempts;
	job->result.tag = job->tag;
	if (m->lanes) {
		lanes_leave(m->lanes, job, m->pool->now_us);
	}
	m->settled++;
	m->result_bytes += job->result.len;
	m->open_bytes += job->result.len;
	order_put(&m->order, job);
	if (m->stream.stop_on && !m->stopped && stops(m, &job->result)) {
		map_stop(m, PM_ECANCELLED, job->result.error);
	}
}

/* Give one result away; the sink's answer. */
static int give(struct map *m, struct job *job)
{
	if (m->results) {
		if (m->on_result) {
			m->on_result(m->on_result_ctx, &job->result);
		}
		m->results[job->index] = job->result;
		job->result = (struct pm_result){0}; /* the caller owns it now */
		return PM_SINK_TAKEN;
	}
	job->result.arg = job->arg;
	job->result.arg_len = job->arg_len;
	return m->stream.sink(m->stream.ctx, &job->result);
}

static void delivered(struct map *m, struct job *job, uint64_t bytes)
{
	ledger_free(&m->pool->ledger, job);
	m->delivered++;
	m->open_bytes -= bytes;
}

/* One result; false: not now.  The job is taken out first: the callback may end the
 * map, which must not find it then. */
static bool deliver_one(struct map *m, struct job *job)
{
	uint64_t bytes = sizeof *job + job->arg_len + job->result.len;
	m->woken = false;
	order_pop(&m->order);
	job->waiter = NULL;
	m->in_sink = true;
	m->busy++;
	int step = give(m, job);
	m->busy--;
	m->in_sink = false;
	if (m->ended) {
		m->delivered += step == PM_SINK_TAKEN ? 1 : 0;
		ledger_free(&m->pool->ledger, job);
	} else if (step == PM_SINK_WAIT) {
		job->waiter = &m->waiter;
		order_put_back(&m->order, job);
		m->sink_waits = !m->woken; /* woken before it said so: next turn */
		return false;
	} else if (step < 0) {
		ledger_free(&m->pool->ledger, job);
		map_abort(m, step);
	} else {
		delivered(m, job, bytes);
	}
	return true;
}

static void deliver(struct map *m)
{
	struct job *job;
	while (!m->ended && !m->cancelled && !m->sink_waits && !m->in_sink &&
		(job = order_first(&m->order)) && deliver_one(m, job)) {
	}
}

struct job *map_take(struct map *m)
{
	struct job *job = order_first(&m->order);
	if (job) {
		order_pop(&m->order);
		job->waiter = NULL;
		job->result.arg = job->arg;
		job->result.arg_len = job->arg_len;
		m->delivered++;
		m->open_bytes -= sizeof *job + job->arg_len + job->result.len;
		ledger_take_out(&m->pool->ledger, job);
	}
	return job;
}

/* --------------------------------------------------------------------- end */

void map_stop(struct map *m, int job_error, int error)
{
	if (!m->stopped && !m->ended) {
		m->stopped = true;
		m->stop_error = job_error;
		m->error = error;
		m->stop_due = true;
		m->source = SOURCE_ENDED;
		pool_wake(m->pool);
	}
}

static void stop_open_jobs(struct map *m)
{
	struct ledger *l = &m->pool->ledger;
	m->stop_due = false;
	for (size_t i = 0; i < l->cap; i++) {
		if (l->table[i] && l->table[i]->waiter == &m->waiter) {
			cancel_job(m->pool, l->table[i], m->stop_error);
		}
	}
}

/* Forget one open job; one that a worker has stays in the ledger, and nobody
 * waits for it. */
static void forget(struct pm_pool *pool, struct job *job)
{
	if (job->state == JOB_SENT) {
		job->waiter = NULL;
		pool->forgotten_ct++;
		slot_cancel(job->slot, job->id);
	} else {
		ledger_free(&pool->ledger, job);
	}
}

static void forget_all(struct map *m)
{
	struct ledger *l = &m->pool->ledger;
	while (order_first(&m->order)) { /* they are in no list of the ledger */
		struct job *job = order_first(&m->order);
		order_pop(&m->order);
		ledger_free(l, job);
	}
	for (size_t i = 0; i < l->cap; i++) {
		if (l->table[i] && l->table[i]->waiter == &m->waiter) {
			forget(m->pool, l->table[i]);
		}
	}
}

void map_abort(struct map *m, int error)
{
	if (!m->ended) {
		m->ended = true;
		m->error = error;
		m->source = SOURCE_ENDED;
		forget_all(m);
		pool_wake(m->pool); /* workers are to be told */
	}
}

/* An array was taken as a whole; a stream only as far as it was read. */
void map_shutdown(struct map *m, enum pm_shutdown how)
{
	if (m->ended || (how == PM_DRAIN && m->results)) {
		return;
	}
	if (how == PM_CANCEL_ALL) {
		map_stop(m, PM_ECANCELLED, PM_ECANCELLED);
	} else if (m->source != SOURCE_ENDED) {
		m->error = how == PM_DRAIN ? PM_ECLOSED : PM_ECANCELLED;
		m->stop_error = how == PM_DRAIN ? 0 : PM_ECANCELLED;
	}
	m->source = SOURCE_ENDED;
}

static void check_end(struct map *m)
{
	if (!m->in_sink && m->source == SOURCE_ENDED && m->delivered == m->pulled) {
		m->ended = true;
	}
}

/* -------------------------------------------------------------------- turn */

void map_deliver_all(struct pm_pool *pool)
{
	for (size_t i = 0; i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		if (m && m->stop_due) {
			stop_open_jobs(m);
		}
		if (m && !m->by_hand) {
			deliver(m);
		}
	}
}

static void end_one(struct map *m)
{
	bool aborted = m->ended;
	if (m->cancelled) {
		map_abort(m, PM_ECANCELLED);
	}
	check_end(m);
	if (m->stream.turn && !aborted && !m->cancelled && !m->busy) {
		m->busy++;
		m->stream.turn(m->stream.ctx);
		m->busy--;
	}
	if (m->ended && m->future && !m->busy) {
		future_map_ended(m->future, m);
		m->future = NULL;
		m->released = true;
	}
}

void map_end_all(struct pm_pool *pool)
{
	for (size_t i = 0; i < pool->map_ct; i++) {
		if (pool->maps[i]) {
			end_one(pool->maps[i]);
		}
	}
}

/* Only with no turn under way: they count by places in this array. */
void map_sweep(struct pm_pool *pool)
{
	size_t kept = 0;
	for (size_t i = 0; i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		if (m && m->released) {
			pool->maps[i] = NULL;
			map_close(m);
			free(m);
		} else if (m) {
			pool->maps[kept++] = m;
		}
	}
	pool->map_ct = kept;
}

/* ---------------------------------------------------------------- lifetime */

int map_check_stream(struct pm_stream *s, bool by_hand)
{
	if (!s->source || (by_hand ? s->sink || s->turn : !s->sink) ||
		s->window > PM_WINDOW_MAX || s->stop_on > PM_STOP_FIRST_SUCCESS ||
		!(s->rate >= 0)) {
		return error_note(PM_EINVAL,
			"a stream needs a source, a sink (an iterator: none), a window "
			"of at most %u and no negative rate",
			PM_WINDOW_MAX);
	}
	s->window = s->window ? s->window : MAP_WINDOW;
	s->window_bytes =
		s->window_bytes ? s->window_bytes : (size_t)WINDOW_BYTES_DEFAULT;
	return 0;
}

static void timer_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	map_stop(ctx, PM_ETIMEDOUT, PM_ETIMEDOUT);
}

static int start_timer(struct map *m)
{
	unsigned ms = m->stream.timeout_ms;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};
	m->timer = ms ? evtimer_new(m->pool->base, timer_cb, m) : NULL;
	return ms && (!m->timer || evtimer_add(m->timer, &tv) < 0) ? PM_ENOMEM : 0;
}

static int enlist(struct pm_pool *pool, struct map *m)
{
	if (pool->map_ct == pool->map_cap) {
		size_t cap = pool->map_cap ? pool->map_cap * 2 : 8;
		struct map **maps = realloc(pool->maps, cap * sizeof(struct map *));
		if (!maps) {
			return PM_ENOMEM;
		}
		pool->maps = maps;
		pool->map_cap = cap;
	}
	pool->maps[pool->map_ct++] = m;
	return 0;
}

int map_open(struct map *m, struct pm_pool *pool, const struct pm_stream *stream)
{
	m->waiter = (struct waiter){.settled = on_settled,
		.emitted = on_emitted,
		.again = stream->retry ? map_again : NULL};
	m->pool = pool;
	m->stream = *stream;
	order_init(&m->order, !stream->unordered);
	int err = start_timer(m);
	if (!err) {
		err = map_lanes_open(m);
	}
	if (!err) {
		err = enlist(pool, m);
	}
	if (err) {
		map_close(m);
		return error_note(err, "no memory for a map");
	}
	pool_wake(pool);
	return 0;
}

void map_close(struct map *m)
{
	struct pm_pool *pool = m->pool;
	if (pool) {
		map_abort(m, PM_ECANCELLED);
		for (size_t i = 0; i < pool->map_ct; i++) {
			pool->maps[i] = pool->maps[i] == m ? NULL : pool->maps[i];
		}
		map_lanes_close(m);
	}
	if (m->timer) {
		event_free(m->timer);
		m->timer = NULL;
	}
	order_fini(&m->order);
	m->pool = NULL;
}

void map_release(struct map *m)
{
	if (!m->pool) { /* it was freed, and took everything else with it */
		free(m);
		return;
	}
	struct pm_pool *pool = m->pool;
	map_abort(m, PM_ECANCELLED);
	m->released = true;
	if (!pool->depth && !pool->deciding) {
		dispatch_flush(pool); /* who knows when the next turn comes */
		map_sweep(pool);
	}
}
