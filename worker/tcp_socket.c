/* SPDX-License-Identifier: MIT
 *
 * tcp_socket - a socket that tasks wait for; see tcp.h.
 *
 * Runs in: the worker.  Called by the other TCP modules.  Where two tasks share a
 * connection, one may close it under the other: the descriptor and the memory live
 * until the last one has left.
 */
#include "worker/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct tcp_socket *socket_of(struct tcp_owned *owned)
{
	return (struct tcp_socket *)(void *)owned; /* its first member */
}

static void free_socket(struct tcp_socket *s)
{
	close(s->fd);
	s->release(s);
}

void tcp_socket_close(struct tcp_socket *s)
{
	tcp_disown(&s->owned);
	if (s->closed) {
		return;
	}
	if (s->use_ct == 0) {
		free_socket(s);
		return;
	}
	s->closed = true;
	(void)shutdown(s->fd, SHUT_RDWR); /* wakes those that wait for it */
}

static void on_owner_end(struct tcp_owned *owned)
{
	tcp_socket_close(socket_of(owned));
}

void tcp_socket_init(struct tcp_socket *s, struct pm_task *task, int fd,
	void (*release)(struct tcp_socket *s))
{
	s->fd = fd;
	s->release = release;
	s->owned.close = on_owner_end;
	tcp_own(task, &s->owned);
}

/* ---------------------------------------------------------------------- calls */

int tcp_socket_begin(struct tcp_socket *s, struct pm_task *task)
{
	if (task->cancelled) {
		return tcp_fail(task, PM_ECANCELLED, "cancelled");
	}
	s->use_ct++;
	return 0;
}

void tcp_socket_end(struct tcp_socket *s)
{
	s->use_ct--;
	if (s->closed && s->use_ct == 0) {
		free_socket(s);
	}
}

int tcp_socket_wait(
	struct tcp_socket *s, struct pm_task *task, unsigned events, int timeout_ms)
{
	int ready = pm_await_fd(task, s->fd, events, timeout_ms);
	s->at_once_ct = 0;
	if (s->closed && ready != PM_ECANCELLED) {
		return tcp_fail(task, PM_ESTATE, "closed by another task");
	}
	return ready < 0 ? ready : 0;
}

/* The other side may be so quick that there is never anything to wait for. */
int tcp_socket_yield(
	struct tcp_socket *s, struct pm_task *task, unsigned events, int timeout_ms)
{
	enum { AT_ONCE_MAX = 32 };
	s->at_once_ct++;
	return s->at_once_ct > AT_ONCE_MAX
		       ? tcp_socket_wait(s, task, events, timeout_ms)
		       : 0;
}

/* --------------------------------------------------------------------- errors */

bool tcp_would_block(int code)
{
	return code == EAGAIN || code == EWOULDBLOCK;
}

static int class_of(int code, int otherwise)
{
	switch (code) {
	case ECONNREFUSED:
		return PM_ECONNECT;
	case ETIMEDOUT:
		return PM_ETIMEDOUT;
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
		return PM_ERESET;
	case EMFILE:
	case ENFILE:
		return PM_ELIMIT;
	case ENOMEM:
	case ENOBUFS:
		return PM_ENOMEM;
	default:
		return otherwise;
	}
}

int tcp_fail_errno(struct pm_task *task, int otherwise, int code, const char *what)
{
	char text[TCP_NAME_TEXT + 200];
	snprintf(text, sizeof text, "%s: %s", what, strerror(code));
	return task_set_failure(
		task, class_of(code, otherwise), PM_DOMAIN_ERRNO, code, text);
}

int tcp_fail(struct pm_task *task, int error, const char *what)
{
	return task_set_failure(task, error, PM_DOMAIN_NONE, 0, what);
}
