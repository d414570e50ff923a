/* SPDX-License-Identifier: MIT
 *
 * report_words - texts of strangers in a report: URLs and messages, of any length,
 * with anything in them.
 *
 * What is kept has no users and passwords and is not longer than it may be; how it is
 * escaped depends on where it goes.
 *
 * Runs in: the master of the command; called by the reports.  Pure.
 */
#ifndef MASTER_CLI_REPORT_WORDS_H
#define MASTER_CLI_REPORT_WORDS_H

#include <stddef.h>

#include "common/buf.h"

enum {
	REPORT_URL_MAX = 2000, /* bytes that are kept of each */
	REPORT_WHY_MAX = 500,
	REPORT_SHOWN_URL_MAX = 400, /* and shown, where people read it */
};

/* Copies to be freed, which end in "..." when they are cut; NULL: no memory.  `text`
 * need have no NUL behind it. */
char *report_keep_url(const char *text, size_t len);
char *report_keep_why(const char *text, size_t len);

/* Append for a terminal, or as text of HTML: at most `most` bytes of the text.
 * Return 0 or PM_ENOMEM. */
int report_put_plain(struct buf *out, const char *text, size_t most);
int report_put_html(struct buf *out, const char *text, size_t most);

#endif
