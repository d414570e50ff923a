/* SPDX-License-Identifier: MIT
 *
 * wire - the door to nanomsg; see wire.h.
 */
#include "common/wire.h"

#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/poolmap.h"
#include "common/proto.h"

/* Wires that are open in this process.  A child of fork() inherits the number,
 * and with it the knowledge that nanomsg is live in its image: asking nanomsg
 * itself may wait there for ever, for a lock of a thread that the child does
 * not have. */
static atomic_int open_ct;

enum {
	RECONNECT_MS = 5,          /* default 100: a late listener would cost that */
	SOCKETS_PER_PROCESS = 512, /* NN_MAX_SOCKETS, not in any header */
};

static int set_option(struct wire *w, int option, int value)
{
	return nn_setsockopt(w->socket, NN_SOL_SOCKET, option, &value, sizeof value);
}

/* All options that nanomsg reads when an endpoint is made. */
static int make_socket(struct wire *w, enum wire_direction direction)
{
	w->socket = nn_socket(AF_SP, direction == WIRE_PUSH ? NN_PUSH : NN_PULL);
	if (w->socket < 0) {
		return error_note_errno(PM_ESYSTEM, "cannot make a nanomsg socket");
	}
	atomic_fetch_add(&open_ct, 1);
	size_t size = sizeof w->ready_fd;
	if (set_option(w, NN_RECONNECT_IVL, RECONNECT_MS) < 0 ||
		set_option(w, NN_RCVMAXSIZE, PROTO_FRAME_MAX) < 0 ||
		nn_getsockopt(w->socket, NN_SOL_SOCKET,
			direction == WIRE_PUSH ? NN_SNDFD : NN_RCVFD, &w->ready_fd,
			&size) < 0) {
		int err =
			error_note_errno(PM_ESYSTEM, "cannot set up a nanomsg socket");
		wire_close(w);
		return err;
	}
	return 0;
}

static int address(char *out, size_t size, const char *path)
{
	if (strlen(path) > WIRE_PATH_MAX) {
		return error_note(PM_EINVAL, "socket path is over %d bytes: %s",
			WIRE_PATH_MAX, path);
	}
	snprintf(out, size, "ipc://%s", path);
	return 0;
}

static int open_end(struct wire *w, enum wire_direction direction, const char *path,
	int (*attach)(int, const char *))
{
	char addr[WIRE_PATH_MAX + 16];
	w->socket = -1;
	int err = address(addr, sizeof addr, path);
	if (!err) {
		err = make_socket(w, direction);
	}
	if (!err && attach(w->socket, addr) < 0) {
		err = error_note_errno(PM_ESYSTEM, "cannot open the socket %s", path);
		wire_close(w);
	}
	return err;
}

int wire_listen(struct wire *w, enum wire_direction direction, const char *path)
{
	return open_end(w, direction, path, nn_bind);
}

int wire_dial(struct wire *w, enum wire_direction direction, const char *path)
{
	return open_end(w, direction, path, nn_connect);
}

void wire_close(struct wire *w)
{
	if (w->socket < 0) {
		return;
	}
	while (nn_close(w->socket) < 0 && nn_errno() == EINTR) {
	}
	w->socket = -1;
	atomic_fetch_sub(&open_ct, 1);
}

int wire_send(struct wire *w, const void *frame, size_t len)
{
	if (nn_send(w->socket, frame, len, NN_DONTWAIT) >= 0) {
		return 0;
	}
	if (nn_errno() == EAGAIN || nn_errno() == EINTR) {
		return WIRE_AGAIN;
	}
	return error_note_errno(PM_ESYSTEM, "cannot send a frame");
}

int wire_receive(struct wire *w, void **frame, size_t *len)
{
	void *bytes = NULL;
	int got = nn_recv(w->socket, &bytes, NN_MSG, NN_DONTWAIT);
	if (got >= 0) {
		*frame = bytes;
		*len = (size_t)got;
		return 0;
	}
	if (nn_errno() == EAGAIN || nn_errno() == EINTR) {
		return WIRE_AGAIN;
	}
	return error_note_errno(PM_ESYSTEM, "cannot receive a frame");
}

void wire_free(void *frame)
{
	nn_freemsg(frame);
}

bool wire_any_live(void)
{
	if (atomic_load(&open_ct) > 0) {
		return true;
	}
	/* By a statistic rather than nn_getsockopt(): that one takes the socket's
	 * lock, which a child of fork() may find held for ever. */
	for (int s = 0; s < SOCKETS_PER_PROCESS; s++) {
		if (nn_get_statistic(s, NN_STAT_CURRENT_CONNECTIONS) != UINT64_MAX) {
			return true;
		}
	}
	return false;
}
