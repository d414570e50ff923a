/* SPDX-License-Identifier: MIT
 *
 * Bodies that a task reads as they come, and fetches that end in the middle.
 */
#include "tests/support/ask_rig.h"

/* A body as it came, held against what the origin sends: see origin_body.c. */
struct stream {
	pm_task *task;
	size_t len, stop_at;
	bool good;
};

static int read_part(void *ctx, const void *bytes, size_t len)
{
	struct stream *s = ctx;
	const unsigned char *at = bytes;
	for (size_t i = 0; i < len; i++) {
		size_t n = s->len + i;
		s->good = s->good && at[i] == 255 - (n + n / 256) % 256;
	}
	s->len += len;
	atomic_store(&board->seen, s->len > INT_MAX ? INT_MAX : (int)s->len);
	if (s->stop_at && s->len >= s->stop_at) {
		return pm_fail(s->task, 7, "enough after %zu", s->stop_at);
	}
	return 0;
}

static int task_stream(pm_task *task, const void *origin, size_t len)
{
	enum { LARGE = 20 << 20 };
	struct pm_response *r;
	(void)len;
	struct stream s = {.task = task, .good = true};
	struct pm_request request = {.url = at(origin, "/bytes/20971520"),
		.max_body = LARGE,
		.on_body = read_part,
		.on_body_ctx = &s};
	WANT(pm_await_fetch(task, &request, &r) == 0);
	WANT(s.good && s.len == LARGE);
	WANT(r->body_len == LARGE && !*(const char *)r->body);
	s = (struct stream){.task = task, .good = true};
	request.max_body = LARGE - 1;
	WANT(pm_await_fetch(task, &request, &r) == PM_EBODYSIZE);
	WANT(s.len < LARGE);
	return 0;
}

Test(fetch_streams, hands_over_a_body_as_it_comes, .timeout = 60)
{
	run_alone(task_stream, 1);
}

static int task_stop_stream(pm_task *task, const void *origin, size_t len)
{
	struct pm_response *r;
	(void)len;
	struct stream s = {.task = task, .stop_at = 100000};
	struct pm_request request = {.url = at(origin, "/endless"),
		.max_body = 1u << 30,
		.on_body = read_part,
		.on_body_ctx = &s};
	WANT(pm_await_fetch(task, &request, &r) == PM_EFAILED);
	WANT(pm_task_failure(task)->domain == PM_DOMAIN_TASK);
	WANT(pm_task_failure(task)->code == 7);
	WANT(strcmp(pm_task_failure(task)->message, "enough after 100000") == 0);
	WANT(pm_task_last_response(task)->status == 200);
	WANT(pm_task_last_response(task)->body_len == 0);
	WANT(pm_await_get(task, at(origin, "/"), &r) == 0);
	return 0;
}

Test(fetch_streams, ends_when_the_reader_has_enough, .timeout = 60)
{
	run_alone(task_stop_stream, 2);
}

/* The first part of one child's body cancels the other children. */
struct race {
	pm_task **runners;
	unsigned me;
};

enum { RUNNERS = 4 };

static int read_and_win(void *ctx, const void *bytes, size_t len)
{
	struct race *race = ctx;
	(void)bytes;
	(void)len;
	for (unsigned i = 0; i < RUNNERS; i++) {
		if (i != race->me) {
			pm_child_cancel(race->runners[i]);
		}
	}
	return 0;
}

static const char *race_url;

static int task_run_race(pm_task *task, const void *arg, size_t len)
{
	struct race race;
	struct pm_response *r;
	memcpy(&race, arg, sizeof(race));
	struct pm_request request = {
		.url = race_url, .on_body = read_and_win, .on_body_ctx = &race};
	int err = pm_await_fetch(task, &request, &r);
	return err ? err : pm_return(task, &r->status, len ? sizeof(r->status) : 0);
}

static int task_hold_race(pm_task *task, const void *origin, size_t len)
{
	pm_task *runners[RUNNERS];
	char url[512];
	unsigned won = 0, cancelled = 0;
	(void)len;
	snprintf(url, sizeof(url), "%s/size/300000", (const char *)origin);
	race_url = url;
	for (unsigned i = 0; i < RUNNERS; i++) {
		struct race race = {runners, i};
		WANT(pm_spawn(task, task_run_race, &race, sizeof(race), &runners[i]) ==
			0);
	}
	WANT(pm_gather(task, runners, RUNNERS) == 0);
	for (unsigned i = 0; i < RUNNERS; i++) {
		const struct pm_result *r = pm_child_result(runners[i]);
		won += r->error == 0;
		cancelled += r->error == PM_ECANCELLED;
	}
	WANT(won == 1);
	WANT(cancelled == RUNNERS - 1);
	struct pm_response *r;
	WANT(pm_await_get(task, at(origin, "/"), &r) == 0);
	return 0;
}

Test(fetch_streams, has_readers_that_cancel_other_fetches, .timeout = 60)
{
	run_alone(task_hold_race, 20);
}

static int task_stream_for_ever(pm_task *task, const void *url, size_t len)
{
	struct pm_response *r;
	struct stream s = {.task = task};
	struct pm_request request = {.url = url,
		.max_body = SIZE_MAX - 1,
		.on_body = read_part,
		.on_body_ctx = &s};
	(void)len;
	board_enter();
	int err = pm_await_fetch(task, &request, &r);
	board_leave();
	return err;
}

static void cancel_in_the_middle(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	if (atomic_load(&board->seen) > 200000) {
		pm_pool_cancel(*(pm_pool **)ctx);
	}
}

Test(fetch_streams, can_be_cancelled_in_the_middle_of_a_stream, .timeout = 60)
{
	struct origin *o = origin_start();
	struct pm_pool_options options = rig_options(1, 2);
	struct timeval often = {.tv_usec = 5000};
	options.base = event_base_new();
	pm_pool *pool = rig_open(&options);
	struct event *timer =
		event_new(options.base, -1, EV_PERSIST, cancel_in_the_middle, &pool);
	event_add(timer, &often);
	const char *url = origin_url(o, "/endless");
	struct pm_job job = {.arg = url, .len = strlen(url)};
	struct pm_result result;
	cr_assert_eq(
		pm_map(pool, task_stream_for_ever, &job, 1, &result), PM_ECANCELLED);
	cr_assert(wait_for(board_is_quiet, NULL, 10000), "the stream goes on");
	event_free(timer);
	const char *small = origin_url(o, "/");
	map_urls(pool, task_get, &small, 1);
	pm_pool_close(&pool);
	event_base_free(options.base);
	origin_stop(o);
}
