/* SPDX-License-Identifier: MIT
 *
 * gunzip - the bytes of a gzip file as they were before, piece by piece.
 *
 * Members that stand one after the other are one file, as gzip(1) has it; zeros
 * behind the last one are padding.  Sums and lengths are checked.  The only file
 * of the master that knows zlib for reading.
 *
 * Runs in the master of the command; called by master/cli/source.c.  Memory: one
 * block of GUNZIP_BLOCK and what zlib needs, some 40 KiB, whatever the data say.
 * Never reads a file, never prints.
 */
#ifndef MASTER_CLI_GUNZIP_H
#define MASTER_CLI_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

enum { GUNZIP_BLOCK = 256 * 1024 };

struct gunzip;

enum gunzip_step {
	GUNZIP_BYTES, /* here are some */
	GUNZIP_MORE,  /* add compressed bytes, then ask again */
	GUNZIP_BAD,   /* the data are damaged, or there is no memory */
};

/* Do two bytes or more begin like a gzip file? */
bool gunzip_is_magic(const char *bytes, size_t len);

/* NULL: no memory. */
struct gunzip *gunzip_new(void);
void gunzip_free(struct gunzip *g); /* NULL is fine */

/* Compressed bytes go there, at most GUNZIP_BLOCK, and only after gunzip_new() and
 * GUNZIP_MORE; then say how many came. */
char *gunzip_room(struct gunzip *g);
void gunzip_add(struct gunzip *g, size_t len);

/* The next bytes, at most `cap`; *len of them, 1 at least.  *why: what is wrong
 * with GUNZIP_BAD. */
enum gunzip_step gunzip_next(
	struct gunzip *g, char *out, size_t cap, size_t *len, const char **why);

/* May the file end here? */
bool gunzip_is_whole(const struct gunzip *g);

#endif
