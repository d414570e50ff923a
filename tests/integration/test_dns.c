/* SPDX-License-Identifier: MIT
 *
 * Look-ups of names in real workers: how often a server is asked, what many hosts cost,
 * and what happens when no server answers.
 */
#include <sys/resource.h>
#include <time.h>

#include "tests/support/dns.h"
#include "tests/support/pool_rig.h"

TestSuite(dns, .timeout = 120);

enum { HOSTS = 20000, ADDRESSES = 1000, AT_ONCE = 64 };
#define BOUND 1.3 /* CPU of a job to a host of its own, by that of one to few hosts */

struct order {
	char url[96];
	bool close; /* ask for the end of the connection */
	unsigned connect_timeout_ms;
};

static int use_servers(const void *servers, size_t len)
{
	(void)len;
	return pm_worker_dns_servers(servers);
}

static int task_fetch(pm_task *task, const void *arg, size_t len)
{
	static const struct pm_header close = {"Connection", "close"};
	const struct order *o = arg;
	struct pm_response *r;
	(void)len;
	const struct pm_request request = {.url = o->url,
		.headers = &close,
		.header_ct = o->close,
		.no_headers = true,
		.connect_timeout_ms = o->connect_timeout_ms};
	int err = pm_await_fetch(task, &request, &r);
	return err ? err : pm_return(task, &r->status, sizeof(r->status));
}

/* Of this process, all its threads. */
static uint64_t own_cpu_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static int task_cpu(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	uint64_t us = own_cpu_us();
	return pm_return(task, &us, sizeof(us));
}

static pm_pool *pool_with(const struct dns *dns, unsigned workers, unsigned concurrency)
{
	struct pm_pool_options o = rig_options(workers, concurrency);
	o.init = use_servers;
	o.init_arg = dns_servers(dns);
	o.init_len = strlen(dns_servers(dns));
	return rig_open(&o);
}

/* HOSTS orders, each to the next one of so many hosts. */
static struct order *orders_new(const struct origin *o, size_t hosts)
{
	struct order *orders = calloc(HOSTS, sizeof(*orders));
	cr_assert_not_null(orders);
	for (size_t i = 0; i < HOSTS; i++) {
		size_t host = i % hosts;
		snprintf(orders[i].url, sizeof(orders[i].url),
			"http://h%zu.n%zu.test:%u/size/100", host % ADDRESSES, host,
			origin_port(o));
	}
	return orders;
}

static void map_results(
	pm_pool *pool, const struct order *orders, size_t ct, struct pm_result *results)
{
	struct pm_job *jobs = calloc(ct, sizeof(*jobs));
	for (size_t i = 0; i < ct; i++) {
		jobs[i] =
			(struct pm_job){.arg = &orders[i], .len = sizeof(struct order)};
	}
	cr_assert_eq(
		pm_map(pool, task_fetch, jobs, ct, results), 0, "%s", pm_last_error());
	free(jobs);
}

/* Returns the number that succeeded. */
static size_t map_orders(pm_pool *pool, const struct order *orders, size_t ct)
{
	struct pm_result *results = calloc(ct, sizeof(*results));
	size_t good = 0;
	map_results(pool, orders, ct, results);
	for (size_t i = 0; i < ct; i++) {
		good += !results[i].error;
	}
	pm_results_clear(results, ct);
	free(results);
	return good;
}

/* Of the worker and of this process, but not of its DNS server. */
static uint64_t cpu_us(pm_pool *pool, const struct dns *dns)
{
	struct pm_result r = {0};
	uint64_t us;
	cr_assert_eq(pm_apply(pool, task_cpu, NULL, 0, &r), 0);
	memcpy(&us, r.bytes, sizeof(us));
	pm_results_clear(&r, 1);
	return us + own_cpu_us() - dns_cpu_us(dns);
}

/* The CPU time for HOSTS jobs. */
static uint64_t cost(
	const struct origin *o, const struct dns *dns, size_t hosts, bool close)
{
	struct order *orders = orders_new(o, hosts);
	pm_pool *pool = pool_with(dns, 1, AT_ONCE);
	for (size_t i = 0; i < HOSTS; i++) {
		orders[i].close = close;
	}
	uint64_t before = cpu_us(pool, dns);
	cr_assert_eq(map_orders(pool, orders, HOSTS), HOSTS);
	uint64_t after = cpu_us(pool, dns);
	pm_pool_close(&pool);
	free(orders);
	return after - before;
}

/* Side by side: what a connection costs alone varies with the machine.  Each address
 * is that of several hosts: 20,000 listeners are more than a process may have. */
Test(dns, many_hosts_cost_little_more_than_few, .timeout = 120)
{
	if (RIG_SANITIZED) {
		cr_skip("it measures");
	}
	struct origin *o = origin_start_wide(ADDRESSES);
	struct dns *few_dns = dns_start(), *many_dns = dns_start();
	double least = 1e9;
	for (int round = 0; round < 3 && least > BOUND; round++) {
		uint64_t few = cost(o, few_dns, 10, true);
		uint64_t many = cost(o, many_dns, HOSTS, false);
		double ratio = (double)many / (double)few;
		cr_log_info("%.2f of the CPU time: %llu of %llu us", ratio,
			(unsigned long long)many, (unsigned long long)few);
		least = ratio < least ? ratio : least;
		if (round == 0) {
			/* One question for a name, at the most one of each kind. */
			cr_assert_leq(dns_query_ct(few_dns), 20);
			cr_assert_leq(dns_query_ct(many_dns), 2 * HOSTS);
			cr_assert_leq(dns_repeat_ct(many_dns), HOSTS / 1000, "%u",
				dns_repeat_ct(many_dns));
		}
	}
	cr_assert_leq(least, BOUND, "%.2f", least);
	dns_stop(few_dns);
	dns_stop(many_dns);
	origin_stop(o);
}

/* ---------------------------------------------------------------- nobody answers */

enum {
	SILENT = RIG_SANITIZED ? 2000 : 20000,
	SILENT_AT_ONCE = SILENT / 5,
	CONNECT_MS = 500,
};

static bool says_why(const struct pm_result *r)
{
	return (r->error == PM_ETIMEDOUT && strstr(r->message, "Resolving host")) ||
	       (r->error == PM_EDNS && strstr(r->message, "Could not resolve host"));
}

/* How long this many hosts take, each of which has CONNECT_MS. */
static uint64_t silent_ms(const char *servers)
{
	struct pm_pool_options o = rig_options(1, SILENT_AT_ONCE);
	struct order *orders = calloc(SILENT, sizeof(*orders));
	struct pm_result *results = calloc(SILENT, sizeof(*results));
	o.init = use_servers;
	o.init_arg = servers;
	o.init_len = strlen(servers);
	pm_pool *pool = rig_open(&o);
	for (size_t i = 0; i < SILENT; i++) {
		orders[i].connect_timeout_ms = CONNECT_MS;
		snprintf(orders[i].url, sizeof(orders[i].url),
			"http://silent.n%zu.test/", i);
	}
	uint64_t before = clock_now_ms();
	map_results(pool, orders, SILENT, results);
	uint64_t took = clock_now_ms() - before;
	for (size_t i = 0; i < SILENT; i++) {
		cr_assert(says_why(&results[i]), "%zu: %d %s", i, results[i].error,
			results[i].message);
	}
	cr_log_info("%d hosts, %d at once: %llu ms", (int)SILENT, (int)SILENT_AT_ONCE,
		(unsigned long long)took);
	pm_results_clear(results, SILENT);
	pm_pool_close(&pool);
	free(results);
	free(orders);
	return took;
}

/* Somebody listens there and is silent, or nobody does.  Only few names are asked for,
 * as no look-up that goes on is forgotten; but each job has its own time. */
Test(dns, without_an_answer_every_job_ends_in_its_time, .timeout = 120)
{
	struct dns *dns = dns_start();
	uint64_t least = SILENT / SILENT_AT_ONCE * CONNECT_MS;
	char servers[64];
	snprintf(servers, sizeof(servers), "%s", dns_servers(dns));
	uint64_t took = silent_ms(servers);
	cr_assert_leq(took, 6 * least, "%llu ms", (unsigned long long)took);
	cr_assert_leq(dns_query_ct(dns), 4 * 256, "%u", dns_query_ct(dns));
	dns_stop(dns);
	took = silent_ms(servers);
	cr_assert_leq(took, 6 * least, "%llu ms", (unsigned long long)took);
}

static int task_use_servers_late(pm_task *task, const void *arg, size_t len)
{
	struct pm_response *r;
	(void)arg;
	(void)len;
	if (pm_worker_dns_servers("not a server") != PM_EINVAL) {
		return pm_fail(task, 1, "taken");
	}
	(void)!pm_await_get(task, "http://none.test/", &r);
	int err = pm_worker_dns_servers("127.0.0.1");
	return err == PM_ESTATE ? 0 : pm_fail(task, 2, "%s", pm_error_name(err));
}

Test(dns, servers_are_named_before_they_are_asked, .timeout = 120)
{
	struct dns *dns = dns_start();
	pm_pool *pool = pool_with(dns, 1, 1);
	struct pm_result r = {0};
	cr_assert_eq(pm_apply(pool, task_use_servers_late, NULL, 0, &r), 0);
	cr_assert_eq(r.error, 0, "%s", r.message);
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
	dns_stop(dns);
}

static int task_be_denied(pm_task *task, const void *arg, size_t len)
{
	struct pm_response *r;
	(void)len;
	const struct pm_request request = {.url = arg, .deny_private = true};
	int err = pm_await_fetch(task, &request, &r);
	return err == PM_EDENIED ? 0 : pm_fail(task, 1, "%s", pm_error_name(err));
}

Test(dns, a_private_address_sees_no_connection, .timeout = 120)
{
	struct origin *o = origin_start();
	struct dns *dns = dns_start();
	pm_pool *pool = pool_with(dns, 1, 4);
	static const char *const hosts[] = {"127.0.0.1", "0x7f.1", "localhost",
		"a-127-0-0-1.test", "alias.test", "[::1]", "[::ffff:127.0.0.1]"};
	json_int_t before = origin_count(o, "connections");
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		char url[96];
		struct pm_result r = {0};
		int len = snprintf(url, sizeof(url), "http://%s:%u/size/1", hosts[i],
			origin_port(o));
		cr_assert_eq(pm_apply(pool, task_be_denied, url, (size_t)len, &r), 0);
		cr_assert_eq(r.error, 0, "%s: %s", hosts[i], r.message);
		pm_results_clear(&r, 1);
	}
	/* Those that asked for the counts. */
	cr_assert_leq(origin_count(o, "connections"), before + 1);
	pm_pool_close(&pool);
	dns_stop(dns);
	origin_stop(o);
}
