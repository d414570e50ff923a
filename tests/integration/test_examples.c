/* SPDX-License-Identifier: MIT
 *
 * The programs of tests/examples do what their first lines say.
 */
#include "tests/support/origin_rig.h"

TestSuite(examples, .init = start_origin, .fini = stop_origin);

/* A URL that fails at once, and what is said of it. */
#define BAD_URL "ftp://x/"
#define BAD_URL_TEXT "scheme 'ftp' is not supported: use http or https"

/* Run an example to its end; it must succeed and complain of nothing. */
#define EXAMPLE(r, name, ...)                                                          \
	run_example(r, (const char *const[]){                                          \
			       program("tests/examples/" name), ##__VA_ARGS__, NULL})

static void run_example(struct run_result *r, const char *const argv[])
{
	run_argv(r, NULL, 0, argv);
	cr_assert_eq(r->status, 0, "exit code %d; it said: %s", r->status, r->err);
	cr_assert_str_eq(r->err, "");
}

/* The whole output, which it gives back. */
static void check_output(struct run_result *r, const char *expected)
{
	cr_assert_str_eq(r->out, expected);
	run_result_fini(r);
}

/* The whole output is these pieces, in any order. */
static void check_pieces(struct run_result *r, const char *const pieces[])
{
	size_t len = 0;
	for (; *pieces; pieces++) {
		check_says(r->out, *pieces);
		len += strlen(*pieces);
	}
	cr_assert_eq(r->out_len, len, "something else is in: %s", r->out);
	run_result_fini(r);
}

#define PIECES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A whole output that ends with "took N s"; returns the N. */
static double check_took(struct run_result *r, const char *expected)
{
	char *rest;
	size_t len = strlen(expected);
	cr_assert_eq(strncmp(r->out, expected, len), 0, "%s", r->out);
	cr_assert_eq(strncmp(r->out + len, "took ", 5), 0, "%s", r->out);
	double took = strtod(r->out + len + 5, &rest);
	cr_assert_str_eq(rest, " s\n");
	run_result_fini(r);
	return took;
}

/* ----------------------------------------------------------------------- get */

Test(examples, get_prints_bodies_in_the_order_of_the_arguments, .timeout = 60)
{
	struct run_result r;
	const char *slow = origin_url(o, "/delay/200"),
		   *fast = origin_url(o, "/status/404");
	const char *third = origin_url(o, "/count/x");
	EXAMPLE(&r, "get", slow, fast, third);
	check_output(&r, keep_printf("%s: ok\n\n%s: status 404\n\n%s: 1\n\n", slow,
				 fast, third));
}

Test(examples, get_tells_why_a_url_failed, .timeout = 60)
{
	struct run_result r;
	const char *good = origin_url(o, "/"), *reset = origin_url(o, "/reset");
	EXAMPLE(&r, "get", BAD_URL, reset, good);
	check_says(r.out, BAD_URL ": " BAD_URL_TEXT);
	check_says(r.out, keep_printf("%s: Recv failure", reset));
	check_says(r.out, keep_printf("%s: ok\n", good));
	run_result_fini(&r);
}

Test(examples, get_does_nothing_without_urls, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "get");
	check_output(&r, "");
}

/* Over all CPUs, more than are fetched at once. */
Test(examples, get_takes_many_urls, .timeout = 60)
{
	enum { MANY = 300 };
	const char *argv[MANY + 2] = {program("tests/examples/get")};
	struct run_result r;
	for (int i = 0; i < MANY; i++) {
		argv[i + 1] = origin_url(o, "/once/%d", i);
	}
	run_example(&r, argv);
	const char *at = r.out;
	for (int i = 0; i < MANY; i++) {
		const char *expected = keep_printf("%s: ok\n\n", argv[i + 1]);
		cr_assert_eq(
			strncmp(at, expected, strlen(expected)), 0, "%d: %s", i, at);
		at += strlen(expected);
	}
	cr_assert_str_eq(at, "");
	cr_assert_eq(origin_count(o, "requests"), MANY);
	run_result_fini(&r);
}

/* ------------------------------------------------------------------- asyncio */

/* One after the other they would take 3 s. */
Test(examples, sleepers_take_as_long_as_the_slowest, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "sleepers");
	double took = check_took(&r, "task 1: slept for 1 s\n"
				     "task 2: slept for 2 s\n"
				     "task 3: the others are under way\n");
	cr_assert_geq(took, 2.0);
	cr_assert_lt(took, RIG_SANITIZED ? 10.0 : 3.0);
}

Test(examples, callback_comes_when_the_future_is_done, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "callback", origin_url(o, "/status/404"));
	check_output(&r, "future: pending\ncallback: status 404\nfuture: done\n");
	EXAMPLE(&r, "callback", BAD_URL);
	check_output(&r, "future: pending\n"
			 "callback: " BAD_URL_TEXT "\nfuture: done\n");
}

Test(examples, gather_keeps_the_order_and_wait_finds_the_first, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "gather");
	check_output(&r, "gathered: done after 800 ms\n"
			 "gathered: done after 200 ms\n"
			 "gathered: done after 1600 ms\n"
			 "first: done after 200 ms\n"
			 "all are done\n");
}

Test(examples, nested_gathers_its_children, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "nested");
	check_output(&r, "1 + 2 = 3\n3 + 4 = 7\n5 + 6 = 11\n");
}

Test(examples, raw_get_speaks_http_over_tcp, .timeout = 60)
{
	struct run_result r;
	const char *port = keep_printf("%u", origin_port(o));
	EXAMPLE(&r, "raw_get", "127.0.0.1", port, "/status/404");
	cr_assert_eq(strncmp(r.out, "HTTP/1.1 404 ", 13), 0, "%s", r.out);
	check_says(r.out, "\r\n\r\nstatus 404\n\n");
	run_result_fini(&r);
}

/* The first file blocks its thread until something is written to it. */
Test(examples, executor_goes_on_while_a_thread_blocks, .timeout = 60)
{
	struct child c;
	const char *fifo = new_path("fifo"), *plain = temp_file("x", "1\n2\n3\n", 6);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	const char *said = keep_printf("%s: 3 lines\n", plain);
	child_start(&c,
		(const char *const[]){
			program("tests/examples/executor"), fifo, plain, NULL},
		CHILD_NO_STDIN);
	child_wait_output(&c, 1, said);
	int fd = open(fifo, O_WRONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "a\nb\n", 4), 4);
	close(fd);
	cr_assert_eq(child_wait(&c, HARNESS_DEADLINE_MS), 0);
	cr_assert_str_eq(c.got[1].data, keep_printf("%s%s: 2 lines\n", said, fifo));
	child_fini(&c);
}

Test(examples, executor_tells_what_cannot_be_read, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "executor", "/nonexistent");
	check_output(&r, "/nonexistent: cannot be read\n");
}

/* ------------------------------------------------------------------- aiohttp */

/* A hundred are open at once, or this waits for ever. */
Test(examples, slow_hundred_has_all_open_at_once, .timeout = 60)
{
	struct child c;
	child_start(&c,
		(const char *const[]){program("tests/examples/slow_hundred"),
			origin_url(o, "/hold/x"), NULL},
		CHILD_NO_STDIN);
	wait_for_count(o, "held", 100);
	origin_release(o, "x");
	cr_assert_eq(child_wait(&c, HARNESS_DEADLINE_MS), 0);
	check_says(c.got[1].data, "100 of 100 answers, took ");
	child_fini(&c);
}

Test(examples, slow_hundred_takes_little_more_than_one, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "slow_hundred", origin_url(o, "/delay/1000"));
	double took = check_took(&r, "100 of 100 answers, ");
	cr_assert_geq(took, 1.0);
	cr_assert_lt(took, RIG_SANITIZED ? 10.0 : 3.0);
}

Test(examples, readhub_picks_the_fields_of_the_topics, .timeout = 60)
{
	static const char expected[] =
		"[{\"title\":\"Topic 0\",\"summary\":\"What is said on 0\","
		"\"news_info\":[{\"url\":\"/news/0\"}],"
		"\"updated_at\":\"2018-02-03T14:00:45Z\"},"
		"{\"title\":\"Topic 1\",\"summary\":\"What is said on 1\","
		"\"news_info\":[{\"url\":\"/news/1\"}],"
		"\"updated_at\":\"2018-02-03T14:01:45Z\"}]";
	struct run_result r;
	EXAMPLE(&r, "readhub", origin_url(o, "/topics"), "2");
	json_t *news = json_loads(r.out, 0, NULL),
	       *want = json_loads(expected, 0, NULL);
	cr_assert(want && json_equal(news, want), "%s", r.out);
	json_decref(news);
	json_decref(want);
	run_result_fini(&r);
	EXAMPLE(&r, "readhub", origin_url(o, "/status/500"), "2");
	check_output(&r, "HTTP 500\n");
}

/* What /echo says, behind `prefix`. */
static json_t *echo_behind(const char *out, const char *prefix)
{
	size_t len = strlen(prefix);
	cr_assert_eq(strncmp(out, prefix, len), 0, "%s", out);
	json_t *echo = json_loads(out + len, 0, NULL);
	cr_assert(echo, "%s", out);
	return echo;
}

Test(examples, session_is_in_all_requests, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "session", origin_url(o, "%s", ""), "/echo");
	json_t *echo = echo_behind(r.out, "/echo: ");
	cr_assert_str_eq(header_in(echo, "user-agent"), "poolmap-session");
	cr_assert_str_eq(text_in(echo, "path"), "/echo");
	json_decref(echo);
	run_result_fini(&r);
	EXAMPLE(&r, "session", origin_url(o, "%s", ""), "/status/404", "/");
	check_output(&r, "/status/404: status 404\n\n/: ok\n\n");
}

Test(examples, crawler_fetches_each_page_once, .timeout = 60)
{
	const char *pages[16] = {0};
	struct run_result r;
	for (unsigned i = 0; i < 15; i++) {
		pages[i] = keep_printf("%s\n", origin_url(o, "/links/%u", i + 1));
	}
	EXAMPLE(&r, "crawler", origin_url(o, "/links/1"), "3");
	check_pieces(&r, pages);
	cr_assert_eq(origin_count(o, "requests"), 15);
	EXAMPLE(&r, "crawler", origin_url(o, "/links/1"), "0");
	check_pieces(&r, PIECES(pages[0]));
}

/* ---------------------------------------------------------- aiomultiprocess */

Test(examples, put_runs_in_a_process_of_its_own, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "put", origin_url(o, "/echo"));
	json_t *echo = echo_behind(r.out, "process putter ended with 0\n");
	cr_assert_str_eq(text_in(echo, "method"), "PUT");
	cr_assert_str_eq(
		text_in(echo, "path"), "/echo?name=poolmap&answer=42%20%26%20more");
	json_decref(echo);
	run_result_fini(&r);
	EXAMPLE(&r, "put", origin_url(o, "/status/404"));
	check_output(&r, "process putter ended with 0\nnot accepted\n");
}

Test(examples, worker_get_has_the_text_as_its_result, .timeout = 60)
{
	struct run_result r;
	EXAMPLE(&r, "worker_get", origin_url(o, "/status/404"));
	check_output(&r, "status 404\n\n");
	run_command(&r, NULL, program("tests/examples/worker_get"), BAD_URL, NULL);
	cr_assert_eq(r.status, 1);
	check_output(&r, BAD_URL_TEXT "\n");
}

Test(examples, pool_map_gets_structs, .timeout = 60)
{
	struct run_result r;
	const char *a = origin_url(o, "/size/5"), *b = origin_url(o, "/echo");
	EXAMPLE(&r, "pool_map", a, BAD_URL, b);
	check_says(r.out, keep_printf("%s: 200, 5 bytes of text/plain\n" BAD_URL
				      ": " BAD_URL_TEXT "\n%s: 200, ",
				  a, b));
	check_says(r.out, " bytes of application/json\n");
	run_result_fini(&r);
}

/* ---------------------------------------- executors, grequests, Twisted, Tornado */

/* The pieces of a program that prints "URL: body" or so as answers come. */
static void check_as_they_come(const char *name, const char *error)
{
	struct run_result r;
	const char *slow = origin_url(o, "/delay/200"),
		   *fast = origin_url(o, "/status/500");
	run_example(
		&r, (const char *const[]){program(name), slow, BAD_URL, fast, NULL});
	check_pieces(&r, PIECES(keep_printf("%s: ok\n\n", slow),
				 keep_printf(BAD_URL ": %s" BAD_URL_TEXT "\n", error),
				 keep_printf("%s: status 500\n\n", fast)));
}

Test(examples, submit_calls_back_for_each, .timeout = 60)
{
	check_as_they_come("tests/examples/submit", "");
}

Test(examples, handler_stops_the_loop_after_the_last, .timeout = 60)
{
	struct run_result r;
	check_as_they_come("tests/examples/handler", "error: ");
	EXAMPLE(&r, "handler");
	check_output(&r, "");
}

Test(examples, each_callback_is_that_of_its_url, .timeout = 60)
{
	struct run_result r;
	const char *a = origin_url(o, "/size/1234"), *b = origin_url(o, "/status/500");
	EXAMPLE(&r, "each_callback", a, b, BAD_URL);
	check_pieces(&r, PIECES(keep_printf("to a file: %s: 1234 bytes\n", a),
				 keep_printf("to the database: %s: status 500\n\n", b),
				 "to the database: " BAD_URL ": " BAD_URL_TEXT "\n"));
}

Test(examples, grequests_handles_what_fails, .timeout = 60)
{
	struct run_result r;
	const char *slow = origin_url(o, "/hang"), *reset = origin_url(o, "/reset");
	EXAMPLE(&r, "grequests", "1500", slow, reset, origin_url(o, "/status/500"));
	check_pieces(&r, PIECES(keep_printf("request failed: %s: timeout\n", slow),
				 keep_printf("request failed: %s: reset\n", reset),
				 "[none, none, 500]\n"));
}

Test(examples, deferred_list_is_done_after_all_of_them, .timeout = 60)
{
	struct run_result r;
	const char *slow = origin_url(o, "/delay/200"),
		   *fast = origin_url(o, "/status/500");
	EXAMPLE(&r, "deferred_list", slow, BAD_URL, fast);
	check_output(&r, keep_printf("%s: ok\n\n" BAD_URL ": " BAD_URL_TEXT "\n"
				     "%s: status 500\n\n3 are done\n",
				 slow, fast));
	EXAMPLE(&r, "deferred_list");
	check_output(&r, "0 are done\n");
}

/* ------------------------------------------------------------- gevent, select */

/* A client that is slow keeps the others from nothing. */
Test(examples, echo_server_serves_500_clients_at_once, .timeout = 60)
{
	struct child server;
	struct talk slow;
	struct run_result r;
	struct bytes expected = {0};
	child_start(&server,
		(const char *const[]){program("tests/examples/echo_server"), NULL},
		CHILD_NO_STDIN);
	const char *line = child_read_line(&server, 1, HARNESS_DEADLINE_MS);
	cr_assert(line && strncmp(line, "listening 127.0.0.1:", 20) == 0, "%s", line);
	const char *port = keep_printf("%s", line + 20);
	talk_open(&slow, (unsigned)strtoul(port, NULL, 10));
	talk_puts(&slow, "begun");

	EXAMPLE(&r, "echo_clients", port);
	for (int i = 1; i <= 500; i++) {
		jobs_add(&expected, "CLIENT %d: HELLO\n", i);
	}
	check_output(&r, expected.data);
	bytes_fini(&expected);

	talk_puts(&slow, ", done");
	while (slow.in.len < 11) {
		cr_assert(talk_more(&slow));
	}
	cr_assert_str_eq(slow.in.data, "BEGUN, DONE");
	talk_close(&slow);
	child_signal(&server, SIGTERM);
	cr_assert_eq(child_wait(&server, HARNESS_DEADLINE_MS), 128 + SIGTERM);
	cr_assert(!server.got[2].len, "%s", server.got[2].data);
	child_fini(&server);
}

/* It reads on while an answer is awaited. */
Test(examples, host_loop_does_two_things_at_once, .timeout = 60)
{
	struct child c;
	const char *held = keep_printf("%s\n", origin_url(o, "/hold/x"));
	const char *fast = keep_printf("%s\n", origin_url(o, "/status/500"));
	child_start(&c,
		(const char *const[]){program("tests/examples/host_loop"), NULL}, 0);
	cr_assert(child_write(&c, held, strlen(held)));
	wait_for_count(o, "held", 1);
	cr_assert(child_write(&c, fast, strlen(fast)));
	child_wait_output(&c, 1, "2: status 500\n\n");
	child_close(&c, 0);
	origin_release(o, "x");
	cr_assert_eq(child_wait(&c, HARNESS_DEADLINE_MS), 0);
	cr_assert_str_eq(c.got[1].data, "2: status 500\n\n1: released\n\n");
	child_fini(&c);
}
