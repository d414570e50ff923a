/* SPDX-License-Identifier: MIT
 *
 * session - see session.h.
 *
 * Runs in: the worker.  Called by tasks and initializers; session_fini() by
 * fetch.c.  Everything that a session can have wrong is found when it is made,
 * so that no request fails for it later.  Never waits, never touches the
 * network: the engine need not be open.
 */
#include "worker/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/list.h"
#include "worker/engine.h"
#include "worker/engine_check.h"

struct pm_session {
	struct pm_session_options options; /* its strings are of our own */
	struct pm_header *headers;
	struct engine_jar *jar;
	struct list_node link;
};

/* Of this process; workers are single-threaded. */
static struct list sessions;

const struct pm_session_options *session_options(const struct pm_session *session)
{
	return &session->options;
}

struct engine_jar *session_jar(const struct pm_session *session)
{
	return session->jar;
}

/* -------------------------------------------------------------------- checks */

static int refuse(const char *why)
{
	return error_note(PM_EINVAL, "pm_session_new: %s", why);
}

/* Paths are put behind it as they are. */
static int check_base_url(const char *url)
{
	struct pm_failure failure;
	uint32_t unused;
	if (url_check(url, &unused, &failure)) {
		return refuse(failure.message);
	}
	return strpbrk(url, "?#") ? refuse("base_url has a query or a fragment") : 0;
}

static int check(const struct pm_session_options *o)
{
	struct pm_failure failure;
	size_t unused;
	int err = headers_check(o->headers, o->header_ct, &unused, &failure);
	if (!err) {
		err = credentials_check(o->user, o->password, &failure);
	}
	if (!err && o->proxy) {
		err = proxy_check(o->proxy, &failure);
	}
	if (!err && o->local_address) {
		err = local_address_check(o->local_address, &failure);
	}
	if (!err) {
		err = cert_check(o->cert, o->key, &failure);
	}
	if (err) {
		return refuse(failure.message);
	}
	if (o->cookies && headers_have(o->headers, o->header_ct, "Cookie")) {
		return refuse("a Cookie header leaves no place for cookies");
	}
	return o->base_url ? check_base_url(o->base_url) : 0;
}

/* ---------------------------------------------------------------------- copy */

/* Replace a string of the caller's by one of our own.  False: no memory, and
 * then nothing of the caller's is left there either. */
static bool own(const char **text)
{
	bool some = *text != NULL;
	*text = some ? strdup(*text) : NULL;
	return *text || !some;
}

static bool own_headers(struct pm_session *s)
{
	size_t ct = s->options.header_ct;
	const struct pm_header *from = s->options.headers;
	s->options.headers = NULL;
	s->options.header_ct = 0;
	if (!ct) {
		return true;
	}
	s->headers = calloc(ct, sizeof(*s->headers));
	if (!s->headers) {
		return false;
	}
	s->options.headers = s->headers;
	s->options.header_ct = ct;
	bool good = true;
	for (size_t i = 0; i < ct; i++) {
		s->headers[i] = from[i];
		good = own(&s->headers[i].name) && good;
		good = own(&s->headers[i].value) && good;
	}
	return good;
}

static void disown(const char *text)
{
	free((char *)(uintptr_t)text);
}

static void cut_slashes(char *url)
{
	size_t len = strlen(url);
	while (len && url[len - 1] == '/') {
		url[--len] = '\0';
	}
}

/* All of them, also after a failure, so that none stays the caller's. */
static bool own_all(struct pm_session *s)
{
	struct pm_session_options *o = &s->options;
	bool good = own_headers(s);
	good = own(&o->base_url) && good;
	good = own(&o->user) && good;
	good = own(&o->password) && good;
	good = own(&o->proxy) && good;
	good = own(&o->local_address) && good;
	good = own(&o->ca_file) && good;
	good = own(&o->cert) && good;
	good = own(&o->key) && good;
	if (good && o->base_url) {
		cut_slashes((char *)(uintptr_t)o->base_url);
	}
	if (good && o->cookies) {
		s->jar = engine_jar_new();
		good = s->jar != NULL;
	}
	return good;
}

static void destroy(struct pm_session *s)
{
	engine_jar_free(s->jar);
	for (size_t i = 0; i < s->options.header_ct; i++) {
		disown(s->headers[i].name);
		disown(s->headers[i].value);
	}
	free(s->headers);
	disown(s->options.base_url);
	disown(s->options.user);
	disown(s->options.password);
	disown(s->options.proxy);
	disown(s->options.local_address);
	disown(s->options.ca_file);
	disown(s->options.cert);
	disown(s->options.key);
	free(s);
}

/* ------------------------------------------------------------------ poolmap.h */

int pm_session_new(pm_session **session, const struct pm_session_options *options)
{
	static const struct pm_session_options none;
	if (!session) {
		return refuse("there is no place for the session");
	}
	options = options ? options : &none;
	int err = check(options);
	if (err) {
		return err;
	}
	struct pm_session *s = calloc(1, sizeof(*s));
	if (!s) {
		return error_note(PM_ENOMEM, "pm_session_new: no memory");
	}
	s->options = *options;
	if (!own_all(s)) {
		destroy(s);
		return error_note(PM_ENOMEM, "pm_session_new: no memory");
	}
	if (!sessions.head.next) {
		list_init(&sessions);
	}
	list_push_back(&sessions, &s->link);
	*session = s;
	return 0;
}

void pm_session_free(pm_session *session)
{
	if (session) {
		list_remove(&sessions, &session->link);
		destroy(session);
	}
}

void session_fini(void)
{
	struct list_node *n;
	while ((n = list_pop_front(&sessions))) {
		destroy(list_entry(n, struct pm_session, link));
	}
}
