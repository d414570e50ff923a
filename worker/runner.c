/* SPDX-License-Identifier: MIT
 *
 * runner - runs tasks on fibers; see runner.h.
 *
 * A fiber takes one task after the other: while tasks end without waiting, one
 * fiber runs them all and nothing is switched.  A task that parks keeps its
 * fiber; the loop goes on with another one from the pool.
 */
#include "worker/runner.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/blackbox.h"
#include "common/clock.h"
#include "worker/fetch.h"
#include "worker/fiber.h"
#include "worker/tcp_owned.h"

/* A fiber with its place in the pool of those that have no task. */
struct seat {
	struct list_node link;
	struct fiber *fiber;
	struct pm_task *task; /* that it is running or keeps; NULL: idle */
};

static struct blackbox no_blackbox; /* until there is one that somebody reads */

static struct {
	unsigned concurrency;
	size_t stack_bytes;
	runner_done_fn *done;
	struct list queued; /* tasks */
	struct list ready;  /* tasks */
	struct list parked; /* tasks */
	struct list idle;   /* seats */
	unsigned started_ct;
	bool starved;       /* no memory for one more stack */
	uint64_t queued_ct; /* tasks that ever came */
	struct blackbox *blackbox;
	bool may_start; /* in this turn */
} self;

/* ------------------------------------------------------------------- tasks */

struct pm_task *runner_new_task(size_t arg_len)
{
	struct pm_task *task =
		arg_len < SIZE_MAX / 2 ? malloc(sizeof *task + arg_len + 1) : NULL;
	if (task) {
		/* not the message, which is long */
		memset(task, 0, offsetof(struct pm_task, failure.message) + 1);
		task->arg_len = arg_len;
		task->arg[arg_len] = '\0';
	}
	return task;
}

static void free_task(struct pm_task *task)
{
	fetch_task_end(task);
	tcp_task_end(task);
	buf_fini(&task->result);
	free(task);
}

void runner_queue(struct pm_task *task)
{
	task->state = TASK_QUEUED;
	task->ordinal = self.queued_ct++;
	list_push_back(&self.queued, &task->link);
}

/* Not by a whole struct: the message is long, and mostly unused. */
static void clear_failure(struct pm_task *task)
{
	task->failure.error = 0;
	task->failure.domain = PM_DOMAIN_NONE;
	task->failure.code = 0;
	task->failure.message[0] = '\0';
}

/* What the task returned, and what it did not say itself. */
static void conclude(struct pm_task *task, int error)
{
	if (error >= 0) {
		clear_failure(task);
		return;
	}
	if (task->failure.error != error) {
		(void)task_set_failure(
			task, error, PM_DOMAIN_NONE, 0, pm_error_text(error));
	}
}

static void finish(struct pm_task *task, int error)
{
	conclude(task, error);
	self.done(task);
	free_task(task);
}

/* ------------------------------------------------------------------ fibers */

static struct pm_task *next_task(void)
{
	if (!self.may_start || self.started_ct >= self.concurrency) {
		return NULL;
	}
	struct list_node *n = list_pop_front(&self.queued);
	return n ? list_entry(n, struct pm_task, link) : NULL;
}

/* For the master, should this process die now.  Relaxed: what counts is what a
 * dead process has written, in the order of its program. */
static void put_on_cpu(const struct pm_task *task)
{
	atomic_store_explicit(
		&self.blackbox->current, task ? task->id : 0, memory_order_relaxed);
}

static void run_one(struct seat *seat, struct pm_task *task)
{
	seat->task = task;
	task->seat = seat;
	task->state = TASK_RUNNING;
	task->started_at_us = clock_now_us();
	self.started_ct++;
	atomic_store_explicit(
		&self.blackbox->begun, task->ordinal + 1, memory_order_relaxed);
	put_on_cpu(task);
	int error = task->cancelled ? PM_ECANCELLED
				    : task->fn(task, task->arg, task->arg_len);
	self.started_ct--;
	self.starved = false;
	seat->task = NULL;
	finish(task, error);
	put_on_cpu(NULL);
}

/* What a fiber does all its life: tasks while there are any, then a rest. */
static void seat_entry(void *ctx)
{
	struct seat *seat = ctx;
	for (;;) {
		struct pm_task *task = next_task();
		if (task) {
			run_one(seat, task);
		} else {
			list_push_back(&self.idle, &seat->link);
			fiber_leave(seat->fiber);
		}
	}
}

static struct seat *take_seat(void)
{
	struct list_node *n = list_pop_front(&self.idle);
	if (n) {
		return list_entry(n, struct seat, link);
	}
	struct seat *seat = calloc(1, sizeof *seat);
	if (seat) {
		seat->fiber = fiber_new(self.stack_bytes, seat_entry, seat);
	}
	if (seat && !seat->fiber) {
		free(seat);
		seat = NULL;
	}
	return seat;
}

/* --------------------------------------------------------------- scheduler */

static void resume_ready(void)
{
	/* Only those that are ready now: one that parks and is woken at once
	 * comes in the next turn, after the events of others. */
	struct list_node *n;
	size_t ct = self.ready.ct;
	for (; ct > 0 && (n = list_pop_front(&self.ready)); ct--) {
		struct pm_task *task = list_entry(n, struct pm_task, link);
		task->state = TASK_RUNNING;
		put_on_cpu(task);
		fiber_enter(task->seat->fiber);
	}
}

static bool can_start(bool may_start)
{
	return may_start && !self.starved && !list_empty(&self.queued) &&
	       self.started_ct < self.concurrency;
}

bool runner_has_work(bool may_start)
{
	return !list_empty(&self.ready) || can_start(may_start);
}

/* No memory for a stack: wait until a task ends and leaves its own; or, when
 * there is none, fail the one that cannot start. */
static void on_no_seat(void)
{
	struct list_node *n = self.started_ct ? NULL : list_pop_front(&self.queued);
	self.starved = self.started_ct > 0;
	if (n) {
		finish(list_entry(n, struct pm_task, link), PM_ENOMEM);
	}
}

bool runner_turn(bool may_start)
{
	bool work = runner_has_work(may_start);
	self.may_start = may_start;
	resume_ready();
	while (can_start(may_start)) {
		struct seat *seat = take_seat();
		if (!seat) {
			on_no_seat();
			break;
		}
		fiber_enter(seat->fiber);
	}
	return work;
}

/* ----------------------------------------------------------------- waiting */

static int stop_waiting(struct pm_task *task, void (*cancel_wait)(void *ctx), void *ctx)
{
	cancel_wait(ctx);
	return task_set_failure(task, PM_ECANCELLED, PM_DOMAIN_NONE, 0, "cancelled");
}

int task_park(struct pm_task *task, void (*cancel_wait)(void *ctx), void *ctx)
{
	assert(task->state == TASK_RUNNING);
	if (task->cancelled) {
		return stop_waiting(task, cancel_wait, ctx);
	}
	task->cancel_wait = cancel_wait;
	task->wait_ctx = ctx;
	task->state = TASK_PARKED;
	list_push_back(&self.parked, &task->link);
	put_on_cpu(NULL);
	fiber_leave(task->seat->fiber);
	if (task->cancel_wait) {
		task->cancel_wait = NULL;
		return 0;
	}
	return task_set_failure(task, PM_ECANCELLED, PM_DOMAIN_NONE, 0, "cancelled");
}

void task_wake(struct pm_task *task)
{
	assert(task->state == TASK_PARKED);
	list_remove(&self.parked, &task->link);
	task->state = TASK_READY;
	list_push_back(&self.ready, &task->link);
}

static struct pm_task *find(struct list *list, uint64_t id)
{
	struct list_node *n = list->head.next;
	for (; n != &list->head; n = n->next) {
		struct pm_task *task = list_entry(n, struct pm_task, link);
		if (task->id == id) {
			return task;
		}
	}
	return NULL;
}

bool runner_cancel(uint64_t id)
{
	struct pm_task *task = find(&self.queued, id);
	if (task) {
		list_remove(&self.queued, &task->link);
		finish(task, PM_ECANCELLED);
		return true;
	}
	task = find(&self.parked, id);
	if (task) {
		task->cancelled = true;
		task->cancel_wait(task->wait_ctx);
		task->cancel_wait = NULL; /* tells task_park() what happened */
		task_wake(task);
		return true;
	}
	task = find(&self.ready, id);
	if (task) {
		task->cancelled = true; /* its next wait will tell it */
	}
	return task != NULL;
}

/* Only a text that fills its place can have been cut.  Then an incomplete UTF-8
 * character goes: its continuation bytes, and what led them. */
static void cut_text(char *text, size_t size)
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
	cut_text(f->message, sizeof f->message);
	return error;
}

/* -------------------------------------------------------------------- init */

void runner_init(unsigned concurrency, size_t stack_bytes, runner_done_fn *done)
{
	self.concurrency = concurrency;
	self.stack_bytes = stack_bytes;
	self.done = done;
	self.blackbox = &no_blackbox;
	list_init(&self.queued);
	list_init(&self.ready);
	list_init(&self.parked);
	list_init(&self.idle);
}

void runner_fini(void)
{
	struct list_node *n;
	while ((n = list_pop_front(&self.queued))) {
		free_task(list_entry(n, struct pm_task, link));
	}
	while ((n = list_pop_front(&self.idle))) {
		struct seat *seat = list_entry(n, struct seat, link);
		fiber_free(seat->fiber);
		free(seat);
	}
}

void runner_use_blackbox(struct blackbox *blackbox)
{
	self.blackbox = blackbox;
}

unsigned runner_started_ct(void)
{
	return self.started_ct;
}

unsigned runner_held_ct(void)
{
	return self.started_ct + (unsigned)self.queued.ct;
}
