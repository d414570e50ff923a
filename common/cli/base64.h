/* SPDX-License-Identifier: MIT
 *
 * base64 - the standard alphabet of RFC 4648, padded, without line breaks.
 *
 * Runs in: the workers and the master of the command; job_keys.c decodes, line.c
 * encodes.  Pure; the memory is the caller's.
 */
#ifndef COMMON_CLI_BASE64_H
#define COMMON_CLI_BASE64_H

#include <stddef.h>

/* Characters that `len` bytes become.  `len` is at most SIZE_MAX / 2. */
static inline size_t base64_size(size_t len)
{
	return len / 3 * 4 + (len % 3 ? 4 : 0);
}

/* Write base64_size(len) characters, without a NUL. */
void base64_encode(char *out, const void *bytes, size_t len);

/* Decode into `out`, which has room for len / 4 * 3 bytes.  Strict: a foreign
 * character, missing padding, or bits that no byte uses make it PM_EINVAL.
 * Returns 0 and sets *out_len. */
int base64_decode(void *out, size_t *out_len, const char *text, size_t len);

#endif
