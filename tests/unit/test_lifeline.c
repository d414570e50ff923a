/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/lifeline, over real socketpairs.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lifeline.h"
#include "common/poolmap.h"

static int ends[2] = {-1, -1};
static struct proto_life_message m;

static void make_pair(void)
{
	cr_assert_eq(lifeline_pair(ends), 0);
}

static void close_end(int which)
{
	if (ends[which] >= 0) {
		close(ends[which]);
		ends[which] = -1;
	}
}

static void close_pair(void)
{
	close_end(0);
	close_end(1);
}

TestSuite(lifeline, .init = make_pair, .fini = close_pair);

/* A heartbeat that carries these numbers. */
static enum lifeline_verdict send_beat(int fd, uint64_t number)
{
	struct proto_life_message beat = {.type = PROTO_HEARTBEAT,
		.slot = 4,
		.generation = 5,
		.count = 3,
		.values = {number, ~number}};
	return lifeline_send(fd, &beat);
}

static void expect_beat(int fd, uint64_t number)
{
	cr_assert_eq(
		lifeline_receive(fd, &m), LIFELINE_OK, "beat %ju", (uintmax_t)number);
	cr_assert_eq(m.type, PROTO_HEARTBEAT);
	cr_assert_eq(m.slot, 4);
	cr_assert_eq(m.generation, 5);
	cr_assert_eq(m.count, 3);
	cr_assert_eq(m.values[0], number);
	cr_assert_eq(m.values[1], ~number);
}

Test(lifeline, is_made_non_blocking_and_closed_on_exec, .timeout = 10)
{
	for (int i = 0; i < 2; i++) {
		cr_assert(fcntl(ends[i], F_GETFL) & O_NONBLOCK);
		cr_assert(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
	}
}

Test(lifeline, carries_messages_both_ways, .timeout = 10)
{
	cr_assert_eq(send_beat(ends[0], 1), LIFELINE_OK);
	cr_assert_eq(send_beat(ends[1], 2), LIFELINE_OK);
	expect_beat(ends[0], 2);
	expect_beat(ends[1], 1);
}

Test(lifeline, carries_the_longest_message, .timeout = 10)
{
	static struct proto_life_message cancel = {.type = PROTO_CANCEL,
		.slot = 1,
		.generation = 2,
		.count = PROTO_CANCEL_MAX};
	for (uint32_t i = 0; i < PROTO_CANCEL_MAX; i++) {
		cancel.values[i] = UINT64_MAX - i;
	}
	cr_assert_eq(lifeline_send(ends[0], &cancel), LIFELINE_OK);
	cr_assert_eq(lifeline_receive(ends[1], &m), LIFELINE_OK);
	cr_assert_eq(m.type, PROTO_CANCEL);
	cr_assert_eq(m.count, PROTO_CANCEL_MAX);
	cr_assert_arr_eq(m.values, cancel.values, sizeof cancel.values);
}

Test(lifeline, keeps_messages_apart_and_in_order, .timeout = 10)
{
	for (uint64_t i = 0; i < 10; i++) {
		cr_assert_eq(send_beat(ends[0], i), LIFELINE_OK);
	}
	for (uint64_t i = 0; i < 10; i++) {
		expect_beat(ends[1], i);
	}
	cr_assert_eq(lifeline_receive(ends[1], &m), LIFELINE_AGAIN);
}

Test(lifeline, says_again_when_there_is_nothing, .timeout = 10)
{
	cr_assert_eq(lifeline_receive(ends[0], &m), LIFELINE_AGAIN);
	cr_assert_eq(lifeline_receive(ends[1], &m), LIFELINE_AGAIN);
}

Test(lifeline, says_again_when_there_is_no_room_and_loses_nothing, .timeout = 30)
{
	uint64_t sent = 0, read = 0;
	enum lifeline_verdict v;
	while ((v = send_beat(ends[0], sent)) == LIFELINE_OK) {
		sent++;
		cr_assert_lt(sent, 1000000, "there is always room");
	}
	cr_assert_eq(v, LIFELINE_AGAIN);
	cr_assert_gt(sent, 0);
	while (read < sent) {
		expect_beat(ends[1], read++);
	}
	cr_assert_eq(lifeline_receive(ends[1], &m), LIFELINE_AGAIN);
	cr_assert_eq(send_beat(ends[0], 7), LIFELINE_OK, "there is room again");
	expect_beat(ends[1], 7);
}

Test(lifeline, tells_that_the_other_side_has_closed, .timeout = 10)
{
	close_end(1);
	cr_assert_eq(lifeline_receive(ends[0], &m), LIFELINE_GONE);
	cr_assert_eq(lifeline_receive(ends[0], &m), LIFELINE_GONE, "and again");
	cr_assert_eq(send_beat(ends[0], 1), LIFELINE_GONE);
}

Test(lifeline, reads_what_was_said_before_the_end, .timeout = 10)
{
	cr_assert_eq(send_beat(ends[1], 1), LIFELINE_OK);
	cr_assert_eq(send_beat(ends[1], 2), LIFELINE_OK);
	close_end(1);
	expect_beat(ends[0], 1);
	expect_beat(ends[0], 2);
	cr_assert_eq(lifeline_receive(ends[0], &m), LIFELINE_GONE);
}

Test(lifeline, tells_that_the_other_side_has_died, .timeout = 20)
{
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		_exit(0);
	}
	close_end(1);
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	cr_assert_eq(poll(&p, 1, 10000), 1);
	cr_assert_eq(lifeline_receive(ends[0], &m), LIFELINE_GONE);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(lifeline, drops_packets_that_are_none_and_goes_on, .timeout = 10)
{
	static const char junk[sizeof(struct proto_life_message) + 1];
	static const size_t lens[] = {1, PROTO_LIFE_HEAD_BYTES - 1,
		PROTO_LIFE_HEAD_BYTES, PROTO_LIFE_HEAD_BYTES + 8, sizeof junk - 1,
		sizeof junk};
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		cr_assert_eq(send(ends[0], junk, lens[i], 0), (ssize_t)lens[i]);
		cr_assert_eq(send_beat(ends[0], i), LIFELINE_OK);
		cr_assert_eq(
			lifeline_receive(ends[1], &m), LIFELINE_BAD, "%zu", lens[i]);
		expect_beat(ends[1], i);
	}
}

Test(lifeline, drops_a_packet_with_bytes_behind_a_good_message, .timeout = 10)
{
	/* one that would be good if its end were cut at the size of the struct */
	static struct proto_life_message cancel = {
		.type = PROTO_CANCEL, .count = PROTO_CANCEL_MAX};
	static char packet[sizeof cancel + 8];
	size_t len = proto_life_put(packet, &cancel);
	cr_assert_eq(send(ends[0], packet, len + 8, 0), (ssize_t)(len + 8));
	cr_assert_eq(lifeline_receive(ends[1], &m), LIFELINE_BAD);
}

Test(lifeline, says_gone_of_what_is_no_socket, .timeout = 10)
{
	cr_assert_eq(send_beat(-1, 1), LIFELINE_GONE);
	cr_assert_eq(lifeline_receive(-1, &m), LIFELINE_GONE);
}
