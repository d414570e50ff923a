/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/emit: jobs that tasks add.
 */
#include <stdlib.h>

#include "common/proto.h"
#include "tests/unit/task_rig.h"

TestSuite(emit, .init = rig_open, .fini = rig_close);

static int do_nothing(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	return 0;
}

static int add(struct pm_task *task, const char *arg, uint64_t tag)
{
	struct pm_job job = {.arg = arg, .len = strlen(arg), .tag = tag};
	return pm_emit(task, do_nothing, &job);
}

/* The jobs that came with a result are these. */
static void expect_added(const struct ended *e, const char *const *args, size_t ct)
{
	struct proto_emit emit;
	size_t at = 0;
	for (size_t i = 0; i < ct; i++) {
		cr_assert_eq(proto_emit_get(&emit, e->emits, e->emits_len, &at), 0,
			"%zu jobs", i);
		cr_assert_eq(emit.task, (uint64_t)(uintptr_t)do_nothing);
		cr_assert_eq(emit.tag, i);
		cr_assert_eq(emit.arg_len, strlen(args[i]));
		cr_assert(
			!emit.arg_len || memcmp(emit.arg, args[i], emit.arg_len) == 0);
	}
	cr_assert_eq(at, e->emits_len, "and no more");
}

static int add_three(pm_task *task, const void *arg, size_t len)
{
	EXPECT(task, add(task, "one", 0) == 0);
	EXPECT(task, pm_sleep(task, 0) == 0);
	EXPECT(task, add(task, "", 1) == 0);
	EXPECT(task, add(task, "three", 2) == 0);
	return strcmp(arg, "fail") ? pm_return(task, arg, len) : PM_EFAILED;
}

static const char *const three[] = {"one", "", "three"};

Test(emit, adds_jobs_to_the_result, .timeout = 30)
{
	const struct ended *e = rig_run(add_three, "result");
	rig_expect(e, 0, "result");
	expect_added(e, three, 3);
}

Test(emit, adds_jobs_of_a_task_that_fails, .timeout = 30)
{
	const struct ended *e = rig_run(add_three, "fail");
	cr_assert_eq(e->failure.error, PM_EFAILED);
	expect_added(e, three, 3);
}

static int add_in_a_child(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, add_three, arg, len, &child) == 0);
	return pm_gather(task, &child, 1);
}

static int add_in_a_grandchild(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, add_in_a_child, arg, len, &child) == 0);
	return pm_gather(task, &child, 1);
}

Test(emit, adds_the_jobs_of_children_to_their_job, .timeout = 30)
{
	const struct ended *e = rig_run(add_in_a_grandchild, "fail");
	rig_expect(e, 0, "");
	expect_added(e, three, 3);
}

static int add_all_there_is(pm_task *task, const void *arg, size_t len)
{
	struct pm_job job = {.arg = arg,
		.len = len,
		.once = true,
		.timeout_ms = UINT32_MAX,
		.queue_timeout_ms = UINT32_MAX - 1,
		.tag = UINT64_MAX,
		.lane = "lane and what is not of it",
		.lane_len = 4};
	return pm_emit(task, do_nothing, &job);
}

Test(emit, keeps_all_of_a_job, .timeout = 30)
{
	struct proto_emit emit;
	size_t at = 0;
	const struct ended *e = rig_run(add_all_there_is, "the argument");
	cr_assert_eq(proto_emit_get(&emit, e->emits, e->emits_len, &at), 0);
	cr_assert_eq(emit.tag, UINT64_MAX);
	cr_assert_eq(emit.timeout_ms, UINT32_MAX);
	cr_assert_eq(emit.queue_timeout_ms, UINT32_MAX - 1);
	cr_assert(emit.once);
	cr_assert_eq(emit.arg_len, 12);
	cr_assert_arr_eq(emit.arg, "the argument", 12);
	cr_assert_eq(emit.lane_len, 4);
	cr_assert_arr_eq(emit.lane, "lane", 4);
}

static int add_long_lanes(pm_task *task, const void *arg, size_t len)
{
	static const char name[PM_LANE_MAX + 1];
	struct pm_job job = {.lane = name, .lane_len = sizeof name};
	(void)arg;
	(void)len;
	EXPECT(task, pm_emit(task, do_nothing, &job) == PM_EINVAL);
	EXPECT(task, strstr(pm_task_failure(task)->message, "lane"));
	job.lane_len--;
	EXPECT(task, pm_emit(task, do_nothing, &job) == 0);
	job = (struct pm_job){.lane = NULL, .lane_len = 7};
	return pm_emit(task, do_nothing, &job);
}

Test(emit, refuses_a_lane_whose_name_is_too_long, .timeout = 30)
{
	struct proto_emit emit;
	size_t at = 0;
	const struct ended *e = rig_run(add_long_lanes, "");
	rig_expect(e, 0, "");
	cr_assert_eq(proto_emit_get(&emit, e->emits, e->emits_len, &at), 0);
	cr_assert_eq(emit.lane_len, PM_LANE_MAX);
	cr_assert_eq(proto_emit_get(&emit, e->emits, e->emits_len, &at), 0);
	cr_assert_eq(emit.lane_len, 0, "no lane has no length");
	cr_assert_eq(at, e->emits_len);
}

static int add_nonsense(pm_task *task, const void *arg, size_t len)
{
	struct pm_job job = {.arg = arg, .len = len};
	EXPECT(task, pm_emit(task, NULL, &job) == PM_EINVAL);
	EXPECT(task, pm_emit(task, do_nothing, NULL) == PM_EINVAL);
	job.arg = NULL;
	EXPECT(task, pm_emit(task, do_nothing, &job) == PM_EINVAL);
	EXPECT(task, pm_task_failure(task)->error == PM_EINVAL);
	return 0;
}

Test(emit, refuses_what_is_no_job, .timeout = 30)
{
	const struct ended *e = rig_run(add_nonsense, "x");
	rig_expect(e, 0, "");
	cr_assert_eq(e->emits_len, 0);
}

static int add_too_much(pm_task *task, const void *arg, size_t len)
{
	static const char bytes[RIG_MAX_BYTES];
	struct pm_job job = {
		.arg = bytes, .len = RIG_MAX_BYTES - 2 * PROTO_EMIT_HEAD_BYTES + 1};
	(void)arg;
	(void)len;
	EXPECT(task, add(task, "", 0) == 0);
	EXPECT(task, pm_emit(task, do_nothing, &job) == PM_ETOOBIG);
	EXPECT(task, strstr(pm_task_failure(task)->message, "1000"));
	job.len = SIZE_MAX;
	EXPECT(task, pm_emit(task, do_nothing, &job) == PM_ETOOBIG);
	job.len = RIG_MAX_BYTES - 2 * PROTO_EMIT_HEAD_BYTES;
	job.lane = "x";
	job.lane_len = 1;
	EXPECT(task, pm_emit(task, do_nothing, &job) == PM_ETOOBIG);
	job.lane = NULL;
	EXPECT(task, pm_emit(task, do_nothing, &job) == 0);
	EXPECT(task, add(task, "", 0) == PM_ETOOBIG);
	return 0;
}

Test(emit, keeps_to_max_bytes, .timeout = 30)
{
	const struct ended *e = rig_run(add_too_much, "");
	rig_expect(e, 0, "");
	cr_assert_eq(e->emits_len, RIG_MAX_BYTES);
}
