/* SPDX-License-Identifier: MIT
 *
 * A kernel that watches no more descriptors: it has too many of them
 * (fs.epoll.max_user_watches), or no memory.
 */
#include "tests/support/pool_rig.h"

#include <sys/epoll.h>
#include <sys/syscall.h>

enum { LIMIT = 60 };

static bool no_space;

/* libevent's, too: the one of the program goes before that of the C library. */
__attribute__((visibility("default"))) int epoll_ctl(
	int epoll, int op, int fd, struct epoll_event *event)
{
	if (no_space && op == EPOLL_CTL_ADD) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

static void never(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
}

/* Waits, in its first run, for what would never come. */
static int task_watch(pm_task *task, const void *arg, size_t len)
{
	struct event *event;
	int ends[2];
	if (pm_task_attempt(task) > 1) {
		return pm_return(task, arg, len);
	}
	no_space = true;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		return PM_ESYSTEM;
	}
	event = event_new(pm_worker_base(), ends[0], EV_READ, never, NULL);
	if (!event || event_add(event, NULL) < 0) {
		return PM_ENOMEM;
	}
	return pm_sleep(task, 1000 * LIMIT);
}

Test(worker_watch, a_worker_that_cannot_wait_is_replaced, .timeout = LIMIT)
{
	pm_pool *pool = rig_pool(1, 1);
	struct pm_result result;
	cr_assert_eq(pm_apply(pool, task_watch, "x", 1, &result), 0);
	cr_assert_eq(result.error, 0, "%s", result.message);
	cr_assert_eq(result.attempts, 2);
	cr_assert_eq(rig_stats(pool).workers_lost, 1);
	pm_results_clear(&result, 1);
	pm_pool_close(&pool);
}
