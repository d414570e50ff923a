/* SPDX-License-Identifier: MIT
 *
 * slot_life - what a worker and its slot say to each other on the lifeline, and what
 * heartbeats tell of frames that do not arrive; see pool.h.
 *
 * Runs in: the master.  Called when the lifeline can be read, by dispatch.c (cancel)
 * and with each beat.  It ends no worker itself: slot_doom() does.
 */
#include <string.h>

#include "common/lifeline.h"
#include "master/pool.h"

enum { STUCK_BEATS = 6 /* of ours that a frame may take, either way */ };

static void on_hello(struct slot *s, const struct proto_life_message *m)
{
	if (s->state != SLOT_STARTING) {
		return;
	}
	if (m->values[0] != PROTO_VERSION) {
		slot_doom(s, DOOM_PROTO);
		return;
	}
	/* Until the forkserver says so, which may come later. */
	s->pid = s->pid ? s->pid : (pid_t)m->values[1];
	slot_watch_jobs(s); /* ready when jobs can be sent, too */
}

/* What it says against what the ledger says.  The pipelines lose frames only
 * with their connection, but then in silence; a later frame would show the gap,
 * and here it is found when no later one comes.  Three ways: it has read every job
 * and holds none, all its results are here, and yet some of its jobs are open;
 * or frames of jobs do not reach it, however long we wait; or its results do not
 * reach us, see slot_look_for_frames(). */
static void on_heartbeat(struct slot *s, uint64_t held, uint64_t results_sequence,
	uint64_t jobs_sequence)
{
	bool all_read = jobs_sequence == s->outbox.sequence;
	bool all_here = results_sequence <= s->inbox.sequence;
	s->jobs_said = jobs_sequence;
	s->results_said = results_sequence;
	if (all_read && all_here && held == 0 && !list_empty(&s->held)) {
		slot_doom(s, DOOM_PROTO); /* what it should hold runs again */
	}
}

static void on_message(struct slot *s, const struct proto_life_message *m)
{
	if (m->slot != s->number || m->generation != s->generation) {
		s->pool->stats.frames_dropped++;
		return;
	}
	s->silent_beats = 0;
	s->was_heard = true;
	switch (m->type) {
	case PROTO_HELLO:
		on_hello(s, m);
		break;
	case PROTO_BYE:
		s->said_bye = true;
		s->bye_sequence = m->values[0];
		slot_check_bye(s);
		break;
	case PROTO_HEARTBEAT:
		on_heartbeat(s, m->values[0], m->values[1], m->values[2]);
		break;
	default:
		s->pool->stats.frames_dropped++;
	}
}

/* The worker is gone, or as good as: its exit will be reported.  Stop
 * listening, or the end of file would wake us for ever.  One that was asked to
 * drain leaves like this; any other is made sure of. */
static void on_silence(struct slot *s)
{
	event_del(s->lifeline_event);
	pollfd_remove(s->pool, s->lifeline);
	if (s->state != SLOT_DRAINING) {
		slot_doom(s, DOOM_NONE);
	}
}

void slot_lifeline_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct slot *s = ctx;
	struct proto_life_message m;
	enum lifeline_verdict v;
	(void)what;
	while ((v = lifeline_receive(fd, &m)) == LIFELINE_OK || v == LIFELINE_BAD) {
		if (v == LIFELINE_OK) {
			on_message(s, &m);
		} else {
			s->pool->stats.frames_dropped++;
		}
	}
	if (v == LIFELINE_GONE) {
		on_silence(s);
	}
}

static enum lifeline_verdict say(
	const struct slot *s, enum proto_life type, uint32_t count, uint64_t value)
{
	struct proto_life_message m = {.type = type,
		.slot = s->number,
		.generation = s->generation,
		.count = count,
		.values = {value}};
	return lifeline_send(s->lifeline, &m);
}

void slot_check_bye(struct slot *s)
{
	if (s->said_bye && s->state == SLOT_DRAINING &&
		s->inbox.sequence >= s->bye_sequence) {
		s->said_bye = say(s, PROTO_ACK, 0, 0) == LIFELINE_AGAIN;
	}
}

/* While it is busy, its lifeline may be full of cancellations: then with a later beat
 * of ours. */
void slot_tell_to_leave(struct slot *s)
{
	enum lifeline_verdict v = say(s, PROTO_DRAIN, 1, s->outbox.sequence);
	s->untold = v == LIFELINE_AGAIN;
	if (v == LIFELINE_GONE) {
		slot_doom(s, DOOM_PROTO);
	}
}

void slot_cancel(struct slot *s, uint64_t id)
{
	/* Without memory for it the job runs to its end. */
	(void)buf_put(&s->cancels, &id, sizeof id);
	pool_wake(s->pool);
}

void slot_send_cancels(struct slot *s)
{
	struct proto_life_message m = {
		.type = PROTO_CANCEL, .slot = s->number, .generation = s->generation};
	size_t ct = s->cancels.len / sizeof(uint64_t);
	slot_flush(s);
	/* The lifeline is faster than the pipeline: the worker waits with this
	 * until it has the last frame of jobs. */
	m.values[0] = s->outbox.sequence;
	for (size_t i = 0, part;
		i < ct && (s->state == SLOT_READY || s->state == SLOT_DRAINING);
		i += part) {
		part = ct - i < PROTO_CANCEL_MAX - 1 ? ct - i : PROTO_CANCEL_MAX - 1;
		memcpy(m.values + 1, s->cancels.data + i * sizeof(uint64_t),
			part * sizeof(uint64_t));
		m.count = (uint32_t)part + 1;
		if (lifeline_send(s->lifeline, &m) != LIFELINE_OK) {
			buf_consume(&s->cancels, i * sizeof(uint64_t));
			return; /* it has not read the others: in a later turn */
		}
	}
	buf_clear(&s->cancels);
}

/* Frames of jobs that we have sent do not reach it. */
static bool jobs_are_stuck(const struct slot *s)
{
	bool all_sent = list_empty(&s->outbox.waiting) && !s->outbox.open_ct;
	return all_sent && s->jobs_said != s->outbox.sequence &&
	       s->jobs_said == s->jobs_there;
}

/* Frames of results that it has sent do not come, and we have read all there is. */
static bool results_are_missing(const struct slot *s)
{
	return s->pool->all_read && s->results_said > s->inbox.sequence &&
	       s->inbox.sequence == s->results_here;
}

/* For long, while it goes on.  By our own beats: when we were kept from reading, by
 * a callback or a stop, many of its own are here at once, and all tell of a time
 * before what we have sent since. */
void slot_look_for_frames(struct slot *s)
{
	unsigned more = s->was_heard ? 1 : 0;
	s->stuck_beats = jobs_are_stuck(s) ? s->stuck_beats + more : 0;
	s->missing_beats = results_are_missing(s) ? s->missing_beats + more : 0;
	s->jobs_there = s->jobs_said;
	s->results_here = s->inbox.sequence;
	s->was_heard = false;
	if (s->stuck_beats > STUCK_BEATS || s->missing_beats > STUCK_BEATS) {
		slot_doom(s, DOOM_PROTO); /* what it should hold runs again */
	}
}
