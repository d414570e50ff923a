/* SPDX-License-Identifier: MIT
 *
 * The resolver against a scripted DNS server: who asks, how often, and what is
 * remembered.
 */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "tests/support/dns.h"
#include "worker/resolver.h"
#include "worker/resolver_given.h"
#include "worker/resolver_hosts.h"
#include "worker/resolver_names.h"

static struct dns *dns;
static struct event_base *base;
static struct resolver *resolver;

static void set_up(void)
{
	dns = dns_start();
	base = event_base_new();
	cr_assert_eq(resolver_use_servers(dns_servers(dns)), 0);
	cr_assert_eq(resolver_open(&resolver, base), 0);
}

static void tear_down(void)
{
	resolver_close(resolver);
	resolver_use_servers(NULL);
	event_base_free(base);
	dns_stop(dns);
}

TestSuite(resolver, .init = set_up, .fini = tear_down, .timeout = 60);

struct asked {
	struct resolver_wait wait;
	struct resolver_answer answer;
	unsigned calls;
};

static unsigned all_calls;

static void on_answer(struct resolver_wait *wait, const struct resolver_answer *answer)
{
	struct asked *a = (struct asked *)(void *)wait;
	a->answer = *answer;
	a->calls++;
	all_calls++;
}

static int ask(struct asked *a, const char *host)
{
	*a = (struct asked){.wait.done = on_answer};
	int found = resolver_find(resolver, host, &a->answer, &a->wait);
	cr_assert_geq(found, 0);
	cr_assert_eq(a->calls, 0, "called back from inside");
	return found;
}

static void run_until(const unsigned *count, unsigned value)
{
	while (*count < value) {
		event_base_loop(base, EVLOOP_ONCE);
	}
}

/* Ask and wait. */
static const struct resolver_answer *look_up(struct asked *a, const char *host)
{
	if (!ask(a, host)) {
		run_until(&a->calls, 1);
	}
	return &a->answer;
}

static const char *first(const struct resolver_answer *answer)
{
	static char text[ADDRESS_TEXT_MAX];
	return answer->ct ? address_text(&answer->addresses[0], text) : "";
}

Test(resolver, a_name_is_asked_for_once_and_then_known, .timeout = 60)
{
	struct asked a;
	cr_assert_str_eq(first(look_up(&a, "a-127-0-0-9.test")), "127.0.0.9");
	unsigned before = dns_query_ct(dns);
	cr_assert_eq(ask(&a, "a-127-0-0-9.test"), 1);
	cr_assert_eq(ask(&a, "A-127-0-0-9.TEST."), 1);
	cr_assert_str_eq(first(&a.answer), "127.0.0.9");
	cr_assert_eq(dns_query_ct(dns), before);
	cr_assert_eq(dns_repeat_ct(dns), 0);
}

Test(resolver, many_who_ask_for_one_name_share_one_question, .timeout = 60)
{
	enum { MANY = 200 };
	static struct asked all[MANY];
	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(ask(&all[i], "slow.test"), 0);
	}
	while (!dns_held_ct(dns)) {
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	dns_release(dns);
	run_until(&all_calls, MANY);
	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(all[i].calls, 1);
		cr_assert_str_eq(first(&all[i].answer), "127.0.0.1");
	}
	cr_assert_eq(dns_repeat_ct(dns), 0, "%u", dns_repeat_ct(dns));
}

Test(resolver, no_more_questions_at_once_than_allowed, .timeout = 60)
{
	enum { MANY = RESOLVER_ASKING_MAX * 3 };
	static struct asked all[MANY];
	char name[64];
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "slow-%d.test", i);
		cr_assert_eq(ask(&all[i], name), 0);
	}
	/* IPv4 only, or both kinds. */
	while (dns_held_ct(dns) < RESOLVER_ASKING_MAX) {
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	for (int i = 0; i < 100; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	cr_assert_leq(dns_held_ct(dns), 2 * RESOLVER_ASKING_MAX);
	dns_release(dns);
	run_until(&all_calls, MANY);
}

Test(resolver, a_question_without_anybody_makes_room_for_others, .timeout = 60)
{
	static struct asked dead[RESOLVER_ASKING_MAX], alive, queued;
	char name[64];
	for (int i = 0; i < RESOLVER_ASKING_MAX; i++) {
		snprintf(name, sizeof(name), "silent-%d.test", i);
		cr_assert_eq(ask(&dead[i], name), 0);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	ask(&queued, "h1.test");
	ask(&alive, "h2.test");
	event_base_loop(base, EVLOOP_NONBLOCK);
	resolver_leave(resolver, &queued.wait); /* never asked */
	for (int i = 0; i < RESOLVER_ASKING_MAX; i++) {
		resolver_leave(resolver, &dead[i].wait);
	}
	run_until(&alive.calls, 1);
	cr_assert_str_eq(first(&alive.answer), "127.1.0.3");
	cr_assert_eq(queued.calls, 0);
	cr_assert_eq(dead[0].calls, 0);
}

Test(resolver, verdicts, .timeout = 60)
{
	struct asked a;
	cr_assert_eq(look_up(&a, "none.test")->verdict, RESOLVER_NOT_FOUND);
	cr_assert_eq(look_up(&a, "empty.test")->verdict, RESOLVER_NOT_FOUND);
	cr_assert_eq(look_up(&a, "fail.test")->verdict, RESOLVER_TEMPORARY);
	cr_assert(a.answer.reason[0]);
	cr_assert_eq(look_up(&a, "bad..name")->verdict, RESOLVER_NOT_FOUND);
	char longest[300];
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	cr_assert_eq(ask(&a, longest), 1);
	cr_assert_eq(a.answer.verdict, RESOLVER_NOT_FOUND);
	cr_assert_eq(ask(&a, ""), 1);
	cr_assert_eq(ask(&a, "."), 1);
	cr_assert_eq(a.answer.verdict, RESOLVER_NOT_FOUND);
}

Test(resolver, what_does_not_exist_is_remembered_too, .timeout = 60)
{
	struct asked a;
	look_up(&a, "none.test");
	unsigned before = dns_query_ct(dns);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(ask(&a, "none.test"), 1);
	}
	cr_assert_eq(dns_query_ct(dns), before);
}

Test(resolver, addresses_of_ipv6_only_names_and_of_aliases, .timeout = 60)
{
	struct asked a;
	cr_assert_str_eq(first(look_up(&a, "six.test")), "::1");
	cr_assert_str_eq(first(look_up(&a, "alias.test")), "127.0.0.1");
	cr_assert_geq(look_up(&a, "both.test")->ct, 1);
	cr_assert_eq(look_up(&a, "a-127-0-0-1-127-0-0-2-127-0-0-3.test")->ct, 3);
}

Test(resolver, what_needs_no_question_gets_none, .timeout = 60)
{
	struct asked a;
	static const char *const names[] = {
		"localhost", "LOCALHOST.", "x.localhost", "127.0.0.1"};
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(ask(&a, names[i]), 1, "%s", names[i]);
		cr_assert_str_eq(first(&a.answer), "127.0.0.1");
	}
	cr_assert_eq(ask(&a, "::1"), 1);
	cr_assert_eq(ask(&a, "notlocalhost"), 0);
	resolver_leave(resolver, &a.wait);
	cr_assert_eq(dns_query_ct(dns), 0);
}

static void nothing(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
}

Test(resolver, an_answer_is_believed_for_its_time, .timeout = 60)
{
	struct asked a;
	char before[ADDRESS_TEXT_MAX];
	const struct timeval tick = {.tv_usec = 20000};
	look_up(&a, "turns.ttl-1.test");
	memcpy(before, first(&a.answer), sizeof(before));
	while (ask(&a, "turns.ttl-1.test") == 1) {
		cr_assert_str_eq(first(&a.answer), before);
		event_base_once(base, -1, EV_TIMEOUT, nothing, NULL, &tick);
		event_base_loop(base, EVLOOP_ONCE);
	}
	run_until(&a.calls, 1);
	cr_assert_str_neq(first(&a.answer), before);
}

Test(resolver, a_blamed_address_is_tried_last, .timeout = 60)
{
	struct asked a;
	look_up(&a, "a-127-0-0-1-127-0-0-2-127-0-0-3.test");
	struct address blamed = a.answer.addresses[0];
	resolver_blame(resolver, "A-127-0-0-1-127-0-0-2-127-0-0-3.test", &blamed);
	cr_assert_eq(ask(&a, "a-127-0-0-1-127-0-0-2-127-0-0-3.test"), 1);
	cr_assert_eq(a.answer.ct, 3);
	cr_assert(address_equal(&a.answer.addresses[2], &blamed));
	resolver_blame(resolver, "unknown.test", &blamed);
}

static struct asked other;

static void leave_other(
	struct resolver_wait *wait, const struct resolver_answer *answer)
{
	on_answer(wait, answer);
	resolver_leave(resolver, &other.wait);
}

Test(resolver, one_who_is_told_may_make_another_leave, .timeout = 60)
{
	struct asked a;
	ask(&a, "h7.test");
	ask(&other, "h7.test");
	a.wait.done = leave_other;
	run_until(&a.calls, 1);
	cr_assert_eq(other.calls, 0);
}

Test(resolver, closing_forgets_who_waits, .timeout = 60)
{
	struct asked a, b;
	ask(&a, "silent.test");
	event_base_loop(base, EVLOOP_NONBLOCK);
	ask(&b, "silent-2.test");
	resolver_close(resolver);
	resolver = NULL;
	cr_assert_eq(a.calls + b.calls, 0);
	resolver_open(&resolver, base);
}

TestSuite(resolver_names, .timeout = 60);

Test(resolver_names, the_one_unused_for_longest_is_forgotten_first, .timeout = 60)
{
	struct names names;
	char text[16];
	cr_assert_eq(names_init(&names, 3), 0);
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "n%d", i);
		names_move(&names, names_add(&names, text), NAME_KNOWN);
	}
	names_touch(&names, names_find(&names, "n0"));
	struct name *queued = names_add(&names, "queued");
	names_move(&names, queued, NAME_QUEUED);
	names_move(&names, names_add(&names, "n3"), NAME_KNOWN);
	cr_assert_null(names_find(&names, "n1"));
	cr_assert_not_null(names_find(&names, "n0"));
	cr_assert_not_null(names_find(&names, "n2"));
	cr_assert_eq(names_find(&names, "queued"), queued);
	cr_assert_eq(names.ct, 4);
	names_fini(&names);
}

Test(resolver_names, a_million_names_take_the_room_of_those_that_are_kept,
	.timeout = 60)
{
	struct names names;
	char text[32];
	cr_assert_eq(names_init(&names, RESOLVER_NAMES_MAX), 0);
	for (int i = 0; i < 1000000; i++) {
		snprintf(text, sizeof(text), "n%d.test", i);
		names_move(&names, names_add(&names, text), NAME_KNOWN);
	}
	cr_assert_eq(names.ct, RESOLVER_NAMES_MAX);
	names_fini(&names);
}

TestSuite(resolver_given, .timeout = 60);

Test(resolver_given, entries_as_curl_takes_them, .timeout = 60)
{
	static const char *const good[] = {"h:80:127.0.0.1", "+h:80:127.0.0.1",
		"*:1:::1", "h:65535:[::1],1.2.3.4", "[::1]:80:127.0.0.1"};
	static const char *const bad[] = {"", "h", "h:80", "h:80:", "h:0:1.2.3.4",
		"h:65536:1.2.3.4", "h:8x:1.2.3.4", "h:80:name", "h:80:1.2.3.4,",
		":80:1.2.3.4", "-h:80", "h::1.2.3.4", "[::1:80:1.2.3.4",
		"h:80:1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
		"1.1.1.1"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert(given_is_valid(good[i]), "%s", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert(!given_is_valid(bad[i]), "%s", bad[i]);
	}
	cr_assert(!given_is_valid(NULL));
}

Test(resolver_given, the_first_that_fits_host_and_port, .timeout = 60)
{
	static const char *const entries[] = {"one.test:80:127.0.0.1",
		"one.test:81:127.0.0.2,127.0.0.3", "*:82:127.0.0.4",
		"one.test:82:127.0.0.5"};
	struct resolver_answer a;
	char *given = given_copy(entries, 4);
	cr_assert(given_find(given, "ONE.test.", 80, &a));
	cr_assert_str_eq(first(&a), "127.0.0.1");
	cr_assert(given_find(given, "one.test", 81, &a));
	cr_assert_eq(a.ct, 2);
	cr_assert(given_find(given, "one.test", 82, &a));
	cr_assert_str_eq(first(&a), "127.0.0.4");
	cr_assert(!given_find(given, "one.test", 83, &a));
	cr_assert(!given_find(given, "two.test", 80, &a));
	free(given);
}

Test(resolver_given, lists_of_servers, .timeout = 60)
{
	static const char *const good[] = {"127.0.0.1", "127.0.0.1:53", "::1", "[::1]",
		"[::1]:53", "127.0.0.1,::1,[::1]:65535"};
	static const char *const bad[] = {"", ",", "127.0.0.1,", "host",
		"127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:5x",
		"[::1]53", "127.0.0.1 ::1", "127.0.0.1:-1"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert_eq(resolver_use_servers(good[i]), 0, "%s", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(resolver_use_servers(bad[i]), PM_EINVAL, "%s", bad[i]);
	}
	cr_assert_eq(resolver_use_servers(NULL), 0);
}

TestSuite(resolver_hosts, .timeout = 60);

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void set_time(const char *path, time_t when)
{
	struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

Test(resolver_hosts, words_of_the_file_until_it_changes, .timeout = 60)
{
	char path[] = "/tmp/poolmap-hosts-XXXXXX";
	struct hosts h;
	int fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
	write_file(path, "127.0.0.1\tOne.test two.test # three.test\n#four.test\n"
			 "::1 five.test#six.test");
	set_time(path, 1000);
	hosts_init(&h, path);
	cr_assert(hosts_may_have(&h, "one.test", 1));
	cr_assert(hosts_may_have(&h, "two.test", 1));
	cr_assert(hosts_may_have(&h, "five.test", 1));
	cr_assert(!hosts_may_have(&h, "three.test", 1));
	cr_assert(!hosts_may_have(&h, "four.test", 1));
	cr_assert(!hosts_may_have(&h, "six.test", 1));
	write_file(path, "127.0.0.1 other.test\n");
	set_time(path, 2000);
	cr_assert(hosts_may_have(&h, "one.test", 1000));
	cr_assert(!hosts_may_have(&h, "one.test", 1001));
	cr_assert(hosts_may_have(&h, "other.test", 1001));
	unlink(path);
	cr_assert(!hosts_may_have(&h, "other.test", 5000));
	hosts_fini(&h);
}

Test(resolver_hosts, a_file_of_many_names, .timeout = 60)
{
	char path[] = "/tmp/poolmap-hosts-XXXXXX", name[32];
	struct hosts h;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	cr_assert_not_null(f);
	for (int i = 0; i < 100000; i++) {
		fprintf(f, "0.0.0.0 n%d.test\n", i);
	}
	fclose(f);
	hosts_init(&h, path);
	for (int i = 0; i < 200000; i++) {
		snprintf(name, sizeof(name), "n%d.test", i);
		cr_assert_eq(hosts_may_have(&h, name, 1), i < 100000, "%s", name);
	}
	hosts_fini(&h);
	unlink(path);
}
