/* SPDX-License-Identifier: MIT
 *
 * Tests of common/name_hash.
 */
#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/name_hash.h"

/* Appendix A of the paper, and lengths around a word, from the reference code's
 * table: key 00 01 ... 0f, input 00 01 02 ... */
Test(name_hash, is_siphash, .timeout = 60)
{
	static const uint64_t key[2] = {
		UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	unsigned char bytes[16];
	for (unsigned i = 0; i < sizeof bytes; i++) {
		bytes[i] = (unsigned char)i;
	}
	cr_assert_eq(name_siphash(key, bytes, 0), UINT64_C(0x726fdb47dd0e0e31));
	cr_assert_eq(name_siphash(key, bytes, 1), UINT64_C(0x74f839c593dc67fd));
	cr_assert_eq(name_siphash(key, bytes, 8), UINT64_C(0x93f5f5799a932462));
	cr_assert_eq(name_siphash(key, bytes, 15), UINT64_C(0xa129ca6149be45e5));
}

Test(name_hash, is_the_same_for_the_same_name, .timeout = 60)
{
	cr_assert_eq(name_hash("http://a", 8), name_hash("http://ab", 8));
	cr_assert_neq(name_hash("http://a", 8), name_hash("http://b", 8));
}

/* The key is chosen at the first call, so that of a child which makes its own is
 * another one. */
Test(name_hash, is_another_one_in_each_process, .timeout = 60)
{
	int ends[2];
	uint64_t theirs = 0;
	int status;
	cr_assert_eq(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		uint64_t mine = name_hash("http://a", 8);
		_exit(write(ends[1], &mine, sizeof mine) != sizeof mine);
	}
	cr_assert_eq(read(ends[0], &theirs, sizeof theirs), (ssize_t)sizeof theirs);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_neq(name_hash("http://a", 8), theirs);
	close(ends[0]);
	close(ends[1]);
}
