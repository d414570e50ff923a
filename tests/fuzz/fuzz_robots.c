/* SPDX-License-Identifier: MIT
 *
 * fuzz_robots - a robots.txt, and what it says of a path.  The path is the first line.
 */
#include "common/cli/robots.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *target = (const char *)data;
	size_t len = fuzz_part(&data, &size, '\n');
	struct robots *robots;
	FUZZ_CHECK(robots_parse(&robots, (const char *)data, size) == 0);
	bool allowed = robots_allows(robots, target, len);
	FUZZ_CHECK(allowed == robots_allows(robots, target, len));
	FUZZ_CHECK(robots_allows(robots, "/robots.txt", strlen("/robots.txt")));
	FUZZ_CHECK(robots_delay_ms(robots) <= ROBOTS_DELAY_MAX_MS);
	FUZZ_CHECK(robots_bytes(robots) <
		   (size_t)2 * ROBOTS_BYTES_MAX + (size_t)ROBOTS_RULES_MAX * 64);
	robots_free(robots);
	return 0;
}
