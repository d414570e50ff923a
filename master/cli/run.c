/* SPDX-License-Identifier: MIT
 *
 * run - `poolmap run`; see run.h.
 *
 * A run is opened, flows, is told of, and is closed: open_all(), flow_run(),
 * run_end(), close_all().  Owns the parts of it and the event base that they and
 * the pool work on, and has a tick of its own for the progress line and what has to
 * be written by the clock.
 */
#include "master/cli/run.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli/settings.h"
#include "common/clock.h"
#include "common/poolmap.h"
#include "master/cli/body_target.h"
#include "master/cli/deliver.h"
#include "master/cli/flow.h"
#include "master/cli/input.h"
#include "master/cli/loop.h"
#include "master/cli/message.h"
#include "master/cli/progress.h"
#include "master/cli/run_end.h"
#include "master/cli/run_pool.h"
#include "master/cli/stats.h"
#include "master/cli/stopping.h"

enum { TICK_MS = 200 };

struct run {
	struct event_base *base;
	pm_pool *pool;
	struct input *input;
	struct deliver deliver;
	struct stopping stopping;
	struct flow flow;
	struct progress progress;
	struct event *tick;
	uint64_t start_us; /* of the command */
};

/* ----------------------------------------------------------------- progress */

/* No -q, and no results that go to the same terminal; unless asked for. */
static enum progress_mode progress_wanted(void)
{
	bool same_terminal = strcmp(settings.output, "-") == 0 && isatty(STDOUT_FILENO);
	bool unwanted = settings.quiet || same_terminal;
	return settings.progress == PROGRESS_AUTO && unwanted ? PROGRESS_NONE
							      : settings.progress;
}

static void clear_progress(void *ctx)
{
	progress_clear(ctx);
}

static void begin_progress(struct run *run, uint64_t now_us)
{
	progress_init(&run->progress, STDERR_FILENO, progress_wanted(), now_us);
	message_before(clear_progress, &run->progress);
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
		.total = run->flow.total};
}

static void end_progress(struct run *run)
{
	uint64_t now_us = clock_now_us();
	struct progress_facts facts = progress_now(run, now_us);
	progress_end(&run->progress, &facts, now_us);
}

/* With it the outputs do what they do by the clock. */
static void tick_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct run *run = ctx;
	uint64_t now_us = clock_now_us();
	struct progress_facts facts = progress_now(run, now_us);
	(void)fd;
	(void)what;
	progress_draw(&run->progress, &facts, now_us);
	int code = run->flow.error ? 0 : deliver_tick(&run->deliver);
	if (code) {
		flow_fail(&run->flow, code);
	}
}

static int open_tick(struct run *run)
{
	struct timeval tick = {.tv_usec = TICK_MS * 1000L};
	run->tick = event_new(run->base, -1, EV_PERSIST, tick_cb, run);
	if (!run->tick || event_add(run->tick, &tick) < 0) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	return 0;
}

/* --------------------------------------------------------------- open, close */

static int open_input(struct run *run)
{
	int code = input_open(&run->input, settings.inputs, settings.input_ct);
	if (!code && (settings.csv || settings.tsv)) {
		code = input_as_table(run->input, settings.csv ? ',' : '\t',
			settings.csv, settings.url_column);
	}
	return code;
}

static int check_stats(const struct run *run)
{
	return settings.stats ? stats_check(&settings, run->input) : 0;
}

static int open_flow(struct run *run)
{
	run->flow.base = run->base;
	run->flow.pool = run->pool;
	run->flow.input = run->input;
	run->flow.deliver = &run->deliver;
	run->flow.stopping = &run->stopping;
	return flow_open(&run->flow);
}

/* In this order: what can be wrong with the command is found before anything
 * is created, and an existing output is touched last. */
static int open_all(struct run *run)
{
	int code = open_input(run);
	code = code ? code : body_target_check(&settings);
	code = code ? code : loop_open(&run->base);
	code = code ? code : check_stats(run);
	code = code ? code : run_pool_open(&run->pool, run->base);
	code = code ? code : deliver_open(&run->deliver, &settings, run->input);
	code = code ? code : check_stats(run); /* now there is an output */
	code = code ? code
		    : stopping_open(
			      &run->stopping, run->base, run->pool, run->start_us);
	code = code ? code : open_flow(run);
	return code ? code : open_tick(run);
}

static void close_all(struct run *run)
{
	loop_drop(&run->tick); /* closing the pool runs the loop */
	stopping_over(&run->stopping);
	if (run->stopping.at_once || run->flow.error) {
		pm_pool_terminate(&run->pool);
	} else {
		pm_pool_close(&run->pool);
	}
	flow_close(&run->flow);
	deliver_discard(&run->deliver);
	input_close(run->input);
	stopping_close(&run->stopping);
	if (run->base) {
		event_base_free(run->base);
	}
	message_before(NULL, NULL);
}

/* -------------------------------------------------------------------- the run */

static int go(struct run *run, int argc, char **argv)
{
	uint64_t begin_us = clock_now_us(); /* of the first job */
	begin_progress(run, begin_us);
	flow_run(&run->flow);
	end_progress(run);
	struct run_end end = {.stopping = &run->stopping,
		.error = run->flow.error,
		.tally = &run->deliver.tally,
		.elapsed_us = clock_now_us() - begin_us,
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
