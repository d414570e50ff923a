/* SPDX-License-Identifier: MIT
 *
 * loss - what becomes of the jobs of a lost worker; see pool.h.
 *
 * Runs in: the master.  Called by slot.c when an exit was reported and all that
 * could still be read was read.  The judgement is verdict.c's; this file finds
 * out what the worker's black box says of each, and carries it out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "master/pool.h"
#include "master/verdict.h"

/* The worker's loop did not turn: because of this job, of another one, or of neither,
 * when somebody has stopped the process. */
static void describe_silence(
	const struct slot *s, const struct job *job, char *text, size_t size)
{
	uint64_t current = s->blackbox ? atomic_load(&s->blackbox->current) : 0;
	unsigned ms = s->pool->options.hang_timeout_ms;
	if (current == job->id) {
		snprintf(text, size,
			"the task kept the CPU for more than %u ms, or a call in it "
			"blocked, and its worker was killed: use pm_await_thread() for "
			"what takes so long, or raise hang_timeout_ms",
			ms);
	} else {
		snprintf(text, size, "%s was silent for more than %u ms and was killed",
			current ? "its worker, which another task kept busy,"
				: "its worker",
			ms);
	}
}

static void set_cause(
	const struct slot *s, const struct job *job, int status, struct pm_result *r)
{
	char text[256];
	if (s->blackbox && atomic_load(&s->blackbox->overflow)) {
		snprintf(text, sizeof text,
			"a task ran over the end of its stack of %zu bytes (signal %d)",
			s->pool->options.stack_bytes, WTERMSIG(status));
	} else if (s->doom == DOOM_SILENT) {
		describe_silence(s, job, text, sizeof text);
	} else if (s->doom == DOOM_MEMORY) {
		snprintf(text, sizeof text,
			"worker exceeded its memory limit of %zu bytes and was killed",
			s->pool->options.worker_memory_bytes);
	} else if (WIFSIGNALED(status)) {
		snprintf(text, sizeof text, "worker died by signal %d (%s)",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	} else {
		snprintf(text, sizeof text, "worker exited with status %d",
			WEXITSTATUS(status));
	}
	r->domain = WIFSIGNALED(status) ? PM_DOMAIN_SIGNAL : PM_DOMAIN_EXIT;
	r->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	/* NULL when memory is short: the code still tells.
	 * NOLINTNEXTLINE(gcc-malloc-leak): the result keeps it */
	r->message = strdup(text);
}

static void fail(const struct slot *s, struct job *job, int status)
{
	set_cause(s, job, status, &job->result);
	job->result.error = PM_EWORKERLOST;
	if (job->stop) { /* it was to end anyway: that is why it did */
		cancel_fill(&job->result, job->stop, pm_error_text(job->stop));
	}
	job->result.worker = (int)s->number;
	ledger_settle(&s->pool->ledger, job);
	s->pool->stats.results++;
	job->waiter->settled(job->waiter, job);
}

/* A job with a deadline that kept its worker from everything else until the
 * watchdog came: it has had its time. */
static void time_out(const struct slot *s, struct job *job)
{
	char text[160];
	snprintf(text, sizeof text,
		"ran for more than %u ms without a pause; its worker was killed",
		job->timeout_ms);
	job->result.attempts = job->attempts;
	cancel_at_once(s->pool, job, PM_ETIMEDOUT, text);
}

/* What had begun has kept its limit, however it goes on. */
static void unlimit_begun(struct slot *s, struct job *job, uint64_t begun)
{
	if (job->ordinal < begun) {
		ledger_unlimit(&s->pool->ledger, job);
	}
}

static void carry_out(struct slot *s, struct job *job, enum verdict verdict, int status)
{
	struct ledger *l = &s->pool->ledger;
	if (!job->waiter) {
		s->pool->forgotten_ct--;
		ledger_free(l, job); /* nobody waits for it */
	} else if (verdict == VERDICT_FAIL || job->stop) {
		fail(s, job, status);
	} else {
		ledger_requeue(l, job, verdict == VERDICT_SUSPECT);
		s->pool->stats.jobs_rerun++;
	}
}

/* What was not even sent to the only worker that there will ever be. */
static void fail_queued(const struct slot *s, int status)
{
	struct list_node *n;
	while ((n = list_first(&s->pool->ledger.queue))) {
		fail(s, list_entry(n, struct job, link), status);
	}
}

/* From the last to the first, so that those that are queued again, each at the
 * front, keep their order. */
void loss_settle(struct slot *s, int status)
{
	uint64_t current = s->blackbox ? atomic_load(&s->blackbox->current) : 0;
	uint64_t begun = s->blackbox ? atomic_load(&s->blackbox->begun) : 0;
	bool alone = s->held.ct == 1;
	struct list_node *first = list_first(&s->held);
	bool none_begun =
		first && list_entry(first, struct job, link)->ordinal >= begun;
	while (!list_empty(&s->held)) {
		struct job *job = list_entry(s->held.head.prev, struct job, link);
		if (s->doom == DOOM_SILENT && job->timeout_ms && job->waiter &&
			current == job->id) {
			time_out(s, job);
			continue;
		}
		struct verdict_evidence e = {
			.begun = job->ordinal < begun || s->pool->single,
			.next = none_begun && &job->link == first,
			.blamed = current == job->id,
			.other = current != 0 && current != job->id,
			.alone = alone,
		};
		unlimit_begun(s, job, begun);
		carry_out(s, job, verdict_on_loss(job, &e), status);
	}
	if (s->pool->single && s->was_ready) {
		fail_queued(s, status);
	}
}
