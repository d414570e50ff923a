/* SPDX-License-Identifier: MIT
 *
 * Where the connections of the engine come from: addresses and interfaces of this
 * machine, and whose connection is whose.
 */
#include "tests/unit/engine_rig.h"

TestSuite(engine_local, .init = set_up, .fini = tear_down, .timeout = 60);

/* The server has seen so many connections now, and the last one came from there. */
static void check_from(
	struct pm_request r, const char *path, const char *peer, unsigned connections)
{
	fetch_and_forget(r, path);
	cr_assert_str_eq(server.peer, peer, "%s", path);
	cr_assert_eq(server.connections, connections, "%s from %s", path, peer);
}

Test(engine_local, is_the_address_that_a_request_says, .timeout = 60)
{
	open_engine(1);
	check_from(REQUEST(.local_address = "127.0.0.2"), "/ok", "127.0.0.2", 1);
	check_from(REQUEST(.local_address = "127.0.0.2"), "/ok", "127.0.0.2", 1);
	check_from(REQUEST(.local_address = "127.0.0.3"), "/ok", "127.0.0.3", 2);
	check_from(REQUEST(.local_address = "127.0.0.2"), "/ok", "127.0.0.3", 2);
}

/* libcurl would use any connection for it. */
Test(engine_local, is_not_for_requests_that_say_nothing, .timeout = 60)
{
	open_engine(1);
	check_from(REQUEST(.local_address = "127.0.0.2"), "/ok", "127.0.0.2", 1);
	check_from(NO_REQUEST, "/ok", "127.0.0.1", 2);
	check_from(NO_REQUEST, "/ok", "127.0.0.1", 2);
	check_from(REQUEST(.local_address = "127.0.0.2"), "/ok", "127.0.0.1", 2);
}

Test(engine_local, may_be_an_interface, .timeout = 60)
{
	open_engine(1);
	check_from(REQUEST(.local_address = "lo"), "/ok", "127.0.0.1", 1);
	check_from(REQUEST(.local_address = "lo"), "/ok", "127.0.0.1", 1);
	check_from(NO_REQUEST, "/ok", "127.0.0.1", 2);
}

Test(engine_local, holds_for_redirects, .timeout = 60)
{
	open_engine(1);
	lead_there(302, "localhost", server.second_port);
	check_from(REQUEST(.local_address = "127.0.0.2"), "/to-there", "127.0.0.2", 2);
}

static const char *proxy_url(void)
{
	static char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", server.port);
	return url;
}

/* Nobody gets what it leaves. */
Test(engine_local, holds_for_proxies, .timeout = 60)
{
	struct pm_request r = {.proxy = proxy_url()};
	struct pm_request from = {.proxy = proxy_url(), .local_address = "127.0.0.2"};
	open_engine(1);
	check_from(from, "http://no.test/ok", "127.0.0.2", 1);
	check_from(r, "http://no.test/ok", "127.0.0.1", 2);
	check_from(r, "http://no.test/ok", "127.0.0.1", 2);
	check_from(from, "http://no.test/ok", "127.0.0.2", 3);
}

/* Those of another family cannot be reached from there. */
Test(engine_local, chooses_among_the_hosts_addresses, .timeout = 60)
{
	char entry[96], url[64];
	const char *const entries[] = {entry};
	struct pm_request r = {
		.local_address = "127.0.0.2", .resolve = entries, .resolve_ct = 1};
	open_engine(1);
	snprintf(url, sizeof(url), "http://h.test:%u/ok", server.port);
	snprintf(entry, sizeof(entry), "h.test:%u:[::1],127.0.0.1", server.port);
	check_from(r, url, "127.0.0.2", 1);
	snprintf(entry, sizeof(entry), "i.test:%u:[::1],[::2],[::3]", server.port);
	snprintf(url, sizeof(url), "http://i.test:%u/ok", server.port);
	expect_error(r, url, PM_ECONNECT);
	cr_assert_eq(server.connections, 1);
}

Test(engine_local, is_one_of_this_machine, .timeout = 60)
{
	static const char *const none[] = {
		"192.0.2.1", "::1", "2001:db8::1", "nosuch0"};
	open_engine(1);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		expect_error(REQUEST(.local_address = none[i]), "/ok", PM_ECONNECT);
		cr_assert_eq(server.connections, i);
		check_from(NO_REQUEST, "/close", "127.0.0.1", (unsigned)i + 1);
	}
}
