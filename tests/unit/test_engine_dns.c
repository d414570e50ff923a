/* SPDX-License-Identifier: MIT
 *
 * Where the engine connects to: look-ups by its own resolver, redirects to other hosts,
 * given addresses, and private ones that are denied.
 *
 * getaddrinfo() and connect() are ours: libcurl may never call the one, and the other
 * tells whom it connects to, and keeps the rest of the world out.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <netdb.h>

#include "tests/support/dns.h"
#include "tests/unit/engine_rig.h"

static unsigned getaddrinfo_calls, connect_calls, outside_calls;
static char last_outside[ADDRESS_TEXT_MAX];
static bool outside_is_here; /* the server stands for the public Internet */
static const char *dead_end; /* an address that takes no connection */

#define OURS __attribute__((visibility("default")))

OURS int getaddrinfo(const char *node, const char *service,
	const struct addrinfo *hints, struct addrinfo **out)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)out;
	getaddrinfo_calls++;
	return EAI_FAIL;
}

static bool is_loopback(const struct address *a)
{
	return (a->family == AF_INET && a->bytes[0] == 127) ||
	       (a->family == AF_INET6 && address_is_private(a));
}

/* Datagrams are those of DNS. */
OURS int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	struct address a;
	char text[ADDRESS_TEXT_MAX];
	int type = 0;
	socklen_t size = sizeof(type);
	int (*real)(int, const struct sockaddr *, socklen_t) =
		(int (*)(int, const struct sockaddr *, socklen_t))(uintptr_t)dlsym(
			RTLD_NEXT, "connect");
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	if (type != SOCK_STREAM || !address_of_sockaddr(&a, to)) {
		return real(fd, to, len);
	}
	connect_calls++;
	address_text(&a, text);
	if (dead_end && strcmp(text, dead_end) == 0) {
		errno = ECONNREFUSED;
		return -1;
	}
	if (!is_loopback(&a)) {
		outside_calls++;
		if (outside_is_here) {
			struct sockaddr_in here = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)server.port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
			return real(fd, (struct sockaddr *)&here, sizeof(here));
		}
		memcpy(last_outside, text, sizeof(text));
		errno = ENETUNREACH;
		return -1;
	}
	return real(fd, to, len);
}

static struct dns *dns;

static void dns_set_up(void)
{
	set_up();
	dns = dns_start();
	cr_assert_eq(resolver_use_servers(dns_servers(dns)), 0);
	open_engine(1);
}

static void dns_tear_down(void)
{
	tear_down();
	resolver_use_servers(NULL);
	dns_stop(dns);
	cr_assert_eq(getaddrinfo_calls, 0);
}

TestSuite(engine_dns, .init = dns_set_up, .fini = dns_tear_down, .timeout = 60);

static const char *at(const char *host, const char *path)
{
	static char url[512];
	snprintf(url, sizeof(url), "http://%s:%u%s", host, server.port, path);
	return url;
}

/* ---------------------------------------------------------------------- look-ups */

Test(engine_dns, a_name_is_looked_up_and_kept_in_the_request, .timeout = 60)
{
	struct outcome o;
	const struct pm_response *r =
		fetch_ok(&o, NO_REQUEST, at("a-127-0-0-1.test", "/ok"));
	char host[64];
	snprintf(host, sizeof(host), "Host: a-127-0-0-1.test:%u\r\n", server.port);
	expect_seen(host);
	cr_assert_str_eq(r->remote_ip, "127.0.0.1");
	cr_assert_str_eq(r->url_effective, at("a-127-0-0-1.test", "/ok"));
	cr_assert_gt(r->time_namelookup_us, 0);
	cr_assert_leq(r->time_namelookup_us, r->time_connect_us);
	cr_assert_leq(r->time_starttransfer_us, r->time_total_us);
	forget(&o);
	for (int i = 0; i < 5; i++) {
		fetch_and_forget(NO_REQUEST, at("A-127-0-0-1.Test", "/ok"));
	}
	cr_assert_eq(server.connections, 1);
	cr_assert_eq(dns_repeat_ct(dns), 0);
}

Test(engine_dns, the_time_of_a_look_up_is_in_the_times_of_the_response, .timeout = 60)
{
	struct outcome o = {.stop_loop = true};
	start(&o, NO_REQUEST, at("slow.test", "/ok"));
	while (!dns_held_ct(dns)) {
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	struct timeval tv = {.tv_usec = 50000};
	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
	cr_assert_eq(o.calls, 0);
	dns_release(dns);
	event_base_dispatch(base);
	cr_assert_eq(o.calls, 1);
	const struct pm_response *r = o.result.response;
	cr_assert_eq(r->status, 200);
	cr_assert_geq(r->time_namelookup_us, 50000);
	cr_assert_leq(r->time_namelookup_us, r->time_connect_us);
	cr_assert_leq(r->time_connect_us, r->time_starttransfer_us);
	cr_assert_leq(r->time_starttransfer_us, r->time_total_us);
	forget(&o);
}

static void expect_dns(const char *host, int error, int domain, int code)
{
	struct outcome o;
	const char *url = at(host, "/ok");
	fetch(&o, REQUEST(.timeout_ms = 20000), url);
	const struct pm_failure *f = &o.result.failure;
	cr_assert_eq(f->error, error, "%s: %d %s", host, f->error, f->message);
	cr_assert_eq(f->domain, domain, "%s: %s", host, f->message);
	cr_assert_eq(f->code, code, "%s: %d %s", host, f->code, f->message);
	cr_assert_not_null(strstr(f->message, host), "%s", f->message);
	cr_assert_null(strstr(f->message, ".localhost"), "%s", f->message);
	cr_assert_str_eq(o.result.response->url_effective, url);
	cr_assert_eq(o.result.response->status, 0);
	forget(&o);
}

Test(engine_dns, what_is_not_found_and_what_may_be_later, .timeout = 60)
{
	expect_dns("none.test", PM_EDNS, PM_DOMAIN_CURL, CURLE_COULDNT_RESOLVE_HOST);
	expect_dns("empty.test", PM_EDNS, PM_DOMAIN_CURL, CURLE_COULDNT_RESOLVE_HOST);
	expect_dns("none.test", PM_EDNS, PM_DOMAIN_CURL, CURLE_COULDNT_RESOLVE_HOST);
	expect_dns("fail.test", PM_EDNS, PM_DOMAIN_ERRNO, EAGAIN);
	cr_assert_eq(connect_calls, 0, "%u", connect_calls);
	fetch_and_forget(NO_REQUEST,
		at("a-127-0-0-1.h0.test", "/ok") /* nothing stays behind */);
}

Test(engine_dns, a_refused_connection_is_told_with_the_real_name, .timeout = 60)
{
	struct outcome o;
	fetch(&o, NO_REQUEST, "http://a-127-0-0-1.test:1/");
	cr_assert_eq(o.result.failure.error, PM_ECONNECT);
	cr_assert_not_null(strstr(o.result.failure.message, "a-127-0-0-1.test port 1"),
		"%s", o.result.failure.message);
	forget(&o);
}

Test(engine_dns, a_silent_server_costs_the_time_of_a_connection, .timeout = 60)
{
	struct outcome o;
	fetch(&o, REQUEST(.connect_timeout_ms = 300), at("silent.test", "/ok"));
	cr_assert_eq(o.result.failure.error, PM_ETIMEDOUT);
	cr_assert_eq(o.result.failure.code, CURLE_OPERATION_TIMEDOUT);
	cr_assert_str_eq(o.result.failure.message,
		"Resolving host silent.test timed out after 300 milliseconds");
	cr_assert_geq(o.result.response->time_total_us, 290000);
	cr_assert_leq(o.result.response->time_total_us, 5000000);
	forget(&o);
	fetch(&o, REQUEST(.timeout_ms = 200), at("silent.test", "/ok"));
	cr_assert_eq(o.result.failure.error, PM_ETIMEDOUT);
	cr_assert_str_eq(o.result.failure.message,
		"Resolving host silent.test timed out after 200 milliseconds");
	forget(&o);
}

Test(engine_dns, what_is_left_of_the_time_is_for_the_rest, .timeout = 60)
{
	struct outcome o = {.stop_loop = true};
	start(&o, REQUEST(.timeout_ms = 400), at("slow.test", "/hang"));
	struct timeval tv = {.tv_usec = 200000};
	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
	dns_release(dns);
	event_base_dispatch(base);
	cr_assert_eq(o.result.failure.error, PM_ETIMEDOUT);
	cr_assert_leq(o.result.response->time_total_us, 590000, "%" PRIu64,
		o.result.response->time_total_us);
	forget(&o);
	fetch_and_forget(NO_REQUEST, "/later"); /* not with that time */
}

Test(engine_dns, cancelled_while_it_is_looked_up, .timeout = 60)
{
	struct outcome o = {0};
	start(&o, NO_REQUEST, at("silent.test", "/ok"));
	event_base_loop(base, EVLOOP_NONBLOCK);
	engine_cancel(o.transfer);
	fetch_and_forget(NO_REQUEST, at("a-127-0-0-1.h0.test", "/ok"));
	cr_assert_eq(o.calls, 0);
}

Test(engine_dns, closed_while_something_is_looked_up, .timeout = 60)
{
	struct outcome o = {0};
	start(&o, NO_REQUEST, at("silent.test", "/ok"));
	event_base_loop(base, EVLOOP_NONBLOCK);
	engine_close(engine);
	engine = NULL;
	cr_assert_eq(o.calls, 0);
}

Test(engine_dns, every_address_of_a_host_is_tried, .timeout = 60)
{
	dead_end = "127.0.0.9";
	fetch_and_forget(NO_REQUEST,
		at("a-127-0-0-9-127-0-0-9-127-0-0-9-127-0-0-1.test", "/ok"));
	cr_assert_eq(connect_calls, 4, "%u", connect_calls);
	expect_error(NO_REQUEST, at("a-127-0-0-9-127-0-0-9-127-0-0-9.test", "/ok"),
		PM_ECONNECT);
	cr_assert_eq(connect_calls, 7, "%u", connect_calls);
}

/* The port takes connections on 127.0.0.1 only. */
Test(engine_dns, a_body_is_sent_once_whichever_address_takes_it, .timeout = 60)
{
	fetch_and_forget(REQUEST(.body = "abc", .body_len = 3),
		at("a-127-0-0-9-127-0-0-8-127-0-0-1.test", "/ok"));
	expect_seen("\r\n\r\nabc");
	cr_assert_eq(server.seen_ct, 1);
	cr_assert_eq(connect_calls, 3, "%u", connect_calls);
}

Test(engine_dns, the_address_that_failed_is_not_the_first_again, .timeout = 60)
{
	dead_end = "127.0.0.9";
	expect_error(NO_REQUEST, "http://a-127-0-0-9-127-0-0-8.test:1/", PM_ECONNECT);
	connect_calls = 0;
	dead_end = "127.0.0.8";
	expect_error(NO_REQUEST, "http://a-127-0-0-9-127-0-0-8.test:1/", PM_ECONNECT);
	cr_assert_eq(connect_calls, 2, "%u", connect_calls);
}

/* That it cannot be reached from there says nothing of it. */
Test(engine_dns, one_of_another_family_has_not_failed, .timeout = 60)
{
	const char *url = at("a-127-0-0-1-127-0-0-9.test", "/ok");
	expect_error(REQUEST(.local_address = "::1"), url, PM_ECONNECT);
	cr_assert_eq(connect_calls, 0, "%u", connect_calls);
	fetch_and_forget(NO_REQUEST, url);
	cr_assert_eq(connect_calls, 1, "%u", connect_calls);
}

Test(engine_dns, names_with_other_letters_are_asked_for_in_ascii, .timeout = 60)
{
	expect_dns("none.test", PM_EDNS, PM_DOMAIN_CURL, CURLE_COULDNT_RESOLVE_HOST);
	cr_assert_not_null(setlocale(LC_ALL, "C.UTF-8"));
	static const char *const entry[] = {"xn--mnchen-3ya.test:80:127.0.0.9"};
	struct outcome o;
	fetch(&o, REQUEST(.resolve = entry, .resolve_ct = 1),
		"http://m\xc3\xbcnchen.test/");
	cr_assert_eq(
		o.result.failure.error, PM_ECONNECT, "%s", o.result.failure.message);
	forget(&o);
}

/* ----------------------------------------------------------------- given addresses */

Test(engine_dns, given_addresses_go_before_dns, .timeout = 60)
{
	char entry[64], any[64];
	snprintf(entry, sizeof(entry), "none.test:%u:127.0.0.9,127.0.0.1", server.port);
	snprintf(any, sizeof(any), "*:%u:127.0.0.1", server.port);
	const char *const first[] = {"none.test:1:127.0.0.9", entry};
	const char *const second[] = {any};
	fetch_and_forget(
		REQUEST(.resolve = first, .resolve_ct = 2), at("none.test", "/ok"));
	fetch_and_forget(REQUEST(.resolve = second, .resolve_ct = 1),
		at("whatever.test", "/ok"));
	cr_assert_eq(dns_query_ct(dns), 0);
	lead_there(302, "another.test", server.port);
	fetch_and_forget(REQUEST(.resolve = second, .resolve_ct = 1),
		at("whatever.test", "/to-there"));
	cr_assert_eq(dns_query_ct(dns), 0);
}

Test(engine_dns, what_is_no_entry_is_refused, .timeout = 60)
{
	const char *const bad[] = {"h:80"};
	struct pm_request r = {.url = "http://h/", .resolve = bad, .resolve_ct = 1};
	struct pm_failure f;
	struct transfer *t;
	cr_assert_eq(engine_start(engine, &r, on_done, NULL, &t, &f), PM_EINVAL);
	r.resolve = NULL;
	cr_assert_eq(engine_start(engine, &r, on_done, NULL, &t, &f), PM_EINVAL);
}

/* -------------------------------------------------------------------- redirects */

Test(engine_dns, a_redirect_to_another_name_is_looked_up, .timeout = 60)
{
	struct outcome o;
	lead_there(302, "a-127-0-0-1.other.test", server.port);
	const struct pm_response *r =
		fetch_ok(&o, NO_REQUEST, at("a-127-0-0-1.test", "/to-there"));
	cr_assert_eq(r->redirect_ct, 1);
	cr_assert_str_eq(r->url_effective, at("a-127-0-0-1.other.test", "/ok"));
	cr_assert_eq(r->body_len, 5);
	expect_seen("Host: a-127-0-0-1.other.test");
	forget(&o);
	fetch_and_forget(
		REQUEST(.no_headers = true), at("a-127-0-0-1.test", "/to-there"));
	cr_assert_eq(dns_repeat_ct(dns), 0);
}

Test(engine_dns, redirects_to_names_with_a_body_and_another_method, .timeout = 60)
{
	lead_there(307, "slow.test", server.port);
	struct outcome o = {.stop_loop = true};
	start(&o, REQUEST(.method = "PUT", .body = "xyz", .body_len = 3),
		at("a-127-0-0-1.test", "/to-there"));
	while (!dns_held_ct(dns)) {
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	dns_release(dns);
	event_base_dispatch(base);
	cr_assert_eq(o.result.failure.error, 0, "%s", o.result.failure.message);
	expect_seen("PUT /ok");
	expect_seen("\r\n\r\nxyz");
	cr_assert_gt(o.result.response->time_namelookup_us, 0);
	forget(&o);
	lead_there(303, "a-127-0-0-1.h0.test", server.port);
	fetch_and_forget(REQUEST(.method = "PUT", .body = "xyz", .body_len = 3),
		at("a-127-0-0-1.test", "/to-there"));
	expect_seen("GET /ok");
}

Test(engine_dns, a_redirect_to_a_name_that_is_none, .timeout = 60)
{
	struct outcome o;
	lead_there(302, "none.test", server.port);
	fetch(&o, NO_REQUEST, "/to-there");
	cr_assert_eq(o.result.failure.error, PM_EDNS, "%s", o.result.failure.message);
	cr_assert_not_null(strstr(o.result.failure.message, "none.test"));
	forget(&o);
	fetch_and_forget(NO_REQUEST, "/ok");
}

Test(engine_dns, a_redirect_whose_look_up_takes_too_long, .timeout = 60)
{
	lead_there(302, "silent.test", server.port);
	expect_error(REQUEST(.connect_timeout_ms = 300), "/to-there", PM_ETIMEDOUT);
	expect_error(REQUEST(.timeout_ms = 300), "/to-there", PM_ETIMEDOUT);
	fetch_and_forget(NO_REQUEST, "/ok");
}

Test(engine_dns, cancelled_while_a_redirect_is_looked_up, .timeout = 60)
{
	struct outcome o = {0};
	lead_there(302, "slow.test", server.port);
	start(&o, NO_REQUEST, "/to-there");
	while (!dns_held_ct(dns)) {
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	engine_cancel(o.transfer);
	dns_release(dns);
	fetch_and_forget(NO_REQUEST, at("a-127-0-0-1.h0.test", "/ok"));
	cr_assert_eq(o.calls, 0);
}

Test(engine_dns, back_and_forth_between_names_addresses_and_zones, .timeout = 60)
{
	lead_there(302, "127.0.0.1", server.port);
	fetch_and_forget(NO_REQUEST, at("a-127-0-0-1.h0.test", "/to-there"));
	lead_there(302, "a-127-0-0-1.h0.test", server.port);
	fetch_and_forget(NO_REQUEST, "/to-there");
	lead_there(302, "[::1%25lo]", 1);
	expect_error(NO_REQUEST, at("a-127-0-0-1.h0.test", "/to-there"), PM_ECONNECT);
	fetch_and_forget(NO_REQUEST, at("a-127-0-0-1.h0.test", "/ok"));
	cr_assert_eq(server.connections, 2);
}

/* ------------------------------------------------------------------------ proxies */

static const char *proxy_url(const char *scheme, const char *host)
{
	static char url[128];
	snprintf(url, sizeof(url), "%s://%s:%u", scheme, host, server.port);
	return url;
}

Test(engine_dns, the_name_of_a_proxy_is_looked_up_that_of_the_host_is_not,
	.timeout = 60)
{
	const char *proxy = proxy_url("http", "a-127-0-0-1.test");
	fetch_and_forget(REQUEST(.proxy = proxy), "http://none.test/ok");
	cr_assert_eq(connect_calls, 1, "%u", connect_calls);
	expect_seen("http://none.test");
	unsigned queries = dns_query_ct(dns);
	fetch_and_forget(REQUEST(.proxy = proxy), "http://none-2.test/ok");
	cr_assert_eq(dns_query_ct(dns), queries);
	cr_assert_eq(server.connections, 1);
	expect_error(
		REQUEST(.proxy = "http://none.test:1"), "http://h0.test/ok", PM_EDNS);
}

Test(engine_dns, a_socks5_proxy_is_told_an_address, .timeout = 60)
{
	fetch_and_forget(REQUEST(.proxy = proxy_url("socks5", "a-127-0-0-1.test")),
		at("a-127-0-0-1.h0.test", "/ok"));
	cr_assert_str_eq(server.socks.host, "");
	cr_assert_eq(server.socks.requests, 1);
	fetch_and_forget(REQUEST(.proxy = proxy_url("socks5h", "127.0.0.1")),
		at("none.test", "/ok"));
	cr_assert_str_eq(server.socks.host, "none.test");
	expect_error(REQUEST(.proxy = proxy_url("socks5", "127.0.0.1")),
		at("none.test", "/ok"), PM_EDNS);
}

/* ------------------------------------------------------------- private addresses */

/* As the host of a URL; %u is the port. */
static const char *const private_hosts[] = {
	"127.0.0.1",
	"127.0.0.2",
	"127.255.255.254",
	"127.1",
	"127.0.1",
	"2130706433",
	"0x7f000001",
	"0x7f.0.0.1",
	"0x7f.1",
	"0X7F.0X0.0X0.0X1",
	"0177.0.0.1",
	"017700000001",
	"0177.0.0.0x1",
	"00000177.0.0.1",
	"127.0x0.00.1",
	"127.000.000.001",
	"127.0.0.1.",
	"%31%32%37.0.0.1",
	"%30x7f.1",
	"0",
	"0.0.0.0",
	"0x0",
	"00",
	"0.1",
	"10.0.0.1",
	"10.1",
	"012.0.0.1",
	"167772161",
	"172.16.0.1",
	"172.31.255.255",
	"0xac100001",
	"192.168.0.1",
	"192.168.1",
	"0300.0250.0.1",
	"3232235521",
	"169.254.169.254",
	"2852039166",
	"0xa9fea9fe",
	"0xa9.0xfe.0xa9.0xfe",
	"169.254.43518",
	"100.64.0.1",
	"198.18.0.1",
	"224.0.0.1",
	"240.0.0.1",
	"255.255.255.255",
	"4294967295",
	"[::1]",
	"[::]",
	"[0:0:0:0:0:0:0:1]",
	"[0000:0000:0000:0000:0000:0000:0000:0001]",
	"[::ffff:127.0.0.1]",
	"[::ffff:7f00:1]",
	"[0:0:0:0:0:ffff:127.0.0.1]",
	"[::FFFF:7F00:0001]",
	"[::127.0.0.1]",
	"[64:ff9b::127.0.0.1]",
	"[64:ff9b::7f00:1]",
	"[2002:7f00:1::]",
	"[2001:0:7f00:1::]",
	"[fe80::1]",
	"[fe80::1%25lo]",
	"[fc00::1]",
	"[fd12:3456::1]",
	"[ff02::1]",
	"localhost",
	"LOCALHOST",
	"localhost.",
	"x.localhost",
	"user@127.0.0.1",
	"1.1.1.1@127.0.0.1",
	"\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1", /* 127 in circles */
	"a-127-0-0-1.test",
	"a-10-0-0-1-192-168-0-1.test",
	"a-0-0-0-0.test",
	"six.test",
	"both.test",
	"mapped.test",
	"alias.test",
};

enum { PRIVATE_CT = sizeof(private_hosts) / sizeof(private_hosts[0]) };

static void expect_denied(struct pm_request r, const char *url)
{
	struct outcome o = {.stop_loop = true};
	struct pm_failure f;
	r.url = url;
	r.deny_private = true;
	r.timeout_ms = 20000;
	int err = engine_start(engine, &r, on_done, &o, &o.transfer, &f);
	if (!err) {
		event_base_dispatch(base);
		err = o.result.failure.error;
		f = o.result.failure;
	}
	/* Not every spelling is a host to libcurl. */
	bool fine = err == PM_EDENIED || err == PM_EBADURL ||
		    (err == PM_EDNS && !strstr(url, ".test"));
	cr_assert(fine, "%s: %d %s; %s", url, err, err ? f.message : "", there_reply);
	forget(&o);
}

Test(engine_dns, no_spelling_leads_to_a_private_address, .timeout = 60)
{
	cr_assert_geq((int)PRIVATE_CT, 60);
	for (int i = 0; i < PRIVATE_CT; i++) {
		expect_denied(NO_REQUEST, at(private_hosts[i], "/ok"));
	}
	cr_assert_eq(connect_calls, 0, "%u", connect_calls);
	cr_assert_eq(server.connections, 0);
}

/* Seen by the proxy, which is asked for the first host only. */
Test(engine_dns, no_redirect_leads_to_a_private_address, .timeout = 60)
{
	for (int i = 0; i < PRIVATE_CT; i++) {
		if (strstr(private_hosts[i], ".test")) {
			continue; /* the proxy looks these up */
		}
		lead_there(302, private_hosts[i], server.second_port);
		expect_denied(REQUEST(.proxy = proxy_url("http", "127.0.0.1")),
			"http://1.1.1.1/to-there");
		cr_assert(strstr(last_seen(), "/to-there"), "%s", private_hosts[i]);
		forget_seen();
	}
}

Test(engine_dns, no_redirect_from_outside_leads_in, .timeout = 60)
{
	outside_is_here = true;
	for (int i = 0; i < PRIVATE_CT; i++) {
		lead_there(302, private_hosts[i], server.second_port);
		expect_denied(NO_REQUEST, at("1.1.1.1", "/to-there"));
		cr_assert(strstr(last_seen(), "/to-there"), "%s", private_hosts[i]);
		forget_seen();
	}
	cr_assert_eq(connect_calls, outside_calls);
	lead_there(302, "a-1-1-1-1.test", server.port);
	fetch_and_forget(REQUEST(.deny_private = true), at("1.1.1.1", "/to-there"));
	expect_seen("Host: a-1-1-1-1.test");
}

Test(engine_dns, no_literal_goes_to_a_proxy, .timeout = 60)
{
	for (int i = 0; i < PRIVATE_CT; i++) {
		if (!strstr(private_hosts[i], ".test")) {
			expect_denied(REQUEST(.proxy = proxy_url("http", "127.0.0.1")),
				at(private_hosts[i], "/ok"));
			expect_denied(
				REQUEST(.proxy = proxy_url("socks5h", "127.0.0.1")),
				at(private_hosts[i], "/ok"));
		}
		expect_denied(REQUEST(.proxy = proxy_url("socks5", "127.0.0.1")),
			at(private_hosts[i], "/ok"));
	}
	cr_assert_eq(server.seen_ct, 0);
	cr_assert_eq(server.socks.requests, 0);
}

/* The public one first: a check of the first answer would let the second pass. */
Test(engine_dns, of_several_addresses_only_the_public_are_tried, .timeout = 60)
{
	expect_error(REQUEST(.deny_private = true),
		at("a-127-0-0-1-1-1-1-1-127-0-0-2.test", "/ok"), PM_ECONNECT);
	cr_assert_eq(connect_calls, 1, "%u", connect_calls);
	cr_assert_eq(outside_calls, 1);
	cr_assert_str_eq(last_outside, "1.1.1.1");
}

Test(engine_dns, given_addresses_are_denied_as_well, .timeout = 60)
{
	char entry[64];
	snprintf(entry, sizeof(entry), "public.test:%u:127.0.0.1", server.port);
	const char *const entries[] = {entry};
	expect_denied(
		REQUEST(.resolve = entries, .resolve_ct = 1), at("public.test", "/ok"));
	cr_assert_eq(connect_calls, 0, "%u", connect_calls);
}

/* Its first answer is public, the next one is not, nor is it connected to. */
Test(engine_dns, a_name_that_turns_private_is_denied, .timeout = 60)
{
	unsigned denied = 0;
	for (int i = 0; i < 8 || denied < 3; i++) {
		char host[64];
		struct outcome o;
		snprintf(host, sizeof(host), "turns-%d.ttl-0.test", i);
		fetch(&o, REQUEST(.deny_private = true), at(host, "/ok"));
		denied += o.result.failure.error == PM_EDENIED;
		cr_assert(o.result.failure.error == PM_EDENIED ||
				  o.result.failure.error == PM_ECONNECT,
			"%s", o.result.failure.message);
		forget(&o);
	}
	cr_assert_eq(server.connections, 0);
	cr_assert_eq(connect_calls, outside_calls, "%u", connect_calls);
}

/* What another request connected to without looking is not used. */
Test(engine_dns, a_kept_connection_is_no_way_round, .timeout = 60)
{
	fetch_and_forget(NO_REQUEST, at("a-127-0-0-1.test", "/ok"));
	fetch_and_forget(NO_REQUEST, "/ok");
	unsigned before = connect_calls;
	expect_denied(NO_REQUEST, at("a-127-0-0-1.test", "/ok"));
	expect_denied(NO_REQUEST, url_of("/ok"));
	cr_assert_eq(connect_calls, before, "%u", connect_calls);
	cr_assert_eq(server.seen_ct, 2);
	fetch_and_forget(NO_REQUEST, at("a-127-0-0-1.test", "/ok"));
	cr_assert_eq(connect_calls, before, "%u", connect_calls);
}
