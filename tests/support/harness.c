/* SPDX-License-Identifier: MIT
 *
 * harness - memory, paths and files of the tests.
 *
 * Runs in: the test process.  Owns the strings that tests were given and the
 * temporary directories; both end with the process, also when the test fails.
 * It removes nothing but directories that it has made itself.
 */
#include "tests/support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "common/clock.h"

void (*harness_on_failure)(const char *message);

_Noreturn void harness_fail(const char *fmt, ...)
{
	char text[4096];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (harness_on_failure) {
		harness_on_failure(text);
	}
	cr_assert_fail("%s", text);
	abort(); /* not reached: a failed assert leaves the test */
}

int ms_until(uint64_t deadline)
{
	uint64_t now = clock_now_ms();
	if (now >= deadline) {
		return 0;
	}
	return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

/* ------------------------------------------------------------------ memory */

void bytes_add(struct bytes *b, const void *data, size_t len)
{
	if (len > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
		harness_fail("%zu bytes and %zu more: too much", b->len, len);
	}
	if (b->cap < b->len + len + 1) {
		size_t cap = (b->len + len + 1) * 2;
		char *grown = realloc(b->data, cap);
		if (!grown) {
			harness_fail("no memory for %zu bytes", cap);
		}
		b->data = grown;
		b->cap = cap;
	}
	if (len > 0) {
		memcpy(b->data + b->len, data, len);
	}
	b->len += len;
	b->data[b->len] = '\0';
}

void bytes_fini(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){0};
}

struct kept {
	struct kept *next;
	char *text;
	bool is_dir; /* also the name of a directory to remove */
};

static struct kept *kept_first;
static pid_t kept_by; /* a child's image of this list is not the child's */

static struct kept *keep_node(char *text)
{
	struct kept *k = calloc(1, sizeof(*k));
	if (!text || !k) {
		free(k);
		harness_fail("no memory for a string");
	}
	k->text = text;
	k->next = kept_first;
	kept_first = k;
	kept_by = getpid();
	return k;
}

const char *keep(char *text)
{
	return keep_node(text)->text;
}

static char *print(const char *fmt, va_list args)
{
	char *text;
	if (vasprintf(&text, fmt, args) < 0) {
		harness_fail("no memory for a string");
	}
	return text;
}

const char *keep_printf(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *text = print(fmt, args);
	va_end(args);
	return keep(text);
}

/* ------------------------------------------------------------------- paths */

/* build/FLAVOUR, from build/FLAVOUR/tests/KIND/NAME. */
static const char *build_dir(void)
{
	char exe[PATH_MAX];
	const char *set = getenv("POOLMAP_BUILD_DIR");
	if (set) {
		return set;
	}
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len < 0) {
		harness_fail("cannot read /proc/self/exe: %s", strerror(errno));
	}
	exe[len] = '\0';
	char *end = NULL;
	for (char *at = strstr(exe, "/tests/"); at; at = strstr(at + 1, "/tests/")) {
		end = at;
	}
	if (!end) {
		harness_fail("%s does not lie in build/FLAVOUR/tests/KIND: "
			     "set POOLMAP_BUILD_DIR",
			exe);
	}
	*end = '\0';
	return keep_printf("%s", exe);
}

const char *program(const char *name)
{
	const char *path = keep_printf("%s/%s", build_dir(), name);
	if (access(path, X_OK) != 0) {
		harness_fail("%s: %s: build it first", path, strerror(errno));
	}
	return path;
}

/* ------------------------------------------------------------------- files */

const char *temp_dir(void)
{
	const char *parent = getenv("TMPDIR");
	if (!parent || parent[0] != '/') {
		parent = "/tmp";
	}
	char *path;
	if (asprintf(&path, "%s/poolmap-test-XXXXXX", parent) < 0 || !mkdtemp(path)) {
		harness_fail(
			"cannot make a directory in %s: %s", parent, strerror(errno));
	}
	struct kept *k = keep_node(path);
	k->is_dir = true;
	return k->text;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "wxe");
	if (!file) {
		harness_fail("cannot create %s: %s", path, strerror(errno));
	}
	size_t written = fwrite(bytes, 1, len, file);
	if (fclose(file) != 0 || written != len) {
		harness_fail("cannot write %s: %s", path, strerror(errno));
	}
}

const char *temp_file(const char *name, const void *bytes, size_t len)
{
	const char *path = keep_printf("%s/%s", temp_dir(), name);
	write_file(path, bytes, len);
	return path;
}

char *read_file(const char *path, size_t *len)
{
	struct bytes got = {0};
	char block[65536];
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		harness_fail("cannot open %s: %s", path, strerror(errno));
	}
	bytes_add(&got, "", 0);
	while ((n = read(fd, block, sizeof(block))) > 0) {
		bytes_add(&got, block, (size_t)n);
	}
	close(fd);
	if (n < 0) {
		harness_fail("cannot read %s: %s", path, strerror(errno));
	}
	if (len) {
		*len = got.len;
	}
	return got.data;
}

static int remove_one(
	const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	remove(path);
	return 0; /* go on: what cannot be removed must not keep the rest */
}

/* The late one of the two destructors: children are dead by now, and write no
 * more into the directories. */
__attribute__((destructor(101))) static void harness_cleanup(void)
{
	struct kept *next, *k = kept_by == getpid() ? kept_first : NULL;
	for (; k; k = next) {
		next = k->next;
		if (k->is_dir) {
			nftw(k->text, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		}
		free(k->text);
		free(k);
	}
	kept_first = NULL;
}
