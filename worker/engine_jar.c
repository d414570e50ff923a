/* SPDX-License-Identifier: MIT
 *
 * engine_jar - what transfers share: TLS sessions all of them, cookies those of
 * one session.
 *
 * Runs in: the worker, single-threaded: libcurl's locks are not set.  Called by
 * the engine and by session.c.  A handle has one share only, so a jar is a share
 * of its own, with TLS sessions of its own.
 */
#include "worker/engine_parts.h"

#include <stdlib.h>

struct engine_jar {
	CURLSH *share;
};

/* Not the connections: a CURLM shares them among its own transfers already, and
 * across several of them libcurl does not get it right. */
CURLSH *share_new(void)
{
	CURLSH *share = curl_share_init();
	if (share &&
		curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION)) {
		curl_share_cleanup(share);
		return NULL;
	}
	return share;
}

/* libcurl counts its users: the engine need not be one of them. */
struct engine_jar *engine_jar_new(void)
{
	struct engine_jar *jar = malloc(sizeof(*jar));
	if (!jar || curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(jar);
		return NULL;
	}
	jar->share = share_new();
	if (!jar->share ||
		curl_share_setopt(jar->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE)) {
		engine_jar_free(jar);
		return NULL;
	}
	return jar;
}

void engine_jar_free(struct engine_jar *jar)
{
	if (jar) {
		curl_share_cleanup(jar->share);
		free(jar);
		curl_global_cleanup();
	}
}

/* The file without a name turns the handle's cookies on. */
CURLcode jar_attach(struct engine_jar *jar, CURL *easy)
{
	CURLcode bad = curl_easy_setopt(easy, CURLOPT_SHARE, jar->share);
	return bad ? bad : curl_easy_setopt(easy, CURLOPT_COOKIEFILE, "");
}

/* In this order: while the jar is there, it is not emptied. */
void jar_detach(CURL *easy, CURLSH *share)
{
	curl_easy_setopt(easy, CURLOPT_COOKIEFILE, NULL);
	curl_easy_setopt(easy, CURLOPT_SHARE, share);
}
