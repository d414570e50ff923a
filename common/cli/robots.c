/* SPDX-License-Identifier: MIT
 *
 * robots - see robots.h.
 *
 * A set of rules is one block of memory: the rules, longest first, and behind them
 * their paths, comparable (robots_path.h).  So the first rule that matches decides.
 */
#include "common/cli/robots.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/cli/robots_path.h"
#include "common/poolmap.h"

struct rule {
	uint32_t at; /* its path: offset in the text */
	uint16_t len;
	bool allow;
	bool to_the_end; /* it had a $ */
};

struct robots {
	size_t bytes;
	unsigned delay_ms;
	unsigned rule_ct;
	const char *text;
	struct rule rules[];
};

struct span {
	const char *at;
	size_t len;
};

/* ------------------------------------------------------------------- verdicts */

bool robots_allows(const struct robots *r, const char *target, size_t len)
{
	static const char own[] = "/robots.txt";
	struct robots_path path;
	if (!r->rule_ct) {
		return true;
	}
	robots_path_target(&path, target, len);
	if (path.len == sizeof own - 1 && memcmp(path.bytes, own, path.len) == 0) {
		return true;
	}
	for (unsigned i = 0; i < r->rule_ct; i++) {
		const struct rule *rule = &r->rules[i];
		if (robots_path_matches(
			    r->text + rule->at, rule->len, rule->to_the_end, &path)) {
			return rule->allow;
		}
	}
	return true;
}

unsigned robots_delay_ms(const struct robots *r)
{
	return r->delay_ms;
}

size_t robots_bytes(const struct robots *r)
{
	return r->bytes;
}

/* ---------------------------------------------------------------------- lines */

enum field { FIELD_OTHER, FIELD_AGENT, FIELD_ALLOW, FIELD_DISALLOW, FIELD_DELAY };

struct line {
	enum field field;
	struct span value;
};

static struct span trimmed(struct span s)
{
	while (s.len && (*s.at == ' ' || *s.at == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t')) {
		s.len--;
	}
	return s;
}

static bool is_word(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.at, word, s.len) == 0;
}

static enum field field_of(struct span name)
{
	static const struct {
		const char *name;
		enum field field;
	} fields[] = {{"user-agent", FIELD_AGENT}, {"allow", FIELD_ALLOW},
		{"disallow", FIELD_DISALLOW}, {"crawl-delay", FIELD_DELAY}};
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		if (is_word(name, fields[i].name)) {
			return fields[i].field;
		}
	}
	return FIELD_OTHER;
}

static size_t until(struct span s, const char *stops, size_t stop_ct)
{
	size_t n = 0;
	while (n < s.len && !memchr(stops, s.at[n], stop_ct)) {
		n++;
	}
	return n;
}

/* Take the next line off the text; CR, LF or both end it. */
static bool next_line(struct span *text, struct line *line)
{
	if (!text->len) {
		return false;
	}
	struct span whole = {text->at, until(*text, "\r\n", 2)};
	size_t taken = whole.len < text->len ? whole.len + 1 : whole.len;
	text->at += taken;
	text->len -= taken;
	whole.len = until(whole, "#", 1);
	size_t colon = until(whole, ":", 1);
	line->field = FIELD_OTHER;
	if (colon < whole.len) {
		line->field = field_of(trimmed((struct span){whole.at, colon}));
		line->value = trimmed(
			(struct span){whole.at + colon + 1, whole.len - colon - 1});
	}
	return true;
}

/* --------------------------------------------------------------------- groups */

/* The product's name alone: "poolmap/1.0 (...)" means poolmap. */
static bool names(struct span agent, const char *product)
{
	size_t len = 0;
	if (*product == '*') {
		return agent.len && *agent.at == '*' &&
		       (agent.len == 1 || agent.at[1] == ' ' || agent.at[1] == '\t');
	}
	while (len < agent.len &&
		((agent.at[len] | 32) >= 'a' && (agent.at[len] | 32) <= 'z')) {
		len++;
	}
	bool more = len < agent.len && (agent.at[len] == '-' || agent.at[len] == '_');
	return !more && is_word((struct span){agent.at, len}, product);
}

static bool has_group(struct span text, const char *product)
{
	struct line line;
	while (next_line(&text, &line)) {
		if (line.field == FIELD_AGENT && names(line.value, product)) {
			return true;
		}
	}
	return false;
}

/* Rules in the making. */
struct draft {
	struct buf rules; /* struct rule each */
	struct buf text;
	unsigned delay_ms;
	struct robots_path path;
};

static size_t rule_ct(const struct draft *d)
{
	return d->rules.len / sizeof(struct rule);
}

/* A rule that is empty, or can match no path, is dropped. */
static int add_rule(struct draft *d, struct span value, bool allow)
{
	struct rule rule = {.at = (uint32_t)d->text.len, .allow = allow};
	if (!value.len || (*value.at != '/' && *value.at != '*')) {
		return 0;
	}
	robots_path_pattern(&d->path, value.at, value.len, &rule.to_the_end);
	if (d->path.full || rule_ct(d) >= ROBOTS_RULES_MAX ||
		d->path.len > ROBOTS_BYTES_MAX - d->text.len) {
		return 0;
	}
	rule.len = (uint16_t)d->path.len;
	int err = buf_put(&d->text, d->path.bytes, d->path.len);
	return err ? err : buf_put(&d->rules, &rule, sizeof rule);
}

/* Seconds with up to three decimals that count; several: the longest. */
static void add_delay(struct draft *d, struct span value)
{
	unsigned ms = 0, unit = 1000;
	size_t i = 0;
	for (; i < value.len && value.at[i] >= '0' && value.at[i] <= '9'; i++) {
		ms = ms * 10 + (unsigned)(value.at[i] - '0') * 1000;
		ms = ms < ROBOTS_DELAY_MAX_MS ? ms : ROBOTS_DELAY_MAX_MS;
	}
	if (i && i < value.len && value.at[i] == '.') {
		for (i++; i < value.len && value.at[i] >= '0' && value.at[i] <= '9';
			i++) {
			unit /= 10;
			ms += unit * (unsigned)(value.at[i] - '0');
		}
	}
	if (i < value.len) {
		return;
	}
	ms = ms < ROBOTS_DELAY_MAX_MS ? ms : ROBOTS_DELAY_MAX_MS;
	/* cppcheck-suppress knownConditionTrueFalse ; ms is not always the maximum */
	d->delay_ms = ms > d->delay_ms ? ms : d->delay_ms;
}

/* Agents that follow each other begin one group; a rule ends the list of agents. */
static int read_groups(struct draft *d, struct span text, const char *product)
{
	struct line line;
	bool ours = false, in_agents = false;
	int err = 0;
	while (!err && next_line(&text, &line)) {
		switch (line.field) {
		case FIELD_AGENT:
			ours = (in_agents && ours) || names(line.value, product);
			in_agents = true;
			break;
		case FIELD_ALLOW:
		case FIELD_DISALLOW:
			in_agents = false;
			if (ours) {
				err = add_rule(
					d, line.value, line.field == FIELD_ALLOW);
			}
			break;
		case FIELD_DELAY:
			if (ours) {
				add_delay(d, line.value);
			}
			break;
		case FIELD_OTHER:
			break;
		}
	}
	return err;
}

/* ------------------------------------------------------------------- the whole */

/* Of its path and the $. */
static int length(const struct rule *rule)
{
	return (int)rule->len + rule->to_the_end;
}

static int by_length(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;
	int longer = length(y) - length(x);
	return longer ? longer : (int)y->allow - (int)x->allow;
}

static int finish(struct robots **out, struct draft *d)
{
	size_t bytes = sizeof(struct robots) + d->rules.len + d->text.len;
	struct robots *r = malloc(bytes);
	if (!r) {
		return PM_ENOMEM;
	}
	*r = (struct robots){.bytes = bytes,
		.delay_ms = d->delay_ms,
		.rule_ct = (unsigned)rule_ct(d)};
	char *text = (char *)(r->rules + r->rule_ct);
	r->text = text;
	if (r->rule_ct) {
		memcpy(r->rules, d->rules.data, d->rules.len);
		memcpy(text, d->text.data, d->text.len);
		qsort(r->rules, r->rule_ct, sizeof r->rules[0], by_length);
	}
	*out = r;
	return 0;
}

/* Without a byte order mark, and without what is too much: up to the last line that
 * is there as a whole, for half a path would forbid more than was meant. */
static struct span readable(const char *text, size_t len)
{
	struct span s = {text, len};
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		s.at += 3;
		s.len -= 3;
	}
	if (s.len > ROBOTS_TEXT_MAX) {
		s.len = ROBOTS_TEXT_MAX;
		while (s.len && s.at[s.len - 1] != '\n' && s.at[s.len - 1] != '\r') {
			s.len--;
		}
	}
	return s;
}

int robots_parse(struct robots **robots, const char *text, size_t len)
{
	struct span s = readable(text, len);
	struct draft *d = calloc(1, sizeof *d);
	if (!d) {
		return PM_ENOMEM;
	}
	int err =
		read_groups(d, s, has_group(s, ROBOTS_PRODUCT) ? ROBOTS_PRODUCT : "*");
	if (!err) {
		err = finish(robots, d);
	}
	buf_fini(&d->rules);
	buf_fini(&d->text);
	free(d);
	return err;
}

void robots_free(struct robots *robots)
{
	free(robots);
}

enum robots_answer robots_answer_of(unsigned http_code)
{
	if (http_code >= 200 && http_code < 300) {
		return ROBOTS_RULES;
	}
	/* A redirect is one that was not followed any further: RFC 9309, 2.3.1.2. */
	bool none = http_code >= 300 && http_code < 500 && http_code != 429;
	return none ? ROBOTS_NO_RULES : ROBOTS_UNREACHABLE;
}
