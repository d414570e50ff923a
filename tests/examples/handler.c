/* SPDX-License-Identifier: MIT
 *
 * handler - fetches started from the program's own event loop, which ends when the
 * last of them has been handled.
 * The twin of Tornado's AsyncHTTPClient.fetch() with a handler and a count.
 *
 *   handler URL...
 */
#include <event2/event.h>
#include <poolmap.h>
#include <stdio.h>
#include <string.h>

static struct event_base *loop;
static int left; /* not handled yet */

static int fetch(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	int err = pm_await_get(task, url, &res);
	return err ? err : pm_return(task, res->body, res->body_len);
}

static void handle_response(pm_future *future, void *url)
{
	const struct pm_result *r = pm_future_result(future);
	if (r->error) {
		printf("%s: error: %s\n", (char *)url, r->message);
	} else {
		printf("%s: %s\n", (char *)url, (char *)r->bytes);
	}
	if (--left == 0) {
		event_base_loopbreak(loop);
	}
}

static int start(pm_pool *pool, char *url)
{
	struct pm_job job = {.arg = url, .len = strlen(url)};
	pm_future *future;
	int err = pm_submit(pool, fetch, &job, &future);
	if (!err) {
		err = pm_future_on_done(future, handle_response, url);
		pm_future_free(&future);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct pm_pool_options options;
	pm_pool *pool;
	int err;
	pm_pool_options_init(&options);
	options.base = loop = event_base_new();
	err = pm_pool_open(&pool, &options);
	for (; left < argc - 1 && !err; left++) {
		err = start(pool, argv[left + 1]);
	}
	if (err) {
		fprintf(stderr, "handler: %s\n", pm_error_text(err));
		return 1;
	}
	if (left > 0) {
		event_base_dispatch(loop);
	}
	pm_pool_close(&pool);
	event_base_free(loop);
}
