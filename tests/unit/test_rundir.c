/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/rundir, below a directory of the test.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "master/rundir.h"
#include "tests/unit/scratch.h"

enum { NOBODY = 65534, OLD_S = 3600 };

static struct rundir r = {.lock_fd = -1};

static void clear(void)
{
	rundir_close(&r);
}

TestSuite(rundir, .init = scratch_make, .fini = clear);

/* "<scratch>/name"; good until the third call after. */
static const char *below(const char *name)
{
	static char texts[4][PATH_MAX];
	static unsigned turn;
	char *text = texts[turn++ % 4];
	snprintf(text, PATH_MAX, "%s/%s", scratch, name);
	return text;
}

static bool exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0, "%s", path);
	close(fd);
}

static void make_old(const char *path)
{
	struct timespec times[2] = {{.tv_sec = time(NULL) - OLD_S}};
	times[1] = times[0];
	cr_assert_eq(
		utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0, "%s", path);
}

/* A name as pools of this user have it. */
static const char *pool_name(const char *end)
{
	static char text[64];
	snprintf(text, sizeof text, "poolmap-%lu-%s", (unsigned long)geteuid(), end);
	return text;
}

/* ------------------------------------------------------------ what is made */

Test(rundir, is_private_and_below_the_parent, .timeout = 10)
{
	struct stat st;
	umask(0);
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0, "%s", pm_last_error());
	cr_assert_eq(strncmp(r.path, scratch, strlen(scratch)), 0);
	cr_assert_eq(r.path[strlen(scratch)], '/');
	cr_assert_eq(lstat(r.path, &st), 0);
	cr_assert(S_ISDIR(st.st_mode));
	cr_assert_eq(st.st_mode & 07777, 0700, "%o", st.st_mode);
	cr_assert_eq(st.st_uid, geteuid());
}

Test(rundir, is_locked_while_it_is_open, .timeout = 10)
{
	char lock[PATH_MAX];
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0);
	cr_assert_geq(r.lock_fd, 0);
	cr_assert(fcntl(r.lock_fd, F_GETFD) & FD_CLOEXEC);
	snprintf(lock, sizeof lock, "%s/lock", r.path);
	int fd = open(lock, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
	cr_assert_eq(errno, EWOULDBLOCK);
	close(fd);
}

Test(rundir, is_another_one_each_time, .timeout = 10)
{
	struct rundir many[20];
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(rundir_open(&many[i], scratch, NULL, NULL), 0);
		for (int j = 0; j < i; j++) {
			cr_assert_str_neq(many[i].path, many[j].path);
			cr_assert(exists(many[j].path), "the older ones stay");
		}
	}
	for (int i = 0; i < 20; i++) {
		rundir_close(&many[i]);
	}
}

Test(rundir, leaves_room_for_the_names_of_sockets, .timeout = 10)
{
	char longest[64];
	int len =
		snprintf(longest, sizeof longest, "/j-%d-%u", PM_WORKERS_MAX, UINT_MAX);
	cr_assert_leq(len, RUNDIR_NAME_MAX);
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0);
	cr_assert_leq(strlen(r.path) + (size_t)len, WIRE_PATH_MAX);
}

/* ------------------------------------------------------------ bad parents */

/* rundir_open() fails, says so with `part`, and leaves nothing open. */
static void expect_failure(const char *parent, const char *part)
{
	cr_assert_eq(rundir_open(&r, parent, NULL, NULL), PM_ESYSTEM, "%s", parent);
	cr_assert_not_null(strstr(pm_last_error(), part), "%s", pm_last_error());
	cr_assert_not_null(strstr(pm_last_error(), parent), "%s", pm_last_error());
	cr_assert_eq(r.lock_fd, -1);
}

Test(rundir, refuses_a_parent_that_is_relative, .timeout = 10)
{
	cr_assert_eq(chdir(scratch), 0);
	cr_assert_eq(mkdir("here", 0700), 0);
	expect_failure("here", "relative");
	expect_failure(".", "relative");
	expect_failure("./here", "relative");
	cr_assert_eq(rmdir("here"), 0, "nothing was made in it");
}

Test(rundir, refuses_a_parent_without_a_name, .timeout = 10)
{
	expect_failure("", "relative");
}

Test(rundir, refuses_a_parent_that_is_missing, .timeout = 10)
{
	expect_failure(below("missing"), "No such file");
}

Test(rundir, refuses_a_parent_that_is_a_file, .timeout = 10)
{
	make_file(below("file"));
	expect_failure(below("file"), "Not a directory");
}

Test(rundir, refuses_a_parent_that_cannot_be_written, .timeout = 10)
{
	cr_assert_eq(chmod(scratch, 0755), 0);
	cr_assert_eq(mkdir(below("closed"), 0555), 0);
	uid_t user = geteuid();
	if (user == 0) {
		cr_assert_eq(seteuid(NOBODY), 0); /* root may write everywhere */
	}
	expect_failure(below("closed"), "Permission denied");
	cr_assert_eq(seteuid(user), 0);
}

/* A directory whose path has just `len` bytes; made. */
static const char *parent_of(size_t len)
{
	static char text[512];
	size_t used = (size_t)snprintf(text, sizeof text, "%s/", scratch);
	cr_assert(len > used && len < sizeof text - 1, "%zu", len);
	memset(text + used, 'p', len - used);
	text[len] = '\0';
	cr_assert_eq(mkdir(text, 0700), 0, "%s", text);
	return text;
}

/* The longest parent that there is room below. */
static size_t longest_parent(void)
{
	return RUNDIR_PATH_MAX - strlen("/") - strlen(pool_name("0123456789abcdef"));
}

Test(rundir, takes_the_longest_parent, .timeout = 10)
{
	cr_assert_eq(rundir_open(&r, parent_of(longest_parent()), NULL, NULL), 0, "%s",
		pm_last_error());
	cr_assert_eq(strlen(r.path), RUNDIR_PATH_MAX);
	cr_assert(exists(r.path));
}

Test(rundir, refuses_a_parent_that_is_too_long, .timeout = 10)
{
	for (size_t len = longest_parent() + 1; len < 200; len++) {
		const char *parent = parent_of(len);
		expect_failure(parent, "too long");
		cr_assert_eq(rmdir(parent), 0, "nothing was made in it");
	}
}

/* What pm_pool_open() does when it fails: it closes what it has. */
Test(rundir, touches_nothing_when_it_is_closed_after_a_failure, .timeout = 10)
{
	for (size_t len = longest_parent() + 1; len < 200; len++) {
		char file[600];
		const char *parent = parent_of(len);
		snprintf(file, sizeof file, "%s/file-of-the-user", parent);
		make_file(file);
		cr_assert_eq(rundir_open(&r, parent, NULL, NULL), PM_ESYSTEM);
		rundir_close(&r);
		cr_assert(exists(file), "a parent of %zu bytes was emptied", len);
		cr_assert_eq(remove(file), 0);
		cr_assert_eq(rmdir(parent), 0);
	}
}

/* ------------------------------------------------------------ the places */

static void expect_below(const char *parent)
{
	cr_assert_eq(rundir_open(&r, NULL, NULL, NULL), 0, "%s", pm_last_error());
	cr_assert_eq(strncmp(r.path, parent, strlen(parent)), 0, "%s", r.path);
	cr_assert_eq(r.path[strlen(parent)], '/');
	cr_assert_eq(strrchr(r.path, '/'), r.path + strlen(parent));
	rundir_close(&r);
}

static void set_places(const char *xdg, const char *tmpdir)
{
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("TMPDIR");
	if (xdg) {
		setenv("XDG_RUNTIME_DIR", xdg, 1);
	}
	if (tmpdir) {
		setenv("TMPDIR", tmpdir, 1);
	}
}

Test(rundir, tries_the_places_in_their_order, .timeout = 10)
{
	char xdg[PATH_MAX], tmpdir[PATH_MAX];
	snprintf(xdg, sizeof xdg, "%s", below("xdg"));
	snprintf(tmpdir, sizeof tmpdir, "%s", below("tmpdir"));
	cr_assert_eq(mkdir(xdg, 0700), 0);
	cr_assert_eq(mkdir(tmpdir, 0755), 0);
	set_places(xdg, tmpdir);
	expect_below(xdg);
	set_places(NULL, tmpdir);
	expect_below(tmpdir);
	set_places("", "");
	expect_below("/tmp");
	set_places(NULL, NULL);
	expect_below("/tmp");
}

Test(rundir, goes_on_to_the_next_place_when_one_will_not_do, .timeout = 10)
{
	char tmpdir[PATH_MAX];
	snprintf(tmpdir, sizeof tmpdir, "%s", below("tmpdir"));
	cr_assert_eq(mkdir(tmpdir, 0700), 0);
	cr_assert_eq(mkdir(below("open"), 0755), 0);
	make_file(below("file"));
	set_places(below("missing"), tmpdir);
	expect_below(tmpdir);
	set_places(below("open"), tmpdir); /* others may enter it */
	expect_below(tmpdir);
	set_places(below("file"), tmpdir);
	expect_below(tmpdir);
	set_places(NULL, "relative");
	expect_below("/tmp");
	set_places(NULL, below("missing"));
	expect_below("/tmp");
	set_places(NULL, parent_of(100));
	expect_below("/tmp");
}

Test(rundir, uses_no_other_place_than_the_one_it_was_given, .timeout = 10)
{
	set_places(scratch, scratch);
	expect_failure(below("missing"), "No such file");
}

/* ------------------------------------------------------------ the end */

Test(rundir, removes_the_directory_and_all_files_in_it, .timeout = 10)
{
	char path[PATH_MAX], file[PATH_MAX + 32];
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0);
	snprintf(path, sizeof path, "%s", r.path);
	for (int i = 0; i < 300; i++) {
		snprintf(file, sizeof file, "%s/j-%d-1", path, i);
		make_file(file);
	}
	int lock_fd = r.lock_fd;
	rundir_close(&r);
	cr_assert_not(exists(path));
	cr_assert_eq(fcntl(lock_fd, F_GETFD), -1);
	cr_assert_str_empty(r.path);
	cr_assert_eq(r.lock_fd, -1);
}

Test(rundir, closes_twice_without_harm, .timeout = 10)
{
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0);
	rundir_close(&r);
	int fd =
		open("/dev/null", O_RDONLY | O_CLOEXEC); /* may get the lock's number */
	rundir_close(&r);
	cr_assert_neq(fcntl(fd, F_GETFD), -1);
	close(fd);
}

Test(rundir, does_not_mind_that_its_directory_is_gone, .timeout = 10)
{
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0);
	rundir_remove(r.path);
	cr_assert_not(exists(r.path));
	rundir_remove(r.path);
	rundir_close(&r);
}

Test(rundir, removes_links_and_not_what_they_lead_to, .timeout = 10)
{
	char link[PATH_MAX];
	make_file(below("precious"));
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0);
	snprintf(link, sizeof link, "%s/link", r.path);
	cr_assert_eq(symlink(below("precious"), link), 0);
	snprintf(link, sizeof link, "%s", r.path);
	rundir_close(&r);
	cr_assert_not(exists(link));
	cr_assert(exists(below("precious")));
}

/* ------------------------------------------------------------ dead pools */

/* What a pool left: a directory of that name with a lock and a socket's file. */
static const char *leave(const char *name, bool with_lock)
{
	static char path[PATH_MAX];
	char file[PATH_MAX + 8];
	snprintf(path, sizeof path, "%s", below(name));
	cr_assert_eq(mkdir(path, 0700), 0);
	if (with_lock) {
		snprintf(file, sizeof file, "%s/lock", path);
		make_file(file);
	}
	snprintf(file, sizeof file, "%s/j-0-1", path);
	make_file(file);
	make_old(path);
	return path;
}

static void expect_swept(bool swept, const char *path)
{
	struct rundir other;
	cr_assert_eq(rundir_open(&other, scratch, NULL, NULL), 0);
	cr_assert_eq(exists(path), !swept, "%s", path);
	rundir_close(&other);
}

Test(rundir, sweeps_what_dead_pools_left, .timeout = 10)
{
	expect_swept(true, leave(pool_name("AAAAAA"), true));
}

Test(rundir, sweeps_what_a_pool_left_before_it_had_a_lock, .timeout = 10)
{
	expect_swept(true, leave(pool_name("AAAAAA"), false));
}

Test(rundir, sweeps_many, .timeout = 10)
{
	for (int i = 0; i < 50; i++) {
		char end[16];
		snprintf(end, sizeof end, "N%05d", i);
		leave(pool_name(end), true);
	}
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0);
	for (int i = 0; i < 50; i++) {
		char end[16];
		snprintf(end, sizeof end, "N%05d", i);
		cr_assert_not(exists(below(pool_name(end))));
	}
}

Test(rundir, keeps_what_a_living_pool_has_locked, .timeout = 10)
{
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), 0);
	make_old(r.path);
	expect_swept(false, r.path);
}

Test(rundir, keeps_what_is_young, .timeout = 10)
{
	const char *path = leave(pool_name("AAAAAA"), true);
	cr_assert_eq(utimensat(AT_FDCWD, path, NULL, 0), 0);
	expect_swept(false, path);
}

Test(rundir, keeps_what_has_another_name, .timeout = 10)
{
	char other[64];
	snprintf(other, sizeof other, "poolmap-%lu-AAAAAA",
		(unsigned long)geteuid() + 1);
	expect_swept(false, leave(other, true));
	expect_swept(false, leave("poolmap-test-AAAAAA", true));
	expect_swept(false, leave("poolmap", true));
	expect_swept(false, leave("other", true));
}

Test(rundir, keeps_what_belongs_to_another_user, .timeout = 10)
{
	const char *path = leave(pool_name("AAAAAA"), true);
	if (geteuid() == 0) { /* nobody else can give things away */
		cr_assert_eq(chown(path, NOBODY, NOBODY), 0);
		make_old(path);
		expect_swept(false, path);
	}
}

Test(rundir, keeps_files_and_links_of_such_a_name, .timeout = 10)
{
	char link[PATH_MAX];
	make_file(below(pool_name("AAAAAA")));
	make_old(below(pool_name("AAAAAA")));
	expect_swept(false, below(pool_name("AAAAAA")));
	const char *target = leave("precious", true);
	snprintf(link, sizeof link, "%s", below(pool_name("BBBBBB")));
	cr_assert_eq(symlink(target, link), 0);
	make_old(link);
	expect_swept(false, link);
	cr_assert(exists(target));
	cr_assert(exists(below("precious/lock")));
}

Test(rundir, follows_no_link_to_a_lock, .timeout = 10)
{
	char lock[PATH_MAX];
	const char *path = leave(pool_name("AAAAAA"), false);
	make_file(below("elsewhere"));
	snprintf(lock, sizeof lock, "%s/lock", path);
	cr_assert_eq(symlink(below("elsewhere"), lock), 0);
	make_old(path);
	expect_swept(false, path);
}

Test(rundir, removes_no_directory_inside_one, .timeout = 10)
{
	char inner[PATH_MAX], file[PATH_MAX + 8];
	const char *path = leave(pool_name("AAAAAA"), true);
	snprintf(inner, sizeof inner, "%s/inner", path);
	cr_assert_eq(mkdir(inner, 0700), 0);
	snprintf(file, sizeof file, "%s/file", inner);
	make_file(file);
	make_old(path);
	expect_swept(false, file);
}

/* ------------------------------------------------------------ two at a time */

static void (*before_lock)(void); /* once; NULL: nothing happens */

/* In place of libc's, which it calls. */
int flock(int fd, int how)
{
	void (*what)(void) = before_lock;
	before_lock = NULL;
	if (what) {
		what();
	}
	return (int)syscall(SYS_flock, fd, how);
}

/* The clock of the wall is set forward, and another pool sweeps. */
static void jump_and_sweep(void)
{
	struct rundir other;
	make_old(r.path);
	cr_assert_eq(rundir_open(&other, scratch, NULL, NULL), 0);
	rundir_close(&other);
}

/* The directory that we are making is taken for an old one: then we have none, instead
 * of one that is not there. */
Test(rundir, that_is_swept_while_it_is_made_is_not_there, .timeout = 10)
{
	before_lock = jump_and_sweep;
	cr_assert_eq(rundir_open(&r, scratch, NULL, NULL), PM_ESYSTEM);
	cr_assert(strstr(pm_last_error(), "was removed"), "%s", pm_last_error());
	cr_assert_eq(r.lock_fd, -1);
	cr_assert_str_empty(r.path);
}

/* ------------------------------------------------------------- announcement */

static char announced[2][RUNDIR_PATH_MAX + 1];
static int announced_ct;

static int note(void *ctx, const char *path)
{
	int *answer = ctx;
	cr_assert_lt(announced_ct, 2);
	snprintf(announced[announced_ct++], sizeof announced[0], "%s", path);
	cr_assert_neq(access(path, F_OK), 0, "%s is there already", path);
	return *answer;
}

Test(rundir, is_announced_before_it_is_made, .timeout = 10)
{
	struct rundir dir;
	int answer = 0;
	cr_assert_eq(
		rundir_open(&dir, scratch, note, &answer), 0, "%s", pm_last_error());
	cr_assert_eq(announced_ct, 1);
	cr_assert_str_eq(announced[0], dir.path);
	rundir_close(&dir);
}

Test(rundir, is_not_made_when_the_announcement_fails, .timeout = 10)
{
	struct rundir dir;
	int answer = PM_ELIMIT;
	cr_assert_eq(rundir_open(&dir, scratch, note, &answer), PM_ELIMIT);
	cr_assert_neq(access(announced[0], F_OK), 0);
	rundir_close(&dir);
}
