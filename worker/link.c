/* SPDX-License-Identifier: MIT
 *
 * link - the worker's end of the lifeline; see worker.h.
 *
 * Runs in: the worker.  The end of file means that the master is gone: then
 * there is nobody to work for, and the process ends at once.
 */
#include <unistd.h>

#include "common/lifeline.h"
#include "worker/worker.h"

static struct {
	int fd;
	struct proto_route route;
	struct event *readable, *beat;
	bool draining;
	uint64_t last_jobs; /* sequence of the last frame of jobs, when draining */
	bool said_bye;
	struct buf cancels; /* ids, as uint64_t */
	uint64_t cancel_at; /* sequence of the frame of jobs that they wait for */
} self;

/* False: no room.  The master has not read for long; what it misses are
 * heartbeats, and BYE is said again with the next beat. */
static bool say(enum proto_life type, uint32_t count, uint64_t first, uint64_t second,
	uint64_t third)
{
	struct proto_life_message m = {.type = type,
		.slot = self.route.slot,
		.generation = self.route.generation,
		.count = count,
		.values = {first, second, third}};
	enum lifeline_verdict v = lifeline_send(self.fd, &m);
	if (v == LIFELINE_GONE) {
		worker_exit(PROTO_EXIT_ORPHAN);
	}
	return v == LIFELINE_OK;
}

/* They wait for link_turn(): the jobs may still be on their way.  What there is
 * no memory for runs to its end, and nobody waits for it. */
static void keep_cancels(const struct proto_life_message *m)
{
	if (m->count > 0) {
		self.cancel_at = m->values[0];
		(void)buf_put(&self.cancels, m->values + 1,
			(m->count - 1) * sizeof *m->values);
	}
}

void link_turn(void)
{
	if (!self.cancels.len || intake_sequence() < self.cancel_at) {
		return;
	}
	runner_cancel_all((uint64_t *)(void *)self.cancels.data,
		self.cancels.len / sizeof(uint64_t));
	buf_clear(&self.cancels);
}

static void obey(const struct proto_life_message *m)
{
	if (m->slot != self.route.slot || m->generation != self.route.generation) {
		return;
	}
	switch (m->type) {
	case PROTO_CANCEL:
		keep_cancels(m);
		break;
	case PROTO_DRAIN:
		self.draining = true;
		self.last_jobs = m->values[0];
		break;
	case PROTO_ACK:
		worker_exit(PROTO_EXIT_OK);
	default:
		break;
	}
}

static void readable_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct proto_life_message m;
	enum lifeline_verdict v;
	(void)what;
	(void)ctx;
	while ((v = lifeline_receive(fd, &m)) == LIFELINE_OK || v == LIFELINE_BAD) {
		if (v == LIFELINE_OK) {
			obey(&m);
		}
	}
	if (v == LIFELINE_GONE) {
		worker_exit(PROTO_EXIT_ORPHAN);
	}
}

static void beat_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	(void)say(PROTO_HEARTBEAT, 3, runner_held_ct(), results_sequence(),
		intake_sequence());
}

void link_hello(void)
{
	(void)say(PROTO_HELLO, 2, PROTO_VERSION, (uint64_t)getpid(), 0);
}

bool link_drained(void)
{
	return self.draining && intake_sequence() >= self.last_jobs;
}

void link_bye(uint64_t last_sequence)
{
	if (!self.said_bye) {
		self.said_bye = say(PROTO_BYE, 1, last_sequence, 0, 0);
	}
}

void link_open(struct event_base *base, const struct boot *boot, int lifeline)
{
	struct timeval beat = {.tv_sec = boot->heartbeat_ms / 1000,
		.tv_usec = boot->heartbeat_ms % 1000 * 1000L};
	self.fd = lifeline;
	self.route = boot->route;
	self.readable =
		event_new(base, lifeline, EV_READ | EV_PERSIST, readable_cb, NULL);
	self.beat = event_new(base, -1, EV_PERSIST, beat_cb, NULL);
	if (!self.readable || !self.beat || event_add(self.readable, NULL) < 0 ||
		event_add(self.beat, &beat) < 0) {
		worker_exit(PROTO_EXIT_MEMORY);
	}
}

void link_close(void)
{
	event_free(self.readable);
	event_free(self.beat);
	buf_fini(&self.cancels);
	close(self.fd);
}
