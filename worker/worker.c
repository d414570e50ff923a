/* SPDX-License-Identifier: MIT
 *
 * worker - the process: boot, loop, end; see worker.h.
 *
 * Runs in: the worker, a fresh child of the forkserver.  It leaves by _exit()
 * only: what the host registered with atexit() is not this process's business.
 */
#include "worker/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/blackbox.h"
#include "worker/await_fd.h"
#include "worker/fetch.h"
#include "worker/hooks.h"
#include "worker/leak.h"
#include "worker/overflow.h"
#include "worker/thread.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

static struct {
	const struct boot *boot;
	struct event_base *base;
	struct blackbox *blackbox;
	bool up; /* everything is open */
} self;

struct event_base *worker_base(void)
{
	return self.base;
}

unsigned worker_slot(void)
{
	return self.boot->route.slot;
}

unsigned worker_concurrency(void)
{
	return self.boot->concurrency;
}

size_t worker_max_bytes(void)
{
	return (size_t)self.boot->max_bytes;
}

/* --------------------------------------------------------------------- end */

static void close_all(void)
{
	fetch_fini();
	thread_fini();
	await_fd_fini();
	runner_fini();
	intake_close();
	results_close();
	link_close();
	leak_fini();
	event_base_free(self.base);
	blackbox_free(self.blackbox);
}

/* Only the orderly end frees: everywhere else the kernel is quicker, and tasks
 * may stand on their stacks. */
void worker_exit(int code)
{
	if (code == PROTO_EXIT_OK && self.up) {
		hooks_fini();
	}
	if (code == PROTO_EXIT_OK && self.up && runner_started_ct() == 0) {
		close_all();
#if defined(__SANITIZE_ADDRESS__)
		__lsan_do_leak_check(); /* _exit() would skip it */
#endif
	}
	_exit(code);
}

/* -------------------------------------------------------------------- boot */

static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;
	if (config) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
		event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (!base) {
		worker_exit(PROTO_EXIT_MEMORY);
	}
	return base;
}

static void raise_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Make the table of descriptors as large as it will get, now: once there is a
 * second thread (nanomsg's), each doubling waits for an RCU grace period, some
 * 20 ms in which nothing runs. */
static void grow_files(unsigned ct)
{
	int high = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)ct);
	if (high >= 0) {
		close(high);
	}
}

/* Jobs come and go by the thousand.  Memory that malloc() gives back to the kernel
 * between two batches costs a page fault for each page of the next one: measured
 * with jobs that do nothing, a quarter of the whole CPU time. */
static void keep_memory(void)
{
	enum { KEPT_BYTES = 64 << 20, STEP_BYTES = 1 << 20 };
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
	(void)mallopt(M_TOP_PAD, STEP_BYTES);
}

/* nanomsg works by a thread of its own.  In a child of a process where it was
 * live it would look fine and never deliver: better to say so. */
static void check_nanomsg(void)
{
	int threads = 0;
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		threads += entry->d_name[0] != '.';
	}
	if (dir) {
		closedir(dir);
		if (threads < 2) {
			worker_exit(PROTO_EXIT_NANOMSG);
		}
	}
}

static void open_blackbox(int fd)
{
	self.blackbox = blackbox_attach(fd);
	if (!self.blackbox) {
		worker_exit(PROTO_EXIT_BOOT);
	}
	runner_use_blackbox(self.blackbox);
	overflow_watch(self.blackbox);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);
	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* libevent prints its complaints to standard error, which is the host's.  One of them
 * is the only word of a change that the kernel did not take, for want of memory or of
 * fs.epoll.max_user_watches: changes are collected until the loop waits.  Who waits
 * for that descriptor would do so for ever, and it may be the one that brings the jobs.
 * What is wrong with a descriptor itself is for the task that has it. */
static void on_complaint(int severity, const char *text)
{
	if (severity == EVENT_LOG_WARN && (ends_with(text, strerror(ENOSPC)) ||
						  ends_with(text, strerror(ENOMEM)))) {
		worker_exit(PROTO_EXIT_MEMORY);
	}
}

/* Nor does it end the process by exit(), which would run the host's handlers. */
static void on_fatal(int error)
{
	(void)error;
	worker_exit(PROTO_EXIT_MEMORY);
}

/* Before there is a connection: a worker that cannot start is never seen as one. */
static void initialize(void)
{
	if (hooks_init(self.boot, self.blackbox) < 0) {
		worker_exit(PROTO_EXIT_INIT);
	}
}

/* A process of pm_process_start() ends by the signal that all others ignore. */
static void heed_sigterm(void)
{
	if (self.boot->dies_of_sigterm) {
		struct sigaction act = {.sa_handler = SIG_DFL};
		sigaction(SIGTERM, &act, NULL);
	}
}

static void open_all(int lifeline, int blackbox)
{
	const struct boot *boot = self.boot;
	keep_memory();
	raise_files();
	grow_files(boot->concurrency);
	self.base = make_base();
	link_open(self.base, boot, lifeline);
	runner_init(boot->concurrency, (size_t)boot->stack_bytes, results_add);
	open_blackbox(blackbox);
	initialize();
	results_open(self.base, boot);
	intake_open(self.base, boot);
	check_nanomsg();
	if (boot->check_descriptors) {
		leak_watch();
	}
	self.up = true; /* HELLO follows when the results are connected */
}

/* -------------------------------------------------------------------- loop */

/* Tasks first: what they end with is sent in the same turn. */
static void turn(void)
{
	link_turn();
	(void)runner_turn(!results_blocked());
	results_flush(runner_held_ct() == 0);
	if (link_drained() && runner_held_ct() == 0 && results_all_sent()) {
		link_bye(results_sequence());
	}
}

void worker_main(const struct boot *boot, int lifeline, int blackbox)
{
	self.boot = boot;
	heed_sigterm();
	event_set_log_callback(on_complaint);
	event_set_fatal_callback(on_fatal);
	open_all(lifeline, blackbox);
	for (;;) {
		int how = runner_has_work(!results_blocked()) ? EVLOOP_NONBLOCK
							      : EVLOOP_ONCE;
		if (event_base_loop(self.base, how) < 0) {
			worker_exit(PROTO_EXIT_BOOT);
		}
		turn();
	}
}
