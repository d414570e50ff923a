/* SPDX-License-Identifier: MIT
 *
 * pool - opens a pool, lets the host in, and frees it; see pool.h.
 *
 * Runs in: the master.  Owns the event base (unless the host brought one), the
 * control socket to the forkserver, the result wire, and the slots.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "master/forkserver.h"
#include "master/pool.h"

/* ---------------------------------------------------------------- from the host */

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
		err = watch_start(pool);
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
	watch_stop(pool);
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
