/* SPDX-License-Identifier: MIT
 *
 * origin_limits - the origin's paths of a server that wants to be treated with care:
 * refusals that say when to come back, a bucket of tokens, robots.txt.
 *
 * Runs in: the origin.  Called by origin_conn.c with a complete request.
 */
#include "tests/support/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

/* --------------------------------------------------------------- refusals */

/* A date of HTTP, so many seconds from now. */
static void put_date(struct evbuffer *to, const char *name, int64_t seconds)
{
	struct tm tm;
	char text[64];
	time_t at = time(NULL) + (time_t)seconds;
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	evbuffer_add_printf(to, "%s: %s\r\n", name, text);
}

enum { FAST_CLOCK_S = 3600 }; /* how far the clock of "~N" is ahead */

/* "-": nothing; "N": seconds; "+N": a date in N seconds; "~N": the same by a clock
 * that is wrong, and tells so. */
static bool put_retry_after(struct evbuffer *to, struct slice when)
{
	uint64_t seconds;
	char kind = when.len ? when.at[0] : '\0';
	if (slice_is(when, "-")) {
		return true;
	}
	struct slice digits = when;
	if (kind == '+' || kind == '~') {
		digits = (struct slice){when.at + 1, when.len - 1};
	}
	if (!slice_number(digits, 10, INT32_MAX, &seconds)) {
		return false;
	}
	if (kind == '+') {
		put_date(to, "Retry-After", (int64_t)seconds);
	} else if (kind == '~') {
		put_date(to, "Date", FAST_CLOCK_S);
		put_date(to, "Retry-After", (int64_t)seconds + FAST_CLOCK_S);
	} else {
		evbuffer_add_printf(
			to, "Retry-After: %llu\r\n", (unsigned long long)seconds);
	}
	return true;
}

static bool send_refusal(struct conn *c, int status, struct slice when)
{
	struct evbuffer *header = evbuffer_new();
	bool good = header && put_retry_after(header, when);
	if (good) {
		conn_head(c, status, NULL);
		evbuffer_add_buffer(conn_out(c), header);
		conn_head_end(c, 0);
		conn_done(c, END_NONE);
	}
	if (header) {
		evbuffer_free(header);
	}
	return good;
}

/* How often NAME was asked for, this time included; 0: there is no such name. */
static uint64_t times_asked(struct conn *c, struct slice name)
{
	uint64_t *ct = name.len ? tally_at(&c->server->unstable, name) : NULL;
	return ct ? ++*ct : 0;
}

/* /refuse/STATUS/WHEN/NAME/K: refused K times, then 200. */
static bool answer_refuse(struct conn *c, struct slice rest)
{
	uint64_t status, bad_ct;
	struct slice first = slice_cut(&rest, '/');
	struct slice when = slice_cut(&rest, '/');
	struct slice name = slice_cut(&rest, '/');
	if (!slice_number(first, 10, 999, &status) || status < 200 ||
		!slice_number(rest, 10, UINT32_MAX, &bad_ct)) {
		return false;
	}
	uint64_t ct = times_asked(c, name);
	if (!ct || ct > bad_ct) {
		conn_answer(c, ct ? 200 : 404, "ok\n");
		return true;
	}
	return send_refusal(c, (int)status, when);
}

/* /reset-first/NAME/K: reset K times, then 200. */
static bool answer_reset_first(struct conn *c, struct slice rest)
{
	uint64_t bad_ct;
	struct slice name = slice_cut(&rest, '/');
	if (!slice_number(rest, 10, UINT32_MAX, &bad_ct)) {
		return false;
	}
	uint64_t ct = times_asked(c, name);
	if (ct && ct <= bad_ct) {
		conn_done(c, END_RESET);
	} else {
		conn_answer(c, ct ? 200 : 404, "ok\n");
	}
	return true;
}

/* ----------------------------------------------------------------- bucket */

/* Take a token from the one bucket there is.  Returns 0, or after how many seconds
 * there will be one, rounded up. */
static unsigned take_token(struct bucket *b, uint64_t rate, uint64_t burst)
{
	uint64_t now_us = clock_now_us();
	double most = (double)burst;
	b->tokens += b->at_us ? (double)(now_us - b->at_us) * (double)rate / 1e6 : most;
	b->tokens = b->tokens < most ? b->tokens : most;
	b->at_us = now_us;
	if (b->tokens >= 1) {
		b->tokens -= 1;
		return 0;
	}
	return 1 + (unsigned)((1 - b->tokens) / (double)rate);
}

/* /bucket/RATE/BURST/ANY: 200 while there are tokens, which come back at RATE a
 * second; else 429, which says when, unless the query is "silent". */
static bool answer_bucket(struct conn *c, struct slice rest)
{
	uint64_t rate, burst;
	struct slice first = slice_cut(&rest, '/');
	struct slice second = slice_cut(&rest, '/');
	char seconds[16];
	if (!slice_number(first, 10, 1000000, &rate) || rate == 0 ||
		!slice_number(second, 10, 1000000, &burst) || burst == 0) {
		return false;
	}
	unsigned wait_s = take_token(&c->server->bucket, rate, burst);
	if (!wait_s) {
		conn_answer(c, 200, "ok\n");
		return true;
	}
	int len = snprintf(seconds, sizeof(seconds), "%u", wait_s);
	bool silent = slice_is(c->req.query, "silent");
	return send_refusal(c, 429,
		(struct slice){silent ? "-" : seconds, silent ? 1u : (size_t)len});
}

/* ----------------------------------------------------------------- robots */

struct robots_of {
	struct robots_of *next;
	size_t len; /* of the response; 0: the connection is reset */
	char *host, *response;
};

void robots_fini(struct server *s)
{
	while (s->robots) {
		struct robots_of *r = s->robots;
		s->robots = r->next;
		free(r->host);
		free(r->response);
		free(r);
	}
}

/* /set-robots/HOST: the body is the whole response to its /robots.txt, head and all;
 * an empty one is a reset.  Hosts that are not told have none. */
static bool answer_set_robots(struct conn *c, struct slice rest)
{
	struct robots_of *r = rest.len ? calloc(1, sizeof(*r)) : NULL;
	if (!r) {
		return false;
	}
	r->len = request_body_len(&c->req);
	r->host = strndup(rest.at, rest.len);
	r->response = malloc(r->len + 1);
	if (r->response && r->len) {
		evbuffer_copyout(c->req.body, r->response, r->len);
	}
	r->next = c->server->robots;
	c->server->robots = r;
	conn_answer(c, 200, "ok\n");
	return true;
}

static bool answer_robots(struct conn *c, struct slice rest)
{
	struct slice host = request_host(&c->req);
	const struct robots_of *r = c->server->robots;
	while (r && !(r->host && slice_is(host, r->host))) {
		r = r->next;
	}
	if (!r || rest.at) {
		return false;
	}
	if (r->len && r->response) {
		evbuffer_add(conn_out(c), r->response, r->len);
	}
	conn_done(c, r->len ? END_NONE : END_RESET);
	return true;
}

const struct route paths_limits[] = {
	{"refuse", answer_refuse, false},
	{"reset-first", answer_reset_first, false},
	{"bucket", answer_bucket, false},
	{"robots.txt", answer_robots, false},
	{"set-robots", answer_set_robots, true},
	{NULL, NULL, false},
};
