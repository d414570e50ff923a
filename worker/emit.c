/* SPDX-License-Identifier: MIT
 *
 * emit - jobs that tasks add: pm_emit().
 *
 * Runs in: the worker, on the stack of the task that calls.  They gather at the job,
 * as they travel, and results.c sends them with its result: so that they exist once,
 * or not at all.  What they may be is checked by the master, which takes them.
 */
#include <stdio.h>

#include "common/proto.h"
#include "worker/child.h"

static int fail_too_big(struct pm_task *task, size_t len)
{
	char text[96];
	snprintf(text, sizeof text,
		"a job of %zu bytes more makes the added ones exceed max_bytes %zu",
		len, worker_max_bytes());
	return task_set_failure(task, PM_ETOOBIG, PM_DOMAIN_NONE, 0, text);
}

int pm_emit(pm_task *task, pm_task_fn *fn, const struct pm_job *job)
{
	struct buf *emits = &task_root(task)->emits;
	if (!fn || !job || (!job->arg && job->len)) {
		return task_set_failure(task, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"an added job needs a function, and an argument of its length");
	}
	size_t lane_len = job->lane ? job->lane_len : 0;
	if (lane_len > PM_LANE_MAX) {
		return task_set_failure(task, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"the name of an added job's lane is too long");
	}
	size_t room = worker_max_bytes() - emits->len;
	size_t head_len = PROTO_EMIT_HEAD_BYTES + lane_len;
	if (room < head_len || job->len > room - head_len) {
		return fail_too_big(task, job->len);
	}
	struct proto_emit emit = {.task = (uint64_t)(uintptr_t)fn,
		.tag = job->tag,
		.timeout_ms = job->timeout_ms,
		.queue_timeout_ms = job->queue_timeout_ms,
		.once = job->once,
		.arg = job->arg,
		.arg_len = job->len,
		.lane = job->lane,
		.lane_len = lane_len};
	int err = proto_emit_put(emits, &emit);
	return err ? task_fail(task, err) : 0;
}
