/* SPDX-License-Identifier: MIT
 *
 * dispatch - which job goes to which worker, and when; see pool.h.
 *
 * Runs in: the master, once per turn.  Spreads before it stacks: of the workers
 * that have credit, the one that holds least gets the next job.  How much
 * credit there is says credit.c.
 * Suspects (verdict.c) go to one worker that holds nothing else.
 */
#include <string.h>

#include "master/pool.h"

static bool has_credit(struct slot *s, uint64_t now_us)
{
	return s->state == SLOT_READY && !s->quarantine && !s->outbox.waiting_bytes &&
	       s->held.ct < credit_window(&s->credit, now_us);
}

/* Does `a` hold less than `b`, for the tasks that it can run at once?  Not "has
 * more free credit": windows grow with a worker's speed, and a job put into
 * the larger window would wait there while another worker has nothing to do. */
static bool less_loaded(const struct slot *a, const struct slot *b)
{
	return (uint64_t)a->held.ct * b->concurrency <
	       (uint64_t)b->held.ct * a->concurrency;
}

static struct slot *pick(struct pm_pool *pool)
{
	struct slot *best = NULL;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if ((!best || less_loaded(s, best)) && has_credit(s, pool->now_us)) {
			best = s;
		}
	}
	return best;
}

/* A job that is not on its way as a whole is with a worker that is doomed now,
 * and comes back when its exit is reported. */
static void send_job(struct pm_pool *pool, struct job *job, struct slot *s)
{
	ledger_send(job, &s->held, s);
	job->ordinal = s->sent_ct++;
	struct proto_job payload = {.task = (uint64_t)(uintptr_t)job->task,
		.queued_at_us = job->queued_at_us,
		.arg = job->arg,
		.arg_len = job->arg_len};
	buf_clear(&pool->scratch);
	int err = proto_job_put(&pool->scratch, &payload);
	if (!err) {
		err = outbox_put(&s->outbox, job->id, job->attempts, pool->scratch.data,
			pool->scratch.len);
	}
	if (err < 0) {
		slot_doom(s, DOOM_PROTO);
	}
}

/* ---------------------------------------------------------------- suspects */

/* The ready slot that will be empty first. */
static struct slot *choose_quarantine(struct pm_pool *pool)
{
	struct slot *best = NULL;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if (s->state == SLOT_READY && (!best || s->held.ct < best->held.ct)) {
			best = s;
		}
	}
	return best;
}

static void end_quarantine(struct pm_pool *pool)
{
	if (pool->quarantine) {
		pool->quarantine->quarantine = false;
		pool->quarantine = NULL;
	}
}

/* One slot is emptied, and then given one suspect at a time. */
static void run_suspects(struct pm_pool *pool)
{
	struct list_node *first = list_first(&pool->ledger.suspects);
	struct slot *s = pool->quarantine;
	if (!first) {
		if (s && !s->held.ct) {
			end_quarantine(pool);
		}
		return;
	}
	if (!s) {
		s = choose_quarantine(pool);
		if (!s) {
			return; /* none is ready: a later turn */
		}
		s->quarantine = true;
		pool->quarantine = s;
	}
	if (s->state == SLOT_READY && !s->held.ct) {
		send_job(pool, list_entry(first, struct job, link), s);
	}
}

/* -------------------------------------------------------------------- turn */

void dispatch_run(struct pm_pool *pool)
{
	struct slot *s;
	run_suspects(pool);
	while ((s = pick(pool))) {
		struct list_node *first = list_first(&pool->ledger.queue);
		if (!first && !(pool->map && map_pull(pool->map))) {
			break;
		}
		first = list_first(&pool->ledger.queue);
		send_job(pool, list_entry(first, struct job, link), s);
	}
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		const struct outbox *o = &pool->slots[i].outbox;
		if (o->open_ct || o->waiting_bytes) {
			slot_flush(&pool->slots[i]);
		}
	}
}
