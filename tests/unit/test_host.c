/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/host: lanes of URLs and objects, held against what job.c, the
 * check of the workers and libcurl make of the same line; and damaged lines.
 */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/host.h"
#include "common/cli/job.h"
#include "tests/unit/dice.h"
#include "worker/engine_check.h"

/* The lane of a heap copy of exact size, so that a sanitizer sees a byte too much. */
static size_t lane_of(char lane[PM_LANE_MAX + 1], const char *line, size_t len)
{
	char *copy = malloc(len ? len : 1);
	memcpy(copy, line, len);
	memset(lane, '?', PM_LANE_MAX + 1);
	size_t lane_len = host_lane(lane, copy, len);
	free(copy);
	cr_assert_leq(lane_len, PM_LANE_MAX);
	cr_assert_eq(lane[lane_len], '\0');
	cr_assert_null(memchr(lane, '\0', lane_len));
	return lane_len;
}

static void expect_lane(const char *line, const char *lane)
{
	char found[PM_LANE_MAX + 1];
	lane_of(found, line, strlen(line));
	cr_assert_str_eq(found, lane, "%s", line);
}

Test(host, names_the_lane_of_a_url, .timeout = 60)
{
	expect_lane("http://example.com/", "http://example.com");
	expect_lane("https://example.com", "https://example.com");
	expect_lane(" \tHTTP://Example.COM:80/a?b#c\t ", "http://example.com");
	expect_lane("https://example.com:443?x", "https://example.com");
	expect_lane("https://example.com:80#x", "https://example.com:80");
	expect_lane("http://example.com:443", "http://example.com:443");
	expect_lane("http://example.com:/", "http://example.com");
	expect_lane("http://example.com:008080/", "http://example.com:8080");
	expect_lane("http://example.com./", "http://example.com");
	expect_lane("http://example.com:65535/", "http://example.com:65535");
	expect_lane("http://x ", "http://x");
}

Test(host, drops_users_and_is_not_fooled_by_them, .timeout = 60)
{
	expect_lane("http://user:pass@example.com/", "http://example.com");
	expect_lane("http://good.com@evil.com/", "http://evil.com");
	expect_lane("http://good.com:80@evil.com:81/", "http://evil.com:81");
	expect_lane("http://good.com\\@evil.com/", "http://evil.com");
	expect_lane("http://evil.com/@good.com", "http://evil.com");
	expect_lane("http://evil.com?@good.com", "http://evil.com");
	expect_lane("http://evil.com#@good.com", "http://evil.com");
	expect_lane("http://[::1]@evil.com/", "http://evil.com");
	expect_lane("http://u:0000@[::1]:0081/", "http://[::1]:81");
	struct buf line = {0};
	buf_puts(&line, "http://");
	for (int i = 0; i < 60000; i++) {
		buf_puts(&line, i % 2 ? ":" : "0");
	}
	buf_puts(&line, "@example.com/");
	expect_lane(buf_text(&line), "http://example.com");
	buf_clear(&line);
	buf_puts(&line, "http://example.com:");
	for (int i = 0; i < 60000; i++) {
		buf_puts(&line, "0");
	}
	buf_puts(&line, "81");
	expect_lane(buf_text(&line), "http://example.com:81");
	buf_fini(&line);
}

Test(host, knows_an_address_in_every_spelling, .timeout = 60)
{
	static const char *const spellings[] = {"127.0.0.1", "127.1", "127.0.1",
		"2130706433", "0x7f000001", "0X7F.1", "0177.0.0.01",
		"0x7f.0x0.0x0.0x1"};
	for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
		char line[64];
		snprintf(line, sizeof line, "http://%s:8080/", spellings[i]);
		expect_lane(line, "http://127.0.0.1:8080");
	}
	expect_lane("http://0/", "http://0.0.0.0");
	expect_lane("http://4294967295/", "http://255.255.255.255");
	expect_lane("http://4294967296/", "http://4294967296");
	expect_lane("http://1.2.3.256/", "http://1.2.3.256");
	expect_lane("http://1.256.3.4/", "http://1.256.3.4");
	expect_lane("http://1.2.65536/", "http://1.2.65536");
	expect_lane("http://0377.255.0xffff/", "http://255.255.255.255");
	expect_lane("http://1.2.3.4.5/", "http://1.2.3.4.5");
	expect_lane("http://08.1/", "http://08.1");
	expect_lane("http://0x/", "http://0x");
	expect_lane("http://1.2.3.4x/", "http://1.2.3.4x");
	expect_lane("http://[::1]/", "http://[::1]");
	expect_lane("http://[0:0::0:1]:80/", "http://[::1]");
	expect_lane("https://[2001:DB8::00AB]:8443/", "https://[2001:db8::ab]:8443");
	expect_lane("http://[::ffff:1.2.3.4]/", "http://[::ffff:1.2.3.4]");
	expect_lane("http://[fe80::1%25Eth0]:81/", "http://[fe80::1%eth0]:81");
	expect_lane("http://[fe80:0::1%eth0]/", "http://[fe80::1%eth0]");
}

Test(host, undoes_percent_encoding, .timeout = 60)
{
	expect_lane("http://ex%61mple.com/", "http://example.com");
	expect_lane("http://EX%41MPLE%2ecom/", "http://example.com");
	expect_lane("http://x%0ay/", "");
	expect_lane("http://x%00y/", "");
}

Test(host, finds_the_url_of_an_object, .timeout = 60)
{
	expect_lane("{\"url\":\"http://a.com/\"}", "http://a.com");
	expect_lane("  { \"id\" : 1 , \"url\" : \"http://a.com\" } ", "http://a.com");
	expect_lane("{\"meta\":{\"url\":\"http://b.com/\"},\"url\":\"http://a.com/\"}",
		"http://a.com");
	expect_lane("{\"meta\":\"\\\",\\\"url\\\":\\\"http://b.com\","
		    "\"url\":\"http://a.com/\"}",
		"http://a.com");
	expect_lane("{\"u\\u0072l\":\"http:\\/\\/a.com\\/\"}", "http://a.com");
	expect_lane("{\"\\u0075\\u0072\\u006C\":\"\\u0068ttp://\\u0041.com\"}",
		"http://a.com");
	expect_lane("{\"url\":\"http://x\\u00e9\\u20ac\\ud83d\\ude00.com/\"}",
		"http://x\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80.com");
	expect_lane("{\"url\":\"http://\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\"}",
		"http://\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80");
	expect_lane("{\"url\":\"http://x\xC3\xA9.com\"}", "http://x\xC3\xA9.com");
	expect_lane("{\"url_\":\"http://b.com\",\"ur\":\"http://c.com\",\"urls\":1,"
		    "\"url\":\"http://a.com\"}",
		"http://a.com");
}

Test(host, has_no_lane_for_what_no_worker_takes, .timeout = 60)
{
	static const char *const lines[] = {"", " ", "nonsense", "http:/x", "http:x",
		"http//x", "http://", "http:///x", "http://:80/", "http://@/", "htt",
		"https", "https:/", "httpss://x", "ftp://x/", "//x/",
		"file:///etc/passwd", "http://x:y/", "http://x:65536/",
		"http://x:99999999999999999999/", "http://x:-1/", "http://[::1/",
		"http://[::1]x/", "http://[x]/", "http://[]/", "http://::1/", "{", "{}",
		"{\"url\"}", "{\"url\":}", "{\"url\":1}", "{\"url\":\"",
		"{\"url\":\"\"}", "{\"url\":null}", "{\"url\":\" http://x/\"}",
		"{\"url\":[\"http://x/\"]}", "{\"url\":{\"url\":\"http://x/\"}}",
		"{\"URL\":\"http://x/\"}", "[\"http://x/\"]", "\"http://x/\"",
		"{\"url\":\"\\u0000http://x/\"}"};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		expect_lane(lines[i], "");
	}
	char lane[PM_LANE_MAX + 1];
	cr_assert_eq(lane_of(lane, "http://\0/", 9), 0);
}

/* ---------------------------------------------------------------- long names */

static void put_name(struct buf *line, const char *start, size_t len, const char *end)
{
	buf_clear(line);
	buf_puts(line, start);
	for (size_t i = 0; i < len; i++) {
		buf_puts(line, i % 50 == 49 ? "." : "a");
	}
	buf_puts(line, end);
}

Test(host, gives_a_long_name_a_lane_of_its_own, .timeout = 60)
{
	char one[PM_LANE_MAX + 1], other[PM_LANE_MAX + 1];
	struct buf line = {0};
	put_name(&line, "https://", PM_LANE_MAX - 8, "/");
	cr_assert_eq(lane_of(one, line.data, line.len), PM_LANE_MAX);
	cr_assert_eq(memcmp(one, line.data, PM_LANE_MAX), 0, "fits");
	put_name(&line, "https://b", 252, "/");
	cr_assert_eq(lane_of(one, line.data, line.len), PM_LANE_MAX);
	cr_assert_eq(memcmp(one, "https://~", 9), 0, "%s", one);
	put_name(&line, "https://c", 252, "/");
	cr_assert_eq(lane_of(other, line.data, line.len), PM_LANE_MAX);
	cr_assert_str_neq(one, other);
	cr_assert_str_eq(one + 26, other + 26, "the ends are the same");
	put_name(&line, "https://", 252, ":65535/");
	cr_assert_eq(lane_of(one, line.data, line.len), PM_LANE_MAX);
	cr_assert_str_eq(one + PM_LANE_MAX - 6, ":65535");
	put_name(&line, "https://", 5000, "/");
	cr_assert_eq(lane_of(one, line.data, line.len), 0, "no name is so long");
	buf_fini(&line);
}

/* -------------------------------------------------------------------- targets */

static void expect_target(const char *line, const char *target)
{
	struct buf out = {0};
	cr_assert_eq(host_target(&out, line, strlen(line)), 0);
	cr_assert_str_eq(buf_text(&out), target, "%s", line);
	buf_fini(&out);
}

Test(host, gives_path_and_query, .timeout = 60)
{
	expect_target("http://x/", "/");
	expect_target("http://x", "/");
	expect_target("http://x/a/b?c=d/e?f#g?h ", "/a/b?c=d/e?f");
	expect_target("http://x?a=b", "/?a=b");
	expect_target("http://x#a", "/");
	expect_target("http://u@x:1/%61", "/%61");
	expect_target("{\"url\":\"http://x\\/a\\u0062\\u00e9\"}", "/ab\xC3\xA9");
	expect_target("nonsense", "/");
	expect_target("{\"id\":1}", "/");
}

/* ------------------------------------------- what the workers and libcurl say */

/* Write the lane that libcurl's parts of a URL come to; false: it takes no such
 * URL. */
static bool curl_lane(char *lane, size_t size, const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL;
	bool good = !curl_url_set(u, CURLUPART_URL, url, 0) &&
		    !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) &&
		    !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
		    !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	if (good) {
		size_t len = strlen(host);
		bool usual = strcmp(port, *scheme && scheme[4] ? "443" : "80") == 0;
		for (size_t i = 0; i < len; i++) {
			host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32
									  : host[i]);
		}
		if (len > 1 && host[len - 1] == '.') {
			host[len - 1] = '\0';
		}
		snprintf(lane, size, "%s://%s%s%s", scheme, host, usual ? "" : ":",
			usual ? "" : port);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return good;
}

/* libcurl keeps the zone of an address elsewhere, and writes some addresses as they
 * were given. */
static void normalise(char *lane)
{
	char *open = strchr(lane, '['), *zone = open ? strchr(open, '%') : NULL;
	char *close = open ? strchr(open, ']') : NULL;
	struct in6_addr address;
	char text[600], copy[INET6_ADDRSTRLEN];
	if (!close) {
		return;
	}
	*(zone && zone < close ? zone : close) = '\0';
	if (inet_pton(AF_INET6, open + 1, &address) == 1) {
		inet_ntop(AF_INET6, &address, copy, sizeof copy);
		snprintf(text, sizeof text, "%.*s[%s]%s", (int)(open - lane), lane,
			copy, close + 1);
		strncpy(lane, text, 600);
	}
}

enum verdict { REFUSED, AGREED };

/* A line that a worker would fetch has the lane of what libcurl would connect to. */
static enum verdict compare(const char *line, size_t len)
{
	char lane[PM_LANE_MAX + 1], mine[600], theirs[70000];
	struct job job;
	struct pm_failure failure;
	uint32_t hash;
	cr_assert_eq(job_parse(&job, line, len), 0);
	size_t lane_len = lane_of(lane, line, len);
	bool good = !job.error && !url_check(job.url, &hash, &failure) &&
		    curl_lane(theirs, sizeof theirs, job.url) &&
		    !strstr(theirs, ":0"); /* a port that nothing can listen on */
	if (good && strlen(theirs) < PM_LANE_MAX) {
		cr_assert_gt(lane_len, 0, "no lane: %.*s", (int)len, line);
		snprintf(mine, sizeof mine, "%s", lane);
		normalise(mine);
		normalise(theirs);
		cr_assert_str_eq(mine, theirs, "%.*s", (int)len, line);
	}
	job_fini(&job);
	return good ? AGREED : REFUSED;
}

static const char *const seeds[] = {"http://example.com/path?query#fragment",
	"https://user:pass@example.com:8443/", "HTTP://EX%41mple.com.:0080/",
	"http://127.1:8080/", "http://0x7f.0.0x1/", "http://[2001:db8::1]:81/x",
	"http://[fe80::1%25eth0]/", "http://[::ffff:10.0.0.1]/", "http://a\\@b.com/",
	"http://a@b@c/",
	"https://b\xC3\xBC"
	"cher.example/",
	"http://xn--bcher-kva.example:80", "http://017700000001/?@x",
	"{\"url\":\"http://example.com:82/a\",\"id\":1}",
	"{\"meta\":{\"url\":\"http://no/\"},\"u\\u0072l\":\"http:\\/\\/yes.com\\/\"}",
	" {\"id\":\"a\\\"b\", \"url\" : \"https:\\/\\/\\u0061.b:443?c\", "
	"\"timeout\":1} "};
enum { SEED_CT = sizeof seeds / sizeof seeds[0] };

Test(host, agrees_with_the_workers_and_libcurl, .timeout = 60)
{
	for (size_t i = 0; i < SEED_CT; i++) {
		enum verdict verdict = compare(seeds[i], strlen(seeds[i]));
		cr_assert_eq(verdict, i == 9 ? REFUSED : AGREED, "%s", seeds[i]);
	}
}

static size_t mutate(uint64_t *state, char *line, size_t len, size_t size)
{
	static const char bytes[] = "/:@?#[]%.\\0127xabfXZ {}\",u-_~\xC3\xBC\x01";
	for (size_t times = 1 + dice_below(state, 4); times; times--) {
		size_t at = dice_below(state, len + 1);
		char c = bytes[dice_below(state, sizeof bytes - 1)];
		switch (dice_below(state, 4)) {
		case 0: /* one more */
			if (len + 1 < size) {
				memmove(line + at + 1, line + at, len++ - at);
				line[at] = c;
			}
			break;
		case 1: /* one less */
			if (at < len) {
				memmove(line + at, line + at + 1, --len - at);
			}
			break;
		case 2: /* a piece twice */
			if (at < len && len + len - at < size) {
				memmove(line + len, line + at, len - at);
				len += len - at;
			}
			break;
		default:
			if (at < len) {
				line[at] = dice_below(state, 8) ? c : (char)dice(state);
			}
		}
	}
	return len;
}

Test(host, agrees_on_damaged_lines, .timeout = 60)
{
	uint64_t state = 5;
	size_t agreed = 0;
	for (int round = 0; round < 50000; round++) {
		char line[512];
		const char *seed = seeds[dice_below(&state, SEED_CT)];
		size_t len = strlen(seed);
		memcpy(line, seed, len);
		len = mutate(&state, line, len, sizeof line);
		agreed += compare(line, len) == AGREED;
		struct buf target = {0};
		cr_assert_eq(host_target(&target, line, len), 0);
		cr_assert_eq(target.data[0], '/');
		buf_fini(&target);
	}
	cr_assert_gt(agreed, 10000, "%zu: hardly any are good", agreed);
}

Test(host, survives_lines_that_end_anywhere, .timeout = 60)
{
	char lane[PM_LANE_MAX + 1];
	for (size_t i = 0; i < SEED_CT; i++) {
		for (size_t len = 0; len <= strlen(seeds[i]); len++) {
			lane_of(lane, seeds[i], len);
			compare(seeds[i], len);
		}
	}
}
