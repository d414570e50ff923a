/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/boot.  Each runs in a forked child, which reports by its
 * exit status and never comes back into the test: it uses no nanomsg and leaves
 * by _exit().
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/boot.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Exit status of the child, or 1000 + the signal that ended it. */
static int in_child(int (*body)(void))
{
	pid_t pid = fork();
	int status = 0;
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		_exit(body());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void expect_zero(int (*body)(void))
{
	int got = in_child(body);
	cr_assert_eq(got, 0, "the child says %d", got);
}

/* ------------------------------------------------------------ descriptors */

static bool is_among(int fd, const int *fds, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		if (fds[i] == fd) {
			return true;
		}
	}
	return false;
}

/* Below it are ours; valgrind keeps its own above. */
static int fd_limit(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT_MAX
		       ? (int)limit.rlim_cur
		       : INT_MAX;
}

/* 0: open are just these and 0 to 2; else what is wrong. */
static int check_open(const int *fds, size_t ct)
{
	size_t kept = 0, others = 0;
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	if (!dir) {
		return -1;
	}
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		if (fd != dirfd(dir) && fd > STDERR_FILENO && fd < fd_limit()) {
			bool is_kept = is_among(fd, fds, ct);
			kept += is_kept;
			others += !is_kept;
		}
	}
	closedir(dir);
	if (others) {
		return 100; /* they should be closed */
	}
	return kept == ct ? 0 : 101; /* they should be open */
}

static int keep_none(void)
{
	for (int fd = 10; fd < 300; fd += 7) {
		dup2(STDERR_FILENO, fd);
	}
	boot_clean(NULL, 0);
	return check_open(NULL, 0);
}

Test(boot, closes_all_descriptors_but_the_standard_ones, .timeout = 30)
{
	expect_zero(keep_none);
}

static int keep_some(void)
{
	static const int keep[] = {250, 3, 64, 65};
	for (int fd = 3; fd < 300; fd++) {
		dup2(STDERR_FILENO, fd);
	}
	boot_clean(keep, LENGTH(keep));
	return check_open(keep, LENGTH(keep));
}

Test(boot, keeps_the_descriptors_it_was_told_to, .timeout = 30)
{
	expect_zero(keep_some);
}

static int keep_one_that_is_closed(void)
{
	static const int keep[] = {200};
	close(200);
	boot_clean(keep, 1);
	return check_open(NULL, 0);
}

Test(boot, does_not_mind_one_that_is_closed, .timeout = 30)
{
	expect_zero(keep_one_that_is_closed);
}

/* The kept one still leads where it did. */
static int keep_a_pipe(void)
{
	int ends[2];
	char byte = 0;
	if (pipe(ends) < 0) {
		return 1;
	}
	boot_clean(ends, 2);
	if (write(ends[1], "x", 1) != 1 || read(ends[0], &byte, 1) != 1) {
		return 2;
	}
	return byte == 'x' ? 0 : 3;
}

Test(boot, leaves_kept_descriptors_as_they_are, .timeout = 30)
{
	expect_zero(keep_a_pipe);
}

/* ------------------------------------------------------------ standard ones */

/* 0: standard input is /dev/null. */
static int check_stdin(void)
{
	struct stat in, null;
	char byte;
	if (fstat(STDIN_FILENO, &in) < 0 || stat("/dev/null", &null) < 0) {
		return 110;
	}
	if (in.st_rdev != null.st_rdev || in.st_ino != null.st_ino) {
		return 111;
	}
	return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 112;
}

static int clean_with_input(void)
{
	int ends[2];
	if (pipe(ends) < 0 || write(ends[1], "of the host", 11) != 11) {
		return 1;
	}
	dup2(ends[0], STDIN_FILENO);
	boot_clean(NULL, 0);
	return check_stdin();
}

Test(boot, detaches_standard_input, .timeout = 30)
{
	expect_zero(clean_with_input);
}

static int clean_without_input(void)
{
	close(STDIN_FILENO);
	boot_clean(NULL, 0);
	int wrong = check_stdin();
	return wrong ? wrong : check_open(NULL, 0);
}

Test(boot, fills_a_standard_input_that_is_closed, .timeout = 30)
{
	expect_zero(clean_without_input);
}

static int write_after(void)
{
	int ends[2];
	char got[2];
	if (pipe(ends) < 0) {
		return 1;
	}
	dup2(ends[1], STDOUT_FILENO);
	dup2(ends[1], STDERR_FILENO);
	boot_clean(ends, 1);
	if (write(STDOUT_FILENO, "o", 1) != 1 || write(STDERR_FILENO, "e", 1) != 1) {
		return 2;
	}
	return read(ends[0], got, 2) == 2 && got[0] == 'o' && got[1] == 'e' ? 0 : 3;
}

Test(boot, leaves_standard_output_and_errors_alone, .timeout = 30)
{
	expect_zero(write_after);
}

/* ------------------------------------------------------------ signals */

static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE, SIGXFSZ};

static void handler(int number)
{
	_exit(number);
}

/* Sanitizers keep their own handlers for these. */
static bool is_for_sanitizers(int number)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
	       number == SIGILL || number == SIGABRT;
#else
	(void)number;
	return false;
#endif
}

static int set_all(void (*to)(int))
{
	int ct = 0;
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction act = {.sa_handler = to};
		bool reserved = number == SIGKILL || number == SIGSTOP ||
				(number >= 32 && number < SIGRTMIN);
		ct += !reserved && sigaction(number, &act, NULL) == 0;
	}
	return ct;
}

/* 0: every signal has the disposition it should have; else its number. */
static int check_dispositions(void)
{
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction act;
		if (is_for_sanitizers(number) || sigaction(number, NULL, &act) < 0) {
			continue;
		}
		bool ignore = is_among(number, ignored, LENGTH(ignored));
		if (act.sa_handler != (ignore ? SIG_IGN : SIG_DFL)) {
			return number;
		}
	}
	return 0;
}

static int clean_handlers(void)
{
	if (set_all(handler) < 50) {
		return 200;
	}
	boot_clean(NULL, 0);
	return check_dispositions();
}

Test(boot, takes_all_signal_handlers_away, .timeout = 30)
{
	expect_zero(clean_handlers);
}

static int clean_ignored(void)
{
	if (set_all(SIG_IGN) < 50) {
		return 200;
	}
	boot_clean(NULL, 0);
	return check_dispositions();
}

Test(boot, stops_ignoring_what_the_host_ignored, .timeout = 30)
{
	expect_zero(clean_ignored);
}

static int clean_mask(void)
{
	sigset_t set;
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	boot_clean(NULL, 0);
	sigprocmask(SIG_BLOCK, NULL, &set);
	for (int number = 1; number <= SIGRTMAX; number++) {
		if (sigismember(&set, number) == 1) {
			return number;
		}
	}
	return 0;
}

Test(boot, blocks_no_signal, .timeout = 30)
{
	expect_zero(clean_mask);
}

/* As the forkserver does it: what is sent before the clean slate, while all is
 * blocked, must not run a handler of the host. */
static int clean_pending(void)
{
	sigset_t set;
	set_all(handler);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	raise(SIGTERM);
	raise(SIGINT);
	raise(SIGCHLD);
	boot_clean(NULL, 0);
	return 0;
}

Test(boot, runs_no_handler_of_the_host_on_the_way, .timeout = 30)
{
	expect_zero(clean_pending);
}

/* ------------------------------------------------------------ the parent */

static int tie_to_parent(void)
{
	boot_tie_to(getppid());
	return 42;
}

Test(boot, ties_to_a_parent_that_lives, .timeout = 30)
{
	cr_assert_eq(in_child(tie_to_parent), 42);
}

static int tie_to_another(void)
{
	boot_tie_to(getpid()); /* nobody is the parent of itself */
	return 42;
}

Test(boot, ends_when_the_parent_is_dead_already, .timeout = 30)
{
	cr_assert_eq(in_child(tie_to_another), PROTO_EXIT_ORPHAN);
}

/* The leaf: holds `fd` open until it is killed.  The alarm is for the day when
 * this test fails. */
static _Noreturn void be_tied(int fd, pid_t parent)
{
	boot_clean(&fd, 1);
	alarm(20);
	boot_tie_to(parent);
	(void)!write(fd, "t", 1);
	for (;;) {
		pause();
	}
}

Test(boot, dies_with_its_parent, .timeout = 30)
{
	int ends[2];
	char byte;
	cr_assert_eq(pipe(ends), 0);
	pid_t middle = fork();
	if (middle == 0) {
		pid_t self = getpid();
		if (fork() == 0) {
			be_tied(ends[1], self);
		}
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 1 ? 0 : 1); /* when it is tied */
	}
	int status;
	cr_assert_eq(waitpid(middle, &status, 0), middle);
	cr_assert_eq(status, 0);
	close(ends[1]);
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	cr_assert_eq(poll(&p, 1, 10000), 1, "the leaf lives on");
	cr_assert_eq(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}
