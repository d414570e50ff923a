/* SPDX-License-Identifier: MIT
 *
 * runner - runs tasks on fibers: the scheduler of one worker.
 *
 * Runs in: the worker.  Called by intake (new jobs), by link (cancellation) and
 * by every await (task_park, task_wake).  Knows nothing of sockets or HTTP.
 *
 * A task that never waits is an ordinary call on the fiber that is running
 * already; only a task that waits takes that fiber with it, and the next job
 * starts on another one.
 */
#ifndef WORKER_RUNNER_H
#define WORKER_RUNNER_H

#include "common/buf.h"
#include "common/list.h"
#include "common/poolmap.h"

struct blackbox;
struct seat;

enum task_state {
	TASK_QUEUED,  /* not started */
	TASK_RUNNING, /* on the CPU */
	TASK_PARKED,  /* waits for an event */
	TASK_READY,   /* its event came, it waits for the CPU */
	TASK_ENDED,   /* a child that its parent still has */
};

/* One job in this worker, or a child of one: that has the identity of its job. */
struct pm_task {
	/* identity */
	uint64_t id;
	uint32_t attempt;
	uint32_t timeout_ms; /* 0: none */
	uint32_t epoch;      /* see blackbox.h */
	pm_task_fn *fn;
	uint64_t ordinal; /* its place among the tasks of this process, from 0 */
	uint64_t queued_at_us;
	uint64_t started_at_us;

	/* state */
	struct list_node link; /* in the list of its state */
	enum task_state state;
	bool cancelled;
	bool timed_out;                 /* that was its deadline */
	bool ending;                    /* its function has returned */
	bool stays;                     /* parked by task_stay() */
	struct seat *seat;              /* the fiber it runs on, see runner.c */
	void (*cancel_wait)(void *ctx); /* while parked: how to stop waiting */
	void *wait_ctx;

	/* what most tasks have not: NULL */
	struct event *deadline;            /* of deadline.c */
	struct deferral *deferral;         /* of defer.c */
	struct family *family;             /* of child.c: its children */
	struct child *child;               /* of child.c: it is one */
	struct buf emits;                  /* of emit.c: jobs that it adds */
	struct pm_response *last_response; /* of fetch.c, freed by it */
	struct pm_response *responses;     /* of fetch.c, all that the task owns */
	struct tcp_owned *tcp;             /* of tcp_owned.c, the same */

	/* the argument's length, and the outcome */
	size_t arg_len;
	struct buf result;
	struct pm_failure failure;

	/* the argument, followed by a NUL */
	_Alignas(max_align_t) unsigned char arg[];
};

/* Suspend the running task until task_wake().  Returns 0, or PM_ECANCELLED when
 * the job was cancelled: then `cancel_wait(ctx)` has been called, once, and no
 * wake-up will come.  If the job is cancelled already it calls
 * cancel_wait(ctx) and returns PM_ECANCELLED at once. */
int task_park(
	struct pm_task *task, void (*cancel_wait)(void *ctx), void *ctx) PM_MUSTCHECK;

/* Suspend the running task until task_wake(), which must come: a cancellation does
 * not end this wait.  If the job is cancelled meanwhile, on_cancel(ctx) is called
 * (unless NULL), once, and may wake the task; if it is cancelled already, it is not
 * called. */
void task_stay(struct pm_task *task, void (*on_cancel)(void *ctx), void *ctx);

/* Let a parked task go on at the end of this turn of the loop.  Called from
 * loop callbacks, exactly once per park. */
void task_wake(struct pm_task *task);

/* Tell a task or a child to stop: one that has not begun ends at once, one that
 * waits is woken with PM_ECANCELLED. */
void task_cancel(struct pm_task *task);

/* Record why an await failed, with a message that is cut between characters when
 * it is too long, and may be the one that is recorded already.  Returns `error`,
 * for `return task_set_failure(...)`. */
int task_set_failure(
	struct pm_task *task, int error, int domain, int code, const char *message);
/* The same with nothing more to say than the sentence on the error. */
int task_fail(struct pm_task *task, int error);

/* A text that fills the `size` bytes that it stands in has been cut: then it ends at
 * the end of its last whole character. */
void failure_cut(char *text, size_t size);

/* ---- the scheduler, called by the other modules of the worker */

/* Called once per job when it has ended, from the task's own fiber or from
 * runner_cancel(); it reads the outcome and must not keep the task. */
typedef void runner_done_fn(struct pm_task *task);

/* `concurrency` tasks at once, each on a stack of `stack_bytes`. */
void runner_init(unsigned concurrency, size_t stack_bytes, runner_done_fn *done);
void runner_fini(void);

/* Write down in this black box what has begun and what is on the CPU. */
void runner_use_blackbox(struct blackbox *blackbox);

/* A new task with room for its argument, to be filled and queued; NULL: no
 * memory.  It belongs to the runner from runner_queue() on. */
struct pm_task *runner_new_task(size_t arg_len);
void runner_queue(struct pm_task *task);

/* The same for a child: it starts whatever the concurrency. */
void runner_spawn(struct pm_task *task);

/* Give back what a task has; that of a child goes in two steps: what it used, at
 * its end, and itself. */
void runner_release(struct pm_task *task);
void runner_free_task(struct pm_task *task);

/* Run what is ready and start what is queued, while fewer than `concurrency`
 * are under way and `may_start` holds.  Returns true when something was run. */
bool runner_turn(bool may_start);

/* Cancel the job with this id, see task_cancel().  False: there is none. */
bool runner_cancel(uint64_t id);

/* Cancel all of these, as far as they are there, with one look at each task.  Sorts
 * the ids. */
void runner_cancel_all(uint64_t *ids, size_t ct);

/* Code of this task runs now, or none (NULL) as far as is known: whom to blame
 * should the process die.  Returns what runner_blame_back() wants. */
uint64_t runner_blame(const struct pm_task *task);
void runner_blame_back(uint64_t before);

unsigned runner_started_ct(void); /* jobs that have begun and not ended */
unsigned runner_held_ct(void);    /* these and the queued ones */

/* Can runner_turn() do something now? */
bool runner_has_work(bool may_start);

/* ---- what the process that is this worker has: there is exactly one */

struct event_base *worker_base(void);
unsigned worker_slot(void);
unsigned worker_concurrency(void); /* tasks that may run at once here */
size_t worker_max_bytes(void);     /* of a result */

#endif
