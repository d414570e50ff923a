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
 *   - A pool belongs to the thread that opened it.  Different threads may have
 *     different pools.
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
	PM_ETASK = -6, /* task_unknown     the function is not in the workers' image */
	PM_ETOOBIG = -7,    /* too_big          argument or result over the limit */
	PM_ELIMIT = -8,     /* limit            a limit of the system is too low */
	PM_EWORKERS = -9,   /* workers_failed   workers cannot be kept running */
	PM_EINTERNAL = -10, /* internal         */

	/* the end of a job */
	PM_EWORKERLOST = -20, /* worker_lost      its worker died, once too often */
	PM_ECANCELLED = -21,  /* cancelled        */
	PM_EFAILED = -22,     /* failed           the task said so */

	/* a fetch; the names are the error classes of `poolmap run` */
	PM_EBADURL = -40,      /* bad_url          */
	PM_ESCHEME = -41,      /* scheme           neither http nor https */
	PM_EDNS = -42,         /* dns              */
	PM_ECONNECT = -43,     /* connect          */
	PM_ETLS = -44,         /* tls              */
	PM_ETIMEDOUT = -45,    /* timeout          */
	PM_ESTALLED = -46,     /* stalled          */
	PM_ERESET = -47,       /* reset            */
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
};

/* Defaults: workers 0, concurrency 128, max_bytes 64 MiB, stack_bytes 256 KiB,
 * files_per_task 1, start_timeout_ms 10000, hang_timeout_ms 10000, an own
 * base.  The sockets' directory is made, with mode 0700, in the first of
 * $XDG_RUNTIME_DIR, $TMPDIR and /tmp that can be used. */
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
 * Errors: PM_EINVAL (an option is out of range), PM_ELIMIT (RLIMIT_NOFILE too
 * low for the concurrency, or PM_POOLS_MAX pools open already), PM_EWORKERS (no worker
 * would start), and those of pm_forkserver_start(). */
PM_API int pm_pool_open(
	pm_pool **pool, const struct pm_pool_options *options) PM_MUSTCHECK;

/* Let the workers finish what they hold, end them, free the pool and set
 * *pool to NULL.  Blocks until every worker is gone.  NULL is fine.  Not from
 * a callback. */
PM_API void pm_pool_close(pm_pool **pool);

/* The same without waiting for anything: workers are killed. */
PM_API void pm_pool_terminate(pm_pool **pool);

struct pm_pool_stats {
	unsigned workers; /* slots of the pool */
	unsigned workers_ready;
	unsigned concurrency;
	unsigned held;           /* jobs with workers now: running or next in line */
	uint64_t jobs;           /* jobs taken so far */
	uint64_t results;        /* results settled so far */
	uint64_t workers_lost;   /* workers that ended unasked */
	uint64_t jobs_rerun;     /* jobs that started again because of it */
	uint64_t frames_dropped; /* frames and results not current or not well-formed */
};
PM_API void pm_pool_stats(const pm_pool *pool, struct pm_pool_stats *stats);

/* --------------------------------------------------------------- job, result */

/* A job that is marked `once` runs at most once: when its worker is lost after it
 * had begun, it fails as PM_EWORKERLOST - even if it had ended, and only its
 * result was lost with the worker.  Any other job runs again. */
struct pm_job {
	const void *arg; /* bytes for the task; copied at once */
	size_t len;
	bool once; /* must not run twice, see above */
};

struct pm_result {
	uint64_t index;      /* place of the job in its map: 0, 1, 2 ... */
	int error;           /* 0 or a negative enum pm_error */
	int domain, code;    /* enum pm_domain and what it counts */
	const char *message; /* for people; NULL when error is 0 */
	void *bytes;         /* what pm_return() gave, followed by a NUL; or NULL */
	size_t len;
	const void *arg; /* pm_map_stream(): the job's bytes.  pm_map(): NULL */
	size_t arg_len;
	int worker;        /* slot that ran it, or -1 */
	unsigned attempts; /* times it was handed to a worker */
};

/* Run `task` over `ct` jobs and wait for all of them.  results[i] belongs to
 * jobs[i].  A failed job is a value in `results`, not an error of the call.
 * On success the caller owns the results: pm_results_clear() frees what is
 * in them.  On error `results` is left alone.
 *
 * Blocks; runs the pool's event base meanwhile.  Not from a callback of this
 * pool, nor from any other on its base (PM_ESTATE).  Errors: PM_ETASK, PM_ETOOBIG,
 * PM_ENOMEM, PM_EWORKERS. */
PM_API int pm_map(pm_pool *pool, pm_task_fn *task, const struct pm_job *jobs, size_t ct,
	struct pm_result *results) PM_MUSTCHECK;
PM_API void pm_results_clear(struct pm_result *results, size_t ct);

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

struct pm_stream {
	pm_task_fn *task;
	pm_source_fn *source;
	pm_sink_fn *sink;
	void *ctx;               /* for source and sink */
	bool unordered;          /* results as they complete */
	size_t window;           /* jobs open at once, oldest to newest; 0: 65536 */
	size_t window_bytes;     /* their arguments and results; 0: 256 MiB */
	void (*turn)(void *ctx); /* after each batch of results, to flush; or NULL */
};

/* Run a lazy stream of jobs through the pool.  The source is read no further
 * than the window allows, so memory does not grow with the number of jobs: at
 * most `window` jobs are open, and no job is taken while their bytes exceed
 * window_bytes.  What runs then may still add its results to that.
 *
 * Blocks until the source has ended and every result is delivered; runs the
 * pool's event base meanwhile.  Returns 0; the source's or the sink's error;
 * PM_ECANCELLED after pm_pool_cancel(); or PM_EWORKERS.  Not from a callback
 * of this pool (PM_ESTATE). */
PM_API int pm_map_stream(pm_pool *pool, const struct pm_stream *stream) PM_MUSTCHECK;

/* Ask sources and sinks that said "wait" again, soon.  From any callback on
 * the pool's event base; not from another thread, not from a signal handler. */
PM_API void pm_pool_wake(pm_pool *pool);

/* End the map in progress with PM_ECANCELLED: nothing more is delivered, what
 * runs is told to stop.  Call it like pm_pool_wake(). */
PM_API void pm_pool_cancel(pm_pool *pool);

/* -------------------------------------------------------------- in a task */

/* Set the result.  The bytes are copied; a second call replaces the first.
 * Returns 0, PM_ETOOBIG or PM_ENOMEM, so that a task can end with
 * `return pm_return(task, bytes, len);`. */
PM_API int pm_return(pm_task *task, const void *bytes, size_t len);

/* Fail the job with PM_EFAILED, a number of the task's own and a message, cut
 * between characters to PM_MESSAGE_MAX bytes.  Returns PM_EFAILED, so that a task can
 * end with `return pm_fail(task, 7, "no price in %s", url);`. */
PM_API int pm_fail(pm_task *task, int code, const char *fmt, ...) PM_PRINTF(3, 4);

/* Wait.  Returns 0, or PM_ECANCELLED when the job was cancelled meanwhile: the
 * task should then clean up and return it. */
PM_API int pm_sleep(pm_task *task, unsigned ms);

/* About the job: slot of this worker; which attempt this is (1, 2, ...); how
 * long it waited since it was taken from the source (or by pm_map()), in
 * microseconds. */
PM_API unsigned pm_task_worker(const pm_task *task);
PM_API unsigned pm_task_attempt(const pm_task *task);
PM_API uint64_t pm_task_queued_us(const pm_task *task);

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

/* A request.  Zero a struct, set `url`, and the rest has sane defaults.  All
 * it points to is copied, or used before the call returns. */
struct pm_request {
	const char *url;    /* http:// or https:// */
	const char *method; /* NULL: GET, or POST when there is a body */
	const struct pm_header *headers;
	size_t header_ct;
	const void *body;
	size_t body_len;
	unsigned timeout_ms;         /* whole attempt; 0: 60000 */
	unsigned connect_timeout_ms; /* 0: 10000 */
	size_t max_body; /* bytes after decompression; 0: 10 MiB; or PM_NO_BODY */
	unsigned max_redirects; /* 0: 10; or PM_NO_REDIRECTS */
	bool no_follow;         /* a redirect is the response */
	bool insecure;          /* accept any certificate */
	bool no_headers;        /* do not collect the response's headers */
	bool discard_body;      /* count the body, do not keep it */
	const char *ca_file;    /* PEM; NULL: the system's */
};

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
	uint64_t size_download; /* body bytes received, before decompression */
	uint64_t size_upload;
	uint64_t time_namelookup_us;
	uint64_t time_connect_us;
	uint64_t time_appconnect_us;
	uint64_t time_starttransfer_us;
	uint64_t time_total_us;
};

/* Fetch, and wait for the whole response.  Any HTTP status is a success.
 * Errors: PM_EINVAL (a header or method that HTTP does not allow), PM_EBADURL
 * ... PM_EDENIED, PM_ECANCELLED; pm_task_failure() has the details.  HTTP/1.1;
 * proxies, netrc and cookies are not used; a connection is kept for the next
 * fetch of the worker. */
PM_API int pm_await_fetch(pm_task *task, const struct pm_request *request,
	struct pm_response **response) PM_MUSTCHECK;
PM_API int pm_await_get(
	pm_task *task, const char *url, struct pm_response **response) PM_MUSTCHECK;
PM_API void pm_response_free(struct pm_response *response);

/* The task's last fetch as far as it got, also when it failed: status 0 when
 * no response arrived, without a body.  NULL before the first fetch.  Valid
 * until the task's next fetch. */
PM_API const struct pm_response *pm_task_last_response(const pm_task *task);

#ifdef __cplusplus
}
#endif
#endif
