/* SPDX-License-Identifier: MIT
 *
 * shown - how text from outside is shown to people: control characters, what
 * reorders text, and bytes that are no UTF-8 are escaped, so that no text can steer
 * a terminal or pose as two lines.
 *
 * Runs in: the master of the command; called by message and by the report.  Pure.
 */
#ifndef MASTER_CLI_SHOWN_H
#define MASTER_CLI_SHOWN_H

#include <stddef.h>

/* The longest that one character becomes: four escaped bytes. */
enum { SHOWN_CHAR_MAX = 4 * 4 };

/* The first character of `len` bytes, one at least, as it is shown: *shown_len bytes
 * in `shown`.  Returns how many bytes it was. */
size_t shown_char(
	const char *text, size_t len, char shown[SHOWN_CHAR_MAX], size_t *shown_len);

#endif
