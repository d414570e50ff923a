/* SPDX-License-Identifier: MIT
 *
 * warc_check - a strict reader of WARC files, for tests: stricter than the standard
 * where poolmap promises more, such as one record per gzip member, SHA-256 digests,
 * and a request for each response.
 *
 * Shares nothing with what writes them but the digest.
 */
#ifndef TESTS_SUPPORT_WARC_CHECK_H
#define TESTS_SUPPORT_WARC_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One record.  All memory belongs to the list. */
struct warc_rec {
	char *head; /* its header, with the version line, followed by a NUL */
	char *block;
	size_t block_len;
	const char *payload; /* in block, behind the HTTP head */
	size_t payload_len;
	uint64_t offset, length; /* of its member in the file */
};

struct warc_list {
	struct warc_rec *recs;
	size_t ct;
	bool torn; /* the file ends inside a member */
};

/* Read and check a file.  NULL: it is well; else what is wrong with it (static).  The
 * list is valid, as far as it got, in both cases. */
const char *warc_load(struct warc_list *list, const char *path);
void warc_list_fini(struct warc_list *list);

/* The value of a header field; NULL: there is none.  Static, until the next but three
 * calls. */
const char *warc_value(const struct warc_rec *rec, const char *name);

#endif
