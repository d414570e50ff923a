/* SPDX-License-Identifier: MIT
 *
 * pool - the master's private header: the pool, its slots, its maps, and the
 * modules that work on them, in reading order.
 *
 * Runs in: the master, all of it on one event base, in one thread.
 *
 *   source -> map -> ledger -> dispatch -> slot's outbox ~~> worker
 *   sink   <- map <- order  <- gather   <- slot's inbox  <~~ worker
 *
 * Callbacks of libevent change a little state and call pool_wake(); all
 * decisions are made in pool_turn(), once per turn of the loop, in an order that
 * matters: results first (they free credit and window), then deliveries, then
 * dispatch.
 */
#ifndef MASTER_POOL_H
#define MASTER_POOL_H

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/blackbox.h"
#include "common/inbox.h"
#include "common/outbox.h"
#include "common/poolmap.h"
#include "common/proto.h"
#include "common/wire.h"
#include "master/credit.h"
#include "master/ledger.h"
#include "master/order.h"
#include "master/rundir.h"

/* ------------------------------------------------------------------ structs */

/* A slot is a place for a worker; workers come and go, each one generation.
 *
 *   EMPTY -> STARTING -> READY -> DRAINING -> GONE
 *     ^         |          |          |
 *     +---------+- LOST <--+----------+ (dies unasked: LOST -> EMPTY, again) */
enum slot_state {
	SLOT_EMPTY,    /* no process; the respawn timer runs */
	SLOT_STARTING, /* spawn was asked for, HELLO has not come */
	SLOT_READY,
	SLOT_DRAINING, /* no more jobs; ends after BYE and ACK */
	SLOT_LOST,     /* doomed; its exit has not been reported */
	SLOT_GONE,     /* ended, and not replaced */
};

enum slot_doom { DOOM_NONE, DOOM_SILENT, DOOM_PROTO, DOOM_START, DOOM_STOP };

struct slot {
	/* identity */
	struct pm_pool *pool;
	unsigned number;
	uint32_t generation;
	unsigned concurrency;

	/* state */
	enum slot_state state;
	enum slot_doom doom; /* why we had it killed */
	bool was_ready;      /* this generation said HELLO */
	bool late;           /* its start has taken too long */
	bool quarantine;     /* takes one suspect at a time, nothing else */
	bool said_bye;
	uint64_t bye_sequence;  /* last frame it says it has sent */
	unsigned silent_beats;  /* of ours, without one of its own; LOST: since then */
	uint64_t jobs_sequence; /* of the last frame of jobs that it says it has */
	unsigned stuck_beats;   /* of its own, since that has changed */
	struct list held;       /* jobs sent to it, in that order */
	uint64_t sent_ct;       /* jobs sent to this generation */
	struct credit credit;

	/* links */
	pid_t pid;    /* 0: none yet */
	int lifeline; /* -1: none */
	struct event *lifeline_event;
	struct wire jobs;
	struct event *jobs_event; /* the wire takes frames again; on demand */
	struct outbox outbox;
	struct inbox inbox;
	struct blackbox *blackbox; /* how far it has got; NULL: none yet */
	struct event *timer;       /* EMPTY: until the next start; STARTING: its end */
};

enum source_state { SOURCE_OPEN, SOURCE_WAITING, SOURCE_ENDED };

/* One pm_map() or pm_map_stream() in progress. */
struct map {
	struct pm_pool *pool;
	struct pm_stream stream;
	struct pm_result *results; /* pm_map(): where to; NULL: to stream.sink */
	struct order order;
	enum source_state source;
	bool sink_waits;
	bool woken; /* pm_pool_wake() since source or sink was called last */
	bool ended;
	bool cancelled; /* pm_pool_cancel() was called */
	bool aborted;   /* ended before its time: its jobs are forgotten */
	int error;
	uint64_t pulled, delivered;     /* jobs */
	uint64_t open_bytes;            /* arguments and results of jobs between them */
	uint64_t settled, result_bytes; /* to guess the size of the next result */
};

struct pm_pool {
	/* identity */
	struct pm_pool_options options;
	pthread_t thread;
	uint8_t nonce[PROTO_NONCE_BYTES];
	struct rundir rundir;

	/* state */
	struct slot *slots;
	unsigned slot_ct;
	struct ledger ledger;
	struct map *map; /* in progress; NULL: none */
	bool closing;
	unsigned deadlines; /* passed since; see pool.c */
	bool in_turn;
	int broken; /* 0, or why no worker can be had any more */
	char broken_text[256];
	unsigned failed_starts;  /* in a row, of the whole pool */
	struct slot *quarantine; /* that serves the suspects; NULL: none */
	uint64_t now_us;         /* of this turn */
	struct pm_pool_stats stats;
	struct buf scratch; /* payload under construction */

	/* links */
	struct event_base *base;
	bool own_base;
	int control;
	struct event *control_event;
	struct wire results;
	struct event *results_event;
	struct event *turn_event;
	struct event *beat_timer;
};

/* ---------------------------------------------------------------- slot.c
 * The life of one worker: birth, heartbeat, death, burial. */

enum { SLOT_BEAT_MS = 500 };

int slot_init(
	struct slot *s, struct pm_pool *pool, unsigned number, unsigned concurrency);
void slot_fini(struct slot *s);

/* Start a worker of the next generation.  A failure counts as a failed start. */
void slot_start(struct slot *s);

/* The forkserver reports. */
void slot_spawned(struct slot *s, pid_t pid, int error);
void slot_exited(struct slot *s, int status);

/* Have it killed; its exit is reported later. */
void slot_doom(struct slot *s, enum slot_doom why);

/* Ask it to finish and leave. */
void slot_drain(struct slot *s);

/* Acknowledge its BYE when its last frame was read. */
void slot_check_bye(struct slot *s);

/* Tell it to stop these jobs. */
void slot_cancel(struct slot *s, const uint64_t *ids, size_t ct);

/* One of our heartbeats has passed. */
void slot_beat(struct slot *s);

/* Send what is batched; wait for the wire when it is full. */
void slot_flush(struct slot *s);

const char *slot_state_name(enum slot_state state);

/* ---------------------------------------------------------------- loss.c
 * What becomes of the jobs of a lost worker. */

void loss_settle(struct slot *s, int status);

/* -------------------------------------------------------------- gather.c
 * Result frames -> ledger. */

/* Read what has arrived, at most `frames_max` frames; false: there is more. */
bool gather_read(struct pm_pool *pool, unsigned frames_max);

/* ------------------------------------------------------------ dispatch.c
 * Queue -> workers. */

void dispatch_run(struct pm_pool *pool);

/* ------------------------------------------------------------------ map.c
 * Source -> ledger; order -> sink. */

/* Take one job from the source into the ledger's queue; false: none now. */
bool map_pull(struct map *m);

/* A job is settled; its result is set. */
void map_settled(struct map *m, struct job *job);

/* Hand out what is in order, then see whether the map has ended. */
void map_deliver(struct map *m);
void map_check_end(struct map *m);

/* End it with an error: forget its jobs, cancel those that run. */
void map_abort(struct map *m, int error);

/* ---------------------------------------------------------- pool_options.c
 * What a pool is opened with. */

/* Check the options, and fill in what they leave to us.  0, PM_EINVAL, PM_ELIMIT
 * or PM_ESYSTEM. */
int pool_options_settle(struct pm_pool_options *options);

/* ----------------------------------------------------------------- pool.c */

/* Have pool_turn() run soon. */
void pool_wake(struct pm_pool *pool);

/* No worker can be had any more: end everything with PM_EWORKERS. */
void pool_break(struct pm_pool *pool, const char *fmt, ...) PM_PRINTF(2, 3);

unsigned pool_ready_ct(const struct pm_pool *pool);

#endif
