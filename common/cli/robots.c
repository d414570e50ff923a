/* SPDX-License-Identifier: MIT
 *
 * robots - see robots.h.
 *
 * A set of rules is one block of memory: the rules, longest first, and behind them
 * their paths, without wildcards in a row and with everything percent-encoded that
 * could be.  So the first rule that matches decides, and matching is a comparison of
 * bytes, with a search for each wildcard: linear in the target for every rule.
 */
#include "common/cli/robots.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
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

/* --------------------------------------------------------- comparable paths */

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX at the start of the span stands for; -1: it is none. */
static int encoded_byte(struct span text)
{
	if (text.len < 3 || *text.at != '%') {
		return -1;
	}
	int high = hex_digit(text.at[1]), low = hex_digit(text.at[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* A path in the making.  One that is full takes no more, and says so. */
struct path {
	char bytes[ROBOTS_PATH_MAX];
	size_t len;
	bool full;
};

static void put(struct path *path, const char *bytes, size_t len)
{
	if (path->full || sizeof path->bytes - path->len < len) {
		path->full = true;
		return;
	}
	memcpy(path->bytes + path->len, bytes, len);
	path->len += len;
}

static void put_encoded(struct path *path, int byte)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[3] = {'%', digits[byte >> 4 & 15], digits[byte & 15]};
	put(path, text, 3);
}

/* What no URL may have as it is, though some do; and what a rule could not tell from
 * a wildcard. */
static bool is_encoded_always(unsigned char c)
{
	return c <= ' ' || c >= 0x7f || strchr("*$\"<>\\^`{|}", c);
}

/* Take one byte, or what stands for one. */
static void put_literal(struct path *path, struct span *text)
{
	int byte = encoded_byte(*text);
	size_t taken = byte < 0 ? 1 : 3;
	unsigned char c = byte < 0 ? (unsigned char)*text->at : (unsigned char)byte;
	if (byte < 0 ? is_encoded_always(c) : !is_unreserved(c)) {
		put_encoded(path, c);
	} else {
		put(path, (const char[]){(char)c}, 1);
	}
	text->at += taken;
	text->len -= taken;
}

/* Resolve "." and ".." of the first `len` bytes, which begin with a slash; returns how
 * many are left. */
static size_t resolve_dots(char *path, size_t len)
{
	size_t kept = 0, end;
	for (size_t at = 0; at < len; at = end) {
		for (end = at + 1; end < len && path[end] != '/'; end++) {
		}
		size_t name_len = end - at - 1;
		bool dot = name_len == 1 && path[at + 1] == '.';
		bool dots = name_len == 2 && path[at + 1] == '.' && path[at + 2] == '.';
		while (dots && kept && path[--kept] != '/') {
		}
		if (!dot && !dots) {
			memmove(path + kept, path + at, end - at);
			kept += end - at;
		} else if (end == len) {
			path[kept++] = '/';
		}
	}
	return kept;
}

static void set_target(struct path *path, struct span target)
{
	path->len = 0;
	path->full = false;
	if (!target.len || *target.at != '/') {
		put(path, "/", 1);
	}
	while (target.len && !path->full) {
		put_literal(path, &target);
	}
	const char *query = memchr(path->bytes, '?', path->len);
	size_t before = query ? (size_t)(query - path->bytes) : path->len;
	size_t kept = resolve_dots(path->bytes, before);
	memmove(path->bytes + kept, path->bytes + before, path->len - before);
	path->len -= before - kept;
}

/* ------------------------------------------------------------------- matching */

static bool matches(const struct robots *r, const struct rule *rule, struct span target)
{
	struct span left = {r->text + rule->at, rule->len};
	const char *star = memchr(left.at, '*', left.len);
	size_t len = star ? (size_t)(star - left.at) : left.len;
	if (target.len < len || memcmp(left.at, target.at, len) != 0) {
		return false;
	}
	target.at += len;
	target.len -= len;
	while (star) {
		left.len -= len + 1;
		left.at = star + 1;
		star = memchr(left.at, '*', left.len);
		len = star ? (size_t)(star - left.at) : left.len;
		if (!star && rule->to_the_end) {
			return target.len >= len &&
			       memcmp(target.at + target.len - len, left.at, len) == 0;
		}
		const char *found = memmem(target.at, target.len, left.at, len);
		if (!found) {
			return false;
		}
		target.len -= (size_t)(found + len - target.at);
		target.at = found + len;
	}
	return !rule->to_the_end || target.len == 0;
}

bool robots_allows(const struct robots *r, const char *target, size_t len)
{
	static const char own[] = "/robots.txt";
	struct path path;
	if (!r->rule_ct) {
		return true;
	}
	set_target(&path, (struct span){target, len});
	struct span text = {path.bytes, path.len};
	if (text.len == sizeof own - 1 && memcmp(text.at, own, text.len) == 0) {
		return true;
	}
	for (unsigned i = 0; i < r->rule_ct; i++) {
		if (matches(r, &r->rules[i], text)) {
			return r->rules[i].allow;
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
	struct path path;
};

static size_t rule_ct(const struct draft *d)
{
	return d->rules.len / sizeof(struct rule);
}

/* The path of a rule, comparable.  A wildcard at the very end says nothing. */
static void set_pattern(struct path *path, struct span value, bool *to_the_end)
{
	path->len = 0;
	path->full = false;
	*to_the_end = value.len && value.at[value.len - 1] == '$';
	value.len -= *to_the_end;
	while (value.len && !path->full) {
		if (*value.at != '*') {
			put_literal(path, &value);
			continue;
		}
		if (!path->len || path->bytes[path->len - 1] != '*') {
			put(path, "*", 1);
		}
		value.at++;
		value.len--;
	}
}

/* A rule that is empty, or can match no path, is dropped. */
static int add_rule(struct draft *d, struct span value, bool allow)
{
	struct rule rule = {.at = (uint32_t)d->text.len, .allow = allow};
	if (!value.len || (*value.at != '/' && *value.at != '*')) {
		return 0;
	}
	set_pattern(&d->path, value, &rule.to_the_end);
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
