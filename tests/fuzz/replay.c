/* SPDX-License-Identifier: MIT
 *
 * replay - a fuzz target on files instead of on bytes that are made up.
 *
 *   build/release/tests/fuzz/fuzz_x FILE...
 *
 * Linked to every target but those that libFuzzer drives.  Ends with 0 when all files
 * went well, and a target ends it otherwise.  Without a file it fails: a test that
 * tests nothing is none.
 */
#include "tests/fuzz/fuzz.h"

static void run(const char *path)
{
	FILE *f = fopen(path, "rb");
	FUZZ_CHECK(f && fseek(f, 0, SEEK_END) == 0);
	long size = ftell(f);
	FUZZ_CHECK(size >= 0);
	rewind(f);
	/* of exact size, so that a sanitizer sees a byte too much */
	uint8_t *bytes = malloc(size ? (size_t)size : 1);
	FUZZ_CHECK(bytes && fread(bytes, 1, (size_t)size, f) == (size_t)size);
	fclose(f);
	fprintf(stderr, "%s\n", path);
	(void)LLVMFuzzerTestOneInput(bytes, (size_t)size);
	free(bytes);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		run(argv[i]);
	}
	return argc > 1 ? 0 : 1;
}
