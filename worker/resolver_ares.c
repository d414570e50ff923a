/* SPDX-License-Identifier: MIT
 *
 * resolver_ares - see resolver_ares.h.
 *
 * /etc/hosts goes first, whatever nsswitch.conf says; then the servers, with the search
 * list of resolv.conf.  c-ares says which of its sockets to watch; the loop says when;
 * a tick looks after what has waited for too long.  Without a way to the IPv6 Internet
 * only IPv4 addresses are asked for, and the others when there are none: half the
 * questions.
 */
#include "worker/resolver_ares.h"

#include <ares.h>
#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/poolmap.h"
#include "worker/resolver_hosts.h"

enum {
	TRY_MS = 1500, /* the first try of each server; the next ones take longer */
	TRIES = 3,
	TICK_MS = 100,
	SERVERS_TEXT_MAX = 1024,
};

/* A socket of c-ares. */
struct wire {
	struct event event;
	struct asker *asker;
	ares_socket_t fd;
	struct list_node link;
};

struct asker {
	struct event_base *base;
	ares_channel channel;
	struct event tick;
	struct list wires;
	struct hosts hosts;
	asker_fn *on_answer;
	void *ctx;
	unsigned open; /* questions without an answer */
	bool closing;
	bool ipv6;
};

struct question {
	struct asker *asker;
	void *which;
	int family;
	char name[];
};

/* ------------------------------------------------------------------------ loop */

static void keep_ticking(struct asker *a)
{
	struct timeval tv = {.tv_usec = TICK_MS * 1000L};
	if (a->open && !event_pending(&a->tick, EV_TIMEOUT, NULL)) {
		(void)event_add(&a->tick, &tv);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct asker *a = ctx;
	(void)fd;
	(void)what;
	ares_process_fd(a->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	keep_ticking(a);
}

static void on_wire(evutil_socket_t fd, short what, void *ctx)
{
	struct wire *w = ctx;
	ares_process_fd(w->asker->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
		what & EV_WRITE ? fd : ARES_SOCKET_BAD); /* w may be gone now */
}

static struct wire *wire_of(struct asker *a, ares_socket_t fd)
{
	struct list_node *n = list_first(&a->wires);
	for (size_t left = a->wires.ct; left; left--, n = n->next) {
		struct wire *w = list_entry(n, struct wire, link);
		if (w->fd == fd) {
			return w;
		}
	}
	return NULL;
}

static struct wire *wire_new(struct asker *a, ares_socket_t fd)
{
	struct wire *w = calloc(1, sizeof(*w));
	if (w) {
		w->asker = a;
		w->fd = fd;
		event_assign(&w->event, a->base, -1, 0, on_wire, w);
		list_push_back(&a->wires, &w->link);
	}
	return w;
}

static void wire_free(struct wire *w)
{
	event_del(&w->event);
	list_remove(&w->asker->wires, &w->link);
	free(w);
}

/* What cannot be watched is asked again, and fails in the end. */
static void on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct asker *a = ctx;
	struct wire *w = wire_of(a, fd);
	if (!readable && !writable) {
		if (w) {
			wire_free(w);
		}
		return;
	}
	w = w ? w : wire_new(a, fd);
	if (w) {
		short what = (short)((readable ? EV_READ : 0) |
				     (writable ? EV_WRITE : 0) | EV_PERSIST);
		event_del(&w->event);
		event_assign(&w->event, a->base, fd, what, on_wire, w);
		(void)event_add(&w->event, NULL);
	}
}

/* --------------------------------------------------------------------- answers */

static struct resolver_answer refusal(int status)
{
	enum resolver_verdict verdict = RESOLVER_TEMPORARY;
	const char *reason;
	switch (status) {
	case ARES_ENOTFOUND:
		verdict = RESOLVER_NOT_FOUND;
		reason = "there is no such name";
		break;
	case ARES_ENODATA:
		verdict = RESOLVER_NOT_FOUND;
		reason = "the name has no address";
		break;
	case ARES_EBADNAME:
	case ARES_EBADSTR:
		verdict = RESOLVER_NOT_FOUND;
		reason = "it is not a valid name";
		break;
	case ARES_ESERVFAIL:
		reason = "the DNS server failed";
		break;
	case ARES_ETIMEOUT:
		reason = "no DNS server answered in time";
		break;
	case ARES_ECONNREFUSED:
		reason = "no DNS server can be reached";
		break;
	case ARES_EREFUSED:
		reason = "the DNS server refused to answer";
		break;
	case ARES_ENOMEM:
		reason = "no memory";
		break;
	default:
		reason = "the DNS server's answer makes no sense";
		break;
	}
	return (struct resolver_answer){.verdict = verdict, .reason = reason};
}

static void put_node(
	struct resolver_answer *answer, const struct ares_addrinfo_node *node)
{
	struct address a;
	if (answer->ct < RESOLVER_ADDRESSES_MAX &&
		address_of_sockaddr(&a, node->ai_addr)) {
		answer->addresses[answer->ct++] = a;
	}
}

/* IPv6 is asked for only where it leads somewhere: there it goes first. */
static void put_ipv6_first(struct resolver_answer *answer)
{
	bool is_first = answer->ct && answer->addresses[0].family == AF_INET6;
	for (unsigned i = 1; i < answer->ct && !is_first; i++) {
		struct address a = answer->addresses[i];
		if (a.family == AF_INET6) {
			memmove(&answer->addresses[1], &answer->addresses[0],
				i * sizeof(a));
			answer->addresses[0] = a;
			return;
		}
	}
}

/* The best address, then the best of the other family, then the rest in order: two
 * attempts are all that a connection may get in good time. */
static void put_second_family_second(struct resolver_answer *answer)
{
	for (unsigned i = 2; i < answer->ct; i++) {
		struct address other = answer->addresses[i];
		if (other.family != answer->addresses[0].family) {
			if (answer->addresses[1].family != other.family) {
				memmove(&answer->addresses[2], &answer->addresses[1],
					(i - 1) * sizeof(other));
				answer->addresses[1] = other;
			}
			return;
		}
	}
}

static struct resolver_answer collect(const struct ares_addrinfo *info, unsigned *ttl_s)
{
	struct resolver_answer answer = {.verdict = RESOLVER_FOUND};
	int ttl = INT32_MAX;
	for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next) {
		ttl = n->ai_ttl < ttl ? n->ai_ttl : ttl;
		put_node(&answer, n);
	}
	*ttl_s = ttl > 0 ? (unsigned)ttl : 0;
	put_ipv6_first(&answer);
	put_second_family_second(&answer);
	return answer.ct ? answer : refusal(ARES_ENODATA);
}

static void ask(struct question *q);

static void on_info(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
	struct question *q = ctx;
	struct asker *a = q->asker;
	unsigned ttl_s = 0;
	(void)timeouts;
	if (status == ARES_ENODATA && q->family == AF_INET && !a->closing) {
		q->family = AF_INET6;
		ask(q);
		return;
	}
	struct resolver_answer answer =
		status == ARES_SUCCESS ? collect(info, &ttl_s) : refusal(status);
	if (info) {
		ares_freeaddrinfo(info);
	}
	a->open--;
	if (!a->closing) {
		a->on_answer(a->ctx, q->which, &answer, ttl_s);
	}
	free(q);
}

static void ask(struct question *q)
{
	/* To sort them c-ares would open a socket for each. */
	const struct ares_addrinfo_hints hints = {.ai_family = q->family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = ARES_AI_NOSORT};
	ares_getaddrinfo(q->asker->channel, q->name, NULL, &hints, on_info, q);
}

static void put_from_file(
	struct asker *a, const char *name, int family, struct resolver_answer *answer)
{
	struct hostent *host = NULL;
	if (ares_gethostbyname_file(a->channel, name, family, &host) != ARES_SUCCESS) {
		return;
	}
	for (char **at = host->h_addr_list; *at && answer->ct < RESOLVER_ADDRESSES_MAX;
		at++) {
		struct address *to = &answer->addresses[answer->ct++];
		*to = (struct address){.family = (uint8_t)family};
		memcpy(to->bytes, *at, family == AF_INET ? 4 : 16);
	}
	ares_free_hostent(host);
}

/* From /etc/hosts. */
static bool answer_from_file(struct asker *a, const char *name, void *which)
{
	struct resolver_answer answer = {.verdict = RESOLVER_FOUND};
	if (!hosts_may_have(&a->hosts, name, clock_now_ms())) {
		return false;
	}
	put_from_file(a, name, AF_INET, &answer);
	put_from_file(a, name, AF_INET6, &answer);
	put_second_family_second(&answer);
	if (answer.ct) {
		a->on_answer(a->ctx, which, &answer, 0);
	}
	return answer.ct > 0;
}

void asker_ask(struct asker *a, const char *name, void *which)
{
	if (answer_from_file(a, name, which)) {
		return;
	}
	size_t len = strlen(name);
	struct question *q = malloc(sizeof(*q) + len + 1);
	if (!q) {
		struct resolver_answer answer = refusal(ARES_ENOMEM);
		a->on_answer(a->ctx, which, &answer, 0);
		return;
	}
	*q = (struct question){
		.asker = a, .which = which, .family = a->ipv6 ? AF_UNSPEC : AF_INET};
	memcpy(q->name, name, len + 1);
	a->open++;
	ask(q);
	keep_ticking(a);
}

/* -------------------------------------------------------------------- lifetime */

/* Would a packet to the public Internet leave with a public address of ours?  Nothing
 * is sent for it. */
static bool has_ipv6(void)
{
	struct sockaddr_in6 far = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	struct sockaddr_in6 own = {0};
	socklen_t len = sizeof(own);
	struct address a;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 &&
		   inet_pton(AF_INET6, "2001:4860::1", &far.sin6_addr) == 1 &&
		   connect(fd, (struct sockaddr *)&far, sizeof(far)) == 0 &&
		   getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
		   address_of_sockaddr(&a, (struct sockaddr *)&own) &&
		   !address_is_private(&a);
	if (fd >= 0) {
		close(fd);
	}
	return has;
}

static int open_channel(struct asker *a, const char *servers)
{
	char servers_only[] = "b";
	struct ares_options options = {
		.timeout = TRY_MS,
		.tries = TRIES,
		.lookups = servers_only,
		.sock_state_cb = on_state,
		.sock_state_cb_data = a,
	};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
		   ARES_OPT_SOCK_STATE_CB;
	if (ares_init_options(&a->channel, &options, mask) != ARES_SUCCESS) {
		return PM_ENOMEM;
	}
	if (servers &&
		ares_set_servers_ports_csv(a->channel, servers) != ARES_SUCCESS) {
		ares_destroy(a->channel);
		return PM_EINVAL;
	}
	return 0;
}

int asker_open(struct asker **out, struct event_base *base, const char *servers,
	asker_fn *on_answer, void *ctx)
{
	struct asker *a = calloc(1, sizeof(*a));
	if (!a) {
		return PM_ENOMEM;
	}
	a->base = base;
	a->on_answer = on_answer;
	a->ctx = ctx;
	a->ipv6 = has_ipv6();
	list_init(&a->wires);
	hosts_init(&a->hosts, "/etc/hosts");
	event_assign(&a->tick, base, -1, 0, on_tick, a);
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(a);
		return PM_ENOMEM;
	}
	int err = open_channel(a, servers);
	if (err) {
		ares_library_cleanup();
		free(a);
		return err;
	}
	*out = a;
	return 0;
}

/* Each question is called back once more, as destroyed, and frees itself. */
void asker_close(struct asker *a)
{
	if (!a) {
		return;
	}
	a->closing = true;
	ares_destroy(a->channel);
	while (!list_empty(&a->wires)) {
		wire_free(list_entry(list_first(&a->wires), struct wire, link));
	}
	event_del(&a->tick);
	hosts_fini(&a->hosts);
	ares_library_cleanup();
	free(a);
}

/* --------------------------------------------------------------------- servers */

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	if (!digits || digits > 5 || text[digits]) {
		return false;
	}
	unsigned long port = strtoul(text, NULL, 10);
	return port >= 1 && port <= 65535;
}

/* ADDRESS, IPv4:PORT or [IPv6]:PORT */
static bool is_server(const char *text)
{
	struct address a;
	const char *close = text[0] == '[' ? strchr(text, ']') : NULL;
	const char *colon = close ? close + 1 : strchr(text, ':');
	if (address_parse(&a, text, strlen(text))) {
		return true;
	}
	return colon && *colon == ':' && is_port(colon + 1) &&
	       address_parse(&a, text, (size_t)(colon - text));
}

int asker_check_servers(const char *servers)
{
	char copy[SERVERS_TEXT_MAX];
	size_t len = strnlen(servers, sizeof(copy));
	if (!len || len >= sizeof(copy)) {
		return PM_EINVAL;
	}
	memcpy(copy, servers, len + 1);
	char *rest = copy;
	while (rest) {
		if (!is_server(strsep(&rest, ","))) {
			return PM_EINVAL;
		}
	}
	return 0;
}

const char *asker_version(void)
{
	return ares_version(NULL);
}
