/* SPDX-License-Identifier: MIT
 *
 * intake - job frames into the runner; see worker.h.
 *
 * Runs in: the worker.  Takes what the master sends: how much that is, the
 * master's credit limits.
 */
#include <string.h>

#include "common/inbox.h"
#include "worker/worker.h"

enum { FRAMES_PER_CALL = 64 }; /* then other events get their chance */

static struct {
	struct wire wire;
	struct inbox inbox;
	struct event *readable;
} self;

/* A job for whose argument there is no memory.  It waits for its turn like any other:
 * the master knows by the count of those that have begun which ones have. */
static int refuse(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	return PM_ENOMEM;
}

static struct pm_task *new_task(struct proto_job *job)
{
	struct pm_task *task = runner_new_task(job->arg_len);
	if (!task) {
		job->task = (uint64_t)(uintptr_t)refuse;
		job->arg_len = 0;
		task = runner_new_task(0);
	}
	return task;
}

static enum inbox_verdict on_job(
	void *ctx, uint64_t id, uint32_t attempt, const uint8_t *payload, size_t len)
{
	struct proto_job job;
	(void)ctx;
	if (proto_job_get(&job, payload, len)) {
		return INBOX_BROKEN;
	}
	struct pm_task *task = new_task(&job);
	if (!task) {
		return INBOX_NOMEM;
	}
	task->id = id;
	task->attempt = attempt;
	task->timeout_ms = job.timeout_ms;
	task->epoch = job.epoch;
	task->fn = (pm_task_fn *)(uintptr_t)job.task;
	task->queued_at_us = job.queued_at_us;
	if (job.arg_len) {
		memcpy(task->arg, job.arg, job.arg_len);
	}
	runner_queue(task);
	return INBOX_TAKEN;
}

/* Frames that are missing are jobs that are missing: the only way that loses
 * none is to end here and let the master run all of them again. */
static void take(const void *frame, size_t len)
{
	enum inbox_verdict v = inbox_take(&self.inbox, frame, len, on_job, NULL);
	if (v == INBOX_BROKEN) {
		worker_exit(PROTO_EXIT_PROTO);
	} else if (v == INBOX_NOMEM) {
		worker_exit(PROTO_EXIT_MEMORY);
	}
}

static void readable_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	for (int i = 0; i < FRAMES_PER_CALL; i++) {
		void *frame;
		size_t len;
		if (wire_receive(&self.wire, &frame, &len)) {
			return;
		}
		take(frame, len);
		wire_free(frame);
	}
}

void intake_open(struct event_base *base, const struct boot *boot)
{
	if (wire_dial(&self.wire, WIRE_PULL, boot->job_path)) {
		worker_exit(PROTO_EXIT_BOOT);
	}
	inbox_init(&self.inbox, PROTO_JOBS, &boot->route,
		(size_t)boot->max_bytes + PROTO_JOB_HEAD_BYTES);
	self.readable = event_new(
		base, self.wire.ready_fd, EV_READ | EV_PERSIST, readable_cb, NULL);
	if (!self.readable || event_add(self.readable, NULL) < 0) {
		worker_exit(PROTO_EXIT_MEMORY);
	}
}

void intake_close(void)
{
	event_free(self.readable);
	inbox_fini(&self.inbox);
	wire_close(&self.wire);
}

uint64_t intake_sequence(void)
{
	return self.inbox.sequence;
}
