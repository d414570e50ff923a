/* SPDX-License-Identifier: MIT
 *
 * warc_file - the WARC files of one worker, PREFIX-TIME-WORKER-SERIAL.warc.gz: one
 * after the other, each up to about 1 GiB, each record a gzip member of its own.
 *
 * Runs in: the workers of the command.  No file is ever opened again: a worker that
 * follows a killed one begins a new one, so at most the last record of a file is
 * torn.  What cannot be written whole is taken back.
 */
#ifndef WORKER_CLI_WARC_FILE_H
#define WORKER_CLI_WARC_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "worker/cli/spool.h"
#include "worker/cli/warc_record.h"

/* A record to be written: a header, and a block of up to three parts. */
struct warc_entry {
	struct warc_record record; /* warcinfo_id and block_len are filled in */
	const char *head;
	size_t head_len;
	const void *bytes;
	size_t byte_ct;
	const struct spool *body; /* or NULL */
	uint64_t offset, length;  /* set: where its member is in the file */
};

/* Where the spools of bodies are: the directory of PREFIX.  -1, and errno, when it
 * cannot be opened.  Belongs to this module. */
int warc_file_dir(const char *prefix);

/* Append records, all of them or none, to the current file of this process.
 * Appends its path to *path.  `rotate_bytes` 0: 1 GiB.  With `sync` they are on the
 * disk then.  One call at a time; may run on another thread.  Returns 0, PM_ENOMEM, or
 * PM_ESYSTEM with the reason in errno. */
struct warc_place {
	const char *prefix;
	unsigned worker;
	uint64_t rotate_bytes;
	bool sync;
};
int warc_file_append(const struct warc_place *place, struct warc_entry *entries,
	size_t ct, struct buf *path);

/* Close what this process has open, for tests. */
void warc_file_close(void);

#endif
