/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/control, over real socketpairs.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "master/control.h"

static int ends[2] = {-1, -1};

static void make(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void clear(void)
{
	close(ends[0]);
	close(ends[1]);
}

TestSuite(control, .init = make, .fini = clear);

static void unblock(int fd)
{
	cr_assert_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static unsigned open_fds(void)
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

/* ------------------------------------------------------------ packets */

Test(control, carries_requests_and_events, .timeout = 10)
{
	struct control_request request = {.type = CONTROL_SPAWN}, got;
	struct control_event event = {.type = CONTROL_EXITED,
				     .slot = 7,
				     .generation = 8,
				     .pid = 9,
				     .status = -1},
			     seen;
	request.boot.route.slot = 7;
	strcpy(request.rundir, "/tmp/x");
	cr_assert_eq(control_send(ends[0], &request, sizeof request, -1), 0);
	cr_assert_eq(control_send(ends[1], &event, sizeof event, -1), 0);
	cr_assert_eq(control_receive(ends[1], &got, sizeof got, NULL), 0);
	cr_assert_eq(control_receive(ends[0], &seen, sizeof seen, NULL), 0);
	cr_assert(memcmp(&got, &request, sizeof got) == 0);
	cr_assert(memcmp(&seen, &event, sizeof seen) == 0);
}

Test(control, keeps_packets_apart_and_in_order, .timeout = 10)
{
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(control_send(ends[0], &i, sizeof i, -1), 0);
	}
	for (int i = 0; i < 50; i++) {
		int got = -1, fd = 77;
		cr_assert_eq(control_receive(ends[1], &got, sizeof got, &fd), 0);
		cr_assert_eq(got, i);
		cr_assert_eq(fd, -1, "there is none");
	}
}

Test(control, says_again_when_there_is_nothing, .timeout = 10)
{
	int got = 5, fd = 77;
	unblock(ends[1]);
	cr_assert_eq(control_receive(ends[1], &got, sizeof got, &fd), CONTROL_AGAIN);
	cr_assert_eq(fd, 77);
	cr_assert_eq(got, 5);
}

Test(control, says_again_when_there_is_no_room_and_loses_nothing, .timeout = 30)
{
	int sent = 0, err;
	unblock(ends[0]);
	unblock(ends[1]);
	while ((err = control_send(ends[0], &sent, sizeof sent, -1)) == 0) {
		sent++;
		cr_assert_lt(sent, 1000000);
	}
	cr_assert_eq(err, CONTROL_AGAIN);
	for (int i = 0; i < sent; i++) {
		int got = -1;
		cr_assert_eq(control_receive(ends[1], &got, sizeof got, NULL), 0);
		cr_assert_eq(got, i);
	}
	cr_assert_eq(control_send(ends[0], &sent, sizeof sent, -1), 0);
}

/* ------------------------------------------------------------ descriptors */

Test(control, passes_a_descriptor, .timeout = 10)
{
	int pipe_ends[2], number = 1, fd = -1;
	char byte = 0;
	cr_assert_eq(pipe(pipe_ends), 0);
	cr_assert_eq(control_send(ends[0], &number, sizeof number, pipe_ends[1]), 0);
	close(pipe_ends[1]);
	number = 0;
	cr_assert_eq(control_receive(ends[1], &number, sizeof number, &fd), 0);
	cr_assert_eq(number, 1);
	cr_assert_geq(fd, 0);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(write(fd, "x", 1), 1);
	cr_assert_eq(read(pipe_ends[0], &byte, 1), 1);
	cr_assert_eq(byte, 'x');
	close(fd);
	cr_assert_eq(read(pipe_ends[0], &byte, 1), 0, "nobody else has it");
	close(pipe_ends[0]);
}

Test(control, passes_each_descriptor_with_its_own_packet, .timeout = 10)
{
	int pipes[3][2];
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(pipe(pipes[i]), 0);
		int fd = i == 1 ? -1 : pipes[i][1];
		cr_assert_eq(control_send(ends[0], &i, sizeof i, fd), 0);
		close(pipes[i][1]);
	}
	for (int i = 0; i < 3; i++) {
		int number, fd;
		char byte = 0;
		cr_assert_eq(control_receive(ends[1], &number, sizeof number, &fd), 0);
		cr_assert_eq(number, i);
		cr_assert_eq(fd >= 0, i != 1, "%d", i);
		if (fd >= 0) {
			cr_assert_eq(write(fd, &i, 1), 1);
			cr_assert_eq(read(pipes[i][0], &byte, 1), 1);
			cr_assert_eq(byte, i);
			close(fd);
		}
		close(pipes[i][0]);
	}
}

Test(control, closes_a_descriptor_that_nobody_asked_for, .timeout = 10)
{
	int number = 1;
	unsigned before = open_fds();
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(control_send(ends[0], &number, sizeof number, ends[0]), 0);
		cr_assert_eq(control_receive(ends[1], &number, sizeof number, NULL), 0);
	}
	cr_assert_eq(open_fds(), before);
}

Test(control, cannot_pass_a_descriptor_that_is_none, .timeout = 10)
{
	int number = 1;
	cr_assert_eq(control_send(ends[0], &number, sizeof number, 1000), PM_ESYSTEM);
}

/* ------------------------------------------------------------ the other side */

Test(control, tells_that_the_other_side_is_gone, .timeout = 10)
{
	int number = 5, fd = 77;
	close(ends[1]);
	cr_assert_eq(control_receive(ends[0], &number, sizeof number, &fd), PM_ESYSTEM);
	cr_assert_eq(fd, 77);
	cr_assert_str_not_empty(pm_last_error());
	cr_assert_eq(control_send(ends[0], &number, sizeof number, -1), PM_ESYSTEM);
	ends[1] = -1;
}

Test(control, reads_what_was_said_before_the_end, .timeout = 10)
{
	int number = 5, got = 0;
	cr_assert_eq(control_send(ends[1], &number, sizeof number, -1), 0);
	close(ends[1]);
	cr_assert_eq(control_receive(ends[0], &got, sizeof got, NULL), 0);
	cr_assert_eq(got, 5);
	cr_assert_eq(control_receive(ends[0], &got, sizeof got, NULL), PM_ESYSTEM);
	ends[1] = -1;
}

Test(control, refuses_a_packet_that_is_too_short, .timeout = 10)
{
	struct control_event event = {.type = CONTROL_EXITED}, got;
	unsigned before = open_fds();
	for (size_t len = 1; len < sizeof event; len++) {
		int fd = 77;
		cr_assert_eq(control_send(ends[0], &event, len, ends[0]), 0);
		cr_assert_eq(control_receive(ends[1], &got, sizeof got, &fd),
			PM_ESYSTEM, "%zu", len);
		cr_assert_eq(fd, 77, "%zu", len);
	}
	cr_assert_eq(open_fds(), before, "what came with them is closed");
	cr_assert_eq(control_send(ends[0], &event, sizeof event, -1), 0);
	cr_assert_eq(
		control_receive(ends[1], &got, sizeof got, NULL), 0, "and goes on");
}

Test(control, fails_on_what_is_no_socket, .timeout = 10)
{
	int number = 1;
	cr_assert_eq(control_send(-1, &number, sizeof number, -1), PM_ESYSTEM);
	cr_assert_eq(control_receive(-1, &number, sizeof number, NULL), PM_ESYSTEM);
}
