/* SPDX-License-Identifier: MIT
 *
 * dispatch - which job goes to which worker, and when; see pool.h.
 *
 * Runs in: the master, once per turn.  By default it spreads before it stacks: of
 * the workers that have credit, the one that holds least gets the next job.  How
 * much credit there is says credit.c.
 * Suspects (verdict.c) go to one worker that holds nothing else.
 */
#include <string.h>

#include "master/pool.h"

/* Jobs that this worker may still get before it is replaced. */
static bool may_take(const struct slot *s)
{
	unsigned max = s->pool->options.max_jobs_per_worker;
	return !max || s->sent_ct - s->recalled_ct < max;
}

/* What is held in its place, also by those that it takes over from. */
static size_t held_ct(const struct slot *s)
{
	size_t ct = 0;
	for (; s; s = s->before) {
		ct += s->held.ct;
	}
	return ct;
}

/* While those before it still have jobs it gets none in advance: it would begin them
 * beside theirs, and more would run at once than may.  Nor does any while a job waits
 * for a place: with a line at each worker none would ever come free. */
static bool has_room(struct slot *s, uint64_t now_us)
{
	size_t ct = held_ct(s);
	return ct > s->held.ct || s->pool->needs_place
		       ? ct < s->concurrency
		       : credit_has_room(&s->credit, ct, now_us);
}

static bool has_credit(struct slot *s, uint64_t now_us)
{
	return s->state == SLOT_READY && !s->quarantine && !s->outbox.waiting_bytes &&
	       may_take(s) && has_room(s, now_us);
}

/* May it get this job; NULL: any?  One that shares a map with other lanes and is not
 * of a quick one gets no prefetch: there it would wait in front of the others, and its
 * lane would have its share of the line as well as of the places. */
static bool may_get(struct slot *s, const struct job *job)
{
	return has_credit(s, s->pool->now_us) &&
	       (!job || !map_wants_place(job) || held_ct(s) < s->concurrency);
}

bool dispatch_has_place(struct pm_pool *pool)
{
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if (held_ct(s) < s->concurrency && has_credit(s, pool->now_us)) {
			return true;
		}
	}
	return false;
}

/* --------------------------------------------------------------- schedules */

/* Does `a` hold less than `b`, for the tasks that it can run at once?  Not "has
 * more free credit": windows grow with a worker's speed, and a job put into
 * the larger window would wait there while another worker has nothing to do. */
static bool less_loaded(const struct slot *a, const struct slot *b)
{
	return (uint64_t)a->held.ct * b->concurrency <
	       (uint64_t)b->held.ct * a->concurrency;
}

static struct slot *least_loaded(struct pm_pool *pool, const struct job *job)
{
	struct slot *best = NULL;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if ((!best || less_loaded(s, best)) && may_get(s, job)) {
			best = s;
		}
	}
	return best;
}

/* The first one with room, from the one whose turn it is. */
static struct slot *round_robin(struct pm_pool *pool, const struct job *job)
{
	for (unsigned n = 0; n < pool->slot_ct; n++) {
		struct slot *s = &pool->slots[(pool->next_worker + n) % pool->slot_ct];
		if (may_get(s, job)) {
			return s;
		}
	}
	return NULL;
}

static struct slot *ask_scheduler(struct pm_pool *pool, const struct job *job)
{
	const struct pm_scheduler *own = pool->options.scheduler;
	struct pm_job public = {.arg = job->arg,
		.len = job->arg_len,
		.once = job->once,
		.timeout_ms = job->timeout_ms,
		.queue_timeout_ms = job->queue_timeout_ms,
		.tag = job->tag};
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		pool->loads[i] = (struct pm_worker_load){.has_room = may_get(s, job),
			.held = (unsigned)s->held.ct,
			.concurrency = s->concurrency,
			.taken = s->taken_ct};
	}
	int n = own->pick(own->ctx, &public, pool->loads, pool->slot_ct);
	bool good = n >= 0 && (unsigned)n < pool->slot_ct && pool->loads[n].has_room;
	return good ? &pool->slots[n] : NULL;
}

/* The worker for this job; NULL: for any job. */
static struct slot *pick(struct pm_pool *pool, const struct job *job)
{
	if (pool->options.schedule == PM_ROUND_ROBIN) {
		return round_robin(pool, job);
	}
	if (pool->options.schedule == PM_OWN_SCHEDULER && job) {
		return ask_scheduler(pool, job);
	}
	return least_loaded(pool, job);
}

void dispatch_worker_up(const struct slot *s)
{
	const struct pm_scheduler *own = s->pool->options.scheduler;
	if (s->pool->options.schedule == PM_OWN_SCHEDULER && own->worker_up) {
		own->worker_up(own->ctx, s->number);
	}
}

void dispatch_worker_down(const struct slot *s)
{
	const struct pm_scheduler *own = s->pool->options.scheduler;
	if (s->pool->options.schedule == PM_OWN_SCHEDULER && own->worker_down) {
		own->worker_down(own->ctx, s->number);
	}
}

void dispatch_done(const struct slot *s)
{
	const struct pm_scheduler *own = s->pool->options.scheduler;
	if (own->job_done) {
		own->job_done(own->ctx, s->number);
	}
}

/* -------------------------------------------------------------------- send */

/* A job that is not on its way as a whole is with a worker that is doomed now,
 * and comes back when its exit is reported. */
static void send_job(struct pm_pool *pool, struct job *job, struct slot *s)
{
	if (list_empty(&s->held)) {
		s->moved_at_us = pool->now_us;
	}
	ledger_send(job, &s->held, s);
	job->ordinal = s->sent_ct++;
	s->taken_ct++;
	pool->next_worker = s->number + 1;
	struct proto_job payload = {.task = (uint64_t)(uintptr_t)job->task,
		.queued_at_us = job->queued_at_us,
		.timeout_ms = job->timeout_ms,
		.epoch = s->epoch,
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

/* The ready slot whose place will be empty first. */
static struct slot *choose_quarantine(struct pm_pool *pool)
{
	struct slot *best = NULL;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if (s->state == SLOT_READY && may_take(s) &&
			(!best || held_ct(s) < held_ct(best))) {
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
	if (s->state == SLOT_READY && !s->held.ct && may_take(s) &&
		held_ct(s) < s->concurrency) {
		send_job(pool, list_entry(first, struct job, link), s);
	}
}

/* -------------------------------------------------------------------- turn */

static struct job *first_queued(struct pm_pool *pool)
{
	struct list_node *n = list_first(&pool->ledger.queue);
	return n ? list_entry(n, struct job, link) : NULL;
}

/* The next job that may begin: one that has waited, or a new one. */
static struct job *next_job(struct pm_pool *pool)
{
	struct job *job = first_queued(pool);
	return job ? job : map_next_job(pool);
}

static void begin(struct pm_pool *pool, struct job *job, struct slot *s)
{
	bool waited_in_lane = job->lane && job->lane_state == LANE_WAITING;
	send_job(pool, job, s);
	if (waited_in_lane) {
		map_begun(job);
	} else if (!job->begun_us) {
		job->begun_us = pool->now_us; /* it had been taken back */
	}
}

/* A source is asked only when somebody has room for the job; and it is the host's: what
 * was picked before it was asked may be gone. */
static void run_queue(struct pm_pool *pool)
{
	struct slot *s;
	while ((s = pick(pool, NULL))) {
		struct job *job = next_job(pool);
		if (!job) {
			break;
		}
		if (job->lane && !map_admit(pool, job)) {
			continue;
		}
		if (pool->options.schedule == PM_OWN_SCHEDULER || !may_get(s, job)) {
			s = pick(pool, job);
		}
		if (!s) {
			break;
		}
		begin(pool, job, s);
	}
}

/* ------------------------------------------------------------------ recall
 *
 * What a worker got in advance waits behind what it runs.  That is for some
 * milliseconds, by its rate; but the next job may take minutes.  So when a worker
 * has nothing to do, and another one has not moved for long, it gives back what has
 * not begun.  The same when such a job has waited for its limit, see limit.c. */

enum { RECALL_AFTER_US = CREDIT_PREFETCH_MS * 1000 };

static bool is_idle(const struct slot *s)
{
	return s->state == SLOT_READY && !s->quarantine && may_take(s) &&
	       held_ct(s) < s->concurrency;
}

static bool has_excess(const struct slot *s)
{
	return s->state == SLOT_READY && s->held.ct > s->concurrency;
}

/* As if it had never been sent: nobody counts it, nor the time that it waited. */
static void forget_sending(struct slot *s, struct job *job)
{
	s->recalled_ct++;
	s->taken_ct--;
	job->begun_us = 0;
	if (s->pool->options.schedule == PM_OWN_SCHEDULER) {
		dispatch_done(s);
	}
}

void dispatch_recall(struct slot *s)
{
	struct pm_pool *pool = s->pool;
	uint64_t begun = blackbox_recall(s->blackbox, s->sent_ct);
	s->epoch++;
	s->moved_at_us = pool->now_us;
	while (!list_empty(&s->held)) {
		struct job *job = list_entry(s->held.head.prev, struct job, link);
		if (job->ordinal < begun) {
			break;
		}
		forget_sending(s, job);
		if (job->waiter && job->stop) {
			cancel_at_once(pool, job, job->stop, pm_error_text(job->stop));
		} else if (job->waiter) {
			job->attempts--;
			ledger_requeue(&pool->ledger, job, false);
		} else {
			pool->forgotten_ct--;
			ledger_free(&pool->ledger, job);
		}
	}
}

static void look_again(struct pm_pool *pool)
{
	struct timeval tv = {.tv_usec = RECALL_AFTER_US};
	if (!pool->recall_timer) {
		pool->recall_timer = evtimer_new(pool->base, pool_wake_cb, pool);
	}
	if (pool->recall_timer && !evtimer_pending(pool->recall_timer, NULL)) {
		evtimer_add(pool->recall_timer, &tv);
	}
}

/* True: there are jobs to be given to those that have nothing to do. */
static bool recall_for_idle(struct pm_pool *pool)
{
	bool idle = false, recalled = false;
	for (unsigned i = 0; i < pool->slot_ct && !idle; i++) {
		idle = is_idle(&pool->slots[i]);
	}
	for (unsigned i = 0; idle && i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if (!has_excess(s)) {
			continue;
		}
		if (pool->now_us - s->moved_at_us >= RECALL_AFTER_US) {
			dispatch_recall(s);
			recalled = true;
		} else {
			look_again(pool);
		}
	}
	return recalled;
}

void dispatch_run(struct pm_pool *pool)
{
	run_suspects(pool);
	pool->needs_place = map_needs_place(pool);
	run_queue(pool);
	if (recall_for_idle(pool)) {
		run_queue(pool);
	}
}

/* Has it a job that it may have to give back because of its limit, see limit.c? */
static bool may_give_back(const struct slot *s)
{
	struct list_node *n = s->held.head.prev;
	for (; n != &s->held.head; n = n->prev) {
		const struct job *job = list_entry(n, struct job, link);
		if (!cancel_is_early(job)) {
			return false; /* nor those before it */
		}
		if (job->limit.place) {
			return true;
		}
	}
	return false;
}

/* It has had its share, and none of it can be taken back any more: then it would leave
 * with less. */
static bool is_used_up(struct slot *s)
{
	if (s->state != SLOT_READY || may_take(s) || has_excess(s)) {
		return false;
	}
	if (may_give_back(s)) {
		look_again(s->pool); /* nothing tells when they begin */
		return false;
	}
	return true;
}

void dispatch_flush(struct pm_pool *pool)
{
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if (s->outbox.open_ct || s->outbox.waiting_bytes) {
			slot_flush(s);
		}
		if (s->cancels.len) {
			slot_send_cancels(s);
		}
		if (is_used_up(s)) {
			slot_recycle(s);
		}
	}
}
