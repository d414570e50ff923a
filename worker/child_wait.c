/* SPDX-License-Identifier: MIT
 *
 * child_wait - waiting for children: pm_gather(), pm_wait_children(),
 * pm_wait_children_count(), pm_await_child().
 *
 * Runs in: the worker, on the stack of the task that waits; children that end and
 * the timer call in from elsewhere.  A task waits for its own children only, so each
 * has one wait at most, and each end costs the same, however many there are.
 */
#include <event2/event.h>
#include <stdio.h>

#include "worker/child.h"

struct child_wait {
	struct pm_task *task;
	enum pm_wait_for what;
	size_t left;     /* children that have not ended */
	size_t ended_ct; /* places whose children have */
	size_t enough;   /* so many of them end it */
	bool failed;     /* one has */
	bool parked;     /* somebody has to wake the task */
	bool timed_out;
};

static bool is_over(const struct child_wait *w)
{
	return w->left == 0 || w->ended_ct >= w->enough ||
	       (w->what == PM_FIRST_ERROR && w->failed);
}

static void wake(struct child_wait *w)
{
	if (w->parked) {
		w->parked = false;
		task_wake(w->task);
	}
}

static void count_end(struct child_wait *w, size_t places, int error)
{
	w->ended_ct += places;
	w->failed = w->failed || error < 0;
}

void child_wait_note(const struct child *child, int error)
{
	struct child_wait *w = child->wait;
	w->left--;
	count_end(w, child->wait_places, error);
	if (is_over(w)) {
		wake(w);
	}
}

/* Several places may have the same child.  One that has ended is enlisted, too:
 * somebody else may give it back while we wait for the others, and we look at it again.
 */
static void enlist(struct child_wait *w, pm_task *const *children, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		struct child *child = children[i]->child;
		if (children[i]->state == TASK_ENDED) {
			count_end(w, 1, child->outcome.error);
		} else if (!child->wait) {
			child->wait_places = 1;
			w->left++;
		} else {
			child->wait_places++;
		}
		child->wait = w;
	}
}

static void delist(pm_task *const *children, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		children[i]->child->wait = NULL;
	}
}

static size_t place(const struct child_wait *w, pm_task *const *children, size_t ct)
{
	size_t found = ct;
	for (size_t i = 0; i < ct; i++) {
		if (children[i]->state != TASK_ENDED) {
			continue;
		}
		if (w->what != PM_FIRST_ERROR || children[i]->child->outcome.error) {
			return i;
		}
		found = found == ct ? i : found;
	}
	return found;
}

/* ------------------------------------------------------------------ waiting */

static void over_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct child_wait *w = ctx;
	(void)fd;
	(void)what;
	w->timed_out = true;
	wake(w);
}

/* The task is woken by who cancels it. */
static void stop_waiting(void *ctx)
{
	struct child_wait *w = ctx;
	w->parked = false;
}

static int fail_late(struct pm_task *task, int timeout_ms)
{
	char text[64];
	snprintf(text, sizeof text, "children ran for more than %d ms", timeout_ms);
	return task_set_failure(task, PM_ETIMEDOUT, PM_DOMAIN_NONE, 0, text);
}

static int wait_with_timer(struct child_wait *w, struct event *timer, int timeout_ms)
{
	struct timeval tv = {
		.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};
	if (timer && evtimer_add(timer, &tv) < 0) {
		return task_fail(w->task, PM_ENOMEM);
	}
	w->parked = true;
	int err = task_park(w->task, stop_waiting, w);
	return err || !w->timed_out || is_over(w) ? err
						  : fail_late(w->task, timeout_ms);
}

static int wait(struct child_wait *w, int timeout_ms)
{
	if (timeout_ms < 0) {
		return wait_with_timer(w, NULL, timeout_ms);
	}
	if (timeout_ms == 0) {
		return fail_late(w->task, 0);
	}
	struct event *timer = evtimer_new(worker_base(), over_cb, w);
	if (!timer) {
		return task_fail(w->task, PM_ENOMEM);
	}
	int err = wait_with_timer(w, timer, timeout_ms);
	event_free(timer);
	return err;
}

/* ---------------------------------------------------------------- interface */

static int check(
	struct pm_task *task, pm_task *const *children, size_t ct, const char *wrong)
{
	if (ct && !children) {
		wrong = "a wait for children makes no sense";
	}
	for (size_t i = 0; i < ct && !wrong; i++) {
		if (!children[i] || !children[i]->child ||
			children[i]->child->parent != task) {
			wrong = "a task can wait for its own children only";
		}
	}
	return wrong ? task_set_failure(task, PM_EINVAL, PM_DOMAIN_NONE, 0, wrong) : 0;
}

static int wait_for(struct child_wait *w, pm_task *const *children, size_t ct,
	int timeout_ms, size_t *which)
{
	if (w->task->cancelled) {
		return task_set_failure(
			w->task, PM_ECANCELLED, PM_DOMAIN_NONE, 0, "cancelled");
	}
	enlist(w, children, ct);
	int err = is_over(w) ? 0 : wait(w, timeout_ms);
	if (!err && which) {
		*which = place(w, children, ct);
	}
	delist(children, ct);
	return err;
}

int pm_wait_children(pm_task *task, pm_task *const *children, size_t ct,
	enum pm_wait_for what, int timeout_ms, size_t *which)
{
	struct child_wait w = {
		.task = task, .what = what, .enough = what == PM_ANY ? 1 : SIZE_MAX};
	const char *wrong = NULL;
	if ((unsigned)what > PM_FIRST_ERROR) {
		wrong = "a wait for children makes no sense";
	} else if (what == PM_ANY && !ct) {
		wrong = "there is no child to wait for";
	}
	int err = check(task, children, ct, wrong);
	return err ? err : wait_for(&w, children, ct, timeout_ms, which);
}

int pm_wait_children_count(pm_task *task, pm_task *const *children, size_t ct,
	size_t count, int timeout_ms)
{
	struct child_wait w = {.task = task, .what = PM_ALL, .enough = count};
	int err = check(task, children, ct,
		count > ct ? "there are not so many children to wait for" : NULL);
	return err ? err : wait_for(&w, children, ct, timeout_ms, NULL);
}

int pm_gather(pm_task *task, pm_task *const *children, size_t ct)
{
	return pm_wait_children(task, children, ct, PM_ALL, PM_FOREVER, NULL);
}

static int pass_on(struct pm_task *task, const struct pm_result *r)
{
	return r->error ? task_set_failure(
				  task, r->error, r->domain, r->code, r->message)
			: 0;
}

/* What it made of the cancellation counts: it may have succeeded all the same. */
static int cancel_and_wait(struct pm_task *task, struct pm_task *child, int timeout_ms)
{
	pm_child_cancel(child);
	int err = pm_gather(task, &child, 1);
	if (err) {
		return err;
	}
	const struct pm_result *r = pm_child_result(child);
	return r->error == PM_ECANCELLED ? fail_late(task, timeout_ms)
					 : pass_on(task, r);
}

int pm_await_child(pm_task *task, pm_task *child, int timeout_ms)
{
	int err = pm_wait_children(task, &child, 1, PM_ALL, timeout_ms, NULL);
	if (err == PM_ETIMEDOUT) {
		return cancel_and_wait(task, child, timeout_ms);
	}
	return err ? err : pass_on(task, pm_child_result(child));
}
