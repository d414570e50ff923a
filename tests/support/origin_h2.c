/* SPDX-License-Identifier: MIT
 *
 * origin_h2 - as much of HTTP/2 as it takes to answer each request in the same
 * way, or to fail it in an exact one.
 *
 * Runs in: the origin.  Called by origin_conn.c.  What is asked for is not even
 * decoded: the port decides.  Frames are read whole; nothing but their lengths,
 * their types and END_STREAM is looked at.
 */
#include "tests/support/origin_tls.h"

#include <string.h>

enum { FRAME_HEAD = 9, FRAME_MAX = 16384, PREFACE = 24 };
enum frame_type {
	DATA = 0,
	HEADERS = 1,
	RST_STREAM = 3,
	SETTINGS = 4,
	PING = 6,
	GOAWAY = 7
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { INTERNAL_ERROR = 2, REFUSED_STREAM = 7 };

static const char answer[] = "http2\n";

static void put_frame(struct evbuffer *out, enum frame_type type, unsigned flags,
	uint32_t stream, const void *bytes, size_t len)
{
	const unsigned char head[FRAME_HEAD] = {(unsigned char)(len >> 16),
		(unsigned char)(len >> 8), (unsigned char)len, (unsigned char)type,
		(unsigned char)flags, (unsigned char)(stream >> 24),
		(unsigned char)(stream >> 16), (unsigned char)(stream >> 8),
		(unsigned char)stream};
	evbuffer_add(out, head, sizeof(head));
	evbuffer_add(out, bytes, len);
}

static void put_reset(struct evbuffer *out, uint32_t stream, unsigned char why)
{
	const unsigned char code[4] = {0, 0, 0, why};
	put_frame(out, RST_STREAM, 0, stream, code, sizeof(code));
}

/* ":status: 200" is number 8 of the static table. */
static void put_answer(struct evbuffer *out, uint32_t stream, bool whole)
{
	static const unsigned char status_200 = 0x80 | 8;
	put_frame(out, HEADERS, END_HEADERS, stream, &status_200, 1);
	put_frame(out, DATA, whole ? END_STREAM : 0, stream, answer,
		whole ? sizeof(answer) - 1 : 1);
}

/* "x" with 4000 bytes is put into the client's table, and used 12,000 times. */
static void put_bomb(struct evbuffer *out, uint32_t stream)
{
	static const unsigned char begin[] = {
		0x80 | 8, 0x40, 1, 'x', 127, 0x80 | 33, 30 /* 127 + 33 + 30 * 128 */};
	enum { VALUE = 4000, USES = 12000 };
	unsigned char head[sizeof(begin) + VALUE + USES];
	memcpy(head, begin, sizeof(begin));
	memset(head + sizeof(begin), 'y', VALUE);
	memset(head + sizeof(begin) + VALUE, 0x80 | 62, USES);
	put_frame(out, HEADERS, END_HEADERS | END_STREAM, stream, head, sizeof(head));
}

/* No stream was looked at, and there is no error. */
static void put_goaway(struct evbuffer *out)
{
	static const unsigned char nothing[8] = {0};
	put_frame(out, GOAWAY, 0, 0, nothing, sizeof(nothing));
}

static bool is_first(bool *seen)
{
	bool first = !*seen;
	*seen = true;
	return first;
}

static void answer_stream(struct conn *c, uint32_t stream)
{
	struct evbuffer *out = conn_out(c);
	c->server->requests++;
	switch (c->h2) {
	case H2_REFUSE:
		if (is_first(&c->server->h2_refused)) {
			put_reset(out, stream, REFUSED_STREAM);
			return;
		}
		break;
	case H2_AWAY:
		if (is_first(&c->server->h2_left)) {
			put_goaway(out);
			return;
		}
		break;
	case H2_BOMB:
		put_bomb(out, stream);
		return;
	case H2_RESET:
		put_reset(out, stream, INTERNAL_ERROR);
		return;
	case H2_CUT:
		put_answer(out, stream, false);
		conn_done(c, END_FIN);
		return;
	default:
		break;
	}
	put_answer(out, stream, true);
}

static void take_frame(struct conn *c, const unsigned char *head, struct evbuffer *in)
{
	unsigned type = head[3], flags = head[4];
	size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
	uint32_t stream = (uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
			  (uint32_t)head[7] << 8 | head[8];
	if (type == SETTINGS && !(flags & ACK)) {
		put_frame(conn_out(c), SETTINGS, ACK, 0, "", 0);
	} else if (type == PING && !(flags & ACK) && len == 8) {
		put_frame(conn_out(c), PING, ACK, 0, evbuffer_pullup(in, 8), 8);
	} else if ((type == HEADERS || type == DATA) && (flags & END_STREAM)) {
		answer_stream(c, stream);
	}
	evbuffer_drain(in, len);
}

void h2_begin(struct conn *c)
{
	put_frame(conn_out(c), SETTINGS, 0, 0, "", 0);
	c->h2_skip = PREFACE;
}

void h2_read(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	while (c->state == CONN_READING) {
		unsigned char head[FRAME_HEAD];
		size_t here = evbuffer_get_length(in);
		if (c->h2_skip) {
			if (here < c->h2_skip) {
				return;
			}
			evbuffer_drain(in, c->h2_skip);
			c->h2_skip = 0;
			continue;
		}
		if (here < FRAME_HEAD) {
			return;
		}
		evbuffer_copyout(in, head, FRAME_HEAD);
		size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
		if (len > FRAME_MAX) {
			conn_done(c, END_RESET);
			return;
		}
		if (here < FRAME_HEAD + len) {
			return;
		}
		evbuffer_drain(in, FRAME_HEAD);
		take_frame(c, head, in);
	}
}
