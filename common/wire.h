/* SPDX-License-Identifier: MIT
 *
 * wire - the door to nanomsg: one end of one pipeline.
 *
 * Runs in: the master and the workers.  The only file that includes nanomsg.
 * Sends and receives whole frames, never blocks.  Traps that it keeps away
 * from everybody else: a path over 107 bytes aborts the process; a message over
 * NN_RCVMAXSIZE drops the connection in silence; a readable send descriptor
 * means "can send"; closing throws away what the peer has not read.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>

struct wire {
	int socket;   /* of nanomsg; -1: closed */
	int ready_fd; /* readable while the wire can receive, or send.  Poll it
			 level-triggered, never read it */
};

enum wire_direction { WIRE_PUSH, WIRE_PULL };

enum { WIRE_AGAIN = 1, WIRE_PATH_MAX = 107 };

/* Bind to, or connect to, a socket file.  Connecting succeeds at once and goes
 * on in the background.  Errors: PM_ESYSTEM, PM_EINVAL (path too long). */
int wire_listen(struct wire *w, enum wire_direction direction, const char *path);
int wire_dial(struct wire *w, enum wire_direction direction, const char *path);

/* Close; a listening end removes its file.  Unread frames are lost.  The
 * caller has stopped watching ready_fd before. */
void wire_close(struct wire *w);

/* Send one frame of at most PROTO_FRAME_MAX bytes.  0, WIRE_AGAIN, or
 * PM_ESYSTEM. */
int wire_send(struct wire *w, const void *frame, size_t len);

/* Receive one frame; wire_free() it.  0, WIRE_AGAIN, or PM_ESYSTEM. */
int wire_receive(struct wire *w, void **frame, size_t *len);
void wire_free(void *frame);

/* Is any nanomsg socket open in this process, ours or another's? */
bool wire_any_live(void);

#endif
