/* SPDX-License-Identifier: MIT
 *
 * durable - small files that are there as a whole or not at all, and names that
 * outlive a power cut.
 *
 * Runs in the master of the command; called for --stats, for reports, for the state of
 * a run, and by target for the results.  Must never: print; the caller knows what the
 * file is for.  fsync blocks as long as the disk needs.
 */
#ifndef MASTER_CLI_DURABLE_H
#define MASTER_CLI_DURABLE_H

#include "common/buf.h"

/* Write all of it.  Returns 0 or an errno. */
int durable_write(int fd, const struct buf *bytes);

/* The file at `path` has these bytes from now on, whatever was there; before, and
 * when it fails, it is as it was.  They are durable before the name is theirs, but
 * the name itself is not.  Returns 0 or an errno. */
int durable_replace(const char *path, const struct buf *bytes);

/* The same, but "-" is standard output, and what is no regular file (/dev/stderr, a
 * FIFO) is just written. */
int durable_put(const char *path, const struct buf *bytes);

/* As durable_replace() for a file that no other process may write now: what a kill has
 * left of it is overwritten the next time, and need not be durable.  */
enum durable_how { DURABLE_AT_ONCE, DURABLE_LATER };
int durable_replace_own(
	const char *path, const struct buf *bytes, enum durable_how how);

/* A new name is durable only when its directory is.  Not every directory can be
 * opened or synced, and that is no reason to stop. */
void durable_name(const char *path);

/* The directory that the name is in, to be freed; NULL: no memory. */
char *durable_directory(const char *path);

#endif
