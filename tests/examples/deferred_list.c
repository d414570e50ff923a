/* SPDX-License-Identifier: MIT
 *
 * deferred_list - one callback for each page and one for all of them, which stops
 * the program's own loop.
 * The twin of Twisted's DeferredList with a reactor.
 *
 *   deferred_list URL...
 */
#include <event2/event.h>
#include <poolmap.h>
#include <stdio.h>

static int get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	int err = pm_await_get(task, url, &res);
	return err ? err : pm_return(task, res->body, res->body_len);
}

static int one_done(void *ctx, const struct pm_result *r)
{
	(void)ctx;
	printf("%s: %s\n", (const char *)r->arg,
		r->error ? r->message : (char *)r->bytes);
	return PM_SINK_TAKEN;
}

static void all_done(pm_future *list, void *reactor)
{
	printf("%llu are done\n", (unsigned long long)pm_future_result(list)->index);
	event_base_loopbreak(reactor);
}

int main(int argc, char **argv)
{
	struct pm_strings urls = {
		.strings = (const char *const *)argv + 1, .ct = (size_t)argc - 1};
	struct pm_stream stream = {
		.task = get, .source = pm_strings_next, .sink = one_done, .ctx = &urls};
	struct event_base *reactor = event_base_new();
	struct pm_pool_options options;
	pm_pool *pool;
	pm_future *list;

	pm_pool_options_init(&options);
	options.base = reactor;
	if (pm_pool_open(&pool, &options) || pm_map_async(pool, &stream, &list) ||
		pm_future_on_done(list, all_done, reactor)) {
		fprintf(stderr, "deferred_list: %s\n", pm_last_error());
		return 1;
	}
	event_base_dispatch(reactor);
	pm_future_free(&list);
	pm_pool_close(&pool);
	event_base_free(reactor);
}
