/* SPDX-License-Identifier: MIT
 *
 * engine_route - the look-up, and the sockets; see engine_route.h.  What a request says
 * is in engine_route_set.c, redirects are in engine_hop.c, what is said of failures in
 * engine_explain.c.
 *
 * Runs in: the worker.  Called by engine_curl.c, by engine_watch.c when libcurl wants
 * a socket, and by the resolver.  The check of a private address is made where the
 * socket is made, so that nothing before it can be mistaken for one.
 */
#include "worker/engine_route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "worker/engine_parts.h"
#include "worker/resolver_given.h"

static const char stand_in_suffix[] = ROUTE_STAND_IN_SUFFIX;

/* ------------------------------------------------------------------------ names */

static struct transfer *transfer_of(struct transfer_route *r)
{
	return (struct transfer *)(void *)((char *)r -
					   offsetof(struct transfer, route));
}

static uint32_t hash_of(const char *host)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *host; host++) {
		unsigned char c = (unsigned char)*host;
		c = c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
		hash = (hash ^ c) * 16777619u;
	}
	return hash;
}

/* Connections of requests that deny private addresses are not those of the others:
 * their addresses have been looked at.  Nor are those that come from a place of the
 * request's own. */
static void write_stand_in(struct transfer_route *r)
{
	static const char *const kinds[2][2] = {{"::b", "::d"}, {"::l", "::m"}};
	unsigned ct = r->http2 ? ROUTE_STAND_INS_HTTP2 : ROUTE_STAND_INS;
	unsigned number = hash_of(r->host) % ct;
	char digits[10], *from = digits + sizeof(digits), *at = r->stand_in;
	do { /* by hand: it is done for each request */
		*--from = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	at = mempcpy(at, kinds[r->is_local][r->deny_private], 3);
	at = mempcpy(at, from, (size_t)(digits + sizeof(digits) - from));
	at = mempcpy(at, stand_in_suffix, sizeof(stand_in_suffix) - 1);
	memcpy(at, ":", 2);
}

/* For a proxy that wants an address. */
static void write_address(struct transfer_route *r, const struct address *a)
{
	char text[ADDRESS_TEXT_MAX];
	bool v6 = a->family == AF_INET6;
	snprintf(r->stand_in, sizeof(r->stand_in),
		v6 ? "::[%s]:" : "::%s:", address_text(a, text));
}

/* ---------------------------------------------------------------------- denying */

void route_start_over(struct transfer_route *r)
{
	r->first = r->next = r->round = 0;
	r->connected = false;
}

static void deny(struct transfer_route *r, const struct address *a)
{
	r->trouble = TROUBLE_DENIED;
	r->denied = *a;
}

/* Without those that are private; when no other is left, that is the trouble. */
static void drop_private(struct transfer_route *r, struct resolver_answer *answer)
{
	unsigned kept = 0;
	struct address first = answer->addresses[0];
	for (unsigned i = 0; i < answer->ct; i++) {
		if (!address_is_private(&answer->addresses[i])) {
			answer->addresses[kept++] = answer->addresses[i];
		}
	}
	if (!kept && answer->ct) {
		deny(r, &first);
	}
	answer->ct = kept;
}

/* A proxy looks up the host where we cannot see it: what can be seen is refused. */
bool route_refuses_literal(struct transfer_route *r)
{
	struct resolver_answer known;
	if (r->deny_private && r->proxy != PROXY_NONE &&
		resolver_knows(r->host, &known) && known.ct &&
		address_is_private(&known.addresses[0])) {
		deny(r, &known.addresses[0]);
	}
	return r->trouble == TROUBLE_DENIED;
}

/* ------------------------------------------------------------------- the look-up */

static void note_failed(struct transfer_route *r, const struct resolver_answer *answer)
{
	if (answer->verdict != RESOLVER_FOUND) {
		r->trouble = answer->verdict == RESOLVER_NOT_FOUND ? TROUBLE_NOT_FOUND
								   : TROUBLE_TEMPORARY;
		r->reason = answer->reason;
	}
}

/* Those that can be reached from where the request is to come from. */
static void go_to(struct transfer_route *r, const struct resolver_answer *answer)
{
	unsigned kept = 0;
	r->to = *answer;
	for (unsigned i = 0; i < answer->ct; i++) {
		if (!r->family || answer->addresses[i].family == r->family) {
			r->to.addresses[kept++] = answer->addresses[i];
		}
	}
	r->to.ct = kept;
	route_start_over(r);
}

static void use_for_host(struct transfer_route *r, const struct resolver_answer *answer)
{
	struct resolver_answer usable = *answer;
	note_failed(r, answer);
	if (r->deny_private) {
		drop_private(r, &usable);
	}
	if (r->proxy == PROXY_SOCKS5 && usable.ct) {
		write_address(r, &usable.addresses[0]);
		return;
	}
	write_stand_in(r); /* of a proxy as well: no connection is kept for that */
	if (r->proxy == PROXY_NONE) {
		go_to(r, &usable);
	}
}

static void count_time(struct transfer *t)
{
	uint64_t spent = clock_now_us() - t->route.began_us;
	*(t->shard ? &t->route.hops_us : &t->route.before_us) += spent;
}

static void stop_waiting(struct transfer *t)
{
	struct transfer_route *r = &t->route;
	if (r->waiting) {
		resolver_leave(t->engine->resolver, &r->wait);
		event_del(&r->limit);
		r->waiting = false;
	}
}

static enum route_step ask_host(struct transfer *t);

/* NOLINTNEXTLINE(misc-no-recursion): the proxy's answer asks for the host, once */
static enum route_step use_answer(
	struct transfer *t, const struct resolver_answer *answer)
{
	struct transfer_route *r = &t->route;
	if (!r->asks_proxy) {
		use_for_host(r, answer);
		return STEP_GO;
	}
	note_failed(r, answer);
	go_to(r, answer);
	return r->trouble || r->proxy != PROXY_SOCKS5 ? STEP_GO : ask_host(t);
}

static void on_answer(struct resolver_wait *wait, const struct resolver_answer *answer)
{
	struct transfer_route *r =
		(struct transfer_route *)(void *)wait; /* its first member */
	struct transfer *t = transfer_of(r);
	count_time(t);
	stop_waiting(t);
	if (use_answer(t, answer) == STEP_GO) {
		transfer_resume(t);
	}
}

static void on_limit(evutil_socket_t fd, short what, void *ctx)
{
	struct transfer *t = ctx;
	(void)fd;
	(void)what;
	count_time(t);
	stop_waiting(t);
	use_for_host(&t->route, &(struct resolver_answer){0});
	t->route.trouble = TROUBLE_TIMEOUT;
	transfer_resume(t);
}

static enum route_step wait_for_answer(struct transfer *t)
{
	struct transfer_route *r = &t->route;
	struct timeval tv = {.tv_sec = r->limit_ms / 1000,
		.tv_usec = (suseconds_t)(r->limit_ms % 1000) * 1000};
	r->began_us = clock_now_us();
	r->waiting = true;
	/* Without a timer the look-up itself is the limit. */
	(void)event_add(&r->limit, &tv);
	return STEP_WAIT;
}

/* NOLINTNEXTLINE(misc-no-recursion): see use_answer() */
static enum route_step ask(struct transfer *t, const char *host)
{
	struct engine *e = t->engine;
	struct resolver_answer answer = {
		.verdict = RESOLVER_TEMPORARY, .reason = "no memory"};
	int found = e->resolver ? 0 : resolver_open(&e->resolver, e->base);
	found = found ? found
		      : resolver_find(e->resolver, host, &answer, &t->route.wait);
	return found ? use_answer(t, &answer) : wait_for_answer(t);
}

/* NOLINTNEXTLINE(misc-no-recursion): see use_answer() */
static enum route_step ask_host(struct transfer *t)
{
	struct transfer_route *r = &t->route;
	struct resolver_answer answer;
	r->asks_proxy = false;
	r->trouble = TROUBLE_NONE;
	if (r->proxy == PROXY_TUNNEL || !r->mapped_host) {
		return STEP_GO;
	}
	if ((r->given && given_find(r->given, r->host, r->port, &answer)) ||
		resolver_knows(r->host, &answer)) {
		use_for_host(r, &answer);
		return STEP_GO;
	}
	return ask(t, r->host);
}

static enum route_step ask_proxy(struct transfer *t)
{
	t->route.asks_proxy = true;
	return ask(t, t->route.proxy_host);
}

/* --------------------------------------------------------------------- a request */

void route_init(struct transfer *t)
{
	t->route.wait.done = on_answer;
	t->route.connect_to.data = t->route.stand_in;
	event_assign(&t->route.limit, t->engine->base, -1, 0, on_limit, t);
}

void route_set_mapped(struct transfer_route *r, bool mapped_host)
{
	r->mapped_host = mapped_host;
	r->mapped = r->proxy == PROXY_NONE ? mapped_host : r->proxy_host[0] != '\0';
}

static unsigned limit_of(const struct transfer *t)
{
	long limit = t->now.timeout_ms < t->now.connect_timeout_ms
			     ? t->now.timeout_ms
			     : t->now.connect_timeout_ms;
	return (unsigned)limit;
}

/* To a proxy that looks up the host itself nothing is said of addresses: libcurl would
 * ask it for a tunnel to them. */
static void tell_libcurl(struct transfer *t)
{
	struct transfer_route *r = &t->route;
	bool tell = r->mapped_host && r->proxy != PROXY_TUNNEL;
	if (tell != r->told) {
		r->told = tell;
		curl_easy_setopt(
			t->easy, CURLOPT_CONNECT_TO, tell ? &r->connect_to : NULL);
	}
}

enum route_step route_begin(struct transfer *t)
{
	t->route.limit_ms = limit_of(t);
	tell_libcurl(t);
	return t->route.proxy_host[0] ? ask_proxy(t) : ask_host(t);
}

static bool is_host(const struct transfer_route *r, const char *host, uint16_t port)
{
	return r->mapped_host && !r->trouble && port == r->port &&
	       strcasecmp(host, r->host) == 0;
}

enum route_step route_change_host(
	struct transfer *t, const char *host, uint16_t port, bool mapped)
{
	struct transfer_route *r = &t->route;
	route_start_over(r);
	if (mapped && is_host(r, host, port)) {
		return STEP_GO;
	}
	r->trouble = TROUBLE_NONE;
	route_set_mapped(r, mapped);
	tell_libcurl(t);
	memcpy(r->host, host, strlen(host) + 1); /* of the same size */
	r->port = port;
	if (route_refuses_literal(r)) {
		t->stopped = PM_EDENIED;
		return STEP_STOP;
	}
	return ask_host(t);
}

void route_end(struct transfer *t)
{
	struct transfer_route *r = &t->route;
	stop_waiting(t);
	free(r->proxy_url);
	free(r->given);
	free(r->location);
	r->proxy_url = r->given = r->location = NULL;
}

/* ---------------------------------------------------------------------- sockets */

static uint16_t port_of(const struct sockaddr *s)
{
	uint16_t port = 0; /* at the same place in both */
	memcpy(&port, (const char *)s + offsetof(struct sockaddr_in, sin_port),
		sizeof(port));
	return ntohs(port);
}

/* libcurl connects once more when a kept connection is dead, or refuses the request:
 * then it begins anew with the first of its two addresses. */
static void note_round(struct transfer_route *r, int family)
{
	unsigned bit = family == AF_INET ? 1 : 2;
	if (r->round & bit) {
		r->round = 0;
		r->next = r->first;
	}
	r->round |= bit;
}

/* libcurl's own memory is a sockaddr_storage. */
static bool put_next(struct transfer_route *r, struct curl_sockaddr *address)
{
	note_round(r, address->family);
	if (r->next >= r->to.ct) {
		return false;
	}
	const struct address *a = &r->to.addresses[r->next++];
	address->addrlen =
		address_to_sockaddr(a, port_of(&address->addr), &address->addr);
	address->family = a->family;
	return true;
}

bool route_address(struct transfer *t, struct curl_sockaddr *address)
{
	struct transfer_route *r = &t->route;
	struct address a;
	if (r->trouble || (r->mapped && !put_next(r, address))) {
		return false;
	}
	if (!r->deny_private || r->proxy != PROXY_NONE) {
		return true; /* the proxy's own address is the user's choice */
	}
	if (!address_of_sockaddr(&a, &address->addr)) {
		return false;
	}
	if (address_is_private(&a)) {
		deny(r, &a);
		return false;
	}
	return true;
}

bool route_has_more(struct transfer *t, CURLcode code)
{
	struct transfer_route *r = &t->route;
	long redirects = 0;
	if (code != CURLE_COULDNT_CONNECT || !r->mapped || r->trouble ||
		r->next >= r->to.ct || t->stopped || t->socket_errno) {
		return false;
	}
	curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	r->first = r->next;
	r->round = 0;
	return redirects == 0;
}
