/* SPDX-License-Identifier: MIT
 *
 * digest - SHA-256 of bytes as they come.
 *
 * Runs in: the workers of the command, for bodies that go to files, and its
 * master, for job files.  The door to libcrypto, which libcurl brings along in any
 * case: it uses the processor's own instructions, a plain implementation would
 * not.
 */
#ifndef COMMON_CLI_DIGEST_H
#define COMMON_CLI_DIGEST_H

#include <stddef.h>

enum { DIGEST_HEX_LEN = 64 };

/* In progress.  Zeroed: not begun. */
struct digest {
	void *context;
};

/* Begin, or begin again.  Returns 0 or PM_ENOMEM. */
int digest_start(struct digest *d);

void digest_add(struct digest *d, const void *bytes, size_t len);

/* The digest in lower-case hex, with a NUL.  What was begun has ended then. */
void digest_end(struct digest *d, char hex[DIGEST_HEX_LEN + 1]);

void digest_fini(struct digest *d);

#endif
