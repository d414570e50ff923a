/* SPDX-License-Identifier: MIT
 *
 * lifeline - the socketpair between the master and one worker; see lifeline.h.
 */
#include "common/lifeline.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/error.h"

int lifeline_pair(int ends[2])
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		    pair) < 0) {
		return error_note_errno(PM_ESYSTEM, "cannot make a lifeline");
	}
	ends[0] = pair[0];
	ends[1] = pair[1];
	return 0;
}

enum lifeline_verdict lifeline_send(int fd, const struct proto_life_message *message)
{
	char packet[sizeof *message];
	size_t len = proto_life_put(packet, message);
	if (send(fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
		return LIFELINE_OK;
	}
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? LIFELINE_AGAIN
								     : LIFELINE_GONE;
}

enum lifeline_verdict lifeline_receive(int fd, struct proto_life_message *message)
{
	char packet[sizeof *message];
	ssize_t len = recv(fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
	if (len < 0) {
		return errno == EAGAIN || errno == EINTR ? LIFELINE_AGAIN
							 : LIFELINE_GONE;
	}
	if (len == 0) {
		return LIFELINE_GONE;
	}
	if ((size_t)len > sizeof packet ||
		proto_life_get(message, packet, (size_t)len)) {
		return LIFELINE_BAD;
	}
	return LIFELINE_OK;
}
