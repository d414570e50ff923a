/* SPDX-License-Identifier: MIT
 *
 * harness_results - reading results files, and what must hold for all of them.
 *
 * Runs in: the test process.  It reads results as strictly as anyone may: what
 * it lets pass is JSON Lines for every reader.
 */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

/* NULL with `why`, when it is no result. */
static json_t *line_load(const char *line, size_t len, const char **why)
{
	static json_error_t error;
	size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
	json_t *result = json_loadb(line, len, flags, &error);
	if (!result) {
		*why = error.text;
	} else if (!json_is_integer(json_object_get(result, "index"))) {
		*why = "no \"index\"";
		json_decref(result);
		result = NULL;
	}
	return result;
}

json_t *results_load(const char *text, size_t len, size_t *ct)
{
	json_t *results = json_array();
	const char *at = text, *end = text + len;
	for (size_t number = 1; at < end; number++) {
		const char *why = "torn, it has no LF";
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		size_t line_len = (size_t)((lf ? lf : end) - at);
		json_t *result = lf ? line_load(at, line_len, &why) : NULL;
		if (!result) {
			json_decref(results);
			harness_fail("results, line %zu: %s: %.*s", number, why,
				(int)(line_len < 200 ? line_len : 200), at);
		}
		json_array_append_new(results, result);
		at = lf + 1;
	}
	if (ct) {
		*ct = json_array_size(results);
	}
	return results;
}

static json_int_t index_at(const json_t *results, size_t place)
{
	return json_integer_value(
		json_object_get(json_array_get(results, place), "index"));
}

static void check_ct(const json_t *results, size_t expected_ct)
{
	size_t ct = json_array_size(results);
	if (ct != expected_ct) {
		harness_fail("%zu results for %zu jobs", ct, expected_ct);
	}
}

void results_check_ordered(const json_t *results, size_t expected_ct)
{
	check_ct(results, expected_ct);
	for (size_t i = 0; i < expected_ct; i++) {
		if (index_at(results, i) != (json_int_t)i) {
			harness_fail("results, line %zu: index %lld instead of %zu",
				i + 1, (long long)index_at(results, i), i);
		}
	}
}

/* Place of the first index that is out of range or seen before; or ct. */
static size_t first_wrong(const json_t *results, size_t ct, bool seen[])
{
	for (size_t i = 0; i < ct; i++) {
		json_int_t index = index_at(results, i);
		if (index < 0 || (size_t)index >= ct || seen[index]) {
			return i;
		}
		seen[index] = true;
	}
	return ct;
}

void results_check_complete(const json_t *results, size_t expected_ct)
{
	check_ct(results, expected_ct);
	bool *seen = calloc(expected_ct + 1, sizeof(*seen));
	if (!seen) {
		harness_fail("no memory for %zu jobs", expected_ct);
	}
	size_t wrong = first_wrong(results, expected_ct, seen);
	free(seen);
	if (wrong < expected_ct) {
		harness_fail("results, line %zu: index %lld again, or not of %zu jobs",
			wrong + 1, (long long)index_at(results, wrong), expected_ct);
	}
}
