/* SPDX-License-Identifier: MIT
 *
 * poolmap.h - the public interface of libpoolmap.
 *
 * A pool is a set of worker processes, one event loop each.  A job is a task
 * function and bytes; a result is an error or bytes.  Every job gets exactly
 * one result, whatever dies on the way.
 *
 * Two sides live in this header.  "Pool" functions are called by the host
 * program; "task" functions are called inside a task, which runs in a worker.
 *
 * Conventions
 *   - Functions that can fail return 0 or a negative enum pm_error; on failure
 *     their out parameters are left alone.
 *   - Strings are UTF-8 and NUL-terminated; sizes are bytes; times carry their
 *     unit in their name.
 *   - A `timeout_ms` of type int: PM_FOREVER (or any negative number) waits as
 *     long as it takes, 0 only looks.  One of type unsigned: 0 means none.
 *   - A pool belongs to the thread that opened it, and so do its futures and
 *     iterators: another thread gets PM_ESTATE, and so does a process that this
 *     one has forked.  Different threads may have different pools.
 *   - Callbacks may call any function of the library, unless their own comment
 *     says otherwise, with two limits: a pool on the host's own event base cannot
 *     block inside a callback (PM_ESTATE), and nothing here is for signal handlers.
 *   - The library never exits, never prints, installs no signal handler and
 *     does not change the directory.
 */
#ifndef POOLMAP_H
#define POOLMAP_H

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PM_VERSION "0.1.0"

#if defined(__GNUC__)
#define PM_API __attribute__((visibility("default")))
#define PM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PM_MUSTCHECK __attribute__((warn_unused_result))
#else
#define PM_API
#define PM_PRINTF(fmt, args)
#define PM_MUSTCHECK
#endif

/* ------------------------------------------------------------------ limits */

#define PM_WORKERS_MAX 500        /* nanomsg allows 512 sockets a process */
#define PM_CONCURRENCY_MAX 100000 /* tasks running at once in one pool */
#define PM_BYTES_MAX (1u << 30)   /* argument or result of one job */
#define PM_MESSAGE_MAX 1000       /* bytes of an error message */
#define PM_POOLS_MAX 64           /* open at once in one process */
#define PM_WINDOW_MAX (1u << 24)  /* jobs between oldest and newest open one */
#define PM_CHILDREN_MAX 100000    /* child tasks of one job alive at once */
#define PM_THREADS_MAX 32         /* of one worker, see pm_await_thread() */
#define PM_LANE_MAX 255           /* bytes of a lane's name */
#define PM_FOREVER (-1)           /* as a timeout_ms */

/* ------------------------------------------------------------------ errors */

/* What went wrong.  The name of each, as pm_error_name() gives it and as it
 * stands in result files, is in the last column. */
enum pm_error {
	PM_OK = 0,

	/* the pool */
	PM_EINVAL = -1,   /* invalid          an argument makes no sense */
	PM_ENOMEM = -2,   /* no_memory        */
	PM_ESYSTEM = -3,  /* system           a system call failed */
	PM_ESTATE = -4,   /* state            not now, or not from here */
	PM_ENANOMSG = -5, /* nanomsg_live     a live nanomsg socket forbids the fork */
	PM_ETASK = -6,    /* task_unknown     function not in the workers' image */
	PM_ETOOBIG = -7,  /* too_big          argument or result over the limit */
	PM_ELIMIT = -8,   /* limit            a limit of the system is too low */
	PM_EWORKERS = -9, /* workers_failed   workers cannot be kept running */
	PM_EINTERNAL = -10, /* internal         */
	PM_EFULL = -11,     /* full             too many jobs wait: see queue_max */
	PM_ECLOSED = -12,   /* closed           the pool is shutting down */

	/* the end of a job */
	PM_EWORKERLOST = -20, /* worker_lost      its worker died, once too often */
	PM_ECANCELLED = -21,  /* cancelled        */
	PM_EFAILED = -22,     /* failed           the task said so */
	PM_ELEAK = -23,       /* descriptor_leak  the task left descriptors open */

	/* a fetch; the names are the error classes of `poolmap run` */
	PM_EBADURL = -40,      /* bad_url          */
	PM_ESCHEME = -41,      /* scheme           neither http nor https */
	PM_EDNS = -42,         /* dns              */
	PM_ECONNECT = -43,     /* connect          */
	PM_ETLS = -44,         /* tls              */
	PM_ETIMEDOUT = -45,    /* timeout          */
	PM_ESTALLED = -46,     /* stalled          */
	PM_ERESET = -47,       /* reset            the connection broke */
	PM_ETRUNCATED = -48,   /* truncated        fewer bytes than announced */
	PM_EBADRESPONSE = -49, /* bad_response     not HTTP, or broken HTTP */
	PM_EREDIRECTS = -50,   /* too_many_redirects */
	PM_EBODYSIZE = -51,    /* body_too_large   */
	PM_EHEADERSIZE = -52,  /* headers_too_large */
	PM_EDENIED = -53,      /* denied_address   */
};

/* What the number in `code` of an error counts. */
enum pm_domain {
	PM_DOMAIN_NONE = 0,   /* nothing: code is 0 */
	PM_DOMAIN_ERRNO = 1,  /* an errno value */
	PM_DOMAIN_CURL = 2,   /* a CURLcode */
	PM_DOMAIN_SIGNAL = 3, /* the signal that ended the worker */
	PM_DOMAIN_EXIT = 4,   /* the exit status of the worker */
	PM_DOMAIN_TASK = 5,   /* a number of the task's own, see pm_fail() */
};

/* Name of an error ("timeout") or of a domain ("curl"); "unknown" for any
 * other number.  Static strings; never NULL. */
PM_API const char *pm_error_name(int error);
PM_API const char *pm_domain_name(int domain);

/* One sentence on an error, for people.  Static; never NULL. */
PM_API const char *pm_error_text(int error);

/* What the last failed pool call of this thread has to add ("cannot create
 * /tmp/x: No space left on device").  Never NULL; empty when there is nothing.
 * Valid until the thread's next call into the library. */
PM_API const char *pm_last_error(void);

/* Version of the library that is linked, and of the libraries under it, as
 * "poolmap 0.1.0 libcurl/7.88.1 OpenSSL/3.0.11 ...".  Static; never NULL. */
PM_API const char *pm_version_text(void);

/* -------------------------------------------------------------------- pool */

typedef struct pm_pool pm_pool;
typedef struct pm_task pm_task;

/* A task: runs in a worker, once per job, as a coroutine.  `arg` is a copy of
 * the job's bytes, aligned for any type and followed by a NUL that `len` does
 * not count; it lives as long as the task.  Returns 0, or a negative enum
 * pm_error, which fails the job.
 *
 * A task shares its worker with many others.  It must not block: it waits
 * with pm_sleep(), pm_await_fetch() and the like, and the worker goes on with
 * other jobs meanwhile. */
typedef int pm_task_fn(pm_task *task, const void *arg, size_t len);

struct event_base;
struct pm_job;
struct pm_failure;

/* In each new worker, before its first job and after its last one.  Both may call
 * pm_worker_base(), pm_worker_set_data(), pm_worker_data() and the functions that
 * make and free sessions and semaphores, the initializer also pm_worker_fail();
 * nothing can be awaited.  An initializer that returns a negative enum pm_error
 * makes the start of the worker fail; it must end within start_timeout_ms.  `arg`
 * is a copy of init_arg, aligned for any type.  The finalizer runs when a worker
 * ends in an orderly way; not when it dies or is killed. */
typedef int pm_init_fn(const void *arg, size_t len);
typedef void pm_fini_fn(void);

/* In the worker, once for each job that began there and failed, on the task's stack,
 * before the result is sent; for logs and counters.  It must not await. */
typedef void pm_job_error_fn(pm_task *task, const struct pm_failure *failure);

/* In the host: one line on what happens in the pool ("worker 3 (pid 4711) died by
 * signal 11 (Segmentation fault), 5 jobs run again").  It may be called from any
 * function of the pool, and may call what does not block; what does gets PM_ESTATE. */
enum pm_log_level { PM_LOG_INFO = 0, PM_LOG_WARNING = 1, PM_LOG_ERROR = 2 };
typedef void pm_log_fn(void *ctx, enum pm_log_level level, const char *line);

/* Which worker gets the next job. */
enum pm_schedule {
	PM_LEAST_LOADED = 0, /* the one that holds least */
	PM_ROUND_ROBIN = 1,  /* the next one that has room */
	PM_OWN_SCHEDULER = 2,
};

/* A worker as a scheduler sees it. */
struct pm_worker_load {
	bool has_room;        /* it can take a job now */
	unsigned held;        /* jobs it has: running or next in line */
	unsigned concurrency; /* jobs it runs at once */
	uint64_t taken;       /* jobs it ever got, but those taken back */
};

/* A scheduler of the host's own.  All functions but `pick` may be NULL.  They are
 * called from the pool's loop, and may call no function of the pool.  `pick`
 * returns a worker that has room; any other number leaves the job for the pool's
 * next turn, which comes when a job ends, or soon.  job_done: a worker has ended one of
 * its jobs, or has given one back that it had not begun, about which `pick` may be asked
 * again; of the jobs that a lost worker had, worker_down is all that is said. */
struct pm_scheduler {
	int (*pick)(void *ctx, const struct pm_job *job,
		const struct pm_worker_load *loads, unsigned worker_ct);
	void (*worker_up)(void *ctx, unsigned worker);
	void (*worker_down)(void *ctx, unsigned worker);
	void (*job_done)(void *ctx, unsigned worker);
	void *ctx;
};

struct pm_pool_options {
	size_t size;               /* sizeof(struct pm_pool_options), set by init */
	unsigned workers;          /* processes; 0: pm_cpus() */
	unsigned concurrency;      /* tasks running at once, in the whole pool */
	size_t max_bytes;          /* largest argument and largest result of a job */
	size_t stack_bytes;        /* stack of one task */
	unsigned files_per_task;   /* descriptors one task may need at once */
	unsigned start_timeout_ms; /* a new worker must be ready within */
	unsigned hang_timeout_ms;  /* a worker silent for longer is killed; 0: never */
	struct event_base *base;   /* run on this libevent base; NULL: an own one */
	const char *runtime_dir;   /* parent of the pool's sockets; NULL: see below */

	/* jobs */
	unsigned max_jobs_per_worker; /* then it is replaced, exactly then, by one that
					 starts while it finishes; 0: never */
	size_t worker_memory_bytes;   /* one that takes more is killed, see below */
	unsigned job_timeout_ms;      /* for jobs without one of their own; 0: none */
	size_t queue_max;             /* jobs of pm_submit() open at once */
	bool once;                    /* every job is marked once, see struct pm_job */
	bool check_descriptors;       /* PM_ELEAK, see below */
	enum pm_schedule schedule;
	const struct pm_scheduler *scheduler; /* for PM_OWN_SCHEDULER */

	/* in each worker */
	pm_init_fn *init; /* or NULL */
	pm_fini_fn *fini; /* or NULL */
	const void *init_arg;
	size_t init_len; /* at most max_bytes */
	pm_job_error_fn *on_job_error;

	/* in the host */
	pm_log_fn *log; /* NULL: nothing is said */
	void *log_ctx;
};

/* Defaults: workers 0, concurrency 128, max_bytes 64 MiB, stack_bytes 256 KiB,
 * files_per_task 1, start_timeout_ms 10000, hang_timeout_ms 10000, queue_max
 * 65536, an own base, everything else none.  The sockets' directory is made, with
 * mode 0700, in the first of $XDG_RUNTIME_DIR, $TMPDIR and /tmp that can be used.
 *
 * worker_memory_bytes, 0 for any or at least 32 MiB, is about the memory of a worker
 * that belongs to no file and is not swapped out.  The master looks every 100 ms, in
 * /proc, and only while the pool's loop runs: a task can take more for that long.  The
 * jobs of a worker that is killed for it run again as after any other death:
 * PM_EWORKERLOST is for the one that did it.
 *
 * What the options point to is copied, but for `scheduler`, which must live as
 * long as the pool.
 *
 * check_descriptors looks for descriptors that a task left open, after each task
 * that ran alone in its worker, at the cost of some system calls for each: for
 * tests.  The job fails with PM_ELEAK, which names them; they are closed.  Sockets are
 * not looked at in a worker that has fetched, as libcurl keeps some open. */
PM_API void pm_pool_options_init(struct pm_pool_options *options);

/* CPUs that this process may really use: scheduling affinity, and the quota of
 * its cgroup rounded up.  At least 1. */
PM_API unsigned pm_cpus(void);

/* Start the forkserver, the single-threaded process that all workers are
 * forked from.  The first pm_pool_open() does it otherwise.  Programs that use
 * threads, or nanomsg themselves, call it first thing in main().
 *
 * Workers are images of the process at this moment: what main() has set up
 * before is visible in tasks, what changes later is not.  Task functions must
 * be mapped by now (a library opened later by dlopen() is too late).
 *
 * Calling it again does nothing.  Errors: PM_ENANOMSG, PM_ESYSTEM. */
PM_API int pm_forkserver_start(void) PM_MUSTCHECK;

/* Open a pool and start its workers.  Returns when the first worker is ready.
 * `options` NULL means the defaults.  Blocks for at most start_timeout_ms for
 * each failed start.
 *
 * Errors: PM_EINVAL (an option is out of range), PM_ELIMIT (RLIMIT_NOFILE too low
 * for the concurrency, or PM_POOLS_MAX pools open already), PM_EWORKERS (no worker
 * would start), and those of pm_forkserver_start(). */
PM_API int pm_pool_open(
	pm_pool **pool, const struct pm_pool_options *options) PM_MUSTCHECK;

/* How a pool ends. */
enum pm_shutdown {
	PM_DRAIN = 0,         /* every job that was taken runs */
	PM_CANCEL_UNSENT = 1, /* jobs that no worker has yet are cancelled */
	PM_CANCEL_QUEUED = 2, /* jobs that have not begun are cancelled */
	PM_CANCEL_ALL = 3,    /* those that run, too */
};

/* Take no more jobs (PM_ECLOSED), read no more from sources, and end the workers
 * when the last job has its result.  After `grace_ms` (0: at once; PM_FOREVER:
 * never) workers are killed and what is still open ends as cancelled.  Does not
 * block; every open job gets its result.  A second call can only make it harder. */
PM_API int pm_pool_shutdown(pm_pool *pool, enum pm_shutdown how, int grace_ms);

/* Wait until a pool that was shut down has no job and no worker left; results and
 * callbacks are delivered meanwhile.  Errors: PM_ESTATE (it was not shut down),
 * PM_ETIMEDOUT.  Blocks. */
PM_API int pm_pool_join(pm_pool *pool, int timeout_ms) PM_MUSTCHECK;

/* Shut down with PM_DRAIN and PM_FOREVER, join, free the pool and set *pool to
 * NULL.  Futures of it stay readable until they are freed.  NULL is fine.
 *
 * In a callback it cannot wait: there it begins, and the pool is freed when the
 * blocking call that the callback came from returns, or, on the host's base, by
 * that base, when the last worker has gone.
 *
 * It waits for sinks, too: one that says "wait" must be woken by another callback, or
 * its map be cancelled before. */
PM_API void pm_pool_close(pm_pool **pool);

/* The same with PM_CANCEL_ALL and a grace of 0: workers are killed, open jobs end as
 * cancelled. */
PM_API void pm_pool_terminate(pm_pool **pool);

struct pm_pool_stats {
	unsigned workers;          /* slots of the pool */
	unsigned workers_ready;    /* they take jobs now */
	unsigned concurrency;      /* tasks running at once */
	unsigned held;             /* jobs with workers: running or next in line */
	size_t queued;             /* jobs that wait for a worker */
	uint64_t jobs;             /* jobs taken so far */
	uint64_t results;          /* results settled so far */
	uint64_t workers_lost;     /* workers that ended unasked */
	uint64_t workers_recycled; /* replaced after max_jobs_per_worker */
	uint64_t retries;          /* jobs that a stream's retry() ran again */
	uint64_t jobs_rerun;       /* jobs begun again after a lost worker */
	uint64_t frames_dropped;   /* and results: not current, or not well-formed */
};
PM_API void pm_pool_stats(const pm_pool *pool, struct pm_pool_stats *stats);

struct pm_worker_info {
	long pid;        /* 0: there is no process now */
	unsigned starts; /* processes that this slot has had */
	bool ready;
	unsigned held;  /* jobs it has */
	uint64_t taken; /* jobs that this process got, but those taken back */
	bool ended;     /* one has ended before; then how the last one did: */
	int exit_code;  /* its status, or minus the signal that killed it */
};
/* About the worker in slot 0 ... workers - 1.  With max_jobs_per_worker there are up to
 * as many more slots, in which successors start while their predecessors finish.
 * PM_EINVAL: there is no such slot. */
PM_API int pm_worker_info(
	const pm_pool *pool, unsigned worker, struct pm_worker_info *info);

/* ------------------------------------------------------- into the host's loop
 *
 * Three ways.  Blocking calls run the pool themselves.  With options.base, the pool
 * lives on the host's libevent base: the host runs that, and results arrive in
 * callbacks (pm_future_on_done(), the sink of pm_map_async()).  With any other
 * loop, watch the descriptor for reading and call pm_pool_step(). */

/* A descriptor that is readable when pm_pool_step() has something to do, timers
 * included.  It belongs to the pool: only poll it.  PM_ESTATE on a host's base. */
PM_API int pm_pool_fd(pm_pool *pool);

/* Do what can be done now, callbacks included, without blocking; but when one of them
 * closes the pool, its end is waited for.  0, PM_ESTATE, or PM_EWORKERS when the pool
 * is broken. */
PM_API int pm_pool_step(pm_pool *pool);

/* --------------------------------------------------------------- job, result */

/* A job that is marked `once` runs at most once: when its worker is lost after it
 * had begun, it fails as PM_EWORKERLOST - even if it had ended, and only its
 * result was lost with the worker.  Any other job runs again. */
struct pm_job {
	const void *arg; /* bytes for the task; copied at once */
	size_t len;
	bool once;           /* must not run twice, see above */
	unsigned timeout_ms; /* one attempt may run for; 0: the pool's.  Then it is
				cancelled, so one that never waits runs on */
	unsigned queue_timeout_ms; /* until it begins, see below; 0: its map's */
	uint64_t tag;              /* the host's own, comes back in the result */
	const char *lane;          /* its lane in a stream, copied; NULL: none */
	size_t lane_len;           /* at most PM_LANE_MAX */
};

/* queue_timeout_ms is the time from handing a job in, or taking it from its source, to
 * the beginning of its first attempt.  When it is over, a job that has not begun ends
 * as PM_ETIMEDOUT, with a message that says how long it waited, and never begins:
 * also when it is next in line with a worker, which then gives back what it has not
 * begun.  The jobs of pm_map_with() are all handed in when it is called.  A job that
 * has begun in time is not touched, however long it takes, nor is what comes after its
 * first attempt: a retry, or another run because its worker was lost.  `admit` may
 * not have been asked about such a job, and `retry` is not.  The pool keeps the time
 * while its loop runs; what a worker begins while it does not, has begun. */

/* A job whose argument is the struct (or array, not pointer) `x`. */
#ifndef __cplusplus
#define PM_JOB(x) ((struct pm_job){.arg = &(x), .len = sizeof(x)})
#endif

struct pm_result {
	uint64_t index;      /* place of the job in its map: 0, 1, 2 ... */
	int error;           /* 0 or a negative enum pm_error */
	int domain, code;    /* enum pm_domain and what it counts */
	const char *message; /* for people; NULL: no error, or no memory */
	void *bytes;         /* what pm_return() gave, followed by a NUL; or NULL */
	size_t len;
	const void *arg; /* the job's bytes, in results of streams; else NULL */
	size_t arg_len;
	int worker;        /* slot that ran it, or -1 */
	unsigned attempts; /* times it was handed to a worker */
	uint64_t tag;      /* of the job */
};

/* Run `task` over `ct` jobs and wait for all of them.  results[i] belongs to
 * jobs[i].  A failed job is a value in `results`, not an error of the call.
 * On success the caller owns the results: pm_results_clear() frees what is
 * in them.  On error `results` is left alone.
 *
 * Blocks; runs the pool's event base meanwhile.  Errors: PM_ETASK, PM_ETOOBIG,
 * PM_ENOMEM, PM_EWORKERS, PM_ECLOSED, PM_ESTATE. */
PM_API int pm_map(pm_pool *pool, pm_task_fn *task, const struct pm_job *jobs, size_t ct,
	struct pm_result *results) PM_MUSTCHECK;
PM_API void pm_results_clear(struct pm_result *results, size_t ct);

/* What ends a map before all its jobs have run.  The others are then cancelled, and
 * each still gets its result: PM_ECANCELLED. */
enum pm_stop {
	PM_STOP_NEVER = 0,
	PM_STOP_FIRST_ERROR = 1,
	PM_STOP_FIRST_SUCCESS = 2,
};

/* All zero is pm_map(). */
struct pm_map_options {
	enum pm_stop stop_on;
	unsigned timeout_ms;       /* for the whole map: jobs that are open then end as
				      PM_ETIMEDOUT; 0: none */
	unsigned queue_timeout_ms; /* of jobs without one of their own; 0: none */
	/* called as each job ends, in that order, before pm_map_with() returns; the
	 * result is valid during the call; or NULL */
	void (*on_result)(void *ctx, const struct pm_result *result);
	void *ctx;
};

/* pm_map() with options.  A map that is stopped is no failed call: returns 0, and the
 * results tell. */
PM_API int pm_map_with(pm_pool *pool, pm_task_fn *task, const struct pm_job *jobs,
	size_t ct, const struct pm_map_options *options,
	struct pm_result *results) PM_MUSTCHECK;

/* pm_map() over `ct` structs of `size` bytes each, one after the other in memory. */
PM_API int pm_starmap(pm_pool *pool, pm_task_fn *task, const void *structs, size_t size,
	size_t ct, struct pm_result *results) PM_MUSTCHECK;

/* pm_map() over strings; the task's `arg` is the string, `len` its strlen(). */
PM_API int pm_map_strings(pm_pool *pool, pm_task_fn *task, const char *const *strings,
	size_t ct, struct pm_result *results) PM_MUSTCHECK;

/* Run one job and wait for it: pm_map() of one. */
PM_API int pm_apply(pm_pool *pool, pm_task_fn *task, const void *arg, size_t len,
	struct pm_result *result) PM_MUSTCHECK;

/* Where the jobs of a stream come from.  Called when the pool has room.
 * Fills *job (valid until the next call) and returns PM_SOURCE_JOB; or
 * PM_SOURCE_END; or PM_SOURCE_WAIT when it has nothing yet, and then calls
 * pm_pool_wake() when it has; or a negative enum pm_error, which ends the map
 * as if the source had ended there. */
enum pm_source_step { PM_SOURCE_END = 0, PM_SOURCE_JOB = 1, PM_SOURCE_WAIT = 2 };
typedef int pm_source_fn(void *ctx, struct pm_job *job);

/* Where the results go: once per job, in the order of the jobs unless the
 * stream is unordered.  `result` and all it points to are valid during the
 * call.  Returns PM_SINK_TAKEN; or PM_SINK_WAIT when it cannot take it now, to
 * be asked again after pm_pool_wake(); or a negative enum pm_error, which
 * cancels what is open and ends the map. */
enum pm_sink_step { PM_SINK_TAKEN = 0, PM_SINK_WAIT = 1 };
typedef int pm_sink_fn(void *ctx, const struct pm_result *result);

/* Jobs of a stream may be in lanes, one for each host for example.  The jobs of a lane
 * share its limits, which hold across all workers.  The lane that has the fewest jobs
 * with workers goes first; but lanes whose jobs take four times as long as the average
 * have one place in 40 each, and one in eight together, while others have jobs to
 * begin, and a new lane begins one job for 40 places until one has ended, for at most
 * half a second.  So a slow one costs the others little.  For that the source is read
 * some thousand jobs ahead.  Jobs of no lane share one that has no limits.
 *
 * lane_new, admit and retry are called while the pool decides.  They may call what does
 * not block, such as pm_submit() and pm_lane_set(); what does gets PM_ESTATE there,
 * even in a pool of its own base. */
struct pm_lane_limits {
	unsigned concurrency; /* of its jobs with workers at once; 0: no limit */
	double rate;          /* of its jobs that begin in a second; 0: no limit */
	bool hold;            /* none begins until pm_lane_set() says otherwise */
};

/* A lane has its first job, or has one again after it had none: fill in its limits,
 * which are zero.  `lane` ends with a NUL. */
typedef void pm_lane_fn(void *ctx, const char *lane, struct pm_lane_limits *limits);

/* A job is about to begin for the first time: 0; or a negative enum pm_error, and that
 * is its result, with `message` for people if that is set (copied).  Of a job that was
 * admitted it is not asked again, also when its lane was stopped meanwhile. */
typedef int pm_admit_fn(void *ctx, const struct pm_job *job, const char **message);

/* A job has ended: shall it run again?  True: after delay_ms, meanwhile it takes no
 * place with a worker; what it has added with pm_emit() is dropped.  In either case its
 * lane begins nothing for lane_delay_ms.  Not asked about jobs that admit refused, that
 * have cost a worker (PM_EWORKERLOST, or PM_ETIMEDOUT when it had to be killed), that
 * were cancelled, or of a map that is ending. */
struct pm_retry {
	unsigned delay_ms;
	unsigned lane_delay_ms;
};
typedef bool pm_retry_fn(
	void *ctx, const struct pm_result *result, struct pm_retry *retry);

struct pm_stream {
	pm_task_fn *task;
	pm_source_fn *source;
	pm_sink_fn *sink;
	void *ctx;                 /* for source and sink */
	bool unordered;            /* results as they complete */
	size_t window;             /* jobs open at once, oldest to newest; 0: 65536 */
	size_t window_bytes;       /* their arguments and results; 0: 256 MiB */
	void (*turn)(void *ctx);   /* after each batch of results, to flush; or NULL */
	enum pm_stop stop_on;      /* then the source is read no further */
	unsigned timeout_ms;       /* of the whole map, as in struct pm_map_options */
	unsigned queue_timeout_ms; /* as there */

	/* lanes and retries, see below */
	double rate; /* jobs that begin in a second, in all lanes; 0: no limit */
	pm_lane_fn *lane_new;
	pm_admit_fn *admit;
	pm_retry_fn *retry;
};

/* Run a lazy stream of jobs through the pool.  The source is read no further
 * than the window allows, so memory does not grow with the number of jobs: at
 * most `window` jobs are open, and no job is taken while their bytes exceed
 * window_bytes.  What runs then may still add its results to that.
 *
 * Blocks until the source has ended and every result is delivered; runs the pool's
 * event base meanwhile.  Several maps may be in progress on one pool: they take
 * turns.  Returns 0; the source's or the sink's error; the error of the job that
 * stopped it, or PM_ETIMEDOUT; PM_ECANCELLED after pm_pool_cancel(); or as
 * pm_map(). */
PM_API int pm_map_stream(pm_pool *pool, const struct pm_stream *stream) PM_MUSTCHECK;

/* Two sources that are there already, over arrays of the caller's:
 *   struct pm_array in = {.jobs = jobs, .ct = 10};
 *   struct pm_stream stream = {.source = pm_array_next, .ctx = &in, ...}; */
struct pm_array {
	const struct pm_job *jobs;
	size_t ct, next;
};
struct pm_strings {
	const char *const *strings;
	size_t ct, next;
};
PM_API int pm_array_next(void *array, struct pm_job *job);
PM_API int pm_strings_next(void *strings, struct pm_job *job);

/* Change the limits of a lane in all streams in progress.  One that has no jobs is not
 * there: then nothing changes.  Call it like pm_pool_wake(). */
PM_API void pm_lane_set(
	pm_pool *pool, const char *lane, const struct pm_lane_limits *limits);

/* Ask sources and sinks that said "wait" again, soon.  From any callback on
 * the pool's event base; not from another thread, not from a signal handler. */
PM_API void pm_pool_wake(pm_pool *pool);

/* End the maps in progress with PM_ECANCELLED: nothing more is delivered, what
 * runs is told to stop.  Jobs of pm_submit() go on.  Call it like pm_pool_wake(). */
PM_API void pm_pool_cancel(pm_pool *pool);

/* ---------------------------------------------------------------- iterators */

/* The same lazy stream, but the results are asked for: stream->sink and
 * stream->turn are NULL.  Jobs begin at once, and the window bounds what is done
 * and not asked for.  The stream is copied; what its ctx points to must live until
 * pm_iter_close(). */
typedef struct pm_iter pm_iter;
PM_API int pm_imap(
	pm_pool *pool, const struct pm_stream *stream, pm_iter **iter) PM_MUSTCHECK;

/* The next result: in the order of the jobs unless the stream is unordered.  Returns
 * PM_NEXT_RESULT and the result, which is valid until the next call for this iterator;
 * PM_NEXT_END; PM_NEXT_WAIT when none came within timeout_ms; or a negative enum
 * pm_error: what ended the map, see pm_map_stream(), once the results before it were
 * given.  PM_ESTATE and PM_EINVAL may also mean this call, and end nothing.  Blocks. */
enum pm_next_step { PM_NEXT_END = 0, PM_NEXT_RESULT = 1, PM_NEXT_WAIT = 2 };
PM_API int pm_next(
	pm_iter *iter, int timeout_ms, const struct pm_result **result) PM_MUSTCHECK;

/* Cancel what is open, free the iterator and set *iter to NULL.  NULL is fine. */
PM_API void pm_iter_close(pm_iter **iter);

/* ------------------------------------------------------------------ futures */

/* A job, or a map, that is under way. */
typedef struct pm_future pm_future;

enum pm_state {
	PM_QUEUED = 0,  /* waits for a worker */
	PM_SENT = 1,    /* with a worker, next in line */
	PM_RUNNING = 2, /* begun; a map: in progress */
	PM_DONE = 3,
};
/* "queued", "sent" ...; "unknown" for any other number.  Static; never NULL. */
PM_API const char *pm_state_name(int state);

/* Hand in one job and go on.  Nothing is delivered before a blocking call runs the
 * pool, or the host's loop does.  Errors: PM_EFULL (queue_max jobs are open), and those
 * of pm_map().  `future` may be NULL: the job runs, nobody learns how it ended. */
PM_API int pm_submit(pm_pool *pool, pm_task_fn *task, const struct pm_job *job,
	pm_future **future) PM_MUSTCHECK;

/* Start a map and go on.  The stream is copied; what its ctx points to must live
 * until the map has ended.  The future is done when everything is delivered; its
 * result's error is what pm_map_stream() would have returned, its index the number
 * of results delivered. */
PM_API int pm_map_async(
	pm_pool *pool, const struct pm_stream *stream, pm_future **future) PM_MUSTCHECK;

PM_API enum pm_state pm_future_state(const pm_future *future);

/* The result; NULL until it is done.  Valid until pm_future_free(). */
PM_API const struct pm_result *pm_future_result(const pm_future *future);

/* Call `done` when it is done: once for each call of this function, in their order,
 * from the pool's loop; never from inside this function, also when it is done
 * already.  pm_wait() for it returns behind them, but for one in a callback.  The
 * future is valid in `done`, even if its owner has freed it before.  0 or PM_ENOMEM. */
typedef void pm_done_fn(pm_future *future, void *ctx);
PM_API int pm_future_on_done(pm_future *future, pm_done_fn *done, void *ctx);

/* Stop it.  A job that is queued ends as PM_ECANCELLED now (its callbacks come from the
 * loop); one that runs is told to, and is done when its worker says so; it may still
 * succeed.  A map ends like after pm_pool_cancel().  0, or PM_ESTATE when it is done
 * already. */
PM_API int pm_future_cancel(pm_future *future);

/* Give up the handle; *future becomes NULL.  A job that is not done goes on, and
 * so do the callbacks.  NULL is fine. */
PM_API void pm_future_free(pm_future **future);

enum pm_wait_for {
	PM_ALL = 0,         /* all are done */
	PM_ANY = 1,         /* at least one is */
	PM_FIRST_ERROR = 2, /* one is done and failed, or all are done */
};

/* Wait for futures of one pool.  On 0, *which (or NULL) is the place of one that is
 * done: the failed one for PM_FIRST_ERROR, if there is one; `ct` when `ct` is 0.
 * Errors: PM_ETIMEDOUT, PM_EINVAL (of different pools, or PM_ANY of none),
 * PM_EWORKERS.  Blocks. */
PM_API int pm_wait(pm_future *const *futures, size_t ct, enum pm_wait_for what,
	int timeout_ms, size_t *which) PM_MUSTCHECK;

/* Wait until `count` of the futures are done, or more; of those that are,
 * pm_future_state() tells.  One that stands there twice counts twice.  Errors: as
 * pm_wait(); PM_EINVAL also when `count` exceeds `ct`.  Blocks. */
PM_API int pm_wait_count(pm_future *const *futures, size_t ct, size_t count,
	int timeout_ms) PM_MUSTCHECK;

/* Wait until pm_submit() has room again: fewer than queue_max jobs are open.  0 or
 * PM_ETIMEDOUT.  Blocks. */
PM_API int pm_pool_wait_room(pm_pool *pool, int timeout_ms) PM_MUSTCHECK;

/* ----------------------------------------------------------- single processes */

/* One task in a process of its own: a fresh worker, which ends with it.  The
 * functions that wait run the process's own loop; they can be mixed with those of
 * pools.  The task never runs twice.  `name` is copied; NULL: "".  Errors: those of
 * pm_pool_open() and pm_map(). */
typedef struct pm_process pm_process;
PM_API int pm_process_start(pm_process **process, pm_task_fn *task, const void *arg,
	size_t len, const char *name) PM_MUSTCHECK;

PM_API const char *pm_process_name(const pm_process *process); /* as it was given */
PM_API long pm_process_pid(const pm_process *process); /* also when it is over */
PM_API bool pm_process_alive(pm_process *process);

/* Wait for its end.  0 or PM_ETIMEDOUT; the process goes on then. */
PM_API int pm_process_join(pm_process *process, int timeout_ms) PM_MUSTCHECK;

/* SIGTERM, which it dies of, and SIGKILL.  One that is over stays so. */
PM_API int pm_process_terminate(pm_process *process);
PM_API int pm_process_kill(pm_process *process);

/* Of one that is over: 0, another exit status, or minus the signal that it died
 * of.  PM_ESTATE while it is alive. */
PM_API int pm_process_exit_code(pm_process *process, int *exit_code);

/* The task's result: its bytes or its error (PM_EWORKERLOST when the process died);
 * NULL until pm_process_join() or pm_process_alive() has seen the end. */
PM_API const struct pm_result *pm_process_result(const pm_process *process);

/* Free it and set *process to NULL; PM_ESTATE while it is alive.  NULL is fine. */
PM_API int pm_process_close(pm_process **process);

/* -------------------------------------------------------------- in a task */

/* Set the result.  The bytes are copied; a second call replaces the first.
 * Returns 0, PM_ETOOBIG or PM_ENOMEM, so that a task can end with
 * `return pm_return(task, bytes, len);`. */
PM_API int pm_return(pm_task *task, const void *bytes, size_t len);

/* Fail the job with PM_EFAILED, a number of the task's own and a message, cut
 * between characters to PM_MESSAGE_MAX bytes.  Returns PM_EFAILED, so that a task
 * can end with `return pm_fail(task, 7, "no price in %s", url);`. */
PM_API int pm_fail(pm_task *task, int code, const char *fmt, ...) PM_PRINTF(3, 4);

/* Wait for `ms` milliseconds.  Returns 0, or PM_ECANCELLED when the job was
 * cancelled meanwhile: the task should then clean up and return it. */
PM_API int pm_sleep(pm_task *task, unsigned ms);

/* About the job: slot of this worker; which attempt this is (1, 2, ...); how
 * long it waited since it was handed in or taken from its source, in
 * microseconds. */
PM_API unsigned pm_task_worker(const pm_task *task);
PM_API unsigned pm_task_attempt(const pm_task *task);
PM_API uint64_t pm_task_queued_us(const pm_task *task);

/* ------------------------------------------------------------------ children
 *
 * A task may start others beside itself, in the same worker, and wait for them: they
 * are tasks like any other, with a result of their own, but no jobs: the pool does not
 * see them, and they do not count for its concurrency.  A task ends after its
 * children: those that are left when its function returns are cancelled and waited
 * for. */

/* Start a child, which runs when this task waits.  The argument is copied.  *child
 * belongs to `task`, until the end of `task` or pm_child_free(); NULL: nobody asks.  A
 * child for whose stack there is no memory fails with PM_ENOMEM.  Errors: PM_ELIMIT
 * (there are PM_CHILDREN_MAX), PM_ENOMEM, PM_EINVAL, PM_ESTATE (`task` has ended). */
PM_API int pm_spawn(pm_task *task, pm_task_fn *fn, const void *arg, size_t len,
	pm_task **child) PM_MUSTCHECK;

/* Wait for all of them.  0, whatever became of them: pm_child_result() tells;
 * PM_ECANCELLED when `task` was cancelled; or PM_EINVAL: one is not its child. */
PM_API int pm_gather(pm_task *task, pm_task *const *children, size_t ct) PM_MUSTCHECK;

/* Wait for some of them: as pm_wait().  PM_ETIMEDOUT leaves them running. */
PM_API int pm_wait_children(pm_task *task, pm_task *const *children, size_t ct,
	enum pm_wait_for what, int timeout_ms, size_t *which) PM_MUSTCHECK;

/* Wait until `count` of them have ended, or more: as pm_wait_count(). */
PM_API int pm_wait_children_count(pm_task *task, pm_task *const *children, size_t ct,
	size_t count, int timeout_ms) PM_MUSTCHECK;

/* Wait for one; on time-out it is cancelled, and waited for.  Returns its error, with
 * its details in pm_task_failure(task), or PM_ETIMEDOUT or PM_ECANCELLED; 0 also when
 * it succeeded in spite of the cancellation. */
PM_API int pm_await_child(pm_task *task, pm_task *child, int timeout_ms) PM_MUSTCHECK;

/* How it ended: error, domain, code, message, bytes and len are set.  NULL while it
 * runs. */
PM_API const struct pm_result *pm_child_result(const pm_task *child);

/* Tell it to stop: its present wait, and each one after that, returns
 * PM_ECANCELLED.  One that has not begun never will. */
PM_API void pm_child_cancel(pm_task *child);

/* Give its memory back early; one that runs is cancelled.  NULL is fine. */
PM_API void pm_child_free(pm_task *child);

/* --------------------------------------------------------------- semaphores */

/* At most `permits` tasks of this worker between acquire and release.  First come,
 * first served.  Of this worker: usable in any of its tasks; pm_semaphore_free()
 * while tasks wait makes them fail with PM_ECANCELLED. */
typedef struct pm_semaphore pm_semaphore;
PM_API pm_semaphore *pm_semaphore_new(unsigned permits); /* NULL: no memory */
PM_API void pm_semaphore_free(pm_semaphore *semaphore);
PM_API int pm_semaphore_acquire(pm_task *task, pm_semaphore *semaphore) PM_MUSTCHECK;
PM_API void pm_semaphore_release(pm_semaphore *semaphore);

/* ------------------------------------------- descriptors, threads, callbacks */

enum { PM_READ = 1, PM_WRITE = 2 };

/* Wait until a descriptor of the task's own can be read or written without
 * blocking.  Returns what it is ready for (PM_READ, PM_WRITE or both),
 * PM_ETIMEDOUT, PM_ECANCELLED, PM_EINVAL (not an open descriptor, or one that
 * cannot be polled). */
PM_API int pm_await_fd(
	pm_task *task, int fd, unsigned events, int timeout_ms) PM_MUSTCHECK;

/* Run a blocking function on a thread of this worker and wait for its end.  There are
 * at most PM_THREADS_MAX threads; more calls wait their turn.  `fn` may call no
 * function of this library.  A cancellation is noticed only when `fn` has returned, as
 * threads cannot be stopped: PM_ECANCELLED then. */
typedef void pm_blocking_fn(void *arg);
PM_API int pm_await_thread(pm_task *task, pm_blocking_fn *fn, void *arg) PM_MUSTCHECK;

/* For libraries with callbacks of their own: `return pm_defer(task, on_cancel, ctx);`
 * ends the function but not the task, which ends with pm_finish(task, error), from any
 * callback of pm_worker_base(), after pm_return() or pm_fail() as usual.  The argument
 * lives until then; the function's variables are gone, though its stack is kept.
 * on_cancel is called once when the task is cancelled or its time is over; it stops the
 * work and may call pm_finish().  Until somebody does, the task has not ended: with
 * NULL, when the work is done.  Returns PM_DEFERRED; or PM_ENOMEM, and then nothing may
 * call pm_finish(). */
enum { PM_DEFERRED = 1 };
PM_API int pm_defer(
	pm_task *task, void (*on_cancel)(pm_task *task, void *ctx), void *ctx);
PM_API void pm_finish(pm_task *task, int error);

/* This worker's event base, and one pointer that the host's code keeps in it.  NULL
 * outside a worker. */
PM_API struct event_base *pm_worker_base(void);
PM_API void pm_worker_set_data(void *data);
PM_API void *pm_worker_data(void);

/* In an initializer: say why the worker cannot start.  Returns PM_EFAILED. */
PM_API int pm_worker_fail(const char *fmt, ...) PM_PRINTF(1, 2);

/* ----------------------------------------------------------- jobs out of jobs */

/* Add a job to the map that this task's job belongs to, for crawlers.  It is taken
 * when this task ends, with its result: a worker that dies before has added
 * nothing, nor has a job that runs again, so that nothing is added twice.  The new
 * job's index is the next one of the map, whose window it may exceed, up to
 * PM_WINDOW_MAX jobs.  For maps of streams only: a job of pm_map(), pm_apply() or
 * pm_submit() that adds some fails with PM_ESTATE.  In a child it adds to the job that
 * the child belongs to.  0, PM_ENOMEM, PM_ETOOBIG (with what was added before, and some
 * 30 bytes and the lane's name for each, it exceeds max_bytes), or PM_EINVAL. */
PM_API int pm_emit(pm_task *task, pm_task_fn *fn, const struct pm_job *job);

/* ------------------------------------------------------------------ failures */

/* What the last failed await of this task said: domain, code and message.
 * A task that returns the error of an await fails with just these. */
struct pm_failure {
	int error;
	int domain, code;
	char message[PM_MESSAGE_MAX + 1];
};
PM_API const struct pm_failure *pm_task_failure(const pm_task *task);

/* ------------------------------------------------------------------- fetch */

struct pm_header {
	const char *name;
	const char *value;
};

/* In a request: any body is too large; any redirect is one too many. */
#define PM_NO_BODY SIZE_MAX
#define PM_NO_REDIRECTS UINT_MAX

struct pm_param {
	const char *name;
	const char *value;
};

/* Part of a body, as it arrives: from the loop, not on the task's stack, so it
 * must not await.  Returns 0, or a negative enum pm_error, which ends the fetch. */
typedef int pm_body_fn(void *ctx, const void *bytes, size_t len);

/* The heads of a request and of the response to it, as they are on the wire, each
 * with its last, empty line; redirects that are followed are exchanges of their own,
 * 1xx responses are left out.  Called when the response's head is there, before
 * its body, under the rules of pm_body_fn; what it gets is valid during the call. */
struct pm_exchange {
	const char *url;
	const char *remote_ip;
	const char *request;
	size_t request_len;
	const char *response;
	size_t response_len;
};
typedef int pm_exchange_fn(void *ctx, const struct pm_exchange *exchange);

typedef struct pm_session pm_session;

/* A request.  Zero a struct, set `url`, and the rest has sane defaults.  All
 * it points to is copied, or used before the call returns. */
struct pm_request {
	const char *url;    /* http:// or https:// */
	const char *method; /* NULL: GET, or POST when there is a body */
	const struct pm_header *headers;
	size_t header_ct;
	const struct pm_param *params; /* encoded and added to the URL's query */
	size_t param_ct;
	const void *body; /* at most one of body, json and form */
	size_t body_len;
	const char *json;            /* of type application/json */
	const struct pm_param *form; /* application/x-www-form-urlencoded */
	size_t form_ct;
	const char *user, *password; /* basic auth; not sent to another origin */
	const char *proxy;           /* http://, socks5:// or socks5h:// URL, or "env":
					as $http_proxy, $https_proxy, $all_proxy and
					$no_proxy of the worker say */
	unsigned timeout_ms;         /* whole attempt; 0: 60000 */
	unsigned connect_timeout_ms; /* 0: 10000 */
	unsigned stall_timeout_ms;   /* without a byte, in either direction, for so
					long: PM_ESTALLED; counted in whole seconds;
					0: none */
	size_t max_body;             /* when decompressed; 0: 10 MiB; or PM_NO_BODY */
	unsigned max_redirects;      /* 0: 10; or PM_NO_REDIRECTS */
	bool no_follow;              /* a redirect is the response */
	bool insecure;               /* accept any certificate */
	bool no_headers;             /* collect no header but Retry-After and
					Date */
	bool discard_body;           /* count the body, do not keep it */
	bool compressed;             /* offer gzip and the like, and decompress */
	bool http2;                  /* offer HTTP/2, for https:// only */
	bool no_resend;              /* not twice, see pm_await_fetch() */
	pm_body_fn *on_body;         /* gets the body, which is not kept; or NULL */
	void *on_body_ctx;
	pm_exchange_fn *on_exchange; /* gets the heads; or NULL */
	void *on_exchange_ctx;
	const char *ca_file; /* PEM; NULL: the system's */
	const char *cert;    /* PEM file: a certificate for servers that want one */
	const char *key;     /* PEM file; NULL: it is in `cert` */
	bool deny_private;   /* PM_EDENIED, see below */
	const char *local_address;  /* connect from here: an IP address of this machine,
				       or the name of an interface; NULL: any */
	const char *const *resolve; /* "HOST:PORT:ADDRESS[,ADDRESS]...", as curl's */
	size_t resolve_ct;
	pm_session *session; /* or NULL */
};

/* Names are looked up by the worker itself, in /etc/hosts and by DNS: each once, for as
 * long as its record lives (1 to 300 s), with at most 64 questions at once.  An address
 * in `resolve` goes before, for its host, or for any if that is "*", and its port.  The
 * time of a look-up counts as that of a connection.  PM_EDNS with PM_DOMAIN_ERRNO and
 * EAGAIN: it may be found another time; otherwise there is no such name, or it has no
 * address.
 *
 * deny_private: no connection is made to an address that is no host of the public
 * Internet (loopback, private networks, links, groups, reserved ranges, and what stands
 * for one of them in IPv6), whatever name, spelling or redirect leads there.  The
 * address of a proxy is not looked at; behind a proxy that looks up names itself
 * (http://, socks5h://) only hosts that are addresses or "localhost" are refused.
 *
 * local_address: with an address, only hosts with one of the same family can be
 * reached. What is connected from there is no connection of requests that say something
 * else, or nothing, and one to a proxy is not kept.  Questions to DNS servers go out as
 * ever. PM_ECONNECT when this machine has no such address or interface. */

/* In an initializer, or before the first fetch of a worker: the DNS servers to ask, as
 * "ADDRESS[:PORT],..." with brackets around an IPv6 address that has a port; NULL:
 * those of the system.  Errors: PM_EINVAL, PM_ENOMEM, PM_ESTATE (too late). */
PM_API int pm_worker_dns_servers(const char *servers);

/* What requests have in common: headers, credentials, a proxy, cookies.  It lives
 * as long as the worker or until it is freed; make it in the initializer or in a
 * task.  Connections are kept for the worker's life in any case, also without a
 * session.  What a request sets itself goes before what its session sets.  Cookies
 * of one session are not seen by another one, nor by requests without. */
struct pm_session_options {
	const char *base_url; /* in front of URLs that begin with '/' */
	const struct pm_header *headers;
	size_t header_ct;
	const char *user, *password;
	const char *proxy;
	const char *local_address;
	const char *ca_file;
	const char *cert, *key;
	unsigned timeout_ms;
	bool cookies; /* keep and send them, in memory */
	bool compressed;
	bool http2;
};
/* Errors: PM_EINVAL, PM_ENOMEM. */
PM_API int pm_session_new(
	pm_session **session, const struct pm_session_options *options) PM_MUSTCHECK;
/* Not while a fetch uses it.  NULL is fine. */
PM_API void pm_session_free(pm_session *session);

/* A response.  Owned by the task: freed with pm_response_free() or at the end
 * of the task.  Strings are never NULL.  Times are microseconds since the
 * start of the transfer, as curl counts them. */
struct pm_response {
	int status;       /* 0: none arrived */
	int http_version; /* 10, 11, 20, 30; 0: none */
	const char *url_effective;
	const char *content_type;
	const char *remote_ip;
	const void *body; /* followed by a NUL that body_len does not count */
	size_t body_len;
	const struct pm_header *headers; /* of the last response, names in lower case */
	size_t header_ct;
	unsigned redirect_ct;
	unsigned resend_ct;     /* requests sent again, see pm_await_fetch() */
	uint64_t size_download; /* body bytes received, before decompression */
	uint64_t size_upload;
	uint64_t time_namelookup_us;
	uint64_t time_connect_us;
	uint64_t time_appconnect_us;
	uint64_t time_starttransfer_us;
	uint64_t time_total_us;
};

/* Fetch, and wait for the whole response.  Any HTTP status is a success.  Errors:
 * PM_EINVAL (a header or method that HTTP does not allow), PM_EBADURL ...
 * PM_EDENIED, PM_ECANCELLED; pm_task_failure() has the details.  HTTP/1.1, or as
 * `http2` says; netrc is not used, the environment's proxies only when asked for,
 * cookies only with a session; a connection is kept for the next fetch of the worker.
 * When the server closes it just then, requests of GET, HEAD, OPTIONS, TRACE, PUT and
 * DELETE are sent once more; others fail with PM_ERESET, and with `no_resend` all do.
 * What an HTTP/2 server has refused unseen is sent again in any case.  `resend_ct` of
 * the response counts both.
 *
 * A redirect may lead from https:// to http://, as with curl; credentials, cookies
 * and the headers Authorization and Cookie do not follow it there, nor to any other
 * host, port or scheme.  A response whose length is in doubt (two lengths, or a length
 * beside a transfer coding) fails with PM_EBADRESPONSE.  All heads of a fetch, with
 * those of redirects, interim responses and trailers, may have 256 KiB: more is a
 * PM_EHEADERSIZE.  A connection that ends without an answer is a PM_ERESET. */
PM_API int pm_await_fetch(pm_task *task, const struct pm_request *request,
	struct pm_response **response) PM_MUSTCHECK;
PM_API int pm_await_get(
	pm_task *task, const char *url, struct pm_response **response) PM_MUSTCHECK;

/* Before the end of the task.  NULL is fine. */
PM_API void pm_response_free(struct pm_response *response);

/* The first header of this name, in any case of letters; NULL: there is none. */
PM_API const char *pm_response_header(
	const struct pm_response *response, const char *name);

/* The task's last fetch as far as it got, also when it failed: status 0 when
 * no response arrived, without a body.  NULL before the first fetch.  Valid
 * until the task's next fetch. */
PM_API const struct pm_response *pm_task_last_response(const pm_task *task);

/* ---------------------------------------------------------------------- TCP
 *
 * A connection or a listener belongs to the task that made it and is closed at the
 * task's end, or before.  All functions but the closing ones wait, with
 * PM_ECANCELLED as usual.  Errors: PM_EDNS, PM_ECONNECT, PM_ERESET, PM_ETIMEDOUT,
 * and PM_ESYSTEM for what else the system refuses, such as an address in use, with
 * the errno in pm_task_failure(). */
typedef struct pm_tcp pm_tcp;
typedef struct pm_tcp_listener pm_tcp_listener;

/* Connect to a name or an address; each address of the name is tried. */
PM_API int pm_tcp_connect(pm_task *task, const char *host, uint16_t port,
	int timeout_ms, pm_tcp **tcp) PM_MUSTCHECK;

/* The same from an IP address of this machine, or from an interface, as local_address
 * of struct pm_request; NULL: from any.  PM_EINVAL: `local` is neither. */
PM_API int pm_tcp_connect_from(pm_task *task, const char *local, const char *host,
	uint16_t port, int timeout_ms, pm_tcp **tcp) PM_MUSTCHECK;

/* A limit for each wait of read and write from now on; at first PM_FOREVER. */
PM_API void pm_tcp_set_timeout(pm_tcp *tcp, int timeout_ms);

/* Read what there is, at least one byte, at most `size`; *len 0: the end. */
PM_API int pm_tcp_read(
	pm_task *task, pm_tcp *tcp, void *buf, size_t size, size_t *len) PM_MUSTCHECK;

/* Read exactly `size` bytes.  PM_ETRUNCATED: the end came before. */
PM_API int pm_tcp_read_exactly(
	pm_task *task, pm_tcp *tcp, void *buf, size_t size) PM_MUSTCHECK;

/* Read a line: *line is without its "\n" or "\r\n", followed by a NUL, and valid until
 * the next read.  *line NULL: the end, with nothing before it.  PM_ETOOBIG: longer than
 * `max`. */
PM_API int pm_tcp_read_line(pm_task *task, pm_tcp *tcp, size_t max, const char **line,
	size_t *len) PM_MUSTCHECK;

/* Write all of it. */
PM_API int pm_tcp_write(
	pm_task *task, pm_tcp *tcp, const void *bytes, size_t len) PM_MUSTCHECK;

/* Write nothing more; the other side reads the end.  And close. */
PM_API int pm_tcp_shutdown(pm_tcp *tcp);
PM_API void pm_tcp_close(pm_tcp *tcp);

/* "127.0.0.1:4711" or "[::1]:4711", of the other side.  Lives as long as `tcp`. */
PM_API const char *pm_tcp_peer(const pm_tcp *tcp);

/* Listen on an address, or on all when it is NULL; port 0: any free one.  Several
 * workers may listen on one port: the kernel shares out the connections, by
 * SO_REUSEPORT. */
PM_API int pm_tcp_listen(pm_task *task, const char *host, uint16_t port,
	pm_tcp_listener **listener) PM_MUSTCHECK;
PM_API uint16_t pm_tcp_port(const pm_tcp_listener *listener);
PM_API int pm_tcp_accept(pm_task *task, pm_tcp_listener *listener, int timeout_ms,
	pm_tcp **tcp) PM_MUSTCHECK;
PM_API void pm_tcp_listener_close(pm_tcp_listener *listener);

/* Accept, and serve each connection in a child of its own, which owns it, until the
 * task is cancelled or accepting fails; never returns 0.  At most `max` at once. */
typedef int pm_tcp_handler_fn(pm_task *task, pm_tcp *tcp, void *ctx);
PM_API int pm_tcp_serve(pm_task *task, pm_tcp_listener *listener, unsigned max,
	pm_tcp_handler_fn *handler, void *ctx) PM_MUSTCHECK;

#ifdef __cplusplus
}
#endif
#endif
