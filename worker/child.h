/* SPDX-License-Identifier: MIT
 *
 * child - the tasks that tasks start.
 *
 * Runs in: the worker.  A child is a struct pm_task with a parent.  It belongs to the
 * parent, until that has ended, and carries the identity of the job at the root of
 * its tree: what it does is done by the job.
 *
 * Whose memory: a child that has ended keeps its outcome, and no more, until the
 * parent ends or gives it back.
 */
#ifndef WORKER_CHILD_H
#define WORKER_CHILD_H

#include "worker/runner.h"

struct child_wait; /* of child_wait.c */

/* What a child has and a job has not. */
struct child {
	struct list_node sibling; /* in a list of the parent's family */
	struct pm_task *self, *parent, *root;
	struct child_wait *wait; /* the parent waits for it; NULL: not now */
	size_t wait_places;      /* of that wait that it has */
	bool released;           /* nobody asks for its outcome */
	struct pm_result outcome;
};

/* What a task with children has. */
struct family {
	struct list live, ended; /* struct child, by sibling */
	size_t tree_ct;          /* of a job: children in its whole tree that live */
	bool closing;            /* the task waits for the end of the last one */
};

/* The job that this task is, or belongs to. */
static inline struct pm_task *task_root(struct pm_task *task)
{
	return task->child ? task->child->root : task;
}

/* The function of a task with a family has returned: cancel its children, wait for
 * their end, free them.  On the task's stack. */
void family_end(struct pm_task *task);

/* A child has ended, its outcome is known.  It may be freed by this. */
void child_ended(struct pm_task *task);

/* It goes on without anybody who asks for it, and is freed at its end. */
void child_let_go(struct pm_task *task);

/* A child that somebody waits for has ended. */
void child_wait_note(const struct child *child, int error);

#endif
