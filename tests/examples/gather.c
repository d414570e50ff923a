/* SPDX-License-Identifier: MIT
 *
 * gather - many at once: gather their results, or wait for the first of them.
 * The twin of asyncio's gather() and wait(): three waits of different length that
 * take as long as the longest, results in the order of the arguments.
 */
#include <poolmap.h>
#include <stdio.h>

static int work(pm_task *task, const void *arg, size_t len)
{
	unsigned ms = *(const unsigned *)arg;
	char text[64];
	(void)len;
	int err = pm_sleep(task, ms);
	int n = snprintf(text, sizeof text, "done after %u ms", ms);
	return err ? err : pm_return(task, text, (size_t)n);
}

static int gather(pm_pool *pool, const unsigned *ms)
{
	struct pm_result results[3];
	int err = pm_starmap(pool, work, ms, sizeof(*ms), 3, results);
	for (int i = 0; i < 3 && !err; i++) {
		printf("gathered: %s\n", (char *)results[i].bytes);
	}
	if (!err) {
		pm_results_clear(results, 3);
	}
	return err;
}

static int wait_for_first(pm_pool *pool, const unsigned *ms)
{
	pm_future *futures[3] = {0};
	size_t first;
	int err = 0;
	for (int i = 0; i < 3 && !err; i++) {
		err = pm_submit(pool, work, &PM_JOB(ms[i]), &futures[i]);
	}
	if (!err && !(err = pm_wait(futures, 3, PM_ANY, PM_FOREVER, &first))) {
		printf("first: %s\n", (char *)pm_future_result(futures[first])->bytes);
		err = pm_wait(futures, 3, PM_ALL, PM_FOREVER, NULL);
	}
	for (int i = 0; i < 3; i++) {
		pm_future_free(&futures[i]);
	}
	return err;
}

int main(void)
{
	const unsigned ms[3] = {800, 200, 1600};
	pm_pool *pool;
	int err = pm_pool_open(&pool, NULL);
	if (err || (err = gather(pool, ms)) || (err = wait_for_first(pool, ms))) {
		fprintf(stderr, "gather: %s\n", pm_error_text(err));
		return 1;
	}
	printf("all are done\n");
	pm_pool_close(&pool);
}
