/* SPDX-License-Identifier: MIT
 *
 * engine_rig - a scripted HTTP server on the event base of the test, and an
 * engine to fetch from it.  For the test_engine files, which each include it.
 *
 * The server answers by path, see the table of routes.  Engines of one
 * transfer use one handle, so that "A, then B" tests what A leaves behind.
 */
#ifndef TESTS_UNIT_ENGINE_RIG_H
#define TESTS_UNIT_ENGINE_RIG_H

#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "worker/engine.h"
#include "worker/engine_parts.h"
#include "worker/engine_response.h"

/* ------------------------------------------------------------------ the server */

enum after {
	KEEP,  /* wait for the next request */
	CLOSE, /* close when all is sent */
	RESET, /* the same, with RST */
	FLOOD, /* send the reply's last part for ever */
	LATER, /* send the reply after 100 ms */
	EXTRA, /* send the reply, and another response after 100 ms */
};

struct route {
	const char *path;
	const char *reply;
	enum after after;
	size_t len; /* 0: it is text */
};

#define FOLDS_8 " x\r\n x\r\n x\r\n x\r\n x\r\n x\r\n x\r\n x\r\n"
#define FOLDS FOLDS_8 FOLDS_8 FOLDS_8 FOLDS_8
#define X64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define X1K X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64
#define X16K X1K X1K X1K X1K X1K X1K X1K X1K X1K X1K X1K X1K X1K X1K X1K X1K
#define OK_HEAD "HTTP/1.1 200 OK\r\n"

/* A head for so many bytes of that coding; its length with them. */
#define CODED(coding, bytes)                                                           \
	OK_HEAD "Content-Encoding: " coding "\r\nContent-Length: " #bytes "\r\n\r\n"
#define CODED_LEN(coding, bytes) (sizeof(CODED(coding, bytes)) - 1 + (bytes))
#define DEFLATE_BOMB "\xab\x1a\x05\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\xc1\x28\x18\x05"

static const struct route routes[] = {
	{.path = "/ok",
		.reply = OK_HEAD "Content-Type: text/plain\r\nX-One: 1\r\n"
				 "Content-Length: 5\r\n\r\nhello"},
	{.path = "/ok0", .reply = "HTTP/1.0 200 OK\r\n\r\nold", .after = CLOSE},
	{.path = "/empty", .reply = "HTTP/1.1 204 No Content\r\n\r\n"},
	{.path = "/404", .reply = "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno"},
	{.path = "/nul", .reply = OK_HEAD "Content-Length: 3\r\n\r\na\0b", .len = 41},
	{.path = "/head", .reply = OK_HEAD "Content-Length: 1000\r\n\r\n"},
	{.path = "/close",
		.reply = OK_HEAD "Connection: close\r\nContent-Length: 0\r\n\r\n",
		.after = CLOSE},
	{.path = "/later",
		.reply = OK_HEAD "Content-Length: 4\r\n\r\nlate",
		.after = LATER},
	{.path = "/chunked",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
				 "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n"},
	{.path = "/headers",
		.reply = "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\n" OK_HEAD
			 "SET-Cookie: a=1\r\nSet-Cookie:b=2\r\nX-Empty:\r\n"
			 "X-Fold: one\r\n  two\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/gzip",
		.reply = OK_HEAD
		"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw"},

	/* gzip of "hello " four times without the last blank, of "x", and of
	 * 128 KiB of NULs */
	{.path = "/gzip-hello",
		.reply = OK_HEAD
		"Content-Encoding: gzip\r\n"
		"Content-Length: 28\r\n\r\n"
		"\037\213\010\000\000\000\000\000\002\003\313\110\315\311"
		"\311\127\310\100\047\001\343\121\075\215\027\000\000\000",
		.len = 91},
	{.path = "/gzip-x",
		.reply = OK_HEAD
		"Content-Encoding: gzip\r\n"
		"Content-Length: 21\r\n\r\n"
		"\037\213\010\000\000\000\000\000\002\003\253\000\000\203"
		"\026\334\214\001\000\000\000",
		.len = 84},
	{.path = "/gzip-bomb",
		.reply = OK_HEAD
		"Content-Encoding: gzip\r\n"
		"Content-Length: 161\r\n\r\n"
		"\037\213\010\000\000\000\000\000\002\003\355\301\061\001"
		"\000\000\000\302\240\365\117\355\141\015\240\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
		"\000\000\000\000\000\000\000\000\000\000\000\000\156\315"
		"\315\350\176\000\000\002\000",
		.len = 225},
	/* "hello", and what is at least 2 KiB in few bytes */
	{.path = "/hello-deflate",
		.reply = CODED("deflate", 16) "\x78\x9c\1\5\0\xfa\xff"
					      "hello\x06\x2c\2\x15",
		.len = CODED_LEN("deflate", 16)},
	{.path = "/hello-gzip",
		.reply = CODED("gzip", 28) "\x1f\x8b\x08\0\0\0\0\0\0\xff\1\5\0\xfa\xff"
					   "hello\x86\xa6\x10\x36\5\0\0\0",
		.len = CODED_LEN("gzip", 28)},
	{.path = "/hello-br",
		.reply = CODED("br", 9) "\x0b\x02\x80hello\3",
		.len = CODED_LEN("br", 9)},
	{.path = "/hello-zstd",
		.reply = CODED("zstd", 14) "\x28\xb5\x2f\xfd\x20\5\x29\0\0hello",
		.len = CODED_LEN("zstd", 14)},
	{.path = "/hello-evil",
		.reply = CODED("evil", 5) "hello",
		.len = CODED_LEN("evil", 5)},
	{.path = "/bomb-deflate",
		.reply = CODED("deflate", 18) "\x78\x9c" DEFLATE_BOMB,
		.len = CODED_LEN("deflate", 18)},
	{.path = "/bomb-gzip",
		.reply = CODED("gzip", 26) "\x1f\x8b\x08\0\0\0\0\0\0\xff" DEFLATE_BOMB,
		.len = CODED_LEN("gzip", 26)},
	{.path = "/bomb-br",
		.reply = CODED("br", 26) "\xf4\xff\x1f\x00\x48\xe8\xc5\x63\x81\xe4\xde"
					 "\x07\xe8\xff\x3f\x00\x90\x00\x88\xc3\x02\xd0"
					 "\xbd\x0f\x30\x00",
		.len = CODED_LEN("br", 26)},
	{.path = "/bomb-zstd",
		.reply = CODED("zstd", 10) "\x28\xb5\x2f\xfd\0\x38\2\0\x10z",
		.len = CODED_LEN("zstd", 10)},
	{.path = "/401",
		.reply = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"r\"\r\n"
			 "Content-Length: 4\r\n\r\nwho?"},
	{.path = "/wants-all",
		.reply =
			OK_HEAD "Strict-Transport-Security: max-age=99999999\r\n"
				"Alt-Svc: h2=\"127.0.0.1:1\"; ma=99999999\r\n"
				"Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/cookie",
		.reply = OK_HEAD "Set-Cookie: a=1; Path=/\r\n"
				 "Set-Cookie: deep=2; Path=/cookie\r\n"
				 "Content-Length: 0\r\n\r\n"},
	{.path = "/cookie-hop",
		.reply = "HTTP/1.1 302 F\r\nSet-Cookie: hop=3\r\nLocation: /ok\r\n"
			 "Content-Length: 0\r\n\r\n"},
	{.path = "/cookie-end",
		.reply = OK_HEAD "Set-Cookie: a=; Path=/; Max-Age=0\r\n"
				 "Content-Length: 0\r\n\r\n"},
	{.path = "/two-parts",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
				 "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"},

	{.path = "/to-ok",
		.reply = "HTTP/1.1 302 Found\r\nLocation: /ok\r\nX-Hop: 1\r\n"
			 "Content-Length: 4\r\n\r\nskip"},
	{.path = "/301",
		.reply =
			"HTTP/1.1 301 M\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/302",
		.reply =
			"HTTP/1.1 302 F\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/303",
		.reply =
			"HTTP/1.1 303 S\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/307",
		.reply =
			"HTTP/1.1 307 T\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/two-hops",
		.reply = "HTTP/1.1 302 F\r\nLocation: /302\r\nContent-Length: "
			 "0\r\n\r\n"},
	{.path = "/loop",
		.reply = "HTTP/1.1 302 F\r\nLocation: /loop\r\nContent-Length: "
			 "0\r\n\r\n"},
	{.path = "/to-file",
		.reply = "HTTP/1.1 302 F\r\nLocation: "
			 "file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/to-ftp",
		.reply = "HTTP/1.1 302 F\r\nLocation: "
			 "ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"},

	{.path = "/half-head", .reply = OK_HEAD "X: y\r\n", .after = CLOSE},
	{.path = "/half-line", .reply = OK_HEAD "X: y", .after = CLOSE},
	{.path = "/code", .reply = "HTTP/1.1 1000 OK\r\n\r\n", .after = CLOSE},
	{.path = "/trailer-as-head",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
				 "1\r\nx\r\n0\r\nHTTP/x: y\r\n\r\n"},
	{.path = "/many-folds",
		.reply = OK_HEAD "X: y\r\n" FOLDS FOLDS FOLDS FOLDS
				 "Content-Length: 0\r\n\r\n"},
	{.path = "/bad-trailer",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
				 "1\r\nx\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n"},
	{.path = "/many-trailers",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n",
		.after = FLOOD},
	{.path = "/long-trailer",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\nX: ",
		.after = FLOOD},
	{.path = "/many-trailers-as-head",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
				 "0\r\nHTTP/x: y\r\n",
		.after = FLOOD},
	{.path = "/nothing", .reply = "", .after = CLOSE},
	{.path = "/nothing-but-100",
		.reply = "HTTP/1.1 100 Continue\r\n\r\n",
		.after = CLOSE},
	{.path = "/to-nothing",
		.reply = "HTTP/1.1 302 F\r\nLocation: /nothing\r\nContent-Length: "
			 "0\r\n\r\n"},
	{.path = "/cut-status-line", .reply = "HTTP/1.1 2", .after = CLOSE},
	{.path = "/large-hop",
		.reply = "HTTP/1.1 302 F\r\nLocation: /large-hop\r\nX: " X16K
			 "\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/garbage", .reply = "SSH-2.0-OpenSSH_9.2\r\n", .after = CLOSE},
	{.path = "/version", .reply = "HTTP/7.0 200 OK\r\n\r\n", .after = CLOSE},
	{.path = "/short",
		.reply = OK_HEAD "Content-Length: 100\r\n\r\nshort",
		.after = CLOSE},
	{.path = "/short-chunk",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n10\r\nabc",
		.after = CLOSE},
	{.path = "/reset",
		.reply = OK_HEAD "Content-Length: 100\r\n\r\nshort",
		.after = RESET},
	{.path = "/reset-at-once", .reply = "", .after = RESET},
	{.path = "/bad-chunk",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"},
	{.path = "/huge-chunk",
		.reply = OK_HEAD
		"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc"},
	{.path = "/negative",
		.reply = OK_HEAD "Content-Length: -5\r\n\r\nabc",
		.after = CLOSE},
	{.path = "/two-lengths",
		.reply = OK_HEAD "Content-Length: 5\r\nContent-Length: 3\r\n\r\n"
				 "hello"},
	{.path = "/length-and-chunks",
		.reply = OK_HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
				 "\r\n3\r\nabc\r\n0\r\n\r\n"},
	{.path = "/chunks-and-length",
		.reply = OK_HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"
				 "\r\n3\r\nabc\r\n0\r\n\r\n"},
	{.path = "/huge-length",
		.reply = OK_HEAD "Content-Length: 99999999999999999999\r\n\r\nabc",
		.after = CLOSE},
	{.path = "/two-lengths-hop",
		.reply = "HTTP/1.1 302 F\r\nLocation: /ok\r\nContent-Length: 0\r\n"
			 "Content-Length: 35\r\n\r\n"},
	{.path = "/same-lengths",
		.reply = OK_HEAD "Content-Length: 5\r\nContent-Length: 5, 5\r\n\r\n"
				 "hello"},
	{.path = "/two-lengths-no-body",
		.reply = "HTTP/1.1 204 No\r\nContent-Length: 5\r\n"
			 "Content-Length: 3\r\n\r\n"},
	{.path = "/retry",
		.reply = "HTTP/1.1 503 Busy\r\nX-One: 1\r\nretry-after: 7\r\n"
			 "X-Two: 2\r\n 2b\r\nContent-Length: 0\r\n\r\n"},
	{.path = "/retry-hop",
		.reply = "HTTP/1.1 302 F\r\nLocation: /ok\r\nRetry-After: 8\r\n"
			 "Content-Length: 0\r\n\r\n"},
	{.path = "/nul-header", .reply = OK_HEAD "X: a\0b\r\n\r\n", .len = 27},
	{.path = "/many-headers",
		.reply = OK_HEAD "X-Filler: 0123456789\r\n",
		.after = FLOOD},
	{.path = "/long-header",
		.reply = OK_HEAD "X-Long: 0123456789abcdef",
		.after = FLOOD},
	{.path = "/many-100", .reply = "HTTP/1.1 100 C\r\n\r\n", .after = FLOOD},
	{.path = "/endless", .reply = OK_HEAD "\r\n0123456789abcdef", .after = FLOOD},
	{.path = "/announced", .reply = OK_HEAD "Content-Length: 99999999999\r\n\r\nx"},
	{.path = "/twice",
		.reply = OK_HEAD "Content-Length: 3\r\n\r\none" OK_HEAD
				 "Content-Length: 3\r\n\r\ntwo"},
	{.path = "/twice-later",
		.reply = OK_HEAD "Content-Length: 3\r\n\r\none",
		.after = EXTRA},
	{.path = "/hang", .reply = ""},
	{.path = "/hang-in-body", .reply = OK_HEAD "Content-Length: 100\r\n\r\nsome"},
};

enum { SEEN_MAX = 64 };

/* Wherever a test wants it to go. */
static char there_reply[256];
static const struct route to_there = {.path = "/to-there", .reply = there_reply};

/* As a proxy, the server answers itself whatever it is asked for. */
static const struct route tunnels[] = {
	{.path = "tunnel.test:443", .reply = "HTTP/1.1 200 Go\r\n\r\n"},
	{.path = "hang.test:443", .reply = ""},
	{.path = "closed.test:443",
		.reply = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"},
};

enum socks_stage { SOCKS_GREETING, SOCKS_LOGIN, SOCKS_REQUEST };

/* What the last client of SOCKS wanted. */
struct socks {
	enum socks_stage stage;
	char login[64]; /* user:password */
	char host[64];  /* "" : it sent an address */
	char answer;    /* 0: yes; or why not */
	bool silent;    /* no answer to anything */
	unsigned requests;
};

static struct server {
	struct evconnlistener *listener, *second;
	unsigned port, second_port;
	struct socks socks;
	unsigned connections; /* accepted */
	char peer[64];        /* address of the last one's other side */
	unsigned open;        /* of them, now */
	unsigned ended;       /* of them, by the client */
	unsigned resets;      /* to come, instead of an answer */
	char *seen[SEEN_MAX]; /* the first requests, head and body */
	unsigned seen_ct;
} server;

static struct event_base *base;
static struct engine *engine;

static inline bool is_path(const struct route *r, const char *path, size_t len)
{
	return strlen(r->path) == len && memcmp(r->path, path, len) == 0;
}

static inline const struct route *route_of(const char *head)
{
	const char *path = strchr(head, ' ');
	cr_assert_not_null(path, "not a request: %s", head);
	path++;
	if (strncmp(path, "http://", 7) == 0) { /* to a proxy */
		path += 7;
		path += strcspn(path, "/ ");
	}
	size_t len = strcspn(path, " ?");
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (is_path(&routes[i], path, len)) {
			return &routes[i];
		}
	}
	for (size_t i = 0; i < sizeof(tunnels) / sizeof(tunnels[0]); i++) {
		if (is_path(&tunnels[i], path, len)) {
			return &tunnels[i];
		}
	}
	cr_assert(is_path(&to_there, path, len), "no route for %s", head);
	return &to_there;
}

static inline void hang_up(struct bufferevent *bev, bool reset)
{
	if (reset) {
		struct linger now = {.l_onoff = 1, .l_linger = 0};
		setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_LINGER, &now,
			sizeof(now));
	}
	server.open--;
	bufferevent_free(bev);
}

/* All that was written has gone out. */
static inline void on_sent(struct bufferevent *bev, void *ctx)
{
	const struct route *r = ctx;
	static const char filler[] = "X-Filler: 0123456789\r\n";
	if (!r || r->after == KEEP || r->after == LATER || r->after == EXTRA) {
		return;
	}
	if (r->after != FLOOD) {
		hang_up(bev, r->after == RESET);
		return;
	}
	const char *again = strcmp(r->path, "/many-100") == 0 ? r->reply
			    : strncmp(r->path, "/many-", 6) == 0
				    ? filler
				    : "0123456789abcdef0123456789abcdef";
	for (int i = 0; i < 500; i++) {
		bufferevent_write(bev, again, strlen(again));
	}
}

static inline const struct route *route_of_conn(struct bufferevent *bev)
{
	bufferevent_data_cb read_cb, write_cb;
	bufferevent_event_cb event_cb;
	void *route;
	bufferevent_getcb(bev, &read_cb, &write_cb, &event_cb, &route);
	return route;
}

static inline void on_later(evutil_socket_t fd, short what, void *ctx)
{
	const struct route *r = route_of_conn(ctx);
	const char *reply = r->after == EXTRA
				    ? "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"
				    : r->reply;
	(void)fd;
	(void)what;
	bufferevent_write(ctx, reply, strlen(reply));
}

static inline void on_request(struct bufferevent *bev, void *ctx);

static inline void on_gone(struct bufferevent *bev, short what, void *ctx)
{
	(void)ctx;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		server.ended++;
		server.open--;
		bufferevent_free(bev);
	}
}

static inline void answer(struct bufferevent *bev, const char *request)
{
	const struct route *r = route_of(request);
	if (server.resets) {
		server.resets--;
		hang_up(bev, true);
		return;
	}
	bufferevent_setcb(bev, on_request, on_sent, on_gone, (void *)(uintptr_t)r);
	if (r->after == LATER || r->after == EXTRA) {
		struct timeval tv = {.tv_usec = 100000};
		event_base_once(base, -1, EV_TIMEOUT, on_later, bev, &tv);
	}
	if (r->after == LATER) {
		return;
	}
	size_t len = r->len ? r->len : strlen(r->reply);
	if (len) {
		bufferevent_write(bev, r->reply, len);
	} else if (r->after != KEEP) {
		hang_up(bev, r->after == RESET);
	}
}

static inline size_t body_length(const char *head)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");
	return at ? strtoul(strchr(at, ':') + 1, NULL, 10) : 0;
}

/* One whole request, or NULL. */
static inline char *take_request(struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	if (end.pos < 0) {
		return NULL;
	}
	size_t head_len = (size_t)end.pos + 4;
	char *head = calloc(1, head_len + 1);
	evbuffer_copyout(in, head, head_len);
	size_t all = head_len + body_length(head);
	free(head);
	if (evbuffer_get_length(in) < all) {
		return NULL;
	}
	char *request = calloc(1, all + 1);
	evbuffer_remove(in, request, all);
	return request;
}

/* A TLS client is told something that is no TLS. */
static inline bool is_tls_hello(struct bufferevent *bev)
{
	unsigned char first = 0;
	evbuffer_copyout(bufferevent_get_input(bev), &first, 1);
	return first == 0x16;
}

/* RFC 1928 and 1929, as far as libcurl speaks them; each message comes whole. */
static inline bool is_socks(struct bufferevent *bev)
{
	unsigned char first = 0;
	struct evbuffer *in = bufferevent_get_input(bev);
	evbuffer_copyout(in, &first, 1);
	return first == 5 || (first == 1 && server.socks.stage == SOCKS_LOGIN);
}

static inline void socks_greet(
	struct bufferevent *bev, const unsigned char *m, size_t n)
{
	bool login = memchr(m + 2, 2, n - 2) != NULL;
	server.socks.stage = login ? SOCKS_LOGIN : SOCKS_REQUEST;
	bufferevent_write(bev, login ? "\5\2" : "\5\0", 2);
}

static inline void socks_login(struct bufferevent *bev, const unsigned char *m)
{
	const unsigned char *password = m + 2 + m[1];
	snprintf(server.socks.login, sizeof(server.socks.login), "%.*s:%.*s", m[1],
		(const char *)m + 2, password[0], (const char *)password + 1);
	server.socks.stage = SOCKS_REQUEST;
	bufferevent_write(bev, "\1\0", 2);
}

static inline void socks_connect(struct bufferevent *bev, const unsigned char *m)
{
	char reply[10] = {5, server.socks.answer, 0, 1};
	server.socks.host[0] = '\0';
	if (m[3] == 3) {
		snprintf(server.socks.host, sizeof(server.socks.host), "%.*s", m[4],
			(const char *)m + 5);
	}
	server.socks.stage = SOCKS_GREETING;
	server.socks.requests++;
	bufferevent_write(bev, reply, sizeof(reply));
}

static inline void on_socks(struct bufferevent *bev)
{
	unsigned char message[600] = {0};
	int n = evbuffer_remove(bufferevent_get_input(bev), message, sizeof(message));
	cr_assert_geq(n, 3);
	if (server.socks.silent) {
		server.socks.requests++;
		return;
	}
	switch (server.socks.stage) {
	case SOCKS_GREETING:
		socks_greet(bev, message, (size_t)n);
		break;
	case SOCKS_LOGIN:
		socks_login(bev, message);
		break;
	case SOCKS_REQUEST:
		socks_connect(bev, message);
		break;
	}
}

static inline void on_request(struct bufferevent *bev, void *ctx)
{
	(void)ctx;
	if (is_socks(bev)) {
		on_socks(bev);
		return;
	}
	if (is_tls_hello(bev)) {
		bufferevent_write(bev, "HTTP/1.1 400 No\r\n\r\n", 19);
		return;
	}
	char *request = take_request(bufferevent_get_input(bev));
	if (!request) {
		return;
	}
	if (server.seen_ct < SEEN_MAX) {
		server.seen[server.seen_ct++] = request;
		answer(bev, request);
	} else {
		answer(bev, request);
		free(request);
	}
}

static inline void on_accept(struct evconnlistener *l, evutil_socket_t fd,
	struct sockaddr *address, int len, void *ctx)
{
	(void)l;
	(void)ctx;
	cr_assert_eq(getnameinfo(address, (socklen_t)len, server.peer,
			     sizeof(server.peer), NULL, 0, NI_NUMERICHOST),
		0);
	struct bufferevent *bev =
		bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	server.connections++;
	server.open++;
	bufferevent_setcb(bev, on_request, on_sent, on_gone, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static inline unsigned port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin_port);
}

static inline struct evconnlistener *listen_anywhere(unsigned *port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct evconnlistener *l = evconnlistener_new_bind(base, on_accept, NULL,
		LEV_OPT_CLOSE_ON_FREE, 1024, (struct sockaddr *)&a, sizeof(a));
	cr_assert_not_null(l);
	*port = port_of(evconnlistener_get_fd(l));
	return l;
}

/* The second port is another origin, with the same routes. */
static inline void open_server(void)
{
	server.listener = listen_anywhere(&server.port);
	server.second = listen_anywhere(&server.second_port);
}

static inline void forget_seen(void)
{
	while (server.seen_ct) {
		free(server.seen[--server.seen_ct]);
	}
}

/* ---------------------------------------------------------------------- the rig */

static inline void open_engine(unsigned concurrency)
{
	cr_assert_eq(engine_open(&engine, base, concurrency), 0);
}

static inline void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	cr_assert_not_null(base);
	open_server();
}

/* The server's connections end with those of the engine. */
static inline void tear_down(void)
{
	engine_close(engine);
	engine = NULL;
	evconnlistener_free(server.listener);
	evconnlistener_free(server.second);
	while (server.open) {
		event_base_loop(base, EVLOOP_ONCE);
	}
	event_base_free(base);
	forget_seen();
}

/* One fetch and how it ended. */
struct outcome {
	unsigned calls;
	struct engine_result result;
	void (*then)(struct outcome *o);
	struct transfer *transfer;
	bool stop_loop;
};

static inline void on_done(void *ctx, struct engine_result *result)
{
	struct outcome *o = ctx;
	o->calls++;
	o->result = *result;
	if (o->then) {
		o->then(o);
	}
	if (o->stop_loop) {
		event_base_loopbreak(base);
	}
}

static inline void forget(struct outcome *o)
{
	if (o->calls) {
		response_free(response_of(o->result.response));
	}
	*o = (struct outcome){0};
}

static inline const char *url_of(const char *path)
{
	static char url[512];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", server.port, path);
	return url;
}

static inline void start(struct outcome *o, struct pm_request r, const char *path)
{
	struct pm_failure f;
	r.url = path[0] == '/' ? url_of(path) : path;
	int err = engine_start(engine, &r, on_done, o, &o->transfer, &f);
	cr_assert_eq(err, 0, "%s: %s", path, f.message);
	cr_assert_eq(o->calls, 0, "%s: called back inside engine_start()", path);
}

/* Fetch and wait. */
static inline void fetch(struct outcome *o, struct pm_request r, const char *path)
{
	*o = (struct outcome){.stop_loop = true};
	start(o, r, path);
	event_base_dispatch(base);
	cr_assert_eq(o->calls, 1, "%s: %u calls", path, o->calls);
	cr_assert_not_null(o->result.response, "%s", path);
}

static inline const struct pm_response *fetch_ok(
	struct outcome *o, struct pm_request r, const char *path)
{
	fetch(o, r, path);
	cr_assert_eq(o->result.failure.error, 0, "%s: %d %s", path,
		o->result.failure.error, o->result.failure.message);
	return o->result.response;
}

static inline void fetch_and_forget(struct pm_request r, const char *path)
{
	struct outcome o;
	fetch_ok(&o, r, path);
	forget(&o);
}

static inline void expect_error(struct pm_request r, const char *path, int error)
{
	struct outcome o;
	r.timeout_ms = r.timeout_ms ? r.timeout_ms : 20000;
	fetch(&o, r, path);
	const struct pm_failure *f = &o.result.failure;
	cr_assert_eq(f->error, error, "%s: got %d (curl %d '%s'), want %d", path,
		f->error, f->code, f->message, error);
	cr_assert_eq(f->domain, PM_DOMAIN_CURL, "%s: domain %d", path, f->domain);
	cr_assert(f->message[0], "%s: no message", path);
	cr_assert_eq(o.result.response->body_len, 0, "%s: has a body", path);
	forget(&o);
}

static inline const char *last_seen(void)
{
	cr_assert(server.seen_ct, "no request was seen");
	return server.seen[server.seen_ct - 1];
}

static inline void expect_seen(const char *text)
{
	cr_assert(strstr(last_seen(), text), "no '%s' in: %s", text, last_seen());
}

static inline void expect_unseen(const char *text)
{
	cr_assert_null(strcasestr(last_seen(), text), "'%s' in: %s", text, last_seen());
}

static inline const char *header(const struct pm_response *r, const char *name)
{
	for (size_t i = 0; i < r->header_ct; i++) {
		if (strcmp(r->headers[i].name, name) == 0) {
			return r->headers[i].value;
		}
	}
	return NULL;
}

/* Run the loop until a counter is there. */
static inline void wait_for(const unsigned *count, unsigned value)
{
	while (*count < value) {
		event_base_loop(base, EVLOOP_ONCE);
	}
}

/* /to-there leads to this host and port from now on. */
static inline void lead_there(int status, const char *host, unsigned port)
{
	snprintf(there_reply, sizeof(there_reply),
		"HTTP/1.1 %d There\r\nLocation: http://%s:%u/ok\r\n"
		"Content-Length: 4\r\n\r\nskip",
		status, host, port);
}

#define NO_REQUEST ((struct pm_request){0})
#define REQUEST(...) ((struct pm_request){__VA_ARGS__})

#endif
