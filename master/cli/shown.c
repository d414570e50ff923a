/* SPDX-License-Identifier: MIT
 *
 * shown - how text from outside is shown to people, see shown.h.
 */
#include "master/cli/shown.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Length of the UTF-8 sequence at `s`, its code point in *point; 0: none. */
static size_t decode(const unsigned char *s, size_t len, uint32_t *point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need = s[0] < 0x80             ? 1
		      : (s[0] & 0xe0) == 0xc0 ? 2
		      : (s[0] & 0xf0) == 0xe0 ? 3
		      : (s[0] & 0xf8) == 0xf0 ? 4
					      : 0;
	if (!need || need > len) {
		return 0;
	}
	uint32_t p = need == 1 ? s[0] : s[0] & (0xffu >> (need + 1));
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			return 0;
		}
		p = p << 6 | (s[i] & 0x3fu);
	}
	if (p < least[need] || p > 0x10ffff || (p >= 0xd800 && p <= 0xdfff)) {
		return 0;
	}
	*point = p;
	return need;
}

/* Controls, line separators, and the marks that reorder text on a terminal. */
static bool shows_as_itself(uint32_t p)
{
	bool control = p < 0x20 || (p >= 0x7f && p < 0xa0);
	bool reorders = (p >= 0x2028 && p <= 0x202e) || (p >= 0x2066 && p <= 0x2069);
	return !control && !reorders;
}

/* Returns the length of the escape. */
static size_t escape(char *out, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef", names[] = "\n\r\t";
	const char *name = byte ? strchr(names, byte) : NULL;
	out[0] = '\\';
	if (name) {
		out[1] = "nrt"[name - names];
		return 2;
	}
	out[1] = 'x';
	out[2] = hex[byte >> 4];
	out[3] = hex[byte & 15];
	return 4;
}

size_t shown_char(
	const char *text, size_t len, char shown[SHOWN_CHAR_MAX], size_t *shown_len)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t point = 0;
	size_t n = decode(at, len, &point);
	if (n && shows_as_itself(point)) {
		memcpy(shown, text, n);
		*shown_len = n;
		return n;
	}
	n = n ? n : 1;
	*shown_len = 0;
	for (size_t i = 0; i < n; i++) {
		*shown_len += escape(shown + *shown_len, at[i]);
	}
	return n;
}
