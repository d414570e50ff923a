/* SPDX-License-Identifier: MIT
 *
 * pool - opens and closes a pool, and runs its turns; see pool.h.
 *
 * Runs in: the master.  Owns the event base (unless the host brought one), the
 * control socket to the forkserver, the result wire, and the slots.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "master/control.h"
#include "master/forkserver.h"
#include "master/pool.h"

enum {
	FRAMES_PER_TURN = 256, /* then the others get their chance */
	CLOSE_GRACE_S = 5,     /* close(): for a worker that does not leave */
};

/* -------------------------------------------------------------------- turn */

void pool_wake(struct pm_pool *pool)
{
	/* By a timer rather than event_active(): a turn that asks for the next one
	 * must not keep the loop from its sockets.  Not added again while it waits:
	 * that would put it off, each time. */
	struct timeval at_once = {0};
	if (!evtimer_pending(pool->turn_event, NULL)) {
		evtimer_add(pool->turn_event, &at_once);
	}
}

static void turn_map(struct pm_pool *pool, struct map *m)
{
	map_deliver(m);
	if (!m->cancelled) {
		dispatch_run(pool);
	}
	if (m->cancelled) { /* before, or by the source just now */
		map_abort(m, PM_ECANCELLED);
	}
	map_check_end(m);
	if (m->stream.turn && !m->aborted) {
		m->stream.turn(m->stream.ctx);
	}
}

/* The turn, in the order that matters: see pool.h. */
static void turn_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	pool->now_us = clock_now_us();
	pool->in_turn = true;
	(void)gather_read(pool, FRAMES_PER_TURN); /* the rest stays readable */
	if (pool->map && !pool->map->ended && !pool->broken) {
		turn_map(pool, pool->map);
	} else {
		dispatch_run(pool);
	}
	pool->in_turn = false;
}

static void results_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	pool_wake(ctx);
}

static void beat_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		slot_beat(&pool->slots[i]);
	}
	pool_wake(pool);
}

void pm_pool_wake(pm_pool *pool)
{
	struct map *m = pool->map;
	if (m) {
		m->woken = true;
		m->sink_waits = false;
		m->source = m->source == SOURCE_WAITING ? SOURCE_OPEN : m->source;
	}
	pool_wake(pool);
}

void pm_pool_cancel(pm_pool *pool)
{
	if (pool->map) {
		pool->map->cancelled = true;
	}
	pool_wake(pool);
}

/* ----------------------------------------------------------------- control */

unsigned pool_ready_ct(const struct pm_pool *pool)
{
	unsigned ct = 0;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		ct += pool->slots[i].state == SLOT_READY;
	}
	return ct;
}

void pool_break(struct pm_pool *pool, const char *fmt, ...)
{
	if (pool->broken) {
		return;
	}
	va_list args;
	va_start(args, fmt);
	vsnprintf(pool->broken_text, sizeof pool->broken_text, fmt, args);
	va_end(args);
	pool->broken = PM_EWORKERS;
	pool_wake(pool);
}

/* Without the forkserver no worker lives (they are tied to it), and none can be
 * made: the pool is over. */
static void on_forkserver_gone(struct pm_pool *pool)
{
	event_del(pool->control_event);
	pool_break(pool, "the forkserver of this process died");
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if (s->state != SLOT_EMPTY && s->state != SLOT_GONE) {
			slot_exited(s, SIGKILL);
		}
	}
}

static void control_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	struct control_event event;
	int err;
	(void)what;
	while ((err = control_receive(fd, &event, sizeof event, NULL)) == 0) {
		struct slot *s =
			event.slot < pool->slot_ct ? &pool->slots[event.slot] : NULL;
		if (!s || s->generation != event.generation) {
			continue;
		}
		if (event.type == CONTROL_SPAWNED) {
			slot_spawned(s, event.pid, event.status);
		} else if (event.type == CONTROL_EXITED) {
			slot_exited(s, event.status);
		}
	}
	if (err < 0) {
		on_forkserver_gone(pool);
	}
}

/* -------------------------------------------------------------------- open */

static int open_base(struct pm_pool *pool)
{
	pool->base = pool->options.base;
	if (pool->base) {
		return 0;
	}
	struct event_config *config = event_config_new();
	if (config) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
		pool->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	pool->own_base = true;
	return pool->base ? 0 : error_note(PM_ENOMEM, "cannot make an event base");
}

static int open_events(struct pm_pool *pool)
{
	struct event_base *base = pool->base;
	struct timeval beat = {.tv_usec = SLOT_BEAT_MS * 1000};
	pool->turn_event = evtimer_new(base, turn_cb, pool);
	pool->results_event = event_new(
		base, pool->results.ready_fd, EV_READ | EV_PERSIST, results_cb, pool);
	pool->control_event =
		event_new(base, pool->control, EV_READ | EV_PERSIST, control_cb, pool);
	pool->beat_timer = event_new(base, -1, EV_PERSIST, beat_cb, pool);
	if (!pool->turn_event || !pool->results_event || !pool->control_event ||
		!pool->beat_timer || event_add(pool->results_event, NULL) < 0 ||
		event_add(pool->control_event, NULL) < 0 ||
		event_add(pool->beat_timer, &beat) < 0) {
		return error_note(PM_ENOMEM, "cannot watch the pool's sockets");
	}
	return 0;
}

/* The forkserver removes the directory when we cannot. */
static int announce(void *ctx, const char *path)
{
	struct pm_pool *pool = ctx;
	if (pool->control >= 0) {
		forkserver_detach(pool->control); /* of one that could not be made */
		pool->control = -1;
	}
	return forkserver_attach(path, &pool->control);
}

static int open_sockets(struct pm_pool *pool)
{
	char path[WIRE_PATH_MAX + 1];
	int err = rundir_open(&pool->rundir, pool->options.runtime_dir, announce, pool);
	if (err) {
		return err;
	}
	snprintf(path, sizeof path, "%s/r", pool->rundir.path);
	return wire_listen(&pool->results, WIRE_PULL, path);
}

/* Share out the concurrency: worker i gets its part, the first ones one more. */
static int open_slots(struct pm_pool *pool)
{
	unsigned ct = pool->options.workers, total = pool->options.concurrency;
	pool->slots = calloc(ct, sizeof *pool->slots);
	if (!pool->slots) {
		return error_note(PM_ENOMEM, "no memory for %u workers", ct);
	}
	for (unsigned i = 0; i < ct; i++) {
		int err = slot_init(&pool->slots[i], pool, i,
			total / ct + (i < total % ct ? 1 : 0));
		pool->slot_ct = i + 1;
		if (err) {
			return error_note(err, "no memory for %u workers", ct);
		}
	}
	for (unsigned i = 0; i < ct; i++) {
		slot_start(&pool->slots[i]);
	}
	return 0;
}

static int wait_until_ready(struct pm_pool *pool)
{
	while (!pool->broken && pool_ready_ct(pool) == 0) {
		if (event_base_loop(pool->base, EVLOOP_ONCE) < 0) {
			return error_note(PM_EINTERNAL, "the event loop failed");
		}
	}
	return pool->broken ? error_note(pool->broken, "%s", pool->broken_text) : 0;
}

static int open_pool(struct pm_pool *pool)
{
	int err = pool_options_settle(&pool->options);
	if (!err) {
		err = pm_forkserver_start();
	}
	if (!err &&
		getrandom(pool->nonce, sizeof pool->nonce, 0) != sizeof pool->nonce) {
		err = error_note_errno(PM_ESYSTEM, "no random bytes");
	}
	if (!err) {
		err = open_base(pool);
	}
	if (!err) {
		err = open_sockets(pool);
	}
	if (!err) {
		err = open_events(pool);
	}
	if (!err) {
		err = open_slots(pool);
	}
	return err ? err : wait_until_ready(pool);
}

int pm_pool_open(pm_pool **out, const struct pm_pool_options *options)
{
	if (!out) {
		return error_note(PM_EINVAL, "no place for the pool");
	}
	struct pm_pool *pool = calloc(1, sizeof *pool);
	if (!pool) {
		return error_note(PM_ENOMEM, "no memory for a pool");
	}
	pm_pool_options_init(&pool->options);
	if (options) {
		pool->options = *options;
	}
	pool->thread = pthread_self();
	pool->control = -1;
	pool->results.socket = -1;
	pool->rundir.lock_fd = -1;
	pool->now_us = clock_now_us();
	ledger_init(&pool->ledger);
	int err = open_pool(pool);
	if (err) {
		char why[512]; /* what follows may overwrite it */
		snprintf(why, sizeof why, "%s", pm_last_error());
		pm_pool_terminate(&pool);
		return error_note(err, "%s", why);
	}
	*out = pool;
	return 0;
}

/* ------------------------------------------------------------------- close */

static void free_event(struct event **e)
{
	if (*e) {
		event_free(*e);
		*e = NULL;
	}
}

static bool all_gone(const struct pm_pool *pool)
{
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		if (pool->slots[i].state != SLOT_GONE &&
			pool->slots[i].state != SLOT_EMPTY) {
			return false;
		}
	}
	return true;
}

static void doom_all(struct pm_pool *pool)
{
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		slot_doom(&pool->slots[i], DOOM_STOP);
	}
}

/* Grace is over: whatever has not left is killed.  The second time there is no
 * answer from the forkserver: closing its socket has to do. */
static void deadline_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	pool->deadlines++;
	doom_all(pool);
}

static void wait_until_gone(struct pm_pool *pool)
{
	struct timeval grace = {.tv_sec = CLOSE_GRACE_S};
	struct event *deadline =
		event_new(pool->base, -1, EV_PERSIST, deadline_cb, pool);
	if (!deadline || event_add(deadline, &grace) < 0) {
		doom_all(pool);
	}
	while (!all_gone(pool) && pool->deadlines < 2 &&
		event_base_loop(pool->base, EVLOOP_ONCE) >= 0) {
	}
	free_event(&deadline);
}

/* Closing the control socket makes the forkserver kill what is left and remove
 * the directory; the own removal comes first, so that it is gone on return. */
static void free_pool(struct pm_pool *pool)
{
	ledger_fini(&pool->ledger);
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		slot_fini(&pool->slots[i]);
	}
	free(pool->slots);
	free_event(&pool->turn_event);
	free_event(&pool->results_event);
	free_event(&pool->control_event);
	free_event(&pool->beat_timer);
	wire_close(&pool->results);
	rundir_close(&pool->rundir);
	if (pool->control >= 0) {
		forkserver_detach(pool->control);
	}
	if (pool->own_base && pool->base) {
		event_base_free(pool->base);
	}
	buf_fini(&pool->scratch);
	free(pool);
}

static void close_pool(pm_pool **out, bool kill)
{
	struct pm_pool *pool = out ? *out : NULL;
	if (!pool) {
		return;
	}
	pool->closing = true;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		if (kill) {
			slot_doom(&pool->slots[i], DOOM_STOP);
		} else {
			slot_drain(&pool->slots[i]);
		}
	}
	if (pool->control_event) {
		wait_until_gone(pool); /* callbacks of the host may still use *out */
	}
	*out = NULL;
	free_pool(pool);
}

void pm_pool_close(pm_pool **pool)
{
	close_pool(pool, false);
}

void pm_pool_terminate(pm_pool **pool)
{
	close_pool(pool, true);
}

void pm_pool_stats(const pm_pool *pool, struct pm_pool_stats *stats)
{
	*stats = pool->stats;
	stats->workers = pool->slot_ct;
	stats->workers_ready = pool_ready_ct(pool);
	stats->concurrency = pool->options.concurrency;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		stats->held += (unsigned)pool->slots[i].held.ct;
	}
}
