/* SPDX-License-Identifier: MIT
 *
 * run_pool - the pool of a run; see run_pool.h.
 */
#include "master/cli/run_pool.h"

#include "common/cli/fetch_task.h"
#include "common/cli/kernel.h"
#include "common/cli/settings.h"
#include "master/cli/message.h"

enum {
	FILES_PER_TASK = 2, /* a look-up holds two, then its connection one */
	RESULT_EXTRA_BYTES = 16 << 20, /* of a line, beside the body */
	ESCAPE_MAX = 6,                /* bytes that one byte of a body can become */
};

static size_t result_bytes_max(void)
{
	uint64_t need = settings.max_body * ESCAPE_MAX + RESULT_EXTRA_BYTES;
	return need < PM_BYTES_MAX ? (size_t)need : PM_BYTES_MAX;
}

/* Once for all workers, and before there are any. */
static void tell_of_sandbox(void)
{
	const char *lack = !kernel_has_seccomp()    ? "filters of system calls"
			   : !kernel_landlock_abi() ? "Landlock"
						    : NULL;
	if (lack && !settings.no_sandbox && !settings.quiet && !kernel_is_watched()) {
		message_print("sandbox", "this kernel offers no %s: workers go without",
			lack);
	}
}

int run_pool_open(pm_pool **pool, struct event_base *base)
{
	tell_of_sandbox();
	struct pm_pool_options options;
	pm_pool_options_init(&options);
	options.workers = settings.workers;
	options.concurrency = settings.concurrency;
	options.max_bytes = result_bytes_max();
	options.files_per_task = FILES_PER_TASK;
	options.base = base;
	options.init = fetch_init;
	options.max_jobs_per_worker = settings.max_jobs_per_worker;
	options.worker_memory_bytes = (size_t)settings.worker_memory;
	options.schedule = settings.scheduler;
	int err = pm_pool_open(pool, &options);
	if (err) {
		message_print("cannot start the workers", "%s", pm_last_error());
	}
	return !err                                   ? 0
	       : err == PM_ELIMIT || err == PM_EINVAL ? EXIT_USAGE
						      : EXIT_WORKERS;
}
