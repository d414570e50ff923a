/* SPDX-License-Identifier: MIT
 *
 * torture - a library that is loaded before all others (LD_PRELOAD) and lets one call
 * of one process fail: the k-th that takes memory, makes a process, opens or writes.
 *
 *   TORTURE_WHO    master, forkserver or worker: by how many forks it is away from
 *                  the process that has main()
 *   TORTURE_WHAT   memory, process, open, write, wire or map; see the table
 *   TORTURE_AT     k, counted from 1 and from the first line of main(); all workers
 * have one count.  0: only count TORTURE_ON     when set: all that come after it fail,
 * too TORTURE_STATE  a file that gets two numbers: calls, and failures of them
 *   TORTURE_TRACE  when set: the way to the first failure, and to a crash or SIGALRM
 *                  after it, on standard error
 *
 * Runs in: every process of a run under tests/fault/long/torture.sh.  What nanomsg
 * calls is never let down: it ends its process with an assertion then, and says so in
 * its manual.  Must not take memory itself but where it says so.
 */
#undef _FORTIFY_SOURCE /* its inline functions have the names of ours */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

/* The true ones of memory, which need no look-up: that takes memory itself. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

enum what { MEMORY, PROCESS, OPEN, WRITE, WIRE, MAP, WHAT_CT };
enum { SPARED_MAX = 8 };
static const char *const whats[] = {
	"memory", "process", "open", "write", "wire", "map"};
static const char *const roles[] = {"master", "forkserver", "worker"};

/* In the file that all processes share. */
struct state {
	atomic_ulong calls, failures;
};

static struct {
	bool armed; /* main() runs */
	unsigned role, who;
	unsigned what;
	unsigned long at;
	bool on, trace;
	struct state *state;
	struct {
		uintptr_t from, to;
	} spared[SPARED_MAX]; /* code of libraries */
	size_t spared_ct;
} plan;

static _Thread_local bool inside __attribute__((tls_model("initial-exec")));

/* ------------------------------------------------------------- what fails */

static void show_way(void)
{
	void *frames[32];
	int ct = backtrace(frames, 32);
	backtrace_symbols_fd(frames, ct, STDERR_FILENO);
}

/* By a return address. */
static bool is_spared(uintptr_t caller)
{
	for (size_t i = 0; i < plan.spared_ct; i++) {
		if (caller >= plan.spared[i].from && caller < plan.spared[i].to) {
			return true;
		}
	}
	return false;
}

static bool fails_for(uintptr_t caller, enum what what, int error)
{
	if (!plan.armed || inside || what != plan.what || plan.role != plan.who ||
		is_spared(caller)) {
		return false;
	}
	unsigned long call = atomic_fetch_add(&plan.state->calls, 1) + 1;
	if (!plan.at || call < plan.at || (call > plan.at && !plan.on)) {
		return false;
	}
	if (atomic_fetch_add(&plan.state->failures, 1) == 0 && plan.trace) {
		inside = true;
		show_way();
		inside = false;
	}
	errno = error;
	return true;
}
#define CALLER ((uintptr_t)__builtin_return_address(0))
#define FAILS(what, error) fails_for(CALLER, what, error)

static void *look_up(const char *name)
{
	bool before = inside;
	inside = true;
	void *found = dlsym(RTLD_NEXT, name);
	inside = before;
	return found;
}

/* A function of ours that fails in its turn, and else does what it always did. */
#define FUNCTION(type, failure, what, error, name, parameters, arguments)              \
	SHOWN type name parameters                                                     \
	{                                                                              \
		static type(*true_one) parameters;                                     \
		if (FAILS(what, error)) {                                              \
			return failure;                                                \
		}                                                                      \
		if (!true_one) {                                                       \
			*(void **)&true_one = look_up(#name);                          \
		}                                                                      \
		return true_one arguments;                                             \
	}

/* ------------------------------------------------------------------ memory */

#ifndef __SANITIZE_ADDRESS__ /* which has a malloc() of its own */

SHOWN void *malloc(size_t size)
{
	return FAILS(MEMORY, ENOMEM) ? NULL : __libc_malloc(size);
}

SHOWN void *calloc(size_t ct, size_t size)
{
	return FAILS(MEMORY, ENOMEM) ? NULL : __libc_calloc(ct, size);
}

SHOWN void *realloc(void *old, size_t size)
{
	return FAILS(MEMORY, ENOMEM) ? NULL : __libc_realloc(old, size);
}

SHOWN void *reallocarray(void *old, size_t ct, size_t size)
{
	size_t bytes;
	if (FAILS(MEMORY, ENOMEM) || __builtin_mul_overflow(ct, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(old, bytes);
}

SHOWN void *memalign(size_t alignment, size_t size)
{
	return FAILS(MEMORY, ENOMEM) ? NULL : __libc_memalign(alignment, size);
}

SHOWN void *aligned_alloc(size_t alignment, size_t size)
{
	return FAILS(MEMORY, ENOMEM) ? NULL : __libc_memalign(alignment, size);
}

SHOWN int posix_memalign(void **memory, size_t alignment, size_t size)
{
	void *got = FAILS(MEMORY, ENOMEM) ? NULL : __libc_memalign(alignment, size);
	if (!got) {
		return ENOMEM;
	}
	*memory = got;
	return 0;
}

#endif

FUNCTION(void *, MAP_FAILED, MAP, ENOMEM, mmap,
	(void *at, size_t len, int prot, int flags, int fd, off_t offset),
	(at, len, prot, flags, fd, offset))
FUNCTION(int, -1, MAP, ENOMEM, mprotect, (void *at, size_t len, int prot),
	(at, len, prot))

/* --------------------------------------------------------------- processes */

SHOWN pid_t fork(void)
{
	static pid_t (*true_one)(void);
	if (FAILS(PROCESS, EAGAIN)) {
		return -1;
	}
	if (!true_one) {
		*(void **)&true_one = look_up("fork");
	}
	pid_t pid = true_one();
	plan.role += pid == 0;
	return pid;
}

/* Takes memory itself, for those that are spared, too. */
SHOWN int pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*true_one)(
		pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	if (FAILS(PROCESS, EAGAIN)) {
		return EAGAIN;
	}
	if (!true_one) {
		*(void **)&true_one = look_up("pthread_create");
	}
	inside = is_spared(CALLER);
	int error = true_one(thread, attr, fn, arg);
	inside = false;
	return error;
}

/* ------------------------------------------------------------- descriptors */

FUNCTION(int, -1, OPEN, EMFILE, socket, (int family, int type, int protocol),
	(family, type, protocol))
FUNCTION(int, -1, OPEN, EMFILE, socketpair,
	(int family, int type, int protocol, int ends[2]),
	(family, type, protocol, ends))
FUNCTION(int, -1, OPEN, EMFILE, accept4,
	(int fd, struct sockaddr *at, socklen_t *len, int flags), (fd, at, len, flags))
FUNCTION(int, -1, OPEN, EMFILE, pipe2, (int ends[2], int flags), (ends, flags))
FUNCTION(int, -1, OPEN, EMFILE, pipe, (int ends[2]), (ends))
FUNCTION(int, -1, OPEN, EMFILE, epoll_create1, (int flags), (flags))
FUNCTION(int, -1, OPEN, ENOSPC, epoll_ctl,
	(int epoll, int op, int fd, struct epoll_event *event), (epoll, op, fd, event))
FUNCTION(int, -1, OPEN, EMFILE, eventfd, (unsigned value, int flags), (value, flags))
FUNCTION(int, -1, OPEN, EMFILE, timerfd_create, (clockid_t clock, int flags),
	(clock, flags))
FUNCTION(int, -1, OPEN, EMFILE, signalfd, (int fd, const sigset_t *set, int flags),
	(fd, set, flags))
FUNCTION(int, -1, OPEN, EMFILE, dup2, (int from, int to), (from, to))
FUNCTION(FILE *, NULL, OPEN, EMFILE, fopen, (const char *path, const char *mode),
	(path, mode))
FUNCTION(DIR *, NULL, OPEN, EMFILE, opendir, (const char *path), (path))
FUNCTION(DIR *, NULL, OPEN, ENOMEM, fdopendir, (int fd), (fd))

/* The third argument of open(), when it has one. */
#define MODE_OF(flags, last)                                                           \
	mode_t mode = 0;                                                               \
	if ((flags) & (O_CREAT | __O_TMPFILE)) {                                       \
		va_list more;                                                          \
		va_start(more, last);                                                  \
		mode = va_arg(more, mode_t);                                           \
		va_end(more);                                                          \
	}

SHOWN int open(const char *path, int flags, ...)
{
	static int (*true_one)(const char *, int, ...);
	MODE_OF(flags, flags);
	if (FAILS(OPEN, flags & O_CREAT ? ENOSPC : EMFILE)) {
		return -1;
	}
	if (!true_one) {
		*(void **)&true_one = look_up("open");
	}
	return true_one(path, flags, mode);
}

SHOWN int openat(int dir, const char *path, int flags, ...)
{
	static int (*true_one)(int, const char *, int, ...);
	MODE_OF(flags, flags);
	if (FAILS(OPEN, flags & O_CREAT ? ENOSPC : EMFILE)) {
		return -1;
	}
	if (!true_one) {
		*(void **)&true_one = look_up("openat");
	}
	return true_one(dir, path, flags, mode);
}

/* What the compiler makes of open() with checks. */
int __open_2(const char *path, int flags);
FUNCTION(int, -1, OPEN, EMFILE, __open_2, (const char *path, int flags), (path, flags))

/* Reads arguments that may not be there. */
#define GREEDY __attribute__((no_sanitize_address))

SHOWN GREEDY int fcntl(int fd, int command, ...)
{
	static int (*true_one)(int, int, ...);
	va_list more;
	va_start(more, command);
	void *argument = va_arg(more, void *);
	va_end(more);
	if (command == F_DUPFD_CLOEXEC && FAILS(OPEN, EMFILE)) {
		return -1;
	}
	if (!true_one) {
		*(void **)&true_one = look_up("fcntl");
	}
	return true_one(fd, command, argument);
}

SHOWN GREEDY long syscall(long number, ...)
{
	static long (*true_one)(long, ...);
	long a[6];
	va_list more;
	va_start(more, number);
	for (int i = 0; i < 6; i++) {
		a[i] = va_arg(more, long);
	}
	va_end(more);
	if ((number == SYS_pidfd_open || number == SYS_memfd_create) &&
		FAILS(OPEN, EMFILE)) {
		return -1;
	}
	if (!true_one) {
		*(void **)&true_one = look_up("syscall");
	}
	return true_one(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ------------------------------------------------------------------- disk */

/* Pipes and the like have no disk that can be full; and what is wrong shall be told. */
static bool is_file(int fd)
{
	struct stat status;
	return fd != STDERR_FILENO && fstat(fd, &status) == 0 &&
	       S_ISREG(status.st_mode);
}

SHOWN ssize_t write(int fd, const void *bytes, size_t len)
{
	static ssize_t (*true_one)(int, const void *, size_t);
	if (is_file(fd) && FAILS(WRITE, ENOSPC)) {
		return -1;
	}
	if (!true_one) {
		*(void **)&true_one = look_up("write");
	}
	return true_one(fd, bytes, len);
}

FUNCTION(int, -1, WRITE, EIO, fsync, (int fd), (fd))
FUNCTION(int, -1, WRITE, EIO, fdatasync, (int fd), (fd))
FUNCTION(int, -1, WRITE, EIO, ftruncate, (int fd, off_t len), (fd, len))
FUNCTION(int, -1, WRITE, ENOSPC, mkdir, (const char *path, mode_t mode), (path, mode))
FUNCTION(int, -1, WRITE, ENOSPC, mkdirat, (int dir, const char *path, mode_t mode),
	(dir, path, mode))
FUNCTION(int, -1, WRITE, ENOSPC, mkostemp, (char *path, int flags), (path, flags))
FUNCTION(int, -1, WRITE, ENOSPC, rename, (const char *from, const char *to), (from, to))
FUNCTION(int, -1, WRITE, ENOSPC, renameat,
	(int from_dir, const char *from, int to_dir, const char *to),
	(from_dir, from, to_dir, to))
FUNCTION(int, -1, WRITE, ENOSPC, linkat,
	(int from_dir, const char *from, int to_dir, const char *to, int flags),
	(from_dir, from, to_dir, to, flags))
FUNCTION(int, -1, WRITE, EIO, fchmod, (int fd, mode_t mode), (fd, mode))
FUNCTION(off_t, -1, WRITE, EIO, lseek, (int fd, off_t offset, int whence),
	(fd, offset, whence))

/* ------------------------------------------------------------------- wires */

FUNCTION(ssize_t, -1, WIRE, ENOBUFS, send,
	(int fd, const void *bytes, size_t len, int flags), (fd, bytes, len, flags))
FUNCTION(ssize_t, -1, WIRE, ENOBUFS, sendmsg,
	(int fd, const struct msghdr *message, int flags), (fd, message, flags))
FUNCTION(ssize_t, -1, WIRE, ENOMEM, recvmsg,
	(int fd, struct msghdr *message, int flags), (fd, message, flags))

/* ------------------------------------------------------------------- start */

_Noreturn static void refuse(const char *what)
{
	dprintf(STDERR_FILENO, "torture: %s\n", what);
	_exit(99);
}

static unsigned number_of(const char *name, const char *const names[], unsigned ct)
{
	const char *given = getenv(name);
	for (unsigned i = 0; given && i < ct; i++) {
		if (strcmp(given, names[i]) == 0) {
			return i;
		}
	}
	refuse(name);
}

static int find_spared(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	if (!strstr(info->dlpi_name, "libnanomsg") &&
		!strstr(info->dlpi_name, "libconfuse")) {
		return 0;
	}
	for (int i = 0; i < info->dlpi_phnum && plan.spared_ct < SPARED_MAX; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
			uintptr_t from = info->dlpi_addr + p->p_vaddr;
			plan.spared[plan.spared_ct].from = from;
			plan.spared[plan.spared_ct++].to = from + p->p_memsz;
		}
	}
	return 0;
}

static void map_state(void)
{
	const char *path = getenv("TORTURE_STATE");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd < 0 || ftruncate(fd, sizeof *plan.state)) {
		refuse("TORTURE_STATE");
	}
	plan.state = mmap(
		NULL, sizeof *plan.state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (plan.state == MAP_FAILED) {
		refuse("no memory for the state");
	}
}

static void crashed(int number)
{
	inside = true;
	dprintf(STDERR_FILENO, "torture: signal %d\n", number);
	show_way();
	_exit(99);
}

static void read_plan(void)
{
	const char *at = getenv("TORTURE_AT");
	plan.who = number_of("TORTURE_WHO", roles, 3);
	plan.what = number_of("TORTURE_WHAT", whats, WHAT_CT);
	plan.at = at ? strtoul(at, NULL, 10) : 0;
	plan.on = getenv("TORTURE_ON") != NULL;
	plan.trace = getenv("TORTURE_TRACE") != NULL;
	map_state();
	dl_iterate_phdr(find_spared, NULL);
	if (plan.trace) {
		void *frame;
		backtrace(&frame, 1); /* takes memory, the first time */
		signal(SIGSEGV, crashed);
		signal(SIGALRM, crashed);
	}
	plan.armed = true;
}

static int (*true_main)(int, char **, char **);

/* Before main() libraries set themselves up, and some give up without a word. */
static int armed_main(int argc, char **argv, char **env)
{
	if (getenv("TORTURE_WHO")) {
		read_plan();
	}
	return true_main(argc, argv, env);
}

typedef int start_fn(int (*)(int, char **, char **), int, char **, void (*)(void),
	void (*)(void), void (*)(void), void *);
start_fn __libc_start_main;

SHOWN int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv,
	void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
	void *stack_end)
{
	start_fn *next;
	*(void **)&next = look_up("__libc_start_main");
	true_main = start;
	return next(armed_main, argc, argv, init, fini, rtld_fini, stack_end);
}
