/* SPDX-License-Identifier: MIT
 *
 * origin - the scripted HTTP/1.1 origin server of the tests: what its files
 * share.
 *
 * Runs in: the program tests/support/origin, a process of its own that the
 * tests start; nothing of it is ever linked into poolmap.  One libevent loop,
 * one thread.  It speaks to bufferevents and writes every byte itself, because
 * half of its paths exist to be wrong in an exact way.
 *
 *   origin.c          main, options, lifeline
 *   origin_listen.c   the ports
 *   origin_conn.c     a connection: reading, answering, ending; back-pressure
 *   origin_body.c     bodies that are computed, of any length
 *   origin_request.c  the request parser; knows bytes, not sockets
 *   origin_paths.c    the table of paths, and those that behave
 *   origin_site.c     the paths that are like a site: pages with links, an API
 *   origin_gzip.c     the paths with compressed bodies
 *   origin_faults.c   the paths that misbehave
 *   origin_hostile.c  the same by scripts, origin_hostile_scripts.c
 *   origin_tally.c    the paths that remember: counters, holds, releases
 *   origin_limits.c   the paths that ask for care: Retry-After, tokens, robots.txt
 *   origin_log.c      who asked for what, and when
 *   origin_tls.h      what is TLS and HTTP/2, with files of its own
 *   origin_text.c     slices, numbers, percent and JSON escapes
 *
 * A new behaviour is a function and a line in one of the route tables.
 */
#ifndef TESTS_SUPPORT_ORIGIN_H
#define TESTS_SUPPORT_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/list.h"

/* ------------------------------------------------------------------ limits */

#define ORIGIN_HEAD_MAX (1u << 20)    /* request line and headers: 431 beyond */
#define ORIGIN_BODY_MAX (64u << 20)   /* request body: 413 beyond */
#define ORIGIN_NAMES_MAX (1u << 20)   /* names one tally remembers: 500 beyond */
#define ORIGIN_DELAY_MAX 3600000u     /* ms, /delay and /drip: 404 beyond */
#define ORIGIN_SIZE_MAX (1ull << 40)  /* bytes, /size and the like: 404 beyond */
#define ORIGIN_GZIP_MAX (1ull << 30)  /* bytes, /gzip: 404 beyond */
#define ORIGIN_HEADERS_MAX 100000u    /* lines, /headers: 404 beyond */
#define ORIGIN_HEADER_MAX (16u << 20) /* bytes, /bigheader: 404 beyond */

/* -------------------------------------------------------------------- text */

/* Bytes that belong to someone else.  `at` NULL: not there at all. */
struct slice {
	const char *at;
	size_t len;
};

bool slice_is(struct slice s, const char *text);
bool slice_is_nocase(struct slice s, const char *text);

/* Cut off what stands before the first `sep` and return it; *rest is what
 * stands behind it, and absent when there was no `sep`. */
struct slice slice_cut(struct slice *rest, char sep);

/* A number in digits of `base`, nothing else around it, at most `max`. */
bool slice_number(struct slice s, unsigned base, uint64_t max, uint64_t *n);

/* Decode %XX into `to`, which has room for s.len bytes; false on a broken escape. */
bool slice_unescape(struct slice s, char *to, size_t *len);

/* Append as the inside of a JSON string, a byte from 0x7f up as \u00XX. */
void json_put(struct evbuffer *to, const void *bytes, size_t len, bool lower);

/* ----------------------------------------------------------------- request */

enum request_phase {
	REQUEST_HEAD,
	REQUEST_SIZED_BODY,
	REQUEST_CHUNK_SIZE,
	REQUEST_CHUNK_BYTES,
	REQUEST_CHUNK_END,
	REQUEST_TRAILER,
};

enum request_step {
	REQUEST_MORE,     /* not complete, and no more bytes here */
	REQUEST_CONTINUE, /* the peer waits for "100 Continue"; call again */
	REQUEST_READY,    /* complete */
	REQUEST_BAD,      /* `refusal` says which status; the stream is lost */
	REQUEST_ON,       /* inside the parser only: the next phase can go on */
};

/* One request, in memory that the next one of the connection takes over.  The
 * slices point into `head`. */
struct request {
	enum request_phase phase;
	char *head;
	size_t head_len, head_cap;
	size_t scanned; /* bytes of input known to hold no end of the head */
	size_t trailer_len;
	uint64_t left;         /* of the body, or of its current chunk */
	struct evbuffer *body; /* NULL until the first body of the connection */

	struct slice method, target, path, query;
	struct slice headers; /* the lines behind the request line */
	int refusal;
	bool http10, keep_alive, head_only;
};

enum request_step request_read(struct request *r, struct evbuffer *in);
void request_next(struct request *r); /* forget it, be ready for the next */
void request_fini(struct request *r);

/* Walk the headers: *cursor starts as r->headers.  False behind the last. */
bool request_header(struct slice *cursor, struct slice *name, struct slice *value);
size_t request_body_len(const struct request *r);

/* ------------------------------------------------------------------ server */

/* Names and how often each was seen, in the order of strcmp. */
struct tally {
	void *root;
	size_t ct;
};

/* The count that belongs to `name`, made on first use; NULL when there is no room for
 * more names. */
uint64_t *tally_at(struct tally *t, struct slice name);

/* Requests as they came, from /log-start on. */
struct log {
	struct log_entry *at;
	size_t ct, cap;
	unsigned number; /* of this log */
	bool on;
};

struct bucket {
	double tokens;
	uint64_t at_us; /* 0: full */
};

struct robots_of;

struct server {
	struct event_base *base;
	struct evbuffer *scratch; /* what the connection in hand will send next */
	struct list conns, dead;
	struct event reaper;

	uint64_t requests, connections;
	uint64_t tls, tls_resumed; /* handshakes that came to an end */
	bool h2_refused, h2_left;  /* some stream */
	unsigned open_now, open_max;
	struct list held;
	struct tally counters, once, unstable, released;
	struct log log;
	struct bucket bucket;
	struct robots_of *robots; /* the one that was set last first */
};

void server_tallies_fini(struct server *s);
void robots_fini(struct server *s);

/* -------------------------------------------------------------- connection */

enum conn_state {
	CONN_READING,  /* a request is awaited */
	CONN_WAITING,  /* an answer is owed, and waits for time or for a release */
	CONN_SENDING,  /* a body is made as fast as the peer reads it */
	CONN_ENDING,   /* the last bytes are on their way, then `end` */
	CONN_DRAINING, /* our FIN is sent; what still comes is thrown away */
	CONN_DEAD,
};

enum conn_end { END_NONE, END_FIN, END_RESET };

enum body_kind { BODY_TEXT, BODY_BYTES, BODY_AGAIN };

/* A body that is computed: bytes `at` to `end` of an endless pattern. */
struct body {
	enum body_kind kind;
	uint64_t at, end;
	struct slice again; /* BODY_AGAIN: the pattern; it is never chunked */
	bool chunked;
	enum conn_end then; /* how the connection ends behind it, or END_NONE */
};

/* Append the next piece; true when it was the last. */
bool body_step(struct body *b, struct evbuffer *out);

struct script;

struct conn {
	struct list_node node; /* in server.conns or server.dead */
	struct list_node hold; /* in server.held while `is_held` */
	struct server *server;
	struct bufferevent *bev;
	struct event timer;
	void (*resume)(struct conn *c); /* what a wait was for */
	enum conn_state state;
	enum conn_end end;
	bool answering; /* counted in server.open_now */
	bool control;   /* this request is not counted at all */
	bool counted;   /* in server.connections, or found to be control's */
	bool eof, is_held;
	struct ssl_st *ssl; /* of bev; NULL: plain */
	bool handshaking;
	int h2;         /* enum h2_manner */
	size_t h2_skip; /* bytes before the next frame */
	unsigned reset_checks;
	size_t log_at; /* its entry in the log, from 1; 0: none */
	unsigned log_number;
	struct request req;
	struct body body;
	uint64_t drip_left;
	unsigned drip_ms;
	const struct script *script; /* that is played */
};

struct conn *conn_open(struct server *s, evutil_socket_t fd);
void conn_reap(struct server *s); /* free those that are dead */
void conn_reap_all(struct server *s);

/* The ports: number 0 is any free one; NULL after a message. */
struct port *ports_open(
	struct server *s, uint16_t number, unsigned addresses, const char *tls_dir);
bool ports_announce(const struct port *first);
void ports_close(struct port *first);

/* A request has come, this is its status, it is answered. */
void log_request(struct conn *c);
void log_status(struct conn *c, int status);
void log_done(struct conn *c);
void log_fini(struct log *l);
struct slice request_host(const struct request *r);

/* For the paths.  An answer is either one conn_answer(), or conn_head(), own
 * header lines, conn_head_end() and then one of: bytes into conn_out() and
 * conn_done(); conn_send_body(); conn_wait(). */
#define LENGTH_CHUNKED (-1)
#define LENGTH_NONE (-2)

struct evbuffer *conn_out(struct conn *c);
void conn_answer(struct conn *c, int status, const char *text);
void conn_answer_json(struct conn *c, struct evbuffer *body); /* takes `body` */
void conn_head(struct conn *c, int status, const char *type);
void conn_head_end(struct conn *c, int64_t length);
void conn_send_body(struct conn *c, const struct body *body);
void conn_done(struct conn *c, enum conn_end end);

/* Wait, then have `resume` called.  UINT_MAX: until conn_wake(). */
void conn_wait(struct conn *c, unsigned ms, void (*resume)(struct conn *c));
void conn_wake(struct conn *c);

/* ------------------------------------------------------------------- paths */

/* `rest` is what follows "/name/", absent when there is no slash.  False: there
 * is no such path, answer 404. */
typedef bool path_fn(struct conn *c, struct slice rest);

struct route {
	const char *name;
	path_fn *answer;
	bool control; /* the tests' own, counted neither as request nor open */
};

extern const struct route paths_plain[], paths_site[], paths_faults[], paths_tally[],
	paths_gzip[], paths_limits[], paths_log[], paths_hostile[];

const struct route *path_find(struct slice path, struct slice *rest);

/* Take `c` off the list of those that a /hold keeps, if it is there. */
void held_forget(struct conn *c);

#endif
