/* SPDX-License-Identifier: MIT
 *
 * pace - how fast jobs begin, for which host; see pace.h.
 */
#include "master/cli/pace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/cli/host.h"
#include "common/cli/host_rules.h"
#include "common/cli/robots_task.h"
#include "common/clock.h"
#include "master/cli/retry_policy.h"

/* ------------------------------------------------------------------ robots.txt */

/* A robots.txt that is being fetched. */
struct inquiry {
	struct list_node node;
	struct pace *pace;
	pm_future *future;
	char lane[PM_LANE_MAX + 1];
};

static void got_robots(pm_future *future, void *ctx)
{
	struct inquiry *q = ctx;
	const struct pm_result *r = pm_future_result(future);
	struct robots_reply reply = {.error = r->error};
	struct polite_reply got = {.body = ""};
	if (!r->error && r->len >= sizeof reply) {
		memcpy(&reply, r->bytes, sizeof reply);
		got.body = (const char *)r->bytes + sizeof reply;
		got.len = r->len - sizeof reply;
	}
	got.http_code = reply.status;
	got.error = reply.error;
	polite_answer(q->pace->polite, q->lane, clock_now_ms(), &got);
	list_remove(&q->pace->inquiries, &q->node);
	pm_future_free(&q->future);
	free(q);
}

static bool submit(struct inquiry *q, const char *url)
{
	struct pm_job job = {.arg = url, .len = strlen(url)};
	if (pm_submit(q->pace->pool, robots_task, &job, &q->future)) {
		return false;
	}
	if (pm_future_on_done(q->future, got_robots, q)) {
		pm_future_free(&q->future);
		return false;
	}
	list_push_back(&q->pace->inquiries, &q->node);
	return true;
}

/* One that cannot even be asked for counts as not to be reached. */
static void fetch_robots(void *ctx, const char *lane, const char *url)
{
	struct pace *p = ctx;
	struct inquiry *q = calloc(1, sizeof *q);
	if (q) {
		q->pace = p;
		memcpy(q->lane, lane, strlen(lane) + 1);
	}
	if (!q || !submit(q, url)) {
		free(q);
		struct polite_reply none = {.error = PM_ENOMEM, .body = ""};
		polite_answer(p->polite, lane, clock_now_ms(), &none);
	}
}

/* Their callbacks come from the loop, so none leaves the list meanwhile. */
void pace_stop(struct pace *p)
{
	for (struct list_node *n = p->inquiries.head.next; n != &p->inquiries.head;
		n = n->next) {
		(void)pm_future_cancel(list_entry(n, struct inquiry, node)->future);
	}
}

static void set_limits(void *ctx, const char *lane, const struct pm_lane_limits *limits)
{
	struct pace *p = ctx;
	pm_lane_set(p->pool, lane, limits);
}

/* -------------------------------------------------------------------- lifetime */

int pace_init(struct pace *p, const struct settings *s, pm_pool *pool)
{
	struct polite_options options = {.settings = s,
		.hooks = {.fetch = fetch_robots, .limits = set_limits, .ctx = p}};
	*p = (struct pace){.settings = s, .pool = pool};
	list_init(&p->inquiries);
	if (getrandom(&p->random, sizeof p->random, GRND_NONBLOCK) < 0) {
		p->random = clock_now_us();
	}
	p->random |= 1;
	return s->polite ? polite_open(&p->polite, &options) : 0;
}

void pace_fini(struct pace *p)
{
	polite_close(p->polite);
	p->polite = NULL;
	calm_fini(&p->calm);
	buf_fini(&p->target);
}

/* ------------------------------------------------------------------------ lanes */

int pace_take(struct pace *p, const char *line, size_t len, struct pm_job *job)
{
	job->lane_len = host_last_lane(&p->last, line, len);
	job->lane = p->last.lane;
	return p->polite ? polite_take(p->polite, job->lane) : 0;
}

void pace_drop(struct pace *p, const char *line, size_t len)
{
	char lane[PM_LANE_MAX + 1];
	if (p->polite) {
		host_lane(lane, line, len);
		polite_drop(p->polite, lane);
	}
}

void pace_limits(struct pace *p, const char *lane, struct pm_lane_limits *limits)
{
	if (p->polite) {
		polite_lane(p->polite, lane, clock_now_ms(), limits);
		return;
	}
	host_limits(limits, p->settings, lane);
	unsigned most = calm_limit(&p->calm, lane);
	limits->concurrency = most ? most : limits->concurrency;
}

int pace_admit(struct pace *p, const struct pm_job *job, const char *line, size_t len,
	const char **why)
{
	if (!p->polite) {
		return 0;
	}
	buf_clear(&p->target);
	if (host_target(&p->target, line, len)) {
		return PM_ENOMEM;
	}
	*why = polite_admit(
		p->polite, job->lane, p->target.data, p->target.len, clock_now_ms());
	return *why ? PM_EFAILED : 0;
}

/* --------------------------------------------------------------------- attempts */

/* xorshift64* (Vigna 2016): good enough to keep retries apart. */
static uint32_t next_random(struct pace *p)
{
	uint64_t x = p->random;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	p->random = x;
	return (uint32_t)(x * 2685821657736338717u >> 32);
}

bool pace_retry(struct pace *p, const struct outcome *outcome, unsigned attempts,
	struct pm_retry *how)
{
	return retry_decide(how, outcome, attempts, p->settings, next_random(p));
}

/* ------------------------------------------------------------- hosts that refuse */

static unsigned usual_limit(const struct pace *p, const char *lane)
{
	struct pm_lane_limits limits;
	unsigned most = p->settings->concurrency;
	host_limits(&limits, p->settings, lane);
	return limits.concurrency && limits.concurrency < most ? limits.concurrency
							       : most;
}

static void renew_limits(struct pace *p, const char *lane)
{
	struct pm_lane_limits limits = {0};
	pace_limits(p, lane, &limits);
	pm_lane_set(p->pool, lane, &limits);
}

static void was_refused(struct pace *p, const char *lane, unsigned delay_ms)
{
	char gone[PM_LANE_MAX + 1];
	uint64_t now_ms = clock_now_ms();
	calm_refused(
		&p->calm, lane, usual_limit(p, lane), now_ms, now_ms + delay_ms, gone);
	if (*gone) {
		renew_limits(p, gone);
	}
}

/* One connection to a host, as with --polite, is as calm as can be. */
void pace_ended(
	struct pace *p, const char *line, size_t len, const struct pm_retry *how)
{
	char lane[PM_LANE_MAX + 1];
	if (p->polite || (!p->calm.ct && !how->lane_delay_ms) ||
		!host_lane(lane, line, len)) {
		return;
	}
	unsigned before = calm_limit(&p->calm, lane);
	if (how->lane_delay_ms) {
		was_refused(p, lane, how->lane_delay_ms);
	} else {
		calm_answered(&p->calm, lane, usual_limit(p, lane), clock_now_ms());
	}
	if (calm_limit(&p->calm, lane) != before) {
		renew_limits(p, lane);
	}
}
