/* SPDX-License-Identifier: MIT
 *
 * lane - the lanes of one map; see lane.h.
 */
#include "master/lane.h"

#include <stdlib.h>
#include <string.h>

#include "common/name_hash.h"

/* A timer comes late now and then; what was missed by less than that is made up
 * for, so that a rate is kept on the average. */
enum { TABLE_FIRST = 64, CATCH_UP_US = 20000 };

/* Of how many jobs a mean is taken, about. */
enum { MEAN_OF_LANE = 8, MEAN_OF_ALL = 64 };

/* Between two jobs, however small the rate: some 300 years. */
#define PERIOD_MAX_US 10000000000000000u

/* ------------------------------------------------------------------- table */

void lanes_init(struct lanes *l, double rate, size_t places)
{
	*l = (struct lanes){.rate = rate, .places = places};
	for (size_t i = 0; i < (size_t)PACE_CT * LANE_BUCKETS; i++) {
		list_init(&l->ready[i / LANE_BUCKETS][i % LANE_BUCKETS]);
	}
}

void lanes_fini(struct lanes *l)
{
	for (size_t i = 0; i < l->cap; i++) {
		while (l->table[i]) {
			struct lane *next = l->table[i]->next;
			free(l->table[i]);
			l->table[i] = next;
		}
	}
	free(l->table);
	heap_fini(&l->due_lanes);
	heap_fini(&l->due_jobs);
	lanes_init(l, 0, 0);
}

static bool grow(struct lanes *l)
{
	size_t cap = l->cap ? l->cap * 2 : TABLE_FIRST;
	struct lane **table = calloc(cap, sizeof(struct lane *));
	if (!table) {
		return l->cap > 0; /* longer chains have to do */
	}
	for (size_t i = 0; i < l->cap; i++) {
		struct lane *lane, *next;
		for (lane = l->table[i]; lane; lane = next) {
			next = lane->next;
			lane->next = table[lane->hash & (cap - 1)];
			table[lane->hash & (cap - 1)] = lane;
		}
	}
	free(l->table);
	l->table = table;
	l->cap = cap;
	return true;
}

/* It has no job; it may be there all the same, until its time has come. */
static bool is_idle(const struct lane *lane)
{
	return list_empty(&lane->waiting) && !lane->begun_ct && !lane->resting_ct;
}

static struct lane *look_up(const struct lanes *l, const char *name, size_t len)
{
	uint64_t hash = name_hash(name, len);
	struct lane *lane = l->cap ? l->table[hash & (l->cap - 1)] : NULL;
	while (lane && !(lane->hash == hash && lane->name_len == len &&
			       memcmp(lane->name, name, len) == 0)) {
		lane = lane->next;
	}
	return lane;
}

struct lane *lanes_find(const struct lanes *l, const char *name, size_t len)
{
	struct lane *lane = look_up(l, name, len);
	return lane && !is_idle(lane) ? lane : NULL;
}

struct lane *lanes_get(struct lanes *l, const char *name, size_t len, bool *is_new)
{
	struct lane *lane = look_up(l, name, len);
	*is_new = !lane || is_idle(lane);
	if (lane || (l->ct >= l->cap && !grow(l))) {
		return lane;
	}
	lane = calloc(1, sizeof *lane + len + 1);
	if (lane) {
		memcpy(lane->name, name, len);
		lane->name_len = len;
		lane->hash = name_hash(name, len);
		lane->pace = PACE_USUAL;
		list_init(&lane->waiting);
		struct lane **at = &l->table[lane->hash & (l->cap - 1)];
		lane->next = *at;
		*at = lane;
		l->ct++;
	}
	return lane;
}

static void forget(struct lanes *l, struct lane *lane)
{
	struct lane **at = &l->table[lane->hash & (l->cap - 1)];
	while (*at != lane) {
		at = &(*at)->next;
	}
	*at = lane->next;
	l->ct--;
	l->slow_lane_ct -= lane->pace == PACE_SLOW;
	free(lane);
}

/* -------------------------------------------------------------------- pace */

/* One place in so many, for what would take all of them if it could. */
static size_t share(const struct lanes *l, size_t of)
{
	return l->places > of ? l->places / of : 1;
}

static bool slow_ones_may_begin(const struct lanes *l)
{
	return l->slow_ct < share(l, LANE_SLOW_SHARE) &&
	       l->slow_ct < share(l, LANE_SHARE) * l->slow_lane_ct;
}

static void mean_add(uint64_t *mean, uint64_t took_us, unsigned of)
{
	uint64_t old = *mean ? *mean : took_us;
	*mean = (old * (of - 1) + took_us) / of;
	*mean += !*mean; /* 0 is for none */
}

/* A lane from which nothing has come for long is slow, whatever it was; and sooner,
 * when nothing has ever come: the others have ended in that time. */
static enum lane_pace pace_of(
	const struct lanes *l, const struct lane *lane, uint64_t now_us)
{
	bool waits = lane->begun_ct && now_us > lane->moved_us;
	uint64_t silent_us = waits ? now_us - lane->moved_us : 0;
	uint64_t took_us = lane->mean_us > silent_us ? lane->mean_us : silent_us;
	if (l->mean_us &&
		took_us > l->mean_us * (lane->mean_us ? LANE_SLOW_TIMES : 1)) {
		return PACE_SLOW;
	}
	return lane->mean_us && took_us < LANE_QUICK_US ? PACE_QUICK : PACE_USUAL;
}

/* The lane is in no bucket now. */
static void set_pace(struct lanes *l, struct lane *lane, enum lane_pace pace)
{
	l->slow_ct -= lane->pace == PACE_SLOW ? lane->begun_ct : 0;
	l->slow_ct += pace == PACE_SLOW ? lane->begun_ct : 0;
	l->slow_lane_ct -= lane->pace == PACE_SLOW;
	l->slow_lane_ct += pace == PACE_SLOW;
	lane->pace = pace;
}

/* When a new lane may begin more than its share; 0: now. */
static uint64_t proof_us(const struct lanes *l, const struct lane *lane)
{
	bool is_new = !lane->mean_us && lane->begun_ct >= share(l, LANE_SHARE);
	bool crowded = l->ct > 1 && l->waiting_ct + l->begun_ct > l->places;
	return is_new && crowded ? lane->moved_us + LANE_PROOF_US : 0;
}

static void count_begin(struct lanes *l, struct lane *lane, uint64_t now_us)
{
	lane->moved_us = lane->begun_ct ? lane->moved_us : now_us;
	l->begun_ct++;
	lane->begun_ct++;
	l->slow_ct += lane->pace == PACE_SLOW;
}

static void count_end(struct lanes *l, const struct job *job, uint64_t now_us)
{
	struct lane *lane = job->lane;
	uint64_t took_us = now_us > job->begun_us ? now_us - job->begun_us : 0;
	if (job->begun_us) { /* else it never ran, and says nothing of its lane */
		mean_add(&lane->mean_us, took_us, MEAN_OF_LANE);
		mean_add(&l->mean_us, took_us, MEAN_OF_ALL);
		lane->moved_us = now_us;
	}
	l->begun_ct--;
	lane->begun_ct--;
	l->slow_ct -= lane->pace == PACE_SLOW;
}

/* ------------------------------------------------------------------- ready */

static void unlink_lane(struct lanes *l, struct lane *lane)
{
	if (lane->linked) {
		list_remove(&l->ready[lane->pace][lane->bucket], &lane->link);
		lane->linked = false;
	}
}

static bool may_begin(const struct lane *lane)
{
	unsigned max = lane->limits.concurrency;
	return !list_empty(&lane->waiting) && !lane->limits.hold &&
	       (!max || lane->begun_ct < max);
}

/* Where it belongs now: into its bucket, among those that are due later, or, when it
 * has nothing left, nowhere. */
static void place(struct lanes *l, struct lane *lane, uint64_t now_us)
{
	unlink_lane(l, lane);
	heap_remove(&l->due_lanes, &lane->due);
	set_pace(l, lane, pace_of(l, lane, now_us));
	uint64_t at_us =
		lane->next_us > lane->paused_us ? lane->next_us : lane->paused_us;
	uint64_t proof = proof_us(l, lane);
	at_us = at_us > proof ? at_us : proof;
	bool late = at_us > now_us, idle = is_idle(lane);
	if (idle && !late) {
		forget(l, lane);
	} else if (late && (idle || may_begin(lane)) &&
		   heap_put(&l->due_lanes, &lane->due, at_us) == 0) {
		return;
	} else if (may_begin(lane)) {
		lane->bucket = lane->begun_ct < LANE_BUCKETS ? (unsigned)lane->begun_ct
							     : LANE_BUCKETS - 1;
		lane->linked = true;
		lane->turn = l->turns++;
		unsigned *lowest = &l->lowest[lane->pace];
		*lowest = lane->bucket < *lowest ? lane->bucket : *lowest;
		list_push_back(&l->ready[lane->pace][lane->bucket], &lane->link);
	}
}

/* Whole microseconds, so that it is never faster; 0: no limit. */
static uint64_t period_us(double rate)
{
	double us = rate > 0 ? 1e6 / rate : 0;
	uint64_t whole = us < (double)PERIOD_MAX_US ? (uint64_t)us : PERIOD_MAX_US;
	return whole + ((double)whole < us && whole < PERIOD_MAX_US ? 1 : 0);
}

void lane_set(struct lanes *l, struct lane *lane, const struct pm_lane_limits *limits,
	uint64_t now_us)
{
	uint64_t latest_us = now_us + period_us(limits->rate);
	lane->limits = *limits;
	lane->next_us = lane->next_us < latest_us ? lane->next_us : latest_us;
	place(l, lane, now_us);
}

void lane_pause(struct lanes *l, struct lane *lane, uint64_t until_us, uint64_t now_us)
{
	lane->paused_us = lane->paused_us > until_us ? lane->paused_us : until_us;
	place(l, lane, now_us);
}

/* -------------------------------------------------------------------- jobs */

void lanes_add(struct lanes *l, struct lane *lane, struct job *job, uint64_t now_us)
{
	job->lane = lane;
	ledger_wait(job, &lane->waiting, NULL);
	l->waiting_ct++;
	if (lane->waiting.ct == 1) {
		place(l, lane, now_us);
	}
}

/* The least busy one of this pace, or NULL. */
static struct lane *first_of(struct lanes *l, enum lane_pace pace)
{
	for (unsigned *i = &l->lowest[pace]; *i < LANE_BUCKETS; ++*i) {
		struct list_node *n = list_first(&l->ready[pace][*i]);
		if (n) {
			return list_entry(n, struct lane, link);
		}
	}
	return NULL;
}

static struct lane *less_busy(struct lane *a, struct lane *b)
{
	if (!a || !b) {
		return a ? a : b;
	}
	bool by_turn = a->bucket == b->bucket;
	return (by_turn ? b->turn < a->turn : b->bucket < a->bucket) ? b : a;
}

/* The lane whose turn it is, by what was last known of each.  While others wait for a
 * place, quick ones do not wait at the workers: no place would ever become free. */
static struct lane *candidate(struct lanes *l, bool at_once)
{
	struct lane *quick = first_of(l, PACE_QUICK);
	struct lane *other = first_of(l, PACE_USUAL);
	if (slow_ones_may_begin(l) || (at_once && !quick && !other)) {
		other = less_busy(other, first_of(l, PACE_SLOW));
	}
	if (!at_once) {
		return other ? NULL : quick;
	}
	return less_busy(quick, other);
}

/* Does it stand where it should by now?  Its silence has grown meanwhile, and others
 * may have come beside it. */
static bool is_stale(const struct lanes *l, const struct lane *lane, uint64_t now_us)
{
	return lane->pace != pace_of(l, lane, now_us) || proof_us(l, lane) > now_us;
}

/* Each lane is placed anew at most once: nothing of what counts changes here. */
struct job *lanes_first(struct lanes *l, bool at_once, uint64_t now_us)
{
	struct lane *lane;
	if (l->rate > 0 && l->next_us > now_us) {
		return NULL;
	}
	while ((lane = candidate(l, at_once || l->ct <= 1)) &&
		is_stale(l, lane, now_us)) {
		place(l, lane, now_us);
		if (lane->linked && proof_us(l, lane) > now_us) {
			break; /* there is no memory to let it wait */
		}
	}
	return lane ? list_entry(list_first(&lane->waiting), struct job, link) : NULL;
}

/* The job of this index in its lane, when no older one waits anywhere; or NULL.  Those
 * that run again stand in front; the others by their index. */
static struct job *find_at(const struct lane *lane, uint64_t index)
{
	struct list_node *n = lane->waiting.head.next;
	for (; n != &lane->waiting.head; n = n->next) {
		struct job *job = list_entry(n, struct job, link);
		if (job->index == index) {
			return job;
		}
		if (!job->attempts) {
			return NULL;
		}
	}
	return NULL;
}

static struct job *first_at(const struct lanes *l, uint64_t index, enum lane_pace pace)
{
	struct job *job = NULL;
	for (size_t i = l->lowest[pace]; i < LANE_BUCKETS && !job; i++) {
		struct list_node *n = l->ready[pace][i].head.next;
		for (; !job && n != &l->ready[pace][i].head; n = n->next) {
			job = find_at(list_entry(n, struct lane, link), index);
		}
	}
	return job;
}

struct job *lanes_first_at(
	struct lanes *l, uint64_t index, bool at_once, uint64_t now_us)
{
	struct job *job = NULL;
	if (l->rate > 0 && l->next_us > now_us) {
		return NULL;
	}
	for (enum lane_pace pace = 0; pace < PACE_CT && !job; pace++) {
		job = first_at(l, index, pace);
	}
	return job && (at_once || lane_may_queue(l, job->lane)) ? job : NULL;
}

/* When the next one may begin, after one has at `now_us`. */
static uint64_t after(uint64_t next_us, double rate, uint64_t now_us)
{
	uint64_t from = next_us + CATCH_UP_US > now_us ? next_us : now_us;
	return rate > 0 ? from + period_us(rate) : next_us;
}

void lanes_begin(struct lanes *l, struct job *job, uint64_t now_us)
{
	struct lane *lane = job->lane;
	job->lane_state = LANE_BEGUN;
	job->begun_us = now_us;
	l->waiting_ct--;
	count_begin(l, lane, now_us);
	l->next_us = after(l->next_us, l->rate, now_us);
	lane->next_us = after(lane->next_us, lane->limits.rate, now_us);
	place(l, lane, now_us);
}

int lanes_rest(struct lanes *l, struct job *job, uint64_t at_us, uint64_t now_us)
{
	if (heap_put(&l->due_jobs, &job->due, at_us)) {
		return PM_ENOMEM;
	}
	ledger_wait(job, NULL, NULL);
	job->lane_state = LANE_RESTING;
	count_end(l, job, now_us);
	job->lane->resting_ct++;
	place(l, job->lane, now_us);
	return 0;
}

void lanes_leave(struct lanes *l, struct job *job, uint64_t now_us)
{
	struct lane *lane = job->lane;
	if (!lane) {
		return;
	}
	if (job->lane_state == LANE_BEGUN) {
		count_end(l, job, now_us);
	} else if (job->lane_state == LANE_RESTING) {
		heap_remove(&l->due_jobs, &job->due);
		lane->resting_ct--;
	} else {
		l->waiting_ct--;
	}
	job->lane = NULL;
	place(l, lane, now_us);
}

/* -------------------------------------------------------------------- time */

/* Where one that runs again has to wait: before those that have run less often, as it
 * has fewer attempts left, and behind the others, who were there before. */
static struct list_node *place_of(const struct lane *lane, const struct job *job)
{
	struct list_node *n = lane->waiting.head.next;
	while (n != &lane->waiting.head &&
		list_entry(n, struct job, link)->attempts >= job->attempts) {
		n = n->next;
	}
	return n;
}

static void wake_job(struct lanes *l, struct job *job, uint64_t now_us)
{
	struct lane *lane = job->lane;
	heap_remove(&l->due_jobs, &job->due);
	lane->resting_ct--;
	job->lane_state = LANE_WAITING;
	ledger_wait(job, &lane->waiting, place_of(lane, job));
	l->waiting_ct++;
	place(l, lane, now_us);
}

void lanes_turn(struct lanes *l, uint64_t now_us)
{
	struct due *d;
	while ((d = heap_first(&l->due_jobs)) && d->at_us <= now_us) {
		wake_job(l, list_entry(d, struct job, due), now_us);
	}
	while ((d = heap_first(&l->due_lanes)) && d->at_us <= now_us) {
		place(l, list_entry(d, struct lane, due), now_us);
	}
}

static bool any_ready(const struct lanes *l)
{
	bool any = false;
	for (size_t i = 0; i < (size_t)PACE_CT * LANE_BUCKETS && !any; i++) {
		any = !list_empty(&l->ready[i / LANE_BUCKETS][i % LANE_BUCKETS]);
	}
	return any;
}

/* What may begin already waits for a worker, and not for the time. */
uint64_t lanes_next_us(const struct lanes *l, uint64_t now_us)
{
	const struct due *job = heap_first(&l->due_jobs);
	const struct due *lane = heap_first(&l->due_lanes);
	uint64_t at = UINT64_MAX;
	at = job && job->at_us < at ? job->at_us : at;
	at = lane && lane->at_us < at ? lane->at_us : at;
	if (l->next_us > now_us && l->next_us < at && any_ready(l)) {
		at = l->next_us;
	}
	return at;
}
