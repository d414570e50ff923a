/* SPDX-License-Identifier: MIT
 *
 * warc_record - the text of WARC 1.1 records (ISO 28500:2017).
 *
 * Runs in: the workers of the command.  Pure, but for the random bytes of a
 * record's id.  What comes from servers stands in blocks, which are counted; what
 * of it gets into a record's own header is cleaned here.
 */
#ifndef WORKER_CLI_WARC_RECORD_H
#define WORKER_CLI_WARC_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum {
	WARC_ID_ROOM = 48,   /* "<urn:uuid:...>" */
	WARC_DATE_ROOM = 32, /* "2026-11-20T13:17:00.123Z" */
};

/* A record's header.  Strings that are NULL, or empty, are left out. */
struct warc_record {
	const char *type; /* "response" */
	const char *id;
	const char *date;
	const char *filename;      /* of a warcinfo */
	const char *warcinfo_id;   /* of the file it is in */
	const char *concurrent_to; /* id of the record it belongs to */
	const char *target;        /* URL */
	const char *ip;
	const char *protocol;       /* what it was before it became HTTP/1.1 */
	const char *block_digest;   /* SHA-256 in hex */
	const char *payload_digest; /* the same */
	const char *truncated;      /* "length", "time", "disconnect", "unspecified" */
	const char *content_type;
	uint64_t block_len;
};

/* Append the header with its empty line.  Returns 0 or PM_ENOMEM. */
int warc_record_head(struct buf *out, const struct warc_record *r);

/* A new id; PM_ESYSTEM: the system has no random bytes. */
int warc_record_id(char id[WARC_ID_ROOM]);

/* Milliseconds since 1970 as a date. */
void warc_record_date(char date[WARC_DATE_ROOM], uint64_t unix_ms);

/* Append a head as HTTP/1.1 would have it: the version in the first line of others
 * is replaced (true in *replaced), and Transfer-Encoding, which libcurl has
 * decoded, becomes X-Orig-Transfer-Encoding: readers would decode it once more.
 * Everything else stays byte by byte.  Returns 0 or PM_ENOMEM. */
int warc_record_http(struct buf *out, const char *head, size_t len, bool *replaced);

/* The value of a field of a head, in any case of letters; NULL: there is none. */
const char *warc_record_field(
	const char *head, size_t len, const char *name, size_t *value_len);

#endif
