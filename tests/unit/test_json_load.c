/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/cli/json_load: with each piece of memory refused in turn.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static size_t taken, refused_at; /* counted from 1; 0: none is refused */

static void *scarce_malloc(size_t size)
{
	return ++taken == refused_at ? NULL : malloc(size);
}

/* In place of the module in the archive, with memory that can be short. */
#define malloc scarce_malloc
#include "common/cli/json_load.c" /* NOLINT(bugprone-suspicious-include) */
#undef malloc

enum { LIMIT = 60 };

static int load(json_t **root, const char *text, json_error_t *why)
{
	taken = 0;
	return json_load(root, text, strlen(text), JSON_REJECT_DUPLICATES, why);
}

/* Strings and numbers of all lengths, as their buffer doubles from 16 bytes on. */
static const char text[] =
	"{\"url\": "
	"\"http://127.0.0.1:36565/bytes/2?and=so&on=until&it=is&long=enough\", "
	"\"id\": 123456789012345678, \"meta\": [1.234567890123456789e10, "
	"\"\\u20ac\\ud83d\\ude00 and a string that takes its buffer beyond the next "
	"boundary, which is at two hundred and fifty-six bytes, so it has to go on for "
	"a "
	"while, and a while longer than that, until there are some more of them than "
	"there were places before, which is now\", {\"a\": null, \"b\": [true, "
	"false]}]}";

Test(json_load, gives_the_same_or_says_that_there_was_no_memory, .timeout = LIMIT)
{
	json_t *whole = NULL;
	json_error_t why;
	refused_at = 0;
	cr_assert_eq(load(&whole, text, &why), 0, "%s", why.text);
	size_t ct = taken;
	cr_assert_gt(ct, 20);
	for (refused_at = 1; refused_at <= ct; refused_at++) {
		json_t *root = NULL;
		int err = load(&root, text, &why);
		cr_assert_eq(err, PM_ENOMEM, "number %zu: %d", refused_at, err);
		cr_assert_null(root);
	}
	json_t *again = NULL;
	cr_assert_eq(load(&again, text, NULL), 0, "and then there was some");
	cr_assert(json_equal(whole, again));
	json_decref(whole);
	json_decref(again);
}

Test(json_load, says_what_is_wrong_with_the_text, .timeout = LIMIT)
{
	json_t *root = NULL;
	json_error_t why;
	refused_at = 0;
	cr_assert_eq(load(&root, "{\"a\": 1, \"a\": 2}", &why), PM_EINVAL);
	cr_assert_eq(json_error_code(&why), json_error_duplicate_key);
	cr_assert_eq(load(&root, "", NULL), PM_EINVAL);
	cr_assert_null(root);
}
