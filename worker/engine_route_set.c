/* SPDX-License-Identifier: MIT
 *
 * engine_route_set - what a request says of where it connects to: its host, a proxy,
 * addresses of its own; see engine_route.h.
 *
 * Runs in: the worker.  Called by engine_curl.c, before the look-up.
 */
#include "worker/engine_route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/engine_env.h"
#include "worker/engine_hop.h"
#include "worker/engine_parts.h"
#include "worker/resolver_given.h"

/* --------------------------------------------------------------------- the proxy */

static enum route_proxy kind_of(const char *proxy)
{
	static const char socks5[] = "socks5://"; /* not socks5h:// */
	if (!proxy) {
		return PROXY_NONE;
	}
	return strncasecmp(proxy, socks5, sizeof(socks5) - 1) == 0 ? PROXY_SOCKS5
								   : PROXY_TUNNEL;
}

/* A proxy with a name gets a stand-in of its own, for libcurl tells proxies apart by
 * their names. */
static int set_proxy(struct transfer *t, const char **proxy)
{
	struct transfer_route *r = &t->route;
	CURLU *url = t->engine->parser;
	char name[sizeof(r->proxy_host) + sizeof(ROUTE_STAND_IN_SUFFIX)];
	struct address a;
	uint16_t port;
	char *text = NULL;
	if (hop_parse(url, *proxy, r->proxy_host, &port) ||
		address_parse(&a, r->proxy_host, strlen(r->proxy_host)) ||
		strcasecmp(r->proxy_host, "localhost") == 0) {
		r->proxy_host[0] = '\0';
		return 0;
	}
	snprintf(name, sizeof(name), "%s%s", r->proxy_host, ROUTE_STAND_IN_SUFFIX);
	if (curl_url_set(url, CURLUPART_HOST, name, 0) ||
		curl_url_get(url, CURLUPART_URL, &text, 0)) {
		return PM_ENOMEM;
	}
	free(r->proxy_url);
	r->proxy_url = strdup(text);
	curl_free(text);
	*proxy = r->proxy_url;
	return r->proxy_url ? 0 : PM_ENOMEM;
}

/* Once, for the URL: redirects go the same way. */
static int ask_environment(struct transfer *t, const char *url, const char **proxy,
	struct pm_failure *failure)
{
	struct transfer_route *r = &t->route;
	char text[ENV_PROXY_MAX];
	*proxy = NULL;
	if (hop_parse(t->engine->parser, url, r->host, &r->port) ||
		!env_proxy(url, r->host, text)) {
		return 0;
	}
	r->proxy_url = strdup(text);
	*proxy = r->proxy_url;
	return r->proxy_url ? proxy_check(text, failure) : PM_ENOMEM;
}

/* ------------------------------------------------------------------- the request */

static int set_given(struct transfer_route *r, const struct pm_request *request,
	struct pm_failure *failure)
{
	for (size_t i = 0; i < request->resolve_ct; i++) {
		if (!request->resolve || !given_is_valid(request->resolve[i])) {
			return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
				"resolve is not HOST:PORT:ADDRESS[,ADDRESS]...");
		}
	}
	r->given = request->resolve_ct
			   ? given_copy(request->resolve, request->resolve_ct)
			   : NULL;
	return request->resolve_ct && !r->given ? PM_ENOMEM : 0;
}

static void clear(struct transfer_route *r)
{
	r->asks_proxy = r->mapped = r->in_head = false;
	r->trouble = TROUBLE_NONE;
	r->to.ct = 0;
	route_start_over(r);
	r->before_us = r->hops_us = 0;
	r->proxy_host[0] = '\0';
}

/* Most hosts are written in the URL as libcurl would write them; parsing is left to it
 * for the others.  What is no URL to its parser is none to libcurl, which says so. */
static void set_host(struct transfer *t, const struct pm_request *request,
	const struct request_facts *facts)
{
	struct transfer_route *r = &t->route;
	if (facts->host && facts->host_len <= ROUTE_HOST_MAX) {
		memcpy(r->host, facts->host, facts->host_len);
		r->host[facts->host_len] = '\0';
		r->port = facts->port;
		route_set_mapped(r, true);
		return;
	}
	route_set_mapped(
		r, !hop_parse(t->engine->parser, request->url, r->host, &r->port));
}

static void set_local(struct transfer_route *r, const char *from)
{
	struct address a;
	r->is_local = from != NULL;
	r->family = from && address_parse(&a, from, strlen(from)) ? a.family : 0;
}

int route_set(struct transfer *t, const struct pm_request *request,
	const struct request_facts *facts, const char **proxy,
	struct pm_failure *failure)
{
	struct transfer_route *r = &t->route;
	clear(r);
	*proxy = request->proxy;
	r->deny_private = request->deny_private;
	r->http2 = request->http2;
	set_local(r, request->local_address);
	int err = request->resolve_ct ? set_given(r, request, failure) : 0;
	if (!err && *proxy && proxy_is_env(*proxy)) {
		err = ask_environment(t, request->url, proxy, failure);
	}
	r->proxy = kind_of(*proxy);
	if (!err && *proxy) {
		err = set_proxy(t, proxy);
	}
	if (err == PM_ENOMEM) {
		return engine_failure(failure, PM_ENOMEM, PM_DOMAIN_NONE, 0,
			"no memory for the request");
	}
	if (err) {
		return err;
	}
	set_host(t, request, facts);
	if (route_refuses_literal(r)) {
		route_say_denied(r, failure);
		return PM_EDENIED;
	}
	return 0;
}
