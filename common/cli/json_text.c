/* SPDX-License-Identifier: MIT
 *
 * json_text - see json_text.h.
 */
#include "common/cli/json_text.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Behind the string that starts at `at`. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end; at++) {
		if (*at == '"') {
			return at + 1;
		}
		if (*at == '\\' && end - at > 1) {
			at++;
		}
	}
	return end;
}

bool json_text_deeper_than(const char *text, size_t len, unsigned max)
{
	const char *end = text + len;
	unsigned depth = 0;
	for (const char *at = text; at < end;) {
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (*at == '{' || *at == '[') {
			if (++depth > max) {
				return true;
			}
		} else if (*at == '}' || *at == ']') {
			/* a parser is done with the value here, or has failed */
			if (depth-- <= 1) {
				return false;
			}
		}
		at++;
	}
	return false;
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && is_blank(*at)) {
		at++;
	}
	return at;
}

static const char *skip_nested(const char *at, const char *end)
{
	size_t depth = 0;
	while (at < end) {
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (*at == '{' || *at == '[') {
			depth++;
		} else if ((*at == '}' || *at == ']') && --depth == 0) {
			return at + 1;
		}
		at++;
	}
	return end;
}

static const char *skip_value(const char *at, const char *end)
{
	if (at < end && *at == '"') {
		return skip_string(at, end);
	}
	if (at < end && (*at == '{' || *at == '[')) {
		return skip_nested(at, end);
	}
	while (at < end && *at != ',' && *at != '}' && !is_blank(*at)) {
		at++;
	}
	return at;
}

void json_walk_init(struct json_walk *walk, const char *text, size_t len)
{
	walk->at = text;
	walk->end = text + len;
}

bool json_walk_next(struct json_walk *walk, struct json_span *value)
{
	struct json_span key;
	return json_walk_member(walk, &key, value);
}

bool json_walk_member(
	struct json_walk *walk, struct json_span *key, struct json_span *value)
{
	const char *end = walk->end;
	/* at the `{`, or at what follows the value before: a comma or the `}` */
	const char *at = skip_blanks(walk->at, end);
	at = skip_blanks(at < end ? at + 1 : end, end);
	if (at == end || *at != '"') {
		walk->at = end;
		return false;
	}
	key->text = at;
	at = skip_string(at, end);
	key->len = (size_t)(at - key->text);
	at = skip_blanks(at, end);
	at = skip_blanks(at < end ? at + 1 : end, end);
	value->text = at;
	walk->at = skip_value(at, end);
	value->len = (size_t)(walk->at - at);
	return true;
}

size_t json_text_compact(char *out, const struct json_span *span)
{
	const char *end = span->text + span->len;
	size_t n = 0;
	for (const char *at = span->text, *next; at < end; at = next) {
		next = *at == '"' ? skip_string(at, end) : at + 1;
		if (!is_blank(*at)) {
			memcpy(out + n, at, (size_t)(next - at));
			n += (size_t)(next - at);
		}
	}
	return n;
}
