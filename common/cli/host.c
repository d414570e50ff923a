/* SPDX-License-Identifier: MIT
 *
 * host - see host.h.
 *
 * The rules are those of worker/engine_check.c, which looks at each URL first, and of
 * libcurl after it.  What either refuses may get any lane here, or none: nothing is
 * sent for it.
 */
#include "common/cli/host.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/cli/json_bytes.h"
#include "common/cli/json_text.h"

/* --------------------------------------------------------------------- the URL */

/* Does this JSON string, quotes included, say "url"? */
static bool says_url(const struct json_span *key)
{
	if (key->len == 5) {
		return memcmp(key->text, "\"url\"", 5) == 0;
	}
	/* with escapes, each of them six bytes long */
	struct json_bytes text = {
		.at = key->text + 1, .end = key->text + key->len - 1, .escaped = true};
	return key->len > 5 && key->len <= 5 + 3 * 5 && json_bytes_next(&text) == 'u' &&
	       json_bytes_next(&text) == 'r' && json_bytes_next(&text) == 'l' &&
	       json_bytes_next(&text) == JSON_BYTES_END;
}

/* In an object.  A key that is there twice makes a bad job, so the first will do. */
static bool find_member(struct json_bytes *u, const char *text, size_t len)
{
	struct json_walk walk;
	struct json_span key, value;
	json_walk_init(&walk, text, len);
	while (json_walk_member(&walk, &key, &value)) {
		if (!says_url(&key)) {
			continue;
		}
		if (value.len < 2 || *value.text != '"') {
			return false;
		}
		*u = (struct json_bytes){.at = value.text + 1,
			.end = value.text + value.len - 1,
			.escaped = memchr(value.text, '\\', value.len) != NULL};
		return true;
	}
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool find_url(struct json_bytes *u, const char *line, size_t len)
{
	const char *end = line + len;
	while (line < end && is_blank(*line)) {
		line++;
	}
	while (end > line && is_blank(end[-1])) {
		end--;
	}
	if (line < end && *line == '{') {
		return find_member(u, line, (size_t)(end - line));
	}
	*u = (struct json_bytes){.at = line, .end = end};
	return line < end;
}

static inline int lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool skip(struct json_bytes *u, const char *word)
{
	for (; *word; word++) {
		if (lower(json_bytes_next(u)) != *word) {
			return false;
		}
	}
	return true;
}

/* Read "http://" or "https://".  False: it is neither. */
static bool skip_scheme(struct json_bytes *u, bool *secure)
{
	if (!skip(u, "http")) {
		return false;
	}
	int c = lower(json_bytes_next(u));
	*secure = c == 's';
	return (*secure ? json_bytes_next(u) : c) == ':' && skip(u, "//");
}

/* ----------------------------------------------------------- [user@]host[:port] */

/* Room for any host that fits into a lane, in brackets and percent-encoded. */
enum { HOST_MAX = 3 * PM_LANE_MAX };

struct host {
	char text[HOST_MAX + sizeof ":65535"];
	size_t len;
	bool has_user;
	bool bad; /* too long, or with a byte that no URL may have */
};

/* Would a zero here stand in front of a port?  They could be many, and mean nothing. */
static bool is_leading_zero(const struct host *host)
{
	return host->len && host->text[host->len - 1] == ':' &&
	       (host->text[0] != '[' || memchr(host->text, ']', host->len));
}

/* One byte of the authority.  What stands in front of an @ is a user; libcurl takes
 * the first @ for that, and a second one only inside of brackets. */
static inline void add_byte(struct host *host, int c)
{
	if (c == '@' && !(host->has_user && host->len && host->text[0] == '[')) {
		host->len = 0;
		host->bad = false;
		host->has_user = true;
	} else if (host->len == sizeof host->text || c <= ' ' || c == 0x7f) {
		host->bad = true;
	} else if (c != '0' || !is_leading_zero(host)) {
		host->text[host->len++] = (char)lower(c);
	}
}

static inline bool ends_authority(int c)
{
	return c == '/' || c == '?' || c == '#' || c == JSON_BYTES_END;
}

/* Up to the path, or the end.  Returns what ended it. */
static int read_authority(struct json_bytes *u, struct host *host)
{
	host->len = 0;
	host->bad = host->has_user = false;
	int c;
	if (u->escaped) {
		while (!ends_authority(c = json_bytes_next(u))) {
			add_byte(host, c);
		}
		return c;
	}
	/* the usual case, without a decoder on the way */
	for (; u->at < u->end; u->at++) {
		c = (unsigned char)*u->at;
		if (ends_authority(c)) {
			u->at++;
			return c;
		}
		add_byte(host, c);
	}
	return JSON_BYTES_END;
}

/* Take the port from the end; *port is -1 when there is none.  False: it is no number
 * up to 65535. */
static bool take_port(struct host *host, long *port)
{
	bool literal = host->len && host->text[0] == '[';
	const char *from = literal ? memchr(host->text, ']', host->len) : host->text;
	const char *end = host->text + host->len;
	const char *colon = from ? memchr(from, ':', (size_t)(end - from)) : NULL;
	*port = -1;
	if (!colon) {
		return from != NULL;
	}
	host->len = (size_t)(colon - host->text);
	for (const char *at = colon + 1; at < end; at++) {
		if (*at < '0' || *at > '9') {
			return false;
		}
		*port = (*port < 0 ? 0 : *port) * 10 + (*at - '0');
		if (*port > 65535) {
			return false;
		}
	}
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; /* it is in lower case */
}

/* Undo percent-encoding.  libcurl refuses control characters then, but not DEL. */
static bool decode(struct host *host)
{
	size_t n = 0;
	for (size_t i = 0; i < host->len; i++) {
		char c = host->text[i];
		if (c == '%' && host->len - i > 2) {
			int high = hex_digit(host->text[i + 1]);
			int low = hex_digit(host->text[i + 2]);
			if (high >= 0 && low >= 0) {
				c = (char)lower(high * 16 + low);
				i += 2;
			}
		}
		if ((unsigned char)c < ' ') {
			return false;
		}
		host->text[n++] = c;
	}
	host->len = n;
	return true;
}

/* ------------------------------------------------------------------- addresses */

/* A number in C's spelling: decimal, 0x.. or 0..; behind it *at.  False: none, or
 * more than 32 bits. */
static bool take_part(const char **at, const char *end, uint64_t *part)
{
	unsigned base = 10;
	const char *start = *at;
	if (end - *at > 1 && **at == '0') {
		base = (*at)[1] == 'x' ? 16 : 8;
		start = *at += base == 16 ? 2 : 1;
	}
	*part = 0;
	for (; *at < end && *part <= UINT32_MAX; (*at)++) {
		int digit = hex_digit(**at);
		if (digit < 0 || (unsigned)digit >= base) {
			break;
		}
		*part = *part * base + (unsigned)digit;
	}
	return (*at > start || base == 8) && *part <= UINT32_MAX;
}

/* One to four parts; the last one fills what is left of 32 bits. */
static bool parse_ipv4(const char *at, size_t len, uint32_t *address)
{
	const char *end = at + len;
	uint64_t parts[4];
	int ct = 0;
	if (!len || *at < '0' || *at > '9') {
		return false;
	}
	for (;; at++) {
		if (ct == 4 || !take_part(&at, end, &parts[ct++])) {
			return false;
		}
		if (at == end) {
			break;
		}
		if (*at != '.') {
			return false;
		}
	}
	uint64_t sum = parts[ct - 1];
	if (ct > 1 && sum >> (8 * (5 - ct))) {
		return false;
	}
	for (int i = 0; i < ct - 1; i++) {
		if (parts[i] > 255) {
			return false;
		}
		sum |= parts[i] << (24 - 8 * i);
	}
	*address = (uint32_t)sum;
	return true;
}

/* At most five digits. */
static size_t write_number(char *at, unsigned number)
{
	char digits[5];
	size_t ct = 0, len = 0;
	do {
		digits[ct++] = (char)('0' + number % 10);
		number /= 10;
	} while (number && ct < sizeof digits);
	while (ct) {
		at[len++] = digits[--ct];
	}
	return len;
}

/* A zone may be written as %eth0 or %25eth0. */
static void set_ipv6(
	struct host *host, const char *address, char *zone, size_t zone_len)
{
	size_t len = strlen(address);
	if (zone_len > 3 && memcmp(zone, "%25", 3) == 0) {
		zone += 2;
		zone_len -= 2;
		*zone = '%';
	}
	if (zone) {
		memmove(host->text + 1 + len, zone, zone_len);
	}
	memcpy(host->text + 1, address, len);
	host->text[1 + len + zone_len] = ']';
	host->len = len + zone_len + 2;
}

/* "[address]", of which a zone's name does not count for libcurl's idea of a host,
 * but does for us: another zone is another machine. */
static bool normalise_ipv6(struct host *host)
{
	char *zone = memchr(host->text, '%', host->len);
	char inner[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t end = host->len ? host->len - 1 : 0; /* the closing bracket */
	size_t zone_len = zone ? (size_t)(host->text + end - zone) : 0;
	if (end < 1 || host->text[end] != ']' || end - zone_len - 1 >= sizeof inner ||
		zone_len > 64) {
		return false;
	}
	memcpy(inner, host->text + 1, end - zone_len - 1);
	inner[end - zone_len - 1] = '\0';
	if (inet_pton(AF_INET6, inner, &address) != 1 ||
		!inet_ntop(AF_INET6, &address, inner, sizeof inner)) {
		return false;
	}
	set_ipv6(host, inner, zone, zone_len);
	return true;
}

static bool normalise_name(struct host *host)
{
	uint32_t address;
	if (parse_ipv4(host->text, host->len, &address)) {
		host->len = 0;
		for (int shift = 24; shift >= 0; shift -= 8) {
			host->len += write_number(
				host->text + host->len, address >> shift & 255);
			host->text[host->len++] = '.';
		}
		host->len--;
		return true;
	}
	if (memchr(host->text, '%', host->len) && !decode(host)) {
		return false;
	}
	if (host->len > 1 && host->text[host->len - 1] == '.') {
		host->len--;
	}
	return host->len > 0;
}

/* --------------------------------------------------------------------- the lane */

/* Of a host for which there is no room, its end, so that rules for its domain match;
 * and a hash of it all. */
static void shorten(struct host *host, size_t room)
{
	char hash[24];
	uint64_t sum = UINT64_C(14695981039346656037); /* FNV-1a */
	for (size_t i = 0; i < host->len; i++) {
		sum = (sum ^ (unsigned char)host->text[i]) * UINT64_C(1099511628211);
	}
	int len = snprintf(hash, sizeof hash, "~%016" PRIx64 "~", sum);
	memmove(host->text, host->text + host->len - room, room);
	memcpy(host->text, hash, (size_t)len);
	host->len = room;
}

static size_t write_lane(char *lane, bool secure, struct host *host, long port)
{
	const char *scheme = secure ? "https://" : "http://";
	size_t len = strlen(scheme);
	bool has_port = port >= 0 && port != (secure ? 443 : 80);
	size_t room = PM_LANE_MAX - len - (has_port ? sizeof ":65535" - 1 : 0);
	if (host->len > room) {
		shorten(host, room);
	}
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): it has a length */
	memcpy(lane, scheme, len);
	memcpy(lane + len, host->text, host->len);
	len += host->len;
	if (has_port) {
		lane[len++] = ':';
		len += write_number(lane + len, (unsigned)port);
	}
	return len;
}

size_t host_lane(char lane[PM_LANE_MAX + 1], const char *line, size_t len)
{
	struct json_bytes url;
	struct host host;
	bool secure;
	long port;
	lane[0] = '\0';
	if (!find_url(&url, line, len) || !skip_scheme(&url, &secure)) {
		return 0;
	}
	read_authority(&url, &host);
	if (host.bad || !take_port(&host, &port) || !host.len) {
		return 0;
	}
	bool good = host.text[0] == '[' ? normalise_ipv6(&host) : normalise_name(&host);
	size_t lane_len = good ? write_lane(lane, secure, &host, port) : 0;
	lane[lane_len] = '\0';
	return lane_len;
}

/* ------------------------------------------------------------------- the target */

int host_target(struct buf *out, const char *line, size_t len)
{
	struct json_bytes url;
	struct host host;
	bool secure;
	int c = JSON_BYTES_END;
	if (find_url(&url, line, len) && skip_scheme(&url, &secure)) {
		c = read_authority(&url, &host);
	}
	int err = c == '/' ? 0 : buf_put(out, "/", 1);
	for (; !err && c != JSON_BYTES_END && c != '#'; c = json_bytes_next(&url)) {
		char byte = (char)c;
		err = buf_put(out, &byte, 1);
	}
	return err;
}
