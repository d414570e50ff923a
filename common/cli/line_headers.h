/* SPDX-License-Identifier: MIT
 *
 * line_headers - the `headers` of a result line: a JSON object that maps each
 * lower-case name to the array of its values.
 *
 * Runs in: the workers; called by line.c.  Pure.  A server decides what stands in
 * here, and how much: the time it takes grows with n log n.
 */
#ifndef COMMON_CLI_LINE_HEADERS_H
#define COMMON_CLI_LINE_HEADERS_H

#include <stddef.h>

#include "common/buf.h"
#include "common/poolmap.h"

/* Append the object.  Names come in the order of their first header, values in
 * that of the response.  What HTTP does not allow as a name is left out, so that
 * no two names look the same.  Returns 0 or PM_ENOMEM. */
int line_headers(struct buf *out, const struct pm_header *headers, size_t ct);

#endif
