/* SPDX-License-Identifier: MIT
 *
 * grequests - a map with a time-out for each request, and a handler for those that
 * fail; the others' status.
 * The twin of grequests.map() with an exception_handler.
 *
 *   grequests TIMEOUT_MS URL...
 */
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	char text[32];
	(void)len;
	int err = pm_await_get(task, url, &res);
	int n = err ? 0 : snprintf(text, sizeof text, "%d", res->status);
	return err ? err : pm_return(task, text, (size_t)n);
}

static void exception_handler(void *ctx, const struct pm_result *r)
{
	char **urls = ctx;
	if (r->error) {
		printf("request failed: %s: %s\n", urls[r->index],
			pm_error_name(r->error));
	}
}

int main(int argc, char **argv)
{
	size_t ct = argc > 2 ? (size_t)argc - 2 : 0;
	struct pm_job *jobs = calloc(ct + 1, sizeof(*jobs));
	struct pm_result *results = calloc(ct + 1, sizeof(*results));
	struct pm_map_options options = {
		.on_result = exception_handler, .ctx = argv + 2};
	pm_pool *pool;
	for (size_t i = 0; i < ct && jobs; i++) {
		jobs[i].arg = argv[i + 2];
		jobs[i].len = strlen(argv[i + 2]);
		jobs[i].timeout_ms = (unsigned)strtoul(argv[1], NULL, 10);
	}
	if (!jobs || !results || pm_pool_open(&pool, NULL) ||
		pm_map_with(pool, get, jobs, ct, &options, results)) {
		fprintf(stderr, "grequests: %s\n", pm_last_error());
		return 1;
	}
	for (size_t i = 0; i < ct; i++) {
		printf("%s%s", i ? ", " : "[",
			results[i].error ? "none" : (char *)results[i].bytes);
	}
	printf("]\n");
	pm_results_clear(results, ct);
	pm_pool_close(&pool);
	free(jobs);
	free(results);
}
