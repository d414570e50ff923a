/* SPDX-License-Identifier: MIT
 *
 * Tests of common/method.
 */
#include <criterion/criterion.h>

#include "common/method.h"

Test(method, knows_what_may_be_sent_twice, .timeout = 60)
{
	static const char *const twice[] = {
		"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
	static const char *const once[] = {
		"POST", "PATCH", "CONNECT", "get", "GETS", "GE", "X", ""};
	for (size_t i = 0; i < sizeof twice / sizeof twice[0]; i++) {
		cr_expect(method_is_idempotent(twice[i]), "%s", twice[i]);
	}
	for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
		cr_expect_not(method_is_idempotent(once[i]), "%s", once[i]);
	}
}
