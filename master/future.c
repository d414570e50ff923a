/* SPDX-License-Identifier: MIT
 *
 * future - jobs and maps that are under way while the host does something else;
 * see pool.h.
 *
 * Runs in: the master.  A future is held by its owner, until pm_future_free(), and
 * by the pool, until it is done and its callbacks were called; who lets go
 * last frees it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "master/pool.h"

struct callback {
	struct callback *next;
	pm_done_fn *done;
	void *ctx;
};

const char *pm_state_name(int state)
{
	static const char *const names[] = {"queued", "sent", "running", "done"};
	return state >= PM_QUEUED && state <= PM_DONE ? names[state] : "unknown";
}

/* ---------------------------------------------------------------- lifetime */

static struct pm_future *future_new(struct pm_pool *pool)
{
	struct pm_future *f = calloc(1, sizeof *f);
	if (f) {
		f->pool = pool;
		f->refs = 2;
		f->callbacks_end = &f->callbacks;
		list_push_back(&pool->futures, &f->link);
	}
	return f;
}

void future_unref(struct pm_future *f)
{
	if (--f->refs) {
		return;
	}
	while (f->callbacks) {
		struct callback *next = f->callbacks->next;
		free(f->callbacks);
		f->callbacks = next;
	}
	if (f->pool) {
		list_remove(&f->pool->futures, &f->link);
	}
	pm_results_clear(&f->result, 1);
	free(f);
}

/* Before anything has come of it. */
static void discard(struct pm_future *f)
{
	f->refs = 1;
	future_unref(f);
}

void pm_future_free(pm_future **future)
{
	if (future && *future) {
		future_unref(*future);
		*future = NULL;
	}
}

void future_orphan_all(struct pm_pool *pool)
{
	struct list_node *n;
	while ((n = list_pop_front(&pool->futures))) {
		struct pm_future *f = list_entry(n, struct pm_future, link);
		bool held = !f->done || f->is_due;
		f->pool = NULL;
		if (held) {
			future_unref(f);
		}
	}
}

/* --------------------------------------------------------------- callbacks */

/* The pool has a reference for as long as callbacks are due. */
static void make_due(struct pm_future *f)
{
	f->is_due = true;
	list_push_back(&f->pool->due, &f->due_link);
	pool_wake(f->pool);
}

/* It is done: the pool lets go of it, but for the callbacks. */
static void complete(struct pm_future *f)
{
	f->done = true;
	future_note_done(f);
	if (f->callbacks) {
		make_due(f);
	} else {
		future_unref(f);
	}
}

/* Take the first callback out; NULL: there is none. */
static struct callback *pop_callback(struct pm_future *f)
{
	struct callback *c = f->callbacks;
	if (c) {
		f->callbacks = c->next;
	}
	if (!f->callbacks) {
		f->callbacks_end = &f->callbacks;
	}
	return c;
}

/* Up to the last that is there now: one that is added in a callback comes in the
 * next turn.  Nor before its elders, when the callback runs a turn inside: until
 * the last of them has returned the future is not due again. */
static void call_back(struct pm_future *f)
{
	struct callback **last = f->callbacks_end, *c;
	bool more = true;
	f->calling = true;
	while (more && (c = pop_callback(f))) {
		pm_done_fn *done = c->done;
		void *ctx = c->ctx;
		more = &c->next != last;
		free(c);
		done(f, ctx);
	}
	f->calling = false;
	if (f->callbacks) {
		f->refs++;
		make_due(f);
	}
	future_unref(f);
}

void future_call_back(struct pm_pool *pool)
{
	struct list_node *n;
	for (size_t ct = pool->due.ct; ct > 0 && (n = list_pop_front(&pool->due));
		ct--) {
		struct pm_future *f = list_entry(n, struct pm_future, due_link);
		f->is_due = false;
		call_back(f);
	}
}

int pm_future_on_done(pm_future *f, pm_done_fn *done, void *ctx)
{
	if (!f || !done) {
		return error_note(PM_EINVAL, "a future and a function are needed");
	}
	if (!f->pool) {
		return error_note(
			PM_ESTATE, "the pool was closed: no loop will call back");
	}
	int err = pool_check_thread(f->pool);
	if (err) {
		return err;
	}
	struct callback *c = malloc(sizeof *c);
	if (!c) {
		return error_note(PM_ENOMEM, "no memory for a callback");
	}
	*c = (struct callback){.done = done, .ctx = ctx};
	*f->callbacks_end = c;
	f->callbacks_end = &c->next;
	if (f->done && !f->is_due && !f->calling) {
		f->refs++;
		make_due(f);
	}
	return 0;
}

/* -------------------------------------------------------------------- jobs */

static void on_settled(struct waiter *waiter, struct job *job)
{
	struct pm_future *f = (struct pm_future *)waiter;
	struct pm_pool *pool = f->pool;
	f->result = job->result;
	f->result.attempts = job->attempts;
	f->result.tag = job->tag;
	job->result = (struct pm_result){0};
	f->job = 0;
	ledger_free(&pool->ledger, job);
	pool->submitted_ct--;
	complete(f);
}

int pm_submit(
	pm_pool *pool, pm_task_fn *task, const struct pm_job *from, pm_future **future)
{
	struct job *job;
	int err = pool_check_task(pool, task);
	if (!err && !from) {
		err = error_note(PM_EINVAL, "a job is needed");
	}
	if (!err && pool->submitted_ct >= pool->options.queue_max) {
		err = error_note(PM_EFULL, "%zu jobs are open, which is queue_max",
			pool->submitted_ct);
	}
	struct pm_future *f = err ? NULL : future_new(pool);
	if (!f) {
		return err ? err : error_note(PM_ENOMEM, "no memory for a future");
	}
	err = pool_take_job(pool, &job, task, from);
	if (err) {
		discard(f);
		return err;
	}
	f->waiter.settled = on_settled;
	f->job = job->id;
	job->waiter = &f->waiter;
	pool->submitted_ct++;
	pool_wake(pool);
	if (future) {
		*future = f;
	} else {
		future_unref(f);
	}
	return 0;
}

/* -------------------------------------------------------------------- maps */

void future_map_ended(struct pm_future *f, const struct map *m)
{
	f->map = NULL;
	f->result.index = m->delivered;
	f->result.worker = -1;
	f->result.error = m->error;
	if (m->error) {
		const char *text = m->error == m->pool->broken
					   ? m->pool->broken_text
					   : pm_error_text(m->error);
		f->result.message = strdup(text);
	}
	complete(f);
}

int pm_map_async(pm_pool *pool, const struct pm_stream *stream, pm_future **future)
{
	struct pm_stream copy = stream ? *stream : (struct pm_stream){0};
	int err = pool_check_task(pool, copy.task);
	if (err) {
		return err;
	}
	err = map_check_stream(&copy, false);
	if (err) {
		return err;
	}
	struct map *m = calloc(1, sizeof *m);
	struct pm_future *f = m ? future_new(pool) : NULL;
	if (!f) {
		free(m);
		return error_note(PM_ENOMEM, "no memory for a map");
	}
	m->future = f;
	err = map_open(m, pool, &copy);
	if (err) {
		free(m);
		discard(f);
		return err;
	}
	f->map = m;
	if (future) {
		*future = f;
	} else {
		future_unref(f);
	}
	return 0;
}

/* ------------------------------------------------------------------ public */

enum pm_state pm_future_state(const pm_future *f)
{
	if (f->done) {
		return PM_DONE;
	}
	const struct job *job = f->map ? NULL : ledger_find(&f->pool->ledger, f->job);
	if (!job) {
		return PM_RUNNING; /* a map */
	}
	if (job->state == JOB_QUEUED) {
		return PM_QUEUED;
	}
	return cancel_is_early(job) ? PM_SENT : PM_RUNNING;
}

const struct pm_result *pm_future_result(const pm_future *f)
{
	return f->done ? &f->result : NULL;
}

int pm_future_cancel(pm_future *f)
{
	if (!f || f->done || !f->pool) {
		return error_note(
			f ? PM_ESTATE : PM_EINVAL, "there is nothing to cancel");
	}
	int err = pool_check_thread(f->pool);
	if (err) {
		return err;
	}
	struct job *job = f->map ? NULL : ledger_find(&f->pool->ledger, f->job);
	if (f->map) {
		f->map->cancelled = true;
	} else if (job) {
		cancel_job(f->pool, job, PM_ECANCELLED);
	}
	if (!f->pool->depth && !f->pool->deciding) {
		dispatch_flush(f->pool); /* who knows when the next turn comes */
	}
	pool_wake(f->pool);
	return 0;
}
