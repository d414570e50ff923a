/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/await_fd: waits for descriptors, in tasks that run on the real
 * runner and a base with the flags of the worker's.
 */
#include "tests/unit/io_rig.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

/* What a task waits for, and what it got. */
struct wait {
	int fd;
	unsigned events;
	int timeout_ms;
	int *got;
};

TestSuite(await_fd, .init = io_open, .fini = io_close);

static int await(pm_task *task, const void *arg, size_t len)
{
	const struct wait *w = arg;
	(void)len;
	*w->got = pm_await_fd(task, w->fd, w->events, w->timeout_ms);
	return *w->got < 0 ? *w->got : 0;
}

static void queue_wait(uint64_t id, int fd, unsigned events, int timeout_ms, int *got)
{
	struct wait w = {fd, events, timeout_ms, got};
	*got = INT_MIN;
	queue(id, await, &w, sizeof w);
}

/* What one task gets that waits. */
static int wait_for(int fd, unsigned events, int timeout_ms)
{
	int got;
	ended_ct = 0;
	queue_wait(1, fd, events, timeout_ms, &got);
	run_until(1);
	return got;
}

static void make_pair(int pair[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void put(int fd, const char *text)
{
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

/* The worker would turn for nothing. */
static void expect_quiet(void)
{
	struct pollfd set = {.fd = await_fd_descriptor(), .events = POLLIN};
	cr_assert_geq(set.fd, 0);
	cr_assert_eq(poll(&set, 1, 0), 0, "a descriptor is ready that nobody awaits");
}

/* ------------------------------------------------------------------ readiness */

Test(await_fd, tells_what_is_ready_already, .timeout = 10)
{
	int pair[2];
	make_pair(pair);
	cr_assert_eq(wait_for(pair[0], PM_WRITE, PM_FOREVER), PM_WRITE);
	cr_assert_eq(wait_for(pair[0], PM_READ | PM_WRITE, PM_FOREVER), PM_WRITE);
	put(pair[1], "x");
	cr_assert_eq(
		wait_for(pair[0], PM_READ | PM_WRITE, PM_FOREVER), PM_READ | PM_WRITE);
	cr_assert_eq(wait_for(pair[0], PM_READ, PM_FOREVER), PM_READ);
	cr_assert_eq(wait_for(pair[0], PM_READ, 0), PM_READ);
	cr_assert_eq(wait_for(pair[0], PM_READ, 10000), PM_READ);
	expect_quiet();
	close_pair(pair);
}

Test(await_fd, waits_until_it_is_ready, .timeout = 10)
{
	int pair[2], got;
	make_pair(pair);
	for (int i = 0; i < 3; i++) {
		char byte;
		ended_ct = 0;
		queue_wait(1, pair[0], PM_READ, i == 1 ? 60000 : PM_FOREVER, &got);
		turn();
		turn();
		cr_assert_eq(ended_ct, 0);
		put(pair[1], "x");
		run_until(1);
		cr_assert_eq(got, PM_READ);
		cr_assert_eq(read(pair[0], &byte, 1), 1);
	}
	expect_quiet();
	close_pair(pair);
}

Test(await_fd, takes_an_end_and_a_broken_pipe_for_ready, .timeout = 10)
{
	int pair[2], pipe_fds[2];
	make_pair(pair);
	close(pair[1]);
	cr_assert_eq(wait_for(pair[0], PM_READ, PM_FOREVER), PM_READ);
	cr_assert_eq(wait_for(pair[0], PM_WRITE, PM_FOREVER), PM_WRITE);
	close(pair[0]);
	cr_assert_eq(pipe2(pipe_fds, O_NONBLOCK), 0);
	close(pipe_fds[0]);
	cr_assert_eq(wait_for(pipe_fds[1], PM_WRITE, PM_FOREVER), PM_WRITE);
	close(pipe_fds[1]);
}

Test(await_fd, serves_many_at_once, .timeout = 10)
{
	enum { CT = 200 };
	static int pairs[CT][2], got[CT];
	for (int i = 0; i < CT; i++) {
		make_pair(pairs[i]);
		queue_wait((uint64_t)i, pairs[i][0], PM_READ, PM_FOREVER, &got[i]);
	}
	turn();
	for (int i = CT - 1; i >= 0; i--) {
		put(pairs[i][1], "x");
	}
	run_until(CT);
	for (int i = 0; i < CT; i++) {
		cr_assert_eq(got[i], PM_READ);
		close_pair(pairs[i]);
	}
	expect_quiet();
}

/* ------------------------------------------------------------------- time-out */

Test(await_fd, times_out, .timeout = 10)
{
	int pair[2];
	make_pair(pair);
	uint64_t before_ms = clock_now_ms();
	cr_assert_eq(wait_for(pair[0], PM_READ, 30), PM_ETIMEDOUT);
	cr_assert_geq(clock_now_ms() - before_ms, 25);
	cr_assert_eq(ended[0].failure.error, PM_ETIMEDOUT);
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_ERRNO);
	cr_assert_eq(ended[0].failure.code, ETIMEDOUT);
	cr_assert_str_not_empty(ended[0].failure.message);
	cr_assert_eq(wait_for(pair[0], PM_READ, 0), PM_ETIMEDOUT);
	put(pair[1], "x");
	cr_assert_eq(wait_for(pair[0], PM_READ, 0), PM_READ, "it was given up");
	expect_quiet();
	close_pair(pair);
}

/* A loop that comes late sees the time first. */
Test(await_fd, prefers_what_is_ready_to_the_time, .timeout = 10)
{
	int pair[2], got;
	make_pair(pair);
	queue_wait(1, pair[0], PM_READ, 1, &got);
	(void)runner_turn(true);
	put(pair[1], "x");
	uint64_t before_ms = clock_now_ms();
	while (clock_now_ms() < before_ms + 5) {
	}
	run_until(1);
	cr_assert_eq(got, PM_READ);
	close_pair(pair);
}

/* -------------------------------------------------------------- what is no use */

static void expect_invalid(int fd, unsigned events, int code)
{
	cr_assert_eq(wait_for(fd, events, PM_FOREVER), PM_EINVAL, "%d, %u", fd, events);
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_ERRNO);
	cr_assert_eq(
		ended[0].failure.code, code, "%d: %s", fd, ended[0].failure.message);
}

Test(await_fd, refuses_what_is_no_descriptor, .timeout = 10)
{
	expect_invalid(-1, PM_READ, EBADF);
	expect_invalid(60000, PM_READ, EBADF); /* the set is open now */
	int fd = dup(STDERR_FILENO);
	close(fd);
	expect_invalid(fd, PM_READ, EBADF);
	expect_invalid(INT_MIN, PM_READ, EBADF);
	expect_invalid(INT_MAX, PM_READ, EBADF);
}

Test(await_fd, refuses_what_cannot_be_polled, .timeout = 10)
{
	static const char *const paths[] = {"/etc/passwd", "/", "/dev/null"};
	for (size_t i = 0; i < 3; i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		cr_assert_geq(fd, 0);
		expect_invalid(fd, PM_READ, EPERM);
		close(fd);
	}
}

Test(await_fd, refuses_other_events, .timeout = 10)
{
	int pair[2];
	make_pair(pair);
	expect_invalid(pair[0], 0, EINVAL);
	expect_invalid(pair[0], 4, EINVAL);
	expect_invalid(pair[0], PM_READ | 8, EINVAL);
	close_pair(pair);
}

/* ----------------------------------------------------------------- two of them */

Test(await_fd, wakes_both_who_wait_for_the_same, .timeout = 10)
{
	int pair[2], got[2];
	make_pair(pair);
	queue_wait(1, pair[0], PM_READ, PM_FOREVER, &got[0]);
	queue_wait(2, pair[0], PM_READ, 60000, &got[1]);
	turn();
	put(pair[1], "x");
	run_until(2);
	cr_assert_eq(got[0], PM_READ);
	cr_assert_eq(got[1], PM_READ);
	close_pair(pair);
}

Test(await_fd, lets_one_read_and_one_write, .timeout = 10)
{
	int pair[2], got[2];
	make_pair(pair);
	queue_wait(1, pair[0], PM_READ, PM_FOREVER, &got[0]);
	queue_wait(2, pair[0], PM_WRITE, PM_FOREVER, &got[1]);
	run_until(1);
	cr_assert_eq(ended[0].id, 2);
	cr_assert_eq(got[1], PM_WRITE);
	expect_quiet();
	put(pair[1], "x");
	run_until(2);
	cr_assert_eq(got[0], PM_READ);
	close_pair(pair);
}

Test(await_fd, lets_one_go_on_when_the_other_gives_up, .timeout = 10)
{
	int pair[2], got[3];
	make_pair(pair);
	queue_wait(1, pair[0], PM_READ, 1, &got[0]);
	queue_wait(2, pair[0], PM_READ, PM_FOREVER, &got[1]);
	queue_wait(3, pair[0], PM_READ, PM_FOREVER, &got[2]);
	run_until(1);
	cr_assert_eq(got[0], PM_ETIMEDOUT);
	cr_assert(runner_cancel(3));
	run_until(2);
	cr_assert_eq(got[2], PM_ECANCELLED);
	put(pair[1], "x");
	run_until(3);
	cr_assert_eq(got[1], PM_READ);
	close_pair(pair);
}

/* ---------------------------------------------------------------- cancellation */

Test(await_fd, stops_when_it_is_cancelled, .timeout = 10)
{
	int pair[2], got;
	make_pair(pair);
	for (int i = 0; i < 2; i++) {
		ended_ct = 0;
		queue_wait(1, pair[0], PM_READ, i ? 60000 : PM_FOREVER, &got);
		turn();
		cr_assert(runner_cancel(1));
		(void)runner_turn(true);
		cr_assert_eq(ended_ct, 1);
		cr_assert_eq(got, PM_ECANCELLED);
		cr_assert_eq(
			event_base_get_num_events(rig_base, EVENT_BASE_COUNT_ADDED), 1,
			"a timer is left");
	}
	put(pair[1], "x");
	expect_quiet();
	close_pair(pair);
}

Test(await_fd, gives_what_came_before_the_cancellation, .timeout = 10)
{
	int pair[2], got;
	make_pair(pair);
	put(pair[1], "x");
	queue_wait(1, pair[0], PM_READ, PM_FOREVER, &got);
	turn();
	cr_assert(runner_cancel(1));
	run_until(1);
	cr_assert_eq(got, PM_READ);
	close_pair(pair);
}

static int await_cancelled(pm_task *task, const void *arg, size_t len)
{
	const struct wait *w = arg;
	(void)len;
	(void)!pm_sleep(task, 3600000);
	*w->got = pm_await_fd(task, w->fd, w->events, w->timeout_ms);
	return *w->got;
}

Test(await_fd, does_not_wait_when_it_was_cancelled_before, .timeout = 10)
{
	int pair[2], got = 0;
	make_pair(pair);
	put(pair[1], "x");
	struct wait w = {pair[0], PM_READ, PM_FOREVER, &got};
	queue(1, await_cancelled, &w, sizeof w);
	turn();
	cr_assert(runner_cancel(1));
	run_until(1);
	cr_assert_eq(got, PM_ECANCELLED);
	expect_quiet();
	close_pair(pair);
}

/* --------------------------------------------------------------------- closing */

/* A duplicate keeps what was closed in every epoll set that it was in. */
Test(await_fd, forgets_a_closed_descriptor_whose_duplicate_lives, .timeout = 10)
{
	for (int how = 0; how < 3; how++) {
		int pair[2], got;
		make_pair(pair);
		int twin = dup(pair[0]);
		ended_ct = 0;
		queue_wait(1, pair[0], PM_READ, how == 1 ? 1 : PM_FOREVER, &got);
		turn();
		if (how == 0) {
			put(pair[1], "x");
		} else if (how == 2) {
			cr_assert(runner_cancel(1));
		}
		run_until(1);
		close(pair[0]);
		put(pair[1], "more");
		expect_quiet();
		close(twin);
		close(pair[1]);
	}
}

Test(await_fd, waits_for_a_number_that_was_another_descriptor, .timeout = 10)
{
	int pair[2], other[2], got;
	for (int i = 0; i < 3; i++) {
		make_pair(pair);
		put(pair[1], "x");
		cr_assert_eq(wait_for(pair[0], PM_READ, PM_FOREVER), PM_READ);
		make_pair(other);
		cr_assert_eq(dup2(other[0], pair[0]), pair[0]);
		ended_ct = 0;
		queue_wait(1, pair[0], PM_READ, PM_FOREVER, &got);
		turn();
		cr_assert_eq(ended_ct, 0);
		put(other[1], "y");
		run_until(1);
		cr_assert_eq(got, PM_READ);
		close_pair(pair);
		close_pair(other);
	}
}

static int await_then_close(pm_task *task, const void *arg, size_t len)
{
	const struct wait *w = arg;
	(void)len;
	*w->got = pm_await_fd(task, w->fd, w->events, w->timeout_ms);
	close(w->fd);
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
		return PM_ESYSTEM;
	}
	int again = pm_await_fd(task, pair[0], PM_READ | PM_WRITE, 10000);
	close_pair(pair);
	return pair[0] == w->fd && again == PM_WRITE ? 0 : PM_EFAILED;
}

Test(await_fd, may_be_closed_and_used_again_at_once, .timeout = 10)
{
	int pair[2], got = 0;
	make_pair(pair);
	put(pair[1], "x");
	struct wait w = {pair[0], PM_READ, PM_FOREVER, &got};
	run_one(await_then_close, &w, sizeof w);
	expect_success(0);
	cr_assert_eq(got, PM_READ);
	close(pair[1]);
}

/* ------------------------------------------------------------------------- end */

Test(await_fd, is_closed_and_opened_again, .timeout = 10)
{
	int pair[2];
	unsigned before = count_descriptors();
	cr_assert_eq(await_fd_descriptor(), -1);
	make_pair(pair);
	cr_assert_eq(wait_for(pair[0], PM_WRITE, 10000), PM_WRITE);
	await_fd_fini();
	cr_assert_eq(await_fd_descriptor(), -1);
	await_fd_fini();
	cr_assert_eq(count_descriptors(), before + 2);
	cr_assert_eq(wait_for(pair[0], PM_WRITE, 10000), PM_WRITE);
	close_pair(pair);
}
