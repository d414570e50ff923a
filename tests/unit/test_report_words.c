/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/report_words: what strangers have written, as it is kept and
 * shown.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "master/cli/report_words.h"

static void expect_url(const char *url, const char *kept)
{
	char *copy = report_keep_url(url, strlen(url));
	cr_assert_str_eq(copy, kept);
	free(copy);
}

static void expect_why(const char *why, const char *kept)
{
	char *copy = report_keep_why(why, strlen(why));
	cr_assert_str_eq(copy, kept);
	free(copy);
}

Test(report_words, have_no_users, .timeout = 10)
{
	expect_url("http://h/", "http://h/");
	expect_url("http://u:p@h/", "http://h/");
	expect_url("http://u:p w@x@h/?q=a@b", "http://h/?q=a@b");
	expect_url("u:p@h/x", "h/x");
	expect_url("http://h/?next=https://u:p@i/", "http://h/?next=https://i/");
	expect_url("http://u:p@", "http://");
	expect_url("", "");
	expect_why(
		"cannot follow \"ftp://u:p@h/\": no", "cannot follow \"ftp://h/\": no");
	expect_why("ask admin@example.org", "ask admin@example.org");
	expect_why("http://h refused; ask a@b", "http://h refused; ask a@b");
}

Test(report_words, are_cut_where_they_get_too_long, .timeout = 10)
{
	static char url[5 * REPORT_URL_MAX];
	static const size_t lengths[] = {REPORT_URL_MAX - 1, REPORT_URL_MAX,
		REPORT_URL_MAX + 1, 4 * REPORT_URL_MAX, sizeof url};
	memset(url, 'x', sizeof url);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		char *kept = report_keep_url(url, lengths[i]);
		bool is_cut = lengths[i] > REPORT_URL_MAX;
		size_t len = strlen(kept);
		cr_assert_eq(len, is_cut ? REPORT_URL_MAX : lengths[i]);
		cr_assert_eq(strcmp(kept + len - 3, "...") == 0, is_cut);
		free(kept);
	}
}

/* A password that is longer than what is kept must not stay because its @ is far. */
Test(report_words, have_no_part_of_a_long_user, .timeout = 10)
{
	static char url[16 * REPORT_URL_MAX];
	memset(url, 'p', sizeof url);
	memcpy(url, "http://u:", 9);
	memcpy(url + sizeof url - 4, "@h/x", 4);
	char *kept = report_keep_url(url, sizeof url);
	cr_assert(!strstr(kept, "ppp"), "%s", kept);
	free(kept);
}

static const char *shown(int (*put)(struct buf *out, const char *text, size_t most),
	const char *text, size_t most)
{
	static struct buf out;
	buf_clear(&out);
	cr_assert_eq(put(&out, text, most), 0);
	return buf_text(&out);
}

Test(report_words, are_escaped_for_where_they_go, .timeout = 10)
{
	/* NOLINTNEXTLINE(misc-misleading-bidirectional): that is what is escaped */
	static const char text[] = "<a href=\"x\">&'\x1b\n\xff\xe2\x80\xae\xd7\xa9";
	cr_assert_str_eq(shown(report_put_plain, text, 100),
		"<a href=\"x\">&'\\x1b\\n\\xff\\xe2\\x80\\xae\xd7\xa9");
	cr_assert_str_eq(shown(report_put_html, text, 100),
		"&lt;a href=&quot;x&quot;&gt;&amp;&#39;\\x1b\\n\\xff\\xe2\\x80\\xae"
		"\xd7\xa9");
}

/* Never within a character. */
Test(report_words, are_shown_up_to_a_length, .timeout = 10)
{
	cr_assert_str_eq(shown(report_put_plain, "abc", 3), "abc");
	cr_assert_str_eq(shown(report_put_plain, "abcd", 3), "abc...");
	cr_assert_str_eq(shown(report_put_html, "\xd7\xa9\xd7\xa9", 1), "\xd7\xa9...");
	cr_assert_str_eq(shown(report_put_html, "", 0), "");
}
