/* SPDX-License-Identifier: MIT
 *
 * pool_map - a managed pool of processes, and a map over URLs.
 * The twin of aiomultiprocess's Pool in an `async with`.  Here the results are
 * structs; get.c is the same with texts.
 *
 *   pool_map URL...
 */
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct page {
	int status;
	size_t bytes;
	char type[40];
};

static int get(pm_task *task, const void *url, size_t len)
{
	struct page page = {0};
	struct pm_response *res;
	(void)len;
	int err = pm_await_get(task, url, &res);
	if (err) {
		return err;
	}
	page.status = res->status;
	page.bytes = res->body_len;
	snprintf(page.type, sizeof page.type, "%s", res->content_type);
	return pm_return(task, &page, sizeof(page));
}

int main(int argc, char **argv)
{
	const char *const *urls = (const char *const *)argv + 1;
	size_t ct = (size_t)argc - 1;
	struct pm_result *results = calloc(ct + 1, sizeof(*results));
	struct pm_pool_options options;
	struct page page;
	pm_pool *pool;

	pm_pool_options_init(&options);
	options.workers = 2; /* processes; without it: one for each CPU */
	options.concurrency = 1000;
	if (!results || pm_pool_open(&pool, &options) ||
		pm_map_strings(pool, get, urls, ct, results)) {
		fprintf(stderr, "pool_map: %s\n", pm_last_error());
		return 1;
	}
	for (size_t i = 0; i < ct; i++) {
		if (results[i].error) {
			printf("%s: %s\n", urls[i], results[i].message);
			continue;
		}
		memcpy(&page, results[i].bytes, sizeof(page));
		printf("%s: %d, %zu bytes of %s\n", urls[i], page.status, page.bytes,
			page.type);
	}
	pm_results_clear(results, ct);
	pm_pool_close(&pool);
	free(results);
}
