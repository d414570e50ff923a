/* SPDX-License-Identifier: MIT
 *
 * ledger - every open job of a pool; see ledger.h.
 */
#include "master/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_FIRST = 256 };

void ledger_init(struct ledger *l)
{
	*l = (struct ledger){.serial = 1};
	list_init(&l->queue);
	list_init(&l->suspects);
}

void ledger_fini(struct ledger *l)
{
	for (size_t i = 0; i < l->cap; i++) {
		if (l->table[i]) {
			ledger_free(l, l->table[i]);
		}
	}
	free(l->table);
	free(l->free_places);
	heap_fini(&l->limits);
	ledger_init(l);
}

/* Twice the places; the new ones are free, the lowest on top. */
static int grow(struct ledger *l)
{
	size_t cap = l->cap ? l->cap * 2 : TABLE_FIRST;
	struct job **table = realloc(l->table, cap * sizeof(struct job *));
	if (table) {
		l->table = table;
	}
	uint32_t *places = realloc(l->free_places, cap * sizeof *places);
	if (places) {
		l->free_places = places;
	}
	if (!table || !places || cap > UINT32_MAX) {
		return PM_ENOMEM;
	}
	for (size_t i = cap; i-- > l->cap;) {
		table[i] = NULL;
		places[l->free_ct++] = (uint32_t)i;
	}
	l->cap = cap;
	return 0;
}

/* The one place that changes state and list.  Before `at` in it; NULL: at its end. */
static void ledger_move(
	struct job *job, enum job_state state, struct list *to, struct list_node *at)
{
	static const bool allowed[3][3] = {
		/* to:        QUEUED SENT  DONE */
		[JOB_QUEUED] = {true, true, true},
		[JOB_SENT] = {true, false, true},
		[JOB_DONE] = {false, false, false},
	};
	assert(allowed[job->state][state]);
	if (job->list) {
		list_remove(job->list, &job->link);
	}
	job->state = state;
	job->list = to;
	if (to) {
		list_push_before(to, at ? at : &to->head, &job->link);
	}
}

int ledger_add(struct ledger *l, struct job **out, const void *arg, size_t len)
{
	struct job *job = len < SIZE_MAX / 2 ? malloc(sizeof *job + len + 1) : NULL;
	if (!job || (!l->free_ct && grow(l))) {
		free(job);
		return PM_ENOMEM;
	}
	*job = (struct job){.arg_len = len};
	if (len) {
		memcpy(job->arg, arg, len);
	}
	job->arg[len] = '\0';
	uint32_t place = l->free_places[--l->free_ct];
	job->id = (uint64_t)l->serial << 32 | place;
	l->serial += l->serial == UINT32_MAX ? 2 : 1; /* never 0: no id is 0 */
	l->table[place] = job;
	l->open_ct++;
	l->live_ct++;
	ledger_move(job, JOB_QUEUED, &l->queue, NULL);
	*out = job;
	return 0;
}

int ledger_limit(struct ledger *l, struct job *job, uint64_t at_us)
{
	return heap_put(&l->limits, &job->limit, at_us);
}

void ledger_unlimit(struct ledger *l, struct job *job)
{
	heap_remove(&l->limits, &job->limit);
}

struct job *ledger_overdue(const struct ledger *l, uint64_t now_us)
{
	struct due *d = heap_first(&l->limits);
	return d && d->at_us <= now_us ? list_entry(d, struct job, limit) : NULL;
}

uint64_t ledger_next_limit_us(const struct ledger *l)
{
	const struct due *d = heap_first(&l->limits);
	return d ? d->at_us : UINT64_MAX;
}

struct job *ledger_find(const struct ledger *l, uint64_t id)
{
	uint32_t place = (uint32_t)id;
	struct job *job = place < l->cap ? l->table[place] : NULL;
	return job && job->id == id ? job : NULL;
}

void ledger_send(struct job *job, struct list *held, struct slot *slot)
{
	job->slot = slot;
	job->attempts++;
	ledger_move(job, JOB_SENT, held, NULL);
}

void ledger_wait(struct job *job, struct list *list, struct list_node *at)
{
	job->slot = NULL;
	ledger_move(job, JOB_QUEUED, list, at);
}

void ledger_requeue(struct ledger *l, struct job *job, bool suspect)
{
	job->slot = NULL;
	if (suspect) {
		ledger_move(job, JOB_QUEUED, &l->suspects, NULL);
	} else {
		ledger_move(job, JOB_QUEUED, &l->queue, l->queue.head.next);
	}
}

void ledger_settle(struct ledger *l, struct job *job)
{
	ledger_unlimit(l, job);
	ledger_move(job, JOB_DONE, NULL, NULL);
	l->live_ct--;
}

void ledger_take_out(struct ledger *l, struct job *job)
{
	uint32_t place = (uint32_t)job->id;
	assert(l->table[place] == job);
	ledger_unlimit(l, job);
	if (job->list) {
		list_remove(job->list, &job->link);
	}
	l->table[place] = NULL;
	l->free_places[l->free_ct++] = place;
	l->open_ct--;
	l->live_ct -= job->state == JOB_DONE ? 0 : 1;
	job->list = NULL;
}

void ledger_free_job(struct job *job)
{
	pm_results_clear(&job->result, 1);
	free(job);
}

void ledger_free(struct ledger *l, struct job *job)
{
	ledger_take_out(l, job);
	ledger_free_job(job);
}
