/* SPDX-License-Identifier: MIT
 *
 * get - the README's example: fetch the URLs of the command line over all CPUs,
 * print their bodies in the order of the arguments.
 */
#include <poolmap.h>
#include <stdio.h>
#include <string.h>

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
	struct pm_job jobs[100] = {0};
	struct pm_result results[100];
	pm_pool *pool;
	size_t ct = 0;
	for (; ct < 100 && (int)ct + 1 < argc; ct++) {
		jobs[ct].arg = argv[ct + 1];
		jobs[ct].len = strlen(argv[ct + 1]);
	}
	if (pm_pool_open(&pool, NULL) || pm_map(pool, get, jobs, ct, results)) {
		fprintf(stderr, "get: %s\n", pm_last_error());
		return 1;
	}
	for (size_t i = 0; i < ct; i++) {
		printf("%s: %s\n", argv[i + 1],
			results[i].error ? results[i].message
					 : (char *)results[i].bytes);
	}
	pm_results_clear(results, ct);
	pm_pool_close(&pool);
}
