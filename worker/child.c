/* SPDX-License-Identifier: MIT
 *
 * child - the tasks that tasks start: pm_spawn() and pm_child_*(); see child.h.
 *
 * Runs in: the worker.  Called by tasks, by the callbacks of deferred ones, and by
 * the runner at a task's end.  Waiting for children is child_wait.c's.
 */
#include "worker/child.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- spawning */

static struct family *family_of(struct pm_task *task)
{
	if (!task->family) {
		task->family = calloc(1, sizeof *task->family);
		if (task->family) {
			list_init(&task->family->live);
			list_init(&task->family->ended);
		}
	}
	return task->family;
}

static struct pm_task *new_child(struct pm_task *parent, size_t arg_len)
{
	struct pm_task *task = runner_new_task(arg_len);
	struct child *child = calloc(1, sizeof *child);
	if (!task || !child) {
		free(task);
		free(child);
		return NULL;
	}
	child->self = task;
	child->parent = parent;
	child->root = task_root(parent);
	task->child = child;
	task->id = parent->id;
	task->attempt = parent->attempt;
	task->queued_at_us = parent->queued_at_us;
	task->started_at_us = parent->started_at_us;
	return task;
}

static void adopt(struct pm_task *task, struct pm_task *new)
{
	list_push_back(&task->family->live, &new->child->sibling);
	new->child->root->family->tree_ct++;
	runner_spawn(new);
}

static int check_spawn(
	struct pm_task *task, pm_task_fn *fn, const void *arg, size_t len)
{
	if (!fn || (!arg && len)) {
		return task_set_failure(task, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"a child needs a function, and an argument of its length");
	}
	if (task->ending) {
		return task_set_failure(task, PM_ESTATE, PM_DOMAIN_NONE, 0,
			"the task has ended: it cannot have another child");
	}
	if (!family_of(task)) {
		return task_fail(task, PM_ENOMEM);
	}
	if (task_root(task)->family->tree_ct >= PM_CHILDREN_MAX) {
		return task_set_failure(task, PM_ELIMIT, PM_DOMAIN_NONE, 0,
			"the job has as many children as it may");
	}
	return 0;
}

int pm_spawn(
	pm_task *task, pm_task_fn *fn, const void *arg, size_t len, pm_task **child)
{
	int err = check_spawn(task, fn, arg, len);
	if (err) {
		return err;
	}
	struct pm_task *new = new_child(task, len);
	if (!new) {
		return task_fail(task, PM_ENOMEM);
	}
	new->fn = fn;
	if (len) {
		memcpy(new->arg, arg, len);
	}
	adopt(task, new);
	if (child) {
		*child = new;
	}
	return 0;
}

/* ---------------------------------------------------------------- the end */

static void free_child(struct pm_task *task)
{
	struct child *child = task->child;
	list_remove(&child->parent->family->ended, &child->sibling);
	free(child);
	runner_free_task(task);
}

/* As the master makes them: a success has bytes, though there may be none. */
static void fill_outcome(struct pm_task *task)
{
	struct pm_result *r = &task->child->outcome;
	const char *text = task->failure.error ? NULL : buf_text(&task->result);
	if (!task->failure.error && !text) {
		(void)task_fail(task, PM_ENOMEM);
	}
	r->worker = (int)worker_slot();
	r->attempts = task->attempt;
	r->error = task->failure.error;
	r->domain = task->failure.domain;
	r->code = task->failure.code;
	r->message = r->error ? task->failure.message : NULL;
	r->bytes = text ? task->result.data : NULL;
	r->len = text ? task->result.len : 0;
}

void child_ended(struct pm_task *task)
{
	struct child *child = task->child;
	struct pm_task *parent = child->parent;
	struct family *family = parent->family;
	task->state = TASK_ENDED;
	fill_outcome(task);
	runner_release(task);
	list_remove(&family->live, &child->sibling);
	list_push_back(&family->ended, &child->sibling);
	child->root->family->tree_ct--;
	if (child->wait) {
		child_wait_note(child, task->failure.error);
	} else if (child->released) {
		free_child(task);
	}
	if (family->closing && list_empty(&family->live)) {
		family->closing = false;
		task_wake(parent);
	}
}

/* One turn of the list: a child that ends at once leaves it, and the host's code
 * that is told to stop may end others. */
static void cancel_all(struct family *family)
{
	struct list_node *n;
	size_t ct = family->live.ct;
	for (; ct > 0 && (n = list_pop_front(&family->live)); ct--) {
		struct child *child = list_entry(n, struct child, sibling);
		list_push_back(&family->live, n);
		task_cancel(child->self);
	}
}

void family_end(struct pm_task *task)
{
	struct family *family = task->family;
	struct list_node *n;
	cancel_all(family);
	if (!list_empty(&family->live)) {
		family->closing = true;
		task_stay(task, NULL, NULL);
	}
	while ((n = list_first(&family->ended))) {
		free_child(list_entry(n, struct child, sibling)->self);
	}
	task->family = NULL;
	free(family);
}

/* ------------------------------------------------------------ about a child */

const struct pm_result *pm_child_result(const pm_task *child)
{
	return child->state == TASK_ENDED ? &child->child->outcome : NULL;
}

void pm_child_cancel(pm_task *child)
{
	task_cancel(child);
}

/* One that somebody waits for stays until its parent has ended: the wait, and who
 * called it, still look at it. */
void child_let_go(struct pm_task *task)
{
	task->child->released = true;
	if (task->state == TASK_ENDED && !task->child->wait) {
		free_child(task);
	}
}

void pm_child_free(pm_task *child)
{
	if (child && child->state != TASK_ENDED) {
		child->child->released = true;
		task_cancel(child); /* it may be gone now */
	} else if (child) {
		child_let_go(child);
	}
}
