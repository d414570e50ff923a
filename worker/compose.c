/* SPDX-License-Identifier: MIT
 *
 * compose - see compose.h.
 *
 * Runs in: the worker.  Never refuses what the engine refuses anyway: only what
 * it could not see any more.
 */
#include "worker/compose.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/engine_check.h"
#include "worker/engine_errors.h"
#include "worker/session.h"

static int no_memory(struct pm_failure *failure)
{
	return engine_failure(
		failure, PM_ENOMEM, PM_DOMAIN_NONE, 0, "no memory for the request");
}

static int refuse(struct pm_failure *failure, const char *why)
{
	return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0, "%s", why);
}

/* -------------------------------------------------------------------- escapes */

static const char unreserved[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

/* RFC 3986, 2.3: all but the unreserved as %XX; in a form a space is '+'. */
static int put_escaped(struct buf *out, const char *text, bool form)
{
	static const char digits[] = "0123456789ABCDEF";
	int err = 0;
	while (*text && !err) {
		size_t plain = strspn(text, unreserved);
		if (plain) {
			err = buf_put(out, text, plain);
			text += plain;
			continue;
		}
		unsigned char c = (unsigned char)*text++;
		const char escape[] = {'%', digits[c >> 4], digits[c & 15]};
		err = form && c == ' ' ? buf_put(out, "+", 1)
				       : buf_put(out, escape, sizeof(escape));
	}
	return err;
}

static int put_pair(struct buf *out, const struct pm_param *p, bool form)
{
	int err = put_escaped(out, p->name, form);
	if (!err) {
		err = buf_put(out, "=", 1);
	}
	return err ? err : put_escaped(out, p->value, form);
}

/* name=value&name=value */
static int put_pairs(struct buf *out, const struct pm_param *params, size_t ct,
	bool form, size_t max)
{
	int err = 0;
	for (size_t i = 0; i < ct && out->len <= max && !err; i++) {
		err = i ? buf_put(out, "&", 1) : 0;
		err = err ? err : put_pair(out, &params[i], form);
	}
	return err;
}

static int check_params(const struct pm_param *params, size_t ct, const char *what,
	struct pm_failure *failure)
{
	if (ct && !params) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"%s is NULL but its number is %zu", what, ct);
	}
	for (size_t i = 0; i < ct; i++) {
		if (!params[i].name || !params[i].value) {
			return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
				"a name or value in %s is NULL", what);
		}
	}
	return 0;
}

/* ------------------------------------------------------------------------ URL */

/* What stands between the URL as it is and the first of the params. */
static const char *separator(const char *url, size_t len)
{
	if (!memchr(url, '?', len)) {
		return "?";
	}
	return url[len - 1] == '?' || url[len - 1] == '&' ? "" : "&";
}

static int put_url(struct buf *out, const char *base, const struct pm_request *r)
{
	size_t len = strcspn(r->url, "#"); /* params go before a fragment */
	int err = base && r->url[0] == '/' ? buf_puts(out, base) : 0;
	err = err ? err : buf_put(out, r->url, len);
	if (r->param_ct) {
		err = err ? err : buf_puts(out, separator(r->url, len));
		err = err ? err
			  : put_pairs(out, r->params, r->param_ct, false,
				    REQUEST_URL_MAX);
	}
	err = err ? err : buf_puts(out, r->url + len);
	return err ? err : buf_text(out) ? 0 : PM_ENOMEM;
}

/* The engine measures the result, but not before it was made. */
static int compose_url(struct composed *c, const struct pm_session_options *s,
	struct pm_failure *failure)
{
	struct pm_request *r = &c->request;
	const char *base = s ? s->base_url : NULL;
	int err = check_params(r->params, r->param_ct, "params", failure);
	if (err || !r->url || (!r->param_ct && (!base || r->url[0] != '/'))) {
		return err;
	}
	if (put_url(&c->url, base, r)) {
		return no_memory(failure);
	}
	r->url = c->url.data;
	return 0;
}

/* ----------------------------------------------------------------------- body */

static int check_body(const struct pm_request *r, struct pm_failure *failure)
{
	bool form = r->form || r->form_ct;
	if ((r->body || r->body_len) + (r->json != NULL) + form > 1) {
		return refuse(failure, "more than one of body, json and form is given");
	}
	return check_params(r->form, r->form_ct, "form", failure);
}

/* The type of a body that says by itself what it is. */
static const char *body_type(const struct pm_request *r)
{
	if (r->json) {
		return "application/json";
	}
	return r->form ? "application/x-www-form-urlencoded" : NULL;
}

static int compose_body(struct composed *c, struct pm_failure *failure)
{
	struct pm_request *r = &c->request;
	if (r->json) {
		r->body = r->json;
		r->body_len = strlen(r->json);
	} else if (r->form) {
		if (put_pairs(&c->body, r->form, r->form_ct, true, SIZE_MAX)) {
			return no_memory(failure);
		}
		r->body = c->body.len ? c->body.data : "";
		r->body_len = c->body.len;
	}
	return 0;
}

/* -------------------------------------------------------------------- headers */

/* user[:password]@ in a URL that may be no good. */
static bool url_has_user(const char *url)
{
	const char *authority = url ? strstr(url, "://") : NULL;
	if (!authority) {
		return false;
	}
	authority += 3;
	return memchr(authority, '@', strcspn(authority, "/?#")) != NULL;
}

/* Does the request say itself who asks? */
static bool has_own_user(const struct pm_request *r)
{
	return r->user || r->password || url_has_user(r->url);
}

/* What the request sets itself, as a header or otherwise, goes before. */
static bool is_overridden(const struct pm_request *r, const char *name)
{
	return headers_have(r->headers, r->header_ct, name) ||
	       (body_type(r) && strcasecmp(name, "Content-Type") == 0) ||
	       (strcasecmp(name, "Authorization") == 0 && has_own_user(r));
}

static int compose_headers(struct composed *c, const struct pm_session_options *s,
	struct pm_failure *failure)
{
	struct pm_request *r = &c->request;
	size_t bytes, ct = 0, session_ct = s ? s->header_ct : 0;
	const char *type = body_type(r);
	int err = headers_check(r->headers, r->header_ct, &bytes, failure);
	if (err || (!session_ct && !type)) {
		return err;
	}
	/* Both numbers are at most REQUEST_HEADERS_MAX. */
	c->headers = calloc(session_ct + r->header_ct + 1, sizeof(*c->headers));
	if (!c->headers) {
		return no_memory(failure);
	}
	for (size_t i = 0; i < session_ct; i++) {
		if (!is_overridden(r, s->headers[i].name)) {
			c->headers[ct++] = s->headers[i];
		}
	}
	for (size_t i = 0; i < r->header_ct; i++) {
		c->headers[ct++] = r->headers[i];
	}
	if (type && !headers_have(r->headers, r->header_ct, "Content-Type")) {
		c->headers[ct++] = (struct pm_header){"Content-Type", type};
	}
	r->headers = c->headers;
	r->header_ct = ct;
	return 0;
}

/* --------------------------------------------------------------- other options */

static void add_session(
	struct pm_request *r, const struct pm_session_options *s, bool own_user)
{
	if (!own_user) {
		r->user = s->user;
		r->password = s->password;
	}
	r->proxy = r->proxy ? r->proxy : s->proxy;
	r->local_address = r->local_address ? r->local_address : s->local_address;
	r->ca_file = r->ca_file ? r->ca_file : s->ca_file;
	r->timeout_ms = r->timeout_ms ? r->timeout_ms : s->timeout_ms;
	if (!r->cert && !r->key) {
		r->cert = s->cert;
		r->key = s->key;
	}
	r->compressed = r->compressed || s->compressed;
	r->http2 = r->http2 || s->http2;
}

/* -------------------------------------------------------------------- compose */

int compose(struct composed *c, const struct pm_request *request,
	struct pm_failure *failure)
{
	const struct pm_session_options *s =
		request->session ? session_options(request->session) : NULL;
	c->url = c->body = (struct buf){0};
	c->headers = NULL;
	c->request = *request;
	int err = check_body(request, failure);
	if (!err) {
		err = compose_body(c, failure);
	}
	if (!err) {
		err = compose_headers(c, s, failure);
	}
	if (!err) {
		err = compose_url(c, s, failure);
	}
	if (!err && s) {
		add_session(&c->request, s, has_own_user(request));
	}
	return err;
}

void compose_fini(struct composed *c)
{
	buf_fini(&c->url);
	buf_fini(&c->body);
	free(c->headers);
	c->headers = NULL;
}
