/* SPDX-License-Identifier: MIT
 *
 * origin_tally - the origin's paths that remember: counters, holds, releases.
 *
 * Runs in: the origin.  Called by origin_conn.c with a complete request.  What
 * is remembered lives in struct server, in search trees of the C library, so
 * that a run over a hundred thousand different paths can be counted.
 */
#include "tests/support/origin.h"

#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------- tallies */

struct name {
	uint64_t ct;
	char name[];
};

static int name_compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static struct name *name_new(struct slice name)
{
	struct name *e = malloc(sizeof(*e) + name.len + 1);
	if (e) {
		e->ct = 0;
		memcpy(e->name, name.at, name.len);
		e->name[name.len] = '\0';
	}
	return e;
}

uint64_t *tally_at(struct tally *t, struct slice name)
{
	struct name *e = name_new(name);
	if (!e) {
		return NULL;
	}
	struct name **found = t->ct < ORIGIN_NAMES_MAX
				      ? tsearch(e, &t->root, name_compare)
				      : tfind(e, &t->root, name_compare);
	if (found && *found == e) {
		t->ct++;
	} else {
		free(e);
	}
	return found ? &(*found)->ct : NULL;
}

static void tally_clear(struct tally *t)
{
	tdestroy(t->root, free);
	*t = (struct tally){0};
}

struct dump {
	struct evbuffer *to;
	bool some;
};

static void dump_name(const void *node, VISIT which, void *ctx)
{
	const struct name *const *e = node;
	struct dump *d = ctx;
	if (which == postorder || which == leaf) { /* that is: in order */
		evbuffer_add_printf(d->to, d->some ? ",\"" : "\"");
		json_put(d->to, (*e)->name, strlen((*e)->name), false);
		evbuffer_add_printf(d->to, "\":%llu", (unsigned long long)(*e)->ct);
		d->some = true;
	}
}

static void tally_dump(const struct tally *t, const char *key, struct evbuffer *to)
{
	struct dump d = {to, false};
	evbuffer_add_printf(to, ",\"%s\":{", key);
	twalk_r(t->root, dump_name, &d);
	evbuffer_add(to, "}", 1);
}

void server_tallies_fini(struct server *s)
{
	tally_clear(&s->counters);
	tally_clear(&s->once);
	tally_clear(&s->unstable);
	tally_clear(&s->released);
}

/* A NAME: something, without a slash. */
static bool is_name(struct slice s)
{
	return s.len > 0 && !memchr(s.at, '/', s.len);
}

static bool answer_full(struct conn *c)
{
	conn_answer(c, 500, "too many names\n");
	return true;
}

/* ---------------------------------------------------------------- counters */

static bool answer_count(struct conn *c, struct slice rest)
{
	char text[32];
	if (!is_name(rest)) {
		return false;
	}
	uint64_t *ct = tally_at(&c->server->counters, rest);
	if (!ct) {
		return answer_full(c);
	}
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)++*ct);
	conn_answer(c, 200, text);
	return true;
}

static bool answer_once(struct conn *c, struct slice rest)
{
	if (rest.len == 0) {
		return false;
	}
	uint64_t *ct = tally_at(&c->server->once, c->req.path);
	if (!ct) {
		return answer_full(c);
	}
	++*ct;
	conn_answer(c, 200, "ok\n");
	return true;
}

static bool answer_unstable(struct conn *c, struct slice rest)
{
	uint64_t bad_ct;
	struct slice name = slice_cut(&rest, '/');
	if (!is_name(name) || !slice_number(rest, 10, UINT32_MAX, &bad_ct)) {
		return false;
	}
	uint64_t *ct = tally_at(&c->server->unstable, name);
	if (!ct) {
		return answer_full(c);
	}
	bool good = ++*ct > bad_ct;
	conn_answer(c, good ? 200 : 503, good ? "ok\n" : "not yet\n");
	return true;
}

static bool answer_counts(struct conn *c, struct slice rest)
{
	const struct server *s = c->server;
	struct evbuffer *json = rest.at ? NULL : evbuffer_new();
	if (!json) {
		return false;
	}
	evbuffer_add_printf(json,
		"{\"requests\":%llu,\"connections\":%llu,"
		"\"tls\":%llu,\"tls_resumed\":%llu,"
		"\"open_now\":%u,\"max_open\":%u,\"held\":%zu",
		(unsigned long long)s->requests, (unsigned long long)s->connections,
		(unsigned long long)s->tls, (unsigned long long)s->tls_resumed,
		s->open_now, s->open_max, s->held.ct);
	tally_dump(&s->counters, "counters", json);
	tally_dump(&s->once, "paths", json);
	evbuffer_add(json, "}\n", 2);
	conn_answer_json(c, json);
	return true;
}

static bool answer_reset_counts(struct conn *c, struct slice rest)
{
	struct server *s = c->server;
	if (rest.at) {
		return false;
	}
	tally_clear(&s->counters);
	tally_clear(&s->once);
	tally_clear(&s->unstable);
	s->requests = s->connections = s->tls = s->tls_resumed = 0;
	s->open_max = s->open_now;
	s->bucket = (struct bucket){0};
	conn_answer(c, 200, "ok\n");
	return true;
}

/* ------------------------------------------------------------------- holds */

void held_forget(struct conn *c)
{
	if (c->is_held) {
		list_remove(&c->server->held, &c->hold);
		c->is_held = false;
	}
}

static void hold_over(struct conn *c)
{
	conn_answer(c, 200, "released\n");
}

static struct slice held_name(const struct conn *c)
{
	struct slice rest;
	path_find(c->req.path, &rest);
	return rest;
}

static bool answer_hold(struct conn *c, struct slice rest)
{
	if (!is_name(rest)) {
		return false;
	}
	uint64_t *released = tally_at(&c->server->released, rest);
	if (!released) {
		return answer_full(c);
	}
	if (*released > 0) {
		hold_over(c);
		return true;
	}
	conn_wait(c, UINT_MAX, hold_over);
	list_push_back(&c->server->held, &c->hold);
	c->is_held = true;
	return true;
}

/* Those that wait now, and those that come later. */
static bool answer_release(struct conn *c, struct slice rest)
{
	struct server *s = c->server;
	uint64_t *released = is_name(rest) ? tally_at(&s->released, rest) : NULL;
	if (!released) {
		return false;
	}
	++*released;
	struct list_node *next, *n = list_first(&s->held);
	for (; n && n != &s->held.head; n = next) {
		struct conn *held = list_entry(n, struct conn, hold);
		struct slice name = held_name(held);
		next = n->next;
		if (name.len == rest.len && memcmp(name.at, rest.at, rest.len) == 0) {
			held_forget(held);
			conn_wake(held);
		}
	}
	conn_answer(c, 200, "ok\n");
	return true;
}

const struct route paths_tally[] = {
	{"count", answer_count, false},
	{"once", answer_once, false},
	{"unstable", answer_unstable, false},
	{"hold", answer_hold, false},
	{"release", answer_release, true},
	{"counts", answer_counts, true},
	{"reset-counts", answer_reset_counts, true},
	{NULL, NULL, false},
};
