/* SPDX-License-Identifier: MIT
 *
 * pool_rig - what the tests of pools share: the forkserver, a board that tasks
 * and tests both see, batches of numbered jobs, a stream that keeps count, and
 * what a pool leaves behind.
 *
 * Runs in: the test process, and as its image in the workers of the test's
 * pools.  Included by the tests that open pools, once each.  Workers are images
 * of the process at the start of the forkserver, which is before main(): what a
 * test sets later no task sees, but for the board.
 */
#ifndef TESTS_SUPPORT_POOL_RIG_H
#define TESTS_SUPPORT_POOL_RIG_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/poolmap.h"
#include "tests/support/harness.h"

/* A test that measures memory or time leaves the sanitizers out. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { RIG_SANITIZED = 1 };
#else
enum { RIG_SANITIZED = 0 };
#endif

/* ------------------------------------------------------------------- board */

enum { BOARD_JOBS = 1 << 17 };

/* Memory shared by the test and all its workers. */
struct rig_board {
	_Atomic unsigned runs[BOARD_JOBS]; /* times that job N was begun */
	_Atomic int inside, most;          /* tasks running now, and the most ever */
	_Atomic int seen;                  /* whatever a task has to tell */
};

static struct rig_board *board;

static inline void board_enter(void)
{
	int now = atomic_fetch_add(&board->inside, 1) + 1;
	int most = atomic_load(&board->most);
	while (now > most && !atomic_compare_exchange_weak(&board->most, &most, now)) {
	}
}

static inline void board_leave(void)
{
	atomic_fetch_sub(&board->inside, 1);
}

static inline bool board_is_quiet(void *unused)
{
	(void)unused;
	return atomic_load(&board->inside) == 0;
}

/* Criterion's process has a live nanomsg socket by the time that a test starts:
 * the forkserver must be older.  Tests of their own start say RIG_MANUAL. */
__attribute__((constructor(300))) static void rig_start(void)
{
	if (!getenv("BXFI_MAP")) {
		return; /* the runner, which opens no pool */
	}
	void *at = mmap(NULL, sizeof(struct rig_board), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	board = at == MAP_FAILED ? NULL : at;
#ifndef RIG_MANUAL
	(void)!pm_forkserver_start();
#endif
}

/* ------------------------------------------------------------------- pools */

/* Few workers, and a runtime directory of the test's own. */
static inline struct pm_pool_options rig_options(unsigned workers, unsigned concurrency)
{
	struct pm_pool_options o;
	pm_pool_options_init(&o);
	o.workers = workers;
	o.concurrency = concurrency;
	o.runtime_dir = temp_dir();
	return o;
}

static inline pm_pool *rig_open(const struct pm_pool_options *options)
{
	pm_pool *pool = NULL;
	int err = pm_pool_open(&pool, options);
	cr_assert_eq(
		err, 0, "pm_pool_open: %s: %s", pm_error_name(err), pm_last_error());
	cr_assert(pool);
	return pool;
}

static inline pm_pool *rig_pool(unsigned workers, unsigned concurrency)
{
	struct pm_pool_options o = rig_options(workers, concurrency);
	return rig_open(&o);
}

static inline struct pm_pool_stats rig_stats(const pm_pool *pool)
{
	struct pm_pool_stats stats;
	pm_pool_stats(pool, &stats);
	return stats;
}

/* ----------------------------------------------------------------- batches */

/* Jobs 0 ... ct - 1, each with its number as its argument. */
struct batch {
	size_t ct;
	uint32_t *numbers;
	struct pm_job *jobs;
	struct pm_result *results;
};

static inline struct batch batch_new(size_t ct)
{
	struct batch b = {.ct = ct,
		.numbers = calloc(ct + 1, sizeof(*b.numbers)),
		.jobs = calloc(ct + 1, sizeof(*b.jobs)),
		.results = calloc(ct + 1, sizeof(*b.results))};
	cr_assert(b.numbers && b.jobs && b.results);
	for (size_t i = 0; i < ct; i++) {
		b.numbers[i] = (uint32_t)i;
		b.jobs[i].arg = &b.numbers[i];
		b.jobs[i].len = sizeof(b.numbers[i]);
	}
	return b;
}

static inline void batch_free(struct batch *b)
{
	pm_results_clear(b->results, b->ct);
	free(b->numbers);
	free(b->jobs);
	free(b->results);
	*b = (struct batch){0};
}

static inline void batch_map(pm_pool *pool, pm_task_fn *task, struct batch *b)
{
	int err = pm_map(pool, task, b->jobs, b->ct, b->results);
	cr_assert_eq(err, 0, "pm_map: %s: %s", pm_error_name(err), pm_last_error());
}

/* Job i came through, and says so with its own number. */
static inline void batch_check_one(const struct batch *b, size_t i)
{
	const struct pm_result *r = &b->results[i];
	cr_assert_eq(r->error, 0, "job %zu: %s, %s %d, %s", i, pm_error_name(r->error),
		pm_domain_name(r->domain), r->code, r->message ? r->message : "-");
	cr_assert_eq(
		r->index, i, "job %zu has index %llu", i, (unsigned long long)r->index);
	cr_assert_eq(r->len, sizeof(uint32_t), "job %zu: %zu bytes", i, r->len);
	cr_assert_eq(memcmp(r->bytes, &b->numbers[i], r->len), 0,
		"job %zu has the result of another one", i);
}

static inline void batch_check(const struct batch *b)
{
	for (size_t i = 0; i < b->ct; i++) {
		batch_check_one(b, i);
	}
}

/* A task: its argument is its result. */
static inline int task_echo(pm_task *task, const void *arg, size_t len)
{
	return pm_return(task, arg, len);
}

static inline uint32_t task_number(const void *arg)
{
	uint32_t number;
	memcpy(&number, arg, sizeof(number));
	return number;
}

/* The pool works: a few jobs come through. */
static inline void rig_check_works(pm_pool *pool)
{
	struct batch b = batch_new(50);
	batch_map(pool, task_echo, &b);
	batch_check(&b);
	batch_free(&b);
}

/* --------------------------------------------------------------- processes */

static inline bool has_name(pid_t pid, const char *name)
{
	char path[64], text[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	FILE *f = fopen(path, "re");
	bool same = f && fgets(text, sizeof(text), f) &&
		    strncmp(text, name, strlen(name)) == 0;
	if (f) {
		fclose(f);
	}
	return same;
}

/* Of the host process with this pid; 0: it has none (any more). */
static inline pid_t forkserver_of(pid_t host)
{
	pid_t children[256];
	size_t ct = process_children(host, children, 256);
	for (size_t i = 0; i < ct && i < 256; i++) {
		if (has_name(children[i], "poolmap-fork")) {
			return children[i];
		}
	}
	return 0;
}

/* The living workers of this process's pools. */
static inline size_t rig_workers(pid_t out[], size_t max)
{
	pid_t forkserver = forkserver_of(getpid());
	return forkserver ? process_children(forkserver, out, max) : 0;
}

static inline bool has_no_workers(void *unused)
{
	(void)unused;
	return rig_workers(NULL, 0) == 0;
}

/* Entries of a directory, but . and .. */
static inline size_t entries_of(const char *path)
{
	size_t ct = 0;
	struct dirent *entry;
	DIR *dir = opendir(path);
	cr_assert(dir, "cannot read %s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		ct += strcmp(entry->d_name, ".") != 0 &&
		      strcmp(entry->d_name, "..") != 0;
	}
	closedir(dir);
	return ct;
}

/* The only entry of a directory, as a path. */
static inline const char *only_entry(const char *path)
{
	const char *found = NULL;
	struct dirent *entry;
	DIR *dir = opendir(path);
	cr_assert(dir, "cannot read %s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0) {
			cr_assert_null(found, "%s has more than one entry", path);
			found = keep_printf("%s/%s", path, entry->d_name);
		}
	}
	closedir(dir);
	cr_assert(found, "%s is empty", path);
	return found;
}

static inline size_t open_fds(void)
{
	return entries_of("/proc/self/fd") - 1; /* that of the look itself */
}

/* A closed pool leaves no worker and nothing in its directory. */
static inline void rig_check_nothing_left(const char *runtime_dir)
{
	cr_assert(wait_for(has_no_workers, NULL, 5000), "workers are left");
	cr_assert_eq(entries_of(runtime_dir), 0, "%s is not empty", runtime_dir);
}

#endif
