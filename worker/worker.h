/* SPDX-License-Identifier: MIT
 *
 * worker - the private header of the worker process, in reading order.
 *
 *   lifeline <-> link.c        jobs ~~> intake.c -> runner.c -> task
 *                              results <~~ results.c <----------+
 *
 * A process is one worker: each module has one static state.  Loop callbacks
 * change a little and return; worker.c runs the turn after them: resume what is
 * ready, start what is queued, send what is done.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <event2/event.h>
#include <stdbool.h>

#include "common/boot.h"
#include "worker/runner.h"

/* -------------------------------------------------------------- worker.c */

/* End this process now, orderly or not. */
_Noreturn void worker_exit(int code);

/* ---------------------------------------------------------------- link.c
 * The lifeline: says HELLO, beats, obeys CANCEL and DRAIN, asks leave by BYE. */

void link_open(struct event_base *base, const struct boot *boot, int lifeline);
void link_close(void);
void link_hello(void);
/* Carry out what was told and could not be at once. */
void link_turn(void);
bool link_drained(void); /* DRAIN has come, and every job frame before it */
/* The last result frame is sent: ask for leave.  Once. */
void link_bye(uint64_t last_sequence);

/* -------------------------------------------------------------- intake.c
 * Job frames -> runner. */

void intake_open(struct event_base *base, const struct boot *boot);
void intake_close(void);
uint64_t intake_sequence(void); /* of the last frame */

/* ------------------------------------------------------------- results.c
 * Ended tasks -> result frames. */

enum {
	RESULTS_GAP_US = 2000,         /* between two frames, for company */
	RESULTS_WAITING_MAX = 4 << 20, /* bytes; above it no task is started */
};

void results_open(struct event_base *base, const struct boot *boot);
void results_close(void);

/* A task has ended: batch its result. */
void results_add(struct pm_task *task);

/* End of the turn: send at once when nothing else is under way, or no frame went
 * within RESULTS_GAP_US; else leave the frame open until then. */
void results_flush(bool at_once);

bool results_blocked(void); /* too much waits for the wire */
bool results_all_sent(void);
uint64_t results_sequence(void); /* of the last frame */

#endif
