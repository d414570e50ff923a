/* SPDX-License-Identifier: MIT
 *
 * campaign_rig - jobs with orders, some of them poisonous, and something that happens
 * to the workers beside them.
 *
 * Runs in: the test process, and as its image in the workers.  Included by the tests of
 * workers that die, hang or do not start, once each, instead of pool_rig.h.
 */
#ifndef TESTS_SUPPORT_CAMPAIGN_RIG_H
#define TESTS_SUPPORT_CAMPAIGN_RIG_H

#include "tests/support/pool_rig.h"

/* ------------------------------------------------------------------- poison */

enum poison {
	HARMLESS,
	ABORT,
	LEAVE, /* _exit(0): as if all were well */
	EXIT_3,
	SEGFAULT,
	OVERFLOW, /* of its stack */
	KILL_9,
	KILL_TWICE, /* its first two workers, and no more */
	LOOP,       /* for ever */
};

struct order {
	uint32_t number;
	uint32_t poison;
	uint32_t sleep_ms; /* before it does what it does */
	bool once;         /* it must not run twice */
};

static volatile bool for_ever = true;

/* Frames of a size that cannot step over a guard page. */
static inline unsigned overflow(unsigned depth)
{
	volatile char frame[512];
	frame[depth % sizeof(frame)] = (char)depth;
	unsigned below = for_ever ? overflow(depth + 1) : 0;
	return below + (unsigned char)frame[depth % sizeof(frame)];
}

static inline void take_poison(pm_task *task, enum poison poison)
{
	/* not NULL: there are machines with memory at 0 */
	volatile char *volatile read_only = (volatile char *)(uintptr_t) "constant";
	switch (poison) {
	case HARMLESS:
		return;
	case ABORT:
		abort();
	case LEAVE:
		_exit(0);
	case EXIT_3:
		if (RIG_SANITIZED) {
			_exit(3); /* exit() has a code of its own when it sees leaks */
		}
		exit(3);
	case SEGFAULT:
		*read_only = 1; /* NOLINT(gcc-write-to-string-literal): meant */
		return;
	case OVERFLOW:
		atomic_store(&board->seen, (int)overflow(0));
		return;
	case KILL_TWICE:
		if (pm_task_attempt(task) > 2) {
			return;
		}
		/* fall through */
	case KILL_9:
		kill(getpid(), SIGKILL);
		return;
	case LOOP:
		while (for_ever) {
		}
	}
}

static inline int task_obey(pm_task *task, const void *arg, size_t len)
{
	struct order o;
	(void)len;
	memcpy(&o, arg, sizeof(o));
	atomic_fetch_add(&board->runs[o.number], 1);
	int err = o.sleep_ms ? pm_sleep(task, o.sleep_ms) : 0;
	if (err) {
		return err;
	}
	take_poison(task, o.poison);
	return pm_return(task, &o.number, sizeof(o.number));
}

/* ----------------------------------------------------------------- campaign */

/* Jobs with orders, and something that happens beside them. */
struct campaign {
	pm_pool *pool;
	const char *runtime_dir;
	struct event_base *base;
	struct event *timer;
	size_t ct;
	struct order *orders;
	struct batch batch;
	size_t pulled, delivered, failed;

	/* for what happens beside them */
	uint64_t next_at; /* results, before it happens again */
	unsigned times, times_max;
	uint64_t deadline;
	bool gave_up;
	int pidfd;
	void (*halt)(pid_t worker); /* by which one comes to a stop */
};

static inline struct campaign campaign_new(size_t ct)
{
	struct campaign c = {.ct = ct, .pidfd = -1};
	c.orders = calloc(ct, sizeof(*c.orders));
	c.batch = batch_new(ct);
	cr_assert(c.orders);
	for (uint32_t i = 0; i < ct; i++) {
		c.orders[i].number = i;
	}
	return c;
}

/* Each of its jobs takes so long. */
static inline void campaign_sleep(struct campaign *c, uint32_t ms)
{
	for (size_t i = 0; i < c->ct; i++) {
		c->orders[i].sleep_ms = ms;
	}
}

static inline void campaign_open(struct campaign *c, struct pm_pool_options o)
{
	c->base = event_base_new();
	c->runtime_dir = o.runtime_dir;
	o.base = c->base;
	c->pool = rig_open(&o);
}

static inline void campaign_timer(struct campaign *c, unsigned ms, event_callback_fn cb)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	c->timer = event_new(c->base, -1, EV_PERSIST, cb, c);
	event_add(c->timer, &tv);
}

static inline int campaign_source(void *ctx, struct pm_job *job)
{
	struct campaign *c = ctx;
	if (c->pulled == c->ct) {
		return PM_SOURCE_END;
	}
	struct order *o = &c->orders[c->pulled++];
	job->arg = o;
	job->len = sizeof(*o);
	job->once = o->once;
	return PM_SOURCE_JOB;
}

static inline int campaign_sink(void *ctx, const struct pm_result *r)
{
	struct campaign *c = ctx;
	struct pm_result *kept = &c->batch.results[r->index];
	cr_assert_lt(r->index, c->ct);
	cr_assert_eq(kept->attempts, 0, "job %llu has two results",
		(unsigned long long)r->index);
	*kept = *r;
	kept->bytes =
		r->bytes ? memcpy(malloc(r->len + 1), r->bytes, r->len + 1) : NULL;
	kept->message = r->message ? strdup(r->message) : NULL;
	c->delivered++;
	c->failed += r->error != 0;
	return PM_SINK_TAKEN;
}

static inline int campaign_try(struct campaign *c)
{
	struct pm_stream stream = {.task = task_obey,
		.source = campaign_source,
		.sink = campaign_sink,
		.ctx = c,
		.unordered = true};
	return pm_map_stream(c->pool, &stream);
}

static inline void campaign_run(struct campaign *c)
{
	int err = campaign_try(c);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_eq(c->delivered, c->ct);
}

static inline void campaign_close(struct campaign *c)
{
	if (c->timer) {
		event_free(c->timer);
	}
	pm_pool_close(&c->pool);
	rig_check_nothing_left(c->runtime_dir);
	event_base_free(c->base);
	batch_free(&c->batch);
	free(c->orders);
	if (c->pidfd >= 0) {
		close(c->pidfd);
	}
}

/* Job i was lost for this reason. */
static inline void check_lost(const struct campaign *c, size_t i, int domain, int code)
{
	const struct pm_result *r = &c->batch.results[i];
	cr_assert_eq(
		r->error, PM_EWORKERLOST, "job %zu: %s", i, pm_error_name(r->error));
	cr_assert_eq(r->domain, domain, "job %zu: %s", i, pm_domain_name(r->domain));
	cr_assert_eq(r->code, code, "job %zu: %s %d instead of %d", i,
		pm_domain_name(r->domain), r->code, code);
	cr_assert(r->message && *r->message, "job %zu has no message", i);
	cr_assert_null(r->bytes);
}

/* ------------------------------------------------------------------- workers */

static inline pid_t some_worker(unsigned which)
{
	pid_t pids[64];
	size_t ct = rig_workers(pids, 64);
	return ct ? pids[which * 7919u % ct] : 0;
}

/* A timer: kill all, so often and not before so many results have come. */
static inline void kill_all_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct campaign *c = ctx;
	pid_t pids[64];
	(void)fd;
	(void)what;
	if (c->delivered >= c->next_at && c->times < c->times_max) {
		size_t ct = rig_workers(pids, 64);
		for (size_t i = 0; i < ct; i++) {
			kill(pids[i], SIGKILL);
		}
		c->times++;
		c->next_at = c->delivered + 400;
	}
}

#endif
