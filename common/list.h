/* SPDX-License-Identifier: MIT
 *
 * list - a doubly linked, intrusive list.  The node lives in the element; an
 * element is in at most one list per node.  Runs in: every process.
 */
#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
	struct list_node *prev, *next;
};

struct list {
	struct list_node head;
	size_t ct;
};

#define list_entry(node, type, member)                                                 \
	((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->head.prev = l->head.next = &l->head;
	l->ct = 0;
}

static inline bool list_empty(const struct list *l)
{
	return l->ct == 0;
}

static inline void list_push_before(
	struct list *l, struct list_node *at, struct list_node *n)
{
	n->prev = at->prev;
	n->next = at;
	at->prev->next = n;
	at->prev = n;
	l->ct++;
}

static inline void list_push_back(struct list *l, struct list_node *n)
{
	list_push_before(l, &l->head, n);
}

static inline void list_push_front(struct list *l, struct list_node *n)
{
	list_push_before(l, l->head.next, n);
}

static inline void list_remove(struct list *l, struct list_node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->prev = n->next = NULL;
	l->ct--;
}

/* First node, or NULL. */
static inline struct list_node *list_first(const struct list *l)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed was taken out */
	return l->ct ? l->head.next : NULL;
}

static inline struct list_node *list_pop_front(struct list *l)
{
	struct list_node *n = list_first(l);
	if (n) {
		l->head.next = n->next;
		n->next->prev = &l->head;
		n->prev = n->next = NULL;
		l->ct--;
	}
	return n;
}

#endif
