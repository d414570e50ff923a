/* SPDX-License-Identifier: MIT
 *
 * What tasks can ask of the web: requests in all their parts, connections, sessions.
 */
#include "tests/support/ask_rig.h"

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
