/* SPDX-License-Identifier: MIT
 *
 * boot - the clean slate of a forked process; see boot.h.
 */
#include "common/boot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The master alone answers to the terminal and to service managers, which send
 * these to every process of the group: it drains, and ends the others. */
static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE, SIGXFSZ};

static bool is_ignored(int signal)
{
	bool found = false;
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored && !found; i++) {
		found = ignored[i] == signal;
	}
	return found;
}

/* Those that are ignored are so all along: a Ctrl-C must not end a worker that has just
 * been forked. */
static void reset_signals(void)
{
	for (int s = 1; s < NSIG; s++) {
		struct sigaction act = {
			.sa_handler = is_ignored(s) ? SIG_IGN : SIG_DFL};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
		if (s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL ||
			s == SIGABRT) {
			continue; /* the sanitizer's own, it reports there */
		}
#endif
		sigaction(s, &act, NULL); /* fails for SIGKILL, SIGSTOP: no matter */
	}
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool is_kept(int fd, const int *keep, unsigned ct)
{
	for (unsigned i = 0; i < ct; i++) {
		if (keep[i] == fd) {
			return true;
		}
	}
	return fd <= STDERR_FILENO;
}

/* By /proc rather than close_range(2): that one is missing in old kernels and in
 * valgrind, which hides its own descriptors from /proc and would complain. */
static void close_others(const int *keep, unsigned ct)
{
	DIR *dir = opendir("/proc/self/fd");
	if (!dir) {
		return; /* no /proc: the descriptors stay open, nothing breaks */
	}
	struct dirent *entry;
	while ((entry = readdir(dir))) {
		char *end;
		long fd = strtol(entry->d_name, &end, 10);
		if (end != entry->d_name && !*end && fd != dirfd(dir) &&
			!is_kept((int)fd, keep, ct)) {
			close((int)fd);
		}
	}
	closedir(dir);
}

/* Standard input belongs to the host program; a worker that read it would steal
 * from it. */
static void detach_stdin(void)
{
	int null = open("/dev/null", O_RDONLY);
	if (null > STDIN_FILENO) {
		dup2(null, STDIN_FILENO);
		close(null);
	}
}

void boot_clean(const int *keep, unsigned ct)
{
	reset_signals();
	close_others(keep, ct);
	detach_stdin();
}

void boot_tie_to(int parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) {
		_exit(PROTO_EXIT_ORPHAN); /* it died before the line above */
	}
}
