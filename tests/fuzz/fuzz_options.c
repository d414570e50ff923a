/* SPDX-License-Identifier: MIT
 *
 * fuzz_options - the command line and the environment as a whole, up to the settings.
 * Words are split at LF; those before an empty one are variables of the environment.
 * Slashes are taken out, so that no file of the machine is read.
 */
#include "master/cli/options.h"
#include "tests/fuzz/fuzz.h"

enum { WORDS_MAX = 64 };

static void check(const struct options *o)
{
	const struct settings *s = &o->settings;
	FUZZ_CHECK(s->input_ct > 0 && s->inputs[0]);
	FUZZ_CHECK(!(s->csv && s->tsv));
	FUZZ_CHECK(s->rate >= 0 && s->host_rate >= 0);
	FUZZ_CHECK(s->header_ct <= OPTIONS_HEADERS_MAX);
	FUZZ_CHECK(s->resolve_ct <= OPTIONS_RESOLVE_MAX);
	FUZZ_CHECK(s->data_len <= OPTIONS_DATA_MAX);
}

static char *next_word(char **at)
{
	char *word = *at, *end = strchr(word, '\n');
	*at = end ? end + 1 : word + strlen(word);
	if (end) {
		*end = '\0';
	}
	return word;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "poolmap", *argv[WORDS_MAX + 2] = {name};
	int argc = 1;
	struct options options;
	char *text = fuzz_text(data, size), *at = text;
	for (char *c = text; *c; c++) {
		*c = (char)(*c == '/' || *c == '@' ? '.' : *c);
	}
	clearenv();
	while (*at && *at != '\n') {
		char *word = next_word(&at), *equals = strchr(word, '=');
		if (equals && equals > word) {
			*equals = '\0';
			setenv(word, equals + 1, 1);
		}
	}
	at += *at == '\n' ? 1 : 0;
	while (*at && argc <= WORDS_MAX) {
		argv[argc++] = next_word(&at);
	}
	if (options_load(&options, argc, argv) == 0) {
		if (options.command == COMMAND_RUN) {
			check(&options);
		}
		options_fini(&options);
	}
	clearenv();
	free(text);
	return 0;
}
