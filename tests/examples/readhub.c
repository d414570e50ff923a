/* SPDX-License-Identifier: MIT
 *
 * readhub - ask a JSON API, and keep some fields of what it says.
 * The twin of an aiohttp session that harvests a news service: parameters and
 * headers in the request, a list of topics in the answer.
 *
 *   readhub URL CT
 */
#include <jansson.h>
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct query {
	char url[400], size[12];
};

/* What is kept of each topic: the field, and our name for it. */
static const char *const fields[][2] = {{"title", "title"}, {"summary", "summary"},
	{"newsArray", "news_info"}, {"updatedAt", "updated_at"}};

static json_t *pick(const char *body)
{
	json_t *answer = json_loads(body, 0, NULL), *news = json_array();
	const json_t *data = json_object_get(answer, "data");
	for (size_t i = 0; i < json_array_size(data); i++) {
		json_t *picked = json_object();
		for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++) {
			json_object_set(picked, fields[k][1],
				json_object_get(json_array_get(data, i), fields[k][0]));
		}
		json_array_append_new(news, picked);
	}
	json_decref(answer);
	return news;
}

static int get_news(pm_task *task, const void *arg, size_t len)
{
	const struct query *q = arg;
	const struct pm_param size = {"pageSize", q->size};
	const struct pm_header accept = {"accept", "application/json"};
	struct pm_request req = {.url = q->url,
		.params = &size,
		.param_ct = 1,
		.headers = &accept,
		.header_ct = 1};
	struct pm_response *res;
	(void)len;
	int err = pm_await_fetch(task, &req, &res);
	if (err || res->status != 200) {
		return err ? err : pm_fail(task, res->status, "HTTP %d", res->status);
	}
	json_t *news = pick(res->body);
	char *text = json_dumps(news, JSON_INDENT(2));
	json_decref(news);
	err = text ? pm_return(task, text, strlen(text)) : PM_ENOMEM;
	free(text);
	return err;
}

int main(int argc, char **argv)
{
	struct query q;
	struct pm_result r;
	pm_pool *pool;
	snprintf(q.url, sizeof q.url, "%s", argc > 1 ? argv[1] : "http://127.0.0.1/");
	snprintf(q.size, sizeof q.size, "%s", argc > 2 ? argv[2] : "10");
	if (pm_pool_open(&pool, NULL) || pm_apply(pool, get_news, &q, sizeof q, &r)) {
		fprintf(stderr, "readhub: %s\n", pm_last_error());
		return 1;
	}
	printf("%s\n", r.error ? r.message : (char *)r.bytes);
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
}
