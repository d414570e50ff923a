/* SPDX-License-Identifier: MIT
 *
 * tcp_listen - listeners of tasks: pm_tcp_listen(), pm_tcp_accept(); see tcp.h.
 *
 * Runs in: the worker.  Called by tasks.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/tcp.h"

struct pm_tcp_listener {
	struct tcp_socket socket;
	uint16_t port;
	char name[TCP_ADDRESS_TEXT];
};

static void release(struct tcp_socket *s)
{
	free(s); /* it is the first member */
}

void pm_tcp_listener_close(pm_tcp_listener *listener)
{
	if (listener) {
		tcp_socket_close(&listener->socket);
	}
}

struct tcp_socket *tcp_listener_socket(struct pm_tcp_listener *listener)
{
	return &listener->socket;
}

uint16_t pm_tcp_port(const pm_tcp_listener *listener)
{
	return listener->port;
}

/* ------------------------------------------------------------------ listening */

static int set_up(int fd, const struct tcp_address *at)
{
	static const int on = 1, off = 0;
	bool v6 = at->at.ss_family == AF_INET6;
	bool any = v6 && IN6_IS_ADDR_UNSPECIFIED(
				 &((const struct sockaddr_in6 *)(const void *)&at->at)
					  ->sin6_addr);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
		(any && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) <
				0) ||
		bind(fd, (const struct sockaddr *)&at->at, at->len) < 0 ||
		listen(fd, SOMAXCONN) < 0) {
		return errno;
	}
	return 0;
}

/* Returns 0 or an errno. */
static int open_one(const struct tcp_address *at, int *fd)
{
	int made = socket(at->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		IPPROTO_TCP);
	int code = made < 0 ? errno : set_up(made, at);
	if (code) {
		if (made >= 0) {
			close(made);
		}
		return code;
	}
	*fd = made;
	return 0;
}

static int open_any(const struct tcp_addresses *all, int *fd)
{
	int code = EADDRNOTAVAIL;
	for (size_t i = 0; i < all->ct; i++) {
		code = open_one(&all->each[i], fd);
		if (code == 0 || code == EADDRINUSE) {
			break; /* the port of another address would surprise */
		}
	}
	return code;
}

static pm_tcp_listener *listener_new(struct pm_task *task, int fd)
{
	struct tcp_address own = {.len = sizeof own.at};
	pm_tcp_listener *l = calloc(1, sizeof *l);
	if (l && getsockname(fd, (struct sockaddr *)&own.at, &own.len) == 0) {
		l->port = tcp_address_port(&own);
		tcp_address_text(&own, l->name);
		tcp_socket_init(&l->socket, task, fd, release);
		return l;
	}
	free(l);
	return NULL;
}

static int fail(struct pm_task *task, const char *host, uint16_t port, int code)
{
	char name[TCP_NAME_TEXT], what[TCP_NAME_TEXT + 40];
	tcp_name_text(host, port, name);
	snprintf(what, sizeof what, "cannot listen on %s", name);
	return tcp_fail_errno(task, PM_ESYSTEM, code, what);
}

static int listen_on(struct pm_task *task, const struct tcp_addresses *all,
	const char *host, uint16_t port, pm_tcp_listener **listener)
{
	int fd = -1;
	int code = open_any(all, &fd);
	if (code) {
		return fail(task, host, port, code);
	}
	pm_tcp_listener *made = listener_new(task, fd);
	if (!made) {
		close(fd);
		return fail(task, host, port, ENOMEM);
	}
	*listener = made;
	return 0;
}

int pm_tcp_listen(
	pm_task *task, const char *host, uint16_t port, pm_tcp_listener **listener)
{
	struct tcp_addresses *all = NULL;
	if (!listener || (host && !*host)) {
		return tcp_fail(task, PM_EINVAL,
			"pm_tcp_listen() needs an address and a place for the "
			"listener");
	}
	if (task->cancelled) {
		return tcp_fail(task, PM_ECANCELLED, "cancelled");
	}
	int err = tcp_resolve(task, host, port, PM_FOREVER, &all);
	if (!err) {
		err = listen_on(task, all, host, port, listener);
		free(all);
	}
	return err;
}

/* ------------------------------------------------------------------ accepting */

/* What became of the connection before it was taken, or a network's passing
 * trouble, is not the listener's. */
static bool is_passing(int code)
{
	switch (code) {
	case EINTR:
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

static bool is_shortage(int code)
{
	return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

static int fail_accept(struct pm_task *task, const pm_tcp_listener *l, int code)
{
	char what[TCP_ADDRESS_TEXT + 40];
	snprintf(what, sizeof what, "cannot accept on %s", l->name);
	return tcp_fail_errno(task, PM_ESYSTEM, code, what);
}

static int take(struct pm_task *task, pm_tcp_listener *l, int fd,
	const struct tcp_address *peer, pm_tcp **tcp)
{
	pm_tcp *made = tcp_new(task, fd, peer);
	if (!made) {
		close(fd);
		return fail_accept(task, l, ENOMEM);
	}
	*tcp = made;
	return 0;
}

/* No descriptor, no memory: the connection stays in the queue, and the listener
 * readable.  Waiting for it would be no wait, so wait for time to pass, and for others
 * to close something. */
static int pause_briefly(struct pm_task *task, uint64_t deadline_ms)
{
	enum { PAUSE_MS = 50 };
	int left = tcp_left_ms(deadline_ms);
	return pm_sleep(task, left < 0 || left > PAUSE_MS ? PAUSE_MS : (unsigned)left);
}

/* After a failed accept4(): 0 to try again. */
static int get_over(struct pm_task *task, pm_tcp_listener *l, int code,
	uint64_t deadline_ms, unsigned *shortage_ct)
{
	if (tcp_would_block(code)) {
		return tcp_socket_wait(
			&l->socket, task, PM_READ, tcp_left_ms(deadline_ms));
	}
	if (is_passing(code)) {
		return 0;
	}
	if (is_shortage(code) && (*shortage_ct)++ == 0) {
		int err = pause_briefly(task, deadline_ms);
		return !err && l->socket.closed
			       ? tcp_fail(task, PM_ESTATE, "closed by another task")
			       : err;
	}
	return fail_accept(task, l, code);
}

static int accept_one(
	struct pm_task *task, pm_tcp_listener *l, uint64_t deadline_ms, pm_tcp **tcp)
{
	unsigned shortage_ct = 0;
	for (;;) {
		int err = tcp_socket_yield(
			&l->socket, task, PM_READ, tcp_left_ms(deadline_ms));
		if (err) {
			return err;
		}
		struct tcp_address peer = {.len = sizeof peer.at};
		int fd = accept4(l->socket.fd, (struct sockaddr *)&peer.at, &peer.len,
			SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			return take(task, l, fd, &peer, tcp);
		}
		err = get_over(task, l, errno, deadline_ms, &shortage_ct);
		if (err) {
			return err;
		}
	}
}

int pm_tcp_accept(
	pm_task *task, pm_tcp_listener *listener, int timeout_ms, pm_tcp **tcp)
{
	if (!listener || !tcp) {
		return tcp_fail(task, PM_EINVAL,
			"pm_tcp_accept() needs a listener and a place for the "
			"connection");
	}
	int err = tcp_socket_begin(&listener->socket, task);
	if (!err) {
		err = accept_one(task, listener, tcp_deadline_ms(timeout_ms), tcp);
		tcp_socket_end(&listener->socket);
	}
	return err;
}
