/* SPDX-License-Identifier: MIT
 *
 * pool_options - the options of a pool: their defaults, and what they may be; see
 * pool.h.
 *
 * Runs in: the master.  Called by pool.c before anything is opened.
 */
#include <sys/resource.h>

#include "common/error.h"
#include "master/pool.h"

enum {
	WORKER_FILES = 64, /* descriptors of a worker beside its tasks' */
	MASTER_FILES = 32, /* of the master, beside those of its slots */
	SLOT_FILES = 6,
	STACK_MIN_BYTES = 16 * 1024,
	STACK_MAX_BYTES = 64 << 20,
	MEMORY_MIN_BYTES = 32 << 20,
};

void pm_pool_options_init(struct pm_pool_options *options)
{
	*options = (struct pm_pool_options){
		.size = sizeof *options,
		.concurrency = 128,
		.max_bytes = 64 << 20,
		.stack_bytes = 256 << 10,
		.files_per_task = 1,
		.start_timeout_ms = 10000,
		.hang_timeout_ms = 10000,
		.queue_max = 65536,
	};
}

unsigned pool_options_spares(const struct pm_pool_options *o)
{
	unsigned room = PM_WORKERS_MAX - o->workers;
	if (!o->max_jobs_per_worker) {
		return 0;
	}
	return o->workers < room ? o->workers : room;
}

static int check_ranges(struct pm_pool_options *o)
{
	if (o->size != sizeof *o) {
		return error_note(
			PM_EINVAL, "options were not made by pm_pool_options_init()");
	}
	if (o->workers > PM_WORKERS_MAX) {
		return error_note(PM_EINVAL, "workers: %u is over %d", o->workers,
			PM_WORKERS_MAX);
	}
	if (o->concurrency < 1 || o->concurrency > PM_CONCURRENCY_MAX) {
		return error_note(PM_EINVAL, "concurrency: %u is not within 1 and %d",
			o->concurrency, PM_CONCURRENCY_MAX);
	}
	if (o->max_bytes < 1 || o->max_bytes > PM_BYTES_MAX) {
		return error_note(PM_EINVAL, "max_bytes: %zu is not within 1 and %u",
			o->max_bytes, PM_BYTES_MAX);
	}
	if (o->stack_bytes < STACK_MIN_BYTES || o->stack_bytes > STACK_MAX_BYTES) {
		return error_note(PM_EINVAL, "stack_bytes: %zu is not within %d and %d",
			o->stack_bytes, STACK_MIN_BYTES, STACK_MAX_BYTES);
	}
	if (o->init_len > o->max_bytes || (o->init_len && !o->init_arg)) {
		return error_note(PM_EINVAL,
			"init_arg of %zu bytes: there is none, or it is over max_bytes "
			"%zu",
			o->init_len, o->max_bytes);
	}
	if (o->worker_memory_bytes && o->worker_memory_bytes < MEMORY_MIN_BYTES) {
		return error_note(PM_EINVAL,
			"worker_memory_bytes: %zu is under %d, which a worker needs",
			o->worker_memory_bytes, MEMORY_MIN_BYTES);
	}
	if ((unsigned)o->schedule > PM_OWN_SCHEDULER ||
		(o->schedule == PM_OWN_SCHEDULER &&
			(!o->scheduler || !o->scheduler->pick))) {
		return error_note(PM_EINVAL,
			"schedule: %d is none, or a scheduler without pick()",
			o->schedule);
	}
	if (!o->queue_max) {
		return error_note(
			PM_EINVAL, "queue_max: 0 is not within 1 and SIZE_MAX");
	}
	if (!o->workers) {
		o->workers = pm_cpus() < PM_WORKERS_MAX ? pm_cpus() : PM_WORKERS_MAX;
	}
	if (o->workers > o->concurrency) {
		o->workers = o->concurrency; /* the others would have nothing to do */
	}
	return 0;
}

/* Workers raise their own soft limit to the hard one; the host's is not ours to
 * change. */
static int check_files(const struct pm_pool_options *o)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		return error_note_errno(PM_ESYSTEM, "cannot read RLIMIT_NOFILE");
	}
	uint64_t share = (o->concurrency + o->workers - 1) / o->workers;
	uint64_t need = share * o->files_per_task + WORKER_FILES;
	if (limit.rlim_max != RLIM_INFINITY && need > limit.rlim_max) {
		return error_note(PM_ELIMIT,
			"concurrency %u on %u workers needs %llu open files in each, "
			"and the "
			"hard limit is %llu: raise it (ulimit -Hn), lower the "
			"concurrency or "
			"use more workers",
			o->concurrency, o->workers, (unsigned long long)need,
			(unsigned long long)limit.rlim_max);
	}
	uint64_t own = MASTER_FILES +
		       (uint64_t)SLOT_FILES * (o->workers + pool_options_spares(o));
	if (limit.rlim_cur != RLIM_INFINITY && own > limit.rlim_cur) {
		return error_note(PM_ELIMIT,
			"%u workers need %llu open files in the master, and the limit "
			"is "
			"%llu: raise it (ulimit -n)",
			o->workers, (unsigned long long)own,
			(unsigned long long)limit.rlim_cur);
	}
	return 0;
}

int pool_options_settle(struct pm_pool_options *options)
{
	int err = check_ranges(options);
	return err ? err : check_files(options);
}
