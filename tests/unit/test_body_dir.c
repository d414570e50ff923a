/* SPDX-License-Identifier: MIT
 *
 * Tests of worker/cli/body_dir, and of what it stands on: digest, temp_file, spool.
 */
#include "tests/unit/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/poolmap.h"
#include "worker/cli/body_dir.h"

#define EMPTY_SHA "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC_SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static char bodies[96]; /* DIR, which is not there at first */

static void set_up(void)
{
	scratch_make();
	snprintf(bodies, sizeof bodies, "%s/bodies", scratch);
	umask(022);
}

static void tear_down(void)
{
	body_dir_close();
}

TestSuite(body_dir, .init = set_up, .fini = tear_down, .timeout = 30);

/* Entries of a directory, hidden ones too. */
static unsigned entries(const char *path)
{
	unsigned ct = 0;
	DIR *dir = opendir(path);
	cr_assert_not_null(dir, "%s", path);
	while (readdir(dir)) {
		ct++;
	}
	closedir(dir);
	return ct - 2;
}

static void expect_file(const char *path, const void *bytes, size_t len)
{
	char *got = malloc(len + 1);
	int fd = open(path, O_RDONLY);
	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	ssize_t n = read(fd, got, len + 1);
	cr_assert_eq(n, (ssize_t)len, "%s has %zd bytes", path, n);
	cr_assert(len == 0 || memcmp(got, bytes, len) == 0, "%s", path);
	close(fd);
	free(got);
}

/* Write one as a worker does, a part at a time; its path is for the caller. */
static int keep(const void *bytes, size_t len, size_t part, bool sync, struct buf *path)
{
	struct body_file b;
	char hex[DIGEST_HEX_LEN + 1];
	int err = body_file_begin(&b, bodies);
	for (size_t at = 0; !err && at < len; at += part) {
		size_t n = len - at < part ? len - at : part;
		err = body_file_add(&b, (const char *)bytes + at, n);
	}
	if (!err) {
		err = body_file_keep(&b, sync, bodies, hex, path);
	}
	body_file_fini(&b);
	return err;
}

static void expect_kept(const void *bytes, size_t len, size_t part)
{
	struct buf path = {0};
	cr_assert_eq(keep(bytes, len, part, false, &path), 0);
	expect_file(buf_text(&path), bytes, len);
	buf_fini(&path);
}

Test(body_dir, names_files_by_their_content, .timeout = 30)
{
	struct buf path = {0}, expected = {0};
	cr_assert_eq(keep("abc", 3, 2, false, &path), 0);
	buf_printf(&expected, "%s/ba/%s", bodies, ABC_SHA);
	cr_assert_str_eq(buf_text(&path), buf_text(&expected));
	expect_file(buf_text(&path), "abc", 3);
	struct stat st;
	cr_assert_eq(stat(buf_text(&path), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0644, "%o", st.st_mode);
	cr_assert_eq(entries(bodies), 1);
	buf_fini(&path);
	buf_fini(&expected);
}

Test(body_dir, keeps_an_empty_body, .timeout = 30)
{
	struct buf path = {0};
	cr_assert_eq(keep("", 0, 1, true, &path), 0);
	cr_assert_not_null(strstr(buf_text(&path), "/e3/" EMPTY_SHA));
	expect_file(buf_text(&path), "", 0);
	buf_fini(&path);
}

Test(body_dir, keeps_bodies_of_any_size, .timeout = 30)
{
	enum { MOST = 3 * SPOOL_MEMORY_MAX };
	static char bytes[MOST];
	for (size_t i = 0; i < MOST; i++) {
		bytes[i] = (char)(i * 31 >> 3);
	}
	expect_kept(bytes, SPOOL_MEMORY_MAX - 1, 1000);
	expect_kept(bytes, SPOOL_MEMORY_MAX, SPOOL_MEMORY_MAX);
	expect_kept(bytes, SPOOL_MEMORY_MAX + 1, SPOOL_MEMORY_MAX);
	expect_kept(bytes, SPOOL_MEMORY_MAX + 1, MOST);
	expect_kept(bytes, MOST, 16384);
}

/* Also on file systems where files have names from the beginning. */
Test(body_dir, works_with_named_files_only, .timeout = 30)
{
	temp_file_named_only = true;
	static char bytes[SPOOL_MEMORY_MAX + 1];
	expect_kept("abc", 3, 1);
	expect_kept("abc", 3, 1);
	expect_kept(bytes, sizeof bytes, 16384);
	cr_assert_eq(entries(bodies), 2, "temporary files are left");
}

static ino_t inode(const char *path)
{
	struct stat st;
	cr_assert_eq(stat(path, &st), 0);
	return st.st_ino;
}

/* A file that a crash of the machine has spoilt gets whole again; one that is whole
 * is not written again, unless that is to be sure. */
static void expect_replaced(bool sync, off_t len, bool replaced)
{
	struct buf path = {0};
	cr_assert_eq(keep("abc", 3, 3, false, &path), 0);
	cr_assert_eq(truncate(buf_text(&path), len), 0);
	ino_t before = inode(buf_text(&path));
	path.len = 0;
	cr_assert_eq(keep("abc", 3, 3, sync, &path), 0);
	cr_assert_eq(
		inode(buf_text(&path)) != before, replaced, "length %ld", (long)len);
	expect_file(buf_text(&path), "abc", 3);
	cr_assert_eq(entries(bodies), 1, "a temporary name is left");
	buf_fini(&path);
}

Test(body_dir, replaces_a_file_that_is_not_whole, .timeout = 30)
{
	for (int named = 0; named < 2; named++) {
		temp_file_named_only = named;
		expect_replaced(false, 0, true);
		expect_replaced(true, 0, true);
		expect_replaced(false, 3, false);
		expect_replaced(true, 3, true);
	}
}

static void expect_nothing_left(bool named, size_t len)
{
	temp_file_named_only = named;
	struct body_file b;
	cr_assert_eq(body_file_begin(&b, bodies), 0);
	char *bytes = calloc(1, len);
	cr_assert_eq(body_file_add(&b, bytes, len), 0);
	free(bytes);
	body_file_fini(&b);
	cr_assert_eq(entries(bodies), 0, "named %d, %zu bytes", named, len);
}

Test(body_dir, leaves_nothing_of_a_body_that_is_dropped, .timeout = 30)
{
	expect_nothing_left(false, 1);
	expect_nothing_left(false, SPOOL_MEMORY_MAX + 1);
	expect_nothing_left(true, 1);
	expect_nothing_left(true, SPOOL_MEMORY_MAX + 1);
}

/* What a killed worker has left goes, what a living one has stays; so does what
 * is not ours. */
Test(body_dir, sweeps_what_killed_workers_left, .timeout = 30)
{
	cr_assert_eq(mkdir(bodies, 0777), 0);
	int dir = open(bodies, O_RDONLY | O_DIRECTORY);
	struct temp_file living;
	temp_file_named_only = true;
	cr_assert_eq(temp_file_open(&living, dir), 0);
	static const char *const names[] = {
		".poolmap-1-0.tmp", ".poolmap-999999-7.tmp", ".poolmap-x", "mine.tmp"};
	for (size_t i = 0; i < 4; i++) {
		close(openat(dir, names[i], O_CREAT | O_WRONLY, 0600));
	}
	cr_assert_eq(symlinkat("/etc/passwd", dir, ".poolmap-2-2.tmp"), 0);
	cr_assert_eq(entries(bodies), 6);
	struct body_file b;
	cr_assert_eq(body_file_begin(&b, bodies), 0);
	body_file_fini(&b);
	cr_assert_eq(entries(bodies), 4);
	cr_assert_eq(faccessat(dir, living.name, F_OK, 0), 0);
	cr_assert_eq(faccessat(dir, "mine.tmp", F_OK, 0), 0);
	temp_file_drop(&living, dir);
	close(dir);
}

Test(body_dir, does_not_follow_a_link_in_the_place_of_a_directory, .timeout = 30)
{
	char link[128], target[96];
	snprintf(target, sizeof target, "%s/elsewhere", scratch);
	snprintf(link, sizeof link, "%s/ba", bodies);
	cr_assert_eq(mkdir(bodies, 0777), 0);
	cr_assert_eq(mkdir(target, 0777), 0);
	cr_assert_eq(symlink(target, link), 0);
	struct buf path = {0};
	cr_assert_eq(keep("abc", 3, 3, false, &path), PM_ESYSTEM);
	cr_assert_eq(path.len, 0);
	cr_assert_eq(entries(target), 0);
	buf_fini(&path);
}

/* -------------------------------------------------------------------- failures */

Test(body_dir, says_why_there_is_no_directory, .timeout = 30)
{
	struct body_file b;
	errno = 0;
	cr_assert_eq(body_file_begin(&b, "/dev/null/x"), PM_ESYSTEM);
	cr_assert_eq(errno, ENOTDIR);
	body_file_fini(&b);
	cr_assert_eq(body_file_begin(&b, "/proc/no/such"), PM_ESYSTEM);
	cr_assert_eq(errno, ENOENT);
	body_file_fini(&b);
}

/* A limit of the file's size stands for a full disk. */
static void expect_full(bool named, size_t part)
{
	static char bytes[4 * SPOOL_MEMORY_MAX];
	temp_file_named_only = named;
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit tight = {SPOOL_MEMORY_MAX / 2, RLIM_INFINITY}, before;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct body_file b;
	char hex[DIGEST_HEX_LEN + 1] = "none", sub[128];
	struct buf path = {0};
	cr_assert_eq(body_file_begin(&b, bodies), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
	int err = body_file_add(&b, bytes, part);
	if (!err) {
		err = body_file_keep(&b, false, bodies, hex, &path);
	}
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	cr_assert_eq(err, PM_ESYSTEM);
	cr_assert_eq(b.spool.disk_error, EFBIG);
	body_file_fini(&b);
	buf_fini(&path);
	snprintf(sub, sizeof sub, "%s/%.2s", bodies, hex);
	(void)rmdir(sub); /* it may be there, but empty */
	cr_assert_eq(entries(bodies), 0);
}

Test(body_dir, tells_of_a_full_disk, .timeout = 30)
{
	expect_full(false, SPOOL_MEMORY_MAX);
	expect_full(false, 4 * SPOOL_MEMORY_MAX);
	expect_full(true, SPOOL_MEMORY_MAX);
	expect_full(true, 4 * SPOOL_MEMORY_MAX);
}

/* ----------------------------------------------------------------------- spool */

static void expect_reads(struct spool *s, const char *bytes, size_t len)
{
	char part[700];
	size_t at = 0;
	for (long n; (n = spool_read(s, at, part, sizeof part)) != 0; at += (size_t)n) {
		cr_assert_gt(n, 0);
		cr_assert_eq(memcmp(part, bytes + at, (size_t)n), 0);
	}
	cr_assert_eq(at, len);
	cr_assert_eq(spool_read(s, len + 5, part, 1), 0);
}

Test(body_dir, reads_back_what_was_spooled, .timeout = 30)
{
	static char bytes[2 * SPOOL_MEMORY_MAX];
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (char)(i * 7 >> 2);
	}
	int dir = open(scratch, O_RDONLY | O_DIRECTORY);
	static const size_t lens[] = {0, 1, 699, 701, SPOOL_MEMORY_MAX, sizeof bytes};
	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		struct spool s;
		spool_init(&s, dir);
		for (size_t at = 0; at < lens[i]; at += 997) {
			size_t n = lens[i] - at < 997 ? lens[i] - at : 997;
			cr_assert_eq(spool_add(&s, bytes + at, n), 0);
		}
		cr_assert_eq(s.len, lens[i]);
		cr_assert_eq(s.file.fd >= 0, lens[i] > SPOOL_MEMORY_MAX);
		expect_reads(&s, bytes, lens[i]);
		spool_fini(&s);
	}
	cr_assert_eq(entries(scratch), 0);
	close(dir);
}

Test(body_dir, a_digest_can_begin_again, .timeout = 30)
{
	struct digest d = {0};
	char hex[DIGEST_HEX_LEN + 1];
	cr_assert_eq(digest_start(&d), 0);
	digest_add(&d, "x", 1);
	cr_assert_eq(digest_start(&d), 0);
	digest_add(&d, "a", 1);
	digest_add(&d, "bc", 2);
	digest_end(&d, hex);
	cr_assert_str_eq(hex, ABC_SHA);
	digest_fini(&d);
	digest_fini(&d);
}
