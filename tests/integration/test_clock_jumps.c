/* SPDX-License-Identifier: MIT
 *
 * Integration tests of pools while somebody sets the clock of the wall: what waits or
 * has a limit goes by another one.
 *
 * gettimeofday(), time() and clock_gettime() of this program are those below, also for
 * the libraries under it, in this process and in the workers.
 */
#include <dlfcn.h>
#include <poll.h>
#include <sys/time.h>
#include <time.h>

#include "tests/support/pool_rig.h"

enum { LIMIT = 60, DAY_S = 24 * 60 * 60, YEAR_S = 365 * DAY_S };

/* Seconds that the wall clock is ahead; with `wild`, anything up to a year, and with
 * each look another. */
static int ahead(void)
{
	static unsigned looks;
	int s = board ? atomic_load(&board->seen) : 0;
	if (s != YEAR_S) {
		return s;
	}
	looks = looks * 1103515245u + 12345u;
	return (int)(looks >> 8) % (2 * YEAR_S) - YEAR_S;
}

static void set_ahead(int seconds)
{
	atomic_store(&board->seen, seconds);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real) {
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	}
	int err = real(id, ts);
	if (!err && id == CLOCK_REALTIME) {
		ts->tv_sec += ahead();
	}
	return err;
}

/* NOLINTNEXTLINE: its prototype says that tv is never NULL, older callers differ */
int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	*tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *out)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (out) {
		*out = ts.tv_sec;
	}
	return ts.tv_sec;
}

static int task_sleep(pm_task *task, const void *arg, size_t len)
{
	int err = pm_sleep(task, task_number(arg));
	return err ? err : pm_return(task, arg, len);
}

/* ------------------------------------------------------------------ the tests */

static int source(void *ctx, struct pm_job *job)
{
	static const uint32_t long_ms = 60000;
	bool *given = ctx;
	bool first = !*given;
	*given = true;
	job->arg = &long_ms;
	job->len = sizeof(long_ms);
	return first ? PM_SOURCE_JOB : PM_SOURCE_END;
}

static int sink(void *ctx, const struct pm_result *r)
{
	(void)ctx;
	cr_assert_eq(r->error, PM_ETIMEDOUT, "%s", pm_error_name(r->error));
	return PM_SINK_TAKEN;
}

/* A map with a limit of 20 ms; returns how many steps it took to end it. */
static unsigned wait_for_limit(pm_pool *pool)
{
	bool given = false;
	unsigned steps = 0;
	pm_future *future;
	struct pollfd fd = {.fd = pm_pool_fd(pool), .events = POLLIN};
	struct pm_stream stream = {.task = task_sleep,
		.source = source,
		.sink = sink,
		.ctx = &given,
		.timeout_ms = 20};
	cr_assert_eq(pm_map_async(pool, &stream, &future), 0);
	for (; pm_future_state(future) != PM_DONE; steps++) {
		cr_assert_gt(poll(&fd, 1, 5000), 0, "no step is due");
		cr_assert_eq(pm_pool_step(pool), 0);
	}
	pm_future_free(&future);
	return steps;
}

/* The descriptor is readable when the limit is over: not only when a worker gives its
 * next sign of life, twice a second, and not all the time either. */
static void check_descriptor(int jump_s)
{
	enum { ROUNDS = 30 };
	pm_pool *pool = rig_pool(1, 1);
	rig_check_works(pool);
	unsigned steps = 0;
	uint64_t begin = clock_now_ms();
	for (int i = 1; i <= ROUNDS; i++) {
		set_ahead(i * jump_s);
		steps += wait_for_limit(pool);
	}
	uint64_t took = clock_now_ms() - begin;
	cr_assert_lt(took, ROUNDS * 130, "%llu ms", (unsigned long long)took);
	cr_assert_lt(steps, ROUNDS * 100, "a busy loop: %u steps", steps);
	set_ahead(0);
	pm_pool_close(&pool);
}

Test(clock_jumps, descriptor_when_it_is_set_back, .timeout = LIMIT)
{
	check_descriptor(-DAY_S);
}

Test(clock_jumps, descriptor_when_it_is_set_forward, .timeout = LIMIT)
{
	check_descriptor(DAY_S);
}

/* Sleeps, limits of time and the watchdog, with a clock that is never twice the
 * same. */
Test(clock_jumps, jobs_and_workers_do_not_care, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 32);
	o.hang_timeout_ms = 5000;
	o.job_timeout_ms = 20000;
	struct batch b = batch_new(4000);
	for (size_t i = 0; i < b.ct; i++) {
		b.numbers[i] = (uint32_t)(i % 7);
	}
	set_ahead(YEAR_S);
	pm_pool *pool = rig_open(&o);
	uint64_t begin = clock_now_ms();
	batch_map(pool, task_sleep, &b);
	batch_check(&b);
	cr_assert_lt(clock_now_ms() - begin, 20000);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	cr_assert_eq(rig_stats(pool).jobs_rerun, 0);
	/* a second call that is no sooner changes nothing, the first one stays */
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, 10000), 0);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, 20000), 0);
	cr_assert_eq(pm_pool_join(pool, 5000), 0);
	pm_pool_close(&pool);
	batch_free(&b);
}
