/* SPDX-License-Identifier: MIT
 *
 * engine_watch - the sockets of the engine, and the events on them.
 *
 * Runs in: the worker.  libcurl calls in to make a socket, to close one, and
 * to say what it waits for; the loop calls back.
 *
 * A connection that is kept between two requests stays watched, although
 * libcurl no longer asks for it.  Whatever arrives then is no answer to
 * anything: an end, a "408 Request Timeout", or a response that nobody asked
 * for.  libcurl 7.88 would take the latter two as the answer to the next
 * request.  So the connection is shut down, which libcurl does notice.
 */
#include "worker/engine_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ----------------------------------------------------------- the table of them */

static struct watch *watch_at(const struct engine *e, curl_socket_t fd)
{
	return (size_t)fd < e->watch_cap ? e->watch_at[fd] : NULL;
}

/* Room for descriptor fd.  Descriptors are small: RLIMIT_NOFILE bounds them. */
static int table_reserve(struct engine *e, curl_socket_t fd)
{
	enum { FIRST = 256 };
	size_t cap = e->watch_cap ? e->watch_cap : FIRST;
	while (cap <= (size_t)fd) {
		cap *= 2;
	}
	if (cap == e->watch_cap) {
		return 0;
	}
	/* NOLINTNEXTLINE(gcc-malloc-leak): the engine keeps it */
	struct watch **table = realloc(e->watch_at, cap * sizeof(struct watch *));
	if (!table) {
		return PM_ENOMEM;
	}
	for (size_t i = e->watch_cap; i < cap; i++) {
		table[i] = NULL;
	}
	e->watch_at = table;
	e->watch_cap = cap;
	return 0;
}

void watch_free(struct watch *w)
{
	struct engine *e = w->shard->engine;
	if (w->what) {
		event_del(&w->event);
	}
	e->watch_at[w->fd] = NULL;
	list_remove(&w->shard->watches, &w->link);
	list_push_front(&e->spare_watches, &w->link);
}

static struct watch *watch_new(struct shard *s, curl_socket_t fd)
{
	struct engine *e = s->engine;
	if (table_reserve(e, fd)) {
		return NULL;
	}
	struct list_node *n = list_pop_front(&e->spare_watches);
	struct watch *w = n ? list_entry(n, struct watch, link) : malloc(sizeof(*w));
	if (!w) {
		return NULL;
	}
	w->shard = s;
	w->fd = fd;
	w->what = 0;
	w->established = w->idle = false;
	e->watch_at[fd] = w;
	list_push_back(&s->watches, &w->link);
	return w;
}

/* -------------------------------------------------------------- the loop's side */

/* A false alarm is possible: a timer may have made libcurl read what woke us. */
static void end_idle(struct watch *w)
{
	char byte;
	if (recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
		(errno == EAGAIN || errno == EINTR)) {
		return;
	}
	event_del(&w->event);
	w->what = 0;
	shutdown(w->fd, SHUT_RDWR);
}

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct watch *w = ctx;
	if (w->idle) {
		end_idle(w);
		return;
	}
	int events = (what & EV_READ ? CURL_CSELECT_IN : 0) |
		     (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	shard_drive(w->shard, fd, events); /* w may be gone now */
}

static int watch_set(struct watch *w, short what)
{
	if (w->what == what) {
		return 0;
	}
	if (w->what) {
		event_del(&w->event);
	}
	w->what = what;
	if (!what) {
		return 0;
	}
	event_assign(&w->event, w->shard->engine->base, w->fd,
		(short)(what | EV_PERSIST), on_event, w);
	return event_add(&w->event, NULL);
}

/* ------------------------------------------------------------- libcurl's side */

/* libcurl tries a host's addresses one after the other, closes the socket of
 * one that failed without a word, and often gets the same descriptor for the
 * next; then it sees no change in what it waits for, and does not ask again. */
static int watch_again(struct watch *w)
{
	short what = w->what;
	if (!what) {
		return 0;
	}
	event_del(&w->event);
	w->what = 0;
	w->established = w->idle = false;
	return watch_set(w, what);
}

curl_socket_t watch_open_socket(
	void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *t = ctx;
	(void)purpose;
	if (!route_address(t, address)) {
		return CURL_SOCKET_BAD; /* also asked for after the last one failed */
	}
	/* A task may start other programs: descriptors must not follow. */
	int fd = socket(
		address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	t->socket_errno = fd < 0 ? errno : 0; /* 0: this address worked */
	struct watch *stale = fd < 0 ? NULL : watch_at(t->engine, fd);
	if (stale && watch_again(stale)) {
		shard_break(stale->shard);
	}
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

int watch_close_socket(void *ctx, curl_socket_t fd)
{
	struct watch *w = watch_at(ctx, fd);
	if (w) {
		watch_free(w);
	}
	return close(fd);
}

/* libcurl has no use for the socket now: it is kept, or about to be closed.
 * watch_close_socket() tells, but only of connections that were established;
 * others, and the sockets of libcurl's resolver, are closed without a word. */
static int rest(struct watch *w)
{
	if (!w->established) {
		watch_free(w);
		return 0;
	}
	w->idle = true;
	return watch_set(w, EV_READ);
}

/* While it connects, libcurl only waits to write. */
static bool is_established(curl_socket_t fd, short what)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	return (what & EV_READ) &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       (domain == AF_INET || domain == AF_INET6);
}

/* See shard_drive(). */
static void note_failed_address(struct shard *s, CURL *easy)
{
	struct transfer *t = NULL;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
	if (t && t->shard == s) {
		t->address_failed = true;
		s->address_failed = true;
	}
}

/* It is not idle: libcurl is held until a redirect's host is looked up. */
static bool is_held(CURL *easy)
{
	struct transfer *t = NULL;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
	return t && t->route.waiting;
}

static int want(struct shard *s, struct watch *w, curl_socket_t fd, short what)
{
	w = w ? w : watch_new(s, fd);
	if (!w) {
		return PM_ENOMEM;
	}
	w->idle = false;
	w->established = w->established || is_established(fd, what);
	return watch_set(w, what);
}

int watch_wanted(CURL *easy, curl_socket_t fd, int wanted, void *ctx, void *socket_ctx)
{
	struct shard *s = ctx;
	struct watch *w = watch_at(s->engine, fd);
	(void)socket_ctx;
	short what = (short)((wanted & CURL_POLL_IN ? EV_READ : 0) |
			     (wanted & CURL_POLL_OUT ? EV_WRITE : 0));
	int bad = 0;
	if (wanted != CURL_POLL_REMOVE) {
		bad = want(s, w, fd, what);
	} else if (w && is_held(easy)) {
		bad = watch_set(w, 0);
	} else if (w) {
		if (w->what == EV_WRITE && !w->established) {
			note_failed_address(s, easy);
		}
		bad = rest(w);
	}
	if (bad) {
		shard_break(s);
	}
	return 0;
}
