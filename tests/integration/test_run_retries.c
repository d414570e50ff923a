/* SPDX-License-Identifier: MIT
 *
 * Further attempts of `poolmap run`: for what, how many, when, and that they neither
 * hold up others nor get lost.
 */
#include "tests/support/visit_rig.h"

#include <signal.h>

TestSuite(run_retries, .init = start_visits, .fini = stop_origin);

static void check_attempts(const struct ran *r, size_t i, json_int_t expected)
{
	json_int_t attempts = int_in(result_at(r, i), "attempts");
	cr_assert_eq(attempts, expected, "job %zu: %lld attempts, not %lld", i,
		(long long)attempts, (long long)expected);
}

/* --------------------------------------------------------------- for what */

Test(run_retries, statuses_that_pass_are_tried_again, .timeout = 60)
{
	static const int again[] = {408, 429, 500, 502, 503, 504, 522, 524};
	static const int final[] = {400, 401, 403, 404, 405, 410, 418, 501, 505};
	struct bytes jobs = {0};
	for (size_t i = 0; i < 8; i++) {
		jobs_add(&jobs, "%s\n",
			origin_url(o, "/refuse/%d/-/again%zu/1", again[i], i));
	}
	for (size_t i = 0; i < 9; i++) {
		jobs_add(&jobs, "%s\n",
			origin_url(o, "/refuse/%d/-/final%zu/1", final[i], i));
	}
	struct ran r = run_to_end(jobs.data, RUN("-w", "2"));
	check_status(&r, 1);
	for (size_t i = 0; i < 17; i++) {
		check_class(&r, i, i < 8 ? "ok" : "http_status");
		check_attempts(&r, i, i < 8 ? 2 : 1);
	}
	cr_assert_eq(origin_count(o, "requests"), 8 * 2 + 9);
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* A port of this machine on which nobody listens. */
static unsigned dead_port(void)
{
	struct origin *other = origin_start();
	unsigned port = origin_port(other);
	origin_stop(other);
	return port;
}

Test(run_retries, broken_connections_are_tried_again, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/reset-first/one/1"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/reset-first/two/2"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/reset"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/truncate/100"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/close"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"timeout\":0.2}\n", origin_url(o, "/hang"));
	jobs_add(&jobs, "http://127.0.0.1:%u/\n", dead_port());
	jobs_add(&jobs, "%s\n", origin_url(o, "/garbage"));
	struct ran r = run_to_end(jobs.data, RUN("-w", "2"));
	static const char *const classes[] = {"ok", "ok", "reset", "truncated", "reset",
		"timeout", "connect", "bad_response"};
	static const int attempts[] = {2, 3, 3, 3, 3, 3, 3, 1};
	check_status(&r, 1);
	for (size_t i = 0; i < 8; i++) {
		check_class(&r, i, classes[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		/* One reset can be that of a kept connection, which is replaced at
		 * once. */
		json_int_t ct = int_in(result_at(&r, i), "attempts");
		cr_assert(attempts[i] - 1 <= ct && ct <= attempts[i],
			"job %zu: %lld attempts", i, (long long)ct);
	}
	for (size_t i = 2; i < 8; i++) {
		check_attempts(&r, i, attempts[i]);
	}
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* For these the next answer would be the same. */
Test(run_retries, what_cannot_get_better_is_not_tried_again, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "ftp://127.0.0.1/\n");
	jobs_add(&jobs, "http://127.0.0.1:99999/\n");
	jobs_add(&jobs, "{\"url\":7}\n");
	jobs_add(&jobs, "%s\n", origin_url(o, "/loop"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/size/5000"));
	struct ran r =
		run_to_end(jobs.data, RUN("--max-body", "1K", "--max-redirects", "3"));
	static const char *const classes[] = {
		"scheme", "bad_url", "bad_job", "too_many_redirects", "body_too_large"};
	check_status(&r, 1);
	for (size_t i = 0; i < 5; i++) {
		check_class(&r, i, classes[i]);
		check_attempts(&r, i, 1);
	}
	ran_fini(&r);
	bytes_fini(&jobs);
}

Test(run_retries, retry_on_says_for_what, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/refuse/404/-/a/1"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/refuse/503/-/b/1"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/garbage"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/reset"));
	struct ran r = run_to_end(jobs.data, RUN("--retry-on", "404,bad_response"));
	check_status(&r, 1);
	check_class(&r, 0, "ok");
	check_attempts(&r, 0, 2);
	check_attempts(&r, 1, 1);
	check_attempts(&r, 2, 3);
	check_attempts(&r, 3, 1);
	ran_fini(&r);
	r = run_to_end(jobs.data, RUN("--retry-on", "none"));
	check_attempts(&r, 3, 1);
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* ---------------------------------------------------------------- methods */

static const char *job_with(const char *method, const char *name)
{
	return keep_printf("{\"url\":\"%s\",\"method\":\"%s\"}\n",
		origin_url(o, "/refuse/503/-/%s/1", name), method);
}

Test(run_retries, what_may_do_something_twice_is_not_tried_again, .timeout = 60)
{
	static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
	static const char *const unsafe[] = {"POST", "PATCH", "LOCK"};
	struct bytes jobs = {0};
	for (size_t i = 0; i < 5; i++) {
		jobs_add(&jobs, "%s", job_with(safe[i], safe[i]));
	}
	for (size_t i = 0; i < 3; i++) {
		jobs_add(&jobs, "%s", job_with(unsafe[i], unsafe[i]));
	}
	jobs_add(&jobs, "{\"url\":\"%s\",\"body\":\"x\"}\n",
		origin_url(o, "/reset-first/body/1"));
	struct ran r = run_to_end(jobs.data, RUN("-w", "2"));
	check_status(&r, 1);
	for (size_t i = 0; i < 9; i++) {
		check_class(&r, i, i < 5 ? "ok" : i < 8 ? "http_status" : "reset");
		check_attempts(&r, i, i < 5 ? 2 : 1);
	}
	cr_assert_eq(origin_count(o, "requests"), 5 * 2 + 4);
	ran_fini(&r);
	bytes_fini(&jobs);
}

Test(run_retries, unless_it_is_told_to, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s%s", job_with("POST", "post"), job_with("PATCH", "patch"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"body\":\"whole\"}\n",
		origin_url(o, "/reset-first/body/1"));
	struct ran r = run_to_end(jobs.data, RUN("--retry-unsafe"));
	check_status(&r, 0);
	for (size_t i = 0; i < 3; i++) {
		check_attempts(&r, i, 2);
	}
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* Not even by libcurl, which sends a request again when a kept connection breaks. */
static void check_sent(const char *method, size_t times)
{
	struct bytes jobs = {0};
	const char *path = keep_printf("/reset-first/kept-%s/1", method);
	jobs_add(&jobs, "%s\n{\"url\":\"%s\",\"method\":\"%s\"}\n", origin_url(o, "/"),
		origin_url(o, "%s", path), method);
	struct ran r =
		run_to_end(jobs.data, RUN("-w", "1", "-c", "1", "--retries", "0"));
	check_class(&r, 0, "ok");
	check_class(&r, 1, times > 1 ? "ok" : "reset");
	struct visits v = visits_to(o, path);
	cr_assert_eq(v.ct, times, "%s: sent %zu times", method, v.ct);
	visits_fini(&v);
	ran_fini(&r);
	bytes_fini(&jobs);
}

Test(run_retries, what_may_do_something_twice_is_sent_once, .timeout = 60)
{
	check_sent("POST", 1);
	check_sent("PATCH", 1);
	check_sent("GET", 2);
	check_sent("PUT", 2);
}

/* --------------------------------------------------------------- how many */

Test(run_retries, a_job_may_have_its_own_number, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "{\"url\":\"%s\",\"retries\":3}\n",
		origin_url(o, "/unstable/own/3"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"retries\":0}\n",
		origin_url(o, "/unstable/none/1"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/unstable/usual/9"));
	struct ran r = run_to_end(jobs.data, RUN("--retries", "1"));
	check_status(&r, 1);
	check_class(&r, 0, "ok");
	check_attempts(&r, 0, 4);
	check_attempts(&r, 1, 1);
	check_attempts(&r, 2, 2);
	check_class(&r, 2, "http_status");
	ran_fini(&r);
	r = run_to_end(jobs.data, RUN("--retries", "0"));
	check_attempts(&r, 2, 1);
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* The answer of the last attempt is the job's. */
Test(run_retries, the_last_answer_is_the_result, .timeout = 60)
{
	struct ran r = run_to_end(origin_url(o, "/unstable/body/1"), RUN("-w", "1"));
	check_status(&r, 0);
	const json_t *result = result_at(&r, 0);
	cr_assert_eq(int_in(result, "http_code"), 200);
	cr_assert_str_eq(text_in(result, "body"), "ok\n");
	cr_assert(json_is_null(field(result, "error")));
	check_says(r.io.err, "retries    1");
	ran_fini(&r);
}

/* ------------------------------------------------------------------- when */

enum { SAMPLES = 40, SLACK_US = 300000 };

struct waits {
	uint64_t most_us, sum_us;
};

/* From the end of each job's attempt `n`, counted from 0, to its next one. */
static struct waits waits_after(size_t n)
{
	struct waits w = {0};
	struct visits all = visits_load(o);
	for (size_t i = 0; i < SAMPLES; i++) {
		struct visits v = visits_to(o, keep_printf("/unstable/j%zu/2", i));
		cr_assert_eq(v.ct, 3);
		uint64_t us = v.at[n + 1].at_us - v.at[n].done_us;
		w.most_us = us > w.most_us ? us : w.most_us;
		w.sum_us += us;
		visits_fini(&v);
	}
	visits_fini(&all);
	return w;
}

/* From nothing up to half a second, then one second: each as likely.  The mean of so
 * many is within a third of what is expected but once in a million runs. */
Test(run_retries, delays_are_random_and_double, .timeout = 60)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < SAMPLES; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/unstable/j%zu/2", i));
	}
	struct ran r = run_to_end(jobs.data, RUN("-w", "2", "-c", "64"));
	check_status(&r, 0);
	struct waits first = waits_after(0), second = waits_after(1);
	cr_assert_leq(first.most_us, 500000 + SLACK_US);
	cr_assert_leq(second.most_us, 1000000 + SLACK_US);
	cr_assert_gt(second.most_us, 600000);
	cr_assert_gt(first.sum_us / SAMPLES, 150000);
	cr_assert_lt(first.sum_us / SAMPLES, 350000 + SLACK_US / 3);
	cr_assert_gt(second.sum_us / SAMPLES, 300000);
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* Longer than anybody waits: no request that is not welcome, and the class says so. */
Test(run_retries, a_server_that_wants_too_long_is_left_alone, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/refuse/429/61/late/1"));
	jobs_add(&jobs, "http://a.test:%u/refuse/503/+3600/later/1\n", origin_port(o));
	jobs_add(&jobs, "http://b.test:%u/refuse/429/99999999999/latest/1\n",
		origin_port(o));
	struct ran r = run_to_end(jobs.data, RUN_HOSTS("-w", "2"));
	check_status(&r, 1);
	for (size_t i = 0; i < 2; i++) {
		check_class(&r, i, "rate_limited");
		check_attempts(&r, i, 1);
	}
	cr_assert_eq(origin_count(o, "requests"), 3);
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* The last job of a run is the one that waits, and it is waited for. */
Test(run_retries, the_last_job_of_all_may_be_the_one, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add_host(&jobs, o, "127.0.0.1", "/once/x", 50);
	jobs_add(&jobs, "%s\n", origin_url(o, "/refuse/503/1/last/1"));
	uint64_t before = clock_now_ms();
	struct ran r = run_to_end(jobs.data, RUN("-w", "2"));
	check_status(&r, 0);
	results_check_ordered(r.results, 51);
	check_attempts(&r, 50, 2);
	uint64_t ms = clock_now_ms() - before;
	cr_assert(ms >= 1000 && ms < 5000, "%llu ms", (unsigned long long)ms);
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* With one place in all, others have it while a job waits. */
Test(run_retries, a_job_that_waits_holds_no_place, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "http://a.test:%u/refuse/503/1/wait/1\n", origin_port(o));
	jobs_add_host(&jobs, o, "b.test", "/delay/5", 60);
	struct ran r = run_to_end(jobs.data, RUN_HOSTS("-c", "1", "-w", "1"));
	check_status(&r, 0);
	struct visits a = visits_of(o, "a.test"), b = visits_of(o, "b.test");
	cr_assert_eq(a.ct, 2);
	cr_assert_gt(visits_between(&b, a.at[0].done_us, a.at[1].at_us), 30);
	cr_assert_eq(visits_at_once(&b), 1);
	visits_fini(&a);
	visits_fini(&b);
	ran_fini(&r);
	bytes_fini(&jobs);
}

/* ----------------------------------------------------- stops, losses, storms */

enum { WAITING = 10 };

/* Jobs that are done, and some that wait for half a minute. */
static const char *waiting_jobs(unsigned seconds)
{
	struct bytes jobs = {0};
	jobs_add_host(&jobs, o, "b.test", "/once/done", 5);
	for (size_t i = 0; i < WAITING; i++) {
		jobs_add(&jobs, "http://a.test:%u/refuse/503/%u/w%zu/1\n",
			origin_port(o), seconds, i);
	}
	return jobs_file(&jobs);
}

/* Those that are not done, and are not in flight either, wait. */
static void wait_for_retries(struct child *c)
{
	wait_for_count(o, "requests", 5 + WAITING);
	child_wait_output(c, 2,
		"\"done\":5,\"ok\":5,\"failed\":0,\"skipped\":0,\"retries\":0,"
		"\"in_flight\":0,");
}

Test(run_retries, a_stop_does_not_wait_for_them, .timeout = 60)
{
	struct child c;
	const char *out = new_path("results.jsonl"), *jobs = waiting_jobs(6);
	child_start(&c, RUN_HOSTS("-w", "2", "-o", out, "--progress", "json", jobs),
		CHILD_NO_STDIN);
	wait_for_retries(&c);
	uint64_t before = clock_now_ms();
	child_signal(&c, SIGINT);
	cr_assert_eq(child_wait(&c, 20000), 130, "%s", c.got[2].data);
	cr_assert_lt(clock_now_ms() - before, 3000);
	child_fini(&c);
	size_t ct;
	json_t *results = results_of_file(out, &ct);
	results_check_ordered(results, 5);
	json_decref(results);
	struct ran r =
		run_to_end(NULL, RUN_HOSTS("-w", "2", "-o", out, "--resume", jobs));
	check_status(&r, 0);
	ran_fini(&r);
	results = results_of_file(out, &ct);
	results_check_ordered(results, 5 + WAITING);
	for (size_t i = 0; i < ct; i++) {
		cr_assert(is_ok(json_array_get(results, i)));
	}
	json_decref(results);
	cr_assert_eq(origin_count(o, "requests"), 5 + 2 * WAITING);
}

static bool is_worker(pid_t pid)
{
	char name[64] = "";
	FILE *f = fopen(keep_printf("/proc/%d/comm", (int)pid), "re");
	if (f) {
		(void)!fgets(name, sizeof(name), f);
		fclose(f);
	}
	return strncmp(name, "poolmap-", 8) == 0;
}

/* All workers of a run, killed. */
static size_t kill_workers(pid_t run)
{
	pid_t parents[16], workers[16];
	size_t killed = 0, ct = process_children(run, parents, 16);
	for (size_t i = 0; i < ct && i < 16; i++) {
		size_t n = process_children(parents[i], workers, 16);
		for (size_t k = 0; k < n && k < 16; k++) {
			killed += is_worker(workers[k]) && !kill(workers[k], SIGKILL);
		}
	}
	return killed;
}

/* What waits is with no worker, so none can lose it. */
Test(run_retries, they_outlive_the_workers, .timeout = 60)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	child_start(&c,
		RUN_HOSTS("-w", "2", "-o", out, "--progress", "json", waiting_jobs(4)),
		CHILD_NO_STDIN);
	wait_for_retries(&c);
	cr_assert_geq(kill_workers(c.pid), 2);
	cr_assert_eq(child_wait(&c, 30000), 0, "%s", c.got[2].data);
	child_fini(&c);
	size_t ct;
	json_t *results = results_of_file(out, &ct);
	results_check_ordered(results, 5 + WAITING);
	for (size_t i = 5; i < ct; i++) {
		const json_t *result = json_array_get(results, i);
		cr_assert(is_ok(result));
		cr_assert_eq(int_in(result, "attempts"), 2);
	}
	json_decref(results);
}

/* --fail-fast counts jobs, not attempts. */
Test(run_retries, a_failed_attempt_is_no_failed_job, .timeout = 60)
{
	struct ran r = run_to_end(
		origin_url(o, "/unstable/halt/2"), RUN("--fail-fast", "-w", "1"));
	check_status(&r, 0);
	check_attempts(&r, 0, 3);
	ran_fini(&r);
	r = run_to_end(
		origin_url(o, "/unstable/halt-all/9"), RUN("--fail-fast", "-w", "1"));
	check_status(&r, 7);
	ran_fini(&r);
}

/* A server that counts: it must be asked too often a few times only, and all jobs are
 * done in the end.  Its bucket is empty within two milliseconds: when one worker gets
 * no CPU for so long, its jobs are refused for the third time. */
static void check_storm(const char *query, const char *workers)
{
	enum { JOBS = 160, BURST = 20 };
	struct bytes jobs = {0};
	free(origin_get(o, "/reset-counts"));
	visits_start(o);
	for (size_t i = 0; i < JOBS; i++) {
		jobs_add(&jobs, "%s\n",
			origin_url(o, "/bucket/100/%d/%zu%s", BURST, i, query));
	}
	struct ran r =
		run_to_end(jobs.data, RUN("-w", workers, "-c", "32", "--retries", "5"));
	json_int_t refused = origin_count(o, "requests") - JOBS;
	cr_log_info("%lld answers 429", (long long)refused);
	check_status(&r, 0);
	cr_assert_lt(refused, JOBS * 2 / 3, "%lld answers 429", (long long)refused);
	ran_fini(&r);
	bytes_fini(&jobs);
}

Test(run_retries, a_storm_of_429_calms_down, .timeout = 60)
{
	check_storm("", "1");
	check_storm("", "2");
}

Test(run_retries, a_silent_storm_of_429_calms_down, .timeout = 60)
{
	check_storm("?silent", "2");
}
