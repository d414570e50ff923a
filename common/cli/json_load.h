/* SPDX-License-Identifier: MIT
 *
 * json_load - jansson's parser, with memory that may run out.
 *
 * jansson 2.14 takes no notice when its buffer for a string or a number cannot grow:
 * the byte is left out and the parser goes on, with another string than that of the
 * text.  So its memory comes from here, and what was parsed while some was refused
 * does not count.
 *
 * Runs in: the master and the workers of the command, one thread each.
 */
#ifndef COMMON_CLI_JSON_LOAD_H
#define COMMON_CLI_JSON_LOAD_H

#include <jansson.h>
#include <stddef.h>

/* Parse len bytes of text; flags as json_loadb().  Returns 0, and *root is the
 * caller's; PM_EINVAL, and *why says what is wrong (why may be NULL); or PM_ENOMEM. */
int json_load(
	json_t **root, const char *text, size_t len, size_t flags, json_error_t *why);

#endif
