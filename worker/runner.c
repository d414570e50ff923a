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
#include <stdlib.h>
#include <string.h>

#include "common/blackbox.h"
#include "common/clock.h"
#include "worker/fetch.h"
#include "worker/fiber.h"
#include "worker/leak.h"
#include "worker/life.h"
#include "worker/tcp_owned.h"

/* A fiber with its place in the pool of those that have no task. */
struct seat {
	struct list_node link;
	struct fiber *fiber;
	struct pm_task *task; /* that it is running or keeps; NULL: idle */
};

/* Idle stacks over the concurrency that are kept: children come in waves. */
enum { SPARE_SEATS = 256 };

/* Without memory for a stack, the next try comes after so long, or when a task ends. */
enum { STARVED_US = 100000 };

static struct blackbox no_blackbox; /* until there is one that somebody reads */

static struct {
	unsigned concurrency;
	size_t stack_bytes;
	runner_done_fn *done;
	struct list queued;  /* jobs */
	struct list spawned; /* children that have not begun */
	struct list ready;   /* tasks */
	struct list parked;  /* tasks */
	struct list idle;    /* seats */
	unsigned started_ct;
	bool starved; /* no memory for one more stack, a moment ago */
	uint64_t starved_at_us;
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

void runner_release(struct pm_task *task)
{
	fetch_task_end(task);
	tcp_task_end(task);
	if (task->deferral) {
		deferral_free(task);
	}
	buf_fini(&task->emits);
}

void runner_free_task(struct pm_task *task)
{
	buf_fini(&task->result);
	free(task);
}

void runner_queue(struct pm_task *task)
{
	task->state = TASK_QUEUED;
	task->ordinal = self.queued_ct++;
	list_push_back(&self.queued, &task->link);
}

void runner_spawn(struct pm_task *task)
{
	task->state = TASK_QUEUED;
	list_push_back(&self.spawned, &task->link);
}

/* The outcome is known. */
static void finish(struct pm_task *task)
{
	if (task->child) {
		child_ended(task);
		return;
	}
	self.done(task);
	runner_release(task);
	runner_free_task(task);
}

static void finish_unbegun(struct pm_task *task, int error)
{
	ending_unbegun(task, error);
	finish(task);
}

/* ------------------------------------------------------------------ fibers */

static bool job_may_start(bool may_start)
{
	return may_start && self.started_ct < self.concurrency &&
	       !list_empty(&self.queued);
}

/* Children first: a job waits for them that has begun. */
static struct pm_task *next_task(void)
{
	struct list_node *n = list_pop_front(&self.spawned);
	if (!n && job_may_start(self.may_start)) {
		n = list_pop_front(&self.queued);
	}
	return n ? list_entry(n, struct pm_task, link) : NULL;
}

/* For the master, should this process die now.  Relaxed: what counts is what a
 * dead process has written, in the order of its program. */
static void put_on_cpu(const struct pm_task *task)
{
	atomic_store_explicit(
		&self.blackbox->current, task ? task->id : 0, memory_order_relaxed);
}

uint64_t runner_blame(const struct pm_task *task)
{
	uint64_t before =
		atomic_load_explicit(&self.blackbox->current, memory_order_relaxed);
	put_on_cpu(task);
	return before;
}

void runner_blame_back(uint64_t before)
{
	atomic_store_explicit(&self.blackbox->current, before, memory_order_relaxed);
}

static void begin_job(struct pm_task *task)
{
	task->started_at_us = clock_now_us();
	self.started_ct++;
	leak_begin(task);
}

/* The master has taken it back; or this very worker may have it again, under the same
 * id, behind this one. */
static bool is_stale(const struct pm_task *task)
{
	return task->state == TASK_QUEUED && !task->child &&
	       blackbox_epoch(self.blackbox) != task->epoch;
}

/* Another one has it. */
static void drop(struct pm_task *task)
{
	runner_release(task);
	runner_free_task(task);
}

static void run_one(struct seat *seat, struct pm_task *task)
{
	if (!task->child &&
		!blackbox_begin(self.blackbox, task->epoch, task->ordinal)) {
		drop(task);
		return;
	}
	seat->task = task;
	task->seat = seat;
	task->state = TASK_RUNNING;
	if (!task->child) {
		begin_job(task);
	}
	put_on_cpu(task);
	ending_run(task, task->fn(task, task->arg, task->arg_len));
	self.started_ct -= task->child ? 0 : 1;
	self.starved = false;
	seat->task = NULL;
	finish(task);
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
			list_push_front(&self.idle, &seat->link); /* warm */
			fiber_leave(seat->fiber);
		}
	}
}

static void free_seat(struct list_node *n)
{
	struct seat *seat = list_entry(n, struct seat, link);
	list_remove(&self.idle, n);
	fiber_free(seat->fiber);
	free(seat);
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
	return !list_empty(&self.spawned) ||
	       (!self.starved && job_may_start(may_start));
}

bool runner_has_work(bool may_start)
{
	return !list_empty(&self.ready) || can_start(may_start);
}

/* A job that fails has had its turn, so that the master does not take it back. */
static void fail_unbegun(struct pm_task *task, int error)
{
	if (!task->child &&
		!blackbox_begin(self.blackbox, task->epoch, task->ordinal)) {
		drop(task);
	} else {
		finish_unbegun(task, error);
	}
}

/* No memory for a stack.  A job waits until a task ends and leaves its own; when
 * there is none, the one that cannot start fails.  A child fails at once: those that
 * have stacks may all be waiting for it. */
static void on_no_seat(void)
{
	struct list_node *n = list_pop_front(&self.spawned);
	if (!n && self.started_ct == 0) {
		n = list_pop_front(&self.queued);
	}
	self.starved = self.started_ct > 0;
	self.starved_at_us = clock_now_us();
	if (n) {
		fail_unbegun(list_entry(n, struct pm_task, link), PM_ENOMEM);
	}
}

static void start_some(bool may_start)
{
	while (can_start(may_start)) {
		struct seat *seat = take_seat();
		if (seat) {
			fiber_enter(seat->fiber);
		} else {
			on_no_seat();
		}
	}
}

/* The coldest ones, and not all at once. */
static void trim_seats(void)
{
	size_t kept = (size_t)self.concurrency + SPARE_SEATS;
	for (int i = 0; i < 64 && self.idle.ct > kept; i++) {
		free_seat(self.idle.head.prev);
	}
}

bool runner_turn(bool may_start)
{
	bool work = runner_has_work(may_start);
	self.may_start = may_start;
	if (self.starved && clock_now_us() - self.starved_at_us > STARVED_US) {
		self.starved =
			false; /* no task may ever end, and yet there is memory */
	}
	resume_ready();
	start_some(may_start);
	trim_seats();
	return work;
}

/* ----------------------------------------------------------------- waiting */

static int fail_cancelled(struct pm_task *task)
{
	return task_set_failure(task, PM_ECANCELLED, PM_DOMAIN_NONE, 0, "cancelled");
}

/* Leave the CPU, until the task is ready again. */
static void suspend(struct pm_task *task, void (*cancel_wait)(void *ctx), void *ctx)
{
	assert(task->state == TASK_RUNNING);
	task->cancel_wait = cancel_wait;
	task->wait_ctx = ctx;
	task->state = TASK_PARKED;
	list_push_back(&self.parked, &task->link);
	if (task->timeout_ms && !task->deadline && !task->ending) {
		deadline_start(task);
	}
	put_on_cpu(NULL);
	fiber_leave(task->seat->fiber);
}

int task_park(struct pm_task *task, void (*cancel_wait)(void *ctx), void *ctx)
{
	assert(task->state == TASK_RUNNING);
	if (task->cancelled) {
		cancel_wait(ctx);
		return fail_cancelled(task);
	}
	suspend(task, cancel_wait, ctx);
	if (!task->cancel_wait) {
		return fail_cancelled(task);
	}
	task->cancel_wait = NULL;
	return 0;
}

void task_stay(struct pm_task *task, void (*on_cancel)(void *ctx), void *ctx)
{
	task->stays = true;
	suspend(task, on_cancel, ctx);
	task->stays = false;
	task->cancel_wait = NULL;
}

void task_wake(struct pm_task *task)
{
	assert(task->state == TASK_PARKED);
	list_remove(&self.parked, &task->link);
	task->state = TASK_READY;
	list_push_back(&self.ready, &task->link);
}

static void cancel_parked(struct pm_task *task)
{
	void (*cancel_wait)(void *ctx) = task->cancel_wait;
	task->cancel_wait = NULL; /* tells task_park() what happened */
	if (cancel_wait) {
		cancel_wait(task->wait_ctx);
	}
	if (!task->stays) {
		task_wake(task);
	}
}

void task_cancel(struct pm_task *task)
{
	if (task->cancelled || task->state == TASK_ENDED) {
		return;
	}
	task->cancelled = true; /* its next wait will tell it */
	if (task->state == TASK_QUEUED) {
		list_remove(task->child ? &self.spawned : &self.queued, &task->link);
		finish_unbegun(task, PM_ECANCELLED);
	} else if (task->state == TASK_PARKED) {
		cancel_parked(task);
	}
}

static struct pm_task *find(struct list *list, uint64_t id)
{
	struct list_node *n = list->head.next;
	for (; n != &list->head; n = n->next) {
		struct pm_task *task = list_entry(n, struct pm_task, link);
		if (task->id == id && !task->child && !is_stale(task)) {
			return task;
		}
	}
	return NULL;
}

bool runner_cancel(uint64_t id)
{
	struct pm_task *task = find(&self.queued, id);
	task = task ? task : find(&self.parked, id);
	task = task ? task : find(&self.ready, id);
	if (task) {
		task_cancel(task);
	}
	return task != NULL;
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* Only collected: what a cancellation calls may change the lists. */
static void collect(struct list *list, const uint64_t *ids, size_t ct,
	struct pm_task **to, size_t *at)
{
	struct list_node *n = list->head.next;
	for (; n != &list->head && *at < ct; n = n->next) {
		struct pm_task *task = list_entry(n, struct pm_task, link);
		if (!task->child && !is_stale(task) &&
			bsearch(&task->id, ids, ct, sizeof *ids, compare_ids)) {
			to[(*at)++] = task;
		}
	}
}

static void cancel_one_by_one(const uint64_t *ids, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		(void)runner_cancel(ids[i]);
	}
}

/* A job ends by this only while it is queued, and then by its own cancellation: the
 * others stay where they are. */
void runner_cancel_all(uint64_t *ids, size_t ct)
{
	struct pm_task **found = ct > 1 ? calloc(ct, sizeof(struct pm_task *)) : NULL;
	size_t found_ct = 0;
	if (!found) {
		cancel_one_by_one(ids, ct);
		return;
	}
	qsort(ids, ct, sizeof *ids, compare_ids);
	collect(&self.queued, ids, ct, found, &found_ct);
	collect(&self.parked, ids, ct, found, &found_ct);
	collect(&self.ready, ids, ct, found, &found_ct);
	for (size_t i = 0; i < found_ct; i++) {
		task_cancel(found[i]);
	}
	free(found);
}

/* -------------------------------------------------------------------- init */

void runner_init(unsigned concurrency, size_t stack_bytes, runner_done_fn *done)
{
	self.concurrency = concurrency;
	self.stack_bytes = stack_bytes;
	self.done = done;
	self.blackbox = &no_blackbox;
	list_init(&self.queued);
	list_init(&self.spawned);
	list_init(&self.ready);
	list_init(&self.parked);
	list_init(&self.idle);
}

void runner_fini(void)
{
	struct list_node *n;
	while ((n = list_pop_front(&self.queued))) {
		struct pm_task *task = list_entry(n, struct pm_task, link);
		runner_release(task);
		runner_free_task(task);
	}
	while ((n = list_first(&self.idle))) {
		free_seat(n);
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
