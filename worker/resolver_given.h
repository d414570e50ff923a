/* SPDX-License-Identifier: MIT
 *
 * resolver_given - addresses that a request brings for hosts:
 * "HOST:PORT:ADDR[,ADDR]...", as curl takes them.
 *
 * Runs in: the worker.  Called by the engine.  Plain data.
 */
#ifndef WORKER_RESOLVER_GIVEN_H
#define WORKER_RESOLVER_GIVEN_H

#include "worker/resolver.h"

/* A host of "*" is any; "[...]" goes around an IPv6 address, of the host or after
 * the port. */
bool given_is_valid(const char *entry);

/* One block of memory with all of them, for free().  NULL: no memory. */
char *given_copy(const char *const *entries, size_t ct);

/* The first that fits.  False: none does. */
bool given_find(const char *given, const char *host, uint16_t port,
	struct resolver_answer *answer);

#endif
