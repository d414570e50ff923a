/* SPDX-License-Identifier: MIT
 *
 * members - the fields of a result line, see members.h.
 */
#include "master/cli/members.h"

#include <stdint.h>
#include <string.h>

#include "common/poolmap.h"

/* ------------------------------------------------------------------- walking */

/* Behind the string that starts at `at`; 0: it has no end.  The next quote is
 * looked for again only when it turns out to be escaped: a long text of many
 * escapes and no quotes must not be read once for each of them. */
static size_t skip_string(const char *line, size_t len, size_t at)
{
	const char *end = line + len, *from = line + at + 1;
	const char *quote = memchr(from, '"', (size_t)(end - from));
	while (quote) {
		const char *slash = memchr(from, '\\', (size_t)(quote - from));
		if (!slash) {
			return (size_t)(quote - line) + 1;
		}
		if (end - slash < 2) {
			return 0;
		}
		from = slash + 2; /* and over what is escaped */
		if (from > quote) {
			quote = memchr(from, '"', (size_t)(end - from));
		}
	}
	return 0;
}

/* Behind the object or array that starts at `at`. */
static size_t skip_nested(const char *line, size_t len, size_t at)
{
	size_t depth = 0;
	while (at < len) {
		char c = line[at];
		if (c == '"') {
			at = skip_string(line, len, at);
			if (!at) {
				return 0;
			}
			continue;
		}
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		at++;
		if (!depth) {
			return at;
		}
	}
	return 0;
}

static size_t skip_value(const char *line, size_t len, size_t at)
{
	if (at >= len) {
		return 0;
	}
	if (line[at] == '"') {
		return skip_string(line, len, at);
	}
	if (line[at] == '{' || line[at] == '[') {
		return skip_nested(line, len, at);
	}
	while (at < len && line[at] != ',' && line[at] != '}') {
		at++;
	}
	return at;
}

bool member_next(const char *line, size_t len, size_t *at, struct member *m)
{
	size_t key = *at + 1; /* behind { or , */
	if (key >= len || line[*at] != (*at ? ',' : '{') || line[key] != '"') {
		return false;
	}
	size_t colon = skip_string(line, len, key);
	if (!colon || colon >= len || line[colon] != ':') {
		return false;
	}
	size_t end = skip_value(line, len, colon + 1);
	if (!end) {
		return false;
	}
	*m = (struct member){.key = line + key + 1,
		.key_len = colon - key - 2,
		.value = line + colon + 1,
		.value_len = end - colon - 1};
	*at = end;
	return true;
}

/* -------------------------------------------------------------------- strings */

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* The four digits behind \u; -1: they are none. */
static long code_unit(const char *at, const char *end)
{
	long unit = 0;
	if (end - at < 6 || at[0] != '\\' || at[1] != 'u') {
		return -1;
	}
	for (int i = 2; i < 6; i++) {
		int digit = hex(at[i]);
		if (digit < 0) {
			return -1;
		}
		unit = unit * 16 + digit;
	}
	return unit;
}

static int put_utf8(struct buf *out, long c)
{
	char bytes[4];
	size_t n = 0;
	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else if (c < 0x800) {
		bytes[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xe0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 63));
	} else {
		bytes[n++] = (char)(0xf0 | c >> 18);
		bytes[n++] = (char)(0x80 | (c >> 12 & 63));
		bytes[n++] = (char)(0x80 | (c >> 6 & 63));
	}
	if (c >= 0x80) {
		bytes[n++] = (char)(0x80 | (c & 63));
	}
	return buf_put(out, bytes, n);
}

/* \uXXXX, or two of them.  Moves *at behind it. */
static int put_unicode(struct buf *out, const char **at, const char *end)
{
	long c = code_unit(*at, end);
	if (c < 0) {
		return buf_put(out, (*at)++, 1);
	}
	*at += 6;
	if (c >= 0xd800 && c < 0xe000) {
		long low = c < 0xdc00 ? code_unit(*at, end) : -1;
		bool pair = low >= 0xdc00 && low < 0xe000;
		*at += pair ? 6 : 0;
		c = pair ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
	}
	return put_utf8(out, c);
}

static int put_escape(struct buf *out, const char **at, const char *end)
{
	static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
	char c = (char)(end - *at > 1 ? (*at)[1] : '\0');
	if (c == 'u' || !c) {
		return put_unicode(out, at, end);
	}
	const char *name = strchr(names, c);
	*at += 2;
	return buf_put(out, name ? &values[name - names] : &c, 1);
}

int member_text(struct buf *out, const char *value, size_t len)
{
	const char *end = value + len - 1; /* the closing quote */
	const char *at = value + 1;
	int err = 0;
	while (at < end && !err) {
		const char *slash = memchr(at, '\\', (size_t)(end - at));
		const char *stop = slash ? slash : end;
		err = buf_put(out, at, (size_t)(stop - at));
		at = stop;
		if (slash && !err) {
			err = put_escape(out, &at, end);
		}
	}
	return err;
}
