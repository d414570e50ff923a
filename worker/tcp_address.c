/* SPDX-License-Identifier: MIT
 *
 * tcp_address - addresses, their texts, and the look-up of names; see tcp.h.
 *
 * Runs in: the worker; getaddrinfo() of a name on a thread.  It cannot be stopped
 * and may take long, so the look-up has memory of its own, which outlives a task
 * that does not wait any more.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/leak.h"
#include "worker/tcp.h"
#include "worker/thread.h"

/* ---------------------------------------------------------------------- texts */

void tcp_name_text(const char *host, uint16_t port, char text[TCP_NAME_TEXT])
{
	const char *shown = host ? host : "*";
	bool v6 = strchr(shown, ':') != NULL;
	snprintf(text, TCP_NAME_TEXT, "%s%.280s%s:%u", v6 ? "[" : "", shown,
		v6 ? "]" : "", port);
}

static const struct sockaddr_in *as_v4(const struct tcp_address *a)
{
	return (const struct sockaddr_in *)(const void *)&a->at;
}

static const struct sockaddr_in6 *as_v6(const struct tcp_address *a)
{
	return (const struct sockaddr_in6 *)(const void *)&a->at;
}

uint16_t tcp_address_port(const struct tcp_address *address)
{
	return ntohs(address->at.ss_family == AF_INET6 ? as_v6(address)->sin6_port
						       : as_v4(address)->sin_port);
}

static void text_of_v6(const struct tcp_address *address, char text[TCP_ADDRESS_TEXT])
{
	const struct sockaddr_in6 *a = as_v6(address);
	char host[INET6_ADDRSTRLEN] = "?";
	char interface[IF_NAMESIZE] = "";
	(void)inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof host);
	bool scoped = a->sin6_scope_id && if_indextoname(a->sin6_scope_id, interface);
	snprintf(text, TCP_ADDRESS_TEXT, "[%s%s%s]:%u", host, scoped ? "%" : "",
		scoped ? interface : "", tcp_address_port(address));
}

/* A socket for both kinds sees IPv4 as a range of IPv6; people do not. */
void tcp_address_text(const struct tcp_address *address, char text[TCP_ADDRESS_TEXT])
{
	char host[INET_ADDRSTRLEN] = "?";
	bool v6 = address->at.ss_family == AF_INET6;
	if (v6 && !IN6_IS_ADDR_V4MAPPED(&as_v6(address)->sin6_addr)) {
		text_of_v6(address, text);
		return;
	}
	const void *in = v6 ? (const void *)(as_v6(address)->sin6_addr.s6_addr + 12)
			    : (const void *)&as_v4(address)->sin_addr;
	(void)inet_ntop(AF_INET, in, host, sizeof host);
	snprintf(text, TCP_ADDRESS_TEXT, "%s:%u", host, tcp_address_port(address));
}

/* -------------------------------------------------------------------- look-up */

/* getaddrinfo() with what it says. */
struct question {
	const char *host;
	char port[6];
	int flags;
	struct addrinfo *answer;
	int error; /* EAI_... */
	int code;  /* errno, for EAI_SYSTEM */
};

static void ask(struct question *q)
{
	struct addrinfo hints = {.ai_flags = q->flags | AI_NUMERICSERV,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM};
	q->error = getaddrinfo(q->host, q->port, &hints, &q->answer);
	q->code = q->error == EAI_SYSTEM ? errno : 0;
}

static void ask_on_thread(void *arg)
{
	ask(arg);
}

static int fail_dns(struct pm_task *task, const struct question *q)
{
	char text[TCP_NAME_TEXT + 200];
	bool system = q->error == EAI_SYSTEM && q->code;
	int err = q->error == EAI_MEMORY ? PM_ENOMEM : PM_EDNS;
	snprintf(text, sizeof text, "cannot look up %.280s: %s", q->host,
		system ? strerror(q->code) : gai_strerror(q->error));
	return task_set_failure(
		task, err, system ? PM_DOMAIN_ERRNO : PM_DOMAIN_NONE, q->code, text);
}

static int copy_answer(
	struct pm_task *task, struct question *q, struct tcp_addresses **found)
{
	size_t ct = 0;
	for (struct addrinfo *a = q->answer; a; a = a->ai_next) {
		ct++;
	}
	struct tcp_addresses *all =
		calloc(1, sizeof *all + ct * sizeof(struct tcp_address));
	for (struct addrinfo *a = all ? q->answer : NULL; a; a = a->ai_next) {
		struct tcp_address *to = &all->each[all->ct++];
		memcpy(&to->at, a->ai_addr, a->ai_addrlen);
		to->len = a->ai_addrlen;
	}
	freeaddrinfo(q->answer);
	q->answer = NULL;
	if (!all) {
		return tcp_fail(task, PM_ENOMEM, pm_error_text(PM_ENOMEM));
	}
	*found = all;
	return 0;
}

static int take_answer(
	struct pm_task *task, struct question *q, struct tcp_addresses **found)
{
	return q->error ? fail_dns(task, q) : copy_answer(task, q, found);
}

/* A look-up on a thread. */
struct lookup {
	struct thread_call call;
	struct question question;
	struct pm_task *task; /* that waits; NULL: nobody does any more */
	struct event *timer;
	bool timed_out;
	bool done; /* no thread has it, and none will */
	bool left; /* the task has gone on: nobody looks at it when it is done */
	char host[];
};

static void lookup_free(struct lookup *l)
{
	if (l->question.answer) {
		freeaddrinfo(l->question.answer);
	}
	if (l->timer) {
		event_free(l->timer);
	}
	free(l);
}

static struct lookup *lookup_new(const struct question *q)
{
	size_t size = strlen(q->host) + 1;
	struct lookup *l = calloc(1, sizeof *l + size);
	if (l) {
		memcpy(l->host, q->host, size);
		l->question = *q;
		l->question.host = l->host;
		l->call.fn = ask_on_thread;
		l->call.arg = &l->question;
	}
	return l;
}

static void on_lookup(struct thread_call *call)
{
	struct lookup *l = list_entry(call, struct lookup, call);
	struct pm_task *task = l->task;
	l->done = true;
	l->task = NULL;
	if (task) {
		task_wake(task);
	} else {
		leak_stray(false);
	}
	if (l->left) {
		lookup_free(l);
	}
}

/* One that runs is left to on_lookup(), which may come before the task goes on. */
static void stop_waiting(void *ctx)
{
	struct lookup *l = ctx;
	if (l->task) {
		l->task = NULL;
		l->done = thread_withdraw(&l->call);
		if (!l->done) {
			leak_stray(true);
		}
	}
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct lookup *l = ctx;
	struct pm_task *task = l->task;
	(void)fd;
	(void)what;
	if (task) {
		stop_waiting(l);
		l->timed_out = true;
		task_wake(task);
	}
}

static int start_timer(struct lookup *l, int timeout_ms)
{
	struct timeval tv = {
		.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};
	if (timeout_ms < 0) {
		return 0;
	}
	l->timer = evtimer_new(worker_base(), on_timer, l);
	return l->timer && evtimer_add(l->timer, &tv) == 0 ? 0 : ENOMEM;
}

static int fail_timeout(struct pm_task *task, const char *host)
{
	char text[TCP_NAME_TEXT + 40];
	snprintf(text, sizeof text, "looking up %.280s", host);
	return tcp_fail_errno(task, PM_ETIMEDOUT, ETIMEDOUT, text);
}

static int await_lookup(
	struct pm_task *task, struct lookup *l, struct tcp_addresses **found)
{
	l->task = task;
	int err = task_park(task, stop_waiting, l);
	if (l->timer) {
		event_free(l->timer);
		l->timer = NULL;
	}
	if (err) {
		return err;
	}
	return l->timed_out ? fail_timeout(task, l->host)
			    : take_answer(task, &l->question, found);
}

static int look_up(struct pm_task *task, const struct question *q, int timeout_ms,
	struct tcp_addresses **found)
{
	struct lookup *l = lookup_new(q);
	int code = l ? start_timer(l, timeout_ms) : ENOMEM;
	if (l) {
		l->call.done = on_lookup;
	}
	code = code ? code : thread_start(&l->call);
	if (code) {
		if (l) {
			lookup_free(l);
		}
		return tcp_fail_errno(task, PM_ELIMIT, code, q->host);
	}
	int err = await_lookup(task, l, found);
	l->left = true;
	if (l->done) {
		lookup_free(l);
	}
	return err;
}

/* Both kinds of addresses by one socket, or IPv4 where there is nothing else. */
static int resolve_any(
	struct pm_task *task, uint16_t port, struct tcp_addresses **found)
{
	struct tcp_addresses *all =
		calloc(1, sizeof *all + 2 * sizeof(struct tcp_address));
	if (!all) {
		return tcp_fail(task, PM_ENOMEM, pm_error_text(PM_ENOMEM));
	}
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	memcpy(&all->each[0].at, &v6, sizeof v6);
	all->each[0].len = sizeof v6;
	memcpy(&all->each[1].at, &v4, sizeof v4);
	all->each[1].len = sizeof v4;
	all->ct = 2;
	*found = all;
	return 0;
}

int tcp_resolve(struct pm_task *task, const char *host, uint16_t port, int timeout_ms,
	struct tcp_addresses **found)
{
	struct question q = {.host = host, .flags = AI_NUMERICHOST};
	if (!host) {
		return resolve_any(task, port, found);
	}
	snprintf(q.port, sizeof q.port, "%u", port);
	ask(&q); /* asks nobody: it reads digits */
	if (q.error != EAI_NONAME) {
		return take_answer(task, &q, found);
	}
	q.flags = 0;
	return look_up(task, &q, timeout_ms, found);
}
