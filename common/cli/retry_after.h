/* SPDX-License-Identifier: MIT
 *
 * retry_after - what the header Retry-After says: how long to wait.
 *
 * Runs in: the workers of the command; the task that fetches puts the answer into
 * its outcome.  Pure: the time is a parameter.  No locale, no time zone of the
 * machine, no strptime(): what a server sends is read here byte by byte.
 *
 *     struct retry_after wait;
 *     int64_t now = time(NULL), date;
 *     if (http_date_parse(&date, now, date_header, date_len)) now = date;
 *     if (retry_after_parse(&wait, now, value, value_len)) ... wait.ms ...
 */
#ifndef COMMON_CLI_RETRY_AFTER_H
#define COMMON_CLI_RETRY_AFTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RETRY_AFTER_MAX_MS = 60000 }; /* the longest that is waited for a server */

struct retry_after {
	uint32_t ms;   /* 0 ... RETRY_AFTER_MAX_MS */
	bool too_long; /* it asks for more than that */
};

/* Read a header's value: seconds or a date.  `now` is in seconds since 1970, by the
 * clock that the date is to be held against: that of the server, if its answer had a
 * Date.  A date that has passed is 0 ms.  False, and *wait is left alone, when the
 * value is neither. */
bool retry_after_parse(
	struct retry_after *wait, int64_t now, const char *value, size_t len);

/* Read a date in one of the three formats of RFC 9110, 5.6.7, into seconds since
 * 1970.  `now` says which century the two digits of the second format mean: at most
 * 50 years ahead.  False, and *date is left alone, when it is none. */
bool http_date_parse(int64_t *date, int64_t now, const char *text, size_t len);

#endif
