/* SPDX-License-Identifier: MIT
 *
 * submit - hand in jobs one by one, and have a function called as each is done.
 * The twin of the executors of concurrent.futures: submit(), add_done_callback(),
 * shutdown(wait=True).
 *
 *   submit URL...
 */
#include <poolmap.h>
#include <stdio.h>
#include <string.h>

static int get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	int err = pm_await_get(task, url, &res);
	return err ? err : pm_return(task, res->body, res->body_len);
}

static void done(pm_future *future, void *url)
{
	const struct pm_result *r = pm_future_result(future);
	printf("%s: %s\n", (char *)url, r->error ? r->message : (char *)r->bytes);
}

int main(int argc, char **argv)
{
	pm_pool *pool;
	int err = pm_pool_open(&pool, NULL);
	for (int i = 1; i < argc && !err; i++) {
		struct pm_job job = {.arg = argv[i], .len = strlen(argv[i])};
		pm_future *future = NULL;
		err = pm_submit(pool, get, &job, &future);
		if (!err) {
			err = pm_future_on_done(future, done, argv[i]);
		}
		pm_future_free(&future); /* the callback comes all the same */
	}
	if (err) {
		fprintf(stderr, "submit: %s\n", pm_error_text(err));
		return 1;
	}
	pm_pool_close(&pool); /* waits for them */
}
