/* SPDX-License-Identifier: MIT
 *
 * values_http - values that end up in requests and connections: methods,
 * headers, proxies, addresses of hosts; and where bodies go.  See values.h.
 */
#include <string.h>
#include <strings.h>

#include "common/poolmap.h"
#include "master/cli/values.h"
#include "master/cli/values_parts.h"

/* ----------------------------------------------------------------- headers */

/* How many bytes of the text are a token of HTTP (RFC 9110, 5.6.2). */
static size_t token_len(const char *text)
{
	return strspn(text, "!#$%&'*+-.^_`|~0123456789"
			    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

int values_method(const char *text, struct value_error *why)
{
	size_t len = token_len(text);
	if (len == 0 || text[len] || len > VALUES_METHOD_MAX) {
		return values_refuse(why,
			"not a method such as GET, of at most %d letters, without "
			"spaces",
			(int)VALUES_METHOD_MAX);
	}
	if (strcmp(text, "CONNECT") == 0) {
		return values_refuse(why, "makes a tunnel, not a response");
	}
	return 0;
}

static bool name_is(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(text, name, len) == 0;
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < 0x20 || c == 0x7f) {
			return true;
		}
	}
	return false;
}

static int check_header(const char *text, size_t name_len, struct value_error *why)
{
	if (name_len == 0 || text[name_len] != ':') {
		return values_refuse(why, "not a header such as 'Name: value'");
	}
	if (strlen(text) > VALUES_HEADER_MAX) {
		return values_refuse(
			why, "longer than %d bytes", (int)VALUES_HEADER_MAX);
	}
	/* A CR or LF would start a header, or a request, of its own. */
	if (has_control(text)) {
		return values_refuse(why, "%.*s has a control character in its value",
			name_len > 64 ? 64 : (int)name_len, text);
	}
	/* These say where the request ends: wrong ones would break the next. */
	if (name_is(text, name_len, "content-length") ||
		name_is(text, name_len, "transfer-encoding")) {
		return values_refuse(why,
			"%.*s cannot be set, it follows from the body; leave it out",
			(int)name_len, text);
	}
	return 0;
}

int values_header(const char *text, struct header_parts *out, struct value_error *why)
{
	size_t name_len = token_len(text);
	int err = check_header(text, name_len, why);
	if (err) {
		return err;
	}
	size_t at = name_len + 1, end = strlen(text);
	while (text[at] == ' ') {
		at++;
	}
	while (end > at && text[end - 1] == ' ') {
		end--;
	}
	*out = (struct header_parts){name_len, at, end - at};
	return 0;
}

/* -------------------------------------------------------------- connections */

static bool is_proxy_scheme(const char *text, size_t len)
{
	static const char *const schemes[] = {"http", "socks5", "socks5h"};
	bool is = false;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		is = is || name_is(text, len, schemes[i]);
	}
	return is;
}

/* HOST or HOST:PORT, and a slash at most: behind a path libcurl would look for a
 * Unix socket. */
static bool is_place(const char *text)
{
	size_t len = strcspn(text, "/?#");
	size_t host_len = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");
	bool is_end = !text[len] || strcmp(text + len, "/") == 0;
	if (!is_end || !host_len || host_len > len) {
		return false;
	}
	if (text[0] == '[' && !values_is_address(text, host_len)) {
		return false;
	}
	return host_len == len ||
	       (text[host_len] == ':' &&
		       values_is_port(text + host_len + 1, len - host_len - 1));
}

/* The text may hold a password: the reason must not quote it. */
int values_proxy(const char *text, struct value_error *why)
{
	const char *scheme_end = strstr(text, "://");
	const char *host = scheme_end ? scheme_end + 3 : text;
	const char *user_end = memrchr(host, '@', strcspn(host, "/?#"));
	if (scheme_end && !is_proxy_scheme(text, (size_t)(scheme_end - text))) {
		return values_refuse(
			why, "the scheme of a proxy is http, socks5 or socks5h");
	}
	if (!is_place(user_end ? user_end + 1 : host) ||
		strpbrk(text, " \"<>\\^`{|}") || has_control(text) ||
		strlen(text) > VALUES_PROXY_MAX) {
		return values_refuse(
			why, "not a proxy such as http://proxy.example:8080");
	}
	return 0;
}

static bool is_host_name(const char *text, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	return len > 0 && len < 256 && strspn(text, letters) >= len;
}

/* HOST:PORT:ADDR, and IPv6 in brackets. */
int values_resolve(const char *text, struct value_error *why)
{
	size_t host_len = strcspn(text, ":");
	const char *port = text + host_len + (text[host_len] == ':');
	size_t port_len = strcspn(port, ":");
	const char *address = port + port_len + (port[port_len] == ':');
	if (!is_host_name(text, host_len) || !values_is_port(port, port_len) ||
		!values_is_address(address, strlen(address))) {
		return values_refuse(why, "not HOST:PORT:ADDRESS such as "
					  "example.com:443:127.0.0.1");
	}
	return 0;
}

int values_host_pattern(const char *text, struct value_error *why)
{
	const char *host = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
	bool is_v6 = text[0] == '[' && values_is_address(text, strlen(text));
	if (strcmp(text, "*") == 0 || is_v6 || is_host_name(host, strlen(host))) {
		return 0;
	}
	return values_refuse(
		why, "not a host such as \"example.com\", \"*.example.com\" or \"*\"");
}

/* ------------------------------------------------------------------- bodies */

int values_body(const char *text, struct value_body *out, struct value_error *why)
{
	static const struct {
		const char *word;
		enum body_mode mode;
		const char *missing; /* NULL: nothing follows */
	} words[] = {{"inline", BODY_INLINE, NULL}, {"none", BODY_NONE, NULL},
		{"dir:", BODY_DIR, "names no directory, as in dir:bodies"},
		{"warc:", BODY_WARC, "names no files, as in warc:archive"}};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i].word);
		bool has_path = words[i].missing != NULL;
		if (strncmp(text, words[i].word, len) != 0 ||
			(!has_path && text[len])) {
			continue;
		}
		if (has_path && !text[len]) {
			return values_refuse(why, "%s", words[i].missing);
		}
		*out = (struct value_body){words[i].mode, has_path ? text + len : NULL};
		return 0;
	}
	return values_refuse(why, "none of inline, none, dir:DIR and warc:PREFIX");
}
