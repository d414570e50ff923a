/* SPDX-License-Identifier: MIT
 *
 * host_last - the lane of a job, when the one before it often has the same host.
 *
 * Runs in: the master of the command, which reads the lines of jobs one after the
 * other.  Called by pace.c.
 */
#ifndef COMMON_CLI_HOST_LAST_H
#define COMMON_CLI_HOST_LAST_H

#include "common/poolmap.h"

enum { HOST_LAST_MAX = 256 }; /* bytes of a line's begin that are remembered */

/* All zero at first. */
struct host_last {
	char lane[PM_LANE_MAX + 1];
	size_t lane_len;
	char begin[HOST_LAST_MAX]; /* of the last line, if that says which lane it is */
	size_t begin_len;
};

/* As host_lane(); the lane is last->lane. */
size_t host_last_lane(struct host_last *last, const char *line, size_t len);

#endif
