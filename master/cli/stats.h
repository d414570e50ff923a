/* SPDX-License-Identifier: MIT
 *
 * stats - the summary of a run as JSON, --stats FILE.
 *
 * One object, the same keys in every run; times are seconds.  The file is
 * complete or not there: it is written under another name and renamed, which
 * replaces what an earlier run has left.  What is no regular file (/dev/stderr,
 * a FIFO) is just written.
 *
 * Runs in: the master of the command, before the first job and at the end of
 * the run, however it ends short of SIGKILL.
 * Must never: replace a job file or the results.
 */
#ifndef MASTER_CLI_STATS_H
#define MASTER_CLI_STATS_H

#include "common/buf.h"
#include "common/cli/settings.h"
#include "master/cli/input.h"
#include "master/cli/summary.h"

/* Can want->stats be written at the end, as far as can be told now?  To be asked
 * before the outputs are opened, and again when they are there: they may have
 * been named in two ways.  Returns 0 or EXIT_USAGE, and says why. */
int stats_check(const struct settings *want, const struct input *in);

/* Append the members that tell what came of the jobs, from "jobs" to "latency", as far
 * as they are known; no braces around them.  Returns 0 or PM_ENOMEM. */
int stats_put_counts(struct buf *out, const struct summary_facts *facts);

/* Append "KEY":1.500000, seconds.  The same. */
int stats_put_seconds(struct buf *out, const char *key, uint64_t us);

/* Append "latency":{...}.  The same. */
int stats_put_latency(struct buf *out, const struct histogram *h);

/* Append the object and a LF.  Returns 0 or PM_ENOMEM. */
int stats_render(struct buf *out, const struct summary_facts *facts, int exit_code);

/* Put the bytes there; "-" is standard output.  Returns 0 or EXIT_OUTPUT, and
 * says why. */
int stats_write(const char *path, const struct buf *bytes);

#endif
