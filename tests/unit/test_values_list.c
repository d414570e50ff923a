/* SPDX-License-Identifier: MIT
 *
 * values_list: lists of statuses, of what is tried again, of fields, of servers.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/outcome.h"
#include "common/poolmap.h"
#include "master/cli/values.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static size_t count(const struct status_set *set)
{
	size_t ct = 0;
	for (int status = 0; status < 1000; status++) {
		ct += status_set_has(set, status);
	}
	return ct;
}

Test(values_list, reads_lists_of_statuses, .timeout = 60)
{
	const struct {
		const char *text;
		size_t ct;
		int in, out;
	} cases[] = {{"200..399", 200, 399, 400}, {"200", 1, 200, 201},
		{"200..299,304", 101, 304, 303}, {"304,200..299,250", 101, 250, 300},
		{"100..999", 900, 999, 99}, {"404..404", 1, 404, 405}};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct status_set set;
		struct value_error why = {""};
		memset(&set, 0xff, sizeof(set));
		int err = values_statuses(cases[i].text, 100, 999, &set, &why);
		cr_assert_eq(err, 0, "\"%s\": %s", cases[i].text, why.text);
		cr_assert_eq(count(&set), cases[i].ct, "\"%s\" has %zu statuses",
			cases[i].text, count(&set));
		cr_assert(status_set_has(&set, cases[i].in), "\"%s\" lacks %d",
			cases[i].text, cases[i].in);
		cr_assert_not(status_set_has(&set, cases[i].out), "\"%s\" has %d",
			cases[i].text, cases[i].out);
	}
}

Test(values_list, refuses_bad_lists_of_statuses, .timeout = 60)
{
	const char *const texts[] = {"", ",", "200,", ",200", "200,,201", "200 ,201",
		"200-299", "200...299", "200..", "..299", "2xx", "20", "2000", "0200",
		"399..200", "099", "000..999", "-200", "200..299x"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct status_set set = {{7}};
		struct value_error why = {""};
		cr_assert_eq(values_statuses(texts[i], 100, 999, &set, &why), PM_EINVAL,
			"\"%s\" is taken", texts[i]);
		cr_assert_eq(set.bits[0], 7, "\"%s\" is refused but stored", texts[i]);
		cr_assert(why.text[0], "\"%s\" is refused without a reason", texts[i]);
	}
}

Test(values_list, reads_what_is_tried_again, .timeout = 60)
{
	const struct {
		const char *text;
		size_t statuses;
		uint32_t classes;
	} cases[] = {{"none", 0, 0}, {"503", 1, 0}, {"500..504,429", 6, 0},
		{"timeout", 0, 1u << OUTCOME_TIMEOUT},
		{"dns,reset,503,connect", 1,
			1u << OUTCOME_DNS | 1u << OUTCOME_RESET |
				1u << OUTCOME_CONNECT},
		{"tls,stalled,truncated,bad_response", 0,
			1u << OUTCOME_TLS | 1u << OUTCOME_STALLED |
				1u << OUTCOME_TRUNCATED | 1u << OUTCOME_BAD_RESPONSE},
		{"tls,tls,404,404", 1, 1u << OUTCOME_TLS}};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct value_error why = {""};
		struct value_retry got = {{{7}}, 7};
		int err = values_retry_on(cases[i].text, 100, 999, &got, &why);
		cr_assert_eq(err, 0, "\"%s\": %s", cases[i].text, why.text);
		cr_assert_eq(count(&got.statuses), cases[i].statuses, "\"%s\"",
			cases[i].text);
		cr_assert_eq(got.classes, cases[i].classes, "\"%s\": %x", cases[i].text,
			got.classes);
	}
}

/* What comes out the same each time, or was not the server's doing. */
Test(values_list, refuses_to_try_again_what_cannot_change, .timeout = 60)
{
	const char *const texts[] = {"", ",", "503,", ",503", "503,,dns", "dns ",
		" dns", "DNS", "dn", "dnss", "503dns", "none,503", "503,none", "ok",
		"bad_job", "bad_url", "scheme", "http_status", "too_many_redirects",
		"body_too_large", "headers_too_large", "denied_address", "worker_lost",
		"cancelled", "internal", "504..500", "99", "1000", "503..", "5xx"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct value_error why = {""};
		struct value_retry got = {{{7}}, 7};
		cr_assert_eq(values_retry_on(texts[i], 100, 999, &got, &why), PM_EINVAL,
			"\"%s\" is taken", texts[i]);
		cr_assert(got.classes == 7 && got.statuses.bits[0] == 7,
			"\"%s\" is refused but stored", texts[i]);
		cr_assert(why.text[0], "\"%s\" is refused without a reason", texts[i]);
	}
}

typedef int checker(const char *, struct value_error *);

static void expect_taken(checker *check, const char *const *texts, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		struct value_error why = {""};
		cr_assert_eq(
			check(texts[i], &why), 0, "\"%s\": %s", texts[i], why.text);
	}
}

static void expect_refused(checker *check, const char *const *texts, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		struct value_error why = {""};
		cr_assert_eq(
			check(texts[i], &why), PM_EINVAL, "\"%s\" is taken", texts[i]);
		cr_assert(why.text[0], "\"%s\" is refused without a reason", texts[i]);
	}
}

Test(values_list, reads_lists_of_fields, .timeout = 60)
{
	const char *const good[] = {
		"meta.a b,headers.x-y", "index", "index,url", "body_sha256,time_total"};
	const char *const bad[] = {"meta.", "meta.,b", "", ",", "index,", ",index",
		"index,,url", "index, url", "Index", "a.b", "index\n", "index;url"};
	expect_taken(values_fields, good, LENGTH(good));
	expect_refused(values_fields, bad, LENGTH(bad));
}

Test(values_list, reads_lists_of_name_servers, .timeout = 60)
{
	const char *const good[] = {"192.0.2.1", "192.0.2.1:53", "::1", "[::1]",
		"[::1]:5353", "2001:db8::1,192.0.2.1:1", "127.0.0.1:65535",
		"::ffff:192.0.2.1"};
	const char *const bad[] = {"", ",", "192.0.2.1,", ",::1", "192.0.2",
		"256.0.0.1", "dns.example.com", "192.0.2.1:", "192.0.2.1:0",
		"192.0.2.1:65536", "192.0.2.1:53x", "192.0.2.1: 53", "[::1", "::1]",
		"[::1]53", "[::1]:", "[192.0.2.1]", "[192.0.2.1]:53", "::1:::53",
		"192.0.2.1 ", "1::2::3", "fe80::1%eth0", "192.0.2.1:000053",
		"1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
		"1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
		"1.1.1.1"};
	expect_taken(values_dns_servers, good, LENGTH(good));
	expect_refused(values_dns_servers, bad, LENGTH(bad));
}

/* Good texts with bytes changed, cut and doubled: each reader says yes, or no with
 * a reason; memory checkers look on. */
Test(values_list, survives_damaged_texts, .timeout = 60)
{
	static const char *const seeds[] = {"200..299,304,404..499",
		"dns,connect,timeout,500..504,429", "index,url,http_code",
		"192.0.2.1:53,[2001:db8::1]:5353,::1", "soon,fail=12.5%", "30.125/m",
		"example.com:443:127.0.0.1", "a.example:80:[2001:db8::1]",
		"socks5h://user:word@proxy.example:1080", "*.example.com", "dir:bodies",
		"auto|bar|log", "86400.125", "999999M"};
	unsigned state = 4711;
	for (unsigned round = 0; round < 50000; round++) {
		char text[64];
		size_t len = (size_t)snprintf(
			text, sizeof(text), "%s", seeds[round % LENGTH(seeds)]);
		for (unsigned i = 0; i < 1 + round % 4 && len; i++) {
			state = state * 1103515245u + 12345u;
			size_t at = (state >> 8) % len;
			unsigned how = (state >> 4) % 4;
			if (how == 0) {
				text[at] = '\0';
				len = at;
			} else if (how == 1) {
				text[at] = ",.:/%=[]0159az\xff\n"[(state >> 20) % 16];
			} else {
				memmove(text + at, text + at + 1, len - at);
				len--;
			}
		}
		struct value_error why = {""};
		struct status_set set;
		struct value_retry retry;
		struct value_halt halt;
		struct value_body body;
		double rate = 0;
		uint64_t n;
		int errs[] = {values_statuses(text, 100, 999, &set, &why),
			values_retry_on(text, 100, 999, &retry, &why),
			values_halt(text, &halt, &why), values_rate(text, &rate, &why),
			values_body(text, &body, &why), values_fields(text, &why),
			values_dns_servers(text, &why), values_resolve(text, &why),
			values_proxy(text, &why), values_host_pattern(text, &why),
			values_seconds(text, 1, 86400000, &n, &why),
			values_size(text, 0, 1 << 30, &n, &why)};
		for (size_t i = 0; i < LENGTH(errs); i++) {
			cr_assert(errs[i] == 0 || errs[i] == PM_EINVAL, "%s: %d", text,
				errs[i]);
		}
		cr_assert(rate >= 0 && rate <= VALUES_RATE_MAX, "%s", text);
		cr_assert(why.text[0], "%s: no reader refuses it", text);
	}
}
