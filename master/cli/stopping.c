/* SPDX-License-Identifier: MIT
 *
 * stopping - why a run ends before its jobs do; see stopping.h.
 */
#include "master/cli/stopping.h"

#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>

#include "common/cli/job.h"
#include "common/cli/settings.h"
#include "common/clock.h"
#include "master/cli/loop.h"
#include "master/cli/message.h"
#include "master/cli/secret.h"

/* No more jobs are taken, what runs is finished and written; or all is dropped
 * at once.  The first reason stays. */
static void stop(struct stopping *s, enum stop why, bool at_once)
{
	s->why = s->why ? s->why : why;
	if (at_once) {
		s->at_once = true;
		pm_pool_cancel(s->pool);
	} else {
		(void)pm_pool_shutdown(s->pool, PM_CANCEL_UNSENT, PM_FOREVER);
	}
}

/* -------------------------------------------------------------------- --halt */

/* Which job was one too many.  Its URL only, and not who asks: headers and bodies have
 * secrets. */
static void say_halted(const struct stopping *s, const struct pm_result *result,
	const struct outcome *outcome)
{
	struct job job;
	uint64_t index = 0;
	int err = job_read(&job, &index, result->arg, result->arg_len);
	const char *url = !err && job.url ? job.url : "no URL";
	size_t at, len = secret_user(url, &at);
	message_print("halted",
		"%" PRIu64 " failed, at last job %" PRIu64 " with %s: %.*s%s",
		s->halt.failed, index, outcome_class_name(outcome->class), (int)at, url,
		url + at + len);
	job_fini(&job);
}

void stopping_count(struct stopping *s, const struct pm_result *result,
	const struct outcome *outcome)
{
	if (!halt_count(&s->halt, &settings, outcome->class == OUTCOME_OK)) {
		return;
	}
	say_halted(s, result, outcome);
	stop(s, STOP_HALT, false);
	if (settings.halt == HALT_NOW) {
		event_active(s->halted, 0, 0);
	}
}

/* --halt now: behind the turn in which the last job failed, so that its result
 * is written if it is its turn. */
static void halted_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	stop(ctx, STOP_HALT, true);
}

/* ----------------------------------------------------------- time and signals */

/* --max-time is over. */
static void deadline_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct stopping *s = ctx;
	(void)fd;
	(void)what;
	if (!s->why) {
		message_print("--max-time", "is over; stopping");
	}
	stop(s, STOP_TIME, true);
}

/* The first signal drains: no more jobs are taken, what runs is finished and
 * written.  The second stops at once. */
static void signal_cb(evutil_socket_t number, short what, void *ctx)
{
	struct stopping *s = ctx;
	(void)what;
	if (s->signal) {
		stop(s, STOP_SIGNAL, true);
		return;
	}
	s->signal = (int)number;
	if (!settings.quiet) {
		message_print(number == SIGINT ? "interrupted" : "terminated",
			"finishing the jobs that run; once more stops at once");
	}
	stop(s, STOP_SIGNAL, false);
}

/* --------------------------------------------------------------- open, close */

int stopping_open(
	struct stopping *s, struct event_base *base, pm_pool *pool, uint64_t start_us)
{
	struct timeval left =
		clock_until(start_us + settings.max_time_ms * UINT64_C(1000));
	s->pool = pool;
	s->sigint = evsignal_new(base, SIGINT, signal_cb, s);
	s->sigterm = evsignal_new(base, SIGTERM, signal_cb, s);
	s->deadline = evtimer_new(base, deadline_cb, s);
	s->halted = event_new(base, -1, 0, halted_cb, s);
	if (!s->sigint || !s->sigterm || !s->deadline || !s->halted ||
		event_add(s->sigint, NULL) < 0 || event_add(s->sigterm, NULL) < 0 ||
		(settings.max_time_ms && event_add(s->deadline, &left) < 0)) {
		message_print("run", "cannot watch for signals");
		return EXIT_WORKERS;
	}
	return 0;
}

void stopping_over(struct stopping *s)
{
	loop_drop(&s->deadline);
	loop_drop(&s->halted);
}

void stopping_close(struct stopping *s)
{
	stopping_over(s);
	loop_drop(&s->sigint);
	loop_drop(&s->sigterm);
}
