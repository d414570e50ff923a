/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/verdict: judgements one by one, and whole stories of
 * workers that die of poison.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "master/verdict.h"
#include "tests/unit/dice.h"

static struct job job;

static void expect(bool running, bool alone, enum verdict want)
{
	struct verdict_evidence e = {.begun = running, .alone = alone};
	enum verdict got = verdict_on_loss(&job, &e);
	cr_assert_eq(
		got, want, "deaths %u, alone %u: %d", job.deaths, job.lone_deaths, got);
}

Test(verdict, learns_nothing_about_a_job_in_line, .timeout = 10)
{
	for (int i = 0; i < 100; i++) {
		expect(false, false, VERDICT_RERUN);
	}
	cr_assert_eq(job.deaths, 0);
	cr_assert_eq(job.lone_deaths, 0);
}

Test(verdict, suspects_a_job_after_two_deaths_in_company, .timeout = 10)
{
	expect(true, false, VERDICT_RERUN);
	expect(true, false, VERDICT_SUSPECT);
	expect(true, false, VERDICT_SUSPECT);
	cr_assert_eq(job.deaths, 3);
	cr_assert_eq(job.lone_deaths, 0);
}

Test(verdict, fails_a_job_after_two_deaths_alone, .timeout = 10)
{
	expect(true, true, VERDICT_RERUN);
	expect(true, true, VERDICT_FAIL);
}

Test(verdict, fails_no_job_for_deaths_in_company, .timeout = 10)
{
	for (int i = 0; i < 1000; i++) {
		expect(true, false, i == 0 ? VERDICT_RERUN : VERDICT_SUSPECT);
	}
	expect(true, true, VERDICT_SUSPECT);
	expect(true, true, VERDICT_FAIL);
}

Test(verdict, keeps_a_suspect_a_suspect_when_it_was_only_in_line, .timeout = 10)
{
	expect(true, false, VERDICT_RERUN);
	expect(false, false, VERDICT_RERUN);
	expect(true, false, VERDICT_SUSPECT);
	expect(false, false, VERDICT_SUSPECT);
	expect(false, true, VERDICT_SUSPECT);
	cr_assert_eq(job.deaths, 2, "it did not die again");
}

Test(verdict, fails_a_job_that_must_not_run_twice, .timeout = 10)
{
	job.once = true;
	expect(true, false, VERDICT_FAIL);
	job = (struct job){.once = true};
	expect(true, true, VERDICT_FAIL);
}

Test(verdict, runs_a_once_job_that_never_began, .timeout = 10)
{
	job.once = true;
	expect(false, false, VERDICT_RERUN);
	expect(false, true, VERDICT_RERUN);
	cr_assert_eq(job.deaths, 0);
}

/* ------------------------------------------------------------------ the blame */

static void expect_blame(bool blamed, bool other, bool alone, enum verdict want)
{
	struct verdict_evidence e = {
		.begun = true, .blamed = blamed, .other = other, .alone = alone};
	enum verdict got = verdict_on_loss(&job, &e);
	cr_assert_eq(
		got, want, "blamed %u, deaths %u: %d", job.blamed, job.deaths, got);
}

Test(verdict, fails_a_job_that_was_on_the_cpu_three_times, .timeout = 10)
{
	expect_blame(true, false, false, VERDICT_RERUN);
	expect_blame(true, false, false, VERDICT_RERUN);
	expect_blame(true, false, false, VERDICT_FAIL);
}

Test(verdict, never_blames_the_neighbours_of_one_that_was_on_the_cpu, .timeout = 10)
{
	for (int i = 0; i < 100; i++) {
		expect_blame(false, true, false, VERDICT_RERUN);
	}
	cr_assert_eq(job.deaths, 0);
	cr_assert_eq(job.blamed, 0);
}

/* It kills the worker that takes it in: it has never begun, and is poison. */
Test(verdict, fails_a_job_that_workers_die_of_before_it_begins, .timeout = 10)
{
	struct verdict_evidence first = {.next = true},
				alone = {.next = true, .alone = true};
	job.once = true; /* it never ran: that alone is no reason */
	cr_assert_eq(verdict_on_loss(&job, &first), VERDICT_RERUN);
	cr_assert_eq(verdict_on_loss(&job, &alone), VERDICT_SUSPECT);
	cr_assert_eq(verdict_on_loss(&job, &alone), VERDICT_FAIL);
}

Test(verdict, fails_a_once_job_that_had_begun_though_another_is_to_blame, .timeout = 10)
{
	job.once = true;
	expect_blame(false, true, false, VERDICT_FAIL);
}

/* ------------------------------------------------------------ whole stories */

enum { JOBS_MAX = 200 };

static struct story {
	struct job jobs[JOBS_MAX];
	bool poison[JOBS_MAX];
	enum { WAITING, ASIDE, DONE, FAILED } fate[JOBS_MAX];
	unsigned runs[JOBS_MAX];
	int ct;
	unsigned deaths; /* of workers */
} s;

/* Those that wait, at most `most`; at random, as concurrency has it. */
static int pick(int out[], int most, int fate, uint64_t *seed)
{
	int ct = 0;
	for (int i = 0; i < s.ct; i++) {
		if ((int)s.fate[i] == fate) {
			out[ct++] = i;
		}
	}
	for (int i = 0; i < ct; i++) {
		int j = i + (int)dice_below(seed, (size_t)(ct - i));
		int swap = out[i];
		out[i] = out[j];
		out[j] = swap;
	}
	return ct < most ? ct : most;
}

static void judge(int i, bool alone)
{
	struct verdict_evidence e = {.begun = true, .alone = alone};
	switch (verdict_on_loss(&s.jobs[i], &e)) {
	case VERDICT_RERUN:
		s.fate[i] = WAITING;
		break;
	case VERDICT_SUSPECT:
		s.fate[i] = ASIDE;
		break;
	case VERDICT_FAIL:
		s.fate[i] = FAILED;
		break;
	}
}

/* One worker runs these at once: it ends them all, or dies of one. */
static void run(const int these[], int ct)
{
	bool dies = false;
	for (int i = 0; i < ct; i++) {
		dies |= s.poison[these[i]];
		s.runs[these[i]]++;
	}
	s.deaths += dies;
	for (int i = 0; i < ct; i++) {
		if (dies) {
			judge(these[i], ct == 1);
		} else {
			s.fate[these[i]] = DONE;
		}
	}
}

static void play(int ct, int poison_ct, int concurrency, uint64_t seed)
{
	int these[JOBS_MAX];
	memset(&s, 0, sizeof s);
	s.ct = ct;
	for (int i = 0; i < poison_ct; i++) {
		s.poison[dice_below(&seed, (size_t)ct)] = true;
	}
	for (int turn = 0; turn < 10 * JOBS_MAX; turn++) {
		int got = pick(these, 1, ASIDE, &seed); /* suspects one at a time */
		if (!got) {
			got = pick(these, concurrency, WAITING, &seed);
		}
		if (!got) {
			return;
		}
		run(these, got);
	}
	cr_assert_fail(
		"%d jobs, %d poison, %d at once: no end", ct, poison_ct, concurrency);
}

Test(verdict, fails_all_poison_and_no_innocent, .timeout = 60)
{
	static const int concurrencies[] = {1, 2, 16, 128};
	static const int poison_cts[] = {0, 1, 5, 50, 200};
	for (size_t c = 0; c < sizeof concurrencies / sizeof *concurrencies; c++) {
		for (size_t p = 0; p < sizeof poison_cts / sizeof *poison_cts; p++) {
			play(JOBS_MAX, poison_cts[p], concurrencies[c], c * 10 + p);
			for (int i = 0; i < s.ct; i++) {
				cr_assert_eq(s.fate[i], s.poison[i] ? FAILED : DONE,
					"job %d of %d poison, %d at once", i,
					poison_cts[p], concurrencies[c]);
				cr_assert_leq(s.runs[i],
					VERDICT_DEATHS + VERDICT_LONE_DEATHS);
			}
			cr_assert(s.deaths || !poison_cts[p]);
		}
	}
}
