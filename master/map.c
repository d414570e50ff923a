/* SPDX-License-Identifier: MIT
 *
 * map - one map in progress: pulls jobs from its source while there is room,
 * and delivers results to its sink; and the public calls that start one.
 *
 * Runs in: the master.  The window is kept here: what is between the oldest job
 * that is not delivered and the newest one that was taken, in jobs and bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "master/forkserver.h"
#include "master/pool.h"

enum { WINDOW_DEFAULT = 65536, WINDOW_BYTES_DEFAULT = 256 << 20 };

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
	return open == 0 ||
	       (open < m->stream.window && expected_bytes(m) < m->stream.window_bytes);
}

static int enter(struct map *m, const struct pm_job *from)
{
	struct pm_pool *pool = m->pool;
	struct job *job;
	if (from->len > pool->options.max_bytes) {
		return error_note(PM_ETOOBIG,
			"argument of job %llu is %zu bytes, over max_bytes %zu",
			(unsigned long long)m->pulled, from->len,
			pool->options.max_bytes);
	}
	int err = order_reserve(&m->order, m->pulled);
	if (!err) {
		err = ledger_add(&pool->ledger, &job, from->arg, from->len);
	}
	if (err) {
		return error_note(
			err, "no memory for job %llu", (unsigned long long)m->pulled);
	}
	job->map = m;
	job->index = m->pulled++;
	job->task = m->stream.task;
	job->once = from->once;
	job->queued_at_us = pool->now_us;
	m->open_bytes += sizeof *job + job->arg_len;
	pool->stats.jobs++;
	return 0;
}

bool map_pull(struct map *m)
{
	struct pm_job job = {0};
	if (m->source != SOURCE_OPEN || m->ended || m->cancelled || !has_room(m)) {
		return false;
	}
	m->woken = false;
	int step = m->stream.source(m->stream.ctx, &job);
	if (step == PM_SOURCE_JOB) {
		step = enter(m, &job);
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

/* -------------------------------------------------------------------- sink */

void map_settled(struct map *m, struct job *job)
{
	job->result.index = job->index;
	job->result.attempts = job->attempts;
	m->settled++;
	m->result_bytes += job->result.len;
	m->open_bytes += job->result.len;
	order_put(&m->order, job);
}

/* Give one result away; the sink's answer. */
static int give(struct map *m, struct job *job)
{
	if (m->results) {
		m->results[job->index] = job->result;
		job->result = (struct pm_result){0}; /* the caller owns it now */
		return PM_SINK_TAKEN;
	}
	job->result.arg = job->arg;
	job->result.arg_len = job->arg_len;
	return m->stream.sink(m->stream.ctx, &job->result);
}

void map_deliver(struct map *m)
{
	struct job *job;
	while (!m->ended && !m->cancelled && !m->sink_waits &&
		(job = order_first(&m->order))) {
		uint64_t bytes = sizeof *job + job->arg_len + job->result.len;
		m->woken = false;
		int step = give(m, job);
		if (step == PM_SINK_WAIT) {
			m->sink_waits = true;
			if (m->woken) { /* before it said so: the next turn asks */
				m->sink_waits = false;
				return;
			}
		} else if (step < 0) {
			map_abort(m, step);
		} else {
			order_pop(&m->order);
			ledger_free(&m->pool->ledger, job);
			m->delivered++;
			m->open_bytes -= bytes;
		}
	}
}

void map_check_end(struct map *m)
{
	if (m->source == SOURCE_ENDED && m->delivered == m->pulled) {
		m->ended = true;
	}
}

/* --------------------------------------------------------------------- end */

/* Forget one open job.  True: a worker has it, and nobody waits for it now. */
static bool forget(struct pm_pool *pool, struct job *job)
{
	if (job->state == JOB_SENT) {
		job->map = NULL;
		return true;
	}
	ledger_free(&pool->ledger, job);
	return false;
}

static void cancel_held(struct slot *s)
{
	uint64_t *ids = calloc(s->held.ct + 1, sizeof *ids);
	size_t ct = 0;
	struct list_node *n = s->held.head.next;
	for (; ids && n != &s->held.head; n = n->next) {
		struct job *job = list_entry(n, struct job, link);
		if (!job->map) {
			ids[ct++] = job->id;
		}
	}
	if (ct && s->state == SLOT_READY) {
		slot_cancel(s, ids, ct);
	}
	free(ids);
}

static void forget_all(struct map *m)
{
	struct ledger *l = &m->pool->ledger;
	while (order_first(&m->order)) { /* they are in no list of the ledger */
		struct job *job = order_first(&m->order);
		order_pop(&m->order);
		ledger_free(l, job);
	}
	bool running = false;
	for (size_t i = 0; i < l->cap; i++) {
		if (l->table[i] && l->table[i]->map == m) {
			running |= forget(m->pool, l->table[i]);
		}
	}
	for (unsigned i = 0; running && i < m->pool->slot_ct; i++) {
		cancel_held(&m->pool->slots[i]);
	}
}

void map_abort(struct map *m, int error)
{
	if (!m->ended) {
		m->ended = true;
		m->aborted = true;
		m->error = error;
		m->source = SOURCE_ENDED;
		forget_all(m);
	}
}

/* ------------------------------------------------------------ public calls */

static int check(struct pm_pool *pool, pm_task_fn *task)
{
	if (!pool || !task) {
		return error_note(PM_EINVAL, "a pool and a task are needed");
	}
	if (!pthread_equal(pool->thread, pthread_self())) {
		return error_note(
			PM_ESTATE, "a pool belongs to the thread that opened it");
	}
	if (pool->broken) {
		return error_note(pool->broken, "%s", pool->broken_text);
	}
	if (pool->map || pool->in_turn || pool->closing) {
		return error_note(PM_ESTATE,
			"a map is in progress on this pool, or it is closing");
	}
	if (!forkserver_knows(task)) {
		return error_note(PM_ETASK,
			"the task function was loaded after the forkserver started: "
			"load "
			"it first, then call pm_forkserver_start()");
	}
	return 0;
}

/* Run the loop until the map has ended. */
static int run(struct map *m)
{
	struct pm_pool *pool = m->pool;
	pool->map = m;
	pool->now_us = clock_now_us();
	order_init(&m->order, !m->stream.unordered);
	pool_wake(pool);
	while (!m->ended) {
		if (pool->broken) {
			(void)error_note(pool->broken, "%s", pool->broken_text);
			map_abort(m, pool->broken);
		} else if (event_base_loop(pool->base, EVLOOP_ONCE) < 0) {
			map_abort(m, error_note(PM_ESTATE,
					     "the event loop cannot be run: is this a "
					     "callback of the same base?"));
		}
	}
	order_fini(&m->order);
	pool->map = NULL;
	return m->error;
}

int pm_map_stream(pm_pool *pool, const struct pm_stream *stream)
{
	int err = check(pool, stream ? stream->task : NULL);
	if (err) {
		return err;
	}
	if (!stream->source || !stream->sink || stream->window > PM_WINDOW_MAX) {
		return error_note(PM_EINVAL,
			"a stream needs a source, a sink and a window of at most %u",
			PM_WINDOW_MAX);
	}
	struct map m = {.pool = pool, .stream = *stream};
	m.stream.window = stream->window ? stream->window : WINDOW_DEFAULT;
	m.stream.window_bytes = stream->window_bytes ? stream->window_bytes
						     : (size_t)WINDOW_BYTES_DEFAULT;
	return run(&m);
}

/* The source of pm_map(): an array. */
struct array_source {
	const struct pm_job *jobs;
	size_t ct, next;
};

static int array_next(void *ctx, struct pm_job *job)
{
	struct array_source *a = ctx;
	if (a->next == a->ct) {
		return PM_SOURCE_END;
	}
	*job = a->jobs[a->next++];
	return PM_SOURCE_JOB;
}

int pm_map(pm_pool *pool, pm_task_fn *task, const struct pm_job *jobs, size_t ct,
	struct pm_result *results)
{
	int err = check(pool, task);
	if (err) {
		return err;
	}
	if (ct && (!jobs || !results)) {
		return error_note(PM_EINVAL, "jobs and results are needed");
	}
	struct array_source source = {.jobs = jobs, .ct = ct};
	struct map m = {.pool = pool,
		.stream = {.task = task,
			.source = array_next,
			.ctx = &source,
			.unordered = true, /* each goes to its own place */
			.window = WINDOW_DEFAULT,
			.window_bytes = SIZE_MAX}};
	m.results = calloc(ct ? ct : 1, sizeof *m.results);
	if (!m.results) {
		return error_note(PM_ENOMEM, "no memory for %zu results", ct);
	}
	err = run(&m);
	if (err) {
		pm_results_clear(m.results, ct);
	} else if (ct) {
		memcpy(results, m.results, ct * sizeof *results);
	}
	free(m.results);
	return err;
}

void pm_results_clear(struct pm_result *results, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		free(results[i].bytes);
		free((void *)(uintptr_t)results[i].message);
		results[i] = (struct pm_result){0};
	}
}
