/* SPDX-License-Identifier: MIT
 *
 * How `poolmap run` treats hosts, as they see it: how many requests at once, how fast,
 * none while a Retry-After lasts, and what robots.txt says.  Whatever the number of
 * workers, the hosts see one client.
 */
#include "tests/support/visit_rig.h"

TestSuite(run_polite, .init = start_visits, .fini = stop_origin);

static const char *const worker_cts[] = {"1", "2", "7"};
enum { WORKER_CTS = 3 };

/* RUN_HOSTS with a configuration file. */
#define RUN_CONFIG(text, ...)                                                          \
	POOLMAP("run", "--config", temp_file("my.conf", text, strlen(text)),           \
		THREE_HOSTS, __VA_ARGS__)

/* Run these jobs, all of which must be ok.  The list is empty after it. */
static void run_ok(struct bytes *jobs, const char *const argv[])
{
	struct ran r = run_to_end(jobs->data, argv);
	check_status(&r, 0);
	ran_fini(&r);
	bytes_fini(jobs);
}

/* ---------------------------------------------------------------- at once */

static void check_at_once(const char *host, size_t expected)
{
	struct visits v = visits_of(o, host);
	size_t most = visits_at_once(&v);
	cr_assert_eq(most, expected, "%s: %zu at once, not %zu, of %zu",
		host ? host : "all", most, expected, v.ct);
	visits_fini(&v);
}

/* As many as allowed, and never more. */
static void check_per_host(const char *workers)
{
	struct bytes jobs = {0};
	visits_start(o);
	jobs_add_host(&jobs, o, "a.test", "/delay/20", 40);
	jobs_add_host(&jobs, o, "b.test", "/delay/20", 40);
	jobs_add_host(&jobs, o, "c.test", "/delay/20", 40);
	run_ok(&jobs, RUN_HOSTS("-w", workers, "-c", "64", "--per-host", "4"));
	check_at_once("a.test", 4);
	check_at_once("b.test", 4);
	check_at_once("c.test", 4);
}

Test(run_polite, per_host_is_kept_across_workers, .timeout = 90)
{
	for (size_t i = 0; i < WORKER_CTS; i++) {
		check_per_host(worker_cts[i]);
	}
}

/* Workers come and go meanwhile. */
Test(run_polite, per_host_is_kept_when_workers_are_replaced, .timeout = 90)
{
	struct bytes jobs = {0};
	jobs_add_host(&jobs, o, "a.test", "/delay/10", 100);
	jobs_add_host(&jobs, o, "b.test", "/delay/10", 100);
	run_ok(&jobs, RUN_HOSTS("-w", "3", "-c", "32", "--per-host", "3",
			      "--max-jobs-per-worker", "9"));
	check_at_once("a.test", 3);
	check_at_once("b.test", 3);
}

Test(run_polite, concurrency_is_that_of_all_hosts, .timeout = 90)
{
	for (size_t i = 0; i < WORKER_CTS; i++) {
		struct bytes jobs = {0};
		visits_start(o);
		jobs_add_host(&jobs, o, "a.test", "/delay/20", 60);
		jobs_add_host(&jobs, o, "b.test", "/delay/20", 60);
		run_ok(&jobs,
			RUN_HOSTS("-w", worker_cts[i], "-c", "10", "--per-host", "8"));
		check_at_once(NULL, 10);
	}
}

/* The same name and another port, or another scheme, is another host. */
Test(run_polite, another_name_of_a_server_is_another_host, .timeout = 90)
{
	struct bytes jobs = {0};
	jobs_add_host(&jobs, o, "127.0.0.1", "/delay/20", 20);
	jobs_add_host(&jobs, o, "localhost", "/delay/20", 20);
	jobs_add_host(&jobs, o, "A.Test", "/delay/20", 10);
	jobs_add_host(&jobs, o, "user:pw@a.test", "/delay/20", 10);
	run_ok(&jobs, RUN_HOSTS("-w", "2", "-c", "32", "--per-host", "2"));
	check_at_once("127.0.0.1", 2);
	check_at_once("localhost", 2);
	check_at_once("a.test", 2);
	check_at_once(NULL, 6);
}

/* ------------------------------------------------------------------ rates */

/* How much later than another one a request may arrive that began in time: that is the
 * machine's, when much else runs. */
#define LATE_S (RIG_SANITIZED ? 0.8 : 0.3)

/* In no second many more than in another one. */
static void check_no_burst(const char *host, double rate)
{
	struct visits v = visits_of(o, host);
	size_t most = (size_t)(rate * (1 + LATE_S)) + 2;
	for (size_t i = 0; i < v.ct; i++) {
		uint64_t from_us = v.at[i].at_us;
		size_t ct = visits_between(&v, from_us, from_us + 1000000);
		cr_assert_leq(ct, most, "%s: %zu in a second", host ? host : "all", ct);
	}
	visits_fini(&v);
}

/* A run of the command, and what the machine let it have. */
struct timed {
	uint64_t began_us;
	uint64_t starved_us; /* the master, which keeps the rates */
};

static struct timed run_timed(const char *const argv[])
{
	struct child c;
	struct timed t = {.began_us = clock_now_us()};
	child_start(&c, argv, CHILD_NO_STDIN);
	cr_assert_eq(child_wait(&c, HARNESS_DEADLINE_MS), 0, "%s", c.got[2].data);
	t.starved_us = c.starved_us;
	child_fini(&c);
	return t;
}

/* What the command makes up for when a timer came late. */
#define CATCH_UP_US 20000

/* When the Nth request may come, after the first one. */
static uint64_t due_us(size_t n, double rate)
{
	return (uint64_t)((double)n * 1e6 / rate);
}

/* Exact, whatever else runs: no request can arrive before it may begin. */
static void check_never_faster(
	const struct visits *v, double rate, const struct timed *t)
{
	for (size_t i = 0; i < v->ct; i++) {
		uint64_t at_us = v->at[i].at_us + CATCH_UP_US;
		cr_assert_geq(at_us, t->began_us + due_us(i, rate),
			"%s: request %zu is there after %llu us", v->at[i].host, i,
			(unsigned long long)(v->at[i].at_us - t->began_us));
	}
}

/* How late the end of the run is.  A request that is on its way for long is late alone,
 * a rate that is too low makes them all so: the least of the last ones counts. */
static int64_t behind_us(const struct visits *v, double rate)
{
	int64_t least = INT64_MAX;
	for (size_t i = v->ct - 10; i < v->ct; i++) {
		int64_t late = (int64_t)(v->at[i].at_us - v->at[0].at_us) -
			       (int64_t)due_us(i, rate);
		least = late < least ? late : least;
	}
	return least;
}

/* Within 5 %; what the machine took away is not given back. */
static void check_rate_of(const char *host, double rate, const struct timed *t)
{
	struct visits v = visits_of(o, host);
	cr_assert_gt(v.ct, 20);
	check_never_faster(&v, rate, t);
	int64_t behind = behind_us(&v, rate);
	int64_t most = (int64_t)(due_us(v.ct, rate) / 20 + t->starved_us);
	cr_log_info("%s: %.2f a second; %lld us late, starved for %llu us",
		host ? host : "all", visits_rate(&v), (long long)behind,
		(unsigned long long)t->starved_us);
	cr_assert_leq(behind, most, "%s: %lld us late, at most %lld",
		host ? host : "all", (long long)behind, (long long)most);
	visits_fini(&v);
	check_no_burst(host, rate);
}

static void check_rate(const char *workers)
{
	struct bytes jobs = {0};
	visits_start(o);
	jobs_add_host(&jobs, o, "a.test", "/", 160);
	jobs_add_host(&jobs, o, "b.test", "/", 160);
	const char *list = jobs_file(&jobs);
	struct timed t = run_timed(RUN_HOSTS("-w", workers, "--rate", "100/s", list));
	check_rate_of(NULL, 100, &t);
}

static void check_host_rate(const char *workers)
{
	struct bytes jobs = {0};
	visits_start(o);
	jobs_add_host(&jobs, o, "a.test", "/", 95);
	jobs_add_host(&jobs, o, "b.test", "/", 95);
	jobs_add_host(&jobs, o, "c.test", "/delay/50", 95);
	const char *list = jobs_file(&jobs);
	struct timed t =
		run_timed(RUN_HOSTS("-w", workers, "--host-rate", "30/s", list));
	check_rate_of("a.test", 30, &t);
	check_rate_of("b.test", 30, &t);
	check_rate_of("c.test", 30, &t);
}

Test(run_polite, rate_is_kept_by_one_worker, .timeout = 90)
{
	check_rate("1");
}

Test(run_polite, rate_is_kept_by_two_workers, .timeout = 90)
{
	check_rate("2");
}

Test(run_polite, rate_is_kept_by_seven_workers, .timeout = 90)
{
	check_rate("7");
}

Test(run_polite, host_rate_is_kept_by_one_worker, .timeout = 90)
{
	check_host_rate("1");
}

Test(run_polite, host_rate_is_kept_by_two_workers, .timeout = 90)
{
	check_host_rate("2");
}

Test(run_polite, host_rate_is_kept_by_seven_workers, .timeout = 90)
{
	check_host_rate("7");
}

/* Further attempts are requests like all others. */
Test(run_polite, host_rate_counts_retries, .timeout = 90)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < 30; i++) {
		jobs_add(&jobs, "http://a.test:%u/unstable/again%zu/1\n",
			origin_port(o), i);
	}
	run_ok(&jobs, RUN_HOSTS("-w", "2", "--host-rate", "25/s"));
	struct visits v = visits_of(o, "a.test");
	cr_assert_eq(v.ct, 60);
	visits_fini(&v);
	check_no_burst("a.test", 25);
}

/* ------------------------------------------------------------ Retry-After */

/* One host says "not before"; the first of its jobs gets to hear it.  Returns how long
 * the host was left alone. */
static uint64_t check_gate(const char *refusal, uint64_t least_ms, const char *workers)
{
	struct bytes jobs = {0};
	visits_start(o);
	jobs_add(&jobs, "http://a.test:%u%s\n", origin_port(o), refusal);
	jobs_add_host(&jobs, o, "a.test", "/once/a", 20);
	jobs_add_host(&jobs, o, "b.test", "/delay/10", 150);
	run_ok(&jobs, RUN_HOSTS("-w", workers, "-c", "2", "--per-host", "1"));
	struct visits a = visits_of(o, "a.test"), b = visits_of(o, "b.test");
	cr_assert_eq(a.ct, 22, "%zu requests", a.ct);
	cr_assert_eq(b.ct, 150, "%zu requests", b.ct);
	uint64_t told_us = a.at[0].done_us, waited_us = a.at[1].at_us - told_us;
	cr_assert_geq(waited_us, least_ms * 1000, "%s: asked again after %llu us",
		refusal, (unsigned long long)waited_us);
	cr_assert_gt(visits_between(&b, told_us, told_us + least_ms * 1000), 20,
		"the other host has to wait as well");
	visits_fini(&a);
	visits_fini(&b);
	return waited_us / 1000;
}

Test(run_polite, retry_after_gates_the_host, .timeout = 90)
{
	for (size_t i = 0; i < WORKER_CTS; i++) {
		const char *path = keep_printf("/refuse/429/1/gate%s/1", worker_cts[i]);
		cr_assert_lt(check_gate(path, 1000, worker_cts[i]), 2000);
	}
	check_gate("/refuse/503/1/unavailable/1", 1000, "2");
}

/* In a date the fraction of the second is lost. */
Test(run_polite, retry_after_may_be_a_date, .timeout = 90)
{
	cr_assert_lt(check_gate("/refuse/429/+2/date/1", 1000, "2"), 3000);
}

Test(run_polite, retry_after_is_a_date_of_the_server, .timeout = 90)
{
	cr_assert_lt(check_gate("/refuse/429/~2/skew/1", 1000, "2"), 3000);
}

/* Also when the job itself has no further attempt. */
Test(run_polite, retry_after_counts_without_a_retry, .timeout = 90)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "http://a.test:%u/refuse/429/1/last/1\n", origin_port(o));
	jobs_add_host(&jobs, o, "a.test", "/once/after", 3);
	struct ran r = run_to_end(
		jobs.data, RUN_HOSTS("--retries", "0", "-c", "1", "-w", "1"));
	check_status(&r, 1);
	check_class(&r, 0, "http_status");
	struct visits a = visits_of(o, "a.test");
	cr_assert_eq(a.ct, 4);
	cr_assert_geq(a.at[1].at_us - a.at[0].done_us, 1000000);
	visits_fini(&a);
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* -------------------------------------------------------------- host sections */

Test(run_polite, host_sections_go_before_the_options, .timeout = 90)
{
	struct bytes jobs = {0};
	jobs_add_host(&jobs, o, "a.test", "/delay/20", 60);
	jobs_add_host(&jobs, o, "b.test", "/delay/20", 60);
	jobs_add_host(&jobs, o, "c.test", "/delay/20", 60);
	static const char text[] = "per-host = 3\n"
				   "host \"a.test\" {\n\tconcurrency = 6\n}\n"
				   "host \"*.test\" {\n\tconcurrency = 2\n}\n"
				   "host \"b.test\" {\n\tconcurrency = 9\n}\n";
	jobs_add_host(&jobs, o, "127.0.0.1", "/delay/20", 60);
	run_ok(&jobs, RUN_CONFIG(text, "-w", "2", "-c", "64"));
	check_at_once("a.test", 6);
	check_at_once("b.test", 2); /* the first that matches */
	check_at_once("c.test", 2);
	check_at_once("127.0.0.1", 3);
}

Test(run_polite, host_sections_have_rates, .timeout = 90)
{
	struct bytes jobs = {0};
	static const char text[] = "host \"a.test\" {\n\trate = \"20/s\"\n}\n";
	jobs_add_host(&jobs, o, "a.test", "/", 30);
	jobs_add_host(&jobs, o, "b.test", "/", 30);
	run_ok(&jobs, RUN_CONFIG(text, "-w", "2"));
	check_no_burst("a.test", 20);
	struct visits b = visits_of(o, "b.test");
	cr_assert_gt(visits_rate(&b), 25, "the section counts for another host");
	visits_fini(&b);
}

/* ------------------------------------------------------------------ robots.txt */

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

/* ------------------------------------------------------------------ fairness */

enum { EACH = 1000 };

/* From the first request of the fast host to its last answer. */
static double fast_seconds(void)
{
	struct visits v = visits_of(o, "b.test");
	cr_assert_eq(v.ct, EACH, "%zu requests", v.ct);
	uint64_t last_us = 0;
	for (size_t i = 0; i < v.ct; i++) {
		last_us = v.at[i].done_us > last_us ? v.at[i].done_us : last_us;
	}
	double seconds = (double)(last_us - v.at[0].at_us) / 1e6;
	visits_fini(&v);
	return seconds;
}

static double fast_alone(void)
{
	struct bytes jobs = {0};
	visits_start(o);
	jobs_add_host(&jobs, o, "b.test", "/once/fast", EACH);
	run_ok(&jobs, RUN_HOSTS("-w", "2"));
	return fast_seconds();
}

/* While the fast host has jobs that wait, the slow one has half of the places. */
static void check_places(void)
{
	struct visits a = visits_of(o, "a.test"), b = visits_of(o, "b.test");
	size_t ct = visits_between(&a, 0, b.at[EACH - 200].at_us);
	cr_assert_leq(ct, 68, "the slow host has %zu of 128 places", ct);
	visits_fini(&a);
	visits_fini(&b);
}

/* The slow host answers nothing until the fast one is done. */
static double fast_beside(const char *jobs, const char *gate)
{
	struct child c;
	json_int_t once = origin_count(o, "requests");
	visits_start(o);
	child_start(&c, RUN_HOSTS("-w", "2", "-o", new_path("out.jsonl"), jobs),
		CHILD_NO_STDIN);
	/* when nothing is left of the fast host, the slow one has all places */
	wait_for_count(o, "requests", once + EACH + 128);
	double seconds = fast_seconds();
	check_places();
	origin_release(o, gate);
	cr_assert_eq(child_wait(&c, 60000), 0, "%s", c.got[2].data);
	child_fini(&c);
	return seconds;
}

static const char *mixed_jobs(const char *gate, bool shuffled)
{
	struct bytes jobs = {0};
	const char *slow = keep_printf("/hold/%s", gate);
	for (size_t i = 0; i < EACH; i++) {
		jobs_add_host(&jobs, o, "a.test", slow, 1);
		if (shuffled) {
			jobs_add_host(&jobs, o, "b.test", "/once/fast", 1);
		}
	}
	if (!shuffled) {
		jobs_add_host(&jobs, o, "b.test", "/once/fast", EACH);
	}
	return jobs_file(&jobs);
}

/* The slow host keeps to its half of the places: check_places() sees to it.  How
 * long the other one takes is told, not held against a bound: with half of the places
 * it need not be as quick as alone. */
static void check_fairness(bool shuffled)
{
	double alone = 1e9, beside = 1e9;
	for (int i = 0; i < 3; i++) {
		const char *gate = keep_printf("gate%d", i);
		double a = fast_alone();
		double b = fast_beside(mixed_jobs(gate, shuffled), gate);
		alone = a < alone ? a : alone;
		beside = b < beside ? b : beside;
	}
	cr_log_info("alone %.3f s, beside a slow host %.3f s", alone, beside);
}

Test(run_polite, a_slow_host_does_not_slow_another, .timeout = 90)
{
	check_fairness(false);
}

Test(run_polite, a_slow_host_does_not_slow_another_in_a_mixed_list, .timeout = 90)
{
	check_fairness(true);
}
