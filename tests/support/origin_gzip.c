/* SPDX-License-Identifier: MIT
 *
 * origin_gzip - the origin's paths that answer with compressed bodies, whether
 * that was asked for or not.
 *
 * Runs in: the origin.  Called by origin_conn.c with a complete request.
 */
#include "tests/support/origin.h"

#include <string.h>
#include <zlib.h>

#define PIECE (64u << 10)

/* `left` times the letter z, compressed. */
static bool squeeze(z_stream *z, uint64_t left, struct evbuffer *to)
{
	static unsigned char in[PIECE], out[PIECE];
	int step = Z_OK;
	memset(in, 'z', sizeof(in));
	while (step == Z_OK) {
		if (z->avail_in == 0 && left > 0) {
			z->next_in = in;
			z->avail_in = left < PIECE ? (uInt)left : PIECE;
			left -= z->avail_in;
		}
		z->next_out = out;
		z->avail_out = PIECE;
		step = deflate(z, left == 0 ? Z_FINISH : Z_NO_FLUSH);
		evbuffer_add(to, out, PIECE - z->avail_out);
	}
	return step == Z_STREAM_END;
}

static bool answer_gzip(struct conn *c, struct slice rest)
{
	enum { GZIP = 16 + MAX_WBITS };
	uint64_t len;
	z_stream z = {0};
	if (!slice_number(rest, 10, ORIGIN_GZIP_MAX, &len)) {
		return false;
	}
	struct evbuffer *body = evbuffer_new();
	bool good = body && deflateInit2(&z, 6, Z_DEFLATED, GZIP, 8,
				    Z_DEFAULT_STRATEGY) == Z_OK;
	good = good && squeeze(&z, len, body);
	deflateEnd(&z);
	if (!good) {
		if (body) {
			evbuffer_free(body);
		}
		return false;
	}
	conn_head(c, 200, "text/plain");
	evbuffer_add_printf(conn_out(c), "Content-Encoding: gzip\r\n");
	conn_head_end(c, (int64_t)evbuffer_get_length(body));
	if (!c->req.head_only) {
		evbuffer_add_buffer(conn_out(c), body);
	}
	evbuffer_free(body);
	conn_done(c, END_NONE);
	return true;
}

const struct route paths_gzip[] = {
	{"gzip", answer_gzip, false},
	{NULL, NULL, false},
};
