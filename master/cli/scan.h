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
 * The file may be packed (pack.h), and its lines may be rows of CSV: then the
 * first row must have the names of the fields, and what tells the job is made
 * of the cells index, id and url, see csv_key_of_line().
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

#include "common/buf.h"
#include "master/cli/csv.h"
#include "master/cli/pack.h"

/* Indexes are below this. */
#define SCAN_INDEX_MAX (UINT64_C(1) << 33)

/* A results file to read. */
struct scan_file {
	int fd;
	const char *name; /* for messages */
	bool packed;
	const struct csv *csv; /* NULL: its lines are JSON */
	bool kept;             /* it is not the output, which could be another */
};

/* A row of CSV as far as it was read. */
struct scan_row {
	struct buf cells[CSV_KEY_CT];
	struct buf key;
	size_t column;
	bool quoted, after_quote;
	bool begun;
	bool nul; /* there was a NUL byte in it */
};

struct scan {
	struct scan_file file;
	struct unpack *source;
	char *data;
	size_t pos, scan, end;
	uint64_t offset;     /* in the unpacked bytes, of data[end] */
	uint64_t line;       /* number of the line given last: 1, 2 ... */
	uint64_t good_end;   /* offset behind the last complete line */
	uint64_t packed_end; /* of a packed file: where its good bytes end */
	uint64_t packed_torn;
	struct scan_row row;
	bool eof;
};

/* One line.  `prefix` points into the scanner's memory until the next one. */
struct scan_entry {
	uint64_t index;
	const char *prefix; /* NULL: there are no more lines */
	size_t prefix_len;
	int ok; /* 1, 0; -1: the row does not say */
};

/* Returns 0, EXIT_WORKERS, or as scan_next().  The descriptor stays the
 * caller's. */
int scan_init(struct scan *s, const struct scan_file *file);
void scan_fini(struct scan *s);

/* The next line.  Returns 0, with e->prefix NULL at the end; EXIT_MISMATCH for
 * damage, EXIT_OUTPUT when the file cannot be read; errors are printed. */
int scan_next(struct scan *s, struct scan_entry *e);

/* After the end: the offset in the file behind what is complete, and how many
 * bytes stand behind that. */
void scan_end(const struct scan *s, uint64_t *good_end, uint64_t *torn);

/* Take index, prefix and ok from a line that is there as a whole, or whose
 * first bytes are.  Returns NULL, or what is wrong with it. */
const char *scan_line(const char *line, size_t len, struct scan_entry *e);

/* For the reader of rows: the next block; an index in digits, 0 when it is
 * none.  scan_next() calls scan_row_next() for a file with csv. */
int scan_fill(struct scan *s);
size_t scan_index(const char *digits, size_t len, uint64_t *index);
int scan_row_next(struct scan *s, struct scan_entry *e);

/* Is this the start of a file of result lines? */
bool scan_is_json(const char *text, size_t len);

/* Say that the line given last is damaged, and why; that the file is one of
 * another format than that of the run.  Return EXIT_MISMATCH. */
int scan_damaged(const struct scan *s, const char *why);
int scan_other_format(const struct scan *s, const char *format);

#endif
