/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/list.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/list.h"
#include "tests/unit/dice.h"

struct item {
	int before; /* so that the node is not at offset 0 */
	struct list_node link;
	int number;
};

enum { ITEM_CT = 64 };

static struct item items[ITEM_CT];
static struct list l;

static void make(void)
{
	list_init(&l);
	for (int i = 0; i < ITEM_CT; i++) {
		items[i].number = i;
	}
}

TestSuite(list, .init = make);

static int number_of(struct list_node *n)
{
	return list_entry(n, struct item, link)->number;
}

/* The list holds just these items, read forwards and backwards. */
static void expect(const int *numbers, size_t ct)
{
	cr_assert_eq(l.ct, ct);
	cr_assert_eq(list_empty(&l), ct == 0);
	struct list_node *n = l.head.next;
	for (size_t i = 0; i < ct; i++, n = n->next) {
		cr_assert_eq(number_of(n), numbers[i], "place %zu", i);
	}
	cr_assert_eq(n, &l.head);
	n = l.head.prev;
	for (size_t i = ct; i > 0; i--, n = n->prev) {
		cr_assert_eq(number_of(n), numbers[i - 1], "place %zu", i - 1);
	}
	cr_assert_eq(n, &l.head);
}

#define EXPECT(...)                                                                    \
	expect((const int[]){__VA_ARGS__},                                             \
		sizeof(const int[]){__VA_ARGS__} / sizeof(int))

Test(list, is_empty_at_first, .timeout = 10)
{
	expect(NULL, 0);
	cr_assert_null(list_first(&l));
	cr_assert_null(list_pop_front(&l));
	cr_assert_eq(l.ct, 0);
}

Test(list, holds_one, .timeout = 10)
{
	list_push_back(&l, &items[5].link);
	EXPECT(5);
	cr_assert_eq(list_first(&l), &items[5].link);
	cr_assert_eq(list_pop_front(&l), &items[5].link);
	expect(NULL, 0);
}

Test(list, keeps_the_order_of_pushes_at_the_back, .timeout = 10)
{
	list_push_back(&l, &items[0].link);
	list_push_back(&l, &items[1].link);
	list_push_back(&l, &items[2].link);
	EXPECT(0, 1, 2);
}

Test(list, turns_round_the_order_of_pushes_at_the_front, .timeout = 10)
{
	list_push_front(&l, &items[0].link);
	list_push_front(&l, &items[1].link);
	list_push_front(&l, &items[2].link);
	EXPECT(2, 1, 0);
}

Test(list, inserts_before_a_node, .timeout = 10)
{
	list_push_back(&l, &items[0].link);
	list_push_back(&l, &items[1].link);
	list_push_before(&l, &items[1].link, &items[2].link);
	list_push_before(&l, &items[0].link, &items[3].link);
	list_push_before(&l, &l.head, &items[4].link);
	EXPECT(3, 0, 2, 1, 4);
}

Test(list, removes_first_middle_and_last, .timeout = 10)
{
	for (int i = 0; i < 5; i++) {
		list_push_back(&l, &items[i].link);
	}
	list_remove(&l, &items[2].link);
	EXPECT(0, 1, 3, 4);
	list_remove(&l, &items[0].link);
	EXPECT(1, 3, 4);
	list_remove(&l, &items[4].link);
	EXPECT(1, 3);
}

Test(list, gives_removed_nodes_back_clean, .timeout = 10)
{
	struct list other;
	list_init(&other);
	list_push_back(&l, &items[0].link);
	list_push_back(&l, &items[1].link);
	list_remove(&l, &items[0].link);
	cr_assert_null(items[0].link.prev);
	cr_assert_null(items[0].link.next);
	list_push_back(&other, &items[0].link);
	cr_assert_eq(other.ct, 1);
	EXPECT(1);
}

/* The same list as an array of numbers. */
struct model {
	int numbers[ITEM_CT];
	size_t ct;
};

static void model_insert(struct model *m, size_t at, int number)
{
	memmove(m->numbers + at + 1, m->numbers + at,
		(m->ct - at) * sizeof *m->numbers);
	m->numbers[at] = number;
	m->ct++;
}

static void model_remove(struct model *m, size_t at)
{
	m->ct--;
	memmove(m->numbers + at, m->numbers + at + 1,
		(m->ct - at) * sizeof *m->numbers);
}

static void put_in(struct model *m, struct item *item, uint64_t *seed)
{
	size_t at = dice_below(seed, m->ct + 1);
	if (at == 0) {
		list_push_front(&l, &item->link);
	} else if (at == m->ct) {
		list_push_back(&l, &item->link);
	} else {
		list_push_before(&l, &items[m->numbers[at]].link, &item->link);
	}
	model_insert(m, at, item->number);
}

static void take_out(struct model *m, struct item *item)
{
	for (size_t at = 0; at < m->ct; at++) {
		if (m->numbers[at] == item->number) {
			list_remove(&l, &item->link);
			model_remove(m, at);
		}
	}
}

Test(list, does_what_an_array_does, .timeout = 30)
{
	struct model m = {.ct = 0};
	uint64_t seed = 1;
	for (int i = 0; i < 5000; i++) {
		struct item *item = &items[dice_below(&seed, ITEM_CT)];
		if (item->link.next) {
			take_out(&m, item);
		} else {
			put_in(&m, item, &seed);
		}
		expect(m.numbers, m.ct);
	}
}
