/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/lost: the line that the master writes for a job that no
 * worker finished.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/cli/lost.h"

/* Line of the job `text` at `index`, lost as `result` says. */
static void expect_lost(const char *text, const struct job_head *head,
	const struct pm_result *result, enum outcome_class class, const char *want)
{
	struct buf arg = {0}, out = {0};
	buf_put(&arg, head, sizeof *head);
	buf_puts(&arg, text);
	enum outcome_class got = OUTCOME_OK;
	cr_assert_eq(lost_render(&out, arg.data, arg.len, result, &got), 0);
	cr_assert_eq(got, class, "%s", outcome_class_name(got));
	cr_assert_str_eq(buf_text(&out), want);
	buf_fini(&arg);
	buf_fini(&out);
}

static const struct pm_result killed = {
	.index = 1,
	.error = PM_EWORKERLOST,
	.domain = PM_DOMAIN_SIGNAL,
	.code = 11,
	.message = "its worker was killed by SIGSEGV",
	.worker = 2,
	.attempts = 3,
};

Test(lost, tells_of_a_worker_that_died, .timeout = 10)
{
	struct job_head head = {.index = 9};
	expect_lost("{\"url\":\"http://x/\",\"id\":1,\"meta\":[1, 2]}", &head, &killed,
		OUTCOME_WORKER_LOST,
		"{\"index\":9,\"id\":1,\"url\":\"http://x/\",\"ok\":false,"
		"\"error\":\"worker_lost\","
		"\"errormsg\":\"its worker was killed by SIGSEGV\","
		"\"attempts\":3,\"worker\":2,\"meta\":[1,2]}\n");
}

Test(lost, tells_of_a_job_that_never_ran, .timeout = 10)
{
	struct job_head head = {.index = 0};
	struct pm_result result = {
		.error = PM_ECANCELLED, .message = "the run was stopped", .worker = -1};
	expect_lost("http://x/", &head, &result, OUTCOME_CANCELLED,
		"{\"index\":0,\"url\":\"http://x/"
		"\",\"ok\":false,\"error\":\"cancelled\","
		"\"errormsg\":\"the run was stopped\",\"attempts\":0}\n");
}

Test(lost, tells_of_a_bad_or_too_long_job_too, .timeout = 10)
{
	struct job_head head = {.index = 4};
	expect_lost("{\"id\":\"b\",\"nonsense\":1}", &head, &killed,
		OUTCOME_WORKER_LOST,
		"{\"index\":4,\"id\":\"b\",\"ok\":false,\"error\":\"worker_lost\","
		"\"errormsg\":\"its worker was killed by SIGSEGV\","
		"\"attempts\":3,\"worker\":2}\n");
	head.bad = 1;
	expect_lost("", &head, &killed, OUTCOME_WORKER_LOST,
		"{\"index\":4,\"ok\":false,\"error\":\"worker_lost\","
		"\"errormsg\":\"its worker was killed by SIGSEGV\","
		"\"attempts\":3,\"worker\":2}\n");
}

Test(lost, calls_errors_of_the_pool_internal, .timeout = 10)
{
	struct job_head head = {.index = 1};
	struct pm_result result = {
		.error = PM_ENOMEM, .message = "no memory", .worker = -1};
	expect_lost("u", &head, &result, OUTCOME_INTERNAL,
		"{\"index\":1,\"url\":\"u\",\"ok\":false,\"error\":\"internal\","
		"\"errormsg\":\"no memory\",\"attempts\":0}\n");
}

Test(lost, refuses_what_is_no_argument_and_appends_nothing, .timeout = 10)
{
	struct buf out = {0};
	buf_puts(&out, "before");
	enum outcome_class class = OUTCOME_DNS;
	cr_assert_eq(lost_render(&out, "1234567", 7, &killed, &class), PM_EINTERNAL);
	cr_assert_eq(lost_render(&out, "", 0, &killed, &class), PM_EINTERNAL);
	cr_assert_eq(class, OUTCOME_DNS);
	cr_assert_eq(out.len, 6);
	buf_fini(&out);
}
