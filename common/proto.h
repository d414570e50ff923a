/* SPDX-License-Identifier: MIT
 *
 * proto - what travels between the master and its workers, all of it.
 *
 *   master                                              worker (slot, generation)
 *     |  jobs:     PUSH  ----- frames of job records ----->  PULL  |  ipc, own socket
 *     |  results:  PULL  <---- frames of result records ---  PUSH  |  ipc, shared
 *     |  lifeline: socketpair (SOCK_SEQPACKET)                     |
 *     |      <- HELLO, HEARTBEAT, BYE        CANCEL, DRAIN, ACK -> |
 *
 *   worker's life                      job's life (in the master's ledger)
 *     boot -> HELLO -> jobs, results     QUEUED -> SENT(slot, generation) -> DONE
 *     DRAIN -> finish -> BYE(last        SENT -> QUEUED when the worker is lost
 *     sequence) -> ACK -> _exit
 *
 * The pipelines lose what is unread when a peer goes, and say nothing.  So the
 * ledger is the truth, the lifeline tells who lives, and a worker leaves only
 * after ACK.  Frames of one sender are numbered from 1 without a gap: a gap
 * means loss, and the worker is replaced.
 *
 * All integers are little-endian.  A frame is a header and `count` records.  A
 * payload longer than PROTO_PIECE_BYTES travels as several records of one id,
 * in order, and no other payload of that sender comes between.
 *
 * What is not well-formed or not current is dropped and counted, never trusted
 * and never asserted on.  On any change: raise PROTO_VERSION.
 */
#ifndef COMMON_PROTO_H
#define COMMON_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/poolmap.h"

enum {
	PROTO_VERSION = 2,
	PROTO_NONCE_BYTES = 16,
	PROTO_HEAD_BYTES = 48,
	PROTO_RECORD_BYTES = 24,
	PROTO_PIECE_BYTES = 256 * 1024, /* longest payload piece of a record */
	PROTO_BATCH_BYTES = 64 * 1024,  /* a frame this long is closed */
	PROTO_BATCH_RECORDS = 1024,     /* or with this many records */
	PROTO_FRAME_MAX = PROTO_PIECE_BYTES + PROTO_BATCH_BYTES + 1024,
	PROTO_JOB_HEAD_BYTES = 24,
	PROTO_RESULT_HEAD_BYTES = 20,
	PROTO_EMIT_HEAD_BYTES = 33,
	PROTO_LANE_MAX = PM_LANE_MAX,
	PROTO_MESSAGE_MAX = PM_MESSAGE_MAX,
	PROTO_CANCEL_MAX = 512, /* values in one CANCEL */
};

#define PROTO_MAGIC 0x31464d50u /* "PMF1" */

enum proto_type { PROTO_JOBS = 1, PROTO_RESULTS = 2 };

/* Who sends to whom: the same in every frame of one pipeline. */
struct proto_route {
	uint8_t nonce[PROTO_NONCE_BYTES]; /* of the pool */
	uint32_t slot;
	uint32_t generation;
};

/* Frame header on the wire:
 *   0 magic u32 | 4 version u16 | 6 type u16 | 8 nonce 16 | 24 slot u32
 *   28 generation u32 | 32 sequence u64 | 40 count u32 | 44 length u32 */
struct proto_head {
	enum proto_type type;
	struct proto_route route;
	uint64_t sequence;
	uint32_t count;  /* records */
	uint32_t length; /* bytes after the header */
};

/* Record header on the wire:
 *   0 id u64 | 8 attempt u32 | 12 total u32 | 16 offset u32 | 20 length u32 */
struct proto_record {
	uint64_t id; /* of the job */
	uint32_t attempt;
	uint32_t total;  /* whole payload */
	uint32_t offset; /* of this piece in it */
	uint32_t length; /* of this piece */
	const uint8_t *bytes;
};

/* Frames.  proto_frame_begin() starts one in an empty buffer, records are
 * added, proto_frame_end() fills in count and length.  Encoding returns 0 or
 * PM_ENOMEM; decoding 0 or PM_EINVAL, with nothing believed of the input. */
int proto_frame_begin(struct buf *out, enum proto_type type,
	const struct proto_route *route, uint64_t sequence);
int proto_record_put(struct buf *frame, const struct proto_record *record);
void proto_frame_end(struct buf *frame, uint32_t count);
int proto_head_get(struct proto_head *head, const void *frame, size_t len);

/* Read the record at *at (0 before the first), move *at behind it. */
int proto_record_get(
	struct proto_record *record, const void *frame, size_t len, size_t *at);

/* Payload of a job: task address u64 | queued_at_us u64 | timeout_ms u32 |
 * epoch u32, see blackbox.h | argument bytes. */
struct proto_job {
	uint64_t task;
	uint64_t queued_at_us;
	uint32_t timeout_ms; /* of one attempt; 0: none */
	uint32_t epoch;
	const uint8_t *arg;
	size_t arg_len;
};
int proto_job_put(struct buf *out, const struct proto_job *job);
int proto_job_get(struct proto_job *job, const uint8_t *payload, size_t len);

/* Payload of a result: error i32 | domain u32 | code i32 | message length u32 |
 * length of emitted jobs u32 | message | emitted jobs | bytes. */
struct proto_result {
	int error, domain, code;
	const char *message; /* not terminated */
	size_t message_len;
	const uint8_t *emits; /* a sequence of struct proto_emit */
	size_t emits_len;
	const uint8_t *bytes;
	size_t len;
};
int proto_result_put(struct buf *out, const struct proto_result *result);
int proto_result_get(struct proto_result *result, const uint8_t *payload, size_t len);

/* A job that a task adds: task address u64 | tag u64 | timeout_ms u32 |
 * queue_timeout_ms u32 | flags u32 (1: once) | length u32 | length of lane u8 | name of
 * its lane | argument bytes. */
struct proto_emit {
	uint64_t task;
	uint64_t tag;
	uint32_t timeout_ms, queue_timeout_ms;
	bool once;
	const uint8_t *arg;
	size_t arg_len;
	const char *lane; /* not terminated */
	size_t lane_len;  /* at most PROTO_LANE_MAX */
};
int proto_emit_put(struct buf *out, const struct proto_emit *emit);
/* Read the one at *at (0: the first), move *at behind it. */
int proto_emit_get(
	struct proto_emit *emit, const uint8_t *emits, size_t len, size_t *at);

/* Messages of the lifeline: name, number, direction, fixed length.  Each is one
 * packet: type u32 | slot u32 | generation u32 | count u32 | count x u64. */
#define PROTO_LIFE_MESSAGES(X)                                                         \
	X(HELLO, 1, 2)     /* worker: version, pid - it takes jobs now */              \
	X(HEARTBEAT, 2, 3) /* worker: jobs held, sequences of last results and jobs */ \
	X(CANCEL, 3, PROTO_CANCEL_MAX) /* master: as DRAIN, then job ids */            \
	X(DRAIN, 4, 1)                 /* master: sequence of its last job frame */    \
	X(BYE, 5, 1)                   /* worker: sequence of its last frame */        \
	X(ACK, 6, 0)                   /* master: that frame was read, leave */

enum proto_life {
#define X(name, number, values) PROTO_##name = (number),
	PROTO_LIFE_MESSAGES(X)
#undef X
};

struct proto_life_message {
	enum proto_life type;
	uint32_t slot;
	uint32_t generation;
	uint32_t count;
	uint64_t values[PROTO_CANCEL_MAX];
};

enum { PROTO_LIFE_HEAD_BYTES = 16 };

/* Length of the packet that `message` encodes to, written to `out`, which has
 * room for sizeof *message; and back. */
size_t proto_life_put(void *out, const struct proto_life_message *message);
int proto_life_get(struct proto_life_message *message, const void *packet, size_t len);
const char *proto_life_name(int type);

/* Exit codes of a worker that ends by itself. */
enum proto_exit {
	PROTO_EXIT_OK = 0,
	PROTO_EXIT_ORPHAN = 70,  /* the master is gone */
	PROTO_EXIT_BOOT = 71,    /* it could not set itself up */
	PROTO_EXIT_PROTO = 72,   /* frames were lost or make no sense */
	PROTO_EXIT_NANOMSG = 73, /* nanomsg has no thread: it was live at the fork */
	PROTO_EXIT_MEMORY = 74,
	PROTO_EXIT_INIT = 75, /* the host's initializer failed */
};
/* "ran out of memory"; NULL for a code that is none of these. */
const char *proto_exit_text(int code);

#endif
