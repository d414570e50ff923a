/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/leak: descriptors that tasks leave open.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/task_rig.h"
#include "worker/fetch.h"
#include "worker/leak.h"

static void open_and_watch(void)
{
	rig_open();
	leak_watch();
}

static void close_and_forget(void)
{
	leak_fini();
	rig_close();
}

TestSuite(leak, .init = open_and_watch, .fini = close_and_forget);

static int opened[8];
static unsigned opened_ct;

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Leaves this file open; "" leaves nothing. */
static int leave_open(pm_task *task, const void *arg, size_t len)
{
	if (len) {
		int fd = open(arg, O_RDONLY | O_CLOEXEC);
		EXPECT(task, fd >= 0);
		opened[opened_ct++] = fd;
	}
	return pm_sleep(task, 0);
}

static void expect_leak(const struct ended *e, const char *of)
{
	char want[100];
	snprintf(want, sizeof want, "left 1 descriptor open: %d -> %s", opened[0], of);
	rig_expect(e, PM_ELEAK, want);
	cr_assert_not(is_open(opened[0]), "closed");
}

Test(leak, fails_the_job, .timeout = 30)
{
	expect_leak(rig_run(leave_open, "/etc/passwd"), "/etc/passwd");
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_NONE);
	cr_assert_eq(ended[0].failure.code, 0);
	rig_expect(rig_run(leave_open, ""), 0, "");
}

static int close_again(pm_task *task, const void *arg, size_t len)
{
	EXPECT(task, leave_open(task, arg, len) == 0);
	close(opened[0]);
	return 0;
}

Test(leak, is_none_when_it_is_closed, .timeout = 30)
{
	rig_expect(rig_run(close_again, "/etc/passwd"), 0, "");
}

static int leave_two(pm_task *task, const void *arg, size_t len)
{
	EXPECT(task, leave_open(task, arg, len) == 0);
	return leave_open(task, arg, len);
}

Test(leak, names_all_that_is_open, .timeout = 30)
{
	char want[100];
	const struct ended *e = rig_run(leave_two, "/etc/passwd");
	snprintf(want, sizeof want,
		"left 2 descriptors open: %d -> /etc/passwd, %d -> /etc/passwd",
		opened[0], opened[1]);
	rig_expect(e, PM_ELEAK, want);
}

static int leave_and_fail(pm_task *task, const void *arg, size_t len)
{
	EXPECT(task, leave_open(task, arg, len) == 0);
	return pm_fail(task, 8, "no price");
}

Test(leak, is_said_beside_another_failure, .timeout = 30)
{
	char want[100];
	const struct ended *e = rig_run(leave_and_fail, "/etc/passwd");
	snprintf(want, sizeof want,
		"no price; left 1 descriptor open: %d -> /etc/passwd", opened[0]);
	rig_expect(e, PM_EFAILED, want);
	cr_assert_eq(e->failure.code, 8);
}

static int leave_in_a_child(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, leave_open, arg, len, &child) == 0);
	return pm_await_child(task, child, PM_FOREVER);
}

Test(leak, may_be_a_childs, .timeout = 30)
{
	expect_leak(rig_run(leave_in_a_child, "/etc/passwd"), "/etc/passwd");
}

/* ------------------------------------------------------------ not to blame */

static int wait_long(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;

	return pm_sleep(task, 60000);
}

/* Whose it is cannot be told. */
Test(leak, is_not_looked_for_beside_another_job, .timeout = 30)
{
	(void)rig_queue(1, wait_long, "");
	(void)rig_queue(2, leave_open, "/etc/passwd");
	rig_run_until(1);
	rig_expect(&ended[0], 0, "");
	cr_assert(runner_cancel(1));
	rig_run_until(2);
	rig_expect(&ended[1], PM_ECANCELLED, "cancelled");
	cr_assert(is_open(opened[0]));
	rig_expect(rig_run(leave_open, ""), 0, "");
	cr_assert(is_open(opened[0]), "it was there before");
	close(opened[0]);
}

static int open_and_keep(pm_task *task, const void *arg, size_t len)
{
	EXPECT(task, leave_open(task, arg, len) == 0);
	leak_keep(opened[0]);
	return 0;
}

Test(leak, is_none_of_what_the_worker_keeps, .timeout = 30)
{
	rig_expect(rig_run(open_and_keep, "/etc/passwd"), 0, "");
	cr_assert(is_open(opened[0]));
	close(opened[0]);
}

static int leave_a_socket(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	opened[opened_ct++] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(task, is_open(opened[0]));
	return 0;
}

Test(leak, may_be_a_socket, .timeout = 30)
{
	const struct ended *e = rig_run(leave_a_socket, "");
	cr_assert_eq(e->failure.error, PM_ELEAK);
	cr_assert_not_null(
		strstr(e->failure.message, "socket:["), "%s", e->failure.message);
}

/* It does not even get to the network, but nobody knows that. */
static int fetch_nothing(pm_task *task, const void *arg, size_t len)
{
	struct pm_response *response;
	(void)arg;
	(void)len;
	EXPECT(task, pm_await_get(task, "ftp://nowhere/", &response) == PM_ESCHEME);
	return 0;
}

static int fetch_in_a_child(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, fetch_nothing, arg, len, &child) == 0);
	return pm_await_child(task, child, PM_FOREVER);
}

Test(leak, is_no_socket_where_there_was_a_fetch, .timeout = 30)
{
	rig_expect(rig_run(fetch_in_a_child, ""), 0, "");
	rig_expect(rig_run(leave_a_socket, ""), 0, "");
	cr_assert(is_open(opened[0]));
	close(opened[0]);
	opened_ct = 0;
	expect_leak(rig_run(leave_open, "/etc/passwd"), "/etc/passwd");
	fetch_fini();
}

static void *wait_for_the_end(void *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return NULL;
}

Test(leak, is_not_looked_for_while_libcurl_may_open_files, .timeout = 30)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	rig_expect(rig_run(fetch_nothing, ""), 0, "");
	pthread_mutex_lock(&lock);
	cr_assert_eq(pthread_create(&thread, NULL, wait_for_the_end, &lock), 0);
	rig_expect(rig_run(leave_open, "/etc/passwd"), 0, "");
	cr_assert(is_open(opened[0]));
	close(opened[0]);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	fetch_fini();
}

Test(leak, is_not_looked_for_while_a_thread_works_for_nobody, .timeout = 30)
{
	leak_stray(true);
	rig_expect(rig_run(leave_open, "/etc/passwd"), 0, "");
	close(opened[0]);
	opened_ct = 0;
	leak_stray(false);
	expect_leak(rig_run(leave_open, "/etc/passwd"), "/etc/passwd");
}
