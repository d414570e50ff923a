/* SPDX-License-Identifier: MIT
 *
 * kill_rig - for tests in which runs are killed, or cannot write: dice, and what may
 *not be left.
 *
 *	TestSuite(run_kills, .init = start_kills, .fini = stop_origin);
 *
 * What is random comes from a seed that is printed; POOLMAP_TEST_SEED in the
 *environment sets it.
 *
 * Runs in: the test process.  Included by tests, once each, instead of origin_rig.h.
 */
#ifndef TESTS_SUPPORT_KILL_RIG_H
#define TESTS_SUPPORT_KILL_RIG_H

#include <dirent.h>

#include "tests/support/origin_rig.h"

static const char *runtime; /* where pools have their directories */
static uint64_t dice_state;

static inline void start_kills(void)
{
	const char *seed = getenv("POOLMAP_TEST_SEED");
	dice_state = seed ? strtoull(seed, NULL, 10) : clock_now_us();
	cr_log_info("POOLMAP_TEST_SEED=%llu", (unsigned long long)dice_state);
	start_origin();
	runtime = temp_dir();
	child_env("XDG_RUNTIME_DIR", runtime);
	child_env("TMPDIR", runtime);
}

/* 0 ... below - 1 */
static inline size_t dice(size_t below)
{
	dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)((dice_state >> 33) % below);
}

/* --------------------------------------------------------------- what is left */

static inline size_t entries_of(const char *path)
{
	size_t ct = 0;
	struct dirent *entry;
	DIR *dir = opendir(path);
	cr_assert(dir, "cannot read %s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		ct += entry->d_name[0] != '.';
	}
	closedir(dir);
	return ct;
}

/* Workers have the command line of the run, so its output's name finds them
 * all; one that has ended and waits for its parent has none. */
static inline bool no_process_is_left(void *out)
{
	return pids_of_program(out, NULL, 0) == 0;
}

static inline bool nothing_is_left(void *out)
{
	return no_process_is_left(out) && entries_of(runtime) == 0;
}

static inline void check_nothing_left(const char *out)
{
	void *ctx = (void *)(uintptr_t)out;
	cr_assert(wait_for(nothing_is_left, ctx, 1000),
		"after a second %zu processes and %zu files are left",
		pids_of_program(out, NULL, 0), entries_of(runtime));
}

/* ------------------------------------------------------------------- results */

static inline void check_all_ok(const char *out, size_t ct)
{
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, ct);
	for (size_t i = 0; i < ct; i++) {
		const json_t *job = json_array_get(results, i);
		cr_assert(is_ok(job), "job %zu: %s", i, text_in(job, "errormsg"));
	}
	json_decref(results);
}

#endif
