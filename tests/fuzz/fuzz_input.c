/* SPDX-License-Identifier: MIT
 *
 * fuzz_input - a whole job file in each of its forms, which the first byte says: lines,
 * CSV, TSV; compressed when it begins so.  Read twice, it must be the same.
 */
#include "master/cli/input.h"
#include "tests/fuzz/fuzz.h"

struct seen {
	enum input_step end;
	uint64_t ct, sum;
};

static void read_all(struct seen *seen, struct input *in)
{
	const char *line;
	size_t len;
	bool bad;
	*seen = (struct seen){0};
	while ((seen->end = input_next(in, &line, &len, &bad)) == INPUT_LINE &&
		seen->ct < 100000) {
		FUZZ_CHECK(len <= JOB_LINE_MAX);
		FUZZ_CHECK(bad || len > 0);
		FUZZ_CHECK(input_index(in) == seen->ct);
		FUZZ_CHECK(input_line_number(in) > 0);
		seen->ct++;
		for (size_t i = 0; i < len; i++) {
			seen->sum = seen->sum * 31 + (uint8_t)line[i];
		}
	}
	FUZZ_CHECK(seen->end != INPUT_WAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[FUZZ_PATH_MAX];
	const char *path = name;
	struct input *in;
	struct seen first, again;
	int code = 0;
	if (!size) {
		return 0;
	}
	(void)fuzz_file(name, data + 1, size - 1);
	if (input_open(&in, &path, 1)) {
		return 0;
	}
	if (data[0] & 3) {
		code = input_as_table(in, data[0] & 1 ? ',' : '\t', data[0] & 1,
			data[0] & 4 ? "1" : "url");
	}
	if (!code) {
		read_all(&first, in);
		if (first.end == INPUT_END && input_rewind(in) == 0) {
			read_all(&again, in);
			FUZZ_CHECK(again.end == INPUT_END && again.ct == first.ct);
			FUZZ_CHECK(again.sum == first.sum);
		}
	}
	input_close(in);
	return 0;
}
