/* SPDX-License-Identifier: MIT
 *
 * report_read - what one result says, from the texts of its fields.
 *
 * Runs in: the master of the command; called by report.  Pure.
 */
#ifndef MASTER_CLI_REPORT_READ_H
#define MASTER_CLI_REPORT_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cli/outcome.h"
#include "master/cli/report_lines.h"

struct report_result {
	struct outcome outcome;
	uint64_t index;    /* UINT64_MAX: not known */
	uint64_t attempts; /* 0: not known */
	const char *url;   /* NULL: it has none; as errormsg not with a NUL behind it */
	size_t url_len;
	const char *errormsg;
	size_t errormsg_len;
};

/* Texts are those of the cells.  Returns NULL, or what is wrong. */
const char *report_read(struct report_result *result, const struct report_cells *cells);

#endif
