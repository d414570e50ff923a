/* SPDX-License-Identifier: MIT
 *
 * Workers that are silent for hang_timeout_ms are killed, whatever made them so, and
 * their jobs run elsewhere.
 */
#include "tests/support/campaign_rig.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* -------------------------------------------------------------- ways to stop */

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

/* -------------------------------------------------------------------- stopped */

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
	campaign_sleep(c, 5);
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

Test(worker_silence, is_the_end_of_a_worker, .timeout = 60)
{
	check_found_silent(halt_by_signal);
}

Test(worker_silence, is_the_end_of_one_that_a_debugger_stopped, .timeout = 60)
{
	check_found_silent(halt_by_debugger);
}

Test(worker_silence, is_the_end_of_one_that_is_frozen, .timeout = 60)
{
	make_freezer();
	check_found_silent(halt_by_freezer);
	cr_assert(wait_for(freezer_is_gone, NULL, HARNESS_DEADLINE_MS));
}

Test(worker_silence, for_a_moment_does_no_harm, .timeout = 60)
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

/* --------------------------------------------------------------- endless tasks */

/* Beside others; it must not run twice, so that one death is enough. */
Test(worker_silence, of_an_endless_task_ends_it, .timeout = 60)
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
Test(worker_silence, of_an_endless_task_that_may_run_twice_ends_it, .timeout = 60)
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
