/* SPDX-License-Identifier: MIT
 *
 * shell_word - a text as one word of a shell.
 *
 * Runs in: the master of the command, for commands that it advises.  Pure.
 */
#ifndef MASTER_CLI_SHELL_WORD_H
#define MASTER_CLI_SHELL_WORD_H

#include "common/buf.h"

/* Append `word` so that a shell reads it as one word, as it is: bare where it
 * can be, else in quotes.  Returns 0; or PM_ENOMEM, and then part of the word
 * may have been appended. */
int shell_word(struct buf *out, const char *word);

#endif
