/* SPDX-License-Identifier: MIT
 *
 * secret - what of a command line is not shown again, see secret.h.
 */
#include "master/cli/secret.h"

#include <string.h>
#include <strings.h>

bool secret_header(const char *text)
{
	static const char *const names[] = {"Authorization:", "Proxy-Authorization:",
		"Cookie:", "X-Api-Key:", "X-Auth-Token:"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncasecmp(text, names[i], strlen(names[i])) == 0) {
			return true;
		}
	}
	return false;
}

bool secret_proxy(const char *text)
{
	return strchr(text, '@') != NULL;
}

/* A file's name is none. */
bool secret_data(const char *text)
{
	return *text && *text != '@';
}

size_t secret_user(const char *url, size_t *at)
{
	const char *scheme_end = strstr(url, "://");
	const char *start = scheme_end ? scheme_end + 3 : url;
	const char *end = memrchr(start, '@', strcspn(start, "/?#"));
	*at = (size_t)(start - url);
	return end ? (size_t)(end + 1 - start) : 0;
}
