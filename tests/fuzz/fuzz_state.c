/* SPDX-License-Identifier: MIT
 *
 * fuzz_state - the state of a run, as a file may hold it that anybody has edited.
 */
#include "master/cli/state_text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state_files files;
	char *text = fuzz_text(data, size);
	const char *why = state_text_read(&files, text, size);
	FUZZ_CHECK(why ? files.ct == 0 && !files.all : files.ct > 0);
	for (size_t i = 0; i < files.ct; i++) {
		FUZZ_CHECK(files.all[i].path);
		FUZZ_CHECK(strlen(files.all[i].sha256) == DIGEST_HEX_LEN);
		FUZZ_CHECK(files.all[i].bytes <= INT64_MAX);
	}
	(void)state_text_is_one(text, size);
	state_text_fini(&files);
	free(text);
	return 0;
}
