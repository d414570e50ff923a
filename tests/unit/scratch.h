/* SPDX-License-Identifier: MIT
 *
 * scratch - a fresh directory with a short path, for tests of socket files.
 *
 * One per test process, removed when that ends, also when the test fails.
 * Paths of sockets are limited to 107 bytes, so it lies in /tmp whatever $TMPDIR
 * says.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch[64];

static void scratch_make(void)
{
	snprintf(scratch, sizeof scratch, "/tmp/poolmap-test-XXXXXX");
	cr_assert_not_null(mkdtemp(scratch), "%s", scratch);
}

static int scratch_remove_one(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

__attribute__((destructor)) static void scratch_clear(void)
{
	if (scratch[0]) {
		(void)nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
}

#endif
