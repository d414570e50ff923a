/* SPDX-License-Identifier: MIT
 *
 * A pool opens as its options say, or says why it cannot: values, limits of the system,
 * and where its sockets are.
 */
#include "tests/support/pool_rig.h"

#include <sys/resource.h>

/* ------------------------------------------------------------------ options */

struct bad_option {
	const char *name; /* what the message has to speak of */
	size_t at, size;  /* member of the options */
	uint64_t value;
};

#define MEMBER(m)                                                                      \
	offsetof(struct pm_pool_options, m), sizeof(((struct pm_pool_options *)0)->m)

static const struct bad_option bad_options[] = {
	{"pm_pool_options_init", MEMBER(size), 0},
	{"pm_pool_options_init", MEMBER(size), sizeof(struct pm_pool_options) + 8},
	{"workers", MEMBER(workers), PM_WORKERS_MAX + 1},
	{"workers", MEMBER(workers), UINT_MAX},
	{"concurrency", MEMBER(concurrency), 0},
	{"concurrency", MEMBER(concurrency), PM_CONCURRENCY_MAX + 1},
	{"max_bytes", MEMBER(max_bytes), 0},
	{"max_bytes", MEMBER(max_bytes), (uint64_t)PM_BYTES_MAX + 1},
	{"max_bytes", MEMBER(max_bytes), SIZE_MAX},
	{"stack_bytes", MEMBER(stack_bytes), 0},
	{"stack_bytes", MEMBER(stack_bytes), 1000},
	{"stack_bytes", MEMBER(stack_bytes), SIZE_MAX},
};

static void set_member(struct pm_pool_options *o, const struct bad_option *bad)
{
	unsigned small = (unsigned)bad->value;
	char *at = (char *)o + bad->at;
	if (bad->size == sizeof(small)) {
		memcpy(at, &small, sizeof(small));
	} else {
		memcpy(at, &bad->value, sizeof(bad->value));
	}
}

Test(pool_options, refuses_options_out_of_range_and_names_them, .timeout = 30)
{
	for (size_t i = 0; i < sizeof(bad_options) / sizeof(*bad_options); i++) {
		const struct bad_option *bad = &bad_options[i];
		struct pm_pool_options o = rig_options(1, 1);
		pm_pool *untouched = (pm_pool *)(uintptr_t)0x10, *pool = untouched;
		set_member(&o, bad);
		int err = pm_pool_open(&pool, &o);
		cr_assert_eq(err, PM_EINVAL, "%s = %llu: %s", bad->name,
			(unsigned long long)bad->value, pm_error_name(err));
		cr_assert(strstr(pm_last_error(), bad->name), "%s = %llu: \"%s\"",
			bad->name, (unsigned long long)bad->value, pm_last_error());
		cr_assert_eq(pool, untouched, "%s: the out parameter has changed",
			bad->name);
		rig_check_nothing_left(o.runtime_dir);
	}
	cr_assert_eq(pm_pool_open(NULL, NULL), PM_EINVAL);
}

Test(pool_options, takes_options_at_the_ends_of_their_ranges, .timeout = 30)
{
	struct pm_pool_options o = rig_options(PM_WORKERS_MAX, 1);
	o.max_bytes = 1;
	o.stack_bytes = 16 * 1024;
	pm_pool *pool = rig_open(&o);
	struct pm_result r;
	struct pm_job job = {.arg = "x", .len = 1};
	cr_assert_eq(pm_map(pool, task_echo, &job, 1, &r), 0);
	cr_assert_eq(r.len, 1);
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);

	o = rig_options(1, 1);
	o.max_bytes = PM_BYTES_MAX;
	o.hang_timeout_ms = 0;
	pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(pool_options, has_no_more_workers_than_tasks_at_once, .timeout = 30)
{
	pm_pool *pool = rig_pool(8, 3);
	cr_assert_eq(rig_stats(pool).workers, 3);
	rig_check_works(pool);
	cr_assert_leq(rig_workers(NULL, 0), 3);
	pm_pool_close(&pool);
}

Test(pool_options, has_as_many_workers_as_cpus_by_default, .timeout = 30)
{
	pm_pool *pool = rig_pool(0, 100);
	cr_assert_eq(rig_stats(pool).workers, pm_cpus());
	pm_pool_close(&pool);
}

/* -------------------------------------------------------- limits of the system */

static void limit_files(rlim_t soft, rlim_t hard)
{
	struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0, "%s", strerror(errno));
}

static void expect_limit(
	const struct pm_pool_options *o, const char *need, const char *have)
{
	pm_pool *pool = NULL;
	int err = pm_pool_open(&pool, o);
	cr_assert_eq(err, PM_ELIMIT, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_null(pool);
	cr_assert(strstr(pm_last_error(), need), "no %s in: %s", need, pm_last_error());
	cr_assert(strstr(pm_last_error(), have), "no %s in: %s", have, pm_last_error());
	rig_check_nothing_left(o->runtime_dir);
}

/* The worker's share of the concurrency, and 64 files for the worker itself. */
Test(pool_options, says_which_limit_of_open_files_the_workers_need, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4001);
	limit_files(1024, 1024);
	expect_limit(&o, "2065", "1024");
	o.concurrency = 500;
	o.files_per_task = 7;
	expect_limit(&o, "1814", "1024");
	o.files_per_task = UINT_MAX;
	expect_limit(&o, "1073741823814", "1024");
	o.files_per_task = 1;
	pm_pool *pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(pool_options, says_which_limit_of_open_files_the_host_needs, .timeout = 30)
{
	struct pm_pool_options o = rig_options(40, 40);
	limit_files(200, 2000);
	expect_limit(&o, "272", "200");
	limit_files(300, 2000);
	pm_pool *pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_close(&pool);
	struct rlimit limit;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(limit.rlim_cur, 300, "the host's limit is the host's to change");
}

/* -------------------------------------------------------- runtime directory */

static void check_private(const char *path)
{
	struct stat st;
	cr_assert_eq(stat(path, &st), 0, "%s: %s", path, strerror(errno));
	cr_assert(S_ISDIR(st.st_mode));
	cr_assert_eq(
		st.st_mode & 07777, 0700, "%s has mode %o", path, st.st_mode & 07777);
	cr_assert_eq(st.st_uid, geteuid());
}

Test(pool_options, keeps_its_sockets_in_a_private_directory, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 2);
	mode_t before = umask(0); /* the worst one */
	pm_pool *pool = rig_open(&o);
	check_private(only_entry(o.runtime_dir));
	cr_assert_gt(entries_of(only_entry(o.runtime_dir)), 0);
	pm_pool_close(&pool);
	cr_assert_eq(umask(before), 0, "the umask is the host's");
	cr_assert_eq(entries_of(o.runtime_dir), 0);
}

static void expect_no_directory(const char *runtime_dir, const char *word)
{
	struct pm_pool_options o = rig_options(1, 1);
	pm_pool *pool = NULL;
	o.runtime_dir = runtime_dir;
	int err = pm_pool_open(&pool, &o);
	cr_assert_eq(err, PM_ESYSTEM, "%s: %s", runtime_dir, pm_error_name(err));
	cr_assert(strstr(pm_last_error(), word), "no \"%s\" in: %s", word,
		pm_last_error());
	cr_assert_null(pool);
}

Test(pool_options, says_why_it_cannot_use_a_directory, .timeout = 30)
{
	const char *dir = temp_dir();
	expect_no_directory(keep_printf("%s/none", dir), "No such file");
	expect_no_directory("relative/path", "relative");
	expect_no_directory("", "relative");
	expect_no_directory(keep_printf("%s/%0120d", dir, 0), "too long");
	expect_no_directory(keep_printf("%s/%04000d", dir, 0), "cannot use");
	cr_assert(wait_for(has_no_workers, NULL, 5000));
	cr_assert_eq(entries_of(dir), 0);
}

static const char *fresh_dir(const char *parent, const char *name, mode_t mode)
{
	const char *path = keep_printf("%s/%s", parent, name);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(chmod(path, mode), 0);
	return path;
}

/* Open a pool without a runtime_dir: is its directory in `where`? */
static void expect_default_directory(const char *where)
{
	struct pm_pool_options o;
	pm_pool_options_init(&o);
	pm_pool *pool = rig_open(&o);
	check_private(only_entry(where));
	pm_pool_close(&pool);
	cr_assert_eq(entries_of(where), 0);
}

Test(pool_options, finds_a_directory_by_itself, .timeout = 30)
{
	const char *dir = temp_dir();
	const char *private = fresh_dir(dir, "private", 0700);
	const char *open_to_all = fresh_dir(dir, "open", 0755);
	const char *tmp = fresh_dir(dir, "tmp", 01777);
	setenv("TMPDIR", tmp, 1);
	setenv("XDG_RUNTIME_DIR", private, 1);
	expect_default_directory(private);
	setenv("XDG_RUNTIME_DIR", open_to_all, 1);
	expect_default_directory(tmp);
	setenv("XDG_RUNTIME_DIR", "", 1);
	expect_default_directory(tmp);
	unsetenv("XDG_RUNTIME_DIR");
	expect_default_directory(tmp);
}

Test(pool_options, falls_back_to_tmp, .timeout = 30)
{
	static const char *const useless[] = {
		"", "relative", "/nonexistent/x", "/dev/null"};
	for (size_t i = 0; i < sizeof(useless) / sizeof(*useless); i++) {
		setenv("TMPDIR", useless[i], 1);
		setenv("XDG_RUNTIME_DIR", useless[i], 1);
		pm_pool *pool = NULL;
		int err = pm_pool_open(&pool, NULL);
		cr_assert_eq(err, 0, "TMPDIR=%s: %s", useless[i], pm_last_error());
		pm_pool_close(&pool);
	}
}
