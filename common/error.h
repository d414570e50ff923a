/* SPDX-License-Identifier: MIT
 *
 * error - names of errors, and the sentence behind the last one.
 *
 * Runs in: every process.  The library never prints; a function that fails
 * leaves one sentence here for the caller's message.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#include "common/poolmap.h"

/* Note what pm_last_error() will say; returns `error`, so that a failure is
 * `return error_note(PM_ESYSTEM, "cannot bind %s: %s", ...)`. */
int error_note(int error, const char *fmt, ...) PM_PRINTF(2, 3);

/* The same for a failed system call: adds ": " and the text of errno. */
int error_note_errno(int error, const char *fmt, ...) PM_PRINTF(2, 3);

#endif
