/* SPDX-License-Identifier: MIT
 *
 * fetch_body - where the body of a fetch goes, as --body says.
 *
 * Runs in: the workers of the command; called by fetch_task.c.  Joins the task API
 * with the modules that write files, which know nothing of it.
 */
#ifndef WORKER_CLI_FETCH_BODY_H
#define WORKER_CLI_FETCH_BODY_H

#include "common/cli/line.h"
#include "common/poolmap.h"
#include "worker/cli/body_dir.h"
#include "worker/cli/warc_fetch.h"

/* Zeroed: not begun. */
struct fetch_body {
	enum body_mode mode;
	bool begun;
	struct body_file file;  /* BODY_DIR */
	struct warc_fetch warc; /* BODY_WARC */
	struct warc_kept kept;  /* what of it the line tells; and path, for both */
	int disk_error;         /* errno; 0: none */
};

/* Prepare, and make the request hand its bytes over.  Must stay where it is until
 * the fetch has ended.  Errors: of the job. */
int fetch_body_begin(struct fetch_body *b, pm_task *task, struct pm_request *request);

/* The fetch has ended with `fetch_error`, and facts->class is known: write what is to
 * be kept, and tell facts where it is.  May wait.  Errors: of the job; a full disk is
 * FETCH_FAIL_DISK, see outcome.h. */
int fetch_body_end(struct fetch_body *b, pm_task *task,
	const struct pm_request *request, int fetch_error, struct line_facts *facts);

void fetch_body_fini(struct fetch_body *b);

#endif
