/* SPDX-License-Identifier: MIT
 *
 * tcp - the private header of TCP in tasks, in reading order.
 *
 *   tcp_connect.c --> tcp_address.c        names, addresses and their texts
 *        |
 *      tcp.c <-- tcp_listen.c <-- tcp_serve.c
 *        |            |
 *      tcp_socket.c --+--> await_fd.c      waits, errors, closing
 *        |
 *      tcp_owned.c                         what a task owns
 *
 * Runs in: the worker, on the stacks of tasks.
 */
#ifndef WORKER_TCP_H
#define WORKER_TCP_H

#include <sys/socket.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/poolmap.h"
#include "worker/runner.h"
#include "worker/tcp_owned.h"

/* ------------------------------------------------------------------ deadlines */

/* A time-out of several waits together. */
static inline uint64_t tcp_deadline_ms(int timeout_ms)
{
	return timeout_ms < 0 ? UINT64_MAX : clock_now_ms() + (unsigned)timeout_ms;
}

/* What is left of it, as a timeout_ms. */
static inline int tcp_left_ms(uint64_t deadline_ms)
{
	uint64_t now = clock_now_ms();
	return deadline_ms == UINT64_MAX ? PM_FOREVER
	       : deadline_ms > now       ? (int)(deadline_ms - now)
					 : 0;
}

/* --------------------------------------------------------------- tcp_socket.c */

/* What a connection and a listener have in common. */
struct tcp_socket {
	struct tcp_owned owned;
	int fd;
	bool closed;         /* by one task, while another one stood on it */
	unsigned use_ct;     /* calls of tasks that stand on it now */
	unsigned at_once_ct; /* system calls since the last wait */
	void (*release)(struct tcp_socket *s); /* free what it is the first member of */
};

/* It belongs to the task from now on, and so does the descriptor. */
void tcp_socket_init(struct tcp_socket *s, struct pm_task *task, int fd,
	void (*release)(struct tcp_socket *s));

/* Close it, and free it now, or when the last call that stands on it returns; these
 * end with PM_ESTATE. */
void tcp_socket_close(struct tcp_socket *s);

/* Each call of a task is between these two.  A task that was cancelled fails here. */
int tcp_socket_begin(struct tcp_socket *s, struct pm_task *task) PM_MUSTCHECK;
void tcp_socket_end(struct tcp_socket *s);

/* Wait for it.  0 or the error. */
int tcp_socket_wait(struct tcp_socket *s, struct pm_task *task, unsigned events,
	int timeout_ms) PM_MUSTCHECK;

/* Before a system call that may succeed at once: now and then the others' turn. */
int tcp_socket_yield(struct tcp_socket *s, struct pm_task *task, unsigned events,
	int timeout_ms) PM_MUSTCHECK;

/* Record a failure: the class that an errno is in, or `otherwise`; the message says
 * "what: strerror". */
int tcp_fail_errno(struct pm_task *task, int otherwise, int code, const char *what);
int tcp_fail(struct pm_task *task, int error, const char *what);

/* Would waiting help? */
bool tcp_would_block(int code);

/* -------------------------------------------------------------- tcp_address.c */

/* "[" IPv6 "%" interface "]:" port */
enum { TCP_ADDRESS_TEXT = 46 + 17 + 9 };

/* "host:port", cut when it is too long */
enum { TCP_NAME_TEXT = 300 };

struct tcp_address {
	struct sockaddr_storage at;
	socklen_t len;
};

struct tcp_addresses {
	size_t ct;
	struct tcp_address each[];
};

/* The addresses of a host, to be freed; NULL is all of this machine, to listen on.
 * A name is looked up on a thread; one that nobody waits for any more goes on there,
 * and is forgotten. */
int tcp_resolve(struct pm_task *task, const char *host, uint16_t port, int timeout_ms,
	struct tcp_addresses **found) PM_MUSTCHECK;

void tcp_address_text(const struct tcp_address *address, char text[TCP_ADDRESS_TEXT]);
void tcp_name_text(const char *host, uint16_t port, char text[TCP_NAME_TEXT]);
uint16_t tcp_address_port(const struct tcp_address *address);

/* ---------------------------------------------------------------------- tcp.c */

/* A connection of the task's on this descriptor; NULL: no memory, and the descriptor
 * is still the caller's. */
struct pm_tcp *tcp_new(struct pm_task *task, int fd, const struct tcp_address *peer);

/* It is another task's now. */
void tcp_give(struct pm_tcp *tcp, struct pm_task *task);

/* --------------------------------------------------------------- tcp_listen.c */

struct tcp_socket *tcp_listener_socket(struct pm_tcp_listener *listener);

#endif
