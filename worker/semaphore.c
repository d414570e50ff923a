/* SPDX-License-Identifier: MIT
 *
 * semaphore - at most so many tasks of a worker at one thing: pm_semaphore_*().
 *
 * Runs in: the worker.  Called by tasks; release and free by its callbacks, too.  A
 * permit that is released goes to the task that has waited longest, not to the one
 * that asks next: nobody starves.
 */
#include <stdlib.h>

#include "worker/runner.h"

struct pm_semaphore {
	size_t permits;      /* that nobody has */
	struct list waiting; /* struct turn; only while there is no permit */
};

/* A task that waits, on its stack. */
struct turn {
	struct list_node link;
	struct pm_task *task;
	struct pm_semaphore *semaphore;
	bool refused; /* the semaphore is gone */
};

pm_semaphore *pm_semaphore_new(unsigned permits)
{
	struct pm_semaphore *s = calloc(1, sizeof *s);
	if (s) {
		s->permits = permits;
		list_init(&s->waiting);
	}
	return s;
}

static void stop_waiting(void *ctx)
{
	struct turn *t = ctx;
	list_remove(&t->semaphore->waiting, &t->link);
}

static int fail_cancelled(struct pm_task *task, const char *why)
{
	return task_set_failure(task, PM_ECANCELLED, PM_DOMAIN_NONE, 0, why);
}

static int wait(struct pm_task *task, struct pm_semaphore *s)
{
	struct turn t = {.task = task, .semaphore = s};
	list_push_back(&s->waiting, &t.link);
	int err = task_park(task, stop_waiting, &t);
	return t.refused ? fail_cancelled(task, "the semaphore was freed") : err;
}

int pm_semaphore_acquire(pm_task *task, pm_semaphore *semaphore)
{
	if (task->cancelled) {
		return fail_cancelled(task, "cancelled");
	}
	if (semaphore->permits == 0) {
		return wait(task, semaphore);
	}
	semaphore->permits--;
	return 0;
}

static struct turn *next_turn(struct pm_semaphore *s)
{
	struct list_node *n = list_pop_front(&s->waiting);
	return n ? list_entry(n, struct turn, link) : NULL;
}

void pm_semaphore_release(pm_semaphore *semaphore)
{
	struct turn *t = next_turn(semaphore);
	if (t) {
		task_wake(t->task); /* the permit is its own now */
	} else {
		semaphore->permits++;
	}
}

void pm_semaphore_free(pm_semaphore *semaphore)
{
	struct turn *t;
	while (semaphore && (t = next_turn(semaphore))) {
		t->refused = true;
		task_wake(t->task);
	}
	free(semaphore);
}
