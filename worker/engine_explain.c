/* SPDX-License-Identifier: MIT
 *
 * engine_explain - what libcurl cannot know of a transfer: how long look-ups took, and
 * why there was no address.
 *
 * Runs in: the worker.  Called by engine_curl.c when a transfer has ended, and by
 * engine_route.c.  Only tells: the transfer goes on in no way.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "worker/engine_parts.h"

static const char stand_in_suffix[] = ROUTE_STAND_IN_SUFFIX;

static void add_time(uint64_t *time_us, uint64_t more_us)
{
	*time_us += *time_us ? more_us : 0;
}

static void add_times(const struct transfer_route *r, struct pm_response *response)
{
	uint64_t all_us = r->before_us + r->hops_us;
	response->time_namelookup_us += all_us;
	add_time(&response->time_connect_us, all_us);
	add_time(&response->time_appconnect_us, all_us);
	add_time(&response->time_starttransfer_us, all_us);
	response->time_total_us += r->before_us;
}

void route_say_denied(const struct transfer_route *r, struct pm_failure *failure)
{
	char text[ADDRESS_TEXT_MAX];
	engine_failure(failure, PM_EDENIED, PM_DOMAIN_CURL, CURLE_COULDNT_CONNECT,
		"%s is at %s, a private address, and these are denied", r->host,
		address_text(&r->denied, text));
}

static void say_trouble(const struct transfer_route *r, struct pm_failure *failure)
{
	const char *what = r->asks_proxy ? "proxy" : "host";
	const char *name = r->asks_proxy ? r->proxy_host : r->host;
	int code = r->asks_proxy ? CURLE_COULDNT_RESOLVE_PROXY
				 : CURLE_COULDNT_RESOLVE_HOST;
	switch (r->trouble) {
	case TROUBLE_NOT_FOUND:
		engine_failure(failure, PM_EDNS, PM_DOMAIN_CURL, code,
			"Could not resolve %s: %s: %s", what, name, r->reason);
		break;
	case TROUBLE_TEMPORARY:
		engine_failure(failure, PM_EDNS, PM_DOMAIN_ERRNO, EAGAIN,
			"Could not resolve %s for now: %s: %s", what, name, r->reason);
		break;
	case TROUBLE_TIMEOUT:
		engine_failure(failure, PM_ETIMEDOUT, PM_DOMAIN_CURL,
			CURLE_OPERATION_TIMEDOUT,
			"Resolving %s %s timed out after %u milliseconds", what, name,
			r->limit_ms);
		break;
	case TROUBLE_DENIED:
		route_say_denied(r, failure);
		break;
	case TROUBLE_NONE:
		break;
	}
}

/* In libcurl's words stands the name that it was given. */
static void replace(
	char *text, size_t cap, const char *old, size_t old_len, const char *new)
{
	char copy[PM_MESSAGE_MAX + 1];
	char *at = memmem(text, strlen(text), old, old_len);
	if (!at || !old_len) {
		return;
	}
	snprintf(copy, sizeof(copy), "%.*s%s%s", (int)(at - text), text, new,
		at + old_len);
	snprintf(text, cap, "%s", copy);
}

static void put_real_names(const struct transfer_route *r, struct pm_failure *failure)
{
	char name[sizeof(r->proxy_host) + sizeof(stand_in_suffix)];
	if (r->proxy_host[0]) {
		int len = snprintf(
			name, sizeof(name), "%s%s", r->proxy_host, stand_in_suffix);
		replace(failure->message, sizeof(failure->message), name, (size_t)len,
			r->proxy_host);
	}
	if (r->told && strstr(r->stand_in, stand_in_suffix)) {
		/* without "::" and ":" */
		replace(failure->message, sizeof(failure->message), r->stand_in + 2,
			strlen(r->stand_in) - 3, r->host);
	}
}

/* The address that failed is not the first of the next request. */
static void blame(struct transfer *t, CURLcode code, const struct pm_response *response)
{
	struct transfer_route *r = &t->route;
	bool unconnected =
		code == CURLE_COULDNT_CONNECT ||
		(code == CURLE_OPERATION_TIMEDOUT && !response->time_connect_us);
	if (unconnected && r->mapped && r->to.ct > 1 && t->engine->resolver) {
		resolver_blame(t->engine->resolver,
			r->proxy_host[0] ? r->proxy_host : r->host,
			&r->to.addresses[0]);
	}
}

/* What is left of a time when nothing was found may be too short for libcurl to get as
 * far as to ask for a socket. */
static bool is_unreached(const struct transfer *t, CURLcode code)
{
	return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_PROXY ||
	       (code == CURLE_OPERATION_TIMEDOUT && !t->route.connected) ||
	       t->stopped == PM_EDENIED;
}

void route_explain(struct transfer *t, CURLcode code, struct pm_failure *failure,
	struct pm_response *response)
{
	const struct transfer_route *r = &t->route;
	if (code) {
		blame(t, code, response);
	}
	add_times(r, response);
	if (r->trouble && is_unreached(t, code)) {
		say_trouble(r, failure);
	} else if (code) {
		put_real_names(r, failure);
	}
}
