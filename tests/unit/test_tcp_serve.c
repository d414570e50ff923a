/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/tcp_serve: a child for each connection, on the real runner.
 * Clients are other tasks, and sockets of the test's.
 */
#include "tests/unit/io_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static bool no_stacks; /* there is no memory for another one */

/* In place of libc's. */
void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (no_stacks && flags & MAP_STACK) {
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

static bool no_descriptors; /* for one more connection */

/* In place of libc's. */
int accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	if (no_descriptors) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, peer, len, flags);
}

static unsigned descriptors_before;

static void open_net(void)
{
	descriptors_before = count_descriptors();
	io_open();
}

static void close_net(void)
{
	io_close();
	cr_assert_eq(count_descriptors(), descriptors_before, "some were left open");
}

TestSuite(tcp_serve, .init = open_net, .fini = close_net);

/* ------------------------------------------------------------------- the server */

static struct {
	unsigned max;
	pm_tcp_handler_fn *handler;
	pm_tcp_listener *listener;
	uint16_t port;
	bool up;
	bool stays; /* after pm_tcp_serve() has returned, until it is cancelled */
	int error;  /* of pm_tcp_serve() */
} server;

enum { SERVER = 1000 };

/* What handlers do. */
static unsigned begun_ct, inside_ct, most_ct, cancelled_ct;

static int task_serve(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	EXPECT(task, pm_tcp_listen(task, "127.0.0.1", 0, &server.listener) == 0);
	server.port = pm_tcp_port(server.listener);
	server.up = true;
	server.error = pm_tcp_serve(
		task, server.listener, server.max, server.handler, &server);
	return server.stays ? pm_sleep(task, 3600000) : server.error;
}

static void start_server(unsigned max, pm_tcp_handler_fn *handler)
{
	ended_ct = 0;
	server.max = max;
	server.handler = handler;
	queue(SERVER, task_serve, NULL, 0);
	run_until_set(&server.up);
}

/* It has ended as the last one. */
static void stop_server(void)
{
	cr_assert(runner_cancel(SERVER));
	run_until(ended_ct + 1);
	cr_assert_eq(ended[ended_ct - 1].id, SERVER);
	cr_assert_eq(ended[ended_ct - 1].failure.error, PM_ECANCELLED);
}

static void enter(void)
{
	begun_ct++;
	inside_ct++;
	most_ct = inside_ct > most_ct ? inside_ct : most_ct;
}

/* Line by line, until the end. */
static int echo(pm_task *task, pm_tcp *tcp, void *ctx)
{
	const char *line;
	size_t len;
	int err;
	if (ctx != &server) {
		return PM_EINTERNAL;
	}
	enter();
	while ((err = pm_tcp_read_line(task, tcp, 100, &line, &len)) == 0 && line) {
		char text[102];
		int ct = snprintf(text, sizeof text, "%s\n", line);
		if (pm_tcp_write(task, tcp, text, (size_t)ct)) {
			break;
		}
	}
	cancelled_ct += err == PM_ECANCELLED;
	inside_ct--;
	return err;
}

static int hang_up(pm_task *task, pm_tcp *tcp, void *ctx)
{
	(void)task;
	(void)ctx;
	begun_ct++;
	pm_tcp_close(tcp);
	return 0;
}

static int say_bye(pm_task *task, pm_tcp *tcp, void *ctx)
{
	(void)ctx;
	begun_ct++;
	return pm_tcp_write(task, tcp, "bye\n", 4); /* and does not close */
}

/* ------------------------------------------------------------------- the clients */

static int task_client(pm_task *task, const void *arg, size_t len)
{
	const char *line;
	pm_tcp *tcp;
	(void)arg;
	EXPECT(task, pm_tcp_connect(task, "127.0.0.1", server.port, 10000, &tcp) == 0);
	for (int i = 0; i < 3; i++) {
		EXPECT(task, pm_tcp_write(task, tcp, "hello\r\n", 7) == 0);
		EXPECT(task, pm_tcp_read_line(task, tcp, 9, &line, &len) == 0);
		EXPECT(task, line && strcmp(line, "hello") == 0);
		(void)!pm_sleep(task, 0);
	}
	return 0;
}

static int task_expect_bye(pm_task *task, const void *arg, size_t len)
{
	const char *line;
	pm_tcp *tcp;
	(void)arg;
	EXPECT(task, pm_tcp_connect(task, "127.0.0.1", server.port, 10000, &tcp) == 0);
	EXPECT(task, pm_tcp_read_line(task, tcp, 9, &line, &len) == 0);
	EXPECT(task, line && strcmp(line, "bye") == 0);
	EXPECT(task, pm_tcp_read_line(task, tcp, 9, &line, &len) == 0);
	EXPECT(task, !line);
	return 0;
}

static int task_expect_end(pm_task *task, const void *arg, size_t len)
{
	char byte;
	pm_tcp *tcp;
	(void)arg;
	EXPECT(task, pm_tcp_connect(task, "127.0.0.1", server.port, 10000, &tcp) == 0);
	EXPECT(task, pm_tcp_read(task, tcp, &byte, 1, &len) == 0);
	EXPECT(task, len == 0);
	return 0;
}

static void run_clients(pm_task_fn *fn, size_t ct)
{
	ended_ct = 0;
	for (uint64_t i = 0; i < ct; i++) {
		queue(i, fn, NULL, 0);
	}
	run_until(ct);
	expect_all_succeed();
}

/* A client that is no task: it is in the listener's queue. */
static int knock(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons(server.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

/* Run until this many handlers have begun. */
static void run_until_begun(unsigned ct)
{
	while ((void)runner_turn(true), begun_ct < ct) {
		turn_loop(true);
	}
}

static void expect_hung_up(int fd)
{
	char byte;
	cr_assert_eq(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

/* ------------------------------------------------------------------- the service */

Test(tcp_serve, serves_many, .timeout = 20)
{
	start_server(200, echo);
	run_clients(task_client, 100);
	cr_assert_eq(begun_ct, 100);
	cr_assert_gt(most_ct, 1, "one after the other");
	ended_ct = 0;
	stop_server();
}

Test(tcp_serve, serves_no_more_than_it_may_at_once, .timeout = 20)
{
	start_server(3, echo);
	run_clients(task_client, 100);
	cr_assert_eq(begun_ct, 100);
	cr_assert_eq(most_ct, 3);
	run_clients(task_client, 5);
	ended_ct = 0;
	stop_server();
}

Test(tcp_serve, closes_what_a_handler_leaves_open, .timeout = 20)
{
	start_server(1, say_bye);
	run_clients(task_expect_bye, 20);
	ended_ct = 0;
	stop_server();
}

Test(tcp_serve, lets_a_handler_close, .timeout = 20)
{
	start_server(2, hang_up);
	run_clients(task_expect_end, 20);
	cr_assert_eq(begun_ct, 20);
	ended_ct = 0;
	stop_server();
}

Test(tcp_serve, wants_a_handler_and_a_place, .timeout = 20)
{
	start_server(0, echo);
	run_until(1);
	cr_assert_eq(ended[0].failure.error, PM_EINVAL);
	server.up = false;
	start_server(1, NULL);
	run_until(1);
	cr_assert_eq(ended[0].failure.error, PM_EINVAL);
}

/* ----------------------------------------------------------------------- its end */

Test(tcp_serve, ends_its_handlers_when_it_is_cancelled, .timeout = 20)
{
	int fds[2];
	start_server(2, echo);
	fds[0] = knock();
	fds[1] = knock();
	run_until_begun(2);
	stop_server();
	cr_assert_eq(cancelled_ct, 2);
	expect_hung_up(fds[0]);
	expect_hung_up(fds[1]);
}

Test(tcp_serve, is_cancelled_while_there_is_no_place, .timeout = 20)
{
	start_server(1, echo);
	int first = knock(), second = knock();
	run_until_begun(1);
	turn();
	turn();
	stop_server();
	cr_assert_eq(begun_ct, 1);
	expect_hung_up(first);
	close(second);
}

/* The child is there, and its turn has not come. */
Test(tcp_serve, closes_a_connection_whose_child_never_begins, .timeout = 20)
{
	start_server(9, echo);
	turn();
	int fd = knock();
	turn_loop(true);
	no_stacks = true;
	for (int i = 0; i < 5; i++) {
		turn();
	}
	no_stacks = false;
	cr_assert_eq(begun_ct, 0);
	expect_hung_up(fd);
	fd = knock();
	run_until_begun(1);
	stop_server();
	expect_hung_up(fd);
}

static int task_close_listener(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	pm_tcp_listener_close(server.listener);
	return 0;
}

Test(tcp_serve, ends_when_the_listener_is_closed, .timeout = 20)
{
	start_server(2, echo);
	turn();
	queue(1, task_close_listener, NULL, 0);
	run_until(2);
	cr_assert_eq(server.error, PM_ESTATE);
}

/* Handlers go on, after the one that called them has come back. */
Test(tcp_serve, may_end_before_its_handlers, .timeout = 20)
{
	char buf[3];
	server.stays = true;
	start_server(1, echo);
	int fd = knock();
	run_until_begun(1);
	turn();
	queue(1, task_close_listener, NULL, 0);
	run_until(1);
	cr_assert_eq(send(fd, "a\n", 2, 0), 2);
	for (int i = 0; i < 5; i++) {
		turn();
	}
	cr_assert_eq(recv(fd, buf, 3, 0), 2);
	close(fd);
	while ((void)runner_turn(true), inside_ct > 0) {
		turn_loop(true);
	}
	stop_server();
	cr_assert_eq(server.error, PM_ESTATE);
}

/* ---------------------------------------------------------------- out of resources */

Test(tcp_serve, gets_over_a_lack_of_descriptors, .timeout = 20)
{
	start_server(5, echo);
	turn();
	int fd = knock();
	no_descriptors = true;
	uint64_t before_ms = clock_now_ms();
	unsigned turn_ct = 0;
	while (clock_now_ms() < before_ms + 250) {
		(void)runner_turn(true);
		turn_loop(true);
		turn_ct++;
	}
	no_descriptors = false;
	cr_assert_lt(turn_ct, 50, "it spins");
	run_until_begun(1);
	close(fd);
	stop_server();
}
