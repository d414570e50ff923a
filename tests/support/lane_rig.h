/* SPDX-License-Identifier: MIT
 *
 * lane_rig - what the tests of lanes share: tasks that say when they were in which
 * lane, and a stream of them whose every callback can be told what to do.
 *
 * Runs in: the test process, and as its image in the workers.  Included by the tests
 * of lanes, once each, instead of host_rig.h.
 */
#ifndef TESTS_SUPPORT_LANE_RIG_H
#define TESTS_SUPPORT_LANE_RIG_H

#include "tests/support/host_rig.h"

enum { LANES = 16, LANE_PLACES = 64, LOG_MAX = 1 << 14 };

/* ------------------------------------------------------------------- the log */

struct lane_log {
	struct {
		_Atomic int places[LANE_PLACES]; /* pids of the tasks in it */
		_Atomic int most;                /* that were in it at once */
	} lane[LANES];
	_Atomic unsigned ct; /* tasks begun, in this order: */
	struct {
		uint32_t number, lane;
		uint64_t at_us;
	} begun[LOG_MAX];
};

static struct lane_log *lane_log;

/* Before the forkserver starts. */
__attribute__((constructor(250))) static void lane_log_start(void)
{
	void *at = getenv("BXFI_MAP")
			   ? mmap(NULL, sizeof(struct lane_log), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0)
			   : MAP_FAILED;
	lane_log = at == MAP_FAILED ? NULL : at;
}

/* A killed task never leaves: its place is free when its process is gone. */
static inline bool place_is_taken(int pid)
{
	return pid && (pid == getpid() || kill(pid, 0) == 0);
}

static inline int lane_enter(uint32_t lane)
{
	int mine = -1, ct = 0;
	for (int i = 0; i < LANE_PLACES; i++) {
		int pid = atomic_load(&lane_log->lane[lane].places[i]);
		if (place_is_taken(pid)) {
			ct++;
		} else if (mine < 0 &&
			   atomic_compare_exchange_strong(
				   &lane_log->lane[lane].places[i], &pid, getpid())) {
			mine = i;
			ct++;
		}
	}
	int most = atomic_load(&lane_log->lane[lane].most);
	while (ct > most &&
		!atomic_compare_exchange_weak(&lane_log->lane[lane].most, &most, ct)) {
	}
	return mine;
}

static inline void lane_leave(uint32_t lane, int place)
{
	if (place >= 0) {
		atomic_store(&lane_log->lane[lane].places[place], 0);
	}
}

static inline void log_begin(uint32_t number, uint32_t lane)
{
	unsigned i = atomic_fetch_add(&lane_log->ct, 1);
	if (i < LOG_MAX) {
		lane_log->begun[i].number = number;
		lane_log->begun[i].lane = lane;
		lane_log->begun[i].at_us = clock_now_us();
	}
}

static inline int most_in(uint32_t lane)
{
	return atomic_load(&lane_log->lane[lane].most);
}

/* ----------------------------------------------------------------- the tasks */

struct chore {
	uint32_t number, lane;
	uint32_t nap_ms;
	uint32_t fails; /* so many attempts */
	uint32_t emits; /* so many more jobs, in the lanes after this one */
};

static inline int task_chore(pm_task *task, const void *arg, size_t len);

static inline int chore_emit(pm_task *task, const struct chore *c)
{
	int err = 0;
	for (uint32_t i = 0; i < c->emits && !err; i++) {
		struct chore more = {.number = c->number + 1 + i,
			.lane = c->lane + 1 + i % 2,
			.nap_ms = c->nap_ms};
		char name[8];
		snprintf(name, sizeof(name), "%u", more.lane);
		struct pm_job job = PM_JOB(more);
		job.lane = name;
		job.lane_len = strlen(name);
		err = pm_emit(task, task_chore, &job);
	}
	return err;
}

static inline int task_chore(pm_task *task, const void *arg, size_t len)
{
	struct chore c;
	(void)len;
	memcpy(&c, arg, sizeof(c));
	log_begin(c.number, c.lane);
	int place = lane_enter(c.lane);
	int err = c.nap_ms ? pm_sleep(task, c.nap_ms) : 0;
	lane_leave(c.lane, place);
	err = err ? err : chore_emit(task, &c);
	if (!err && pm_task_attempt(task) <= c.fails) {
		return pm_fail(task, (int)pm_task_attempt(task), "not yet");
	}
	return err ? err : pm_return(task, &c.number, sizeof(c.number));
}

/* ---------------------------------------------------------------- the stream */

/* Zero one, say which jobs there are, and the rest does what is usual. */
struct play {
	pm_pool *pool;
	size_t ct; /* jobs */
	struct chore (*chore)(size_t i);
	struct pm_lane_limits limits[LANES];
	struct pm_retry retry;                       /* of each that failed */
	int (*admit)(struct play *p, size_t number); /* or NULL */
	void (*on_new)(struct play *p, uint32_t lane);
	void (*on_retry)(struct play *p, const struct pm_result *r);
	void (*on_result)(struct play *p, const struct pm_result *r);
	bool ordered;

	size_t given, got, failed, news, admits, retries;
	bool seen[LOG_MAX];
	struct chore now;
	char lane[8];
};

static inline int play_source(void *ctx, struct pm_job *job)
{
	struct play *p = ctx;
	if (p->given == p->ct) {
		return PM_SOURCE_END;
	}
	p->now = p->chore(p->given);
	p->now.number = (uint32_t)p->given++;
	snprintf(p->lane, sizeof(p->lane), "%u", p->now.lane);
	*job = PM_JOB(p->now);
	job->lane = p->lane;
	job->lane_len = strlen(p->lane);
	job->tag = p->now.number;
	return PM_SOURCE_JOB;
}

/* Each comes once, in order if that was asked for, and is its job's own. */
static inline void play_take(struct play *p, const struct pm_result *r)
{
	struct chore c;
	cr_assert_eq(r->arg_len, sizeof(c));
	memcpy(&c, r->arg, sizeof(c));
	cr_assert_lt(r->index, LOG_MAX);
	cr_assert(!p->seen[r->index], "job %llu: twice", (unsigned long long)r->index);
	cr_assert(!p->ordered || r->index == p->got);
	cr_assert(r->error || memcmp(r->bytes, &c.number, sizeof(c.number)) == 0);
	p->seen[r->index] = true;
	p->got++;
	p->failed += r->error != 0;
	if (p->on_result) {
		p->on_result(p, r);
	}
}

static inline int play_sink(void *ctx, const struct pm_result *r)
{
	play_take(ctx, r);
	return PM_SINK_TAKEN;
}

static inline void play_new(void *ctx, const char *lane, struct pm_lane_limits *limits)
{
	struct play *p = ctx;
	unsigned long n = strtoul(lane, NULL, 10);
	cr_assert_lt(n, LANES);
	cr_assert(!limits->concurrency && !limits->hold && !(limits->rate > 0));
	*limits = p->limits[n];
	p->news++;
	if (p->on_new) {
		p->on_new(p, (uint32_t)n);
	}
}

static inline int play_admit(void *ctx, const struct pm_job *job, const char **message)
{
	struct play *p = ctx;
	struct chore c;
	char lane[8];
	memcpy(&c, job->arg, sizeof(c));
	snprintf(lane, sizeof(lane), "%u", c.lane);
	cr_assert_eq(job->lane_len, strlen(lane));
	cr_assert_str_eq(job->lane, lane);
	cr_assert_eq(job->tag, c.number);
	p->admits++;
	int err = p->admit ? p->admit(p, c.number) : 0;
	*message = err ? "not admitted" : NULL;
	return err;
}

static inline bool play_retry(
	void *ctx, const struct pm_result *r, struct pm_retry *retry)
{
	struct play *p = ctx;
	cr_assert_eq(r->arg_len, sizeof(struct chore));
	cr_assert_geq(r->worker, 0);
	cr_assert_geq(r->attempts, 1);
	if (p->on_retry) {
		p->on_retry(p, r);
	}
	*retry = r->error ? p->retry : (struct pm_retry){0};
	p->retries += r->error == PM_EFAILED;
	return r->error == PM_EFAILED;
}

static inline struct pm_stream play_stream(struct play *p)
{
	return (struct pm_stream){.task = task_chore,
		.source = play_source,
		.sink = play_sink,
		.ctx = p,
		.unordered = !p->ordered,
		.lane_new = play_new,
		.admit = play_admit,
		.retry = play_retry};
}

static inline pm_future *play_start(pm_pool *pool, struct play *p)
{
	struct pm_stream s = play_stream(p);
	pm_future *f = NULL;
	p->pool = pool;
	cr_assert_eq(pm_map_async(pool, &s, &f), 0, "%s", pm_last_error());
	return f;
}

/* From the first job to the last, each with a result. */
static inline void play_all(pm_pool *pool, struct play *p)
{
	struct pm_stream s = play_stream(p);
	p->pool = pool;
	int err = pm_map_stream(pool, &s);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_geq(p->got, p->ct);
}

static inline void set_lane(
	pm_pool *pool, uint32_t lane, unsigned concurrency, bool hold)
{
	char name[8];
	struct pm_lane_limits limits = {.concurrency = concurrency, .hold = hold};
	snprintf(name, sizeof(name), "%u", lane);
	pm_lane_set(pool, name, &limits);
}

#endif
