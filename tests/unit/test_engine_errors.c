/* SPDX-License-Identifier: MIT
 *
 * Classes of what libcurl says: no network.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "worker/engine_errors.h"

struct answer {
	int code;
	const char *message;
	int error;
};

static void expect_class(const struct answer *a)
{
	struct engine_evidence e = {.code = a->code, .message = a->message};
	struct pm_failure f;
	engine_classify(&e, &f);
	cr_assert_eq(f.error, a->error, "curl %d '%s': got %d, want %d", a->code,
		a->message, f.error, a->error);
	cr_assert_eq(f.domain, PM_DOMAIN_CURL, "curl %d", a->code);
	cr_assert_eq(f.code, a->code, "curl %d: code %d", a->code, f.code);
	cr_assert(f.message[0], "curl %d: empty message", a->code);
}

Test(engine_errors, every_code_has_its_class, .timeout = 10)
{
	static const struct answer answers[] = {
		{1, "Protocol \"file\" not supported or disabled in libcurl",
			PM_ESCHEME},
		{3, "", PM_EBADURL},
		{5, "", PM_EDNS},
		{6, "Could not resolve host: x", PM_EDNS},
		{7, "", PM_ECONNECT},
		{8, "", PM_EBADRESPONSE},
		{16, "", PM_ERESET},
		{18, "", PM_ETRUNCATED},
		{47, "", PM_EREDIRECTS},
		{52, "Empty reply from server", PM_ERESET},
		{55, "", PM_ERESET},
		{61, "", PM_EBADRESPONSE},
		{63, "", PM_EBODYSIZE},
		{92, "", PM_EBADRESPONSE},
		{92,
			"HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err "
			"2)",
			PM_ERESET},
		{92,
			"HTTP/2 stream 1 was not closed cleanly: PROTOCOL_ERROR (err "
			"1)",
			PM_EBADRESPONSE},
		{92,
			"HTTP/2 stream 1 was closed cleanly, but before getting  all "
			"response header fields, treated as error",
			PM_EBADRESPONSE},
		{100, "", PM_EHEADERSIZE},
		{43, "", PM_EINTERNAL},
		{9999, "", PM_EINTERNAL},
	};
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		expect_class(&answers[i]);
	}
}

Test(engine_errors, the_tls_family_is_tls, .timeout = 10)
{
	static const int codes[] = {
		35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98, 101};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		expect_class(&(struct answer){codes[i], "", PM_ETLS});
	}
}

Test(engine_errors, words_decide_where_a_code_is_too_coarse, .timeout = 10)
{
	static const struct answer answers[] = {
		{1, "Received HTTP/0.9 when not allowed", PM_EBADRESPONSE},
		{16, "nghttp2 says no", PM_EBADRESPONSE},
		{1, "Unsupported HTTP version in response", PM_EBADRESPONSE},
		{43, "Failed reading the chunked-encoded stream", PM_EBADRESPONSE},
		{1, "Unsupported response code in HTTP response", PM_EBADRESPONSE},
		{28, "Operation timed out after 300 milliseconds", PM_ETIMEDOUT},
		{28, "Operation too slow. Less than 100 bytes/sec", PM_ESTALLED},
		{35, "OpenSSL SSL_connect: Connection reset by peer in connection to h",
			PM_ERESET},
		{35, "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to h:1",
			PM_ERESET},
		{35, "error:0A000126:SSL routines::unexpected eof while reading",
			PM_ERESET},
		{35, "error:0A00010B:SSL routines::wrong version number", PM_ETLS},
		{60, "SSL certificate problem: reset by peer", PM_ETLS},
		{56, "Connection died, tried 5 times before giving up", PM_ERESET},
		{56, "Recv failure: Connection reset by peer", PM_ERESET},
		{56, "OpenSSL SSL_read: Connection reset by peer, errno 104",
			PM_ERESET},
		{56,
			"OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof "
			"while reading, errno 0",
			PM_ERESET},
		{56, "OpenSSL SSL_read: error:0A000119:SSL routines::bad record mac",
			PM_ETLS},
		{56, "Illegal or missing hexadecimal sequence in chunked-encoding",
			PM_EBADRESPONSE},
		{56, "CONNECT tunnel failed, response 403", PM_ECONNECT},
		{56, "Proxy CONNECT aborted", PM_ECONNECT},
		{97, "Can't complete SOCKS5 connection to x. (5)", PM_ECONNECT},
		{97, "Failed to resolve \"x\" for SOCKS5 connect.", PM_EDNS},
		{56, "Too large response headers: 307210 > 307200", PM_EHEADERSIZE},
		{56, "Out of memory in chunked-encoding", PM_EHEADERSIZE},
		{56,
			"h2_process_pending_input: nghttp2_session_mem_recv() returned "
			"-902:The user callback function failed",
			PM_EHEADERSIZE},
	};
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		expect_class(&answers[i]);
	}
}

Test(engine_errors, large_heads_are_said_to_be_that, .timeout = 10)
{
	struct engine_evidence e = {.code = 56,
		.message = "h2_process_pending_input: nghttp2_session_mem_recv() "
			   "returned -902:The user callback function failed"};
	struct pm_failure f;
	engine_classify(&e, &f);
	cr_assert_str_eq(f.message, "a response header is too large");
}

Test(engine_errors, words_of_a_connection_before_tell_nothing, .timeout = 10)
{
	struct engine_evidence e = {
		.code = 1, .message = "Send failure: Broken pipe", .status = 0};
	struct pm_failure f;
	engine_classify(&e, &f);
	cr_assert_eq(f.error, PM_EBADRESPONSE);
	cr_assert_null(strstr(f.message, "Broken pipe"));
	e.status = 302;
	engine_classify(&e, &f);
	cr_assert_eq(f.error, PM_ESCHEME);
	e = (struct engine_evidence){
		.code = 27, .message = "Recv failure: x", .answered = true};
	engine_classify(&e, &f);
	cr_assert_str_eq(f.message, "a response header is too large");
	e.code = 43;
	engine_classify(&e, &f);
	cr_assert_eq(f.error, PM_EBADRESPONSE);
	e.code = 56;
	engine_classify(&e, &f);
	cr_assert_eq(f.error, PM_ERESET);
}

Test(engine_errors, no_memory_is_a_large_header_once_an_answer_came, .timeout = 10)
{
	struct engine_evidence e = {.code = 27, .message = ""};
	struct pm_failure f;
	engine_classify(&e, &f);
	cr_assert_eq(f.error, PM_ENOMEM);
	e.answered = true;
	engine_classify(&e, &f);
	cr_assert_eq(f.error, PM_EHEADERSIZE);
	cr_assert_str_eq(f.message, "a response header is too large");
}

Test(engine_errors, an_end_behind_an_interim_head_is_too_early, .timeout = 10)
{
	struct engine_evidence e = {
		.code = 52, .message = "Empty reply from server", .has_head = true};
	struct pm_failure f;
	engine_classify(&e, &f);
	cr_assert_eq(f.error, PM_ETRUNCATED);
}

Test(engine_errors, a_stop_of_ours_wins_over_the_code, .timeout = 10)
{
	struct pm_failure f;
	engine_classify(&(struct engine_evidence){.code = 23,
				.message = "Failed writing body",
				.stopped = PM_EBODYSIZE},
		&f);
	cr_assert_eq(f.error, PM_EBODYSIZE);
	cr_assert_eq(f.code, 23);
	cr_assert_str_eq(f.message, "the body is larger than max_body");
}

Test(engine_errors, a_missing_socket_names_the_reason, .timeout = 10)
{
	struct pm_failure f;
	engine_classify(&(struct engine_evidence){.code = 7,
				.message = "Couldn't connect to server",
				.socket_errno = 24},
		&f);
	cr_assert_eq(f.error, PM_ECONNECT);
	cr_assert(strstr(f.message, "Too many open files"), "%s", f.message);
}

Test(engine_errors, a_stop_of_the_tasks_own_is_no_matter_of_curl, .timeout = 10)
{
	struct pm_failure f;
	engine_classify(&(struct engine_evidence){.code = 23,
				.message = "Failed writing body",
				.stopped = PM_EBODYSIZE,
				.stopped_by_reader = true},
		&f);
	cr_assert_eq(f.error, PM_EBODYSIZE);
	cr_assert_eq(f.domain, PM_DOMAIN_NONE);
	cr_assert_eq(f.code, 0);
	cr_assert(strstr(f.message, "on_body"), "%s", f.message);
}
