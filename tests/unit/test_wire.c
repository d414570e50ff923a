/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/wire: both ends of real nanomsg pipelines, over socket
 * files in a directory of the test.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/poolmap.h"
#include "common/proto.h"
#include "common/wire.h"
#include "tests/unit/scratch.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { DEADLINE_MS = 20000 };

#if defined(__SANITIZE_ADDRESS__)
/* nanomsg 1.1.5 leaks the endpoint of a failed nn_bind(). */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:nn_bipc_create";
}
#endif

/* Taken before Criterion opens a socket in this process. */
static bool live_at_start;

__attribute__((constructor)) static void look_at_start(void)
{
	live_at_start = wire_any_live();
}

static struct wire push = {.socket = -1}, pull = {.socket = -1};
static char path[128];

static void make(void)
{
	scratch_make();
	snprintf(path, sizeof path, "%s/s", scratch);
}

static void clear(void)
{
	wire_close(&push);
	wire_close(&pull);
}

TestSuite(wire, .init = make, .fini = clear);

static void open_both(void)
{
	cr_assert_eq(wire_listen(&pull, WIRE_PULL, path), 0, "%s", pm_last_error());
	cr_assert_eq(wire_dial(&push, WIRE_PUSH, path), 0, "%s", pm_last_error());
}

static bool is_ready(const struct wire *w, int timeout_ms)
{
	struct pollfd p = {.fd = w->ready_fd, .events = POLLIN};
	return poll(&p, 1, timeout_ms) == 1;
}

/* Send, when there is room. */
static void send_surely(struct wire *w, const void *frame, size_t len)
{
	int err;
	do {
		cr_assert(is_ready(w, DEADLINE_MS), "cannot send within the deadline");
		err = wire_send(w, frame, len);
	} while (err == WIRE_AGAIN);
	cr_assert_eq(err, 0, "%s", pm_last_error());
}

/* The next frame; wire_free() it. */
static void *receive_surely(struct wire *w, size_t *len)
{
	void *frame = NULL;
	int err;
	do {
		cr_assert(is_ready(w, DEADLINE_MS), "nothing within the deadline");
		err = wire_receive(w, &frame, len);
	} while (err == WIRE_AGAIN);
	cr_assert_eq(err, 0, "%s", pm_last_error());
	return frame;
}

static void expect_text(struct wire *w, const char *text)
{
	size_t len;
	char *frame = receive_surely(w, &len);
	cr_assert_eq(len, strlen(text));
	cr_assert(memcmp(frame, text, len) == 0);
	wire_free(frame);
}

/* ------------------------------------------------------------------ frames */

Test(wire, carries_frames_whole_and_in_order, .timeout = 60)
{
	open_both();
	send_surely(&push, "first", 5);
	send_surely(&push, "", 0);
	send_surely(&push, "third one", 9);
	expect_text(&pull, "first");
	expect_text(&pull, "");
	expect_text(&pull, "third one");
}

Test(wire, carries_frames_from_the_end_that_listens, .timeout = 60)
{
	cr_assert_eq(wire_listen(&push, WIRE_PUSH, path), 0);
	cr_assert_eq(wire_dial(&pull, WIRE_PULL, path), 0);
	send_surely(&push, "job", 3);
	expect_text(&pull, "job");
}

Test(wire, gathers_from_several_senders, .timeout = 60)
{
	struct wire other;
	open_both();
	cr_assert_eq(wire_dial(&other, WIRE_PUSH, path), 0);
	send_surely(&push, "a", 1);
	expect_text(&pull, "a");
	send_surely(&other, "b", 1);
	expect_text(&pull, "b");
	wire_close(&other);
	send_surely(&push, "c", 1);
	expect_text(&pull, "c");
}

Test(wire, carries_a_frame_of_the_longest_length, .timeout = 60)
{
	static const size_t lens[] = {PROTO_FRAME_MAX - 1, PROTO_FRAME_MAX};
	char *bytes = malloc(PROTO_FRAME_MAX);
	cr_assert_not_null(bytes);
	for (size_t i = 0; i < PROTO_FRAME_MAX; i++) {
		bytes[i] = (char)(i ^ i >> 8 ^ i >> 16);
	}
	open_both();
	for (size_t i = 0; i < LENGTH(lens); i++) {
		size_t len;
		send_surely(&push, bytes, lens[i]);
		char *frame = receive_surely(&pull, &len);
		cr_assert_eq(len, lens[i]);
		cr_assert(memcmp(frame, bytes, len) == 0);
		wire_free(frame);
	}
	send_surely(&push, "still there", 11);
	expect_text(&pull, "still there");
	free(bytes);
}

/* ------------------------------------------------------------------ again */

Test(wire, says_again_when_nothing_has_come, .timeout = 60)
{
	void *frame = &frame;
	size_t len = 77;
	open_both();
	cr_assert_eq(wire_receive(&pull, &frame, &len), WIRE_AGAIN);
	cr_assert_eq(frame, &frame);
	cr_assert_eq(len, 77);
}

Test(wire, says_again_when_nobody_listens, .timeout = 60)
{
	cr_assert_eq(
		wire_dial(&push, WIRE_PUSH, path), 0, "it goes on in the background");
	cr_assert_eq(wire_send(&push, "x", 1), WIRE_AGAIN);
	cr_assert_not(is_ready(&push, 0));
}

Test(wire, connects_when_the_listener_comes_later, .timeout = 60)
{
	cr_assert_eq(wire_dial(&push, WIRE_PUSH, path), 0);
	cr_assert_eq(wire_send(&push, "x", 1), WIRE_AGAIN);
	cr_assert_eq(wire_listen(&pull, WIRE_PULL, path), 0);
	send_surely(&push, "late", 4);
	expect_text(&pull, "late");
}

Test(wire, is_ready_just_while_it_can_receive, .timeout = 60)
{
	open_both();
	cr_assert_not(is_ready(&pull, 0));
	send_surely(&push, "x", 1);
	cr_assert(is_ready(&pull, DEADLINE_MS));
	cr_assert(is_ready(&pull, 0), "level-triggered");
	expect_text(&pull, "x");
	cr_assert_not(is_ready(&pull, 0));
}

/* Send numbers until there is no room; returns how many went. */
static unsigned send_until_full(size_t frame_bytes)
{
	static char frame[PROTO_FRAME_MAX];
	unsigned ct = 0;
	int err;
	cr_assert(is_ready(&push, DEADLINE_MS));
	for (;;) {
		memcpy(frame, &ct, sizeof ct);
		err = wire_send(&push, frame, frame_bytes);
		if (err) {
			break;
		}
		ct++;
		cr_assert_lt(ct, 1000000, "there is always room");
	}
	cr_assert_eq(err, WIRE_AGAIN);
	return ct;
}

static void expect_numbers(unsigned ct, size_t frame_bytes)
{
	for (unsigned i = 0; i < ct; i++) {
		size_t len;
		unsigned number;
		void *frame = receive_surely(&pull, &len);
		cr_assert_eq(len, frame_bytes);
		memcpy(&number, frame, sizeof number);
		cr_assert_eq(number, i);
		wire_free(frame);
	}
}

Test(wire, pushes_back_and_loses_nothing, .timeout = 120)
{
	static const size_t sizes[] = {100, 64 * 1024, PROTO_FRAME_MAX};
	open_both();
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		unsigned ct = send_until_full(sizes[i]);
		cr_assert_gt(ct, 0);
		expect_numbers(ct, sizes[i]);
		void *frame;
		size_t len;
		cr_assert_eq(wire_receive(&pull, &frame, &len), WIRE_AGAIN);
		send_surely(&push, "room again", 10);
		expect_text(&pull, "room again");
	}
}

/* ------------------------------------------------------------------ paths */

/* `path` becomes one of `len` bytes in the scratch directory. */
static const char *long_path(size_t len)
{
	static char text[5001];
	cr_assert_leq(len, sizeof text - 1);
	int used = snprintf(text, sizeof text, "%s/", scratch);
	memset(text + used, 'x', len - (size_t)used);
	text[len] = '\0';
	return text;
}

Test(wire, takes_a_path_of_107_bytes, .timeout = 60)
{
	cr_assert_eq(wire_listen(&pull, WIRE_PULL, long_path(WIRE_PATH_MAX)), 0);
	cr_assert_eq(wire_dial(&push, WIRE_PUSH, long_path(WIRE_PATH_MAX)), 0);
	send_surely(&push, "far", 3);
	expect_text(&pull, "far");
}

Test(wire, refuses_a_path_that_is_too_long, .timeout = 60)
{
	static const size_t lens[] = {
		WIRE_PATH_MAX + 1, 120, 121, 127, 128, 129, 500, 5000};
	for (size_t i = 0; i < LENGTH(lens); i++) {
		const char *far = long_path(lens[i]);
		cr_assert_eq(
			wire_listen(&pull, WIRE_PULL, far), PM_EINVAL, "%zu", lens[i]);
		cr_assert_eq(pull.socket, -1);
		cr_assert_eq(
			wire_dial(&push, WIRE_PUSH, far), PM_EINVAL, "%zu", lens[i]);
		cr_assert_eq(push.socket, -1);
		cr_assert_not_null(
			strstr(pm_last_error(), "107"), "%s", pm_last_error());
	}
}

Test(wire, cannot_listen_where_there_is_no_directory, .timeout = 60)
{
	snprintf(path, sizeof path, "%s/missing/s", scratch);
	cr_assert_eq(wire_listen(&pull, WIRE_PULL, path), PM_ESYSTEM);
	cr_assert_eq(pull.socket, -1);
	cr_assert_not_null(strstr(pm_last_error(), path), "%s", pm_last_error());
	cr_assert_not_null(
		strstr(pm_last_error(), "No such file"), "%s", pm_last_error());
}

Test(wire, cannot_listen_where_somebody_does, .timeout = 60)
{
	struct wire second;
	open_both();
	cr_assert_eq(wire_listen(&second, WIRE_PULL, path), PM_ESYSTEM);
	cr_assert_eq(second.socket, -1);
	send_surely(&push, "to the first", 12);
	expect_text(&pull, "to the first");
}

/* ------------------------------------------------------------------ closing */

Test(wire, removes_its_file_when_it_closes, .timeout = 60)
{
	struct stat st;
	open_both();
	cr_assert_eq(stat(path, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	wire_close(&push);
	cr_assert_eq(stat(path, &st), 0, "it belongs to the end that listens");
	wire_close(&pull);
	cr_assert_eq(stat(path, &st), -1);
	cr_assert_eq(errno, ENOENT);
}

Test(wire, closes_twice_without_harm, .timeout = 60)
{
	struct wire other;
	open_both();
	wire_close(&push);
	cr_assert_eq(push.socket, -1);
	/* takes the number that is free now: a second close must not hit it */
	cr_assert_eq(wire_dial(&other, WIRE_PUSH, path), 0);
	wire_close(&push);
	send_surely(&other, "alive", 5);
	expect_text(&pull, "alive");
	wire_close(&other);
}

Test(wire, fails_on_a_closed_socket, .timeout = 60)
{
	void *frame = NULL;
	size_t len = 0;
	open_both();
	wire_close(&push);
	wire_close(&pull);
	cr_assert_eq(wire_send(&push, "x", 1), PM_ESYSTEM);
	cr_assert_eq(wire_receive(&pull, &frame, &len), PM_ESYSTEM);
	cr_assert_null(frame);
}

Test(wire, frees_what_it_opened, .timeout = 120)
{
	/* more than the 512 sockets that a process can have */
	for (int i = 0; i < 600; i++) {
		cr_assert_eq(wire_listen(&pull, WIRE_PULL, path), 0, "%d", i);
		wire_close(&pull);
		cr_assert_eq(wire_listen(&pull, WIRE_PULL, long_path(200)), PM_EINVAL);
	}
	snprintf(path, sizeof path, "%s/missing/s", scratch);
	for (int i = 0; i < 600; i++) {
		cr_assert_eq(wire_listen(&pull, WIRE_PULL, path), PM_ESYSTEM);
		cr_assert_not_null(
			strstr(pm_last_error(), path), "%s", pm_last_error());
	}
}

/* ------------------------------------------------------------------ live */

Test(wire, finds_no_live_socket_before_the_first, .timeout = 60)
{
	cr_assert_not(live_at_start);
}

Test(wire, finds_sockets_of_others, .timeout = 60)
{
	cr_assert(wire_any_live(), "Criterion has one");
}
