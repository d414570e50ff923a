/* SPDX-License-Identifier: MIT
 *
 * report_page - what the files of the HTML report share.  Private to them.
 *
 *	report_html.c   the page and its tables
 *	report_style.c  how it looks, and the policy that lets nothing else in
 *	report_chart.c  the pictures
 */
#ifndef MASTER_CLI_REPORT_PAGE_H
#define MASTER_CLI_REPORT_PAGE_H

#include <stddef.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/report_facts.h"

/* The page while it is made.  Errors are kept, not handled: the first one spoils
 * it. */
struct report_page {
	struct buf *out;
	const struct report_facts *facts;
	int err;
};

/* Markup: nothing that a stranger has written. */
void page_put(struct report_page *p, const char *fmt, ...) PM_PRINTF(2, 3);

/* Text of strangers, at most `most` bytes of it, in a direction of its own. */
void page_put_text(struct report_page *p, const char *text, size_t most);

/* The colour of a class: one of the style's c0, c1 ..., different ones for those that
 * occur as far as there are enough. */
enum { REPORT_COLOURS = 9 };
unsigned page_colour(const struct tally *t, unsigned class);

/* The policy and the style, for the head of the page. */
void page_put_style(struct report_page *p);

/* A bar of all classes; latencies. */
void page_put_bar(struct report_page *p);
void page_put_histogram(struct report_page *p);

#endif
