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

enum { HOSTS = 20000, AT_ONCE = 64 };

struct order {
	char url[96];
	bool close;         /* ask for the end of the connection */
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

static int task_cpu(pm_task *task, const void *arg, size_t len)
{
	struct timespec ts;
	(void)arg;
	(void)len;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	uint64_t us = (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
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

static struct order *orders_new(const struct origin *o, size_t ct, size_t hosts)
{
	struct order *orders = calloc(ct, sizeof(*orders));
	cr_assert_not_null(orders);
	for (size_t i = 0; i < ct; i++) {
		snprintf(orders[i].url, sizeof(orders[i].url),
			"http://a-127-0-0-1.n%zu.test:%u/size/100", i % hosts,
			origin_port(o));
	}
	return orders;
}

/* Returns the number that succeeded. */
static size_t map_orders(pm_pool *pool, const struct order *orders, size_t ct)
{
	struct pm_job *jobs = calloc(ct, sizeof(*jobs));
	struct pm_result *results = calloc(ct, sizeof(*results));
	size_t good = 0;
	for (size_t i = 0; i < ct; i++) {
		jobs[i] = (struct pm_job){
			.arg = &orders[i], .len = sizeof(struct order)};
	}
	cr_assert_eq(pm_map(pool, task_fetch, jobs, ct, results), 0, "%s",
		pm_last_error());
	for (size_t i = 0; i < ct; i++) {
		good += !results[i].error;
	}
	pm_results_clear(results, ct);
	free(results);
	free(jobs);
	return good;
}

static uint64_t cpu_us(pm_pool *pool)
{
	struct pm_result r = {0};
	uint64_t us;
	cr_assert_eq(pm_apply(pool, task_cpu, NULL, 0, &r), 0);
	memcpy(&us, r.bytes, sizeof(us));
	pm_results_clear(&r, 1);
	return us;
}

/* The worker's CPU time for HOSTS jobs. */
static uint64_t cost(const struct origin *o, const struct dns *dns, size_t hosts, bool close)
{
	struct order *orders = orders_new(o, HOSTS, hosts);
	pm_pool *pool = pool_with(dns, 1, AT_ONCE);
	for (size_t i = 0; i < HOSTS; i++) {
		orders[i].close = close;
	}
	uint64_t before = cpu_us(pool);
	cr_assert_eq(map_orders(pool, orders, HOSTS), HOSTS);
	uint64_t after = cpu_us(pool);
	pm_pool_close(&pool);
	free(orders);
	return after - before;
}

Test(dns, many_hosts_cost_little_more_than_few, .timeout = 120)
{
	struct origin *o = origin_start();
	struct dns *dns = dns_start();
	uint64_t few = cost(o, dns, 10, true);
	unsigned before = dns_query_ct(dns);
	cr_assert_leq(before, 20);
	uint64_t many = cost(o, dns, HOSTS, false);
	unsigned queries = dns_query_ct(dns) - before;
	cr_log_warn("few %.1f us, many %.1f us per job, %u queries, %u again",
		(double)few / HOSTS, (double)many / HOSTS, queries, dns_repeat_ct(dns));
	dns_stop(dns);
	origin_stop(o);
}
