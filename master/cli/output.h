/* SPDX-License-Identifier: MIT
 *
 * output - where the result lines go: a results file or standard output.
 *
 * The results file is the journal of a run: what is done is its complete
 * lines.  So it ends in a whole line whenever a run stops in an orderly way, a
 * full disk included; only a master that is killed can leave a torn last line.
 *
 * A name that ends in .gz makes a packed file (pack.h).  Its members end where
 * the results are made durable, and it is whole up to the last of them: what a
 * write that failed has left behind that is cut off.
 *
 * Owns the descriptor, its lock and what is buffered.  Runs in the master of
 * the command; the sink puts lines, resume reads the file.
 * Must never: make the event loop wait for the reader of a pipe, set
 * O_NONBLOCK on a descriptor (others may share it), try a failed fsync again,
 * or change a file that is no output of this run.
 *
 * main() ignores SIGPIPE and SIGXFSZ before the first write.
 * Errors are printed here (message.h) and returned as exit codes.
 */
#ifndef MASTER_CLI_OUTPUT_H
#define MASTER_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cli/settings.h"
#include "master/cli/input.h"

/* Written when so much is buffered, and at each output_flush(); and how much
 * a slow reader may leave behind before output_blocked(). */
enum { OUTPUT_BATCH = 256 * 1024, OUTPUT_PENDING_MAX = 1024 * 1024 };

/* Least time between two fsyncs of a run that goes on. */
enum { OUTPUT_SYNC_MS = 1000 };

struct output;

/* Open want->output; "-" is standard output.  want->sync says when the file is
 * synced, want->format what a line is: a row of CSV may have LFs in quotes.  After
 * input_open(), so that bad inputs create nothing.  A regular file is created with 0666
 * & ~umask, or taken as it is for `resume` and `force`; it is locked (flock).  Devices
 * and FIFOs need neither.  Opening a FIFO waits for its reader, as it does in a shell.
 *
 * Returns 0, or
 *   EXIT_USAGE     it exists and neither resume nor force is set; is a
 *                  directory, or a job file; cannot be opened or created (its
 *                  directory is missing, no permission: the name that was
 *                  given is wrong and nothing was fetched yet); resume of what
 *                  is no regular file, or with job files that are none
 *   EXIT_OUTPUT    the system cannot create it (disk full, I/O error)
 *   EXIT_MISMATCH  another run has locked it
 *   EXIT_WORKERS   no memory */
int output_open(struct output **o, const struct settings *want, const struct input *in);

/* Before the first line: nothing can refuse the run any more, so empty the file that
 * `force` overwrites.  Returns 0, EXIT_USAGE or EXIT_OUTPUT.  NULL is fine. */
int output_empty(struct output *o);

/* Add one result line, its LF included.  Returns 0 or EXIT_OUTPUT.  After an
 * error, which is printed once, every call here returns EXIT_OUTPUT. */
int output_put(struct output *o, const void *line, size_t len);

/* The same for a line that is no result: the first row of CSV. */
int output_put_head(struct output *o, const void *line, size_t len);

/* Is it a results file, which a run can go on with? */
bool output_is_file(const struct output *o);

/* Is there nothing in it yet, but for what was put? */
bool output_fresh(const struct output *o);

/* Write what is buffered; for a pipe, socket or terminal, as much as its
 * reader takes now.  At the end of each turn, and when output_fd() is
 * writable.  With SYNC_ALWAYS it makes the results durable, too. */
int output_flush(struct output *o);

/* So much waits for a slow reader that the sink should say PM_SINK_WAIT; it
 * can go on when this is false again. */
bool output_blocked(const struct output *o);

/* The descriptor to watch for writing; -1 when nothing waits for its reader. */
int output_fd(const struct output *o);

/* Call about once a second and as often as you like: flushes, and makes the
 * results durable, at most once in OUTPUT_SYNC_MS and not with SYNC_NONE.  Notices here
 * that the file was deleted.  fsync blocks as long as the disk needs. */
int output_tick(struct output *o);

/* Write the rest, fsync; the lock stays.  Waits for the reader of a pipe, without
 * an end and through signals: an event loop that wants to stay in charge runs
 * until output_fd() is -1 before.  Returns 0, or EXIT_OUTPUT if any write of
 * the run failed.  NULL is fine. */
int output_finish(struct output *o);

/* The same, close, free. */
int output_close(struct output *o);

/* Give up before the first result: close, free, and remove the file if this
 * run has created it and nothing is in it.  NULL is fine. */
void output_discard(struct output *o);

/* ---------------------------------------------------------------- for resume */

const char *output_name(const struct output *o);

bool output_packed(const struct output *o);

/* The results file, to be read with pread(2); -1 when the output was not
 * opened to be resumed. */
int output_resume_fd(const struct output *o);

/* Is it open to be resumed, and something in it? */
bool output_has_results(const struct output *o);

/* Go on at `offset`, behind `line_ct` complete lines; what stands there is cut
 * off.  Returns 0 or EXIT_OUTPUT. */
int output_resume_at(struct output *o, uint64_t offset, uint64_t line_ct);

#endif
