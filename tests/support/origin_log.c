/* SPDX-License-Identifier: MIT
 *
 * origin_log - what the origin has been asked, by whom it was taken for, and when.
 *
 * Runs in: the origin.  Called by origin_conn.c for each request, once it was asked
 * to by /log-start; the tests read all of it at once from /log.  Times are those of
 * the machine's monotonic clock, so they mean the same in the test.
 */
#include "tests/support/origin.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

struct log_entry {
	uint64_t at_us;
	uint64_t done_us; /* answered, or given up; 0: not yet */
	int status;       /* 0: none was sent */
	char *host, *path;
};

static char *copy(struct slice s)
{
	return strndup(s.at ? s.at : "", s.len);
}

struct slice request_host(const struct request *r)
{
	struct slice cursor = r->headers, name, value;
	while (request_header(&cursor, &name, &value)) {
		if (slice_is_nocase(name, "host")) {
			return value;
		}
	}
	return (struct slice){"", 0};
}

static bool has_room(struct log *l)
{
	if (l->ct < l->cap) {
		return true;
	}
	size_t cap = l->cap ? l->cap * 2 : 1024;
	struct log_entry *at = reallocarray(l->at, cap, sizeof(*at));
	if (!at) {
		return false;
	}
	l->at = at;
	l->cap = cap;
	return true;
}

void log_request(struct conn *c)
{
	struct log *l = &c->server->log;
	c->log_at = 0;
	if (!l->on || l->ct == ORIGIN_NAMES_MAX || !has_room(l)) {
		return;
	}
	l->at[l->ct++] = (struct log_entry){.at_us = clock_now_us(),
		.host = copy(request_host(&c->req)),
		.path = copy(c->req.target)};
	c->log_at = l->ct;
	c->log_number = l->number;
}

/* Its entry; NULL: it has none, or the log is another one by now. */
static struct log_entry *entry_of(const struct conn *c)
{
	struct log *l = &c->server->log;
	bool has = c->log_at && c->log_number == l->number;
	return has ? &l->at[c->log_at - 1] : NULL;
}

void log_status(struct conn *c, int status)
{
	struct log_entry *e = entry_of(c);
	if (e) {
		e->status = status;
	}
}

void log_done(struct conn *c)
{
	struct log_entry *e = entry_of(c);
	if (e) {
		e->done_us = clock_now_us();
	}
	c->log_at = 0;
}

void log_fini(struct log *l)
{
	for (size_t i = 0; i < l->ct; i++) {
		free(l->at[i].host);
		free(l->at[i].path);
	}
	free(l->at);
	*l = (struct log){.number = l->number + 1};
}

/* ------------------------------------------------------------------- paths */

static bool answer_log_start(struct conn *c, struct slice rest)
{
	if (rest.at) {
		return false;
	}
	log_fini(&c->server->log);
	c->server->log.on = true;
	conn_answer(c, 200, "ok\n");
	return true;
}

static void put_text(struct evbuffer *to, const char *key, const char *text)
{
	text = text ? text : "";
	evbuffer_add_printf(to, "\"%s\":\"", key);
	json_put(to, text, strlen(text), false);
	evbuffer_add(to, "\",", 2);
}

static void put_entry(struct evbuffer *to, const struct log_entry *e)
{
	evbuffer_add(to, "{", 1);
	put_text(to, "host", e->host);
	put_text(to, "path", e->path);
	evbuffer_add_printf(to, "\"at_us\":%llu,\"done_us\":%llu,\"status\":%d}",
		(unsigned long long)e->at_us, (unsigned long long)e->done_us,
		e->status);
}

static bool answer_log(struct conn *c, struct slice rest)
{
	const struct log *l = &c->server->log;
	struct evbuffer *json = rest.at ? NULL : evbuffer_new();
	if (!json) {
		return false;
	}
	evbuffer_add(json, "[", 1);
	for (size_t i = 0; i < l->ct; i++) {
		evbuffer_add(json, ",", i > 0);
		put_entry(json, &l->at[i]);
	}
	evbuffer_add(json, "]\n", 2);
	conn_answer_json(c, json);
	return true;
}

const struct route paths_log[] = {
	{"log", answer_log, true},
	{"log-start", answer_log_start, true},
	{NULL, NULL, false},
};
