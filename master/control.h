/* SPDX-License-Identifier: MIT
 *
 * control - what masters and the forkserver tell each other.
 *
 * Runs in: the host process and the forkserver, which are images of one
 * program on one machine: the structs travel as they are, one packet each, over
 * SOCK_SEQPACKET, with at most one descriptor.
 *
 *   the door (one per process)       ATTACH + pool's control socket, END ->
 *   control socket (one per pool)    BLACKBOX, SPAWN + lifeline, KILL ->
 *                                    <- SPAWNED, EXITED
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <stdint.h>
#include <sys/types.h>

#include "common/boot.h"
#include "master/rundir.h"

enum control_type {
	CONTROL_ATTACH = 1, /* a new pool: its control socket, its runtime directory */
	CONTROL_BLACKBOX,   /* of the worker that is spawned next */
	CONTROL_SPAWN,      /* fork a worker: boot, its end of the lifeline */
	CONTROL_END,        /* the host process ends: so shall you */
	CONTROL_KILL,       /* a signal to slot, generation */
	CONTROL_SPAWNED,    /* slot, generation, pid; or pid 0 and an errno in status */
	CONTROL_EXITED,     /* slot, generation, pid, status of waitpid() */
};

struct control_request {
	enum control_type type;
	int signal;                       /* KILL */
	struct boot boot;                 /* SPAWN; KILL reads the route alone */
	char rundir[RUNDIR_PATH_MAX + 1]; /* ATTACH */
};

struct control_event {
	enum control_type type;
	uint32_t slot;
	uint32_t generation;
	pid_t pid;
	int status;
};

/* Send or receive one packet with at most one descriptor (-1: none).  0;
 * CONTROL_AGAIN; or PM_ESYSTEM, also when the other side is gone. */
enum { CONTROL_AGAIN = 1 };
int control_send(int socket, const void *packet, size_t len, int fd);
int control_receive(int socket, void *packet, size_t len, int *fd);

#endif
