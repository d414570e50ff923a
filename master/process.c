/* SPDX-License-Identifier: MIT
 *
 * process - one task in a process of its own: pm_process_start() and the rest.
 *
 * Runs in: the master.  It is a pool of one worker and one job, shut down from the
 * start: the worker leaves when the job is done, and is not replaced.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/error.h"
#include "master/pool.h"

struct pm_process {
	struct pm_pool *pool;
	struct pm_future *future;
	char *name;
};

static int start(struct pm_process *p, pm_task_fn *task, const struct pm_job *job)
{
	struct pm_pool_options options;
	pm_pool_options_init(&options);
	options.workers = 1;
	options.concurrency = 1;
	int err = pool_open(&p->pool, &options, true);
	if (!err) {
		err = pm_submit(p->pool, task, job, &p->future);
	}
	return err ? err : pm_pool_shutdown(p->pool, PM_DRAIN, PM_FOREVER);
}

static void process_free(struct pm_process *p)
{
	pm_future_free(&p->future);
	pm_pool_terminate(&p->pool);
	free(p->name);
	free(p);
}

int pm_process_start(pm_process **out, pm_task_fn *task, const void *arg, size_t len,
	const char *name)
{
	struct pm_job job = {.arg = arg, .len = len};
	if (!out || !task) {
		return error_note(PM_EINVAL, "a task and a place are needed");
	}
	struct pm_process *p = calloc(1, sizeof *p);
	if (p) {
		p->name = strdup(name ? name : "");
	}
	if (!p || !p->name) {
		free(p);
		return error_note(PM_ENOMEM, "no memory for a process");
	}
	int err = start(p, task, &job);
	if (err) {
		char why[512]; /* what follows may overwrite it */
		snprintf(why, sizeof why, "%s", pm_last_error());
		process_free(p);
		return error_note(err, "%s", why);
	}
	*out = p;
	return 0;
}

const char *pm_process_name(const pm_process *p)
{
	return p->name;
}

long pm_process_pid(const pm_process *p)
{
	const struct slot *s = &p->pool->slots[0];
	return s->pid ? s->pid : s->last_pid;
}

static bool is_over(void *ctx)
{
	const struct pm_process *p = ctx;
	return p->pool->phase == POOL_OVER;
}

/* Another thread is told what the process's own one has seen. */
bool pm_process_alive(pm_process *p)
{
	if (!pool_check_thread(p->pool)) {
		(void)pool_run_until(p->pool, is_over, p, 0);
	}
	return !is_over(p);
}

int pm_process_join(pm_process *p, int timeout_ms)
{
	int err = pool_check_thread(p->pool);
	return err ? err : pool_run_until(p->pool, is_over, p, timeout_ms);
}

static int send_signal(pm_process *p, int number)
{
	int err = pool_check_thread(p->pool);
	if (!err && !is_over(p)) {
		slot_signal(&p->pool->slots[0], number);
	}
	return err;
}

int pm_process_terminate(pm_process *p)
{
	return send_signal(p, SIGTERM);
}

int pm_process_kill(pm_process *p)
{
	return send_signal(p, SIGKILL);
}

int pm_process_exit_code(pm_process *p, int *exit_code)
{
	struct pm_worker_info info;
	if (!is_over(p)) {
		return error_note(PM_ESTATE, "the process is alive");
	}
	int err = pm_worker_info(p->pool, 0, &info);
	if (!err) {
		*exit_code = info.exit_code;
	}
	return err;
}

const struct pm_result *pm_process_result(const pm_process *p)
{
	return p->pool->phase == POOL_OVER ? pm_future_result(p->future) : NULL;
}

int pm_process_close(pm_process **process)
{
	struct pm_process *p = process ? *process : NULL;
	int err = p ? pool_check_thread(p->pool) : 0;
	if (err) {
		return err;
	}
	if (p && pm_process_alive(p)) {
		return error_note(PM_ESTATE,
			"the process is alive: join, terminate or kill it first");
	}
	if (p) {
		process_free(p);
		*process = NULL;
	}
	return 0;
}
