/* SPDX-License-Identifier: MIT
 *
 * io_rig - task_rig for tests of what tasks wait for: a base with the flags of the
 * real worker's, and looks at what is left of a wait.  A test file includes it once.
 */
#ifndef TESTS_UNIT_IO_RIG_H
#define TESTS_UNIT_IO_RIG_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/task_rig.h"
#include "worker/await_fd.h"
#include "worker/thread.h"

static void io_open(void)
{
	struct event_config *config = event_config_new();
	event_config_set_flag(
		config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	rig_base = event_base_new_with_config(config);
	event_config_free(config);
	cr_assert_not_null(rig_base);
	runner_init(RIG_ENDED_MAX, (size_t)2 * RIG_STACK_BYTES, rig_note_end);
}

static void io_close(void)
{
	thread_fini();
	await_fd_fini();
	rig_close();
}

static inline void queue(uint64_t id, pm_task_fn *fn, const void *arg, size_t len)
{
	struct pm_task *task = runner_new_task(len);
	cr_assert_not_null(task);
	task->id = id;
	task->fn = fn;
	if (len) {
		memcpy(task->arg, arg, len);
	}
	runner_queue(task);
}

/* What the loop has: it waits for something unless a task is ready. */
static inline void turn_loop(bool wait)
{
	bool block = wait && !runner_has_work(true);
	cr_assert_geq(
		event_base_loop(rig_base, block ? EVLOOP_ONCE : EVLOOP_NONBLOCK), 0);
}

/* One turn of the tasks, and of the loop. */
static inline void turn(void)
{
	(void)runner_turn(true);
	turn_loop(false);
}

/* Run until `ct` tasks have ended. */
static inline void run_until(size_t ct)
{
	while ((void)runner_turn(true), ended_ct < ct) {
		turn_loop(true);
	}
}

/* Run until `flag` is set. */
static inline void run_until_set(const bool *flag)
{
	while ((void)runner_turn(true), !*flag) {
		turn_loop(true);
	}
}

static inline void run_one(pm_task_fn *fn, const void *arg, size_t len)
{
	ended_ct = 0;
	queue(1, fn, arg, len);
	run_until(1);
}

static inline void expect_success(size_t i)
{
	cr_assert_eq(ended[i].failure.error, 0, "task %ju: %s: %s",
		(uintmax_t)ended[i].id, pm_error_name(ended[i].failure.error),
		ended[i].failure.message);
}

static inline void expect_all_succeed(void)
{
	for (size_t i = 0; i < ended_ct; i++) {
		expect_success(i);
	}
}

/* Descriptors that are open in this process. */
static inline unsigned count_descriptors(void)
{
	unsigned ct = 0;
	DIR *dir = opendir("/proc/self/fd");
	cr_assert_not_null(dir);
	while (readdir(dir)) {
		ct++;
	}
	closedir(dir);
	return ct;
}

/* In a task, where an assertion would leave by the wrong stack. */
#define REQUIRE(task, what)                                                            \
	do {                                                                           \
		if (!(what)) {                                                         \
			return pm_fail(task, __LINE__, "line %d: %s (%s: %s)",         \
				__LINE__, #what,                                       \
				pm_error_name(pm_task_failure(task)->error),           \
				pm_task_failure(task)->message);                       \
		}                                                                      \
	} while (0)

#endif
