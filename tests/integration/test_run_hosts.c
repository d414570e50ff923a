/* SPDX-License-Identifier: MIT
 *
 * How `poolmap run` treats hosts, as they see it: how many requests at once, how fast,
 * none while a Retry-After lasts, and a fair share for each.  Whatever the number of
 * workers, the hosts see one client.
 */
#include "tests/support/visit_rig.h"

TestSuite(run_hosts, .init = start_visits, .fini = stop_origin);

/* ---------------------------------------------------------------- at once */

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

Test(run_hosts, per_host_is_kept_across_workers, .timeout = 90)
{
	for (size_t i = 0; i < WORKER_CTS; i++) {
		check_per_host(worker_cts[i]);
	}
}

/* Workers come and go meanwhile. */
Test(run_hosts, per_host_is_kept_when_workers_are_replaced, .timeout = 90)
{
	struct bytes jobs = {0};
	jobs_add_host(&jobs, o, "a.test", "/delay/10", 100);
	jobs_add_host(&jobs, o, "b.test", "/delay/10", 100);
	run_ok(&jobs, RUN_HOSTS("-w", "3", "-c", "32", "--per-host", "3",
			      "--max-jobs-per-worker", "9"));
	check_at_once("a.test", 3);
	check_at_once("b.test", 3);
}

Test(run_hosts, concurrency_is_that_of_all_hosts, .timeout = 90)
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
Test(run_hosts, another_name_of_a_server_is_another_host, .timeout = 90)
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

Test(run_hosts, rate_is_kept_by_one_worker, .timeout = 90)
{
	check_rate("1");
}

Test(run_hosts, rate_is_kept_by_two_workers, .timeout = 90)
{
	check_rate("2");
}

Test(run_hosts, rate_is_kept_by_seven_workers, .timeout = 90)
{
	check_rate("7");
}

Test(run_hosts, host_rate_is_kept_by_one_worker, .timeout = 90)
{
	check_host_rate("1");
}

Test(run_hosts, host_rate_is_kept_by_two_workers, .timeout = 90)
{
	check_host_rate("2");
}

Test(run_hosts, host_rate_is_kept_by_seven_workers, .timeout = 90)
{
	check_host_rate("7");
}

/* Further attempts are requests like all others. */
Test(run_hosts, host_rate_counts_retries, .timeout = 90)
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

Test(run_hosts, retry_after_gates_the_host, .timeout = 90)
{
	for (size_t i = 0; i < WORKER_CTS; i++) {
		const char *path = keep_printf("/refuse/429/1/gate%s/1", worker_cts[i]);
		cr_assert_lt(check_gate(path, 1000, worker_cts[i]), 2000);
	}
	check_gate("/refuse/503/1/unavailable/1", 1000, "2");
}

/* In a date the fraction of the second is lost. */
Test(run_hosts, retry_after_may_be_a_date, .timeout = 90)
{
	cr_assert_lt(check_gate("/refuse/429/+2/date/1", 1000, "2"), 3000);
}

Test(run_hosts, retry_after_is_a_date_of_the_server, .timeout = 90)
{
	cr_assert_lt(check_gate("/refuse/429/~2/skew/1", 1000, "2"), 3000);
}

/* Also when the job itself has no further attempt. */
Test(run_hosts, retry_after_counts_without_a_retry, .timeout = 90)
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

Test(run_hosts, host_sections_go_before_the_options, .timeout = 90)
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

Test(run_hosts, host_sections_have_rates, .timeout = 90)
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

Test(run_hosts, a_slow_host_does_not_slow_another, .timeout = 90)
{
	check_fairness(false);
}

Test(run_hosts, a_slow_host_does_not_slow_another_in_a_mixed_list, .timeout = 90)
{
	check_fairness(true);
}
