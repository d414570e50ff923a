/* SPDX-License-Identifier: MIT
 *
 * Tests of secret: what is hidden, and what is not.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "master/cli/secret.h"

Test(secret, knows_secret_values, .timeout = 10)
{
	cr_assert(secret_header("authorization: Basic eDp5"));
	cr_assert(secret_header("Proxy-Authorization: x"));
	cr_assert(secret_header("COOKIE:a=b"));
	cr_assert(secret_header("X-API-Key: x"));
	cr_assert_not(secret_header("Accept: authorization:"));
	cr_assert_not(secret_header("Cookie-Consent: yes"));
	cr_assert(secret_proxy("http://me:word@p"));
	cr_assert_not(secret_proxy("http://p:1"));
	cr_assert(secret_data("a=b"));
	cr_assert_not(secret_data("@file"));
	cr_assert_not(secret_data(""));
}

Test(secret, finds_the_user_of_a_url, .timeout = 10)
{
	static const struct {
		const char *url;
		size_t at, len;
	} cases[] = {
		{"http://a/", 7, 0},
		{"http://u:p@a/", 7, 4},
		{"https://u@a", 8, 2},
		{"http://u:p@q@a/x@y", 7, 6},
		{"http://a/x@y", 7, 0},
		{"http://a?x@y", 7, 0},
		{"http://a#x@y", 7, 0},
		{"no URL", 0, 0},
		{"u:p@h:1", 0, 4},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at, len = secret_user(cases[i].url, &at);
		cr_assert_eq(at, cases[i].at, "%s", cases[i].url);
		cr_assert_eq(len, cases[i].len, "%s", cases[i].url);
	}
}
