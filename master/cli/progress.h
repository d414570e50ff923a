/* SPDX-License-Identifier: MIT
 *
 * progress - the one line on a terminal that says how far the run is:
 *
 *       12,345 done  12,001 ok  344 failed  812/s  in flight 128
 *
 * Runs in: the master of the command, called from the pool's loop.  The struct
 * is the caller's; it owns no descriptor and no memory.  The line is redrawn
 * in place with CR and "erase to end of line", or with CR and spaces on a
 * terminal that knows no escapes (TERM unset or "dumb").  No colours.
 *
 * It must never hold up the run: it draws at most five times a second, not at
 * all from the background or into a terminal that takes nothing now (Ctrl-S),
 * and never again after its terminal has gone.
 *
 * Whoever writes to the same terminal calls progress_clear() first; the next
 * draw puts the line back under what was written.
 */
#ifndef MASTER_CLI_PROGRESS_H
#define MASTER_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct progress {
	int fd;
	bool on;
	bool escapes;     /* the terminal knows "erase to end of line" */
	bool begun;       /* last_us holds */
	uint64_t last_us; /* when the line was drawn last */
	size_t shown;     /* columns of the line that stands there; 0: none */
};

struct progress_facts {
	uint64_t done;
	uint64_t ok;
	uint64_t failed;
	uint64_t in_flight;
	double per_second;
};

/* Draw to `fd`, standard error, if it is a terminal and `wanted` is true: no
 * -q, and no results going to the same terminal. */
void progress_init(struct progress *p, int fd, bool wanted);

/* Show the facts, unless the line is younger than a fifth of a second.  Does
 * not block; what fails is not reported. */
void progress_draw(
	struct progress *p, const struct progress_facts *facts, uint64_t now_us);

/* Take the line away: before any message, and before the summary. */
void progress_clear(struct progress *p);

/* Append the line for at most `columns` columns: the fields that fit, or
 * nothing when not even the first does.  Pure.  Returns 0 or PM_ENOMEM. */
int progress_render(
	struct buf *out, const struct progress_facts *facts, size_t columns);

#endif
