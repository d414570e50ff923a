/* SPDX-License-Identifier: MIT
 *
 * pack - gzip for the files that a run writes, and the reading of both kinds.
 *
 * A packed file is a series of gzip members.  Each holds whole lines, and only
 * a member that is complete counts: what stands behind the last of them was
 * torn, and is cut off to go on.  gunzip, zcat and the like read all of it.
 *
 * A door to zlib, as gunzip is, which reads job files.  Runs in the master of
 * the command; called by output, which says when a member ends, and by those
 * that read results again.
 * Must never: print; move the offset of a file that is read.
 */
#ifndef MASTER_CLI_PACK_H
#define MASTER_CLI_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/* Does the name end in .gz? */
bool pack_wanted(const char *path);

/* -------------------------------------------------------------------- writing */

struct pack;

/* NULL: no memory. */
struct pack *pack_new(void);
void pack_free(struct pack *p); /* NULL is fine */

/* Append packed bytes to `out`: what comes of these, which may be nothing yet.
 * Returns 0 or PM_ENOMEM, after which the member cannot be used. */
int pack_put(struct pack *p, struct buf *out, const void *bytes, size_t len);

/* End the member, if anything was put since the last.  Returns 0 or PM_ENOMEM. */
int pack_end(struct pack *p, struct buf *out);

/* -------------------------------------------------------------------- reading */

struct unpack;

/* Read `fd` from its first byte on with pread(2).  `packed`: it is gzip.
 * NULL: no memory. */
struct unpack *unpack_new(int fd, bool packed);
void unpack_free(struct unpack *u); /* NULL is fine */

/* Does the file begin as gzip does? */
bool unpack_is_packed(int fd);

/* The same; or is so little of it there, but for zeros, that it may have? */
bool unpack_may_be_packed(int fd);

/* The next bytes, at most `cap`.  Returns how many, 0 at the end; PM_ESYSTEM
 * with errno set when the file cannot be read; PM_EINVAL when it is no gzip,
 * or damaged before its last member.  What is torn at the end is the end. */
long unpack_read(struct unpack *u, void *bytes, size_t cap);

/* Find the end of the last complete member: its offset in the file, and how
 * many bytes of the file stand behind it.  Zeros at the end of the file are torn,
 * too.  Afterwards unpack_read() starts at the first byte and ends there.  For a
 * plain file: its size, and 0.  Returns 0 or as unpack_read(). */
int unpack_find_end(struct unpack *u, uint64_t *end, uint64_t *torn);

#endif
