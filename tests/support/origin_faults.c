/* SPDX-License-Identifier: MIT
 *
 * origin_faults - the origin's paths that misbehave, each in one exact way.
 *
 * Runs in: the origin.  Called by origin_conn.c with a complete request; a path
 * answers through the conn_ functions and never touches a socket: how a
 * connection ends is asked for with an enum conn_end.
 */
#include "tests/support/origin.h"

#include <limits.h>

#define RESET_ANNOUNCED (1u << 20)

/* RST without a byte; or after so many bytes of an announced MiB. */
static bool answer_reset(struct conn *c, struct slice rest)
{
	struct body body = {.kind = BODY_TEXT, .then = END_RESET};
	if (!rest.at) {
		conn_done(c, END_RESET);
		return true;
	}
	if (!slice_number(rest, 10, RESET_ANNOUNCED - 1, &body.end)) {
		return false;
	}
	conn_head(c, 200, "text/plain");
	conn_head_end(c, RESET_ANNOUNCED);
	conn_send_body(c, &body);
	return true;
}

static bool answer_close(struct conn *c, struct slice rest)
{
	if (rest.at) {
		return false;
	}
	conn_done(c, END_FIN);
	return true;
}

static bool answer_truncate(struct conn *c, struct slice rest)
{
	struct body body = {.kind = BODY_TEXT, .then = END_FIN};
	if (!slice_number(rest, 10, ORIGIN_SIZE_MAX, &body.end) || body.end == 0) {
		return false;
	}
	conn_head(c, 200, "text/plain");
	conn_head_end(c, (int64_t)body.end * 2);
	conn_send_body(c, &body);
	return true;
}

static void drip_one(struct conn *c)
{
	evbuffer_add(conn_out(c), "d", 1);
	c->drip_left--;
	if (c->drip_left > 0) {
		conn_wait(c, c->drip_ms, drip_one);
	} else {
		conn_done(c, END_NONE);
	}
}

static bool answer_drip(struct conn *c, struct slice rest)
{
	uint64_t bytes, ms;
	struct slice first = slice_cut(&rest, '/');
	if (!slice_number(first, 10, ORIGIN_SIZE_MAX, &bytes) ||
		!slice_number(rest, 10, ORIGIN_DELAY_MAX, &ms)) {
		return false;
	}
	conn_head(c, 200, "text/plain");
	conn_head_end(c, (int64_t)bytes);
	if (bytes == 0 || c->req.head_only) {
		conn_done(c, END_NONE);
		return true;
	}
	c->drip_left = bytes;
	c->drip_ms = (unsigned)ms;
	conn_wait(c, c->drip_ms, drip_one);
	return true;
}

/* Never called: nothing wakes a connection that hangs. */
static void hang_over(struct conn *c)
{
	conn_done(c, END_FIN);
}

static bool answer_hang(struct conn *c, struct slice rest)
{
	if (rest.at) {
		return false;
	}
	conn_wait(c, UINT_MAX, hang_over);
	return true;
}

static bool answer_garbage(struct conn *c, struct slice rest)
{
	static const char garbage[] =
		"\x7f\x01GARBAGE \xff\xfe, not a status line\r\n\r\n";
	if (rest.at) {
		return false;
	}
	evbuffer_add(conn_out(c), garbage, sizeof(garbage) - 1);
	conn_done(c, END_FIN);
	return true;
}

/* Framing that can be read in two ways. */
static bool answer_doubtful(struct conn *c, struct slice rest, const char *doubt)
{
	if (rest.at) {
		return false;
	}
	conn_head(c, 200, "text/plain");
	evbuffer_add_printf(conn_out(c),
		"%s\r\n\r\n"
		"5\r\nhello\r\n0\r\n\r\n",
		doubt);
	conn_done(c, END_NONE);
	return true;
}

static bool answer_two_lengths(struct conn *c, struct slice rest)
{
	return answer_doubtful(c, rest, "Content-Length: 15\r\nContent-Length: 3");
}

static bool answer_length_and_chunks(struct conn *c, struct slice rest)
{
	return answer_doubtful(
		c, rest, "Content-Length: 15\r\nTransfer-Encoding: chunked");
}

static bool answer_endless(struct conn *c, struct slice rest)
{
	struct body body = {.kind = BODY_TEXT, .end = UINT64_MAX, .then = END_FIN};
	if (rest.at) {
		return false;
	}
	body.chunked = !c->req.http10;
	conn_head(c, 200, "text/plain");
	conn_head_end(c, body.chunked ? LENGTH_CHUNKED : LENGTH_NONE);
	conn_send_body(c, &body);
	return true;
}

const struct route paths_faults[] = {
	{"reset", answer_reset, false},
	{"close", answer_close, false},
	{"truncate", answer_truncate, false},
	{"drip", answer_drip, false},
	{"hang", answer_hang, false},
	{"garbage", answer_garbage, false},
	{"endless", answer_endless, false},
	{"two-lengths", answer_two_lengths, false},
	{"length-and-chunks", answer_length_and_chunks, false},
	{NULL, NULL, false},
};
