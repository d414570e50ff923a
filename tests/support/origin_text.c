/* SPDX-License-Identifier: MIT
 *
 * origin_text - slices, numbers, percent and JSON escapes for the origin.
 *
 * Runs in: the origin.  Plain functions of bytes; no state, no sockets.
 */
#include "tests/support/origin.h"

#include <string.h>
#include <strings.h>

bool slice_is(struct slice s, const char *text)
{
	size_t len = strlen(text);
	return s.at && s.len == len && memcmp(s.at, text, len) == 0;
}

bool slice_is_nocase(struct slice s, const char *text)
{
	size_t len = strlen(text);
	return s.at && s.len == len && strncasecmp(s.at, text, len) == 0;
}

struct slice slice_cut(struct slice *rest, char sep)
{
	struct slice first = *rest;
	const char *at = rest->at ? memchr(rest->at, sep, rest->len) : NULL;
	if (!at) {
		*rest = (struct slice){NULL, 0};
		return first;
	}
	first.len = (size_t)(at - first.at);
	rest->at = at + 1;
	rest->len -= first.len + 1;
	return first;
}

static unsigned digit_of(char ch)
{
	if (ch >= '0' && ch <= '9') {
		return (unsigned)(ch - '0');
	}
	if (ch >= 'a' && ch <= 'f') {
		return (unsigned)(ch - 'a') + 10;
	}
	if (ch >= 'A' && ch <= 'F') {
		return (unsigned)(ch - 'A') + 10;
	}
	return 99;
}

bool slice_number(struct slice s, unsigned base, uint64_t max, uint64_t *n)
{
	uint64_t value = 0;
	if (s.len == 0) {
		return false;
	}
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = digit_of(s.at[i]);
		if (digit >= base || value > (UINT64_MAX - digit) / base) {
			return false;
		}
		value = value * base + digit;
	}
	if (value > max) {
		return false;
	}
	*n = value;
	return true;
}

bool slice_unescape(struct slice s, char *to, size_t *len)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '%') {
			to[n++] = s.at[i];
			continue;
		}
		uint64_t byte;
		struct slice hex = {s.at + i + 1, 2};
		if (s.len - i < 3 || !slice_number(hex, 16, 255, &byte)) {
			return false;
		}
		to[n++] = (char)(unsigned char)byte;
		i += 2;
	}
	*len = n;
	return true;
}

/* At most six bytes. */
static size_t json_escape(unsigned char ch, char *to)
{
	static const char hex[] = "0123456789abcdef";
	if (ch == '"' || ch == '\\') {
		to[0] = '\\';
		to[1] = (char)ch;
		return 2;
	}
	if (ch >= 0x20 && ch < 0x7f) {
		to[0] = (char)ch;
		return 1;
	}
	memcpy(to, "\\u00", 4);
	to[4] = hex[ch >> 4];
	to[5] = hex[ch & 15];
	return 6;
}

void json_put(struct evbuffer *to, const void *bytes, size_t len, bool lower)
{
	const unsigned char *from = bytes;
	char out[1024];
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = from[i];
		if (lower && ch >= 'A' && ch <= 'Z') {
			ch = (unsigned char)(ch + ('a' - 'A'));
		}
		n += json_escape(ch, out + n);
		if (n > sizeof(out) - 6) {
			evbuffer_add(to, out, n);
			n = 0;
		}
	}
	evbuffer_add(to, out, n);
}
