/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/polite: robots.txt once and first, what an answer means, how
 * long it is kept, what is forgotten; and random runs against a model.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/robots.h"
#include "master/cli/polite.h"
#include "tests/unit/dice.h"

#define LANE "http://a.com"
#define RULES "User-agent: *\nDisallow: /no\nCrawl-delay: 10\n"

/* What the hooks were told. */
struct rig {
	struct polite *polite;
	struct settings settings;
	unsigned fetch_ct, limits_ct;
	char url[600], lane[PM_LANE_MAX + 1];
	struct pm_lane_limits limits; /* of the last call */
	const char *at_once;          /* answer from inside the hook; NULL: do not */
};

static void on_fetch(void *ctx, const char *lane, const char *url)
{
	struct rig *rig = ctx;
	rig->fetch_ct++;
	snprintf(rig->url, sizeof rig->url, "%s", url);
	if (rig->at_once) {
		polite_answer(rig->polite, lane, 0,
			&(struct polite_reply){.http_code = 200,
				.body = rig->at_once,
				.len = strlen(rig->at_once)});
	}
}

static void on_limits(void *ctx, const char *lane, const struct pm_lane_limits *limits)
{
	struct rig *rig = ctx;
	rig->limits_ct++;
	snprintf(rig->lane, sizeof rig->lane, "%s", lane);
	rig->limits = *limits;
}

static void open_rig(struct rig *rig, size_t hosts_max, size_t bytes_max)
{
	*rig = (struct rig){.settings = {.polite = true}};
	struct polite_options options = {.settings = &rig->settings,
		.hooks = {.fetch = on_fetch, .limits = on_limits, .ctx = rig},
		.hosts_max = hosts_max,
		.bytes_max = bytes_max};
	cr_assert_eq(polite_open(&rig->polite, &options), 0);
}

static void answer(struct rig *rig, const char *lane, uint64_t now_ms, unsigned code,
	const char *body)
{
	polite_answer(rig->polite, lane, now_ms,
		&(struct polite_reply){.http_code = code,
			.error = code ? 0 : PM_EDNS,
			.body = body,
			.len = strlen(body)});
}

/* A job of the lane is read, and the lane is new. */
static struct pm_lane_limits enter(struct rig *rig, const char *lane, uint64_t now_ms)
{
	struct pm_lane_limits limits = {.concurrency = 77};
	cr_assert_eq(polite_take(rig->polite, lane), 0);
	polite_lane(rig->polite, lane, now_ms, &limits);
	return limits;
}

static bool admits(struct rig *rig, const char *lane, const char *path, uint64_t now_ms)
{
	return !polite_admit(rig->polite, lane, path, strlen(path), now_ms);
}

Test(polite, holds_a_lane_until_its_rules_are_there, .timeout = 60)
{
	struct rig rig;
	open_rig(&rig, 0, 0);
	struct pm_lane_limits limits = enter(&rig, LANE, 0);
	cr_assert(limits.hold);
	cr_assert_eq(rig.fetch_ct, 1);
	cr_assert_str_eq(rig.url, "http://a.com/robots.txt");
	cr_assert_not(admits(&rig, LANE, "/yes", 0), "too early");
	answer(&rig, LANE, 5, 200, RULES);
	cr_assert_eq(rig.limits_ct, 1);
	cr_assert_str_eq(rig.lane, LANE);
	cr_assert_not(rig.limits.hold);
	cr_assert_eq(rig.limits.concurrency, 1);
	cr_assert_float_eq(rig.limits.rate, 0.1, 1e-9, "its Crawl-delay");
	cr_assert(admits(&rig, LANE, "/yes", 6));
	cr_assert_not(admits(&rig, LANE, "/no/x", 6));
	cr_assert_str_eq(polite_admit(rig.polite, LANE, "/no", 3, 6),
		"the host's robots.txt forbids this path");
	limits = enter(&rig, LANE, 7);
	cr_assert_not(limits.hold);
	cr_assert_float_eq(limits.rate, 0.1, 1e-9);
	cr_assert_eq(rig.fetch_ct, 1, "once");
	polite_close(rig.polite);
}

Test(polite, takes_an_answer_from_inside_the_hook, .timeout = 60)
{
	struct rig rig;
	open_rig(&rig, 1, 0);
	rig.at_once = RULES;
	struct pm_lane_limits limits = enter(&rig, LANE, 0);
	cr_assert_not(limits.hold);
	cr_assert_float_eq(limits.rate, 0.1, 1e-9);
	cr_assert_not(admits(&rig, LANE, "/no", 0));
	polite_lane(rig.polite, "http://never.taken", 0, &limits);
	cr_assert_eq(rig.fetch_ct, 1);
	cr_assert_not(admits(&rig, "http://never.taken", "/", 0));
	polite_close(rig.polite);
}

static void expect_answer(unsigned code, bool allowed, const char *why)
{
	struct rig rig;
	open_rig(&rig, 0, 0);
	enter(&rig, LANE, 0);
	answer(&rig, LANE, 0, code, RULES);
	cr_assert_eq(rig.limits_ct, 1, "%u", code);
	cr_assert_not(rig.limits.hold);
	const char *said = polite_admit(rig.polite, LANE, "/no", 3, 0);
	cr_assert_eq(said == NULL, allowed, "%u", code);
	if (why) {
		cr_assert_str_eq(said, why);
	}
	polite_close(rig.polite);
}

Test(polite, takes_an_answer_as_the_rfc_does, .timeout = 60)
{
	expect_answer(200, false, "the host's robots.txt forbids this path");
	expect_answer(404, true, NULL);
	expect_answer(403, true, NULL);
	expect_answer(302, true, NULL);
	expect_answer(503, false,
		"http://a.com/robots.txt cannot be read (status 503), so nothing may "
		"be "
		"fetched");
	expect_answer(429, false, NULL);
	expect_answer(0, false,
		"http://a.com/robots.txt cannot be read (the host name cannot be "
		"resolved), so nothing may "
		"be "
		"fetched");
}

Test(polite, leaves_other_limits_as_they_are, .timeout = 60)
{
	struct rig rig;
	struct host_rule rule = {.pattern = "a.com", .per_host = 3, .host_rate = 20};
	open_rig(&rig, 0, 0);
	rig.settings.host_rules = &rule;
	rig.settings.host_rule_ct = 1;
	enter(&rig, LANE, 0);
	answer(&rig, LANE, 0, 404, "");
	cr_assert_eq(rig.limits.concurrency, 3);
	cr_assert_float_eq(rig.limits.rate, 20, 1e-9);
	polite_close(rig.polite);
}

Test(polite, lets_lines_without_a_host_pass, .timeout = 60)
{
	struct rig rig;
	open_rig(&rig, 0, 0);
	struct pm_lane_limits limits = enter(&rig, "", 0);
	cr_assert_not(limits.hold);
	cr_assert(admits(&rig, "", "/", 0));
	polite_drop(rig.polite, "");
	cr_assert(rig.fetch_ct == 0 && polite_host_ct(rig.polite) == 0);
	polite_close(rig.polite);
}

Test(polite, ignores_answers_that_nobody_waits_for, .timeout = 60)
{
	struct rig rig;
	open_rig(&rig, 0, 0);
	answer(&rig, LANE, 0, 200, RULES);
	polite_drop(rig.polite, LANE);
	cr_assert(rig.limits_ct == 0 && polite_host_ct(rig.polite) == 0);
	enter(&rig, LANE, 0);
	answer(&rig, LANE, 0, 404, "");
	answer(&rig, LANE, 0, 200, RULES);
	cr_assert_eq(rig.limits_ct, 1);
	cr_assert(admits(&rig, LANE, "/no", 0));
	polite_close(rig.polite);
}

/* ------------------------------------------------------------------------- age */

Test(polite, asks_again_after_a_day, .timeout = 60)
{
	struct rig rig;
	open_rig(&rig, 0, 0);
	enter(&rig, LANE, 1000);
	answer(&rig, LANE, 1000, 200, RULES);
	uint64_t next_day = 1000 + POLITE_FRESH_MS;
	cr_assert_not(enter(&rig, LANE, next_day - 1).hold);
	cr_assert_eq(rig.fetch_ct, 1);
	cr_assert(enter(&rig, LANE, next_day).hold, "a lane that is new waits");
	cr_assert_eq(rig.fetch_ct, 2);
	answer(&rig, LANE, next_day, 404, "");
	cr_assert(!rig.limits.hold && admits(&rig, LANE, "/no", next_day));
	polite_close(rig.polite);
}

Test(polite, asks_again_while_a_host_has_jobs, .timeout = 60)
{
	struct rig rig;
	open_rig(&rig, 0, 0);
	enter(&rig, LANE, 0);
	answer(&rig, LANE, 0, 200, RULES);
	uint64_t later = POLITE_FRESH_MS;
	cr_assert_not(admits(&rig, LANE, "/no", later), "by the old rules");
	cr_assert(admits(&rig, LANE, "/", later));
	cr_assert_eq(rig.fetch_ct, 2, "once");
	answer(&rig, LANE, later, 503, "");
	cr_assert(admits(&rig, LANE, "/", later), "the old ones are better than none");
	cr_assert_not(admits(&rig, LANE, "/no", later));
	cr_assert_eq(rig.fetch_ct, 2);
	cr_assert(admits(&rig, LANE, "/", later + POLITE_AGAIN_MS));
	cr_assert_eq(rig.fetch_ct, 3);
	answer(&rig, LANE, later + POLITE_AGAIN_MS, 200, "");
	cr_assert(admits(&rig, LANE, "/no", later + POLITE_AGAIN_MS));
	polite_close(rig.polite);
}

Test(polite, asks_an_unreachable_host_again_soon, .timeout = 60)
{
	struct rig rig;
	open_rig(&rig, 0, 0);
	enter(&rig, LANE, 0);
	answer(&rig, LANE, 0, 0, "");
	cr_assert_not(admits(&rig, LANE, "/", POLITE_AGAIN_MS - 1));
	cr_assert_eq(rig.fetch_ct, 1);
	cr_assert_not(admits(&rig, LANE, "/", POLITE_AGAIN_MS));
	cr_assert_eq(rig.fetch_ct, 2);
	answer(&rig, LANE, POLITE_AGAIN_MS, 200, RULES);
	cr_assert(admits(&rig, LANE, "/", POLITE_AGAIN_MS));
	polite_close(rig.polite);
}

/* ---------------------------------------------------------------------- memory */

static void lane_name(char name[32], size_t i)
{
	snprintf(name, 32, "http://h%zu.com", i);
}

Test(polite, forgets_hosts_without_jobs_only, .timeout = 60)
{
	struct rig rig;
	char name[32];
	open_rig(&rig, 10, 0);
	rig.at_once = RULES;
	for (size_t i = 0; i < 1000; i++) {
		lane_name(name, i);
		enter(&rig, name, 0);
	}
	cr_assert_eq(polite_host_ct(rig.polite), 1000, "all have jobs");
	for (size_t i = 0; i < 1000; i++) {
		lane_name(name, i);
		cr_assert(admits(&rig, name, "/", 0));
		polite_drop(rig.polite, name);
	}
	cr_assert_eq(polite_host_ct(rig.polite), 10);
	cr_assert_eq(rig.fetch_ct, 1000);
	for (size_t i = 990; i < 1000; i++) {
		lane_name(name, i);
		cr_assert_not(enter(&rig, name, 0).hold);
	}
	cr_assert_eq(rig.fetch_ct, 1000, "the last ones are remembered");
	polite_close(rig.polite);
}

Test(polite, bounds_the_bytes_of_all_rules, .timeout = 60)
{
	struct rig rig;
	char name[32], last[32];
	struct robots *one;
	cr_assert_eq(robots_parse(&one, RULES, strlen(RULES)), 0);
	size_t bytes = robots_bytes(one);
	robots_free(one);
	open_rig(&rig, 0, 5 * bytes);
	rig.at_once = RULES;
	for (size_t i = 0; i < 20; i++) {
		lane_name(name, i);
		enter(&rig, name, 0);
		polite_drop(rig.polite, name);
		cr_assert_leq(polite_rule_bytes(rig.polite), 5 * bytes);
	}
	cr_assert_eq(polite_host_ct(rig.polite), 5);
	for (size_t i = 100; i < 105; i++) {
		lane_name(name, i);
		enter(&rig, name, 0);
		cr_assert(admits(&rig, name, "/", 0));
	}
	lane_name(last, 105);
	enter(&rig, last, 0);
	cr_assert_str_eq(polite_admit(rig.polite, last, "/", 1, 0),
		"http://h105.com/robots.txt cannot be read (no room for its rules), so "
		"nothing may be fetched");
	cr_assert_leq(polite_rule_bytes(rig.polite), 5 * bytes);
	for (size_t i = 100; i < 105; i++) {
		lane_name(name, i);
		polite_drop(rig.polite, name);
	}
	cr_assert(admits(&rig, last, "/", POLITE_AGAIN_MS), "there is room again");
	polite_close(rig.polite);
}

Test(polite, has_room_for_the_longest_name, .timeout = 60)
{
	struct rig rig;
	char lane[PM_LANE_MAX + 1];
	memset(lane, 'a', PM_LANE_MAX);
	memcpy(lane, "https://", 8);
	lane[PM_LANE_MAX] = '\0';
	open_rig(&rig, 0, 0);
	enter(&rig, lane, 0);
	cr_assert_eq(strlen(rig.url), PM_LANE_MAX + strlen("/robots.txt"));
	answer(&rig, lane, 0, 500, "");
	const char *why = polite_admit(rig.polite, lane, "/", 1, 0);
	cr_assert_not_null(strstr(why, "nothing may be fetched"), "%s", why);
	polite_close(rig.polite);
}

/* ----------------------------------------------------------------------- a model */

enum { MODEL_HOSTS = 12 };

/* What is known of a host by somebody who saw every call, but for what was forgotten:
 * a request for the first job of a host may mean that, so it does not fail here. */
struct model {
	unsigned jobs;
	bool asked; /* and not answered */
	bool fresh; /* asked for a host that may have been forgotten */
	bool known;
	unsigned code;
	uint64_t since_ms;
	bool forbids;
};

struct play {
	struct polite *polite;
	struct settings settings;
	struct model models[MODEL_HOSTS];
};

static size_t number_in(const char *lane)
{
	return (size_t)strtoul(lane + strlen("http://h"), NULL, 10);
}

static void play_fetch(void *ctx, const char *lane, const char *url)
{
	struct play *play = ctx;
	(void)url;
	struct model *m = &play->models[number_in(lane)];
	cr_assert_not(m->asked, "two requests for one robots.txt");
	cr_assert_gt(m->jobs, 0, "asked for a host without jobs");
	m->asked = true;
	m->fresh = m->jobs == 1;
}

static void play_limits(
	void *ctx, const char *lane, const struct pm_lane_limits *limits)
{
	struct play *play = ctx;
	cr_assert_not(play->models[number_in(lane)].asked);
	cr_assert_not(limits->hold);
}

static void play_answer(struct play *play, uint64_t *state, size_t i, uint64_t now_ms)
{
	static const unsigned codes[] = {200, 200, 404, 503, 0};
	struct model *m = &play->models[i];
	unsigned code = codes[dice_below(state, m->fresh ? 3 : 5)];
	bool forbids = dice_below(state, 2);
	const char *body = forbids ? "User-agent: *\nDisallow: /\n" : "";
	char name[32];
	lane_name(name, i);
	if (!m->asked) {
		return;
	}
	m->asked = m->fresh = false;
	if (code == 200 || code == 404 || !m->known || m->code == 503 || m->code == 0) {
		m->code = code;
		m->forbids = code == 200 ? forbids : code != 404;
	}
	m->known = true;
	m->since_ms = now_ms;
	polite_answer(play->polite, name, now_ms,
		&(struct polite_reply){.http_code = code,
			.error = code ? 0 : PM_EDNS,
			.body = body,
			.len = strlen(body)});
}

static void play_one(struct play *play, uint64_t *state, uint64_t now_ms)
{
	char name[32];
	size_t i = dice_below(state, MODEL_HOSTS);
	struct model *m = &play->models[i];
	struct pm_lane_limits limits;
	lane_name(name, i);
	switch (dice_below(state, 4)) {
	case 0:
		m->jobs++;
		cr_assert_eq(polite_take(play->polite, name), 0);
		polite_lane(play->polite, name, now_ms, &limits);
		cr_assert(!limits.hold || m->asked, "held for nothing");
		cr_assert(limits.hold || (m->known && !m->fresh),
			"begins before its rules are known");
		cr_assert(limits.hold || now_ms - m->since_ms < POLITE_FRESH_MS, "old");
		break;
	case 1:
		if (m->jobs) {
			m->jobs--;
			polite_drop(play->polite, name);
		}
		break;
	case 2:
		play_answer(play, state, i, now_ms);
		break;
	default:
		if (m->jobs && !m->fresh) {
			const char *why =
				polite_admit(play->polite, name, "/", 1, now_ms);
			cr_assert_eq(why == NULL, m->known && !m->forbids, "%s", why);
		}
	}
	size_t max = 3;
	for (size_t k = 0; k < MODEL_HOSTS; k++) {
		max += play->models[k].jobs || play->models[k].asked;
	}
	cr_assert_leq(polite_host_ct(play->polite), max);
}

Test(polite, plays_by_its_rules, .timeout = 60)
{
	uint64_t state = 6, now_ms = 0;
	struct play *play = calloc(1, sizeof *play);
	struct polite_options options = {.settings = &play->settings,
		.hooks = {.fetch = play_fetch, .limits = play_limits, .ctx = play},
		.hosts_max = 3};
	cr_assert_eq(polite_open(&play->polite, &options), 0);
	for (int round = 0; round < 50000; round++) {
		now_ms += dice_below(&state, 100) ? dice_below(&state, 1000)
						  : dice_below(&state, POLITE_FRESH_MS);
		play_one(play, &state, now_ms);
		if (dice_below(&state, 1000) == 0) {
			polite_close(play->polite);
			memset(play->models, 0, sizeof play->models);
			cr_assert_eq(polite_open(&play->polite, &options), 0);
		}
	}
	polite_close(play->polite);
	free(play);
}
