/* SPDX-License-Identifier: MIT
 *
 * harness_procs - what tests may know about processes that are not their own
 * children, and waiting for what nothing announces.
 *
 * Runs in: the test process.  Reads /proc; never signals anyone.
 */
#include "tests/support/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/clock.h"

int pidfd_of(pid_t pid)
{
	int fd = pidfd_open(pid, 0);
	if (fd < 0 && errno != ENOSYS && errno != ESRCH) {
		harness_fail("cannot watch %d: %s", (int)pid, strerror(errno));
	}
	return fd;
}

/* ------------------------------------------------------------------- /proc */

/* The file as text, cut to `size`; empty when the process is gone. */
static size_t proc_read(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	size_t len = 0;
	ssize_t n = 1;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && n > 0 && len < size - 1) {
		n = read(fd, text + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0) {
		close(fd);
	}
	text[len] = '\0';
	return len;
}

uint64_t process_starved_us(pid_t pid)
{
	char text[128];
	unsigned long long ran_ns, waited_ns;
	proc_read(pid, "schedstat", text, sizeof(text));
	return sscanf(text, "%llu %llu", &ran_ns, &waited_ns) == 2 ? waited_ns / 1000
								   : 0;
}

/* A name with spaces and parentheses stands before state and parent. */
static bool is_living_child(pid_t pid, const void *parent)
{
	char text[1024], state;
	int ppid;
	proc_read(pid, "stat", text, sizeof(text));
	const char *behind_name = strrchr(text, ')');
	return behind_name && sscanf(behind_name, ") %c %d", &state, &ppid) == 2 &&
	       ppid == *(const pid_t *)parent && state != 'Z' && state != 'X';
}

static bool has_command(pid_t pid, const void *needle)
{
	char text[65536];
	size_t len = proc_read(pid, "cmdline", text, sizeof(text));
	for (size_t i = 0; i < len; i++) {
		text[i] = text[i] == '\0' ? ' ' : text[i];
	}
	return pid != getpid() && strstr(text, needle);
}

static size_t find_processes(bool (*is_one)(pid_t pid, const void *what),
	const void *what, pid_t out[], size_t max)
{
	size_t ct = 0;
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	if (!proc) {
		harness_fail("cannot read /proc: %s", strerror(errno));
	}
	while ((entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (*end == '\0' && pid > 0 && pid <= INT_MAX &&
			is_one((pid_t)pid, what)) {
			if (ct < max) {
				out[ct] = (pid_t)pid;
			}
			ct++;
		}
	}
	closedir(proc);
	return ct;
}

size_t process_children(pid_t pid, pid_t out[], size_t max)
{
	return find_processes(is_living_child, &pid, out, max);
}

size_t pids_of_program(const char *needle, pid_t out[], size_t max)
{
	return find_processes(has_command, needle, out, max);
}

/* ----------------------------------------------------------------- waiting */

/* The poll() here is the clock of a bounded wait on a condition; it does not
 * stand in for one, as a sleep would. */
bool wait_for(bool (*predicate)(void *ctx), void *ctx, unsigned deadline_ms)
{
	uint64_t deadline = clock_now_ms() + deadline_ms;
	while (!predicate(ctx)) {
		int left = ms_until(deadline);
		if (left == 0) {
			return predicate(ctx);
		}
		poll(NULL, 0, left < HARNESS_ASK_MS ? left : HARNESS_ASK_MS);
	}
	return true;
}

static bool is_gone(void *pid)
{
	char text[1024];
	proc_read(*(const pid_t *)pid, "stat", text, sizeof(text));
	const char *behind_name = strrchr(text, ')');
	return !behind_name || strchr("ZX", behind_name[2]);
}

bool wait_until_gone(pid_t pid, unsigned deadline_ms)
{
	uint64_t deadline = clock_now_ms() + deadline_ms;
	struct pollfd p = {pidfd_of(pid), POLLIN, 0};
	int n;
	if (p.fd < 0) {
		return wait_for(is_gone, &pid, deadline_ms);
	}
	do {
		n = poll(&p, 1, ms_until(deadline));
	} while (n < 0 && errno == EINTR);
	close(p.fd);
	return n > 0;
}
