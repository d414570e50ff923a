/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/child and worker/child_wait: tasks that start others, on the
 * real runner and a real event base.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/blackbox.h"
#include "tests/unit/task_rig.h"

TestSuite(child, .init = rig_open, .fini = rig_close);

static bool no_stacks; /* there is no memory for another one */
static int stack_ct;   /* that there are */

/* In place of libc's, which others go on to use. */
void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (no_stacks && flags & MAP_STACK) {
		return MAP_FAILED;
	}
	stack_ct += flags & MAP_STACK ? 1 : 0;
	return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

int munmap(void *at, size_t len)
{
	stack_ct -= len > RIG_STACK_BYTES && len <= RIG_STACK_BYTES + 256 * 1024;
	return (int)syscall(SYS_munmap, at, len);
}

/* ------------------------------------------------------------ children to have */

static unsigned begun_ct, over_ct, cancelled_ct;

/* Returns its argument after as many milliseconds as that says. */
static int nap(pm_task *task, const void *arg, size_t len)
{
	begun_ct++;
	int err = pm_sleep(task, (unsigned)atoi(arg));
	over_ct++;
	cancelled_ct += err == PM_ECANCELLED;
	return err ? err : pm_return(task, arg, len);
}

static int say(pm_task *task, const void *arg, size_t len)
{
	begun_ct++;
	return pm_return(task, arg, len);
}

static int fail_late(pm_task *task, const void *arg, size_t len)
{
	int err = pm_sleep(task, (unsigned)atoi(arg));
	(void)len;
	return err ? err : pm_fail(task, 7, "after %s ms", (const char *)arg);
}

static int do_nothing(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	return 0;
}

/* Takes its time when it is cancelled, and succeeds all the same. */
static int end_well(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child = NULL;
	(void)pm_sleep(task, 60000);
	over_ct++;
	return pm_spawn(task, say, arg, len, &child) ? PM_EFAILED
						     : pm_return(task, "well", 4);
}

static int spawn(
	struct pm_task *task, pm_task_fn *fn, const char *arg, struct pm_task **child)
{
	return pm_spawn(task, fn, arg, strlen(arg), child);
}

/* ------------------------------------------------------------ gather */

static int gather_three(pm_task *task, const void *arg, size_t len)
{
	static const char *const args[] = {"20", "1", "10"};
	struct pm_task *children[3];
	(void)arg;
	(void)len;
	for (int i = 0; i < 3; i++) {
		EXPECT(task, spawn(task, nap, args[i], &children[i]) == 0);
	}
	EXPECT(task, begun_ct == 0);
	EXPECT(task, !pm_child_result(children[0]));
	EXPECT(task, pm_gather(task, children, 3) == 0);
	for (int i = 0; i < 3; i++) {
		const struct pm_result *r = pm_child_result(children[i]);
		EXPECT(task, r && r->error == 0 && !r->message);
		EXPECT(task, r->len == strlen(args[i]));
		EXPECT(task, strcmp(r->bytes, args[i]) == 0);
	}
	EXPECT(task, pm_gather(task, children, 3) == 0);
	return 0;
}

Test(child, gathers_results_where_they_belong, .timeout = 30)
{
	rig_expect_fine(gather_three);
	cr_assert_eq(over_ct, 3);
}

static int gather_failures(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[3];
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, fail_late, "1", &children[0]) == 0);
	EXPECT(task, spawn(task, say, "fine", &children[1]) == 0);
	EXPECT(task, spawn(task, do_nothing, "", &children[2]) == 0);
	EXPECT(task, pm_gather(task, children, 3) == 0);
	const struct pm_result *r = pm_child_result(children[0]);
	EXPECT(task, r->error == PM_EFAILED && r->domain == PM_DOMAIN_TASK);
	EXPECT(task, r->code == 7 && !r->bytes && r->len == 0);
	EXPECT(task, strcmp(r->message, "after 1 ms") == 0);
	EXPECT(task, pm_child_result(children[1])->error == 0);
	r = pm_child_result(children[2]);
	EXPECT(task, r->error == 0 && r->bytes && r->len == 0);
	EXPECT(task, strcmp(r->bytes, "") == 0);
	return 0;
}

Test(child, gathers_failures_as_values, .timeout = 30)
{
	rig_expect_fine(gather_failures);
}

static int gather_none(pm_task *task, const void *arg, size_t len)
{
	size_t which = 99;
	(void)arg;
	(void)len;
	EXPECT(task, pm_gather(task, NULL, 0) == 0);
	EXPECT(task, pm_wait_children(task, NULL, 0, PM_ALL, PM_FOREVER, &which) == 0);
	EXPECT(task, which == 0);
	EXPECT(task, pm_wait_children(task, NULL, 0, PM_FIRST_ERROR, -5, NULL) == 0);
	EXPECT(task, pm_wait_children(task, NULL, 0, PM_ANY, 0, NULL) == PM_EINVAL);
	return 0;
}

Test(child, gathers_none_at_once, .timeout = 30)
{
	rig_expect_fine(gather_none);
}

static int gather_one_twice(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[2];
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "1", &children[0]) == 0);
	children[1] = children[0];
	EXPECT(task, pm_gather(task, children, 2) == 0);
	EXPECT(task, pm_child_result(children[0])->error == 0);
	return 0;
}

Test(child, may_be_gathered_in_two_places, .timeout = 30)
{
	rig_expect_fine(gather_one_twice);
}

static struct pm_task *of_another;

static int gather_anothers(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child, *none = NULL;
	struct pm_task *self = task;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, do_nothing, "", &child) == 0);
	EXPECT(task, pm_gather(task, &of_another, 1) == PM_EINVAL);
	EXPECT(task, pm_gather(task, &none, 1) == PM_EINVAL);
	EXPECT(task, pm_gather(task, &self, 1) == PM_EINVAL);
	EXPECT(task, pm_gather(task, NULL, 1) == PM_EINVAL);
	EXPECT(task, pm_task_failure(task)->error == PM_EINVAL);
	EXPECT(task, pm_wait_children(task, &child, 1, (enum pm_wait_for)3, 0, NULL) ==
			     PM_EINVAL);
	EXPECT(task, pm_gather(task, &child, 1) == 0);
	return 0;
}

static int lend_a_child(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "60000", &of_another) == 0);
	return pm_sleep(task, 60000);
}

Test(child, is_waited_for_by_its_parent_only, .timeout = 30)
{
	(void)rig_queue(1, lend_a_child, "");
	(void)rig_queue(2, gather_anothers, "");
	rig_run_until(1);
	rig_expect(&ended[0], 0, "");
	cr_assert(runner_cancel(1));
	rig_run_until(2);
}

/* ------------------------------------------------------------ spawning */

static int spawn_wrongly(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child = task;
	(void)arg;
	(void)len;
	EXPECT(task, pm_spawn(task, NULL, "x", 1, &child) == PM_EINVAL);
	EXPECT(task, pm_spawn(task, say, NULL, 1, &child) == PM_EINVAL);
	EXPECT(task, pm_spawn(task, say, "x", SIZE_MAX, &child) == PM_ENOMEM);
	EXPECT(task, child == task);
	EXPECT(task, pm_task_failure(task)->error == PM_ENOMEM);
	return 0;
}

Test(child, needs_a_function_and_an_argument, .timeout = 30)
{
	rig_expect_fine(spawn_wrongly);
	cr_assert_eq(begun_ct, 0);
}

static int look_at_arg(pm_task *task, const void *arg, size_t len)
{
	EXPECT(task, (uintptr_t)arg % _Alignof(max_align_t) == 0);
	EXPECT(task, len == 5 && strcmp(arg, "local") == 0);
	return 0;
}

static int spawn_with_a_local(pm_task *task, const void *arg, size_t len)
{
	char text[] = "local";
	struct pm_task *child;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, look_at_arg, text, &child) == 0);
	memset(text, 'x', sizeof text);
	return pm_await_child(task, child, PM_FOREVER);
}

Test(child, has_a_copy_of_its_argument, .timeout = 30)
{
	rig_expect_fine(spawn_with_a_local);
}

static int be_like_the_job(pm_task *task, const void *arg, size_t len)
{
	uint64_t queued_us;
	(void)len;
	memcpy(&queued_us, arg, sizeof queued_us);
	EXPECT(task, pm_task_worker(task) == 42);
	EXPECT(task, pm_task_attempt(task) == 3);
	EXPECT(task, pm_task_queued_us(task) == queued_us);
	EXPECT(task, pm_task_failure(task)->error == 0);
	EXPECT(task, !pm_task_last_response(task));
	return 0;
}

/* Through two generations. */
static int beget(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, be_like_the_job, arg, len, &child) == 0);
	return pm_await_child(task, child, PM_FOREVER);
}

static int have_a_grandchild(pm_task *task, const void *arg, size_t len)
{
	uint64_t queued_us = pm_task_queued_us(task);
	struct pm_task *child;
	(void)arg;
	(void)len;
	EXPECT(task, pm_spawn(task, beget, &queued_us, sizeof queued_us, &child) == 0);
	return pm_await_child(task, child, PM_FOREVER);
}

Test(child, is_known_by_its_job, .timeout = 30)
{
	rig_expect_fine(have_a_grandchild);
}

static struct blackbox *box;

static int look_into_the_box(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	for (int i = 0; i < 3; i++) {
		EXPECT(task, atomic_load(&box->current) == 77);
		EXPECT(task, atomic_load(&box->begun) == 2);
		EXPECT(task, pm_sleep(task, 1) == 0);
	}
	return 0;
}

static int have_it_looked_into(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, look_into_the_box, "", &child) == 0);
	EXPECT(task, pm_await_child(task, child, PM_FOREVER) == 0);
	EXPECT(task, atomic_load(&box->current) == 77);
	return 0;
}

Test(child, is_blamed_on_its_job, .timeout = 30)
{
	int fd;
	cr_assert_eq(blackbox_new(&box, &fd, NULL, 0), 0);
	close(fd);
	runner_use_blackbox(box);
	(void)rig_queue(76, nap, "20");
	(void)rig_queue(77, have_it_looked_into, "");
	rig_run_until(2);
	cr_assert_eq(ended[0].failure.error, 0, "%s", ended[0].failure.message);
	cr_assert_eq(ended[1].failure.error, 0, "%s", ended[1].failure.message);
	cr_assert_eq(atomic_load(&box->current), 0);
	blackbox_free(box);
}

static int have_many_at_once(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[50];
	(void)arg;
	(void)len;
	for (int i = 0; i < 50; i++) {
		EXPECT(task, spawn(task, nap, "1", &children[i]) == 0);
	}
	EXPECT(task, pm_sleep(task, 0) == 0);
	EXPECT(task, begun_ct == 50);
	EXPECT(task, runner_started_ct() == 1 && runner_held_ct() == 2);
	return pm_gather(task, children, 50);
}

Test(child, does_not_count_for_the_concurrency, .timeout = 30)
{
	rig_close();
	rig_open_for(1);
	(void)rig_queue(1, have_many_at_once, "");
	(void)rig_queue(2, have_many_at_once, "");
	(void)runner_turn(true);
	cr_assert_eq(runner_started_ct(), 1);
	cr_assert_eq(begun_ct, 50);
	begun_ct = 0;
	while (ended_ct < 1) {
		begun_ct = runner_held_ct() == 2 ? 50 : begun_ct;
		cr_assert_leq(runner_started_ct(), 1);
		rig_turn();
	}
}

/* The results cannot be sent: no job may start, but what has begun goes on. */
Test(child, starts_though_no_job_may, .timeout = 30)
{
	(void)rig_queue(1, gather_three, "");
	(void)runner_turn(true);
	(void)rig_queue(2, do_nothing, "");
	while (ended_ct < 1) {
		cr_assert_geq(event_base_loop(rig_base, EVLOOP_ONCE), 0);
		(void)runner_turn(false);
	}
	rig_expect(&ended[0], 0, "");
	rig_run_until(2);
}

static int gather_ten_thousand(pm_task *task, const void *arg, size_t len)
{
	enum { CT = 10000 };
	struct pm_task **children = calloc(CT, sizeof *children);
	(void)len;
	EXPECT(task, children);
	for (int i = 0; i < CT; i++) {
		EXPECT(task, spawn(task, nap, arg, &children[i]) == 0);
	}
	EXPECT(task, pm_gather(task, children, CT) == 0);
	for (int i = 0; i < CT; i++) {
		EXPECT(task, pm_child_result(children[i])->error == 0);
	}
	free(children);
	return 0;
}

Test(child, may_have_ten_thousand_brothers, .timeout = 120)
{
	rig_expect(rig_run(gather_ten_thousand, "1"), 0, "");
	cr_assert_eq(over_ct, 10000);
}

static int gather_again(pm_task *task, const void *arg, size_t len)
{
	int err = gather_ten_thousand(task, arg, len);
	for (int i = 0; i < 300 && !err; i++) {
		err = pm_sleep(task, 0);
	}
	return err;
}

Test(child, gives_its_stack_back, .timeout = 120)
{
	rig_expect(rig_run(gather_ten_thousand, "50"), 0, "");
	cr_assert_geq(stack_ct, 9000, "%d", stack_ct);
	int most = stack_ct;
	rig_expect(rig_run(gather_again, "50"), 0, "");
	cr_assert_lt(stack_ct, most / 10, "%d of %d", stack_ct, most);
	cr_assert_gt(stack_ct, 200, "some are kept");
}

static int leave_ten_thousand(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	for (int i = 0; i < 10000; i++) {
		EXPECT(task, spawn(task, nap, arg, NULL) == 0);
	}
	return pm_sleep(task, 1);
}

Test(child, is_cancelled_with_ten_thousand_brothers, .timeout = 120)
{
	rig_expect(rig_run(leave_ten_thousand, "60000"), 0, "");
	cr_assert_eq(cancelled_ct, 10000);
}

static int have_too_many(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child = NULL;
	(void)arg;
	(void)len;
	for (int i = 0; i < PM_CHILDREN_MAX; i++) {
		EXPECT(task, spawn(task, nap, "1", &child) == 0);
	}
	EXPECT(task, spawn(task, nap, "1", &child) == PM_ELIMIT);
	pm_child_cancel(child);
	EXPECT(task, spawn(task, nap, "1", &child) == 0);
	EXPECT(task, spawn(task, nap, "1", &child) == PM_ELIMIT);
	return 0;
}

Test(child, may_have_so_many_brothers_and_no_more, .timeout = 120)
{
	rig_expect_fine(have_too_many);
	cr_assert_eq(begun_ct, 0);
}

static int find_no_stack(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[2];
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "1", &children[0]) == 0);
	EXPECT(task, spawn(task, nap, "1", &children[1]) == 0);
	EXPECT(task,
		pm_wait_children(task, children, 2, PM_FIRST_ERROR, -1, NULL) == 0);
	EXPECT(task, pm_gather(task, children, 2) == 0);
	EXPECT(task, pm_child_result(children[0])->error == PM_ENOMEM);
	EXPECT(task, pm_child_result(children[1])->error == PM_ENOMEM);
	no_stacks = false;
	EXPECT(task, spawn(task, say, "there", &children[0]) == 0);
	return pm_await_child(task, children[0], PM_FOREVER);
}

static int take_stacks_away(pm_task *task, const void *arg, size_t len)
{
	no_stacks = true;
	return find_no_stack(task, arg, len);
}

Test(child, fails_without_memory_for_its_stack, .timeout = 30)
{
	rig_expect_fine(take_stacks_away);
	cr_assert_eq(begun_ct, 1);
}

/* ------------------------------------------------------------ the end */

static int leave_some(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	for (int i = 0; i < 5; i++) {
		EXPECT(task, spawn(task, nap, "60000", NULL) == 0);
	}
	int err = pm_sleep(task, 0);
	EXPECT(task, spawn(task, say, "never begun", NULL) == 0);
	return err ? err : pm_return(task, arg, strlen(arg));
}

Test(child, is_cancelled_when_its_parent_ends, .timeout = 30)
{
	rig_expect(rig_run(leave_some, "done"), 0, "done");
	cr_assert_eq(begun_ct, 5);
	cr_assert_eq(cancelled_ct, 5);
}

static bool may_end;

static int be_slow_to_end(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	(void)pm_sleep(task, 60000);
	task_stay(task, NULL, NULL);
	over_ct++;
	return may_end ? 0 : PM_EFAILED;
}

static struct pm_task *slow;

static int leave_a_slow_one(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, be_slow_to_end, "", &slow) == 0);
	return pm_sleep(task, 1);
}

Test(child, ends_before_its_parent, .timeout = 30)
{
	(void)rig_queue(1, leave_a_slow_one, "");
	(void)runner_turn(true);
	while (!slow->cancelled || slow->state != TASK_PARKED) {
		rig_turn();
	}
	cr_assert_eq(ended_ct, 0);
	cr_assert_eq(runner_started_ct(), 1, "it is still there");
	cr_assert(runner_cancel(1), "which changes nothing now");
	may_end = true;
	task_wake(slow);
	rig_run_until(1);
	rig_expect(&ended[0], 0, "");
}

static bool gathers;

static int gather_and_tell(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[2];
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "60000", &children[0]) == 0);
	EXPECT(task, spawn(task, nap, "60000", &children[1]) == 0);
	EXPECT(task, pm_sleep(task, 0) == 0); /* they wait before it does */
	gathers = true;
	EXPECT(task, pm_gather(task, children, 2) == PM_ECANCELLED);
	EXPECT(task, !pm_child_result(children[0]));
	EXPECT(task, cancelled_ct == 0);
	EXPECT(task, pm_gather(task, children, 2) == PM_ECANCELLED);
	EXPECT(task, pm_await_child(task, children[0], 1) == PM_ECANCELLED);
	return PM_ECANCELLED;
}

static void cancel_while_it_gathers(bool with_another)
{
	uint64_t ids[] = {99, 1};
	ended_ct = cancelled_ct = 0;
	gathers = false;
	(void)rig_queue(1, gather_and_tell, "");
	(void)runner_turn(true);
	while (!gathers) {
		rig_turn();
	}
	if (with_another) {
		runner_cancel_all(ids, 2);
	} else {
		cr_assert(runner_cancel(1));
	}
	rig_run_until(1);
	rig_expect(&ended[0], PM_ECANCELLED, "cancelled");
	cr_assert_eq(cancelled_ct, 2);
}

Test(child, is_cancelled_after_its_cancelled_parent, .timeout = 30)
{
	cancel_while_it_gathers(false);
	cancel_while_it_gathers(true);
}

static int gather_the_slow_one(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, be_slow_to_end, "", &slow) == 0);
	return pm_gather(task, &slow, 1);
}

/* Both are ready: the child goes on first, and must not wake its parent again. */
Test(child, may_end_as_its_parent_is_cancelled, .timeout = 30)
{
	(void)rig_queue(1, gather_the_slow_one, "");
	(void)runner_turn(true);
	pm_child_cancel(slow);
	(void)runner_turn(true);
	task_wake(slow);
	cr_assert(runner_cancel(1));
	rig_run_until(1);
	rig_expect(&ended[0], PM_ECANCELLED, "cancelled");
	cr_assert_eq(over_ct, 1);
}

static int have_offspring(pm_task *task, const void *arg, size_t len)
{
	unsigned depth = (unsigned)atoi(arg);
	char text[16];
	struct pm_task *child;
	(void)len;
	snprintf(text, sizeof text, "%u", depth - 1);
	EXPECT(task, depth == 0 || spawn(task, have_offspring, text, &child) == 0);
	EXPECT(task, depth == 0 || spawn(task, nap, "60000", &child) == 0);
	int err = pm_sleep(task, depth == 0 ? 1 : 60000);
	over_ct++;
	return err;
}

static int leave_offspring(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, have_offspring, "10", &child) == 0);
	return pm_sleep(task, 5);
}

Test(child, takes_its_own_children_along, .timeout = 30)
{
	rig_expect_fine(leave_offspring);
	cr_assert_eq(over_ct, 21);
	cr_assert_eq(cancelled_ct, 10);
}

static int spawn_too_late(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *parent, *child;
	(void)len;
	memcpy(&parent, arg, sizeof parent);
	(void)pm_sleep(task, 60000);
	over_ct += spawn(parent, say, "x", &child) == PM_ESTATE;
	return 0;
}

static int have_one_that_spawns(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	EXPECT(task, pm_spawn(task, spawn_too_late, &task, sizeof task, NULL) == 0);
	return pm_sleep(task, 1);
}

Test(child, cannot_come_after_the_end, .timeout = 30)
{
	rig_expect_fine(have_one_that_spawns);
	cr_assert_eq(over_ct, 1);
}

/* ------------------------------------------------------------ wait for some */

static int wait_for_so_many(pm_task *task, const void *arg, size_t len)
{
	static const char *const args[] = {"60000", "1", "60000", "2", "3"};
	struct pm_task *c[5];
	(void)arg;
	(void)len;
	for (int i = 0; i < 5; i++) {
		EXPECT(task, spawn(task, nap, args[i], &c[i]) == 0);
	}
	EXPECT(task, pm_wait_children_count(task, c, 5, 0, PM_FOREVER) == 0);
	EXPECT(task, !pm_child_result(c[1]));
	EXPECT(task, pm_wait_children_count(task, c, 5, 1, 0) == PM_ETIMEDOUT);
	EXPECT(task, pm_wait_children_count(task, c, 5, 3, PM_FOREVER) == 0);
	EXPECT(task, pm_child_result(c[1]) && pm_child_result(c[3]));
	EXPECT(task, pm_child_result(c[4]) && !pm_child_result(c[0]));
	EXPECT(task, pm_wait_children_count(task, c, 5, 3, 0) == 0);
	EXPECT(task, pm_wait_children_count(task, c, 5, 4, 2) == PM_ETIMEDOUT);
	EXPECT(task, pm_wait_children_count(task, c, 5, 6, 0) == PM_EINVAL);
	EXPECT(task, pm_wait_children_count(task, NULL, 5, 1, 0) == PM_EINVAL);
	EXPECT(task, pm_wait_children_count(task, NULL, 0, 0, 0) == 0);
	return 0;
}

Test(child, may_be_waited_for_so_many, .timeout = 30)
{
	rig_expect_fine(wait_for_so_many);
}

/* Each place counts, of those that have ended and of those that will. */
static int wait_for_places(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *late, *quick;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "60000", &late) == 0);
	EXPECT(task, spawn(task, nap, "1", &quick) == 0);
	struct pm_task *const places[] = {quick, late, quick, quick, late};
	EXPECT(task, pm_wait_children_count(task, places, 5, 3, PM_FOREVER) == 0);
	EXPECT(task, pm_child_result(quick) && !pm_child_result(late));
	EXPECT(task, pm_wait_children_count(task, places, 5, 3, 0) == 0);
	EXPECT(task, pm_wait_children_count(task, places, 5, 4, 1) == PM_ETIMEDOUT);
	return 0;
}

Test(child, counts_twice_when_it_stands_there_twice, .timeout = 30)
{
	rig_expect_fine(wait_for_places);
}

static int wait_for_any(pm_task *task, const void *arg, size_t len)
{
	static const char *const args[] = {"60000", "1", "60000"};
	struct pm_task *children[3];
	size_t which = 99;
	(void)arg;
	(void)len;
	for (int i = 0; i < 3; i++) {
		EXPECT(task, spawn(task, nap, args[i], &children[i]) == 0);
	}
	EXPECT(task,
		pm_wait_children(task, children, 3, PM_ANY, 0, &which) == PM_ETIMEDOUT);
	EXPECT(task, which == 99);
	EXPECT(task, pm_wait_children(task, children, 3, PM_ANY, -1, &which) == 0);
	EXPECT(task, which == 1);
	EXPECT(task, pm_wait_children(task, children, 3, PM_ANY, 0, &which) == 0);
	EXPECT(task, which == 1);
	EXPECT(task,
		pm_wait_children(task, children, 3, PM_ALL, 2, &which) == PM_ETIMEDOUT);
	EXPECT(task, pm_task_failure(task)->error == PM_ETIMEDOUT);
	EXPECT(task, !pm_child_result(children[0]) && !pm_child_result(children[2]));
	return 0;
}

Test(child, is_waited_for_with_others, .timeout = 30)
{
	rig_expect_fine(wait_for_any);
	cr_assert_eq(cancelled_ct, 2, "at the end");
}

static int wait_for_an_error(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[3];
	size_t which = 99;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "1", &children[0]) == 0);
	EXPECT(task, spawn(task, nap, "60000", &children[1]) == 0);
	EXPECT(task, spawn(task, fail_late, "5", &children[2]) == 0);
	EXPECT(task,
		pm_wait_children(task, children, 3, PM_FIRST_ERROR, -1, &which) == 0);
	EXPECT(task, which == 2);
	EXPECT(task, pm_child_result(children[0]) && !pm_child_result(children[1]));
	which = 99;
	EXPECT(task,
		pm_wait_children(task, children, 1, PM_FIRST_ERROR, -1, &which) == 0);
	EXPECT(task, which == 0);
	return 0;
}

Test(child, is_waited_for_until_one_fails, .timeout = 30)
{
	rig_expect_fine(wait_for_an_error);
}

/* ------------------------------------------------------------ await one */

static int await_each_way(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "1", &child) == 0);
	EXPECT(task, pm_await_child(task, child, 60000) == 0);
	EXPECT(task, pm_await_child(task, child, 0) == 0);
	EXPECT(task, strcmp(pm_child_result(child)->bytes, "1") == 0);
	EXPECT(task, spawn(task, fail_late, "1", &child) == 0);
	EXPECT(task, pm_await_child(task, child, PM_FOREVER) == PM_EFAILED);
	EXPECT(task, pm_task_failure(task)->code == 7);
	EXPECT(task, strcmp(pm_task_failure(task)->message, "after 1 ms") == 0);
	return 0;
}

Test(child, is_awaited, .timeout = 30)
{
	rig_expect_fine(await_each_way);
}

static int await_too_long(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "60000", &child) == 0);
	EXPECT(task, pm_await_child(task, child, 1) == PM_ETIMEDOUT);
	EXPECT(task, pm_task_failure(task)->error == PM_ETIMEDOUT);
	EXPECT(task, cancelled_ct == 1 && over_ct == 1);
	EXPECT(task, pm_child_result(child)->error == PM_ECANCELLED);
	EXPECT(task, spawn(task, nap, "60000", &child) == 0);
	EXPECT(task, pm_await_child(task, child, 0) == PM_ETIMEDOUT);
	EXPECT(task, begun_ct == 1);
	EXPECT(task, spawn(task, end_well, "", &child) == 0);
	EXPECT(task, pm_await_child(task, child, 1) == 0);
	EXPECT(task, over_ct == 2);
	EXPECT(task, strcmp(pm_child_result(child)->bytes, "well") == 0);
	return 0;
}

Test(child, is_cancelled_when_it_takes_too_long, .timeout = 30)
{
	rig_expect_fine(await_too_long);
}

/* ------------------------------------------------------------ cancel, free */

static int cancel_some(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[3];
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "60000", &children[0]) == 0);
	EXPECT(task, pm_sleep(task, 0) == 0);
	EXPECT(task, begun_ct == 1);
	EXPECT(task, spawn(task, nap, "60000", &children[1]) == 0);
	EXPECT(task, spawn(task, do_nothing, "", &children[2]) == 0);
	pm_child_cancel(children[0]);
	pm_child_cancel(children[0]);
	pm_child_cancel(children[1]);
	EXPECT(task, !pm_child_result(children[0]));
	EXPECT(task, pm_child_result(children[1])->error == PM_ECANCELLED);
	EXPECT(task, pm_gather(task, children, 3) == 0);
	EXPECT(task, pm_child_result(children[0])->error == PM_ECANCELLED);
	pm_child_cancel(children[2]);
	EXPECT(task, pm_child_result(children[2])->error == 0);
	EXPECT(task, begun_ct == 1 && cancelled_ct == 1);
	return 0;
}

Test(child, can_be_cancelled, .timeout = 30)
{
	rig_expect_fine(cancel_some);
}

static int free_some(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[4];
	(void)arg;
	(void)len;
	pm_child_free(NULL);
	EXPECT(task, spawn(task, nap, "60000", &children[0]) == 0);
	EXPECT(task, spawn(task, say, "x", &children[1]) == 0);
	EXPECT(task, pm_sleep(task, 0) == 0);
	EXPECT(task, spawn(task, say, "y", &children[2]) == 0);
	EXPECT(task, spawn(task, say, "z", &children[3]) == 0);
	EXPECT(task, task->family->live.ct == 3 && task->family->ended.ct == 1);
	pm_child_free(children[0]); /* runs */
	pm_child_free(children[1]); /* has ended */
	pm_child_free(children[2]); /* has not begun */
	EXPECT(task, task->family->live.ct == 2 && task->family->ended.ct == 0);
	EXPECT(task, pm_gather(task, &children[3], 1) == 0);
	EXPECT(task, pm_sleep(task, 0) == 0);
	EXPECT(task, task->family->live.ct == 0 && task->family->ended.ct == 1);
	return 0;
}

Test(child, can_be_freed_early, .timeout = 30)
{
	rig_expect_fine(free_some);
	cr_assert_eq(cancelled_ct, 1);
}

static int let_one_go(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "1", &child) == 0);
	child_let_go(child);
	EXPECT(task, pm_sleep(task, 0) == 0);
	while (task->family->live.ct) {
		EXPECT(task, pm_sleep(task, 1) == 0);
	}
	EXPECT(task, task->family->ended.ct == 0);
	EXPECT(task, over_ct == 1 && cancelled_ct == 0);
	return 0;
}

Test(child, may_be_let_go, .timeout = 30)
{
	rig_expect_fine(let_one_go);
}

static struct pm_task *shared;

static int free_the_other(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	pm_child_free(shared);
	return 0;
}

static int gather_what_another_frees(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *other;
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, nap, "60000", &shared) == 0);
	EXPECT(task, spawn(task, free_the_other, "", &other) == 0);
	EXPECT(task, pm_gather(task, &shared, 1) == 0);
	EXPECT(task, pm_child_result(shared)->error == PM_ECANCELLED);
	return 0;
}

Test(child, stays_while_somebody_waits_for_it, .timeout = 30)
{
	rig_expect_fine(gather_what_another_frees);
}

static int gather_what_has_ended_and_another_frees(
	pm_task *task, const void *arg, size_t len)
{
	struct pm_task *children[2];
	(void)arg;
	(void)len;
	EXPECT(task, spawn(task, say, "kept", &shared) == 0);
	EXPECT(task, pm_sleep(task, 0) == 0);
	EXPECT(task, pm_child_result(shared));
	children[0] = shared;
	EXPECT(task, spawn(task, free_the_other, "", &children[1]) == 0);
	EXPECT(task, pm_gather(task, children, 2) == 0);
	EXPECT(task, task->family->ended.ct == 2);
	EXPECT(task, strcmp(pm_child_result(shared)->bytes, "kept") == 0);
	return 0;
}

Test(child, stays_while_somebody_waits_for_it_and_others, .timeout = 30)
{
	rig_expect_fine(gather_what_has_ended_and_another_frees);
}
