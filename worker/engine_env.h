/* SPDX-License-Identifier: MIT
 *
 * engine_env - the proxy that the environment names for a URL.
 *
 * Runs in: the worker.  Called by engine_route.c, which has to know the proxy before
 * libcurl does.
 */
#ifndef WORKER_ENGINE_ENV_H
#define WORKER_ENGINE_ENV_H

#include <stdbool.h>
#include <stddef.h>

enum { ENV_PROXY_MAX = 4096 };

/* As libcurl reads them: http_proxy (in lower case only), https_proxy, HTTPS_PROXY,
 * all_proxy, ALL_PROXY; and no_proxy, NO_PROXY: hosts, with their subdomains, or "*".
 * Writes a URL into `out`, which has ENV_PROXY_MAX bytes; false: no proxy. */
bool env_proxy(const char *url, const char *host, char *out);

#endif
