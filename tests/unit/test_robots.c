/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/robots: groups, matching against a slow model, the examples of
 * RFC 9309, limits, and damaged files.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cli/robots.h"
#include "tests/unit/dice.h"

/* Parse a heap copy of exact size, so that a sanitizer sees a byte too much. */
static struct robots *parse_bytes(const char *text, size_t len)
{
	struct robots *robots = NULL;
	char *copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	cr_assert_eq(robots_parse(&robots, copy, len), 0);
	free(copy);
	return robots;
}

static bool allows(const struct robots *robots, const char *target)
{
	char *copy = malloc(strlen(target) + 1);
	memcpy(copy, target, strlen(target));
	bool allowed = robots_allows(robots, copy, strlen(target));
	free(copy);
	return allowed;
}

static void expect(const char *text, const char *target, bool allowed)
{
	struct robots *robots = parse_bytes(text, strlen(text));
	cr_assert_eq(allows(robots, target), allowed, "%s\n%s", text, target);
	robots_free(robots);
}

#define ALL "User-agent: *\n"

/* -------------------------------------------------------------------- groups */

Test(robots, allows_what_nobody_forbids, .timeout = 60)
{
	expect("", "/", true);
	expect("\xEF\xBB\xBF", "/", true);
	expect(ALL, "/", true);
	expect(ALL "Disallow:\n", "/", true);
	expect(ALL "Disallow: # all\n", "/", true);
	expect("Disallow: /\n", "/", true);
	expect("<html><body>404: not found</body></html>", "/", true);
	expect("User-agent: other\nDisallow: /\n", "/", true);
}

Test(robots, takes_the_group_of_everybody, .timeout = 60)
{
	expect(ALL "Disallow: /\n", "/", false);
	expect(ALL "Disallow: /\n", "/x?y", false);
	expect(ALL "Disallow: /", "/", false);
	expect("  user-AGENT :\t*  # all\r\n\tDISALLOW\t: /x # no\r\n", "/x", false);
	expect("User-agent: *\rDisallow: /x\rAllow: /xy\r", "/x", false);
	expect("User-agent: *\rDisallow: /x\rAllow: /xy\r", "/xy", true);
	expect("\xEF\xBB\xBF" ALL "Disallow: /", "/", false);
	expect("\n\n" ALL "\n\nDisallow: /\n", "/", false);
	expect("User-agent: * all\nDisallow: /\n", "/", false);
	expect("User-agent: *bot\nDisallow: /\n", "/", true);
}

Test(robots, prefers_the_group_of_its_own, .timeout = 60)
{
	static const char own[] = ALL "Disallow: /\n"
				      "User-agent: Poolmap\nDisallow: /own\n";
	expect(own, "/", true);
	expect(own, "/own", false);
	expect("User-agent: poolmap\nDisallow:\n" ALL "Disallow: /\n", "/", true);
	expect("User-agent: POOLMAP/1.0 (x)\n" ALL "Disallow: /a\n", "/a", false);
	expect(ALL "Disallow: /\nUser-agent: poolmap\n", "/", true);
	static const char *const others[] = {
		"poolmap-news", "poolmap_x", "poolmaps", "pool", "my poolmap", ""};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		char text[128];
		snprintf(text, sizeof text,
			"User-agent: %s\nAllow: /\n" ALL "Disallow: /\n", others[i]);
		expect(text, "/", false);
	}
}

Test(robots, merges_groups_for_the_same_product, .timeout = 60)
{
	static const char text[] = "User-agent: poolmap\nDisallow: /a\n"
				   "User-agent: other\nDisallow: /b\n"
				   "User-agent: poolmap\nDisallow: /c\n";
	expect(text, "/a", false);
	expect(text, "/b", true);
	expect(text, "/c", false);
}

Test(robots, lets_agents_share_a_group, .timeout = 60)
{
	static const char text[] =
		"User-agent: a\nSitemap: x\n\nUser-agent: poolmap\nCrawl-delay: 1\n"
		"User-agent: b\nDisallow: /x\nUser-agent: c\nDisallow: /y\n";
	expect(text, "/x", false);
	expect(text, "/y", true);
}

/* ------------------------------------------------------------------- matching */

Test(robots, lets_the_longest_rule_decide, .timeout = 60)
{
	static const char text[] = ALL "Disallow: /a\nAllow: /a/b\nDisallow: /a/b/c\n";
	expect(text, "/a", false);
	expect(text, "/a/b", true);
	expect(text, "/a/b/c", false);
	expect(ALL "Allow: /a\nDisallow: /a\n", "/a", true);
	expect(ALL "Disallow: /a\nAllow: /a\n", "/a", true);
	expect(ALL "Disallow: /\nAllow: /$\n", "/", true);
	expect(ALL "Disallow: /\nAllow: /$\n", "/a", false);
	expect(ALL "Allow: /page\nDisallow: /*.htm\n", "/page.htm", false);
	expect(ALL "Allow: /p\nDisallow: /\n", "/page", true);
	expect(ALL "Allow: /\nDisallow: /\n", "/", true);
}

Test(robots, is_the_example_of_the_rfc, .timeout = 60)
{
	static const char text[] =
		"User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/"
		"disallowed.gif\n\nUser-Agent: poolmap\nAllow: *.gif$\nDisallow: "
		"/example/\nAllow: /publications/\n\n" ALL "Disallow: /\n";
	expect(text, "/example/page/x.gif", false);
	expect(text, "/example.gif", true);
	expect(text, "/publications/", true);
	expect(text, "/other", true);
	static const char longest[] = "User-Agent: poolmap\nAllow: /example/page/\n"
				      "Disallow: /example/page/disallowed.gif\n";
	expect(longest, "/example/page/disallowed.gif", false);
	expect(longest, "/example/page/", true);
}

Test(robots, knows_wildcards_and_the_end, .timeout = 60)
{
	expect(ALL "Disallow: /*.gif$", "/a/b.gif", false);
	expect(ALL "Disallow: /*.gif$", "/a/b.gif?x", true);
	expect(ALL "Disallow: /*.gif", "/a/b.gif?x", false);
	expect(ALL "Disallow: *.gif", "/.gif", false);
	expect(ALL "Disallow: *", "/", false);
	expect(ALL "Disallow: /$", "/a", true);
	expect(ALL "Disallow: /a*$", "/abc", false);
	expect(ALL "Disallow: /a*b*c", "/a1b2c3", false);
	expect(ALL "Disallow: /a*b*c", "/acb", true);
	expect(ALL "Disallow: /a*bc$", "/abcbc", false);
	expect(ALL "Disallow: /a*bcb$", "/abcb", false);
	expect(ALL "Disallow: /ab*b$", "/ab", true);
	expect(ALL "Disallow: /*?*session=", "/x?a=1&session=2", false);
	expect(ALL "Disallow: /a$b", "/a$b", false);
	expect(ALL "Disallow: /a$b", "/a", true);
	expect(ALL "Disallow: a", "/a", true);
	expect(ALL "Disallow: /a b", "/a%20b", false);
}

Test(robots, compares_what_is_encoded_with_what_is_not, .timeout = 60)
{
	/* RFC 9309, 2.2.2 */
	expect(ALL "Disallow: /foo/bar?baz=http://foo.bar",
		"/foo/bar?baz=http://foo.bar", false);
	expect(ALL "Disallow: /foo/bar?baz=https://foo.bar",
		"/foo/bar?baz=https%3A%2F%2Ffoo.bar", true);
	expect(ALL "Disallow: /foo/bar/\xE3\x83\x84", "/foo/bar/%E3%83%84", false);
	expect(ALL "Disallow: /foo/bar/%e3%83%84", "/foo/bar/\xE3\x83\x84", false);
	expect(ALL "Disallow: /foo/bar/%62%61%7A", "/foo/bar/baz", false);
	expect(ALL "Disallow: /foo/bar/baz", "/foo/bar/%62%61%7a", false);
	expect(ALL "Disallow: /path/foo-%24", "/path/foo-$", false);
	expect(ALL "Disallow: /path/foo-%24", "/path/foo-%24", false);
	expect(ALL "Disallow: /file-with-a-%2A.html", "/file-with-a-*.html", false);
	expect(ALL "Disallow: /file-with-a-%2A.html", "/file-with-a-b.html", true);
	expect(ALL "Disallow: /a%2fb", "/a/b", true);
	expect(ALL "Disallow: /a%zz", "/a%zz", false);
	expect(ALL "Disallow: /a%", "/a%", false);
	expect(ALL "Disallow: /a%4", "/a%4", false);
	expect(ALL "Disallow: /%4g", "/P", true);
	expect(ALL "Disallow: /%g1", "/%01", true);
}

Test(robots, decodes_what_needs_no_encoding_and_nothing_else, .timeout = 60)
{
	static const char same[] = "abcxyzABCXYZ0189-_~";
	static const char reserved[] = "!&'()+,;=:@/?#[]%", bad[] = "$*\"<>\\^`{|}";
	char rule[64], encoded[8], raw[8];
	for (const char *c = same; *c; c++) {
		snprintf(rule, sizeof rule, ALL "Disallow: /x%c$\n", *c);
		snprintf(encoded, sizeof encoded, "/x%%%02x", (unsigned)*c);
		expect(rule, encoded, false);
	}
	for (const char *c = reserved; *c; c++) {
		snprintf(rule, sizeof rule, ALL "Disallow: /x%%%02x$\n", (unsigned)*c);
		snprintf(encoded, sizeof encoded, "/x%%%02X", (unsigned)*c);
		snprintf(raw, sizeof raw, "/x%c", *c);
		expect(rule, encoded, false);
		expect(rule, raw, true);
	}
	for (const char *c = bad; *c; c++) {
		snprintf(rule, sizeof rule, ALL "Disallow: /x%%%02x$\n", (unsigned)*c);
		snprintf(raw, sizeof raw, "/x%c", *c);
		expect(rule, raw, false);
	}
}

Test(robots, resolves_dots_before_it_compares, .timeout = 60)
{
	static const char text[] = ALL "Disallow: /private\nDisallow: /dir/$\n";
	static const char *const ways[] = {"/x/../private", "/./private",
		"/x/y/../../private/z", "/../../private", "/%2e%2E/private",
		"/x/%2e./private?q", "/private/..x", "/dir/.", "/dir/x/.."};
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		expect(text, ways[i], false);
	}
	static const char *const others[] = {"/private/..", "/x?/../private",
		"/private/../x", "/..private", "/...", "/", "", "?x", "/..", "/."};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		expect(text, others[i], true);
	}
	expect(ALL "Disallow: /?q", "?q", false);
}

Test(robots, may_always_be_fetched_itself, .timeout = 60)
{
	expect(ALL "Disallow: /\n", "/robots.txt", true);
	expect(ALL "Disallow: /\n", "/robots.txt2", false);
	expect(ALL "Disallow: /\n", "/x/robots.txt", false);
}

/* The obvious way to match, which takes its time. */
static bool model(const char *rule, const char *target)
{
	if (!*rule || (rule[0] == '$' && !rule[1])) {
		return !*rule || !*target;
	}
	if (*rule == '*') {
		return model(rule + 1, target) || (*target && model(rule, target + 1));
	}
	return *rule == *target && model(rule + 1, target + 1);
}

static void random_text(uint64_t *state, char *to, const char *letters, size_t max)
{
	size_t len = dice_below(state, max);
	*to++ = '/';
	while (len--) {
		*to++ = letters[dice_below(state, strlen(letters))];
	}
	*to = '\0';
}

Test(robots, matches_as_the_model_does, .timeout = 60)
{
	uint64_t state = 4;
	size_t forbidden = 0;
	for (int round = 0; round < 50000; round++) {
		char rule[20], target[20], text[64];
		random_text(&state, rule, "ab*", 8);
		random_text(&state, target, "ab", 10);
		if (dice_below(&state, 3) == 0) {
			strcat(rule, "$");
		}
		snprintf(text, sizeof text, ALL "Disallow: %s\n", rule);
		expect(text, target, !model(rule, target));
		forbidden += model(rule, target);
	}
	cr_assert(forbidden > 5000 && forbidden < 45000, "%zu", forbidden);
}

/* -------------------------------------------------------------------- delays */

static void expect_delay(const char *lines, unsigned ms)
{
	struct robots *robots = parse_bytes(lines, strlen(lines));
	cr_assert_eq(
		robots_delay_ms(robots), ms, "%s: %u", lines, robots_delay_ms(robots));
	robots_free(robots);
}

Test(robots, reads_a_delay, .timeout = 60)
{
	expect_delay("", 0);
	expect_delay(ALL "Crawl-delay: 10\n", 10000);
	expect_delay(ALL "crawl-DELAY:0.25 # s\n", 250);
	expect_delay(ALL "Crawl-delay: 1.2345678901234567890\n", 1234);
	expect_delay(ALL "Crawl-delay: 2.\n", 2000);
	expect_delay(ALL "Crawl-delay: 86400\n", 60000);
	expect_delay(ALL "Crawl-delay: 60.5\n", 60000);
	expect_delay(ALL "Crawl-delay: 99999999999999999999999\n", 60000);
	expect_delay(ALL "Crawl-delay: 2\nCrawl-delay: 5\nCrawl-delay: 1\n", 5000);
	static const char *const bad[] = {"", "-1", ".5", "1s", "soon", "1,5", "1 2"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char text[64];
		snprintf(text, sizeof text, ALL "Crawl-delay: %s\n", bad[i]);
		expect_delay(text, 0);
	}
	expect_delay(ALL "Crawl-delay: 5\nUser-agent: poolmap\nCrawl-delay: 1\n", 1000);
	expect_delay(ALL "Crawl-delay: 5\nUser-agent: poolmap\nAllow: /\n", 0);
	expect_delay("Crawl-delay: 5\n" ALL "Disallow: /\n", 0);
}

/* --------------------------------------------------------------------- limits */

static void expect_last(struct buf *text, const char *target, bool allowed)
{
	struct robots *robots = parse_bytes(text->data, text->len);
	cr_assert_eq(allows(robots, target), allowed, "%s", target);
	cr_assert_leq(robots_bytes(robots),
		ROBOTS_BYTES_MAX + 64 + ROBOTS_RULES_MAX * (size_t)8);
	robots_free(robots);
	buf_fini(text);
}

Test(robots, reads_500_kib_and_no_half_line, .timeout = 60)
{
	for (int more = 0; more < 2; more++) {
		struct buf text = {0};
		buf_puts(&text, ALL);
		while (text.len < ROBOTS_TEXT_MAX - 10 - 16) {
			buf_puts(&text, "#\n");
		}
		while (text.len < (size_t)ROBOTS_TEXT_MAX - 16 + (size_t)more) {
			buf_puts(&text, "\n");
		}
		buf_puts(&text, "Disallow: /last\n");
		expect_last(&text, "/last", more);
	}
	struct buf text = {0};
	buf_puts(&text, ALL);
	while (text.len < ROBOTS_TEXT_MAX - 11) {
		buf_puts(&text, "\n");
	}
	buf_puts(&text, "Disallow: /private\n");
	expect_last(&text, "/public", true);
}

Test(robots, keeps_so_many_rules_and_no_more, .timeout = 60)
{
	for (int more = 0; more < 2; more++) {
		struct buf text = {0};
		buf_puts(&text, ALL);
		for (int i = 1; i < ROBOTS_RULES_MAX + more; i++) {
			buf_puts(&text, "Disallow: /x\n");
		}
		buf_puts(&text, "Disallow: /last\n");
		expect_last(&text, "/last", more);
	}
}

Test(robots, keeps_so_many_bytes_of_rules, .timeout = 60)
{
	char path[10000];
	memset(path, 'a', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	struct buf text = {0};
	buf_puts(&text, ALL);
	for (int i = 0; i < 20; i++) {
		buf_printf(&text, "Disallow: %s\n", path);
	}
	struct buf short_one = {0};
	buf_put(&short_one, text.data, text.len);
	for (int i = 0; i < 100; i++) {
		buf_puts(&short_one, "Disallow: /last\n");
	}
	buf_puts(&text, "Disallow: /");
	for (int i = 0; i < 2000; i++) {
		buf_puts(&text, "\xE4\xBA\x8C");
	}
	buf_puts(&text, "\n");
	expect_last(&text, "/\xE4\xBA\x8C", true);
	expect_last(&short_one, "/last", false);
}

Test(robots, drops_a_path_beyond_any_url, .timeout = 60)
{
	struct buf text = {0};
	buf_puts(&text, ALL "Disallow: /");
	for (int i = 0; i < ROBOTS_PATH_MAX; i++) {
		buf_puts(&text, "a");
	}
	buf_puts(&text, "\nDisallow: /b\n");
	struct robots *robots = parse_bytes(text.data, text.len);
	char *target = malloc(60001);
	memset(target, 'a', 60000);
	target[0] = '/';
	target[60000] = '\0';
	cr_assert(allows(robots, target));
	target[1] = 'b';
	cr_assert_not(allows(robots, target), "a long target is looked at");
	memset(target + 1, '.', 59999);
	cr_assert(allows(robots, target));
	free(target);
	robots_free(robots);
	buf_fini(&text);
}

Test(robots, reads_what_an_answer_means, .timeout = 60)
{
	for (unsigned code = 0; code < 700; code++) {
		enum robots_answer expected = ROBOTS_UNREACHABLE;
		if (code / 100 == 2) {
			expected = ROBOTS_RULES;
		} else if ((code / 100 == 3 || code / 100 == 4) && code != 429) {
			expected = ROBOTS_NO_RULES;
		}
		cr_assert_eq(robots_answer_of(code), expected, "%u", code);
	}
}

/* -------------------------------------------------------------------- hostile */

Test(robots, survives_damaged_files, .timeout = 60)
{
	static const char seed[] =
		"\xEF\xBB\xBF# x\nUser-agent: *\nCrawl-delay: 1.5\nDisallow: "
		"/a*b/%41$\r\n"
		"Allow: /\n\nUser-agent: poolmap/1\rDisallow: /*.gif$\nAllow: /a/../b\n"
		"Sitemap: http://x/\nDisallow: *\n";
	static const char bytes[] = "*$%/:#\r\n \t.AaUDd2\xEF\xFF";
	uint64_t state = 8;
	size_t forbidden = 0;
	for (int round = 0; round < 50000; round++) {
		char text[sizeof seed], target[24];
		size_t len = sizeof seed - 1;
		memcpy(text, seed, len);
		for (size_t n = 1 + dice_below(&state, 8); n; n--) {
			text[dice_below(&state, len)] =
				bytes[dice_below(&state, sizeof bytes)];
		}
		len = dice_below(&state, 3) ? len : dice_below(&state, len);
		struct robots *robots = parse_bytes(text, len);
		random_text(&state, target, "ab./%41*$?\xE4", 20);
		forbidden += !allows(robots, target);
		cr_assert_leq(robots_delay_ms(robots), ROBOTS_DELAY_MAX_MS);
		robots_free(robots);
	}
	cr_assert_gt(forbidden, 1000, "%zu", forbidden);
}

/* The worst that fits: each rule searches the whole target for a byte that only its
 * end has.  Bounded by the work, not by a clock, in what the limits allow. */
Test(robots, takes_the_worst_rules, .timeout = 60)
{
	struct buf text = {0};
	buf_puts(&text, ALL);
	for (int i = 0; i < ROBOTS_RULES_MAX; i++) {
		buf_puts(&text, "Disallow: /*a*a*a*a*a*a*a*a*ab$\n");
	}
	char *target = malloc(ROBOTS_PATH_MAX + 1);
	memset(target, 'a', ROBOTS_PATH_MAX);
	target[0] = '/';
	target[ROBOTS_PATH_MAX] = '\0';
	struct robots *robots = parse_bytes(text.data, text.len);
	cr_assert(allows(robots, target));
	robots_free(robots);
	free(target);
	buf_fini(&text);
}
