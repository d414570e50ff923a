/* SPDX-License-Identifier: MIT
 *
 * Workers die, hang and do not start: every job gets its one result, only the
 * guilty fail, and what cannot go on says so.
 */
#include "tests/support/pool_rig.h"

#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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
static unsigned overflow(unsigned depth)
{
	volatile char frame[512];
	frame[depth % sizeof(frame)] = (char)depth;
	unsigned below = for_ever ? overflow(depth + 1) : 0;
	return below + (unsigned char)frame[depth % sizeof(frame)];
}

static void take_poison(pm_task *task, enum poison poison)
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

static int task_obey(pm_task *task, const void *arg, size_t len)
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

static struct campaign campaign_new(size_t ct)
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

static void campaign_open(struct campaign *c, struct pm_pool_options o)
{
	c->base = event_base_new();
	c->runtime_dir = o.runtime_dir;
	o.base = c->base;
	c->pool = rig_open(&o);
}

static void campaign_timer(struct campaign *c, unsigned ms, event_callback_fn cb)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	c->timer = event_new(c->base, -1, EV_PERSIST, cb, c);
	event_add(c->timer, &tv);
}

static int campaign_source(void *ctx, struct pm_job *job)
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

static int campaign_sink(void *ctx, const struct pm_result *r)
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

static int campaign_try(struct campaign *c)
{
	struct pm_stream stream = {.task = task_obey,
		.source = campaign_source,
		.sink = campaign_sink,
		.ctx = c,
		.unordered = true};
	return pm_map_stream(c->pool, &stream);
}

static void campaign_run(struct campaign *c)
{
	int err = campaign_try(c);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_eq(c->delivered, c->ct);
}

static void campaign_close(struct campaign *c)
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
static void check_lost(const struct campaign *c, size_t i, int domain, int code)
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

/* --------------------------------------------------------------- the guilty */

static const struct {
	enum poison poison;
	int domain, code;
} deaths[] = {
	{ABORT, PM_DOMAIN_SIGNAL, SIGABRT},
	{LEAVE, PM_DOMAIN_EXIT, 0},
	{EXIT_3, PM_DOMAIN_EXIT, 3},
	{SEGFAULT, PM_DOMAIN_SIGNAL, SIGSEGV},
	{OVERFLOW, PM_DOMAIN_SIGNAL, SIGSEGV},
	{KILL_9, PM_DOMAIN_SIGNAL, SIGKILL},
};
enum { DEATHS = sizeof(deaths) / sizeof(*deaths) };

Test(worker_death, fails_only_the_jobs_that_kill, .timeout = 60)
{
	struct campaign c = campaign_new(2000);
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].sleep_ms = (uint32_t)(i % 3);
	}
	for (size_t d = 0; d < DEATHS; d++) {
		c.orders[100 + d * 317].poison = deaths[d].poison;
	}
	campaign_open(&c, rig_options(2, 32));
	campaign_run(&c);
	for (size_t d = 0; d < DEATHS; d++) {
		check_lost(&c, 100 + d * 317, deaths[d].domain, deaths[d].code);
	}
	for (size_t i = 0; i < c.ct; i++) {
		if (c.orders[i].poison == HARMLESS) {
			batch_check_one(&c.batch, i);
		}
	}
	cr_assert_eq(c.failed, DEATHS);
	cr_assert_geq(rig_stats(c.pool).workers_lost, DEATHS);
	cr_assert_gt(rig_stats(c.pool).jobs_rerun, 0);
	rig_check_works(c.pool);
	campaign_close(&c);
}

/* Worst case: nothing but poison, and one worker. */
Test(worker_death, fails_all_when_all_kill, .timeout = 60)
{
	struct campaign c = campaign_new(24);
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].poison = deaths[i % DEATHS].poison;
	}
	campaign_open(&c, rig_options(1, 8));
	campaign_run(&c);
	for (size_t i = 0; i < c.ct; i++) {
		check_lost(&c, i, deaths[i % DEATHS].domain, deaths[i % DEATHS].code);
	}
	rig_check_works(c.pool);
	campaign_close(&c);
}

Test(worker_death, is_survived_by_a_job_that_kills_twice, .timeout = 60)
{
	struct campaign c = campaign_new(500);
	for (size_t i = 0; i < 5; i++) {
		c.orders[i * 97].poison = KILL_TWICE;
	}
	campaign_open(&c, rig_options(2, 16));
	campaign_run(&c);
	batch_check(&c.batch);
	for (size_t i = 0; i < 5; i++) {
		cr_assert_geq(c.batch.results[i * 97].attempts, 3);
	}
	campaign_close(&c);
}

/* Results that were sent before the worker died are taken, not run again; and
 * what its neighbours were doing runs again. */
Test(worker_death, tells_attempts_of_jobs_that_ran_again, .timeout = 60)
{
	struct campaign c = campaign_new(40);
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].sleep_ms = 30;
	}
	c.orders[3].sleep_ms = 0;
	c.orders[3].poison = KILL_TWICE;
	campaign_open(&c, rig_options(1, 8));
	campaign_run(&c);
	batch_check(&c.batch);
	for (size_t i = 0; i < c.ct; i++) {
		unsigned runs = atomic_load(&board->runs[i]);
		cr_assert_leq(runs, c.batch.results[i].attempts,
			"job %zu: %u runs, %u attempts", i, runs,
			c.batch.results[i].attempts);
		cr_assert_geq(runs, 1);
	}
	cr_assert_gt(c.batch.results[2].attempts, 1, "its neighbour did not run again");
	campaign_close(&c);
}

/* --------------------------------------------------------------------- once */

Test(worker_death, fails_a_job_that_must_not_run_twice, .timeout = 60)
{
	struct campaign c = campaign_new(600);
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].once = true;
		c.orders[i].sleep_ms = (uint32_t)(i % 4);
		c.orders[i].poison = i % 50 == 49 ? KILL_9 : HARMLESS;
	}
	campaign_open(&c, rig_options(2, 8));
	campaign_run(&c);
	for (size_t i = 0; i < c.ct; i++) {
		unsigned runs = atomic_load(&board->runs[i]);
		cr_assert_eq(runs, 1, "job %zu ran %u times", i, runs);
		if (c.orders[i].poison == KILL_9 || c.batch.results[i].error) {
			check_lost(&c, i, PM_DOMAIN_SIGNAL, SIGKILL);
		} else {
			batch_check_one(&c.batch, i);
		}
	}
	/* what was running beside the 12, and results that died with their worker */
	cr_assert_geq(c.failed, 12);
	cr_assert_leq(c.failed, 200, "%zu failed", c.failed);
	campaign_close(&c);
}

/* ------------------------------------------------------------- from outside */

static pid_t some_worker(unsigned which)
{
	pid_t pids[64];
	size_t ct = rig_workers(pids, 64);
	return ct ? pids[which * 7919u % ct] : 0;
}

/* Now and then, but never before 600 results have come since: a job that is
 * twice alone with a worker that is killed is poison by the rules, and on a slow
 * machine any job could be. */
static void kill_one_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct campaign *c = ctx;
	(void)fd;
	(void)what;
	pid_t pid = c->delivered >= c->next_at ? some_worker(c->times) : 0;
	if (pid) {
		kill(pid, SIGKILL);
		c->next_at = c->delivered + 600;
		c->times++;
	}
}

Test(worker_death, loses_nothing_when_workers_are_killed_all_the_time, .timeout = 60)
{
	struct campaign c = campaign_new(20000);
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].sleep_ms = 1;
	}
	campaign_open(&c, rig_options(4, 32));
	campaign_timer(&c, 20, kill_one_cb);
	campaign_run(&c);
	batch_check(&c.batch);
	struct pm_pool_stats s = rig_stats(c.pool);
	cr_assert_geq(c.times, 10, "only %u were killed", c.times);
	cr_assert_geq(s.workers_lost, c.times - 2);
	cr_assert_leq(s.workers_lost, c.times, "%llu lost, %u killed",
		(unsigned long long)s.workers_lost, c.times);
	campaign_close(&c);
}

static void kill_all_cb(evutil_socket_t fd, short what, void *ctx)
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

Test(worker_death, loses_nothing_when_all_are_killed_at_once, .timeout = 60)
{
	struct campaign c = campaign_new(3000);
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].sleep_ms = 2;
	}
	c.times_max = 4;
	c.next_at = 100;
	campaign_open(&c, rig_options(4, 16));
	campaign_timer(&c, 5, kill_all_cb);
	campaign_run(&c);
	batch_check(&c.batch);
	cr_assert_eq(c.times, 4);
	campaign_close(&c);
}

/* Between two maps nobody looks; the next one finds out. */
Test(worker_death, is_noticed_by_the_next_map, .timeout = 60)
{
	pm_pool *pool = rig_pool(3, 6);
	pid_t pids[8];
	for (int round = 0; round < 3; round++) {
		rig_check_works(pool);
		size_t ct = rig_workers(pids, 8);
		for (size_t i = 0; i < ct && i < 8; i++) {
			kill(pids[i], SIGKILL);
			cr_assert(wait_until_gone(pids[i], 5000));
		}
		rig_check_works(pool);
	}
	pm_pool_close(&pool);
}

/* A terminal and a service manager send these to every process there is. */
Test(worker_death, is_not_caused_by_signals_that_are_meant_for_the_host, .timeout = 60)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
	pm_pool *pool = rig_pool(2, 2);
	pid_t pids[8];
	rig_check_works(pool);
	size_t ct = rig_workers(pids, 8);
	for (size_t s = 0; s < sizeof(signals) / sizeof(*signals); s++) {
		kill(forkserver_of(getpid()), signals[s]);
		for (size_t i = 0; i < ct && i < 8; i++) {
			kill(pids[i], signals[s]);
		}
	}
	rig_check_works(pool);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
}

/* --------------------------------------------------------------------- hang */

static void halt_by_signal(pid_t worker)
{
	cr_assert_eq(kill(worker, SIGSTOP), 0);
}

/* As a debugger does it, which is told of the end before the parent is. */
static void halt_by_debugger(pid_t worker)
{
	if (ptrace(PTRACE_SEIZE, worker, NULL, NULL) < 0) {
		cr_skip_test("no worker may be traced here");
	}
	cr_assert_eq(ptrace(PTRACE_INTERRUPT, worker, NULL, NULL), 0);
}

static void reap_traced(int pidfd)
{
	siginfo_t unused;
	(void)waitid(P_PIDFD, (id_t)pidfd, &unused, WEXITED | WNOHANG | __WALL);
}

/* A control group of our own; NULL: none can be made. */
static const char *freezer;

static bool write_word(const char *name, const char *word)
{
	int fd = open(keep_printf("%s/%s", freezer, name), O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, word, strlen(word)) > 0;
	close(fd);
	return written;
}

static void make_freezer(void)
{
	char line[512], where[256];
	FILE *f = fopen("/proc/self/mounts", "re");
	while (f && !freezer && fgets(line, sizeof line, f)) {
		if (sscanf(line, "cgroup2 %255s ", where) == 1) {
			freezer =
				keep_printf("%s/poolmap-test-%d", where, (int)getpid());
		}
	}
	if (f) {
		fclose(f);
	}
	if (!freezer || mkdir(freezer, 0700) < 0) {
		cr_skip_test("no control group can be made here");
	}
}

static bool freezer_is_gone(void *unused)
{
	(void)unused;
	return rmdir(freezer) == 0; /* when its last process is */
}

static void halt_by_freezer(pid_t worker)
{
	cr_assert(write_word("cgroup.procs", keep_printf("%d", (int)worker)));
	cr_assert(write_word("cgroup.freeze", "1"));
}

/* Stop one worker; go on with it 100 ms later, or not. */
static void stop_one_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct campaign *c = ctx;
	(void)fd;
	(void)what;
	if (c->delivered >= c->next_at && c->times == 0) {
		pid_t pid = some_worker(0);
		c->pidfd = pidfd_of(pid);
		c->halt(pid);
		c->times++;
	} else if (c->times > 0 && ++c->times == 6 && c->times_max) {
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGCONT, NULL, 0);
	} else if (c->times > 0 && c->halt == halt_by_debugger) {
		reap_traced(c->pidfd);
	}
}

static void stop_campaign(struct campaign *c, bool go_on, void (*halt)(pid_t worker))
{
	struct pm_pool_options o = rig_options(2, 8);
	*c = campaign_new(400);
	c->halt = halt;
	for (size_t i = 0; i < c->ct; i++) {
		c->orders[i].sleep_ms = 5;
	}
	o.hang_timeout_ms = 1000;
	c->times_max = go_on;
	c->next_at = 40;
	campaign_open(c, o);
	campaign_timer(c, 20, stop_one_cb);
}

/* It is dead: to go on with it has no effect, and reaches nobody else. */
static void expect_dead(int pidfd)
{
	cr_assert_eq(syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0), -1);
	cr_assert_eq(errno, ESRCH, "%s", strerror(errno));
}

static void check_found_silent(void (*halt)(pid_t worker))
{
	struct campaign c;
	stop_campaign(&c, false, halt);
	uint64_t before = clock_now_ms();
	campaign_run(&c);
	uint64_t took = clock_now_ms() - before;
	batch_check(&c.batch);
	cr_assert_geq(
		took, 1000, "killed after %llu ms already", (unsigned long long)took);
	cr_assert_lt(took, 15000);
	cr_assert_eq(rig_stats(c.pool).workers_lost, 1);
	expect_dead(c.pidfd);
	rig_check_works(c.pool);
	campaign_close(&c);
}

Test(worker_death, comes_to_a_worker_that_is_silent, .timeout = 60)
{
	check_found_silent(halt_by_signal);
}

Test(worker_death, comes_to_a_worker_that_a_debugger_stopped, .timeout = 60)
{
	check_found_silent(halt_by_debugger);
}

Test(worker_death, comes_to_a_worker_that_is_frozen, .timeout = 60)
{
	make_freezer();
	check_found_silent(halt_by_freezer);
	cr_assert(wait_for(freezer_is_gone, NULL, HARNESS_DEADLINE_MS));
}

Test(worker_death, does_not_come_to_a_worker_that_was_stopped_for_a_moment,
	.timeout = 60)
{
	struct campaign c;
	stop_campaign(&c, true, halt_by_signal);
	campaign_run(&c);
	batch_check(&c.batch);
	cr_assert_geq(c.times, 6, "it ended before it went on");
	cr_assert_eq(rig_stats(c.pool).workers_lost, 0);
	cr_assert_eq(rig_stats(c.pool).jobs_rerun, 0);
	campaign_close(&c);
}

/* Beside others; it must not run twice, so that one death is enough. */
Test(worker_death, ends_an_endless_task, .timeout = 60)
{
	struct campaign c = campaign_new(200);
	struct pm_pool_options o = rig_options(2, 2);
	o.hang_timeout_ms = 1000;
	c.orders[50].poison = LOOP;
	c.orders[50].once = true;
	campaign_open(&c, o);
	campaign_run(&c);
	check_lost(&c, 50, PM_DOMAIN_SIGNAL, SIGKILL);
	cr_assert(strstr(c.batch.results[50].message, "1000 ms"), "%s",
		c.batch.results[50].message);
	cr_assert_eq(c.failed, 1, "%zu failed", c.failed);
	campaign_close(&c);
}

/* Alone, it is guilty at the second or third time. */
Test(worker_death, ends_an_endless_task_that_may_run_twice, .timeout = 60)
{
	struct campaign c = campaign_new(1);
	struct pm_pool_options o = rig_options(1, 1);
	o.hang_timeout_ms = 1000;
	c.orders[0].poison = LOOP;
	campaign_open(&c, o);
	campaign_run(&c);
	check_lost(&c, 0, PM_DOMAIN_SIGNAL, SIGKILL);
	unsigned runs = atomic_load(&board->runs[0]);
	cr_assert(runs == 2 || runs == 3, "%u runs", runs);
	rig_check_works(c.pool);
	campaign_close(&c);
}

/* -------------------------------------------------------------------- start-up */

/* So few that the forkserver can do its work, and a worker cannot. */
static void limit_forkserver(rlim_t files, struct rlimit *before)
{
	struct rlimit few = {.rlim_cur = files, .rlim_max = files};
	pid_t pid = forkserver_of(getpid());
	cr_assert_gt(pid, 0);
	cr_assert_eq(
		prlimit(pid, RLIMIT_NOFILE, &few, before), 0, "%s", strerror(errno));
}

/* Needs privileges that not everybody has. */
static bool unlimit_forkserver(const struct rlimit *before)
{
	return prlimit(forkserver_of(getpid()), RLIMIT_NOFILE, before, NULL) == 0;
}

static bool has_forkserver(void *unused)
{
	(void)unused;
	return forkserver_of(getpid()) > 0;
}

static size_t forkserver_fds(void)
{
	/* It gives itself its name a moment after it has started. */
	cr_assert(wait_for(has_forkserver, NULL, 10000));
	return entries_of(keep_printf("/proc/%d/fd", (int)forkserver_of(getpid())));
}

/* Five failed starts of at most 1 s, and the pauses between them. */
enum { GIVES_UP_WITHIN_MS = 10000 };

static void check_no_start(unsigned workers, size_t spare_fds)
{
	struct pm_pool_options o = rig_options(workers, workers);
	struct rlimit before;
	pm_pool *pool = NULL;
	o.start_timeout_ms = 1000;
	limit_forkserver(forkserver_fds() + spare_fds, &before);
	uint64_t start = clock_now_ms();
	int err = pm_pool_open(&pool, &o);
	uint64_t took = clock_now_ms() - start;
	cr_assert_eq(err, PM_EWORKERS, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert(strstr(pm_last_error(), "5 tries"), "%s", pm_last_error());
	cr_assert_null(pool);
	cr_assert_lt(
		took, GIVES_UP_WITHIN_MS, "took %llu ms", (unsigned long long)took);
	rig_check_nothing_left(o.runtime_dir);
	if (unlimit_forkserver(&before)) {
		pool = rig_open(&o);
		rig_check_works(pool);
		pm_pool_close(&pool);
	}
}

/* The forkserver needs three for a pool and its next worker: the rest is not
 * enough for the worker. */
Test(worker_death, at_the_start_gives_the_pool_up, .timeout = 60)
{
	check_no_start(1, 3);
}

Test(worker_death, of_many_at_the_start_is_no_fork_bomb, .timeout = 60)
{
	check_no_start(8, 3);
}

Test(worker_death, before_birth_gives_the_pool_up, .timeout = 60)
{
	check_no_start(1, 2); /* not even a lifeline */
}

/* The workers that were there die, and none can replace them. */
static void limit_and_kill_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct campaign *c = ctx;
	struct rlimit before;
	if (c->delivered >= 50 && c->times == 0) {
		limit_forkserver(forkserver_fds() + 2, &before);
		c->times_max = 1;
		kill_all_cb(fd, what, ctx);
	}
}

Test(worker_death, for_good_ends_the_map, .timeout = 60)
{
	struct campaign c = campaign_new(2000);
	struct pm_pool_options o = rig_options(2, 8);
	o.start_timeout_ms = 1000;
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].sleep_ms = 5;
	}
	campaign_open(&c, o);
	campaign_timer(&c, 5, limit_and_kill_cb);
	int err = campaign_try(&c);
	cr_assert_eq(err, PM_EWORKERS, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_gt(strlen(pm_last_error()), 0);
	cr_assert_geq(c.delivered, 50);
	cr_assert_lt(c.delivered, c.ct);
	cr_assert_eq(c.failed, 0);
	err = campaign_try(&c);
	cr_assert_eq(err, PM_EWORKERS, "the next map: %s", pm_error_name(err));
	campaign_close(&c);
}

/* --------------------------------------------------------------- forkserver */

static void kill_forkserver_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct campaign *c = ctx;
	(void)fd;
	(void)what;
	if (c->delivered >= 50 && c->times++ == 0) {
		kill(forkserver_of(getpid()), SIGKILL);
	}
}

Test(worker_death, of_the_forkserver_ends_the_map, .timeout = 60)
{
	struct campaign c = campaign_new(20000);
	pid_t pids[8];
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].sleep_ms = 5;
	}
	campaign_open(&c, rig_options(2, 8));
	campaign_timer(&c, 5, kill_forkserver_cb);
	size_t ct = rig_workers(pids, 8);
	int err = campaign_try(&c);
	cr_assert_eq(err, PM_EWORKERS, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert(strstr(pm_last_error(), "forkserver"), "%s", pm_last_error());
	cr_assert_eq(c.failed, 0);
	for (size_t i = 0; i < ct && i < 8; i++) {
		cr_assert(wait_until_gone(pids[i], 1000), "worker %d lives on",
			(int)pids[i]);
	}
	err = campaign_try(&c);
	cr_assert_eq(err, PM_EWORKERS, "the next map: %s", pm_error_name(err));
	campaign_close(&c);
}

Test(worker_death, of_the_forkserver_ends_every_later_pool_cleanly, .timeout = 60)
{
	struct pm_pool_options o = rig_options(1, 1);
	pm_pool *pool = rig_open(&o), *later = NULL;
	pid_t forkserver = forkserver_of(getpid());
	kill(forkserver, SIGKILL);
	cr_assert(wait_until_gone(forkserver, 5000));
	size_t fds = open_fds();
	int err = pm_pool_open(&later, &o);
	cr_assert_lt(err, 0);
	cr_assert(strstr(pm_last_error(), "forkserver"), "%s: %s", pm_error_name(err),
		pm_last_error());
	cr_assert_null(later);
	/* fewer, when those of its worker are closed meanwhile */
	cr_assert_leq(open_fds(), fds, "descriptors are left");
	struct batch b = batch_new(10);
	err = pm_map(pool, task_echo, b.jobs, b.ct, b.results);
	cr_assert_eq(err, PM_EWORKERS, "%s", pm_error_name(err));
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
	batch_free(&b);
}

/* It lives, and does nothing: dead workers are not reported, none is made.  That
 * cannot go well, but it must come to an end.  When it does not, the test makes
 * one: a stopped process left behind would hold whoever waits for its output. */
static void stop_forkserver_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct campaign *c = ctx;
	pid_t pid = forkserver_of(getpid());
	if (c->delivered >= 50 && c->times == 0) {
		kill(pid, SIGSTOP);
		c->times_max = 1;
		c->deadline = clock_now_ms() + 15000;
		kill_all_cb(fd, what, ctx);
	} else if (c->times && clock_now_ms() > c->deadline && !c->gave_up) {
		c->gave_up = true;
		kill(pid, SIGKILL);
	}
}

Test(worker_death, with_a_forkserver_that_hangs_ends_the_map, .timeout = 40)
{
	struct campaign c = campaign_new(2000);
	struct pm_pool_options o = rig_options(2, 8);
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].sleep_ms = 5;
	}
	o.start_timeout_ms = o.hang_timeout_ms = 1000;
	campaign_open(&c, o);
	campaign_timer(&c, 5, stop_forkserver_cb);
	int err = campaign_try(&c);
	pid_t pid = forkserver_of(getpid());
	if (pid) {
		kill(pid, SIGKILL);
	}
	cr_assert_not(c.gave_up, "the map waited for ever");
	cr_assert_eq(err, PM_EWORKERS, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_eq(c.failed, 0);
	campaign_close(&c);
}

/* ------------------------------------------------------------------ cleaners */

static void unlink_all(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	cr_assert(dir, "cannot read %s", path);
	while ((entry = readdir(dir))) {
		unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

/* Somebody cleans /tmp.  What is connected goes on; what comes later must find a
 * way or say that there is none, and must not wait for ever. */
static void clean_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct campaign *c = ctx;
	if (c->delivered >= 50 && c->times == 0) {
		unlink_all(only_entry(c->runtime_dir));
		c->times_max = 1;
		kill_all_cb(fd, what, ctx);
	}
}

Test(worker_death, is_survived_when_the_sockets_were_deleted, .timeout = 15)
{
	struct campaign c = campaign_new(1000);
	struct pm_pool_options o = rig_options(2, 8);
	o.start_timeout_ms = 1000;
	for (size_t i = 0; i < c.ct; i++) {
		c.orders[i].sleep_ms = 5;
	}
	campaign_open(&c, o);
	campaign_timer(&c, 5, clean_cb);
	int err = campaign_try(&c);
	cr_assert(err == 0 || err == PM_EWORKERS, "%s: %s", pm_error_name(err),
		pm_last_error());
	cr_assert(err || c.delivered == c.ct);
	cr_assert_eq(c.failed, 0);
	campaign_close(&c);
}
