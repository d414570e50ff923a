/* SPDX-License-Identifier: MIT
 *
 * robots_path - paths as robots.txt compares them; see robots_path.h.
 */
#include "common/cli/robots_path.h"

#include <string.h>

struct span {
	const char *at;
	size_t len;
};

/* ---------------------------------------------------------------------- bytes */

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX at the start of the span stands for; -1: it is none. */
static int encoded_byte(struct span text)
{
	if (text.len < 3 || *text.at != '%') {
		return -1;
	}
	int high = hex_digit(text.at[1]), low = hex_digit(text.at[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static void put(struct robots_path *path, const char *bytes, size_t len)
{
	if (path->full || sizeof path->bytes - path->len < len) {
		path->full = true;
		return;
	}
	memcpy(path->bytes + path->len, bytes, len);
	path->len += len;
}

static void put_encoded(struct robots_path *path, int byte)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[3] = {'%', digits[byte >> 4 & 15], digits[byte & 15]};
	put(path, text, 3);
}

/* What no URL may have as it is, though some do; and what a rule could not tell from
 * a wildcard. */
static bool is_encoded_always(unsigned char c)
{
	return c <= ' ' || c >= 0x7f || strchr("*$\"<>\\^`{|}", c);
}

/* Take one byte, or what stands for one. */
static void put_literal(struct robots_path *path, struct span *text)
{
	int byte = encoded_byte(*text);
	size_t taken = byte < 0 ? 1 : 3;
	unsigned char c = byte < 0 ? (unsigned char)*text->at : (unsigned char)byte;
	if (byte < 0 ? is_encoded_always(c) : !is_unreserved(c)) {
		put_encoded(path, c);
	} else {
		put(path, (const char[]){(char)c}, 1);
	}
	text->at += taken;
	text->len -= taken;
}

/* Resolve "." and ".." of the first `len` bytes, which begin with a slash; returns how
 * many are left. */
static size_t resolve_dots(char *path, size_t len)
{
	size_t kept = 0, end;
	for (size_t at = 0; at < len; at = end) {
		for (end = at + 1; end < len && path[end] != '/'; end++) {
		}
		size_t name_len = end - at - 1;
		bool dot = name_len == 1 && path[at + 1] == '.';
		bool dots = name_len == 2 && path[at + 1] == '.' && path[at + 2] == '.';
		while (dots && kept && path[--kept] != '/') {
		}
		if (!dot && !dots) {
			memmove(path + kept, path + at, end - at);
			kept += end - at;
		} else if (end == len) {
			path[kept++] = '/';
		}
	}
	return kept;
}

/* ---------------------------------------------------------------------- paths */

void robots_path_target(struct robots_path *path, const char *text, size_t len)
{
	struct span target = {text, len};
	path->len = 0;
	path->full = false;
	if (!target.len || *target.at != '/') {
		put(path, "/", 1);
	}
	while (target.len && !path->full) {
		put_literal(path, &target);
	}
	const char *query = memchr(path->bytes, '?', path->len);
	size_t before = query ? (size_t)(query - path->bytes) : path->len;
	size_t kept = resolve_dots(path->bytes, before);
	memmove(path->bytes + kept, path->bytes + before, path->len - before);
	path->len -= before - kept;
}

/* A wildcard at the very end says nothing. */
void robots_path_pattern(
	struct robots_path *path, const char *text, size_t len, bool *to_the_end)
{
	struct span value = {text, len};
	path->len = 0;
	path->full = false;
	*to_the_end = value.len && value.at[value.len - 1] == '$';
	value.len -= *to_the_end;
	while (value.len && !path->full) {
		if (*value.at != '*') {
			put_literal(path, &value);
			continue;
		}
		if (!path->len || path->bytes[path->len - 1] != '*') {
			put(path, "*", 1);
		}
		value.at++;
		value.len--;
	}
}

/* ------------------------------------------------------------------- matching */

bool robots_path_matches(const char *pattern, size_t pattern_len, bool to_the_end,
	const struct robots_path *path)
{
	struct span left = {pattern, pattern_len}, target = {path->bytes, path->len};
	const char *star = memchr(left.at, '*', left.len);
	size_t len = star ? (size_t)(star - left.at) : left.len;
	if (target.len < len || memcmp(left.at, target.at, len) != 0) {
		return false;
	}
	target.at += len;
	target.len -= len;
	while (star) {
		left.len -= len + 1;
		left.at = star + 1;
		star = memchr(left.at, '*', left.len);
		len = star ? (size_t)(star - left.at) : left.len;
		if (!star && to_the_end) {
			return target.len >= len &&
			       memcmp(target.at + target.len - len, left.at, len) == 0;
		}
		const char *found = memmem(target.at, target.len, left.at, len);
		if (!found) {
			return false;
		}
		target.len -= (size_t)(found + len - target.at);
		target.at = found + len;
	}
	return !to_the_end || target.len == 0;
}
