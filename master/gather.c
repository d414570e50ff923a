/* SPDX-License-Identifier: MIT
 *
 * gather - result frames from all workers into the ledger; see pool.h.
 *
 * Runs in: the master.  A result counts only if the ledger says that this job is
 * with this slot, in this generation, for this attempt.  Anything else is late,
 * double or foreign: counted and dropped.
 */
#include <stdlib.h>
#include <string.h>

#include "master/pool.h"

/* Copy of `len` bytes with a NUL behind; NULL: no memory. */
static void *copy(const void *bytes, size_t len)
{
	char *p = malloc(len + 1);
	if (p) {
		memcpy(p, bytes, len);
		p[len] = '\0';
	}
	return p;
}

static bool fill_result(struct pm_result *to, const struct proto_result *from)
{
	void *bytes = from->error ? NULL : copy(from->bytes, from->len);
	char *message = from->error ? copy(from->message, from->message_len) : NULL;
	if (!bytes && !message) {
		return false;
	}
	to->error = from->error;
	to->domain = from->domain;
	to->code = from->code;
	to->message = message;
	to->bytes = bytes;
	to->len = from->error ? 0 : from->len;
	return true;
}

/* The open job that this result is for; NULL: none. */
static struct job *match(const struct slot *s, uint64_t id, uint32_t attempt)
{
	struct job *job = ledger_find(&s->pool->ledger, id);
	bool current = job && job->state == JOB_SENT && job->slot == s &&
		       job->attempts == attempt;
	return current ? job : NULL;
}

/* The job is nobody's any more.  Ask when the host was called, which may have ended it
 * or its map meanwhile. */
static bool is_gone(struct slot *s, uint64_t id, uint32_t attempt)
{
	struct job *job = match(s, id, attempt);
	if (job && !job->waiter) {
		s->pool->forgotten_ct--;
		ledger_free(&s->pool->ledger, job);
		job = NULL;
	}
	return !job;
}

/* Enter the jobs that the task has added.  0, or what fails the task's own job. */
static int take_emits(
	struct slot *s, struct job *job, const struct proto_result *result)
{
	struct proto_emit emit;
	uint64_t id = job->id;
	uint32_t attempt = job->attempts;
	size_t at = 0;
	int err = 0;
	if (result->emits_len && !job->waiter->emitted) {
		return PM_ESTATE;
	}
	while (!err && at < result->emits_len && !is_gone(s, id, attempt)) {
		err = proto_emit_get(&emit, result->emits, result->emits_len, &at);
		if (!err) {
			err = job->waiter->emitted(job->waiter, &emit);
		}
	}
	return err;
}

static void settle(struct slot *s, struct job *job, const struct proto_result *result)
{
	struct pm_pool *pool = s->pool;
	uint64_t id = job->id;
	uint32_t attempt = job->attempts;
	job->result.worker = (int)s->number;
	bool again = job->waiter->again && job->waiter->again(job->waiter, job);
	if (again || is_gone(s, id, attempt)) {
		return;
	}
	int err = take_emits(s, job, result);
	if (is_gone(s, id, attempt)) {
		return;
	}
	if (job->stop && job->result.error == PM_ECANCELLED) {
		cancel_fill(&job->result, job->stop, pm_error_text(job->stop));
	} else if (err) {
		cancel_fill(&job->result, err,
			err == PM_ESTATE
				? "pm_emit() in a job that belongs to no stream"
				: "a job of pm_emit() could not be taken");
	}
	ledger_settle(&pool->ledger, job);
	pool->stats.results++;
	job->waiter->settled(job->waiter, job);
}

static enum inbox_verdict on_result(
	void *ctx, uint64_t id, uint32_t attempt, const uint8_t *payload, size_t len)
{
	struct slot *s = ctx;
	struct pm_pool *pool = s->pool;
	struct proto_result result;
	struct job *job = match(s, id, attempt);
	if (!job || proto_result_get(&result, payload, len)) {
		pool->stats.frames_dropped++;
		return INBOX_TAKEN;
	}
	if (!is_gone(s, id, attempt)) { /* else cancelled: nobody waits for it */
		if (!fill_result(&job->result, &result)) {
			return INBOX_NOMEM;
		}
		settle(s, job, &result);
	}
	s->moved_at_us = pool->now_us;
	credit_settled(&s->credit, pool->now_us);
	if (pool->options.schedule == PM_OWN_SCHEDULER) {
		dispatch_done(s);
	}
	return INBOX_TAKEN;
}

static struct slot *sender(struct pm_pool *pool, const void *frame, size_t len)
{
	struct proto_head head;
	if (proto_head_get(&head, frame, len) || head.route.slot >= pool->slot_ct) {
		return NULL;
	}
	struct slot *s = &pool->slots[head.route.slot];
	bool alive = s->state != SLOT_EMPTY && s->state != SLOT_GONE;
	return alive && s->generation == head.route.generation ? s : NULL;
}

static void take(struct pm_pool *pool, const void *frame, size_t len)
{
	struct slot *s = sender(pool, frame, len);
	enum inbox_verdict v =
		s ? inbox_take(&s->inbox, frame, len, on_result, s) : INBOX_FOREIGN;
	if (v == INBOX_FOREIGN) {
		pool->stats.frames_dropped++;
	} else if (v != INBOX_TAKEN) {
		slot_doom(s, DOOM_PROTO); /* what it still holds runs again */
	}
	if (s) {
		slot_check_bye(s);
	}
}

bool gather_read(struct pm_pool *pool, unsigned frames_max)
{
	for (unsigned i = 0; i < frames_max; i++) {
		void *frame;
		size_t len;
		if (wire_receive(&pool->results, &frame, &len)) {
			return true;
		}
		take(pool, frame, len);
		wire_free(frame);
	}
	return false;
}
