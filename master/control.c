/* SPDX-License-Identifier: MIT
 *
 * control - packets between masters and the forkserver; see control.h.
 */
#include "master/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/poolmap.h"

/* Room for one descriptor, aligned as the kernel wants it. */
union ancillary {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int control_send(int socket, const void *packet, size_t len, int fd)
{
	union ancillary anc = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)packet, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		msg.msg_control = anc.bytes;
		msg.msg_controllen = sizeof anc.bytes;
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	if (sendmsg(socket, &msg, MSG_NOSIGNAL) >= 0) {
		return 0;
	}
	if (errno == EAGAIN || errno == EINTR) {
		return CONTROL_AGAIN;
	}
	return error_note_errno(PM_ESYSTEM, "the forkserver does not answer");
}

static int received_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int))) {
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	}
	return fd;
}

int control_receive(int socket, void *packet, size_t len, int *fd)
{
	union ancillary anc = {0};
	struct iovec iov = {.iov_base = packet, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = anc.bytes,
		.msg_controllen = sizeof anc.bytes};
	ssize_t got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		return CONTROL_AGAIN;
	}
	int passed = got >= 0 ? received_fd(&msg) : -1;
	if (got != (ssize_t)len) {
		if (passed >= 0) {
			close(passed);
		}
		return error_note(PM_ESYSTEM, "the forkserver is gone");
	}
	if (fd) {
		*fd = passed;
	} else if (passed >= 0) {
		close(passed);
	}
	return 0;
}
