/* SPDX-License-Identifier: MIT
 *
 * results - ended tasks into result frames; see worker.h.
 *
 * Runs in: the worker.  A frame costs some 30 us on each side when it travels
 * alone, and next to nothing per result when many share it.  So while other
 * tasks are under way, whose results will follow, a frame stays open until
 * RESULTS_GAP_US after the one before; the credit's prefetch covers that.  A result
 * after a pause goes at once: nothing says that others are near, and the master may
 * wait for it to begin the next job of a lane.
 */
#include <string.h>

#include "common/clock.h"
#include "common/outbox.h"
#include "worker/worker.h"

static struct {
	struct wire wire;
	struct outbox outbox;
	struct event *writable; /* the wire takes frames again; on demand */
	struct event *gap;
	uint64_t next_us; /* until then a frame stays open */
	struct buf scratch;
} self;

/* A result that cannot be sent ends the worker: the master runs the job again,
 * in another one. */
static void check(int err)
{
	if (err < 0) {
		worker_exit(err == PM_ENOMEM ? PROTO_EXIT_MEMORY : PROTO_EXIT_PROTO);
	}
	if (err == WIRE_AGAIN) {
		event_add(self.writable, NULL);
	}
}

static void add(uint64_t id, uint32_t attempt, const struct proto_result *result)
{
	buf_clear(&self.scratch);
	int err = proto_result_put(&self.scratch, result);
	if (!err) {
		err = outbox_put(
			&self.outbox, id, attempt, self.scratch.data, self.scratch.len);
	}
	check(err);
}

void results_add(struct pm_task *task)
{
	const struct pm_failure *f = &task->failure;
	struct proto_result result = {.error = f->error,
		.emits = (const uint8_t *)task->emits.data,
		.emits_len = task->emits.len};
	if (f->error) {
		result.domain = f->domain;
		result.code = f->code;
		result.message = f->message;
		result.message_len = strlen(f->message);
	} else {
		result.bytes = (const uint8_t *)task->result.data;
		result.len = task->result.len;
	}
	add(task->id, task->attempt, &result);
}

/* Connected: only now can anything come of a job. */
static void connected_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	link_hello();
}

static void flush(void)
{
	self.next_us = clock_now_us() + RESULTS_GAP_US;
	check(outbox_flush(&self.outbox));
}

static void flush_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	flush();
}

void results_flush(bool at_once)
{
	if (!self.outbox.open_ct) {
		return;
	}
	if (at_once || clock_now_us() >= self.next_us) {
		evtimer_del(self.gap);
		flush();
	} else if (!evtimer_pending(self.gap, NULL)) {
		struct timeval tv = clock_until(self.next_us);
		evtimer_add(self.gap, &tv);
	}
}

bool results_blocked(void)
{
	return self.outbox.waiting_bytes > RESULTS_WAITING_MAX;
}

bool results_all_sent(void)
{
	return !self.outbox.open_ct && list_empty(&self.outbox.waiting);
}

uint64_t results_sequence(void)
{
	return self.outbox.sequence;
}

void results_open(struct event_base *base, const struct boot *boot)
{
	if (wire_dial(&self.wire, WIRE_PUSH, boot->result_path)) {
		worker_exit(PROTO_EXIT_BOOT);
	}
	outbox_init(&self.outbox, &self.wire, PROTO_RESULTS, &boot->route);
	self.writable = event_new(base, self.wire.ready_fd, EV_READ, flush_cb, NULL);
	self.gap = evtimer_new(base, flush_cb, NULL);
	if (!self.writable || !self.gap ||
		event_base_once(base, self.wire.ready_fd, EV_READ, connected_cb, NULL,
			NULL) < 0) {
		worker_exit(PROTO_EXIT_MEMORY);
	}
}

void results_close(void)
{
	event_free(self.writable);
	event_free(self.gap);
	outbox_fini(&self.outbox);
	buf_fini(&self.scratch);
	wire_close(&self.wire);
}
