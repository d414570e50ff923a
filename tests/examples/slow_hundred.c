/* SPDX-License-Identifier: MIT
 *
 * slow_hundred - a hundred requests to a server that takes 3 s for each, in little
 * more than 3 s.
 * The twin of aiohttp with aiomultiprocess against a slow Flask server.
 *
 *   slow_hundred URL        (such as http://127.0.0.1:8080/delay/3000)
 */
#include <poolmap.h>
#include <stdio.h>
#include <time.h>

enum { CT = 100 };

static int get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	int err = pm_await_get(task, url, &res);
	return err ? err : pm_return(task, res->body, res->body_len);
}

int main(int argc, char **argv)
{
	const char *url = argc > 1 ? argv[1] : "http://127.0.0.1:8080/delay/3000";
	const char *urls[CT];
	struct pm_result results[CT];
	struct timespec begin, end;
	unsigned good = 0;
	pm_pool *pool;
	for (int i = 0; i < CT; i++) {
		urls[i] = url;
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (pm_pool_open(&pool, NULL) || pm_map_strings(pool, get, urls, CT, results)) {
		fprintf(stderr, "slow_hundred: %s\n", pm_last_error());
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	for (int i = 0; i < CT; i++) {
		good += results[i].error == 0;
	}
	printf("%u of %d answers, took %.1f s\n", good, CT,
		(double)(end.tv_sec - begin.tv_sec) +
			(double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	pm_results_clear(results, CT);
	pm_pool_close(&pool);
}
