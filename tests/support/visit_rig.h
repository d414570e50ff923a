/* SPDX-License-Identifier: MIT
 *
 * visit_rig - the requests that an origin has seen, as its /log tells: how many at
 * once, how far apart, for which host.
 *
 * Runs in: the test process.  Included by tests, once each.
 */
#ifndef TESTS_SUPPORT_VISIT_RIG_H
#define TESTS_SUPPORT_VISIT_RIG_H

#include "tests/support/origin_rig.h"

struct visit {
	const char *host; /* without the port */
	const char *path;
	uint64_t at_us, done_us; /* of clock_now_us() */
	int status;
};

/* In the order in which they came. */
struct visits {
	json_t *json;
	struct visit *at;
	size_t ct;
};

/* From now on requests are noted; those before are forgotten. */
static inline void visits_start(const struct origin *origin)
{
	free(origin_get(origin, "/log-start"));
}

/* For a suite whose origin notes them from the start. */
static inline void start_visits(void)
{
	start_origin();
	visits_start(o);
}

static inline uint64_t us_in(const json_t *entry, const char *key)
{
	return (uint64_t)int_in(entry, key);
}

static inline struct visits visits_load(const struct origin *origin)
{
	json_error_t why;
	char *text = origin_get(origin, "/log");
	struct visits v = {.json = json_loads(text, 0, &why)};
	free(text);
	cr_assert(v.json, "/log is no JSON: %s", why.text);
	v.ct = json_array_size(v.json);
	v.at = calloc(v.ct + 1, sizeof(*v.at));
	cr_assert(v.at);
	for (size_t i = 0; i < v.ct; i++) {
		const json_t *e = json_array_get(v.json, i);
		const char *host = text_in(e, "host");
		v.at[i] = (struct visit){
			keep_printf("%.*s", (int)strcspn(host, ":"), host),
			text_in(e, "path"), us_in(e, "at_us"), us_in(e, "done_us"),
			(int)int_in(e, "status")};
	}
	return v;
}

/* Take away what the predicate is not true for; what is left stays in order. */
static inline void visits_keep(struct visits *v,
	bool (*wanted)(const struct visit *visit, const char *text), const char *text)
{
	size_t kept = 0;
	for (size_t i = 0; i < v->ct; i++) {
		if (wanted(&v->at[i], text)) {
			v->at[kept++] = v->at[i];
		}
	}
	v->ct = kept;
}

static inline bool visit_has_host(const struct visit *visit, const char *host)
{
	return strcmp(visit->host, host) == 0;
}

static inline bool visit_has_path(const struct visit *visit, const char *path)
{
	return strcmp(visit->path, path) == 0;
}

static inline bool visit_begins(const struct visit *visit, const char *path)
{
	return strncmp(visit->path, path, strlen(path)) == 0;
}

static inline bool visit_begins_not(const struct visit *visit, const char *path)
{
	return !visit_begins(visit, path);
}

/* Those of one host; NULL: of all. */
static inline struct visits visits_of(const struct origin *origin, const char *host)
{
	struct visits v = visits_load(origin);
	if (host) {
		visits_keep(&v, visit_has_host, host);
	}
	return v;
}

/* Those of one path. */
static inline struct visits visits_to(const struct origin *origin, const char *path)
{
	struct visits v = visits_load(origin);
	visits_keep(&v, visit_has_path, path);
	return v;
}

static inline void visits_fini(struct visits *v)
{
	json_decref(v->json);
	free(v->at);
}

/* The most that were open at once. */
static inline size_t visits_at_once(const struct visits *v)
{
	size_t most = 0;
	for (size_t i = 0; i < v->ct; i++) {
		size_t open = 1;
		for (size_t j = 0; j < i; j++) {
			uint64_t done_us = v->at[j].done_us;
			open += !done_us || done_us > v->at[i].at_us;
		}
		most = open > most ? open : most;
	}
	return most;
}

/* So many were open at once, of one host; NULL: of all. */
static inline void check_at_once(const char *host, size_t expected)
{
	struct visits v = visits_of(o, host);
	size_t most = visits_at_once(&v);
	cr_assert_eq(most, expected, "%s: %zu at once, not %zu, of %zu",
		host ? host : "all", most, expected, v.ct);
	visits_fini(&v);
}

/* How many came in this span of time. */
static inline size_t visits_between(
	const struct visits *v, uint64_t from_us, uint64_t to_us)
{
	size_t ct = 0;
	for (size_t i = 0; i < v->ct; i++) {
		ct += from_us <= v->at[i].at_us && v->at[i].at_us < to_us;
	}
	return ct;
}

/* Requests a second, over all of them. */
static inline double visits_rate(const struct visits *v)
{
	cr_assert_gt(v->ct, 1);
	uint64_t span_us = v->at[v->ct - 1].at_us - v->at[0].at_us;
	return (double)(v->ct - 1) * 1e6 / (double)span_us;
}

/* The shortest time from one to the next. */
static inline uint64_t visits_closest_us(const struct visits *v)
{
	uint64_t least = UINT64_MAX;
	for (size_t i = 1; i < v->ct; i++) {
		uint64_t us = v->at[i].at_us - v->at[i - 1].at_us;
		least = us < least ? us : least;
	}
	return least;
}

/* --resolve for a host that is this origin: HOST:PORT:127.0.0.1. */
static inline const char *resolve_to(const struct origin *origin, const char *host)
{
	return keep_printf("%s:%u:127.0.0.1", host, origin_port(origin));
}

/* What is the same whatever the number of workers is tried with these. */
static const char *const worker_cts[] = {"1", "2", "7"};
enum { WORKER_CTS = 3 };

/* The command with three hosts that are the test's origin. */
#define THREE_HOSTS                                                                    \
	"--resolve", resolve_to(o, "a.test"), "--resolve", resolve_to(o, "b.test"),    \
		"--resolve", resolve_to(o, "c.test")
#define RUN_HOSTS(...) RUN(THREE_HOSTS, __VA_ARGS__)

/* RUN_HOSTS with a configuration file. */
#define RUN_CONFIG(text, ...)                                                          \
	POOLMAP("run", "--config", temp_file("my.conf", text, strlen(text)),           \
		THREE_HOSTS, __VA_ARGS__)

/* `ct` jobs of a host, numbered behind a "?" so that each has a URL of its own. */
static inline void jobs_add_host(struct bytes *jobs, const struct origin *origin,
	const char *host, const char *path, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		jobs_add(jobs, "http://%s:%u%s?%zu\n", host, origin_port(origin), path,
			i);
	}
}

/* Run these jobs, all of which must be ok.  The list is empty after it. */
static inline void run_ok(struct bytes *jobs, const char *const argv[])
{
	struct ran r = run_to_end(jobs->data, argv);
	check_status(&r, 0);
	ran_fini(&r);
	bytes_fini(jobs);
}

#endif
