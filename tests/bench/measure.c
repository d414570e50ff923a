/* SPDX-License-Identifier: MIT
 *
 * measure - run a command and tell what it cost, all its processes together.
 *
 *   measure COMMAND [ARGUMENT]...
 *
 * Prints one line on standard error:
 *   measure: exit 0 wall_ms 1886 cpu_ms 2045 peak_kb 11748
 *
 * cpu_ms counts the command and every descendant, also those that it leaves
 * behind: this process adopts them (PR_SET_CHILD_SUBREAPER) and waits.  peak_kb is
 * VmHWM of the command's first process alone, looked at every few milliseconds.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 5 };

static long now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* VmHWM in kB; 0 when the process has no memory any more. */
static long peak_kb(pid_t pid)
{
	char path[40], line[128];
	long kb = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (strncmp(line, "VmHWM:", 6) == 0) {
			kb = strtol(line + 6, NULL, 10);
		}
	}
	if (f) {
		fclose(f);
	}
	return kb;
}

static long watch(pid_t pid)
{
	long peak = 0;
	struct pollfd end = {
		.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	while (end.fd >= 0 && poll(&end, 1, LOOK_MS) == 0) {
		long kb = peak_kb(pid);
		peak = kb > peak ? kb : peak;
	}
	return peak;
}

static long ms_of(struct timeval tv)
{
	return tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: measure COMMAND [ARGUMENT]...\n");
		return 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	long begin = now_ms();
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		fprintf(stderr, "measure: %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	long peak = watch(pid);
	int status = 0, other;
	waitpid(pid, &status, 0);
	long wall = now_ms() - begin;
	while (wait(&other) > 0) { /* what it left behind */
	}
	struct rusage usage;
	getrusage(RUSAGE_CHILDREN, &usage);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	fprintf(stderr, "measure: exit %d wall_ms %ld cpu_ms %ld peak_kb %ld\n", code,
		wall, ms_of(usage.ru_utime) + ms_of(usage.ru_stime), peak);
	return code;
}
