/* SPDX-License-Identifier: MIT
 *
 * scan - the lines of a results file, one after the other, with what resume
 * needs of each: the index, and the prefix that is made of the job alone.
 *
 * A good line starts with {"index":N, goes on to ,"ok": and ends in }; no byte
 * of it is NUL.  What stands behind the last LF is a torn line if it starts
 * like one, or is all zeros (a block that a power cut left unwritten); it is
 * not given out.  Everything else is damage.
 *
 * Runs in the master of the command; called by resume.  Memory: 6 JOB_LINE_MAX
 * and a block, however long a line is.  Must never: write to the file, or move
 * its offset.
 */
#ifndef MASTER_CLI_SCAN_H
#define MASTER_CLI_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Indexes are below this. */
#define SCAN_INDEX_MAX (UINT64_C(1) << 33)

struct scan {
	int fd;
	const char *name; /* of the file, for messages */
	char *data;
	size_t pos, scan, end;
	uint64_t offset;   /* in the file, of data[end] */
	uint64_t line;     /* number of the line given last: 1, 2 ... */
	uint64_t good_end; /* offset behind the last complete line */
	bool eof;
};

/* One line.  `prefix` points into the scanner's memory until the next one. */
struct scan_entry {
	uint64_t index;
	const char *prefix; /* NULL: there are no more lines */
	size_t prefix_len;
};

/* Returns 0 or EXIT_WORKERS.  The descriptor stays the caller's. */
int scan_init(struct scan *s, int fd, const char *name);
void scan_fini(struct scan *s);

/* The next line.  Returns 0, with e->prefix NULL at the end, where s->offset is
 * the size of the file; EXIT_MISMATCH for damage, EXIT_OUTPUT when the file
 * cannot be read; errors are printed. */
int scan_next(struct scan *s, struct scan_entry *e);

/* Say that the line given last is damaged, and why.  Returns EXIT_MISMATCH. */
int scan_damaged(const struct scan *s, const char *why);

#endif
