/* SPDX-License-Identifier: MIT
 *
 * line_hash - 64 bits that stand for a line, to tell whether files belong
 * together.
 *
 * Runs in: the master of the command.  Pure.  It finds mistakes; it does not
 * stop somebody who wants two texts to collide.
 */
#ifndef MASTER_CLI_LINE_HASH_H
#define MASTER_CLI_LINE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* `bytes` may be NULL when `len` is 0. */
uint64_t line_hash(const char *bytes, size_t len);

#endif
