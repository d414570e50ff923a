/* SPDX-License-Identifier: MIT
 *
 * origin_paths - the origin's paths that behave, and the look-up of all paths.
 *
 * Runs in: the origin.  Called by origin_conn.c with a complete request; a path
 * answers through the conn_ functions, at once or after a conn_wait(), and never
 * touches a socket.  Paths that misbehave are in origin_faults.c, those that
 * remember in origin_tally.c, those of a site in origin_site.c.
 */
#include "tests/support/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool answer_root(struct conn *c, struct slice rest)
{
	if (rest.at) {
		return false;
	}
	conn_answer(c, 200, "ok\n");
	return true;
}

/* From 200, as a lower status is never the end of an exchange. */
static bool answer_status(struct conn *c, struct slice rest)
{
	uint64_t status;
	char text[32];
	if (!slice_number(rest, 10, 999, &status) || status < 200) {
		return false;
	}
	snprintf(text, sizeof(text), "status %d\n", (int)status);
	conn_answer(c, (int)status, text);
	return true;
}

static void delay_over(struct conn *c)
{
	conn_answer(c, 200, "ok\n");
}

static bool answer_delay(struct conn *c, struct slice rest)
{
	uint64_t ms;
	if (!slice_number(rest, 10, ORIGIN_DELAY_MAX, &ms)) {
		return false;
	}
	conn_wait(c, (unsigned)ms, delay_over);
	return true;
}

static bool answer_pattern(
	struct conn *c, struct slice rest, enum body_kind kind, const char *type)
{
	struct body body = {.kind = kind};
	if (!slice_number(rest, 10, ORIGIN_SIZE_MAX, &body.end)) {
		return false;
	}
	body.chunked = slice_is(c->req.query, "chunked") && !c->req.http10;
	conn_head(c, 200, type);
	conn_head_end(c, body.chunked ? LENGTH_CHUNKED : (int64_t)body.end);
	conn_send_body(c, &body);
	return true;
}

static bool answer_size(struct conn *c, struct slice rest)
{
	return answer_pattern(c, rest, BODY_TEXT, "text/plain");
}

static bool answer_bytes(struct conn *c, struct slice rest)
{
	return answer_pattern(c, rest, BODY_BYTES, "application/octet-stream");
}

static void redirect(struct conn *c, const char *to, size_t len)
{
	conn_head(c, 302, NULL);
	evbuffer_add_printf(conn_out(c), "Location: ");
	evbuffer_add(conn_out(c), to, len);
	evbuffer_add(conn_out(c), "\r\n", 2);
	conn_head_end(c, 0);
	conn_done(c, END_NONE);
}

static bool answer_redirect(struct conn *c, struct slice rest)
{
	uint64_t n;
	char to[48];
	if (!slice_number(rest, 10, UINT32_MAX, &n)) {
		return false;
	}
	if (n == 0) {
		conn_answer(c, 200, "ok\n");
		return true;
	}
	int len = snprintf(to, sizeof(to), "/redirect/%lu", (unsigned long)(n - 1));
	redirect(c, to, (size_t)len);
	return true;
}

/* No control characters, or the answer would not be what the path says. */
static bool is_header_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
			return false;
		}
	}
	return len > 0;
}

static bool answer_redirect_to(struct conn *c, struct slice rest)
{
	struct slice url = c->req.query;
	struct slice key = slice_cut(&url, '=');
	url = slice_cut(&url, '&');
	if (rest.at || !slice_is(key, "url") || !url.at) {
		return false;
	}
	size_t len;
	char *to = malloc(url.len + 1);
	if (to && slice_unescape(url, to, &len) && is_header_text(to, len)) {
		redirect(c, to, len);
	} else {
		conn_answer(c, 400, "url= is not a percent-encoded URL\n");
	}
	free(to);
	return true;
}

static bool answer_loop(struct conn *c, struct slice rest)
{
	if (rest.at) {
		return false;
	}
	redirect(c, "/loop", 5);
	return true;
}

static bool answer_headers(struct conn *c, struct slice rest)
{
	uint64_t ct;
	if (!slice_number(rest, 10, ORIGIN_HEADERS_MAX, &ct)) {
		return false;
	}
	conn_head(c, 200, "text/plain");
	for (unsigned i = 1; i <= ct; i++) {
		evbuffer_add_printf(conn_out(c), "X-Extra-%u: value %u\r\n", i, i);
	}
	conn_head_end(c, 3);
	if (!c->req.head_only) {
		evbuffer_add(conn_out(c), "ok\n", 3);
	}
	conn_done(c, END_NONE);
	return true;
}

/* A cookie for all paths, "NAME=VALUE". */
static bool answer_set_cookie(struct conn *c, struct slice rest)
{
	if (!rest.at || !is_header_text(rest.at, rest.len)) {
		return false;
	}
	conn_head(c, 200, "text/plain");
	evbuffer_add_printf(
		conn_out(c), "Set-Cookie: %.*s; Path=/\r\n", (int)rest.len, rest.at);
	conn_head_end(c, 3);
	if (!c->req.head_only) {
		evbuffer_add(conn_out(c), "ok\n", 3);
	}
	conn_done(c, END_NONE);
	return true;
}

static bool answer_bigheader(struct conn *c, struct slice rest)
{
	static const char filler[] = "abcdefghijklmnopqrstuvwxyz012345";
	uint64_t left;
	if (!slice_number(rest, 10, ORIGIN_HEADER_MAX, &left)) {
		return false;
	}
	conn_head(c, 200, "text/plain");
	evbuffer_add_printf(conn_out(c), "X-Big: ");
	while (left > 0) {
		size_t len = left < 32 ? (size_t)left : 32;
		evbuffer_add(conn_out(c), filler, len);
		left -= len;
	}
	evbuffer_add(conn_out(c), "\r\n", 2);
	conn_head_end(c, 3);
	if (!c->req.head_only) {
		evbuffer_add(conn_out(c), "ok\n", 3);
	}
	conn_done(c, END_NONE);
	return true;
}

/* -------------------------------------------------------------------- echo */

static bool same_name(struct slice a, struct slice b)
{
	return a.len == b.len && evutil_ascii_strncasecmp(a.at, b.at, a.len) == 0;
}

static bool seen_before(const struct request *r, struct slice name)
{
	struct slice cursor = r->headers, earlier, value;
	while (request_header(&cursor, &earlier, &value) && earlier.at != name.at) {
		if (same_name(earlier, name)) {
			return true;
		}
	}
	return false;
}

/* One member of "headers": fields of the same name are joined by commas, as
 * HTTP reads them. */
static void echo_header(
	struct evbuffer *to, const struct request *r, struct slice first)
{
	struct slice cursor = r->headers, name, value;
	const char *before = "";
	evbuffer_add(to, "\"", 1);
	json_put(to, first.at, first.len, true);
	evbuffer_add(to, "\":\"", 3);
	while (request_header(&cursor, &name, &value)) {
		if (same_name(name, first)) {
			evbuffer_add_printf(to, "%s", before);
			json_put(to, value.at, value.len, false);
			before = ", ";
		}
	}
	evbuffer_add(to, "\"", 1);
}

static void echo_headers(struct evbuffer *to, const struct request *r)
{
	struct slice cursor = r->headers, name, value;
	bool first = true;
	while (request_header(&cursor, &name, &value)) {
		if (!seen_before(r, name)) {
			evbuffer_add_printf(to, first ? "" : ",");
			echo_header(to, r, name);
			first = false;
		}
	}
}

static void echo_text(struct evbuffer *to, const char *key, struct slice s)
{
	evbuffer_add_printf(to, "\"%s\":\"", key);
	json_put(to, s.at, s.len, false);
	evbuffer_add(to, "\",", 2);
}

static void echo_body(struct evbuffer *to, const struct request *r)
{
	size_t len = request_body_len(r);
	evbuffer_add_printf(to, "\"body_len\":%zu,\"body\":\"", len);
	if (len > 0) {
		json_put(to, evbuffer_pullup(r->body, -1), len, false);
	}
	evbuffer_add(to, "\"}\n", 3);
}

static bool answer_echo(struct conn *c, struct slice rest)
{
	const struct request *r = &c->req;
	struct evbuffer *json = evbuffer_new();
	(void)rest;
	if (!json) {
		return false;
	}
	evbuffer_add(json, "{", 1);
	echo_text(json, "method", r->method);
	echo_text(json, "path", r->target);
	evbuffer_add_printf(json, "\"headers\":{");
	echo_headers(json, r);
	evbuffer_add_printf(json, "},");
	echo_body(json, r);
	conn_answer_json(c, json);
	return true;
}

/* ----------------------------------------------------------------- look-up */

const struct route paths_plain[] = {
	{"", answer_root, false},
	{"status", answer_status, false},
	{"delay", answer_delay, false},
	{"size", answer_size, false},
	{"bytes", answer_bytes, false},
	{"redirect", answer_redirect, false},
	{"redirect-to", answer_redirect_to, false},
	{"loop", answer_loop, false},
	{"echo", answer_echo, false},
	{"headers", answer_headers, false},
	{"bigheader", answer_bigheader, false},
	{"set-cookie", answer_set_cookie, false},
	{NULL, NULL, false},
};

static const struct route *route_named(const struct route *r, struct slice name)
{
	while (r->name && !slice_is(name, r->name)) {
		r++;
	}
	return r->name ? r : NULL;
}

const struct route *path_find(struct slice path, struct slice *rest)
{
	const struct route *const tables[] = {paths_plain, paths_site, paths_gzip,
		paths_tally, paths_faults, paths_limits, paths_log, paths_hostile};
	*rest = path;
	slice_cut(rest, '/'); /* every target starts with one */
	struct slice name = slice_cut(rest, '/');
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		const struct route *r = route_named(tables[i], name);
		if (r) {
			return r;
		}
	}
	return NULL;
}
