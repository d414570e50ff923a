/* SPDX-License-Identifier: MIT
 *
 * ask_rig - for tests whose tasks ask an origin: a task checks what it gets, and fails
 * with the place where it is wrong.
 *
 * Runs in: the test process, and as its image in the workers.  Included once each,
 * instead of pool_rig.h.
 */
#ifndef TESTS_SUPPORT_ASK_RIG_H
#define TESTS_SUPPORT_ASK_RIG_H

#include "tests/support/pool_rig.h"

/* In a task: go on only if this holds. */
#define WANT(condition)                                                                \
	do {                                                                           \
		if (!(condition)) {                                                    \
			return pm_fail(task, __LINE__, "%s: %s", #condition,           \
				pm_task_failure(task)->message);                       \
		}                                                                      \
	} while (0)

#define MAP_MAX 600

/* Run a task over URLs; all must come through. */
static inline void map_urls(
	pm_pool *pool, pm_task_fn *fn, const char *const *urls, size_t ct)
{
	struct pm_result r[MAP_MAX];
	struct pm_job jobs[MAP_MAX];
	cr_assert_leq(ct, MAP_MAX);
	for (size_t i = 0; i < ct; i++) {
		jobs[i] = (struct pm_job){.arg = urls[i], .len = strlen(urls[i])};
	}
	cr_assert_eq(pm_map(pool, fn, jobs, ct, r), 0, "%s", pm_last_error());
	for (size_t i = 0; i < ct; i++) {
		cr_assert_eq(r[i].error, 0, "%s: %s, code %d: %s", urls[i],
			pm_error_name(r[i].error), r[i].code, r[i].message);
	}
	pm_results_clear(r, ct);
}

/* One worker, tasks one after the other, each with the origin's URL. */
static inline void run_alone(pm_task_fn *fn, unsigned times)
{
	struct origin *o = origin_start();
	pm_pool *pool = rig_pool(1, 1);
	const char *url = origin_url(o, "%s", "");
	for (unsigned i = 0; i < times; i++) {
		map_urls(pool, fn, &url, 1);
	}
	pm_pool_close(&pool);
	origin_stop(o);
}

/* Behind the origin's URL. */
static inline const char *at(const void *origin, const char *path)
{
	static char url[512];
	snprintf(url, sizeof(url), "%s%s", (const char *)origin, path);
	return url;
}

static inline bool says(const struct pm_response *r, const char *text)
{
	return strstr(r->body, text) != NULL;
}

/* A task: its argument is a URL. */
static inline int task_get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *r;
	(void)len;
	WANT(pm_await_get(task, url, &r) == 0);
	WANT(r->status == 200);
	return 0;
}

#endif
