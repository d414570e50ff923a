/* SPDX-License-Identifier: MIT
 *
 * Workers do not start, cannot be replaced, or lose their forkserver: what cannot go on
 * says so, soon, and leaves nothing.
 */
#include "tests/support/campaign_rig.h"

#include <sys/resource.h>

/* ------------------------------------------------------------------- start-up */

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
Test(no_workers, at_the_start_gives_the_pool_up, .timeout = 60)
{
	check_no_start(1, 3);
}

Test(no_workers, of_many_at_the_start_is_no_fork_bomb, .timeout = 60)
{
	check_no_start(8, 3);
}

Test(no_workers, before_birth_gives_the_pool_up, .timeout = 60)
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

Test(no_workers, for_good_ends_the_map, .timeout = 60)
{
	struct campaign c = campaign_new(2000);
	struct pm_pool_options o = rig_options(2, 8);
	o.start_timeout_ms = 1000;
	campaign_sleep(&c, 5);
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

Test(no_workers, without_a_forkserver_ends_the_map, .timeout = 60)
{
	struct campaign c = campaign_new(20000);
	pid_t pids[8];
	campaign_sleep(&c, 5);
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

/* It cannot even wait any more: better it ends than that it turns for ever, as it would
 * when its host has gone, too. */
Test(no_workers, with_a_forkserver_that_may_have_no_descriptor, .timeout = 60)
{
	struct pm_pool_options o = rig_options(1, 1);
	struct rlimit before;
	pm_pool *pool = rig_open(&o);
	pid_t forkserver = forkserver_of(getpid()), worker;
	cr_assert_eq(rig_workers(&worker, 1), 1);
	limit_forkserver(0, &before);
	kill(worker, SIGKILL); /* it looks up */
	bool gone = wait_until_gone(forkserver, 5000);
	if (!gone) {
		kill(forkserver, SIGKILL);
	}
	cr_assert(gone, "the forkserver lives on");
	struct batch b = batch_new(10);
	int err = pm_map(pool, task_echo, b.jobs, b.ct, b.results);
	cr_assert_eq(err, PM_EWORKERS, "%s", pm_error_name(err));
	pm_pool_close(&pool);
	batch_free(&b);
}

Test(no_workers, without_a_forkserver_ends_every_later_pool_cleanly, .timeout = 60)
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

Test(no_workers, with_a_forkserver_that_hangs_ends_the_map, .timeout = 60)
{
	struct campaign c = campaign_new(2000);
	struct pm_pool_options o = rig_options(2, 8);
	campaign_sleep(&c, 5);
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
