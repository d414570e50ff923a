/* SPDX-License-Identifier: MIT
 *
 * temp_file - files that get their name when they are complete.
 *
 * Runs in: the workers of the command.  A reader sees a whole file or none, and a
 * worker that is killed leaves nothing behind: the file has no name (O_TMPFILE).
 * Where the file system has no such files, it has a name of our own, and a lock
 * that the kernel drops with its owner; temp_file_sweep() removes those without.
 *
 * Functions that fail return PM_ESYSTEM and leave the reason in errno.
 */
#ifndef WORKER_CLI_TEMP_FILE_H
#define WORKER_CLI_TEMP_FILE_H

#include <stdbool.h>

enum { TEMP_NAME_ROOM = 64 };

struct temp_file {
	int fd;                    /* to read and write; -1: none */
	char name[TEMP_NAME_ROOM]; /* ""; or in the directory it was opened in */
};
#define TEMP_FILE_NONE ((struct temp_file){.fd = -1})

/* Create one in the directory that `dir` is a descriptor of. */
int temp_file_open(struct temp_file *t, int dir);

/* Give it this name in directory `to`, on the same file system as `dir`; a file
 * that has it is replaced.  With `sync` bytes and name are on the disk after it.
 * The temporary file is over then, also on failure. */
int temp_file_publish(
	struct temp_file *t, int dir, int to, const char *name, bool sync);

/* Drop it.  Nothing to do for one that is over. */
void temp_file_drop(struct temp_file *t, int dir);

/* Remove what killed processes have left in a directory. */
void temp_file_sweep(int dir);

/* For tests: as on a file system that has only files with names. */
extern bool temp_file_named_only;

#endif
