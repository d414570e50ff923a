/* SPDX-License-Identifier: MIT
 *
 * again - the command that goes on with a run; see again.h.
 */
#include "master/cli/again.h"

#include <stdbool.h>
#include <string.h>

#include "master/cli/shell_word.h"

static bool is_force_or_resume(const char *arg)
{
	return strcmp(arg, "--force") == 0 || strcmp(arg, "--resume") == 0;
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
