/* SPDX-License-Identifier: MIT
 *
 * ledger - every open job of a pool: the truth about who holds what.
 *
 * Runs in: the master.  Sockets lose things; the ledger does not.  A job is
 *
 *     QUEUED  in `queue`, or in `suspects` when it may be what kills workers
 *     SENT    in the `held` list of one slot, for one generation and attempt
 *     DONE    its result is set; its waiter owns it now
 *
 *     QUEUED -> SENT -> DONE,  SENT -> QUEUED (worker lost),  QUEUED -> DONE
 *
 * ledger_move() is the only place that changes `state` and the list.  A job that must
 * have begun by a time is in `limits` until it is known to have, or is DONE.  Pure
 * bookkeeping: no I/O, no clock, no policy.
 */
#ifndef MASTER_LEDGER_H
#define MASTER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "common/poolmap.h"
#include "master/heap.h"

struct lane;
struct slot;
struct job;
struct proto_emit;

/* Who waits for a job's result: a map, or a future. */
struct waiter {
	/* The job is DONE, and the waiter's to free. */
	void (*settled)(struct waiter *waiter, struct job *job);
	/* A task of its has added a job.  0 or an enum pm_error, which fails the
	 * task's own job; NULL: there is no place for another job's result. */
	int (*emitted)(struct waiter *waiter, const struct proto_emit *emit);
	/* Its result is set, but it is not DONE: true, and it runs again.  NULL: it
	 * does not. */
	bool (*again)(struct waiter *waiter, struct job *job);
};

enum job_state { JOB_QUEUED, JOB_SENT, JOB_DONE };

struct job {
	/* identity */
	uint64_t id;           /* in the pool, never used twice */
	struct waiter *waiter; /* NULL: nobody wants the result any more */
	uint64_t index;        /* in its map */
	pm_task_fn *task;
	uint64_t queued_at_us;
	bool once;                 /* must not run twice */
	unsigned timeout_ms;       /* of one attempt; 0: none */
	unsigned queue_timeout_ms; /* until it begins; 0: none */
	uint64_t tag;

	/* state */
	enum job_state state;
	struct list *list; /* that it is in; NULL: none */
	struct list_node link;
	struct slot *slot;    /* SENT: who holds it; DONE: who did; or NULL */
	unsigned attempts;    /* times it was sent */
	uint64_t ordinal;     /* SENT: its place among those sent to this worker */
	unsigned blamed;      /* deaths of workers while it was on the CPU */
	unsigned deaths;      /* deaths while it had begun and none was */
	unsigned lone_deaths; /* of these, the ones in which it was alone */
	/* in its map's lanes, see lane.h */
	struct lane *lane; /* NULL: none */
	enum lane_state { LANE_WAITING, LANE_BEGUN, LANE_RESTING } lane_state;
	bool admitted;
	uint64_t begun_us; /* LANE_BEGUN; 0: it was taken back, and not sent again */
	struct due due;    /* LANE_RESTING */
	struct due limit;  /* in ledger.limits: it must have begun */

	int stop; /* the worker was told to stop it, and this is why; 0: it was not */

	/* result, when DONE; bytes and message are malloc'd, owned by the job */
	struct pm_result result;

	size_t arg_len;
	unsigned char arg[];
};

struct ledger {
	struct job **table; /* by the low half of an id */
	uint32_t *free_places;
	size_t cap, free_ct;
	uint32_t serial; /* of the next job, the high half of its id */
	struct list queue;
	struct list suspects;
	struct heap limits; /* jobs that must have begun, by the time */
	size_t open_ct;     /* jobs in the table */
	size_t live_ct;     /* of these, the ones that are not DONE */
};

void ledger_init(struct ledger *l);
void ledger_fini(struct ledger *l); /* frees all jobs, wherever they are */

/* Enter a job, QUEUED at the end of the queue.  Copies the argument.  0 or
 * PM_ENOMEM. */
int ledger_add(struct ledger *l, struct job **out, const void *arg, size_t len);

/* It must have begun by then: 0 or PM_ENOMEM.  And it has, or need not any more. */
int ledger_limit(struct ledger *l, struct job *job, uint64_t at_us);
void ledger_unlimit(struct ledger *l, struct job *job);

/* The next job that must have begun, if that is by now; NULL: none.  And when that will
 * be; UINT64_MAX: never. */
struct job *ledger_overdue(const struct ledger *l, uint64_t now_us);
uint64_t ledger_next_limit_us(const struct ledger *l);

/* The open job of this id; NULL: none, or none any more. */
struct job *ledger_find(const struct ledger *l, uint64_t id);

void ledger_send(struct job *job, struct list *held, struct slot *slot);
/* QUEUED in another list than the queue, before `at`, or, when that is NULL, at its
 * end; list NULL: in none. */
void ledger_wait(struct job *job, struct list *list, struct list_node *at);
/* Back to the front of the queue, or among the suspects. */
void ledger_requeue(struct ledger *l, struct job *job, bool suspect);
void ledger_settle(struct ledger *l, struct job *job);
void ledger_free(struct ledger *l, struct job *job);

/* Take it out without freeing it: the job is the caller's then, and outlives the
 * ledger.  And free such a one. */
void ledger_take_out(struct ledger *l, struct job *job);
void ledger_free_job(struct job *job);

#endif
