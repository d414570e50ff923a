/* SPDX-License-Identifier: MIT
 *
 * body_dir - the bodies of `--body dir:DIR`: one file for each different body.
 *
 * Runs in: the workers of the command; a body never goes to the master.  A file is
 * named by its content: DIR/ab/ab34...f, where ab34...f is its SHA-256.  So no byte
 * of a name comes from a job or a server, a job that runs again writes the same
 * file again, and no run overwrites what another one has written.  A file is there
 * when it is complete, and before its result is sent.
 */
#ifndef WORKER_CLI_BODY_DIR_H
#define WORKER_CLI_BODY_DIR_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/cli/digest.h"
#include "worker/cli/spool.h"

/* Open DIR, which is created unless it is there.  Its descriptor, which belongs to this
 * module; or -1, and errno. */
int body_dir_open(const char *dir);

/* A body on its way. */
struct body_file {
	struct spool spool;
	struct digest digest;
};

/* Begin one in DIR, which is created unless it is there.  Returns 0, PM_ENOMEM, or
 * PM_ESYSTEM with the reason in errno. */
int body_file_begin(struct body_file *b, const char *dir);

/* 0, PM_ENOMEM, or PM_ESYSTEM, as spool_add(). */
int body_file_add(struct body_file *b, const void *bytes, size_t len);

/* Give it its name.  Fills in the digest and appends the path to *path.  With `sync`
 * it is on the disk then, and this may take long.  PM_ESYSTEM: the reason is in
 * spool.disk_error.  May run on another thread than the rest. */
int body_file_keep(struct body_file *b, bool sync, const char *dir,
	char hex[DIGEST_HEX_LEN + 1], struct buf *path);

/* Free it, and drop the body unless it was kept. */
void body_file_fini(struct body_file *b);

/* For tests: forget the directory of this process. */
void body_dir_close(void);

#endif
