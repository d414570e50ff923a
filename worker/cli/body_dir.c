/* SPDX-License-Identifier: MIT
 *
 * body_dir - see body_dir.h.
 *
 * Descriptors of the directories are used, not paths: a symbolic link that somebody
 * puts in the place of DIR/ab leads nowhere.
 */
#include "worker/cli/body_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/poolmap.h"

enum { FAN_OUT = 2 }; /* digits of the digest that are the directory's name */

/* DIR; of this process, as there is one --body. */
static int dir_fd = -1;
static int dir_error; /* errno of the initializer's try: a sandbox would blur it */

static int open_dir(int at, const char *name, int flags)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
}

/* Open a directory, and create it if it is not there; -1, and errno. */
static int make_dir(int at, const char *name, int flags)
{
	int fd = open_dir(at, name, flags);
	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(at, name, 0777) < 0 && errno != EEXIST) {
			return -1;
		}
		fd = open_dir(at, name, flags);
	}
	return fd;
}

static int open_once(const char *dir)
{
	if (dir_fd < 0 && dir_error) {
		errno = dir_error;
		return PM_ESYSTEM;
	}
	if (dir_fd < 0) {
		dir_fd = make_dir(AT_FDCWD, dir, 0);
		if (dir_fd < 0) {
			return PM_ESYSTEM;
		}
		temp_file_sweep(dir_fd);
	}
	return 0;
}

int body_dir_open(const char *dir)
{
	dir_error = open_once(dir) ? errno : 0;
	return dir_fd;
}

void body_dir_close(void)
{
	if (dir_fd >= 0) {
		close(dir_fd);
		dir_fd = -1;
	}
	dir_error = 0;
}

int body_file_begin(struct body_file *b, const char *dir)
{
	*b = (struct body_file){0};
	spool_init(&b->spool, -1);
	int err = open_once(dir);
	if (!err) {
		spool_init(&b->spool, dir_fd);
		err = digest_start(&b->digest);
	}
	return err;
}

int body_file_add(struct body_file *b, const void *bytes, size_t len)
{
	int err = spool_add(&b->spool, bytes, len);
	if (!err) {
		digest_add(&b->digest, bytes, len);
	}
	return err;
}

/* A file of that name and size has the same bytes.  Not of that size is one that a
 * crash of the machine has cut off. */
static bool is_there(int to, const char *hex, uint64_t len)
{
	struct stat st;
	return fstatat(to, hex, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == len;
}

static int put_into(struct spool *s, int to, bool sync, const char *hex)
{
	int err = spool_to_file(s);
	if (err) {
		return err;
	}
	if (temp_file_publish(&s->file, dir_fd, to, hex, sync) ||
		(sync && fsync(dir_fd) < 0)) {
		s->disk_error = errno;
		return PM_ESYSTEM;
	}
	return 0;
}

/* What is there is not written again, unless it must be on the disk: replacing files
 * takes many times as long as making new ones. */
static int publish(struct spool *s, bool sync, const char *hex)
{
	char sub[FAN_OUT + 1];
	snprintf(sub, sizeof sub, "%.*s", FAN_OUT, hex);
	int to = make_dir(dir_fd, sub, O_NOFOLLOW);
	if (to < 0) {
		s->disk_error = errno;
		return PM_ESYSTEM;
	}
	bool there = !sync && is_there(to, hex, s->len);
	int err = there ? 0 : put_into(s, to, sync, hex);
	close(to);
	return err;
}

int body_file_keep(struct body_file *b, bool sync, const char *dir,
	char hex[DIGEST_HEX_LEN + 1], struct buf *path)
{
	digest_end(&b->digest, hex);
	size_t before = path->len;
	int err = buf_printf(path, "%s/%.*s/%s", dir, FAN_OUT, hex, hex);
	if (!err) {
		err = publish(&b->spool, sync, hex);
	}
	if (err) {
		path->len = before;
	}
	return err;
}

void body_file_fini(struct body_file *b)
{
	spool_fini(&b->spool);
	digest_fini(&b->digest);
}
