/* SPDX-License-Identifier: MIT
 *
 * origin_conn - one connection of the origin.
 *
 * Runs in: the origin.  The listener calls conn_open(); from then on the
 * connection lives by its callbacks, which all end in pump(): take steps until
 * the next one needs the peer or the clock, then send what has gathered.
 *
 * What is owed to a peer that does not read is bounded: beyond OUT_MAX nothing
 * more is made, and no further pipelined request is taken up.  A connection is
 * never freed inside its own callback; it dies, and the reaper frees it.
 */
#include "tests/support/origin_hostile.h"
#include "tests/support/origin_tls.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX (256u << 10)
#define OUT_LOW (64u << 10)
#define IN_MAX (ORIGIN_HEAD_MAX + (64u << 10)) /* a whole head must fit */
#define LINGER_MS 2000u    /* how long a peer may take to answer our FIN */
#define RESET_CHECKS 2000u /* ms to get the last bytes through before the RST */

/* -------------------------------------------------------------- life, death */

static void pump(struct conn *c);

static void set_timer(struct conn *c, unsigned ms)
{
	struct timeval tv = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
	evtimer_add(&c->timer, &tv);
}

static void stop_answering(struct conn *c)
{
	if (c->answering) {
		c->answering = false;
		log_done(c);
		c->server->open_now--;
	}
}

static void conn_die(struct conn *c)
{
	struct server *s = c->server;
	if (c->state == CONN_DEAD) {
		return;
	}
	stop_answering(c);
	held_forget(c);
	c->state = CONN_DEAD;
	evtimer_del(&c->timer);
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	list_remove(&s->conns, &c->node);
	list_push_back(&s->dead, &c->node);
	event_active(&s->reaper, EV_TIMEOUT, 1);
}

static void conn_free(struct conn *c)
{
	evtimer_del(&c->timer);
	bufferevent_free(c->bev);
	request_fini(&c->req);
	free(c);
}

void conn_reap(struct server *s)
{
	struct list_node *n;
	while ((n = list_pop_front(&s->dead))) {
		conn_free(list_entry(n, struct conn, node));
	}
}

void conn_reap_all(struct server *s)
{
	struct list_node *n;
	while ((n = list_first(&s->conns))) {
		conn_die(list_entry(n, struct conn, node));
	}
	conn_reap(s);
}

/* ----------------------------------------------------------------- sending */

struct evbuffer *conn_out(struct conn *c)
{
	return c->server->scratch;
}

static size_t out_pending(const struct conn *c)
{
	return evbuffer_get_length(c->server->scratch) +
	       evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* Send what has gathered.  Straight to the socket when nothing stands before
 * it: this saves two epoll_ctl and a turn of the loop per answer. */
static void flush(struct conn *c, bool straight)
{
	struct evbuffer *scratch = c->server->scratch;
	if (c->state == CONN_DEAD) {
		evbuffer_drain(scratch, evbuffer_get_length(scratch));
		return;
	}
	if (straight && !c->ssl && evbuffer_get_length(scratch) > 0 &&
		evbuffer_get_length(bufferevent_get_output(c->bev)) == 0) {
		int n = evbuffer_write(scratch, bufferevent_getfd(c->bev));
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			conn_die(c);
			evbuffer_drain(scratch, evbuffer_get_length(scratch));
			return;
		}
	}
	if (evbuffer_get_length(scratch) > 0) {
		bufferevent_write_buffer(c->bev, scratch);
	}
}

/* ----------------------------------------------------------------- answers */

static const char *reason_of(int status)
{
	switch (status) {
	case 100:
		return "Continue";
	case 200:
		return "OK";
	case 302:
		return "Found";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 503:
		return "Service Unavailable";
	default:
		return "Status";
	}
}

void conn_head(struct conn *c, int status, const char *type)
{
	log_status(c, status);
	evbuffer_add_printf(
		conn_out(c), "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	if (type) {
		evbuffer_add_printf(conn_out(c), "Content-Type: %s\r\n", type);
	}
}

void conn_head_end(struct conn *c, int64_t length)
{
	struct evbuffer *out = conn_out(c);
	if (length == LENGTH_CHUNKED) {
		evbuffer_add_printf(out, "Transfer-Encoding: chunked\r\n");
	} else if (length >= 0) {
		evbuffer_add_printf(out, "Content-Length: %lld\r\n", (long long)length);
	}
	evbuffer_add_printf(
		out, c->req.keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
}

void conn_answer(struct conn *c, int status, const char *text)
{
	bool bodiless = status == 204 || status == 304;
	conn_head(c, status, bodiless ? NULL : "text/plain");
	conn_head_end(c, bodiless ? LENGTH_NONE : (int64_t)strlen(text));
	if (!bodiless && !c->req.head_only) {
		evbuffer_add(conn_out(c), text, strlen(text));
	}
	conn_done(c, END_NONE);
}

void conn_answer_json(struct conn *c, struct evbuffer *body)
{
	conn_head(c, 200, "application/json");
	conn_head_end(c, (int64_t)evbuffer_get_length(body));
	if (!c->req.head_only) {
		evbuffer_add_buffer(conn_out(c), body);
	}
	evbuffer_free(body);
	conn_done(c, END_NONE);
}

void conn_done(struct conn *c, enum conn_end end)
{
	stop_answering(c);
	c->end = end;
	if (end == END_NONE && !c->req.keep_alive) {
		c->end = END_FIN;
	}
	c->state = c->end == END_NONE ? CONN_READING : CONN_ENDING;
	request_next(&c->req);
}

void conn_send_body(struct conn *c, const struct body *body)
{
	if (c->req.head_only) {
		conn_done(c, body->then);
		return;
	}
	c->body = *body;
	c->state = CONN_SENDING;
}

void conn_wait(struct conn *c, unsigned ms, void (*resume)(struct conn *c))
{
	c->resume = resume;
	c->state = CONN_WAITING;
	if (ms != UINT_MAX) {
		set_timer(c, ms);
	}
}

/* By way of the loop: the caller may be in the middle of another connection,
 * with that one's bytes in the scratch buffer. */
void conn_wake(struct conn *c)
{
	event_active(&c->timer, EV_TIMEOUT, 1);
}

/* ----------------------------------------------------------------- reading */

static void count_request(struct conn *c)
{
	struct server *s = c->server;
	if (c->control && !c->counted) {
		s->connections--; /* a connection of the test itself */
	}
	c->counted = true;
	if (!c->control) {
		s->requests++;
		c->answering = true;
		log_request(c);
		if (++s->open_now > s->open_max) {
			s->open_max = s->open_now;
		}
	}
}

static void answer_request(struct conn *c)
{
	struct slice rest;
	const struct route *route = path_find(c->req.path, &rest);
	c->control = route && route->control;
	count_request(c);
	if (!route || !route->answer(c, rest)) {
		conn_answer(c, 404, "no such path\n");
	}
}

static void refuse_request(struct conn *c)
{
	c->req.keep_alive = c->req.head_only = false;
	conn_answer(c, c->req.refusal, "refused\n");
}

/* A TLS client at the plain port.  False when its greeting is not all here. */
static bool step_greeting(struct conn *c, struct evbuffer *in)
{
	const struct script *script = hello_is_whole(in) ? hello_script(in) : NULL;
	if (script) {
		count_request(c);
		script_play(c, script);
	} else if (hello_is_whole(in)) {
		c->req.refusal = 400;
		refuse_request(c);
	}
	return hello_is_whole(in);
}

/* False when there is no whole request here. */
static bool step_reading(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	if (c->h2 != H2_NONE) {
		h2_read(c);
		return false;
	}
	if (!c->ssl && c->req.phase == REQUEST_HEAD && hello_begins(in)) {
		return step_greeting(c, in);
	}
	switch (request_read(&c->req, in)) {
	case REQUEST_CONTINUE:
		evbuffer_add_printf(conn_out(c), "HTTP/1.1 100 Continue\r\n\r\n");
		return true;
	case REQUEST_READY:
		answer_request(c);
		return true;
	case REQUEST_BAD:
		refuse_request(c);
		return true;
	default:
		return false;
	}
}

/* ------------------------------------------------------------------ ending */

/* Closing with unread input would send a RST and may take the answer with it:
 * so FIN first, and then throw away what comes until the peer's FIN. */
static void end_with_fin(struct conn *c)
{
	if (c->ssl) {
		SSL_shutdown(c->ssl);
	}
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
	if (c->eof) {
		conn_die(c);
		return;
	}
	struct evbuffer *in = bufferevent_get_input(c->bev);
	c->state = CONN_DRAINING;
	evbuffer_drain(in, evbuffer_get_length(in));
	set_timer(c, LINGER_MS);
}

/* A RST overtakes what the kernel still holds: wait until the peer has it. */
static void end_with_reset(struct conn *c)
{
	struct linger hard = {1, 0};
	int unsent = 0;
	evutil_socket_t fd = bufferevent_getfd(c->bev);
	ioctl(fd, SIOCOUTQ, &unsent);
	if (unsent > 0 && c->reset_checks++ < RESET_CHECKS) {
		set_timer(c, 1);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_die(c);
}

static void try_end(struct conn *c)
{
	if (c->state != CONN_ENDING || out_pending(c) > 0) {
		return;
	}
	if (c->end == END_RESET) {
		end_with_reset(c);
	} else {
		end_with_fin(c);
	}
}

/* ---------------------------------------------------------------- callbacks */

static void take_steps(struct conn *c)
{
	bool going = true;
	while (going && out_pending(c) < OUT_MAX) {
		if (c->state == CONN_READING) {
			going = step_reading(c);
		} else if (c->state == CONN_SENDING) {
			if (body_step(&c->body, conn_out(c))) {
				conn_done(c, c->body.then);
			}
		} else {
			going = false;
		}
	}
}

/* Two rounds: the first goes straight to the socket, the second into the
 * bufferevent, whose write callback brings us back here.  So a fast reader of
 * an endless body cannot keep the loop for itself. */
static void pump(struct conn *c)
{
	take_steps(c);
	flush(c, true);
	take_steps(c);
	flush(c, false);
	try_end(c);
	if (c->state == CONN_READING && c->eof && out_pending(c) == 0) {
		conn_die(c);
	}
}

static void on_readable(struct bufferevent *bev, void *ctx)
{
	struct conn *c = ctx;
	if (c->state == CONN_DRAINING) {
		struct evbuffer *in = bufferevent_get_input(bev);
		evbuffer_drain(in, evbuffer_get_length(in));
	} else if (c->state == CONN_READING) {
		pump(c);
	}
}

static void on_written(struct bufferevent *bev, void *ctx)
{
	(void)bev;
	pump(ctx);
}

static void on_event(struct bufferevent *bev, short what, void *ctx);

static void watch(struct conn *c, struct bufferevent *bev)
{
	c->bev = bev;
	bufferevent_setcb(bev, on_readable, on_written, on_event, c);
	bufferevent_setwatermark(bev, EV_READ, 0, IN_MAX);
	bufferevent_setwatermark(bev, EV_WRITE, OUT_LOW, 0);
	bufferevent_set_max_single_write(bev, OUT_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void handshake_done(struct conn *c)
{
	const unsigned char *protocol;
	unsigned len;
	c->handshaking = false;
	c->server->tls++;
	c->server->tls_resumed += SSL_session_reused(c->ssl) != 0;
	SSL_get0_alpn_selected(c->ssl, &protocol, &len);
	if (len != 2 || memcmp(protocol, "h2", 2) != 0) {
		c->h2 = H2_NONE;
	} else {
		h2_begin(c);
	}
	pump(c);
}

/* Our alert is on its way, perhaps with the peer's request coming towards it: end
 * as gently as any other connection, or a RST would overtake the alert. */
static void handshake_failed(struct conn *c)
{
	int fd = dup(bufferevent_getfd(c->bev));
	struct bufferevent *plain = fd < 0 ? NULL
					   : bufferevent_socket_new(c->server->base, fd,
						     BEV_OPT_CLOSE_ON_FREE);
	if (!plain) {
		if (fd >= 0) {
			close(fd);
		}
		conn_die(c);
		return;
	}
	bufferevent_free(c->bev);
	c->ssl = NULL;
	c->handshaking = false;
	watch(c, plain);
	end_with_fin(c);
}

/* A peer that is gone while it waits is not waited for: its request counts as
 * open no longer.  While bytes flow, a FIN may be no more than a half-close. */
static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct conn *c = ctx;
	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		handshake_done(c);
		return;
	}
	if (c->handshaking && c->state != CONN_DEAD) {
		handshake_failed(c);
		return;
	}
	c->eof = true;
	if (what & BEV_EVENT_ERROR || c->state == CONN_WAITING ||
		c->state == CONN_DRAINING) {
		conn_die(c);
		return;
	}
	pump(c);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct conn *c = ctx;
	(void)fd;
	(void)what;
	if (c->state == CONN_DRAINING) {
		conn_die(c);
	} else if (c->state == CONN_WAITING) {
		c->resume(c);
		pump(c);
	} else if (c->state == CONN_ENDING) {
		pump(c);
	}
}

static void conn_begin(
	struct conn *c, struct server *s, evutil_socket_t fd, struct bufferevent *bev)
{
	int on = 1;
	c->server = s;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	evtimer_assign(&c->timer, s->base, on_timer, c);
	watch(c, bev);
	list_push_back(&s->conns, &c->node);
	s->connections++;
}

struct conn *conn_open(struct server *s, evutil_socket_t fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct bufferevent *bev =
		c ? bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;
	if (!bev) {
		free(c);
		return NULL;
	}
	conn_begin(c, s, fd, bev);
	return c;
}

struct conn *conn_open_tls(
	struct server *s, evutil_socket_t fd, SSL_CTX *context, enum h2_manner manner)
{
	struct conn *c = calloc(1, sizeof(*c));
	SSL *ssl = c ? SSL_new(context) : NULL;
	struct bufferevent *bev =
		ssl ? bufferevent_openssl_socket_new(s->base, fd, ssl,
			      BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
		    : NULL;
	if (!bev) {
		SSL_free(ssl);
		free(c);
		return NULL;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	c->ssl = ssl;
	c->handshaking = true;
	c->h2 = manner;
	conn_begin(c, s, fd, bev);
	return c;
}
