/* SPDX-License-Identifier: MIT
 *
 * engine_version - the versions that are linked at run time: what a report of
 * a problem has to name.
 *
 * Runs in: every process.  Here because only the engine's files know libcurl.
 */
#include <curl/curl.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>

#include "common/poolmap.h"
#include "worker/resolver_ares.h"

static char text[512];

static void fill(void)
{
	snprintf(text, sizeof text, "poolmap %s %s c-ares/%s libevent/%s", PM_VERSION,
		curl_version(), asker_version(), event_get_version());
}

const char *pm_version_text(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fill);
	return text;
}
