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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cli/lost.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/clock.h"
#include "common/poolmap.h"
#include "master/cli/again.h"
#include "master/cli/input.h"
#include "master/cli/message.h"
#include "master/cli/output.h"
#include "master/cli/progress.h"
#include "master/cli/rate.h"
#include "master/cli/resume.h"
#include "master/cli/summary.h"
#include "master/cli/tally.h"
#include "common/cli/fetch_task.h"

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
	struct output *output;
	struct resume *resume;
	struct event *sigint, *sigterm, *tick, *readable, *writable;

	struct buf arg;  /* of the job that is handed to the pool */
	struct buf line; /* of a job that no worker could finish */
	struct tally tally;
	struct rate rate;
	struct progress progress;
	uint64_t begin_us;

	int signal;   /* that asked us to stop; 0: none */
	bool at_once; /* it came twice */
	int error;    /* exit code of what failed; 0: nothing */
};

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

/* Jobs or room for results are there again. */
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
	struct job_head head = {.index = input_index(run->input), .too_long = too_long};
	buf_clear(&run->arg);
	if (buf_put(&run->arg, &head, sizeof head) || buf_put(&run->arg, line, len)) {
		return PM_ENOMEM;
	}
	job->arg = run->arg.data;
	job->len = run->arg.len;
	return PM_SOURCE_JOB;
}

static int source(void *ctx, struct pm_job *job)
{
	struct run *run = ctx;
	const char *line;
	size_t len;
	bool too_long;
	if (run->signal || run->error) {
		return PM_SOURCE_END; /* drain */
	}
	for (;;) {
		switch (input_next(run->input, &line, &len, &too_long)) {
		case INPUT_LINE:
			if (!resume_done(run->resume, input_index(run->input))) {
				return make_job(run, line, len, too_long, job);
			}
			break;
		case INPUT_WAIT:
			watch(&run->readable, run, input_fd(run->input), EV_READ,
				ready_cb);
			return PM_SOURCE_WAIT;
		case INPUT_ERROR:
			run->error = EXIT_INPUT;
			return PM_SOURCE_END;
		case INPUT_END:
			return PM_SOURCE_END;
		}
	}
}

static int put(
	struct run *run, const struct outcome *outcome, const void *line, size_t len)
{
	if (output_put(run->output, line, len)) {
		run->error = EXIT_OUTPUT;
		return PM_ESYSTEM;
	}
	tally_add(&run->tally, outcome);
	rate_add(&run->rate, clock_now_us(), 1);
	return PM_SINK_TAKEN;
}

/* A result that the fetch task did not make: its worker was lost, mostly. */
static int put_lost(struct run *run, const struct pm_result *result)
{
	enum outcome_class class = OUTCOME_INTERNAL;
	buf_clear(&run->line);
	if (lost_render(&run->line, result->arg, result->arg_len, result, &class)) {
		message_print("run", "out of memory");
		run->error = EXIT_WORKERS;
		return PM_ENOMEM;
	}
	struct outcome outcome = {.class = class};
	return put(run, &outcome, run->line.data, run->line.len);
}

static int sink(void *ctx, const struct pm_result *result)
{
	struct run *run = ctx;
	struct outcome outcome;
	if (output_blocked(run->output)) {
		return PM_SINK_WAIT; /* flush() watches for room */
	}
	if (result->error || result->len < sizeof outcome) {
		return put_lost(run, result);
	}
	memcpy(&outcome, result->bytes, sizeof outcome);
	return put(run, &outcome, (const char *)result->bytes + sizeof outcome,
		result->len - sizeof outcome);
}

static void writable_cb(evutil_socket_t fd, short what, void *ctx);

/* After each batch of results. */
static void flush(void *ctx)
{
	struct run *run = ctx;
	if (output_flush(run->output)) {
		run->error = EXIT_OUTPUT;
		pm_pool_cancel(run->pool);
	} else if (output_fd(run->output) >= 0) {
		watch(&run->writable, run, output_fd(run->output), EV_WRITE,
			writable_cb);
	}
}

static void writable_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct run *run = ctx;
	(void)fd;
	(void)what;
	flush(run);
	if (!output_blocked(run->output)) {
		pm_pool_wake(run->pool);
	}
}

/* ------------------------------------------------------------------- events */

static void clear_progress(void *ctx)
{
	progress_clear(ctx);
}

static void tick_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct run *run = ctx;
	struct pm_pool_stats stats;
	uint64_t now_us = clock_now_us();
	(void)fd;
	(void)what;
	pm_pool_stats(run->pool, &stats);
	/* What workers hold beyond it is next in line. */
	unsigned in_flight =
		stats.held < stats.concurrency ? stats.held : stats.concurrency;
	struct progress_facts facts = {.done = run->tally.done,
		.ok = tally_ok(&run->tally),
		.failed = tally_failed(&run->tally),
		.in_flight = in_flight,
		.per_second = rate_per_second(&run->rate, now_us)};
	progress_draw(&run->progress, &facts, now_us);
	if (!run->error && output_tick(run->output)) {
		run->error = EXIT_OUTPUT;
		pm_pool_cancel(run->pool);
	}
}

/* The first signal drains: no more jobs are taken, what runs is finished and
 * written.  The second stops at once. */
static void signal_cb(evutil_socket_t number, short what, void *ctx)
{
	struct run *run = ctx;
	(void)what;
	if (run->signal) {
		run->at_once = true;
		pm_pool_cancel(run->pool);
		return;
	}
	run->signal = (int)number;
	if (!settings.quiet) {
		message_print(number == SIGINT ? "interrupted" : "terminated",
			"finishing the jobs that run; once more stops at once");
	}
	pm_pool_wake(run->pool);
}

static int open_events(struct run *run)
{
	struct timeval tick = {.tv_usec = TICK_MS * 1000};
	run->sigint = evsignal_new(run->base, SIGINT, signal_cb, run);
	run->sigterm = evsignal_new(run->base, SIGTERM, signal_cb, run);
	run->tick = event_new(run->base, -1, EV_PERSIST, tick_cb, run);
	if (!run->sigint || !run->sigterm || !run->tick ||
		event_add(run->sigint, NULL) < 0 || event_add(run->sigterm, NULL) < 0 ||
		event_add(run->tick, &tick) < 0) {
		message_print("run", "cannot watch for signals");
		return EXIT_WORKERS;
	}
	return 0;
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

static int open_pool(struct run *run)
{
	struct pm_pool_options options;
	pm_pool_options_init(&options);
	options.workers = settings.workers;
	options.concurrency = settings.concurrency;
	options.max_bytes = result_bytes_max();
	options.files_per_task = FILES_PER_TASK;
	options.base = run->base;
	int err = pm_pool_open(&run->pool, &options);
	if (err) {
		message_print("cannot start the workers", "%s", pm_last_error());
	}
	return !err                                   ? 0
	       : err == PM_ELIMIT || err == PM_EINVAL ? EXIT_USAGE
						      : EXIT_WORKERS;
}

/* In this order: what can be wrong with the command is found before anything
 * is created, and an existing output is touched last. */
static int open_all(struct run *run)
{
	int code = input_open(&run->input, settings.inputs, settings.input_ct);
	if (code) {
		return code;
	}
	run->base = event_base_new();
	if (!run->base) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	code = open_pool(run);
	if (!code) {
		code = output_open(&run->output, &settings, run->input);
	}
	if (!code) {
		code = resume_scan(
			&run->resume, run->output, run->input, settings.unordered);
	}
	if (!code) {
		code = open_events(run);
	}
	return code;
}

static void close_all(struct run *run)
{
	free_event(&run->tick); /* closing the pool runs the loop */
	free_event(&run->readable);
	free_event(&run->writable);
	if (run->at_once || run->error) {
		pm_pool_terminate(&run->pool);
	} else {
		pm_pool_close(&run->pool);
	}
	output_discard(run->output);
	resume_free(run->resume);
	input_close(run->input);
	free_event(&run->sigint);
	free_event(&run->sigterm);
	if (run->base) {
		event_base_free(run->base);
	}
	buf_fini(&run->arg);
	buf_fini(&run->line);
	message_before(NULL, NULL);
}

/* -------------------------------------------------------------------- the run */

/* The last lines are still on their way to a slow reader. */
static void finish_output(struct run *run)
{
	flush(run);
	while (!run->error && !run->at_once && output_fd(run->output) >= 0) {
		if (event_base_loop(run->base, EVLOOP_ONCE) < 0) {
			break;
		}
	}
	if (run->at_once && output_fd(run->output) >= 0) {
		return; /* its reader does not read: there is nothing to wait for */
	}
	if (output_close(run->output)) {
		run->error = EXIT_OUTPUT;
	}
	run->output = NULL;
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
		.turn = flush};
	int err = pm_map_stream(run->pool, &stream);
	if (err && !run->error && !run->at_once) {
		message_print("the run stopped", "%s",
			*pm_last_error() ? pm_last_error() : pm_error_text(err));
		run->error = EXIT_WORKERS;
	}
}

static enum summary_end how_it_ended(const struct run *run)
{
	switch (run->error) {
	case EXIT_INPUT:
		return SUMMARY_INPUT_FAILED;
	case EXIT_OUTPUT:
		return SUMMARY_OUTPUT_FAILED;
	case 0:
		return run->at_once  ? SUMMARY_STOPPED
		       : run->signal ? SUMMARY_DRAINED
				     : SUMMARY_FINISHED;
	default:
		return SUMMARY_WORKERS_FAILED;
	}
}

static void print_summary(struct run *run, int argc, char **argv)
{
	struct pm_pool_stats stats;
	struct buf text = {0}, again = {0};
	pm_pool_stats(run->pool, &stats);
	struct summary_facts facts = {.tally = &run->tally,
		.elapsed_us = clock_now_us() - run->begin_us,
		.end = how_it_ended(run),
		.signal = run->signal,
		.output = settings.output,
		.workers = stats.workers,
		.workers_lost = stats.workers_lost,
		.jobs_rerun = stats.jobs_rerun};
	if (!input_regular(run->input)) {
		facts.never = "the jobs did not come from a regular file";
	} else if (strcmp(settings.output, "-") != 0) {
		facts.again = again_command(&again, argc, argv);
	}
	progress_clear(&run->progress);
	if (summary_render(&text, &facts) == 0) {
		for (size_t at = 0; at < text.len;) {
			ssize_t put_ct =
				write(STDERR_FILENO, text.data + at, text.len - at);
			if (put_ct <= 0) {
				break; /* nobody reads: nothing to say */
			}
			at += (size_t)put_ct;
		}
	}
	buf_fini(&text);
	buf_fini(&again);
}

static int exit_code(const struct run *run)
{
	if (run->error) {
		return run->error;
	}
	if (run->signal) {
		return 128 + run->signal;
	}
	return tally_failed(&run->tally) ? 1 : 0;
}

static int go(struct run *run, int argc, char **argv)
{
	bool same_terminal = strcmp(settings.output, "-") == 0 && isatty(STDOUT_FILENO);
	run->begin_us = clock_now_us();
	rate_start(&run->rate, run->begin_us);
	tally_skip(&run->tally, resume_done_ct(run->resume));
	progress_init(&run->progress, STDERR_FILENO, !settings.quiet && !same_terminal);
	message_before(clear_progress, &run->progress);
	do_map(run);
	finish_output(run);
	progress_clear(&run->progress);
	if (!settings.quiet) {
		print_summary(run, argc, argv);
	}
	return exit_code(run);
}

int run_command(int argc, char **argv)
{
	struct run *run = calloc(1, sizeof *run);
	if (!run) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	int code = open_all(run);
	if (!code) {
		code = go(run, argc, argv);
	}
	close_all(run);
	free(run);
	return code;
}
