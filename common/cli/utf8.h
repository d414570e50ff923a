/* SPDX-License-Identifier: MIT
 *
 * utf8 - is this UTF-8?  Strict: no overlong forms, no surrogates, nothing
 * above U+10FFFF.  A NUL is a character like any other.
 *
 * Runs in: the workers and the master of the command; called by line.c.  Pure.
 */
#ifndef COMMON_CLI_UTF8_H
#define COMMON_CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes at the start of `text` are whole, valid characters. */
size_t utf8_valid_prefix(const char *text, size_t len);

static inline bool utf8_valid(const char *text, size_t len)
{
	return utf8_valid_prefix(text, len) == len;
}

#endif
