/* SPDX-License-Identifier: MIT
 *
 * hooks - the host's own functions in a worker, and what they may ask of it; see
 * hooks.h.
 */
#include "worker/hooks.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/blackbox.h"
#include "common/boot.h"

static struct {
	pm_fini_fn *fini;
	pm_job_error_fn *on_job_error;
	void *data;                       /* the host's */
	char words[BLACKBOX_WORDS_BYTES]; /* of pm_worker_fail() */
} self;

static int run_initializer(const struct boot *boot, struct blackbox *blackbox)
{
	pm_init_fn *init = (pm_init_fn *)(uintptr_t)boot->init;
	return init ? init(blackbox->init_arg, blackbox->init_len) : 0;
}

int hooks_init(const struct boot *boot, struct blackbox *blackbox)
{
	self.words[0] = '\0';
	int err = run_initializer(boot, blackbox);
	if (err < 0) {
		snprintf(blackbox->words, sizeof blackbox->words, "%s",
			self.words[0] ? self.words : pm_error_text(err));
		failure_cut(blackbox->words, sizeof blackbox->words);
		return err;
	}
	self.fini = (pm_fini_fn *)(uintptr_t)boot->fini;
	self.on_job_error = (pm_job_error_fn *)(uintptr_t)boot->on_job_error;
	return 0;
}

void hooks_fini(void)
{
	if (self.fini) {
		self.fini();
	}
}

/* It must not await: should it try, it is told that the task was cancelled.  What the
 * task has to say stays as it is. */
void hooks_job_failed(struct pm_task *task)
{
	if (!self.on_job_error) {
		return;
	}
	struct pm_failure failure = task->failure;
	task->cancelled = true;
	self.on_job_error(task, &failure);
	task->failure = failure;
}

/* ------------------------------------------------------------ for the host */

struct event_base *pm_worker_base(void)
{
	return worker_base();
}

void pm_worker_set_data(void *data)
{
	if (worker_base()) {
		self.data = data;
	}
}

void *pm_worker_data(void)
{
	return self.data;
}

int pm_worker_fail(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(self.words, sizeof self.words, fmt, args);
	va_end(args);
	return PM_EFAILED;
}
