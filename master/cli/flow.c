/* SPDX-License-Identifier: MIT
 *
 * flow - jobs into the pool, results out of it; see flow.h.
 */
#include "master/cli/flow.h"

#include <event2/event.h>

#include "common/cli/fetch_task.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "master/cli/loop.h"
#include "master/cli/message.h"

void flow_fail(struct flow *flow, int error)
{
	flow->error = flow->error ? flow->error : error;
	pm_pool_cancel(flow->pool);
}

static void watch(struct event **event, struct flow *flow, int fd, short what,
	event_callback_fn callback)
{
	if (*event && event_get_fd(*event) != fd) {
		loop_drop(event);
	}
	if (!*event) {
		*event = event_new(flow->base, fd, what, callback, flow);
	}
	if (*event) {
		event_add(*event, NULL);
	}
}

/* Jobs or room for results are there again, or the sink wants to go on. */
static void ready_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct flow *flow = ctx;
	(void)fd;
	(void)what;
	pm_pool_wake(flow->pool);
}

/* ------------------------------------------------------------------ jobs go in */

static int make_job(struct flow *flow, const char *line, size_t len, bool too_long,
	struct pm_job *job)
{
	struct job_head head = {.index = input_index(flow->input), .bad = too_long};
	buf_clear(&flow->arg);
	if (buf_put(&flow->arg, &head, sizeof head) || buf_put(&flow->arg, line, len)) {
		return PM_ENOMEM;
	}
	job->arg = flow->arg.data;
	job->len = flow->arg.len;
	int err = pace_take(&flow->pace, line, too_long ? 0 : len, job);
	return err ? err : PM_SOURCE_JOB;
}

static int source(void *ctx, struct pm_job *job)
{
	struct flow *flow = ctx;
	const char *line;
	size_t len;
	bool too_long;
	if (flow->stopping->why || flow->error) {
		return PM_SOURCE_END; /* drain */
	}
	for (;;) {
		switch (input_try(flow->input, &line, &len, &too_long)) {
		case INPUT_LINE:
			flow->seen_ct++;
			if (!deliver_has(flow->deliver, input_index(flow->input))) {
				return make_job(flow, line, len, too_long, job);
			}
			break;
		case INPUT_WAIT:
			watch(&flow->readable, flow, input_fd(flow->input), EV_READ,
				ready_cb);
			return PM_SOURCE_WAIT;
		case INPUT_AGAIN:
			event_active(
				flow->again, 0, 0); /* behind signals and results */
			return PM_SOURCE_WAIT;
		case INPUT_ERROR:
			flow->error = EXIT_INPUT;
			return PM_SOURCE_END;
		case INPUT_END:
			flow->total = flow->seen_ct;
			return PM_SOURCE_END;
		}
	}
}

/* ----------------------------------------------------------- when, and again? */

/* The line of a job, out of its argument. */
static const char *line_of(const void *arg, size_t arg_len, size_t *len)
{
	const struct job_head *head = arg;
	bool has_line = arg_len > sizeof *head && !head->bad;
	*len = has_line ? arg_len - sizeof *head : 0;
	return has_line ? (const char *)arg + sizeof *head : "";
}

static void lane_new(void *ctx, const char *lane, struct pm_lane_limits *limits)
{
	struct flow *flow = ctx;
	pace_limits(&flow->pace, lane, limits);
}

static int admit(void *ctx, const struct pm_job *job, const char **why)
{
	struct flow *flow = ctx;
	size_t len;
	const char *line = line_of(job->arg, job->len, &len);
	return pace_admit(&flow->pace, job, line, len, why);
}

static bool retry(void *ctx, const struct pm_result *result, struct pm_retry *how)
{
	struct flow *flow = ctx;
	struct outcome outcome = deliver_outcome(result);
	if (flow->stopping->why || flow->error || deliver_disk_failed(result)) {
		return false;
	}
	size_t len;
	const char *line = line_of(result->arg, result->arg_len, &len);
	bool again = pace_retry(&flow->pace, &outcome, result->attempts, how);
	pace_ended(&flow->pace, line, len, how);
	if (!again) {
		stopping_count(flow->stopping, result, &outcome);
	}
	return again;
}

/* -------------------------------------------------------------- results come out */

/* In a run that was stopped: a job that did not begin, or would have had another
 * attempt.  It has no result, so that a resumed run does it. */
static bool was_cut_short(struct flow *flow, const struct pm_result *result)
{
	struct outcome outcome = deliver_outcome(result);
	struct pm_retry unused;
	return result->error == PM_ECANCELLED ||
	       pace_retry(&flow->pace, &outcome, result->attempts, &unused);
}

static int take_result(struct flow *flow, const struct pm_result *result)
{
	if (flow->cut || (flow->stopping->why && was_cut_short(flow, result))) {
		flow->cut = !settings.unordered; /* nothing comes behind a gap */
		return PM_SINK_TAKEN;
	}
	if (deliver_blocked(flow->deliver)) {
		return PM_SINK_WAIT; /* flush() watches for room */
	}
	int code = deliver_put(flow->deliver, result);
	if (code == DELIVER_AGAIN) {
		event_active(flow->again, 0, 0);
		return PM_SINK_WAIT;
	}
	if (code) {
		flow->error = code;
		return PM_ESYSTEM;
	}
	if (++flow->delivered_ct > flow->stopping->halt.done && !flow->stopping->why) {
		struct outcome outcome = deliver_outcome(result);
		/* retry() was not asked */
		stopping_count(flow->stopping, result, &outcome);
	}
	return PM_SINK_TAKEN;
}

static int sink(void *ctx, const struct pm_result *result)
{
	struct flow *flow = ctx;
	size_t len;
	const char *line = line_of(result->arg, result->arg_len, &len);
	int step = take_result(flow, result);
	if (step == PM_SINK_TAKEN) {
		pace_drop(&flow->pace, line, len);
	}
	return step;
}

static void writable_cb(evutil_socket_t fd, short what, void *ctx);

/* After each batch of results. */
static void flush(void *ctx)
{
	struct flow *flow = ctx;
	int code = deliver_flush(flow->deliver);
	if (code) {
		flow_fail(flow, code);
	} else if (deliver_fd(flow->deliver) >= 0) {
		watch(&flow->writable, flow, deliver_fd(flow->deliver), EV_WRITE,
			writable_cb);
	}
}

static void writable_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct flow *flow = ctx;
	(void)fd;
	(void)what;
	flush(flow);
	if (!deliver_blocked(flow->deliver)) {
		pm_pool_wake(flow->pool);
	}
}

/* -------------------------------------------------------------------- the whole */

static void map_all(struct flow *flow)
{
	struct pm_stream stream = {.task = fetch_task,
		.source = source,
		.sink = sink,
		.ctx = flow,
		.unordered = settings.unordered,
		.window = (size_t)settings.window,
		.window_bytes = (size_t)settings.window_bytes,
		.turn = flush,
		.rate = settings.rate,
		.lane_new = lane_new,
		.admit = settings.polite ? admit : NULL,
		.retry = retry};
	int err = pm_map_stream(flow->pool, &stream);
	if (err && !flow->error && !flow->stopping->why) {
		message_print("the run stopped", "%s",
			*pm_last_error() ? pm_last_error() : pm_error_text(err));
		flow->error = EXIT_WORKERS;
	}
}

/* Results of an earlier run that stand behind the last new one.  Not after
 * something went wrong, but when a run was stopped: they are done. */
static void copy_rest(struct flow *flow)
{
	int code = DELIVER_AGAIN;
	while (!flow->error && code == DELIVER_AGAIN) {
		code = deliver_rest(flow->deliver);
		flush(flow);
		bool slow = deliver_fd(flow->deliver) >= 0;
		if (slow && flow->stopping->at_once) {
			return; /* its reader does not read */
		}
		if (code == DELIVER_AGAIN &&
			event_base_loop(
				flow->base, slow ? EVLOOP_ONCE : EVLOOP_NONBLOCK) < 0) {
			return;
		}
	}
	flow->error = flow->error ? flow->error : code == DELIVER_AGAIN ? 0 : code;
}

/* The last lines are still on their way to a slow reader. */
static void finish_output(struct flow *flow)
{
	copy_rest(flow);
	flush(flow);
	while (!flow->error && !flow->stopping->at_once &&
		deliver_fd(flow->deliver) >= 0) {
		if (event_base_loop(flow->base, EVLOOP_ONCE) < 0) {
			break;
		}
	}
	if (flow->stopping->at_once && deliver_fd(flow->deliver) >= 0) {
		return; /* its reader does not read: there is nothing to wait for */
	}
	int code = deliver_close(flow->deliver, !flow->error && !flow->stopping->why);
	flow->error = flow->error ? flow->error : code;
}

static void free_events(struct flow *flow)
{
	loop_drop(&flow->again);
	loop_drop(&flow->readable);
	loop_drop(&flow->writable);
}

int flow_open(struct flow *flow)
{
	flow->total = settings.total;
	flow->again = event_new(flow->base, -1, 0, ready_cb, flow);
	if (!flow->again || pace_init(&flow->pace, &settings, flow->pool)) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	return 0;
}

void flow_run(struct flow *flow)
{
	map_all(flow);
	pace_stop(&flow->pace);
	finish_output(flow);
	free_events(flow); /* closing the pool runs the loop */
}

void flow_close(struct flow *flow)
{
	free_events(flow);
	pace_fini(&flow->pace);
	buf_fini(&flow->arg);
}
