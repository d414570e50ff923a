/* SPDX-License-Identifier: MIT
 *
 * engine_hop - see engine_hop.h.
 *
 * Runs in: the worker, inside libcurl's callback for headers.  libcurl follows
 * redirects by itself; here it is held, at the end of the head that says so, until the
 * next host has an address.  Where that is, its own parser says.
 */
#include "worker/engine_hop.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/engine_parts.h"

/* ------------------------------------------------------------------------- URLs */

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80) {
			return false;
		}
	}
	return true;
}

static bool has_zone(CURLU *parser, const char *host)
{
	char *zone = NULL;
	bool has = host[0] == '[' &&
		   curl_url_get(parser, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK;
	curl_free(zone);
	return has;
}

/* A name with other letters goes to the servers as libcurl would send it. */
static char *host_of(CURLU *parser)
{
	char *host = NULL;
	if (curl_url_get(parser, CURLUPART_HOST, &host, 0)) {
		return NULL;
	}
#ifdef CURLU_PUNYCODE
	char *ascii = NULL;
	if (is_ascii(host)) {
		return host;
	}
	if (curl_url_get(parser, CURLUPART_HOST, &ascii, CURLU_PUNYCODE) == CURLUE_OK) {
		curl_free(host);
		return ascii;
	}
	if (LIBCURL_VERSION_NUM < 0x080000) {
		curl_free(ascii); /* 7.88 forgets it when it cannot convert it */
	}
#endif
	return host;
}

static int read_host(CURLU *parser, char *host, uint16_t *port)
{
	char *name = host_of(parser), *digits = NULL;
	size_t len = name ? strlen(name) : 0;
	bool good = len > 0;
	if (good) {
		len = len > ROUTE_HOST_MAX ? ROUTE_HOST_MAX : len;
		memcpy(host, name, len);
		host[len] = '\0';
		good = curl_url_get(parser, CURLUPART_PORT, &digits,
			       CURLU_DEFAULT_PORT) == CURLUE_OK;
		*port = good ? (uint16_t)strtoul(digits, NULL, 10) : 0;
	}
	good = good && !has_zone(parser, name);
	curl_free(digits);
	curl_free(name);
	return good ? 0 : PM_EBADURL;
}

int hop_parse(CURLU *parser, const char *url, char *host, uint16_t *port)
{
	host[0] = '\0';
	if (curl_url_set(parser, CURLUPART_URL, NULL, 0) ||
		curl_url_set(parser, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME)) {
		return PM_EBADURL;
	}
	return read_host(parser, host, port);
}

/* -------------------------------------------------------------------- redirects */

/* Where the redirect leads.  False: nowhere that libcurl would go. */
static bool parse_location(struct transfer *t, char *host, uint16_t *port)
{
	CURLU *parser = t->engine->parser;
	const char *from = NULL;
	host[0] = '\0';
	char *scheme = NULL;
	curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &from);
	if (!from || curl_url_set(parser, CURLUPART_URL, NULL, 0) ||
		curl_url_set(parser, CURLUPART_URL, from, CURLU_ALLOW_SPACE) ||
		curl_url_set(parser, CURLUPART_URL, t->route.location,
			CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE |
				CURLU_ALLOW_SPACE) ||
		curl_url_get(parser, CURLUPART_SCHEME, &scheme, 0)) {
		return false;
	}
	bool http = strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0;
	curl_free(scheme);
	return http && read_host(parser, host, port) == 0;
}

static bool is_followed(struct transfer *t)
{
	long status = 0, redirects = 0;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	return t->now.follow && status >= 300 && status < 400 &&
	       redirects < t->now.max_redirects;
}

static enum route_step follow(struct transfer *t)
{
	char host[ROUTE_HOST_MAX + 1];
	uint16_t port = 0;
	bool leads = parse_location(t, host, &port);
	free(t->route.location);
	t->route.location = NULL;
	return route_change_host(t, host, port, leads);
}

static void keep_location(struct transfer_route *r, const char *bytes, size_t len)
{
	static const char name[] = "location:";
	size_t n = sizeof(name) - 1;
	if (len < n || strncasecmp(bytes, name, n) != 0) {
		return;
	}
	while (n < len && strchr(" \t\r\n", bytes[n])) {
		n++;
	}
	while (len > n && strchr(" \t\r\n", bytes[len - 1])) {
		len--;
	}
	free(r->location);
	r->location = strndup(bytes + n, len - n);
}

/* After a pause libcurl gives us the same line again: by then there is no location. */
enum route_step route_on_header(struct transfer *t, const char *bytes, size_t len)
{
	struct transfer_route *r = &t->route;
	if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
		r->in_head = true;
		free(r->location);
		r->location = NULL;
	} else if (r->in_head && (bytes[0] == '\r' || bytes[0] == '\n')) {
		r->in_head = false;
		return r->location && is_followed(t) ? follow(t) : STEP_GO;
	} else if (r->in_head) {
		keep_location(r, bytes, len);
	}
	return STEP_GO;
}
