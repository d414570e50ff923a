/* SPDX-License-Identifier: MIT
 *
 * gunzip - the bytes of a gzip file as they were before, see gunzip.h.
 */
#include "master/cli/gunzip.h"

#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

struct gunzip {
	z_stream z;
	bool in_member;
	unsigned char raw[GUNZIP_BLOCK]; /* z.next_in points into it */
};

enum { GZIP_ONLY = 16 }; /* added to the window bits: see inflateInit2() */

bool gunzip_is_magic(const char *bytes, size_t len)
{
	return len >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0;
}

struct gunzip *gunzip_new(void)
{
	struct gunzip *g = malloc(sizeof *g);
	if (!g) {
		return NULL;
	}
	g->z = (z_stream){0};
	g->in_member = true; /* a file of nothing is not whole */
	if (inflateInit2(&g->z, MAX_WBITS + GZIP_ONLY) != Z_OK) {
		free(g);
		return NULL;
	}
	return g;
}

void gunzip_free(struct gunzip *g)
{
	if (g) {
		inflateEnd(&g->z);
		free(g);
	}
}

char *gunzip_room(struct gunzip *g)
{
	return (char *)g->raw;
}

void gunzip_add(struct gunzip *g, size_t len)
{
	g->z.next_in = g->raw;
	g->z.avail_in = (unsigned)len;
}

bool gunzip_is_whole(const struct gunzip *g)
{
	return !g->in_member;
}

/* Behind a member: zeros, the next member, or nothing.  False: something else. */
static bool start_member(struct gunzip *g)
{
	while (g->z.avail_in && *g->z.next_in == 0) {
		g->z.next_in++;
		g->z.avail_in--;
	}
	if (g->z.avail_in == 0) {
		return true;
	}
	g->in_member = *g->z.next_in == 0x1f && inflateReset(&g->z) == Z_OK;
	return g->in_member;
}

/* One call of zlib.  Returns NULL, or what is wrong. */
static const char *inflate_some(struct gunzip *g)
{
	switch (inflate(&g->z, Z_NO_FLUSH)) {
	case Z_STREAM_END:
		g->in_member = false;
		return NULL;
	case Z_OK:
	case Z_BUF_ERROR: /* it needs more of either */
		return NULL;
	case Z_MEM_ERROR:
		return "out of memory";
	default:
		return g->z.msg ? g->z.msg : "damaged";
	}
}

enum gunzip_step gunzip_next(
	struct gunzip *g, char *out, size_t cap, size_t *len, const char **why)
{
	g->z.next_out = (unsigned char *)out;
	g->z.avail_out = (unsigned)cap;
	for (;;) {
		if (!g->in_member && !start_member(g)) {
			*why = "something else stands behind the compressed data";
			return GUNZIP_BAD;
		}
		/* zlib may hold bytes back that fitted into no room before. */
		*why = g->in_member ? inflate_some(g) : NULL;
		if (*why) {
			return GUNZIP_BAD;
		}
		*len = cap - g->z.avail_out;
		if (*len) {
			return GUNZIP_BYTES;
		}
		if (g->z.avail_in == 0) {
			return GUNZIP_MORE;
		}
	}
}
