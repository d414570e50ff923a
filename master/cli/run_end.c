/* SPDX-License-Identifier: MIT
 *
 * run_end - what is left of a run, see run_end.h.
 */
#include "master/cli/run_end.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cli/settings.h"
#include "master/cli/again.h"
#include "master/cli/message.h"
#include "master/cli/pack.h"
#include "master/cli/stats.h"
#include "master/cli/summary.h"

static int exit_code(const struct run_end *end)
{
	if (end->error) {
		return end->error;
	}
	switch (end->stopping->why) {
	case STOP_SIGNAL:
		return 128 + end->stopping->signal;
	case STOP_HALT:
	case STOP_TIME:
		return EXIT_HALTED;
	default:
		return tally_all_ok(end->tally) ? 0 : 1;
	}
}

static enum summary_end end_of_stop(const struct run_end *end)
{
	switch (end->stopping->why) {
	case STOP_HALT:
		return SUMMARY_HALTED;
	case STOP_TIME:
		return SUMMARY_TIME_OVER;
	case STOP_SIGNAL:
		return end->stopping->at_once ? SUMMARY_STOPPED : SUMMARY_DRAINED;
	default:
		return SUMMARY_FINISHED;
	}
}

static enum summary_end how_it_ended(const struct run_end *end)
{
	switch (end->error) {
	case EXIT_INPUT:
		return SUMMARY_INPUT_FAILED;
	case EXIT_OUTPUT:
		return SUMMARY_OUTPUT_FAILED;
	case 0:
		return end_of_stop(end);
	default:
		return SUMMARY_WORKERS_FAILED;
	}
}

/* Not when they went to a pipe or a device. */
static bool results_are_kept(void)
{
	struct stat st;
	return strcmp(settings.output, "-") != 0 && stat(settings.output, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

static struct summary_facts facts_of(const struct run_end *end)
{
	return (struct summary_facts){.tally = end->tally,
		.elapsed_us = end->elapsed_us,
		.end = how_it_ended(end),
		.signal = end->stopping->signal,
		.dropped = end->stopping->at_once,
		.output = settings.output,
		.passed_on = !results_are_kept(),
		.csv = settings.format == FORMAT_CSV,
		.packed = pack_wanted(settings.output),
		.workers = end->pool.workers,
		.workers_lost = end->pool.workers_lost,
		.jobs_rerun = end->pool.jobs_rerun};
}

static void write_stats(struct run_end *end)
{
	struct buf text = {0};
	struct summary_facts facts = facts_of(end);
	int code = EXIT_WORKERS;
	if (stats_render(&text, &facts, exit_code(end))) {
		message_print(settings.stats, "is not written: out of memory");
	} else {
		code = stats_write(settings.stats, &text);
	}
	end->error = end->error ? end->error : code;
	buf_fini(&text);
}

static void write_text(const struct buf *text)
{
	for (size_t at = 0; at < text->len;) {
		ssize_t n = write(STDERR_FILENO, text->data + at, text->len - at);
		if (n <= 0) {
			return; /* nobody reads: nothing to say */
		}
		at += (size_t)n;
	}
}

static void print_summary(const struct run_end *end)
{
	struct buf text = {0}, again = {0}, retry = {0};
	struct summary_facts facts = facts_of(end);
	if (!input_regular(end->input)) {
		facts.never = "the jobs did not come from a regular file";
	} else if (!facts.passed_on && end->unfit) {
		facts.never = end->unfit;
	} else if (!facts.passed_on) {
		facts.again = again_command(&again, end->argc, end->argv);
		facts.retry =
			again_retry(&retry, end->argc, end->argv, settings.output);
	}
	if (summary_render(&text, &facts) == 0) {
		write_text(&text);
	}
	buf_fini(&text);
	buf_fini(&again);
	buf_fini(&retry);
}

int run_end(struct run_end *end)
{
	if (settings.stats) {
		write_stats(end);
	}
	if (!settings.quiet) {
		print_summary(end);
	}
	return exit_code(end);
}
