/* SPDX-License-Identifier: MIT
 *
 * progress - the line on the terminal, see progress.h.
 */
#include "master/cli/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "master/cli/figures.h"
#include "master/cli/rate.h"
#include "master/cli/tally.h"

#define DRAW_EVERY_US 200000u
#define ERASE_TO_END "\033[K"

enum { COLUMNS_DEFAULT = 80, COLUMNS_MAX = 10000, GAP = 2 };

/* -------------------------------------------------------------------- line */

/* In the order of the line. */
enum field {
	FIELD_DONE,
	FIELD_OK,
	FIELD_FAILED,
	FIELD_RETRIES,
	FIELD_RATE,
	FIELD_LEFT,
	FIELD_IN_FLIGHT,
	FIELD_CT
};

/* What is kept longest when the terminal is narrow comes first. */
static const enum field by_weight[FIELD_CT] = {FIELD_DONE, FIELD_FAILED, FIELD_LEFT,
	FIELD_RATE, FIELD_OK, FIELD_RETRIES, FIELD_IN_FLIGHT};

struct field_text {
	char text[96]; /* empty: the field has nothing to say */
	bool fits;
};

static void write_done(char *room, size_t len, const struct progress_facts *facts)
{
	char done[TALLY_COUNT_BYTES], total[TALLY_COUNT_BYTES];
	char share[PROGRESS_FIGURE_BYTES];
	uint64_t ct = facts->done + facts->skipped;
	if (!progress_share(share, facts)) {
		snprintf(room, len, "%s done", tally_count_text(done, facts->done));
		return;
	}
	snprintf(room, len, "%s of %s done  %s", tally_count_text(done, ct),
		tally_count_text(total, ct > facts->total ? ct : facts->total), share);
}

static void write_left(char *room, size_t len, const struct progress_facts *facts)
{
	char time[FIGURE_BYTES];
	uint64_t seconds;
	if (progress_left(facts, &seconds)) {
		snprintf(room, len, "%s left", figure_whole_seconds(time, seconds));
	}
}

static void write_fields(struct field_text *fields, const struct progress_facts *facts)
{
	char ct[TALLY_COUNT_BYTES];
	char rate[RATE_TEXT_BYTES];
	size_t room = sizeof(fields->text);
	write_done(fields[FIELD_DONE].text, room, facts);
	write_left(fields[FIELD_LEFT].text, room, facts);
	if (facts->retries) {
		snprintf(fields[FIELD_RETRIES].text, room, "%s retried",
			tally_count_text(ct, facts->retries));
	}
	snprintf(fields[FIELD_OK].text, room, "%s ok", tally_count_text(ct, facts->ok));
	snprintf(fields[FIELD_FAILED].text, room, "%s failed",
		tally_count_text(ct, facts->failed));
	snprintf(fields[FIELD_RATE].text, room, "%s",
		rate_text(rate, facts->per_second));
	snprintf(fields[FIELD_IN_FLIGHT].text, room, "in flight %s",
		tally_count_text(ct, facts->in_flight));
}

/* Stops at the first field that has no room: a lighter one that is shorter
 * would come and go as the numbers grow. */
static void choose_fields(struct field_text *fields, size_t columns)
{
	for (unsigned i = 0; i < FIELD_CT; i++) {
		struct field_text *field = &fields[by_weight[i]];
		size_t need = GAP + strlen(field->text);
		if (!*field->text) {
			continue;
		}
		if (need > columns) {
			return;
		}
		columns -= need;
		field->fits = true;
	}
}

int progress_render(struct buf *out, const struct progress_facts *facts, size_t columns)
{
	struct field_text fields[FIELD_CT] = {0};
	write_fields(fields, facts);
	choose_fields(fields, columns);
	size_t before = out->len;
	for (unsigned i = 0; i < FIELD_CT; i++) {
		if (!fields[i].fits) {
			continue;
		}
		int err = buf_printf(out, "%*s%s", GAP, "", fields[i].text);
		if (err) {
			out->len = before;
			return err;
		}
	}
	return 0;
}

/* ---------------------------------------------------------------- terminal */

static bool knows_escapes(void)
{
	const char *term = getenv("TERM");
	return term && *term && strcmp(term, "dumb") != 0;
}

static size_t columns_of_environment(void)
{
	const char *text = getenv("COLUMNS");
	char *end = NULL;
	long columns = text ? strtol(text, &end, 10) : 0;
	if (columns < 1 || columns > COLUMNS_MAX || *end) {
		return COLUMNS_DEFAULT;
	}
	return (size_t)columns;
}

/* Asked at every draw: people resize their windows.  One less than there are,
 * since some terminals wrap as soon as the last column is written. */
static size_t columns_to_fill(int fd)
{
	struct winsize size;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
		return size.ws_col - 1u;
	}
	return columns_of_environment() - 1;
}

/* In the background the terminal belongs to someone else, and a write might
 * even stop us (SIGTTOU).  No answer means that it is not our controlling
 * terminal, where there is no background. */
static bool in_background(int fd)
{
	pid_t foreground = tcgetpgrp(fd);
	return foreground >= 0 && foreground != getpgrp();
}

/* The descriptor is shared with others and stays blocking, so ask first. */
bool progress_takes_bytes(int fd)
{
	struct pollfd ask = {.fd = fd, .events = POLLOUT};
	return poll(&ask, 1, 0) > 0;
}

/* What does not go out at once is left: the next draw starts at the left edge
 * again. */
static void send_line(struct progress *p, const struct buf *line)
{
	ssize_t sent = write(p->fd, line->data, line->len);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		p->on = false;
	}
}

/* -------------------------------------------------------------------- draw */

/* Wipe what the old line left to the right of the new one. */
static int put_erase(
	const struct progress *p, struct buf *out, size_t len, size_t columns)
{
	if (p->escapes) {
		return buf_puts(out, ERASE_TO_END);
	}
	size_t end = p->shown < columns ? p->shown : columns;
	return len < end ? buf_printf(out, "%*s", (int)(end - len), "") : 0;
}

static void redraw(struct progress *p, const struct progress_facts *facts)
{
	struct buf out = {0};
	size_t columns = columns_to_fill(p->fd);
	int err = buf_puts(&out, "\r");
	err = err ? err : progress_render(&out, facts, columns);
	size_t len = err ? 0 : out.len - 1;
	err = err ? err : put_erase(p, &out, len, columns);
	if (!err) {
		send_line(p, &out);
		p->shown = len;
	}
	buf_fini(&out);
}

static void wipe(struct progress *p)
{
	struct buf out = {0};
	int err = buf_puts(&out, "\r");
	err = err ? err : put_erase(p, &out, 0, columns_to_fill(p->fd));
	if (!err && !p->escapes) {
		err = buf_puts(&out, "\r");
	}
	if (!err) {
		send_line(p, &out);
	}
	buf_fini(&out);
}

void progress_init(struct progress *p, int fd, enum progress_mode mode, uint64_t now_us)
{
	*p = (struct progress){.fd = fd,
		.on = mode != PROGRESS_NONE && fcntl(fd, F_GETFD) >= 0,
		.start_us = now_us,
		.last_us = now_us};
	bool bar = mode == PROGRESS_AUTO || mode == PROGRESS_BAR;
	p->mode = !bar ? mode : isatty(fd) ? PROGRESS_BAR : PROGRESS_LOG;
	p->escapes = knows_escapes();
}

void progress_draw(
	struct progress *p, const struct progress_facts *facts, uint64_t now_us)
{
	if (p->on && p->mode != PROGRESS_BAR) {
		progress_log(p, facts, now_us, false);
		return;
	}
	if (!p->on || (p->begun && now_us - p->last_us < DRAW_EVERY_US)) {
		return;
	}
	p->begun = true;
	p->last_us = now_us;
	if (!in_background(p->fd) && progress_takes_bytes(p->fd)) {
		redraw(p, facts);
	}
}

void progress_end(
	struct progress *p, const struct progress_facts *facts, uint64_t now_us)
{
	/* Where no line stands a second Ctrl-C may have left its "^C". */
	if (p->on && p->begun && p->mode == PROGRESS_BAR && !in_background(p->fd)) {
		wipe(p);
	}
	p->shown = 0;
	if (p->on && p->mode == PROGRESS_JSON) {
		progress_log(p, facts, now_us, true);
	}
}

/* Does not ask whether the terminal takes bytes: who clears the line is about
 * to write there, and waits for it anyway. */
void progress_clear(struct progress *p)
{
	if (p->on && p->shown && !in_background(p->fd)) {
		wipe(p);
	}
	p->shown = 0;
}
