/* SPDX-License-Identifier: MIT
 *
 * host_rules - see host_rules.h.
 */
#include "common/cli/host_rules.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *at;
	size_t len;
};

/* [scheme://]host[:port], of a lane or of a pattern.  What is not given is empty. */
struct place {
	struct span scheme, host, port;
};

static struct place split(const char *text)
{
	struct place p = {.scheme = {text, 0}};
	const char *slashes = strstr(text, "://");
	if (slashes) {
		p.scheme.len = (size_t)(slashes - text);
		text = slashes + 3;
	}
	const char *end = text + strlen(text);
	const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
	const char *colon = strchr(bracket ? bracket : text, ':');
	p.host = (struct span){text, (size_t)((colon ? colon : end) - text)};
	p.port = (struct span){end, 0};
	if (colon) {
		p.port = (struct span){colon + 1, (size_t)(end - colon - 1)};
	}
	return p;
}

static bool same(struct span a, struct span b)
{
	return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

static void drop_last_dot(struct span *host)
{
	if (host->len > 1 && host->at[host->len - 1] == '.') {
		host->len--;
	}
}

static bool host_matches(struct span pattern, struct span host)
{
	drop_last_dot(&pattern);
	if (!pattern.len || *pattern.at != '*') {
		return same(pattern, host);
	}
	struct span end = {pattern.at + 1, pattern.len - 1}; /* ".example.com" */
	if (host.len <= end.len) {
		return false;
	}
	host.at += host.len - end.len;
	host.len = end.len;
	return same(end, host);
}

static struct span port_of(const struct place *lane)
{
	static const char http[] = "80", https[] = "443";
	if (lane->port.len) {
		return lane->port;
	}
	bool secure = lane->scheme.len == sizeof "https" - 1;
	return secure ? (struct span){https, 3} : (struct span){http, 2};
}

bool host_rule_matches(const char *pattern, const char *lane)
{
	struct place want = split(pattern), have = split(lane);
	return host_matches(want.host, have.host) &&
	       (!want.scheme.len || same(want.scheme, have.scheme)) &&
	       (!want.port.len || same(want.port, port_of(&have)));
}

static const struct host_rule *first_match(const struct settings *s, const char *lane)
{
	for (size_t i = 0; i < s->host_rule_ct; i++) {
		if (host_rule_matches(s->host_rules[i].pattern, lane)) {
			return &s->host_rules[i];
		}
	}
	return NULL;
}

static void make_polite(struct pm_lane_limits *limits)
{
	if (!limits->concurrency || limits->concurrency > POLITE_PER_HOST) {
		limits->concurrency = POLITE_PER_HOST;
	}
	if (!(limits->rate > 0) || limits->rate > POLITE_HOST_RATE) {
		limits->rate = POLITE_HOST_RATE;
	}
}

void host_limits(
	struct pm_lane_limits *limits, const struct settings *s, const char *lane)
{
	const struct host_rule *rule = first_match(s, lane);
	*limits = (struct pm_lane_limits){
		.concurrency = s->per_host, .rate = s->host_rate};
	if (s->polite) {
		make_polite(limits);
	}
	if (rule && rule->per_host) {
		limits->concurrency = rule->per_host;
	}
	if (rule && rule->host_rate > 0) {
		limits->rate = rule->host_rate;
	}
}

void host_limits_space(struct pm_lane_limits *limits, unsigned ms)
{
	double most = ms ? 1000.0 / ms : 0;
	if (ms && (!(limits->rate > 0) || limits->rate > most)) {
		limits->rate = most;
	}
}

bool host_limits_any(const struct settings *s)
{
	return s->per_host || s->host_rate > 0 || s->polite || s->host_rule_ct;
}
