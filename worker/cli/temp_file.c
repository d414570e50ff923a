/* SPDX-License-Identifier: MIT
 *
 * temp_file - see temp_file.h.
 *
 * Names are ".poolmap-PID-NUMBER.tmp"; no byte of them comes from a job or a
 * server.  The order of a named file is: create, lock, and see that it is still
 * there - a sweep may have come between the first two.
 */
#include "worker/cli/temp_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/poolmap.h"

#define NAME_START ".poolmap-"
#define NAME_END ".tmp"

enum { NAME_TRIES = 1000, MODE = 0666 }; /* the umask takes its part */

bool temp_file_named_only;

static void next_name(char name[TEMP_NAME_ROOM])
{
	static atomic_ulong number; /* threads publish files, too */
	snprintf(name, TEMP_NAME_ROOM, NAME_START "%ld-%lu" NAME_END, (long)getpid(),
		number++);
}

/* ------------------------------------------------------------------- opening */

/* Is the file locked by us, and still there? */
static bool take(int fd)
{
	struct stat st;
	return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
	       st.st_nlink > 0;
}

static int open_named(struct temp_file *t, int dir)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		next_name(t->name);
		t->fd = openat(dir, t->name,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
		if (t->fd >= 0 && take(t->fd)) {
			return 0;
		}
		if (t->fd >= 0) {
			close(t->fd); /* swept away, or about to be */
		} else if (errno != EEXIST) {
			break;
		}
	}
	*t = TEMP_FILE_NONE;
	return PM_ESYSTEM;
}

/* Without a name; -1 also when the name that it gets later would need a /proc
 * that is not there. */
static int open_nameless(int dir)
{
	if (temp_file_named_only) {
		errno = EOPNOTSUPP;
		return -1;
	}
	int fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, MODE);
	if (fd >= 0 && access("/proc/self/fd", X_OK) < 0) {
		close(fd);
		errno = EOPNOTSUPP;
		return -1;
	}
	return fd;
}

int temp_file_open(struct temp_file *t, int dir)
{
	*t = TEMP_FILE_NONE;
	t->fd = open_nameless(dir);
	if (t->fd >= 0) {
		return 0;
	}
	/* what kernels and file systems say that do not know such files */
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL ||
		errno == ENOENT) {
		return open_named(t, dir);
	}
	return PM_ESYSTEM;
}

/* ---------------------------------------------------------------- publishing */

static int link_fd(int fd, int to, const char *name)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, to, name, AT_SYMLINK_FOLLOW);
}

/* There is a file of that name: ours gets a temporary one, for rename().  Locked,
 * so that a sweep takes it only if we die before. */
static int link_temporarily(struct temp_file *t, int dir)
{
	if (flock(t->fd, LOCK_EX | LOCK_NB) < 0) {
		return -1;
	}
	for (int i = 0; i < NAME_TRIES; i++) {
		next_name(t->name);
		if (link_fd(t->fd, dir, t->name) == 0) {
			return 0;
		}
		if (errno != EEXIST) {
			break;
		}
	}
	t->name[0] = '\0';
	return -1;
}

static int give_name(struct temp_file *t, int dir, int to, const char *name)
{
	if (!t->name[0]) {
		if (link_fd(t->fd, to, name) == 0) {
			return 0;
		}
		if (errno != EEXIST || link_temporarily(t, dir) < 0) {
			return -1;
		}
	}
	if (renameat(dir, t->name, to, name) < 0) {
		return -1;
	}
	t->name[0] = '\0';
	return 0;
}

int temp_file_publish(struct temp_file *t, int dir, int to, const char *name, bool sync)
{
	bool bad = (sync && fsync(t->fd) < 0) || give_name(t, dir, to, name) < 0 ||
		   (sync && fsync(to) < 0);
	temp_file_drop(t, dir);
	return bad ? PM_ESYSTEM : 0;
}

void temp_file_drop(struct temp_file *t, int dir)
{
	int why = errno;
	if (t->name[0]) {
		(void)unlinkat(dir, t->name, 0); /* before the lock goes */
	}
	if (t->fd >= 0) {
		close(t->fd);
	}
	*t = TEMP_FILE_NONE;
	errno = why;
}

/* ------------------------------------------------------------------ sweeping */

static bool is_ours(const char *name)
{
	size_t len = strlen(name), start = strlen(NAME_START), end = strlen(NAME_END);
	return len > start + end && strncmp(name, NAME_START, start) == 0 &&
	       strcmp(name + len - end, NAME_END) == 0;
}

static void sweep_one(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		return;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		(void)unlinkat(dir, name, 0);
	}
	close(fd);
}

void temp_file_sweep(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) {
		if (fd >= 0) {
			close(fd);
		}
		return;
	}
	struct dirent *entry;
	while ((entry = readdir(list))) {
		if (is_ours(entry->d_name)) {
			sweep_one(dir, entry->d_name);
		}
	}
	closedir(list);
}
