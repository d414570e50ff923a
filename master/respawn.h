/* SPDX-License-Identifier: MIT
 *
 * respawn - when a dead worker is replaced, and when the pool gives up.
 *
 * Runs in: the master.  Policy only, pure; slot.c does what it says.
 *
 * A worker that was ready is replaced at once, however it died: its jobs are
 * what is bounded (verdict.c).  One that never became ready is replaced with a
 * delay that doubles; a pool in which no worker is ready after
 * RESPAWN_TRIES starts in a row has failed.
 */
#ifndef MASTER_RESPAWN_H
#define MASTER_RESPAWN_H

#include <stdbool.h>

enum { RESPAWN_TRIES = 5, RESPAWN_FIRST_MS = 100, RESPAWN_MAX_MS = 5000 };

/* `failed_starts`: starts in a row that failed, this one included; 0: the
 * worker had been ready. */
unsigned respawn_delay_ms(unsigned failed_starts);
bool respawn_gives_up(unsigned failed_starts, unsigned workers_ready);

#endif
