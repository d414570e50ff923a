/* SPDX-License-Identifier: MIT
 *
 * cancel - a job that is to end before its time; see pool.h.
 *
 * Runs in: the master.  A job that no worker has ends at once.  One that a worker
 * has is the worker's to stop: only then are its descriptors closed and its
 * stack unwound.  Its result says whether it was stopped or was quicker.
 */
#include <stdlib.h>
#include <string.h>

#include "master/pool.h"

void cancel_fill(struct pm_result *result, int error, const char *message)
{
	free(result->bytes);
	free((void *)(uintptr_t)result->message);
	result->bytes = NULL;
	result->len = 0;
	result->error = error;
	result->domain = PM_DOMAIN_NONE;
	result->code = 0;
	result->message = strdup(message); /* NULL when memory is short */
}

void cancel_at_once(struct pm_pool *pool, struct job *job, int error, const char *why)
{
	cancel_fill(&job->result, error, why);
	job->result.worker = -1;
	ledger_settle(&pool->ledger, job);
	pool->stats.results++;
	job->waiter->settled(job->waiter, job);
}

bool cancel_is_early(const struct job *job)
{
	const struct blackbox *b = job->state == JOB_SENT ? job->slot->blackbox : NULL;
	return job->state == JOB_QUEUED ||
	       (job->state == JOB_SENT &&
		       !(b && job->ordinal < atomic_load(&b->begun)));
}

void cancel_job(struct pm_pool *pool, struct job *job, int error)
{
	if (job->state == JOB_QUEUED) {
		cancel_at_once(pool, job, error, pm_error_text(error));
	} else if (job->state == JOB_SENT && !job->stop) {
		job->stop = error;
		slot_cancel(job->slot, job->id);
	}
}
