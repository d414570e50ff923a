/* SPDX-License-Identifier: MIT
 *
 * More signals than anybody has ears for: to the master, the forkserver and the
 * workers, of each kind that they handle or ignore.
 */
#include "tests/support/origin_rig.h"

TestSuite(signal_storm, .init = start_origin, .fini = stop_origin);

enum { MANY = 1000, ROUNDS = 200, FAMILY_MAX = 8 };

static const int ignored_by_master[] = {
	SIGPIPE, SIGXFSZ, SIGCHLD, SIGCONT, SIGWINCH, SIGURG};
static const int ignored_by_others[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE,
	SIGXFSZ, SIGCHLD, SIGCONT, SIGWINCH, SIGURG};

static const char *some_jobs(const char *last)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", MANY);
	jobs_add(&jobs, "%s\n", origin_url(o, "%s", last));
	return jobs_file(&jobs);
}

static size_t send_all(pid_t to, const int *signals, size_t ct)
{
	size_t sent = 0;
	for (size_t i = 0; i < ct; i++) {
		sent += kill(to, signals[i]) == 0;
	}
	return sent;
}
#define SEND_ALL(to, signals)                                                          \
	send_all(to, signals, sizeof(signals) / sizeof((signals)[0]))

static const int deadly[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE, SIGXFSZ};

/* Has it the signals of others as they are to be?  Between its fork and that it has
 * those of its parent. */
static bool is_ready(pid_t pid)
{
	unsigned long ignored = 0;
	char line[256];
	FILE *f = fopen(keep_printf("/proc/%d/status", (int)pid), "re");
	while (f && fgets(line, sizeof line, f)) {
		if (strncmp(line, "SigIgn:", 7) == 0) {
			ignored = strtoul(line + 7, NULL, 16);
		}
	}
	if (f) {
		fclose(f);
	}
	unsigned long needed = 0;
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
		needed |= 1ul << (deadly[i] - 1);
	}
	return (ignored & needed) == needed;
}

/* The forkserver and the workers of a run; no more than there are. */
static size_t family_of(pid_t run, pid_t family[])
{
	size_t ct = process_children(run, family, 1) ? 1 : 0;
	size_t more = ct ? process_children(family[0], family + 1, FAMILY_MAX - 1) : 0;
	return ct + more;
}

struct waited {
	pid_t run;
	pid_t family[FAMILY_MAX];
	size_t ct, expected;
};

static bool is_family_ready(void *ctx)
{
	struct waited *w = ctx;
	bool ready = true;
	w->ct = family_of(w->run, w->family);
	for (size_t i = 0; i < w->ct && i < FAMILY_MAX; i++) {
		ready = ready && is_ready(w->family[i]);
	}
	return ready && w->ct == w->expected;
}

Test(signal_storm, of_what_nobody_handles_changes_nothing, .timeout = 60)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	child_start(
		&c, RUN("-w", "2", "-o", out, some_jobs("/hold/gate")), CHILD_NO_STDIN);
	struct waited w = {.run = c.pid, .expected = 3};
	cr_assert(wait_for(is_family_ready, &w, HARNESS_DEADLINE_MS));
	size_t sent = 0;
	uint64_t begin_ms = clock_now_ms(), took_ms;
	do {
		for (int i = 0; i < ROUNDS; i++) {
			sent += SEND_ALL(c.pid, ignored_by_master);
			for (size_t j = 0; j < w.ct; j++) {
				sent += SEND_ALL(w.family[j], ignored_by_others);
			}
		}
		took_ms = clock_now_ms() - begin_ms;
	} while (origin_count(o, "requests") < MANY + 1);
	cr_assert_geq(sent, took_ms, "%zu signals in %ju ms", sent, (uintmax_t)took_ms);
	origin_release(o, "gate");
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	cr_assert(!strstr(c.got[2].data, " lost"), "%s", c.got[2].data);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, MANY + 1);
	json_decref(results);
	cr_assert_eq(origin_count(o, "requests"), MANY + 1, "a job ran twice");
	child_fini(&c);
}

/* The second of them stops it at once, and the others find it stopping. */
Test(signal_storm, of_interrupts_is_one_end_and_the_run_goes_on, .timeout = 60)
{
	struct child c;
	const char *out = new_path("results.jsonl"), *jobs = some_jobs("/hold/gate");
	child_start(&c, RUN("-w", "2", "-o", out, jobs), CHILD_NO_STDIN);
	wait_for_count(o, "requests", MANY / 10);
	for (int i = 0; i < ROUNDS * 10; i++) {
		(void)kill(c.pid, i % 2 ? SIGTERM : SIGINT);
	}
	int status = child_wait(&c, 20000);
	cr_assert(
		status == 130 || status == 143, "status %d: %s", status, c.got[2].data);
	size_t ct;
	json_t *results = results_of_file(out, &ct); /* fails on a torn line */
	results_check_ordered(results, ct);
	json_decref(results);
	cr_assert_leq(ct, MANY);
	child_fini(&c);
	origin_release(o, "gate");
	struct ran r = run_to_end(NULL, RUN("-w", "2", "--resume", "-o", out, jobs));
	check_status(&r, 0);
	ran_fini(&r);
	results = results_of_file(out, NULL);
	results_check_ordered(results, MANY + 1);
	json_decref(results);
}
