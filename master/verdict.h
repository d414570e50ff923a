/* SPDX-License-Identifier: MIT
 *
 * verdict - what becomes of a job whose worker was lost.
 *
 * Runs in: the master.  Policy only, pure.
 *
 * A job that was only in line runs again, nothing learnt.  One that may have
 * been running is a little suspect: so are all that ran beside it.  After
 * VERDICT_DEATHS such deaths it is run alone, one suspect at a time, so
 * that the next death names the culprit; after VERDICT_LONE_DEATHS deaths alone it
 * is poison and fails.  The innocent come through, however many poison jobs
 * they ran beside.
 */
#ifndef MASTER_VERDICT_H
#define MASTER_VERDICT_H

#include "master/ledger.h"

enum { VERDICT_DEATHS = 2, VERDICT_LONE_DEATHS = 2 };

enum verdict {
	VERDICT_RERUN,   /* like any other job */
	VERDICT_SUSPECT, /* alone */
	VERDICT_FAIL,    /* never again */
};

/* Count one more death and judge.  `running`: it may have been running;
 * `alone`: the worker held nothing else. */
enum verdict verdict_on_loss(struct job *job, bool running, bool alone);

#endif
