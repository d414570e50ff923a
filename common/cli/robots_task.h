/* SPDX-License-Identifier: MIT
 *
 * robots_task - the task that fetches a robots.txt for --polite.
 *
 * Runs in: the workers; the code is in worker/cli/robots_task.c.  Declared here
 * because the master has to name it.
 */
#ifndef COMMON_CLI_ROBOTS_TASK_H
#define COMMON_CLI_ROBOTS_TASK_H

#include <stdint.h>

#include "common/poolmap.h"

/* What a broken connection or a status of 5xx kept from coming is fetched once more, a
 * second later.  The argument is the URL.  The result is the struct and the body, of
 * which no more than ROBOTS_TEXT_MAX bytes. */
struct robots_reply {
	uint32_t status; /* 0: there was no answer that can be read */
	int32_t error;   /* with 0: the pm_error of the fetch */
};
int robots_task(pm_task *task, const void *url, size_t len);

#endif
