/* SPDX-License-Identifier: MIT
 *
 * target - which file the results go to: what may be opened and how, and the
 * lock that keeps a second run out.
 *
 * Owns the descriptor.  Runs in the master of the command; called by output,
 * which does the writing and describes the rules (output_open()).
 * Must never: empty or remove a file that this run may not have.
 */
#ifndef MASTER_CLI_TARGET_H
#define MASTER_CLI_TARGET_H

#include <stdbool.h>

#include "common/cli/settings.h"
#include "master/cli/input.h"

enum target_kind {
	TARGET_FILE,   /* regular */
	TARGET_PACED,  /* pipe, terminal: its reader may be slow */
	TARGET_SOCKET, /* likewise */
	TARGET_DEVICE, /* /dev/null, /dev/full, disks: just written */
};

struct target {
	const char *path;
	const char *name; /* for messages */
	int fd;
	enum target_kind kind;
	bool is_stdout;
	bool created; /* by this run */
	bool locked;
	bool has_name;   /* when it was opened; some file systems never say so */
	bool name_dirty; /* created, and its directory was not synced since */
	bool can_resume; /* open for reading, to be scanned */
	bool has_old;    /* what --force is to overwrite is still in it */
};

/* As output_open() says.  Always fills *t; on error too it is to be closed. */
int target_open(struct target *t, const struct settings *want, const struct input *in);

/* Take out what --force overwrites.  Returns as target_open(). */
int target_empty(struct target *t);

/* Has somebody deleted the file since?  Standard output is the caller's
 * affair: it may well be a file that never had a name. */
bool target_deleted(const struct target *t);

/* The name of a new file is durable only when its directory is.  Not every
 * directory can be opened or synced, and that is no reason to stop. */
void target_sync_name(struct target *t);

/* Remove the file if this run has created it and nothing is in it. */
void target_remove(struct target *t);

/* Close it, which gives the lock up.  Standard output stays open. */
void target_close(struct target *t);

#endif
