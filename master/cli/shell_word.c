/* SPDX-License-Identifier: MIT
 *
 * shell_word - a text as one word of a shell; see shell_word.h.
 */
#include "master/cli/shell_word.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool has_control(const char *word)
{
	for (const char *c = word; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == '\177') {
			return true;
		}
	}
	return false;
}

static bool is_bare(const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-./:=@%+,";
	return *word && *word != '=' && word[strspn(word, safe)] == '\0';
}

/* 'it'\''s' */
static int quote_plain(struct buf *out, const char *word)
{
	int err = buf_puts(out, "'");
	for (const char *c = word; *c && !err; c++) {
		err = *c == '\'' ? buf_puts(out, "'\\''") : buf_put(out, c, 1);
	}
	return err ? err : buf_puts(out, "'");
}

/* $'a\012b': shown as it is, a control byte could play tricks on the terminal. */
static int quote_escaped(struct buf *out, const char *word)
{
	int err = buf_puts(out, "$'");
	for (const char *c = word; *c && !err; c++) {
		unsigned char byte = (unsigned char)*c;
		if (byte < ' ' || byte == '\177' || byte == '\'' || byte == '\\') {
			err = buf_printf(out, "\\%03o", byte);
		} else {
			err = buf_put(out, c, 1);
		}
	}
	return err ? err : buf_puts(out, "'");
}

int shell_word(struct buf *out, const char *word)
{
	if (is_bare(word)) {
		return buf_puts(out, word);
	}
	return has_control(word) ? quote_escaped(out, word) : quote_plain(out, word);
}
