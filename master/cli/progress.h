/* SPDX-License-Identifier: MIT
 *
 * progress - how far the run is.  On a terminal, one line:
 *
 *       12,345 done  12,001 ok  344 failed  812/s  in flight 128
 *
 * and with a number of jobs that is known, what part of them that is and how
 * long the rest will take.  Elsewhere, a line of text every ten seconds; or a
 * JSON object every second, for programs (progress_log.c).
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
#include "common/cli/settings.h"

enum { PROGRESS_FIGURE_BYTES = 32 };

struct progress {
	int fd;
	bool on;
	enum progress_mode mode; /* BAR, LOG or JSON */
	bool escapes;            /* the terminal knows "erase to end of line" */
	bool begun;              /* the bar was drawn */
	uint64_t start_us;       /* of the run */
	uint64_t last_us;        /* when the line was drawn last */
	size_t shown;            /* columns of the line that stands there; 0: none */
};

struct progress_facts {
	uint64_t done;
	uint64_t ok;
	uint64_t failed;
	uint64_t in_flight;
	double per_second;
	uint64_t skipped; /* had their results before */
	uint64_t retries; /* attempts behind the first ones */
	uint64_t total;   /* jobs in all, the skipped ones, too; 0: not known */
};

/* Time between two lines of text, and between two objects. */
#define PROGRESS_LOG_US 10000000u
#define PROGRESS_JSON_US 1000000u

/* Tell it to `fd`, standard error, of a run that starts now.  AUTO is the line if
 * that is a terminal, else text; a line that is asked for where there is no terminal
 * is text, too. */
void progress_init(
	struct progress *p, int fd, enum progress_mode mode, uint64_t now_us);

/* Show the facts, unless the line is younger than a fifth of a second.  Does
 * not block; what fails is not reported. */
void progress_draw(
	struct progress *p, const struct progress_facts *facts, uint64_t now_us);

/* The end: with JSON, one more object that has the final counts. */
void progress_end(
	struct progress *p, const struct progress_facts *facts, uint64_t now_us);

/* Take the line away: before any message, and before the summary. */
void progress_clear(struct progress *p);

/* Append the line for at most `columns` columns: the fields that fit, or
 * nothing when not even the first does.  Pure.  Returns 0 or PM_ENOMEM. */
int progress_render(
	struct buf *out, const struct progress_facts *facts, size_t columns);

/* Append a line of text; an object.  A LF is behind each.  Pure.  Return 0 or
 * PM_ENOMEM. */
int progress_text(struct buf *out, const struct progress_facts *facts);
int progress_json(
	struct buf *out, const struct progress_facts *facts, uint64_t elapsed_us);

/* What part is done, as text, "24.7%"; and the seconds that the rest takes at this
 * rate.  A total that was said too low grows with what is done.  False: that is
 * not known. */
bool progress_share(
	char room[PROGRESS_FIGURE_BYTES], const struct progress_facts *facts);
bool progress_left(const struct progress_facts *facts, uint64_t *seconds);

/* Does the descriptor take bytes now, so that a short write does not wait? */
bool progress_takes_bytes(int fd);

/* For progress_draw() when there is no terminal. */
void progress_log(struct progress *p, const struct progress_facts *facts,
	uint64_t now_us, bool last);

#endif
