/* SPDX-License-Identifier: MIT
 *
 * summary_parts - what the files of the summary share.  Private to them.
 *
 *	summary.c        the answer, the details, and the page as a whole
 *	summary_table.c  the counts
 *	summary_next.c   what to do next
 */
#ifndef MASTER_CLI_SUMMARY_PARTS_H
#define MASTER_CLI_SUMMARY_PARTS_H

#include <stdint.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/summary.h"
#include "master/cli/tally.h"

/* The summary while it is made.  Errors are kept, not handled: the first one
 * spoils the page. */
struct page {
	struct buf *out;
	const struct summary_facts *facts;
	const struct tally *tally;
	int err;
	unsigned label_width; /* of the table; what follows it keeps to that */
};

void page_say(struct page *p, const char *fmt, ...) PM_PRINTF(2, 3);

/* Where the results are, as a word for a shell. */
void page_say_path(struct page *p);

/* So many in the time of the run. */
double page_per_second(const struct page *p, uint64_t ct);

/* Sets label_width. */
void summary_table(struct page *p);

void summary_next(struct page *p);

#endif
