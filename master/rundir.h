/* SPDX-License-Identifier: MIT
 *
 * rundir - the runtime directory of a pool: fresh, private, and gone again.
 *
 * Runs in: the master, which makes and removes it, and the forkserver, which
 * removes it when the master dies.  The directory (mode 0700) is the boundary:
 * whoever cannot enter it cannot reach the sockets.  A lock held in it tells a
 * living pool's directory from one that a crash left behind.
 */
#ifndef MASTER_RUNDIR_H
#define MASTER_RUNDIR_H

#include "common/wire.h"

/* Room for "/j-<slot>-<generation>" behind the directory's own path. */
enum { RUNDIR_NAME_MAX = 20, RUNDIR_PATH_MAX = WIRE_PATH_MAX - RUNDIR_NAME_MAX };

/* Told the path before the directory is made, so that it is never there without
 * somebody who removes it.  0, or an error that ends rundir_open(). */
typedef int rundir_announce_fn(void *ctx, const char *path);

struct rundir {
	char path[RUNDIR_PATH_MAX + 1];
	int lock_fd;
};

/* Make one below `parent`, or below the first of $XDG_RUNTIME_DIR, $TMPDIR and
 * /tmp that will do when that is NULL.  Removes directories of dead pools found
 * there.  `announce` may be NULL; it is called once for each parent that is tried.
 * 0, PM_ESYSTEM, or what `announce` returned. */
int rundir_open(
	struct rundir *r, const char *parent, rundir_announce_fn *announce, void *ctx);
void rundir_close(struct rundir *r);

/* Remove a runtime directory and the files in it. */
void rundir_remove(const char *path);

#endif
