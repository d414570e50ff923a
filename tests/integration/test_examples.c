/* SPDX-License-Identifier: MIT
 *
 * The programs of tests/examples do what the README says.
 */
#include "tests/support/run_rig.h"

static struct origin *o;

static void start(void)
{
	o = origin_start();
}

static void stop(void)
{
	origin_stop(o);
}

TestSuite(examples, .init = start, .fini = stop);

Test(examples, get_prints_bodies_in_the_order_of_the_arguments, .timeout = 30)
{
	struct run_result r;
	const char *slow = origin_url(o, "/delay/200"),
		   *fast = origin_url(o, "/status/404");
	const char *third = origin_url(o, "/count/x");
	run_command(&r, NULL, program("tests/examples/get"), slow, fast, third, NULL);
	cr_assert_eq(r.status, 0, "%s", r.err);
	cr_assert_str_eq(r.out, keep_printf("%s: ok\n\n%s: status 404\n\n%s: 1\n\n",
					slow, fast, third));
	cr_assert_str_eq(r.err, "");
	run_result_fini(&r);
}

Test(examples, get_tells_why_a_url_failed, .timeout = 30)
{
	struct run_result r;
	const char *good = origin_url(o, "/"), *reset = origin_url(o, "/reset");
	run_command(
		&r, NULL, program("tests/examples/get"), "ftp://x/", reset, good, NULL);
	cr_assert_eq(r.status, 0, "%s", r.err);
	check_says(r.out, "ftp://x/: scheme 'ftp' is not supported");
	check_says(r.out, keep_printf("%s: Recv failure", reset));
	check_says(r.out, keep_printf("%s: ok\n", good));
	run_result_fini(&r);
}

Test(examples, get_does_nothing_without_urls, .timeout = 30)
{
	struct run_result r;
	run_command(&r, NULL, program("tests/examples/get"), NULL);
	cr_assert_eq(r.status, 0, "%s", r.err);
	cr_assert_str_eq(r.out, "");
	run_result_fini(&r);
}

/* 99 at once, over all CPUs. */
Test(examples, get_takes_many_urls, .timeout = 30)
{
	enum { MANY = 99 };
	const char *argv[MANY + 2] = {program("tests/examples/get")};
	struct run_result r;
	for (int i = 0; i < MANY; i++) {
		argv[i + 1] = origin_url(o, "/once/%d", i);
	}
	run_argv(&r, NULL, 0, argv);
	cr_assert_eq(r.status, 0, "%s", r.err);
	const char *at = r.out;
	for (int i = 0; i < MANY; i++) {
		const char *expected = keep_printf("%s: ok\n\n", argv[i + 1]);
		cr_assert_eq(
			strncmp(at, expected, strlen(expected)), 0, "%d: %s", i, at);
		at += strlen(expected);
	}
	cr_assert_str_eq(at, "");
	cr_assert_eq(origin_count(o, "requests"), MANY);
	run_result_fini(&r);
}
