/* SPDX-License-Identifier: MIT
 *
 * lost - see lost.h.
 */
#include "common/cli/lost.h"

#include "common/cli/job.h"
#include "common/cli/line.h"

int lost_render(struct buf *out, const void *arg, size_t len,
	const struct pm_result *result, enum outcome_class *class)
{
	struct line_facts facts = {
		.class = outcome_class_of_result(result),
		.errormsg = result->message,
		.time_queue_us = UINT64_MAX,
		.attempts = result->attempts,
		.worker = result->worker,
		.body = BODY_NONE,
	};
	struct job job;
	int err = job_read(&job, &facts.index, arg, len);
	if (!err) {
		err = line_render(out, &job, &facts);
	}
	if (!err) {
		*class = facts.class;
	}
	job_fini(&job);
	return err;
}
