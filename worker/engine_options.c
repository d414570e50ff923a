/* SPDX-License-Identifier: MIT
 *
 * engine_options - how a request is carried out, as options of an easy handle:
 * limits, trust, credentials, proxy, cookies, decoding.  What it says is in
 * engine_request.c.
 *
 * Runs in: the worker.  Called by engine_curl.c and engine_request.c.  Never
 * uses curl_easy_reset(): it would cost a third of a request to set everything
 * again, and it brings back defaults that are not ours (CAPATH, protocols).
 * Instead each option that a request can change is compared with what the
 * handle has.
 */
#include "worker/engine_parts.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/session.h"

enum {
	TIMEOUT_MS = 60000,
	CONNECT_TIMEOUT_MS = 10000,
	MAX_REDIRECTS = 10,
	MAX_REDIRECTS_LIMIT = 30000, /* more does not fit libcurl's counter */
};

/* ---------------------------------------------------- once, for a new handle */

static CURLcode set_identity(struct transfer *t)
{
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_ERRORBUFFER, t->error_text);
	SET(CURLOPT_WRITEFUNCTION, transfer_on_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_HEADERFUNCTION, transfer_on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_OPENSOCKETFUNCTION, watch_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, t);
	/* A connection may outlive the handle that made it. */
	SET(CURLOPT_CLOSESOCKETFUNCTION, watch_close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, t->engine);
	SET(CURLOPT_SHARE, t->engine->sessions);
	return bad;
}

/* What the environment, the home directory or a server could otherwise turn
 * on.  QUICK_EXIT: without it a transfer that ends while its host name is
 * looked up waits for that look-up, and the whole loop with it.  CAPATH: only
 * without it does libcurl keep the parsed CA store; reading it again costs
 * 15 ms for each TLS connection.  KEYPASSWD: without it OpenSSL asks the terminal
 * for the password of a client's key, and the whole worker waits. */
static CURLcode set_constants(struct transfer *t)
{
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CAINFO, t->engine->ca_file);
	SET(CURLOPT_KEYPASSWD, "");
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_UNRESTRICTED_AUTH, 0L);
	SET(CURLOPT_USERAGENT, "poolmap/" PM_VERSION);
	SET(CURLOPT_TCP_NODELAY, 1L);
	return bad;
}

/* Values that transfer_options starts from; libcurl's defaults differ. */
static CURLcode set_first_options(struct transfer *t)
{
	t->now = (struct transfer_options){
		.timeout_ms = TIMEOUT_MS,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.max_redirects = MAX_REDIRECTS,
		.follow = true,
	};
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_HTTPGET, 1L);
	SET(CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	SET(CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
	SET(CURLOPT_FOLLOWLOCATION, 1L);
	SET(CURLOPT_POSTREDIR, 0L);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FORBID_REUSE, 0L);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_CACHE_S);
	return bad;
}

int transfer_setup_once(struct transfer *t)
{
	bool bad = set_identity(t) || set_constants(t) || set_first_options(t) ||
		   twice_set_options(t);
	return bad ? PM_ENOMEM : 0;
}

/* ------------------------------------------------------ those of each request */

static CURLcode set_long(struct transfer *t, CURLoption option, long *now, long value)
{
	if (*now == value) {
		return CURLE_OK;
	}
	*now = value;
	return curl_easy_setopt(t->easy, option, value);
}

/* Zero means the default; libcurl's own limit is INT_MAX. */
static long number_or(unsigned value, long fallback, long max)
{
	if (!value) {
		return fallback;
	}
	return value > (unsigned long)max ? max : (long)value;
}

static CURLcode set_limits(struct transfer *t, const struct pm_request *r)
{
	struct transfer_options *now = &t->now;
	long timeout = number_or(r->timeout_ms, TIMEOUT_MS, INT_MAX);
	long connect = number_or(r->connect_timeout_ms, CONNECT_TIMEOUT_MS, INT_MAX);
	long redirects = r->max_redirects == PM_NO_REDIRECTS
				 ? 0
				 : number_or(r->max_redirects, MAX_REDIRECTS,
					   MAX_REDIRECTS_LIMIT);
	CURLcode bad = set_long(t, CURLOPT_TIMEOUT_MS, &now->timeout_ms, timeout);
	bad = bad ? bad
		  : set_long(t, CURLOPT_CONNECTTIMEOUT_MS, &now->connect_timeout_ms,
			    connect);
	bad = bad ? bad
		  : set_long(t, CURLOPT_MAXREDIRS, &now->max_redirects, redirects);
	if (now->follow == r->no_follow) {
		now->follow = !r->no_follow;
		SET(CURLOPT_FOLLOWLOCATION, (long)now->follow);
	}
	return bad;
}

/* Seconds are all that libcurl counts here: more rather than less. */
static CURLcode set_stall(struct transfer *t, const struct pm_request *r)
{
	long seconds = (long)(r->stall_timeout_ms / 1000u) +
		       (r->stall_timeout_ms % 1000u != 0);
	CURLcode bad = CURLE_OK;
	if (t->now.stall_s != seconds) {
		t->now.stall_s = seconds;
		SET(CURLOPT_LOW_SPEED_TIME, seconds);
		SET(CURLOPT_LOW_SPEED_LIMIT, seconds ? 1L : 0L);
	}
	return bad;
}

/* A string that many requests have in common: kept in *now until another one is
 * wanted.  `none` is what libcurl gets when there is none. */
static CURLcode set_text(struct transfer *t, CURLoption option, char **now,
	const char *want, const char *none)
{
	if ((!*now && !want) || (*now && want && strcmp(*now, want) == 0)) {
		return CURLE_OK;
	}
	free(*now);
	*now = want ? strdup(want) : NULL;
	if (want && !*now) {
		return CURLE_OUT_OF_MEMORY;
	}
	return curl_easy_setopt(t->easy, option, want ? want : none);
}

static CURLcode set_trust(struct transfer *t, const struct pm_request *r)
{
	CURLcode bad = CURLE_OK;
	if (t->now.insecure != r->insecure) {
		t->now.insecure = r->insecure;
		SET(CURLOPT_SSL_VERIFYPEER, r->insecure ? 0L : 1L);
		SET(CURLOPT_SSL_VERIFYHOST, r->insecure ? 0L : 2L);
	}
	bad = bad ? bad
		  : set_text(t, CURLOPT_CAINFO, &t->now.ca_file, r->ca_file,
			    t->engine->ca_file);
	bad = bad ? bad : set_text(t, CURLOPT_SSLCERT, &t->now.cert, r->cert, NULL);
	return bad ? bad : set_text(t, CURLOPT_SSLKEY, &t->now.key, r->key, NULL);
}

/* PIPEWAIT: the first transfer to a host makes a connection, and those that come
 * meanwhile wait to see whether they can share it. */
static CURLcode set_version(struct transfer *t, const struct pm_request *r)
{
	CURLcode bad = CURLE_OK;
	if (t->now.http2 != r->http2) {
		t->now.http2 = r->http2;
		SET(CURLOPT_HTTP_VERSION, r->http2 ? (long)CURL_HTTP_VERSION_2TLS
						   : (long)CURL_HTTP_VERSION_1_1);
		SET(CURLOPT_PIPEWAIT, (long)r->http2);
	}
	return bad;
}

/* libcurl asks the environment when it is told nothing. */
static CURLcode set_proxy(struct transfer *t, const struct pm_request *r)
{
	const char *now = t->now.proxy;
	bool was_env = now && proxy_is_env(now);
	bool env = r->proxy && proxy_is_env(r->proxy);
	CURLcode bad = set_text(t, CURLOPT_PROXY, &t->now.proxy, r->proxy, "");
	if (env != was_env) {
		SET(CURLOPT_NOPROXY, env ? NULL : "");
	}
	if (env && !was_env) {
		SET(CURLOPT_PROXY, NULL);
	}
	return bad;
}

/* libcurl keeps apart what comes from different places, but takes any connection for a
 * request that may come from anywhere.  So such a one gets none of them: for hosts by
 * another stand-in, see engine_route.c; and one to a proxy is not kept. */
static CURLcode set_local(struct transfer *t, const struct pm_request *r)
{
	char text[sizeof("host!") + ADDRESS_TEXT_MAX];
	struct address a;
	if (r->local_address) {
		bool literal =
			address_parse(&a, r->local_address, strlen(r->local_address));
		snprintf(text, sizeof(text), "%s!%s", literal ? "host" : "if",
			r->local_address);
	}
	return set_text(t, CURLOPT_INTERFACE, &t->now.local,
		r->local_address ? text : NULL, NULL);
}

/* A shard that is full of hosts keeps neither connections nor addresses. */
static CURLcode set_one_shot(struct transfer *t, bool one_shot)
{
	if (t->now.one_shot == one_shot) {
		return CURLE_OK;
	}
	t->now.one_shot = one_shot;
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_FORBID_REUSE, (long)one_shot);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, one_shot ? 0L : (long)DNS_CACHE_S);
	return bad;
}

/* Gone again when the request has ended, so that an idle handle knows no
 * password.  Without one it is empty: a URL's own must not join another user. */
static CURLcode set_credentials(struct transfer *t, const struct pm_request *r)
{
	CURLcode bad = CURLE_OK;
	if (r->user) {
		t->now.credentials = true;
		SET(CURLOPT_USERNAME, r->user);
		SET(CURLOPT_PASSWORD, r->password ? r->password : "");
	}
	return bad;
}

/* "": all that libcurl can decode; it decodes nothing that it did not offer. */
static CURLcode set_compressed(struct transfer *t, const struct pm_request *r)
{
	if (t->now.compressed == r->compressed) {
		return CURLE_OK;
	}
	t->now.compressed = r->compressed;
	return curl_easy_setopt(
		t->easy, CURLOPT_ACCEPT_ENCODING, r->compressed ? "" : NULL);
}

/* A request with a Cookie header of its own has all its cookies there: libcurl
 * would send a second header beside it. */
static CURLcode set_jar(struct transfer *t, const struct pm_request *r)
{
	struct engine_jar *jar = r->session ? session_jar(r->session) : NULL;
	if (!jar || headers_have(r->headers, r->header_ct, "Cookie")) {
		return CURLE_OK;
	}
	t->now.jar = jar;
	return jar_attach(jar, t->easy);
}

CURLcode transfer_set_options(
	struct transfer *t, const struct pm_request *request, bool one_shot)
{
	CURLcode bad = set_limits(t, request);
	bad = bad ? bad : set_stall(t, request);
	bad = bad ? bad : set_trust(t, request);
	bad = bad ? bad : set_local(t, request);
	bad = bad ? bad
		  : set_one_shot(
			    t, one_shot || (request->local_address && request->proxy));
	bad = bad ? bad : heads_set_options(t);
	bad = bad ? bad : set_compressed(t, request);
	bad = bad ? bad : set_version(t, request);
	bad = bad ? bad : set_proxy(t, request);
	bad = bad ? bad : set_credentials(t, request);
	return bad ? bad : set_jar(t, request);
}

void transfer_release_options(struct transfer *t)
{
	if (t->now.credentials) {
		curl_easy_setopt(t->easy, CURLOPT_USERNAME, NULL);
		curl_easy_setopt(t->easy, CURLOPT_PASSWORD, NULL);
		t->now.credentials = false;
	}
	if (t->now.jar) {
		jar_detach(t->easy, t->engine->sessions);
		t->now.jar = NULL;
	}
}
