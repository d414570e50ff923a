/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/memory: what the kernel's line says.
 */
#include <criterion/criterion.h>

#include "master/pool.h"

Test(memory, is_what_is_resident_and_not_shared, .timeout = 10)
{
	cr_assert_eq(memory_parse("5000 300 100 1 0 200 0\n", 4096), 200 * 4096);
	cr_assert_eq(memory_parse("5000 300 300", 4096), 0);
	cr_assert_eq(memory_parse("99999999999 30000000000 10000000000 1", 4096),
		UINT64_C(20000000000) * 4096);
}

Test(memory, of_a_strange_line_is_not_known, .timeout = 10)
{
	static const char *const lines[] = {
		"", "\n", "x", "1", "1 2", "1 2 x", "5000 100 300"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		cr_assert_eq(memory_parse(lines[i], 4096), 0, "%s", lines[i]);
	}
}
