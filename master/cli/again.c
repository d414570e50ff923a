/* SPDX-License-Identifier: MIT
 *
 * again - the command that goes on with a run; see again.h.
 */
#include "master/cli/again.h"

#include <stdbool.h>
#include <string.h>

#include "common/poolmap.h"
#include "master/cli/secret.h"
#include "master/cli/shell_word.h"

/* --------------------------------------------------------------------- secrets */

struct secret_option {
	char letter;
	const char *name;
	bool (*has_secret)(const char *value);
	const char *shown; /* instead: what the option refuses */
};

/* Of the option that the word is, if it has one; *at: where its value begins, behind
 * the word when it is the next one. */
static const struct secret_option *secret_option(const char *word, size_t *at)
{
	static const struct secret_option all[] = {
		{'H', "--header", secret_header, "<hidden>"},
		{'d', "--data", secret_data, "@<hidden>"},
		{'\0', "--proxy", secret_proxy, "<hidden>"}};
	size_t flags = word[0] == '-' ? 1 + strspn(word + 1, "qk") : 0;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const struct secret_option *s = &all[i];
		size_t len = strlen(s->name);
		if (flags && s->letter && word[flags] == s->letter) {
			*at = word[flags + 1] ? flags + 1 : flags + 2;
			return s;
		}
		if (strncmp(word, s->name, len) == 0 &&
			(!word[len] || word[len] == '=')) {
			*at = len + 1;
			return s;
		}
	}
	return NULL;
}

static int put_hidden(
	struct buf *out, const char *word, size_t len, const struct secret_option *s)
{
	struct buf text = {0};
	int err = len ? buf_put(&text, word, len) : 0;
	err = err ? err : buf_puts(&text, s->shown);
	const char *shown = err ? NULL : buf_text(&text);
	err = shown ? shell_word(out, shown) : PM_ENOMEM;
	buf_fini(&text);
	return err;
}

/* Put argv[i].  The command goes to logs, so that secrets are left out; it is refused
 * then, until they are put back. */
static int put_word(struct buf *out, char **argv, int i)
{
	size_t at = 0;
	const struct secret_option *s = secret_option(argv[i], &at);
	if (s && at <= strlen(argv[i])) {
		return s->has_secret(argv[i] + at) ? put_hidden(out, argv[i], at, s)
						   : shell_word(out, argv[i]);
	}
	s = i > 0 ? secret_option(argv[i - 1], &at) : NULL;
	if (s && at > strlen(argv[i - 1]) && s->has_secret(argv[i])) {
		return put_hidden(out, "", 0, s);
	}
	return shell_word(out, argv[i]);
}

/* -------------------------------------------------------------------- going on */

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
			err = put_word(out, argv, i);
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
		err = err ? err : put_word(out, argv, i);
		if (!err && i == 1) {
			err = put_retry(out, results); /* behind the word `run` */
		}
		options_ended |= strcmp(argv[i], "--") == 0;
	}
	return err ? NULL : buf_text(out);
}
