/* SPDX-License-Identifier: MIT
 *
 * tell - what a pool says of itself: its log, its figures, its workers, and that it is
 * broken; see pool.h.
 *
 * Runs in: the master.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/error.h"
#include "master/pool.h"

/* ----------------------------------------------------------------- at its time */

void pool_break(struct pm_pool *pool, const char *fmt, ...)
{
	if (pool->broken) {
		return;
	}
	va_list args;
	va_start(args, fmt);
	vsnprintf(pool->broken_text, sizeof pool->broken_text, fmt, args);
	va_end(args);
	pool->broken = PM_EWORKERS;
	pool_log(pool, PM_LOG_ERROR, "%s", pool->broken_text);
	pool_wake(pool);
}

/* It is said in the middle of things: the host may not run the pool then. */
void pool_log(struct pm_pool *pool, enum pm_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list args;
	if (pool->options.log) {
		va_start(args, fmt);
		vsnprintf(line, sizeof line, fmt, args);
		va_end(args);
		pool->deciding++;
		pool->options.log(pool->options.log_ctx, level, line);
		pool->deciding--;
	}
}

/* ----------------------------------------------------------- when it is asked */

unsigned pool_ready_ct(const struct pm_pool *pool)
{
	unsigned ct = 0;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		ct += pool->slots[i].state == SLOT_READY;
	}
	return ct;
}

void pm_pool_stats(const pm_pool *pool, struct pm_pool_stats *stats)
{
	*stats = pool->stats;
	stats->workers = pool->options.workers;
	stats->workers_ready = pool_ready_ct(pool);
	stats->concurrency = pool->options.concurrency;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		stats->held += (unsigned)pool->slots[i].held.ct;
	}
	stats->queued = pool->ledger.live_ct - stats->held;
}

/* As in a shell's $?, but with signals below 0. */
static int exit_code(int status)
{
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int pm_worker_info(const pm_pool *pool, unsigned worker, struct pm_worker_info *info)
{
	if (!pool || !info || worker >= pool->slot_ct) {
		return error_note(PM_EINVAL, "there is no worker %u", worker);
	}
	const struct slot *s = &pool->slots[worker];
	*info = (struct pm_worker_info){.pid = s->pid,
		.starts = s->generation,
		.ready = s->state == SLOT_READY,
		.held = (unsigned)s->held.ct,
		.taken = s->sent_ct - s->recalled_ct,
		.ended = s->has_ended,
		.exit_code = s->has_ended ? exit_code(s->last_status) : 0};
	return 0;
}
