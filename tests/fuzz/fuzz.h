/* SPDX-License-Identifier: MIT
 *
 * fuzz - what the fuzz targets share.
 *
 * A target is one function of bytes.  With clang, libFuzzer calls it with bytes that it
 * makes up (`make fuzz`); in every other build replay.c calls it with the files of
 * tests/fuzz/corpus (`make test`, `make asan`).  So a target must never depend on what
 * an earlier call left, nor read a file of the machine.
 *
 * A target checks more than that nothing crashes: what must be true of every input
 * stands in FUZZ_CHECK().
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The name and type are libFuzzer's.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                          \
	((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

static inline void fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

/* The bytes as a text with a NUL, to be freed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* The part in front of the first byte `at`, which is taken off; all, when there is
 * none. */
static inline size_t fuzz_part(const uint8_t **data, size_t *size, uint8_t at)
{
	const uint8_t *end = *size ? memchr(*data, at, *size) : NULL;
	size_t len = end ? (size_t)(end - *data) : *size;
	*data += end ? len + 1 : len;
	*size -= end ? len + 1 : len;
	return len;
}

/* A file that has these bytes.  The descriptor is that of the one file there is, which
 * stays open; the path leads to it. */
enum { FUZZ_PATH_MAX = 32 };
static inline int fuzz_file(char path[FUZZ_PATH_MAX], const uint8_t *data, size_t size)
{
	static int fd = -1;
	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	}
	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
	snprintf(path, FUZZ_PATH_MAX, "/proc/self/fd/%d", fd);
	return fd;
}

#endif
