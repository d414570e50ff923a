/* SPDX-License-Identifier: MIT
 *
 * engine_response - the memory of a pm_response: what an engine makes and
 * fetch.c keeps for its task.
 *
 * Runs in: the worker.  Made by the engine, owned by whoever got it from the
 * engine's callback.  Knows neither libcurl nor tasks, so that another engine
 * makes the same thing.
 */
#ifndef WORKER_ENGINE_RESPONSE_H
#define WORKER_ENGINE_RESPONSE_H

#include "common/poolmap.h"

struct response {
	struct pm_response pm; /* what the task sees */

	/* for fetch.c: the task that owns it, and its neighbours there */
	struct pm_task *owner;
	struct response *prev, *next;
	bool given; /* the task has the pointer and has not freed it */

	void *body_memory; /* a body with memory of its own, or NULL */
	char *text;        /* where response_text() puts the next string */
	_Alignas(max_align_t) char store[];
};

/* The block around a response. */
static inline struct response *response_of(struct pm_response *pm)
{
	return (struct response *)(void *)pm; /* pm is its first member */
}

/* A response whose strings are all "", with room for `header_max` headers and
 * `text_max` bytes of strings, NULs included.  NULL: no memory. */
struct response *response_new(size_t header_max, size_t text_max);

/* Store a string in the room that response_new() made. */
const char *response_text(struct response *r, const char *bytes, size_t len);

/* Free the body only; it is empty then. */
void response_drop_body(struct response *r);

void response_free(struct response *r);

#endif
