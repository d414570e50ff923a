/* SPDX-License-Identifier: MIT
 *
 * pool - opens a pool and frees it; see pool.h.
 *
 * Runs in: the master.  Owns the event base (unless the host brought one), the
 * control socket to the forkserver, the result wire, and the slots.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "master/control.h"
#include "master/forkserver.h"
#include "master/pool.h"

/* ------------------------------------------------------------------ events */

/* On the host's base: a turn is due. */
static void turn_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	pool_turn(pool);
	(void)shutdown_free_abandoned(pool); /* nothing after this: it may be gone */
}

static void results_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	pool_wake(ctx);
}

static void beat_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		slot_beat(&pool->slots[i]);
	}
	pool_wake(pool);
}

void pm_pool_wake(pm_pool *pool)
{
	for (size_t i = 0; i < pool->map_ct; i++) {
		struct map *m = pool->maps[i];
		if (m) {
			m->woken = true;
			m->sink_waits = false;
			m->source =
				m->source == SOURCE_WAITING ? SOURCE_OPEN : m->source;
		}
	}
	pool_wake(pool);
}

void pm_pool_cancel(pm_pool *pool)
{
	for (size_t i = 0; i < pool->map_ct; i++) {
		if (pool->maps[i]) {
			pool->maps[i]->cancelled = true;
		}
	}
	pool_wake(pool);
}

/* ----------------------------------------------------------------- control */

unsigned pool_ready_ct(const struct pm_pool *pool)
{
	unsigned ct = 0;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		ct += pool->slots[i].state == SLOT_READY;
	}
	return ct;
}

void pool_break(struct pm_pool *pool, const char *fmt, ...)
{
	if (pool->broken) {
		return;
	}
	va_list args;
	va_start(args, fmt);
	vsnprintf(pool->broken_text, sizeof pool->broken_text, fmt, args);
	va_end(args);
	pool->broken = PM_EWORKERS;
	pool_log(pool, PM_LOG_ERROR, "%s", pool->broken_text);
	pool_wake(pool);
}

/* It is said in the middle of things: the host may not run the pool then. */
void pool_log(struct pm_pool *pool, enum pm_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list args;
	if (pool->options.log) {
		va_start(args, fmt);
		vsnprintf(line, sizeof line, fmt, args);
		va_end(args);
		pool->deciding++;
		pool->options.log(pool->options.log_ctx, level, line);
		pool->deciding--;
	}
}

int pool_take_job(struct pm_pool *pool, struct job **out, pm_task_fn *task,
	const struct pm_job *from)
{
	if (from->len && !from->arg) {
		return error_note(
			PM_EINVAL, "an argument of %zu bytes is NULL", from->len);
	}
	if (from->len > pool->options.max_bytes) {
		return error_note(PM_ETOOBIG,
			"an argument of %zu bytes is over max_bytes %zu", from->len,
			pool->options.max_bytes);
	}
	struct job *job;
	if (ledger_add(&pool->ledger, &job, from->arg, from->len)) {
		return error_note(PM_ENOMEM, "no memory for a job");
	}
	job->task = task;
	job->once = from->once || pool->options.once || pool->single;
	job->timeout_ms =
		from->timeout_ms ? from->timeout_ms : pool->options.job_timeout_ms;
	job->queue_timeout_ms = from->queue_timeout_ms;
	job->tag = from->tag;
	job->queued_at_us = clock_now_us(); /* the last turn may be long ago */
	if (job->queue_timeout_ms &&
		ledger_limit(&pool->ledger, job,
			job->queued_at_us + job->queue_timeout_ms * 1000ull)) {
		ledger_free(&pool->ledger, job);
		return error_note(PM_ENOMEM, "no memory for a job");
	}
	pool->stats.jobs++;
	*out = job;
	return 0;
}

/* Without the forkserver no worker lives (they are tied to it), and none can be
 * made: the pool is over. */
static void on_forkserver_gone(struct pm_pool *pool)
{
	event_del(pool->control_event);
	pool_break(pool, "the forkserver of this process died");
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if (s->state != SLOT_EMPTY && s->state != SLOT_GONE) {
			slot_exited(s, SIGKILL);
		}
	}
}

static void control_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	struct control_event event;
	int err;
	(void)what;
	while ((err = control_receive(fd, &event, sizeof event, NULL)) == 0) {
		struct slot *s =
			event.slot < pool->slot_ct ? &pool->slots[event.slot] : NULL;
		if (!s || s->generation != event.generation) {
			continue;
		}
		if (event.type == CONTROL_SPAWNED) {
			slot_spawned(s, event.pid, event.status);
		} else if (event.type == CONTROL_EXITED) {
			slot_exited(s, event.status);
		}
	}
	if (err < 0) {
		on_forkserver_gone(pool);
	}
}

/* -------------------------------------------------------------------- open */

/* libevent ends the process when there are too few for an event base. */
static int check_descriptors(void)
{
	int a[2], b[2] = {-1, -1};
	if (pipe2(a, O_CLOEXEC) < 0) {
		return error_note_errno(PM_ESYSTEM, "cannot make an event base");
	}
	int err = pipe2(b, O_CLOEXEC) < 0
			  ? error_note_errno(PM_ESYSTEM, "cannot make an event base")
			  : 0;
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		if (!err) {
			close(b[i]);
		}
	}
	return err;
}

static int open_base(struct pm_pool *pool)
{
	pool->base = pool->options.base;
	pool->own_base = !pool->base;
	if (pool->base) {
		return 0;
	}
	int err = check_descriptors();
	if (err) {
		return err;
	}
	struct event_config *config = event_config_new();
	if (config) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
		pool->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	return pool->base ? 0 : error_note(PM_ENOMEM, "cannot make an event base");
}

static int open_events(struct pm_pool *pool)
{
	struct event_base *base = pool->base;
	struct timeval beat = {.tv_usec = SLOT_BEAT_MS * 1000L};
	pool->turn_event = evtimer_new(base, turn_cb, pool);
	pool->results_event = event_new(
		base, pool->results.ready_fd, EV_READ | EV_PERSIST, results_cb, pool);
	pool->control_event =
		event_new(base, pool->control, EV_READ | EV_PERSIST, control_cb, pool);
	pool->beat_timer = event_new(base, -1, EV_PERSIST, beat_cb, pool);
	if (!pool->turn_event || !pool->results_event || !pool->control_event ||
		!pool->beat_timer || event_add(pool->results_event, NULL) < 0 ||
		event_add(pool->control_event, NULL) < 0 ||
		event_add(pool->beat_timer, &beat) < 0) {
		return error_note(PM_ENOMEM, "cannot watch the pool's sockets");
	}
	return pool->options.worker_memory_bytes ? memory_watch(pool) : 0;
}

/* The forkserver removes the directory when we cannot. */
static int announce(void *ctx, const char *path)
{
	struct pm_pool *pool = ctx;
	if (pool->control >= 0) {
		forkserver_detach(pool->control); /* of one that could not be made */
		pool->control = -1;
	}
	return forkserver_attach(path, &pool->control);
}

static int open_sockets(struct pm_pool *pool)
{
	char path[WIRE_PATH_MAX + 1];
	int err = rundir_open(&pool->rundir, pool->options.runtime_dir, announce, pool);
	if (err) {
		return err;
	}
	snprintf(path, sizeof path, "%s/r", pool->rundir.path);
	return wire_listen(&pool->results, WIRE_PULL, path);
}

/* Share out the concurrency: worker i gets its part, the first ones one more.
 * Spare slots take theirs over from the worker that they replace. */
static int open_slots(struct pm_pool *pool)
{
	unsigned ct = pool->options.workers, total = pool->options.concurrency;
	unsigned all = ct + pool_options_spares(&pool->options);
	/* pool_free() frees them; gcc has lost sight of the pool by then. */
	pool->slots = calloc(all, sizeof *pool->slots); /* NOLINT(gcc-malloc-leak) */
	pool->loads = calloc(all, sizeof *pool->loads); /* NOLINT(gcc-malloc-leak) */
	if (!pool->slots || !pool->loads) {
		return error_note(PM_ENOMEM, "no memory for %u workers", ct);
	}
	for (unsigned i = 0; i < all; i++) {
		int err = slot_init(&pool->slots[i], pool, i,
			total / ct + (i < total % ct ? 1 : 0));
		pool->slot_ct = i + 1;
		if (err) {
			return error_note(err, "no memory for %u workers", ct);
		}
	}
	pool->whole = true;
	for (unsigned i = 0; i < ct; i++) {
		slot_start(&pool->slots[i]);
	}
	return 0;
}

/* The host's arguments must not have to live as long as the pool. */
static int copy_options(struct pm_pool *pool)
{
	struct pm_pool_options *o = &pool->options;
	o->runtime_dir = NULL; /* read while opening, and not after */
	if (!o->init_len) {
		return 0;
	}
	void *copy = malloc(o->init_len); /* NOLINT(gcc-malloc-leak): the pool has it */
	if (copy) {
		memcpy(copy, o->init_arg, o->init_len);
	}
	o->init_arg = pool->init_arg = copy;
	return copy ? 0 : error_note(PM_ENOMEM, "no memory for init_arg");
}

static bool is_ready(void *ctx)
{
	const struct pm_pool *pool = ctx;
	return pool->broken || pool_ready_ct(pool) > 0;
}

static int wait_until_ready(struct pm_pool *pool)
{
	int err = pool_run_until(pool, is_ready, pool, PM_FOREVER);
	if (!err && pool->broken) {
		err = error_note(pool->broken, "%s", pool->broken_text);
	}
	return err;
}

static int open_pool(struct pm_pool *pool)
{
	int err = pool_options_settle(&pool->options);
	if (!err) {
		err = pm_forkserver_start();
	}
	if (!err &&
		getrandom(pool->nonce, sizeof pool->nonce, 0) != sizeof pool->nonce) {
		err = error_note_errno(PM_ESYSTEM, "no random bytes");
	}
	if (!err) {
		err = open_base(pool);
	}
	if (!err) {
		err = open_sockets(pool);
	}
	if (!err) {
		err = open_events(pool);
	}
	if (!err) {
		err = copy_options(pool);
	}
	if (!err) {
		err = open_slots(pool);
	}
	return err ? err : wait_until_ready(pool);
}

/* A page of its own, which the kernel clears in children: looking at it costs no call
 * for each job.  Without one, getpid() has to do. */
static unsigned char *new_mark(void)
{
	unsigned char *page = mmap(
		NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		return NULL;
	}
	if (madvise(page, 1, MADV_WIPEONFORK)) {
		munmap(page, 1); /* before Linux 4.14 */
		return NULL;
	}
	*page = 1;
	return page;
}

static void init_fields(struct pm_pool *pool)
{
	pool->thread = pthread_self();
	pool->process = getpid();
	pool->mark = new_mark();
	pool->control = -1;
	pool->results.socket = -1;
	pool->rundir.lock_fd = -1;
	pool->now_us = clock_now_us();
	pool->limit_at_us = UINT64_MAX;
	ledger_init(&pool->ledger);
	list_init(&pool->futures);
	list_init(&pool->due);
}

int pool_open(struct pm_pool **out, const struct pm_pool_options *options, bool single)
{
	if (!out) {
		return error_note(PM_EINVAL, "no place for the pool");
	}
	struct pm_pool *pool = calloc(1, sizeof *pool);
	if (!pool) {
		return error_note(PM_ENOMEM, "no memory for a pool");
	}
	pm_pool_options_init(&pool->options);
	if (options) {
		pool->options = *options;
	}
	pool->single = single;
	init_fields(pool);
	int err = open_pool(pool);
	if (err) {
		char why[512]; /* what follows may overwrite it */
		snprintf(why, sizeof why, "%s", pm_last_error());
		pm_pool_terminate(&pool);
		return error_note(err, "%s", why);
	}
	*out = pool;
	return 0;
}

int pm_pool_open(pm_pool **pool, const struct pm_pool_options *options)
{
	return pool_open(pool, options, false);
}

/* -------------------------------------------------------------------- free */

static void free_event(struct event **e)
{
	if (*e) {
		event_free(*e);
		*e = NULL;
	}
}

static void close_maps(struct pm_pool *pool)
{
	for (size_t i = 0; i < pool->map_ct; i++) {
		if (pool->maps[i]) {
			bool ours = pool->maps[i]->released;
			struct map *m = pool->maps[i];
			map_close(m); /* an iterator's is freed by its owner */
			if (ours) {
				free(m);
			}
		}
	}
	free(pool->maps);
}

/* Closing the control socket makes the forkserver kill what is left and remove
 * the directory; the own removal comes first, so that it is gone on return. */
void pool_free(struct pm_pool *pool)
{
	close_maps(pool);
	future_orphan_all(pool);
	ledger_fini(&pool->ledger);
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		slot_fini(&pool->slots[i]);
	}
	free(pool->slots);
	free(pool->loads);
	free_event(&pool->turn_event);
	free_event(&pool->results_event);
	free_event(&pool->control_event);
	free_event(&pool->beat_timer);
	free_event(&pool->memory_timer);
	free_event(&pool->recall_timer);
	free_event(&pool->limit_timer);
	free_event(&pool->grace_timer);
	free_event(&pool->deadline_timer);
	pollfd_free(pool);
	if (pool->mark) {
		munmap(pool->mark, 1);
	}
	wire_close(&pool->results);
	rundir_close(&pool->rundir);
	if (pool->control >= 0) {
		forkserver_detach(pool->control);
	}
	if (pool->own_base && pool->base) {
		event_base_free(pool->base);
	}
	buf_fini(&pool->scratch);
	free(pool->init_arg);
	free(pool);
}

/* ------------------------------------------------------------------- tells */

void pm_pool_stats(const pm_pool *pool, struct pm_pool_stats *stats)
{
	*stats = pool->stats;
	stats->workers = pool->options.workers;
	stats->workers_ready = pool_ready_ct(pool);
	stats->concurrency = pool->options.concurrency;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		stats->held += (unsigned)pool->slots[i].held.ct;
	}
	stats->queued = pool->ledger.live_ct - stats->held;
}

/* As in a shell's $?, but with signals below 0. */
static int exit_code(int status)
{
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int pm_worker_info(const pm_pool *pool, unsigned worker, struct pm_worker_info *info)
{
	if (!pool || !info || worker >= pool->slot_ct) {
		return error_note(PM_EINVAL, "there is no worker %u", worker);
	}
	const struct slot *s = &pool->slots[worker];
	*info = (struct pm_worker_info){.pid = s->pid,
		.starts = s->generation,
		.ready = s->state == SLOT_READY,
		.held = (unsigned)s->held.ct,
		.taken = s->sent_ct - s->recalled_ct,
		.ended = s->has_ended,
		.exit_code = s->has_ended ? exit_code(s->last_status) : 0};
	return 0;
}
