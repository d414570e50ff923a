/* SPDX-License-Identifier: MIT
 *
 * fiber - small stacks with guard pages, and the switch between them.
 *
 * Runs in: the worker.  Used by runner.c alone.  Mechanism only: a fiber runs
 * its entry until that switches back to the loop; who runs when is the
 * runner's business.  A stack that overflows hits its guard page, which kills
 * the worker (SIGSEGV) and nothing else.
 */
#ifndef WORKER_FIBER_H
#define WORKER_FIBER_H

#include <stddef.h>

struct fiber;

/* Called on the fresh stack; must never return. */
typedef void fiber_entry_fn(void *ctx);

/* Map a stack of at least `stack_bytes`, and a guard page below it.  NULL: no
 * memory, or too many maps. */
struct fiber *fiber_new(size_t stack_bytes, fiber_entry_fn *entry, void *ctx);

/* Unmap; not while it runs. */
void fiber_free(struct fiber *f);

/* From the loop to the fiber, until it switches back; and back. */
void fiber_enter(struct fiber *f);
void fiber_leave(struct fiber *f);

/* Is `address` in the guard page of this fiber? */
int fiber_guards(const struct fiber *f, const void *address);

/* Is it in that of the fiber that is running?  No: none is.  For signal handlers. */
int fiber_overflowed(const void *address);

#endif
