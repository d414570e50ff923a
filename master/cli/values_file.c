/* SPDX-License-Identifier: MIT
 *
 * values_file - names of files that must be there; see values.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/cli/values.h"
#include "master/cli/values_parts.h"

int values_readable_file(const char *path, struct value_error *why)
{
	/* Not blocking: the name may be that of a pipe that nobody writes to. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		return values_refuse(why, "cannot be read: %s", strerror(errno));
	}
	struct stat st;
	bool is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	close(fd);
	return is_file ? 0 : values_refuse(why, "is not a regular file");
}
