/* SPDX-License-Identifier: MIT
 *
 * again - the command that goes on with a run; see again.h.
 */
#include "master/cli/again.h"

#include <stdbool.h>
#include <string.h>

#include "master/cli/shell_word.h"

/* getopt_long() takes every beginning of a name that is no other's. */
static bool is_option(const char *arg, const char *name, size_t least)
{
	size_t len = strlen(arg);
	return len >= least && strncmp(arg, name, len) == 0;
}

static bool is_force_or_resume(const char *arg)
{
	return is_option(arg, "--force", strlen("--fo")) ||
	       is_option(arg, "--resume", strlen("--res"));
}

const char *again_command(struct buf *out, int argc, char **argv)
{
	bool options_ended = false;
	int err = 0;
	for (int i = 0; i < argc && !err; i++) {
		if (!options_ended && is_force_or_resume(argv[i])) {
			continue;
		}
		if (i > 0) {
			err = buf_put(out, " ", 1);
		}
		if (!err) {
			err = shell_word(out, argv[i]);
		}
		if (!err && i == 1) {
			err = buf_puts(out, " --resume"); /* behind the word `run` */
		}
		options_ended |= strcmp(argv[i], "--") == 0;
	}
	return err ? NULL : buf_text(out);
}
