/* SPDX-License-Identifier: MIT
 *
 * callback - a job, its future, and a callback when it is done.
 * The twin of asyncio's add_done_callback(): a coroutine that asks a server for
 * its status, the task made of it, looked at before and after.
 *
 *   callback URL
 */
#include <poolmap.h>
#include <stdio.h>
#include <string.h>

static int ask(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	int err = pm_await_get(task, url, &res);
	return err ? err : pm_return(task, &res->status, sizeof(res->status));
}

static void callback(pm_future *future, void *ctx)
{
	const struct pm_result *r = pm_future_result(future);
	int status;
	(void)ctx;
	if (r->error) {
		printf("callback: %s\n", r->message);
		return;
	}
	memcpy(&status, r->bytes, sizeof(status));
	printf("callback: status %d\n", status);
}

static void look(const pm_future *future)
{
	bool done = pm_future_state(future) == PM_DONE;
	printf("future: %s\n", done ? "done" : "pending");
}

int main(int argc, char **argv)
{
	const char *url = argc > 1 ? argv[1] : "http://127.0.0.1:8080/";
	struct pm_job job = {.arg = url, .len = strlen(url)};
	pm_future *future = NULL;
	pm_pool *pool;
	if (pm_pool_open(&pool, NULL) || pm_submit(pool, ask, &job, &future) ||
		pm_future_on_done(future, callback, NULL)) {
		fprintf(stderr, "callback: %s\n", pm_last_error());
		return 1;
	}
	look(future);
	int err = pm_wait(&future, 1, PM_ALL, PM_FOREVER, NULL);
	look(future);
	pm_future_free(&future);
	pm_pool_close(&pool);
	return err ? 1 : 0;
}
