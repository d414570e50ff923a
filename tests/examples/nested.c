/* SPDX-License-Identifier: MIT
 *
 * nested - a task that starts others beside itself and waits for them.
 * The twin of asyncio's nested coroutines: a sum that takes a while, three of them
 * started by one coroutine, which prints what they gave.
 */
#include <poolmap.h>
#include <stdio.h>

struct pair {
	int x, y;
};

static int compute(pm_task *task, const void *arg, size_t len)
{
	const struct pair *p = arg;
	char text[64];
	(void)len;
	int err = pm_sleep(task, 200);
	int n = snprintf(text, sizeof text, "%d + %d = %d", p->x, p->y, p->x + p->y);
	return err ? err : pm_return(task, text, (size_t)n);
}

static int print_sums(pm_task *task, const void *arg, size_t len)
{
	const struct pair *pairs = arg;
	pm_task *children[3];
	char text[256];
	int err = 0, n = 0;
	(void)len;
	for (int i = 0; i < 3 && !err; i++) {
		err = pm_spawn(task, compute, &pairs[i], sizeof(*pairs), &children[i]);
	}
	if (err || (err = pm_gather(task, children, 3))) {
		return err;
	}
	for (int i = 0; i < 3; i++) {
		const struct pm_result *r = pm_child_result(children[i]);
		n += snprintf(text + n, sizeof text - (size_t)n, "%s\n",
			r->error ? r->message : (char *)r->bytes);
	}
	return pm_return(task, text, (size_t)n);
}

int main(void)
{
	const struct pair pairs[3] = {{1, 2}, {3, 4}, {5, 6}};
	struct pm_result r;
	pm_pool *pool;
	if (pm_pool_open(&pool, NULL) ||
		pm_apply(pool, print_sums, pairs, sizeof(pairs), &r)) {
		fprintf(stderr, "nested: %s\n", pm_last_error());
		return 1;
	}
	printf("%s", r.error ? r.message : (char *)r.bytes);
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
}
