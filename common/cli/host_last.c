/* SPDX-License-Identifier: MIT
 *
 * host_last - see host_last.h.
 *
 * A line that is a URL, and no object, says its host in front of its path.  So lines
 * that begin alike, up to the first slash of the path, have the same lane.
 */
#include "common/cli/host_last.h"

#include <string.h>

#include "common/cli/host.h"

/* Up to and with that slash; 0: it is no such line. */
static size_t length_of_begin(const char *line, size_t len)
{
	size_t most = len < HOST_LAST_MAX ? len : HOST_LAST_MAX;
	const char *slashes = most && *line == 'h' ? memchr(line, '/', most) : NULL;
	const char *end = line + most;
	if (!slashes || end - slashes < 2 || slashes[1] != '/') {
		return 0;
	}
	const char *path = memchr(slashes + 2, '/', (size_t)(end - slashes - 2));
	return path ? (size_t)(path + 1 - line) : 0;
}

static bool begins_as_before(const struct host_last *last, const char *line, size_t len)
{
	return last->begin_len && len >= last->begin_len &&
	       memcmp(line, last->begin, last->begin_len) == 0;
}

size_t host_last_lane(struct host_last *last, const char *line, size_t len)
{
	if (!begins_as_before(last, line, len)) {
		last->lane_len = host_lane(last->lane, line, len);
		last->begin_len = length_of_begin(line, len);
		memcpy(last->begin, line, last->begin_len);
	}
	return last->lane_len;
}
