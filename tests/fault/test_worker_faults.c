/* SPDX-License-Identifier: MIT
 *
 * Workers die under futures, iterators and maps that are under way, in every phase of a
 * job, with a large result on the way, and while the pool ends: every job has its one
 * result all the same.
 */
#include "tests/support/host_rig.h"

#include <sys/resource.h>

enum { LIMIT = 60, BIG = 3 << 20 }; /* seconds for each test; more than any buffer */

/* When the worker dies. */
enum phase {
	NEVER,
	AT_BEGIN,     /* first thing in the task */
	AFTER_WAIT,   /* after it has slept */
	AFTER_RETURN, /* its result is set, and was not sent */
	AFTER_BIG,    /* likewise, with one that fills every buffer */
	IN_FLIGHT,    /* the big result is being sent: some ms after the end */
	BY_EXIT,      /* exit status 99 */
	PHASES
};

struct fate {
	uint32_t number, phase;
	bool always; /* not only the first time that this job runs */
};

/* Kill this process in some milliseconds, whatever it does then. */
static void die_soon(unsigned ms)
{
	struct itimerspec at = {.it_value = {.tv_nsec = ms * 1000000L}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	timer_t timer;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) {
		(void)timer_settime(timer, 0, &at, NULL);
	}
}

static int return_big(pm_task *task, uint32_t number)
{
	char *bytes = malloc(BIG);
	if (!bytes) {
		return PM_ENOMEM;
	}
	memset(bytes, 'x', BIG);
	memcpy(bytes, &number, sizeof(number));
	int err = pm_return(task, bytes, BIG);
	free(bytes);
	return err;
}

static bool is_big(uint32_t phase)
{
	return phase == AFTER_BIG || phase == IN_FLIGHT;
}

static int task_fate(pm_task *task, const void *arg, size_t len)
{
	struct fate f;
	(void)len;
	memcpy(&f, arg, sizeof(f));
	unsigned runs = atomic_fetch_add(&board->runs[f.number], 1);
	bool dies = f.always || runs == 0;
	int err = 0;
	if (dies && f.phase == AT_BEGIN) {
		raise(SIGKILL);
	}
	if (f.phase == AFTER_WAIT) {
		err = pm_sleep(task, 5);
	}
	if (!err) {
		err = is_big(f.phase) ? return_big(task, f.number)
				      : pm_return(task, &f.number, sizeof(f.number));
	}
	if (dies && f.phase == IN_FLIGHT) {
		die_soon(1);
	} else if (dies && f.phase == BY_EXIT) {
		_exit(99);
	} else if (dies && f.phase != NEVER) {
		raise(SIGKILL);
	}
	return err;
}

/* The result of a job that came through in the end. */
static void check_good(const struct pm_result *r, const struct fate *f)
{
	uint32_t number;
	cr_assert_eq(r->error, 0, "phase %u: %s, %s", f->phase, pm_error_name(r->error),
		r->message ? r->message : "-");
	cr_assert_eq(r->len, is_big(f->phase) ? BIG : sizeof(number));
	memcpy(&number, r->bytes, sizeof(number));
	cr_assert_eq(number, f->number);
	if (is_big(f->phase)) {
		cr_assert_eq(((const char *)r->bytes)[BIG - 1], 'x');
	}
}

static pm_future *submit_fate(pm_pool *pool, const struct fate *f, bool once)
{
	struct pm_job job = PM_JOB(*f);
	pm_future *future = NULL;
	job.once = once;
	cr_assert_eq(pm_submit(pool, task_fate, &job, &future), 0);
	return future;
}

/* --------------------------------------------------------------- every phase */

/* It dies the first time, in this phase; all is well the second time. */
Test(worker_faults, in_every_phase_of_a_submitted_job, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 4);
	pm_pool *pool = rig_open(&o);
	for (uint32_t phase = AT_BEGIN; phase < PHASES; phase++) {
		struct fate f[6];
		pm_future *future[6];
		for (uint32_t i = 0; i < 6; i++) {
			f[i] = (struct fate){.number = phase * 10 + i,
				.phase = i == 2 ? phase : (uint32_t)NEVER};
			future[i] = submit_fate(pool, &f[i], false);
		}
		cr_assert_eq(pm_wait(future, 6, PM_ALL, 30000, NULL), 0);
		for (int i = 0; i < 6; i++) {
			check_good(pm_future_result(future[i]), &f[i]);
			pm_future_free(&future[i]);
		}
	}
	cr_assert_geq(rig_stats(pool).workers_lost, PHASES - 2);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

struct plan {
	struct fate *fates;
	size_t ct, given, taken;
};

static int plan_source(void *ctx, struct pm_job *job)
{
	struct plan *p = ctx;
	if (p->given == p->ct) {
		return PM_SOURCE_END;
	}
	*job = PM_JOB(p->fates[p->given]);
	p->given++;
	return PM_SOURCE_JOB;
}

static int plan_sink(void *ctx, const struct pm_result *r)
{
	struct plan *p = ctx;
	cr_assert_eq(r->index, p->taken);
	check_good(r, &p->fates[p->taken++]);
	return PM_SINK_TAKEN;
}

static struct plan plan_new(size_t ct)
{
	struct plan p = {.fates = calloc(ct, sizeof(struct fate)), .ct = ct};
	cr_assert(p.fates);
	for (uint32_t i = 0; i < ct; i++) {
		p.fates[i] = (struct fate){.number = i,
			.phase = i % 20 == 10 ? 1 + (i / 20) % (PHASES - 1)
					      : (uint32_t)NEVER};
	}
	return p;
}

Test(worker_faults, in_every_phase_under_an_iterator, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct plan p = plan_new(160);
	struct pm_stream s = {
		.task = task_fate, .source = plan_source, .ctx = &p, .window = 30};
	const struct pm_result *r;
	pm_iter *it = NULL;
	cr_assert_eq(pm_imap(pool, &s, &it), 0);
	while (pm_next(it, 30000, &r) == PM_NEXT_RESULT) {
		cr_assert_eq(plan_sink(&p, r), PM_SINK_TAKEN);
	}
	cr_assert_eq(p.taken, p.ct);
	pm_iter_close(&it);
	free(p.fates);
	pm_pool_close(&pool);
}

Test(worker_faults, in_every_phase_under_an_async_map, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 8);
	struct plan p = plan_new(160);
	struct pm_stream s = {
		.task = task_fate, .source = plan_source, .sink = plan_sink, .ctx = &p};
	pm_future *f = NULL;
	cr_assert_eq(pm_map_async(pool, &s, &f), 0);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, 50000, NULL), 0);
	cr_assert_eq(pm_future_result(f)->error, 0);
	cr_assert_eq(p.taken, p.ct);
	pm_future_free(&f);
	free(p.fates);
	pm_pool_close(&pool);
}

/* Once is once, in every phase; whether its result was lost with the worker or not. */
Test(worker_faults, in_every_phase_of_a_job_that_must_not_run_twice, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	for (uint32_t phase = AT_BEGIN; phase < PHASES; phase++) {
		struct fate f = {.number = phase, .phase = phase, .always = true};
		pm_future *future = submit_fate(pool, &f, true);
		cr_assert_eq(pm_wait(&future, 1, PM_ALL, 30000, NULL), 0);
		const struct pm_result *r = pm_future_result(future);
		cr_assert(r->error == PM_EWORKERLOST || phase == IN_FLIGHT,
			"phase %u: %s", phase, pm_error_name(r->error));
		cr_assert_eq(atomic_load(&board->runs[phase]), 1, "phase %u", phase);
		pm_future_free(&future);
	}
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------ messages */

Test(worker_faults, the_exit_code_is_in_the_message, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct fate f = {.number = 1, .phase = BY_EXIT, .always = true};
	pm_future *future = submit_fate(pool, &f, false);
	cr_assert_eq(pm_wait(&future, 1, PM_ALL, 30000, NULL), 0);
	const struct pm_result *r = pm_future_result(future);
	check_error(r->error, PM_EWORKERLOST, "it");
	cr_assert_eq(r->domain, PM_DOMAIN_EXIT);
	cr_assert_eq(r->code, 99);
	cr_assert(strstr(r->message, "99"), "%s", r->message);
	struct pm_worker_info info;
	cr_assert_eq(pm_worker_info(pool, 0, &info), 0);
	cr_assert_eq(info.exit_code, 99);
	pm_future_free(&future);
	pm_pool_close(&pool);
}

/* --------------------------------------------------------------------- poison */

/* It kills each worker it meets: given up after some, and nobody else is hit. */
Test(worker_faults, a_poisonous_job_fails_alone, .timeout = LIMIT)
{
	enum { JOBS = 100 };
	pm_pool *pool = rig_pool(2, 8);
	struct fate f[JOBS];
	pm_future *future[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = (struct fate){.number = i,
			.phase = i == 50 ? AT_BEGIN
				 : i % 3 ? NEVER
					 : AFTER_WAIT,
			.always = i == 50};
		if (f[i].phase == AFTER_WAIT) {
			atomic_store(&board->runs[i], 1); /* these never kill */
		}
		future[i] = submit_fate(pool, &f[i], false);
	}
	cr_assert_eq(pm_wait(future, JOBS, PM_ALL, 50000, NULL), 0);
	for (int i = 0; i < JOBS; i++) {
		const struct pm_result *r = pm_future_result(future[i]);
		if (i == 50) {
			check_error(r->error, PM_EWORKERLOST, "the poison");
			cr_assert_eq(r->code, SIGKILL);
			cr_assert_leq(atomic_load(&board->runs[i]), r->attempts);
		} else {
			check_good(r, &f[i]);
		}
		pm_future_free(&future[i]);
	}
	rig_check_works(pool);
	pm_pool_close(&pool);
}

/* ---------------------------------------------------------------- from outside */

static void kill_worker(pm_pool *pool, unsigned worker)
{
	struct pm_worker_info info;
	cr_assert_eq(pm_worker_info(pool, worker, &info), 0);
	cr_assert_gt(info.pid, 0);
	cr_assert_eq(kill((pid_t)info.pid, SIGKILL), 0);
}

Test(worker_faults, one_kill_and_three_futures_wait, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 3);
	pm_future *f[3];
	for (uint32_t i = 0; i < 3; i++) {
		f[i] = submit(pool, DO_WAIT, i, 0);
	}
	run_until_inside(pool, 3);
	kill_worker(pool, 0);
	gate_open();
	cr_assert_eq(pm_wait(f, 3, PM_ALL, 30000, NULL), 0);
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).number, i);
		cr_assert_eq(pm_future_result(f[i])->attempts, 2);
		pm_future_free(&f[i]);
	}
	pm_pool_close(&pool);
}

/* Told to stop, and then its worker dies: it was to end anyway. */
Test(worker_faults, a_cancelled_job_is_cancelled_when_its_worker_dies, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 2);
	pm_future *f = submit(pool, DO_NAP, 0, 60000);
	run_until_inside(pool, 1);
	struct pm_worker_info info;
	cr_assert_eq(pm_worker_info(pool, 0, &info), 0);
	cr_assert_eq(kill((pid_t)info.pid, SIGSTOP), 0);
	cr_assert_eq(pm_future_cancel(f), 0);
	check_error(pm_wait(&f, 1, PM_ALL, 20, NULL), PM_ETIMEDOUT, "it stands still");
	cr_assert_eq(kill((pid_t)info.pid, SIGKILL), 0);
	cr_assert_eq(end_of(&f), PM_ECANCELLED);
	cr_assert_eq(atomic_load(&board->runs[0]), 1, "it ran again");
	rig_check_works(pool);
	pm_pool_close(&pool);
}

static bool runs_again(void *ctx)
{
	(void)ctx;
	return atomic_load(&board->runs[0]) > 1;
}

static void end_under_fire(enum pm_shutdown how, int grace_ms)
{
	enum { JOBS = 12 };
	struct pm_pool_options o = rig_options(3, 6);
	pm_pool *pool = rig_open(&o);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(pool, DO_NAP, i, 30);
	}
	run_until_inside(pool, 6);
	cr_assert_eq(pm_pool_shutdown(pool, how, grace_ms), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct pm_worker_info info;
		cr_assert_eq(pm_worker_info(pool, i, &info), 0);
		if (info.pid) {
			(void)!kill((pid_t)info.pid, SIGKILL);
		}
	}
	cr_assert_eq(pm_pool_join(pool, 30000), 0);
	for (int i = 0; i < JOBS; i++) {
		int error = pm_future_result(f[i])->error;
		cr_assert(error == 0 || (how != PM_DRAIN && error == PM_ECANCELLED),
			"%s", pm_error_name(error));
		pm_future_free(&f[i]);
	}
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
	atomic_store(&board->inside, 0); /* those that were killed never left */
}

Test(worker_faults, during_every_shutdown, .timeout = LIMIT)
{
	end_under_fire(PM_DRAIN, PM_FOREVER);
	end_under_fire(PM_CANCEL_QUEUED, PM_FOREVER);
	end_under_fire(PM_CANCEL_ALL, PM_FOREVER);
	end_under_fire(PM_CANCEL_ALL, 50);
	end_under_fire(PM_CANCEL_ALL, 0);
}

/* It comes back while the pool drains: the job is still owed. */
Test(worker_faults, a_drain_replaces_the_last_worker, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	pm_future *f = submit(pool, DO_WAIT, 0, 0);
	run_until_inside(pool, 1);
	cr_assert_eq(pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER), 0);
	kill_worker(pool, 0);
	run_until(pool, runs_again, NULL);
	gate_open();
	cr_assert_eq(pm_pool_join(pool, 30000), 0);
	cr_assert_eq(pm_future_result(f)->attempts, 2);
	cr_assert_eq(end_of(&f), 0);
	pm_pool_close(&pool);
}

/* Without a forkserver there is no worker: everything ends with that, and says so. */
Test(worker_faults, without_a_forkserver_all_that_waits_fails, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(2, 4);
	struct plan p = plan_new(10);
	struct pm_stream s = {.task = task_fate, .source = plan_source, .ctx = &p};
	const struct pm_result *r;
	pm_iter *it = NULL;
	pm_future *f[8];
	for (uint32_t i = 0; i < 8; i++) {
		f[i] = submit(pool, DO_NAP, i, 60000);
	}
	run_until_inside(pool, 4);
	cr_assert_eq(pm_imap(pool, &s, &it), 0);
	cr_assert_eq(kill(forkserver_of(getpid()), SIGKILL), 0);
	cr_assert_eq(pm_wait(f, 8, PM_ALL, 30000, NULL), 0);
	check_error(pm_next(it, 30000, &r), PM_EWORKERS, "the iterator");
	for (int i = 0; i < 8; i++) {
		const struct pm_result *result = pm_future_result(f[i]);
		cr_assert(
			result->error == PM_EWORKERS || result->error == PM_EWORKERLOST,
			"%s", pm_error_name(result->error));
		cr_assert(result->message && *result->message);
		pm_future_free(&f[i]);
	}
	struct pm_job job = {0};
	check_error(pm_submit(pool, task_fate, &job, NULL), PM_EWORKERS, "submit");
	check_error(pm_pool_step(pool), PM_EWORKERS, "step");
	pm_iter_close(&it);
	free(p.fates);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------- processes */

/* Files enough for the forkserver, and not for what it forks. */
Test(worker_faults, a_process_that_cannot_start_says_so, .timeout = LIMIT)
{
	pid_t forkserver = forkserver_of(getpid());
	struct rlimit few, before;
	pm_process *p = NULL;
	setenv("TMPDIR", temp_dir(), 1);
	unsetenv("XDG_RUNTIME_DIR");
	few.rlim_cur = few.rlim_max =
		entries_of(keep_printf("/proc/%d/fd", (int)forkserver)) + 3;
	cr_assert_eq(prlimit(forkserver, RLIMIT_NOFILE, &few, &before), 0);
	int err = pm_process_start(&p, task_echo, "x", 1, "unborn");
	check_error(err, PM_EWORKERS, "it cannot start");
	cr_assert_null(p);
	cr_assert(*pm_last_error());
	rig_check_nothing_left(getenv("TMPDIR"));
}

/* The forkserver has seen its end, and reported it. */
static bool is_reaped(void *pid)
{
	return is_gone(*(pid_t *)pid);
}

/* Before its job was sent: nothing has run the loop since the start. */
Test(worker_faults, a_process_that_dies_before_its_task_has_a_result, .timeout = LIMIT)
{
	for (int i = 0; i < 10; i++) {
		pm_process *p = NULL;
		int code = 0;
		cr_assert_eq(pm_process_start(&p, task_echo, "x", 1, "short"), 0);
		pid_t pid = (pid_t)pm_process_pid(p);
		cr_assert_eq(kill(pid, SIGKILL), 0);
		cr_assert(wait_until_gone(pid, 10000));
		cr_assert(wait_for(is_reaped, &pid, 10000));
		cr_assert_eq(pm_process_join(p, 20000), 0);
		cr_assert_eq(pm_process_exit_code(p, &code), 0);
		cr_assert_eq(code, -SIGKILL);
		const struct pm_result *r = pm_process_result(p);
		check_error(r->error, PM_EWORKERLOST, "its task");
		cr_assert_eq(r->domain, PM_DOMAIN_SIGNAL);
		cr_assert_eq(r->code, SIGKILL);
		cr_assert(r->message && *r->message);
		cr_assert_eq(pm_process_close(&p), 0);
	}
}
