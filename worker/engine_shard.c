/* SPDX-License-Identifier: MIT
 *
 * engine_shard - one CURLM on the worker's event base.
 *
 * Runs in: the worker.  libcurl says which sockets and which time to wait for;
 * the loop says when; shard_drive() is the only way in, and what has ended is
 * collected after it, never inside a callback of libcurl.  Always returns 0
 * from those callbacks: anything else kills the CURLM.
 */
#include "worker/engine_parts.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- collecting */

/* The transfers cannot be driven any further: end them, so that every one of
 * them gets its callback. */
static void fail_all(struct shard *s)
{
	struct list_node *n;
	while ((n = list_first(&s->running))) {
		struct transfer *t = list_entry(n, struct transfer, link);
		t->stopped = PM_ESYSTEM;
		transfer_finish(t, CURLE_ABORTED_BY_CALLBACK);
	}
}

/* The callbacks may start and cancel transfers, of this shard too.  libcurl
 * takes a removed handle's message out of its queue, and a message is of no
 * use to us beyond its first two fields. */
static void collect(struct shard *s)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(s->multi, &left))) {
		struct transfer *t = NULL;
		CURLcode code = message->data.result;
		if (message->msg == CURLMSG_DONE) {
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
			transfer_finish(t, code);
		}
	}
}

/* After a refused connection libcurl 7.88 does nothing until a timer that is
 * seconds away, then tries the host's next address.  Ending a pause makes it
 * look at the handle at once.  Transfers without another address are gone by
 * now. */
static void try_next_addresses(struct shard *s)
{
	struct list_node *n = list_first(&s->running);
	for (size_t left = s->running.ct; left; left--) {
		struct transfer *t = list_entry(n, struct transfer, link);
		n = n->next;
		if (t->address_failed && !t->route.waiting) {
			t->address_failed = false;
			curl_easy_pause(t->easy, CURLPAUSE_RECV);
			curl_easy_pause(t->easy, CURLPAUSE_CONT);
		}
	}
	s->address_failed = false;
}

/* Before anything is collected: nobody is left to hear of these. */
static void drop_cancelled(struct shard *s)
{
	struct list_node *n = list_first(&s->running);
	for (size_t left = s->running.ct; left; left--) {
		struct transfer *t = list_entry(n, struct transfer, link);
		n = n->next;
		if (t->cancelled) {
			transfer_leave(t, true);
		}
	}
	s->cancelled = false;
}

void shard_drive(struct shard *s, curl_socket_t fd, int events)
{
	int running;
	CURLMcode bad = curl_multi_socket_action(s->multi, fd, events, &running);
	if (s->cancelled) {
		drop_cancelled(s);
	}
	collect(s);
	if (s->address_failed) {
		try_next_addresses(s);
	}
	if (bad || s->broken) {
		s->broken = true;
		fail_all(s);
	}
}

/* -------------------------------------------------------------- the loop's side */

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	shard_drive(ctx, CURL_SOCKET_TIMEOUT, 0);
}

/* ------------------------------------------------------------- libcurl's side */

/* Without events the shard would wait for ever: have the loop fail it. */
void shard_break(struct shard *s)
{
	s->broken = true;
	event_active(&s->timer, EV_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *ctx)
{
	struct shard *s = ctx;
	(void)multi;
	if (timeout_ms < 0) {
		event_del(&s->timer);
		return 0;
	}
	struct timeval tv = {
		.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
	if (event_add(&s->timer, &tv)) {
		shard_break(s);
	}
	return 0;
}

/* ------------------------------------------------------------------- lifetime */

static CURLMcode set_options(struct shard *s)
{
	CURLM *m = s->multi;
	CURLMcode bad = curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, watch_wanted);
	bad = bad ? bad : curl_multi_setopt(m, CURLMOPT_SOCKETDATA, s);
	bad = bad ? bad : curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	bad = bad ? bad : curl_multi_setopt(m, CURLMOPT_TIMERDATA, s);
	/* libcurl's own choice follows the load, and closes connections that are
	 * wanted again a moment later. */
	long keep = s->engine->shard_max;
	keep = keep < SHARD_KEEP_MIN ? SHARD_KEEP_MIN : keep;
	bad = bad ? bad : curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, keep);
	return bad;
}

struct shard *shard_open(struct engine *e)
{
	struct shard *s = malloc(sizeof(*s));
	if (!s) {
		return NULL;
	}
	*s = (struct shard){.engine = e, .multi = curl_multi_init()};
	list_init(&s->running);
	list_init(&s->watches);
	event_assign(&s->timer, e->base, -1, 0, on_timeout, s);
	if (!s->multi || set_options(s)) {
		curl_multi_cleanup(s->multi);
		free(s);
		return NULL;
	}
	return s;
}

/* Events go before the sockets that they watch are closed, or the base would
 * keep a stale entry for the number. */
void shard_close(struct shard *s)
{
	struct list_node *n;
	while ((n = list_first(&s->watches))) {
		watch_free(list_entry(n, struct watch, link));
	}
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, NULL);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, NULL);
	curl_multi_cleanup(s->multi);
	event_del(&s->timer);
	free(s);
}

/* From now on each transfer that ends closes a connection as well. */
void shard_drain(struct shard *s)
{
	s->draining = true;
	curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, 1L);
}

int shard_add(struct shard *s, struct transfer *t, struct pm_failure *failure)
{
	CURLMcode bad = curl_multi_add_handle(s->multi, t->easy);
	if (bad) {
		return engine_failure(failure, PM_ENOMEM, PM_DOMAIN_NONE, 0,
			"cannot start the transfer: %s", curl_multi_strerror(bad));
	}
	t->shard = s;
	list_push_back(&s->running, &t->link);
	return 0;
}

void shard_remove(struct transfer *t)
{
	curl_multi_remove_handle(t->shard->multi, t->easy);
	list_remove(&t->shard->running, &t->link);
	t->shard = NULL;
}
