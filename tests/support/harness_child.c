/* SPDX-License-Identifier: MIT
 *
 * harness_child - programs that a test starts, talks to and waits for.
 *
 * Runs in: the test process.  Everything goes through one poll() over the
 * child's pipes and its pidfd, so that a child that fills one pipe while the
 * test reads or writes another cannot lock either.  A child is never waited
 * for by the end of its pipes: whoever inherited them may live longer.
 */
#include "tests/support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

#define ARGS_MAX 64
#define ENV_MAX 32
#define RUNNING_MAX 256
#define SAID_MAX 1000 /* bytes of a child's errors in a message */

/* Children not waited for yet.  By value: struct child may lie on the stack of
 * a test that has already failed. */
static pid_t running[RUNNING_MAX];
static size_t running_ct;
static pid_t running_of;

static void running_add(pid_t pid)
{
	if (running_ct == RUNNING_MAX) {
		harness_fail("more than %d children at once", RUNNING_MAX);
	}
	running[running_ct++] = pid;
	running_of = getpid();
}

static void running_remove(pid_t pid)
{
	for (size_t i = 0; i < running_ct; i++) {
		if (running[i] == pid) {
			running[i] = running[--running_ct];
			return;
		}
	}
}

/* The early one of the two destructors, see harness_cleanup(). */
__attribute__((destructor(102))) static void kill_running(void)
{
	for (size_t i = 0; running_of == getpid() && i < running_ct; i++) {
		kill(running[i], SIGKILL);
		waitpid(running[i], NULL, 0);
	}
	running_ct = 0;
}

/* The test crashes, or its time is up: SIGPROF is how Criterion says so.  A
 * child that hangs would outlive it. */
static void on_fatal_signal(int signal)
{
	for (size_t i = 0; running_of == getpid() && i < running_ct; i++) {
		kill(running[i], SIGKILL);
	}
	raise(signal); /* SA_RESETHAND: for real this time */
}

/* Where nobody else has taken the signal: sanitizers want their own reports. */
static void watch_fatal_signals(void)
{
	static const int signals[] = {
		SIGPROF, SIGTERM, SIGINT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	struct sigaction old, act = {.sa_handler = on_fatal_signal};
	act.sa_flags = (int)SA_RESETHAND;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], NULL, &old) == 0 &&
			old.sa_handler == SIG_DFL) {
			sigaction(signals[i], &act, NULL);
		}
	}
}

/* ------------------------------------------------------------- environment */

static struct {
	const char *name, *value;
} extras[ENV_MAX] = {{"BXFI_MAP", NULL}, {"LC_ALL", "C"}};
static size_t extra_ct = 2;

void child_env(const char *name, const char *value)
{
	size_t i = 0;
	while (i < extra_ct && strcmp(extras[i].name, name) != 0) {
		i++;
	}
	if (i == ENV_MAX) {
		harness_fail("more than %d variables", ENV_MAX);
	}
	extras[i].name = keep_printf("%s", name);
	extras[i].value = value ? keep_printf("%s", value) : NULL;
	extra_ct += i == extra_ct;
}

static bool is_inherited(const char *entry)
{
	if (strncmp(entry, "POOLMAP_", 8) == 0) {
		return false;
	}
	for (size_t i = 0; i < extra_ct; i++) {
		size_t len = strlen(extras[i].name);
		if (strncmp(entry, extras[i].name, len) == 0 && entry[len] == '=') {
			return false;
		}
	}
	return true;
}

/* An array to free(); the strings are not the array's. */
static char **environment(void)
{
	size_t ct = 0, n = 0;
	while (environ[ct]) {
		ct++;
	}
	char **env = calloc(ct + extra_ct + 1, sizeof(*env));
	if (!env) {
		harness_fail("no memory for an environment");
	}
	for (size_t i = 0; i < ct; i++) {
		if (is_inherited(environ[i])) {
			env[n++] = environ[i];
		}
	}
	for (size_t i = 0; i < extra_ct; i++) {
		if (extras[i].value) {
			const char *entry =
				keep_printf("%s=%s", extras[i].name, extras[i].value);
			env[n++] = (char *)(uintptr_t)entry;
		}
	}
	return env;
}

/* ------------------------------------------------------------------- start */

static void pipe_new(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0) {
		harness_fail("cannot make a pipe: %s", strerror(errno));
	}
}

static void own_end(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		harness_fail("cannot set O_NONBLOCK: %s", strerror(errno));
	}
}

static void spawn_attributes(posix_spawnattr_t *attr, unsigned flags)
{
	sigset_t none, all;
	short what = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(attr);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	if (flags & CHILD_NEW_GROUP) {
		what |= POSIX_SPAWN_SETPGROUP;
		posix_spawnattr_setpgroup(attr, 0);
	}
	posix_spawnattr_setflags(attr, what);
}

/* `ends`: what the child gets as its descriptors 0, 1 and 2. */
static pid_t spawn(const char *const argv[], const int ends[3], unsigned flags)
{
	pid_t pid;
	posix_spawnattr_t attr;
	posix_spawn_file_actions_t actions;
	/* valgrind's posix_spawn does not tell that the exec failed */
	if (strchr(argv[0], '/') && access(argv[0], X_OK) != 0) {
		harness_fail("cannot start %s: %s", argv[0], strerror(errno));
	}
	char **env = environment();
	spawn_attributes(&attr, flags);
	posix_spawn_file_actions_init(&actions);
	for (int fd = 0; fd < 3; fd++) {
		posix_spawn_file_actions_adddup2(&actions, ends[fd], fd);
	}
	int err = posix_spawnp(
		&pid, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	free(env);
	if (err) {
		harness_fail("cannot start %s: %s", argv[0], strerror(err));
	}
	return pid;
}

static void open_stdin(struct child *c, unsigned flags, int *theirs)
{
	int ends[2];
	if (flags & CHILD_NO_STDIN) {
		*theirs = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (*theirs < 0) {
			harness_fail("cannot open /dev/null: %s", strerror(errno));
		}
		return;
	}
	pipe_new(ends);
	own_end(ends[1]);
	c->in = ends[1];
	*theirs = ends[0];
}

void child_start(struct child *c, const char *const argv[], unsigned flags)
{
	int theirs[3];
	*c = (struct child){.in = -1, .fds = {-1, -1, -1}};
	open_stdin(c, flags, &theirs[0]);
	for (int fd = 1; fd < 3; fd++) {
		int ends[2];
		pipe_new(ends);
		own_end(ends[0]);
		c->fds[fd] = ends[0];
		theirs[fd] = ends[1];
		bytes_add(&c->got[fd], "", 0);
	}
	/* writing to a child that has gone is an answer, not our end */
	signal(SIGPIPE, SIG_IGN);
	watch_fatal_signals();
	c->pid = spawn(argv, theirs, flags);
	running_add(c->pid);
	for (int fd = 0; fd < 3; fd++) {
		close(theirs[fd]);
	}
	c->pidfd = pidfd_of(c->pid);
}

/* -------------------------------------------------------------------- turn */

static void close_fd(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

/* Read what is there.  At the end of the pipe, close it. */
static void collect(struct child *c, int fd)
{
	char block[65536];
	while (c->fds[fd] >= 0) {
		ssize_t n = read(c->fds[fd], block, sizeof(block));
		if (n > 0) {
			bytes_add(&c->got[fd], block, (size_t)n);
		} else if (n == 0) {
			close_fd(&c->fds[fd]);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			harness_fail("cannot read a child's pipe: %s", strerror(errno));
		}
	}
}

/* It has ended.  What it wrote before is in the pipes by now. */
static void reap(struct child *c)
{
	int raw;
	c->starved_us = process_starved_us(c->pid);
	running_remove(c->pid); /* first: from here on the number may be another's */
	if (waitpid(c->pid, &raw, 0) != c->pid) {
		harness_fail("cannot wait for %d: %s", (int)c->pid, strerror(errno));
	}
	c->exited = true;
	c->status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
	collect(c, 1);
	collect(c, 2);
}

/* With a pidfd poll() has said it; without one this asks. */
static bool has_exited(const struct child *c, const struct pollfd *pidfd)
{
	siginfo_t info = {0};
	if (c->exited || c->pidfd >= 0) {
		return !c->exited && pidfd->revents != 0;
	}
	waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
	return info.si_pid == c->pid;
}

/* Wait for anything to happen, and take it.  `writing`: also for room in its
 * standard input.  False when nothing happened until the deadline. */
static bool turn(struct child *c, bool writing, uint64_t deadline)
{
	struct pollfd polls[] = {
		{c->fds[1], POLLIN, 0},
		{c->fds[2], POLLIN, 0},
		{c->exited ? -1 : c->pidfd, POLLIN, 0},
		{writing ? c->in : -1, POLLOUT, 0},
	};
	int left = ms_until(deadline);
	bool ask = !c->exited && c->pidfd < 0 && left > HARNESS_ASK_MS;
	int n = poll(polls, 4, ask ? HARNESS_ASK_MS : left);
	if (n < 0 && errno != EINTR) {
		harness_fail("cannot poll: %s", strerror(errno));
	}
	for (int i = 0; n > 0 && i < 2; i++) {
		if (polls[i].revents) {
			collect(c, i + 1);
		}
	}
	if (n >= 0 && has_exited(c, &polls[2])) {
		reap(c);
		return true;
	}
	return n != 0 || ask;
}

/* ------------------------------------------------------------ conversation */

/* The last of what it said on standard error, for messages. */
static const char *said(const struct child *c)
{
	const struct bytes *err = &c->got[2];
	return err->data + (err->len > SAID_MAX ? err->len - SAID_MAX : 0);
}

bool child_write(struct child *c, const void *bytes, size_t len)
{
	const char *at = bytes;
	uint64_t deadline = clock_now_ms() + HARNESS_DEADLINE_MS;
	while (len > 0 && c->in >= 0) {
		ssize_t n = write(c->in, at, len);
		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno == EPIPE) {
			close_fd(&c->in);
		} else if (errno != EAGAIN && errno != EINTR) {
			harness_fail("cannot write to a child: %s", strerror(errno));
		} else if (!turn(c, true, deadline)) {
			harness_fail("a child reads no more; it said: %s", said(c));
		}
	}
	return len == 0;
}

void child_close(struct child *c, int fd)
{
	close_fd(fd == 0 ? &c->in : &c->fds[fd]);
}

/* True when the child can write no more to `fd`. */
static bool is_over(const struct child *c, int fd)
{
	return c->exited || c->fds[fd] < 0;
}

const char *child_read_line(struct child *c, int fd, unsigned deadline_ms)
{
	uint64_t deadline = clock_now_ms() + deadline_ms;
	for (;;) {
		const struct bytes *got = &c->got[fd];
		const char *from = got->data + c->lines_at[fd];
		size_t here = got->len - c->lines_at[fd];
		const char *lf = memchr(from, '\n', here);
		if (lf || (is_over(c, fd) && here > 0)) {
			size_t len = lf ? (size_t)(lf - from) : here;
			c->lines_at[fd] += lf ? len + 1 : len;
			return keep(strndup(from, len));
		}
		if (is_over(c, fd)) {
			return NULL;
		}
		if (!turn(c, false, deadline)) {
			harness_fail("no line on descriptor %d in %u ms; it said: %s",
				fd, deadline_ms, said(c));
		}
	}
}

void child_wait_output(struct child *c, int fd, const char *needle)
{
	uint64_t deadline = clock_now_ms() + HARNESS_DEADLINE_MS;
	const struct bytes *got = &c->got[fd];
	while (!memmem(got->data, got->len, needle, strlen(needle))) {
		if (is_over(c, fd)) {
			harness_fail("a child ended without \"%s\" on descriptor %d; "
				     "it said: %s",
				needle, fd, said(c));
		}
		if (!turn(c, false, deadline)) {
			harness_fail("no \"%s\" on descriptor %d in %u ms; it said: %s",
				needle, fd, HARNESS_DEADLINE_MS, said(c));
		}
	}
}

void child_signal(const struct child *c, int signal)
{
	if (!c->exited && kill(c->pid, signal) != 0) {
		harness_fail("cannot signal %d: %s", (int)c->pid, strerror(errno));
	}
}

int child_wait(struct child *c, unsigned deadline_ms)
{
	uint64_t deadline = clock_now_ms() + deadline_ms;
	while (!c->exited) {
		if (!turn(c, false, deadline)) {
			child_signal(c, SIGKILL);
			reap(c);
			harness_fail("a child did not end in %u ms, and was killed; "
				     "it said: %s",
				deadline_ms, said(c));
		}
	}
	return c->status;
}

void child_fini(struct child *c)
{
	if (!c->exited) {
		child_signal(c, SIGKILL);
		reap(c);
	}
	close_fd(&c->pidfd);
	for (int fd = 0; fd < 3; fd++) {
		child_close(c, fd);
		bytes_fini(&c->got[fd]);
	}
}

/* --------------------------------------------------------------------- run */

void run_argv(struct run_result *result, const void *input, size_t input_len,
	const char *const argv[])
{
	struct child c;
	child_start(&c, argv, input ? 0 : CHILD_NO_STDIN);
	child_write(&c, input, input_len);
	child_close(&c, 0);
	result->status = child_wait(&c, HARNESS_DEADLINE_MS);
	result->out = c.got[1].data;
	result->out_len = c.got[1].len;
	result->err = c.got[2].data;
	result->err_len = c.got[2].len;
	c.got[1] = c.got[2] = (struct bytes){0};
	child_fini(&c);
}

void run_command(struct run_result *result, const char *input, const char *argv0, ...)
{
	const char *argv[ARGS_MAX + 1] = {argv0};
	size_t ct = 1;
	va_list args;
	va_start(args, argv0);
	while ((argv[ct] = va_arg(args, const char *)) != NULL) {
		if (++ct > ARGS_MAX) {
			harness_fail("more than %d arguments", ARGS_MAX);
		}
	}
	va_end(args);
	run_argv(result, input, input ? strlen(input) : 0, argv);
}

void run_result_fini(struct run_result *result)
{
	free(result->out);
	free(result->err);
	*result = (struct run_result){0};
}
