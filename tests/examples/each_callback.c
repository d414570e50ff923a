/* SPDX-License-Identifier: MIT
 *
 * each_callback - each URL with a callback of its own.
 * The twin of a hand-made asynchronous client over select(), which is given
 * addresses, each with the function that gets its answer.
 *
 *   each_callback URL URL URL
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

static void to_file(pm_future *future, void *url)
{
	const struct pm_result *r = pm_future_result(future);
	printf("to a file: %s: %zu bytes\n", (char *)url, r->len);
}

static void to_database(pm_future *future, void *url)
{
	const struct pm_result *r = pm_future_result(future);
	printf("to the database: %s: %s\n", (char *)url,
		r->error ? r->message : (char *)r->bytes);
}

int main(int argc, char **argv)
{
	pm_done_fn *const callbacks[] = {to_file, to_database, to_database};
	pm_pool *pool;
	int err = pm_pool_open(&pool, NULL);
	for (int i = 0; i < 3 && i + 1 < argc && !err; i++) {
		char *url = argv[i + 1];
		struct pm_job job = {.arg = url, .len = strlen(url)};
		pm_future *future = NULL;
		err = pm_submit(pool, get, &job, &future);
		if (!err) {
			err = pm_future_on_done(future, callbacks[i], url);
		}
		pm_future_free(&future);
	}
	if (err) {
		fprintf(stderr, "each_callback: %s\n", pm_error_text(err));
		return 1;
	}
	pm_pool_close(&pool);
}
