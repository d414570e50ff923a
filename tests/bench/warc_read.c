/* SPDX-License-Identifier: MIT
 *
 * warc_read - check WARC files with the strict reader of the tests, and print the
 * URL of each response.
 *
 *   warc_read FILE...
 *
 * Exits with 1 at the first file that is torn or wrong, and says where.  A file is held
 * in memory as a whole.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/warc_check.h"

static bool print_urls(const struct warc_list *list)
{
	for (size_t i = 0; i < list->ct; i++) {
		const char *type = warc_value(&list->recs[i], "WARC-Type");
		if (type && strcmp(type, "response") == 0) {
			puts(warc_value(&list->recs[i], "WARC-Target-URI"));
		}
	}
	return !ferror(stdout);
}

static bool read_one(const char *path)
{
	struct warc_list list;
	const char *wrong = warc_load(&list, path);
	bool well = !wrong && !list.torn && print_urls(&list);
	if (!well) {
		fprintf(stderr, "warc_read: %s: %s\n", path,
			wrong       ? wrong
			: list.torn ? "ends inside a member"
				    : "its URLs cannot be written");
	}
	warc_list_fini(&list);
	return well;
}

int main(int argc, char **argv)
{
	bool well = true;
	for (int i = 1; well && i < argc; i++) {
		well = read_one(argv[i]);
	}
	return well && fflush(stdout) == 0 ? 0 : 1;
}
