/* SPDX-License-Identifier: MIT
 *
 * resolver - see resolver.h.
 *
 * Runs in: the worker.  A question that nobody waits for any more goes on, for its
 * answer may be wanted later, but no longer counts against those that may be asked at
 * once: names whose servers are dead must not keep the others from being asked.
 */
#include "worker/resolver.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/poolmap.h"
#include "worker/resolver_ares.h"
#include "worker/resolver_names.h"

enum { HOST_MAX = 255 }; /* bytes that a name may have */

struct resolver {
	struct names names;
	struct asker *asker;
	struct event turn; /* to ask what is in line, outside the callers' calls */
	unsigned out;      /* questions on their way */
	unsigned deserted; /* of them, those that nobody waits for */
};

/* Of this process; workers are single-threaded. */
static char *servers_to_use;
static unsigned open_ct;

/* ---------------------------------------------------------------------- asking */

static unsigned lifetime_s(const struct resolver_answer *answer, unsigned ttl_s)
{
	if (answer->verdict == RESOLVER_NOT_FOUND) {
		return RESOLVER_NOT_FOUND_S;
	}
	if (answer->verdict == RESOLVER_TEMPORARY) {
		return RESOLVER_TEMPORARY_S;
	}
	return ttl_s < RESOLVER_TTL_MIN_S   ? RESOLVER_TTL_MIN_S
	       : ttl_s > RESOLVER_TTL_MAX_S ? RESOLVER_TTL_MAX_S
					    : ttl_s;
}

/* To the front of the list, if it is in it. */
static void bring_forward(struct resolver_answer *answer, const struct address *first)
{
	for (unsigned i = 1; i < answer->ct; i++) {
		if (address_equal(&answer->addresses[i], first)) {
			memmove(&answer->addresses[1], &answer->addresses[0],
				i * sizeof(*first));
			answer->addresses[0] = *first;
			return;
		}
	}
}

/* The address that was the first stays it as long as it is one. */
static void remember(struct name *name, const struct resolver_answer *answer)
{
	const struct address first = name->answer.addresses[0];
	const bool had_one = name->answer.ct;
	name->answer = *answer;
	if (had_one) {
		bring_forward(&name->answer, &first);
	}
}

static void take_waits(struct name *name, struct list *out)
{
	struct list_node *n;
	list_init(out);
	while ((n = list_pop_front(&name->waits))) {
		struct resolver_wait *w = list_entry(n, struct resolver_wait, link);
		w->name = NULL;
		w->in = out;
		list_push_back(out, n);
	}
}

/* Each callback may start waits, and leave others of these. */
static void tell(struct list *waits, const struct resolver_answer *answer)
{
	struct list_node *n;
	while ((n = list_pop_front(waits))) {
		struct resolver_wait *w = list_entry(n, struct resolver_wait, link);
		w->in = NULL;
		w->done(w, answer);
	}
}

static bool may_ask(const struct resolver *r)
{
	return r->out < RESOLVER_OUT_MAX && r->out - r->deserted < RESOLVER_ASKING_MAX;
}

static void turn_soon(struct resolver *r)
{
	if (!list_empty(&r->names.queued) && may_ask(r)) {
		event_active(&r->turn, EV_TIMEOUT, 0);
	}
}

static void on_answer(
	void *ctx, void *which, const struct resolver_answer *answer, unsigned ttl_s)
{
	struct resolver *r = ctx;
	struct name *name = which;
	r->out--;
	r->deserted -= list_empty(&name->waits);
	remember(name, answer);
	name->expires_ms = clock_now_ms() + lifetime_s(answer, ttl_s) * UINT64_C(1000);
	struct resolver_answer told = name->answer; /* a callback may push it out */
	struct list waits;
	take_waits(name, &waits);
	names_move(&r->names, name, NAME_KNOWN);
	tell(&waits, &told);
	turn_soon(r);
}

static void ask(struct resolver *r, struct name *name)
{
	names_move(&r->names, name, NAME_ASKED);
	r->out++;
	r->deserted += list_empty(&name->waits);
	asker_ask(r->asker, name->text, name);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct resolver *r = ctx;
	struct list_node *n;
	(void)fd;
	(void)what;
	while (may_ask(r) && (n = list_first(&r->names.queued))) {
		ask(r, list_entry(n, struct name, link));
	}
}

/* --------------------------------------------------------------------- finding */

/* Lower case, without the dot of a full name.  Returns its length, or 0: none. */
static size_t canonical(const char *host, char *out)
{
	size_t len = strnlen(host, HOST_MAX + 1);
	if (len && host[len - 1] == '.') {
		len--;
	}
	if (!len || len > HOST_MAX) {
		return 0;
	}
	for (size_t i = 0; i < len; i++) {
		char c = host[i];
		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	out[len] = '\0';
	return len;
}

static bool is_localhost(const char *name, size_t len)
{
	static const char word[] = "localhost";
	size_t n = sizeof(word) - 1;
	return len >= n && strcmp(name + len - n, word) == 0 &&
	       (len == n || name[len - n - 1] == '.');
}

/* RFC 6761: nobody is asked for it. */
static void answer_localhost(struct resolver_answer *answer)
{
	*answer = (struct resolver_answer){.verdict = RESOLVER_FOUND, .ct = 2};
	answer->addresses[0] =
		(struct address){.family = AF_INET, .bytes = {127, 0, 0, 1}};
	answer->addresses[1] =
		(struct address){.family = AF_INET6, .bytes = {[15] = 1}};
}

/* Without a question. */
static bool answer_at_once(const char *name, size_t len, struct resolver_answer *answer)
{
	struct address a;
	if (!len) {
		*answer = (struct resolver_answer){.verdict = RESOLVER_NOT_FOUND,
			.reason = "it is not a valid name"};
		return true;
	}
	if (is_localhost(name, len)) {
		answer_localhost(answer);
		return true;
	}
	if (address_parse_any(&a, name)) {
		*answer = (struct resolver_answer){
			.verdict = RESOLVER_FOUND, .ct = 1, .addresses = {a}};
		return true;
	}
	return false;
}

static void wait_for(struct resolver *r, struct name *name, struct resolver_wait *wait)
{
	if (name->state == NAME_ASKED && list_empty(&name->waits)) {
		r->deserted--;
	}
	wait->name = name;
	wait->in = &name->waits;
	list_push_back(wait->in, &wait->link);
}

bool resolver_knows(const char *host, struct resolver_answer *answer)
{
	char text[HOST_MAX + 1];
	return answer_at_once(text, canonical(host, text), answer);
}

int resolver_find(struct resolver *r, const char *host, struct resolver_answer *answer,
	struct resolver_wait *wait)
{
	char text[HOST_MAX + 1];
	size_t len = canonical(host, text);
	if (answer_at_once(text, len, answer)) {
		return 1;
	}
	struct name *name = names_find(&r->names, text);
	if (name && name->state == NAME_KNOWN && clock_now_ms() < name->expires_ms) {
		names_touch(&r->names, name);
		*answer = name->answer;
		return 1;
	}
	if (name && name->state != NAME_KNOWN) {
		wait_for(r, name, wait);
		return 0;
	}
	name = name ? name : names_add(&r->names, text);
	if (!name) {
		return PM_ENOMEM;
	}
	names_move(&r->names, name, NAME_QUEUED);
	wait_for(r, name, wait);
	turn_soon(r);
	return 0;
}

/* One that was in line for nobody else is not asked any more. */
void resolver_leave(struct resolver *r, struct resolver_wait *wait)
{
	struct name *name = wait->name;
	if (!wait->in) {
		return;
	}
	list_remove(wait->in, &wait->link);
	wait->in = NULL;
	wait->name = NULL;
	if (!name || !list_empty(&name->waits)) {
		return; /* it is being told; or others wait, too */
	}
	if (name->state == NAME_QUEUED) {
		names_drop(&r->names, name);
	} else if (name->state == NAME_ASKED) {
		r->deserted++;
		turn_soon(r);
	}
}

void resolver_blame(struct resolver *r, const char *host, const struct address *address)
{
	char text[HOST_MAX + 1];
	struct name *name = canonical(host, text) ? names_find(&r->names, text) : NULL;
	struct resolver_answer *a = name ? &name->answer : NULL;
	if (a && a->ct > 1 && address_equal(&a->addresses[0], address)) {
		struct address first = a->addresses[0];
		memmove(&a->addresses[0], &a->addresses[1],
			(a->ct - 1) * sizeof(first));
		a->addresses[a->ct - 1] = first;
	}
}

/* -------------------------------------------------------------------- lifetime */

int resolver_open(struct resolver **out, struct event_base *base)
{
	struct resolver *r = calloc(1, sizeof(*r));
	if (!r) {
		return PM_ENOMEM;
	}
	int err = names_init(&r->names, RESOLVER_NAMES_MAX);
	if (!err) {
		err = asker_open(&r->asker, base, servers_to_use, on_answer, r);
	}
	if (err) {
		names_fini(&r->names);
		free(r);
		return err;
	}
	event_assign(&r->turn, base, -1, 0, on_turn, r);
	open_ct++;
	*out = r;
	return 0;
}

void resolver_close(struct resolver *r)
{
	if (!r) {
		return;
	}
	asker_close(r->asker);
	event_del(&r->turn);
	names_fini(&r->names);
	free(r);
	open_ct--;
}

int resolver_use_servers(const char *servers)
{
	if (servers && asker_check_servers(servers)) {
		return PM_EINVAL;
	}
	char *copy = servers ? strdup(servers) : NULL;
	if (servers && !copy) {
		return PM_ENOMEM;
	}
	free(servers_to_use);
	servers_to_use = copy;
	return 0;
}

int pm_worker_dns_servers(const char *servers)
{
	if (open_ct) {
		return error_note(PM_ESTATE,
			"pm_worker_dns_servers: this worker has asked for names");
	}
	int err = resolver_use_servers(servers);
	return err ? error_note(err, "pm_worker_dns_servers: %s",
			     err == PM_EINVAL ? "not a list of ADDRESS[:PORT]"
					      : "no memory")
		   : 0;
}
