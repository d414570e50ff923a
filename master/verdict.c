/* SPDX-License-Identifier: MIT
 *
 * verdict - what becomes of a job whose worker was lost; see verdict.h.
 */
#include "master/verdict.h"

enum verdict verdict_on_loss(struct job *job, bool running, bool alone)
{
	if (!running) {
		return job->deaths >= VERDICT_DEATHS ? VERDICT_SUSPECT : VERDICT_RERUN;
	}
	job->deaths++;
	job->lone_deaths += alone ? 1 : 0;
	if (job->once || job->lone_deaths >= VERDICT_LONE_DEATHS) {
		return VERDICT_FAIL;
	}
	return job->deaths >= VERDICT_DEATHS ? VERDICT_SUSPECT : VERDICT_RERUN;
}
