/* SPDX-License-Identifier: MIT
 *
 * outbox - the sending end of a pipeline: batches payloads into frames, numbers
 * the frames, and keeps what the wire does not take yet.
 *
 * Runs in: the master (jobs, one per worker) and the workers (results).  Never
 * blocks and watches nothing: its owner calls outbox_send() again when the
 * wire's ready_fd says so.
 */
#ifndef COMMON_OUTBOX_H
#define COMMON_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/list.h"
#include "common/proto.h"
#include "common/wire.h"

struct outbox {
	struct wire *wire;
	enum proto_type type;
	struct proto_route route;
	uint64_t sequence;   /* of the last frame that was begun */
	struct buf open;     /* the frame under construction, empty: none */
	uint32_t open_ct;    /* records in it */
	struct list waiting; /* whole frames that the wire did not take */
	size_t waiting_bytes;
};

void outbox_init(struct outbox *o, struct wire *wire, enum proto_type type,
	const struct proto_route *route);
void outbox_fini(struct outbox *o);

/* Queue one payload of at most PM_BYTES_MAX bytes and its head; frames that are
 * full are sent.  0; WIRE_AGAIN when it is queued and some frames wait for the
 * wire; PM_ENOMEM or PM_ESYSTEM when it is not queued as a whole. */
int outbox_put(struct outbox *o, uint64_t id, uint32_t attempt, const void *payload,
	size_t len);

/* Send everything, also the frame that is not full.  0; WIRE_AGAIN when some of
 * it waits for the wire; or an error. */
int outbox_flush(struct outbox *o);

/* Send the frames that wait.  Results as outbox_flush(). */
int outbox_send(struct outbox *o);

#endif
