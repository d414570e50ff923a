/* SPDX-License-Identifier: MIT
 *
 * What a request must be like before the engine takes it: no network.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine_check.h"
#include "worker/engine_hop.h"

static int check(const struct pm_request *r, struct pm_failure *f)
{
	struct request_facts facts;
	*f = (struct pm_failure){0};
	int err = request_check(r, &facts, f);
	cr_assert_eq(err, f->error, "%d and %d", err, f->error);
	cr_assert(!err || f->message[0], "no message for %d", err);
	return err;
}

struct url_case {
	const char *url;
	int error;
};

Test(engine_check, urls_are_taken_or_refused_with_one_class, .timeout = 10)
{
	static const struct url_case cases[] = {
		{"http://a", 0},
		{"HTTP://a/", 0},
		{"hTTpS://a:443/x?y#z", 0},
		{"http://user:pass@a:8080/", 0},
		{"http://[::1]:80/", 0},
		{"http://[::1]", 0},
		{"http://a:/", 0},
		{"http://a:65535/", 0},
		{"http://a?x", 0},
		{"http://xn--bcher-kva.example/\xc3\xbc", 0},
		{NULL, PM_EBADURL},
		{"", PM_EBADURL},
		{"a/b", PM_EBADURL},
		{"//a/b", PM_EBADURL},
		{"/a:b", PM_EBADURL},
		{"http:", PM_EBADURL},
		{"http:/a", PM_EBADURL},
		{"http://", PM_EBADURL},
		{"http:///x", PM_EBADURL},
		{"http://?x", PM_EBADURL},
		{"http://:80/", PM_EBADURL},
		{"http://user@/", PM_EBADURL},
		{"http://user@:80/", PM_EBADURL},
		{"http://a:65536/", PM_EBADURL},
		{"http://a:99999999999999999999999/", PM_EBADURL},
		{"http://a:8x/", PM_EBADURL},
		{"http://a:-1/", PM_EBADURL},
		{"http://[::1/", PM_EBADURL},
		{"http://[::1]x/", PM_EBADURL},
		{"http://a/b c", PM_EBADURL},
		{"http://a/\r\nX: y", PM_EBADURL},
		{"http://a/\t", PM_EBADURL},
		{"http://a/\x7f", PM_EBADURL},
		{"http://a/\x01", PM_EBADURL},
		{" http://a/", PM_EBADURL},
		{"file:///etc/passwd", PM_ESCHEME},
		{"ftp://a/", PM_ESCHEME},
		{"javascript:alert(1)", PM_ESCHEME},
		{"httpx://a/", PM_ESCHEME},
		{"https+x://a/", PM_ESCHEME},
	};
	struct pm_failure f;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err = check(&(struct pm_request){.url = cases[i].url}, &f);
		cr_assert_eq(err, cases[i].error, "'%s': got %d, want %d",
			cases[i].url ? cases[i].url : "NULL", err, cases[i].error);
	}
}

Test(engine_check, a_url_may_have_65536_bytes_and_no_more, .timeout = 10)
{
	struct pm_failure f;
	char *url = malloc(REQUEST_URL_MAX + 2);
	cr_assert_not_null(url);
	memset(url, 'x', REQUEST_URL_MAX + 1);
	memcpy(url, "http://a/", 9);
	url[REQUEST_URL_MAX] = '\0';
	cr_assert_eq(check(&(struct pm_request){.url = url}, &f), 0, "%s", f.message);
	url[REQUEST_URL_MAX] = 'x';
	url[REQUEST_URL_MAX + 1] = '\0';
	cr_assert_eq(check(&(struct pm_request){.url = url}, &f), PM_EBADURL);
	free(url);
}

static uint32_t hash_of(const char *url)
{
	struct request_facts facts = {0};
	struct pm_failure f;
	cr_assert_eq(request_check(&(struct pm_request){.url = url}, &facts, &f), 0,
		"'%s'", url);
	return facts.host_hash;
}

Test(engine_check, a_host_hashes_alike_whatever_surrounds_it, .timeout = 10)
{
	uint32_t a = hash_of("http://example.com/");
	cr_assert_eq(hash_of("https://EXAMPLE.com:444/x"), a);
	cr_assert_eq(hash_of("http://u:p@example.COM?x"), a);
	cr_assert_neq(hash_of("http://example.org/"), a);
}

Test(engine_check, methods_are_tokens_of_at_most_32_bytes, .timeout = 10)
{
	static const char *const bad[] = {"", "GE T", "GET\r\n", "G\xc3\x84T", "A:B",
		"CONNECT", "ABCDEFGHIJABCDEFGHIJABCDEFGHIJABC"};
	static const char *const good[] = {
		"GET", "PROPFIND", "x-y", "ABCDEFGHIJABCDEFGHIJABCDEFGHIJAB"};
	struct pm_request r = {.url = "http://a/"};
	struct pm_failure f;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r.method = bad[i];
		cr_assert_eq(check(&r, &f), PM_EINVAL, "'%s'", bad[i]);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		r.method = good[i];
		cr_assert_eq(check(&r, &f), 0, "'%s': %s", good[i], f.message);
	}
}

Test(engine_check, a_head_request_has_no_body, .timeout = 10)
{
	struct pm_request r = {
		.url = "http://a/", .method = "HEAD", .body = "x", .body_len = 1};
	struct pm_failure f;
	cr_assert_eq(check(&r, &f), PM_EINVAL);
}

Test(engine_check, a_body_that_is_missing_is_refused, .timeout = 10)
{
	struct pm_request r = {.url = "http://a/", .body_len = 1};
	struct pm_failure f;
	cr_assert_eq(check(&r, &f), PM_EINVAL);
}

static int check_one_header(const char *name, const char *value, struct pm_failure *f)
{
	struct pm_header h = {name, value};
	struct pm_request r = {.url = "http://a/", .headers = &h, .header_ct = 1};
	return check(&r, f);
}

Test(engine_check, headers_that_http_does_not_allow_are_named, .timeout = 10)
{
	static const struct pm_header bad[] = {{"", "x"}, {"A B", "x"}, {"A:", "x"},
		{"A\r\nB", "x"}, {"A", "x\r\nB: y"}, {"A", "x\ny"}, {"A", "\x01"},
		{"A", "\x7f"}, {"\xc3\xa4", "x"}, {"Content-Length", "1"},
		{"content-length", "1"}, {"TRANSFER-ENCODING", "chunked"}, {NULL, "x"},
		{"A", NULL}};
	struct pm_failure f;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(check_one_header(bad[i].name, bad[i].value, &f), PM_EINVAL,
			"header %zu", i);
	}
	cr_assert_eq(check_one_header("X-Bad", "a\rb", &f), PM_EINVAL);
	cr_assert(strstr(f.message, "'X-Bad'"), "%s", f.message);
	cr_assert_eq(check_one_header("X\nY", "", &f), PM_EINVAL);
	cr_assert_null(strchr(f.message, '\n'), "%s", f.message);
}

Test(engine_check, headers_that_http_allows_pass, .timeout = 10)
{
	static const struct pm_header good[] = {{"A", ""}, {"A", "\t"}, {"A", "x\ty"},
		{"A", "caf\xe9"}, {"!#$%&'*+-.^_`|~", "x"}};
	struct pm_failure f;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert_eq(check_one_header(good[i].name, good[i].value, &f), 0,
			"header %zu: %s", i, f.message);
	}
}

Test(engine_check, headers_are_bounded_in_number_and_bytes, .timeout = 10)
{
	static struct pm_header many[REQUEST_HEADERS_MAX + 1];
	struct pm_request r = {.url = "http://a/", .headers = many};
	struct pm_failure f;
	for (size_t i = 0; i <= REQUEST_HEADERS_MAX; i++) {
		many[i] = (struct pm_header){"a", "b"};
	}
	r.header_ct = REQUEST_HEADERS_MAX;
	cr_assert_eq(check(&r, &f), 0, "%s", f.message);
	r.header_ct++;
	cr_assert_eq(check(&r, &f), PM_EINVAL);

	char *value = malloc(REQUEST_HEADER_BYTES_MAX + 1);
	cr_assert_not_null(value);
	memset(value, 'x', REQUEST_HEADER_BYTES_MAX);
	value[REQUEST_HEADER_BYTES_MAX] = '\0';
	cr_assert_eq(check_one_header("a", value + 1, &f), 0, "%s", f.message);
	cr_assert_eq(check_one_header("a", value, &f), PM_EINVAL);
	free(value);
}

Test(engine_check, headers_are_found_whatever_their_case, .timeout = 10)
{
	struct pm_header h = {"EXPECT", "x"};
	struct pm_request r = {.url = "http://a/", .headers = &h, .header_ct = 1};
	cr_assert(headers_have(r.headers, r.header_ct, "Expect"));
	cr_assert_not(headers_have(r.headers, r.header_ct, "Expec"));
}

Test(engine_check, the_method_follows_from_the_body, .timeout = 10)
{
	cr_assert_str_eq(request_method(&(struct pm_request){0}), "GET");
	cr_assert_str_eq(request_method(&(struct pm_request){.body = ""}), "POST");
	cr_assert_str_eq(request_method(&(struct pm_request){.method = "PUT"}), "PUT");
}

/* ------------------------------------------------------ credentials and proxies */

Test(engine_check, credentials_that_cannot_be_sent_are_refused, .timeout = 10)
{
	static char long_text[REQUEST_CREDENTIAL_MAX + 2];
	static const struct pm_request bad[] = {{.user = "a:b"}, {.user = ":"},
		{.user = "a\r\nX: y"}, {.user = "a\x7f"},
		{.user = "a", .password = "secret\n"}, {.password = "secret"},
		{.user = long_text}, {.user = "a", .password = long_text}};
	static const struct pm_request good[] = {{.user = "a"}, {.user = ""},
		{.user = "a", .password = "b:c"}, {.user = "\xc3\xbc b"},
		{.user = long_text + 1, .password = long_text + 1}};
	struct pm_failure f;
	memset(long_text, 'x', REQUEST_CREDENTIAL_MAX + 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pm_request r = bad[i];
		r.url = "http://a/";
		cr_assert_eq(check(&r, &f), PM_EINVAL, "case %zu", i);
		cr_assert_null(strstr(f.message, "secret"), "%s", f.message);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct pm_request r = good[i];
		r.url = "http://a/";
		cr_assert_eq(check(&r, &f), 0, "case %zu: %s", i, f.message);
	}
}

Test(engine_check, proxies_are_urls_of_three_schemes, .timeout = 10)
{
	static const char *const bad[] = {"", "h:1", "//h:1", "http:h", "http:/h:1",
		"http://", "https://me:secret@h:1", "socks4://h:1", "socks4a://h:1",
		"socks://h:1", "ftp://h", "http://me:secret@", "http://h:x",
		"http://h:65536", "http://h:1/path", "socks5://localhost/tmp/secret",
		"http://h:1?q", "http://h:1#f", "http://h h:1", "http://h\r\nX: y",
		"http://me:secret@[::1:1", "http://:1", "http5://h", "socks5hh://h",
		"ENV", "env:1", "envy"};
	static const char *const good[] = {"http://h", "HTTP://h:1/", "socks5://h:1080",
		"socks5h://me:p%40ss@h:1080", "http://[::1]:3128", "http://1.2.3.4:1",
		"env"};
	struct pm_failure f;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pm_request r = {.url = "http://a/", .proxy = bad[i]};
		cr_assert_eq(check(&r, &f), PM_EINVAL, "'%s'", bad[i]);
		cr_assert_null(strstr(f.message, "secret"), "%s", f.message);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct pm_request r = {.url = "http://a/", .proxy = good[i]};
		cr_assert_eq(check(&r, &f), 0, "'%s': %s", good[i], f.message);
	}
}

Test(engine_check, a_key_needs_its_certificate, .timeout = 10)
{
	struct pm_failure f;
	struct pm_request r = {.url = "https://a/", .key = "k.pem"};
	cr_assert_eq(check(&r, &f), PM_EINVAL);
	cr_assert(strstr(f.message, "certificate"), "%s", f.message);
	r.cert = "c.pem";
	cr_assert_eq(check(&r, &f), 0);
	r.key = NULL;
	cr_assert_eq(check(&r, &f), 0);
}

Test(engine_check, a_local_address_is_an_address_or_an_interface, .timeout = 10)
{
	static const char *const bad[] = {"", "[::1]", "fe80::1%lo", "1.2.3.4:5", "a b",
		"../x", ".", "..", "a\n", "\xc3\xbc", "0123456789abcdef",
		"host!1.2.3.4:"};
	static const char *const good[] = {
		"127.0.0.2", "::1", "lo", "eth0.100", "0123456789abcde", "2001:db8::1"};
	struct pm_failure f;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pm_request r = {.url = "http://a/", .local_address = bad[i]};
		cr_assert_eq(check(&r, &f), PM_EINVAL, "'%s'", bad[i]);
		cr_assert(strstr(f.message, "local_address"), "%s", f.message);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct pm_request r = {.url = "http://a/", .local_address = good[i]};
		cr_assert_eq(check(&r, &f), 0, "'%s': %s", good[i], f.message);
	}
}

/* ------------------------------------------------------------- hosts for libcurl */

/* Where the check says so itself, it says what libcurl's parser would. */
static bool takes_host_from_url(const char *url)
{
	char host[ROUTE_HOST_MAX + 1];
	uint16_t port = 0;
	struct request_facts facts;
	struct pm_failure f;
	CURLU *parser = curl_url();
	cr_assert_eq(request_check(&(struct pm_request){.url = url}, &facts, &f), 0,
		"'%s'", url);
	int err = hop_parse(parser, url, host, &port);
	if (facts.host) {
		cr_assert_eq(err, 0, "'%s'", url);
		cr_assert_eq(facts.port, port, "'%s': port %u", url, facts.port);
		cr_assert_eq(strlen(host), facts.host_len, "'%s': %s", url, host);
		cr_assert_arr_eq(facts.host, host, facts.host_len, "'%s'", url);
	}
	curl_url_cleanup(parser);
	return facts.host != NULL;
}

Test(engine_check, a_plain_host_is_the_one_that_libcurl_reads, .timeout = 10)
{
	static const char *const plain[] = {"http://a", "http://Example.COM/",
		"https://a.example", "HTTPS://a_b-c.d?x@y:9", "http://a.#x",
		"http://a:/", "https://a:/", "http://a:0/", "http://a:0080/@b",
		"https://a:65535?", "http://127.0.0.1:8080/x", "http://0.0.0.0",
		"http://xn--bcher-kva.example/\xc3\xbc", "http://a..b/", "http://e1/",
		"http://localhost/%00"};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		cr_assert(takes_host_from_url(plain[i]), "'%s'", plain[i]);
	}
}

Test(engine_check, other_hosts_are_left_to_libcurl, .timeout = 10)
{
	static const char *const others[] = {"http://u@a/", "http://u:p@a:1/",
		"http://@a/", "http://[::1]/", "http://[fe80::1%25lo]/",
		"http://127.1/", "http://0x7f.1/", "http://2130706433/",
		"http://127.0.0.01/", "http://127.0.0.1./", "http://256.0.0.1/",
		"http://1a/", "http://%61/",
		"http://b\xc3\xbc"
		"cher/",
		"http://a\\b/", "http://-a/", "http://.a/", "http://a;b/",
		"http://a,b/"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		cr_assert_not(takes_host_from_url(others[i]), "'%s'", others[i]);
	}
}

/* Any byte in any place of a host. */
Test(engine_check, no_byte_of_a_host_is_read_otherwise, .timeout = 10)
{
	static const char *const hosts[] = {"?", "?a", "a?", "a?b", "1?", "?.0.0.1",
		"1?7.0.0.1", "127.0.0?1", "127.0.0.1?", "a:?", "a:1?", "0?1", "a.?"};
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		for (int c = 1; c < 256; c++) {
			char url[64];
			uint32_t hash;
			struct pm_failure f;
			snprintf(url, sizeof(url), "http://%s/x", hosts[i]);
			*strchr(url, '?') = (char)c;
			if (!url_check(url, &hash, &f)) {
				(void)takes_host_from_url(url);
			}
		}
	}
}
