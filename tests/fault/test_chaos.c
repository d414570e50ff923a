/* SPDX-License-Identifier: MIT
 *
 * The long tests of tests/fault/long, with sizes that fit here.  What they check, they
 * check at any size; `make fault` runs them as they are.
 */
#include <criterion/criterion.h>

#include "tests/support/harness.h"

/* The sanitizers make everything several times slower. */
#if defined(__SANITIZE_ADDRESS__)
#define FEW(many, few) few
#else
#define FEW(many, few) many
#endif

enum { LIMIT = 120 };

static void check_ends_well(const char *const argv[])
{
	struct run_result r;
	run_argv(&r, NULL, 0, argv);
	cr_assert_eq(r.status, 0, "status %d: %s%s", r.status, r.out, r.err);
	cr_log_info("%s", r.out);
	run_result_fini(&r);
}

/* From tests/fault/long, with the build directory as its first argument. */
#define SCRIPT(name, ...)                                                              \
	check_ends_well((const char *const[]){"tests/fault/long/" name,                \
		keep_printf("%s/..", program("tests")), __VA_ARGS__, NULL})
#define PROGRAM(...)                                                                   \
	check_ends_well((const char *const[]){                                         \
		program("tests/fault/prog_chaos"), __VA_ARGS__, NULL})

Test(chaos, workers_are_killed, .timeout = LIMIT)
{
	PROGRAM("kills", FEW("30000", "5000"), "20");
}

Test(chaos, jobs_crash, .timeout = LIMIT)
{
	PROGRAM("crashes", FEW("20000", "2000"), "20");
}

Test(chaos, workers_are_stopped, .timeout = LIMIT)
{
	PROGRAM("stops", "2", "0");
}

Test(chaos, all_is_stopped, .timeout = LIMIT)
{
	SCRIPT("group_stops.sh", "1");
}

Test(chaos, master_is_killed, .timeout = LIMIT)
{
	SCRIPT("master_kills.sh", FEW("20000", "5000"), "4");
}

/* At random system calls of all there are: with each run others. */
Test(chaos, crash_points, .timeout = LIMIT)
{
	SCRIPT("crash_points.sh", FEW("40", "80"), "60", "jsonl", "gz");
}

/* Of each kind of call one, at random, in the master; in the others of those that are
 * not waited for. */
Test(chaos, calls_fail, .timeout = LIMIT)
{
	child_env("TORTURE_ONLY_WHO", "master");
	SCRIPT("torture.sh", "1", "much");
	child_env("TORTURE_ONLY_WHO", "forkserver worker");
	child_env("TORTURE_ONLY_WHAT", "memory map");
	SCRIPT("torture.sh", "1", "plain", "host");
}
