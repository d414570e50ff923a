/* SPDX-License-Identifier: MIT
 *
 * engine_twice - what may be sent a second time.  Private to the libcurl engine.
 *
 * Runs in: the worker.  Called by libcurl before it sends a request, and by
 * engine_curl.c.
 *
 * A server may close a kept connection just when the next request is on its way.  Then
 * libcurl sends it again on another one, whatever its method is.  Nobody knows whether
 * the server has acted upon the first: so it is done for the methods of which RFC 9110
 * says that it does no harm, and for no other.  On a connection that was made for the
 * request there is only one reason to send it again: an HTTP/2 server has refused it
 * unseen, which may be done for all.  A request may forbid the first.
 *
 * When libcurl has said why the connection broke, the second attempt is not left to it:
 * it keeps the first words of a transfer, and would tell of the broken connection
 * whatever is wrong with the answer of the next one.
 */
#include "common/method.h"
#include "worker/engine_parts.h"

static long redirects_of(const struct transfer *t)
{
	long ct = 0;
	curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &ct);
	return ct;
}

static bool may_repeat(const struct transfer *t)
{
	const char *method = NULL;
	curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_METHOD, &method);
	return !t->no_resend && method && method_is_idempotent(method);
}

/* libcurl's: a connection is there, and the request follows. */
static int before_request(
	/* NOLINTNEXTLINE(readability-non-const-parameter): so libcurl has it */
	void *ctx, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct transfer *t = ctx;
	bool was_kept = t->on_kept;
	long connect_ct = t->connect_ct;
	(void)remote_ip;
	(void)local_ip;
	(void)remote_port;
	(void)local_port;
	t->route.connected = true;
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connect_ct);
	t->on_kept = connect_ct == t->connect_ct;
	t->connect_ct = connect_ct;
	if (t->unanswered && was_kept && !may_repeat(t)) {
		(void)transfer_stop(t, PM_ERESET, NULL);
		return CURL_PREREQFUNC_ABORT;
	}
	if (t->unanswered && t->error_text[0] && !t->redone && !redirects_of(t)) {
		t->has_old_words = true;
		return CURL_PREREQFUNC_ABORT;
	}
	t->resend_ct += t->unanswered || t->redoing;
	t->redoing = false;
	t->unanswered = true;
	return CURL_PREREQFUNC_OK;
}

CURLcode twice_set_options(struct transfer *t)
{
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_PREREQFUNCTION, before_request);
	SET(CURLOPT_PREREQDATA, t);
	return bad;
}

void twice_begin(struct transfer *t, const struct pm_request *request)
{
	if (t->redone) {
		curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 0L);
	}
	t->redone = t->redoing = false;
	t->no_resend = request->no_resend;
	t->resend_ct = 0;
	twice_forget(t);
}

void twice_forget(struct transfer *t)
{
	t->unanswered = t->on_kept = t->has_old_words = false;
	t->connect_ct = 0;
}

/* libcurl 7.88 counts how often a handle has sent something again in all its life, not
 * for one request: after the fifth time it gives up once, and begins to count anew.
 * Then it has made no connection for this request. */
static bool was_miscounted(const struct transfer *t, CURLcode code)
{
	long connect_ct = 0;
	bool lost = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
		    code == CURLE_GOT_NOTHING;
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connect_ct);
	return lost && t->unanswered && !t->stopped && !connect_ct &&
	       !redirects_of(t) && may_repeat(t);
}

/* On a connection that is made for it there is no third time. */
bool twice_is_wanted(struct transfer *t, CURLcode code)
{
	bool wanted = code == CURLE_ABORTED_BY_CALLBACK ? t->has_old_words
							: was_miscounted(t, code);
	if (!wanted || t->redone) {
		return false;
	}
	t->redone = t->redoing = true;
	return curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
}
