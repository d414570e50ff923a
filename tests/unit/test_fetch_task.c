/* SPDX-License-Identifier: MIT
 *
 * Tests of worker/cli/fetch_task against a stand-in for the task API, which
 * notes the request and answers as each test says.  Do not link libpoolmap.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cli/outcome.h"
#include "common/cli/settings.h"
#include "common/cli/fetch_task.h"
#include "tests/support/warc_check.h"
#include "tests/unit/scratch.h"
#include "worker/cli/body_dir.h"
#include "worker/cli/warc_file.h"

/* ---------------------------------------------------------- the task API, faked */

/* What the fetch is to say, and what came of it. */
struct pm_task {
	int fetch_error;
	struct pm_failure failure;
	struct pm_response response; /* of a success */
	const struct pm_response *last;
	size_t result_max;    /* 0: no limit */
	const char *streamed; /* the body, for on_body, in two parts */
	const char *head;     /* of the response, for on_exchange */

	unsigned fetch_ct, return_ct, thread_ct;
	int fail_code;
	struct pm_request request; /* strings of it: see the copies */
	char url[64], method[16], headers[256], body[64];
	struct buf result;
};

/* What the engine would give the readers of a request. */
static int stream(pm_task *task, const struct pm_request *request)
{
	static const char sent[] = "GET / HTTP/1.1\r\n\r\n";
	int err = 0;
	if (task->head && request->on_exchange) {
		struct pm_exchange x = {.url = request->url,
			.remote_ip = "10.0.0.1",
			.request = sent,
			.request_len = sizeof sent - 1,
			.response = task->head,
			.response_len = strlen(task->head)};
		err = request->on_exchange(request->on_exchange_ctx, &x);
	}
	if (!err && task->streamed && request->on_body) {
		size_t len = strlen(task->streamed), half = len / 2;
		err = request->on_body(request->on_body_ctx, task->streamed, half);
		err = err ? err
			  : request->on_body(request->on_body_ctx,
				    task->streamed + half, len - half);
	}
	return err;
}

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
	int err = stream(task, request);
	if (err || task->fetch_error) {
		return err ? err : task->fetch_error;
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

int pm_fail(pm_task *task, int code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(task->failure.message, sizeof task->failure.message, fmt, args);
	va_end(args);
	task->fail_code = code;
	return PM_EFAILED;
}

int pm_await_thread(pm_task *task, pm_blocking_fn *fn, void *arg)
{
	task->thread_ct++;
	fn(arg);
	return 0;
}

/* One that is taken twice would wait for ever. */
struct pm_semaphore {
	bool taken;
};

pm_semaphore *pm_semaphore_new(unsigned permits)
{
	static struct pm_semaphore one;
	cr_assert_eq(permits, 1);
	return &one;
}

int pm_semaphore_acquire(pm_task *task, pm_semaphore *semaphore)
{
	(void)task;
	cr_assert_not(semaphore->taken);
	semaphore->taken = true;
	return 0;
}

void pm_semaphore_release(pm_semaphore *semaphore)
{
	cr_assert(semaphore->taken);
	semaphore->taken = false;
}

const char *pm_response_header(const struct pm_response *response, const char *name)
{
	for (size_t i = 0; i < response->header_ct; i++) {
		if (strcmp(response->headers[i].name, name) == 0) {
			return response->headers[i].value;
		}
	}
	return NULL;
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
	struct job_head head = {.index = 1, .bad = 1};
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

/* --------------------------------------------------- what the job says, the rest */

Test(fetch_task, asks_with_all_the_settings, .timeout = 10)
{
	settings.stall_timeout_ms = 20000;
	settings.proxy = "env";
	settings.cert = "/c.pem";
	settings.key = "/k.pem";
	settings.http2 = settings.compressed = settings.response_headers = true;
	settings.data = "a=b";
	settings.data_len = 3;
	struct pm_task task = successful();
	run(&task, "u");
	const struct pm_request *r = &task.request;
	cr_assert_eq(r->stall_timeout_ms, 20000);
	cr_assert_str_eq(r->proxy, "env");
	cr_assert_str_eq(r->cert, "/c.pem");
	cr_assert_str_eq(r->key, "/k.pem");
	cr_assert(r->http2 && r->compressed && !r->no_headers && !r->on_body);
	cr_assert_str_eq(task.method, "POST");
	cr_assert_eq(r->body_len, 3);
	buf_fini(&task.result);
}

Test(fetch_task, a_job_has_its_own_limits, .timeout = 10)
{
	settings.no_follow = true;
	settings.data = "default";
	settings.data_len = 7;
	struct pm_task task = successful();
	run(&task, "{\"url\":\"u\",\"connect_timeout\":1.5,\"max_body\":10,"
		   "\"follow\":true,\"retries\":7,\"body\":\"own\",\"user\":\"me\","
		   "\"password\":\"pw\"}");
	const struct pm_request *r = &task.request;
	cr_assert_eq(r->connect_timeout_ms, 1500);
	cr_assert_eq(r->max_body, 10);
	cr_assert_not(r->no_follow);
	cr_assert_eq(memcmp(task.body, "own", 3), 0);
	cr_assert(r->user && r->password);
	cr_assert_eq(outcome_of(&task).retries, 7);
	buf_fini(&task.result);
	settings.no_follow = false;
	task = successful();
	run(&task, "{\"url\":\"u\",\"max_body\":0,\"follow\":false}");
	cr_assert(task.request.no_follow);
	cr_assert_eq(task.request.max_body, PM_NO_BODY);
	buf_fini(&task.result);
}

Test(fetch_task, a_jobs_credentials_replace_a_default_header, .timeout = 10)
{
	struct pm_header given[] = {{"authorization", "Basic x"}, {"X", "1"}};
	settings.headers = given;
	settings.header_ct = 2;
	struct pm_task task = successful();
	run(&task, "{\"url\":\"u\",\"bearer\":\"tok\"}");
	cr_assert_str_eq(task.headers, "X: 1\nAuthorization: Bearer tok\n");
	buf_fini(&task.result);
	task = successful();
	run(&task, "{\"url\":\"u\",\"user\":\"a\"}");
	cr_assert_str_eq(task.headers, "X: 1\n");
	buf_fini(&task.result);
	task = successful();
	run(&task, "{\"url\":\"u\",\"bearer\":\"tok\",\"headers\":"
		   "{\"AUTHORIZATION\":\"own\"}}");
	cr_assert_str_eq(task.headers, "X: 1\nAUTHORIZATION: own\n");
	buf_fini(&task.result);
}

Test(fetch_task, tells_what_another_attempt_depends_on, .timeout = 10)
{
	static const struct {
		const char *line;
		bool idempotent;
	} cases[] = {
		{"u", true},
		{"{\"url\":\"u\",\"method\":\"HEAD\"}", true},
		{"{\"url\":\"u\",\"method\":\"PUT\"}", true},
		{"{\"url\":\"u\",\"method\":\"DELETE\"}", true},
		{"{\"url\":\"u\",\"method\":\"POST\"}", false},
		{"{\"url\":\"u\",\"method\":\"get\"}", false},
		{"{\"url\":\"u\",\"body\":\"\"}", false},
		{"{\"url\":\"u\",\"method\":\"PATCH\"}", false},
	};
	settings.retries = 2;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct pm_task task = successful();
		run(&task, cases[i].line);
		cr_assert_eq(outcome_of(&task).idempotent, cases[i].idempotent, "%s",
			cases[i].line);
		cr_assert_eq(outcome_of(&task).retries, 2);
		buf_fini(&task.result);
	}
}

Test(fetch_task, tells_when_the_server_wants_to_be_asked_again, .timeout = 10)
{
	static const struct {
		int status;
		const char *value;
		enum outcome_class class;
		uint32_t ms;
	} cases[] = {
		{503, "7", OUTCOME_HTTP_STATUS, 7000},
		{429, "60", OUTCOME_HTTP_STATUS, 60000},
		{429, "61", OUTCOME_RATE_LIMITED, 60000},
		{503, "99999999999999999999", OUTCOME_RATE_LIMITED, 60000},
		{500, "3600", OUTCOME_HTTP_STATUS, 60000},
		{429, "soon", OUTCOME_HTTP_STATUS, 0},
		{200, "7", OUTCOME_OK, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct pm_header header = {"retry-after", cases[i].value};
		struct pm_task task = successful();
		task.response.status = cases[i].status;
		task.response.headers = &header;
		task.response.header_ct = 1;
		run(&task, "u");
		cr_assert_eq(outcome_of(&task).class, cases[i].class, "case %zu", i);
		cr_assert_eq(outcome_of(&task).retry_after_ms, cases[i].ms);
		expect_no_part(&task, "\"headers\"");
		buf_fini(&task.result);
	}
}

Test(fetch_task, tells_whether_a_name_may_be_found_another_time, .timeout = 10)
{
	static const struct {
		int error, domain, code;
		bool final;
	} cases[] = {{PM_EDNS, PM_DOMAIN_ERRNO, EAGAIN, false},
		{PM_EDNS, PM_DOMAIN_NONE, 0, true},
		{PM_ECONNECT, PM_DOMAIN_CURL, 7, false}};
	for (size_t i = 0; i < 3; i++) {
		struct pm_task task =
			failing(cases[i].error, cases[i].domain, cases[i].code, "x");
		run(&task, "u");
		cr_assert_eq(outcome_of(&task).final, cases[i].final, "case %zu", i);
		buf_fini(&task.result);
	}
}

Test(fetch_task, asks_where_to_connect_with_the_settings, .timeout = 10)
{
	static const char *const resolve[] = {"x:80:127.0.0.1"};
	settings.deny_private = true;
	settings.resolve = resolve;
	settings.resolve_ct = 1;
	struct pm_task task = successful();
	run(&task, "u");
	cr_assert(task.request.deny_private);
	cr_assert_eq(task.request.resolve, resolve);
	cr_assert_eq(task.request.resolve_ct, 1);
	buf_fini(&task.result);
}

Test(fetch_task, shows_headers_when_asked_to, .timeout = 10)
{
	struct pm_header headers[] = {{"a", "1"}, {"b", "x\"y"}, {"a", "2"}};
	settings.response_headers = true;
	struct pm_task task = successful();
	task.response.headers = headers;
	task.response.header_ct = 3;
	run(&task, "u");
	expect_part(&task,
		",\"headers\":{\"a\":[\"1\",\"2\"],\"b\":[\"x\\\"y\"]},\"body\"");
	buf_fini(&task.result);
}

/* -------------------------------------------------------------- bodies in files */

static char body_path[72];

/* Bodies go below a fresh directory. */
static void bodies_to(enum body_mode mode)
{
	scratch_make();
	snprintf(body_path, sizeof body_path, "%s/b", scratch);
	settings.body = mode;
	settings.body_path = body_path;
}

#define HI_SHA "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"

Test(fetch_task, puts_a_body_into_a_file, .timeout = 10)
{
	bodies_to(BODY_DIR);
	struct pm_task task = successful();
	task.streamed = "hi";
	run(&task, "u");
	char expected[400];
	snprintf(expected, sizeof expected,
		"\"worker\":5,\"body_file\":\"%s/8f/" HI_SHA
		"\",\"body_sha256\":\"" HI_SHA "\"}\n",
		body_path);
	expect_part(&task, expected);
	cr_assert_eq(task.thread_ct, 0);
	buf_fini(&task.result);
	task = successful();
	task.response.status = 404;
	settings.sync = SYNC_ALWAYS;
	run(&task, "u");
	expect_part(&task, "\"error\":\"http_status\"");
	expect_part(&task, "/e3/e3b0c4");
	cr_assert_eq(task.thread_ct, 1, "what waits for the disk is on a thread");
	buf_fini(&task.result);
	body_dir_close();
}

Test(fetch_task, keeps_no_file_of_a_broken_transfer, .timeout = 10)
{
	bodies_to(BODY_DIR);
	struct pm_task task = failing(PM_ETRUNCATED, PM_DOMAIN_CURL, 18, "cut");
	task.streamed = "hi";
	run(&task, "u");
	expect_part(&task, "\"error\":\"truncated\"");
	expect_no_part(&task, "body_");
	cr_assert_eq(rmdir(body_path), 0, "something is left");
	buf_fini(&task.result);
	body_dir_close();
}

Test(fetch_task, fails_with_a_code_of_its_own_when_it_cannot_write, .timeout = 10)
{
	struct job_head head = {0};
	settings.body = BODY_DIR;
	settings.body_path = "/proc/no/such";
	struct pm_task task = successful();
	cr_assert_eq(run_head(&task, &head, "u"), PM_EFAILED);
	cr_assert_eq(task.fail_code, FETCH_FAIL_DISK);
	cr_assert_str_eq(task.failure.message,
		"cannot write to /proc/no/such: No such file or directory");
	cr_assert_eq(task.fetch_ct + task.return_ct, 0);
	settings.body = BODY_WARC;
	settings.body_path = "/proc/no/such/x";
	cr_assert_eq(run_head(&task, &head, "u"), PM_EFAILED);
	cr_assert_eq(task.fail_code, FETCH_FAIL_DISK);
}

/* A directory that went away while bodies come. */
Test(fetch_task, fails_when_the_directory_is_gone, .timeout = 10)
{
	bodies_to(BODY_DIR);
	struct job_head head = {0};
	struct pm_task task = successful();
	run(&task, "u");
	char sub[128], file[256];
	snprintf(sub, sizeof sub, "%s/e3", body_path);
	snprintf(file, sizeof file,
		"%s/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		sub);
	cr_assert_eq(unlink(file) | rmdir(sub) | rmdir(body_path), 0);
	buf_fini(&task.result);
	task = successful();
	cr_assert_eq(run_head(&task, &head, "u"), PM_EFAILED);
	cr_assert_eq(task.fail_code, FETCH_FAIL_DISK);
	cr_assert_eq(task.return_ct, 0);
	body_dir_close();
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"

/* The value of "body_file" in a line. */
static const char *file_of(struct pm_task *task)
{
	static char path[256];
	const char *at = strstr(line_of(task), "\"body_file\":\"");
	cr_assert_not_null(at, "%s", line_of(task));
	snprintf(path, sizeof path, "%.*s", (int)strcspn(at + 13, "\""), at + 13);
	return path;
}

Test(fetch_task, puts_exchanges_into_a_warc_file, .timeout = 10)
{
	bodies_to(BODY_WARC);
	settings.compressed = true;
	struct pm_task task = successful();
	task.streamed = "hi";
	task.head = HEAD;
	run(&task, "http://x/");
	cr_assert_not(task.request.compressed);
	cr_assert_str_eq(task.headers, "Accept-Encoding: gzip, deflate\n");
	struct warc_list list;
	const char *why = warc_load(&list, file_of(&task));
	cr_assert_null(why, "%s", why);
	cr_assert_eq(list.ct, 3);
	cr_assert_str_eq(list.recs[1].block, HEAD "hi");
	char expected[300];
	snprintf(expected, sizeof expected,
		"\"body_sha256\":\"" HI_SHA "\",\"body_offset\":%zu,"
		"\"body_length\":%zu}\n",
		(size_t)list.recs[1].offset, (size_t)list.recs[1].length);
	expect_part(&task, expected);
	warc_list_fini(&list);
	buf_fini(&task.result);
	warc_file_close();
}

Test(fetch_task, archives_what_came_of_a_broken_transfer, .timeout = 10)
{
	static const struct {
		int error;
		const char *truncated;
	} cases[] = {{PM_ETIMEDOUT, "time"}, {PM_ESTALLED, "time"},
		{PM_ETRUNCATED, "disconnect"}, {PM_ERESET, "disconnect"},
		{PM_EBODYSIZE, "length"}, {PM_EBADRESPONSE, "unspecified"}};
	bodies_to(BODY_WARC);
	struct pm_response part = {.status = 200,
		.url_effective = "http://x/",
		.content_type = "",
		.remote_ip = ""};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct pm_task task = failing(cases[i].error, PM_DOMAIN_CURL, 1, "x");
		task.last = &part;
		task.streamed = "h";
		task.head = HEAD;
		run(&task, "http://x/");
		expect_no_part(&task, "body_sha256");
		struct warc_list list;
		const char *why = warc_load(&list, file_of(&task));
		cr_assert_null(why, "%s", why);
		const char *value =
			warc_value(&list.recs[list.ct - 2], "WARC-Truncated");
		cr_assert_str_eq(value, cases[i].truncated);
		warc_list_fini(&list);
		buf_fini(&task.result);
	}
	warc_file_close();
}

Test(fetch_task, archives_nothing_where_nothing_came, .timeout = 10)
{
	bodies_to(BODY_WARC);
	struct pm_task task = failing(PM_EDNS, PM_DOMAIN_CURL, 6, "no such host");
	run(&task, "http://x/");
	expect_no_part(&task, "body_");
	cr_assert_eq(rmdir(scratch), 0, "a file is there");
	buf_fini(&task.result);
	warc_file_close();
}
