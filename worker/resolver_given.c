/* SPDX-License-Identifier: MIT
 *
 * resolver_given - see resolver_given.h.
 */
#include "worker/resolver_given.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct entry {
	const char *host;
	size_t host_len;
	uint16_t port;
	struct resolver_answer answer;
};

static bool read_port(const char *at, size_t len, uint16_t *port)
{
	unsigned long n = 0;
	for (size_t i = 0; i < len; i++) {
		if (at[i] < '0' || at[i] > '9' || n > 65535) {
			return false;
		}
		n = n * 10 + (unsigned long)(at[i] - '0');
	}
	*port = (uint16_t)n;
	return len && n >= 1 && n <= 65535;
}

static bool read_addresses(const char *at, struct resolver_answer *answer)
{
	*answer = (struct resolver_answer){.verdict = RESOLVER_FOUND};
	for (;;) {
		size_t len = strcspn(at, ",");
		if (answer->ct == RESOLVER_ADDRESSES_MAX ||
			!address_parse(&answer->addresses[answer->ct++], at, len)) {
			return false;
		}
		if (!at[len]) {
			return true;
		}
		at += len + 1;
	}
}

/* A "+" before it is curl's way to let the entry grow old: it makes no difference
 * here. */
static bool read_entry(const char *text, struct entry *e)
{
	text += text[0] == '+';
	const char *close = text[0] == '[' ? strchr(text, ']') : NULL;
	const char *colon = strchr(close ? close : text, ':');
	const char *second = colon ? strchr(colon + 1, ':') : NULL;
	if (!second || colon == text || (close && colon != close + 1)) {
		return false;
	}
	e->host = text;
	e->host_len = (size_t)(colon - text);
	return read_port(colon + 1, (size_t)(second - colon - 1), &e->port) &&
	       read_addresses(second + 1, &e->answer);
}

bool given_is_valid(const char *entry)
{
	struct entry e;
	return entry && read_entry(entry, &e);
}

char *given_copy(const char *const *entries, size_t ct)
{
	size_t all = 1;
	for (size_t i = 0; i < ct; i++) {
		if (__builtin_add_overflow(all, strlen(entries[i]) + 1, &all)) {
			return NULL;
		}
	}
	char *given = malloc(all);
	char *at = given;
	for (size_t i = 0; given && i < ct; i++) {
		size_t len = strlen(entries[i]) + 1;
		memcpy(at, entries[i], len);
		at += len;
	}
	if (given) {
		*at = '\0'; /* an empty one is the last */
	}
	return given;
}

bool given_find(const char *given, const char *host, uint16_t port,
	struct resolver_answer *answer)
{
	struct entry e;
	size_t len = strlen(host);
	len -= len && host[len - 1] == '.';
	for (; *given; given += strlen(given) + 1) {
		if (!read_entry(given, &e) || e.port != port) {
			continue;
		}
		if ((e.host_len == 1 && e.host[0] == '*') ||
			(e.host_len == len && strncasecmp(e.host, host, len) == 0)) {
			*answer = e.answer;
			return true;
		}
	}
	return false;
}
