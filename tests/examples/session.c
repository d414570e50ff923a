/* SPDX-License-Identifier: MIT
 *
 * session - what all requests have in common, made once in each worker by the
 * initializer: the server, headers, cookies.
 * The twin of aiohttp's ClientSession, with an initializer as multiprocessing.Pool has.
 *
 *   session BASE_URL PATH...
 */
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int init(const void *base_url, size_t len)
{
	static const struct pm_header agent = {"user-agent", "poolmap-session"};
	struct pm_session_options options = {.base_url = base_url,
		.headers = &agent,
		.header_ct = 1,
		.cookies = true};
	pm_session *session;
	(void)len;
	int err = pm_session_new(&session, &options);
	if (err) {
		return pm_worker_fail("no session for %s", (const char *)base_url);
	}
	pm_worker_set_data(session);
	return 0;
}

static void fini(void)
{
	pm_session_free(pm_worker_data());
}

static int get(pm_task *task, const void *path, size_t len)
{
	struct pm_request req = {.url = path, .session = pm_worker_data()};
	struct pm_response *res;
	(void)len;
	int err = pm_await_fetch(task, &req, &res);
	return err ? err : pm_return(task, res->body, res->body_len);
}

int main(int argc, char **argv)
{
	const char *const *paths = (const char *const *)argv + 2;
	size_t ct = argc > 2 ? (size_t)argc - 2 : 0;
	struct pm_result *results = calloc(ct + 1, sizeof(*results));
	struct pm_pool_options options;
	pm_pool *pool;
	pm_pool_options_init(&options);
	options.init = init;
	options.fini = fini;
	options.init_arg = argc > 1 ? argv[1] : "";
	options.init_len = strlen(options.init_arg);
	if (!results || pm_pool_open(&pool, &options) ||
		pm_map_strings(pool, get, paths, ct, results)) {
		fprintf(stderr, "session: %s\n", pm_last_error());
		return 1;
	}
	for (size_t i = 0; i < ct; i++) {
		printf("%s: %s\n", paths[i],
			results[i].error ? results[i].message
					 : (char *)results[i].bytes);
	}
	pm_results_clear(results, ct);
	pm_pool_close(&pool);
	free(results);
}
