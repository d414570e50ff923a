/* SPDX-License-Identifier: MIT
 *
 * engine_request - what a request says, as options of an easy handle: URL,
 * method, headers, body.  How it is carried out is in engine_options.c.
 *
 * Runs in: the worker.  Called by engine_curl.c.
 */
#include "worker/engine_parts.h"

#include <stdlib.h>
#include <string.h>

/* libcurl takes header lines as char *, but only reads them. */
static char no_expect[] = "Expect:";
static char no_content_type[] = "Content-Type:";

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

static bool has_header(const struct pm_request *request, const char *name)
{
	return headers_have(request->headers, request->header_ct, name);
}

/* A body: no waiting for "100 Continue", which only costs a round trip.
 * Without bytes it has no type either. */
static void add_own_headers(
	struct transfer *t, const struct pm_request *request, struct curl_slist **tail)
{
	size_t n = 0;
	if (request->body_len && !has_header(request, "Expect")) {
		t->extra[n++] = (struct curl_slist){.data = no_expect};
	}
	if (!request->body_len && !has_header(request, "Content-Type")) {
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

/* ------------------------------------------------------------------ the whole */

int transfer_configure(struct transfer *t, const struct pm_request *request,
	const struct request_facts *facts, bool one_shot)
{
	const char *method = request_method(request);
	enum transfer_verb verb = verb_of(request, method);
	t->keep_headers = !request->no_headers;
	transfer_begin_answer(t, request);
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_URL, request->url);
	bad = bad ? bad : set_verb(t, request, verb);
	bad = bad ? bad : set_method(t, method);
	bad = bad ? bad : set_redirect_post(t);
	bad = bad ? bad : transfer_set_options(t, request, one_shot);
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
	transfer_release_options(t);
}
