/* SPDX-License-Identifier: MIT
 *
 * report_words - texts of strangers in a report, see report_words.h.
 */
#include "master/cli/report_words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"
#include "master/cli/secret.h"
#include "master/cli/shown.h"

/* -------------------------------------------------------------------- keeping */

/* Take the users out of all URLs in a text; it gets shorter. */
static void drop_users(char *text)
{
	char *at = text;
	while ((at = strstr(at, "://"))) {
		at += 3;
		size_t span = strcspn(at, "/?# \t\r\n\"'<>");
		char *sign = memrchr(at, '@', span);
		if (sign) {
			memmove(at, sign + 1, strlen(sign + 1) + 1);
		}
	}
}

/* The user of a URL, which may have spaces in it, or no scheme. */
static void drop_user(char *url)
{
	size_t at, len = secret_user(url, &at);
	memmove(url + at, url + at + len, strlen(url + at + len) + 1);
}

/* Give back what is not kept. */
static char *cut(char *text, size_t most)
{
	if (strlen(text) <= most) {
		return text;
	}
	memcpy(text + most - 3, "...", 4);
	char *kept = strdup(text);
	free(text);
	return kept;
}

/* A user may be long, too: it is looked for in all of the text. */
char *report_keep_url(const char *text, size_t len)
{
	char *url = strndup(text, len);
	if (!url) {
		return NULL;
	}
	drop_user(url);
	drop_users(url);
	return cut(url, REPORT_URL_MAX);
}

char *report_keep_why(const char *text, size_t len)
{
	char *why = strndup(text, len);
	if (!why) {
		return NULL;
	}
	drop_users(why);
	return cut(why, REPORT_WHY_MAX);
}

/* -------------------------------------------------------------------- showing */

static int put_html(struct buf *out, const char *text, size_t len)
{
	switch (*text) {
	case '<':
		return buf_puts(out, "&lt;");
	case '>':
		return buf_puts(out, "&gt;");
	case '&':
		return buf_puts(out, "&amp;");
	case '"':
		return buf_puts(out, "&quot;");
	case '\'':
		return buf_puts(out, "&#39;");
	default:
		return buf_put(out, text, len);
	}
}

static int put_shown(struct buf *out, const char *text, size_t most, bool html)
{
	size_t len = strlen(text), end = len < most ? len : most;
	bool whole = len <= most;
	int err = 0;
	for (size_t at = 0; at < end && !err;) {
		char shown[SHOWN_CHAR_MAX];
		size_t shown_len;
		at += shown_char(text + at, len - at, shown, &shown_len);
		err = html ? put_html(out, shown, shown_len)
			   : buf_put(out, shown, shown_len);
	}
	return err || whole ? err : buf_puts(out, "...");
}

int report_put_plain(struct buf *out, const char *text, size_t most)
{
	return put_shown(out, text, most, false);
}

int report_put_html(struct buf *out, const char *text, size_t most)
{
	return put_shown(out, text, most, true);
}
