/* SPDX-License-Identifier: MIT
 *
 * inbox - the receiving end of a pipeline for one sender: checks that frames
 * are current and without a gap, and puts payloads together.
 *
 * Runs in: the master (one inbox per worker and generation) and the workers.
 * Reads no socket: its owner hands it frames.
 */
#ifndef COMMON_INBOX_H
#define COMMON_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/proto.h"

struct inbox {
	enum proto_type type;
	struct proto_route route; /* the only sender that is believed */
	uint64_t sequence;        /* of the last frame that was taken */
	bool broken;              /* nothing of this sender is believed any more */
	size_t max_bytes;         /* longest payload that is put together */

	/* a payload that comes in pieces */
	struct buf partial;
	uint64_t partial_id;
	uint32_t partial_attempt;
	uint32_t partial_total; /* 0: none */
};

/* What became of a frame. */
enum inbox_verdict {
	INBOX_TAKEN,
	INBOX_FOREIGN, /* not well-formed, or not of this sender: drop and count it */
	INBOX_BROKEN,  /* of this sender, but frames are missing or make no sense */
	INBOX_NOMEM,
};

/* Called for each whole payload; it lives during the call.  Returns an
 * enum inbox_verdict. */
typedef enum inbox_verdict inbox_payload_fn(
	void *ctx, uint64_t id, uint32_t attempt, const uint8_t *payload, size_t len);

void inbox_init(struct inbox *i, enum proto_type type, const struct proto_route *route,
	size_t max_bytes);
void inbox_fini(struct inbox *i);

/* Take one frame.  After INBOX_BROKEN or INBOX_NOMEM the sender must be
 * replaced: payloads before the fault were delivered, later ones never will. */
enum inbox_verdict inbox_take(struct inbox *i, const void *frame, size_t len,
	inbox_payload_fn *payload, void *ctx);

#endif
