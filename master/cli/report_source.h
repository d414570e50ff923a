/* SPDX-License-Identifier: MIT
 *
 * report_source - the bytes of a results file from its start to its end, unpacked.
 *
 * Owns the descriptor, but for standard input.  A regular file is read up to the
 * length that it had when it was opened, for a run may go on writing it.  Of a packed
 * one the torn member at its end is left out; of a pipe that is not known before it
 * was read, and what could be unpacked of it counts.
 *
 * Runs in: the master of the command; called by report_lines.  Blocks.  Errors are
 * printed here.
 */
#ifndef MASTER_CLI_REPORT_SOURCE_H
#define MASTER_CLI_REPORT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gunzip;
struct unpack;

struct report_source {
	const char *name; /* for messages */
	int fd;
	uint64_t left;         /* of a regular file; UINT64_MAX: until it ends */
	struct unpack *unpack; /* a packed regular file */
	struct gunzip *gunzip; /* another packed one */
	char first[2];         /* read to see what it is */
	size_t first_ct;
	bool torn; /* it ends in the middle of a member */
};

enum { REPORT_BLOCK = 256 * 1024 };

/* "-" is standard input.  Returns 0, EXIT_INPUT, EXIT_MISMATCH or EXIT_WORKERS;
 * report_source_close() in any case. */
int report_source_open(struct report_source *s, const char *path);
void report_source_close(struct report_source *s);

/* The next bytes, at most `cap`, which is REPORT_BLOCK at least; *len 0: the end.
 * Returns the same. */
int report_source_read(struct report_source *s, char *bytes, size_t cap, size_t *len);

#endif
