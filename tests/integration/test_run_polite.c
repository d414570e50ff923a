/* SPDX-License-Identifier: MIT
 *
 * `poolmap run --polite`, as hosts see it: what robots.txt says, and that it is asked
 * for; one request a second.
 */
#include "tests/support/visit_rig.h"

TestSuite(run_polite, .init = start_visits, .fini = stop_origin);

/* What --polite says of every host, but faster. */
static const char fast[] = "host \"*\" {\n\tconcurrency = 3\n\trate = \"500/s\"\n}\n";

/* What the host answers to /robots.txt. */
static void set_robots(const char *host, const char *response, size_t len)
{
	struct talk w;
	struct reply reply;
	talk_open(&w, origin_port(o));
	talk_puts(&w, keep_printf("POST /set-robots/%s:%u HTTP/1.1\r\nHost: origin\r\n"
				  "Connection: close\r\nContent-Length: %zu\r\n\r\n",
			      host, origin_port(o), len));
	talk_send(&w, response, len);
	cr_assert(talk_reply(&w, &reply, false));
	cr_assert_eq(reply.status, 200);
	reply_fini(&reply);
	talk_close(&w);
}

static void set_rules(const char *host, const char *rules, size_t len)
{
	struct bytes response = {0};
	jobs_add(&response,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		"Content-Length: %zu\r\n\r\n",
		len);
	bytes_add(&response, rules, len);
	set_robots(host, response.data, response.len);
	bytes_fini(&response);
}

static void set_rules_text(const char *host, const char *rules)
{
	set_rules(host, rules, strlen(rules));
}

static void set_status(const char *host, int status, const char *headers)
{
	const char *text = keep_printf(
		"HTTP/1.1 %d X\r\nContent-Length: 0\r\n%s\r\n", status, headers);
	set_robots(host, text, strlen(text));
}

/* How many requests a host got whose path begins so. */
static size_t seen(const char *host, const char *path)
{
	struct visits v = visits_of(o, host);
	visits_keep(&v, visit_begins, path);
	size_t ct = v.ct;
	visits_fini(&v);
	return ct;
}

static size_t seen_pages(const char *host)
{
	struct visits v = visits_of(o, host);
	visits_keep(&v, visit_begins_not, "/robots.txt");
	size_t ct = v.ct;
	visits_fini(&v);
	return ct;
}

/* The first thing that a host is asked for is its robots.txt, once. */
static void check_asked_once(const char *host)
{
	struct visits v = visits_of(o, host);
	cr_assert_gt(v.ct, 0);
	cr_assert_str_eq(v.at[0].path, "/robots.txt", "%s: %s", host, v.at[0].path);
	cr_assert_geq(v.at[v.ct > 1].at_us, v.ct > 1 ? v.at[0].done_us : 0);
	visits_fini(&v);
	cr_assert_eq(seen(host, "/robots.txt"), 1, "%s: not once", host);
}

static const char *job_of(const char *host, const char *path)
{
	return keep_printf("http://%s:%u%s\n", host, origin_port(o), path);
}

static void check_robots_with(const char *workers)
{
	struct bytes jobs = {0};
	visits_start(o);
	set_rules_text("a.test", "User-agent: *\nDisallow: /size/\nAllow: /size/7\n");
	for (size_t i = 0; i < 20; i++) {
		jobs_add(&jobs, "%s%s%s%s", job_of("a.test", "/size/5"),
			job_of("a.test", "/size/7"), job_of("a.test", "/once/x"),
			job_of("b.test", "/size/5"));
	}
	struct ran r =
		run_to_end(jobs.data, RUN_CONFIG(fast, "-w", workers, "--polite"));
	check_status(&r, 1);
	for (size_t i = 0; i < 80; i++) {
		check_class(&r, i, i % 4 == 0 ? "robots" : "ok");
	}
	check_asked_once("a.test");
	check_asked_once("b.test");
	cr_assert_eq(seen("a.test", "/size/5"), 0);
	cr_assert_eq(seen_pages("a.test"), 40);
	cr_assert_eq(seen_pages("b.test"), 20);
	ran_fini(&r);
	bytes_fini(&jobs);
}

Test(run_polite, robots_is_asked_once_and_obeyed, .timeout = 90)
{
	for (size_t i = 0; i < WORKER_CTS; i++) {
		check_robots_with(worker_cts[i]);
	}
}

/* The result of such a job says what it was, and who has forbidden it. */
Test(run_polite, robots_is_a_result_of_its_own, .timeout = 90)
{
	set_rules_text("a.test", "User-agent: poolmap\nDisallow: /\n");
	const char *line =
		keep_printf("{\"url\":\"http://a.test:%u/x\",\"id\":7,\"retries\":5}\n",
			origin_port(o));
	struct ran r = run_to_end(line, RUN_CONFIG(fast, "--polite"));
	check_status(&r, 1);
	const json_t *result = result_at(&r, 0);
	check_class(&r, 0, "robots");
	cr_assert_eq(int_in(result, "id"), 7);
	check_says(text_in(result, "errormsg"), "robots.txt");
	check_says(text_in(result, "url"), "/x");
	cr_assert_eq(seen_pages("a.test"), 0);
	ran_fini(&r);
}

/* Without --polite nobody asks for it. */
Test(run_polite, robots_is_for_the_polite, .timeout = 90)
{
	set_rules_text("a.test", "User-agent: *\nDisallow: /\n");
	struct ran r = run_to_end(job_of("a.test", "/once/x"), RUN_HOSTS("-w", "1"));
	check_status(&r, 0);
	cr_assert_eq(seen("a.test", "/robots.txt"), 0);
	ran_fini(&r);
}

/* One request at a time and one a second, also among workers. */
Test(run_polite, polite_is_one_request_a_second, .timeout = 90)
{
	struct bytes jobs = {0};
	jobs_add_host(&jobs, o, "a.test", "/delay/30", 4);
	jobs_add_host(&jobs, o, "b.test", "/delay/1200", 3);
	run_ok(&jobs, RUN_HOSTS("-w", "2", "--polite", "--per-host", "9", "--host-rate",
			      "50/s"));
	struct visits a = visits_of(o, "a.test");
	visits_keep(&a, visit_begins, "/delay");
	cr_assert_eq(a.ct, 4);
	cr_assert_geq(visits_closest_us(&a), 950000);
	visits_fini(&a);
	check_at_once("a.test", 1);
	check_at_once("b.test", 1);
}

Test(run_polite, crawl_delay_is_kept, .timeout = 90)
{
	struct bytes jobs = {0};
	set_rules_text("a.test", "User-agent: *\nCrawl-delay: 0.4\n");
	jobs_add_host(&jobs, o, "a.test", "/once/x", 6);
	jobs_add_host(&jobs, o, "b.test", "/once/x", 6);
	run_ok(&jobs, RUN_CONFIG(fast, "-w", "2", "--polite"));
	struct visits a = visits_of(o, "a.test"), b = visits_of(o, "b.test");
	visits_keep(&a, visit_begins, "/once");
	cr_assert_eq(a.ct, 6);
	cr_assert_geq(visits_closest_us(&a), 370000, "%llu us",
		(unsigned long long)visits_closest_us(&a));
	cr_assert_lt(b.at[b.ct - 1].at_us - b.at[0].at_us, 1500000);
	visits_fini(&a);
	visits_fini(&b);
}

/* ------------------------------------------------------- when it cannot be read */

/* All jobs of the host end so, and when they are not ok nothing was fetched. */
static void check_host_class(const char *class, const char *const argv[])
{
	struct bytes jobs = {0};
	visits_start(o);
	jobs_add_host(&jobs, o, "a.test", "/once/x", 5);
	bool ok = strcmp(class, "ok") == 0;
	struct ran r = run_to_end(jobs.data, argv);
	check_status(&r, ok ? 0 : 1);
	for (size_t i = 0; i < 5; i++) {
		check_class(&r, i, class);
	}
	cr_assert_eq(seen("a.test", "/once/"), ok ? 5 : 0);
	ran_fini(&r);
	bytes_fini(&jobs);
}

#define POLITE_RUN RUN_CONFIG(fast, "-w", "2", "--polite")

Test(run_polite, robots_with_a_refusal_forbids_or_allows_all, .timeout = 90)
{
	static const int allow[] = {404, 401, 403, 410}, forbid[] = {500, 503, 429};
	for (size_t i = 0; i < 4; i++) {
		set_status("a.test", allow[i], "");
		check_host_class("ok", POLITE_RUN);
	}
	for (size_t i = 0; i < 3; i++) {
		set_status("a.test", forbid[i], "");
		check_host_class("robots", POLITE_RUN);
	}
}

Test(run_polite, robots_that_does_not_come_forbids_all, .timeout = 90)
{
	static const char cut[] = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n"
				  "Connection: close\r\n\r\nUser-agent: *\n";
	set_robots("a.test", "", 0); /* reset */
	check_host_class("robots", POLITE_RUN);
	set_robots("a.test", cut, sizeof(cut) - 1);
	check_host_class("robots", RUN_CONFIG(fast, "--polite", "--timeout", "1"));
	set_status("a.test", 302, "Location: /hang\r\n");
	check_host_class("robots", RUN_CONFIG(fast, "--polite", "--timeout", "1"));
	/* no name, no host: which is what the jobs would have found as well */
	struct ran r = run_to_end("http://nowhere.invalid/\n",
		RUN("--polite", "--dns-servers", "127.0.0.1:1", "--timeout", "2"));
	check_status(&r, 1);
	check_class(&r, 0, "robots");
	check_says(text_in(result_at(&r, 0), "errormsg"),
		"robots.txt cannot be read (the host name cannot be resolved), so");
	ran_fini(&r);
}

/* Once: the next failure counts.  A redirect leads to what fails for a while.  Each
 * attempt takes two resets, as the first is that of a kept connection, which is
 * replaced at once. */
Test(run_polite, robots_is_asked_again_after_a_moment, .timeout = 90)
{
	static const struct {
		const char *path, *class;
		size_t asked;
	} cases[] = {
		{"/unstable/a/1", "ok", 2},
		{"/unstable/b/2", "robots", 2},
		{"/reset-first/c/2", "ok", 3},
		{"/reset-first/d/4", "robots", 4},
		{"/refuse/429/-/e/1", "robots", 1},
	};
	for (size_t i = 0; i < 5; i++) {
		set_status(
			"a.test", 302, keep_printf("Location: %s\r\n", cases[i].path));
		check_host_class(cases[i].class, POLITE_RUN);
		struct visits v = visits_of(o, "a.test");
		visits_keep(&v, visit_begins, cases[i].path);
		cr_assert_eq(v.ct, cases[i].asked, "%s: %zu", cases[i].path, v.ct);
		if (cases[i].asked == 2) {
			cr_assert_geq(visits_closest_us(&v), 990000);
		}
		visits_fini(&v);
	}
}

Test(run_polite, robots_may_be_elsewhere, .timeout = 90)
{
	set_rules_text("b.test", "User-agent: *\nDisallow: /once\n");
	set_status("a.test", 301,
		keep_printf(
			"Location: http://b.test:%u/robots.txt\r\n", origin_port(o)));
	check_host_class("robots", POLITE_RUN);
	set_rules_text("b.test", "User-agent: *\nDisallow: /other\n");
	check_host_class("ok", POLITE_RUN);
	set_status("a.test", 302, "Location: /loop\r\n"); /* too many hops */
	check_host_class("robots", POLITE_RUN);
	/* --no-follow is about the jobs */
	set_status("a.test", 301,
		keep_printf(
			"Location: http://b.test:%u/robots.txt\r\n", origin_port(o)));
	check_host_class("ok", RUN_CONFIG(fast, "--polite", "--no-follow"));
	check_host_class("ok", RUN_CONFIG(fast, "--polite", "--max-redirects", "0"));
}

/* Some servers compress whatever they are asked; archives keep bodies as they came. */
Test(run_polite, robots_may_be_compressed, .timeout = 90)
{
	/* User-agent: *  Disallow: /once */
	static const char packed[] =
		"\037\213\010\000\000\000\000\000\002\003\013\055\116\055\322"
		"\115\114\117\315\053\261\122\320\342\162\311\054\116\314\311"
		"\311\057\267\122\320\317\317\113\116\345\002\000\042\140\354"
		"\171\036\000\000\000";
	struct bytes response = {0};
	jobs_add(&response,
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n"
		"\r\n",
		sizeof(packed) - 1);
	bytes_add(&response, packed, sizeof(packed) - 1);
	set_robots("a.test", response.data, response.len);
	bytes_fini(&response);
	const char *archive = keep_printf("warc:%s/a", temp_dir());
	check_host_class("robots", POLITE_RUN);
	check_host_class("robots",
		RUN_CONFIG(fast, "--polite", "--compressed", "--body", archive));
	check_host_class(
		"robots", RUN_CONFIG(fast, "--polite", "-H", "Accept-Encoding: gzip"));
}

/* 500 KiB of it count, what is behind them does not; and --max-body is about jobs. */
Test(run_polite, robots_may_be_large, .timeout = 90)
{
	struct bytes text = {0};
	bytes_add(&text, "User-agent: *\n", 14);
	while (text.len < 400 * 1024) {
		bytes_add(&text, "# nothing to see here\n", 22);
	}
	bytes_add(&text, "Disallow: /once\n", 16);
	while (text.len < 2000 * 1024) {
		bytes_add(&text, "# nothing to see here\n", 22);
	}
	set_rules("a.test", text.data, text.len);
	check_host_class("robots", POLITE_RUN);
	check_host_class("robots", RUN_CONFIG(fast, "--polite", "--max-body", "1K"));
	memset(text.data + 14, '#', 500 * 1024);
	memset(text.data + 14 + 500 * 1024, '\n', 1);
	bytes_add(&text, "Disallow: /once\n", 16);
	set_rules("a.test", text.data, text.len);
	check_host_class("ok", POLITE_RUN);
	bytes_fini(&text);
}

/* What the command does to bodies and requests of jobs is not done to robots.txt. */
Test(run_polite, robots_is_read_whatever_the_jobs_want, .timeout = 90)
{
	const char *dir = temp_dir();
	set_rules_text("a.test", "User-agent: *\nDisallow: /once\n");
	check_host_class("robots", RUN_CONFIG(fast, "--polite", "--body", "none"));
	check_host_class("robots", RUN_CONFIG(fast, "--polite", "--body",
					   keep_printf("dir:%s/bodies", dir)));
	check_host_class("robots", RUN_CONFIG(fast, "--polite", "-X", "POST", "-d", "x",
					   "--accept", "500"));
	check_host_class("robots", RUN_CONFIG(fast, "--polite", "--compressed"));
}

/* ------------------------------------------------------------------- the end */

/* A robots.txt that does not come keeps nobody from stopping. */
Test(run_polite, stops_while_a_robots_is_awaited, .timeout = 90)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	set_status("a.test", 302, "Location: /hold/robots\r\n");
	const char *jobs = temp_file("jobs.txt", job_of("a.test", "/once/x"),
		strlen(job_of("a.test", "/once/x")));
	child_start(&c, RUN_CONFIG(fast, "--polite", "-o", out, jobs), CHILD_NO_STDIN);
	wait_for_count(o, "held", 1);
	uint64_t before = clock_now_ms();
	child_signal(&c, SIGINT);
	cr_assert_eq(child_wait(&c, 20000), 130, "%s", c.got[2].data);
	cr_assert_lt(clock_now_ms() - before, 5000, "it waits for robots.txt");
	cr_assert_eq(file_size(out), 0);
	child_fini(&c);
	set_status("a.test", 404, "");
	struct ran r = run_to_end(
		NULL, RUN_CONFIG(fast, "--polite", "--resume", "-o", out, jobs));
	check_status(&r, 0);
	cr_assert_eq(seen("a.test", "/once/"), 1);
	ran_fini(&r);
}
