/* SPDX-License-Identifier: MIT
 *
 * rundir - the runtime directory of a pool; see rundir.h.
 */
#include "master/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/poolmap.h"

/* A directory younger than this may belong to a pool that has not locked it yet: so
 * those that are just being made are left in peace.  No more hangs on it: when the
 * clock is set, it is the lock that decides whose the directory is. */
enum { STALE_AFTER_S = 10 };

#define NAME_FORMAT "poolmap-%lu-"

void rundir_remove(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir) {
		return;
	}
	struct dirent *entry;
	while ((entry = readdir(dir))) {
		unlinkat(dirfd(dir), entry->d_name, 0); /* fails for . and .. */
	}
	closedir(dir);
	rmdir(path);
}

static bool is_old(int parent_fd, const char *name)
{
	struct stat st;
	return fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       time(NULL) - st.st_mtime >= STALE_AFTER_S;
}

/* Take the lock of a directory that nobody has; -1: somebody does, or it is young.
 * The lock file is made when there is none: who is about to make it, too, then sees
 * that it has lost. */
static int lock_stale(int parent_fd, const char *name)
{
	char path[NAME_MAX + 8];
	if (!is_old(parent_fd, name)) {
		return -1;
	}
	snprintf(path, sizeof path, "%s/lock", name);
	int fd = openat(
		parent_fd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void sweep_one(int parent_fd, const char *parent, const char *name)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof path, "%s/%s", parent, name);
	int fd =
		len > 0 && (size_t)len < sizeof path ? lock_stale(parent_fd, name) : -1;
	if (fd >= 0) {
		rundir_remove(path);
		close(fd);
	}
}

/* Clear what pools left that were killed together with their forkserver. */
static void sweep(const char *parent)
{
	DIR *dir = opendir(parent);
	if (!dir) {
		return;
	}
	char prefix[40];
	snprintf(prefix, sizeof prefix, NAME_FORMAT, (unsigned long)geteuid());
	struct dirent *entry;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
			sweep_one(dirfd(dir), parent, entry->d_name);
		}
	}
	closedir(dir);
}

/* Ours, and still there: whoever took it for an old one has locked and removed it. */
static int lock(struct rundir *r)
{
	struct stat st;
	char path[RUNDIR_PATH_MAX + 8];
	snprintf(path, sizeof path, "%s/lock", r->path);
	r->lock_fd =
		open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock_fd < 0 || flock(r->lock_fd, LOCK_EX | LOCK_NB) < 0 ||
		fstat(r->lock_fd, &st) < 0) {
		return error_note_errno(PM_ESYSTEM, "cannot lock %s", path);
	}
	return st.st_nlink ? 0 : error_note(PM_ESYSTEM, "%s was removed", path);
}

/* 64 random bits: nobody guesses the name, and no two pools draw the same. */
static int choose_path(struct rundir *r, const char *parent)
{
	uint64_t random;
	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
		return error_note_errno(PM_ESYSTEM, "no random bytes");
	}
	int len = snprintf(r->path, sizeof r->path, "%s/" NAME_FORMAT "%016llx", parent,
		(unsigned long)geteuid(), (unsigned long long)random);
	if (parent[0] == '/' && len > 0 && (size_t)len < sizeof r->path) {
		return 0;
	}
	return error_note(PM_ESYSTEM,
		"cannot use %s as runtime directory: its path is %s", parent,
		parent[0] == '/' ? "too long" : "relative");
}

static int make(struct rundir *r, rundir_announce_fn *announce, void *ctx)
{
	int err = announce ? announce(ctx, r->path) : 0;
	if (err) {
		return err;
	}
	if (mkdir(r->path, 0700) < 0) {
		return error_note_errno(
			PM_ESYSTEM, "cannot make the directory %s", r->path);
	}
	err = lock(r);
	if (err) {
		rundir_close(r);
	}
	return err;
}

static int make_below(
	struct rundir *r, const char *parent, rundir_announce_fn *announce, void *ctx)
{
	sweep(parent);
	int err = choose_path(r, parent);
	if (!err) {
		err = make(r, announce, ctx);
	}
	if (err) {
		r->path[0] =
			'\0'; /* not ours to remove, or cut off: it may name another */
	}
	return err;
}

/* The rule of the XDG base directories: ours, and nobody else may enter. */
static bool is_private(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 077);
}

int rundir_open(
	struct rundir *r, const char *parent, rundir_announce_fn *announce, void *ctx)
{
	*r = (struct rundir){.lock_fd = -1};
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	const char *candidates[] = {
		xdg && is_private(xdg) ? xdg : NULL, getenv("TMPDIR"), "/tmp"};
	if (parent) {
		return make_below(r, parent, announce, ctx);
	}
	int err = PM_ESYSTEM;
	for (size_t i = 0; i < sizeof candidates / sizeof *candidates && err; i++) {
		if (candidates[i] && *candidates[i]) {
			err = make_below(r, candidates[i], announce, ctx);
		}
	}
	return err;
}

void rundir_close(struct rundir *r)
{
	if (r->path[0]) {
		rundir_remove(r->path);
	}
	if (r->lock_fd >= 0) {
		close(r->lock_fd);
	}
	*r = (struct rundir){.lock_fd = -1};
}
