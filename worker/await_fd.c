/* SPDX-License-Identifier: MIT
 *
 * await_fd - waits of tasks for descriptors: pm_await_fd(), see await_fd.h.
 *
 * Runs in: the worker.  Called by tasks, and by the loop.
 *
 * The descriptors are not libevent's but in an epoll set of our own, which is one
 * event of the loop.  The worker's loop collects its changes until it waits again:
 * a descriptor that the task closes in the meantime, while a duplicate of it lives,
 * could never be taken out again and would keep the loop spinning; and one that
 * cannot be polled would be noticed by nobody.  Here each change is made at once.
 *
 * A descriptor is armed for one event (EPOLLONESHOT), and so asks for nothing while
 * no task waits for it.  It stays in the set then, since most are waited for again;
 * the kernel removes it when it is closed.  Several tasks may wait for one.
 */
#include "worker/await_fd.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "worker/leak.h"
#include "worker/runner.h"

/* One wait, on the stack of its task. */
struct waiter {
	struct pm_task *task;
	int fd;
	unsigned want;
	unsigned ready;             /* what came of it */
	struct waiter *prev, *next; /* for the same descriptor */
	bool listed;
	bool timed;
	struct event timer;
};

struct entry {
	struct waiter *first;
	bool added; /* to the set, as far as we know: it may have been closed */
};

static struct {
	int epoll;
	struct event event;
	struct entry *table; /* by descriptor */
	size_t cap;
} self = {.epoll = -1};

/* ------------------------------------------------------------------- the set */

static uint32_t wanted(const struct entry *e)
{
	uint32_t events = EPOLLONESHOT;
	for (const struct waiter *w = e->first; w; w = w->next) {
		events |= w->want & PM_READ ? EPOLLIN : 0;
		events |= w->want & PM_WRITE ? EPOLLOUT : 0;
	}
	return events;
}

/* Tell the kernel what is waited for.  Returns 0 or an errno.  What we know may be
 * out of date when the number was closed and is another descriptor now. */
static int arm(int fd)
{
	struct entry *e = &self.table[fd];
	struct epoll_event event = {.events = wanted(e), .data.fd = fd};
	int op = e->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int rc = epoll_ctl(self.epoll, op, fd, &event);
	if (rc < 0 && errno == (e->added ? ENOENT : EEXIST)) {
		op = e->added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
		rc = epoll_ctl(self.epoll, op, fd, &event);
	}
	e->added = rc == 0;
	return rc == 0 ? 0 : errno;
}

static void enlist(struct waiter *w)
{
	struct entry *e = &self.table[w->fd];
	w->listed = true;
	w->prev = NULL;
	w->next = e->first;
	if (w->next) {
		w->next->prev = w;
	}
	e->first = w;
}

static void delist(struct waiter *w)
{
	w->listed = false;
	if (w->next) {
		w->next->prev = w->prev;
	}
	if (w->prev) {
		w->prev->next = w->next;
	} else {
		self.table[w->fd].first = w->next;
	}
	if (w->timed) {
		event_del(&w->timer);
	}
}

static void end_wait(struct waiter *w, unsigned ready)
{
	delist(w);
	w->ready = ready;
	task_wake(w->task);
}

/* Wake who waits for this, and arm for the others.  Should that fail, they will learn
 * why from the call they waited for. */
static void deliver(int fd, unsigned ready)
{
	struct waiter *next, *w = self.table[fd].first;
	for (; w; w = next) {
		next = w->next;
		if (w->want & ready) {
			end_wait(w, w->want & ready);
		}
	}
	if (self.table[fd].first && arm(fd) != 0) {
		while ((w = self.table[fd].first)) {
			end_wait(w, w->want);
		}
	}
}

/* An error and a hang-up do not block, whatever one waits for. */
static unsigned ready_of(uint32_t events)
{
	unsigned both = events & (EPOLLERR | EPOLLHUP) ? PM_READ | PM_WRITE : 0;
	return both | (events & EPOLLIN ? PM_READ : 0) |
	       (events & EPOLLOUT ? PM_WRITE : 0);
}

static void harvest(void)
{
	enum { AT_ONCE = 64 };
	struct epoll_event events[AT_ONCE];
	int ct;
	do {
		ct = epoll_wait(self.epoll, events, AT_ONCE, 0);
		for (int i = 0; i < ct; i++) {
			deliver(events[i].data.fd, ready_of(events[i].events));
		}
	} while (ct == AT_ONCE);
}

static void on_set(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	harvest();
}

static int open_set(void)
{
	int epoll = self.epoll < 0 ? epoll_create1(EPOLL_CLOEXEC) : self.epoll;
	if (epoll < 0) {
		return errno;
	}
	if (epoll == self.epoll) {
		return 0;
	}
	event_assign(
		&self.event, worker_base(), epoll, EV_READ | EV_PERSIST, on_set, NULL);
	if (event_add(&self.event, NULL) < 0) {
		close(epoll);
		return ENOMEM;
	}
	self.epoll = epoll;
	leak_keep(epoll);
	return 0;
}

/* Room for descriptor fd, which is open: so it is below RLIMIT_NOFILE. */
static int table_reserve(int fd)
{
	enum { FIRST = 64 };
	size_t cap = self.cap ? self.cap : FIRST;
	if ((size_t)fd < self.cap) {
		return 0;
	}
	if (fcntl(fd, F_GETFD) < 0) {
		return errno;
	}
	while (cap <= (size_t)fd) {
		cap *= 2;
	}
	struct entry *table = realloc(self.table, cap * sizeof(struct entry));
	if (!table) {
		return ENOMEM;
	}
	memset(table + self.cap, 0, (cap - self.cap) * sizeof(struct entry));
	self.table = table;
	self.cap = cap;
	return 0;
}

/* ------------------------------------------------------------------ the wait */

/* Leave the set before the task can close the descriptor. */
static void leave(struct waiter *w)
{
	struct entry *e = &self.table[w->fd];
	delist(w);
	if (e->first) {
		(void)arm(w->fd);
	} else {
		(void)epoll_ctl(self.epoll, EPOLL_CTL_DEL, w->fd, NULL);
		e->added = false;
	}
}

static void stop_waiting(void *ctx)
{
	struct waiter *w = ctx;
	if (w->listed) {
		leave(w);
	}
}

/* A full loop may come here before it has looked at the set. */
static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct waiter *w = ctx;
	(void)fd;
	(void)what;
	harvest();
	if (w->listed) {
		leave(w);
		task_wake(w->task);
	}
}

static int fail(const struct waiter *w, int code)
{
	char text[96];
	int err = code == ENOMEM                     ? PM_ENOMEM
		  : code == ENOSPC                   ? PM_ELIMIT
		  : code == EMFILE || code == ENFILE ? PM_ELIMIT
						     : PM_EINVAL;
	snprintf(text, sizeof text, "cannot wait for descriptor %d: %s", w->fd,
		strerror(code));
	return task_set_failure(w->task, err, PM_DOMAIN_ERRNO, code, text);
}

static int start_timer(struct waiter *w, int timeout_ms)
{
	struct timeval tv = {
		.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};
	if (timeout_ms < 0) {
		return 0;
	}
	event_assign(&w->timer, worker_base(), -1, 0, on_timer, w);
	w->timed = event_add(&w->timer, &tv) == 0;
	return w->timed ? 0 : ENOMEM;
}

/* Returns 0 or an errno, and waits for nothing then. */
static int start(struct waiter *w, int timeout_ms)
{
	int code = w->fd < 0 ? EBADF : open_set();
	code = code ? code : table_reserve(w->fd);
	if (code) {
		return code;
	}
	enlist(w);
	code = arm(w->fd);
	code = code ? code : start_timer(w, timeout_ms);
	if (code) {
		leave(w);
	}
	return code;
}

int pm_await_fd(pm_task *task, int fd, unsigned events, int timeout_ms)
{
	struct waiter w = {.task = task, .fd = fd, .want = events};
	if (!events || events & ~(unsigned)(PM_READ | PM_WRITE)) {
		return fail(&w, EINVAL);
	}
	int code = start(&w, timeout_ms);
	if (code) {
		return fail(&w, code);
	}
	int err = task_park(task, stop_waiting, &w);
	if (!err && !w.ready) {
		return task_set_failure(task, PM_ETIMEDOUT, PM_DOMAIN_ERRNO, ETIMEDOUT,
			pm_error_text(PM_ETIMEDOUT));
	}
	return err ? err : (int)w.ready;
}

/* ----------------------------------------------------------------------- end */

int await_fd_descriptor(void)
{
	return self.epoll;
}

void await_fd_fini(void)
{
	if (self.epoll < 0) {
		return;
	}
	event_del(&self.event);
	close(self.epoll);
	free(self.table);
	self.epoll = -1;
	self.table = NULL;
	self.cap = 0;
}
