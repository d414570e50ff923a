/* SPDX-License-Identifier: MIT
 *
 * target - which file the results go to, see target.h.
 */
#include "master/cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/cli/durable.h"
#include "master/cli/message.h"

static int usage(const struct target *t, const char *why)
{
	message_print(t->name, "%s", why);
	return EXIT_USAGE;
}

/* Some errors are the machine's, the rest are a wrong name on the command line. */
static int open_error(const struct target *t, int error)
{
	bool system = error == ENOSPC || error == EDQUOT || error == EIO ||
		      error == EMFILE || error == ENFILE || error == ENOMEM;
	message_print(t->name, "cannot be opened for the results: %s", strerror(error));
	return system ? EXIT_OUTPUT : EXIT_USAGE;
}

static enum target_kind kind_of(int fd, mode_t mode)
{
	if (S_ISREG(mode)) {
		return TARGET_FILE;
	}
	if (S_ISSOCK(mode)) {
		return TARGET_SOCKET;
	}
	bool terminal = S_ISCHR(mode) && isatty(fd);
	return S_ISFIFO(mode) || terminal ? TARGET_PACED : TARGET_DEVICE;
}

/* Would the run read what it writes?  One terminal or one socket for both is
 * how people use them. */
static bool is_input(const struct input *in, const struct stat *st)
{
	bool loops =
		S_ISREG(st->st_mode) || S_ISBLK(st->st_mode) || S_ISFIFO(st->st_mode);
	return loops && input_has_file(in, st->st_dev, st->st_ino);
}

/* May an existing file be used at all? */
static int check_existing(const struct target *t, const struct settings *want,
	const struct input *in, const struct stat *st)
{
	if (S_ISDIR(st->st_mode)) {
		return usage(t, "is a directory; name a file for the results");
	}
	if (is_input(in, st)) {
		return usage(t, "is a job file of this run; name another output");
	}
	bool regular = S_ISREG(st->st_mode);
	if (want->resume && !regular) {
		return usage(t, "is not a regular file, so --resume cannot read it");
	}
	if (regular && !want->resume && !want->force) {
		return usage(
			t, "exists; --resume goes on with it, --force overwrites it");
	}
	return 0;
}

/* Only one run writes a file.  Where the file system has no locks there is
 * nothing to hold on to, and the run goes on. */
static int lock(struct target *t)
{
	t->locked = flock(t->fd, LOCK_EX | LOCK_NB) == 0;
	if (!t->locked && errno == EWOULDBLOCK) {
		message_print(t->name, "in use by another run; wait for its end or "
				       "name another output");
		return EXIT_MISMATCH;
	}
	return 0;
}

/* Take the open file, if it is what its name said it was: another may have
 * come to that name since it was looked at.  `fresh`: none was there. */
static int adopt(struct target *t, const struct settings *want, const struct input *in,
	bool fresh)
{
	struct stat st;
	if (fstat(t->fd, &st)) {
		return open_error(t, errno);
	}
	bool empty = S_ISREG(st.st_mode) && st.st_size == 0;
	int code = fresh && empty ? 0 : check_existing(t, want, in, &st);
	if (code) {
		return code;
	}
	t->kind = kind_of(t->fd, st.st_mode);
	t->has_name = st.st_nlink > 0;
	return t->kind == TARGET_FILE ? lock(t) : 0;
}

static int open_existing(struct target *t, const struct settings *want,
	const struct input *in, const struct stat *st)
{
	int code = check_existing(t, want, in, st);
	if (code) {
		return code;
	}
	int mode = want->resume ? O_RDWR : O_WRONLY;
	t->fd = open(t->path, mode | O_CLOEXEC | O_NOCTTY);
	if (t->fd < 0) {
		return open_error(t, errno);
	}
	code = adopt(t, want, in, false);
	if (code || t->kind != TARGET_FILE) {
		return code;
	}
	t->can_resume = want->resume;
	t->has_old = !want->resume;
	return 0;
}

/* With `extra` O_EXCL, or 0 to create the target of a dangling symlink. */
static int create(struct target *t, const struct settings *want, const struct input *in,
	int extra)
{
	t->fd = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | extra, 0666);
	if (t->fd < 0) {
		return open_error(t, errno);
	}
	t->created = extra & O_EXCL;
	t->name_dirty = true;
	t->can_resume = want->resume;
	return adopt(t, want, in, true);
}

static int open_named(
	struct target *t, const struct settings *want, const struct input *in)
{
	struct stat st;
	if (stat(t->path, &st) == 0) {
		return open_existing(t, want, in, &st);
	}
	if (errno != ENOENT) {
		return open_error(t, errno);
	}
	return create(t, want, in, lstat(t->path, &st) ? O_EXCL : 0);
}

/* Not locked, not emptied, not checked for existence: the shell has opened it,
 * and other programs may be meant to write there too. */
static int open_stdout(
	struct target *t, const struct settings *want, const struct input *in)
{
	struct stat st;
	if (want->resume) {
		return usage(t, "--resume needs a results file, -o FILE");
	}
	t->fd = STDOUT_FILENO;
	int flags = fcntl(t->fd, F_GETFL);
	if (flags < 0 || fstat(t->fd, &st)) {
		return open_error(t, errno);
	}
	if ((flags & O_ACCMODE) == O_RDONLY) {
		return usage(t, "is not open for writing");
	}
	if (is_input(in, &st)) {
		return usage(t, "is a job file of this run; name another output");
	}
	t->kind = kind_of(t->fd, st.st_mode);
	return 0;
}

int target_open(struct target *t, const struct settings *want, const struct input *in)
{
	bool is_stdout = strcmp(want->output, "-") == 0;
	*t = (struct target){.path = want->output, .fd = -1, .is_stdout = is_stdout};
	t->name = is_stdout ? "standard output" : t->path;
	if (want->resume && want->force) {
		return usage(t, "--resume and --force exclude each other");
	}
	if (want->resume && !input_regular(in)) {
		return usage(t, "--resume needs a regular job file");
	}
	return is_stdout ? open_stdout(t, want, in) : open_named(t, want, in);
}

int target_empty(struct target *t)
{
	if (t->has_old && ftruncate(t->fd, 0)) {
		return open_error(t, errno);
	}
	t->has_old = false;
	return 0;
}

bool target_deleted(const struct target *t)
{
	struct stat st;
	return t->has_name && fstat(t->fd, &st) == 0 && st.st_nlink == 0;
}

void target_sync_name(struct target *t)
{
	if (!t->name_dirty) {
		return;
	}
	durable_name(t->path);
	t->name_dirty = false;
}

/* Is the file that this run created still there, with nothing in it?  Without
 * the lock it may be another run's by now. */
static bool is_untouched(const struct target *t)
{
	struct stat mine, named;
	return t->created && t->locked && fstat(t->fd, &mine) == 0 &&
	       mine.st_size == 0 && lstat(t->path, &named) == 0 &&
	       mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

void target_remove(struct target *t)
{
	if (is_untouched(t)) {
		unlink(t->path);
	}
}

void target_close(struct target *t)
{
	if (t->fd >= 0 && !t->is_stdout) {
		close(t->fd);
	}
	t->fd = -1;
}
