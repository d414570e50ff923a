/* SPDX-License-Identifier: MIT
 *
 * deeds - what an intruder tries first: each deed says whether it was let.
 *
 * Runs in: processes that are, or are not, in the sandbox of the command's workers;
 * included by the tests that put them there.  A deed does no harm when it succeeds.
 */
#ifndef TESTS_SUPPORT_DEEDS_H
#define TESTS_SUPPORT_DEEDS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What they are tried on. */
struct deed_targets {
	char secret[512]; /* a file of this user */
	char dir[512];    /* a directory of this user */
	pid_t master;     /* a process of this user */
	char *word;       /* memory of that process, four bytes of it */
};

/* 0: it was let; else errno. */
typedef int deed_fn(const struct deed_targets *t);

static inline int deed_result(long value)
{
	return value < 0 ? errno : 0;
}

static inline int deed_read_secret(const struct deed_targets *t)
{
	int fd = open(t->secret, O_RDONLY);
	int why = deed_result(fd);
	close(fd);
	return why;
}

static inline int deed_list_home(const struct deed_targets *t)
{
	int fd = open(t->dir, O_RDONLY | O_DIRECTORY);
	int why = deed_result(fd);
	close(fd);
	return why;
}

static inline int deed_write_secret(const struct deed_targets *t)
{
	int fd = open(t->secret, O_WRONLY | O_APPEND);
	int why = deed_result(fd);
	close(fd);
	return why;
}

static inline int deed_create(const struct deed_targets *t)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/new", t->dir);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	int why = deed_result(fd);
	close(fd);
	(void)unlink(path);
	return why;
}

static inline int deed_make_dir(const struct deed_targets *t)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/newdir", t->dir);
	int why = deed_result(mkdir(path, 0700));
	(void)rmdir(path);
	return why;
}

static inline int deed_rename(const struct deed_targets *t)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/moved", t->dir);
	int why = deed_result(rename(t->secret, path));
	(void)rename(path, t->secret);
	return why;
}

static inline int deed_truncate(const struct deed_targets *t)
{
	return deed_result(truncate(t->secret, 3));
}

static inline int deed_run_program(const struct deed_targets *t)
{
	pid_t pid;
	char *argv[] = {(char[]){"true"}, NULL}, *env[] = {NULL};
	(void)t;
	int why = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, env);
	int status = 0;
	if (!why && (waitpid(pid, &status, 0) != pid || status)) {
		why = EPERM;
	}
	return why;
}

/* Without a new process: were it let, there would be no such file. */
static inline int deed_become_program(const struct deed_targets *t)
{
	char *argv[] = {(char[]){"x"}, NULL}, *env[] = {NULL};
	(void)t;
	(void)execve("/no/such/program", argv, env);
	return errno == ENOENT ? 0 : errno;
}

static inline int deed_fork(const struct deed_targets *t)
{
	(void)t;
	pid_t pid = fork();
	if (pid == 0) {
		_exit(0);
	}
	int why = deed_result(pid);
	if (pid > 0) {
		(void)waitpid(pid, NULL, 0);
	}
	return why;
}

static inline int deed_kill(const struct deed_targets *t)
{
	return deed_result(kill(t->master, 0));
}

static inline int deed_kill_by_pidfd(const struct deed_targets *t)
{
	int fd = (int)syscall(SYS_pidfd_open, t->master, 0);
	int why =
		deed_result(fd < 0 ? fd : syscall(SYS_pidfd_send_signal, fd, 0, 0, 0));
	close(fd);
	return why;
}

static inline int deed_kill_by_thread(const struct deed_targets *t)
{
	return deed_result(syscall(SYS_tgkill, t->master, t->master, 0));
}

/* The kernel sends SIGIO, or any other signal, to the owner of a descriptor. */
static inline int deed_own_signal(const struct deed_targets *t)
{
	int ends[2];
	if (pipe(ends) < 0) {
		return errno;
	}
	int why = deed_result(fcntl(ends[0], F_SETOWN, t->master));
	close(ends[0]);
	close(ends[1]);
	return why;
}

/* As far as asking: there is no such process. */
static inline int deed_trace(const struct deed_targets *t)
{
	(void)t;
	(void)ptrace(PTRACE_SEIZE, 0x7ffffffe, 0, 0);
	return errno == ESRCH ? 0 : errno;
}

static inline int deed_write_memory(const struct deed_targets *t)
{
	char word[4] = "evil";
	struct iovec from = {word, sizeof(word)}, to = {t->word, sizeof(word)};
	return deed_result(process_vm_writev(t->master, &from, 1, &to, 1, 0));
}

static inline int deed_open_memory(const struct deed_targets *t)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%ld/maps", (long)t->master);
	int fd = open(path, O_RDONLY);
	int why = deed_result(fd);
	close(fd);
	return why;
}

static inline int deed_listen(const struct deed_targets *t)
{
	(void)t;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int why = deed_result(fd < 0 ? fd : listen(fd, 1));
	close(fd);
	return why;
}

static inline int deed_netlink(const struct deed_targets *t)
{
	(void)t;
	int fd = socket(AF_NETLINK, SOCK_RAW, 0);
	int why = deed_result(fd);
	close(fd);
	return why;
}

static inline int deed_unshare(const struct deed_targets *t)
{
	(void)t;
	return deed_result(unshare(0));
}

static inline int deed_odd_ioctl(const struct deed_targets *t)
{
	(void)t;
	int ends[2];
	if (pipe(ends) < 0) {
		return errno;
	}
	int why = deed_result(ioctl(ends[0], FIOASYNC, &(int){0}));
	close(ends[0]);
	close(ends[1]);
	return why;
}

static const struct {
	const char *name;
	deed_fn *act;
} deeds[] = {
	{"read a file", deed_read_secret},
	{"list a directory", deed_list_home},
	{"write to a file", deed_write_secret},
	{"create a file", deed_create},
	{"make a directory", deed_make_dir},
	{"rename a file", deed_rename},
	{"truncate a file", deed_truncate},
	{"run a program", deed_run_program},
	{"become a program", deed_become_program},
	{"make a process", deed_fork},
	{"kill the master", deed_kill},
	{"kill the master by pidfd", deed_kill_by_pidfd},
	{"kill a thread of the master", deed_kill_by_thread},
	{"have a signal sent to the master", deed_own_signal},
	{"trace", deed_trace},
	{"write the master's memory", deed_write_memory},
	{"see the master's memory", deed_open_memory},
	{"listen", deed_listen},
	{"change the network", deed_netlink},
	{"unshare", deed_unshare},
	{"an odd ioctl", deed_odd_ioctl},
};

enum { DEED_CT = sizeof(deeds) / sizeof(*deeds) };

#endif
