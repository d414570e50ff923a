/* SPDX-License-Identifier: MIT
 *
 * json_bytes - the bytes that a string of JSON stands for; see json_bytes.h.
 */
#include "common/cli/json_bytes.h"

#include <string.h>

/* Of the four digits behind \u; -1: there are none. */
static long hex4(const char *at, const char *end)
{
	long value = 0;
	if (end - at < 4) {
		return -1;
	}
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9' ? c - '0'
						 : ((c | 32) >= 'a' && (c | 32) <= 'f'
								   ? (c | 32) - 'a' + 10
								   : -1);
		if (digit < 0) {
			return -1;
		}
		value = value * 16 + digit;
	}
	return value;
}

static void pend_utf8(struct json_bytes *b, long code)
{
	unsigned char *p = b->pending;
	unsigned n = 0;
	if (code < 0x80) {
		p[n++] = (unsigned char)code;
	} else if (code < 0x800) {
		p[n++] = (unsigned char)(0xc0 | code >> 6);
	} else if (code < 0x10000) {
		p[n++] = (unsigned char)(0xe0 | code >> 12);
	} else {
		p[n++] = (unsigned char)(0xf0 | code >> 18);
		p[n++] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
	}
	if (code >= 0x800) {
		p[n++] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
	}
	if (code >= 0x80) {
		p[n++] = (unsigned char)(0x80 | (code & 0x3f));
	}
	b->pending_at = 1; /* the first is given at once */
	b->pending_ct = n;
}

/* Behind \u.  What is no character ends them: the parser will refuse it. */
static int next_unicode(struct json_bytes *b)
{
	long code = hex4(b->at, b->end);
	if (code < 0) {
		return JSON_BYTES_END;
	}
	b->at += 4;
	if (code >= 0xd800 && code < 0xe000) {
		bool two = code < 0xdc00 && b->end - b->at >= 6 && b->at[0] == '\\' &&
			   b->at[1] == 'u';
		long low = two ? hex4(b->at + 2, b->end) : -1;
		if (low < 0xdc00 || low > 0xdfff) {
			return JSON_BYTES_END;
		}
		b->at += 6;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	pend_utf8(b, code);
	return b->pending[0];
}

int json_bytes_escaped(struct json_bytes *b)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	if (b->at == b->end) {
		return JSON_BYTES_END;
	}
	char c = *b->at++;
	if (c == 'u') {
		return next_unicode(b);
	}
	const char *name = c ? strchr(names, c) : NULL;
	return name ? (unsigned char)values[name - names] : JSON_BYTES_END;
}
