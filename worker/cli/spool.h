/* SPDX-License-Identifier: MIT
 *
 * spool - a body on its way: small ones in memory, large ones in a temporary
 * file.
 *
 * Runs in: the workers of the command; called from the loop as the bytes come.
 * So what a job takes of memory does not depend on its body.
 */
#ifndef WORKER_CLI_SPOOL_H
#define WORKER_CLI_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "worker/cli/temp_file.h"

enum { SPOOL_MEMORY_MAX = 32 * 1024 };

struct spool {
	struct buf memory;     /* all of it, or nothing when there is a file */
	struct temp_file file; /* fd -1: there is none */
	uint64_t len;
	int dir;        /* where its file will be; not owned */
	int disk_error; /* errno of what failed; 0: nothing */
};

void spool_init(struct spool *s, int dir);

/* Append.  Returns 0, PM_ENOMEM, or PM_ESYSTEM with s->disk_error set. */
int spool_add(struct spool *s, const void *bytes, size_t len);

/* Make a file of it that holds everything, also of a small one.  As above. */
int spool_to_file(struct spool *s);

/* Read up to `size` bytes from an offset.  0: that is the end.  PM_ESYSTEM. */
long spool_read(const struct spool *s, uint64_t offset, void *bytes, size_t size);

/* Drop it with its bytes. */
void spool_fini(struct spool *s);

#endif
