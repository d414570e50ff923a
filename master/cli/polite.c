/* SPDX-License-Identifier: MIT
 *
 * polite - see polite.h.
 *
 * A host is in the table from its first job on.  It is in `idle`, the one that was
 * used last at the end, while it has no jobs and no request under way; from there it is
 * forgotten when there are too many.
 */
#include "master/cli/polite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/host_rules.h"
#include "common/cli/robots.h"
#include "common/list.h"
#include "common/name_hash.h"

struct host {
	struct list_node idle;
	struct host *next; /* of the same place in the table */
	uint64_t hash;
	unsigned jobs;
	bool is_idle;
	bool fetching;
	bool known;  /* there has been an answer */
	bool behind; /* it is old, and the lane waits for a new one */
	enum robots_answer answer;
	unsigned http_code;
	int error;             /* with http_code 0 */
	uint64_t until_ms;     /* the answer is good */
	struct robots *robots; /* for ROBOTS_RULES */
	char lane[];
};

struct polite {
	struct polite_options options;
	struct host **table; /* by hash; a power of two */
	size_t cap, ct;
	struct list idle;
	size_t rule_bytes;
	char text[PM_LANE_MAX + 192]; /* URL or message */
};

/* --------------------------------------------------------------------- the table */

static struct host **place(struct polite *p, uint64_t hash)
{
	return &p->table[hash & (p->cap - 1)];
}

static struct host *find(struct polite *p, const char *lane)
{
	uint64_t hash = name_hash(lane, strlen(lane));
	struct host *h = *place(p, hash);
	while (h && (h->hash != hash || strcmp(h->lane, lane) != 0)) {
		h = h->next;
	}
	return h;
}

static bool grow(struct polite *p)
{
	struct host **old = p->table;
	size_t old_cap = p->cap;
	p->table = calloc(old_cap * 2, sizeof(struct host *));
	if (!p->table) {
		p->table = old;
		return false;
	}
	p->cap = old_cap * 2;
	for (size_t i = 0; i < old_cap; i++) {
		for (struct host *h = old[i], *next; h; h = next) {
			next = h->next;
			h->next = *place(p, h->hash);
			*place(p, h->hash) = h;
		}
	}
	free(old);
	return true;
}

static struct host *add(struct polite *p, const char *lane)
{
	size_t len = strlen(lane);
	if (p->ct >= p->cap && !grow(p)) {
		return NULL;
	}
	struct host *h = calloc(1, sizeof *h + len + 1);
	if (!h) {
		return NULL;
	}
	memcpy(h->lane, lane, len + 1);
	h->hash = name_hash(lane, len);
	h->next = *place(p, h->hash);
	*place(p, h->hash) = h;
	p->ct++;
	return h;
}

static void set_rules(struct polite *p, struct host *h, struct robots *robots)
{
	if (h->robots) {
		p->rule_bytes -= robots_bytes(h->robots);
		robots_free(h->robots);
	}
	h->robots = robots;
	if (robots) {
		p->rule_bytes += robots_bytes(robots);
	}
}

/* It is in no list. */
static void forget(struct polite *p, struct host *h)
{
	struct host **at = place(p, h->hash);
	while (*at != h) {
		at = &(*at)->next;
	}
	*at = h->next;
	p->ct--;
	set_rules(p, h, NULL);
	free(h);
}

/* ------------------------------------------------------------------------- idle */

/* False when all have jobs. */
static bool forget_oldest(struct polite *p)
{
	struct list_node *n = list_pop_front(&p->idle);
	if (n) {
		forget(p, list_entry(n, struct host, idle));
	}
	return n;
}

/* Room for so many more bytes of rules; false: hosts with jobs have it all. */
static bool make_room(struct polite *p, size_t bytes)
{
	size_t max = p->options.bytes_max;
	if (bytes > max) {
		return false;
	}
	while (p->rule_bytes > max - bytes) {
		if (!forget_oldest(p)) {
			return false;
		}
	}
	return true;
}

/* Put it where it belongs.  It may be gone then. */
static void settle(struct polite *p, struct host *h)
{
	if (h->is_idle) {
		list_remove(&p->idle, &h->idle);
	}
	h->is_idle = !h->jobs && !h->fetching;
	if (h->is_idle) {
		list_push_back(&p->idle, &h->idle);
	}
	while (p->idle.ct > p->options.hosts_max) {
		forget_oldest(p);
	}
}

int polite_take(struct polite *p, const char *lane)
{
	if (!*lane) {
		return 0;
	}
	struct host *h = find(p, lane);
	h = h ? h : add(p, lane);
	if (!h) {
		return PM_ENOMEM;
	}
	h->jobs++;
	settle(p, h);
	return 0;
}

void polite_drop(struct polite *p, const char *lane)
{
	struct host *h = find(p, lane);
	if (h && h->jobs) {
		h->jobs--;
		settle(p, h);
	}
}

/* ----------------------------------------------------------------------- fetching */

/* The hook may answer from inside. */
static void fetch(struct polite *p, struct host *h)
{
	h->fetching = true;
	settle(p, h);
	snprintf(p->text, sizeof p->text, "%s/robots.txt", h->lane);
	p->options.hooks.fetch(p->options.hooks.ctx, h->lane, p->text);
}

static bool is_old(const struct host *h, uint64_t now_ms)
{
	return !h->known || now_ms >= h->until_ms;
}

static void limits_of(
	const struct polite *p, const struct host *h, struct pm_lane_limits *limits)
{
	host_limits(limits, p->options.settings, h->lane);
	limits->hold = !h->known || h->behind;
	if (h->robots) {
		host_limits_space(limits, robots_delay_ms(h->robots));
	}
}

void polite_lane(struct polite *p, const char *lane, uint64_t now_ms,
	struct pm_lane_limits *limits)
{
	struct host *h = *lane ? find(p, lane) : NULL;
	if (!h) {
		host_limits(limits, p->options.settings, lane);
		return;
	}
	if (is_old(h, now_ms)) {
		h->behind = true;
		if (!h->fetching) {
			h->jobs++; /* it must outlive the hook */
			fetch(p, h);
			h->jobs--;
		}
	}
	limits_of(p, h, limits);
	settle(p, h);
}

/* --------------------------------------------------------------------- the answer */

/* The rules in an answer, as far as there are some and there is room. */
static enum robots_answer read_answer(
	struct polite *p, const struct polite_reply *reply, struct robots **robots)
{
	enum robots_answer answer = robots_answer_of(reply->http_code);
	*robots = NULL;
	if (answer == ROBOTS_RULES && robots_parse(robots, reply->body, reply->len)) {
		return ROBOTS_UNREACHABLE;
	}
	if (*robots && !make_room(p, robots_bytes(*robots))) {
		robots_free(*robots);
		*robots = NULL;
		return ROBOTS_UNREACHABLE;
	}
	return answer;
}

void polite_answer(struct polite *p, const char *lane, uint64_t now_ms,
	const struct polite_reply *reply)
{
	struct host *h = find(p, lane);
	struct robots *robots;
	if (!h || !h->fetching) {
		return;
	}
	enum robots_answer answer = read_answer(p, reply, &robots);
	bool failed = answer == ROBOTS_UNREACHABLE;
	if (!failed || !h->known || h->answer == ROBOTS_UNREACHABLE) {
		set_rules(p, h, robots);
		h->answer = answer;
		h->http_code = reply->http_code;
		h->error = reply->error;
	}
	h->until_ms = now_ms + (failed ? POLITE_AGAIN_MS : POLITE_FRESH_MS);
	h->fetching = h->behind = false;
	h->known = true;
	struct pm_lane_limits limits;
	limits_of(p, h, &limits);
	settle(p, h);
	p->options.hooks.limits(p->options.hooks.ctx, lane, &limits);
}

/* --------------------------------------------------------------------- admission */

static const char *unreachable(struct polite *p, const struct host *h)
{
	char why[80];
	snprintf(why, sizeof why, "%s", pm_error_text(h->error));
	if (robots_answer_of(h->http_code) == ROBOTS_RULES) {
		snprintf(why, sizeof why, "no room for its rules");
	} else if (h->http_code) {
		snprintf(why, sizeof why, "status %u", h->http_code);
	}
	snprintf(p->text, sizeof p->text,
		"%s/robots.txt cannot be read (%s), so nothing may be fetched", h->lane,
		why);
	return p->text;
}

/* Rules that grow old while their host has jobs are still good enough until there are
 * new ones; it is asked for them meanwhile. */
const char *polite_admit(struct polite *p, const char *lane, const char *target,
	size_t len, uint64_t now_ms)
{
	if (!*lane) {
		return NULL;
	}
	struct host *h = find(p, lane);
	if (!h || !h->known) {
		return "the host's robots.txt is not known";
	}
	if (is_old(h, now_ms) && !h->fetching) {
		h->jobs++;
		fetch(p, h);
		h->jobs--;
		settle(p, h);
	}
	if (h->answer == ROBOTS_UNREACHABLE) {
		return unreachable(p, h);
	}
	if (h->robots && !robots_allows(h->robots, target, len)) {
		return "the host's robots.txt forbids this path";
	}
	return NULL;
}

/* ---------------------------------------------------------------------- the whole */

int polite_open(struct polite **polite, const struct polite_options *options)
{
	struct polite *p = calloc(1, sizeof *p);
	if (!p) {
		return PM_ENOMEM;
	}
	p->options = *options;
	if (!p->options.hosts_max) {
		p->options.hosts_max = POLITE_HOSTS_MAX;
	}
	if (!p->options.bytes_max) {
		p->options.bytes_max = POLITE_BYTES_MAX;
	}
	list_init(&p->idle);
	p->cap = 64;
	p->table = calloc(p->cap, sizeof(struct host *));
	if (!p->table) {
		free(p);
		return PM_ENOMEM;
	}
	*polite = p;
	return 0;
}

void polite_close(struct polite *p)
{
	if (!p) {
		return;
	}
	for (size_t i = 0; i < p->cap; i++) {
		for (struct host *h = p->table[i], *next; h; h = next) {
			next = h->next;
			robots_free(h->robots);
			free(h);
		}
	}
	free(p->table);
	free(p);
}

size_t polite_host_ct(const struct polite *p)
{
	return p->ct;
}

size_t polite_rule_bytes(const struct polite *p)
{
	return p->rule_bytes;
}
