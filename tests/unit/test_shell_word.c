/* SPDX-License-Identifier: MIT
 *
 * Tests of shell_word: what is quoted comes back from a real shell as it was.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/poolmap.h"
#include "master/cli/shell_word.h"

static struct buf out;

static const char *quote(const char *word)
{
	buf_clear(&out);
	cr_assert_eq(shell_word(&out, word), 0);
	return buf_text(&out);
}

Test(shell_word, leaves_plain_words_bare, .timeout = 10)
{
	static const char *const plain[] = {"run", "-o", "--output=a/b_c-1.jsonl",
		"http://x.org:80/a@b%20c+d,e", "-"};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		cr_assert_str_eq(quote(plain[i]), plain[i]);
	}
}

/* zsh takes =ls for the path of ls. */
Test(shell_word, quotes_an_equals_sign_in_front, .timeout = 10)
{
	cr_assert_str_eq(quote("=ls"), "'=ls'");
	cr_assert_str_eq(quote("ls="), "ls=");
}

Test(shell_word, escapes_what_a_terminal_would_obey, .timeout = 10)
{
	cr_assert_str_eq(quote("a\033[31m\nb"), "$'a\\033[31m\\012b'");
	cr_assert_str_eq(quote("it's\\\t\177"), "$'it\\047s\\134\\011\\177'");
}

/* One shell for all words: they come back one per line. */
Test(shell_word, is_undone_by_a_shell, .timeout = 20)
{
	static const char *const words[] = {"", " ", "a b", "it's", "''", "'",
		"\"$HOME\"", "`id`", "$(id)", "a;b", "*", "~", "#a", "K: V", "a\\b",
		"!!", "=ls", "a&b|c>d", "{a,b}", "caf\303\251", "https://x/?a=1&b=2"};
	enum { WORD_CT = sizeof(words) / sizeof(words[0]) };
	struct buf command = {0};
	cr_assert_eq(buf_puts(&command, "printf '%s\\n'"), 0);
	for (size_t i = 0; i < WORD_CT; i++) {
		cr_assert_eq(buf_puts(&command, " "), 0);
		cr_assert_eq(shell_word(&command, words[i]), 0);
	}
	FILE *shell = popen(buf_text(&command), "r");
	cr_assert(shell);
	for (size_t i = 0; i < WORD_CT; i++) {
		char line[256];
		cr_assert(fgets(line, sizeof(line), shell), "nothing for %s", words[i]);
		line[strcspn(line, "\n")] = '\0';
		cr_assert_str_eq(line, words[i]);
	}
	cr_assert_eq(fgetc(shell), EOF);
	cr_assert_eq(pclose(shell), 0, "%s", buf_text(&command));
	buf_fini(&command);
}

Test(shell_word, reports_missing_memory, .timeout = 10)
{
	char byte;
	struct buf full = {.data = &byte, .len = SIZE_MAX / 2, .cap = SIZE_MAX / 2};
	cr_assert_eq(shell_word(&full, "it's"), PM_ENOMEM);
	cr_assert_eq(full.len, SIZE_MAX / 2);
}
