/* SPDX-License-Identifier: MIT
 *
 * engine_env - see engine_env.h.
 */
#include "worker/engine_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Unset and empty are the same. */
static const char *variable(const char *lower, const char *upper)
{
	const char *value = getenv(lower);
	if ((!value || !*value) && upper) {
		value = getenv(upper);
	}
	return value && *value ? value : NULL;
}

/* "example.com" and ".example.com" are that host and all below it. */
static bool fits(const char *pattern, size_t len, const char *host, size_t host_len)
{
	if (len && pattern[0] == '.') {
		pattern++;
		len--;
	}
	if (len && pattern[len - 1] == '.') {
		len--;
	}
	return len && host_len >= len &&
	       strncasecmp(host + host_len - len, pattern, len) == 0 &&
	       (host_len == len || host[host_len - len - 1] == '.');
}

static bool is_exempt(const char *host)
{
	static const char separators[] = ", \t";
	const char *at = variable("no_proxy", "NO_PROXY");
	size_t host_len = strlen(host);
	if (host_len && host[host_len - 1] == '.') {
		host_len--;
	}
	if (host_len > 2 && host[0] == '[') {
		host++;
		host_len -= 2;
	}
	if (at && strcmp(at, "*") == 0) {
		return true;
	}
	while (at && *at) {
		size_t len = strcspn(at, separators);
		if (fits(at, len, host, host_len)) {
			return true;
		}
		at += len;
		at += strspn(at, separators);
	}
	return false;
}

bool env_proxy(const char *url, const char *host, char *out)
{
	bool https = strncasecmp(url, "https:", 6) == 0;
	const char *proxy = https ? variable("https_proxy", "HTTPS_PROXY")
				  : variable("http_proxy", NULL);
	proxy = proxy ? proxy : variable("all_proxy", "ALL_PROXY");
	if (!proxy || is_exempt(host)) {
		return false;
	}
	int len = snprintf(out, ENV_PROXY_MAX, "%s%s",
		strstr(proxy, "://") ? "" : "http://", proxy);
	return len > 0 && len < ENV_PROXY_MAX;
}
