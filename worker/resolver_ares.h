/* SPDX-License-Identifier: MIT
 *
 * resolver_ares - questions to the servers of names, and to /etc/hosts.
 *
 * Runs in: the worker, on its event base.  Called by resolver.c.  The door of
 * c-ares: no other file includes it.
 */
#ifndef WORKER_RESOLVER_ARES_H
#define WORKER_RESOLVER_ARES_H

#include "worker/resolver.h"

struct asker;

/* An answer to the question `which`; ttl_s is that of its shortest record.  It may come
 * from inside asker_ask(), also for another question. */
typedef void asker_fn(
	void *ctx, void *which, const struct resolver_answer *answer, unsigned ttl_s);

/* `servers`: see resolver_use_servers().  PM_ENOMEM, PM_EINVAL. */
int asker_open(struct asker **out, struct event_base *base, const char *servers,
	asker_fn *on_answer, void *ctx);

/* No answer comes any more.  NULL is fine. */
void asker_close(struct asker *a);

/* One answer will come, at the latest after some ten seconds. */
void asker_ask(struct asker *a, const char *name, void *which);

/* 0 or PM_EINVAL: no list of servers. */
int asker_check_servers(const char *servers);

/* Of c-ares as it is linked, such as "1.18.1".  Static.  In any process. */
const char *asker_version(void);

#endif
