/* SPDX-License-Identifier: MIT
 *
 * Tests of worker/cli/fetch_task against a stand-in for the task API, which
 * notes the request and answers as each test says.  Do not link libpoolmap.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/cli/fetch_task.h"

/* ---------------------------------------------------------- the task API, faked */

/* What the fetch is to say, and what came of it. */
struct pm_task {
	int fetch_error;
	struct pm_failure failure;
	struct pm_response response; /* of a success */
	const struct pm_response *last;
	size_t result_max; /* 0: no limit */

	unsigned fetch_ct, return_ct;
	struct pm_request request; /* strings of it: see the copies */
	char url[64], method[16], headers[256], body[64];
	struct buf result;
};

int pm_await_fetch(
	pm_task *task, const struct pm_request *request, struct pm_response **response)
{
	task->fetch_ct++;
	task->request = *request;
	snprintf(task->url, sizeof task->url, "%s", request->url);
	snprintf(task->method, sizeof task->method, "%s", request->method);
	struct buf headers = {0};
	for (size_t i = 0; i < request->header_ct; i++) {
		buf_printf(&headers, "%s: %s\n", request->headers[i].name,
			request->headers[i].value);
	}
	snprintf(task->headers, sizeof task->headers, "%s", buf_text(&headers));
	buf_fini(&headers);
	if (request->body) {
		memcpy(task->body, request->body, request->body_len);
	}
	if (task->fetch_error) {
		return task->fetch_error;
	}
	*response = &task->response;
	return 0;
}

int pm_return(pm_task *task, const void *bytes, size_t len)
{
	task->return_ct++;
	if (task->result_max && len > task->result_max) {
		return PM_ETOOBIG;
	}
	buf_clear(&task->result);
	return buf_put(&task->result, bytes, len);
}

void pm_response_free(struct pm_response *response)
{
	/* what was freed must not be read again */
	memset(response, 0, sizeof *response);
}

const struct pm_failure *pm_task_failure(const pm_task *task)
{
	return &task->failure;
}

const struct pm_response *pm_task_last_response(const pm_task *task)
{
	return task->last;
}

unsigned pm_task_worker(const pm_task *task)
{
	(void)task;
	return 5;
}

unsigned pm_task_attempt(const pm_task *task)
{
	(void)task;
	return 2;
}

uint64_t pm_task_queued_us(const pm_task *task)
{
	(void)task;
	return 1500000;
}

const char *pm_error_text(int error)
{
	(void)error;
	return "a sentence on the error";
}

/* -------------------------------------------------------------------- fixtures */

static void defaults(void)
{
	memset(&settings, 0, sizeof settings);
	settings.timeout_ms = 60000;
	settings.connect_timeout_ms = 10000;
	settings.max_redirects = 10;
	settings.max_body = 4096;
	for (int status = 200; status < 400; status++) {
		settings.accept.bits[status / 64] |= UINT64_C(1) << status % 64;
	}
}
TestSuite(fetch_task, .init = defaults, .timeout = 10);

/* A task whose fetch gives 200 and "hi". */
static struct pm_task successful(void)
{
	return (struct pm_task){.response = {.status = 200,
					.http_version = 11,
					.url_effective = "http://x/",
					.content_type = "",
					.remote_ip = "10.0.0.1",
					.body = "hi",
					.body_len = 2,
					.size_download = 2,
					.time_total_us = 777}};
}

static struct pm_task failing(int error, int domain, int code, const char *message)
{
	struct pm_task task = {.fetch_error = error};
	task.failure.error = error;
	task.failure.domain = domain;
	task.failure.code = code;
	snprintf(task.failure.message, sizeof task.failure.message, "%s", message);
	return task;
}

static int run_head(struct pm_task *task, const struct job_head *head, const char *line)
{
	struct buf arg = {0};
	buf_put(&arg, head, sizeof *head);
	buf_puts(&arg, line);
	int err = fetch_task(task, buf_text(&arg), arg.len);
	buf_fini(&arg);
	return err;
}

static void run(struct pm_task *task, const char *line)
{
	struct job_head head = {.index = 42};
	int err = run_head(task, &head, line);
	cr_assert_eq(err, 0, "%s: %d", line, err);
}

static struct outcome outcome_of(const struct pm_task *task)
{
	struct outcome outcome;
	cr_assert_geq(task->result.len, sizeof outcome);
	memcpy(&outcome, task->result.data, sizeof outcome);
	return outcome;
}

static const char *line_of(struct pm_task *task)
{
	cr_assert_geq(task->result.len, sizeof(struct outcome));
	return buf_text(&task->result) + sizeof(struct outcome);
}

static void expect_part(struct pm_task *task, const char *part)
{
	cr_assert_not_null(
		strstr(line_of(task), part), "\"%s\" not in %s", part, line_of(task));
}

static void expect_no_part(struct pm_task *task, const char *part)
{
	cr_assert_null(
		strstr(line_of(task), part), "\"%s\" in %s", part, line_of(task));
}

/* --------------------------------------------------------------------- success */

Test(fetch_task, gives_outcome_and_line_of_a_url, .timeout = 10)
{
	struct pm_task task = successful();
	run(&task, "http://x/");
	struct outcome outcome = outcome_of(&task);
	cr_assert_eq(outcome.class, OUTCOME_OK);
	cr_assert_eq(outcome.http_code, 200);
	cr_assert_eq(outcome.time_total_us, 777);
	cr_assert_eq(outcome.size_download, 2);
	cr_assert_str_eq(line_of(&task),
		"{\"index\":42,\"url\":\"http://x/\",\"ok\":true,\"error\":null,"
		"\"method\":\"GET\",\"http_code\":200,\"http_version\":\"1.1\","
		"\"url_effective\":\"http://x/\",\"num_redirects\":0,"
		"\"remote_ip\":\"10.0.0.1\",\"size_download\":2,\"size_upload\":0,"
		"\"time_queue\":1.500000,\"time_namelookup\":0.000000,"
		"\"time_connect\":0.000000,\"time_appconnect\":0.000000,"
		"\"time_starttransfer\":0.000000,\"time_total\":0.000777,"
		"\"attempts\":2,\"worker\":5,\"body\":\"hi\"}\n");
	buf_fini(&task.result);
}

Test(fetch_task, asks_with_the_settings, .timeout = 10)
{
	settings.ca_file = "/ca.pem";
	settings.insecure = true;
	settings.max_redirects = 3;
	struct pm_task task = successful();
	run(&task, "http://x/");
	const struct pm_request *r = &task.request;
	cr_assert_str_eq(task.url, "http://x/");
	cr_assert_str_eq(task.method, "GET");
	cr_assert(r->timeout_ms == 60000 && r->connect_timeout_ms == 10000);
	cr_assert(r->max_body == 4096 && r->max_redirects == 3 && r->insecure);
	cr_assert(r->no_headers && !r->discard_body && !r->no_follow && !r->body);
	cr_assert_str_eq(r->ca_file, "/ca.pem");
	cr_assert_eq(r->header_ct, 0);
	buf_fini(&task.result);
}

Test(fetch_task, takes_the_jobs_values_before_the_settings, .timeout = 10)
{
	settings.method = "HEAD";
	struct pm_task task = successful();
	run(&task, "{\"url\":\"http://y/\",\"method\":\"PUT\",\"timeout\":2.5,"
		   "\"body\":\"b\\u0000c\"}");
	cr_assert_str_eq(task.url, "http://y/");
	cr_assert_str_eq(task.method, "PUT");
	cr_assert_eq(task.request.timeout_ms, 2500);
	cr_assert_eq(task.request.body_len, 3);
	cr_assert_eq(memcmp(task.body, "b\0c", 3), 0);
	expect_part(&task, "\"method\":\"PUT\"");
	buf_fini(&task.result);
}

Test(fetch_task, chooses_the_method_by_job_then_settings_then_body, .timeout = 10)
{
	static const struct {
		const char *set, *line, *method;
	} cases[] = {
		{NULL, "{\"url\":\"u\"}", "GET"},
		{NULL, "{\"url\":\"u\",\"body\":\"\"}", "POST"},
		{NULL, "{\"url\":\"u\",\"body\":\"b\",\"method\":\"GET\"}", "GET"},
		{"GET", "{\"url\":\"u\",\"body\":\"b\"}", "GET"},
		{"DELETE", "u", "DELETE"},
		{"DELETE", "{\"url\":\"u\",\"method\":\"PATCH\"}", "PATCH"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		settings.method = cases[i].set;
		struct pm_task task = successful();
		run(&task, cases[i].line);
		cr_assert_str_eq(task.method, cases[i].method, "case %zu", i);
		buf_fini(&task.result);
	}
}

Test(fetch_task, drops_default_headers_that_the_job_has_itself, .timeout = 10)
{
	struct pm_header defaults_of_test[] = {
		{"Accept", "*/*"}, {"X-A", "1"}, {"X-A", "2"}};
	settings.headers = defaults_of_test;
	settings.header_ct = 3;
	struct pm_task task = successful();
	run(&task, "{\"url\":\"u\",\"headers\":{\"x-a\":[\"3\",\"4\"],\"B\":\"5\"}}");
	cr_assert_str_eq(task.headers, "Accept: */*\nx-a: 3\nx-a: 4\nB: 5\n");
	buf_fini(&task.result);
	task = successful();
	run(&task, "u");
	cr_assert_str_eq(task.headers, "Accept: */*\nX-A: 1\nX-A: 2\n");
	buf_fini(&task.result);
}

Test(fetch_task, takes_nought_for_none_and_not_for_the_default, .timeout = 10)
{
	settings.max_redirects = 0;
	settings.max_body = 0;
	struct pm_task task = successful();
	run(&task, "u");
	cr_assert_eq(task.request.max_redirects, PM_NO_REDIRECTS);
	cr_assert_eq(task.request.max_body, PM_NO_BODY);
	cr_assert_not(task.request.no_follow);
	buf_fini(&task.result);
}

Test(fetch_task, keeps_no_body_when_none_is_wanted, .timeout = 10)
{
	settings.body = BODY_NONE;
	struct pm_task task = successful();
	run(&task, "u");
	cr_assert(task.request.discard_body);
	expect_no_part(&task, "\"body");
	expect_part(&task, "\"size_download\":2");
	buf_fini(&task.result);
}

/* -------------------------------------------------------------------- failures */

Test(fetch_task, fails_a_status_that_is_not_accepted_and_keeps_its_body, .timeout = 10)
{
	struct pm_task task = successful();
	task.response.status = 404;
	run(&task, "u");
	cr_assert_eq(outcome_of(&task).class, OUTCOME_HTTP_STATUS);
	cr_assert_eq(outcome_of(&task).http_code, 404);
	expect_part(&task, "\"ok\":false,\"error\":\"http_status\","
			   "\"errormsg\":\"status 404 is not in --accept\",\"method\"");
	expect_part(&task, "\"http_code\":404");
	expect_part(&task, "\"body\":\"hi\"");
	buf_fini(&task.result);
}

Test(fetch_task, tells_how_a_transfer_failed, .timeout = 10)
{
	struct pm_response part = {.status = 200,
		.http_version = 11,
		.url_effective = "u",
		.content_type = "",
		.remote_ip = "",
		.size_download = 10,
		.time_total_us = 9};
	struct pm_task task = failing(PM_ETRUNCATED, PM_DOMAIN_CURL, 18, "cut \"off\"");
	task.last = &part;
	run(&task, "u");
	struct outcome outcome = outcome_of(&task);
	cr_assert_eq(outcome.class, OUTCOME_TRUNCATED);
	cr_assert_eq(outcome.http_code, 200);
	cr_assert_eq(outcome.size_download, 10);
	cr_assert_eq(outcome.time_total_us, 9);
	expect_part(&task, "\"error\":\"truncated\",\"errormsg\":\"cut \\\"off\\\"\","
			   "\"exitcode\":18,\"method\":\"GET\",\"http_code\":200");
	expect_no_part(&task, "\"body");
	buf_fini(&task.result);
}

Test(fetch_task, takes_codes_of_other_domains_for_no_exitcode, .timeout = 10)
{
	struct pm_task task = failing(PM_ECONNECT, PM_DOMAIN_ERRNO, 111, "");
	run(&task, "u");
	expect_part(&task,
		"\"error\":\"connect\",\"errormsg\":\"a sentence on the error\"");
	expect_no_part(&task, "exitcode");
	cr_assert_eq(outcome_of(&task).http_code, 0);
	buf_fini(&task.result);
}

Test(fetch_task, makes_a_bad_job_of_what_http_does_not_allow, .timeout = 10)
{
	struct pm_task task = failing(PM_EINVAL, 0, 0, "a header has a line break");
	run(&task, "{\"url\":\"u\",\"method\":\"G T\"}");
	cr_assert_eq(outcome_of(&task).class, OUTCOME_BAD_JOB);
	expect_part(&task,
		"\"error\":\"bad_job\",\"errormsg\":\"a header has a line break\"");
	expect_no_part(&task, "\"method\"");
	buf_fini(&task.result);
}

Test(fetch_task, does_not_fetch_a_bad_job, .timeout = 10)
{
	struct pm_task task = successful();
	run(&task,
		"{\"url\":\"http://x/\",\"id\":\"me\",\"meta\":3,\"timeout\":\"x\"}");
	cr_assert_eq(task.fetch_ct, 0);
	cr_assert_eq(outcome_of(&task).class, OUTCOME_BAD_JOB);
	cr_assert_str_eq(line_of(&task),
		"{\"index\":42,\"id\":\"me\",\"url\":\"http://x/\",\"ok\":false,"
		"\"error\":\"bad_job\",\"errormsg\":\"\\\"timeout\\\" must be a number "
		"of "
		"seconds, above 0 and at most 86400\",\"time_queue\":1.500000,"
		"\"attempts\":2,\"worker\":5,\"meta\":3}\n");
	buf_fini(&task.result);
}

Test(fetch_task, makes_a_bad_job_of_a_line_that_was_too_long, .timeout = 10)
{
	struct pm_task task = successful();
	struct job_head head = {.index = 1, .too_long = 1};
	cr_assert_eq(run_head(&task, &head, ""), 0);
	cr_assert_eq(task.fetch_ct, 0);
	expect_part(&task, "{\"index\":1,\"ok\":false,\"error\":\"bad_job\","
			   "\"errormsg\":\"line is longer than 1 MiB\"");
	buf_fini(&task.result);
}

Test(fetch_task, gives_no_line_when_cancelled, .timeout = 10)
{
	struct pm_task task = failing(PM_ECANCELLED, 0, 0, "cancelled");
	struct job_head head = {0};
	cr_assert_eq(run_head(&task, &head, "u"), PM_ECANCELLED);
	cr_assert_eq(task.return_ct, 0);
}

Test(fetch_task, gives_no_line_for_what_is_no_argument, .timeout = 10)
{
	struct pm_task task = successful();
	cr_assert_eq(fetch_task(&task, "1234567", 7), PM_EINTERNAL);
	cr_assert_eq(task.return_ct + task.fetch_ct, 0);
}

/* ------------------------------------------------------------- results too big */

Test(fetch_task, leaves_the_body_out_when_the_line_gets_too_big, .timeout = 10)
{
	struct pm_task task = successful();
	char *body = malloc(2000);
	memset(body, '\x01', 2000);
	task.response.body = body;
	task.response.body_len = task.response.size_download = 2000;
	task.result_max = 1500;
	run(&task, "http://x/");
	cr_assert_eq(task.return_ct, 2);
	cr_assert_eq(outcome_of(&task).class, OUTCOME_BODY_TOO_LARGE);
	cr_assert_eq(outcome_of(&task).http_code, 200);
	expect_part(&task, "\"ok\":false,\"error\":\"body_too_large\","
			   "\"errormsg\":\"the result line is too long");
	expect_part(&task, "\"http_code\":200");
	expect_no_part(&task, "\"body\"");
	free(body);
	buf_fini(&task.result);
}

Test(fetch_task, fails_when_the_line_is_too_big_without_a_body, .timeout = 10)
{
	struct job_head head = {0};
	struct pm_task task = successful();
	task.result_max = 100;
	cr_assert_eq(run_head(&task, &head, "http://x/"), PM_ETOOBIG);
	cr_assert_eq(task.return_ct, 2, "with the body, then without");
	task = failing(PM_EDNS, PM_DOMAIN_CURL, 6, "no such host");
	task.result_max = 100;
	cr_assert_eq(run_head(&task, &head, "http://x/"), PM_ETOOBIG);
	cr_assert_eq(task.return_ct, 1, "there was no body to leave out");
}
