/* SPDX-License-Identifier: MIT
 *
 * origin_site - the origin's paths that are like a site's: pages that link to each
 * other, and a JSON API.
 *
 * Runs in: the origin.  Called by origin_conn.c with a complete request; answers as
 * origin_paths.c does.
 */
#include "tests/support/origin.h"

/* An endless tree of pages with ways back: page N links to its parent N / 2, and to
 * its children 2 N and 2 N + 1. */
static bool answer_links(struct conn *c, struct slice rest)
{
	uint64_t n;
	struct evbuffer *html;
	if (!slice_number(rest, 10, UINT32_MAX, &n) || n == 0 ||
		!(html = evbuffer_new())) {
		return false;
	}
	const uint64_t to[3] = {n / 2, 2 * n, 2 * n + 1};
	evbuffer_add_printf(html, "<h1>Page %lu</h1>\n", (unsigned long)n);
	for (int i = n == 1; i < 3; i++) {
		unsigned long page = (unsigned long)to[i];
		evbuffer_add_printf(
			html, "<a href=\"/links/%lu\">%lu</a>\n", page, page);
	}
	conn_head(c, 200, "text/html");
	conn_head_end(c, (int64_t)evbuffer_get_length(html));
	if (!c->req.head_only) {
		evbuffer_add_buffer(conn_out(c), html);
	}
	evbuffer_free(html);
	conn_done(c, END_NONE);
	return true;
}

static bool accepts_json(const struct request *r)
{
	struct slice cursor = r->headers, name, value;
	while (request_header(&cursor, &name, &value)) {
		if (slice_is_nocase(name, "accept")) {
			return slice_is(value, "application/json");
		}
	}
	return false;
}

static void add_topic(struct evbuffer *json, unsigned i)
{
	evbuffer_add_printf(json,
		"%s{\"id\":%u,\"title\":\"Topic %u\",\"summary\":\"What is said on "
		"%u\","
		"\"newsArray\":[{\"url\":\"/news/%u\"}],"
		"\"updatedAt\":\"2018-02-03T14:%02u:45Z\",\"order\":%u}",
		i ? "," : "", 1000 + i, i, i, i, i % 60, i);
}

/* /topics?pageSize=N: so many, for those who say that they accept JSON. */
static bool answer_topics(struct conn *c, struct slice rest)
{
	uint64_t ct;
	struct slice size = c->req.query;
	struct slice key = slice_cut(&size, '=');
	if (rest.at || !slice_is(key, "pageSize") ||
		!slice_number(size, 10, 1000, &ct)) {
		return false;
	}
	if (!accepts_json(&c->req)) {
		conn_answer(c, 406, "say accept: application/json\n");
		return true;
	}
	struct evbuffer *json = evbuffer_new();
	if (!json) {
		return false;
	}
	evbuffer_add_printf(json, "{\"data\":[");
	for (unsigned i = 0; i < ct; i++) {
		add_topic(json, i);
	}
	evbuffer_add_printf(json, "],\"pageSize\":%u}\n", (unsigned)ct);
	conn_answer_json(c, json);
	return true;
}

const struct route paths_site[] = {
	{"links", answer_links, false},
	{"topics", answer_topics, false},
	{NULL, NULL, false},
};
