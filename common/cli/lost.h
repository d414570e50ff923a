/* SPDX-License-Identifier: MIT
 *
 * lost - the result line of a job that no worker finished.
 *
 * Runs in: the master of the command; called by the sink for every result whose
 * error is not 0: its worker died once too often, the run was cancelled, memory
 * ran out.  Pure.
 */
#ifndef COMMON_CLI_LOST_H
#define COMMON_CLI_LOST_H

#include <stddef.h>

#include "common/buf.h"
#include "common/cli/outcome.h"
#include "common/poolmap.h"

/* Append the line, with its LF, for the failed result of the job whose argument
 * is `arg` (see outcome.h).  Sets *class.  Returns 0, PM_ENOMEM, or
 * PM_EINTERNAL for an argument that is none; then nothing is appended. */
int lost_render(struct buf *out, const void *arg, size_t len,
	const struct pm_result *result, enum outcome_class *class);

#endif
