/* SPDX-License-Identifier: MIT
 *
 * fuzz_results - a results file that is read again: as it is, packed, and as CSV.  The
 * first byte says which.  What counts as complete must end within the file, and reading
 * just that must find the same lines.
 */
#include "master/cli/message.h"
#include "master/cli/scan.h"
#include "tests/fuzz/fuzz.h"

struct found {
	int code;
	uint64_t lines, indexes, good_end, torn;
};

static void read_all(struct found *found, const struct scan_file *file)
{
	struct scan scan;
	struct scan_entry entry;
	*found = (struct found){0};
	found->code = scan_init(&scan, file);
	if (found->code) {
		return;
	}
	while (!(found->code = scan_next(&scan, &entry)) && entry.prefix) {
		FUZZ_CHECK(entry.index < SCAN_INDEX_MAX);
		FUZZ_CHECK(entry.ok >= -1 && entry.ok <= 1);
		FUZZ_CHECK(!memchr(entry.prefix, '\n', entry.prefix_len) || file->csv);
		found->lines++;
		found->indexes = found->indexes * 31 + entry.index;
	}
	if (!found->code) {
		scan_end(&scan, &found->good_end, &found->torn);
	}
	scan_fini(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[FUZZ_PATH_MAX];
	struct csv *csv = NULL;
	struct found first, again;
	if (!size) {
		return 0;
	}
	FUZZ_CHECK(!(data[0] & 1) || csv_open(&csv, "index,id,url,ok") == 0);
	struct scan_file file = {.fd = fuzz_file(path, data + 1, size - 1),
		.name = "results",
		.csv = csv,
		.packed = data[0] & 2};
	read_all(&first, &file);
	if (!first.code) {
		FUZZ_CHECK(first.good_end + first.torn == size - 1);
		(void)fuzz_file(path, data + 1, first.good_end);
		read_all(&again, &file);
		FUZZ_CHECK(!again.code && !again.torn);
		FUZZ_CHECK(again.good_end == first.good_end);
		FUZZ_CHECK(again.lines == first.lines);
		FUZZ_CHECK(again.indexes == first.indexes);
	}
	csv_close(csv);
	return 0;
}
