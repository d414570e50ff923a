/* SPDX-License-Identifier: MIT
 *
 * Hostile code in a worker of the command: a pool with the command's own initializer
 * runs tasks that try what an intruder would, between fetches that go on.
 */
#include "tests/support/pool_rig.h"

#include "common/cli/fetch_task.h"
#include "common/cli/kernel.h"
#include "tests/support/deeds.h"
#include "worker/cli/sandbox.h"

/* Results: errno of each deed. */
static int task_deeds(pm_task *task, const void *arg, size_t len)
{
	struct deed_targets targets;
	int why[DEED_CT];
	cr_assert_eq(len, sizeof(targets));
	memcpy(&targets, arg, sizeof(targets));
	sandbox_seal(); /* as the command's tasks do */
	for (int i = 0; i < DEED_CT; i++) {
		why[i] = deeds[i].act(&targets);
	}
	return pm_return(task, why, sizeof(why));
}

static int task_get(pm_task *task, const void *arg, size_t len)
{
	struct pm_response *response;
	(void)len;
	int err = pm_await_get(task, arg, &response);
	return err ? err : pm_return(task, response->body, response->body_len);
}

static void check_fetch(pm_pool *pool, const struct origin *o)
{
	const char *url = origin_url(o, "/size/5000");
	struct pm_job job = {.arg = url, .len = strlen(url)};
	struct pm_result result;
	cr_assert_eq(pm_map(pool, task_get, &job, 1, &result), 0);
	cr_assert_eq(result.error, 0, "%s: %s", pm_error_name(result.error),
		result.message ? result.message : "-");
	cr_assert_eq(result.len, 5000);
	pm_results_clear(&result, 1);
}

static struct deed_targets targets_of_test(char *word)
{
	struct deed_targets t = {.master = getpid(), .word = word};
	snprintf(t.dir, sizeof(t.dir), "%s", temp_dir());
	snprintf(t.secret, sizeof(t.secret), "%s", temp_file("key", "key", 3));
	return t;
}

static pm_pool *open_pool(pm_init_fn *init)
{
	struct pm_pool_options o = rig_options(1, 4);
	o.init = init;
	return rig_open(&o);
}

/* How many deeds were let; `name`: of one of them. */
static int let_ct(pm_pool *pool, const struct deed_targets *targets, const char **name)
{
	struct pm_job job = {.arg = targets, .len = sizeof(*targets)};
	struct pm_result result;
	int why[DEED_CT], ct = 0;
	cr_assert_eq(pm_map(pool, task_deeds, &job, 1, &result), 0);
	cr_assert_eq(result.error, 0, "%s: %s", pm_error_name(result.error),
		result.message ? result.message : "-");
	cr_assert_eq(result.len, sizeof(why));
	memcpy(why, result.bytes, sizeof(why));
	for (int i = 0; i < DEED_CT; i++) {
		*name = why[i] ? *name : deeds[i].name;
		ct += why[i] == 0;
	}
	pm_results_clear(&result, 1);
	return ct;
}

Test(sandbox_worker, is_denied_everything_and_goes_on_fetching, .timeout = 60)
{
	struct origin *o = origin_start();
	char word[4] = "good";
	struct deed_targets targets = targets_of_test(word);
	const char *name = "none";
	if (kernel_is_watched() || kernel_landlock_abi() < 6 || !kernel_has_seccomp()) {
		cr_skip_test("no sandbox in this build, or this kernel");
	}
	pm_pool *pool = open_pool(fetch_init);
	check_fetch(pool, o);
	for (int i = 0; i < 3; i++) {
		int ct = let_ct(pool, &targets, &name);
		cr_assert_eq(ct, 0, "%d were let: %s", ct, name);
		check_fetch(pool, o);
	}
	cr_assert_eq(memcmp(word, "good", sizeof(word)), 0);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
	origin_stop(o);
}

/* Or the test above would prove nothing. */
Test(sandbox_worker, without_it_most_is_let, .timeout = 60)
{
	char word[4] = "good";
	struct deed_targets targets = targets_of_test(word);
	const char *name = "none";
	pm_pool *pool = open_pool(NULL);
	cr_assert_gt(let_ct(pool, &targets, &name), DEED_CT / 2);
	pm_pool_close(&pool);
}
