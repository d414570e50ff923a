/* SPDX-License-Identifier: MIT
 *
 * source - one job file: opened, checked, read, and decompressed.
 *
 * Owns its descriptor, but for standard input.  Runs in the master of the
 * command; called by input.  Must never: wait for a pipe, or set O_NONBLOCK on a
 * descriptor that it did not open (other processes share it).
 *
 * Errors are printed here (message.h).
 */
#ifndef MASTER_CLI_SOURCE_H
#define MASTER_CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/cli/pin.h"

struct gunzip;

struct source {
	const char *path;
	const char *name; /* for messages */
	int fd;           /* -1: not open now */
	bool is_stdin;
	bool regular; /* or a disk: never makes us wait */
	dev_t dev;
	ino_t ino;
	struct pin pin;        /* what it was at the start */
	uint64_t offset;       /* bytes read since source_begin() */
	struct gunzip *gunzip; /* NULL: it is read as it is */
};

enum source_step {
	SOURCE_BYTES, /* *len of them; 0: this is the end */
	SOURCE_WAIT,  /* nothing yet: watch the descriptor */
	SOURCE_AGAIN, /* nothing came out of what was read: ask again */
	SOURCE_ERROR, /* printed */
};

/* Open and check; a regular file is asked for its first two bytes.  `path` must
 * outlive the source; "-" is standard input.  Returns 0 or EXIT_INPUT, and then
 * the source may be closed all the same. */
int source_open(struct source *s, const char *path);
void source_close(struct source *s);

void source_fini(struct source *s); /* closes it, too */

/* Read from the start.  Opens the file again when it was closed; it must be the
 * same.  Returns 0, EXIT_INPUT or EXIT_WORKERS. */
int source_begin(struct source *s);

/* Hold on to the first bytes that a regular file has now, `most` at most: when
 * others are read later, that is an error.  Returns 0, EXIT_INPUT or EXIT_WORKERS;
 * source_begin() has to follow. */
int source_pin(struct source *s, uint64_t most);

/* SHA-256 of its first bytes, `bytes` at most.  Returns the same. */
int source_digest(struct source *s, uint64_t bytes, char sha256[DIGEST_HEX_LEN + 1]);

/* Read at most `cap` bytes, at most GUNZIP_BLOCK; of a regular file no more than it
 * had when it was opened.  That it has grown is said, that it was cut short,
 * replaced or edited is an error. */
enum source_step source_read(struct source *s, char *out, size_t cap, size_t *len);

/* What was read so far begins like a gzip file: take it back, and go on with what
 * is in it.  At most GUNZIP_BLOCK bytes.  Returns 0 or, printed, EXIT_WORKERS. */
int source_unzip(struct source *s, const char *bytes, size_t len);

/* Print why this source is refused; returns EXIT_INPUT. */
int source_refuse(const struct source *s, const char *why);

/* Do two bytes look like UTF-16?  Then refuse it. */
bool source_is_utf16(const char *bytes);
int source_refuse_utf16(const struct source *s);

#endif
