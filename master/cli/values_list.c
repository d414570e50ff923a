/* SPDX-License-Identifier: MIT
 *
 * values_list - values that are lists with commas: statuses, what is tried again,
 * names of fields, name servers; see values.h.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "common/cli/outcome.h"
#include "common/poolmap.h"
#include "master/cli/values.h"
#include "master/cli/values_parts.h"

/* ---------------------------------------------------------------- statuses */

/* Three digits at *at; moves behind them. */
static bool take_status(const char **at, uint64_t *out)
{
	return values_digits_len(*at) == 3 && values_take_digits(at, out);
}

static bool take_status_range(const char **at, uint64_t *first, uint64_t *last)
{
	if (!take_status(at, first)) {
		return false;
	}
	if ((*at)[0] != '.' || (*at)[1] != '.') {
		*last = *first;
		return true;
	}
	*at += 2;
	return take_status(at, last);
}

/* A status or a range of them, at *at; moves behind it. */
static int take_statuses(const char **at, uint64_t min, uint64_t max,
	struct status_set *set, const char *form, struct value_error *why)
{
	uint64_t first, last;
	if (!take_status_range(at, &first, &last) || (**at && **at != ',')) {
		return values_refuse(why, "%s", form);
	}
	if (first < min || last > max) {
		return values_refuse(why,
			"out of range, statuses are %" PRIu64 " to %" PRIu64, min, max);
	}
	if (first > last) {
		return values_refuse(why,
			"the range %" PRIu64 "..%" PRIu64
			" is empty; the lower status comes first",
			first, last);
	}
	for (uint64_t s = first; s <= last; s++) {
		set->bits[s / 64] |= (uint64_t)1 << (s % 64);
	}
	return 0;
}

int values_statuses(const char *text, uint64_t min, uint64_t max,
	struct status_set *out, struct value_error *why)
{
	struct status_set set = {{0}};
	const char *at = text;
	do {
		int err = take_statuses(&at, min, max, &set,
			"not a list of statuses such as 200..299,304", why);
		if (err) {
			return err;
		}
	} while (*at++);
	*out = set;
	return 0;
}

/* ----------------------------------------------------------------- attempts */

/* What another attempt may change. */
static const enum outcome_class retry_classes[] = {OUTCOME_DNS, OUTCOME_CONNECT,
	OUTCOME_TLS, OUTCOME_TIMEOUT, OUTCOME_STALLED, OUTCOME_RESET, OUTCOME_TRUNCATED,
	OUTCOME_BAD_RESPONSE};

static int take_class(const char **at, uint32_t *classes, struct value_error *why)
{
	size_t len = strcspn(*at, ",");
	for (size_t i = 0; i < sizeof(retry_classes) / sizeof(retry_classes[0]); i++) {
		const char *name = outcome_class_name(retry_classes[i]);
		if (strlen(name) == len && memcmp(*at, name, len) == 0) {
			*classes |= (uint32_t)1 << retry_classes[i];
			*at += len;
			return 0;
		}
	}
	return values_refuse(why,
		"\"%.*s\" is no status and none of dns connect tls timeout stalled "
		"reset truncated bad_response",
		len > 32 ? 32 : (int)len, *at);
}

int values_retry_on(const char *text, uint64_t min, uint64_t max,
	struct value_retry *out, struct value_error *why)
{
	struct value_retry retry = {{{0}}, 0};
	const char *at = text;
	bool is_none = strcmp(text, "none") == 0;
	do {
		int err = 0;
		if (values_digits_len(at)) {
			err = take_statuses(&at, min, max, &retry.statuses,
				"not a list such as 429,500..504,timeout,reset", why);
		} else if (!is_none) {
			err = take_class(&at, &retry.classes, why);
		}
		if (err) {
			return err;
		}
	} while (!is_none && *at++);
	*out = retry;
	return 0;
}

/* ------------------------------------------------------------------- fields */

/* Behind "meta" and "headers": a dot and the name of one of those. */
static size_t inner_len(const char *name, size_t len)
{
	bool has_members = (len == 4 && memcmp(name, "meta", 4) == 0) ||
			   (len == 7 && memcmp(name, "headers", 7) == 0);
	size_t inner = has_members && name[len] == '.' ? strcspn(name + len, ",") : 0;
	return inner > 1 ? inner : 0;
}

int values_fields(const char *text, struct value_error *why)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	for (const char *at = text;; at++) {
		size_t len = strspn(at, letters);
		at += len;
		at += inner_len(at - len, len);
		if (len == 0 || (*at && *at != ',')) {
			return values_refuse(why,
				"not a list of fields of a result such "
				"as index,url,http_code");
		}
		if (!*at) {
			return 0;
		}
	}
}

/* ------------------------------------------------------------- name servers */

/* An address as inet_pton() reads it, IPv6 in brackets or not. */
bool values_is_address(const char *text, size_t len)
{
	struct in6_addr address;
	char copy[INET6_ADDRSTRLEN + 1];
	bool is_v6 = memchr(text, ':', len) != NULL;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']' && is_v6) {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len)) {
		return false;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	return inet_pton(is_v6 ? AF_INET6 : AF_INET, copy, &address) == 1;
}

bool values_is_port(const char *text, size_t len)
{
	uint64_t port = 0;
	return values_digits_len(text) == len && len > 0 && len <= 5 &&
	       values_take_digits(&text, &port) && port > 0 && port < 65536;
}

/* ADDR, ADDR4:PORT or [ADDR6]:PORT */
static bool is_server(const char *text, size_t len)
{
	if (values_is_address(text, len)) {
		return true;
	}
	const char *colon = memrchr(text, ':', len);
	if (!colon) {
		return false;
	}
	size_t host_len = (size_t)(colon - text);
	bool is_clear = text[0] == '[' || !memchr(text, ':', host_len);
	return is_clear && values_is_address(text, host_len) &&
	       values_is_port(colon + 1, len - host_len - 1);
}

int values_dns_servers(const char *text, struct value_error *why)
{
	unsigned ct = 0;
	for (const char *at = text;; at++) {
		size_t len = strcspn(at, ",");
		if (!is_server(at, len)) {
			return values_refuse(why, "not a list of addresses such as "
						  "192.0.2.1,[2001:db8::1]:5353");
		}
		if (++ct > VALUES_DNS_SERVERS_MAX) {
			return values_refuse(why, "more than %d name servers",
				(int)VALUES_DNS_SERVERS_MAX);
		}
		at += len;
		if (!*at) {
			return 0;
		}
	}
}
