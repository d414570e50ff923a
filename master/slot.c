/* SPDX-License-Identifier: MIT
 *
 * slot - the life of one worker as the master sees it; see pool.h.
 *
 * Runs in: the master.  Called by pool.c (start), shutdown.c (drain), watch.c (the
 * beat, and what the forkserver reports) and by the lifeline (slot_life.c).  Whether
 * and when a dead worker is replaced is decided in respawn.c, what becomes of its jobs
 * in loss.c.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/lifeline.h"
#include "master/control.h"
#include "master/pool.h"
#include "master/respawn.h"

/* What nanomsg can still hold of a dead worker is one frame and a little;
 * frames of the others come between. */
enum {
	LAST_FRAMES = 1024,
	BUSY_MS = 5,       /* until a busy forkserver is asked again */
	GRACE_MS = 1000,   /* for a worker that was late because we were */
	BURIAL_BEATS = 20, /* a killed worker's exit is reported within these */
};

const char *slot_state_name(enum slot_state state)
{
	static const char *const names[] = {
		"empty", "starting", "ready", "draining", "lost", "gone"};
	return state <= SLOT_GONE ? names[state] : "unknown";
}

/* ------------------------------------------------------------------- birth */

static void become_ready(struct slot *s)
{
	evtimer_del(s->timer);
	s->state = SLOT_READY;
	s->was_ready = true;
	s->pool->failed_starts = 0;
	pool_log(s->pool, PM_LOG_INFO, "worker %u (pid %ld) is ready", s->number,
		(long)s->pid);
	dispatch_worker_up(s);
}

/* The wire takes frames: for the first time, or again. */
static void jobs_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct slot *s = ctx;
	(void)what;
	pollfd_remove(s->pool, fd);
	if (s->state == SLOT_STARTING) {
		become_ready(s);
	}
	slot_flush(s);
	pool_wake(s->pool); /* there may be credit again */
}

static void fill_boot(const struct slot *s, struct boot *boot)
{
	const struct pm_pool *pool = s->pool;
	boot->route.slot = s->number;
	boot->route.generation = s->generation;
	memcpy(boot->route.nonce, pool->nonce, PROTO_NONCE_BYTES);
	boot->concurrency = s->concurrency;
	boot->heartbeat_ms = SLOT_BEAT_MS;
	boot->max_bytes = pool->options.max_bytes;
	boot->stack_bytes = pool->options.stack_bytes;
	boot->init = (uint64_t)(uintptr_t)pool->options.init;
	boot->fini = (uint64_t)(uintptr_t)pool->options.fini;
	boot->on_job_error = (uint64_t)(uintptr_t)pool->options.on_job_error;
	boot->dies_of_sigterm = pool->single;
	boot->check_descriptors = pool->options.check_descriptors;
	snprintf(boot->job_path, sizeof boot->job_path, "%s/j-%u-%u", pool->rundir.path,
		s->number, s->generation);
	snprintf(
		boot->result_path, sizeof boot->result_path, "%s/r", pool->rundir.path);
}

/* Be told when the wire takes frames. */
void slot_watch_jobs(struct slot *s)
{
	event_add(s->jobs_event, NULL);
	pollfd_add(s->pool, s->jobs.ready_fd);
}

/* Both wires and the lifeline, before the process that will use them. */
static int open_links(struct slot *s, const struct boot *boot, int ends[2])
{
	int err = wire_listen(&s->jobs, WIRE_PUSH, boot->job_path);
	if (err) {
		return err;
	}
	err = lifeline_pair(ends);
	if (err) {
		return err;
	}
	s->lifeline = ends[0];
	s->lifeline_event = event_new(
		s->pool->base, ends[0], EV_READ | EV_PERSIST, slot_lifeline_cb, s);
	s->jobs_event = event_new(s->pool->base, s->jobs.ready_fd, EV_READ, jobs_cb, s);
	if (!s->lifeline_event || !s->jobs_event ||
		event_add(s->lifeline_event, NULL) < 0) {
		close(ends[1]);
		return error_note(PM_ENOMEM, "cannot watch a worker");
	}
	pollfd_add(s->pool, ends[0]);
	outbox_init(&s->outbox, &s->jobs, PROTO_JOBS, &boot->route);
	inbox_init(&s->inbox, PROTO_RESULTS, &boot->route,
		2 * s->pool->options.max_bytes + PROTO_RESULT_HEAD_BYTES +
			PROTO_MESSAGE_MAX);
	return 0;
}

static void close_links(struct slot *s)
{
	if (s->lifeline_event) {
		event_free(s->lifeline_event);
		s->lifeline_event = NULL;
	}
	if (s->lifeline >= 0) {
		pollfd_remove(s->pool, s->lifeline);
		close(s->lifeline);
		s->lifeline = -1;
	}
	if (s->jobs_event) {
		pollfd_remove(s->pool, s->jobs.ready_fd);
		event_free(s->jobs_event);
		s->jobs_event = NULL;
	}
	evtimer_del(s->timer);
	blackbox_free(s->blackbox);
	s->blackbox = NULL;
	outbox_fini(&s->outbox);
	inbox_fini(&s->inbox);
	wire_close(&s->jobs);
}

static void set_timer(struct slot *s, unsigned delay_ms)
{
	struct timeval tv = {
		.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000L};
	evtimer_add(s->timer, &tv);
}

/* The way of every end: pause, then start again, or break the pool. */
static void respawn(struct slot *s, const char *why)
{
	struct pm_pool *pool = s->pool;
	bool over = !shutdown_needs_workers(pool);
	s->state = over ? SLOT_GONE : SLOT_EMPTY;
	if (over || s->replaced) {
		return;
	}
	pool->failed_starts = s->was_ready ? 0 : pool->failed_starts + 1;
	if (pool->failed_starts) {
		pool_log(pool, PM_LOG_WARNING, "worker %u did not start: %s", s->number,
			why);
	}
	if (respawn_gives_up(pool->failed_starts, pool_ready_ct(pool))) {
		pool_break(pool, "no worker starts, %u tries: %s", pool->failed_starts,
			why);
		return;
	}
	set_timer(s, respawn_delay_ms(pool->failed_starts));
}

/* The black box first, then the worker that will write it.  Closes `lifeline`. */
static int ask_for_worker(struct slot *s, struct control_request *request, int lifeline)
{
	int memory = -1;
	int err = blackbox_new(&s->blackbox, &memory, s->pool->options.init_arg,
		s->pool->options.init_len);
	if (!err) {
		request->type = CONTROL_BLACKBOX;
		err = control_send(s->pool->control, request, sizeof *request, memory);
		close(memory);
	}
	if (!err) {
		request->type = CONTROL_SPAWN;
		err = control_send(
			s->pool->control, request, sizeof *request, lifeline);
	}
	close(lifeline);
	return err;
}

void slot_start(struct slot *s)
{
	struct control_request request = {0};
	int ends[2] = {-1, -1};
	assert(s->state == SLOT_EMPTY);
	s->generation++;
	s->doom = DOOM_NONE;
	s->was_ready = false;
	s->late = false;
	s->said_bye = false;
	s->untold = false;
	s->silent_beats = 0;
	s->sent_ct = 0;
	s->recalled_ct = 0;
	s->epoch = 0;
	s->recycled = false;
	s->replaced = false;
	buf_clear(&s->cancels);
	s->jobs_said = 0;
	s->jobs_there = 0;
	s->stuck_beats = 0;
	s->results_said = 0;
	s->results_here = 0;
	s->missing_beats = 0;
	s->pid = 0;
	credit_init(&s->credit, s->concurrency, s->pool->now_us);
	fill_boot(s, &request.boot);
	int err = open_links(s, &request.boot, ends);
	if (!err) {
		err = ask_for_worker(s, &request, ends[1]);
	}
	if (err == CONTROL_AGAIN) { /* it is busy forking: no failure */
		close_links(s);
		set_timer(s, BUSY_MS);
		return;
	}
	if (err) {
		close_links(s);
		respawn(s, pm_last_error());
		return;
	}
	s->state = SLOT_STARTING;
	set_timer(s, s->pool->options.start_timeout_ms);
}

static void timer_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct slot *s = ctx;
	(void)fd;
	(void)what;
	if (s->state == SLOT_STARTING && !s->late) {
		s->late = true; /* its HELLO may lie here unread: we may be to blame */
		set_timer(s, GRACE_MS);
	} else if (s->state == SLOT_STARTING) {
		slot_doom(s, DOOM_START);
	} else if (s->state == SLOT_EMPTY && shutdown_needs_workers(s->pool)) {
		slot_start(s);
	} else if (s->state == SLOT_EMPTY) {
		s->state = SLOT_GONE;
		pool_wake(s->pool);
	}
}

void slot_spawned(struct slot *s, pid_t pid, int error)
{
	if (pid > 0) {
		s->pid = pid;
	} else if (s->state == SLOT_STARTING || s->state == SLOT_LOST) {
		close_links(s);
		respawn(s, strerror(error));
	}
}

void slot_signal(struct slot *s, int number)
{
	struct control_request request = {.type = CONTROL_KILL, .signal = number};
	request.boot.route.slot = s->number;
	request.boot.route.generation = s->generation;
	(void)control_send(s->pool->control, &request, sizeof request, -1);
}

/* Asked again with each beat: the forkserver may have been too busy to take it.
 * When it does not answer at all, its end of file is on the way. */
static void ask_to_kill(struct slot *s)
{
	slot_signal(s, SIGKILL);
}

/* Our own beats are the clock: a master that was stopped, or a machine that
 * slept, has missed its own as well. */
void slot_beat(struct slot *s)
{
	unsigned limit_ms = s->pool->options.hang_timeout_ms;
	s->silent_beats++;
	if (s->state == SLOT_READY || s->state == SLOT_DRAINING) {
		if (s->untold) {
			slot_tell_to_leave(s);
		}
		if (limit_ms && s->silent_beats > limit_ms / SLOT_BEAT_MS + 1) {
			slot_doom(s, DOOM_SILENT);
		}
		slot_look_for_frames(s);
		slot_check_bye(s);
	} else if (s->state == SLOT_LOST && s->silent_beats > BURIAL_BEATS) {
		pool_break(s->pool, "the forkserver does not answer");
	} else if (s->state == SLOT_LOST) {
		ask_to_kill(s);
	}
}

void slot_flush(struct slot *s)
{
	if (s->state != SLOT_READY && s->state != SLOT_DRAINING) {
		return;
	}
	int err = outbox_flush(&s->outbox);
	if (err == WIRE_AGAIN) {
		slot_watch_jobs(s);
	} else if (err) {
		slot_doom(s, DOOM_PROTO);
	}
}

/* ------------------------------------------------------------------- death */

void slot_drain(struct slot *s)
{
	if (s->state == SLOT_READY) {
		slot_flush(s);
	}
	if (s->state == SLOT_READY) {
		s->state = SLOT_DRAINING;
		slot_tell_to_leave(s);
	} else if (s->state == SLOT_STARTING) {
		slot_doom(s, DOOM_STOP);
	} else if (s->state == SLOT_EMPTY) {
		evtimer_del(s->timer);
		s->state = SLOT_GONE;
	}
}

/* One that has no process, nor will have one by itself. */
static struct slot *find_spare(struct pm_pool *pool)
{
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		struct slot *s = &pool->slots[i];
		if (s->state == SLOT_EMPTY && !evtimer_pending(s->timer, NULL)) {
			return s;
		}
	}
	return NULL;
}

void slot_recycle(struct slot *s)
{
	struct slot *spare = find_spare(s->pool);
	s->recycled = true;
	if (spare) {
		s->replaced = true;
		spare->before = s;
		spare->concurrency = s->concurrency;
		slot_start(spare);
	}
	slot_drain(s);
}

void slot_doom(struct slot *s, enum slot_doom why)
{
	if (s->state == SLOT_EMPTY || s->state == SLOT_LOST || s->state == SLOT_GONE) {
		return;
	}
	s->doom = why;
	s->state = SLOT_LOST;
	s->silent_beats = 0;
	ask_to_kill(s);
}

static void describe(const struct slot *s, int status, char *out, size_t size)
{
	const char *text =
		WIFEXITED(status) ? proto_exit_text(WEXITSTATUS(status)) : NULL;
	const char *words = s->blackbox ? s->blackbox->words : "";
	if (s->doom == DOOM_START) {
		snprintf(out, size, "a worker was not ready within %u ms",
			s->pool->options.start_timeout_ms);
	} else if (s->doom == DOOM_MEMORY) {
		snprintf(out, size,
			"a worker exceeded its memory limit of %zu bytes and was "
			"killed",
			s->pool->options.worker_memory_bytes);
	} else if (s->doom == DOOM_SILENT) {
		snprintf(out, size,
			"a worker was silent for more than %u ms and was killed",
			s->pool->options.hang_timeout_ms);
	} else if (WIFSIGNALED(status)) {
		snprintf(out, size, "a worker died by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	} else if (text) {
		snprintf(out, size, "a worker %s%s%.*s", text, *words ? ": " : "",
			BLACKBOX_WORDS_BYTES - 1, words);
	} else {
		snprintf(out, size, "a worker exited with status %d",
			WEXITSTATUS(status));
	}
}

/* Its successor has the place now, behind those that were there before both.  One
 * that got none, for want of a spare slot, is its own: it stays behind them. */
static void leave_place(struct slot *s)
{
	if (!s->replaced) {
		return;
	}
	for (unsigned i = 0; i < s->pool->slot_ct; i++) {
		struct slot *other = &s->pool->slots[i];
		other->before = other->before == s ? s->before : other->before;
	}
	s->before = NULL;
}

void slot_exited(struct slot *s, int status)
{
	struct pm_pool *pool = s->pool;
	char why[384];
	pool->now_us = clock_now_us(); /* retries are timed here, too */
	describe(s, status, why, sizeof why);
	/* Read what can still be read from it before its jobs are judged. */
	(void)gather_read(pool, LAST_FRAMES);
	bool orderly = s->state == SLOT_DRAINING && WIFEXITED(status) &&
		       WEXITSTATUS(status) == PROTO_EXIT_OK;
	if (!orderly && s->doom != DOOM_STOP) {
		pool->stats.workers_lost++;
		pool_log(pool, PM_LOG_WARNING, "%s (worker %u, pid %ld, %zu jobs)", why,
			s->number, (long)s->pid, s->held.ct);
	} else if (orderly && s->recycled) {
		pool->stats.workers_recycled++;
		pool_log(pool, PM_LOG_INFO, "worker %u (pid %ld) had its %u jobs",
			s->number, (long)s->pid, pool->options.max_jobs_per_worker);
	}
	s->state = SLOT_LOST;
	leave_place(s);
	s->has_ended = true;
	s->last_status = status;
	s->last_pid = s->pid;
	if (s->was_ready) {
		dispatch_worker_down(s);
	}
	loss_settle(s, status);
	s->pid = 0;
	buf_clear(&s->cancels);
	close_links(s);
	if (pool->quarantine == s) {
		pool->quarantine = NULL;
	}
	s->quarantine = false;
	respawn(s, why);
	pool_wake(pool);
}

/* -------------------------------------------------------------------- init */

int slot_init(
	struct slot *s, struct pm_pool *pool, unsigned number, unsigned concurrency)
{
	*s = (struct slot){.pool = pool,
		.number = number,
		.concurrency = concurrency,
		.lifeline = -1,
		.jobs = {.socket = -1}};
	list_init(&s->held);
	list_init(&s->outbox.waiting);
	s->timer = evtimer_new(pool->base, timer_cb, s);
	return s->timer ? 0 : PM_ENOMEM;
}

void slot_fini(struct slot *s)
{
	if (s->timer) {
		close_links(s);
		buf_fini(&s->cancels);
		event_free(s->timer);
		s->timer = NULL;
	}
}
