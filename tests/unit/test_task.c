/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/task: what a task can say and ask, in tasks that run on
 * the real runner and a real event base.
 */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/proto.h"
#include "worker/fetch.h"
#include "worker/runner.h"

enum { MAX_BYTES = 1000, STACK_BYTES = 64 * 1024 };

/* ------------------------------------------------------------ the worker, faked */

static struct event_base *base;

struct event_base *worker_base(void)
{
	return base;
}

unsigned worker_slot(void)
{
	return 42;
}

unsigned worker_concurrency(void)
{
	return 64;
}

size_t worker_max_bytes(void)
{
	return MAX_BYTES;
}

void fetch_task_end(struct pm_task *task)
{
	(void)task;
}

/* Ended tasks, in the order of their end. */
static struct {
	uint64_t id;
	struct pm_failure failure;
	char result[MAX_BYTES + 1];
	size_t len;
} ended[64];
static size_t ended_ct;

static void note_end(struct pm_task *task)
{
	cr_assert_lt(ended_ct, sizeof ended / sizeof *ended);
	ended[ended_ct].id = task->id;
	ended[ended_ct].failure = task->failure;
	ended[ended_ct].len = task->result.len;
	cr_assert_leq(task->result.len, MAX_BYTES);
	if (task->result.len) {
		memcpy(ended[ended_ct].result, task->result.data, task->result.len);
	}
	ended_ct++;
}

static void open_worker(void)
{
	base = event_base_new();
	cr_assert_not_null(base);
	runner_init(64, STACK_BYTES, note_end);
}

static void close_worker(void)
{
	runner_fini();
	event_base_free(base);
}

TestSuite(task, .init = open_worker, .fini = close_worker);

static void queue(uint64_t id, pm_task_fn *fn, const char *arg)
{
	size_t len = strlen(arg);
	struct pm_task *task = runner_new_task(len);
	task->id = id;
	task->attempt = 3;
	task->queued_at_us = clock_now_us();
	task->fn = fn;
	memcpy(task->arg, arg, len);
	runner_queue(task);
}

/* Run until `ct` tasks have ended. */
static void run_until(size_t ct)
{
	while (ended_ct < ct) {
		(void)runner_turn(true);
		if (ended_ct < ct && !runner_has_work(true)) {
			cr_assert_eq(event_base_loop(base, EVLOOP_ONCE), 0);
		}
	}
}

static void run_one(pm_task_fn *fn, const char *arg)
{
	ended_ct = 0;
	queue(1, fn, arg);
	run_until(1);
}

static void expect_result(const void *bytes, size_t len)
{
	cr_assert_eq(ended[0].failure.error, 0, "%s", ended[0].failure.message);
	cr_assert_eq(ended[0].len, len, "%zu", ended[0].len);
	cr_assert(len == 0 || memcmp(ended[0].result, bytes, len) == 0);
}

/* ------------------------------------------------------------ pm_return */

static int return_arg(pm_task *task, const void *arg, size_t len)
{
	return pm_return(task, arg, len);
}

Test(task, returns_bytes, .timeout = 10)
{
	run_one(return_arg, "some bytes");
	expect_result("some bytes", 10);
}

static int return_zeros(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_return(task, "a\0b\0", 4);
}

Test(task, returns_bytes_of_any_value, .timeout = 10)
{
	run_one(return_zeros, "");
	expect_result("a\0b\0", 4);
}

static int return_nothing(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_return(task, NULL, 0);
}

static int do_nothing(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	return 0;
}

Test(task, may_return_nothing, .timeout = 10)
{
	run_one(return_nothing, "");
	expect_result("", 0);
	run_one(do_nothing, "");
	expect_result("", 0);
}

static int return_a_local(pm_task *task, const void *arg, size_t len)
{
	char text[200];
	(void)arg;
	(void)len;
	memset(text, 'l', sizeof text);
	int err = pm_return(task, text, sizeof text);
	memset(text, 'm', sizeof text);
	return err;
}

Test(task, copies_what_it_returns, .timeout = 10)
{
	char want[200];
	memset(want, 'l', sizeof want);
	run_one(return_a_local, "");
	expect_result(want, sizeof want);
}

/* "longer first": 12 bytes and then 2; else the other way round. */
static int return_twice(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	bool longer_first = strcmp(arg, "longer first") == 0;
	int err = pm_return(task, longer_first ? arg : "ab", longer_first ? 12 : 2);
	return err ? err
		   : pm_return(task, longer_first ? "ab" : "replaced",
			     longer_first ? 2 : 8);
}

Test(task, replaces_a_result_by_the_next, .timeout = 10)
{
	run_one(return_twice, "longer first");
	expect_result("ab", 2);
	run_one(return_twice, "shorter first");
	expect_result("replaced", 8);
}

static int return_so_many(pm_task *task, const void *arg, size_t len)
{
	static char bytes[MAX_BYTES + 1];
	(void)len;
	memset(bytes, 'z', sizeof bytes);
	size_t ct = strcmp(arg, "SIZE_MAX") ? (size_t)atoi(arg) : SIZE_MAX;
	return pm_return(task, bytes, ct);
}

Test(task, returns_as_much_as_the_pool_takes, .timeout = 10)
{
	run_one(return_so_many, "1000");
	cr_assert_eq(ended[0].failure.error, 0);
	cr_assert_eq(ended[0].len, MAX_BYTES);
}

Test(task, fails_with_a_result_that_is_too_big, .timeout = 10)
{
	static const char *const cts[] = {"1001", "SIZE_MAX"};
	for (size_t i = 0; i < 2; i++) {
		run_one(return_so_many, cts[i]);
		cr_assert_eq(ended[0].failure.error, PM_ETOOBIG, "%s", cts[i]);
		cr_assert_not_null(strstr(ended[0].failure.message, "1000"), "%s",
			ended[0].failure.message);
	}
}

static int fall_back(pm_task *task, const void *arg, size_t len)
{
	static const char bytes[MAX_BYTES + 1];
	(void)arg;
	(void)len;
	int err = pm_return(task, bytes, sizeof bytes);
	return err == PM_ETOOBIG ? pm_return(task, "short", 5) : PM_EFAILED;
}

Test(task, may_return_less_after_too_much, .timeout = 10)
{
	run_one(fall_back, "");
	expect_result("short", 5);
}

/* ------------------------------------------------------------ pm_fail */

static int fail_with_details(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	return pm_fail(task, -7, "no price in %s (%d)", (const char *)arg, 12);
}

static void expect_failed(int code, const char *message)
{
	cr_assert_eq(ended[0].failure.error, PM_EFAILED);
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_TASK);
	cr_assert_eq(ended[0].failure.code, code);
	cr_assert_str_eq(ended[0].failure.message, message);
}

Test(task, fails_with_a_number_and_a_message, .timeout = 10)
{
	run_one(fail_with_details, "the page");
	expect_failed(-7, "no price in the page (12)");
}

static int fail_and_go_on(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	cr_assert_eq(pm_fail(task, 1, "first"), PM_EFAILED);
	return pm_return(task, "fine", 4);
}

Test(task, succeeds_when_it_returns_zero_after_all, .timeout = 10)
{
	run_one(fail_and_go_on, "");
	expect_result("fine", 4);
}

static int fail_twice(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	(void)pm_return(task, "not this", 8);
	(void)pm_fail(task, 1, "first, and longer");
	return pm_fail(task, 2, "second");
}

Test(task, fails_with_what_it_said_last, .timeout = 10)
{
	run_one(fail_twice, "");
	expect_failed(2, "second");
}

static int fail_with_arg(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	return pm_fail(task, INT_MIN, "%s", (const char *)arg);
}

Test(task, fails_with_an_empty_message, .timeout = 10)
{
	run_one(fail_with_arg, "");
	expect_failed(INT_MIN, "");
}

/* poolmap.h: "a message of at most 1000 bytes" */
Test(task, fails_with_a_message_of_the_longest_length, .timeout = 10)
{
	char text[PROTO_MESSAGE_MAX + 1];
	static const size_t lens[] = {
		255, 256, 257, PROTO_MESSAGE_MAX - 1, PROTO_MESSAGE_MAX};
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		memset(text, 'm', sizeof text);
		text[lens[i]] = '\0';
		run_one(fail_with_arg, text);
		cr_assert_eq(strlen(ended[0].failure.message), lens[i],
			"%zu of %zu bytes", strlen(ended[0].failure.message), lens[i]);
		expect_failed(INT_MIN, text);
	}
}

Test(task, cuts_a_longer_message, .timeout = 10)
{
	char text[5000];
	memset(text, 'm', sizeof text);
	text[sizeof text - 1] = '\0';
	run_one(fail_with_arg, text);
	size_t len = strlen(ended[0].failure.message);
	cr_assert_lt(len, sizeof ended[0].failure.message);
	cr_assert_leq(len, PROTO_MESSAGE_MAX);
	cr_assert_eq(strspn(ended[0].failure.message, "m"), len);
}

/* poolmap.h: "Strings are UTF-8" */
Test(task, cuts_no_character_in_two, .timeout = 10)
{
	/* four lengths in front, so that one of them meets the middle */
	for (size_t front = 0; front < 4; front++) {
		char text[4 * 1000 + 5];
		size_t at = front;
		memset(text, 'a', front);
		for (; at + 4 < sizeof text; at += 4) {
			memcpy(text + at, "\xf0\x9f\x90\x98", 4); /* an elephant */
		}
		text[at] = '\0';
		run_one(fail_with_arg, text);
		size_t len = strlen(ended[0].failure.message);
		cr_assert_eq((len - front) % 4, 0, "%zu bytes behind %zu", len, front);
	}
}

static int fail_because(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	(void)task_set_failure(task, PM_EDNS, PM_DOMAIN_CURL, 6, "no such host");
	return pm_fail(task, 9, "no price: %s (%s)", pm_task_failure(task)->message,
		pm_task_failure(task)->message);
}

Test(task, may_quote_the_failure_before, .timeout = 10)
{
	run_one(fail_because, "");
	expect_failed(9, "no price: no such host (no such host)");
}

/* ------------------------------------------------------------ questions */

static int ask(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	cr_assert_eq(pm_task_worker(task), 42);
	cr_assert_eq(pm_task_attempt(task), 3);
	cr_assert_lt(pm_task_queued_us(task), 60 * 1000000u);
	const struct pm_failure *f = pm_task_failure(task);
	cr_assert_not_null(f);
	cr_assert_eq(f->error, 0);
	cr_assert_eq(f->domain, PM_DOMAIN_NONE);
	cr_assert_str_empty(f->message);
	return pm_return(task, "asked", 5);
}

Test(task, knows_about_its_job, .timeout = 10)
{
	run_one(ask, "");
	expect_result("asked", 5);
}

static int tell_queued(pm_task *task, const void *arg, size_t len)
{
	uint64_t us = pm_task_queued_us(task);
	(void)arg;
	(void)len;
	return pm_return(task, &us, sizeof us);
}

Test(task, knows_how_long_it_was_queued, .timeout = 10)
{
	struct pm_task *task = runner_new_task(0);
	uint64_t us;
	task->id = 1;
	task->fn = tell_queued;
	task->queued_at_us = clock_now_us() - 5000000;
	runner_queue(task);
	run_until(1);
	memcpy(&us, ended[0].result, sizeof us);
	cr_assert(us >= 5000000 && us < 65000000, "%ju", (uintmax_t)us);
}

static int ask_for_failure(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	(void)pm_fail(task, 5, "why");
	const struct pm_failure *f = pm_task_failure(task);
	cr_assert_eq(f->error, PM_EFAILED);
	cr_assert_eq(f->domain, PM_DOMAIN_TASK);
	cr_assert_eq(f->code, 5);
	cr_assert_str_eq(f->message, "why");
	return 0;
}

Test(task, knows_what_failed_last, .timeout = 10)
{
	run_one(ask_for_failure, "");
	expect_result("", 0);
}

/* ------------------------------------------------------------ sleeping */

static int sleep_ms(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	int err = pm_sleep(task, (unsigned)strtoul(arg, NULL, 10));
	return err ? err : pm_return(task, arg, strlen(arg));
}

static void expect_no_timers(void)
{
	cr_assert_eq(event_base_get_num_events(
			     base, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE),
		0);
}

Test(task, sleeps_and_goes_on, .timeout = 10)
{
	run_one(sleep_ms, "1");
	expect_result("1", 1);
	run_one(sleep_ms, "0");
	expect_result("0", 1);
	expect_no_timers();
}

Test(task, lets_others_work_while_it_sleeps, .timeout = 10)
{
	queue(1, sleep_ms, "60");
	queue(2, sleep_ms, "30");
	queue(3, sleep_ms, "1");
	queue(4, return_arg, "at once");
	uint64_t before_ms = clock_now_ms();
	run_until(4);
	cr_assert_eq(ended[0].id, 4);
	cr_assert_eq(ended[1].id, 3);
	cr_assert_eq(ended[2].id, 2);
	cr_assert_eq(ended[3].id, 1);
	cr_assert_geq(clock_now_ms() - before_ms, 50, "it did sleep");
	expect_no_timers();
}

Test(task, stops_sleeping_when_it_is_cancelled, .timeout = 10)
{
	static const char *const times[] = {"0", "1000", "3600000", "4294967295"};
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		ended_ct = 0;
		queue(1, sleep_ms, times[i]);
		(void)runner_turn(true);
		cr_assert_eq(ended_ct, 0, "%s", times[i]);
		cr_assert(runner_cancel(1));
		(void)runner_turn(true);
		cr_assert_eq(ended_ct, 1, "%s", times[i]);
		cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
		expect_no_timers();
	}
}

static int sleep_on(pm_task *task, const void *arg, size_t len)
{
	unsigned cancelled = 0;
	(void)arg;
	(void)len;
	for (int i = 0; i < 100; i++) {
		cancelled += pm_sleep(task, 3600000) == PM_ECANCELLED;
	}
	return cancelled == 100 ? PM_ECANCELLED : PM_EFAILED;
}

Test(task, sleeps_no_more_once_it_is_cancelled, .timeout = 10)
{
	queue(1, sleep_on, "");
	(void)runner_turn(true);
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1);
	cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
	cr_assert_str_not_empty(ended[0].failure.message);
	expect_no_timers();
}

Test(task, does_not_sleep_when_it_was_cancelled_on_the_way_back, .timeout = 10)
{
	/* the timer has fired, the task has not gone on yet */
	queue(1, sleep_ms, "0");
	(void)runner_turn(true);
	cr_assert_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1);
	expect_result("0", 1);
	expect_no_timers();
}
