/* SPDX-License-Identifier: MIT
 *
 * lane - the lanes of one map: which of its jobs may begin next.
 *
 * Runs in: the master; one struct lanes per map that has limits or retries.  No I/O,
 * and the time is a parameter.
 *
 * A job of such a map is
 *
 *     waiting   in its lane, for its turn
 *     begun     with a worker (or queued again because that was lost)
 *     resting   for some time before it runs again
 *
 * Of the lanes that may begin a job now, the one with the fewest begun ones goes
 * first: so each gets its share of the workers, however many jobs it has and however
 * long they take.  What a lane may not do yet is bound to a time; lanes_next_us()
 * says when to look again.
 */
#ifndef MASTER_LANE_H
#define MASTER_LANE_H

#include "common/list.h"
#include "common/poolmap.h"
#include "master/heap.h"
#include "master/ledger.h"

/* Lanes with so many begun jobs or more count as equally busy. */
enum { LANE_BUCKETS = 256 };

struct lane {
	struct list_node link; /* in the bucket of its begun jobs */
	bool linked;
	unsigned bucket;
	struct due due;    /* it may begin nothing before */
	struct lane *next; /* of the same hash */
	uint64_t hash;
	struct pm_lane_limits limits;
	struct list waiting; /* jobs */
	size_t begun_ct;
	size_t resting_ct;
	uint64_t next_us;   /* none begins before, by its rate */
	uint64_t paused_us; /* nor before */
	size_t name_len;
	char name[]; /* ends with a NUL */
};

struct lanes {
	double rate; /* of all together; 0: none */
	uint64_t next_us;
	struct lane **table; /* by hash; a power of two */
	size_t cap, ct;
	struct list ready[LANE_BUCKETS]; /* lanes that may begin a job, by begun_ct */
	struct heap due_lanes;
	struct heap due_jobs;
	size_t waiting_ct; /* jobs */
	size_t begun_ct;
};

void lanes_init(struct lanes *l, double rate);
void lanes_fini(struct lanes *l); /* frees no jobs */

/* The lane of this name; *is_new: it has no job yet, or has none any more.  NULL: no
 * memory. */
struct lane *lanes_get(struct lanes *l, const char *name, size_t len, bool *is_new);

/* The same, but only if it has jobs. */
struct lane *lanes_find(const struct lanes *l, const char *name, size_t len);

/* May it begin a job now? */
static inline bool lane_is_ready(const struct lane *lane)
{
	return lane->linked;
}

/* Its limits have changed: another rate counts from now on. */
void lane_set(struct lanes *l, struct lane *lane, const struct pm_lane_limits *limits,
	uint64_t now_us);

/* It begins nothing before `until_us`. */
void lane_pause(struct lanes *l, struct lane *lane, uint64_t until_us, uint64_t now_us);

/* A job enters its lane (QUEUED). */
void lanes_add(struct lanes *l, struct lane *lane, struct job *job, uint64_t now_us);

/* The job that may begin now; NULL: none.  And it does. */
struct job *lanes_first(struct lanes *l, uint64_t now_us);
/* The same, but only the job of this index, which is the oldest of all. */
struct job *lanes_first_at(struct lanes *l, uint64_t index, uint64_t now_us);
void lanes_begin(struct lanes *l, struct job *job, uint64_t now_us);

/* A begun job is to run again, at `at_us`; its state is QUEUED then.  0 or
 * PM_ENOMEM. */
int lanes_rest(struct lanes *l, struct job *job, uint64_t at_us, uint64_t now_us);

/* A job leaves, wherever it was. */
void lanes_leave(struct lanes *l, struct job *job, uint64_t now_us);

/* Let go what is due. */
void lanes_turn(struct lanes *l, uint64_t now_us);

/* When something will be due, after `now_us`; UINT64_MAX: nothing by itself. */
uint64_t lanes_next_us(const struct lanes *l, uint64_t now_us);

#endif
