/* SPDX-License-Identifier: MIT
 *
 * Integration tests of schedules: whose turn it is, and schedulers of the host's own.
 */
#include "tests/support/host_rig.h"

enum { LIMIT = 60, WORKERS = 3, SLOTS = 2 * WORKERS }; /* some with spare slots */

static void map(pm_pool *pool, struct errands *e)
{
	int err = pm_map(pool, task_errand, e->jobs, e->ct, e->results);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
}

static uint32_t worker_of(pm_pool *pool, uint32_t number)
{
	struct errand e = {.number = number};
	struct pm_result r;
	cr_assert_eq(pm_apply(pool, task_errand, &e, sizeof(e), &r), 0);
	uint32_t worker = report_of(&r).worker;
	cr_assert_eq((int)worker, r.worker);
	pm_results_clear(&r, 1);
	return worker;
}

/* --------------------------------------------------------------- round robin */

static pm_pool *robin(unsigned workers)
{
	struct pm_pool_options o = rig_options(workers, workers * 4);
	o.schedule = PM_ROUND_ROBIN;
	return rig_full_pool(&o);
}

Test(schedule, round_robin_alternates, .timeout = LIMIT)
{
	for (unsigned workers = 1; workers <= 3; workers++) {
		pm_pool *pool = robin(workers);
		uint32_t first = worker_of(pool, 0);
		for (uint32_t i = 1; i < 20; i++) {
			cr_assert_eq(worker_of(pool, i), (first + i) % workers);
		}
		pm_pool_close(&pool);
	}
}

Test(schedule, round_robin_alternates_within_a_map, .timeout = LIMIT)
{
	pm_pool *pool = robin(2);
	struct errands e = errands_new(8, DO_NAP, 20); /* room for all at once */
	map(pool, &e);
	uint32_t first = report_of(&e.results[0]).worker;
	for (uint32_t i = 0; i < 8; i++) {
		cr_assert_eq(report_of(&e.results[i]).worker, (first + i) % 2);
	}
	errands_free(&e);
	pm_pool_close(&pool);
}

/* One that is full is passed over: nobody waits for it. */
Test(schedule, round_robin_passes_over_who_is_full, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 2);
	o.schedule = PM_ROUND_ROBIN;
	pm_pool *pool = rig_full_pool(&o);
	pm_future *f = submit(pool, DO_WAIT, 0, 0);
	run_until_inside(pool, 1);
	uint32_t free_one = worker_of(pool, 1);
	for (uint32_t i = 0; i < 10; i++) {
		cr_assert_eq(worker_of(pool, i), free_one);
	}
	gate_open();
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 20000, NULL), 0);
	cr_assert_neq(report_of(pm_future_result(f)).worker, free_one);
	pm_future_free(&f);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------- least loaded */

/* It spreads before it stacks. */
Test(schedule, least_loaded_gives_each_its_part, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(WORKERS, WORKERS * 4);
	pm_pool *pool = rig_full_pool(&o);
	unsigned at[WORKERS] = {0};
	struct errands e = errands_new(WORKERS, DO_NAP, 100);
	map(pool, &e);
	for (size_t i = 0; i < WORKERS; i++) {
		at[report_of(&e.results[i]).worker]++;
	}
	for (int i = 0; i < WORKERS; i++) {
		cr_assert_eq(at[i], 1);
	}
	errands_free(&e);
	pm_pool_close(&pool);
}

/* What a fast worker was given in advance must not wait there behind a slow job while
 * another worker has nothing to do. */
Test(schedule, no_job_waits_behind_a_slow_one, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 2);
	pm_pool *pool = rig_full_pool(&o);
	struct errands warm = errands_new(4000, DO_ECHO, 0);
	pm_future *slow, *quick[7];
	map(pool, &warm);
	slow = submit(pool, DO_WAIT, 5000, 0);
	for (uint32_t i = 0; i < 7; i++) {
		quick[i] = submit(pool, DO_ECHO, 5001 + i, 0);
	}
	int err = pm_wait(quick, 7, PM_ALL, 5000, NULL);
	gate_open();
	cr_assert_eq(pm_wait(&slow, 1, PM_ALL, 20000, NULL), 0);
	cr_assert_eq(pm_wait(quick, 7, PM_ALL, 20000, NULL), 0);
	for (int i = 0; i < 7; i++) {
		pm_future_free(&quick[i]);
	}
	pm_future_free(&slow);
	errands_free(&warm);
	pm_pool_close(&pool);
	cr_assert_eq(
		err, 0, "quick jobs waited for a slow one: %s", pm_error_name(err));
}

/* ------------------------------------------------------------ a scheduler's own */

struct own {
	int (*choose)(struct own *own, const struct pm_job *job,
		const struct pm_worker_load *loads);
	unsigned up[SLOTS], down[SLOTS], picked[SLOTS], done[SLOTS];
	uint64_t taken[SLOTS];
	int slots; /* with those in which successors start */
	unsigned asked, refused;
	int pin;
	uint64_t last_tag;
};

static int own_pick(void *ctx, const struct pm_job *job,
	const struct pm_worker_load *loads, unsigned worker_ct)
{
	struct own *own = ctx;
	bool any = false;
	cr_assert_eq((int)worker_ct, own->slots);
	cr_assert(job);
	for (unsigned i = 0; i < worker_ct; i++) {
		any = any || loads[i].has_room;
		cr_assert_eq(loads[i].concurrency, 2);
		cr_assert_geq(loads[i].taken, loads[i].held);
	}
	cr_assert(any, "asked although nobody has room");
	own->asked++;
	own->last_tag = job->tag;
	return own->choose(own, job, loads);
}

static void own_up(void *ctx, unsigned worker)
{
	((struct own *)ctx)->up[worker]++;
}

static void own_down(void *ctx, unsigned worker)
{
	((struct own *)ctx)->down[worker]++;
}

static void own_done(void *ctx, unsigned worker)
{
	((struct own *)ctx)->done[worker]++;
}

static pm_pool *own_pool(struct own *own, struct pm_scheduler *s, unsigned max_jobs)
{
	struct pm_pool_options o = rig_options(WORKERS, WORKERS * 2);
	*s = (struct pm_scheduler){.pick = own_pick,
		.worker_up = own_up,
		.worker_down = own_down,
		.job_done = own_done,
		.ctx = own};
	own->slots = max_jobs ? SLOTS : WORKERS;
	o.schedule = PM_OWN_SCHEDULER;
	o.scheduler = s;
	o.max_jobs_per_worker = max_jobs;
	return rig_full_pool(&o);
}

/* The job says where it wants to go. */
static int by_tag(
	struct own *own, const struct pm_job *job, const struct pm_worker_load *loads)
{
	unsigned worker = (unsigned)(job->tag % WORKERS);
	own->refused += !loads[worker].has_room;
	return loads[worker].has_room ? (int)worker : -1;
}

Test(schedule, own_pick_is_obeyed, .timeout = LIMIT)
{
	struct own own = {.choose = by_tag};
	struct pm_scheduler s;
	pm_pool *pool = own_pool(&own, &s, 0);
	struct errands e = errands_new(300, DO_ECHO, 0);
	map(pool, &e);
	for (size_t i = 0; i < e.ct; i++) {
		cr_assert_eq(report_of(&e.results[i]).worker, (1000 + i) % WORKERS);
	}
	for (int i = 0; i < WORKERS; i++) {
		cr_assert_eq(own.up[i], 1);
		cr_assert_eq(own.down[i], 0);
		cr_assert_eq(own.done[i], 100, "worker %d: %u", i, own.done[i]);
	}
	cr_assert_eq(own.asked - own.refused, 300);
	errands_free(&e);
	pm_pool_close(&pool);
	for (int i = 0; i < WORKERS; i++) {
		cr_assert_eq(own.down[i], 1, "not told of the end of worker %d", i);
	}
}

static int pinned(
	struct own *own, const struct pm_job *job, const struct pm_worker_load *loads)
{
	(void)job;
	return loads[own->pin].has_room ? own->pin : -1;
}

/* All to one, which has no room for all: they wait for it. */
Test(schedule, all_jobs_to_one_worker, .timeout = LIMIT)
{
	struct own own = {.choose = pinned, .pin = 1};
	struct pm_scheduler s;
	pm_pool *pool = own_pool(&own, &s, 0);
	struct errands e = errands_new(100, DO_NAP, 1);
	map(pool, &e);
	for (size_t i = 0; i < e.ct; i++) {
		cr_assert_eq(report_of(&e.results[i]).worker, 1);
	}
	cr_assert_leq(atomic_load(&board->most), 2);
	errands_free(&e);
	pm_pool_close(&pool);
}

static int anywhere_with_room(
	struct own *own, const struct pm_job *job, const struct pm_worker_load *loads)
{
	(void)job;
	for (int i = own->slots - 1; i >= 0; i--) {
		if (loads[i].has_room) {
			return i;
		}
	}
	return -1;
}

/* Whatever is no worker, or one without room, is no pick. */
static int nonsense(
	struct own *own, const struct pm_job *job, const struct pm_worker_load *loads)
{
	static const int values[] = {-1, INT_MIN, INT_MAX, WORKERS, 0};
	size_t n = own->asked % 5;
	if (own->refused < 4 && n < 4) {
		own->refused++;
		return values[n];
	}
	return anywhere_with_room(own, job, loads);
}

Test(schedule, no_valid_pick_leaves_the_job_for_later, .timeout = LIMIT)
{
	struct own own = {.choose = nonsense};
	struct pm_scheduler s;
	pm_pool *pool = own_pool(&own, &s, 0);
	struct errands e = errands_new(30, DO_ECHO, 0);
	map(pool, &e);
	errands_check(&e);
	cr_assert_eq(own.refused, 4);
	cr_assert_geq(own.asked, 34);
	errands_free(&e);
	pm_pool_close(&pool);
}

static int full_on_purpose(
	struct own *own, const struct pm_job *job, const struct pm_worker_load *loads)
{
	for (int i = 0; i < WORKERS; i++) {
		if (!loads[i].has_room) {
			own->refused++;
			return i;
		}
	}
	return anywhere_with_room(own, job, loads);
}

/* A worker without room is not given more than it can hold. */
Test(schedule, a_full_worker_is_no_valid_pick, .timeout = LIMIT)
{
	struct own own = {.choose = full_on_purpose};
	struct pm_scheduler s;
	pm_pool *pool = own_pool(&own, &s, 0);
	struct errands e = errands_new(10, DO_NAP, 30);
	map(pool, &e);
	errands_check(&e);
	cr_assert_gt(own.refused, 0);
	cr_assert_leq(atomic_load(&board->most), 2 * WORKERS);
	errands_free(&e);
	pm_pool_close(&pool);
}

Test(schedule, own_is_told_of_deaths_and_births, .timeout = LIMIT)
{
	struct own own = {.choose = anywhere_with_room};
	struct pm_scheduler s;
	pm_pool *pool = own_pool(&own, &s, 0);
	struct errand e = {.what = DO_KILL, .value = SIGKILL};
	struct pm_job job = PM_JOB(e);
	struct pm_result r;
	job.once = true;
	cr_assert_eq(pm_map(pool, task_errand, &job, 1, &r), 0);
	check_error(r.error, PM_EWORKERLOST, "it");
	int worker = r.worker;
	pm_results_clear(&r, 1);
	cr_assert_eq(own.down[worker], 1);
	run_until(pool, all_ready, pool);
	cr_assert_eq(own.up[worker], 2);
	struct errands more = errands_new(50, DO_ECHO, 0);
	map(pool, &more);
	errands_check(&more);
	errands_free(&more);
	pm_pool_close(&pool);
}

Test(schedule, own_with_recycled_workers, .timeout = LIMIT)
{
	struct own own = {.choose = anywhere_with_room};
	struct pm_scheduler s;
	pm_pool *pool = own_pool(&own, &s, 5);
	struct errands e = errands_new(60, DO_ECHO, 0);
	map(pool, &e);
	errands_check(&e);
	unsigned done = 0, downs = 0;
	for (int i = 0; i < SLOTS; i++) {
		done += own.done[i];
		downs += own.down[i];
	}
	cr_assert_eq(done, 60);
	cr_assert_geq(downs, 60 / 5 - WORKERS - 1);
	errands_free(&e);
	pm_pool_close(&pool);
	for (int i = 0; i < SLOTS; i++) {
		cr_assert_eq(own.up[i], own.down[i], "worker %d: %u up, %u down", i,
			own.up[i], own.down[i]);
	}
}

/* Only pick() is needed. */
static int first_with_room(
	struct own *own, const struct pm_job *job, const struct pm_worker_load *loads)
{
	(void)job;
	for (int i = 0; i < own->slots; i++) {
		if (loads[i].has_room) {
			own->picked[i]++;
			own->taken[i] = loads[i].taken + 1;
			return i;
		}
	}
	return -1;
}

/* Keeps its worker from everything else until the gate is open. */
static int task_hog(pm_task *task, const void *arg, size_t len)
{
	board_enter();
	while (!atomic_load(&board->seen)) {
		poll(NULL, 0, 1);
	}
	board_leave();
	return pm_return(task, arg, len);
}

/* A job that a worker could not begin, and had to give back, was none of its jobs. */
Test(schedule, what_is_taken_back_does_not_count, .timeout = LIMIT)
{
	struct own own = {.choose = first_with_room};
	struct pm_scheduler s;
	struct pm_worker_info info;
	pm_pool *pool = own_pool(&own, &s, 0);
	struct pm_job job = {0}, limited = PM_JOB((uint32_t){0});
	pm_future *hog, *late, *last;
	cr_assert_eq(pm_submit(pool, task_hog, &job, &hog), 0);
	run_until_inside(pool, 1);
	limited.queue_timeout_ms = 30;
	cr_assert_eq(pm_submit(pool, task_echo, &limited, &late), 0);
	check_error(end_of(&late), PM_ETIMEDOUT, "the one that waited");
	cr_assert_eq(pm_worker_info(pool, 0, &info), 0);
	cr_assert_eq(info.taken, 1, "%llu", (unsigned long long)info.taken);
	gate_open();
	cr_assert_eq(end_of(&hog), 0);
	last = submit(pool, DO_ECHO, 1, 0);
	cr_assert_eq(end_of(&last), 0);
	cr_assert_eq(own.picked[0], 3);
	cr_assert_eq(own.done[0], 3);
	cr_assert_eq(own.taken[0], 2);
	pm_pool_close(&pool);
}

Test(schedule, own_may_have_only_a_pick, .timeout = LIMIT)
{
	struct own own = {.choose = anywhere_with_room, .slots = WORKERS};
	struct pm_scheduler s = {.pick = own_pick, .ctx = &own};
	struct pm_pool_options o = rig_options(WORKERS, WORKERS * 2);
	o.schedule = PM_OWN_SCHEDULER;
	o.scheduler = &s;
	pm_pool *pool = rig_open(&o);
	rig_check_works(pool);
	cr_assert_geq(own.asked, 50);
	pm_pool_close(&pool);
}

Test(schedule, what_makes_no_sense_is_refused, .timeout = LIMIT)
{
	struct pm_scheduler empty = {0};
	struct pm_pool_options o = rig_options(1, 1);
	pm_pool *pool = NULL;
	o.schedule = PM_OWN_SCHEDULER;
	check_error(pm_pool_open(&pool, &o), PM_EINVAL, "no scheduler");
	o.scheduler = &empty;
	check_error(pm_pool_open(&pool, &o), PM_EINVAL, "no pick");
	o.schedule = (enum pm_schedule)3;
	check_error(pm_pool_open(&pool, &o), PM_EINVAL, "3");
	cr_assert_null(pool);
}
