/* SPDX-License-Identifier: MIT
 *
 * lifeline - the socketpair between the master and one worker, beside nanomsg.
 *
 * Runs in: the master and the workers.  One packet is one message of proto.h.
 * The end of file is a message, too: the other side is gone.  Never blocks.
 */
#ifndef COMMON_LIFELINE_H
#define COMMON_LIFELINE_H

#include "common/proto.h"

enum lifeline_verdict {
	LIFELINE_OK,
	LIFELINE_AGAIN, /* nothing to read, or no room to write */
	LIFELINE_BAD,   /* a packet that is none: dropped */
	LIFELINE_GONE,  /* the other side has closed or died */
};

/* Make a pair, both ends non-blocking and closed on exec.  0 or PM_ESYSTEM. */
int lifeline_pair(int ends[2]);

enum lifeline_verdict lifeline_send(int fd, const struct proto_life_message *message);
enum lifeline_verdict lifeline_receive(int fd, struct proto_life_message *message);

#endif
