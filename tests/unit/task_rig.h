/* SPDX-License-Identifier: MIT
 *
 * task_rig - a worker without a process: tasks on the real runner and a real event
 * base, and notes of how they ended.  A test file includes it once.
 */
#ifndef TESTS_TASK_RIG_H
#define TESTS_TASK_RIG_H

#include <criterion/criterion.h>
#include <event2/event.h>
#include <string.h>

#include "common/clock.h"
#include "worker/child.h"
#include "worker/runner.h"

enum { RIG_MAX_BYTES = 1000, RIG_STACK_BYTES = 64 * 1024, RIG_ENDED_MAX = 300 };

static struct event_base *rig_base;

struct event_base *worker_base(void)
{
	return rig_base;
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
	return RIG_MAX_BYTES;
}

/* ------------------------------------------------------------ how jobs ended */

static struct ended {
	uint64_t id;
	struct pm_failure failure;
	char result[RIG_MAX_BYTES + 1];
	size_t len;
	unsigned char emits[RIG_MAX_BYTES];
	size_t emits_len;
} ended[RIG_ENDED_MAX];
static size_t ended_ct;

static void rig_note_end(struct pm_task *task)
{
	cr_assert_lt(ended_ct, RIG_ENDED_MAX);
	struct ended *e = &ended[ended_ct++];
	e->id = task->id;
	e->failure = task->failure;
	e->len = task->result.len;
	e->emits_len = task->emits.len;
	cr_assert_leq(e->len, RIG_MAX_BYTES);
	cr_assert_leq(e->emits_len, RIG_MAX_BYTES);
	if (e->len) {
		memcpy(e->result, task->result.data, e->len);
	}
	e->result[e->len] = '\0';
	if (e->emits_len) {
		memcpy(e->emits, task->emits.data, e->emits_len);
	}
}

static inline void rig_open_for(unsigned concurrency)
{
	rig_base = event_base_new();
	cr_assert_not_null(rig_base);
	runner_init(concurrency, RIG_STACK_BYTES, rig_note_end);
}

static inline void rig_open(void)
{
	rig_open_for(64);
}

static inline void rig_close(void)
{
	runner_fini();
	event_base_free(rig_base);
	rig_base = NULL;
}

/* ------------------------------------------------------------ jobs */

static inline struct pm_task *rig_queue(uint64_t id, pm_task_fn *fn, const char *arg)
{
	size_t len = strlen(arg);
	struct pm_task *task = runner_new_task(len);
	cr_assert_not_null(task);
	task->id = id;
	task->attempt = 3;
	task->queued_at_us = clock_now_us();
	task->fn = fn;
	memcpy(task->arg, arg, len);
	runner_queue(task);
	return task;
}

/* One turn of the worker: what is ready, or else the next event. */
static inline void rig_turn(void)
{
	int how = runner_has_work(true) ? EVLOOP_NONBLOCK : EVLOOP_ONCE;
	cr_assert_geq(event_base_loop(rig_base, how), 0);
	(void)runner_turn(true);
}

/* Run until `ct` jobs have ended. */
static inline void rig_run_until(size_t ct)
{
	(void)runner_turn(true);
	while (ended_ct < ct) {
		rig_turn();
	}
}

static inline const struct ended *rig_run(pm_task_fn *fn, const char *arg)
{
	ended_ct = 0;
	(void)rig_queue(1, fn, arg);
	rig_run_until(1);
	return &ended[0];
}

static inline void rig_expect(const struct ended *e, int error, const char *text)
{
	cr_assert_eq(e->failure.error, error, "%s: %s", pm_error_name(e->failure.error),
		e->failure.message);
	cr_assert_str_eq(error ? e->failure.message : e->result, text);
}

/* The task that is under test goes wrong by returning the line. */
#define EXPECT(task, condition)                                                        \
	do {                                                                           \
		if (!(condition)) {                                                    \
			return pm_fail(                                                \
				task, __LINE__, "line %d: %s", __LINE__, #condition);  \
		}                                                                      \
	} while (0)

/* Such a task, with nothing but an end. */
static inline void rig_expect_fine(pm_task_fn *fn)
{
	rig_expect(rig_run(fn, ""), 0, "");
}

#endif
