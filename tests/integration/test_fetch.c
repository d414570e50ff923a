/* SPDX-License-Identifier: MIT
 *
 * What tasks can ask of the web: requests in all their parts, sessions, streams.
 * A task checks what it gets, and fails with the place where it is wrong.
 */
#include "tests/support/pool_rig.h"

/* In a task: go on only if this holds. */
#define WANT(condition)                                                                \
	do {                                                                           \
		if (!(condition)) {                                                    \
			return pm_fail(task, __LINE__, "%s: %s", #condition,           \
				pm_task_failure(task)->message);                       \
		}                                                                      \
	} while (0)

#define MAP_MAX 600

/* Run a task over URLs; all must come through. */
static void map_urls(pm_pool *pool, pm_task_fn *fn, const char *const *urls, size_t ct)
{
	struct pm_result r[MAP_MAX];
	struct pm_job jobs[MAP_MAX];
	cr_assert_leq(ct, MAP_MAX);
	for (size_t i = 0; i < ct; i++) {
		jobs[i] = (struct pm_job){.arg = urls[i], .len = strlen(urls[i])};
	}
	cr_assert_eq(pm_map(pool, fn, jobs, ct, r), 0, "%s", pm_last_error());
	for (size_t i = 0; i < ct; i++) {
		cr_assert_eq(r[i].error, 0, "%s: %s, code %d: %s", urls[i],
			pm_error_name(r[i].error), r[i].code, r[i].message);
	}
	pm_results_clear(r, ct);
}

/* One worker, tasks one after the other, each with the origin's URL. */
static void run_alone(pm_task_fn *fn, unsigned times)
{
	struct origin *o = origin_start();
	pm_pool *pool = rig_pool(1, 1);
	const char *url = origin_url(o, "%s", "");
	for (unsigned i = 0; i < times; i++) {
		map_urls(pool, fn, &url, 1);
	}
	pm_pool_close(&pool);
	origin_stop(o);
}

/* Behind the origin's URL. */
static const char *at(const void *origin, const char *path)
{
	static char url[512];
	snprintf(url, sizeof(url), "%s%s", (const char *)origin, path);
	return url;
}

static bool says(const struct pm_response *r, const char *text)
{
	return strstr(r->body, text) != NULL;
}

/* -------------------------------------------------------------------- requests */

static int task_ask_in_all_ways(pm_task *task, const void *origin, size_t len)
{
	static const struct pm_param params[] = {{"q", "a b&c"}, {"\xc3\xbc", ""}};
	static const struct pm_header headers[] = {{"X-Mine", "1"}};
	struct pm_response *r;
	(void)len;
	struct pm_request with_json = {.url = at(origin, "/echo?x#f"),
		.params = params,
		.param_ct = 2,
		.headers = headers,
		.header_ct = 1,
		.json = "{\"a\":1}",
		.user = "jo",
		.password = "secret"};
	WANT(pm_await_fetch(task, &with_json, &r) == 0);
	WANT(says(r, "\"method\":\"POST\""));
	WANT(says(r, "\"path\":\"/echo?x&q=a%20b%26c&%C3%BC=\""));
	WANT(says(r, "\"x-mine\":\"1\""));
	WANT(says(r, "\"content-type\":\"application/json\""));
	WANT(says(r, "\"authorization\":\"Basic am86c2VjcmV0\""));
	WANT(says(r, "\"body\":\"{\\\"a\\\":1}\""));
	WANT(strcmp(pm_response_header(r, "CONTENT-type"), "application/json") == 0);
	WANT(!pm_response_header(r, "X-Mine"));
	struct pm_request with_form = {
		.url = at(origin, "/echo"), .form = params, .form_ct = 2};
	WANT(pm_await_fetch(task, &with_form, &r) == 0);
	WANT(says(r, "\"body\":\"q=a+b%26c&%C3%BC=\""));
	WANT(says(r, "application/x-www-form-urlencoded"));
	WANT(!says(r, "authorization"));
	return 0;
}

Test(fetch, says_all_that_a_request_can_say, .timeout = 60)
{
	run_alone(task_ask_in_all_ways, 2);
}

static int task_ask_wrongly(pm_task *task, const void *origin, size_t len)
{
	static const struct pm_param no_value = {"a", NULL};
	struct pm_response *r = NULL;
	(void)len;
	const struct pm_request bad[] = {
		{.url = origin, .json = "1", .body = "1", .body_len = 1},
		{.url = origin, .params = &no_value, .param_ct = 1},
		{.url = origin, .user = "a:b"},
		{.url = origin, .user = "a\r\nX: y"},
		{.url = origin, .proxy = "https://me:secret@127.0.0.1/"},
		{.url = origin, .proxy = "http://127.0.0.1\r\nX: y"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		WANT(pm_await_fetch(task, &bad[i], &r) == PM_EINVAL);
		WANT(pm_task_failure(task)->error == PM_EINVAL);
		WANT(pm_task_failure(task)->message[0]);
		WANT(!strstr(pm_task_failure(task)->message, "secret"));
		WANT(pm_task_last_response(task)->status == 0);
		WANT(strcmp(pm_task_last_response(task)->url_effective, origin) == 0);
		WANT(!r);
	}
	WANT(pm_await_get(task, "/path", &r) == PM_EBADURL);
	return 0;
}

Test(fetch, refuses_what_makes_no_sense, .timeout = 60)
{
	struct origin *o = origin_start();
	pm_pool *pool = rig_pool(1, 1);
	const char *url = origin_url(o, "/");
	map_urls(pool, task_ask_wrongly, &url, 1);
	cr_assert_eq(origin_count(o, "requests"), 0);
	pm_pool_close(&pool);
	origin_stop(o);
}

static int task_post(pm_task *task, const void *url, size_t len)
{
	struct pm_response *r;
	char body[32], want[64];
	(void)len;
	int n = snprintf(
		body, sizeof(body), "body of %s", strrchr((const char *)url, '=') + 1);
	snprintf(want, sizeof(want), "\"body\":\"%s\"", body);
	struct pm_request request = {.url = url, .body = body, .body_len = (size_t)n};
	WANT(pm_await_fetch(task, &request, &r) == 0);
	WANT(says(r, want));
	return 0;
}

Test(fetch, keeps_the_bodies_of_many_posts_apart, .timeout = 60)
{
	const char *urls[300];
	struct origin *o = origin_start();
	pm_pool *pool = rig_pool(2, 32);
	for (unsigned i = 0; i < 300; i++) {
		urls[i] = origin_url(o, "/echo?n=%u", i);
	}
	map_urls(pool, task_post, urls, 300);
	cr_assert_eq(origin_count(o, "requests"), 300);
	cr_assert_leq(origin_count(o, "connections"), 32);
	pm_pool_close(&pool);
	origin_stop(o);
}

static int task_read_odd_answers(pm_task *task, const void *origin, size_t len)
{
	struct pm_response *r;
	char name[32];
	(void)len;
	WANT(pm_await_get(task, at(origin, "/status/204"), &r) == 0);
	WANT(r->status == 204 && r->body_len == 0);
	struct pm_request head = {.url = at(origin, "/size/1000"), .method = "HEAD"};
	WANT(pm_await_fetch(task, &head, &r) == 0);
	WANT(r->status == 200 && r->body_len == 0);
	WANT(strcmp(pm_response_header(r, "content-length"), "1000") == 0);
	WANT(pm_await_get(task, at(origin, "/size/70000?chunked"), &r) == 0);
	WANT(r->body_len == 70000);
	WANT(pm_await_get(task, at(origin, "/headers/500"), &r) == 0);
	WANT(r->header_ct >= 500);
	snprintf(name, sizeof(name), "X-EXTRA-%d", 500);
	WANT(strcmp(pm_response_header(r, name), "value 500") == 0);
	WANT(pm_await_get(task, at(origin, "/bigheader/90000"), &r) == 0);
	WANT(strlen(pm_response_header(r, "x-big")) == 90000);
	WANT(pm_await_get(task, at(origin, "/bigheader/400000"), &r) == PM_EHEADERSIZE);
	return 0;
}

Test(fetch, reads_odd_answers, .timeout = 60)
{
	run_alone(task_read_odd_answers, 2);
}

static int task_follow(pm_task *task, const void *origin, size_t len)
{
	struct pm_response *r;
	(void)len;
	WANT(pm_await_get(task, at(origin, "/redirect/10"), &r) == 0);
	WANT(r->redirect_ct == 10 && r->status == 200);
	WANT(pm_await_get(task, at(origin, "/redirect/11"), &r) == PM_EREDIRECTS);
	WANT(pm_task_last_response(task)->status == 302);
	struct pm_request three = {
		.url = at(origin, "/redirect/3"), .max_redirects = 3};
	WANT(pm_await_fetch(task, &three, &r) == 0);
	three.max_redirects = 2;
	WANT(pm_await_fetch(task, &three, &r) == PM_EREDIRECTS);
	return 0;
}

Test(fetch, follows_so_many_redirects_and_no_more, .timeout = 60)
{
	run_alone(task_follow, 1);
}

/* ------------------------------------------------------------------ connections */

static int task_get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *r;
	(void)len;
	WANT(pm_await_get(task, url, &r) == 0);
	WANT(r->status == 200);
	return 0;
}

Test(fetch, reuses_the_connection_of_the_task_before, .timeout = 60)
{
	const char *urls[50];
	struct origin *o = origin_start();
	pm_pool *pool = rig_pool(1, 1);
	for (unsigned i = 0; i < 50; i++) {
		urls[i] = origin_url(o, "/size/%u", i);
	}
	map_urls(pool, task_get, urls, 50);
	cr_assert_eq(origin_count(o, "requests"), 50);
	cr_assert_eq(origin_count(o, "connections"), 1);
	pm_pool_close(&pool);
	origin_stop(o);
}

/* The origin resets the kept connection once, and then answers. */
static int task_resend(pm_task *task, const void *origin, size_t len)
{
	struct pm_response *r = NULL;
	struct pm_request request = {0};
	(void)len;
	WANT(pm_await_get(task, at(origin, "/size/1"), &r) == 0);
	WANT(r->resend_ct == 0);
	request.url = at(origin, "/reset-first/a/1");
	WANT(pm_await_fetch(task, &request, &r) == 0);
	WANT(r->resend_ct == 1);
	request.url = at(origin, "/reset-first/b/1");
	request.no_resend = true;
	WANT(pm_await_fetch(task, &request, &r) == PM_ERESET);
	WANT(pm_task_last_response(task)->resend_ct == 0);
	WANT(pm_await_fetch(task, &request, &r) == 0);
	WANT(r->resend_ct == 0);
	return 0;
}

Test(fetch, sends_again_unless_it_is_told_not_to, .timeout = 60)
{
	run_alone(task_resend, 1);
}

/* The last one lets the first one go: it must get that far. */
Test(fetch, is_not_held_up_by_an_answer_that_does_not_come, .timeout = 60)
{
	const char *urls[40];
	struct origin *o = origin_start();
	pm_pool *pool = rig_pool(1, 2);
	urls[0] = origin_url(o, "/hold/first");
	for (unsigned i = 1; i < 39; i++) {
		urls[i] = origin_url(o, "/size/%u", i);
	}
	urls[39] = origin_url(o, "/release/first");
	map_urls(pool, task_get, urls, 40);
	pm_pool_close(&pool);
	origin_stop(o);
}

/* Nothing listens on port 1. */
static int task_run_into_walls(pm_task *task, const void *origin, size_t len)
{
	struct pm_response *r;
	(void)len;
	struct pm_request hang = {.url = at(origin, "/hang"), .timeout_ms = 100};
	WANT(pm_await_fetch(task, &hang, &r) == PM_ETIMEDOUT);
	WANT(pm_task_last_response(task)->status == 0);
	struct pm_request proxied = {
		.url = at(origin, "/"), .proxy = "http://127.0.0.1:1"};
	WANT(pm_await_fetch(task, &proxied, &r) == PM_ECONNECT);
	WANT(pm_await_get(task, at(origin, "/"), &r) == 0);
	return 0;
}

Test(fetch, goes_on_after_failures, .timeout = 60)
{
	run_alone(task_run_into_walls, 3);
}

/* --------------------------------------------------------------------- sessions */

/* Before the forkserver, so before there is any worker or loop. */
static pm_session *early_session;

__attribute__((constructor(250))) static void make_early_session(void)
{
	static const struct pm_header header = {"X-Early", "yes"};
	struct pm_session_options options = {
		.headers = &header, .header_ct = 1, .cookies = true};
	(void)!pm_session_new(&early_session, &options);
}

static int task_use_early_session(pm_task *task, const void *origin, size_t len)
{
	static unsigned before;
	struct pm_response *r;
	(void)len;
	struct pm_request request = {
		.url = at(origin, "/echo"), .session = early_session};
	WANT(early_session);
	WANT(pm_await_fetch(task, &request, &r) == 0);
	WANT(says(r, "\"x-early\":\"yes\""));
	WANT(says(r, "\"cookie\":\"n=1\"") == (before > 0));
	request.url = at(origin, "/set-cookie/n=1");
	WANT(pm_await_fetch(task, &request, &r) == 0);
	before++;
	return 0;
}

Test(fetch, has_sessions_that_are_older_than_the_worker, .timeout = 60)
{
	run_alone(task_use_early_session, 3);
}

/* In the initializer, before the worker's first job, and freed in the finalizer. */
static int init_session(const void *arg, size_t len)
{
	pm_session *session;
	struct pm_session_options options = {.base_url = arg, .user = "jo"};
	(void)len;
	int err = pm_session_new(&session, &options);
	if (err) {
		return pm_worker_fail("%s", pm_last_error());
	}
	pm_worker_set_data(session);
	return 0;
}

static void fini_session(void)
{
	pm_session_free(pm_worker_data());
}

static int task_use_session_of_worker(pm_task *task, const void *path, size_t len)
{
	struct pm_response *r;
	struct pm_request request = {.url = path, .session = pm_worker_data()};
	(void)len;
	WANT(pm_await_fetch(task, &request, &r) == 0);
	WANT(says(r, "\"authorization\":\"Basic am86\""));
	return 0;
}

Test(fetch, has_a_session_from_the_initializer, .timeout = 60)
{
	struct origin *o = origin_start();
	struct pm_pool_options options = rig_options(2, 8);
	const char *url = origin_url(o, "%s", "");
	options.init = init_session;
	options.fini = fini_session;
	options.init_arg = url;
	options.init_len = strlen(url) + 1;
	pm_pool *pool = rig_open(&options);
	const char *paths[100];
	for (unsigned i = 0; i < 100; i++) {
		paths[i] = "/echo";
	}
	map_urls(pool, task_use_session_of_worker, paths, 100);
	pm_pool_close(&pool);
	origin_stop(o);
}

/* Made by the first task, and left for the end of the worker. */
static int task_share_session(pm_task *task, const void *origin, size_t len)
{
	static pm_session *session;
	static unsigned turn;
	static const struct pm_header header = {"X-Common", "c"};
	struct pm_response *r;
	(void)len;
	struct pm_session_options options = {.base_url = origin,
		.headers = &header,
		.header_ct = 1,
		.user = "jo",
		.cookies = true,
		.compressed = true};
	WANT(session || pm_session_new(&session, &options) == 0);
	struct pm_request request = {.url = "/echo?x", .session = session};
	WANT(pm_await_fetch(task, &request, &r) == 0);
	WANT(strcmp(r->url_effective, at(origin, "/echo?x")) == 0);
	WANT(says(r, "\"x-common\":\"c\""));
	WANT(says(r, "\"authorization\":\"Basic am86\""));
	WANT(says(r, "\"accept-encoding\":"));
	WANT(says(r, "\"cookie\":\"turn=1\"") == (turn == 1));
	WANT(says(r, "\"cookie\":\"turn=2\"") == (turn == 2));
	WANT(pm_await_get(task, at(origin, "/echo"), &r) == 0);
	WANT(!says(r, "cookie") && !says(r, "x-common") && !says(r, "authorization"));
	request.url = ++turn == 1 ? "/set-cookie/turn=1" : "/set-cookie/turn=2";
	WANT(pm_await_fetch(task, &request, &r) == 0);
	return 0;
}

Test(fetch, shares_a_session_among_the_tasks_of_a_worker, .timeout = 60)
{
	run_alone(task_share_session, 3);
}

static int task_make_sessions(pm_task *task, const void *origin, size_t len)
{
	struct pm_response *r;
	(void)len;
	for (int i = 0; i < 10; i++) {
		pm_session *s = NULL;
		struct pm_session_options options = {
			.base_url = origin, .cookies = true};
		WANT(pm_session_new(&s, &options) == 0);
		struct pm_request request = {.url = "/set-cookie/a=1", .session = s};
		WANT(pm_await_fetch(task, &request, &r) == 0);
		request.url = "/echo";
		WANT(pm_await_fetch(task, &request, &r) == 0);
		WANT(says(r, "\"cookie\":\"a=1\""));
		pm_session_free(s);
	}
	struct pm_session_options bad = {.proxy = "ftp://h"};
	pm_session *none = NULL;
	WANT(pm_session_new(&none, &bad) == PM_EINVAL);
	WANT(strstr(pm_last_error(), "proxy"));
	return 0;
}

Test(fetch, makes_and_frees_sessions, .timeout = 60)
{
	run_alone(task_make_sessions, 2);
}

/* ---------------------------------------------------------------------- streams */

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

Test(fetch, hands_over_a_body_as_it_comes, .timeout = 60)
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

Test(fetch, ends_when_the_reader_has_enough, .timeout = 60)
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

Test(fetch, has_readers_that_cancel_other_fetches, .timeout = 60)
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

Test(fetch, can_be_cancelled_in_the_middle_of_a_stream, .timeout = 60)
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
