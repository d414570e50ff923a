/* SPDX-License-Identifier: MIT
 *
 * state_text - which job files a run has, as one line of JSON:
 *     {"poolmap_state":1,"job_files":[{"path":"urls.txt","bytes":9,"hashed":9,"sha256":"..."}]}
 *
 * Runs in the master of the command; called by state.  Pure.
 */
#ifndef MASTER_CLI_STATE_TEXT_H
#define MASTER_CLI_STATE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cli/digest.h"
#include "master/cli/input.h"

enum { STATE_VERSION = 1 };

struct state_file {
	char *path; /* as it was given */
	uint64_t bytes;
	uint64_t hashed; /* of these, the first */
	char sha256[DIGEST_HEX_LEN + 1];
};

struct state_files {
	struct state_file *all;
	size_t ct;
};

/* Append the line for the job files, after input_pin().  Returns 0 or PM_ENOMEM. */
int state_text_put(struct buf *out, const struct input *in);

/* Read such a line.  Returns NULL, or what is wrong with it, for people. */
const char *state_text_read(struct state_files *files, const char *text, size_t len);
void state_text_fini(struct state_files *files);

/* Does it begin like such a line, so that it is one, damaged or not? */
bool state_text_is_one(const char *text, size_t len);

#endif
