/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/message: what arrives on standard error.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "master/cli/message.h"

static int captured = -1;

/* Standard error goes to a file without a name from here on. */
static void capture(void)
{
	captured = memfd_create("stderr", MFD_CLOEXEC);
	cr_assert(captured >= 0 && dup2(captured, STDERR_FILENO) >= 0);
}

/* What has arrived so far. */
static const char *said(void)
{
	static char text[2 * MESSAGE_MAX + 1];
	ssize_t n = pread(captured, text, sizeof text - 1, 0);
	cr_assert(n >= 0);
	text[n] = '\0';
	return text;
}

TestSuite(message, .init = capture, .timeout = 10);

Test(message, says_what_and_why, .timeout = 10)
{
	message_print("jobs.txt", "%d of %s", 3, "them");
	cr_assert_str_eq(said(), "poolmap: jobs.txt: 3 of them\n");
}

Test(message, names_a_line, .timeout = 10)
{
	message_at("jobs.txt", UINT64_MAX, "bad");
	cr_assert_str_eq(said(), "poolmap: jobs.txt:18446744073709551615: bad\n");
}

Test(message, translates_an_errno_and_keeps_it, .timeout = 10)
{
	errno = EBUSY;
	message_errno("out", ENOSPC);
	cr_assert_eq(errno, EBUSY);
	cr_assert_str_eq(said(), "poolmap: out: No space left on device\n");
}

Test(message, escapes_control_characters_in_both_parts, .timeout = 10)
{
	message_print("a\nb", "%s", "\x1b[2J\r\t\x01\x7f");
	cr_assert_str_eq(said(), "poolmap: a\\nb: \\x1b[2J\\r\\t\\x01\\x7f\n");
}

Test(message, keeps_text_in_utf8, .timeout = 10)
{
	message_print("d\xc3\xa4ta/\xe6\xbc\xa2", "%s", "\xf0\x9f\x98\x80 ~");
	cr_assert_str_eq(
		said(), "poolmap: d\xc3\xa4ta/\xe6\xbc\xa2: \xf0\x9f\x98\x80 ~\n");
}

Test(message, escapes_what_is_no_utf8, .timeout = 10)
{
	static const struct {
		const char *bytes, *shown;
	} cases[] = {
		{"\xff", "\\xff"},
		{"\x80", "\\x80"},
		{"\xc3", "\\xc3"},
		{"\xc3(", "\\xc3("},
		{"\xc0\xaf", "\\xc0\\xaf"},
		{"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xe6\xbc", "\\xe6\\xbc"},
	};
	char expect[256] = "";
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		message_print("x", "%s", cases[i].bytes);
		size_t len = strlen(expect);
		snprintf(expect + len, sizeof expect - len, "poolmap: x: %s\n",
			cases[i].shown);
		cr_assert_str_eq(said(), expect, "case %zu", i);
	}
}

Test(message, escapes_marks_that_steer_or_reorder, .timeout = 10)
{
	/* NOLINTNEXTLINE(misc-misleading-bidirectional): that is what it is for */
	message_print("x", "%s", "\xc2\x9b \xe2\x80\xae \xe2\x80\xa8 \xe2\x81\xa6");
	cr_assert_str_eq(said(), "poolmap: x: \\xc2\\x9b \\xe2\\x80\\xae "
				 "\\xe2\\x80\\xa8 \\xe2\\x81\\xa6\n");
}

Test(message, shortens_a_long_name_and_keeps_the_reason, .timeout = 10)
{
	char name[6000];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	message_print(name, "the reason");
	const char *line = said();
	cr_assert_leq(strlen(line), MESSAGE_MAX);
	cr_assert(strstr(line, "nnn...: the reason\n"), "%s", line);
}

Test(message, is_one_line_of_bounded_length_whatever_comes, .timeout = 10)
{
	static const char *const units[] = {"w", "\x01", "\xc3\xa4", "\n"};
	for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
		for (size_t len = 4000; len < 4200; len++) {
			static char text[9000];
			size_t unit = strlen(units[u]);
			for (size_t i = 0; i < len; i++) {
				memcpy(text + i * unit, units[u], unit + 1);
			}
			cr_assert_eq(ftruncate(captured, 0), 0);
			cr_assert_eq(lseek(captured, 0, SEEK_SET), 0);
			message_print("x", "%s", text);
			const char *line = said();
			size_t got = strlen(line);
			cr_assert_leq(
				got, MESSAGE_MAX, "unit %zu, %zu: %zu", u, len, got);
			cr_assert_eq(strchr(line, '\n'), line + got - 1);
			bool cut = strcmp(line + got - 4, "...\n") == 0;
			bool fits = u == 0 &&
				    len + strlen("poolmap: x: ") <= MESSAGE_MAX - 4;
			cr_assert_eq(cut, !fits, "unit %zu, %zu", u, len);
		}
	}
}

static void note(void *ctx)
{
	int *ct = ctx;
	(*ct)++;
	cr_assert_eq(said()[0], '\0', "called before the message");
}

Test(message, takes_the_progress_line_away_first, .timeout = 10)
{
	int ct = 0;
	message_before(note, &ct);
	message_print("x", "y");
	cr_assert_eq(ct, 1);
	message_before(NULL, NULL);
	message_print("x", "z");
	cr_assert_eq(ct, 1);
	cr_assert_str_eq(said(), "poolmap: x: y\npoolmap: x: z\n");
}

Test(message, survives_a_closed_standard_error, .timeout = 10)
{
	close(STDERR_FILENO);
	errno = EBUSY;
	message_print("x", "nobody hears this");
	cr_assert_eq(errno, EBUSY);
	cr_assert_str_eq(said(), "");
}
