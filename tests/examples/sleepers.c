/* SPDX-License-Identifier: MIT
 *
 * sleepers - two tasks that take their time and a third that does not, at once.
 * The twin of asyncio's first example: three tasks given to the loop, which runs
 * until all are done, in the time of the slowest.
 */
#include <poolmap.h>
#include <stdio.h>
#include <time.h>

static int to_do(pm_task *task, const void *arg, size_t len)
{
	unsigned seconds = *(const unsigned *)arg;
	char text[64];
	(void)len;
	/* meanwhile its worker runs the others */
	int err = pm_sleep(task, 1000 * seconds);
	int n = snprintf(text, sizeof text, "slept for %u s", seconds);
	return err ? err : pm_return(task, text, (size_t)n);
}

static int tell(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_return(task, "the others are under way", 24);
}

int main(void)
{
	const unsigned seconds[] = {1, 2};
	struct pm_job jobs[] = {PM_JOB(seconds[0]), PM_JOB(seconds[1]), {0}};
	pm_task_fn *tasks[] = {to_do, to_do, tell};
	pm_future *futures[3] = {0};
	pm_pool *pool;
	struct timespec begin, end;

	int err = pm_pool_open(&pool, NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 3 && !err; i++) {
		err = pm_submit(pool, tasks[i], &jobs[i], &futures[i]);
	}
	if (err || (err = pm_wait(futures, 3, PM_ALL, PM_FOREVER, NULL))) {
		fprintf(stderr, "sleepers: %s\n", pm_error_text(err));
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	for (int i = 0; i < 3; i++) {
		const struct pm_result *r = pm_future_result(futures[i]);
		printf("task %d: %s\n", i + 1,
			r->error ? r->message : (char *)r->bytes);
		pm_future_free(&futures[i]);
	}
	printf("took %.1f s\n", (double)(end.tv_sec - begin.tv_sec) +
					(double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	pm_pool_close(&pool);
}
