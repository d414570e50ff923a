/* SPDX-License-Identifier: MIT
 *
 * body_target - can the files of --body be made at all?  See body_target.h.
 */
#include "master/cli/body_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli/outcome.h"
#include "master/cli/message.h"

/* With the rights that a file would be made with: the effective ones. */
static int check_directory(const char *path)
{
	struct stat st;
	if (stat(path, &st)) {
		return errno;
	}
	if (!S_ISDIR(st.st_mode)) {
		return ENOTDIR;
	}
	return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) ? errno : 0;
}

/* The directory in which this name is, or would be. */
static int check_parent(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/') {
		len--;
	}
	char *parent = len ? strndup(path, len) : strdup(".");
	int error = parent ? check_directory(parent) : ENOMEM;
	free(parent);
	return error;
}

/* It may be missing, and then its parent must not. */
static int check_dir(const char *path)
{
	struct stat st;
	size_t len = strlen(path);
	int error = check_directory(path);
	if (error != ENOENT || lstat(path, &st) == 0) {
		return error; /* a symbolic link to nothing stays one */
	}
	while (len > 1 && path[len - 1] == '/') {
		len--;
	}
	return check_parent(path, len);
}

static int refuse(const char *path, int error)
{
	bool system =
		error == EIO || error == ENOMEM || error == EMFILE || error == ENFILE;
	message_print("--body", "cannot write to %s: %s; name another directory", path,
		strerror(error));
	return system ? EXIT_OUTPUT : EXIT_USAGE;
}

int body_target_check(const struct settings *want)
{
	const char *path = want->body_path;
	int error = 0;
	if (want->body == BODY_DIR) {
		error = check_dir(path);
	} else if (want->body == BODY_WARC) {
		error = check_parent(path, strlen(path));
	}
	return error ? refuse(path, error) : 0;
}
