/* SPDX-License-Identifier: MIT
 *
 * origin_hostile - plays the scripts of origin_hostile_scripts.c.
 *
 * Runs in: the origin.  Called by origin_conn.c with a complete request, or with
 * the greeting of a TLS client.  What is endless is made as fast as the peer reads,
 * so that it costs no memory here.
 */
#include "tests/support/origin_hostile.h"

#include <limits.h>
#include <string.h>

static void put(struct conn *c, struct slice text)
{
	evbuffer_add(conn_out(c), text.at, text.len);
}

/* Never called: nothing wakes a connection that hangs. */
static void hang_over(struct conn *c)
{
	conn_done(c, END_FIN);
}

static void end_script(struct conn *c)
{
	static const enum conn_end ends[] = {
		[THEN_KEEP] = END_NONE, [THEN_FIN] = END_FIN, [THEN_RESET] = END_RESET};
	put(c, c->script->last);
	if (c->script->then == THEN_HANG) {
		conn_wait(c, UINT_MAX, hang_over);
	} else {
		conn_done(c, ends[c->script->then]);
	}
}

static void drip(struct conn *c)
{
	put(c, c->script->again);
	if (--c->drip_left > 0) {
		conn_wait(c, c->drip_ms, drip);
	} else {
		end_script(c);
	}
}

/* Nothing ends what has no end. */
static void pour(struct conn *c)
{
	struct body body = {.kind = BODY_AGAIN,
		.again = c->script->again,
		.end = UINT64_MAX,
		.then = END_FIN};
	conn_send_body(c, &body);
}

void script_play(struct conn *c, const struct script *script)
{
	c->script = script;
	c->drip_left = script->again_ct;
	c->drip_ms = script->every_ms;
	put(c, script->first);
	if (script->again_ct == 0) {
		end_script(c);
	} else if (script->every_ms > 0) {
		conn_wait(c, c->drip_ms, drip);
	} else {
		c->req.head_only = false;
		pour(c);
	}
}

static bool answer_hostile(struct conn *c, struct slice rest)
{
	struct slice name = slice_cut(&rest, '/');
	const struct script *s = scripts;
	if (!name.at) {
		return false;
	}
	while (s->name && !slice_is(name, s->name)) {
		s++;
	}
	if (s->name) {
		script_play(c, s);
	}
	return s->name != NULL;
}

/* ------------------------------------------------------------ TLS clients */

enum { RECORD_HEAD = 5, HANDSHAKE = 22, TLS = 3 };

bool hello_begins(struct evbuffer *in)
{
	unsigned char head[2];
	return evbuffer_copyout(in, head, sizeof(head)) == sizeof(head) &&
	       head[0] == HANDSHAKE && head[1] == TLS;
}

bool hello_is_whole(struct evbuffer *in)
{
	unsigned char head[RECORD_HEAD];
	if (evbuffer_copyout(in, head, sizeof(head)) < RECORD_HEAD) {
		return false;
	}
	size_t len = (size_t)head[3] << 8 | head[4];
	return evbuffer_get_length(in) >= RECORD_HEAD + len;
}

/* The name stands in it as it is. */
static bool greets(struct evbuffer *in, const char *name)
{
	const char *all = (const char *)evbuffer_pullup(in, -1);
	size_t left = evbuffer_get_length(in), len = strlen(name);
	const char *at = all;
	while (at && (at = memmem(at, left, name, len))) {
		left = evbuffer_get_length(in) - (size_t)(at - all) - len;
		at += len;
		if (left >= 5 && memcmp(at, ".test", 5) == 0) {
			return true;
		}
	}
	return false;
}

const struct script *hello_script(struct evbuffer *in)
{
	for (const struct script *s = scripts; s->name; s++) {
		if (strncmp(s->name, "tls-", 4) == 0 && greets(in, s->name)) {
			return s;
		}
	}
	return NULL;
}

const struct route paths_hostile[] = {
	{"hostile", answer_hostile, false},
	{NULL, NULL, false},
};
