/* SPDX-License-Identifier: MIT
 *
 * order - turns completions into deliveries: in the order of the jobs, or as
 * they come.
 *
 * Runs in: the master; one per map.  A pure data structure: jobs go in when
 * they are done, and come out when it is their turn.
 */
#ifndef MASTER_ORDER_H
#define MASTER_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "master/ledger.h"

struct order {
	bool ordered;
	uint64_t next;     /* index whose turn it is, when ordered */
	struct job **ring; /* done jobs by index, from `next` on */
	size_t cap;        /* a power of two */
	struct list ready; /* done jobs whose turn it is, by job.link */
};

void order_init(struct order *o, bool ordered);
void order_fini(struct order *o); /* frees no jobs: the ledger does */

/* Make room for the job with this index: call it before the job is sent, so
 * that order_put() cannot fail.  0 or PM_ENOMEM. */
int order_reserve(struct order *o, uint64_t index);

/* A job is done. */
void order_put(struct order *o, struct job *job);

/* The job whose turn it is, or NULL; take it out; put it back. */
struct job *order_first(const struct order *o);
void order_pop(struct order *o);
void order_put_back(struct order *o, struct job *job);

#endif
