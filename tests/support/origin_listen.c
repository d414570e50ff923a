/* SPDX-License-Identifier: MIT
 *
 * origin_listen - the ports of the origin: a plain one, with --addresses the same one
 * on further addresses, and with --tls one for each of tls_kinds.
 *
 * Runs in: the origin.  Called by origin.c.  It must never listen on anything but
 * loopback: each address is bound by itself.
 */
#include "tests/support/origin_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
#define ACCEPT_BATCH 64 /* connections taken in one turn of the loop */
#define ACCEPT_PAUSE_MS 50
#define MORE_ADDRESSES 0x7f010001u /* 127.1.0.1 and those after it, as in dns.h */

struct port {
	struct port *next;
	struct server *server;
	const struct tls_kind *kind; /* NULL: plain */
	SSL_CTX *context;
	bool silent; /* not announced */
	int fd;
	struct event listener, pause;
};

/* Without descriptors accept() fails at once and for ever; a short pause keeps
 * the loop for those who are already in. */
static void port_pause(struct port *p)
{
	static const struct timeval tv = {0, ACCEPT_PAUSE_MS * 1000};
	fprintf(stderr, "origin: cannot accept: %s\n", strerror(errno));
	event_del(&p->listener);
	evtimer_add(&p->pause, &tv);
}

static void on_pause_over(evutil_socket_t fd, short what, void *ctx)
{
	struct port *p = ctx;
	(void)fd;
	(void)what;
	event_add(&p->listener, NULL);
}

static void take(struct port *p, int fd)
{
	const struct conn *c =
		p->kind ? conn_open_tls(p->server, fd, p->context, p->kind->h2)
			: conn_open(p->server, fd);
	if (!c) {
		close(fd);
	}
}

static void on_incoming(evutil_socket_t listen_fd, short what, void *ctx)
{
	struct port *p = ctx;
	(void)what;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take(p, fd);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			port_pause(p);
			return;
		}
	}
}

/* Bind and listen; -1 after a message. */
static int listen_on(uint32_t address, uint16_t number)
{
	int on = 1;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(number)};
	addr.sin_addr.s_addr = htonl(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
		bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
		listen(fd, BACKLOG)) {
		fprintf(stderr, "origin: cannot listen on %08x:%u: %s\n",
			(unsigned)address, (unsigned)number, strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	return fd;
}

static struct port *port_open(struct server *s, uint32_t address, uint16_t number,
	const struct tls_kind *kind, SSL_CTX *context)
{
	struct port *p = calloc(1, sizeof(*p));
	int fd = p ? listen_on(address, number) : -1;
	if (fd < 0) {
		SSL_CTX_free(context);
		free(p);
		return NULL;
	}
	p->server = s;
	p->kind = kind;
	p->context = context;
	p->fd = fd;
	event_assign(&p->listener, s->base, fd, EV_READ | EV_PERSIST, on_incoming, p);
	evtimer_assign(&p->pause, s->base, on_pause_over, p);
	if (event_add(&p->listener, NULL)) {
		fprintf(stderr, "origin: cannot watch the listener: %s\n",
			strerror(errno));
	}
	return p;
}

static bool open_tls_ports(struct server *s, const char *dir, struct port *first)
{
	struct tls *tls = tls_open(dir);
	bool good = tls != NULL;
	struct port **last = &first->next;
	for (const struct tls_kind *k = tls_kinds; good && k->name; k++) {
		SSL_CTX *context = tls_context(tls, k);
		*last = context ? port_open(s, INADDR_LOOPBACK, 0, k, context) : NULL;
		good = *last != NULL;
		last = good ? &(*last)->next : last;
	}
	tls_close(tls);
	return good;
}

static unsigned number_of(const struct port *p)
{
	struct sockaddr_in addr = {0};
	socklen_t len = sizeof(addr);
	bool good = !getsockname(p->fd, (struct sockaddr *)&addr, &len);
	return good ? ntohs(addr.sin_port) : 0;
}

/* Whoever has a port of 127.0.0.1 has it to himself on these as well. */
static bool open_more(struct server *s, unsigned addresses, struct port *first)
{
	unsigned number = number_of(first);
	for (unsigned i = 0; number && i < addresses; i++) {
		struct port *p =
			port_open(s, MORE_ADDRESSES + i, (uint16_t)number, NULL, NULL);
		if (!p) {
			return false;
		}
		p->silent = true;
		p->next = first->next;
		first->next = p;
	}
	return number != 0;
}

struct port *ports_open(
	struct server *s, uint16_t number, unsigned addresses, const char *tls_dir)
{
	struct port *first = port_open(s, INADDR_LOOPBACK, number, NULL, NULL);
	bool good = first && (!tls_dir || open_tls_ports(s, tls_dir, first)) &&
		    open_more(s, addresses, first);
	if (!good) {
		ports_close(first);
	}
	return good ? first : NULL;
}

void ports_close(struct port *first)
{
	while (first) {
		struct port *p = first;
		first = p->next;
		event_del(&p->listener);
		event_del(&p->pause);
		close(p->fd);
		SSL_CTX_free(p->context);
		free(p);
	}
}

static bool announce_one(const struct port *p)
{
	unsigned number = number_of(p);
	int n = p->kind ? printf("tls %s 127.0.0.1:%u\n", p->kind->name, number)
			: printf("listening 127.0.0.1:%u\n", number);
	return number && n > 0;
}

bool ports_announce(const struct port *first)
{
	bool good = true;
	for (; first && good; first = first->next) {
		good = first->silent || announce_one(first);
	}
	if (!good || fflush(stdout)) {
		fprintf(stderr, "origin: cannot say the port: %s\n", strerror(errno));
		return false;
	}
	return true;
}
