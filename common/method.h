/* SPDX-License-Identifier: MIT
 *
 * method - what the methods of HTTP mean.
 *
 * Runs in: any process, on any thread; called by the library's engine and by the
 * command, before a request is sent once more.  Must never: know a request.
 */
#ifndef COMMON_METHOD_H
#define COMMON_METHOD_H

#include <stdbool.h>

/* May a request of this method be sent twice, as RFC 9110 has it?  Methods are what
 * their bytes say: "get" is none that it knows. */
bool method_is_idempotent(const char *method);

#endif
