/* SPDX-License-Identifier: MIT
 *
 * method - what the methods of HTTP mean, see method.h.
 *
 * Runs in: any process, on any thread.
 */
#include "common/method.h"

#include <stddef.h>
#include <string.h>

bool method_is_idempotent(const char *method)
{
	static const char *const methods[] = {
		"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (strcmp(method, methods[i]) == 0) {
			return true;
		}
	}
	return false;
}
