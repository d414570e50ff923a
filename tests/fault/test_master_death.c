/* SPDX-License-Identifier: MIT
 *
 * The host dies, however it dies: no process of its pool is left after a second,
 * and no file; and where nobody was left to clean up, the next pool does.
 */
#include "tests/support/pool_rig.h"

#include <sys/file.h>
#include <sys/wait.h>

/* What poolmap promises; a loaded machine and sanitizers get more. */
enum { GONE_MS = RIG_SANITIZED ? 10000 : 1000, DEADLINE_MS = 30000 };

struct host {
	struct child child;
	const char *dir;
	pid_t keeper; /* a child that holds copies of its descriptors; 0: none */
};

static void host_start(struct host *h, const char *mode, const char *workers)
{
	h->dir = temp_dir();
	h->keeper = 0;
	const char *argv[] = {
		program("tests/fault/prog_host"), mode, h->dir, workers, NULL};
	child_start(&h->child, argv, CHILD_NO_STDIN);
}

static const char *host_line(struct host *h)
{
	const char *line = child_read_line(&h->child, 1, DEADLINE_MS);
	cr_assert(line, "the host has ended: %s", h->child.got[2].data);
	return line;
}

/* Until it has said `word` so many times. */
static void host_wait(struct host *h, const char *word, unsigned times)
{
	while (times > 0) {
		times -= strcmp(host_line(h), word) == 0;
	}
}

/* Its forkserver and workers have its command line, and so has the keeper. */
static bool host_is_gone(void *ctx)
{
	const struct host *h = ctx;
	return pids_of_program(h->dir, NULL, 0) == (h->keeper ? 1 : 0);
}

static bool dir_is_empty(void *dir)
{
	return entries_of(dir) == 0;
}

static void host_kill(struct host *h)
{
	child_signal(&h->child, SIGKILL);
	cr_assert_eq(child_wait(&h->child, DEADLINE_MS), 128 + SIGKILL);
}

static void expect_nothing_left(struct host *h, const char *when)
{
	uint64_t died = clock_now_ms();
	cr_assert(wait_for(host_is_gone, h, GONE_MS),
		"%s: %zu processes are left after %d ms", when,
		pids_of_program(h->dir, NULL, 0), GONE_MS);
	int left = GONE_MS - (int)(clock_now_ms() - died);
	cr_assert(
		wait_for(dir_is_empty, (void *)(uintptr_t)h->dir, left > 0 ? left : 0),
		"%s: %s is not empty", when, h->dir);
	child_fini(&h->child);
}

/* -------------------------------------------------------------------- killed */

/* From before its first worker lives to well into its jobs: what it has said
 * last is the moment, and how far it has come by the time that it dies is
 * chance. */
Test(master_death, leaves_nothing_whenever_it_comes, .timeout = 60)
{
	static const unsigned jobs[] = {1, 2, 3, 5, 9, 17, 20, 24};
	struct host h;
	for (int i = 0; i < 5; i++) {
		host_start(&h, "sleepers", "4");
		host_wait(&h, "start", 1);
		host_kill(&h);
		expect_nothing_left(&h, "while it opened its pool");
	}
	host_start(&h, "sleepers", "4");
	host_wait(&h, "open", 1);
	host_kill(&h);
	expect_nothing_left(&h, "with an open pool");
	for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++) {
		host_start(&h, "sleepers", "3");
		host_wait(&h, "job", jobs[i]);
		host_kill(&h);
		expect_nothing_left(&h, keep_printf("at job %u", jobs[i]));
	}
}

Test(master_death, by_other_signals_leaves_nothing, .timeout = 60)
{
	static const int signals[] = {
		SIGTERM, SIGINT, SIGHUP, SIGABRT, SIGSEGV, SIGQUIT};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct host h;
		host_start(&h, "sleepers", "2");
		host_wait(&h, "job", 10);
		child_signal(&h.child, signals[i]);
		(void)child_wait(&h.child, DEADLINE_MS);
		expect_nothing_left(&h, strsignal(signals[i]));
	}
}

/* A child that the host has forked has all its descriptors, the other ends of all
 * lifelines among them: no end of file will come. */
Test(master_death, leaves_nothing_when_a_child_holds_the_descriptors, .timeout = 60)
{
	struct host h;
	unsigned pid = 0;
	host_start(&h, "keeper", "3");
	cr_assert_eq(sscanf(host_line(&h), "child %u", &pid), 1);
	host_wait(&h, "job", 20);
	h.keeper = (pid_t)pid;
	host_kill(&h);
	bool gone = wait_for(host_is_gone, &h, GONE_MS);
	bool empty = entries_of(h.dir) == 0; /* the forkserver's last act */
	cr_assert_eq(kill(h.keeper, SIGKILL), 0, "the keeper did not live to see it");
	cr_assert(gone, "%zu processes are left", pids_of_program(h.dir, NULL, 0));
	cr_assert(empty, "%s is not empty", h.dir);
	child_fini(&h.child);
}

/* A stopped worker or forkserver cannot see that its host has gone; SIGKILL
 * reaches it all the same. */
Test(master_death, takes_stopped_workers_with_it, .timeout = 60)
{
	struct host h;
	pid_t workers[8];
	host_start(&h, "sleepers", "3");
	host_wait(&h, "job", 20);
	size_t ct = process_children(forkserver_of(h.child.pid), workers, 8);
	cr_assert_eq(ct, 3);
	for (size_t i = 0; i < ct; i++) {
		cr_assert_eq(kill(workers[i], SIGSTOP), 0);
	}
	host_kill(&h);
	expect_nothing_left(&h, "with stopped workers");
}

/* ---------------------------------------------------------- nobody cleans up */

/* Its host and its forkserver die at once: a directory is left. */
static const char *leave_directory(struct host *h)
{
	host_start(h, "sleepers", "3");
	host_wait(h, "job", 10);
	pid_t forkserver = forkserver_of(h->child.pid);
	cr_assert_gt(forkserver, 0);
	child_signal(&h->child, SIGSTOP); /* or it would act on the other's death */
	cr_assert_eq(kill(forkserver, SIGKILL), 0);
	host_kill(h);
	cr_assert(wait_for(host_is_gone, h, GONE_MS), "%zu processes are left",
		pids_of_program(h->dir, NULL, 0));
	child_fini(&h->child);
	return only_entry(h->dir);
}

static void make_old(const char *path, time_t seconds)
{
	struct timespec times[2];
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0, "%s", strerror(errno));
}

static void use_pool_in(const char *dir)
{
	struct pm_pool_options o = rig_options(1, 1);
	o.runtime_dir = dir;
	pm_pool *pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(master_death, together_with_the_forkserver_leaves_no_process, .timeout = 60)
{
	struct host h;
	for (int i = 0; i < 5; i++) {
		const char *left = leave_directory(&h);
		cr_assert_gt(entries_of(left), 1, "what is left of %s?", left);
	}
}

Test(master_death, is_cleaned_up_after_by_the_next_pool, .timeout = 60)
{
	struct host h;
	const char *left = leave_directory(&h);
	use_pool_in(h.dir);
	cr_assert_eq(access(left, F_OK), 0, "a young directory may be in use");
	make_old(left, 3600);
	use_pool_in(h.dir);
	cr_assert_eq(entries_of(h.dir), 0, "%s is still there", left);
}

/* -------------------------------------------------------- what is not swept */

Test(master_death, of_others_does_not_touch_a_living_pool, .timeout = 60)
{
	struct pm_pool_options o = rig_options(2, 2);
	pm_pool *pool = rig_open(&o);
	const char *mine = only_entry(o.runtime_dir);
	pid_t pids[4];
	make_old(mine, 86400);
	use_pool_in(o.runtime_dir);
	cr_assert_eq(access(mine, F_OK), 0, "a living pool's directory was removed");
	size_t ct = rig_workers(pids, 4);
	for (size_t i = 0; i < ct && i < 4; i++) {
		kill(pids[i], SIGKILL);
	}
	rig_check_works(pool); /* with workers that have to connect anew */
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

static const char *entry_in(const char *dir, const char *name_fmt)
{
	char name[64];
	const char *uid = keep_printf("%lu", (unsigned long)geteuid());
	snprintf(name, sizeof(name), "%.20s%s%.20s", "poolmap-", uid, name_fmt);
	return keep_printf("%s/%s", dir, name);
}

/* Names like a pool's, and other people's things. */
Test(master_death, sweep_removes_nothing_but_directories_of_pools, .timeout = 60)
{
	const char *dir = temp_dir(), *elsewhere = temp_dir();
	const char *precious = keep_printf("%s/lock", elsewhere);
	const char *file = entry_in(dir, "-file00"), *link = entry_in(dir, "-link00");
	const char *nested = entry_in(dir, "-nested"),
		   *other = keep_printf("%s/poolmap-x", dir);
	int fd = open(precious, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(symlink(elsewhere, link), 0);
	cr_assert_eq(mkdir(other, 0700), 0);
	cr_assert_eq(mkdir(nested, 0700), 0);
	cr_assert_eq(mkdir(keep_printf("%s/inner", nested), 0700), 0);
	make_old(elsewhere, 3600);
	make_old(file, 3600);
	make_old(nested, 3600);
	make_old(other, 3600);
	use_pool_in(dir);
	cr_assert_eq(access(precious, F_OK), 0, "a link was followed");
	cr_assert_eq(access(file, F_OK), 0, "a file was removed");
	cr_assert_eq(access(link, F_OK), 0, "a link was removed");
	cr_assert_eq(access(other, F_OK), 0, "another program's directory was removed");
	cr_assert_eq(access(keep_printf("%s/inner", nested), F_OK), 0);
}

/* One that is old and has no lock is nobody's: its pool died before the lock. */
Test(master_death, sweep_removes_a_directory_without_a_lock, .timeout = 60)
{
	const char *dir = temp_dir(), *empty = entry_in(dir, "-empty0");
	cr_assert_eq(mkdir(empty, 0700), 0);
	use_pool_in(dir);
	cr_assert_eq(access(empty, F_OK), 0, "it may be in the making");
	make_old(empty, 3600);
	use_pool_in(dir);
	cr_assert_eq(entries_of(dir), 0);
}
