/* SPDX-License-Identifier: MIT
 *
 * input - the job files as one stream of lines.
 *
 * Owns the job files and one buffer of bounded size.  Runs in the master of the
 * command; read by the source of the run and by resume.  Must never: wait for a
 * pipe, or look into a line.
 *
 * A file that begins like gzip is read as what is in it, whatever its name is.
 *
 * What is a line: LF or CRLF ends it; the last one needs no LF.  A UTF-8 byte
 * order mark at the start of each file is dropped.  Lines of blanks, tabs and
 * CR alone and lines whose first character is '#' are skipped.  A line of more
 * than JOB_LINE_MAX bytes, its line end not counted, is one job that is too
 * long, whatever is in it, unless it starts with '#'.  All else, NUL bytes
 * too, is handed on as it is.
 *
 * Errors are printed here (message.h) and returned as exit codes.
 */
#ifndef MASTER_CLI_INPUT_H
#define MASTER_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cli/digest.h"
#include "common/cli/outcome.h"

/* One read(2), and so the most that is held beside a line.  Memory in all:
 * JOB_LINE_MAX + INPUT_BLOCK, and as much again to decompress and for rows of a
 * table, whatever is in the files. */
enum { INPUT_BLOCK = 256 * 1024 };

/* Regular files stay open for the whole run up to so many; beyond, each is
 * checked at the start and opened again when its turn comes. */
enum { INPUT_OPEN_MAX = 64 };

/* Blocks that are read before others have their turn: some milliseconds. */
enum { INPUT_READS_MAX = 16 };

struct input;

enum input_step {
	INPUT_END,   /* all files are read */
	INPUT_LINE,  /* here is one */
	INPUT_WAIT,  /* nothing yet: watch input_fd() for reading, then ask again */
	INPUT_AGAIN, /* nothing yet: ask again, when others had their turn */
	INPUT_ERROR, /* a file cannot be read; printed; EXIT_INPUT */
};

/* Open and check every file; "-" is standard input.  Nothing is read yet but
 * the first two bytes of regular files.  `paths` must outlive the input.
 * Returns 0; EXIT_INPUT when one of them cannot be read, is a directory or
 * looks like UTF-16; EXIT_USAGE when "-" stands there twice; EXIT_WORKERS when
 * there is no memory.  Does not block, not even on a FIFO without a writer. */
int input_open(struct input **out, const char *const *paths, size_t ct);

/* The files are tables: fields with `delimiter` between them, in quotes or not, of
 * which `url_column` has the URL, see table.h.  Once, before the first line is
 * asked for.  Reads the names of the columns of the first file, when it is a
 * regular one.  Returns 0; EXIT_INPUT when they make no sense; EXIT_USAGE;
 * EXIT_WORKERS. */
int input_as_table(
	struct input *in, char delimiter, bool quotes, const char *url_column);

/* NULL is fine.  Standard input stays open. */
void input_close(struct input *in);

/* The next job line, without its line end.  *line points into the input's memory
 * until the next call; it is not NUL-terminated.  With *bad true it is no job, and
 * its rest is skipped: *line says why, for people; *len 0: it is too long. */
enum input_step input_next(struct input *in, const char **line, size_t *len, bool *bad);

/* The same, but it says INPUT_AGAIN, which input_next() never does, each time that
 * INPUT_READS_MAX blocks have been read since it last did, whatever was in them: a
 * file may be endless comments, or a small one that decompresses to them. */
enum input_step input_try(struct input *in, const char **line, size_t *len, bool *bad);

/* About the line that input_next() gave last: its index as a job (0, 1, 2 ...
 * over all files; skipped lines have none), its number in its file (1, 2 ...,
 * skipped lines count; the first one of a row) and the name of the file, for messages.
 */
uint64_t input_index(const struct input *in);
uint64_t input_line_number(const struct input *in);
const char *input_name(const struct input *in);

/* The descriptor to watch after INPUT_WAIT; -1 when there is none. */
int input_fd(const struct input *in);

/* Are all of them regular files, so that they can be read twice? */
bool input_regular(const struct input *in);

/* Start again at the first line of the first file.  Only when input_regular().
 * Returns 0 or EXIT_INPUT. */
int input_rewind(struct input *in);

/* Hold on to the lengths of the files and to their first bytes, INPUT_PIN_MAX in all,
 * and start again.  From now on it is an error when other bytes are read.  Only when
 * input_regular().  Takes about a second at most, the first time; a list may be of
 * any length, and the first job is not to wait for it.  Returns 0, EXIT_INPUT or
 * EXIT_WORKERS. */
#define INPUT_PIN_MAX (UINT64_C(1) << 30)
int input_pin(struct input *in);

/* After input_pin(): each of the files. */
struct input_file {
	const char *path, *name; /* as it was given; for messages */
	uint64_t bytes;
	uint64_t hashed;    /* how many of these, from the first, */
	const char *sha256; /* this is of, in hex */
};
size_t input_file_ct(const struct input *in);
struct input_file input_file(const struct input *in, size_t i);

/* The same of its first bytes, `bytes` at most.  Returns as input_pin(). */
int input_digest(
	struct input *in, size_t i, uint64_t bytes, char sha256[DIGEST_HEX_LEN + 1]);

/* Is this file one of the job files? */
bool input_has_file(const struct input *in, dev_t dev, ino_t ino);

#endif
