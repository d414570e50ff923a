/* SPDX-License-Identifier: MIT
 *
 * map_lanes - maps whose jobs are in lanes: joins map.c and lane.c, which know
 * nothing of each other, and asks the host; see pool.h.
 *
 * Runs in: the master.  Only a map with limits or retries has lanes; no other pays
 * for them.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "master/pool.h"

enum {
	LANES_AHEAD = 4096
}; /* jobs that are read before their turn, so that the
      lanes are known */

/* ---------------------------------------------------------------- lifetime */

static void timer_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	pool_wake(ctx);
}

int map_lanes_open(struct map *m)
{
	const struct pm_stream *s = &m->stream;
	if (!(s->rate > 0) && !s->lane_new && !s->admit && !s->retry) {
		return 0;
	}
	m->lanes = malloc(sizeof *m->lanes);
	m->lane_timer = evtimer_new(m->pool->base, timer_cb, m->pool);
	if (m->lanes) {
		lanes_init(m->lanes, s->rate);
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
	size_t len = from->lane ? from->lane_len : 0;
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

/* The host is asked for the limits of a new lane when that has its job: without one
 * it would be forgotten. */
void map_lanes_enter(struct map *m, struct lane *lane, bool is_new, struct job *job)
{
	struct pm_lane_limits limits = {0};
	lanes_add(m->lanes, lane, job, m->pool->now_us);
	if (is_new && lane->name[0] && m->stream.lane_new) {
		m->busy++;
		m->stream.lane_new(m->stream.ctx, lane->name, &limits);
		m->busy--;
		lane_set(m->lanes, lane, &limits, m->pool->now_us);
	}
}

/* -------------------------------------------------------------------- begin */

/* The jobs that were read ahead have not been counted with their results.  When those
 * that are there, and those that are expected of begun jobs, take up the window,
 * only the oldest job may begin, which will free some of it; without an order, none
 * while there is one whose end does. */
static struct job *next_of(struct map *m)
{
	uint64_t mean = m->settled ? m->result_bytes / m->settled : 0;
	uint64_t bytes = m->open_bytes + m->lanes->begun_ct * mean;
	uint64_t now_us = m->pool->now_us;
	if (bytes < m->stream.window_bytes) {
		return lanes_first(m->lanes, now_us);
	}
	if (m->order.ordered) {
		return lanes_first_at(m->lanes, m->order.next, now_us);
	}
	bool idle = !m->lanes->begun_ct && !order_first(&m->order);
	return idle ? lanes_first(m->lanes, now_us) : NULL;
}

struct job *map_lane_job(struct pm_pool *pool)
{
	for (size_t i = 0; pool->lanes_ct && i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		while (m && m->lanes && m->lanes->waiting_ct < LANES_AHEAD &&
			map_pull(m)) {
			m = pool->maps[i]; /* the source may have ended it */
		}
		struct job *job = m && m->lanes && !m->ended ? next_of(m) : NULL;
		if (job) {
			return job;
		}
	}
	return NULL;
}

bool map_admit(struct pm_pool *pool, struct job *job)
{
	struct map *m = (struct map *)job->waiter;
	struct pm_job public = {.arg = job->arg,
		.len = job->arg_len,
		.once = job->once,
		.timeout_ms = job->timeout_ms,
		.tag = job->tag,
		.lane = job->lane->name,
		.lane_len = strlen(job->lane->name)};
	const char *message = NULL;
	if (job->admitted || !m->stream.admit) {
		return true;
	}
	job->admitted = true;
	m->busy++;
	int err = m->stream.admit(m->stream.ctx, &public, &message);
	m->busy--;
	if (err) {
		cancel_at_once(pool, job, err, message ? message : pm_error_text(err));
	}
	return !err;
}

void map_begun(struct pm_pool *pool, struct job *job)
{
	lanes_begin(((struct map *)job->waiter)->lanes, job, pool->now_us);
}

/* -------------------------------------------------------------------- again */

static bool ask_again(struct map *m, struct job *job, struct pm_retry *how)
{
	job->result.index = job->index;
	job->result.attempts = job->attempts;
	job->result.tag = job->tag;
	job->result.arg = job->arg;
	job->result.arg_len = job->arg_len;
	m->busy++;
	bool again = m->stream.retry(m->stream.ctx, &job->result, how);
	m->busy--;
	return again;
}

bool map_again(struct waiter *waiter, struct job *job)
{
	struct map *m = (struct map *)waiter;
	struct pm_retry how = {0};
	uint64_t now_us = m->pool->now_us;
	if (job->stop || m->stop_error || m->cancelled || m->pool->how != PM_DRAIN) {
		return false;
	}
	bool again = ask_again(m, job, &how);
	if (how.lane_delay_ms) {
		lane_pause(m->lanes, job->lane, now_us + how.lane_delay_ms * 1000ull,
			now_us);
	}
	if (!again ||
		lanes_rest(m->lanes, job, now_us + how.delay_ms * 1000ull, now_us)) {
		return false;
	}
	pm_results_clear(&job->result, 1);
	m->pool->stats.retries++;
	return true;
}

/* --------------------------------------------------------------------- time */

void map_turn_lanes(struct pm_pool *pool)
{
	for (size_t i = 0; pool->lanes_ct && i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		if (m && m->lanes && !m->ended) {
			lanes_turn(m->lanes, pool->now_us);
		}
	}
}

/* Come back when something will be due. */
static void arm(struct map *m)
{
	uint64_t at_us = lanes_next_us(m->lanes), now_us = clock_now_us();
	if (at_us == UINT64_MAX) {
		evtimer_del(m->lane_timer);
		return;
	}
	uint64_t us = at_us > now_us ? at_us - now_us : 0;
	struct timeval tv = {.tv_sec = (time_t)(us / 1000000),
		.tv_usec = (suseconds_t)(us % 1000000)};
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
	for (size_t i = 0; i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		struct lane *lane = m && m->lanes && !m->ended
					    ? lanes_find(m->lanes, name, strlen(name))
					    : NULL;
		if (lane) {
			lane_set(m->lanes, lane, limits, pool->now_us);
		}
	}
	pool_wake(pool);
}
