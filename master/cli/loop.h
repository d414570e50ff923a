/* SPDX-License-Identifier: MIT
 *
 * loop - the event base of the command.
 *
 * Runs in: the master.  Used by run, and by those that have events of their own.
 */
#ifndef MASTER_CLI_LOOP_H
#define MASTER_CLI_LOOP_H

struct event;
struct event_base;

/* 0, or an exit code, and the cause was printed.  Ends the process when libevent does:
 * nothing may be open that somebody has to close. */
int loop_open(struct event_base **base);

/* Free the event, if there is one, and forget it. */
void loop_drop(struct event **event);

#endif
