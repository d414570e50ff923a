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
 * first, however many jobs it has.  That alone would give a lane whose jobs take
 * seconds half of the places beside one whose jobs take milliseconds, which then
 * needs twice its time.  So it goes by pace:
 *
 *     quick     its jobs end within LANE_QUICK_US: they may wait at a worker
 *     usual     all others, also those of which nothing is known yet
 *     slow      its jobs take LANE_SLOW_TIMES as long as those of all lanes do on the
 *               average, or the first has taken longer than that
 *
 * While others have jobs to begin, each slow one has one place in LANE_SHARE, and all
 * together have no more than one in LANE_SLOW_SHARE.  No place comes free where jobs
 * wait at a worker: so the quick ones' do not while another lane has jobs to begin;
 * those of other maps see map_needs_place().
 *
 * A new lane begins one job for LANE_SHARE places until one has ended, for at most
 * LANE_PROOF_US: else a slow one would have half of the places before it is known.
 * That costs nothing when there is a place for every job that waits.
 *
 * What a lane may not do yet is bound to a time; lanes_next_us() says when to look
 * again.
 */
#ifndef MASTER_LANE_H
#define MASTER_LANE_H

#include "common/list.h"
#include "common/poolmap.h"
#include "master/heap.h"
#include "master/ledger.h"

enum {
	LANE_BUCKETS = 256, /* lanes with so many begun jobs are equally busy */
	LANE_SHARE =
		40, /* 3 of 128: 1,000 jobs in their own 8 rounds and a first one */
	LANE_SLOW_SHARE = 8,
	LANE_SLOW_TIMES = 4,
	LANE_QUICK_US = 20000, /* twice of what a job may wait at a worker, credit.h */
	LANE_PROOF_US = 500000,
};

enum lane_pace { PACE_QUICK, PACE_USUAL, PACE_SLOW, PACE_CT };

struct lane {
	struct list_node link; /* in the bucket of its pace and its begun jobs */
	bool linked;
	unsigned bucket;
	uint64_t turn; /* of its bucket, the lowest is first */
	enum lane_pace pace;
	uint64_t mean_us;  /* that its jobs take; 0: none has ended */
	uint64_t moved_us; /* when one has ended; or when it began, having none begun */
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
	size_t places;    /* jobs that the workers run at once */
	uint64_t mean_us; /* that the jobs of all lanes take; 0: none has ended */
	size_t slow_ct;   /* begun jobs of slow lanes */
	size_t slow_lane_ct;
	struct lane **table; /* by hash; a power of two */
	size_t cap, ct;
	struct list ready[PACE_CT][LANE_BUCKETS]; /* those that may begin a job */
	unsigned lowest[PACE_CT]; /* bucket: those before it are empty */
	uint64_t turns;
	struct heap due_lanes;
	struct heap due_jobs;
	size_t waiting_ct; /* jobs */
	size_t begun_ct;
};

void lanes_init(struct lanes *l, double rate, size_t places);
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

/* May its jobs wait at a worker?  When it is the only one, they stand in nobody's
 * way. */
static inline bool lane_may_queue(const struct lanes *l, const struct lane *lane)
{
	return l->ct <= 1 || lane->pace == PACE_QUICK;
}

/* Its limits have changed: another rate counts from now on. */
void lane_set(struct lanes *l, struct lane *lane, const struct pm_lane_limits *limits,
	uint64_t now_us);

/* It begins nothing before `until_us`. */
void lane_pause(struct lanes *l, struct lane *lane, uint64_t until_us, uint64_t now_us);

/* A job enters its lane (QUEUED). */
void lanes_add(struct lanes *l, struct lane *lane, struct job *job, uint64_t now_us);

/* The job that may begin now; NULL: none.  `at_once`: it has a place; else it may only
 * be one of a quick lane. */
struct job *lanes_first(struct lanes *l, bool at_once, uint64_t now_us);
/* The same, but only the job of this index, which is the oldest of all. */
struct job *lanes_first_at(
	struct lanes *l, uint64_t index, bool at_once, uint64_t now_us);
/* And it does begin. */
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
