/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/heap: the soonest comes first, whatever goes in and out, and
 * whoever has no memory changes nothing.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dice.h"

static bool no_memory;

static void *scarce_realloc(void *p, size_t size)
{
	return no_memory ? NULL : realloc(p, size);
}

/* In place of the module in the archive, with memory that can be short. */
#define realloc scarce_realloc
#include "master/heap.c" /* NOLINT(bugprone-suspicious-include) */
#undef realloc

enum { LIMIT = 30, DUE_CT = 1000 };

static struct heap h;
static struct due dues[DUE_CT];

static void clear(void)
{
	heap_fini(&h);
}

TestSuite(heap, .fini = clear);

static void put(struct due *d, uint64_t at_us)
{
	cr_assert_eq(heap_put(&h, d, at_us), 0);
	cr_assert_neq(d->place, 0);
}

static uint64_t pop(void)
{
	struct due *d = heap_first(&h);
	cr_assert_not_null(d);
	heap_remove(&h, d);
	cr_assert_eq(d->place, 0);
	return d->at_us;
}

Test(heap, is_empty_at_first, .timeout = LIMIT)
{
	cr_assert_null(heap_first(&h));
	heap_remove(&h, &dues[0]);
	cr_assert_null(heap_first(&h));
	heap_fini(&h);
	heap_fini(&h);
}

Test(heap, gives_the_soonest, .timeout = LIMIT)
{
	static const uint64_t at_us[] = {5, 3, UINT64_MAX, 0, 4, 3, 1};
	static const uint64_t sorted[] = {0, 1, 3, 3, 4, 5, UINT64_MAX};
	for (size_t i = 0; i < 7; i++) {
		put(&dues[i], at_us[i]);
	}
	for (size_t i = 0; i < 7; i++) {
		cr_assert_eq(pop(), sorted[i]);
	}
	cr_assert_null(heap_first(&h));
}

Test(heap, gives_what_is_due_at_once_as_it_came, .timeout = LIMIT)
{
	for (size_t i = 0; i < DUE_CT; i++) {
		put(&dues[i], i % 3);
	}
	heap_remove(&h, &dues[300]);
	put(&dues[300], 0);
	for (size_t at_us = 0; at_us < 3; at_us++) {
		for (size_t i = at_us; i < DUE_CT; i += 3) {
			if (i != 300) {
				cr_assert_eq(heap_first(&h), &dues[i]);
				cr_assert_eq(pop(), at_us);
			}
		}
		if (at_us == 0) {
			cr_assert_eq(heap_first(&h), &dues[300]);
			cr_assert_eq(pop(), 0);
		}
	}
	cr_assert_null(heap_first(&h));
}

Test(heap, takes_out_of_the_middle, .timeout = LIMIT)
{
	for (size_t i = 0; i < DUE_CT; i++) {
		put(&dues[i], (i * 7919) % DUE_CT);
	}
	for (size_t i = 0; i < DUE_CT; i++) {
		if (dues[i].at_us % 3) {
			heap_remove(&h, &dues[i]);
			heap_remove(&h, &dues[i]); /* it is in none: nothing happens */
		}
	}
	for (uint64_t at_us = 0; at_us < DUE_CT; at_us += 3) {
		cr_assert_eq(pop(), at_us);
	}
	cr_assert_null(heap_first(&h));
}

Test(heap, without_memory_it_is_as_before, .timeout = LIMIT)
{
	no_memory = true;
	cr_assert_eq(heap_put(&h, &dues[0], 1), PM_ENOMEM);
	cr_assert_eq(dues[0].place, 0);
	cr_assert_null(heap_first(&h));
	no_memory = false;
	for (size_t i = 0; i < FIRST_CAP; i++) {
		put(&dues[i], FIRST_CAP - i);
	}
	no_memory = true;
	cr_assert_eq(heap_put(&h, &dues[FIRST_CAP], 0), PM_ENOMEM);
	cr_assert_eq(dues[FIRST_CAP].place, 0);
	for (uint64_t i = 1; i <= FIRST_CAP; i++) {
		cr_assert_eq(pop(), i);
	}
}

/* ------------------------------------------------------------ against a model */

/* The model: those that are in it, sorted. */
static struct due *model[DUE_CT];
static size_t model_ct;

static void model_put(struct due *d, uint64_t at_us)
{
	size_t i = model_ct++;
	while (i > 0 && model[i - 1]->at_us > at_us) {
		model[i] = model[i - 1];
		i--;
	}
	model[i] = d;
}

static void model_remove(const struct due *d)
{
	size_t i = 0;
	while (model[i] != d) {
		i++;
	}
	model_ct--;
	memmove(&model[i], &model[i + 1], (model_ct - i) * sizeof *model);
}

static void random_step(uint64_t *seed, size_t span)
{
	struct due *d = &dues[dice_below(seed, DUE_CT)];
	uint64_t at_us = dice_below(seed, span);
	if (!d->place) {
		put(d, at_us);
		model_put(d, at_us);
	} else {
		d = dice_below(seed, 2) ? d : heap_first(&h);
		model_remove(d);
		heap_remove(&h, d);
	}
}

Test(heap, is_a_sorted_list_after_100000_random_steps, .timeout = LIMIT)
{
	uint64_t seed = 1;
	for (unsigned i = 0; i < 100000; i++) {
		random_step(&seed, i % 1000 < 500 ? 50 : 1u << 30);
		cr_assert_eq(h.ct, model_ct);
		struct due *first = heap_first(&h);
		cr_assert_eq(!first, !model_ct);
		cr_assert(!first || first->at_us == model[0]->at_us, "step %u", i);
	}
	for (size_t i = 0; i < h.ct; i++) {
		cr_assert_eq(h.table[i]->place, i + 1);
	}
	for (size_t i = 0; model_ct > i; i++) {
		cr_assert_eq(pop(), model[i]->at_us);
	}
}
