/* SPDX-License-Identifier: MIT
 *
 * tcp_connect - connections that tasks make: pm_tcp_connect(), pm_tcp_connect_from();
 * see tcp.h.
 *
 * Runs in: the worker.  Called by tasks.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/address.h"
#include "worker/engine_check.h"
#include "worker/tcp.h"

/* One call. */
struct attempt {
	struct pm_task *task;
	char name[TCP_NAME_TEXT];
	uint64_t deadline_ms;
	const char *interface;     /* to connect from; NULL: from any */
	struct tcp_address source; /* the same; len 0: any */
};

/* A port of one's own machine where nobody listens may be the one that the kernel
 * has just chosen for this end: then the socket is connected to itself. */
static bool is_itself(int fd, const struct tcp_address *to)
{
	struct tcp_address own = {.len = sizeof own.at};
	if (getsockname(fd, (struct sockaddr *)&own.at, &own.len) < 0 ||
		tcp_address_port(&own) != tcp_address_port(to)) {
		return false;
	}
	char a[TCP_ADDRESS_TEXT], b[TCP_ADDRESS_TEXT];
	tcp_address_text(&own, a);
	tcp_address_text(to, b);
	return strcmp(a, b) == 0;
}

/* How it went: 0 or an errno. */
static int outcome(int fd, const struct tcp_address *to)
{
	int code = 0;
	socklen_t len = sizeof code;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0) {
		return errno;
	}
	return code ? code : is_itself(fd, to) ? ECONNREFUSED : 0;
}

/* Returns 0, an errno, or PM_ECANCELLED. */
static int connect_fd(
	struct pm_task *task, int fd, const struct tcp_address *to, int timeout_ms)
{
	if (connect(fd, (const struct sockaddr *)&to->at, to->len) == 0) {
		return outcome(fd, to);
	}
	if (errno != EINPROGRESS && errno != EINTR) {
		return errno;
	}
	int ready = pm_await_fd(task, fd, PM_WRITE, timeout_ms);
	switch (ready) {
	case PM_WRITE:
		return outcome(fd, to);
	case PM_ECANCELLED:
		return PM_ECANCELLED;
	case PM_ETIMEDOUT:
		return ETIMEDOUT;
	default:
		return pm_task_failure(task)->code;
	}
}

/* Returns 0 or an errno. */
static int bind_fd(const struct attempt *a, int fd)
{
	int bad = 0;
	if (a->interface) {
		bad = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, a->interface,
			(socklen_t)strlen(a->interface));
	} else if (a->source.len) {
		int later =
			1; /* choose the port with the host in view: there are more */
		(void)setsockopt(
			fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &later, sizeof later);
		bad = bind(fd, (const struct sockaddr *)&a->source.at, a->source.len);
	}
	return bad < 0 ? errno : 0;
}

/* The same, and *fd on 0. */
static int try_one(
	const struct attempt *a, const struct tcp_address *to, int timeout_ms, int *fd)
{
	int made = socket(to->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		IPPROTO_TCP);
	if (made < 0) {
		return errno;
	}
	int code = bind_fd(a, made);
	if (!code) {
		code = connect_fd(a->task, made, to, timeout_ms);
	}
	if (code) {
		close(made);
		return code;
	}
	*fd = made;
	return 0;
}

/* So that one that never answers leaves time for those behind it. */
static int share_ms(uint64_t deadline_ms, size_t ct)
{
	int left = tcp_left_ms(deadline_ms);
	return left <= 0 || ct > INT_MAX ? left : left / (int)ct + 1;
}

static int fail(const struct attempt *a, int code)
{
	char what[TCP_NAME_TEXT + 40];
	snprintf(what, sizeof what, "cannot connect to %s", a->name);
	return tcp_fail_errno(a->task, PM_ECONNECT, code, what);
}

static int finish(const struct attempt *a, int fd, const struct tcp_address *peer,
	struct pm_tcp **tcp)
{
	struct pm_tcp *made = tcp_new(a->task, fd, peer);
	if (!made) {
		close(fd);
		return fail(a, ENOMEM);
	}
	*tcp = made;
	return 0;
}

static bool can_reach(const struct attempt *a, const struct tcp_address *to)
{
	return !a->source.len || a->source.at.ss_family == to->at.ss_family;
}

static int try_all(
	const struct attempt *a, const struct tcp_addresses *all, struct pm_tcp **tcp)
{
	int code = EADDRNOTAVAIL, fd = -1;
	size_t left_ct = 0;
	for (size_t i = 0; i < all->ct; i++) {
		left_ct += can_reach(a, &all->each[i]);
	}
	for (size_t i = 0; i < all->ct; i++) {
		if (!can_reach(a, &all->each[i])) {
			continue;
		}
		int timeout_ms = share_ms(a->deadline_ms, left_ct--);
		code = try_one(a, &all->each[i], timeout_ms, &fd);
		if (code == 0) {
			return finish(a, fd, &all->each[i], tcp);
		}
		if (code == PM_ECANCELLED) {
			return code;
		}
	}
	return fail(a, code);
}

static int set_source(struct attempt *a, const char *local)
{
	struct pm_failure failure;
	struct address address;
	if (local_address_check(local, &failure)) {
		return tcp_fail(a->task, PM_EINVAL, failure.message);
	}
	if (address_parse(&address, local, strlen(local))) {
		a->source.len = address_to_sockaddr(
			&address, 0, (struct sockaddr *)&a->source.at);
	} else {
		a->interface = local;
	}
	return 0;
}

int pm_tcp_connect_from(pm_task *task, const char *local, const char *host,
	uint16_t port, int timeout_ms, pm_tcp **tcp)
{
	struct attempt a = {.task = task, .deadline_ms = tcp_deadline_ms(timeout_ms)};
	struct tcp_addresses *all = NULL;
	if (!host || !*host || !port || !tcp) {
		return tcp_fail(task, PM_EINVAL,
			"pm_tcp_connect() needs a host, a port and a place for the "
			"connection");
	}
	if (task->cancelled) {
		return tcp_fail(task, PM_ECANCELLED, "cancelled");
	}
	tcp_name_text(host, port, a.name);
	int err = local ? set_source(&a, local) : 0;
	if (!err) {
		err = tcp_resolve(task, host, port, timeout_ms, &all);
	}
	if (!err) {
		err = try_all(&a, all, tcp);
		free(all);
	}
	return err;
}

int pm_tcp_connect(
	pm_task *task, const char *host, uint16_t port, int timeout_ms, pm_tcp **tcp)
{
	return pm_tcp_connect_from(task, NULL, host, port, timeout_ms, tcp);
}
