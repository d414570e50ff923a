/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` and what is between it and a server: TLS, certificates of both
 * sides, HTTP/2, proxies, names in other letters, compression, stalls, heads in two
 * minds.
 */
#include "tests/support/origin_rig.h"

static const char *ca;

static void start(void)
{
	o = origin_start_tls();
	ca = origin_tls_file(o, "ca.pem");
}

TestSuite(run_tls, .init = start, .fini = stop_origin);

static void add(struct bytes *jobs, const char *port, const char *path)
{
	jobs_add(jobs, "%s\n", origin_tls_url(o, port, path));
}

static struct ran run_jobs(struct bytes *jobs, int status, const char *const argv[])
{
	struct ran r = run_to_end(jobs->data, argv);
	bytes_fini(jobs);
	check_status(&r, status);
	return r;
}

/* One job of that URL. */
static struct ran run_url(const char *url, int status, const char *const argv[])
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", url);
	return run_jobs(&jobs, status, argv);
}

static void check_error(
	const struct ran *r, size_t i, const char *class, const char *words)
{
	check_class(r, i, class);
	check_says(text_in(result_at(r, i), "errormsg"), words);
}

/* ---------------------------------------------------------------------- trust */

Test(run_tls, bad_certificates_are_told_apart, .timeout = 60)
{
	struct bytes jobs = {0};
	add(&jobs, "good", "/status/200");
	add(&jobs, "wrong-host", "/status/200");
	add(&jobs, "expired", "/status/200");
	add(&jobs, "self-signed", "/status/200");
	add(&jobs, "unknown-ca", "/status/200");
	add(&jobs, "client", "/status/200");
	struct ran r = run_jobs(&jobs, 1, RUN("--cacert", ca));
	check_class(&r, 0, "ok");
	cr_assert_gt(seconds_in(result_at(&r, 0), "time_appconnect"), 0);
	check_error(&r, 1, "tls", "no alternative certificate subject name matches");
	check_error(&r, 2, "tls", "certificate has expired");
	check_error(&r, 3, "tls", "self-signed certificate");
	check_error(&r, 4, "tls", "unable to get local issuer certificate");
	check_error(&r, 5, "tls", "certificate required");
	for (size_t i = 1; i < 6; i++) {
		cr_assert_eq(int_in(result_at(&r, i), "attempts"), 1,
			"job %zu was tried again", i);
	}
	cr_assert_eq(origin_count(o, "requests"), 1);
	ran_fini(&r);
}

Test(run_tls, the_machines_authorities_are_the_default, .timeout = 60)
{
	const char *url = origin_tls_url(o, "good", "/status/200");
	struct ran r = run_url(url, 1, RUN("-q"));
	check_error(&r, 0, "tls", "unable to get local issuer certificate");
	ran_fini(&r);
	r = run_url(origin_tls_url(o, "expired", "/status/200"), 0, RUN("-k"));
	check_class(&r, 0, "ok");
	ran_fini(&r);
}

Test(run_tls, a_client_shows_its_certificate, .timeout = 60)
{
	const char *url = origin_tls_url(o, "client", "/status/200");
	struct ran r = run_url(url, 0,
		RUN("--cacert", ca, "--cert", origin_tls_file(o, "client.pem"), "--key",
			origin_tls_file(o, "client.key")));
	ran_fini(&r);
	r = run_url(url, 0,
		RUN("--cacert", ca, "--cert", origin_tls_file(o, "client-both.pem")));
	ran_fini(&r);
	r = run_url(url, 1,
		RUN("--cacert", ca, "--cert", origin_tls_file(o, "stranger.pem")));
	check_error(&r, 0, "tls", "alert");
	ran_fini(&r);
}

/* What no job could use is found before the first one. */
Test(run_tls, files_that_are_no_certificate_or_key_are_refused, .timeout = 60)
{
	const char *cert = origin_tls_file(o, "client.pem");
	const char *key = origin_tls_file(o, "client.key");
	const char *locked = origin_tls_file(o, "client-locked.key");
	const struct {
		const char *const *argv;
		const char *words;
	} cases[] = {
		{RUN("--cacert", key), "has no certificate in PEM form"},
		{RUN("--cert", cert), "--key names another file"},
		{RUN("--cert", cert, "--key", cert), "has no private key in PEM form"},
		{RUN("--cert", cert, "--key", locked), "has a password"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ran r = run_url(origin_url(o, "/"), 2, cases[i].argv);
		check_says(r.io.err, cases[i].words);
		cr_assert_eq(r.ct, 0);
		ran_fini(&r);
	}
	cr_assert_eq(origin_count(o, "requests"), 0);
}

/* A handshake for each connection, not for each job. */
Test(run_tls, connections_are_kept, .timeout = 60)
{
	enum { JOBS = 300, AT_ONCE = 8 };
	struct bytes jobs = {0};
	for (int i = 0; i < JOBS; i++) {
		add(&jobs, "good", "/size/100");
	}
	struct ran r = run_jobs(&jobs, 0, RUN("--cacert", ca, "-w", "2", "-c", "8"));
	results_check_ordered(r.results, JOBS);
	cr_assert_leq(origin_count(o, "tls"), AT_ONCE);
	cr_assert_eq(origin_count(o, "requests"), JOBS);
	ran_fini(&r);
}

/* ------------------------------------------------------------- HTTP/2, proxies */

Test(run_tls, http2_is_for_those_who_ask, .timeout = 60)
{
	enum { JOBS = 50 };
	struct bytes jobs = {0};
	for (int i = 0; i < JOBS; i++) {
		add(&jobs, "h2", "/");
	}
	add(&jobs, "good", "/");
	struct ran r = run_jobs(&jobs, 0, RUN("--cacert", ca, "--http2", "-w", "1"));
	for (size_t i = 0; i < JOBS; i++) {
		const json_t *job = result_at(&r, i);
		cr_assert_str_eq(text_in(job, "http_version"), "2", "job %zu", i);
		cr_assert_str_eq(text_in(job, "body"), "http2\n");
	}
	cr_assert_str_eq(text_in(result_at(&r, JOBS), "http_version"), "1.1");
	cr_assert_eq(origin_count(o, "tls"), 2);
	ran_fini(&r);
	r = run_url(origin_tls_url(o, "good", "/"), 0, RUN("--cacert", ca));
	cr_assert_str_eq(text_in(result_at(&r, 0), "http_version"), "1.1");
	ran_fini(&r);
}

Test(run_tls, streams_that_fail_are_fetched_again, .timeout = 60)
{
	struct bytes jobs = {0};
	add(&jobs, "h2-refuse", "/");
	add(&jobs, "h2-reset", "/");
	add(&jobs, "h2-cut", "/");
	add(&jobs, "h2-away", "/");
	struct ran r =
		run_jobs(&jobs, 1, RUN("--cacert", ca, "--http2", "--retries", "1"));
	check_class(&r, 0, "ok");
	check_error(&r, 1, "reset", "INTERNAL_ERROR");
	cr_assert_eq(int_in(result_at(&r, 1), "attempts"), 2);
	check_error(&r, 2, "truncated", "not closed cleanly");
	cr_assert_eq(int_in(result_at(&r, 2), "attempts"), 2);
	check_class(&r, 3, "ok");
	cr_assert_eq(int_in(result_at(&r, 3), "attempts"), 2);
	ran_fini(&r);
}

/* The origin refuses what is said to proxies, and so tells us that it was one. */
Test(run_tls, the_environment_has_a_proxy_for_those_who_ask, .timeout = 60)
{
	const char *proxy = keep_printf("http://127.0.0.1:%u", origin_port(o));
	child_env("http_proxy", proxy);
	struct ran r = run_url("http://name.invalid/", 1, RUN("--proxy", "env"));
	check_class(&r, 0, "http_status");
	cr_assert_eq(int_in(result_at(&r, 0), "http_code"), 400);
	ran_fini(&r);
	r = run_url(origin_url(o, "/"), 0, RUN("-q"));
	ran_fini(&r);
	child_env("http_proxy", NULL);
	const char *const spellings[] = {proxy, strstr(proxy, "127")};
	for (size_t i = 0; i < 2; i++) {
		r = run_url("http://name.invalid/", 1, RUN("--proxy", spellings[i]));
		cr_assert_eq(int_in(result_at(&r, 0), "http_code"), 400);
		ran_fini(&r);
	}
}

/* ---------------------------------------------------------------------- names */

/* Job files are UTF-8 for everybody: the user's locale has no say. */
Test(run_tls, hosts_with_other_letters_are_asked_for_in_ascii, .timeout = 60)
{
	unsigned port = origin_port(o);
	const char *here = keep_printf("xn--mnchen-3ya.test:%u:127.0.0.1", port);
	const char *url = keep_printf("http://m\xc3\xbcnchen.test:%u/echo", port);
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n%s\n", url, origin_url(o, "/redirect-to?url=%s", url));
	jobs_add(&jobs, "http://\xe2\x93\x9bocalhost:%u/\n", port);
	struct ran r = run_jobs(&jobs, 0, RUN("--resolve", here));
	for (size_t i = 0; i < 2; i++) {
		json_t *echo = echo_at(&r, i);
		cr_assert_str_eq(text_in(json_object_get(echo, "headers"), "host"),
			keep_printf("xn--mnchen-3ya.test:%u", port));
		json_decref(echo);
	}
	ran_fini(&r);
	r = run_url(keep_printf("http://\xe2\x93\x9bocalhost:%u/", port), 1,
		RUN("--deny-private"));
	check_class(&r, 0, "denied_address");
	ran_fini(&r);
}

/* ------------------------------------------------------------ hostile servers */

Test(run_tls, a_length_in_doubt_is_a_bad_response, .timeout = 60)
{
	static const char *const paths[] = {"/two-lengths", "/length-and-chunks"};
	struct bytes jobs = {0};
	for (size_t i = 0; i < 2; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "%s", paths[i]));
		add(&jobs, "good", paths[i]);
	}
	jobs_add(&jobs, "%s\n", origin_url(o, "/"));
	struct ran r = run_jobs(&jobs, 1, RUN("--cacert", ca, "-c", "1"));
	for (size_t i = 0; i < 4; i++) {
		check_error(&r, i, "bad_response", "Content-Length");
		cr_assert(!has_field(result_at(&r, i), "body"), "job %zu", i);
	}
	check_class(&r, 4, "ok");
	ran_fini(&r);
}

Test(run_tls, a_stall_ends_an_attempt, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/hang"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/drip/10/30000"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/drip/30/50"));
	add(&jobs, "good", "/hang");
	struct ran r = run_jobs(&jobs, 1,
		RUN("--cacert", ca, "--stall-timeout", "1", "--retries", "0"));
	check_class(&r, 0, "stalled");
	check_class(&r, 1, "stalled");
	check_class(&r, 2, "ok");
	check_class(&r, 3, "stalled");
	ran_fini(&r);
}

/* What is counted is what comes out. */
Test(run_tls, a_small_answer_that_is_large_within_is_too_large, .timeout = 60)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/gzip/1000"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/gzip/100000000"));
	struct ran r =
		run_jobs(&jobs, 1, RUN("--compressed", "--max-body", "1M", "-w", "1"));
	check_class(&r, 0, "ok");
	cr_assert_eq(strlen(text_in(result_at(&r, 0), "body")), 1000);
	check_class(&r, 1, "body_too_large");
	ran_fini(&r);
}
