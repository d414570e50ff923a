/* SPDX-License-Identifier: MIT
 *
 * engine_habit - will the connection to a host be wanted again?
 *
 * Runs in: the worker.  Called by engine_curl.c for each request.  A guess: when nearly
 * all of the last hosts were new ones, the next new one will hardly come back, and
 * keeping its connection costs more than it brings.  Plain data.
 */
#ifndef WORKER_ENGINE_HABIT_H
#define WORKER_ENGINE_HABIT_H

#include <stdbool.h>
#include <stdint.h>

enum { HABIT_HOSTS = 1024 }; /* remembered */

struct habit {
	uint32_t seen[HABIT_HOSTS]; /* hashes of hosts */
	unsigned strange;           /* share of new ones of late, see engine_habit.c */
};

/* A request to the host; false: its connection need not be kept. */
bool habit_wants(struct habit *h, uint32_t host_hash);

#endif
