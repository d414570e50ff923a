/* SPDX-License-Identifier: MIT
 *
 * run - `poolmap run`; see run.h.
 *
 * Owns the event base: the pool works on it, and so do the signals, the pipe
 * that jobs come from, the pipe that results go to, and the progress line.
 * Nothing here blocks but the pool's own map.
 */
#include "master/cli/run.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cli/fetch_task.h"
#include "common/cli/kernel.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/clock.h"
#include "common/poolmap.h"
#include "master/cli/body_target.h"
#include "master/cli/deliver.h"
#include "master/cli/input.h"
#include "master/cli/loop.h"
#include "master/cli/message.h"
#include "master/cli/pace.h"
#include "master/cli/progress.h"
#include "master/cli/run_end.h"
#include "master/cli/stats.h"
#include "master/cli/stopping.h"

enum {
	TICK_MS = 200,
	FILES_PER_TASK = 2, /* a look-up holds two, then its connection one */
	RESULT_EXTRA_BYTES = 16 << 20, /* of a line, beside the body */
	ESCAPE_MAX = 6,                /* bytes that one byte of a body can become */
};

struct run {
	struct event_base *base;
	pm_pool *pool;
	struct input *input;
	struct deliver deliver;
	struct event *tick, *again, *readable, *writable;

	struct buf arg; /* of the job that is handed to the pool */
	struct progress progress;
	uint64_t start_us; /* of the command */
	uint64_t begin_us; /* of the first job */

	struct stopping stopping;
	struct pace pace;
	uint64_t seen_ct; /* jobs read, those that have results already, too */
	uint64_t total;   /* of those; 0: not known yet */
	uint64_t delivered_ct;
	bool cut;  /* in order, the first job without a result has come */
	int error; /* exit code of what failed; 0: nothing */
};

/* Nothing more can be done.  The cause was printed. */
static void give_up(struct run *run, int error)
{
	run->error = run->error ? run->error : error;
	pm_pool_cancel(run->pool);
}

/* --------------------------------------------------------------- the stream */

static void watch(struct event **event, struct run *run, int fd, short what,
	event_callback_fn callback)
{
	if (*event && event_get_fd(*event) != fd) {
		event_free(*event);
		*event = NULL;
	}
	if (!*event) {
		*event = event_new(run->base, fd, what, callback, run);
	}
	if (*event) {
		event_add(*event, NULL);
	}
}

/* Jobs or room for results are there again, or the sink wants to go on. */
static void ready_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct run *run = ctx;
	(void)fd;
	(void)what;
	pm_pool_wake(run->pool);
}

static int make_job(struct run *run, const char *line, size_t len, bool too_long,
	struct pm_job *job)
{
	struct job_head head = {.index = input_index(run->input), .bad = too_long};
	buf_clear(&run->arg);
	if (buf_put(&run->arg, &head, sizeof head) || buf_put(&run->arg, line, len)) {
		return PM_ENOMEM;
	}
	job->arg = run->arg.data;
	job->len = run->arg.len;
	int err = pace_take(&run->pace, line, too_long ? 0 : len, job);
	return err ? err : PM_SOURCE_JOB;
}

static int source(void *ctx, struct pm_job *job)
{
	struct run *run = ctx;
	const char *line;
	size_t len;
	bool too_long;
	if (run->stopping.why || run->error) {
		return PM_SOURCE_END; /* drain */
	}
	for (;;) {
		switch (input_try(run->input, &line, &len, &too_long)) {
		case INPUT_LINE:
			run->seen_ct++;
			if (!deliver_has(&run->deliver, input_index(run->input))) {
				return make_job(run, line, len, too_long, job);
			}
			break;
		case INPUT_WAIT:
			watch(&run->readable, run, input_fd(run->input), EV_READ,
				ready_cb);
			return PM_SOURCE_WAIT;
		case INPUT_AGAIN:
			event_active(run->again, 0, 0); /* behind signals and results */
			return PM_SOURCE_WAIT;
		case INPUT_ERROR:
			run->error = EXIT_INPUT;
			return PM_SOURCE_END;
		case INPUT_END:
			run->total = run->seen_ct;
			return PM_SOURCE_END;
		}
	}
}

/* In a run that was stopped: a job that did not begin, or would have had another
 * attempt.  It has no result, so that a resumed run does it. */
static bool was_cut_short(struct run *run, const struct pm_result *result)
{
	struct outcome outcome = deliver_outcome(result);
	struct pm_retry unused;
	return result->error == PM_ECANCELLED ||
	       pace_retry(&run->pace, &outcome, result->attempts, &unused);
}

/* The line of a job, out of its argument. */
static const char *line_of(const void *arg, size_t arg_len, size_t *len)
{
	const struct job_head *head = arg;
	bool has_line = arg_len > sizeof *head && !head->bad;
	*len = has_line ? arg_len - sizeof *head : 0;
	return has_line ? (const char *)arg + sizeof *head : "";
}

static int take_result(struct run *run, const struct pm_result *result);

static int sink(void *ctx, const struct pm_result *result)
{
	struct run *run = ctx;
	size_t len;
	const char *line = line_of(result->arg, result->arg_len, &len);
	int step = take_result(run, result);
	if (step == PM_SINK_TAKEN) {
		pace_drop(&run->pace, line, len);
	}
	return step;
}

static int take_result(struct run *run, const struct pm_result *result)
{
	if (run->cut || (run->stopping.why && was_cut_short(run, result))) {
		run->cut = !settings.unordered; /* nothing comes behind a gap */
		return PM_SINK_TAKEN;
	}
	if (deliver_blocked(&run->deliver)) {
		return PM_SINK_WAIT; /* flush() watches for room */
	}
	int code = deliver_put(&run->deliver, result);
	if (code == DELIVER_AGAIN) {
		event_active(run->again, 0, 0);
		return PM_SINK_WAIT;
	}
	if (code) {
		run->error = code;
		return PM_ESYSTEM;
	}
	if (++run->delivered_ct > run->stopping.halt.done && !run->stopping.why) {
		struct outcome outcome = deliver_outcome(result);
		/* retry() was not asked */
		stopping_count(&run->stopping, result, &outcome);
	}
	return PM_SINK_TAKEN;
}

static void writable_cb(evutil_socket_t fd, short what, void *ctx);

/* After each batch of results. */
static void flush(void *ctx)
{
	struct run *run = ctx;
	int code = deliver_flush(&run->deliver);
	if (code) {
		give_up(run, code);
	} else if (deliver_fd(&run->deliver) >= 0) {
		watch(&run->writable, run, deliver_fd(&run->deliver), EV_WRITE,
			writable_cb);
	}
}

static void writable_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct run *run = ctx;
	(void)fd;
	(void)what;
	flush(run);
	if (!deliver_blocked(&run->deliver)) {
		pm_pool_wake(run->pool);
	}
}

/* ------------------------------------------------------------------- events */

static void clear_progress(void *ctx)
{
	progress_clear(ctx);
}

static struct progress_facts progress_now(struct run *run, uint64_t now_us)
{
	struct pm_pool_stats stats;
	const struct tally *tally = &run->deliver.tally;
	pm_pool_stats(run->pool, &stats);
	/* What workers hold beyond it is next in line. */
	unsigned in_flight =
		stats.held < stats.concurrency ? stats.held : stats.concurrency;
	return (struct progress_facts){.done = tally->done,
		.ok = tally_ok(tally),
		.failed = tally_failed(tally),
		.in_flight = in_flight,
		.per_second = rate_per_second(&run->deliver.rate, now_us),
		.skipped = tally->skipped,
		.retries = tally_retries(tally),
		.total = run->total};
}

static void tick_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct run *run = ctx;
	uint64_t now_us = clock_now_us();
	struct progress_facts facts = progress_now(run, now_us);
	(void)fd;
	(void)what;
	progress_draw(&run->progress, &facts, now_us);
	int code = run->error ? 0 : deliver_tick(&run->deliver);
	if (code) {
		give_up(run, code);
	}
}

static int open_events(struct run *run)
{
	struct timeval tick = {.tv_usec = TICK_MS * 1000L};
	run->tick = event_new(run->base, -1, EV_PERSIST, tick_cb, run);
	run->again = event_new(run->base, -1, 0, ready_cb, run);
	if (!run->tick || !run->again || event_add(run->tick, &tick) < 0) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	return stopping_open(&run->stopping, run->base, run->pool, run->start_us);
}

static void free_event(struct event **event)
{
	if (*event) {
		event_free(*event);
		*event = NULL;
	}
}

/* --------------------------------------------------------------- open, close */

static size_t result_bytes_max(void)
{
	uint64_t need = settings.max_body * ESCAPE_MAX + RESULT_EXTRA_BYTES;
	return need < PM_BYTES_MAX ? (size_t)need : PM_BYTES_MAX;
}

/* Once for all workers, and before there are any. */
static void tell_of_sandbox(void)
{
	const char *lack = !kernel_has_seccomp()    ? "filters of system calls"
			   : !kernel_landlock_abi() ? "Landlock"
						    : NULL;
	if (lack && !settings.no_sandbox && !settings.quiet && !kernel_is_watched()) {
		message_print("sandbox", "this kernel offers no %s: workers go without",
			lack);
	}
}

static int open_pool(struct run *run)
{
	tell_of_sandbox();
	struct pm_pool_options options;
	pm_pool_options_init(&options);
	options.workers = settings.workers;
	options.concurrency = settings.concurrency;
	options.max_bytes = result_bytes_max();
	options.files_per_task = FILES_PER_TASK;
	options.base = run->base;
	options.init = fetch_init;
	options.max_jobs_per_worker = settings.max_jobs_per_worker;
	options.worker_memory_bytes = (size_t)settings.worker_memory;
	options.schedule = settings.scheduler;
	int err = pm_pool_open(&run->pool, &options);
	if (err) {
		message_print("cannot start the workers", "%s", pm_last_error());
	}
	return !err                                   ? 0
	       : err == PM_ELIMIT || err == PM_EINVAL ? EXIT_USAGE
						      : EXIT_WORKERS;
}

static int open_input(struct run *run)
{
	int code = input_open(&run->input, settings.inputs, settings.input_ct);
	if (!code && (settings.csv || settings.tsv)) {
		code = input_as_table(run->input, settings.csv ? ',' : '\t',
			settings.csv, settings.url_column);
	}
	return code;
}

/* In this order: what can be wrong with the command is found before anything
 * is created, and an existing output is touched last. */
static int open_all(struct run *run)
{
	int code = open_input(run);
	code = code ? code : body_target_check(&settings);
	code = code ? code : loop_open(&run->base);
	if (!code && settings.stats) {
		code = stats_check(&settings, run->input);
	}
	if (!code) {
		code = open_pool(run);
	}
	if (!code) {
		code = deliver_open(&run->deliver, &settings, run->input);
	}
	if (!code && settings.stats) {
		code = stats_check(&settings, run->input); /* now there is an output */
	}
	if (!code) {
		code = open_events(run);
	}
	return code;
}

static void close_all(struct run *run)
{
	free_event(&run->tick); /* closing the pool runs the loop */
	free_event(&run->again);
	free_event(&run->readable);
	free_event(&run->writable);
	stopping_over(&run->stopping);
	if (run->stopping.at_once || run->error) {
		pm_pool_terminate(&run->pool);
	} else {
		pm_pool_close(&run->pool);
	}
	pace_fini(&run->pace);
	deliver_discard(&run->deliver);
	input_close(run->input);
	stopping_close(&run->stopping);
	if (run->base) {
		event_base_free(run->base);
	}
	buf_fini(&run->arg);
	message_before(NULL, NULL);
}

/* -------------------------------------------------------------------- the run */

/* Results of an earlier run that stand behind the last new one.  Not after
 * something went wrong, but when a run was stopped: they are done. */
static void copy_rest(struct run *run)
{
	int code = DELIVER_AGAIN;
	while (!run->error && code == DELIVER_AGAIN) {
		code = deliver_rest(&run->deliver);
		flush(run);
		bool slow = deliver_fd(&run->deliver) >= 0;
		if (slow && run->stopping.at_once) {
			return; /* its reader does not read */
		}
		if (code == DELIVER_AGAIN &&
			event_base_loop(
				run->base, slow ? EVLOOP_ONCE : EVLOOP_NONBLOCK) < 0) {
			return;
		}
	}
	run->error = run->error ? run->error : code == DELIVER_AGAIN ? 0 : code;
}

/* The last lines are still on their way to a slow reader. */
static void finish_output(struct run *run)
{
	copy_rest(run);
	flush(run);
	while (!run->error && !run->stopping.at_once &&
		deliver_fd(&run->deliver) >= 0) {
		if (event_base_loop(run->base, EVLOOP_ONCE) < 0) {
			break;
		}
	}
	if (run->stopping.at_once && deliver_fd(&run->deliver) >= 0) {
		return; /* its reader does not read: there is nothing to wait for */
	}
	int code = deliver_close(&run->deliver, !run->error && !run->stopping.why);
	run->error = run->error ? run->error : code;
}

static void lane_new(void *ctx, const char *lane, struct pm_lane_limits *limits)
{
	struct run *run = ctx;
	pace_limits(&run->pace, lane, limits);
}

static int admit(void *ctx, const struct pm_job *job, const char **why)
{
	struct run *run = ctx;
	size_t len;
	const char *line = line_of(job->arg, job->len, &len);
	return pace_admit(&run->pace, job, line, len, why);
}

static bool retry(void *ctx, const struct pm_result *result, struct pm_retry *how)
{
	struct run *run = ctx;
	struct outcome outcome = deliver_outcome(result);
	if (run->stopping.why || run->error || deliver_disk_failed(result)) {
		return false;
	}
	size_t len;
	const char *line = line_of(result->arg, result->arg_len, &len);
	bool again = pace_retry(&run->pace, &outcome, result->attempts, how);
	pace_ended(&run->pace, line, len, how);
	if (!again) {
		stopping_count(&run->stopping, result, &outcome);
	}
	return again;
}

static void do_map(struct run *run)
{
	struct pm_stream stream = {.task = fetch_task,
		.source = source,
		.sink = sink,
		.ctx = run,
		.unordered = settings.unordered,
		.window = (size_t)settings.window,
		.window_bytes = (size_t)settings.window_bytes,
		.turn = flush,
		.rate = settings.rate,
		.lane_new = lane_new,
		.admit = settings.polite ? admit : NULL,
		.retry = retry};
	int err = pm_map_stream(run->pool, &stream);
	if (err && !run->error && !run->stopping.why) {
		message_print("the run stopped", "%s",
			*pm_last_error() ? pm_last_error() : pm_error_text(err));
		run->error = EXIT_WORKERS;
	}
}

/* No -q, and no results that go to the same terminal; unless asked for. */
static enum progress_mode progress_wanted(void)
{
	bool same_terminal = strcmp(settings.output, "-") == 0 && isatty(STDOUT_FILENO);
	bool unwanted = settings.quiet || same_terminal;
	return settings.progress == PROGRESS_AUTO && unwanted ? PROGRESS_NONE
							      : settings.progress;
}

static void end_progress(struct run *run)
{
	uint64_t now_us = clock_now_us();
	struct progress_facts facts = progress_now(run, now_us);
	progress_end(&run->progress, &facts, now_us);
}

static int go(struct run *run, int argc, char **argv)
{
	run->begin_us = clock_now_us();
	run->total = settings.total;
	progress_init(&run->progress, STDERR_FILENO, progress_wanted(), run->begin_us);
	message_before(clear_progress, &run->progress);
	if (pace_init(&run->pace, &settings, run->pool)) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	do_map(run);
	pace_stop(&run->pace);
	finish_output(run);
	end_progress(run);
	struct run_end end = {.stopping = &run->stopping,
		.error = run->error,
		.tally = &run->deliver.tally,
		.elapsed_us = clock_now_us() - run->begin_us,
		.input = run->input,
		.unfit = deliver_unfit(&run->deliver),
		.argc = argc,
		.argv = argv};
	pm_pool_stats(run->pool, &end.pool);
	return run_end(&end);
}

int run_command(int argc, char **argv)
{
	struct run *run = calloc(1, sizeof *run);
	if (!run) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	run->start_us = clock_now_us();
	int code = open_all(run);
	if (!code) {
		code = go(run, argc, argv);
	}
	close_all(run);
	free(run);
	return code;
}
