/* SPDX-License-Identifier: MIT
 *
 * table - rows of CSV or TSV as jobs.
 *
 * One column has the URL; it is named in the first row of each file, or has a
 * number, and then the first row is a job too.  The others become the `meta` of
 * the job, an object of strings: by their names, or by their numbers from 1;
 * columns whose name is empty are left out.  What comes out is a line of a job
 * file, with the JSON object that the workers parse.
 *
 * Runs in the master of the command; called by input.  No I/O, never prints.
 */
#ifndef MASTER_CLI_TABLE_H
#define MASTER_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "master/cli/row.h"

enum { TABLE_COLUMNS_MAX = 4096, TABLE_REASON_MAX = 160 };

struct table;

/* `url_column`: all digits: a number; else a name; it must outlive the table.
 * Returns 0; PM_EINVAL for a number that is none of a column; PM_ENOMEM. */
int table_new(
	struct table **t, const struct row_format *format, const char *url_column);
void table_free(struct table *t); /* NULL is fine */

const struct row_format *table_format(const struct table *t);

/* Forget the names: another file begins.  Is a row of names due? */
void table_restart(struct table *t);
bool table_wants_names(const struct table *t);

/* The text of a row, without its line end; it is changed.  Return 0; PM_EINVAL with the
 * reason in *why; PM_ENOMEM.  table_job() appends the job's line to *out, which it
 * leaves as it was when it fails. */
int table_names(struct table *t, char *text, size_t len, char why[TABLE_REASON_MAX]);
int table_job(const struct table *t, char *text, size_t len, struct buf *out,
	char why[TABLE_REASON_MAX]);

#endif
