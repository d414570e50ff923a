/* SPDX-License-Identifier: MIT
 *
 * pack - gzip for the files that a run writes, see pack.h.
 */
#include "master/cli/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/poolmap.h"

enum {
	GZIP_WINDOW = 15 + 16, /* the largest, and a gzip header */
	MEMORY_LEVEL = 8,
	LEVEL = 6,
	ROOM = 32 * 1024,   /* packed bytes at a time */
	BLOCK = 64 * 1024,  /* read at a time */
	PART_MAX = 1 << 30, /* zlib counts in unsigned int */
};

bool pack_wanted(const char *path)
{
	size_t len = strlen(path);
	return len > 3 && strcmp(path + len - 3, ".gz") == 0;
}

/* -------------------------------------------------------------------- writing */

struct pack {
	z_stream z;
	bool begun; /* a member, which has bytes */
};

struct pack *pack_new(void)
{
	struct pack *p = calloc(1, sizeof *p);
	if (p && deflateInit2(&p->z, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(p);
		return NULL;
	}
	return p;
}

void pack_free(struct pack *p)
{
	if (p) {
		deflateEnd(&p->z);
		free(p);
	}
}

/* Until all is taken, or with Z_FINISH written. */
static int deflate_all(struct pack *p, struct buf *out, int flush)
{
	int status;
	do {
		if (buf_reserve(out, ROOM)) {
			return PM_ENOMEM;
		}
		p->z.next_out = (Bytef *)out->data + out->len;
		p->z.avail_out = ROOM;
		status = deflate(&p->z, flush);
		out->len += ROOM - p->z.avail_out;
	} while (flush == Z_FINISH ? status == Z_OK : p->z.avail_out == 0);
	return 0;
}

int pack_put(struct pack *p, struct buf *out, const void *bytes, size_t len)
{
	const char *at = bytes;
	while (len) {
		size_t part = len < PART_MAX ? len : PART_MAX;
		p->z.next_in = (z_const Bytef *)(uintptr_t)at;
		p->z.avail_in = (uInt)part;
		p->begun = true;
		if (deflate_all(p, out, Z_NO_FLUSH)) {
			return PM_ENOMEM;
		}
		at += part;
		len -= part;
	}
	return 0;
}

int pack_end(struct pack *p, struct buf *out)
{
	if (!p->begun) {
		return 0;
	}
	p->z.avail_in = 0;
	if (deflate_all(p, out, Z_FINISH)) {
		return PM_ENOMEM;
	}
	deflateReset(&p->z);
	p->begun = false;
	return 0;
}

/* -------------------------------------------------------------------- reading */

struct unpack {
	int fd;
	bool packed;
	bool in_member;
	bool over;       /* torn: there is nothing more */
	uint64_t offset; /* of the next byte to read from the file */
	uint64_t limit;  /* read no further */
	uint64_t whole;  /* offset behind the last complete member */
	z_stream z;
	unsigned char block[BLOCK];
};

struct unpack *unpack_new(int fd, bool packed)
{
	struct unpack *u = calloc(1, sizeof *u);
	if (!u) {
		return NULL;
	}
	u->fd = fd;
	u->packed = packed;
	u->limit = UINT64_MAX;
	if (packed && inflateInit2(&u->z, GZIP_WINDOW) != Z_OK) {
		free(u);
		return NULL;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return u;
}

void unpack_free(struct unpack *u)
{
	if (u) {
		if (u->packed) {
			inflateEnd(&u->z);
		}
		free(u);
	}
}

static long read_at(int fd, void *bytes, size_t cap, uint64_t offset)
{
	ssize_t n;
	do {
		n = pread(fd, bytes, cap, (off_t)offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? PM_ESYSTEM : (long)n;
}

static const unsigned char MAGIC[2] = {0x1f, 0x8b};

static size_t zeros_at_end(const unsigned char *bytes, size_t len)
{
	size_t ct = 0;
	while (ct < len && bytes[len - 1 - ct] == 0) {
		ct++;
	}
	return ct;
}

bool unpack_is_packed(int fd)
{
	unsigned char start[sizeof MAGIC];
	return read_at(fd, start, sizeof start, 0) == sizeof start &&
	       memcmp(start, MAGIC, sizeof MAGIC) == 0;
}

bool unpack_may_be_packed(int fd)
{
	unsigned char start[sizeof MAGIC];
	long n = read_at(fd, start, sizeof start, 0);
	size_t len = n > 0 ? (size_t)n - zeros_at_end(start, (size_t)n) : 0;
	return n >= 0 && memcmp(start, MAGIC, len) == 0;
}

static long read_plain(struct unpack *u, void *bytes, size_t cap)
{
	uint64_t left = u->limit - u->offset;
	long n = read_at(u->fd, bytes, left < cap ? (size_t)left : cap, u->offset);
	u->offset += n > 0 ? (uint64_t)n : 0;
	return n;
}

/* Returns how many packed bytes there are now. */
static long fill(struct unpack *u)
{
	if (u->z.avail_in) {
		return (long)u->z.avail_in;
	}
	long n = read_plain(u, u->block, sizeof u->block);
	u->z.next_in = u->block;
	u->z.avail_in = n > 0 ? (uInt)n : 0;
	return n;
}

/* Unpack what is in the block.  Returns 0, or PM_EINVAL. */
static int inflate_block(struct unpack *u)
{
	u->in_member = true;
	switch (inflate(&u->z, Z_NO_FLUSH)) {
	case Z_OK:
	case Z_BUF_ERROR:
		return 0;
	case Z_STREAM_END:
		u->whole = u->offset - u->z.avail_in;
		u->in_member = false;
		inflateReset(&u->z);
		return 0;
	default:
		u->over = true;
		return PM_EINVAL;
	}
}

static long read_packed(struct unpack *u, void *bytes, size_t cap)
{
	u->z.next_out = bytes;
	u->z.avail_out = (uInt)cap;
	while (!u->over && u->z.avail_out == cap) {
		long n = fill(u);
		if (n < 0) {
			return n;
		}
		int err = n > 0 ? inflate_block(u) : 0;
		if (err) {
			return err;
		}
		u->over = u->over || n == 0;
	}
	return (long)(cap - u->z.avail_out);
}

long unpack_read(struct unpack *u, void *bytes, size_t cap)
{
	cap = cap < PART_MAX ? cap : PART_MAX;
	return u->packed ? read_packed(u, bytes, cap) : read_plain(u, bytes, cap);
}

static void rewind_to(struct unpack *u, uint64_t limit)
{
	u->offset = 0;
	u->limit = limit;
	u->in_member = u->over = false;
	if (u->packed) {
		u->z.avail_in = 0;
		inflateReset(&u->z);
	}
}

static int read_over(struct unpack *u)
{
	char scratch[ROOM];
	long n;
	do {
		n = unpack_read(u, scratch, sizeof scratch);
	} while (n > 0);
	return (int)n;
}

/* Where the zeros begin that end the file, but not before `from`. */
static int find_zeros(struct unpack *u, uint64_t size, uint64_t from, uint64_t *at)
{
	*at = size;
	while (*at > from) {
		size_t want = *at - from < BLOCK ? (size_t)(*at - from) : BLOCK;
		long n = read_at(u->fd, u->block, want, *at - want);
		if (n != (long)want) {
			return PM_ESYSTEM;
		}
		size_t ct = zeros_at_end(u->block, want);
		*at -= ct;
		if (ct < want) {
			break;
		}
	}
	return 0;
}

/* A power cut leaves zeros where blocks were not written.  They make a member wrong
 * that was torn: so what is no gzip is looked at once more without them. */
static int find_whole(struct unpack *u, uint64_t size)
{
	uint64_t zeros;
	int err = read_over(u);
	if (err != PM_EINVAL) {
		return err;
	}
	err = find_zeros(u, size, u->whole, &zeros);
	if (!err) {
		rewind_to(u, zeros);
		err = read_over(u);
	}
	return err;
}

int unpack_find_end(struct unpack *u, uint64_t *end, uint64_t *torn)
{
	struct stat st;
	if (fstat(u->fd, &st)) {
		return PM_ESYSTEM;
	}
	uint64_t size = (uint64_t)st.st_size;
	int err = u->packed ? find_whole(u, size) : 0;
	if (!err) {
		*end = u->packed ? u->whole : size;
		*torn = size - *end;
		rewind_to(u, *end);
	}
	return err;
}
