/* SPDX-License-Identifier: MIT
 *
 * verdict - what becomes of a job whose worker was lost; see verdict.h.
 */
#include "master/verdict.h"

static void count(struct job *job, const struct verdict_evidence *e)
{
	if (e->blamed) {
		job->blamed++;
	} else if (!e->other) {
		job->deaths++;
		job->lone_deaths += e->alone ? 1 : 0;
	}
}

enum verdict verdict_on_loss(struct job *job, const struct verdict_evidence *e)
{
	if (e->begun || e->next) {
		count(job, e);
	}
	if ((e->begun && job->once) || job->blamed >= VERDICT_BLAMED ||
		job->lone_deaths >= VERDICT_LONE_DEATHS) {
		return VERDICT_FAIL;
	}
	return job->deaths >= VERDICT_DEATHS ? VERDICT_SUSPECT : VERDICT_RERUN;
}
