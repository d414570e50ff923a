/* SPDX-License-Identifier: MIT
 *
 * pin - what a job file was at the start of the run: how long, and which bytes.
 *
 * Of a file that grows during the run only that much is read; one that gets
 * shorter, is replaced or edited while it is read would give jobs that are half of
 * the one and half of the other, so that the run stops.  What is done to it behind
 * the back of what has been read already changes nothing, and is no matter.
 *
 * Runs in the master of the command; called by source.  Looks at files through the
 * descriptor of its source, and never moves its offset.  Must never: print.
 */
#ifndef MASTER_CLI_PIN_H
#define MASTER_CLI_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/cli/digest.h"

struct pin {
	off_t start;
	bool sized;      /* `bytes` is known; not for pipes, disks, /proc */
	uint64_t bytes;  /* behind `start` */
	uint64_t hashed; /* of these, the first: */
	char sha256[DIGEST_HEX_LEN + 1]; /* "": not taken */
	struct digest seen;              /* of what was read since pin_begin() */
	uint64_t seen_bytes;
};

/* `st` is of the file, `start` where its first line is. */
void pin_init(struct pin *p, const struct stat *st, off_t start);
void pin_fini(struct pin *p);

/* SHA-256 of the first bytes behind the start, `most` at most; *bytes says how many
 * these are.  Returns 0, PM_ENOMEM, or PM_ESYSTEM with errno. */
int pin_digest(const struct pin *p, int fd, uint64_t most, uint64_t *bytes,
	char sha256[DIGEST_HEX_LEN + 1]);

/* Hold on to the length, and to the first `most` bytes, as they are now.  Returns as
 * pin_digest(). */
int pin_take(struct pin *p, int fd, uint64_t most);

/* The file is read from its start; returns 0 or PM_ENOMEM.  Then how many of `want`
 * bytes at `offset` are to be read, 0: that is its end; and what was read. */
int pin_begin(struct pin *p);
size_t pin_room(const struct pin *p, uint64_t offset, size_t want);
void pin_add(struct pin *p, const void *bytes, size_t len);

/* At the end: was it read as it was at the start?  Once after each pin_begin(). */
bool pin_holds(struct pin *p);

/* How the file behind `fd` has grown since the start. */
enum pin_growth {
	PIN_SAME,
	PIN_GROWN,   /* behind its last line */
	PIN_IN_LINE, /* the last line was not complete at the start */
};
enum pin_growth pin_growth(const struct pin *p, int fd, uint64_t *bytes);

#endif
