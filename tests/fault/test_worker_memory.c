/* SPDX-License-Identifier: MIT
 *
 * Tasks that eat memory, under worker_memory_bytes: the worker is killed, the job that
 * does it again fails and says why, and its neighbours come through.
 */
#include "tests/support/pool_rig.h"

enum {
	LIMIT = 48 << 20,
	STEP = 4 << 20,
	MOST = 192 << 20, /* what an eater stops at, if it is let */
	EATER = 7,        /* every so many */
};

enum appetite { NONE, WAITING, BUSY };

struct order {
	uint32_t number, appetite;
};

static int eat(pm_task *task, bool waits)
{
	char *eaten = malloc(MOST);
	uint64_t end = clock_now_us() + 10 * UINT64_C(1000000);
	size_t at = 0;
	if (!eaten) {
		return PM_ENOMEM;
	}
	while (clock_now_us() < end) { /* full, it lives on */
		size_t step = at < MOST ? STEP : 0;
		memset(eaten + at, 1, step);
		at += step;
		int err = waits ? pm_sleep(task, 10) : 0;
		if (err) {
			free(eaten);
			return err;
		}
	}
	free(eaten);
	return 0;
}

static int task_obey(pm_task *task, const void *arg, size_t len)
{
	struct order o;
	(void)len;
	memcpy(&o, arg, sizeof(o));
	atomic_fetch_add(&board->runs[o.number], 1);
	int err = o.appetite == NONE ? pm_sleep(task, 30)
				     : eat(task, o.appetite == WAITING);
	return err ? err : pm_return(task, &o.number, sizeof(o.number));
}

static struct pm_pool_options limited(unsigned workers, unsigned concurrency)
{
	struct pm_pool_options o = rig_options(workers, concurrency);
	o.worker_memory_bytes = LIMIT;
	return o;
}

static void leave_out_sanitizers(void)
{
	const char *preload = getenv("LD_PRELOAD");
	if (RIG_SANITIZED || (preload && strstr(preload, "vgpreload"))) {
		cr_skip_test("sanitizers take memory of their own");
	}
}

static void check_eater(const struct pm_result *r, uint32_t number)
{
	cr_assert_eq(r->error, PM_EWORKERLOST, "job %u: %s", number,
		pm_error_name(r->error));
	cr_assert(r->message && strstr(r->message, "memory limit"), "job %u: %s",
		number, r->message ? r->message : "-");
	cr_assert_eq(r->domain, PM_DOMAIN_SIGNAL);
	cr_assert_eq(r->code, SIGKILL);
}

static void check_guilty(enum appetite appetite, size_t ct)
{
	struct order *orders = calloc(ct, sizeof(*orders));
	struct batch b = batch_new(ct);
	struct pm_pool_options o = limited(2, 8);
	cr_assert(orders);
	for (uint32_t i = 0; i < ct; i++) {
		orders[i] = (struct order){i, i % EATER == 3 ? appetite : NONE};
		b.jobs[i].arg = &orders[i];
		b.jobs[i].len = sizeof(orders[i]);
	}
	pm_pool *pool = rig_open(&o);
	batch_map(pool, task_obey, &b);
	for (uint32_t i = 0; i < ct; i++) {
		if (orders[i].appetite == NONE) {
			batch_check_one(&b, i);
		} else {
			check_eater(&b.results[i], i);
		}
	}
	cr_assert_gt(rig_stats(pool).workers_lost, 0);
	rig_check_works(pool);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
	batch_free(&b);
	free(orders);
}

Test(worker_memory, only_those_fail_that_eat_while_they_wait, .timeout = 120)
{
	leave_out_sanitizers();
	check_guilty(WAITING, 20);
}

Test(worker_memory, only_those_fail_that_eat_without_a_pause, .timeout = 120)
{
	leave_out_sanitizers();
	check_guilty(BUSY, 20);
}

Test(worker_memory, a_limit_that_is_kept_changes_nothing, .timeout = 120)
{
	leave_out_sanitizers();
	struct pm_pool_options o = limited(2, 64);
	struct batch b = batch_new(2000);
	pm_pool *pool = rig_open(&o);
	batch_map(pool, task_echo, &b);
	batch_check(&b);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	pm_pool_close(&pool);
	batch_free(&b);
}

Test(worker_memory, a_limit_below_any_use_is_refused, .timeout = 120)
{
	struct pm_pool_options o = limited(1, 1);
	pm_pool *pool = NULL;
	o.worker_memory_bytes = 1 << 20;
	cr_assert_eq(pm_pool_open(&pool, &o), PM_EINVAL);
	cr_assert(
		strstr(pm_last_error(), "worker_memory_bytes"), "%s", pm_last_error());
	cr_assert_null(pool);
}
