/* SPDX-License-Identifier: MIT
 *
 * watch - what the loop calls the pool for: a turn that is due, results, the
 * forkserver, and the beat; see pool.h.
 *
 * Runs in: the master.  Each callback recovers the pool, notes what has happened, and
 * wakes it; what follows is decided in the turn.
 */
#include <signal.h>

#include "common/error.h"
#include "master/control.h"
#include "master/pool.h"

/* On the host's base: a turn is due. */
static void turn_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	pool_turn(pool);
	(void)shutdown_free_abandoned(pool); /* nothing after this: it may be gone */
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

/* ------------------------------------------------------------- start, stop */

int watch_start(struct pm_pool *pool)
{
	struct event_base *base = pool->base;
	struct timeval beat = {.tv_usec = SLOT_BEAT_MS * 1000L};
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
	return pool->options.worker_memory_bytes ? memory_watch(pool) : 0;
}

static void free_event(struct event **e)
{
	if (*e) {
		event_free(*e);
		*e = NULL;
	}
}

void watch_stop(struct pm_pool *pool)
{
	free_event(&pool->turn_event);
	free_event(&pool->results_event);
	free_event(&pool->control_event);
	free_event(&pool->beat_timer);
	free_event(&pool->memory_timer);
	free_event(&pool->recall_timer);
	free_event(&pool->limit_timer);
	free_event(&pool->grace_timer);
	free_event(&pool->deadline_timer);
}
