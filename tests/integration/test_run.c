/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` end to end: job lists against the origin, and what stands in
 * the results.
 */
#include "tests/support/origin_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

TestSuite(run, .init = start_origin, .fini = stop_origin);

/* Run these lines from standard input. */
static struct ran run_text(struct bytes *jobs, const char *const argv[])
{
	struct ran r = run_to_end(jobs->data, argv);
	bytes_fini(jobs);
	return r;
}

/* ------------------------------------------------------------- order, fields */

Test(run, gives_one_result_per_url_in_order, .timeout = 30)
{
	enum { MANY = 400 };
	struct bytes jobs = {0};
	for (size_t i = 0; i < MANY; i++) {
		const char *path = i % 3 ? "size" : "delay";
		jobs_add(&jobs, "%s\n", origin_url(o, "/%s/%zu", path, i * 7 % 50));
	}
	struct ran r = run_text(&jobs, RUN("-c", "64", "-w", "2"));
	check_status(&r, 0);
	results_check_ordered(r.results, MANY);
	for (size_t i = 0; i < MANY; i++) {
		json_int_t size = i % 3 ? (json_int_t)(i * 7 % 50) : 3;
		cr_assert_eq(
			int_in(result_at(&r, i), "size_download"), size, "job %zu", i);
		cr_assert_str_eq(text_in(result_at(&r, i), "url"),
			origin_url(o, "/%s/%zu", i % 3 ? "size" : "delay", i * 7 % 50));
	}
	cr_assert_eq(origin_count(o, "requests"), MANY);
	ran_fini(&r);
}

Test(run, tells_everything_about_a_job, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "{\"url\":\"%s\",\"id\":\"a\",\"body\":\"12345\"}\n",
		origin_url(o, "/delay/80"));
	struct ran r = run_text(&jobs, RUN("-w", "2"));
	check_status(&r, 0);
	const json_t *job = result_at(&r, 0);
	cr_assert_eq(int_in(job, "index"), 0);
	cr_assert_str_eq(text_in(job, "id"), "a");
	cr_assert_str_eq(text_in(job, "url"), origin_url(o, "/delay/80"));
	cr_assert_str_eq(text_in(job, "url_effective"), origin_url(o, "/delay/80"));
	cr_assert_str_eq(text_in(job, "method"), "POST");
	cr_assert(is_ok(job));
	cr_assert(json_is_null(field(job, "error")));
	cr_assert_eq(int_in(job, "http_code"), 200);
	cr_assert_str_eq(text_in(job, "http_version"), "1.1");
	check_says(text_in(job, "content_type"), "text/plain");
	cr_assert_eq(int_in(job, "num_redirects"), 0);
	cr_assert_str_eq(text_in(job, "remote_ip"), "127.0.0.1");
	cr_assert_eq(int_in(job, "size_download"), 3);
	cr_assert_eq(int_in(job, "size_upload"), 5);
	cr_assert_eq(int_in(job, "attempts"), 1);
	cr_assert(int_in(job, "worker") == 0 || int_in(job, "worker") == 1);
	cr_assert_str_eq(text_in(job, "body"), "ok\n");
	ran_fini(&r);
}

/* Seconds: microseconds would be over 80,000, milliseconds over 80. */
Test(run, tells_times_in_seconds, .timeout = 30)
{
	struct ran r = run_to_end(origin_url(o, "/delay/80"), RUN("-c", "1"));
	const json_t *job = result_at(&r, 0);
	double queue = seconds_in(job, "time_queue");
	double lookup = seconds_in(job, "time_namelookup");
	double connect = seconds_in(job, "time_connect");
	double start_s = seconds_in(job, "time_starttransfer");
	double total = seconds_in(job, "time_total");
	cr_assert(queue >= 0 && queue < 20, "%f", queue);
	cr_assert(0 <= lookup && lookup <= connect, "%f, %f", lookup, connect);
	cr_assert(0 < connect && connect < start_s, "%f, %f", connect, start_s);
	cr_assert(0.075 < start_s && start_s <= total, "%f, %f", start_s, total);
	cr_assert(total < 20, "%f", total);
	cr_assert_eq(seconds_in(job, "time_appconnect"), 0);
	ran_fini(&r);
}

/* As text: a number's digits are the user's. */
Test(run, echoes_ids_and_meta_as_they_were_given, .timeout = 30)
{
	static const char *const members[] = {
		"\"id\":\"a \\u00e4 \\\" b\"",
		"\"id\":0.10",
		"\"id\":12345678901234567",
		"\"meta\":{\"a\":[1,null,true,{\"b\":\"\\u20ac\"}]}",
		"\"meta\":null",
		"\"meta\":1.50",
	};
	enum { MANY = sizeof(members) / sizeof(members[0]) };
	struct bytes jobs = {0};
	for (size_t i = 0; i < MANY; i++) {
		jobs_add(
			&jobs, "{%s,\"url\":\"%s\"}\n", members[i], origin_url(o, "/"));
	}
	struct ran r = run_text(&jobs, RUN("-q"));
	check_status(&r, 0);
	results_check_ordered(r.results, MANY);
	for (size_t i = 0; i < MANY; i++) {
		check_says(r.io.out, members[i]);
	}
	cr_assert(!has_field(result_at(&r, 3), "id"));
	cr_assert(!has_field(result_at(&r, 0), "meta"));
	ran_fini(&r);
}

/* ------------------------------------------------------------------ requests */

Test(run, sends_method_headers_and_body_of_a_job, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs,
		"{\"url\":\"%s\",\"method\":\"PUT\",\"headers\":{\"X-One\":\"1\","
		"\"X-Two\":[\"a\",\"b\"]},\"body\":\"h\\u00e9\\u0000llo\"}\n",
		origin_url(o, "/echo?a=b"));
	struct ran r = run_text(&jobs, RUN("-q"));
	check_status(&r, 0);
	json_t *echo = echo_at(&r, 0);
	cr_assert_str_eq(text_in(echo, "method"), "PUT");
	cr_assert_str_eq(text_in(echo, "path"), "/echo?a=b");
	cr_assert_str_eq(header_in(echo, "x-one"), "1");
	cr_assert_str_eq(header_in(echo, "x-two"), "a, b");
	cr_assert_eq(int_in(echo, "body_len"), 7); /* h, two of the accent, NUL, llo */
	cr_assert_str_eq(header_in(echo, "content-length"), "7");
	json_decref(echo);
	ran_fini(&r);
}

Test(run, sends_a_body_of_any_bytes, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "{\"url\":\"%s\",\"body_base64\":\"AP+AaGk=\"}\n",
		origin_url(o, "/echo"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"body\":\"\"}\n", origin_url(o, "/echo"));
	struct ran r = run_text(&jobs, RUN("-q"));
	check_status(&r, 0);
	json_t *bytes = echo_at(&r, 0), *none = echo_at(&r, 1);
	cr_assert_str_eq(text_in(bytes, "method"), "POST");
	cr_assert_eq(int_in(bytes, "body_len"), 5);
	const json_t *body = field(bytes, "body"); /* each byte a character */
	cr_assert_eq(
		json_string_length(body), 2 - 1 + 2 + 2 + 2, "NUL, two of two, hi");
	cr_assert_eq(memcmp(json_string_value(body), "\0\xc3\xbf\xc2\x80hi", 7), 0);
	cr_assert_str_eq(text_in(none, "method"), "POST");
	cr_assert_eq(int_in(none, "body_len"), 0);
	json_decref(bytes);
	json_decref(none);
	ran_fini(&r);
}

Test(run, takes_the_flags_where_a_job_says_nothing, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/echo"));
	jobs_add(&jobs,
		"{\"url\":\"%s\",\"method\":\"DELETE\",\"headers\":{\"x-a\":\"own\"}}"
		"\n",
		origin_url(o, "/echo"));
	struct ran r = run_text(&jobs, RUN("-X", "PATCH", "-H", "X-A: flag", "-H",
					       "X-B: flag", "-H", "User-Agent: tests"));
	check_status(&r, 0);
	json_t *plain = echo_at(&r, 0), *own = echo_at(&r, 1);
	cr_assert_str_eq(text_in(plain, "method"), "PATCH");
	cr_assert_str_eq(header_in(plain, "x-a"), "flag");
	cr_assert_str_eq(header_in(plain, "x-b"), "flag");
	cr_assert_str_eq(header_in(plain, "user-agent"), "tests");
	cr_assert_str_eq(text_in(own, "method"), "DELETE");
	cr_assert_str_eq(header_in(own, "x-a"), "own");
	cr_assert_str_eq(header_in(own, "x-b"), "flag");
	cr_assert_str_eq(text_in(result_at(&r, 1), "method"), "DELETE");
	json_decref(plain);
	json_decref(own);
	ran_fini(&r);
}

Test(run, reads_no_body_behind_a_head_request, .timeout = 30)
{
	struct ran r = run_to_end(origin_url(o, "/size/100"), RUN("-X", "HEAD"));
	check_status(&r, 0);
	cr_assert_str_eq(text_in(result_at(&r, 0), "body"), "");
	cr_assert_eq(int_in(result_at(&r, 0), "size_download"), 0);
	ran_fini(&r);
}

/* ----------------------------------------------------------------- redirects */

static struct ran run_redirect(unsigned ct, const char *flag, const char *value)
{
	const char *url = origin_url(o, "/redirect/%u", ct);
	return run_to_end(url, RUN("-q", flag, value, "-"));
}

Test(run, follows_redirects, .timeout = 30)
{
	struct ran r = run_redirect(3, "--max-redirects", "3");
	check_status(&r, 0);
	const json_t *job = result_at(&r, 0);
	cr_assert_eq(int_in(job, "num_redirects"), 3);
	cr_assert_eq(int_in(job, "http_code"), 200);
	cr_assert_str_eq(text_in(job, "url"), origin_url(o, "/redirect/3"));
	cr_assert_str_eq(text_in(job, "url_effective"), origin_url(o, "/redirect/0"));
	ran_fini(&r);
}

Test(run, gives_up_beyond_the_redirects_allowed, .timeout = 30)
{
	struct ran r = run_redirect(3, "--max-redirects", "2");
	check_status(&r, 1);
	check_class(&r, 0, "too_many_redirects");
	ran_fini(&r);
	r = run_redirect(11, "--max-redirects", "10");
	check_class(&r, 0, "too_many_redirects");
	ran_fini(&r);
	r = run_redirect(10, "-c", "1"); /* 10 are the default */
	check_class(&r, 0, "ok");
	ran_fini(&r);
}

Test(run, gives_the_redirect_itself_when_told_not_to_follow, .timeout = 30)
{
	struct ran r = run_redirect(3, "--no-follow", "-q");
	check_status(&r, 0);
	cr_assert_eq(int_in(result_at(&r, 0), "http_code"), 302);
	cr_assert_eq(int_in(result_at(&r, 0), "num_redirects"), 0);
	cr_assert_eq(origin_count(o, "requests"), 1);
	ran_fini(&r);
	r = run_redirect(3, "--accept", "200..299");
	check_class(&r, 0, "ok");
	ran_fini(&r);
}

/* A server must not reach the files of this machine by a redirect. */
Test(run, follows_no_redirect_to_another_scheme, .timeout = 30)
{
	const char *url =
		origin_url(o, "/redirect-to?url=file%%3A%%2F%%2F%%2Fetc%%2Fpasswd");
	struct ran r = run_to_end(url, RUN("-q"));
	check_status(&r, 1);
	check_class(&r, 0, "scheme");
	cr_assert(!has_field(result_at(&r, 0), "body"));
	ran_fini(&r);
}

/* ------------------------------------------------------------------- limits */

Test(run, takes_the_statuses_in_accept_for_ok, .timeout = 30)
{
	struct bytes jobs = {0};
	static const int statuses[] = {200, 204, 399, 404, 500, 503};
	for (size_t i = 0; i < 6; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/status/%d", statuses[i]));
	}
	struct ran r = run_to_end(jobs.data, RUN("-q"));
	check_status(&r, 1);
	for (size_t i = 0; i < 6; i++) {
		check_class(&r, i, i < 3 ? "ok" : "http_status");
		cr_assert_eq(int_in(result_at(&r, i), "http_code"), statuses[i]);
	}
	cr_assert_str_eq(text_in(result_at(&r, 3), "body"), "status 404\n");
	ran_fini(&r);
	r = run_text(&jobs, RUN("-q", "--accept", "404,500..503"));
	for (size_t i = 0; i < 6; i++) {
		check_class(&r, i, i < 3 ? "http_status" : "ok");
	}
	ran_fini(&r);
}

Test(run, fails_a_job_whose_body_is_too_large, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/size/1000"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/size/1000?chunked"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/size/1001"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/size/1001?chunked"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/endless"));
	struct ran r = run_text(&jobs, RUN("-q", "--max-body", "1000"));
	check_status(&r, 1);
	for (size_t i = 0; i < 5; i++) {
		check_class(&r, i, i < 2 ? "ok" : "body_too_large");
		cr_assert_eq(has_field(result_at(&r, i), "body"), i < 2, "job %zu", i);
	}
	ran_fini(&r);
}

Test(run, ends_an_attempt_at_its_timeout, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/hang"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"timeout\":0.1}\n", origin_url(o, "/hang"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"timeout\":20}\n",
		origin_url(o, "/delay/600"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/drip/100/50"));
	struct ran r = run_text(&jobs, RUN("-q", "--timeout", "0.4"));
	check_status(&r, 1);
	check_class(&r, 0, "timeout");
	check_class(&r, 1, "timeout");
	check_class(&r, 2, "ok");
	check_class(&r, 3, "timeout");
	double all = seconds_in(result_at(&r, 0), "time_total");
	double own = seconds_in(result_at(&r, 1), "time_total");
	cr_assert(0.39 < all && all < 10, "%f", all);
	cr_assert(0.09 < own && own < all, "%f", own);
	cr_assert_eq(int_in(result_at(&r, 0), "exitcode"), 28);
	ran_fini(&r);
}

/* A job that waits for its turn has not begun: 5 jobs of 200 ms, one at a time,
 * each with 700 ms. */
Test(run, counts_no_time_in_the_queue, .timeout = 30)
{
	struct bytes jobs = {0};
	for (int i = 0; i < 5; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/delay/200"));
	}
	struct ran r = run_text(&jobs, RUN("-q", "-c", "1", "--timeout", "0.7"));
	check_status(&r, 0);
	double queue = seconds_in(result_at(&r, 4), "time_queue");
	double total = seconds_in(result_at(&r, 4), "time_total");
	cr_assert(total < 0.7, "%f", total);
	cr_assert(queue >= 0, "%f", queue);
	ran_fini(&r);
}

/* A listener whose queue is full: the kernel drops further handshakes. */
static unsigned full_port(int fds[4])
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fds[0], (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(fds[0], 0), 0);
	cr_assert_eq(getsockname(fds[0], (struct sockaddr *)&at, &len), 0);
	for (int i = 1; i < 4; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fds[i], (struct sockaddr *)&at, sizeof(at));
	}
	return ntohs(at.sin_port);
}

Test(run, gives_up_a_connection_at_its_own_timeout, .timeout = 30)
{
	int fds[4];
	const char *url = keep_printf("http://127.0.0.1:%u/", full_port(fds));
	struct ran r = run_to_end(url, RUN("-q", "--connect-timeout", "0.3"));
	check_status(&r, 1);
	check_class(&r, 0, "timeout");
	double total = seconds_in(result_at(&r, 0), "time_total");
	cr_assert(0.29 < total && total < 10, "%f", total);
	ran_fini(&r);
	for (int i = 0; i < 4; i++) {
		close(fds[i]);
	}
}

/* ------------------------------------------------------------------- errors */

/* A port where nobody listens: ours, and closed again. */
static unsigned refused_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static const struct {
	const char *path, *class;
} hostile[] = {
	{"/reset", "reset"},
	{"/reset/100", "reset"},
	{"/close", "reset"},
	{"/truncate/1000", "truncated"},
	{"/garbage", "bad_response"},
	{"/bigheader/1000000", "headers_too_large"},
	{"/headers/100000", "headers_too_large"},
	{"/endless", "body_too_large"},
	{"/hang", "timeout"},
	{"/loop", "too_many_redirects"},
	{"/missing", "http_status"},
	{"/", "ok"},
};
enum { HOSTILE_CT = sizeof(hostile) / sizeof(hostile[0]) };

static void check_failed(const json_t *job, size_t i)
{
	cr_assert_gt(strlen(text_in(job, "errormsg")), 0, "job %zu", i);
	if (strcmp(text_in(job, "error"), "http_status") != 0) {
		cr_assert_gt(int_in(job, "exitcode"), 0, "job %zu", i);
		cr_assert(!has_field(job, "body"), "job %zu", i);
		cr_assert(!has_field(job, "body_base64"), "job %zu", i);
	}
}

/* Five times each, so that they meet on connections that are kept. */
Test(run, tells_what_went_wrong, .timeout = 60)
{
	enum { ROUNDS = 5, MANY = ROUNDS * HOSTILE_CT };
	struct bytes jobs = {0};
	for (size_t i = 0; i < MANY; i++) {
		jobs_add(&jobs, "%s\n",
			origin_url(o, "%s", hostile[i % HOSTILE_CT].path));
	}
	struct ran r = run_text(
		&jobs, RUN("-q", "-w", "2", "--timeout", "1.5", "--max-body", "1M"));
	check_status(&r, 1);
	results_check_ordered(r.results, MANY);
	for (size_t i = 0; i < MANY; i++) {
		check_class(&r, i, hostile[i % HOSTILE_CT].class);
		if (!is_ok(result_at(&r, i))) {
			check_failed(result_at(&r, i), i);
		}
	}
	ran_fini(&r);
}

Test(run, tells_what_is_wrong_with_a_url, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "http://127.0.0.1:%u/\n", refused_port());
	jobs_add(&jobs, "ftp://127.0.0.1/\nfile:///etc/passwd\n");
	jobs_add(&jobs, "http://127.0.0.1:99999/\nhttp://\nhttp://127.0.0.1/a b\n");
	struct ran r = run_text(&jobs, RUN("-q"));
	static const char *const classes[] = {
		"connect", "scheme", "scheme", "bad_url", "bad_url", "bad_url"};
	check_status(&r, 1);
	results_check_ordered(r.results, 6);
	for (size_t i = 0; i < 6; i++) {
		check_class(&r, i, classes[i]);
	}
	cr_assert(!strstr(r.io.out, "root:"), "%s", r.io.out);
	ran_fini(&r);
}

Test(run, goes_on_behind_a_bad_line, .timeout = 30)
{
	struct bytes jobs = {0};
	static const char *const lines[] = {"{\"url\":1}", "{", "[]", "{\"id\":1}",
		"{\"url\":\"http://a/\",\"urll\":1}", "{\"url\":\"http://a/\"} x",
		"{\"url\":\"http://a/\",\"url\":\"http://b/\"}", "\xff\xfe\xfd",
		"{\"url\":\"http://a/\",\"timeout\":-1}"};
	enum { BAD = sizeof(lines) / sizeof(lines[0]) };
	for (size_t i = 0; i < BAD; i++) {
		jobs_add(&jobs, "%s\n%s\n", lines[i], origin_url(o, "/"));
	}
	struct ran r = run_text(&jobs, RUN("-q"));
	check_status(&r, 1);
	results_check_ordered(r.results, BAD * 2);
	for (size_t i = 0; i < BAD; i++) {
		cr_assert(!is_ok(result_at(&r, 2 * i)), "%s", lines[i]);
		check_class(&r, 2 * i + 1, "ok");
	}
	check_class(&r, 0, "bad_job");
	check_says(text_in(result_at(&r, 8), "errormsg"), "did you mean \"url\"");
	cr_assert_eq(origin_count(o, "requests"), BAD);
	ran_fini(&r);
}

/* ------------------------------------------------------------------- bodies */

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : 0;
}

/* Byte `i` of what the text stands for. */
static unsigned char base64_byte(const char *text, size_t i)
{
	const char *at = text + i / 3 * 4;
	unsigned group = 0;
	for (int k = 0; k < 4; k++) {
		group = group << 6 | (unsigned)base64_digit(at[k]);
	}
	return (unsigned char)(group >> (16 - i % 3 * 8));
}

Test(run, puts_text_and_other_bytes_into_the_results, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n%s\n%s\n", origin_url(o, "/size/100"),
		origin_url(o, "/bytes/1001"), origin_url(o, "/size/0"));
	struct ran r = run_text(&jobs, RUN("-q"));
	check_status(&r, 0);
	const char *text = text_in(result_at(&r, 0), "body");
	const char *base64 = text_in(result_at(&r, 1), "body_base64");
	cr_assert_eq(strlen(text), 100);
	for (size_t i = 0; i < 100; i++) {
		int expected =
			i % 64 == 63 ? '\n' : (int)('a' + (i / 64 + i % 64) % 26);
		cr_assert_eq(text[i], expected, "byte %zu", i);
	}
	cr_assert_eq(strlen(base64), (1001 + 2) / 3 * 4);
	for (size_t i = 0; i < 1001; i++) {
		cr_assert_eq(base64_byte(base64, i), 255 - (i + i / 256) % 256,
			"byte %zu", i);
	}
	cr_assert(!has_field(result_at(&r, 1), "body"));
	cr_assert(!has_field(result_at(&r, 0), "body_base64"));
	cr_assert_str_eq(text_in(result_at(&r, 2), "body"), "");
	ran_fini(&r);
}

Test(run, leaves_bodies_out_with_body_none, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n%s\n%s\n", origin_url(o, "/size/100000"),
		origin_url(o, "/bytes/10"), origin_url(o, "/status/404"));
	struct ran r = run_text(&jobs, RUN("-q", "--body", "none"));
	check_status(&r, 1);
	for (size_t i = 0; i < 3; i++) {
		cr_assert(!has_field(result_at(&r, i), "body"), "job %zu", i);
		cr_assert(!has_field(result_at(&r, i), "body_base64"), "job %zu", i);
	}
	cr_assert_eq(int_in(result_at(&r, 0), "size_download"), 100000);
	cr_assert_eq(int_in(result_at(&r, 1), "size_download"), 10);
	ran_fini(&r);
}

/* Over the limits of a frame and of a pipe. */
Test(run, brings_a_large_body_whole, .timeout = 60)
{
	enum { SIZE = 9 << 20 };
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n%s\n", origin_url(o, "/size/%d", SIZE),
		origin_url(o, "/bytes/%d?chunked", SIZE));
	struct ran r = run_text(&jobs, RUN("-q"));
	check_status(&r, 0);
	cr_assert_eq(strlen(text_in(result_at(&r, 0), "body")), SIZE);
	const char *base64 = text_in(result_at(&r, 1), "body_base64");
	cr_assert_eq(strlen(base64), (SIZE + 2) / 3 * 4);
	for (size_t i = SIZE - 1000; i < SIZE; i++) {
		cr_assert_eq(base64_byte(base64, i),
			(unsigned char)(255 - (i + i / 256) % 256), "byte %zu", i);
	}
	ran_fini(&r);
}

/* -------------------------------------------------------- order, concurrency */

Test(run, writes_results_as_they_complete_when_unordered, .timeout = 30)
{
	enum { MANY = 50 };
	struct child c;
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/hold/first"));
	jobs_add_urls(&jobs, o, "/once/", MANY - 1);
	child_start(&c, RUN("-c", "4", "-w", "2", "--unordered"), 0);
	child_write(&c, jobs.data, jobs.len);
	child_close(&c, 0);
	bytes_fini(&jobs);
	for (size_t i = 0; i < MANY - 1; i++) {
		const char *line = child_read_line(&c, 1, 20000);
		cr_assert(
			line && !strstr(line, "\"index\":0,"), "line %zu: %s", i, line);
	}
	origin_release(o, "first");
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	json_t *results = results_load(c.got[1].data, c.got[1].len, NULL);
	results_check_complete(results, MANY);
	cr_assert_eq(int_in(json_array_get(results, MANY - 1), "index"), 0);
	json_decref(results);
	child_fini(&c);
}

static void check_most_open(
	const char *concurrency, size_t jobs_ct, json_int_t expected)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < jobs_ct; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/delay/20"));
	}
	struct ran r = run_text(&jobs, RUN("-q", "-w", "2", "-c", concurrency));
	check_status(&r, 0);
	cr_assert_eq(origin_count(o, "requests"), (json_int_t)jobs_ct);
	cr_assert_eq(origin_count(o, "max_open"), expected, "-c %s: %lld at once",
		concurrency, (long long)origin_count(o, "max_open"));
	ran_fini(&r);
}

Test(run, really_takes_one_at_a_time_with_c_1, .timeout = 30)
{
	check_most_open("1", 40, 1);
}

/* Not a multiple of the workers. */
Test(run, keeps_to_the_concurrency_and_reaches_it, .timeout = 30)
{
	check_most_open("7", 200, 7);
}

Test(run, needs_no_more_workers_than_jobs_at_once, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", 50);
	struct ran r = run_text(&jobs, RUN("-q", "-w", "8", "-c", "3"));
	check_status(&r, 0);
	results_check_ordered(r.results, 50);
	cr_assert_leq(origin_count(o, "max_open"), 3);
	ran_fini(&r);
}

/* -------------------------------------------------------------------- input */

/* A file of one line, with or without its end. */
static const char *line_file(const char *path, const char *end)
{
	const char *text = keep_printf("%s%s", origin_url(o, "%s", path), end);
	return temp_file("jobs.txt", text, strlen(text));
}

Test(run, takes_several_files_as_one_list, .timeout = 30)
{
	const char *a = line_file("/once/a", ""), *b = line_file("/once/b", "\r\n");
	const char *empty = temp_file("empty", "", 0);
	const char *input = keep_printf(
		"%s\n%s", origin_url(o, "/once/in1"), origin_url(o, "/once/in2"));
	static const char *const paths[] = {
		"/once/a", "/once/in1", "/once/in2", "/once/b"};
	struct ran r = run_to_end(input, RUN("-q", a, empty, "-", b));
	check_status(&r, 0);
	results_check_ordered(r.results, 4);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_str_eq(text_in(result_at(&r, i), "url"),
			origin_url(o, "%s", paths[i]), "job %zu", i);
	}
	ran_fini(&r);
}

Test(run, reads_standard_input_when_no_file_is_named, .timeout = 30)
{
	struct ran r = run_to_end(origin_url(o, "/"), RUN("-q"));
	check_status(&r, 0);
	cr_assert_eq(r.ct, 1);
	cr_assert_str_eq(r.io.err, "");
	ran_fini(&r);
}

Test(run, reads_line_ends_marks_and_comments_of_all_kinds, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "\xef\xbb\xbf%s\r\n", origin_url(o, "/once/0"));
	jobs_add(&jobs, "\r\n\n \t \n# no job\n#\n%s\n", origin_url(o, "/once/1"));
	jobs_add(&jobs, "{ \"url\" : \"%s\" }\r\n", origin_url(o, "/once/2"));
	jobs_add(&jobs, "  %s\t\n", origin_url(o, "/once/3"));
	jobs_add(&jobs, "%s", origin_url(o, "/once/4")); /* no final newline */
	const char *path = temp_file("jobs.txt", jobs.data, jobs.len);
	struct ran piped = run_text(&jobs, RUN("-q"));
	struct ran named = run_to_end(NULL, RUN("-q", path));
	const struct ran *both[] = {&piped, &named};
	for (size_t k = 0; k < 2; k++) {
		check_status(both[k], 0);
		results_check_ordered(both[k]->results, 5);
		for (size_t i = 0; i < 5; i++) {
			cr_assert_str_eq(text_in(result_at(both[k], i), "url"),
				origin_url(o, "/once/%zu", i), "job %zu", i);
		}
	}
	ran_fini(&piped);
	ran_fini(&named);
}

Test(run, writes_the_same_to_a_file_as_to_standard_output, .timeout = 30)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", 20);
	const char *out = new_path("results.jsonl");
	struct ran r = run_text(&jobs, RUN("-o", out));
	check_status(&r, 0);
	cr_assert_eq(r.ct, 0, "something on standard output: %s", r.io.out);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, 20);
	check_says(r.io.err, "20 jobs are ok");
	check_says(r.io.err, out);
	json_decref(results);
	ran_fini(&r);
}

Test(run, overwrites_an_output_when_forced, .timeout = 30)
{
	const char *out = temp_file("out", "old\n", 4);
	struct ran r = run_to_end(origin_url(o, "/"), RUN("-o", out, "--force"));
	check_status(&r, 0);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, 1);
	json_decref(results);
	ran_fini(&r);
}

/* As the first process of a container it inherits every orphan of it, and these are
 * nothing to it. */
Test(run, is_the_first_process_of_a_container, .timeout = 30)
{
	static const char script[] = "(sh -c 'exit 3' & exit 0); exec \"$@\"";
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n%s\n", origin_url(o, "/size/1"), origin_url(o, "/size/2"));
	struct ran r = run_text(&jobs,
		(const char *const[]){"unshare", "-rpf", "/bin/sh", "-c", script, "sh",
			program("poolmap"), "run", "--no-config", "-q", "-w2", NULL});
	if (strstr(r.io.err, "unshare")) {
		cr_skip_test("no namespaces of processes here");
	}
	check_status(&r, 0);
	results_check_ordered(r.results, 2);
	cr_assert_str_eq(r.io.err, "");
	ran_fini(&r);
}
