/* SPDX-License-Identifier: MIT
 *
 * again - the command that goes on with a run; see again.h.
 */
#include "master/cli/again.h"

#include <stdbool.h>
#include <string.h>

#include "common/poolmap.h"
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

/* -------------------------------------------------------------------- retrying */

/* How many words an option that is left out takes; 0: it stays. */
static int words_left_out(const char *arg)
{
	static const char *const names[] = {"--output", "--failed", "--retry-failed"};
	if (is_force_or_resume(arg)) {
		return 1;
	}
	if (strncmp(arg, "-o", 2) == 0) {
		return arg[2] ? 1 : 2;
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t len = strlen(names[i]);
		if (strncmp(arg, names[i], len) == 0 &&
			(!arg[len] || arg[len] == '=')) {
			return arg[len] ? 1 : 2;
		}
	}
	return 0;
}

/* -qo FILE.  Not -H, -X, -d and the like, whose value may have any letter. */
static bool hides_output(const char *arg)
{
	size_t flags = strspn(arg + (arg[0] == '-'), "qk");
	return arg[0] == '-' && flags && arg[1 + flags] == 'o';
}

/* retry.jsonl for results.jsonl, retry.csv.gz for all.csv.gz. */
static int put_output(struct buf *out, const char *results)
{
	struct buf name = {0};
	const char *slash = strrchr(results, '/');
	const char *file = slash ? slash + 1 : results;
	const char *dot = strchr(file, '.');
	bool taken = strncmp(file, "retry.", 6) == 0;
	int err =
		buf_printf(&name, "retry%s%s", taken ? "-2" : "", dot ? dot : ".jsonl");
	const char *text = err ? NULL : buf_text(&name);
	err = text ? shell_word(out, text) : PM_ENOMEM;
	buf_fini(&name);
	return err;
}

static int put_retry(struct buf *out, const char *results)
{
	int err = buf_puts(out, " --retry-failed ");
	err = err ? err : shell_word(out, results);
	err = err ? err : buf_puts(out, " -o ");
	return err ? err : put_output(out, results);
}

const char *again_retry(struct buf *out, int argc, char **argv, const char *results)
{
	bool options_ended = false;
	int err = 0;
	for (int i = 0; i < argc && !err; i++) {
		int left_out = options_ended ? 0 : words_left_out(argv[i]);
		if (left_out) {
			i += left_out - 1;
			continue;
		}
		if (!options_ended && hides_output(argv[i])) {
			return NULL;
		}
		err = i > 0 ? buf_put(out, " ", 1) : 0;
		err = err ? err : shell_word(out, argv[i]);
		if (!err && i == 1) {
			err = put_retry(out, results); /* behind the word `run` */
		}
		options_ended |= strcmp(argv[i], "--") == 0;
	}
	return err ? NULL : buf_text(out);
}
