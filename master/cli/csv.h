/* SPDX-License-Identifier: MIT
 *
 * csv - results as comma-separated values (RFC 4180), --format csv.
 *
 * A row is made of a finished result line: the fields that --fields names, in
 * that order.  Text is written without its JSON escapes, numbers and true and
 * false as they are, null and what the line does not have as nothing, objects
 * and arrays as JSON.  `meta.NAME` and `headers.NAME` are members of those.
 * Rows end in CR LF; the first row has the names.
 *
 * A cell that begins with = + - or @ is a formula to some spreadsheets.  It is
 * written as it came: what is changed here could not be told from what a server
 * said.
 *
 * Runs in: the master of the command.  Pure but for messages.
 */
#ifndef MASTER_CLI_CSV_H
#define MASTER_CLI_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

enum { CSV_FIELDS_MAX = 100 };

/* What a run without --fields writes. */
#define CSV_FIELDS_USUAL                                                               \
	"index,id,url,ok,error,errormsg,http_code,url_effective,content_type,"         \
	"num_redirects,remote_ip,size_download,time_total,attempts"

/* Columns that tell which job a row is of, and how it ended. */
enum csv_key { CSV_INDEX, CSV_ID, CSV_URL, CSV_OK, CSV_KEY_CT };

struct csv;

/* `fields` NULL: the usual ones.  Returns 0; EXIT_USAGE for a name that no
 * result has, or no name; EXIT_WORKERS.  Errors are printed. */
int csv_open(struct csv **out, const char *fields);
void csv_close(struct csv *c); /* NULL is fine */

/* The column of a key, 0 and up; -1: it is none of the fields. */
int csv_column(const struct csv *c, enum csv_key key);
size_t csv_column_ct(const struct csv *c);

/* Append the first row; the row of a result line.  Return 0 or PM_ENOMEM. */
int csv_header(const struct csv *c, struct buf *out);
int csv_row(const struct csv *c, struct buf *out, const char *line, size_t len);

/* Append what tells the job in a row: the cells of index, id and url that are
 * among the fields, without quotes, each with CSV_KEY_END behind it.  Takes a
 * result line; a row is read by scan_csv.  Returns 0 or PM_ENOMEM. */
#define CSV_KEY_END '\037'
int csv_key_of_line(const struct csv *c, struct buf *out, const char *line, size_t len);

/* Append cell `column` of a whole row, without quotes.  Nothing when there is
 * none.  Returns 0 or PM_ENOMEM. */
int csv_cell(struct buf *out, const char *row, size_t len, size_t column);

#endif
