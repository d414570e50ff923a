/* SPDX-License-Identifier: MIT
 *
 * engine_check - what a request must be like, see engine_check.h.
 *
 * libcurl sends what it is given: a newline in a URL or a header would become
 * a second header or a second request.  So everything that ends up in the
 * head of a request passes here first.  Parsing proper stays with libcurl.
 */
#include "worker/engine_check.h"

#include <string.h>
#include <strings.h>

#include "worker/address.h"
#include "worker/engine_errors.h"

/* RFC 9110, 5.6.2.  No locale: these are bytes of a protocol. */
static bool is_token_byte(unsigned char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9')) {
		return true;
	}
	return c && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(const char *text)
{
	if (!*text) {
		return false;
	}
	for (; *text; text++) {
		if (!is_token_byte((unsigned char)*text)) {
			return false;
		}
	}
	return true;
}

/* For messages: a name that is none may hold anything. */
static const char *printable(const char *text, char *out, size_t cap)
{
	size_t n = 0;
	for (; text[n] && n + 1 < cap; n++) {
		unsigned char c = (unsigned char)text[n];
		out[n] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
	}
	out[n] = '\0';
	return out;
}

/* ------------------------------------------------------------------- the URL */

static bool has_scheme(const char *url, const char *scheme)
{
	size_t n = strlen(scheme);
	return strncasecmp(url, scheme, n) == 0 && url[n] == ':';
}

static bool looks_like_scheme(const char *url)
{
	size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyz"
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	return n && url[n] == ':' && strchr("0123456789+-.", url[0]) == NULL;
}

static int check_scheme(const char *url, const char **rest, struct pm_failure *failure)
{
	bool ours = has_scheme(url, "http") || has_scheme(url, "https");
	if (!ours && looks_like_scheme(url)) {
		return engine_failure(failure, PM_ESCHEME, PM_DOMAIN_NONE, 0,
			"scheme '%.*s' is not supported: use http or https",
			(int)strcspn(url, ":"), url);
	}
	const char *after = ours ? strchr(url, ':') + 1 : url;
	if (!ours || strncmp(after, "//", 2) != 0) {
		return engine_failure(failure, PM_EBADURL, PM_DOMAIN_NONE, 0,
			"URL does not begin with http:// or https://");
	}
	*rest = after + 2;
	return 0;
}

static int check_bytes(const char *url, struct pm_failure *failure)
{
	size_t n = strnlen(url, (size_t)REQUEST_URL_MAX + 1);
	if (n > REQUEST_URL_MAX) {
		return engine_failure(failure, PM_EBADURL, PM_DOMAIN_NONE, 0,
			"URL is longer than %d bytes", REQUEST_URL_MAX);
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)url[i];
		if (c <= ' ' || c == 0x7f) {
			return engine_failure(failure, PM_EBADURL, PM_DOMAIN_NONE, 0,
				"URL has a %s at byte %zu: percent-encode it",
				c == ' ' ? "space" : "control character", i);
		}
	}
	return 0;
}

/* Digits up to 65535, or nothing. */
static bool is_port(const char *text, size_t len)
{
	unsigned long port = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return false;
		}
		port = port * 10 + (unsigned long)(text[i] - '0');
		if (port > 65535) {
			return false;
		}
	}
	return true;
}

struct span {
	const char *at;
	size_t len;
};

/* [user[:password]@]host[:port] */
static int split_authority(struct span all, struct span *host, struct span *port)
{
	const char *user_end = memrchr(all.at, '@', all.len);
	if (user_end) {
		all.len -= (size_t)(user_end + 1 - all.at);
		all.at = user_end + 1;
	}
	const char *end = all.at + all.len;
	const char *host_end = all.len && *all.at == '[' ? memchr(all.at, ']', all.len)
							 : memchr(all.at, ':', all.len);
	if (all.len && *all.at == '[') {
		if (!host_end) {
			return PM_EBADURL;
		}
		host_end++;
	} else if (!host_end) {
		host_end = end;
	}
	*host = (struct span){all.at, (size_t)(host_end - all.at)};
	if (host_end == end) {
		*port = (struct span){end, 0};
		return 0;
	}
	*port = (struct span){host_end + 1, (size_t)(end - host_end - 1)};
	return *host_end == ':' ? 0 : PM_EBADURL;
}

static uint32_t hash_host(struct span host)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	/* A failure is never 0, so the host is set.
	 * NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	for (size_t i = 0; i < host.len; i++) {
		unsigned char c = (unsigned char)host.at[i];
		if (c >= 'A' && c <= 'Z') {
			c = (unsigned char)(c + ('a' - 'A'));
		}
		hash = (hash ^ c) * 16777619u;
	}
	return hash;
}

struct url_parts {
	struct span authority, host, port;
	bool secure;
};

static int read_url(
	const char *url, struct url_parts *parts, struct pm_failure *failure)
{
	struct span *authority = &parts->authority;
	if (!url || !*url) {
		return engine_failure(
			failure, PM_EBADURL, PM_DOMAIN_NONE, 0, "URL is empty");
	}
	int err = check_bytes(url, failure);
	if (!err) {
		err = check_scheme(url, &authority->at, failure);
	}
	if (err) {
		return err;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): a failure is never 0 */
	authority->len = strcspn(authority->at, "/?#");
	if (split_authority(*authority, &parts->host, &parts->port) ||
		!parts->host.len) {
		return engine_failure(failure, PM_EBADURL, PM_DOMAIN_NONE, 0,
			"URL has no valid host");
	}
	if (!is_port(parts->port.at, parts->port.len)) {
		return engine_failure(failure, PM_EBADURL, PM_DOMAIN_NONE, 0,
			"the URL's port is not a number up to 65535");
	}
	parts->secure = has_scheme(url, "https");
	return 0;
}

int url_check(const char *url, uint32_t *host_hash, struct pm_failure *failure)
{
	struct url_parts parts;
	int err = read_url(url, &parts, failure);
	if (!err) {
		*host_hash = hash_host(parts.host);
	}
	return err;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A name of letters, digits and the like.  What begins with a digit may be a number
 * to libcurl, and is an address then. */
static bool is_plain_name(struct span host)
{
	for (size_t i = 0; i < host.len; i++) {
		char c = host.at[i];
		bool digit = c >= '0' && c <= '9';
		if (!is_letter(c) &&
			(i == 0 || (!digit && c != '.' && c != '-' && c != '_'))) {
			return false;
		}
	}
	return true;
}

static bool is_plain_address(struct span host)
{
	struct address a;
	return host.at[0] >= '0' && host.at[0] <= '9' &&
	       address_parse(&a, host.at, host.len) && a.family == AF_INET;
}

static uint16_t port_of(const struct url_parts *parts)
{
	unsigned port = 0;
	for (size_t i = 0; i < parts->port.len; i++) {
		port = port * 10 + (unsigned)(parts->port.at[i] - '0');
	}
	return (uint16_t)(parts->port.len ? port : parts->secure ? 443 : 80);
}

/* Behind a user there is more to decode than is worth it here. */
static void note_host(struct request_facts *facts, const struct url_parts *parts)
{
	struct span host = parts->host;
	facts->host_hash = hash_host(host);
	bool plain = host.at == parts->authority.at &&
		     (is_plain_name(host) || is_plain_address(host));
	facts->host = plain ? host.at : NULL;
	facts->host_len = plain ? host.len : 0;
	facts->port = plain ? port_of(parts) : 0;
}

/* --------------------------------------------------------- method and headers */

const char *request_method(const struct pm_request *request)
{
	if (request->method) {
		return request->method;
	}
	return request->body ? "POST" : "GET";
}

static int check_method(const struct pm_request *request, struct pm_failure *failure)
{
	const char *method = request_method(request);
	if (!is_token(method) || strlen(method) > REQUEST_METHOD_MAX) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"method is not a word of 1 to %d bytes that HTTP allows",
			REQUEST_METHOD_MAX);
	}
	if (strcmp(method, "CONNECT") == 0) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"method CONNECT makes a tunnel, not a response");
	}
	if (request->body_len && !request->body) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"body is NULL but body_len is %zu", request->body_len);
	}
	if (request->body_len && strcmp(method, "HEAD") == 0) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"a HEAD request cannot have a body");
	}
	return 0;
}

static bool is_header_value(const char *value)
{
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;
		if ((c < ' ' && c != '\t') || c == 0x7f) {
			return false;
		}
	}
	return true;
}

static int check_header(const struct pm_header *h, struct pm_failure *failure)
{
	char name[64];
	if (!h->name || !h->value) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"a header's name or value is NULL");
	}
	printable(h->name, name, sizeof(name));
	if (!is_token(h->name)) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"header '%s' has a name that HTTP does not allow", name);
	}
	if (!is_header_value(h->value)) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"header '%s' has a control character in its value", name);
	}
	if (strcasecmp(h->name, "Content-Length") == 0 ||
		strcasecmp(h->name, "Transfer-Encoding") == 0) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"header '%s' follows from the body and cannot be given", name);
	}
	return 0;
}

int headers_check(const struct pm_header *headers, size_t ct, size_t *bytes,
	struct pm_failure *failure)
{
	*bytes = 0;
	if (ct > REQUEST_HEADERS_MAX) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"more than %d headers", REQUEST_HEADERS_MAX);
	}
	if (ct && !headers) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"headers is NULL but header_ct is %zu", ct);
	}
	for (size_t i = 0; i < ct; i++) {
		int err = check_header(&headers[i], failure);
		if (err) {
			return err;
		}
		/* Each length is that of a string in memory and the sum is looked
		 * at every time, so it cannot wrap. */
		*bytes += strlen(headers[i].name) + strlen(headers[i].value);
		if (*bytes > REQUEST_HEADER_BYTES_MAX) {
			return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
				"headers are larger than %d bytes",
				REQUEST_HEADER_BYTES_MAX);
		}
	}
	return 0;
}

bool headers_have(const struct pm_header *headers, size_t ct, const char *name)
{
	for (size_t i = 0; i < ct; i++) {
		if (strcasecmp(headers[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* ------------------------------------------------------ credentials and proxy */

static bool is_credential(const char *text)
{
	return is_header_value(text) &&
	       strnlen(text, (size_t)REQUEST_CREDENTIAL_MAX + 1) <=
		       REQUEST_CREDENTIAL_MAX;
}

int credentials_check(
	const char *user, const char *password, struct pm_failure *failure)
{
	const char *what = NULL;
	if (!user && password) {
		what = "a password is given without a user";
	} else if (user && strchr(user, ':')) {
		what = "user has a colon, which basic auth takes for its end";
	} else if ((user && !is_credential(user)) ||
		   (password && !is_credential(password))) {
		what = "user or password has a control character or is too long";
	}
	return what ? engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0, "%s", what)
		    : 0;
}

/* Behind "scheme://"; NULL: not one of those schemes. */
static const char *after_proxy_scheme(const char *proxy)
{
	static const char *const schemes[] = {"http", "socks5", "socks5h"};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (has_scheme(proxy, schemes[i])) {
			const char *rest = proxy + strlen(schemes[i]) + 1;
			return strncmp(rest, "//", 2) == 0 ? rest + 2 : NULL;
		}
	}
	return NULL;
}

static bool is_proxy_authority(const char *text)
{
	struct span all = {text, strcspn(text, "/?#")}, host, port;
	const char *rest = text + all.len;
	/* A path would make libcurl look for a Unix socket. */
	return (!*rest || strcmp(rest, "/") == 0) &&
	       !split_authority(all, &host, &port) && host.len &&
	       is_port(port.at, port.len);
}

bool proxy_is_env(const char *proxy)
{
	return strcmp(proxy, "env") == 0;
}

/* No message repeats any of it: there may be a password in it. */
int proxy_check(const char *proxy, struct pm_failure *failure)
{
	struct pm_failure unsaid;
	if (proxy_is_env(proxy)) {
		return 0;
	}
	const char *rest = after_proxy_scheme(proxy);
	if (!rest) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"proxy is neither \"env\" nor begins with http://, "
			"socks5:// or socks5h://");
	}
	if (check_bytes(proxy, &unsaid) || !is_proxy_authority(rest)) {
		return engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			"proxy is not a URL of a host and a port");
	}
	return 0;
}

int cert_check(const char *cert, const char *key, struct pm_failure *failure)
{
	return key && !cert ? engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
				      "a key is given without a certificate")
			    : 0;
}

/* As the kernel has it: 15 bytes, but no path.  No colon, which is in addresses. */
static bool is_interface(const char *name)
{
	size_t len = strnlen(name, (size_t)REQUEST_INTERFACE_MAX + 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];
		if (c <= ' ' || c >= 0x7f || c == '/' || c == ':') {
			return false;
		}
	}
	return len && len <= REQUEST_INTERFACE_MAX && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

int local_address_check(const char *text, struct pm_failure *failure)
{
	struct address a;
	bool good = *text != '[' &&
		    (address_parse(&a, text, strlen(text)) || is_interface(text));
	return good ? 0
		    : engine_failure(failure, PM_EINVAL, PM_DOMAIN_NONE, 0,
			      "local_address is neither an IP address nor the name of "
			      "an interface");
}

static int check_access(const struct pm_request *request, struct pm_failure *failure)
{
	if (request->user || request->password) {
		int err = credentials_check(request->user, request->password, failure);
		if (err) {
			return err;
		}
	}
	int err = cert_check(request->cert, request->key, failure);
	if (!err && request->local_address) {
		err = local_address_check(request->local_address, failure);
	}
	return err || !request->proxy ? err : proxy_check(request->proxy, failure);
}

int request_check(const struct pm_request *request, struct request_facts *facts,
	struct pm_failure *failure)
{
	struct url_parts url;
	int err = read_url(request->url, &url, failure);
	if (!err) {
		note_host(facts, &url);
		err = check_method(request, failure);
	}
	if (!err) {
		err = check_access(request, failure);
	}
	return err ? err
		   : headers_check(request->headers, request->header_ct,
			     &facts->header_bytes, failure);
}
