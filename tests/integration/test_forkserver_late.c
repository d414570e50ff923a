/* SPDX-License-Identifier: MIT
 *
 * A forkserver that is started too late: nanomsg is live in the process already,
 * as it is in every test of Criterion's.
 *
 * valgrind: run
 */
#define RIG_MANUAL
#include "tests/support/pool_rig.h"

static void expect_refusal(int err)
{
	cr_assert_eq(err, PM_ENANOMSG, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert(strstr(pm_last_error(), "pm_forkserver_start()"), "what to do? %s",
		pm_last_error());
	cr_assert_eq(process_children(getpid(), NULL, 0), 0, "a process is left");
}

Test(late_forkserver, is_refused_while_nanomsg_is_live, .timeout = 30)
{
	size_t fds = open_fds();
	expect_refusal(pm_forkserver_start());
	expect_refusal(pm_forkserver_start());
	cr_assert_eq(open_fds(), fds);
}

Test(late_forkserver, is_refused_to_a_pool_as_well, .timeout = 30)
{
	struct pm_pool_options o = rig_options(1, 1);
	size_t fds = open_fds();
	pm_pool *pool = NULL;
	expect_refusal(pm_pool_open(&pool, &o));
	cr_assert_null(pool);
	cr_assert_eq(entries_of(o.runtime_dir), 0);
	cr_assert_eq(open_fds(), fds);
}
