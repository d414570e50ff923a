/* SPDX-License-Identifier: MIT
 *
 * host - which host a job line goes to, without parsing the line as a whole: the name
 * of its lane, and the path that robots.txt is asked about.
 *
 * Runs in: the master of the command, once for each line of the job files, so it is
 * fast: no memory, one pass over as much of the line as it takes.  Pure.
 *
 * A lane is called "scheme://host" or "scheme://host:port": in lower case, without
 * the scheme's own port, without user and password, IP addresses in one spelling, no
 * dot at the end.  For a line that a worker will fetch it is what libcurl makes of
 * the URL: tests/unit/test_host.c holds the two against each other.  A host that is
 * not ASCII is taken byte by byte, so its two spellings (with and without xn--) are
 * two lanes.
 */
#ifndef COMMON_CLI_HOST_H
#define COMMON_CLI_HOST_H

#include <stddef.h>

#include "common/buf.h"
#include "common/poolmap.h"

/* The lane's name into `lane`, which ends with a NUL; returns its length.  A host that
 * would make it longer than PM_LANE_MAX has its end in it, behind ~hash~.  0, and an
 * empty name: the line has none, because no worker would take it or because its host
 * is far longer than DNS allows. */
size_t host_lane(char lane[PM_LANE_MAX + 1], const char *line, size_t len);

/* Append path and query of the line's URL to `out`: "/a?b"; "/" when it has neither.
 * Nothing is decoded but the escapes of JSON; a fragment is left out.  Returns 0 or
 * PM_ENOMEM; a line without a URL appends "/". */
int host_target(struct buf *out, const char *line, size_t len);

#endif
