/* SPDX-License-Identifier: MIT
 *
 * failure - what a task has to say on why it failed.
 *
 * Runs in: the worker.  Called by every await that fails, and by the task's end.
 */
#include <stdio.h>
#include <string.h>

#include "worker/runner.h"

/* Only a text that fills its place can have been cut.  Then an incomplete UTF-8
 * character goes: its continuation bytes, and what led them. */
void failure_cut(char *text, size_t size)
{
	size_t len = strlen(text);
	if (len + 1 < size) {
		return;
	}
	size_t lead = len;
	while (lead > 0 && len - lead < 3 &&
		((unsigned char)text[lead - 1] & 0xc0) == 0x80) {
		lead--;
	}
	unsigned char first = lead > 0 ? (unsigned char)text[lead - 1] : 0;
	size_t whole = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
	if (lead > 0 && len - (lead - 1) < whole) {
		text[lead - 1] = '\0';
	}
}

int task_set_failure(
	struct pm_task *task, int error, int domain, int code, const char *message)
{
	struct pm_failure *f = &task->failure;
	f->error = error;
	f->domain = domain;
	f->code = code;
	if (message != f->message) {
		snprintf(f->message, sizeof f->message, "%s", message);
	}
	failure_cut(f->message, sizeof f->message);
	return error;
}

int task_fail(struct pm_task *task, int error)
{
	return task_set_failure(task, error, PM_DOMAIN_NONE, 0, pm_error_text(error));
}
