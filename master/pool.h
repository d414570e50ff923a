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
 * (and a future where it says map).  Callbacks of libevent change a little state
 * and call pool_wake(); all decisions are made in pool_turn(), once per turn of the
 * loop, in an order that matters: results first (they free credit and window),
 * then deliveries, then dispatch.
 *
 * The host's callbacks are called from the turn, and may call whatever they like:
 * start a map, wait for it, close the pool.  On a base of our own the turn runs
 * outside of event_base_loop(), so that a callback may block: turns nest.  So
 * whoever calls back must expect that anything has changed when the call
 * returns; maps, futures and pools are freed when nobody stands on them.
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
#include "master/lane.h"
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

enum slot_doom {
	DOOM_NONE,
	DOOM_SILENT,
	DOOM_PROTO,
	DOOM_START,
	DOOM_STOP,
	DOOM_MEMORY,
};

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
	bool recycled;       /* DRAINING because it has had its share of jobs */
	bool replaced;       /* and a spare slot has taken its place */
	struct slot *before; /* it has taken the place of this one, which is DRAINING */
	bool untold;         /* DRAINING: it has not been asked, for want of room */
	bool said_bye;
	uint64_t bye_sequence;  /* last frame it says it has sent */
	unsigned silent_beats;  /* of ours, without one of its own; LOST: since then */
	uint64_t jobs_said;     /* the last frame of jobs that it says it has */
	uint64_t jobs_there;    /* the same, a beat of ours ago */
	unsigned stuck_beats;   /* of ours: it said so, and there are more */
	uint64_t results_said;  /* the last frame of results that it says it has sent */
	uint64_t results_here;  /* the last one that was here, a beat of ours ago */
	unsigned missing_beats; /* of ours: it said so, and nothing came */
	bool was_heard;         /* it has said something since our last beat */
	struct list held;       /* jobs sent to it, in that order */
	uint64_t sent_ct;       /* jobs sent to this generation */
	uint64_t taken_ct;      /* jobs sent to any, and not taken back */
	uint64_t recalled_ct;   /* of sent_ct: taken back before they began */
	uint32_t epoch;         /* of the black box: how often that was */
	uint64_t moved_at_us;   /* it has ended a job, or got its first */
	struct credit credit;
	struct buf
		cancels; /* ids of held jobs to be stopped, for the end of the turn */
	bool has_ended;  /* some generation has; and how the last one did: */
	int last_status;
	pid_t last_pid;

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

/* One map in progress: of pm_map() and its relatives, of an iterator, or of
 * pm_map_async(). */
struct map {
	struct waiter waiter;
	struct pm_pool *pool; /* NULL: it was freed */
	struct pm_stream stream;
	bool by_hand; /* an iterator asks for the results */
	bool whole;   /* an array that is taken as one: its jobs have limits */
	struct pm_result *results; /* pm_map(): where to; NULL: to stream.sink */
	void (*on_result)(void *ctx, const struct pm_result *result);
	void *on_result_ctx;
	struct pm_future *future; /* pm_map_async(): of this one */
	struct event *timer;      /* stream.timeout_ms */

	struct lanes *lanes;      /* NULL: it has neither limits nor retries */
	struct event *lane_timer; /* something will be due */
	uint64_t placeless_us;    /* its next job waits for a place since; 0: no */

	struct order order;
	enum source_state source;
	bool sink_waits;
	bool woken;    /* pm_pool_wake() since source or sink was called last */
	bool in_sink;  /* a turn stands in it; a turn inside must not deliver */
	unsigned busy; /* turns that stand in one of its callbacks */
	bool ended;
	bool released;  /* nobody wants it: freed when nothing stands on it */
	bool cancelled; /* pm_pool_cancel() was called */
	bool stopped;   /* by map_stop(), which works once */
	bool stop_due;  /* its open jobs are to be stopped, with: */
	int stop_error; /* of these jobs, and of those never taken; 0: it goes on */
	int error;
	uint64_t pulled, delivered;     /* jobs */
	uint64_t open_bytes;            /* arguments and results of jobs between them */
	uint64_t settled, result_bytes; /* to guess the size of the next result */
};

struct callback;   /* of a future */
struct wait_place; /* the same */

struct pm_future {
	struct waiter waiter;
	struct pm_pool *pool;      /* NULL: it was freed */
	struct list_node link;     /* in pool->futures */
	struct list_node due_link; /* in pool->due */
	bool is_due;
	bool calling;    /* call_back() stands in it */
	unsigned refs;   /* its owner; the pool, until it is done and called back */
	uint64_t job;    /* in the ledger; 0: none */
	struct map *map; /* of pm_map_async(); NULL when it has ended */
	bool done;
	struct pm_result result;
	struct callback *callbacks, **callbacks_end; /* in the order they were added */
	struct wait_place *places; /* in calls that wait for it; none when it is done */
};

/* OPEN -> STOPPING -> ENDING -> OVER */
enum pool_phase {
	POOL_OPEN,
	POOL_STOPPING, /* takes no more jobs; those it has are still under way */
	POOL_ENDING,   /* no job is left: the workers leave */
	POOL_OVER,     /* no worker is left */
};

struct pm_pool {
	/* identity */
	struct pm_pool_options options;
	pthread_t thread;
	pid_t process;       /* a child has a copy of all this, and the same thread */
	unsigned char *mark; /* 1, and 0 in a child; NULL: the kernel must be asked */
	uint8_t nonce[PROTO_NONCE_BYTES];
	struct rundir rundir;
	bool single; /* of pm_process_start(): one worker, and never another one */

	/* state */
	struct slot *slots;
	unsigned slot_ct; /* options.workers, and the spare ones */
	struct ledger ledger;
	size_t forgotten_ct; /* SENT jobs that nobody waits for */
	struct map **maps;   /* in progress; NULL where one has ended */
	size_t map_ct, map_cap;
	size_t lanes_ct; /* of them, those with lanes */
	size_t pull_at;  /* the map whose turn it is to be asked for a job */
	struct list futures;
	struct list due;     /* futures with callbacks to call */
	size_t submitted_ct; /* jobs of pm_submit() that are open */
	void *init_arg;      /* our copy of options.init_arg */
	enum pool_phase phase;
	enum pm_shutdown how; /* from STOPPING on */
	bool abandoned;       /* closed in a callback: free it when that is over */
	unsigned deadlines;   /* passed since ENDING, see shutdown.c */
	unsigned depth;       /* turns under way, one in the other */
	unsigned deciding;    /* callbacks under way in which it cannot be run */
	unsigned waiting;     /* calls that run the loop, likewise */
	uint64_t turn_ct;
	bool all_read; /* the last turn has read all results that there were */
	bool turn_due;
	int broken; /* 0, or why no worker can be had any more */
	char broken_text[256];
	unsigned failed_starts;       /* in a row, of the whole pool */
	bool needs_place;             /* no jobs in advance: a map waits for one */
	struct slot *quarantine;      /* that serves the suspects; NULL: none */
	unsigned next_worker;         /* PM_ROUND_ROBIN */
	struct pm_worker_load *loads; /* PM_OWN_SCHEDULER: scratch */
	uint64_t now_us;              /* of this turn */
	struct pm_pool_stats stats;
	struct buf scratch; /* payload under construction */

	/* links */
	struct event_base *base;
	bool own_base;
	bool whole; /* it was opened as far as its workers */
	int control;
	struct event *control_event;
	struct wire results;
	struct event *results_event;
	struct event *turn_event;
	struct event *beat_timer;
	struct event *memory_timer;   /* of options.worker_memory_bytes */
	struct event *recall_timer;   /* on demand: jobs may have waited long enough */
	struct event *limit_timer;    /* on demand: of ledger.limits */
	uint64_t limit_at_us;         /* when it is due; UINT64_MAX: it does not run */
	struct event *grace_timer;    /* of pm_pool_shutdown() */
	uint64_t grace_end_ms;        /* when it is due */
	struct event *deadline_timer; /* of ENDING */
	struct pollfd_set *pollfd;    /* of pm_pool_fd(); NULL: not asked for */
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

/* The same, and start its successor in a spare slot now, if there is one: jobs that
 * take long must not leave a CPU idle. */
void slot_recycle(struct slot *s);

/* Send it a signal. */
void slot_signal(struct slot *s, int number);

/* One of our heartbeats has passed. */
void slot_beat(struct slot *s);

/* Send what is batched; wait for the wire when it is full. */
void slot_flush(struct slot *s);

/* Be told when its wire takes frames: for the first time, or again. */
void slot_watch_jobs(struct slot *s);

const char *slot_state_name(enum slot_state state);

/* ------------------------------------------------------------ slot_life.c
 * The lifeline of one worker. */

void slot_lifeline_cb(evutil_socket_t fd, short what, void *ctx);

/* Acknowledge its BYE when its last frame was read. */
void slot_check_bye(struct slot *s);

/* Tell it to stop this job, at the end of the turn; and tell it, now. */
void slot_cancel(struct slot *s, uint64_t id);
void slot_send_cancels(struct slot *s);

/* Tell it to leave when it has done its jobs; with a later beat, if it must be. */
void slot_tell_to_leave(struct slot *s);

/* With each beat: are frames missing on either way? */
void slot_look_for_frames(struct slot *s);

/* -------------------------------------------------------------- memory.c
 * What workers take of memory, and too much of it. */

/* Look at it from now on.  0, PM_ENOMEM. */
int memory_watch(struct pm_pool *pool);

/* Bytes without a file, by a line of /proc/PID/statm; 0: it is none. */
uint64_t memory_parse(const char *statm, uint64_t page_bytes);

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

/* Send what the turn has batched: jobs, cancellations; and let those go that have had
 * their share of jobs. */
void dispatch_flush(struct pm_pool *pool);

/* Could some worker begin a job now, without a line? */
bool dispatch_has_place(struct pm_pool *pool);

/* Tell the host's scheduler: a worker came, went, or has ended a job. */
void dispatch_worker_up(const struct slot *s);
void dispatch_worker_down(const struct slot *s);
void dispatch_done(const struct slot *s);

/* Take back from a worker what it has not begun, into the queue. */
void dispatch_recall(struct slot *s);

/* ----------------------------------------------------------------- limit.c
 * Jobs that must have begun by a time. */

/* The parts of the turn: end those that have not; come back for the next one. */
void limit_turn(struct pm_pool *pool);
void limit_arm(struct pm_pool *pool);

/* ---------------------------------------------------------------- cancel.c
 * A job that is to end before its time. */

/* With `error`: now, when no worker has it; else the worker is told, and the
 * result says so when it comes. */
void cancel_job(struct pm_pool *pool, struct job *job, int error);

/* It has not begun, as far as its worker's black box tells. */
bool cancel_is_early(const struct job *job);

/* With `error`, now, wherever it is. */
void cancel_at_once(struct pm_pool *pool, struct job *job, int error, const char *why);

/* Set the error of a result; its bytes are freed. */
void cancel_fill(struct pm_result *result, int error, const char *message);

/* ------------------------------------------------------------------ map.c
 * Source -> ledger; order -> sink. */

/* Begin: 0, PM_ENOMEM.  And end: whatever is open is forgotten. */
int map_open(struct map *m, struct pm_pool *pool, const struct pm_stream *stream);
void map_close(struct map *m);

/* The next job that may begin, of one map after the other: from its source, and into
 * the queue; or from its lanes.  NULL: none now. */
struct job *map_next_job(struct pm_pool *pool);

/* One job from its source into the queue, or into its lane; false: none now. */
bool map_pull(struct map *m);

/* The parts of the turn: hand out what is in order; see what has ended; forget
 * the maps that are closed. */
void map_deliver_all(struct pm_pool *pool);
void map_end_all(struct pm_pool *pool);
void map_sweep(struct pm_pool *pool);

/* Stop its open jobs with `job_error`; the map itself ends with `error`. */
void map_stop(struct map *m, int job_error, int error);

/* End it with an error: forget its jobs, cancel those that run. */
void map_abort(struct map *m, int error);

/* The pool takes no more jobs: read no more from its source. */
void map_shutdown(struct map *m, enum pm_shutdown how);

/* The next done job of an iterator's map, out of the ledger: it is the iterator's
 * then; or NULL. */
struct job *map_take(struct map *m);

/* Free an asynchronous map or an iterator's, now or when nothing stands on it. */
void map_release(struct map *m);

enum { MAP_WINDOW = 65536 }; /* jobs, when nothing else is said */

/* A stream that can be run; with its defaults filled in.  0 or PM_EINVAL. */
int map_check_stream(struct pm_stream *stream, bool by_hand);

/* ------------------------------------------------------------ map_lanes.c
 * Maps whose jobs are in lanes. */

int map_lanes_open(struct map *m);
void map_lanes_close(struct map *m);

/* The lane for this job, NULL: the map has none.  And put the job into it.  0,
 * PM_EINVAL or PM_ENOMEM. */
int map_lanes_find(
	struct map *m, const struct pm_job *from, struct lane **lane, bool *is_new);
void map_lanes_enter(struct map *m, struct lane *lane, bool is_new, struct job *job);

/* The next job of a map with lanes, still in its lane; NULL: none may begin now.
 * The host may refuse it, and then it has its result, or stop its lane: false.  It was
 * sent: say so. */
struct job *map_lane_job(struct map *m);
bool map_admit(struct pm_pool *pool, struct job *job);
void map_begun(struct job *job);

/* Is it of a map with several lanes?  Then it is to wait here, not with a worker. */
bool map_wants_place(const struct job *job);

/* Has the next job of such a map waited too long for a place?  None comes free while
 * others get jobs in advance. */
bool map_needs_place(struct pm_pool *pool);

/* As `again` of struct waiter; the host may also have ended the job. */
bool map_again(struct waiter *waiter, struct job *job);

/* Let go what is due in lanes; come back when more will be. */
void map_turn_lanes(struct pm_pool *pool);
void map_arm_lanes(struct pm_pool *pool);

/* --------------------------------------------------------------- future.c */

/* A map has ended. */
void future_map_ended(struct pm_future *f, const struct map *m);

/* Call back those that are due. */
void future_call_back(struct pm_pool *pool);

/* The pool is freed: what is done stays readable. */
void future_orphan_all(struct pm_pool *pool);

/* Let go of a reference; the last one frees it. */
void future_unref(struct pm_future *f);

/* ----------------------------------------------------------- future_wait.c
 * Waiting for futures. */

/* It is done: tell those who wait for it. */
void future_note_done(struct pm_future *f);

/* ---------------------------------------------------------- pool_options.c
 * What a pool is opened with. */

/* Slots for the successors of workers that have had their share of jobs. */
unsigned pool_options_spares(const struct pm_pool_options *options);

/* Check the options, and fill in what they leave to us.  0, PM_EINVAL, PM_ELIMIT
 * or PM_ESYSTEM. */
int pool_options_settle(struct pm_pool_options *options);

/* ------------------------------------------------------------- shutdown.c */

/* The part of the turn: go on to the next phase when it is time. */
void shutdown_turn(struct pm_pool *pool);

/* Will more workers be needed? */
bool shutdown_needs_workers(const struct pm_pool *pool);

/* No worker can be had: every job ends with that. */
void shutdown_fail_all(struct pm_pool *pool);

/* On the host's base, after a turn: free a pool that was closed in a callback,
 * when it is over.  True: it is gone. */
bool shutdown_free_abandoned(struct pm_pool *pool);

/* ----------------------------------------------------------------- pump.c
 * Who runs the loop. */

/* One turn; see above. */
void pool_turn(struct pm_pool *pool);

/* The callbacks that are due, without a turn.  Nothing in a callback: there they come
 * with the next turn. */
void pool_call_back(struct pm_pool *pool);

/* Run the pool until `done`.  0, PM_ETIMEDOUT, or PM_ESTATE when it cannot be run from
 * here. */
int pool_run_until(
	struct pm_pool *pool, bool (*done)(void *ctx), void *ctx, int timeout_ms);

/* The last words of each public call that runs the pool: free it when a callback
 * has closed it.  Returns `err`. */
int pool_leave(struct pm_pool *pool, int err);

/* May this thread, of this process, do that now?  0, PM_ESTATE, or PM_EINVAL for NULL.
 * And hand in jobs of this task? */
int pool_check_thread(const struct pm_pool *pool);
int pool_check_task(const struct pm_pool *pool, pm_task_fn *task);

/* --------------------------------------------------------------- pollfd.c
 * The pool's descriptors and timers as one descriptor. */

/* While there is such a one: watch `fd`, or no more; be readable now. */
void pollfd_add(struct pm_pool *pool, int fd);
void pollfd_remove(struct pm_pool *pool, int fd);
void pollfd_wake(struct pm_pool *pool);
void pollfd_settle(struct pm_pool *pool); /* after a step: see to the timers */
void pollfd_free(struct pm_pool *pool);

/* ----------------------------------------------------------------- pool.c */

/* Open; `single` as in struct pm_pool. */
int pool_open(struct pm_pool **out, const struct pm_pool_options *options, bool single);
void pool_free(struct pm_pool *pool);

/* Have pool_turn() run soon. */
void pool_wake(struct pm_pool *pool);
void pool_wake_cb(evutil_socket_t fd, short what, void *pool);

/* Enter a job, QUEUED.  0, PM_ETOOBIG or PM_ENOMEM. */
int pool_take_job(struct pm_pool *pool, struct job **out, pm_task_fn *task,
	const struct pm_job *from);

/* ---------------------------------------------------------------- watch.c
 * The events of the pool. */

/* 0 or PM_ENOMEM; stop in both cases. */
int watch_start(struct pm_pool *pool);
void watch_stop(struct pm_pool *pool);

/* ----------------------------------------------------------------- tell.c
 * What a pool says of itself. */

/* No worker can be had any more: end everything with PM_EWORKERS. */
void pool_break(struct pm_pool *pool, const char *fmt, ...) PM_PRINTF(2, 3);

/* A line for options.log. */
void pool_log(struct pm_pool *pool, enum pm_log_level level, const char *fmt, ...)
	PM_PRINTF(3, 4);

unsigned pool_ready_ct(const struct pm_pool *pool);

#endif
