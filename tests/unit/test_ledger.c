/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/ledger: where jobs are, what they go by, and that no
 * forbidden move is possible.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "master/ledger.h"
#include "tests/unit/dice.h"

static struct ledger l;
static struct list held;
static int slot_here;
static struct slot *const slot = (struct slot *)(void *)&slot_here;

/* In place of the one in map.c, which brings the whole pool with it. */
static unsigned cleared_ct;

void pm_results_clear(struct pm_result *results, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		free(results[i].bytes);
		results[i] = (struct pm_result){0};
		cleared_ct++;
	}
}

static void make(void)
{
	ledger_init(&l);
	list_init(&held);
}

static void clear(void)
{
	ledger_fini(&l);
}

TestSuite(ledger, .init = make, .fini = clear);

static struct job *add(const char *arg)
{
	struct job *job = NULL;
	cr_assert_eq(ledger_add(&l, &job, arg, arg ? strlen(arg) : 0), 0);
	return job;
}

static struct job *first_of(struct list *list)
{
	struct list_node *n = list_first(list);
	return n ? list_entry(n, struct job, link) : NULL;
}

static struct job *last_of(struct list *list)
{
	return list->ct ? list_entry(list->head.prev, struct job, link) : NULL;
}

/* ------------------------------------------------------------ entering */

Test(ledger, is_empty_at_first, .timeout = 10)
{
	cr_assert_eq(l.open_ct, 0);
	cr_assert(list_empty(&l.queue));
	cr_assert(list_empty(&l.suspects));
	cr_assert_null(ledger_find(&l, 0));
	cr_assert_null(ledger_find(&l, UINT64_MAX));
}

Test(ledger, enters_a_job_at_the_end_of_the_queue, .timeout = 10)
{
	struct job *a = add("a"), *b = add("b");
	cr_assert_eq(l.open_ct, 2);
	cr_assert_eq(l.queue.ct, 2);
	cr_assert_eq(first_of(&l.queue), a);
	cr_assert_eq(last_of(&l.queue), b);
	cr_assert_eq(a->state, JOB_QUEUED);
	cr_assert_eq(a->list, &l.queue);
	cr_assert_eq(a->attempts, 0);
	cr_assert_eq(a->deaths, 0);
	cr_assert_null(a->slot);
	cr_assert_null(a->waiter);
	cr_assert_eq(a->result.error, 0);
	cr_assert_null(a->result.bytes);
}

Test(ledger, copies_the_argument_and_a_nul_behind_it, .timeout = 10)
{
	static char arg[] = "x\0y";
	struct job *job = NULL;
	cr_assert_eq(ledger_add(&l, &job, arg, 3), 0);
	memset(arg, 'z', sizeof arg);
	cr_assert_eq(job->arg_len, 3);
	cr_assert_arr_eq(job->arg, "x\0y", 4);
}

Test(ledger, takes_an_argument_without_bytes, .timeout = 10)
{
	struct job *job = NULL;
	cr_assert_eq(ledger_add(&l, &job, NULL, 0), 0);
	cr_assert_eq(job->arg_len, 0);
	cr_assert_eq(job->arg[0], '\0');
}

Test(ledger, takes_a_long_argument, .timeout = 10)
{
	size_t len = 10 << 20;
	char *arg = calloc(1, len);
	struct job *job = NULL;
	arg[len - 1] = 'e';
	cr_assert_eq(ledger_add(&l, &job, arg, len), 0);
	cr_assert_eq(job->arg_len, len);
	cr_assert_eq(job->arg[len - 1], 'e');
	cr_assert_eq(job->arg[len], '\0');
	free(arg);
}

Test(ledger, has_no_memory_for_a_length_that_overflows, .timeout = 10)
{
	struct job *job = NULL;
	cr_assert_eq(ledger_add(&l, &job, "", SIZE_MAX), PM_ENOMEM);
	cr_assert_null(job);
	cr_assert_eq(l.open_ct, 0);
}

/* -------------------------------------------------------------- limits */

Test(ledger, tells_which_jobs_should_have_begun, .timeout = 10)
{
	struct job *a = add("a"), *b = add("b"), *c = add("c");
	cr_assert_null(ledger_overdue(&l, UINT64_MAX));
	cr_assert_eq(ledger_next_limit_us(&l), UINT64_MAX);
	cr_assert_eq(ledger_limit(&l, a, 200), 0);
	cr_assert_eq(ledger_limit(&l, b, 100), 0);
	cr_assert_eq(ledger_next_limit_us(&l), 100);
	cr_assert_null(ledger_overdue(&l, 99));
	cr_assert_eq(ledger_overdue(&l, 100), b);
	ledger_unlimit(&l, b);
	ledger_unlimit(&l, b);
	ledger_unlimit(&l, c); /* it has none: nothing happens */
	cr_assert_null(ledger_overdue(&l, 199));
	cr_assert_eq(ledger_overdue(&l, 200), a);
}

Test(ledger, forgets_the_limits_of_jobs_that_end, .timeout = 10)
{
	struct job *a = add("a"), *b = add("b"), *c = add("c");
	cr_assert_eq(ledger_limit(&l, a, 1), 0);
	cr_assert_eq(ledger_limit(&l, b, 2), 0);
	cr_assert_eq(ledger_limit(&l, c, 3), 0);
	ledger_send(a, &held, slot);
	ledger_requeue(&l, a, false);
	cr_assert_eq(ledger_overdue(&l, 1), a, "it has not begun, for all we know");
	ledger_settle(&l, a);
	cr_assert_eq(ledger_overdue(&l, 3), b);
	ledger_free(&l, b);
	cr_assert_eq(ledger_overdue(&l, 3), c);
	ledger_take_out(&l, c);
	cr_assert_eq(ledger_next_limit_us(&l), UINT64_MAX);
	ledger_free_job(c);
}

/* ------------------------------------------------------------ finding */

Test(ledger, finds_jobs_by_their_id_and_by_no_other, .timeout = 10)
{
	struct job *a = add("a"), *b = add("b");
	cr_assert_neq(a->id, b->id);
	cr_assert_eq(ledger_find(&l, a->id), a);
	cr_assert_eq(ledger_find(&l, b->id), b);
	for (int bit = 0; bit < 64; bit++) {
		uint64_t other = a->id ^ (uint64_t)1 << bit;
		struct job *found = ledger_find(&l, other);
		cr_assert(!found || other == b->id, "bit %d", bit);
	}
	cr_assert_null(ledger_find(&l, UINT32_MAX));
	cr_assert_null(ledger_find(&l, UINT64_MAX));
}

Test(ledger, forgets_a_job_that_was_freed, .timeout = 10)
{
	struct job *a = add("a");
	uint64_t id = a->id;
	ledger_free(&l, a);
	cr_assert_null(ledger_find(&l, id));
	cr_assert_eq(l.open_ct, 0);
	cr_assert(list_empty(&l.queue));
	struct job *b = add("b"); /* in the place of the first */
	cr_assert_null(ledger_find(&l, id));
	cr_assert_eq(ledger_find(&l, b->id), b);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

Test(ledger, gives_no_id_twice, .timeout = 30)
{
	enum { CT = 20000 };
	static uint64_t ids[CT];
	uint64_t seed = 3;
	for (size_t i = 0; i < CT; i++) {
		struct job *job = add(NULL);
		ids[i] = job->id;
		if (dice_below(&seed, 3)) {
			ledger_free(&l, first_of(&l.queue));
		}
	}
	qsort(ids, CT, sizeof *ids, by_number);
	for (size_t i = 1; i < CT; i++) {
		cr_assert_neq(ids[i], ids[i - 1]);
	}
}

Test(ledger, grows_and_keeps_every_job, .timeout = 60)
{
	enum { CT = 100000 };
	static struct job *jobs[CT];
	for (size_t i = 0; i < CT; i++) {
		jobs[i] = add(NULL);
		jobs[i]->index = i;
	}
	cr_assert_eq(l.open_ct, CT);
	for (size_t i = 0; i < CT; i++) {
		cr_assert_eq(ledger_find(&l, jobs[i]->id), jobs[i]);
	}
	for (size_t i = 0; i < CT; i += 2) {
		ledger_free(&l, jobs[i]);
	}
	cr_assert_eq(l.open_ct, CT / 2);
	for (size_t i = 1; i < CT; i += 2) {
		cr_assert_eq(ledger_find(&l, jobs[i]->id), jobs[i]);
		cr_assert_eq(first_of(&l.queue), jobs[i], "the order is kept");
		ledger_free(&l, jobs[i]);
	}
}

Test(ledger, does_not_grow_while_there_are_free_places, .timeout = 30)
{
	for (int i = 0; i < 100; i++) {
		add(NULL);
	}
	size_t cap = l.cap;
	for (int i = 0; i < 100000; i++) {
		ledger_free(&l, first_of(&l.queue));
		add(NULL);
	}
	cr_assert_eq(l.cap, cap);
	cr_assert_eq(l.open_ct, 100);
}

/* ------------------------------------------------------------ moving */

Test(ledger, sends_a_job_to_a_slot, .timeout = 10)
{
	struct job *a = add("a"), *b = add("b");
	ledger_send(a, &held, slot);
	ledger_send(b, &held, slot);
	cr_assert(list_empty(&l.queue));
	cr_assert_eq(held.ct, 2);
	cr_assert_eq(first_of(&held), a, "in the order they were sent");
	cr_assert_eq(last_of(&held), b);
	cr_assert_eq(a->state, JOB_SENT);
	cr_assert_eq(a->list, &held);
	cr_assert_eq(a->slot, slot);
	cr_assert_eq(a->attempts, 1);
}

Test(ledger, queues_a_job_again_at_the_front, .timeout = 10)
{
	struct job *a = add("a"), *b = add("b"), *c = add("c");
	ledger_send(a, &held, slot);
	ledger_send(b, &held, slot);
	ledger_requeue(&l, b, false); /* from the last to the first, as loss.c */
	ledger_requeue(&l, a, false);
	cr_assert_eq(first_of(&l.queue), a);
	cr_assert_eq(last_of(&l.queue), c);
	cr_assert_eq(a->state, JOB_QUEUED);
	cr_assert_null(a->slot);
	cr_assert_eq(a->attempts, 1);
	ledger_send(a, &held, slot);
	cr_assert_eq(a->attempts, 2);
}

Test(ledger, puts_suspects_aside_in_their_order, .timeout = 10)
{
	struct job *a = add("a"), *b = add("b"), *c = add("c");
	ledger_send(a, &held, slot);
	ledger_send(b, &held, slot);
	ledger_requeue(&l, a, true);
	ledger_requeue(&l, b, true);
	cr_assert_eq(l.suspects.ct, 2);
	cr_assert_eq(first_of(&l.suspects), a);
	cr_assert_eq(last_of(&l.suspects), b);
	cr_assert_eq(first_of(&l.queue), c);
	cr_assert_eq(a->state, JOB_QUEUED);
	cr_assert_eq(a->list, &l.suspects);
	ledger_send(a, &held, slot);
	cr_assert_eq(l.suspects.ct, 1);
}

Test(ledger, settles_a_job_that_was_sent, .timeout = 10)
{
	struct job *a = add("a");
	ledger_send(a, &held, slot);
	ledger_settle(&l, a);
	cr_assert_eq(a->state, JOB_DONE);
	cr_assert_null(a->list);
	cr_assert(list_empty(&held));
	cr_assert_eq(a->slot, slot, "who did it");
	cr_assert_eq(ledger_find(&l, a->id), a, "it is open until it is freed");
	cr_assert_eq(l.open_ct, 1);
}

Test(ledger, settles_a_job_that_was_never_sent, .timeout = 10)
{
	struct job *a = add("a");
	ledger_settle(&l, a);
	cr_assert_eq(a->state, JOB_DONE);
	cr_assert(list_empty(&l.queue));
}

Test(ledger, aborts_when_a_job_is_sent_twice, .timeout = 10, .signal = SIGABRT)
{
	struct job *a = add("a");
	ledger_send(a, &held, slot);
	ledger_send(a, &held, slot);
}

Test(ledger, aborts_when_a_job_is_settled_twice, .timeout = 10, .signal = SIGABRT)
{
	struct job *a = add("a");
	ledger_settle(&l, a);
	ledger_settle(&l, a);
}

Test(ledger, aborts_when_a_job_that_is_done_is_sent, .timeout = 10, .signal = SIGABRT)
{
	struct job *a = add("a");
	ledger_settle(&l, a);
	ledger_send(a, &held, slot);
}

Test(ledger, aborts_when_a_job_that_is_done_is_queued, .timeout = 10, .signal = SIGABRT)
{
	struct job *a = add("a");
	ledger_settle(&l, a);
	ledger_requeue(&l, a, false);
}

Test(ledger, aborts_when_a_job_of_another_ledger_is_freed, .timeout = 10,
	.signal = SIGABRT)
{
	struct ledger other;
	struct job *a = NULL;
	ledger_init(&other);
	cr_assert_eq(ledger_add(&other, &a, NULL, 0), 0);
	add("b");
	ledger_free(&l, a);
}

/* ------------------------------------------------------------ freeing */

Test(ledger, frees_a_job_wherever_it_is, .timeout = 10)
{
	struct job *queued = add("a"), *suspect = add("b"), *sent = add("c"),
		   *done = add("d");
	ledger_requeue(&l, suspect, true);
	ledger_send(sent, &held, slot);
	ledger_settle(&l, done);
	done->result.bytes = strdup("freed with the job");
	ledger_free(&l, done);
	ledger_free(&l, sent);
	ledger_free(&l, suspect);
	ledger_free(&l, queued);
	cr_assert_eq(cleared_ct, 4);
	cr_assert_eq(l.open_ct, 0);
	cr_assert(list_empty(&l.queue) && list_empty(&l.suspects) && list_empty(&held));
}

Test(ledger, frees_all_jobs_at_the_end, .timeout = 10)
{
	enum { CT = 1000 };
	for (int i = 0; i < CT; i++) {
		struct job *job = add("arg");
		if (i % 4 == 1) {
			ledger_requeue(&l, job, true);
		} else if (i % 4 == 2) {
			ledger_send(job, &held, slot);
		} else if (i % 4 == 3) {
			ledger_settle(&l, job);
			job->result.bytes = strdup("freed with the job");
		}
	}
	ledger_fini(&l);
	cr_assert_eq(cleared_ct, CT);
	cr_assert_eq(l.open_ct, 0);
	cr_assert(list_empty(&held));
	struct job *again = add("usable again");
	cr_assert_eq(ledger_find(&l, again->id), again);
}

/* -------------------------------------------------- counting, giving away */

Test(ledger, counts_what_is_not_done, .timeout = 10)
{
	struct job *a = add("a"), *b = add("b"), *c = add("c");
	cr_assert_eq(l.live_ct, 3);
	ledger_send(a, &held, slot);
	ledger_requeue(&l, a, true);
	ledger_send(a, &held, slot);
	cr_assert_eq(l.live_ct, 3, "a job that moves lives");
	ledger_settle(&l, a);
	cr_assert_eq(l.live_ct, 2);
	cr_assert_eq(l.open_ct, 3);
	ledger_settle(&l, b);
	ledger_free(&l, b);
	cr_assert_eq(l.live_ct, 1, "counted once, when it was done");
	ledger_free(&l, c);
	cr_assert_eq(l.live_ct, 0, "one that never came to its end");
	cr_assert_eq(l.open_ct, 1);
	ledger_fini(&l);
	cr_assert_eq(l.live_ct, 0);
	cr_assert_eq(l.open_ct, 0);
}

static unsigned settled_ct;

static void on_settled(struct waiter *waiter, struct job *job)
{
	(void)waiter;
	(void)job;
	settled_ct++;
}

/* Who waits is the caller's affair: no move calls it, none forgets it. */
Test(ledger, keeps_the_waiter_through_every_move, .timeout = 10)
{
	struct waiter waiter = {.settled = on_settled};
	struct job *job = add("a");
	job->waiter = &waiter;
	ledger_send(job, &held, slot);
	ledger_requeue(&l, job, false);
	ledger_send(job, &held, slot);
	ledger_requeue(&l, job, true);
	ledger_settle(&l, job);
	cr_assert_eq(job->waiter, &waiter);
	ledger_free(&l, job);
	cr_assert_eq(settled_ct, 0);
}

Test(ledger, gives_a_job_away_that_outlives_it, .timeout = 10)
{
	struct job *job = add("argument");
	uint64_t id = job->id;
	ledger_settle(&l, job);
	job->result.bytes = strdup("result");
	ledger_take_out(&l, job);
	cr_assert_null(ledger_find(&l, id));
	cr_assert_eq(l.open_ct, 0);
	cr_assert_eq(l.live_ct, 0);
	ledger_fini(&l);
	cr_assert_eq(cleared_ct, 0);
	cr_assert_str_eq((char *)job->arg, "argument");
	cr_assert_str_eq(job->result.bytes, "result");
	ledger_free_job(job);
	cr_assert_eq(cleared_ct, 1);
}

Test(ledger, gives_its_place_to_another, .timeout = 10)
{
	struct job *job = add("a");
	uint64_t id = job->id;
	ledger_take_out(&l, job);
	struct job *other = add("b");
	cr_assert_neq(other->id, id);
	cr_assert_eq(ledger_find(&l, other->id), other);
	cr_assert_eq(l.queue.ct, 1);
	ledger_free_job(job);
}

/* ------------------------------------------------------------ all together */

/* What a job should look like. */
struct model {
	struct job *job; /* NULL: none */
	enum job_state state;
	struct list *list;
	unsigned attempts;
	uint64_t id;
};

static void step(struct model *m, uint64_t *seed)
{
	if (!m->job) {
		m->job = add("model");
		*m = (struct model){m->job, JOB_QUEUED, &l.queue, 0, m->job->id};
	} else if (m->state == JOB_DONE || dice_below(seed, 10) == 0) {
		ledger_free(&l, m->job);
		cr_assert_null(ledger_find(&l, m->id));
		m->job = NULL;
	} else if (m->state == JOB_QUEUED && dice_below(seed, 4)) {
		ledger_send(m->job, &held, slot);
		m->state = JOB_SENT;
		m->list = &held;
		m->attempts++;
	} else if (m->state == JOB_SENT && dice_below(seed, 2)) {
		bool suspect = dice_below(seed, 2);
		ledger_requeue(&l, m->job, suspect);
		m->state = JOB_QUEUED;
		m->list = suspect ? &l.suspects : &l.queue;
	} else {
		ledger_settle(&l, m->job);
		m->state = JOB_DONE;
		m->list = NULL;
	}
}

Test(ledger, agrees_with_a_model, .timeout = 60)
{
	enum { CT = 700, STEPS = 50000 };
	static struct model models[CT];
	uint64_t seed = 11;
	for (int i = 0; i < STEPS; i++) {
		struct model *m = &models[dice_below(&seed, CT)];
		step(m, &seed);
		if (m->job) {
			cr_assert_eq(ledger_find(&l, m->id), m->job);
			cr_assert_eq(m->job->state, m->state);
			cr_assert_eq(m->job->list, m->list);
			cr_assert_eq(m->job->attempts, m->attempts);
		}
	}
	size_t open = 0, listed = 0, live = 0;
	for (int i = 0; i < CT; i++) {
		open += models[i].job != NULL;
		live += models[i].job && models[i].state != JOB_DONE;
		listed += models[i].job && models[i].list;
	}
	cr_assert_eq(l.open_ct, open);
	cr_assert_eq(l.live_ct, live);
	cr_assert_eq(l.queue.ct + l.suspects.ct + held.ct, listed);
}
