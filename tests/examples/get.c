/* SPDX-License-Identifier: MIT
 *
 * get - the README's example: fetch the URLs of the command line over all CPUs,
 * print their bodies in the order of the arguments.
 * The twin of aiomultiprocess's Pool.map() over URLs.
 */
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>

static int get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	/* meanwhile the worker goes on with other jobs */
	int err = pm_await_get(task, url, &res);
	return err ? err : pm_return(task, res->body, res->body_len);
}

int main(int argc, char **argv)
{
	const char *const *urls = (const char *const *)argv + 1;
	size_t ct = (size_t)argc - 1;
	struct pm_result *results = calloc(ct + 1, sizeof *results);
	pm_pool *pool;
	if (!results || pm_pool_open(&pool, NULL) ||
		pm_map_strings(pool, get, urls, ct, results)) {
		fprintf(stderr, "get: %s\n", pm_last_error());
		return 1;
	}
	for (size_t i = 0; i < ct; i++) {
		printf("%s: %s\n", urls[i],
			results[i].error ? results[i].message
					 : (char *)results[i].bytes);
	}
	pm_results_clear(results, ct);
	pm_pool_close(&pool);
	free(results);
}
