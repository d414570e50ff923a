/* SPDX-License-Identifier: MIT
 *
 * robots_path - paths as robots.txt compares them (RFC 9309, 2.2.2 and 2.2.3).
 *
 * Everything is percent-encoded that could be, in rules and in targets, and dots are
 * resolved in targets.  So matching is a comparison of bytes, with a search for each
 * wildcard: linear in the target.
 * Runs in: the master of the command; called by robots.  Pure.
 */
#ifndef COMMON_CLI_ROBOTS_PATH_H
#define COMMON_CLI_ROBOTS_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cli/robots.h"

/* One that is full takes no more, and says so. */
struct robots_path {
	char bytes[ROBOTS_PATH_MAX];
	size_t len;
	bool full;
};

/* Path and query of a URL, comparable. */
void robots_path_target(struct robots_path *path, const char *text, size_t len);

/* The path of a rule, comparable: no wildcards in a row.  *to_the_end: it had a $. */
void robots_path_pattern(
	struct robots_path *path, const char *text, size_t len, bool *to_the_end);

/* Does a rule with this pattern match the target? */
bool robots_path_matches(const char *pattern, size_t pattern_len, bool to_the_end,
	const struct robots_path *target);

#endif
