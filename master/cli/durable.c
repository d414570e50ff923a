/* SPDX-License-Identifier: MIT
 *
 * durable - see durable.h.
 */
#include "master/cli/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int durable_write(int fd, const struct buf *bytes)
{
	for (size_t at = 0; at < bytes->len;) {
		ssize_t n = write(fd, bytes->data + at, bytes->len - at);
		if (n < 0 && errno != EINTR) {
			return errno;
		}
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* As open(2) would create it: mkostemp() gives nobody else a right. */
static void give_usual_mode(int fd)
{
	mode_t mask = umask(0);
	umask(mask);
	(void)!fchmod(fd, 0666 & ~mask);
}

/* Some file systems know no fsync. */
static int sync_bytes(int fd)
{
	bool failed = fsync(fd) && errno != EINVAL && errno != ENOTSUP;
	return failed ? errno : 0;
}

/* The bytes are there before the name is. */
static int fill_and_name(int fd, const char *temp, const char *path,
	const struct buf *bytes, enum durable_how how)
{
	int error = durable_write(fd, bytes);
	error = error || how == DURABLE_LATER ? error : sync_bytes(fd);
	error = close(fd) && !error ? errno : error;
	error = !error && rename(temp, path) ? errno : error;
	if (error) {
		unlink(temp);
	}
	return error;
}

/* The name of the file that is written first, beside the other one.  Of a name that
 * is so long that there is no room for the ending, the begin will do. */
static int name_temp(struct buf *temp, const char *path, const char *ending)
{
	const char *slash = strrchr(path, '/');
	size_t dir_len = slash ? (size_t)(slash + 1 - path) : 0;
	size_t len = strlen(path) - dir_len, most = NAME_MAX - strlen(ending);
	int err = buf_put(temp, path, dir_len + (len < most ? len : most));
	err = err ? err : buf_puts(temp, ending);
	return err || !buf_text(temp) ? ENOMEM : 0;
}

int durable_replace(const char *path, const struct buf *bytes)
{
	struct buf temp = {0};
	int error = name_temp(&temp, path, ".XXXXXX");
	int fd = error ? -1 : mkostemp(temp.data, O_CLOEXEC);
	if (fd >= 0) {
		give_usual_mode(fd);
		error = fill_and_name(fd, temp.data, path, bytes, DURABLE_AT_ONCE);
	} else if (!error) {
		error = errno;
	}
	buf_fini(&temp);
	return error;
}

static int write_into(const char *path, const struct buf *bytes)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	int error = fd < 0 ? errno : durable_write(fd, bytes);
	if (fd >= 0) {
		close(fd);
	}
	return error;
}

int durable_put(const char *path, const struct buf *bytes)
{
	struct stat st;
	if (strcmp(path, "-") == 0) {
		return durable_write(STDOUT_FILENO, bytes);
	}
	bool special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
	return special ? write_into(path, bytes) : durable_replace(path, bytes);
}

int durable_replace_own(const char *path, const struct buf *bytes, enum durable_how how)
{
	enum {
		FLAGS = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK |
			O_CLOEXEC
	};
	struct buf temp = {0};
	int error = name_temp(&temp, path, ".new");
	int fd = error ? -1 : open(temp.data, FLAGS, 0666);
	if (fd >= 0) {
		error = fill_and_name(fd, temp.data, path, bytes, how);
	} else if (!error) {
		error = errno;
	}
	buf_fini(&temp);
	return error;
}

char *durable_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	return !slash ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
}

void durable_name(const char *path)
{
	char *dir = durable_directory(path);
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		(void)!fsync(fd);
		close(fd);
	}
	free(dir);
}
