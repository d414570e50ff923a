/* SPDX-License-Identifier: MIT
 *
 * verdict - what becomes of a job whose worker was lost.
 *
 * Runs in: the master.  Policy only, pure.
 *
 * The black box (common/blackbox.h) tells which jobs had begun, and which one was on
 * the CPU.  A job that had not begun runs again, nothing learnt.  When one was
 * on the CPU, it is to blame and its neighbours are not.  When none was (the
 * worker died in its loop, or of memory, or by somebody's kill), all that had
 * begun are a little suspect: after VERDICT_DEATHS such deaths a job is run
 * alone, one suspect at a time, so that the next death names the culprit.
 *
 * A job is poison, and fails, after VERDICT_BLAMED deaths while it was on the CPU
 * or VERDICT_LONE_DEATHS while it was alone.  So the innocent come through, however
 * many poison jobs they ran beside.
 */
#ifndef MASTER_VERDICT_H
#define MASTER_VERDICT_H

#include "master/ledger.h"

enum { VERDICT_DEATHS = 2, VERDICT_LONE_DEATHS = 2, VERDICT_BLAMED = 3 };

enum verdict {
	VERDICT_RERUN,   /* like any other job */
	VERDICT_SUSPECT, /* alone */
	VERDICT_FAIL,    /* never again */
};

/* What is known of a death, and of a job's part in it. */
struct verdict_evidence {
	bool begun;  /* the job had begun */
	bool next;   /* none had, and it was the first in line: being taken in */
	bool blamed; /* it was on the CPU */
	bool other;  /* another one was */
	bool alone;  /* the worker held nothing else */
};

/* Count one more death and judge. */
enum verdict verdict_on_loss(struct job *job, const struct verdict_evidence *e);

#endif
