/* SPDX-License-Identifier: MIT
 *
 * engine_request - from a pm_request to the options of an easy handle.
 *
 * Runs in: the worker.  Called by engine_curl.c.  Never uses
 * curl_easy_reset(): it would cost a third of a request to set everything
 * again, and it brings back defaults that are not ours (CAPATH, protocols).
 * Instead each option that a request can change is compared with what the
 * handle has.
 */
#include "worker/engine_parts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	TIMEOUT_MS = 60000,
	CONNECT_TIMEOUT_MS = 10000,
	MAX_REDIRECTS = 10,
	MAX_REDIRECTS_LIMIT = 30000, /* more does not fit libcurl's counter */
	MAX_BODY = 10 * 1024 * 1024,
};

/* One more option, unless an earlier one failed: needs a CURLcode `bad`. */
#define SET(option, value)                                                             \
	(bad = bad ? bad : curl_easy_setopt(t->easy, (option), (value)))

/* libcurl takes header lines as char *, but only reads them. */
static char no_expect[] = "Expect:";
static char no_content_type[] = "Content-Type:";

/* ---------------------------------------------------- once, for a new handle */

static CURLcode set_identity(struct transfer *t)
{
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_ERRORBUFFER, t->error_text);
	SET(CURLOPT_WRITEFUNCTION, transfer_on_body);
	SET(CURLOPT_WRITEDATA, t);
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
 * 15 ms for each TLS connection. */
static CURLcode set_constants(struct transfer *t)
{
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CAINFO, t->engine->ca_file);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
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
	SET(CURLOPT_FORBID_REUSE, 0L);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_CACHE_S);
	return bad;
}

int transfer_setup_once(struct transfer *t)
{
	bool bad = set_identity(t) || set_constants(t) || set_first_options(t);
	return bad ? PM_ENOMEM : 0;
}

/* ------------------------------------------------------------------- headers */

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

static size_t length_without_blanks(const char *text)
{
	size_t n = strlen(text);
	while (n && (text[n - 1] == ' ' || text[n - 1] == '\t')) {
		n--;
	}
	return n;
}

/* "Name: value", or "Name;", which is how libcurl spells an empty header. */
static char *write_line(char *at, const struct pm_header *h)
{
	const char *value = skip_blanks(h->value);
	size_t value_len = length_without_blanks(value);
	size_t name_len = strlen(h->name);
	memcpy(at, h->name, name_len);
	at += name_len;
	if (value_len) {
		*at++ = ':';
		*at++ = ' ';
		memcpy(at, value, value_len);
		at += value_len;
	} else {
		*at++ = ';';
	}
	*at++ = '\0';
	return at;
}

/* The caller's headers: list nodes and lines in one block.  request_check()
 * has bounded both counts, so the sums are far from any limit. */
static int copy_headers(struct transfer *t, const struct pm_request *request,
	size_t bytes, struct curl_slist ***tail)
{
	enum { LINE_EXTRA = sizeof(": ") };
	size_t ct = request->header_ct;
	struct curl_slist *nodes = malloc(ct * (sizeof(*nodes) + LINE_EXTRA) + bytes);
	if (!nodes) {
		return PM_ENOMEM;
	}
	t->header_memory = nodes;
	char *at = (char *)(nodes + ct);
	for (size_t i = 0; i < ct; i++) {
		nodes[i].data = at;
		nodes[i].next = NULL;
		at = write_line(at, &request->headers[i]);
		**tail = &nodes[i];
		*tail = &nodes[i].next;
	}
	return 0;
}

/* A body: no waiting for "100 Continue", which only costs a round trip.
 * Without bytes it has no type either. */
static void add_own_headers(
	struct transfer *t, const struct pm_request *request, struct curl_slist **tail)
{
	size_t n = 0;
	if (request->body_len && !request_has_header(request, "Expect")) {
		t->extra[n++] = (struct curl_slist){.data = no_expect};
	}
	if (!request->body_len && !request_has_header(request, "Content-Type")) {
		t->extra[n++] = (struct curl_slist){.data = no_content_type};
	}
	for (size_t i = 0; i < n; i++) {
		*tail = &t->extra[i];
		tail = &t->extra[i].next;
	}
}

static int set_headers(struct transfer *t, const struct pm_request *request,
	size_t bytes, enum transfer_verb verb)
{
	struct curl_slist *list = NULL, **tail = &list;
	if (request->header_ct && copy_headers(t, request, bytes, &tail)) {
		return PM_ENOMEM;
	}
	if (verb == VERB_BODY) {
		add_own_headers(t, request, tail);
	}
	if (list != t->now.headers) {
		t->now.headers = list;
		return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, list) ? PM_ENOMEM
									   : 0;
	}
	return 0;
}

/* ------------------------------------------------------------ method and body */

/* Methods that have a body by nature say "Content-Length: 0" without one. */
static enum transfer_verb verb_of(const struct pm_request *request, const char *method)
{
	if (strcmp(method, "HEAD") == 0) {
		return VERB_HEAD; /* request_check() allows it no bytes */
	}
	if (request->body) {
		return VERB_BODY;
	}
	bool expects_body = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
			    strcmp(method, "PATCH") == 0;
	return expects_body ? VERB_BODY : VERB_GET;
}

static const char *method_of_verb(enum transfer_verb verb)
{
	static const char *const names[] = {"GET", "HEAD", "POST"};
	return names[verb];
}

static CURLcode set_verb(
	struct transfer *t, const struct pm_request *request, enum transfer_verb verb)
{
	enum transfer_verb before = t->now.verb;
	t->now.verb = verb;
	if (verb == VERB_BODY) {
		/* POST ends a HEAD, which the fields alone do not.  The size
		 * before the fields: libcurl copies that many bytes. */
		CURLcode bad = CURLE_OK;
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
		SET(CURLOPT_COPYPOSTFIELDS, request->body_len ? request->body : "");
		return bad;
	}
	if (verb == before) {
		return CURLE_OK;
	}
	return verb == VERB_HEAD ? curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L)
				 : curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
}

static CURLcode set_method(struct transfer *t, const char *method)
{
	const char *custom =
		strcmp(method, method_of_verb(t->now.verb)) == 0 ? "" : method;
	if (strcmp(custom, t->now.method) == 0) {
		return CURLE_OK;
	}
	/* request_check() has bounded it. */
	memcpy(t->now.method, custom, strlen(custom) + 1);
	return curl_easy_setopt(
		t->easy, CURLOPT_CUSTOMREQUEST, *custom ? custom : NULL);
}

/* A POST becomes a GET after 301, 302 and 303, as in browsers; any other
 * method keeps its name and body after 301 and 302. */
static CURLcode set_redirect_post(struct transfer *t)
{
	bool custom = t->now.method[0] != '\0' && t->now.verb == VERB_BODY;
	long bits = custom ? CURL_REDIR_POST_301 | CURL_REDIR_POST_302 : 0L;
	if (bits == t->now.redirect_post) {
		return CURLE_OK;
	}
	t->now.redirect_post = bits;
	return curl_easy_setopt(t->easy, CURLOPT_POSTREDIR, bits);
}

/* ------------------------------------------------------------- other options */

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

static CURLcode set_trust(struct transfer *t, const struct pm_request *r)
{
	CURLcode bad = CURLE_OK;
	if (t->now.insecure != r->insecure) {
		t->now.insecure = r->insecure;
		SET(CURLOPT_SSL_VERIFYPEER, r->insecure ? 0L : 1L);
		SET(CURLOPT_SSL_VERIFYHOST, r->insecure ? 0L : 2L);
	}
	const char *have = t->now.ca_file, *want = r->ca_file;
	if (bad || (!have && !want) || (have && want && strcmp(have, want) == 0)) {
		return bad;
	}
	free(t->now.ca_file);
	t->now.ca_file = want ? strdup(want) : NULL;
	if (want && !t->now.ca_file) {
		return CURLE_OUT_OF_MEMORY;
	}
	return curl_easy_setopt(
		t->easy, CURLOPT_CAINFO, want ? want : t->engine->ca_file);
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

/* Headers are looked at when they are wanted, and when a redirect may have to
 * change the method.  HEADERDATA goes with the function: alone it would send
 * the headers to the body's callback. */
static CURLcode set_header_callback(struct transfer *t)
{
	bool watch = t->keep_headers || (t->now.method[0] && t->now.follow);
	if (t->now.watch_headers == watch) {
		return CURLE_OK;
	}
	t->now.watch_headers = watch;
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_HEADERFUNCTION, watch ? transfer_on_header : NULL);
	SET(CURLOPT_HEADERDATA, watch ? t : NULL);
	return bad;
}

int transfer_configure(struct transfer *t, const struct pm_request *request,
	const struct request_facts *facts, bool one_shot)
{
	const char *method = request_method(request);
	enum transfer_verb verb = verb_of(request, method);
	t->keep_headers = !request->no_headers;
	t->discard_body = request->discard_body;
	t->max_body = request->max_body == PM_NO_BODY ? 0
		      : request->max_body             ? request->max_body
						      : MAX_BODY;
	transfer_begin_answer(t);
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_URL, request->url);
	bad = bad ? bad : set_verb(t, request, verb);
	bad = bad ? bad : set_method(t, method);
	bad = bad ? bad : set_redirect_post(t);
	bad = bad ? bad : set_limits(t, request);
	bad = bad ? bad : set_trust(t, request);
	bad = bad ? bad : set_one_shot(t, one_shot);
	bad = bad ? bad : set_header_callback(t);
	return bad ? PM_ENOMEM : set_headers(t, request, facts->header_bytes, verb);
}

/* Give back what a handle without work need not hold: the body is the
 * largest, and libcurl would keep its copy until the next one. */
void transfer_release_request(struct transfer *t)
{
	if (t->now.verb == VERB_BODY) {
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, NULL);
		curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
		t->now.verb = VERB_GET;
	}
	if (t->now.headers) {
		curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
		t->now.headers = NULL;
	}
	free(t->header_memory);
	t->header_memory = NULL;
}
