/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/hooks: the host's own functions in a worker.
 */
#include <unistd.h>

#include "common/blackbox.h"
#include "common/boot.h"
#include "tests/unit/task_rig.h"
#include "worker/hooks.h"

static struct blackbox *box;
static struct boot boot;

static void open_box(void)
{
	int fd;
	rig_open();
	cr_assert_eq(blackbox_new(&box, &fd, "some bytes", 10), 0);
	close(fd);
}

static void close_box(void)
{
	blackbox_free(box);
	rig_close();
}

TestSuite(hooks, .init = open_box, .fini = close_box);

static int init_with(pm_init_fn *init)
{
	boot.init = (uint64_t)(uintptr_t)init;
	return hooks_init(&boot, box);
}

/* ------------------------------------------------------------ both ends */

static unsigned init_ct, fini_ct;

static int look_around(const void *arg, size_t len)
{
	static int data;
	init_ct++;
	cr_assert_eq(len, 10);
	cr_assert_str_eq(arg, "some bytes");
	cr_assert_eq((uintptr_t)arg % _Alignof(max_align_t), 0);
	cr_assert_eq(pm_worker_base(), rig_base);
	cr_assert_null(pm_worker_data());
	pm_worker_set_data(&data);
	cr_assert_eq(pm_worker_data(), &data);
	return 0;
}

static void count_fini(void)
{
	fini_ct++;
}

Test(hooks, run_the_initializer_and_the_finalizer, .timeout = 30)
{
	boot.fini = (uint64_t)(uintptr_t)count_fini;
	cr_assert_eq(init_with(look_around), 0);
	cr_assert_eq(init_ct, 1);
	cr_assert_eq(fini_ct, 0);
	cr_assert_str_empty(box->words);
	hooks_fini();
	cr_assert_eq(fini_ct, 1);
	cr_assert_eq(init_ct, 1);
}

Test(hooks, need_none, .timeout = 30)
{
	cr_assert_eq(init_with(NULL), 0);
	hooks_fini();
	cr_assert_eq(fini_ct, 0);
}

static int fail_with_words(const void *arg, size_t len)
{
	(void)len;
	return pm_worker_fail("no database at %s", (const char *)arg);
}

static int fail_without(const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return PM_EDNS;
}

static int fail_at_length(const void *arg, size_t len)
{
	char text[600];
	(void)arg;
	(void)len;
	text[0] = 'a';
	for (size_t i = 1; i + 2 < sizeof text; i += 2) {
		memcpy(text + i, "\xc3\xa9", 2);
	}
	text[sizeof text - 1] = '\0';
	return pm_worker_fail("%s", text);
}

Test(hooks, say_why_the_initializer_failed, .timeout = 30)
{
	boot.fini = (uint64_t)(uintptr_t)count_fini;
	cr_assert_eq(init_with(fail_with_words), PM_EFAILED);
	cr_assert_str_eq(box->words, "no database at some bytes");
	hooks_fini();
	cr_assert_eq(fini_ct, 0, "there is nothing to end");
}

Test(hooks, say_the_error_of_an_initializer_without_words, .timeout = 30)
{
	cr_assert_eq(init_with(fail_without), PM_EDNS);
	cr_assert_str_eq(box->words, pm_error_text(PM_EDNS));
}

Test(hooks, cut_long_words_between_characters, .timeout = 30)
{
	cr_assert_eq(init_with(fail_at_length), PM_EFAILED);
	cr_assert_eq(strlen(box->words), BLACKBOX_WORDS_BYTES - 1);
	cr_assert_eq((unsigned char)box->words[BLACKBOX_WORDS_BYTES - 2], 0xa9);
}

static int get_over_it(const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	(void)pm_worker_fail("never mind");
	return 0;
}

Test(hooks, take_the_initializers_word_for_it, .timeout = 30)
{
	cr_assert_eq(init_with(get_over_it), 0);
	cr_assert_str_empty(box->words);
}

Test(hooks, know_of_no_worker_outside_one, .timeout = 30)
{
	struct event_base *base = rig_base;
	rig_base = NULL;
	cr_assert_null(pm_worker_base());
	pm_worker_set_data(&base);
	cr_assert_null(pm_worker_data());
	rig_base = base;
}

/* ------------------------------------------------------------ failed jobs */

static unsigned failed_ct;
static struct pm_failure seen;
static int await_error;

static void note_failure(pm_task *task, const struct pm_failure *failure)
{
	cr_assert_eq(task->id, 1);
	cr_assert_eq(ended_ct, 0, "before its result");
	failed_ct++;
	seen = *failure;
	await_error = pm_sleep(task, 1);
}

static int fail(pm_task *task, const void *arg, size_t len)
{
	(void)len;
	return pm_fail(task, 9, "%s", (const char *)arg);
}

static int gather_a_failure(pm_task *task, const void *arg, size_t len)
{
	struct pm_task *child;
	EXPECT(task, pm_spawn(task, fail, arg, len, &child) == 0);
	EXPECT(task, pm_gather(task, &child, 1) == 0);
	return 0;
}

static void use_on_job_error(void)
{
	boot.on_job_error = (uint64_t)(uintptr_t)note_failure;
	cr_assert_eq(init_with(NULL), 0);
}

Test(hooks, tell_of_a_job_that_failed, .timeout = 30)
{
	use_on_job_error();
	rig_expect(rig_run(fail, "badly"), PM_EFAILED, "badly");
	cr_assert_eq(failed_ct, 1);
	cr_assert_eq(seen.error, PM_EFAILED);
	cr_assert_eq(seen.code, 9);
	cr_assert_str_eq(seen.message, "badly");
	cr_assert_eq(await_error, PM_ECANCELLED, "it must not await");
	cr_assert_eq(ended[0].failure.code, 9, "and changes nothing");
}

Test(hooks, tell_of_no_success_and_of_no_child, .timeout = 30)
{
	use_on_job_error();
	rig_expect_fine(gather_a_failure);
	cr_assert_eq(failed_ct, 0);
}

static int nap(pm_task *task, const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return pm_sleep(task, 60000);
}

Test(hooks, tell_of_a_job_that_was_cancelled_as_it_ran, .timeout = 30)
{
	use_on_job_error();
	rig_queue(1, nap, "")->timeout_ms = 1;
	rig_run_until(1);
	cr_assert_eq(ended[0].failure.error, PM_ETIMEDOUT);
	cr_assert_eq(failed_ct, 1);
	cr_assert_eq(seen.error, PM_ETIMEDOUT);
}

Test(hooks, tell_of_no_job_that_never_began, .timeout = 30)
{
	use_on_job_error();
	(void)rig_queue(1, nap, "");
	cr_assert(runner_cancel(1));
	cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
	cr_assert_eq(failed_ct, 0);
}
