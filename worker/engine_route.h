/* SPDX-License-Identifier: MIT
 *
 * engine_route - where a transfer connects to: the look-up of names before libcurl
 * would do it, and which addresses are refused.  Private to the libcurl engine.
 *
 * libcurl never looks up a name.  It is told, by CURLOPT_CONNECT_TO, to connect to a
 * stand-in "bN.localhost" instead of any host; for such a name it has two addresses of
 * its own, IPv4 and IPv6, without asking; and when it is about to open a socket for one
 * of them, watch_open_socket() puts an address of the real host in its place.  So it
 * goes on to try two addresses side by side; the name, not the address, decides which
 * kept connection a request may use; and redirects need no code of ours but a pause
 * until their host is looked up.  There are few stand-ins: libcurl keeps something for
 * each host that it ever connected to, and for nothing else.
 */
#ifndef WORKER_ENGINE_ROUTE_H
#define WORKER_ENGINE_ROUTE_H

#include <curl/curl.h>
#include <event2/event_struct.h>

#include "common/poolmap.h"
#include "worker/resolver.h"

enum {
	ROUTE_STAND_INS = 512, /* see above; as many again for deny_private, twice */
	/* libcurl takes a host for one that speaks HTTP/2, or does not, when another
	 * one with the same stand-in does. */
	ROUTE_STAND_INS_HTTP2 = 1 << 20,
	ROUTE_HOST_MAX = 256, /* bytes of a host's name; one more than one may have */
};

#define ROUTE_STAND_IN_SUFFIX ".localhost"

struct engine;
struct request_facts;
struct transfer;

/* Who else stands between us and the host. */
enum route_proxy {
	PROXY_NONE,
	PROXY_TUNNEL, /* it looks up the host */
	PROXY_SOCKS5, /* it is told an address */
};

enum route_trouble {
	TROUBLE_NONE,
	TROUBLE_NOT_FOUND,
	TROUBLE_TEMPORARY,
	TROUBLE_TIMEOUT,
	TROUBLE_DENIED,
};

/* What is to be done before libcurl may go on. */
enum route_step {
	STEP_GO,
	STEP_WAIT, /* the look-up goes on: transfer_resume() follows */
	STEP_STOP, /* the redirect is refused */
};

struct transfer_route {
	struct resolver_wait wait;
	struct event limit; /* of the time of a look-up */
	bool waiting;       /* for an answer, or for the limit */
	bool asks_proxy;    /* what is looked up is the proxy */
	bool mapped;        /* the sockets of libcurl get addresses of ours */
	bool mapped_host;   /* the host can have a stand-in: it has no zone */
	bool told;          /* libcurl has connect_to */
	bool connected;     /* a request goes out, whatever the look-up said */
	bool deny_private, http2;
	bool is_local;  /* it says where it is connected from */
	uint8_t family; /* of that; 0: any */
	bool in_head;
	enum route_proxy proxy;
	enum route_trouble trouble;
	const char *reason;        /* static; for some troubles */
	struct address denied;     /* for TROUBLE_DENIED */
	struct resolver_answer to; /* what libcurl connects to */
	unsigned first, next;      /* address of a round, and of the next socket */
	unsigned round;            /* stand-ins that it has had a socket for */
	uint16_t port;
	char host[ROUTE_HOST_MAX + 1];       /* of the URL, or of the redirect */
	char proxy_host[ROUTE_HOST_MAX + 1]; /* "" : it needs no look-up */
	char *proxy_url;                     /* with a stand-in as its host, or NULL */
	char *given;                 /* addresses of the request's own, or NULL */
	char *location;              /* of a redirect, in its head */
	uint64_t began_us;           /* the look-up */
	uint64_t before_us, hops_us; /* look-ups: before libcurl, and during it */
	unsigned limit_ms;           /* of each look-up */
	char stand_in[64 + ADDRESS_TEXT_MAX]; /* "::NAME:" for CONNECT_TO */
	struct curl_slist connect_to;
};

/* For a new transfer. */
void route_init(struct transfer *t);

/* engine_route_set.c: take what a request says of it.  *proxy is what libcurl is to be
 * told instead of the request's proxy.  0, PM_EDENIED, PM_EINVAL or PM_ENOMEM. */
int route_set(struct transfer *t, const struct pm_request *request,
	const struct request_facts *facts, const char **proxy,
	struct pm_failure *failure);

/* After the handle has its options: look up what there is to look up. */
enum route_step route_begin(struct transfer *t);

/* engine_hop.c: a line of a head.  STEP_STOP: t->stopped is set. */
enum route_step route_on_header(struct transfer *t, const char *bytes, size_t len);

/* libcurl wants a socket to *address, which may become another one.  False: none. */
bool route_address(struct transfer *t, struct curl_sockaddr *address);

/* Are there addresses that were not tried?  Then the next round begins with them. */
bool route_has_more(struct transfer *t, CURLcode code);

/* engine_explain.c: what libcurl cannot know: times of look-ups, and why there was no
 * address. */
void route_explain(struct transfer *t, CURLcode code, struct pm_failure *failure,
	struct pm_response *response);

void route_say_denied(const struct transfer_route *r, struct pm_failure *failure);

/* It has ended, or is cancelled. */
void route_end(struct transfer *t);

/* For engine_hop.c: the host is another one now; not `mapped`: libcurl has to cope
 * with it.  STEP_STOP: see route_on_header(). */
enum route_step route_change_host(
	struct transfer *t, const char *host, uint16_t port, bool mapped);

/* For engine_route_set.c: begin with the first address; do the sockets of libcurl get
 * addresses of ours; is the host a private address that a proxy would go to? */
void route_start_over(struct transfer_route *r);
void route_set_mapped(struct transfer_route *r, bool mapped_host);
bool route_refuses_literal(struct transfer_route *r);

/* engine_curl.c: go on, at the first address or after a pause. */
void transfer_resume(struct transfer *t);

#endif
