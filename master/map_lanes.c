/* SPDX-License-Identifier: MIT
 *
 * map_lanes - maps whose jobs are in lanes: joins map.c and lane.c, which know
 * nothing of each other, and asks the host; see pool.h.
 *
 * Runs in: the master.  Only a map with limits or retries has lanes; no other pays
 * for them.  A map of an array whose jobs must have begun by a time is taken as a
 * whole, and waits in one.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "master/pool.h"

/* Jobs that are read before their turn, so that the lanes are known. */
enum { LANES_AHEAD = 4096 };

/* So long the next job may wait for a place while others get jobs in advance. */
enum { PLACE_US = 20000 };

/* The host is asked from the middle of things: from a turn, or while the last results
 * of a dead worker are read.  It may not run the pool then, but whatever else it does,
 * it may have ended the job, or the map.  So what was known before is looked up
 * again. */
static void begin_to_ask(struct map *m)
{
	m->busy++;
	m->pool->deciding++;
}

static void end_to_ask(struct map *m)
{
	m->busy--;
	m->pool->deciding--;
}

/* The job of this id, if it is still the map's and in this state; or NULL. */
static struct job *still(const struct map *m, uint64_t id, enum job_state state)
{
	struct job *job = ledger_find(&m->pool->ledger, id);
	bool same = job && job->waiter == &m->waiter && job->state == state;
	return same && !m->ended ? job : NULL;
}

/* ---------------------------------------------------------------- lifetime */

int map_lanes_open(struct map *m)
{
	const struct pm_stream *s = &m->stream;
	if (!(s->rate > 0) && !s->lane_new && !s->admit && !s->retry && !m->whole) {
		return 0;
	}
	m->lanes = malloc(sizeof *m->lanes);
	m->lane_timer = evtimer_new(m->pool->base, pool_wake_cb, m->pool);
	if (m->lanes) {
		lanes_init(m->lanes, s->rate, m->pool->options.concurrency);
		m->pool->lanes_ct++;
	}
	return m->lanes && m->lane_timer ? 0 : PM_ENOMEM;
}

void map_lanes_close(struct map *m)
{
	if (m->lanes) {
		lanes_fini(m->lanes);
		free(m->lanes);
		m->lanes = NULL;
		m->pool->lanes_ct--;
	}
	if (m->lane_timer) {
		event_free(m->lane_timer);
		m->lane_timer = NULL;
	}
}

/* -------------------------------------------------------------------- enter */

int map_lanes_find(
	struct map *m, const struct pm_job *from, struct lane **lane, bool *is_new)
{
	size_t len = from->lane && !m->whole ? from->lane_len : 0;
	if (!m->lanes) {
		return 0;
	}
	if (len > PM_LANE_MAX) {
		return error_note(PM_EINVAL,
			"job %llu: the name of its lane is longer than %d bytes",
			(unsigned long long)m->pulled, PM_LANE_MAX);
	}
	*lane = lanes_get(m->lanes, len ? from->lane : "", len, is_new);
	return *lane ? 0 : error_note(PM_ENOMEM, "no memory for a lane");
}

static void ask_limits(
	struct map *m, const struct lane *lane, struct pm_lane_limits *limits)
{
	char name[PM_LANE_MAX + 1];
	memcpy(name, lane->name, lane->name_len + 1); /* the lane may go meanwhile */
	begin_to_ask(m);
	m->stream.lane_new(m->stream.ctx, name, limits);
	end_to_ask(m);
}

/* The host is asked for the limits of a new lane when that has its job: without one
 * it would be forgotten. */
void map_lanes_enter(struct map *m, struct lane *lane, bool is_new, struct job *job)
{
	struct pm_lane_limits limits = {0};
	uint64_t id = job->id;
	lanes_add(m->lanes, lane, job, m->pool->now_us);
	if (is_new && lane->name_len && m->stream.lane_new) {
		ask_limits(m, lane, &limits);
	}
	if (is_new && still(m, id, JOB_QUEUED)) {
		lane_set(m->lanes, lane, &limits, m->pool->now_us);
	}
}

/* -------------------------------------------------------------------- begin */

/* The jobs that were read ahead have not been counted with their results.  When those
 * that are there, and those that are expected of begun jobs, take up the window, none
 * begins that does not free some of it: none while a result is there that the sink has
 * not taken; and then only the oldest job; without an order, one when no other one has
 * begun. */
static struct job *next_of(struct map *m, bool at_once)
{
	uint64_t mean = m->settled ? m->result_bytes / m->settled : 0;
	uint64_t bytes = m->open_bytes + m->lanes->begun_ct * mean;
	uint64_t now_us = m->pool->now_us;
	if (bytes < m->stream.window_bytes) {
		return lanes_first(m->lanes, at_once, now_us);
	}
	if (order_first(&m->order)) {
		return NULL;
	}
	if (m->order.ordered) {
		return lanes_first_at(m->lanes, m->order.next, at_once, now_us);
	}
	return !m->lanes->begun_ct ? lanes_first(m->lanes, at_once, now_us) : NULL;
}

struct job *map_lane_job(struct map *m)
{
	while (m->lanes->waiting_ct < LANES_AHEAD && map_pull(m)) {
	}
	bool at_once = dispatch_has_place(m->pool);
	m->placeless_us = at_once ? 0 : m->placeless_us;
	return m->ended || m->cancelled ? NULL : next_of(m, at_once);
}

bool map_wants_place(const struct job *job)
{
	return job->lane && job->lane_state == LANE_WAITING &&
	       !lane_may_queue(((const struct map *)job->waiter)->lanes, job->lane);
}

/* It has a job for a place, and none that may wait at a worker. */
static bool waits_too_long(struct map *m)
{
	uint64_t now_us = m->pool->now_us;
	if (!next_of(m, true) || next_of(m, false)) {
		m->placeless_us = 0;
		return false;
	}
	m->placeless_us = m->placeless_us ? m->placeless_us : now_us;
	return now_us - m->placeless_us >= PLACE_US;
}

bool map_needs_place(struct pm_pool *pool)
{
	bool needs = false;
	for (size_t i = 0; pool->lanes_ct && i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		if (m && m->lanes && !m->ended && !m->cancelled) {
			needs = waits_too_long(m) || needs;
		}
	}
	return needs;
}

static int ask_admit(struct map *m, const struct job *job, const char **message)
{
	struct pm_job public = {.arg = job->arg,
		.len = job->arg_len,
		.once = job->once,
		.timeout_ms = job->timeout_ms,
		.queue_timeout_ms = job->queue_timeout_ms,
		.tag = job->tag,
		.lane = job->lane->name_len ? job->lane->name : NULL,
		.lane_len = job->lane->name_len};
	begin_to_ask(m);
	int err = m->stream.admit(m->stream.ctx, &public, message);
	end_to_ask(m);
	return err > 0 ? PM_EINVAL : err;
}

/* One that was admitted may have to wait all the same: its lane was stopped
 * meanwhile. */
bool map_admit(struct pm_pool *pool, struct job *job)
{
	struct map *m = (struct map *)job->waiter;
	const char *message = NULL;
	uint64_t id = job->id;
	if (job->admitted || !m->stream.admit) {
		return true;
	}
	job->admitted = true;
	int err = ask_admit(m, job, &message);
	if (!still(m, id, JOB_QUEUED)) {
		return false;
	}
	if (err) {
		cancel_at_once(pool, job, err, message ? message : pm_error_text(err));
	}
	return !err && lane_is_ready(job->lane);
}

/* By the clock and not by the time of the turn, in which callbacks may have taken long:
 * else the next one would begin too soon. */
void map_begun(struct job *job)
{
	lanes_begin(((struct map *)job->waiter)->lanes, job, clock_now_us());
}

/* -------------------------------------------------------------------- again */

/* No job of a map that ends runs again. */
static bool goes_on(const struct map *m, const struct job *job)
{
	return !job->stop && !m->stop_error && !m->cancelled &&
	       m->pool->how == PM_DRAIN;
}

static bool ask_again(struct map *m, struct job *job, struct pm_retry *how)
{
	job->result.index = job->index;
	job->result.attempts = job->attempts;
	job->result.tag = job->tag;
	job->result.arg = job->arg;
	job->result.arg_len = job->arg_len;
	begin_to_ask(m);
	bool again = m->stream.retry(m->stream.ctx, &job->result, how);
	end_to_ask(m);
	return again;
}

bool map_again(struct waiter *waiter, struct job *job)
{
	struct map *m = (struct map *)waiter;
	struct pm_retry how = {0};
	uint64_t now_us = m->pool->now_us, id = job->id;
	bool again = goes_on(m, job) && ask_again(m, job, &how);
	if (!still(m, id, JOB_SENT)) {
		return false;
	}
	if (how.lane_delay_ms) {
		lane_pause(m->lanes, job->lane, now_us + how.lane_delay_ms * 1000ull,
			now_us);
	}
	if (!again || !goes_on(m, job) ||
		lanes_rest(m->lanes, job, now_us + how.delay_ms * 1000ull, now_us)) {
		return false;
	}
	ledger_unlimit(&m->pool->ledger, job); /* it has begun */
	pm_results_clear(&job->result, 1);
	m->pool->stats.retries++;
	return true;
}

/* --------------------------------------------------------------------- time */

/* Of an array that is taken as a whole: not all at once, so that its first jobs begin
 * meanwhile. */
static void enter_more(struct map *m)
{
	size_t ct = 0;
	while (ct < LANES_AHEAD && map_pull(m)) {
		ct++;
	}
	if (ct == LANES_AHEAD) {
		pool_wake(m->pool);
	}
}

void map_turn_lanes(struct pm_pool *pool)
{
	for (size_t i = 0; pool->lanes_ct && i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		if (m && m->whole && !m->ended) {
			enter_more(m);
		}
		if (m && m->lanes && !m->ended) {
			lanes_turn(m->lanes, pool->now_us);
		}
	}
}

/* Come back when something will be due. */
static void arm(struct map *m)
{
	uint64_t at_us = lanes_next_us(m->lanes, m->pool->now_us);
	if (at_us == UINT64_MAX) {
		evtimer_del(m->lane_timer);
		return;
	}
	struct timeval tv = clock_until(at_us);
	evtimer_add(m->lane_timer, &tv);
}

void map_arm_lanes(struct pm_pool *pool)
{
	for (size_t i = 0; pool->lanes_ct && i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		if (m && m->lanes && !m->ended) {
			arm(m);
		}
	}
}

void pm_lane_set(pm_pool *pool, const char *name, const struct pm_lane_limits *limits)
{
	if (pool_check_thread(pool) || !name || !limits) {
		return;
	}
	for (size_t i = 0; i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		struct lane *lane = m && m->lanes && !m->ended
					    ? lanes_find(m->lanes, name, strlen(name))
					    : NULL;
		if (lane) {
			lane_set(m->lanes, lane, limits, clock_now_us());
		}
	}
	pool_wake(pool);
}
