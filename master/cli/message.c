/* SPDX-License-Identifier: MIT
 *
 * message - lines on standard error, see message.h.
 */
#include "master/cli/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "master/cli/shown.h"

/* A line being built.  `max` leaves room for "..." and LF behind it. */
struct text {
	char data[MESSAGE_MAX];
	size_t len, max;
	bool full;
};

enum { TEXT_ROOM = MESSAGE_MAX - 4 };

static void put(struct text *t, const char *bytes, size_t len)
{
	if (t->full || t->len + len > t->max) {
		t->full = true;
		return;
	}
	memcpy(t->data + t->len, bytes, len);
	t->len += len;
}

/* Append foreign text, until t->max. */
static void put_foreign(struct text *t, const char *s)
{
	size_t len = strlen(s);
	while (len && !t->full) {
		char shown[SHOWN_CHAR_MAX];
		size_t shown_len, n = shown_char(s, len, shown, &shown_len);
		put(t, shown, shown_len);
		s += n;
		len -= n;
	}
}

/* Append foreign text that may take the line up to `max` bytes. */
static void put_part(struct text *t, const char *s, size_t max)
{
	t->max = max;
	put_foreign(t, s);
	if (t->full) {
		memcpy(t->data + t->len, "...", 3);
		t->len += 3;
		t->full = false;
	}
}

/* One write(2), so that lines of several processes do not mix.  There is
 * nobody to tell when it fails. */
static void emit(struct text *t)
{
	t->data[t->len++] = '\n';
	size_t done = 0;
	while (done < t->len) {
		ssize_t n = write(STDERR_FILENO, t->data + done, t->len - done);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return;
		}
		done += (size_t)n;
	}
}

static struct {
	void (*clear)(void *ctx);
	void *ctx;
} before;

void message_before(void (*clear)(void *ctx), void *ctx)
{
	before.clear = clear;
	before.ctx = ctx;
}

static void say(const char *what, const char *place, const char *why)
{
	struct text t = {.max = TEXT_ROOM};
	put(&t, "poolmap: ", 9);
	put_part(&t, what, MESSAGE_WHAT_MAX);
	t.max = TEXT_ROOM;
	put(&t, place, strlen(place));
	put(&t, ": ", 2);
	put_part(&t, why, TEXT_ROOM);
	if (before.clear) {
		before.clear(before.ctx);
	}
	emit(&t);
}

static void say_args(const char *what, const char *place, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

static void say_args(const char *what, const char *place, const char *fmt, va_list args)
{
	int saved = errno;
	char why[MESSAGE_MAX + 1];
	if (vsnprintf(why, sizeof why, fmt, args) < 0) {
		why[0] = '\0';
	}
	say(what, place, why);
	errno = saved;
}

void message_print(const char *what, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	say_args(what, "", fmt, args);
	va_end(args);
}

void message_at(const char *what, uint64_t line, const char *fmt, ...)
{
	char place[32];
	snprintf(place, sizeof place, ":%" PRIu64, line);
	va_list args;
	va_start(args, fmt);
	say_args(what, place, fmt, args);
	va_end(args);
}

void message_errno(const char *what, int error)
{
	message_print(what, "%s", strerror(error));
}
