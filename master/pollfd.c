/* SPDX-License-Identifier: MIT
 *
 * pollfd - the pool's descriptors and timers as one descriptor, for hosts with a
 * loop of another kind; see pool.h.
 *
 * Runs in: the master.  libevent does not give away the descriptor of its backend.
 * So there is a second epoll instance, of the few descriptors that wake a pool, and
 * a timerfd that stands for the next of its timers.  It is never waited on: it
 * is readable when one of them is, and pm_pool_step() runs the pool's real base.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/error.h"
#include "master/pool.h"

struct pollfd_set {
	int epoll, timer;
	struct event *now; /* never there for long, see read_now() */
};

void pollfd_add(struct pm_pool *pool, int fd)
{
	struct epoll_event e = {.events = EPOLLIN};
	if (pool->pollfd && fd >= 0) {
		(void)epoll_ctl(pool->pollfd->epoll, EPOLL_CTL_ADD, fd, &e);
	}
}

void pollfd_remove(struct pm_pool *pool, int fd)
{
	if (pool->pollfd && fd >= 0) {
		(void)epoll_ctl(pool->pollfd->epoll, EPOLL_CTL_DEL, fd, NULL);
	}
}

/* ------------------------------------------------------------------ timers */

/* After `us` microseconds, or at once for 0; negative: never. */
static void set_timer(const struct pollfd_set *p, int64_t us)
{
	struct itimerspec t = {0};
	if (us >= 0) {
		t.it_value.tv_sec = us / 1000000;
		t.it_value.tv_nsec = us % 1000000 * 1000 + 1;
	}
	(void)timerfd_settime(p->timer, 0, &t, NULL);
}

void pollfd_wake(struct pm_pool *pool)
{
	if (pool->pollfd) {
		set_timer(pool->pollfd, 0);
	}
}

/* Microseconds until this event's time comes, if that is sooner than `soonest`. */
static int64_t sooner(const struct event *e, const struct timeval *now, int64_t soonest)
{
	struct timeval at;
	if (!e || !event_pending(e, EV_TIMEOUT, &at)) {
		return soonest;
	}
	int64_t us = (int64_t)(at.tv_sec - now->tv_sec) * 1000000 +
		     (at.tv_usec - now->tv_usec);
	us = us > 0 ? us : 0;
	return soonest < 0 || us < soonest ? us : soonest;
}

/* This moment as event_pending() counts: in wall-clock time, by a notion of it that
 * may be seconds old.  So gettimeofday() is no answer, the clock may have been set
 * since then; when an event is due that was added now is one. */
static bool read_now(const struct pollfd_set *p, struct timeval *now)
{
	const struct timeval none = {0};
	if (event_add(p->now, &none) < 0) {
		return false;
	}
	event_pending(p->now, EV_TIMEOUT, now);
	event_del(p->now);
	return true;
}

void pollfd_settle(struct pm_pool *pool)
{
	struct timeval now;
	int64_t us = -1;
	if (!pool->pollfd) {
		return;
	}
	if (!read_now(pool->pollfd, &now)) {
		set_timer(pool->pollfd, 0);
		return;
	}
	us = sooner(pool->beat_timer, &now, us);
	us = sooner(pool->memory_timer, &now, us);
	us = sooner(pool->recall_timer, &now, us);
	us = sooner(pool->grace_timer, &now, us);
	us = sooner(pool->deadline_timer, &now, us);
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		us = sooner(pool->slots[i].timer, &now, us);
	}
	for (size_t i = 0; i < pool->map_ct; i++) {
		const struct map *m = pool->maps[i];
		us = m ? sooner(m->timer, &now, us) : us;
		us = m ? sooner(m->lane_timer, &now, us) : us;
	}
	set_timer(pool->pollfd, pool->turn_due ? 0 : us);
}

/* ---------------------------------------------------------------- lifetime */

static void add_all(struct pm_pool *pool)
{
	pollfd_add(pool, pool->pollfd->timer);
	pollfd_add(pool, pool->results.ready_fd);
	pollfd_add(pool, pool->control);
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		const struct slot *s = &pool->slots[i];
		pollfd_add(pool, s->lifeline);
		if (s->jobs_event && event_pending(s->jobs_event, EV_READ, NULL)) {
			pollfd_add(pool, s->jobs.ready_fd);
		}
	}
	pollfd_settle(pool);
}

static void never_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
}

int pm_pool_fd(pm_pool *pool)
{
	int err = pool_check_thread(pool);
	if (!err && !pool->own_base) {
		err = error_note(PM_ESTATE, "the pool runs on the host's event base");
	}
	if (err || pool->pollfd) {
		return err ? err : pool->pollfd->epoll;
	}
	pool->pollfd = calloc(1, sizeof *pool->pollfd);
	if (!pool->pollfd) {
		return error_note(PM_ENOMEM, "no memory for a descriptor set");
	}
	pool->pollfd->epoll = epoll_create1(EPOLL_CLOEXEC);
	pool->pollfd->timer =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	pool->pollfd->now = evtimer_new(pool->base, never_cb, NULL);
	if (!pool->pollfd->now) {
		pollfd_free(pool);
		return error_note(PM_ENOMEM, "no memory for a timer");
	}
	if (pool->pollfd->epoll < 0 || pool->pollfd->timer < 0) {
		err = error_note_errno(PM_ESYSTEM, "cannot make a descriptor set");
		pollfd_free(pool);
		return err;
	}
	add_all(pool);
	return pool->pollfd->epoll;
}

void pollfd_free(struct pm_pool *pool)
{
	struct pollfd_set *p = pool->pollfd;
	if (p) {
		if (p->timer >= 0) {
			close(p->timer);
		}
		if (p->epoll >= 0) {
			close(p->epoll);
		}
		if (p->now) {
			event_free(p->now);
		}
		free(p);
		pool->pollfd = NULL;
	}
}
