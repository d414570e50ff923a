/* SPDX-License-Identifier: MIT
 *
 * forkserver - the process that all workers are forked from.
 *
 * nanomsg does not survive fork(): a child of a process with a live nanomsg
 * socket can never use it.  So workers, and every later replacement, are forked
 * by a single-threaded process that was itself forked before the first socket.
 * The word and the idea are those of Python's multiprocessing.
 *
 * pm_forkserver_start() and forkserver_attach() run in the host process;
 * forkserver_main() is the forkserver.  One serves all pools of its host.
 */
#ifndef MASTER_FORKSERVER_H
#define MASTER_FORKSERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/poolmap.h"

/* Announce a pool.  *socket: its control socket, non-blocking.  0, PM_ESYSTEM,
 * or PM_ELIMIT when PM_POOLS_MAX are attached. */
int forkserver_attach(const char *rundir, int *socket) PM_MUSTCHECK;

/* Close it: what is left of the pool's workers is killed, and its directory
 * removed. */
void forkserver_detach(int socket);

/* Was this function mapped when the forkserver started? */
bool forkserver_knows(pm_task_fn *task);

/* Serve `door` until the host process is gone. */
_Noreturn void forkserver_main(int door, pid_t host);

#endif
