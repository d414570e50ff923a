/* SPDX-License-Identifier: MIT
 *
 * engine_curl - the engine of engine.h on libcurl: which handle and which
 * shard a request gets, and what becomes of them afterwards.
 *
 * Runs in: the worker.  Called by fetch.c and, when a transfer ends, by
 * engine_shard.c.  The only place that initialises libcurl.
 *
 * Figures, see engine_parts.h for the reasons: an engine for C transfers has
 * ceil(C / 256) slots.  A host has a home slot; when its shard is full the
 * next one with room is used, so its connections stay together as far as they
 * fit.  An engine keeps at most C connections (rounded up by the number of
 * slots) beside those that are in use.
 */
#include "worker/engine_parts.h"

#include <stdlib.h>

/* ------------------------------------------------------------------ transfers */

static void transfer_free(struct transfer *t)
{
	/* First the handle: it points into the rest. */
	curl_easy_cleanup(t->easy);
	route_end(t);
	free(t->header_memory);
	free(t->now.ca_file);
	free(t->now.cert);
	free(t->now.key);
	free(t->now.proxy);
	free(t->now.local);
	buf_fini(&t->body);
	buf_fini(&t->head);
	heads_fini(t);
	response_free(t->reserve);
	free(t);
}

static struct transfer *transfer_new(struct engine *e)
{
	struct transfer *t = calloc(1, sizeof(*t));
	if (!t) {
		return NULL;
	}
	t->engine = e;
	t->easy = curl_easy_init();
	t->reserve = response_new(0, 1);
	route_init(t);
	if (!t->easy || !t->reserve || transfer_setup_once(t)) {
		transfer_free(t);
		return NULL;
	}
	return t;
}

static struct transfer *transfer_take(struct engine *e)
{
	struct list_node *n = list_pop_front(&e->idle);
	return n ? list_entry(n, struct transfer, link) : transfer_new(e);
}

static void transfer_recycle(struct transfer *t)
{
	route_end(t);
	if (!t->reserve) { /* used up: memory was gone */
		transfer_free(t);
		return;
	}
	transfer_release_request(t);
	transfer_release_answer(t);
	list_push_front(&t->engine->idle, &t->link);
}

/* --------------------------------------------------------------------- shards */

static void reap(evutil_socket_t fd, short what, void *ctx)
{
	struct engine *e = ctx;
	struct list_node *n = list_first(&e->draining);
	(void)fd;
	(void)what;
	for (size_t left = e->draining.ct; left; left--) {
		struct shard *s = list_entry(n, struct shard, link);
		n = n->next;
		if (list_empty(&s->running)) {
			list_remove(&e->draining, &s->link);
			shard_close(s);
		}
	}
}

/* A shard is freed from the loop, as we may be inside one of its callbacks. */
static void reap_soon(struct engine *e)
{
	event_active(&e->reaper, EV_TIMEOUT, 0);
}

static bool is_worn(const struct shard *s)
{
	return s->broken || s->connects >= SHARD_CONNECTS_MAX;
}

static bool may_drain(const struct engine *e, const struct shard *s)
{
	return s->broken || e->draining.ct < SHARDS_DRAINING_MAX;
}

/* The shard of a slot: opened if there is none, replaced if it is worn.  NULL:
 * no memory. */
static struct shard *shard_of(struct engine *e, unsigned slot)
{
	struct shard *old = e->slots[slot];
	if (old && (!is_worn(old) || !may_drain(e, old))) {
		return old;
	}
	struct shard *fresh = shard_open(e);
	if (!fresh) {
		return old && !old->broken ? old : NULL;
	}
	e->slots[slot] = fresh;
	if (old) {
		shard_drain(old);
		list_push_back(&e->draining, &old->link);
		reap_soon(e);
	}
	return fresh;
}

/* Home, or the next slot with room.  With more transfers than the engine was
 * opened for all are full: then home takes one more. */
static struct shard *pick_shard(struct engine *e, uint32_t host_hash)
{
	unsigned home = host_hash % e->slot_ct;
	unsigned slot = home;
	do {
		struct shard *s = e->slots[slot];
		if (!s || s->running.ct < e->shard_max) {
			return shard_of(e, slot);
		}
		slot = slot + 1 < e->slot_ct ? slot + 1 : 0;
	} while (slot != home);
	return shard_of(e, home);
}

/* What has failed counts as well: its host's address stays with the CURLM. */
static void count_connects(struct transfer *t, bool failed)
{
	long connects = 0;
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	t->shard->connects += connects > 0 ? (unsigned)connects : failed;
}

/* Out of its shard, and ready for the next request. */
void transfer_leave(struct transfer *t, bool failed)
{
	struct shard *s = t->shard;
	count_connects(t, failed);
	shard_remove(t);
	if (s->draining && list_empty(&s->running)) {
		reap_soon(t->engine);
	}
	transfer_recycle(t);
}

/* What look-ups took is no longer there for the rest. */
static void set_rest(
	struct transfer *t, CURLoption option, long *now, uint64_t spent_ms)
{
	long rest = spent_ms < (uint64_t)*now ? *now - (long)spent_ms : 1;
	*now = rest;
	curl_easy_setopt(t->easy, option, rest);
}

static void spend(struct transfer *t, uint64_t spent_us)
{
	if (spent_us >= 1000) {
		set_rest(t, CURLOPT_TIMEOUT_MS, &t->now.timeout_ms, spent_us / 1000);
		set_rest(t, CURLOPT_CONNECTTIMEOUT_MS, &t->now.connect_timeout_ms,
			spent_us / 1000);
	}
}

/* Give it to libcurl. */
static int transfer_launch(struct transfer *t, struct pm_failure *failure)
{
	struct shard *s = pick_shard(t->engine, t->host_hash);
	spend(t, t->route.before_us);
	if (!s) {
		return engine_failure(failure, PM_ENOMEM, PM_DOMAIN_NONE, 0,
			"no memory for a transfer");
	}
	return shard_add(s, t, failure);
}

/* Nothing was sent, or what may be sent twice: there is no harm in it. */
static bool try_again(struct transfer *t)
{
	struct shard *s = t->shard;
	struct pm_failure failure;
	curl_off_t spent_us = 0;
	curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &spent_us);
	t->route.before_us += (uint64_t)spent_us;
	spend(t, (uint64_t)spent_us);
	shard_remove(t);
	t->error_text[0] = '\0';
	t->address_failed = false;
	twice_forget(t);
	if (shard_add(s, t, &failure)) {
		list_push_back(&s->running, &t->link); /* as it was: to be told */
		t->shard = s;
		return false;
	}
	return true;
}

void transfer_finish(struct transfer *t, CURLcode code)
{
	struct engine_result result;
	engine_done_fn *done = t->done;
	void *ctx = t->ctx;
	if ((route_has_more(t, code) || twice_is_wanted(t, code)) && try_again(t)) {
		return;
	}
	transfer_build_result(t, code, &result);
	route_explain(t, code, &result.failure, result.response);
	transfer_leave(t, code != CURLE_OK);
	done(ctx, &result);
}

/* It never got to libcurl. */
static void transfer_fail(struct transfer *t, const struct pm_failure *failure)
{
	struct engine_result result = {
		.failure = *failure, .response = &t->reserve->pm};
	engine_done_fn *done = t->done;
	void *ctx = t->ctx;
	t->reserve = NULL;
	transfer_recycle(t);
	done(ctx, &result);
}

void transfer_resume(struct transfer *t)
{
	struct pm_failure failure;
	if (t->shard) {
		curl_easy_pause(t->easy, CURLPAUSE_CONT);
		return;
	}
	list_remove(&t->engine->waiting, &t->link);
	if (transfer_launch(t, &failure)) {
		transfer_fail(t, &failure);
	}
}

/* ------------------------------------------------------------------ engine.h */

static int configure(struct transfer *t, const struct pm_request *request,
	const struct request_facts *facts, bool one_shot, struct pm_failure *failure)
{
	const char *proxy;
	int err = route_set(t, request, facts, &proxy, failure);
	if (err) {
		return err;
	}
	int bad;
	if (proxy == request->proxy) {
		bad = transfer_configure(t, request, facts, one_shot);
	} else {
		struct pm_request routed = *request;
		routed.proxy = proxy;
		bad = transfer_configure(t, &routed, facts, one_shot);
	}
	return bad ? engine_failure(failure, PM_ENOMEM, PM_DOMAIN_NONE, 0,
			     "no memory for the request")
		   : 0;
}

int engine_start(struct engine *e, const struct pm_request *request,
	engine_done_fn *done, void *ctx, struct transfer **transfer,
	struct pm_failure *failure)
{
	struct request_facts facts;
	int err = request_check(request, &facts, failure);
	if (err) {
		return err;
	}
	struct shard *s = pick_shard(e, facts.host_hash);
	struct transfer *t = s ? transfer_take(e) : NULL;
	if (!t) {
		return engine_failure(failure, PM_ENOMEM, PM_DOMAIN_NONE, 0,
			"no memory for a transfer");
	}
	t->done = done;
	t->ctx = ctx;
	t->host_hash = facts.host_hash;
	bool one_shot = !habit_wants(&e->habit, facts.host_hash) || is_worn(s);
	err = configure(t, request, &facts, one_shot, failure);
	if (!err && route_begin(t) == STEP_WAIT) {
		list_push_back(&e->waiting, &t->link);
	} else if (!err) {
		err = shard_add(s, t, failure);
	}
	if (err) {
		transfer_free(t);
		return err;
	}
	*transfer = t;
	return 0;
}

/* Inside an on_body libcurl takes no handle back; shard_drive() will do it. */
void engine_cancel(struct transfer *t)
{
	if (!t->shard) {
		list_remove(&t->engine->waiting, &t->link);
		transfer_recycle(t);
		return;
	}
	if (t->shard->calling) {
		t->on_body = NULL;
		t->cancelled = t->shard->cancelled = true;
		return;
	}
	transfer_leave(t, true);
}

static void set_sizes(struct engine *e, unsigned concurrency)
{
	e->slot_ct = (concurrency - 1) / SHARD_TRANSFERS_MAX + 1;
	e->shard_max = (concurrency - 1) / e->slot_ct + 1;
}

int engine_open(struct engine **out, struct event_base *base, unsigned concurrency)
{
	if (!concurrency) {
		return PM_EINVAL;
	}
	struct engine *e = calloc(1, sizeof(*e));
	if (!e) {
		return PM_ENOMEM;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(e);
		return PM_ENOMEM;
	}
	e->base = base;
	e->ca_file = curl_version_info(CURLVERSION_NOW)->cainfo;
	list_init(&e->idle);
	list_init(&e->waiting);
	list_init(&e->spare_watches);
	list_init(&e->draining);
	event_assign(&e->reaper, base, -1, 0, reap, e);
	set_sizes(e, concurrency);
	e->slots = calloc(e->slot_ct, sizeof(struct shard *));
	e->sessions = share_new();
	e->parser = curl_url();
	if (!e->slots || !e->sessions || !e->parser) {
		engine_close(e);
		return PM_ENOMEM;
	}
	*out = e;
	return 0;
}

static void drop_shard(struct shard *s)
{
	struct list_node *n;
	while ((n = list_first(&s->running))) {
		struct transfer *t = list_entry(n, struct transfer, link);
		shard_remove(t);
		transfer_free(t);
	}
	shard_close(s);
}

static void drop_shards(struct engine *e)
{
	struct list_node *n;
	for (unsigned i = 0; e->slots && i < e->slot_ct; i++) {
		if (e->slots[i]) {
			drop_shard(e->slots[i]);
		}
	}
	while ((n = list_pop_front(&e->draining))) {
		drop_shard(list_entry(n, struct shard, link));
	}
}

void engine_close(struct engine *e)
{
	struct list_node *n;
	if (!e) {
		return;
	}
	drop_shards(e);
	while ((n = list_pop_front(&e->waiting))) {
		transfer_free(list_entry(n, struct transfer, link));
	}
	while ((n = list_pop_front(&e->idle))) {
		transfer_free(list_entry(n, struct transfer, link));
	}
	while ((n = list_pop_front(&e->spare_watches))) {
		free(list_entry(n, struct watch, link));
	}
	resolver_close(e->resolver); /* after every transfer that waits for it */
	curl_url_cleanup(e->parser);
	event_del(&e->reaper);
	curl_share_cleanup(e->sessions); /* after every handle that uses it */
	free(e->watch_at);
	free(e->slots);
	free(e);
	curl_global_cleanup();
}
