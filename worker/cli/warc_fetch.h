/* SPDX-License-Identifier: MIT
 *
 * warc_fetch - what one fetch leaves in a WARC file: for each request, redirects
 * included, a response record and the request record that belongs to it.
 *
 * Runs in: the workers of the command.  Collects while the fetch runs, from the loop,
 * and writes when it is over; a fetch that got no response leaves nothing.
 */
#ifndef WORKER_CLI_WARC_FETCH_H
#define WORKER_CLI_WARC_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cli/digest.h"
#include "common/poolmap.h"
#include "worker/cli/spool.h"
#include "worker/cli/warc_file.h"

struct warc_hop;

struct warc_fetch {
	struct warc_hop *hops; /* the last one is that of the body */
	size_t hop_ct, hop_cap;
	size_t head_bytes;
	struct spool body;
	struct digest block, payload;
};

/* Begin.  Bodies that do not stay in memory are spooled beside the files of
 * `prefix`.  0, or PM_ESYSTEM with the reason in errno. */
int warc_fetch_begin(struct warc_fetch *w, const char *prefix);

/* A pm_exchange_fn and a pm_body_fn, with a struct warc_fetch as context. */
int warc_fetch_exchange(void *ctx, const struct pm_exchange *x);
int warc_fetch_body(void *ctx, const void *bytes, size_t len);

/* How the fetch ended, and where its last response went. */
struct warc_kept {
	const void *request_body; /* of the first request; and of those after it that
				     announce its length again */
	size_t request_len;
	const char *truncated; /* why the body is not whole; NULL: it is */
	bool no_body;          /* the last response's body was not asked for, as that
				  of a redirect is not */

	struct buf path;
	uint64_t offset, length;
	char sha256[DIGEST_HEX_LEN + 1]; /* of the body */
};

/* Is there anything to write? */
bool warc_fetch_any(const struct warc_fetch *w);

/* Is the last response a redirect?  Of one that was to be followed, the body is not
 * received. */
bool warc_fetch_redirects(const struct warc_fetch *w);

/* Write the records, once.  May run on another thread.  Errors: as
 * warc_file_append(), and nothing is written then. */
int warc_fetch_keep(
	struct warc_fetch *w, const struct warc_place *place, struct warc_kept *kept);

void warc_fetch_fini(struct warc_fetch *w);

#endif
