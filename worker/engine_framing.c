/* SPDX-License-Identifier: MIT
 *
 * engine_framing - see engine_framing.h.
 *
 * Runs in: the worker.
 */
#include "worker/engine_framing.h"

#include <string.h>
#include <strings.h>

/* The value of a line, if it is that field's.  *blank: there is something between
 * the name and the colon. */
static const char *value_of(const char *line, size_t len, const char *name, bool *blank)
{
	size_t n = strlen(name), at = n;
	if (len <= n || strncasecmp(line, name, n) != 0) {
		return NULL;
	}
	while (at < len && (line[at] == ' ' || line[at] == '\t')) {
		at++;
	}
	*blank = at > n;
	return at < len && line[at] == ':' ? line + at + 1 : NULL;
}

/* Digits, up to what libcurl can count.  Returns how many there are; 0: it is no
 * such number. */
static size_t take_number(const char *at, size_t len, uint64_t *number)
{
	size_t n = 0;
	uint64_t sum = 0;
	for (; n < len && at[n] >= '0' && at[n] <= '9'; n++) {
		unsigned digit = (unsigned)(at[n] - '0');
		if (sum > ((uint64_t)INT64_MAX - digit) / 10) {
			return 0;
		}
		sum = sum * 10 + digit;
	}
	*number = sum;
	return n;
}

static size_t skip(const char *at, size_t len, const char *what)
{
	size_t n = 0;
	while (n < len && at[n] && strchr(what, at[n])) {
		n++;
	}
	return n;
}

static bool note_one_length(struct framing *f, uint64_t length)
{
	if (f->has_length && f->length != length) {
		return false;
	}
	f->has_length = true;
	f->length = length;
	return true;
}

/* A number, or a list of them that are all the same. */
static const char *note_length(struct framing *f, const char *at, size_t len)
{
	for (;;) {
		uint64_t number;
		size_t n = skip(at, len, " \t");
		size_t digits = take_number(at + n, len - n, &number);
		if (!digits) {
			return "a Content-Length that is no number";
		}
		n += digits;
		if (!note_one_length(f, number)) {
			return "several Content-Lengths that differ";
		}
		n += skip(at + n, len - n, " \t\r\n");
		if (n == len) {
			return NULL;
		}
		if (at[n] != ',') {
			return "a Content-Length that is no number";
		}
		at += n + 1;
		len -= n + 1;
	}
}

static const char *note_line(struct framing *f, const char *line, size_t len)
{
	bool blank;
	const char *value = value_of(line, len, "Content-Length", &blank);
	const char *bad = NULL;
	f->in_field = true;
	if (value) {
		bad = note_length(f, value, len - (size_t)(value - line));
	} else if (value_of(line, len, "Transfer-Encoding", &blank)) {
		f->has_coding = true;
	} else {
		f->in_field = false;
		return NULL;
	}
	/* libcurl does not take that for the field at all. */
	return blank ? "a blank before the colon of its length" : bad;
}

void framing_note(struct framing *f, const char *line, size_t len)
{
	const char *bad = NULL;
	if (!len) {
		return;
	}
	if (line[0] == ' ' || line[0] == '\t') {
		bad = f->in_field ? "a folded line in its length" : NULL;
	} else {
		bad = note_line(f, line, len);
	}
	f->bad = f->bad ? f->bad : bad;
}

const char *framing_doubt(const struct framing *f)
{
	if (f->bad) {
		return f->bad;
	}
	return f->has_length && f->has_coding
		       ? "a Content-Length beside a Transfer-Encoding"
		       : NULL;
}
