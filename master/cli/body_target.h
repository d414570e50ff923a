/* SPDX-License-Identifier: MIT
 *
 * body_target - can the files of --body dir:DIR or warc:PREFIX be made at all?
 *
 * Runs in: the master of the command, called by run before anything is created; the
 * workers make the files, and that one of them cannot is still found then.  So this
 * is for wrong names, which are to be found before the first request.
 * Must never: create or change anything.
 */
#ifndef MASTER_CLI_BODY_TARGET_H
#define MASTER_CLI_BODY_TARGET_H

#include "common/cli/settings.h"

/* Returns 0; or, printed, EXIT_USAGE when there is no such directory, or no
 * permission; EXIT_OUTPUT when the machine cannot say. */
int body_target_check(const struct settings *want);

#endif
